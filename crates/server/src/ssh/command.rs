//! What an SSH client may ask to have run: git's two services for one app's repository. Pure; nothing here is ever given to a
//! shell.

use crate::git::Service;

/// Longer commands are none of git's.
const LIMIT_BYTES: usize = 400;

/// A push to or a fetch from a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitCommand {
    pub service: Service,
    /// As it stands in the address, without slashes around it: `hello.git`.
    pub repository: String,
}

/// Reads `git-receive-pack 'hello.git'`, as git writes it (`git receive-pack` and a leading slash too); `None` for all else.
pub fn parse(command: &[u8]) -> Option<GitCommand> {
    let text = std::str::from_utf8(command).ok().filter(|text| text.len() <= LIMIT_BYTES)?;
    let (service, argument) =
        [Service::ReceivePack, Service::UploadPack].into_iter().find_map(|service| {
            let rest = text.strip_prefix(service.name());
            let rest = rest.or_else(|| text.strip_prefix("git ")?.strip_prefix(service.command()));
            Some((service, rest?.strip_prefix(' ')?))
        })?;
    let quoted = argument.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\''));
    let path = quoted.unwrap_or(argument);
    let repository = path.strip_prefix('/').unwrap_or(path);
    let repository = repository.strip_suffix('/').unwrap_or(repository);
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.');
    let sound = !repository.is_empty() && repository.bytes().all(plain) && !repository.contains("..");
    sound.then(|| GitCommand { service, repository: repository.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn gits_two_commands_and_nothing_else() {
        let command =
            |service, repository: &str| Some(GitCommand { service, repository: repository.to_owned() });
        for (text, expected) in [
            ("git-receive-pack 'hello.git'", command(Service::ReceivePack, "hello.git")),
            ("git-upload-pack '/hello.git'", command(Service::UploadPack, "hello.git")),
            ("git receive-pack '/hello.git/'", command(Service::ReceivePack, "hello.git")),
            ("git-upload-pack hello.git", command(Service::UploadPack, "hello.git")),
            ("git-upload-archive 'hello.git'", None),
            ("git-receive-pack 'hello.git'; id", None),
            ("git-receive-pack 'hello.git' --x", None),
            ("git-receive-pack '$(id).git'", None),
            ("git-receive-pack '../hello.git'", None),
            ("git-receive-pack 'a/b.git'", None),
            ("git-receive-pack 'it'\\''s.git'", None),
            ("git-receive-pack ''", None),
            ("git-receive-pack", None),
            ("git-receive-pack\t'hello.git'", None),
            ("scp -t /", None),
            ("sh", None),
            ("", None),
        ] {
            assert_eq!(parse(text.as_bytes()), expected, "{text}");
        }
        assert_eq!(parse(b"git-receive-pack '\xff.git'"), None);
        assert_eq!(parse(format!("git-receive-pack '{}'", "a".repeat(500)).as_bytes()), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(rest in proptest::collection::vec(any::<u8>(), 0..80)) {
            let command = [b"git-upload-pack ".as_slice(), rest.as_slice()].concat();
            if let Some(command) = parse(&command) {
                prop_assert!(!command.repository.contains(['/', '\'', ' ', '$', ';', '\n']));
            }
        }
    }
}
