//! Which interpreters and compilers this machine has for apps. Asked once, at the start, by the one who starts us: never during a
//! build, never of anything that an app brought.
//!
//! Without a setting, whoever starts the launcher decides by what their own `python3`, `node` and `rustc` are; Debian's own come
//! after. A prefix is bound into sandboxes whole, so it must hold an installation and nothing else: `~/.local` is refused. What a setting
//! names and cannot be used is an error when Dozen is installed; when it starts, it is passed over and told, for an interpreter that
//! somebody removed must not end the apps that need none.

mod ask;
mod guard;

use super::settings::{Settings, Who};
use ask::{ask_own, ask_stranger};
use domain::runtime::{Language, Runtime};
use guard::{Private, judge, real};
use sandbox::launcher::{InstalledRuntime, LauncherSettings, check_prefix};
use sandbox::spec::{MAX_APP_INDEX, Toolchain};
use std::path::{Path, PathBuf};

/// Debian's, which every sandbox sees at `/usr` anyway.
const SYSTEM_PREFIXES: [&str; 2] = ["/usr/local", "/usr"];
/// Where distributions keep the certificate authorities: Debian, Fedora.
const CERTIFICATES: [&str; 2] = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"];
const CERTIFICATES_VARIABLE: &str = "SSL_CERT_FILE";

/// The setting that names the Rust toolchain.
pub const RUST_SETTING: &str = "DOZEN_RUST_PREFIX";

/// A prefix that a setting names and that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the setting {setting} names {}, {problem}", prefix.display())]
pub struct UnusablePrefix {
    setting: &'static str,
    prefix: PathBuf,
    problem: String,
}

/// What was found without being named.
#[derive(Debug, Default)]
pub struct Search {
    /// One a series, preferred ones first.
    pub found: Vec<InstalledRuntime>,
    /// Installations that cannot be used, with the reason, each as the rest of "passed over: ".
    pub refused: Vec<String>,
}

/// The setting that names the installations of a language.
pub const fn setting_of(language: Language) -> &'static str {
    match language {
        Language::Python => "DOZEN_PYTHON_PREFIX",
        Language::Node => "DOZEN_NODE_PREFIX",
    }
}

/// Looks at installations.
pub struct Looker {
    private: Private,
    /// Who runs their programs, if we are root.
    stranger: Option<u32>,
}

impl Looker {
    pub fn new(settings: &Settings) -> Self {
        let stranger = match settings.who {
            Who::Root => Some(last_of_range(settings)),
            Who::OrdinaryUser(_) => None,
        };
        Self { private: Private::of_machine(settings), stranger }
    }

    /// What a setting names.
    pub fn look_at_named(
        &self,
        language: Language,
        prefix: &Path,
    ) -> Result<InstalledRuntime, UnusablePrefix> {
        let setting = setting_of(language);
        let unusable = |problem| UnusablePrefix { setting, prefix: prefix.to_owned(), problem };
        self.look_at(language, prefix).map_err(unusable)
    }

    /// What is not usable is passed over: nobody asked for it.
    pub fn search(&self, language: Language) -> Search {
        let mut search = Search::default();
        let own = own_prefix(language).map(|prefix| real(&prefix));
        let others = SYSTEM_PREFIXES.map(PathBuf::from);
        let others = others.into_iter().filter(|prefix| prefix.join(program_of(language)).exists());
        for prefix in own.iter().cloned().chain(others.filter(|prefix| Some(prefix) != own.as_ref())) {
            match self.look_at(language, &prefix) {
                Ok(installed) => search.found.push(installed),
                Err(problem) => {
                    search.refused.push(format!("{} in {}, {problem}", language.title(), prefix.display()));
                }
            }
        }
        search.found = one_a_series(search.found);
        search
    }

    /// The installation at a prefix, or why it cannot be used.
    fn look_at(&self, language: Language, prefix: &Path) -> Result<InstalledRuntime, String> {
        let prefix = prefix.canonicalize().map_err(|error| format!("which cannot be opened: {error}"))?;
        judge(&prefix, &self.private)?;
        let program = program_of(language);
        // Tells its version before it looks for anything of its own.
        let answer = ask_stranger(&prefix, program, &["--version"], self.stranger)
            .map_err(|silence| format!("where {program} does not run and tell its version: {silence}"))?;
        let version = parse_version(language, &answer);
        let runtime = Runtime::of_version(language, version)
            .ok_or_else(|| format!("whose version \"{version}\" is not understood"))?;
        check_prefix(Toolchain::Runtime(runtime), &prefix).map_err(|error| error.to_string())?;
        if language == Language::Python && !has_standard_library(&prefix, &runtime.series()) {
            return Err("which has no standard library: it may be a virtual environment".to_owned());
        }
        Ok(InstalledRuntime { runtime, version: version.to_owned(), prefix })
    }
}

/// Set aside for apps, and the last one of them to be given to any: its user owns nothing. Where the range ends too early it is
/// nobody at all, as whom nothing runs.
fn last_of_range(settings: &Settings) -> u32 {
    let range = LauncherSettings {
        app_uid_base: settings.app_uid_base,
        ..LauncherSettings::new(settings.data.clone())
    };
    range.build_user(MAX_APP_INDEX - 1).map_or(u32::MAX, |user| user.uid)
}

/// What this machine has for apps.
#[derive(Debug, Default)]
pub struct Installed {
    pub rust: Option<PathBuf>,
    /// One a series, preferred ones first.
    pub runtimes: Vec<InstalledRuntime>,
    /// What settings name and cannot be used.
    pub passed_over: Vec<UnusablePrefix>,
}

/// Looks at this machine at a start, which nothing that is found or missing prevents.
pub fn find_installed(settings: &Settings) -> Installed {
    let mut installed = Installed::default();
    match find_rust(settings) {
        Ok(rust) => installed.rust = rust,
        Err(unusable) => installed.passed_over.push(unusable),
    }
    let looker = Looker::new(settings);
    for (language, named) in
        [(Language::Python, &settings.python_prefixes), (Language::Node, &settings.node_prefixes)]
    {
        if named.is_empty() {
            installed.runtimes.extend(looker.search(language).found);
        }
        for prefix in named {
            match looker.look_at_named(language, prefix) {
                Ok(runtime) => installed.runtimes.push(runtime),
                Err(unusable) => installed.passed_over.push(unusable),
            }
        }
    }
    installed.runtimes = one_a_series(installed.runtimes);
    installed
}

fn one_a_series(all: Vec<InstalledRuntime>) -> Vec<InstalledRuntime> {
    let mut chosen: Vec<InstalledRuntime> = Vec::new();
    for runtime in all {
        if chosen.iter().all(|known| known.runtime != runtime.runtime) {
            chosen.push(runtime);
        }
    }
    chosen
}

const fn program_of(language: Language) -> &'static str {
    match language {
        Language::Python => "bin/python3",
        Language::Node => "bin/node",
    }
}

/// The prefix of the interpreter that this user starts by its plain name, through whatever version manager.
fn own_prefix(language: Language) -> Option<PathBuf> {
    let answer = match language {
        Language::Python => ask_own("python3", &["-I", "-c", "import sys; print(sys.base_prefix)"]),
        Language::Node => {
            ask_own("node", &["-p", "require('path').dirname(require('path').dirname(process.execPath))"])
        }
    };
    answer.ok().map(PathBuf::from)
}

/// Of `Python 3.11.7` and `v20.1.0`.
fn parse_version(language: Language, answer: &str) -> &str {
    match language {
        Language::Python => answer.strip_prefix("Python ").and_then(|rest| rest.split(' ').next()),
        Language::Node => answer.strip_prefix('v'),
    }
    .unwrap_or(answer)
}

/// By the file that Python itself looks for. CPython's and PyPy's folders have the series in their names.
fn has_standard_library(prefix: &Path, series: &str) -> bool {
    let folders = ["lib", "lib64"].map(|name| std::fs::read_dir(prefix.join(name)));
    folders.into_iter().flatten().flatten().flatten().any(|entry| {
        let name = entry.file_name();
        name.to_str().is_some_and(|name| name.starts_with("py") && name.contains(series))
            && entry.path().join("os.py").is_file()
    })
}

/// The Rust toolchain of the settings, or that of whoever starts us.
pub fn find_rust(settings: &Settings) -> Result<Option<PathBuf>, UnusablePrefix> {
    let private = Private::of_machine(settings);
    let Some(named) = &settings.rust_prefix else {
        return Ok(own_rust().and_then(|prefix| look_at_rust(&prefix, &private).ok()));
    };
    let unusable = |problem| UnusablePrefix { setting: RUST_SETTING, prefix: named.clone(), problem };
    look_at_rust(named, &private).map(Some).map_err(unusable)
}

fn look_at_rust(prefix: &Path, private: &Private) -> Result<PathBuf, String> {
    let prefix = real(prefix);
    judge(&prefix, private)?;
    check_prefix(Toolchain::Rust, &prefix).map_err(|error| error.to_string())?;
    if !prefix.join("bin/cargo").is_file() {
        return Err("which holds no bin/cargo".to_owned());
    }
    Ok(prefix)
}

fn own_rust() -> Option<PathBuf> {
    ask_own("rustc", &["--print", "sysroot"]).ok().map(PathBuf::from)
}

/// The certificate authorities that this machine trusts.
pub fn find_certificates(settings: &Settings) -> Option<PathBuf> {
    let named = settings.certificates.clone();
    let own = std::env::var_os(CERTIFICATES_VARIABLE).map(PathBuf::from);
    let system = CERTIFICATES.iter().map(PathBuf::from);
    named.into_iter().chain(own).chain(system).find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn installation(folder: &Path, script: &str) {
        std::fs::create_dir_all(folder.join("bin")).unwrap();
        std::fs::create_dir_all(folder.join("lib/python3.12")).unwrap();
        std::fs::write(folder.join("lib/python3.12/os.py"), "").unwrap();
        std::fs::write(folder.join("bin/python3"), script).unwrap();
        std::fs::set_permissions(folder.join("bin/python3"), PermissionsExt::from_mode(0o755)).unwrap();
    }

    fn named(name: &'static str, prefix: &Path) -> Settings {
        let value = prefix.display().to_string();
        Settings::from_env(Who::of_process(), move |asked| match asked {
            "DOZEN_DATA" => Some("/nowhere/dozen".to_owned()),
            asked => (asked == name).then(|| value.clone()),
        })
        .unwrap()
    }

    #[test]
    fn an_installation_tells_its_version() {
        let place = tempfile::tempdir().unwrap();
        let prefix = place.path().canonicalize().unwrap().join("py");
        installation(&prefix, "#!/bin/sh\necho Python 3.12.1\n");
        let found = find_installed(&named("DOZEN_PYTHON_PREFIX", &prefix)).runtimes.remove(0);
        assert_eq!((found.runtime.to_string().as_str(), found.version.as_str()), ("python-3.12", "3.12.1"));
        assert_eq!(found.prefix, prefix);
        assert_eq!(parse_version(Language::Node, "v20.19.2"), "20.19.2");
        assert_eq!(parse_version(Language::Python, "Python 3.10.14 (PyPy)"), "3.10.14");
    }

    /// What is asked of a prefix is whatever lies there: root does not do it itself.
    #[test]
    fn root_executes_nothing_of_an_installation() {
        if !rustix::process::geteuid().is_root() {
            println!("skipped: needs root to be somebody else than root");
            return;
        }
        let place = tempfile::tempdir().unwrap();
        let prefix = place.path().join("py");
        installation(&prefix, "#!/bin/sh\necho Python 3.12.$(id -u)\n");
        let found = find_installed(&named("DOZEN_PYTHON_PREFIX", &prefix)).runtimes.remove(0);
        assert_eq!(found.version, "3.12.2099999");
    }

    #[test]
    fn what_cannot_be_used_is_named_with_its_setting() {
        let place = tempfile::tempdir().unwrap();
        let prefix = place.path().join("broken");
        installation(&prefix, "#!/bin/sh\nexit 1\n");
        let local = place.path().join(".local");
        installation(&local, "#!/bin/sh\necho Python 3.12.1\n");
        let without = place.path().join("venv");
        installation(&without, "#!/bin/sh\necho Python 3.11.1\n");
        for (prefix, expected) in [
            (prefix, "does not run and tell its version: it ended with"),
            (place.path().join("absent"), "cannot be opened"),
            (local, "more than an installation"),
            (without, "no standard library"),
            ("/".into(), "more than an installation"),
            ("/root".into(), "more than an installation"),
        ] {
            let installed = find_installed(&named("DOZEN_PYTHON_PREFIX", &prefix));
            assert!(!installed.runtimes.iter().any(|found| found.runtime.language() == Language::Python));
            let problem = installed.passed_over[0].to_string();
            assert!(problem.contains(expected) && problem.contains("DOZEN_PYTHON_PREFIX"), "{problem}");
        }
    }

    #[test]
    fn a_rust_toolchain_is_guarded_as_well() {
        let find = |prefix: &Path| find_rust(&named(RUST_SETTING, prefix));
        let place = tempfile::tempdir().unwrap();
        let prefix = place.path().canonicalize().unwrap().join("stable");
        for refused in ["/root", "/home/ada", "/nowhere/dozen/rust", "/opt/rust/stable", "/nowhere"] {
            let problem = find(Path::new(refused)).unwrap_err().to_string();
            assert!(
                problem.starts_with(&format!("the setting {RUST_SETTING} names {refused}, which ")),
                "{problem}"
            );
        }
        std::fs::create_dir_all(prefix.join("bin")).unwrap();
        assert!(find(&prefix).unwrap_err().to_string().ends_with("which holds no bin/cargo"));
        std::fs::write(prefix.join("bin/cargo"), "").unwrap();
        assert_eq!(find(&prefix).unwrap(), Some(prefix));
    }
}
