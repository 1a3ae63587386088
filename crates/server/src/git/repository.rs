//! The bare repositories, `DATA/git/<app uuid>.git`: made by us with a configuration of our own, written to by git alone.
//!
//! `info/attributes` outranks a tree's own `.gitattributes`, so that `git archive` gives what was committed: nothing left out,
//! substituted or converted.

use super::command::GitTool;
use super::updates::DEPLOY_BRANCHES;
use super::wire::HookKind;
use domain::ids::AppId;
use domain::names::CommitId;
use engine::ports::{RefMove, RepositoryError};
use std::ffi::OsString;
use std::fs;
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const ATTRIBUTES: &str = "* -text -ident !export-ignore !export-subst !filter !working-tree-encoding\n";
const HEAD: &str = "ref: refs/heads/main\n";
const CONFIG: &str = "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = true\n";
/// What the name of something that is being made goes on with.
const UNFINISHED: &str = ".new-";

/// All repositories of the installation. Cheap to clone.
#[derive(Debug, Clone)]
pub struct GitRepositories {
    root: PathBuf,
    tool: GitTool,
}

impl GitRepositories {
    /// `root` is `DATA/git`; it is made if it is missing. What a server that died left half made in it is removed.
    pub fn new(root: &Path, tool: GitTool) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(root)?;
        for entry in fs::read_dir(root)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().contains(UNFINISHED) {
                fs::remove_dir_all(entry.path())?;
            }
        }
        Ok(Self { root: root.to_owned(), tool })
    }

    pub const fn tool(&self) -> &GitTool {
        &self.tool
    }

    pub fn path(&self, app: AppId) -> PathBuf {
        self.root.join(format!("{app}.git"))
    }

    /// Apps that have a repository.
    pub fn apps(&self) -> io::Result<Vec<AppId>> {
        let names = fs::read_dir(&self.root)?.map(|entry| entry.map(|entry| entry.file_name()));
        let names = names.collect::<io::Result<Vec<_>>>()?;
        Ok(names.iter().filter_map(|name| name.to_str()?.strip_suffix(".git")?.parse().ok()).collect())
    }

    /// The repository's folder, made if it is missing. Several may ask at once: the first rename wins.
    pub fn ensure(&self, app: AppId) -> Result<PathBuf, RepositoryError> {
        let path = self.path(app);
        let wrong = |error: io::Error| fail(app, format!("making {}: {error}", path.display()));
        if path.is_dir() {
            mend(&path).map_err(wrong)?;
            return Ok(path);
        }
        let unfinished = tempfile_name(&path);
        let made = self.initialise(&unfinished).and_then(|()| match fs::rename(&unfinished, &path) {
            Err(_) if path.is_dir() => fs::remove_dir_all(&unfinished),
            other => other,
        });
        made.and_then(|()| fs::File::open(&self.root)?.sync_all()).map_err(wrong)?;
        Ok(path)
    }

    fn initialise(&self, folder: &Path) -> io::Result<()> {
        fs::DirBuilder::new().mode(0o700).create(folder)?;
        let mut arguments: Vec<OsString> =
            ["init", "--quiet", "--bare", "--template=", "--initial-branch=main"]
                .map(OsString::from)
                .to_vec();
        arguments.push(folder.as_os_str().to_owned());
        let done = self.run(arguments)?;
        if !done.status.success() {
            return Err(io::Error::other(complaint(&done)));
        }
        mend(folder)?;
        flush(folder)
    }

    /// Runs git inside a repository and gives its standard output, trimmed; `None` if it exits with a failure.
    fn ask(&self, app: AppId, command: &[&str]) -> Result<Option<String>, RepositoryError> {
        let arguments = self.tool.repository_arguments(&self.path(app), command);
        let done = self.run(arguments).map_err(|error| fail(app, format!("starting git: {error}")))?;
        let text = String::from_utf8_lossy(&done.stdout).trim().to_owned();
        Ok(done.status.success().then_some(text))
    }

    fn run(&self, arguments: Vec<OsString>) -> io::Result<Output> {
        Command::new(&self.tool.program)
            .args(arguments)
            .env_clear()
            .envs(self.tool.environment())
            .current_dir("/")
            .stdin(Stdio::null())
            .output()
    }

    /// The full name of the branch that HEAD names.
    pub fn head_branch(&self, app: AppId) -> Result<Option<String>, RepositoryError> {
        self.ask(app, &["symbolic-ref", "--quiet", "HEAD"])
    }

    /// Makes a deploy branch the one that clones check out.
    pub fn point_head(&self, app: AppId, branch: &str) -> Result<(), RepositoryError> {
        if self.head_branch(app)?.as_deref() == Some(branch) {
            return Ok(());
        }
        let pointed = self.ask(app, &["symbolic-ref", "HEAD", branch])?;
        pointed.map(drop).ok_or_else(|| fail(app, format!("HEAD could not be pointed to {branch}")))
    }

    /// What a ref holds.
    pub fn value(&self, app: AppId, name: &str) -> Result<Option<CommitId>, RepositoryError> {
        let found = self.ask(app, &["rev-parse", "--verify", "--quiet", "--end-of-options", name])?;
        Ok(found.and_then(|text| text.parse().ok()))
    }

    /// Puts a ref back to what a push believed it to be, so that git's own comparison lets the push pass. Another push may have
    /// landed since; which commit is deployed is decided by the ledger, not by who moved the ref first.
    pub fn reset(&self, app: AppId, name: &str, to: Option<&CommitId>) -> Result<(), RepositoryError> {
        if self.value(app, name)?.as_ref() == to {
            return Ok(());
        }
        let done = match to {
            Some(commit) => self.ask(app, &["update-ref", name, commit.as_str()])?,
            None => self.ask(app, &["update-ref", "-d", name])?,
        };
        done.map(drop).ok_or_else(|| fail(app, format!("{name} could not be reset")))
    }

    /// The commit that a person names: by its id or the beginning of it, a branch or a tag.
    pub fn resolve(&self, app: AppId, name: &str) -> Result<Option<CommitId>, RepositoryError> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'/' | b'-');
        if name.is_empty() || name.starts_with('-') || name.contains("..") || !name.bytes().all(plain) {
            return Ok(None);
        }
        let found = self.value(app, &format!("{name}^{{commit}}"))?;
        match found {
            Some(commit) if self.holds(app, &commit)? => Ok(Some(commit)),
            Some(_) | None => Ok(None),
        }
    }

    /// Whether the commit and everything that it needs are here.
    fn holds(&self, app: AppId, commit: &CommitId) -> Result<bool, RepositoryError> {
        let peeled = format!("{commit}^{{commit}}");
        if self.ask(app, &["cat-file", "-e", &peeled])?.is_none() {
            return Ok(false);
        }
        let walk = ["rev-list", "--objects", "--quiet", commit.as_str(), "--not", "--all"];
        Ok(self.ask(app, &walk)?.is_some())
    }

    /// Moves a ref to a commit that is deployed, if the repository has it.
    pub fn catch_up(&self, app: AppId, name: &str, commit: &CommitId) -> Result<RefMove, RepositoryError> {
        if self.value(app, name)?.as_ref() == Some(commit) {
            return Ok(RefMove::Unchanged);
        }
        if !self.holds(app, commit)? {
            return Ok(RefMove::ObjectsMissing);
        }
        self.reset(app, name, Some(commit))?;
        Ok(RefMove::Moved)
    }

    /// The deploy branch that HEAD names, else the first of the two.
    fn deploy_ref(&self, app: AppId) -> Result<String, RepositoryError> {
        let known =
            |name: &String| DEPLOY_BRANCHES.iter().any(|branch| *name == format!("refs/heads/{branch}"));
        let head = self.head_branch(app)?.filter(known);
        Ok(head.unwrap_or_else(|| format!("refs/heads/{}", DEPLOY_BRANCHES[0])))
    }
}

impl engine::ports::Repositories for GitRepositories {
    fn head_of(&self, app: AppId) -> Result<Option<CommitId>, RepositoryError> {
        if !self.path(app).is_dir() {
            return Ok(None);
        }
        let name = self.deploy_ref(app)?;
        self.value(app, &name)
    }

    fn set_ref_if_objects_present(&self, app: AppId, commit: &CommitId) -> Result<RefMove, RepositoryError> {
        if !self.path(app).is_dir() {
            return Ok(RefMove::ObjectsMissing);
        }
        self.catch_up(app, &self.deploy_ref(app)?, commit)
    }

    fn remove(&self, app: AppId) -> Result<(), RepositoryError> {
        match fs::remove_dir_all(self.path(app)) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(fail(app, format!("removing it: {error}"))),
            Ok(()) => Ok(()),
        }
    }
}

/// Makes the folder of hooks: our own binary under the names that git looks for, and nothing else.
pub fn prepare_hooks(folder: &Path, binary: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        Err(_) | Ok(()) => {}
    }
    fs::DirBuilder::new().recursive(true).mode(0o755).create(folder)?;
    HookKind::ALL.iter().try_for_each(|kind| symlink(binary, folder.join(kind.file_name())))
}

/// Puts back what neither git nor we can do without. A machine that lost its power may have kept a file's name and not its content.
fn mend(repository: &Path) -> io::Result<()> {
    for folder in ["info", "objects", "refs"] {
        fs::create_dir_all(repository.join(folder))?;
    }
    let is_empty = |found: &[u8]| found.trim_ascii().is_empty();
    restore(repository, "HEAD", HEAD, is_empty)?;
    restore(repository, "config", CONFIG, is_empty)?;
    restore(repository, "info/attributes", ATTRIBUTES, |found| found != ATTRIBUTES.as_bytes())
}

fn restore(repository: &Path, name: &str, content: &str, is_wrong: impl Fn(&[u8]) -> bool) -> io::Result<()> {
    let path = repository.join(name);
    match fs::read(&path) {
        Ok(found) if !is_wrong(&found) => return Ok(()),
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        Ok(_) | Err(_) => {}
    }
    let new = tempfile_name(&path);
    let mut file = fs::File::create_new(&new)?;
    file.write_all(content.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, &path)?;
    path.parent().map_or(Ok(()), |folder| fs::File::open(folder)?.sync_all())
}

/// Brings a new repository's few files to the disk, before it gets its name.
fn flush(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            flush(&entry.path())?;
        } else {
            fs::File::open(entry.path())?.sync_all()?;
        }
    }
    fs::File::open(folder)?.sync_all()
}

fn tempfile_name(path: &Path) -> PathBuf {
    let random = crate::secrets::random_hex().unwrap_or_default();
    let mut name = path.file_stem().unwrap_or_default().to_owned();
    name.push(UNFINISHED);
    name.push(random.get(..16).unwrap_or_default());
    path.with_file_name(name)
}

fn fail(app: AppId, message: String) -> RepositoryError {
    RepositoryError { app, message }
}

fn complaint(done: &Output) -> String {
    const SHOWN: usize = 1000;
    String::from_utf8_lossy(&done.stderr).trim().chars().take(SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::ports::Repositories;
    use std::sync::Arc;

    const APP: AppId = AppId::from_u128(7);

    fn repositories(folder: &Path) -> GitRepositories {
        let tool = GitTool { program: "/usr/bin/git".into(), hooks: folder.join("hooks") };
        GitRepositories::new(&folder.join("git"), tool).unwrap()
    }

    /// A commit made inside the repository itself.
    fn commit(repositories: &GitRepositories, message: &str, parent: Option<&CommitId>) -> CommitId {
        let ask = |command: &[&str]| repositories.ask(APP, command).unwrap().expect("git succeeds");
        let tree = ask(&["mktree"]);
        let mut arguments = vec!["-c", "user.name=a", "-c", "user.email=a@b"];
        arguments.extend(["commit-tree", &tree, "-m", message]);
        if let Some(parent) = parent {
            arguments.extend(["-p", parent.as_str()]);
        }
        ask(&arguments).parse().unwrap()
    }

    #[test]
    fn a_ref_moves_only_to_what_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let repositories = repositories(folder.path());
        assert_eq!(repositories.head_of(APP), Ok(None));
        let unknown: CommitId = "a".repeat(40).parse().unwrap();
        assert_eq!(repositories.set_ref_if_objects_present(APP, &unknown), Ok(RefMove::ObjectsMissing));
        repositories.ensure(APP).unwrap();
        assert_eq!(repositories.set_ref_if_objects_present(APP, &unknown), Ok(RefMove::ObjectsMissing));
        let first = commit(&repositories, "first", None);
        assert_eq!(repositories.set_ref_if_objects_present(APP, &first), Ok(RefMove::Moved));
        assert_eq!(repositories.set_ref_if_objects_present(APP, &first), Ok(RefMove::Unchanged));
        assert_eq!(repositories.head_of(APP), Ok(Some(first.clone())));
        let lost = commit(&repositories, "lost", Some(&first));
        let child = commit(&repositories, "child", Some(&lost));
        let (fan, rest) = lost.as_str().split_at(2);
        fs::remove_file(repositories.path(APP).join("objects").join(fan).join(rest)).unwrap();
        assert_eq!(
            repositories.set_ref_if_objects_present(APP, &child),
            Ok(RefMove::ObjectsMissing),
            "a parent is missing"
        );
        repositories.reset(APP, "refs/heads/main", None).unwrap();
        assert_eq!(repositories.head_of(APP), Ok(None));
        assert_eq!((repositories.remove(APP), repositories.remove(APP)), (Ok(()), Ok(())));
    }

    #[test]
    fn head_follows_the_deployed_branch() {
        let folder = tempfile::tempdir().unwrap();
        let repositories = repositories(folder.path());
        repositories.ensure(APP).unwrap();
        repositories.point_head(APP, "refs/heads/master").unwrap();
        let first = commit(&repositories, "first", None);
        repositories.set_ref_if_objects_present(APP, &first).unwrap();
        assert_eq!(repositories.value(APP, "refs/heads/master"), Ok(Some(first)));
    }

    #[test]
    fn what_a_power_cut_emptied_is_put_back() {
        let folder = tempfile::tempdir().unwrap();
        let repositories = repositories(folder.path());
        let path = repositories.ensure(APP).unwrap();
        let first = commit(&repositories, "first", None);
        repositories.set_ref_if_objects_present(APP, &first).unwrap();
        for name in ["HEAD", "config", "info/attributes"] {
            fs::write(path.join(name), "").unwrap();
        }
        repositories.ensure(APP).unwrap();
        assert_eq!(repositories.head_of(APP), Ok(Some(first.clone())));
        fs::remove_dir_all(path.join("info")).unwrap();
        fs::remove_file(path.join("HEAD")).unwrap();
        repositories.ensure(APP).unwrap();
        assert_eq!(repositories.head_of(APP), Ok(Some(first)));
        assert_eq!(fs::read_to_string(path.join("info/attributes")).unwrap(), ATTRIBUTES);
    }

    #[test]
    fn what_was_left_half_made_goes_with_the_next_start() {
        let folder = tempfile::tempdir().unwrap();
        let made = repositories(folder.path());
        made.ensure(APP).unwrap();
        fs::create_dir_all(tempfile_name(&made.path(AppId::from_u128(8))).join("objects")).unwrap();
        repositories(folder.path());
        let left = fs::read_dir(folder.path().join("git")).unwrap().map(|entry| entry.unwrap().file_name());
        assert_eq!(left.collect::<Vec<_>>(), [OsString::from(format!("{APP}.git"))]);
    }

    #[test]
    fn many_may_make_it_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let repositories = Arc::new(repositories(folder.path()));
        let makers: Vec<_> = (0..4)
            .map(|_| {
                let repositories = Arc::clone(&repositories);
                std::thread::spawn(move || repositories.ensure(APP))
            })
            .collect();
        for maker in makers {
            assert!(maker.join().unwrap().is_ok());
        }
        assert_eq!(fs::read_dir(folder.path().join("git")).unwrap().count(), 1, "no leftovers");
    }

    #[test]
    fn hooks_are_ours_alone() {
        let folder = tempfile::tempdir().unwrap();
        let hooks = folder.path().join("hooks");
        fs::create_dir(&hooks).unwrap();
        fs::write(hooks.join("update"), "#!/bin/sh\n").unwrap();
        prepare_hooks(&hooks, Path::new("/opt/dozen")).unwrap();
        let mut names: Vec<_> =
            fs::read_dir(&hooks).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["post-receive", "pre-receive"]);
        assert_eq!(fs::read_link(hooks.join("pre-receive")).unwrap(), Path::new("/opt/dozen"));
    }
}
