//! How git is called: arguments, forced configuration, environment. Pure, so that a test can read the whole of it.
//!
//! Configuration given on the command line outranks the repository's own, and the environment is made from nothing, so neither
//! the machine's git configuration nor a file in a repository chooses what git runs.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// A pack, once unpacked on the wire, at most.
pub const MAX_PACK_BYTES: u64 = 500 * 1024 * 1024;

/// Files, folders and links of a tree at most: what the extractor takes, counted before it is asked.
pub const MAX_TREE_ENTRIES: usize = 200_000;

/// The two services of git's smart protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// `git push`.
    ReceivePack,
    /// `git fetch`, `git clone`.
    UploadPack,
}

impl Service {
    pub const fn command(self) -> &'static str {
        match self {
            Self::ReceivePack => "receive-pack",
            Self::UploadPack => "upload-pack",
        }
    }

    /// The name in URLs and content types.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ReceivePack => "git-receive-pack",
            Self::UploadPack => "git-upload-pack",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        [Self::ReceivePack, Self::UploadPack].into_iter().find(|service| service.name() == name)
    }
}

/// What a child does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Say which refs there are.
    Advertise,
    /// Take or give a pack.
    Serve,
    /// All of it over one connection.
    Converse,
}

/// The program and the folder of hooks it is held to.
#[derive(Debug, Clone)]
pub struct GitTool {
    pub program: PathBuf,
    pub hooks: PathBuf,
}

/// Command-line configuration of every call.
const FORCED: &[&str] = &[
    "core.fsmonitor=false",
    "core.alternateRefsCommand=true",
    "core.attributesFile=/dev/null",
    "core.fsync=committed,reference",
    // Many loose objects cost one flush together.
    "core.fsyncMethod=batch",
    "core.bigFileThreshold=8m",
    "gc.auto=0",
    "maintenance.auto=false",
    "pack.threads=1",
    "pack.windowMemory=64m",
    "pack.deltaCacheSize=32m",
    "index.threads=1",
    "receive.advertisePushOptions=false",
    "receive.autogc=false",
    "receive.denyDeletes=false",
    "receive.denyNonFastForwards=false",
    "receive.fsckObjects=true",
    "receive.keepAlive=5",
    "receive.shallowUpdate=false",
    "receive.unpackLimit=100",
    // Blemishes of old histories that harm nobody and that their owners cannot repair.
    "receive.fsck.badTimezone=ignore",
    "receive.fsck.missingSpaceBeforeDate=ignore",
    "receive.fsck.zeroPaddedFilemode=ignore",
    "transfer.fsckObjects=true",
    "uploadpack.allowAnySHA1InWant=false",
    "uploadpack.allowTipSHA1InWant=false",
    "uploadpack.allowReachableSHA1InWant=false",
];

impl GitTool {
    /// Arguments before the subcommand.
    fn forced(&self, repository: &Path) -> Vec<OsString> {
        let mut arguments = Vec::new();
        let mut set = |key: &str, value: &std::ffi::OsStr| {
            let mut pair = OsString::from(key);
            pair.push(value);
            arguments.extend([OsString::from("-c"), pair]);
        };
        set("core.hooksPath=", self.hooks.as_os_str());
        set("safe.directory=", repository.as_os_str());
        set(&format!("receive.maxInputSize={MAX_PACK_BYTES}"), "".as_ref());
        for pair in FORCED {
            set(pair, "".as_ref());
        }
        arguments
    }

    /// Arguments of a service's child.
    pub fn service_arguments(&self, service: Service, step: Step, repository: &Path) -> Vec<OsString> {
        let mut arguments = self.forced(repository);
        arguments.push(service.command().into());
        match step {
            Step::Advertise => {
                arguments.extend(["--stateless-rpc", "--http-backend-info-refs"].map(OsString::from))
            }
            Step::Serve => arguments.push("--stateless-rpc".into()),
            Step::Converse => {}
        }
        arguments.push(repository.as_os_str().to_owned());
        arguments
    }

    /// Arguments of any other command inside a repository.
    pub fn repository_arguments(&self, repository: &Path, command: &[&str]) -> Vec<OsString> {
        let mut arguments = self.forced(repository);
        let mut folder = OsString::from("--git-dir=");
        folder.push(repository.as_os_str());
        arguments.push(folder);
        arguments.extend(command.iter().map(OsString::from));
        arguments
    }

    /// Arguments of the upkeep of a repository: packs what has become too many files, now and then.
    pub fn upkeep_arguments(&self, repository: &Path) -> Vec<OsString> {
        let command = [
            "-c",
            "gc.auto=2000",
            "-c",
            "gc.autoPackLimit=20",
            "-c",
            "gc.autoDetach=false",
            "gc",
            "--auto",
            "--quiet",
        ];
        self.repository_arguments(repository, &command)
    }

    /// The whole environment of every child.
    pub fn environment(&self) -> Vec<(&'static str, OsString)> {
        let mut path = self.program.parent().map(|folder| folder.as_os_str().to_owned()).unwrap_or_default();
        path.push(":/usr/bin:/bin");
        vec![
            ("PATH", path),
            ("HOME", "/nonexistent".into()),
            ("XDG_CONFIG_HOME", "/nonexistent".into()),
            ("LC_ALL", "C".into()),
            ("GIT_ATTR_NOSYSTEM", "1".into()),
            ("GIT_CONFIG_GLOBAL", "/dev/null".into()),
            ("GIT_CONFIG_NOSYSTEM", "1".into()),
            ("GIT_NO_REPLACE_OBJECTS", "1".into()),
            ("GIT_TERMINAL_PROMPT", "0".into()),
        ]
    }
}

/// The `Git-Protocol` header as git may see it; anything unusual counts as absent.
pub fn protocol(header: &str) -> Option<&str> {
    const MAX: usize = 128;
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'=' | b':' | b'.' | b'-' | b'_');
    (!header.is_empty() && header.len() <= MAX && header.bytes().all(plain)).then_some(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_is_last_and_configuration_first() {
        let tool = GitTool { program: "/usr/bin/git".into(), hooks: "/d/hooks".into() };
        let arguments = tool.service_arguments(Service::ReceivePack, Step::Serve, Path::new("/d/x.git"));
        assert_eq!(&arguments[..4], ["-c", "core.hooksPath=/d/hooks", "-c", "safe.directory=/d/x.git"]);
        let tail: Vec<_> = arguments.iter().rev().take(3).rev().collect();
        assert_eq!(tail, ["receive-pack", "--stateless-rpc", "/d/x.git"]);
        assert!(arguments.iter().any(|a| a == "receive.maxInputSize=524288000"));
    }

    #[test]
    fn only_plain_protocols_pass() {
        for (header, expected) in [
            ("version=2", Some("version=2")),
            ("version=1:x-y_z.1", Some("version=1:x-y_z.1")),
            ("", None),
            ("a b", None),
            ("$(x)", None),
            ("x\ny", None),
        ] {
            assert_eq!(protocol(header), expected);
        }
        assert_eq!(protocol(&"v".repeat(129)), None);
    }
}
