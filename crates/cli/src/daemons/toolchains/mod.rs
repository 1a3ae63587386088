//! Which interpreters and compilers this machine has for apps. Asked once, at the start, by the one who starts us: never during a
//! build, never of anything that an app brought.
//!
//! Without a setting, whoever starts the launcher decides by what their own `python3`, `node` and `rustc` are; Debian's own come
//! after. A prefix is bound into sandboxes whole, so it must hold an installation and nothing else: `~/.local` is refused.

use super::settings::Settings;
use domain::runtime::{Language, Runtime};
use sandbox::launcher::InstalledRuntime;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Debian's, which every sandbox sees at `/usr` anyway.
const SYSTEM_PREFIXES: [&str; 2] = ["/usr/local", "/usr"];
/// Where distributions keep the certificate authorities: Debian, Fedora.
const CERTIFICATES: [&str; 2] = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"];
const CERTIFICATES_VARIABLE: &str = "SSL_CERT_FILE";

/// A prefix that a setting names and that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the setting DOZEN_{}_PREFIX names {}, {problem}", language.as_word().to_uppercase(), prefix.display())]
pub struct UnusablePrefix {
    language: Language,
    prefix: PathBuf,
    problem: String,
}

/// The interpreters of this machine, one a series, preferred ones first.
pub fn find_runtimes(settings: &Settings) -> Result<Vec<InstalledRuntime>, UnusablePrefix> {
    let mut all = Vec::new();
    for (language, named) in
        [(Language::Python, &settings.python_prefixes), (Language::Node, &settings.node_prefixes)]
    {
        let found = if named.is_empty() { search(language) } else { look_at_all(language, named)? };
        for runtime in found {
            if all.iter().all(|known: &InstalledRuntime| known.runtime != runtime.runtime) {
                all.push(runtime);
            }
        }
    }
    Ok(all)
}

fn look_at_all(language: Language, prefixes: &[PathBuf]) -> Result<Vec<InstalledRuntime>, UnusablePrefix> {
    let look = |prefix: &PathBuf| {
        look_at(language, prefix).map_err(|problem| UnusablePrefix {
            language,
            prefix: prefix.clone(),
            problem,
        })
    };
    prefixes.iter().map(look).collect()
}

/// What is not usable is passed over: nobody asked for it.
fn search(language: Language) -> Vec<InstalledRuntime> {
    let own = own_prefix(language);
    let system = SYSTEM_PREFIXES.iter().map(PathBuf::from);
    let candidates = own.into_iter().chain(system);
    candidates.filter_map(|prefix| look_at(language, &prefix).ok()).collect()
}

/// The prefix of the interpreter that this user starts by its plain name, through whatever version manager.
fn own_prefix(language: Language) -> Option<PathBuf> {
    let output = match language {
        Language::Python => ask("python3", &["-c", "import sys; print(sys.base_prefix)"]),
        Language::Node => {
            ask("node", &["-p", "require('path').dirname(require('path').dirname(process.execPath))"])
        }
    };
    output.map(PathBuf::from)
}

/// The installation at a prefix, or why it cannot be used.
fn look_at(language: Language, prefix: &Path) -> Result<InstalledRuntime, String> {
    let prefix = prefix.canonicalize().map_err(|error| format!("which cannot be opened: {error}"))?;
    if is_more_than_an_installation(&prefix) {
        return Err("which holds more than an installation: apps would see all of it".to_owned());
    }
    let (program, arguments): (_, &[&str]) = match language {
        Language::Python => ("bin/python3", &["-c", "import platform; print(platform.python_version())"]),
        Language::Node => ("bin/node", &["-p", "process.versions.node"]),
    };
    let version = ask(prefix.join(program), arguments)
        .ok_or_else(|| format!("where {program} does not run and tell its version"))?;
    let runtime = Runtime::of_version(language, &version)
        .ok_or_else(|| format!("whose version \"{version}\" is not understood"))?;
    Ok(InstalledRuntime { runtime, version, prefix })
}

/// Homes, and the folders in them that hold a bit of everything.
fn is_more_than_an_installation(prefix: &Path) -> bool {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let is_home = home.as_ref().is_some_and(|home| home.starts_with(prefix));
    is_home || prefix.ends_with(".local") || prefix.parent().is_none() || prefix == Path::new("/home")
}

/// The toolchain of whoever starts us.
pub fn find_rust() -> Option<PathBuf> {
    let sysroot = PathBuf::from(ask("rustc", &["--print", "sysroot"])?);
    sysroot.join("bin/cargo").is_file().then_some(sysroot)
}

/// The certificate authorities that this machine trusts.
pub fn find_certificates(settings: &Settings) -> Option<PathBuf> {
    let named = settings.certificates.clone();
    let own = std::env::var_os(CERTIFICATES_VARIABLE).map(PathBuf::from);
    let system = CERTIFICATES.iter().map(PathBuf::from);
    named.into_iter().chain(own).chain(system).find(|path| path.is_file())
}

/// The first line that a program prints.
fn ask(program: impl AsRef<std::ffi::OsStr>, arguments: &[&str]) -> Option<String> {
    let output =
        Command::new(program).args(arguments).output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.lines().next().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemons::settings::Who;
    use std::os::unix::fs::PermissionsExt;

    fn installation(folder: &Path, script: &str) {
        std::fs::create_dir_all(folder.join("bin")).unwrap();
        std::fs::write(folder.join("bin/python3"), script).unwrap();
        std::fs::set_permissions(folder.join("bin/python3"), PermissionsExt::from_mode(0o755)).unwrap();
    }

    #[test]
    fn an_installation_tells_its_version() {
        let place = tempfile::tempdir().unwrap();
        let prefix = place.path().canonicalize().unwrap().join("py");
        installation(&prefix, "#!/bin/sh\necho 3.12.1\n");
        let found = look_at(Language::Python, &prefix).unwrap();
        assert_eq!((found.runtime.to_string().as_str(), found.version.as_str()), ("python-3.12", "3.12.1"));
        assert_eq!(found.prefix, prefix);
    }

    #[test]
    fn what_cannot_be_used_is_named_with_its_setting() {
        let place = tempfile::tempdir().unwrap();
        let prefix = place.path().join("broken");
        installation(&prefix, "#!/bin/sh\nexit 1\n");
        let local = place.path().join(".local");
        installation(&local, "#!/bin/sh\necho 3.12.1\n");
        for (prefix, expected) in [
            (prefix, "does not run"),
            (place.path().join("absent"), "cannot be opened"),
            (local, "more than an installation"),
            ("/".into(), "more than an installation"),
        ] {
            let lookup = |name: &str| (name == "DOZEN_PYTHON_PREFIX").then(|| prefix.display().to_string());
            let settings = Settings::from_env(Who::Root, lookup).unwrap();
            let problem = find_runtimes(&settings).unwrap_err().to_string();
            assert!(problem.contains(expected) && problem.contains("DOZEN_PYTHON_PREFIX"), "{problem}");
        }
    }
}
