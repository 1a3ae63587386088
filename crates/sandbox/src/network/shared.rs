//! The form in which apps share the host's network: there is nothing to create. An app's place is noted all the same, by an empty
//! file where its namespace would be pinned, so that whoever looks sees the same as in the other form.

use super::tcp_table;
use domain::ids::AppId;
use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

const TABLES: [&str; 2] = ["/proc/net/tcp", "/proc/net/tcp6"];

/// Notes an app; done already is fine.
pub fn note_app(folder: &Path, app: AppId) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600).custom_flags(libc::O_NOFOLLOW);
    options.open(folder.join(app.to_string())).map(drop)
}

/// Forgets an app; absent is fine.
pub fn forget_app(folder: &Path, app: AppId) -> io::Result<()> {
    match std::fs::remove_file(folder.join(app.to_string())) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Apps that are noted in a folder.
pub fn noted_apps(folder: &Path) -> io::Result<BTreeSet<AppId>> {
    let mut apps = BTreeSet::new();
    for entry in std::fs::read_dir(folder)? {
        apps.extend(entry?.file_name().to_str().and_then(|name| name.parse::<AppId>().ok()));
    }
    Ok(apps)
}

/// Ports on which somebody listens in the network of the caller, on whatever address.
pub fn listening_ports() -> io::Result<BTreeSet<u16>> {
    let mut ports = BTreeSet::new();
    for table in TABLES {
        match std::fs::read_to_string(table) {
            Ok(text) => ports.extend(tcp_table::parse_listeners(&text).iter().map(|one| one.address.port())),
            // A kernel without IPv6.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(ports)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_come_and_go() {
        let folder = tempfile::tempdir().unwrap();
        let app = AppId::from_u128(7);
        note_app(folder.path(), app).unwrap();
        note_app(folder.path(), app).unwrap();
        std::fs::write(folder.path().join("stranger"), "").unwrap();
        assert_eq!(noted_apps(folder.path()).unwrap(), [app].into());
        forget_app(folder.path(), app).unwrap();
        forget_app(folder.path(), app).unwrap();
        assert!(noted_apps(folder.path()).unwrap().is_empty());
    }

    #[test]
    fn ports_of_listeners_are_seen_on_every_address() {
        let loopback = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let elsewhere = std::net::TcpListener::bind("127.77.0.9:0").unwrap();
        let ports = listening_ports().unwrap();
        for listener in [&loopback, &elsewhere] {
            assert!(ports.contains(&listener.local_addr().unwrap().port()));
        }
        let port = loopback.local_addr().unwrap().port();
        drop(loopback);
        assert!(!listening_ports().unwrap().contains(&port));
    }
}
