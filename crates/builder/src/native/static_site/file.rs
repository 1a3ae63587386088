//! Finding and opening files of the site. The kernel keeps every path inside the root (`openat2`, RESOLVE_BENEATH); relative
//! links inside it are followed, as the site's author means them.

use percent_encoding::percent_decode_str;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// Files whose tags are remembered; beyond, all are forgotten and made anew when asked for.
const MAX_TAGS: usize = 10_000;
const READ_BYTES: usize = 64 * 1024;
/// Files of the top folder that are about the app, not of the site.
const OURS: [&str; 5] = ["Procfile", "Staticfile", "app.json", "Cargo.toml", "Cargo.lock"];
/// The one name with a dot in front that sites publish (RFC 8615).
const WELL_KNOWN: &str = ".well-known";

/// The folder that is served.
#[derive(Debug)]
pub(super) struct Root {
    folder: OwnedFd,
    /// Strong tags by path. The folder is read-only and never changes while it is served.
    tags: Mutex<HashMap<String, Arc<str>>>,
}

/// What a path leads to.
#[derive(Debug)]
pub(super) enum Found {
    File(SiteFile),
    /// A folder with an index, asked for without the slash at the end.
    Folder,
    Nothing,
}

/// An open file.
#[derive(Debug)]
pub(super) struct SiteFile {
    pub(super) file: File,
    pub(super) path: String,
    pub(super) size: u64,
    pub(super) tag: Arc<str>,
}

/// The components of a request's path, decoded. `None` for a path that can name no file of a site.
pub(super) fn decode(path: &str) -> Option<(Vec<String>, Ending)> {
    let decoded = percent_decode_str(path).decode_utf8().ok()?;
    let rest = decoded.strip_prefix('/')?;
    let ending = if rest.is_empty() || rest.ends_with('/') { Ending::Slash } else { Ending::Name };
    let parts: Vec<String> = rest.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
    let hidden = |part: &String| part.starts_with('.') && part != WELL_KNOWN;
    let impossible = |part: &String| part.contains('\0');
    (!parts.iter().any(|part| hidden(part) || impossible(part))).then_some((parts, ending))
}

/// How a request's path ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Name,
    Slash,
}

impl Root {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let folder = File::open(path)?;
        if !folder.metadata()?.is_dir() {
            return Err(io::Error::from(io::ErrorKind::NotADirectory));
        }
        Ok(Self { folder: folder.into(), tags: Mutex::default() })
    }

    /// Blocking: reads the whole file once for its tag.
    pub(super) fn find(&self, parts: &[String], ending: Ending) -> io::Result<Found> {
        if parts.len() == 1 && ending == Ending::Name && OURS.contains(&parts[0].as_str()) {
            return Ok(Found::Nothing);
        }
        let index: Vec<&str> = parts.iter().map(String::as_str).chain(["index.html"]).collect();
        match ending {
            Ending::Slash => Ok(self.file(&index.join("/"))?.map_or(Found::Nothing, Found::File)),
            Ending::Name => match self.file(&parts.join("/"))? {
                Some(file) => Ok(Found::File(file)),
                None if self.file(&index.join("/"))?.is_some() => Ok(Found::Folder),
                None => Ok(Found::Nothing),
            },
        }
    }

    /// A regular file by its path below the root.
    pub(super) fn file(&self, path: &str) -> io::Result<Option<SiteFile>> {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let mut file = match openat2(self.folder.as_fd(), path, flags, Mode::empty(), resolve) {
            Ok(file) => File::from(file),
            Err(error) if is_absence(error) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Ok(None);
        }
        let tag = self.tag(path, &mut file)?;
        Ok(Some(SiteFile { file, path: path.to_owned(), size: metadata.len(), tag }))
    }

    /// A strong validator from the content: times say nothing in a slug, where all files have the same.
    fn tag(&self, path: &str, file: &mut File) -> io::Result<Arc<str>> {
        if let Some(tag) = self.lock().get(path) {
            return Ok(Arc::clone(tag));
        }
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; READ_BYTES];
        loop {
            match file.read(&mut buffer)? {
                0 => break,
                read => hasher.update(&buffer[..read]),
            }
        }
        file.rewind()?;
        let tag: Arc<str> = format!("\"{}\"", hex::encode(&hasher.finalize()[..16])).into();
        let mut tags = self.lock();
        if tags.len() >= MAX_TAGS {
            tags.clear();
        }
        tags.insert(path.to_owned(), Arc::clone(&tag));
        Ok(tag)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<str>>> {
        // A map of finished tags is whole whatever happened to the thread that held it.
        self.tags.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Answers of the kernel that mean: no such file for this site.
fn is_absence(error: rustix::io::Errno) -> bool {
    use rustix::io::Errno;
    matches!(
        error,
        Errno::NOENT
            | Errno::NOTDIR
            | Errno::XDEV
            | Errno::LOOP
            | Errno::NAMETOOLONG
            | Errno::ACCESS
            | Errno::NXIO
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn paths_are_decoded_once_and_hidden_names_refused() {
        let parts = |path: &str| decode(path).map(|(parts, ending)| (parts.join("|"), ending));
        let cases = [
            ("/", Some(("", Ending::Slash))),
            ("/a/b", Some(("a|b", Ending::Name))),
            ("/a//b/", Some(("a|b", Ending::Slash))),
            ("/a%20b", Some(("a b", Ending::Name))),
            ("/%2e%2e/x", None),
            ("/a/../x", None),
            ("/a/..%2fx", None),
            ("/%252e%252e/x", Some(("%2e%2e|x", Ending::Name))),
            ("/.git/config", None),
            ("/.well-known/security.txt", Some((".well-known|security.txt", Ending::Name))),
            ("/a%00b", None),
            ("/%ff", None),
            ("*", None),
        ];
        for (path, expected) in cases {
            assert_eq!(parts(path), expected.map(|(text, ending)| (text.to_owned(), ending)), "{path}");
        }
    }

    #[test]
    fn nothing_outside_is_found() {
        let outer = tempfile::tempdir().expect("a folder");
        let site = outer.path().join("site");
        fs::create_dir_all(site.join("folder")).expect("made");
        fs::write(outer.path().join("secret"), "s").expect("written");
        fs::write(site.join("index.html"), "top").expect("written");
        fs::write(site.join("folder/index.html"), "inner").expect("written");
        fs::write(site.join("Procfile"), "web: x").expect("written");
        symlink("../secret", site.join("out")).expect("linked");
        symlink("/etc/passwd", site.join("absolute")).expect("linked");
        symlink("index.html", site.join("alias")).expect("linked");
        let root = Root::open(&site).expect("opens");
        let find = |parts: &[&str], ending| {
            let parts: Vec<String> = parts.iter().map(|part| (*part).to_owned()).collect();
            match root.find(&parts, ending).expect("no failure") {
                Found::File(file) => file.path,
                Found::Folder => "folder".to_owned(),
                Found::Nothing => "nothing".to_owned(),
            }
        };
        assert_eq!(find(&[], Ending::Slash), "index.html");
        assert_eq!(find(&["folder"], Ending::Name), "folder");
        assert_eq!(find(&["folder"], Ending::Slash), "folder/index.html");
        assert_eq!(find(&["alias"], Ending::Name), "alias");
        for absent in ["out", "absolute", "none", "Procfile", "..", "index.html/x"] {
            assert_eq!(find(&[absent], Ending::Name), "nothing", "{absent}");
        }
        assert_eq!(find(&["..", "secret"], Ending::Name), "nothing");
    }

    #[test]
    fn tags_follow_the_content() {
        let site = tempfile::tempdir().expect("a folder");
        for (name, content) in [("a", "one"), ("b", "one"), ("c", "two")] {
            fs::write(site.path().join(name), content).expect("written");
        }
        let root = Root::open(site.path()).expect("opens");
        let tag = |name: &str| root.file(name).expect("reads").expect("is there").tag;
        assert_eq!(tag("a"), tag("b"));
        assert_ne!(tag("a"), tag("c"));
        assert_eq!(tag("a"), tag("a"), "the same when remembered");
    }
}
