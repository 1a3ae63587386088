//! Which folders may not be shown to apps as an installation. What is judged is pure; [`Private::of_machine`] looks.

use crate::daemons::settings::Settings;
use std::path::{Path, PathBuf};

/// Every sandbox sees all of it anyway, and system users have their homes in it.
const SHOWN_TO_ALL: &str = "/usr";
/// Where homes lie.
const HOMES: &str = "/home";
const ROOTS_HOME: &str = "/root";
/// The folder of a home that holds a bit of everything.
const LOCAL: &str = ".local";
const ACCOUNTS: &str = "/etc/passwd";

/// Folders that are not for apps.
#[derive(Debug, Clone, Default)]
pub struct Private {
    /// Of people and of services.
    pub homes: Vec<PathBuf>,
    pub data: PathBuf,
}

impl Private {
    pub fn of_machine(settings: &Settings) -> Self {
        let accounts = std::fs::read_to_string(ACCOUNTS).unwrap_or_default();
        let own = std::env::var_os("HOME").map(PathBuf::from);
        let named: Vec<PathBuf> = parse_homes(&accounts).into_iter().chain(own).collect();
        // By both names: a prefix is judged by its real one.
        let homes = named.iter().map(|home| real(home)).chain(named.iter().cloned()).collect();
        Self { homes, data: real(settings.data.root()) }
    }
}

/// The path without links; as it is if there is nothing there.
pub fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// The homes in the text of `/etc/passwd`.
fn parse_homes(accounts: &str) -> Vec<PathBuf> {
    let homes = accounts.lines().filter_map(|line| line.split(':').nth(5));
    homes.filter(|home| home.starts_with('/')).map(PathBuf::from).collect()
}

/// Why a prefix, by its real path, may not be bound into sandboxes: as the end of a sentence that names it.
pub fn judge(prefix: &Path, private: &Private) -> Result<(), String> {
    if prefix.starts_with(&private.data) {
        return Err(format!("which lies in the data folder {}", private.data.display()));
    }
    if is_folder_of_homes(prefix) || holds_private(prefix, private) {
        return Err("which holds more than an installation: apps would see all of it".to_owned());
    }
    Ok(())
}

fn is_folder_of_homes(prefix: &Path) -> bool {
    let by_name = prefix == Path::new(HOMES) || prefix == Path::new(ROOTS_HOME) || prefix.ends_with(LOCAL);
    by_name || prefix.parent().is_none_or(|parent| parent == Path::new(HOMES))
}

fn holds_private(prefix: &Path, private: &Private) -> bool {
    let mut private = private.homes.iter().chain([&private.data]);
    !prefix.starts_with(SHOWN_TO_ALL) && private.any(|folder| folder.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn homes_and_data_are_not_for_apps() {
        let accounts = "root:x:0:0:root:/root:/bin/bash\nbin:x:2:2:bin:/bin:/x\nsys:x:3:3::/:/x\nbroken\ngames:x:5:60::/usr/games:/x\n\
                        none:x:6:6:::/x\npostgres:x:101:104:,,,:/var/lib/postgresql:/bin/bash\nada:x:1000:1000::/srv/people/ada:/bin/sh\n";
        let private = Private { homes: parse_homes(accounts), data: "/data/dozen".into() };
        assert_eq!(private.homes.len(), 6);
        let more = "more than an installation";
        for (prefix, expected) in [
            ("/usr", None),
            ("/usr/local", None),
            ("/opt/python-3.12", None),
            ("/root/.pyenv/versions/3.11.7", None),
            ("/home/ada/.nvm/versions/node/v20", None),
            ("/srv/people/ada/.rustup/toolchains/stable", None),
            ("/", Some(more)),
            ("/root", Some(more)),
            ("/home", Some(more)),
            ("/home/nobody-known", Some(more)),
            ("/srv/people/ada", Some(more)),
            ("/srv/people", Some(more)),
            ("/srv", Some(more)),
            ("/home/ada/.local", Some(more)),
            ("/usr/.local", Some(more)),
            ("/var", Some(more)),
            ("/var/lib/postgresql", Some(more)),
            ("/data", Some(more)),
            ("/data/dozen", Some("data folder /data/dozen")),
            ("/data/dozen/slugs/x/tree", Some("data folder /data/dozen")),
            ("/data/dozen-python", None),
        ] {
            let problem = judge(Path::new(prefix), &private).err();
            match expected {
                None => assert_eq!(problem, None, "{prefix}"),
                Some(part) => {
                    assert!(problem.clone().unwrap_or_default().contains(part), "{prefix}: {problem:?}")
                }
            }
        }
    }
}
