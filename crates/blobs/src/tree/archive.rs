//! A tar stream as a sequence of entries: long names and extended headers applied, every byte accounted for.
//!
//! Reads strictly forward. An archive must end with its end mark (two blocks of zeros) and nothing but zeros after it, so that a
//! stream cut at an entry's border is not taken for a whole one.

use super::header::{self, BLOCK_BYTES, Block, Flag};
use super::limits::Limits;
use super::name::EntryName;
use super::pax::{self, Pax};
use super::refusal::{ExtractError, Refusal};
use std::io::{self, Read};

const GIT_COMMENT_BYTES: usize = 64;

/// An entry's description; its content is read by [`Archive::content`] before the next.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) flag: Flag,
    pub(crate) name: Vec<u8>,
    pub(crate) link: Vec<u8>,
    pub(crate) mode: u32,
    pub(crate) size: u64,
}

pub(crate) struct Archive<'a> {
    reader: &'a mut dyn Read,
    offset: u64,
    /// Content of the current entry that is still to be read.
    left: u64,
    padding: usize,
    comment: Option<Vec<u8>>,
}

/// What the headers before an entry said about it.
#[derive(Default)]
struct Announced {
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    pax: Pax,
    bytes: u64,
}

impl<'a> Archive<'a> {
    pub(crate) fn new(reader: &'a mut dyn Read) -> Self {
        Self { reader, offset: 0, left: 0, padding: 0, comment: None }
    }

    /// The comment of a global extended header: git puts the commit id there.
    pub(crate) fn comment(&self) -> Option<&[u8]> {
        self.comment.as_deref().filter(|comment| comment.len() <= GIT_COMMENT_BYTES)
    }

    /// The next entry that stands for something in the tree, `None` after the end mark.
    pub(crate) fn next_entry(&mut self) -> Result<Option<Entry>, ExtractError> {
        let mut announced = Announced::default();
        loop {
            self.skip_content()?;
            let Some(header) = self.next_header()? else {
                return self.ended(&announced).map(|()| None);
            };
            self.begin_content(header.size);
            match header.flag {
                Flag::GnuLongName => {
                    announced.name = Some(self.metadata(&mut announced.bytes).map(cut_at_nul)?)
                }
                Flag::GnuLongLink => {
                    announced.link = Some(self.metadata(&mut announced.bytes).map(cut_at_nul)?)
                }
                Flag::PaxNext => announced.pax = self.pax(&mut announced.bytes)?,
                Flag::PaxGlobal => self.global(&mut announced.bytes)?,
                Flag::File
                | Flag::HardLink
                | Flag::Symlink
                | Flag::CharacterDevice
                | Flag::BlockDevice
                | Flag::Folder
                | Flag::Fifo
                | Flag::GnuSparse
                | Flag::Unknown(_) => return Ok(Some(self.announced_entry(header, announced))),
            }
        }
    }

    /// Reads a piece of the current entry's content; 0 at its end. A stream that ends before is an error.
    pub(crate) fn content(&mut self, buffer: &mut [u8]) -> Result<usize, ExtractError> {
        let want = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        if want == 0 {
            return Ok(0);
        }
        let read = self.read_some(&mut buffer[..want])?;
        if read == 0 {
            return Err(truncated("an entry's content"));
        }
        self.left -= read as u64;
        Ok(read)
    }

    fn begin_content(&mut self, size: u64) {
        self.left = size;
        let over = usize::try_from(size % BLOCK_BYTES as u64).expect("a remainder of 512 fits");
        self.padding = (BLOCK_BYTES - over) % BLOCK_BYTES;
    }

    fn skip_content(&mut self) -> Result<(), ExtractError> {
        let mut buffer = [0_u8; 4096];
        while self.content(&mut buffer)? > 0 {}
        let mut block = [0_u8; BLOCK_BYTES];
        let padding = std::mem::take(&mut self.padding);
        if self.read_full(&mut block[..padding])? < padding {
            return Err(truncated("an entry's padding"));
        }
        Ok(())
    }

    /// `None` at the end mark.
    fn next_header(&mut self) -> Result<Option<header::Header>, ExtractError> {
        let offset = self.offset;
        let block = self.block("the list of entries (no end mark)")?;
        if block.iter().any(|byte| *byte != 0) {
            return header::decode(&block).map(Some).map_err(|what| damaged(offset, what));
        }
        let second = self.block("the end mark")?;
        if second.iter().any(|byte| *byte != 0) {
            return Err(damaged(offset, "an empty block between two entries"));
        }
        Ok(None)
    }

    fn ended(&mut self, announced: &Announced) -> Result<(), ExtractError> {
        if announced.bytes > 0 && announced.describes_an_entry() {
            return Err(truncated("the list of entries (a header announces one more)"));
        }
        let mut padding = 0;
        let mut buffer = [0_u8; 4096];
        loop {
            let read = self.read_some(&mut buffer)?;
            if read == 0 {
                return Ok(());
            }
            padding += read as u64;
            if padding > Limits::PADDING_BYTES || buffer[..read].iter().any(|byte| *byte != 0) {
                return Err(Refusal::TrailingData.into());
            }
        }
    }

    fn metadata(&mut self, total: &mut u64) -> Result<Vec<u8>, ExtractError> {
        *total = total.saturating_add(self.left);
        if *total > Limits::METADATA_BYTES {
            return Err(damaged(self.offset, "the extended headers of one entry are too large"));
        }
        // A header without content still counts, so that endless ones end.
        *total += BLOCK_BYTES as u64;
        let mut bytes = Vec::new();
        let mut buffer = [0_u8; 4096];
        loop {
            match self.content(&mut buffer)? {
                0 => return Ok(bytes),
                read => bytes.extend_from_slice(&buffer[..read]),
            }
        }
    }

    fn pax(&mut self, total: &mut u64) -> Result<Pax, ExtractError> {
        let offset = self.offset;
        let bytes = self.metadata(total)?;
        pax::parse(&bytes).map_err(|what| damaged(offset, what))
    }

    fn global(&mut self, total: &mut u64) -> Result<(), ExtractError> {
        let offset = self.offset;
        let pax = self.pax(total)?;
        if pax.path.is_some() || pax.link.is_some() || pax.size.is_some() || pax.sparse {
            return Err(damaged(offset, "a global header gives a name or a size to every entry"));
        }
        if self.comment.is_none() {
            self.comment = pax.comment;
        }
        Ok(())
    }

    fn announced_entry(&mut self, header: header::Header, announced: Announced) -> Entry {
        let Announced { name, link, pax, bytes: _ } = announced;
        let size = match header.flag {
            Flag::File => pax.size.unwrap_or(header.size),
            _ => header.size,
        };
        self.begin_content(size);
        Entry {
            flag: if pax.sparse { Flag::GnuSparse } else { header.flag },
            name: pax.path.or(name).unwrap_or(header.name),
            link: pax.link.or(link).unwrap_or(header.link),
            mode: header.mode,
            size,
        }
    }

    fn block(&mut self, within: &str) -> Result<Block, ExtractError> {
        let mut block = [0_u8; BLOCK_BYTES];
        if self.read_full(&mut block)? < BLOCK_BYTES {
            return Err(truncated(within));
        }
        Ok(block)
    }

    fn read_full(&mut self, buffer: &mut [u8]) -> Result<usize, ExtractError> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read_some(&mut buffer[filled..])? {
                0 => break,
                read => filled += read,
            }
        }
        Ok(filled)
    }

    fn read_some(&mut self, buffer: &mut [u8]) -> Result<usize, ExtractError> {
        loop {
            match self.reader.read(buffer) {
                Ok(read) => {
                    self.offset += read as u64;
                    return Ok(read);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(ExtractError::Read(error)),
            }
        }
    }
}

impl Announced {
    fn describes_an_entry(&self) -> bool {
        self.name.is_some() || self.link.is_some() || self.pax != Pax::default()
    }
}

impl Entry {
    pub(crate) fn shown(&self) -> EntryName {
        EntryName::new(&self.name)
    }
}

/// GNU long names end with a NUL that belongs to the form, not to the name.
fn cut_at_nul(mut bytes: Vec<u8>) -> Vec<u8> {
    if let Some(end) = bytes.iter().position(|byte| *byte == 0) {
        bytes.truncate(end);
    }
    bytes
}

fn truncated(within: &str) -> ExtractError {
    Refusal::Truncated { within: within.to_owned() }.into()
}

fn damaged(offset: u64, what: &'static str) -> ExtractError {
    Refusal::Damaged { offset, what }.into()
}
