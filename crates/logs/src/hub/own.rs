//! The server's own lines: `app[api]` and platform lines that no shim can write.

use domain::ids::{AppId, ProcessId, WriterId};
use journal::{Caps, DueSync, Entry, LineSplitter, OpenError, SegmentWriter, Stamp, Stream, WriterFolder};
use std::path::Path;

/// Group dozen reads; the folder passes its group on.
const FOLDER_MODE: u32 = 0o2770;

/// A line of the server.
#[derive(Debug, Clone, Copy)]
pub struct OwnLine<'a> {
    pub app: AppId,
    pub process: Option<ProcessId>,
    pub stream: Stream,
    /// `api`, or the process that the line is about.
    pub name: &'a str,
    /// Several lines if it holds newlines.
    pub text: &'a str,
}

#[derive(Debug)]
pub(super) struct OwnWriter {
    writer: SegmentWriter,
}

impl OwnWriter {
    pub fn open(root: &Path, writer: WriterId, caps: Caps) -> Result<Self, OpenError> {
        let folder = root.join(writer.to_string());
        WriterFolder::make(&folder, FOLDER_MODE)?;
        Ok(Self { writer: SegmentWriter::open(&folder, writer, caps)? })
    }

    /// Appends and flushes: what the server says is known to the kernel when this returns.
    pub fn append(&mut self, line: &OwnLine<'_>, stamp: Stamp) {
        let mut splitter = LineSplitter::new();
        let mut append = |payload: &[u8]| {
            let OwnLine { app, process, stream, name, .. } = *line;
            self.writer.append(&Entry { app, process, name, stream, stamp, payload });
        };
        splitter.push(line.text.as_bytes(), &mut append);
        splitter.finish(&mut append);
        self.writer.flush();
    }

    /// What is to be synced now: without the lock that guards this value, for nobody should wait for the disk to say something.
    pub fn keep(&mut self, now: Stamp) -> Option<DueSync> {
        self.writer.seal_if_due(now);
        self.writer.due_sync(now)
    }

    pub fn close(self, now: Stamp) {
        self.writer.close(now);
    }
}
