//! Why a tree was not taken. Every message names the entry, the rule and, where there is one, the remedy.

use super::name::EntryName;
use std::io;

/// How an extraction fails. Whatever the reason, the folder is left empty.
#[derive(Debug, thiserror::Error)]
pub enum ExtractError {
    /// The stream breaks a rule: the sender's fault.
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("reading the archive failed")]
    Read(#[source] io::Error),
    #[error("writing \"{name}\" failed")]
    Write {
        name: EntryName,
        #[source]
        source: io::Error,
    },
    #[error("the disk is nearly full")]
    NoRoom,
    #[error("the destination folder is not empty")]
    NotEmpty,
    #[error("the destination folder could not be used")]
    Destination(#[source] io::Error),
}

/// A rule of trees that was broken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("an entry has an empty name")]
    EmptyName,
    #[error("\"{name}\" is an absolute path; only paths inside the tree are accepted")]
    Absolute { name: EntryName },
    #[error("\"{name}\" contains \"..\"; only paths inside the tree are accepted")]
    ParentComponent { name: EntryName },
    #[error("\"{name}\" contains a NUL byte")]
    NulInName { name: EntryName },
    #[error("the path \"{name}\" is too long ({limit} bytes are allowed)")]
    PathTooLong { name: EntryName, limit: usize },
    #[error("\"{name}\" is nested too deeply ({limit} folders are allowed)")]
    TooDeep { name: EntryName, limit: usize },
    #[error("\"{name}\" is a {kind}; only files, folders and symbolic links are accepted")]
    Kind { name: EntryName, kind: &'static str },
    #[error(
        "\"{name}\" is of the unknown archive type {flag:?}; only files, folders and symbolic links are accepted"
    )]
    UnknownKind { name: EntryName, flag: char },
    #[error(
        "\"{name}\" is a symbolic link to the absolute path \"{target}\". Use a relative link inside the tree"
    )]
    LinkAbsolute { name: EntryName, target: EntryName },
    #[error(
        "\"{name}\" is a symbolic link to \"{target}\", which leaves the tree. Use a relative link inside the tree"
    )]
    LinkLeaves { name: EntryName, target: EntryName },
    #[error("\"{name}\" is a symbolic link without a usable target")]
    LinkTarget { name: EntryName },
    #[error(
        "\"{name}\" is a hard link to \"{target}\", which is not an earlier regular file of the same archive"
    )]
    HardLink { name: EntryName, target: EntryName },
    #[error("\"{name}\" lies below a file or a symbolic link of the same archive")]
    BelowNonFolder { name: EntryName },
    #[error("\"{name}\" occurs twice")]
    Duplicate { name: EntryName },
    #[error("there is no folder \"{name}\" in it (links are not followed); at its top are: {found}")]
    NoFolder { name: EntryName, found: String },
    #[error("more than {limit} files, folders and links")]
    TooManyEntries { limit: u64 },
    #[error("\"{name}\" has {bytes} bytes; {limit} are allowed in one file")]
    FileTooLarge { name: EntryName, bytes: u64, limit: u64 },
    #[error("the files sum up to more than {limit} bytes at \"{name}\"")]
    TooLarge { name: EntryName, limit: u64 },
    #[error(
        "the archive expands to more than {limit} bytes at \"{name}\", over {times} times its compressed size of {compressed} bytes"
    )]
    Expansion { name: EntryName, limit: u64, compressed: u64, times: u64 },
    #[error("the symbolic links are too many or too entangled to be checked; the last one was \"{name}\"")]
    LinksTooMany { name: EntryName },
    #[error("the archive ends early, in the middle of {within}")]
    Truncated { within: String },
    #[error("the archive is damaged at byte {offset}: {what}")]
    Damaged { offset: u64, what: &'static str },
    #[error("the archive goes on after its end")]
    TrailingData,
}
