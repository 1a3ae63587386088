//! The process's own journal: its lines and the platform's about it. A journal that cannot be opened costs the lines, never the
//! app.

use super::orders::Orders;
use crate::layout::DataFolder;
use crate::spec::Kind;
use domain::ids::{AppId, ProcessId, WriterId};
use domain::time::BootMillis;
use journal::{Caps, Entry, Health, SegmentWriter, Stamp, Stream};

/// Writes lines of one process.
pub struct ProcessJournal {
    writer: Option<SegmentWriter>,
    app: AppId,
    process: ProcessId,
    name: String,
}

impl ProcessJournal {
    /// Opens the folder that the launcher made. A step of a build has no journal: its output goes to who asked for the build.
    pub fn open(orders: &Orders) -> Self {
        let spec = &orders.spec;
        let writer = WriterId::of_process(spec.process);
        let opened = match spec.kind {
            Kind::Process { .. } => {
                SegmentWriter::open(&DataFolder::new(&orders.data).log(writer), writer, Caps::default()).ok()
            }
            Kind::Build { .. } => None,
        };
        Self { writer: opened, app: spec.app, process: spec.process, name: spec.display_name.clone() }
    }

    /// Writes nothing until it is reopened.
    pub fn closed(orders: &Orders) -> Self {
        let spec = &orders.spec;
        Self { writer: None, app: spec.app, process: spec.process, name: spec.display_name.clone() }
    }

    /// Whether everything that was appended is in the kernel's hands, with nothing dropped that is yet to be told.
    pub fn is_at_rest(&self) -> bool {
        self.writer.as_ref().is_none_or(|writer| writer.health() == Health::Writing)
    }

    /// Ends the present segment, so that whoever opens the series next goes on after it.
    pub fn close_for_now(&mut self) {
        if let Some(writer) = self.writer.take() {
            writer.close(Stamp::now());
        }
    }

    /// After all this process that goes on.
    pub fn reopen(&mut self, orders: &Orders) {
        if self.writer.is_none() {
            *self = Self::open(orders);
        }
    }

    /// Appends one line without its newline.
    pub fn line(&mut self, stream: Stream, payload: &[u8]) {
        let Some(writer) = &mut self.writer else { return };
        let (app, process) = (self.app, Some(self.process));
        writer.append(&Entry { app, process, name: &self.name, stream, stamp: Stamp::now(), payload });
    }

    pub fn platform(&mut self, line: &str) {
        self.line(Stream::Platform, line.as_bytes());
    }

    /// At the end of each turn of the loop: what was appended survives this process from here on.
    pub fn flush(&mut self) {
        if let Some(writer) = &mut self.writer {
            writer.flush();
        }
    }

    /// Syncs and seals what has waited long enough.
    pub fn tick(&mut self) {
        if let Some(writer) = &mut self.writer {
            let now = Stamp::now();
            writer.sync_if_due(now);
            writer.seal_if_due(now);
        }
    }

    pub fn due_at(&self) -> Option<BootMillis> {
        self.writer.as_ref().and_then(SegmentWriter::due_at)
    }

    pub fn close(self) {
        if let Some(writer) = self.writer {
            writer.close(Stamp::now());
        }
    }
}
