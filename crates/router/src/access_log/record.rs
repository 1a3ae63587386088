//! What becomes the access line of one request. The line is written when the record is finished or dropped: a request that is cut off,
//! whatever cuts it, leaves its line too.

use crate::access_log::line::Line;
use crate::codes::Code;
use crate::connection::Connection;
use crate::table::Upstream;
use crate::worker::Worker;
use domain::ids::AppId;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// One request, from its head to its last byte.
#[derive(Debug)]
pub(crate) struct Record {
    worker: Rc<Worker>,
    connection: Arc<Connection>,
    app: Option<AppId>,
    line: Line,
    started: Instant,
    connected: Option<Instant>,
    written: bool,
}

impl Record {
    /// `line` holds what is known from the request's head.
    pub(crate) fn new(worker: Rc<Worker>, connection: Arc<Connection>, line: Line) -> Self {
        Self { worker, connection, app: None, line, started: Instant::now(), connected: None, written: false }
    }

    pub(crate) const fn set_app(&mut self, app: AppId) {
        self.app = Some(app);
    }

    /// This process was chosen, for better or worse.
    pub(crate) fn set_process(&mut self, upstream: &Upstream) {
        self.line.process.clone_from(&upstream.name);
    }

    /// There is a connection to the process: all time before is `connect=`, all after `service=`.
    pub(crate) fn set_connected(&mut self) {
        let now = Instant::now();
        self.line.connect_millis = Some(millis(now - self.started));
        self.line.bytes = Some(0);
        self.connected = Some(now);
    }

    /// No connection could be made.
    pub(crate) fn set_connect_failed(&mut self) {
        self.line.connect_millis = Some(millis(self.started.elapsed()));
    }

    pub(crate) const fn set_status(&mut self, status: u16) {
        self.line.status = Some(status);
    }

    pub(crate) fn add_bytes(&mut self, length: usize) {
        *self.line.bytes.get_or_insert(0) += length as u64;
    }

    pub(crate) fn request_id(&self) -> &str {
        &self.line.request_id
    }

    pub(crate) fn host(&self) -> &str {
        &self.line.host
    }

    /// The process answered to the end.
    pub(crate) fn complete(mut self) {
        self.write();
    }

    /// The request ends with this code.
    pub(crate) fn fail(mut self, code: Code) {
        self.fail_with(code);
        self.write();
    }

    /// As [`Record::fail`], for a body that breaks off when its head was sent: the status is what the client saw.
    pub(crate) fn break_off(mut self, code: Code) {
        let sent = self.line.status;
        self.fail_with(code);
        self.line.status = sent.or(self.line.status);
        self.write();
    }

    fn fail_with(&mut self, code: Code) {
        self.line.code = Some(code);
        self.line.status = code.facts().status;
    }

    fn write(&mut self) {
        self.line.service_millis = self.connected.map(|connected| millis(connected.elapsed()));
        if let Some(app) = self.app {
            self.worker.log.borrow_mut().push(app, self.line.render());
        }
        self.written = true;
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if !self.written {
            let code = if self.worker.shared.is_ended() {
                Code::H24
            } else if self.connection.is_stalled() {
                Code::H28
            } else {
                Code::H27
            };
            self.fail_with(code);
            self.write();
        }
        self.connection.finish_request();
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
