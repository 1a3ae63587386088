//! The environment of a process on its way from the server to the process: NUL-separated `NAME=value` strings in a sealed
//! memfd. The launcher passes the descriptor on without reading it; the shim maps it, executes with it and unmaps it. It is
//! never written to a file, an argument or a log.

use rustix::fs::{MemfdFlags, SealFlags};
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Largest environment, names, values and separators together. Linux itself allows 128 KiB for one string.
pub const MAX_ENVIRONMENT_BYTES: usize = 1024 * 1024;
/// Longest single variable that `execve` accepts (`MAX_ARG_STRLEN` less the final NUL).
pub const MAX_VARIABLE_BYTES: usize = 128 * 1024 - 1;

const SEALS: SealFlags =
    SealFlags::SEAL.union(SealFlags::SHRINK).union(SealFlags::GROW).union(SealFlags::WRITE);

/// Why an environment could not be sealed. Names the variable, never its value.
#[derive(Debug, thiserror::Error)]
pub enum EnvironmentError {
    #[error("the environment has more than {MAX_ENVIRONMENT_BYTES} bytes")]
    TooLarge,
    #[error("the variable {0} has more than {MAX_VARIABLE_BYTES} bytes with its name")]
    VariableTooLong(String),
    #[error("the variable {0} holds a NUL byte, or its name is empty or holds \"=\"")]
    Malformed(String),
    #[error("could not make a sealed memory file")]
    Memfd(#[source] std::io::Error),
    #[error("the environment's descriptor is not a sealed memory file")]
    NotSealed,
}

/// An environment that can no longer change.
#[derive(Debug)]
pub struct SealedEnvironment {
    memfd: OwnedFd,
}

impl SealedEnvironment {
    /// Writes the variables to a new memfd and seals it.
    pub fn seal<'a>(
        variables: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, EnvironmentError> {
        let memfd = rustix::fs::memfd_create("environment", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)
            .map_err(|errno| EnvironmentError::Memfd(errno.into()))?;
        let mut file = File::from(memfd);
        let mut total = 0;
        for (name, value) in variables {
            total += check_variable(name, value)?;
            if total > MAX_ENVIRONMENT_BYTES {
                return Err(EnvironmentError::TooLarge);
            }
            for part in [name, "=", value, "\0"] {
                file.write_all(part.as_bytes()).map_err(EnvironmentError::Memfd)?;
            }
        }
        rustix::fs::fcntl_add_seals(&file, SEALS).map_err(|errno| EnvironmentError::Memfd(errno.into()))?;
        Ok(Self { memfd: file.into() })
    }

    /// Accepts a descriptor that came over a socket, if it is sealed and not too large.
    pub fn from_fd(memfd: OwnedFd) -> Result<Self, EnvironmentError> {
        let sealed = rustix::fs::fcntl_get_seals(&memfd).is_ok_and(|seals| seals.contains(SEALS));
        if !sealed {
            return Err(EnvironmentError::NotSealed);
        }
        let environment = Self { memfd };
        if environment.byte_count()? > MAX_ENVIRONMENT_BYTES {
            return Err(EnvironmentError::TooLarge);
        }
        Ok(environment)
    }

    /// Its size. Fixed, as it is sealed.
    pub fn byte_count(&self) -> Result<usize, EnvironmentError> {
        let stat = rustix::fs::fstat(&self.memfd).map_err(|errno| EnvironmentError::Memfd(errno.into()))?;
        usize::try_from(stat.st_size).map_err(|_| EnvironmentError::TooLarge)
    }
}

impl AsFd for SealedEnvironment {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.memfd.as_fd()
    }
}

fn check_variable(name: &str, value: &str) -> Result<usize, EnvironmentError> {
    if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
        return Err(EnvironmentError::Malformed(name.replace('\0', "")));
    }
    let bytes = name.len() + value.len() + 2;
    if bytes > MAX_VARIABLE_BYTES {
        return Err(EnvironmentError::VariableTooLong(name.to_owned()));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Seek};

    #[test]
    fn seals_what_it_was_given() {
        let sealed = SealedEnvironment::seal([("A", "1"), ("EMPTY", ""), ("NAME", "a=b")]).unwrap();
        let mut file = File::from(sealed.memfd.try_clone().unwrap());
        file.rewind().unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "A=1\0EMPTY=\0NAME=a=b\0");
        assert!(file.write_all(b"x").is_err(), "sealed against writing");
        assert!(SealedEnvironment::from_fd(sealed.memfd).is_ok());
    }

    #[test]
    fn refuses_malformed_and_unsealed() {
        for (name, value) in [("", "x"), ("A=B", "x"), ("A", "x\0y"), ("A\0", "x")] {
            assert!(matches!(SealedEnvironment::seal([(name, value)]), Err(EnvironmentError::Malformed(_))));
        }
        let long = "x".repeat(MAX_VARIABLE_BYTES);
        assert!(matches!(
            SealedEnvironment::seal([("A", &*long)]),
            Err(EnvironmentError::VariableTooLong(_))
        ));
        let plain = rustix::fs::memfd_create("plain", MemfdFlags::CLOEXEC).unwrap();
        assert!(matches!(SealedEnvironment::from_fd(plain), Err(EnvironmentError::NotSealed)));
        let file: OwnedFd = File::open("/dev/null").unwrap().into();
        assert!(matches!(SealedEnvironment::from_fd(file), Err(EnvironmentError::NotSealed)));
    }
}
