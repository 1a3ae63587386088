//! `/etc` as an app sees it: who it is, how names are resolved, and what of the host's configuration programs cannot do without.
//! An allow-list: nothing of the host's `/etc` is there unless it is named here.

use super::InsideError;
use super::mounts::{self, Access};
use super::rootfs::{host_name, make_file, make_folder};
use crate::probe::NetworkForm;
use crate::shim::orders::{Orders, UserIds};
use rustix::fs::CWD;
use std::path::{Path, PathBuf};

/// Files, folders and links of the host that are shown as they are, where they exist.
const SHOWN: [&str; 19] = [
    "alternatives",
    "ca-certificates",
    "ca-certificates.conf",
    "crypto-policies",
    "debian_version",
    "fonts",
    "gai.conf",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "mime.types",
    "os-release",
    "pki/ca-trust",
    "pki/tls",
    "protocols",
    "services",
    "ssl/certs",
    "ssl/openssl.cnf",
    "terminfo",
];
/// Configuration of Java packages, which their trees under `/usr` link to: `java-17-openjdk`.
const SHOWN_PREFIX: &str = "java-";
const JAVA_TREES: &str = "/usr/lib/jvm";
/// Folders that some of the names above lie in.
const PARENTS: [&str; 2] = ["pki", "ssl"];
/// Files up to this size are copied, which is cheaper than a mount.
const MAX_COPIED_BYTES: u64 = 16 * 1024;

const RESOLVER: &str = "/etc/resolv.conf";
/// What systemd-resolved itself asks: the way out where the host's resolver listens on the host's loopback only.
const UPSTREAM_RESOLVER: &str = "/run/systemd/resolve/resolv.conf";

/// What a link `localtime` leads to, and its name for programs that read that. Where the host has no such file, libraries take UTC too.
const UTC: (&str, &str) = ("/usr/share/zoneinfo/Etc/UTC", "Etc/UTC\n");

const NAME_SERVICES: &str = "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nnetworks: files\n\
                             protocols: files\nservices: files\n";

/// Builds `etc` in the current directory, the new root.
pub fn build(orders: &Orders) -> Result<(), InsideError> {
    make_folder("etc")?;
    make_file("etc/passwd", passwd(orders.app).as_bytes())?;
    make_file("etc/group", group(orders.app).as_bytes())?;
    make_file("etc/nsswitch.conf", NAME_SERVICES.as_bytes())?;
    let name = host_name(&orders.spec.display_name);
    make_file("etc/hostname", format!("{name}\n").as_bytes())?;
    make_file("etc/hosts", format!("127.0.0.1 localhost {name}\n::1 localhost\n").as_bytes())?;
    make_file("etc/resolv.conf", resolver(orders.network).as_bytes())?;
    set_time_zone()?;
    show_all()
}

/// The same everywhere: an app that wants another has `TZ` in its config.
fn set_time_zone() -> Result<(), InsideError> {
    let (target, name) = UTC;
    rustix::fs::symlinkat(target, CWD, "etc/localtime")
        .map_err(InsideError::at("make the link /etc/localtime"))?;
    make_file("etc/timezone", name.as_bytes())
}

fn passwd(app: UserIds) -> String {
    format!(
        "root:x:0:0:root:/root:/usr/sbin/nologin\napp:x:{}:{}:app:/app:/bin/sh\n\
         nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
        app.uid, app.gid
    )
}

fn group(app: UserIds) -> String {
    format!("root:x:0:\ntty:x:5:\napp:x:{}:\nnogroup:x:65534:\n", app.gid)
}

/// The host's resolvers. Inside an app's network the host's loopback is out of reach, so a resolver there is of no use.
fn resolver(network: NetworkForm) -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let own = read(RESOLVER);
    match network {
        NetworkForm::Shared => own,
        NetworkForm::PerApp if only_loopback(&own) => read(UPSTREAM_RESOLVER),
        NetworkForm::PerApp => own,
    }
}

/// Whether every name server of a `resolv.conf` is a loopback address, and there is one.
fn only_loopback(text: &str) -> bool {
    let mut servers =
        text.lines().filter_map(|line| line.trim().strip_prefix("nameserver")).map(str::trim).peekable();
    servers.peek().is_some() && servers.all(|server| server.starts_with("127.") || server == "::1")
}

fn show_all() -> Result<(), InsideError> {
    for parent in PARENTS {
        if Path::new("/etc").join(parent).is_dir() {
            make_folder(&format!("etc/{parent}"))?;
        }
    }
    for name in SHOWN {
        show(name)?;
    }
    for name in prefixed_names() {
        show(&name)?;
    }
    Ok(())
}

fn prefixed_names() -> Vec<String> {
    if !Path::new(JAVA_TREES).exists() {
        return Vec::new();
    }
    let entries = std::fs::read_dir("/etc").into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| name.starts_with(SHOWN_PREFIX)).collect()
}

fn show(name: &str) -> Result<(), InsideError> {
    let host = Path::new("/etc").join(name);
    let Ok(metadata) = std::fs::symlink_metadata(&host) else { return Ok(()) };
    if metadata.is_symlink() {
        return show_link(name, &host);
    }
    if metadata.is_dir() {
        make_folder(&format!("etc/{name}"))?;
        return mounts::bind(&host, &format!("etc/{name}"), Access::ReadOnly);
    }
    show_file(name, &host, metadata.len())
}

/// A link into `/usr` stays a link; any other is replaced by what it leads to.
fn show_link(name: &str, host: &Path) -> Result<(), InsideError> {
    let target = std::fs::read_link(host).map_err(InsideError::at("read a link of /etc"))?;
    if leads_into_usr(&target) {
        return rustix::fs::symlinkat(&target, CWD, format!("etc/{name}"))
            .map_err(InsideError::at("make a link of /etc"));
    }
    match std::fs::metadata(host) {
        Ok(found) if found.is_file() => show_file(name, host, found.len()),
        Ok(_) | Err(_) => Ok(()),
    }
}

fn leads_into_usr(target: &Path) -> bool {
    let absolute = if target.is_absolute() { target.to_owned() } else { PathBuf::from("/etc").join(target) };
    let text = absolute.to_string_lossy();
    text.starts_with("/usr/") || text.starts_with("/etc/../usr/")
}

fn show_file(name: &str, host: &Path, bytes: u64) -> Result<(), InsideError> {
    let target = format!("etc/{name}");
    if bytes <= MAX_COPIED_BYTES {
        let content = std::fs::read(host).map_err(InsideError::at("read a file of /etc"))?;
        return make_file(&target, &content);
    }
    make_file(&target, b"")?;
    mounts::bind(host, &target, Access::ReadOnly)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resolver_on_loopback_only_is_recognised() {
        for (text, expected) in [
            ("nameserver 127.0.0.53\noptions edns0\n", true),
            ("nameserver ::1\nnameserver 127.0.0.1\n", true),
            ("nameserver 10.0.0.1\n", false),
            ("nameserver 127.0.0.53\nnameserver 1.1.1.1\n", false),
            ("# nothing\n", false),
        ] {
            assert_eq!(only_loopback(text), expected, "{text}");
        }
    }

    #[test]
    fn links_into_usr_stay_links() {
        for (target, expected) in [
            ("/usr/share/zoneinfo/Etc/UTC", true),
            ("../usr/lib/os-release", true),
            ("/var/lib/x", false),
            ("other", false),
        ] {
            assert_eq!(leads_into_usr(Path::new(target)), expected, "{target}");
        }
    }
}
