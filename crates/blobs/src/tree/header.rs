//! One block of a tar archive that describes an entry: decoding and encoding, without I/O.
//!
//! Decodes old V7, ustar and GNU headers; encodes GNU headers (POSIX.1-1988 ustar fields, GNU magic).

use super::{MTIME_SECONDS, PACKED_ID};

pub(crate) const BLOCK_BYTES: usize = 512;
pub(crate) type Block = [u8; BLOCK_BYTES];

/// Field positions of POSIX.1-1988 ustar, in bytes.
mod field {
    use std::ops::Range;
    pub(super) const NAME: Range<usize> = 0..100;
    pub(super) const MODE: Range<usize> = 100..108;
    pub(super) const UID: Range<usize> = 108..116;
    pub(super) const GID: Range<usize> = 116..124;
    pub(super) const SIZE: Range<usize> = 124..136;
    pub(super) const MTIME: Range<usize> = 136..148;
    pub(super) const CHECKSUM: Range<usize> = 148..156;
    pub(super) const FLAG: usize = 156;
    pub(super) const LINK: Range<usize> = 157..257;
    pub(super) const MAGIC: Range<usize> = 257..265;
    pub(super) const PREFIX: Range<usize> = 345..500;
}

const POSIX_MAGIC: &[u8; 6] = b"ustar\0";
const GNU_MAGIC: &[u8; 8] = b"ustar  \0";

/// What a header announces. What it means for a tree is decided by the extractor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flag {
    File,
    HardLink,
    Symlink,
    CharacterDevice,
    BlockDevice,
    Folder,
    Fifo,
    PaxNext,
    PaxGlobal,
    GnuLongName,
    GnuLongLink,
    GnuSparse,
    Unknown(u8),
}

/// A decoded header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) flag: Flag,
    pub(crate) name: Vec<u8>,
    pub(crate) link: Vec<u8>,
    pub(crate) mode: u32,
    /// Bytes that follow the header, before padding.
    pub(crate) size: u64,
}

pub(crate) fn decode(block: &Block) -> Result<Header, &'static str> {
    if octal(&block[field::CHECKSUM])? != checksum(block) {
        return Err("a header's checksum is wrong");
    }
    let flag = flag_of(block[field::FLAG]);
    let size = number(&block[field::SIZE])?;
    Ok(Header {
        flag,
        name: full_name(block),
        link: until_nul(&block[field::LINK]).to_vec(),
        // Fields that are not used for folders and links may be blank in old archives.
        mode: u32::try_from(number(&block[field::MODE])? & 0o7777).unwrap_or(0),
        size: match flag {
            // POSIX: no data follows these, whatever their size field says.
            Flag::Folder | Flag::Symlink | Flag::HardLink => 0,
            Flag::File
            | Flag::CharacterDevice
            | Flag::BlockDevice
            | Flag::Fifo
            | Flag::PaxNext
            | Flag::PaxGlobal
            | Flag::GnuLongName
            | Flag::GnuLongLink
            | Flag::GnuSparse
            | Flag::Unknown(_) => size,
        },
    })
}

/// A header to be written. Names longer than the field must have been announced by a long-name entry; here they are cut.
pub(crate) fn encode(flag: Flag, name: &[u8], link: &[u8], mode: u32, size: u64) -> Block {
    let mut block = [0_u8; BLOCK_BYTES];
    put(&mut block[field::NAME], name);
    put_octal(&mut block[field::MODE], u64::from(mode));
    put_octal(&mut block[field::UID], PACKED_ID);
    put_octal(&mut block[field::GID], PACKED_ID);
    put_size(&mut block[field::SIZE], size);
    put_octal(&mut block[field::MTIME], MTIME_SECONDS);
    block[field::FLAG] = flag_byte(flag);
    put(&mut block[field::LINK], link);
    put(&mut block[field::MAGIC], GNU_MAGIC);
    let sum = checksum(&block);
    put_octal(&mut block[field::CHECKSUM.start..field::CHECKSUM.end - 1], sum);
    block[field::CHECKSUM.end - 1] = b' ';
    block
}

/// Whether a name or link target fits the header's field.
pub(crate) fn fits(text: &[u8]) -> bool {
    text.len() <= field::NAME.len()
}

fn flag_of(byte: u8) -> Flag {
    match byte {
        // '7' is a contiguous file; every system reads it as a file.
        0 | b'0' | b'7' => Flag::File,
        b'1' => Flag::HardLink,
        b'2' => Flag::Symlink,
        b'3' => Flag::CharacterDevice,
        b'4' => Flag::BlockDevice,
        b'5' => Flag::Folder,
        b'6' => Flag::Fifo,
        b'x' => Flag::PaxNext,
        b'g' => Flag::PaxGlobal,
        b'L' => Flag::GnuLongName,
        b'K' => Flag::GnuLongLink,
        b'S' => Flag::GnuSparse,
        other => Flag::Unknown(other),
    }
}

const fn flag_byte(flag: Flag) -> u8 {
    match flag {
        Flag::File => b'0',
        Flag::HardLink => b'1',
        Flag::Symlink => b'2',
        Flag::CharacterDevice => b'3',
        Flag::BlockDevice => b'4',
        Flag::Folder => b'5',
        Flag::Fifo => b'6',
        Flag::PaxNext => b'x',
        Flag::PaxGlobal => b'g',
        Flag::GnuLongName => b'L',
        Flag::GnuLongLink => b'K',
        Flag::GnuSparse => b'S',
        Flag::Unknown(byte) => byte,
    }
}

fn full_name(block: &Block) -> Vec<u8> {
    let name = until_nul(&block[field::NAME]);
    let prefix = until_nul(&block[field::PREFIX]);
    let has_prefix = block[field::MAGIC].starts_with(POSIX_MAGIC) && !prefix.is_empty();
    if has_prefix { [prefix, b"/", name].concat() } else { name.to_vec() }
}

fn until_nul(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// Octal text, or GNU's base-256 form (highest bit set).
fn number(field: &[u8]) -> Result<u64, &'static str> {
    if field[0] & 0x80 == 0 {
        return octal(field);
    }
    if field[0] != 0x80 || field[1..field.len() - 8].iter().any(|byte| *byte != 0) {
        return Err("a number in a header is negative or too large");
    }
    Ok(field[field.len() - 8..].iter().fold(0, |value, byte| (value << 8) | u64::from(*byte)))
}

fn octal(field: &[u8]) -> Result<u64, &'static str> {
    let text = field.trim_ascii_start();
    let end = text.iter().position(|byte| matches!(*byte, 0 | b' ')).unwrap_or(text.len());
    text[..end].iter().try_fold(0_u64, |value, byte| match byte {
        b'0'..=b'7' => Ok((value << 3) | u64::from(byte - b'0')),
        _ => Err("a number in a header is not octal"),
    })
}

/// Sum of all bytes, those of the checksum field itself counted as spaces.
fn checksum(block: &Block) -> u64 {
    let sum = |bytes: &[u8]| bytes.iter().map(|byte| u64::from(*byte)).sum::<u64>();
    sum(&block[..field::CHECKSUM.start]) + 8 * u64::from(b' ') + sum(&block[field::CHECKSUM.end..])
}

fn put(field: &mut [u8], text: &[u8]) {
    let bytes = text.len().min(field.len());
    field[..bytes].copy_from_slice(&text[..bytes]);
}

fn put_octal(field: &mut [u8], value: u64) {
    let digits = field.len() - 1;
    put(field, format!("{value:0digits$o}\0").as_bytes());
}

/// Sizes of 8 GiB and more do not fit eleven octal digits: GNU's base-256 form.
fn put_size(field: &mut [u8], size: u64) {
    if size < 1 << 33 {
        return put_octal(field, size);
    }
    field[0] = 0x80;
    let start = field.len() - 8;
    field[start..].copy_from_slice(&size.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_encoded_is_decoded_and_understood_by_others() {
        for (flag, name, link, mode, size) in [
            (Flag::File, &b"app/Procfile"[..], &b""[..], 0o644, 12),
            (Flag::Folder, b"app/bin/", b"", 0o755, 0),
            (Flag::Symlink, b"app/a", b"b/c", 0o777, 0),
            (Flag::File, b"big", b"", 0o755, 1 << 33),
        ] {
            let block = encode(flag, name, link, mode, size);
            let expected = Header { flag, name: name.to_vec(), link: link.to_vec(), mode, size };
            assert_eq!(decode(&block), Ok(expected));
            let other = tar::Header::from_byte_slice(&block);
            assert_eq!(&*other.path_bytes(), name);
            assert_eq!(other.entry_size().ok(), Some(size));
            assert_eq!(other.mtime().ok(), Some(MTIME_SECONDS));
            assert_eq!(other.uid().ok(), Some(PACKED_ID));
            assert!(other.as_gnu().is_some());
        }
    }

    #[test]
    fn a_changed_byte_is_noticed() {
        let mut block = encode(Flag::File, b"a", b"", 0o644, 1);
        block[0] = b'b';
        assert!(decode(&block).is_err());
    }

    #[test]
    fn posix_prefixes_are_joined_and_gnu_ones_are_not() {
        let mut posix = tar::Header::new_ustar();
        posix.set_path(format!("{}/{}", "p".repeat(120), "n".repeat(90))).expect("fits");
        posix.set_size(0);
        posix.set_mode(0o644);
        posix.set_cksum();
        let decoded = decode(posix.as_bytes()).expect("decodes");
        assert_eq!(decoded.name, format!("{}/{}", "p".repeat(120), "n".repeat(90)).into_bytes());
    }

    proptest! {
        #[test]
        fn decoding_never_panics(bytes in proptest::collection::vec(any::<u8>(), BLOCK_BYTES), fix in any::<bool>()) {
            let mut block: Block = bytes.try_into().expect("as long as a block");
            if fix {
                let sum = checksum(&block);
                put_octal(&mut block[field::CHECKSUM.start..field::CHECKSUM.end - 1], sum);
            }
            let _ = decode(&block);
        }
    }
}
