//! A thread's idle connections to processes. Last in, first out, so that the surplus ages and goes; bounded per process; never shared
//! between threads. A connection that the process closes, or writes to while nobody asked, is dropped by its own driver task and
//! found closed here.

use crate::drain::{Door, DoorKey};
use crate::metered::Meter;
use crate::proxy::upload::Upload;
use hyper::client::conn::http1::SendRequest;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// An established connection to a process, with nothing under way.
#[derive(Debug)]
pub(crate) struct Link {
    pub sender: SendRequest<Upload>,
    pub meter: Arc<Meter>,
}

impl Link {
    pub(crate) fn is_usable(&self) -> bool {
        !self.sender.is_closed() && !self.meter.is_deaf()
    }
}

/// A link at rest. Counted at the door for as long as it exists.
#[derive(Debug)]
struct Idle {
    link: Option<Link>,
    since: Instant,
    door: Arc<Door>,
}

impl Drop for Idle {
    fn drop(&mut self) {
        self.door.idle_ends();
    }
}

/// One thread's idle links.
#[derive(Debug)]
pub(crate) struct Pool {
    idle: HashMap<DoorKey, Vec<Idle>>,
    per_process: usize,
}

impl Pool {
    pub(crate) fn new(per_process: usize) -> Self {
        Self { idle: HashMap::new(), per_process }
    }

    /// The most recently used link behind `door` that is ready and was used within `age`.
    pub(crate) fn take(&mut self, door: &Door, age: Duration) -> Option<Link> {
        let links = self.idle.get_mut(&door.key())?;
        loop {
            if links.last()?.since.elapsed() > age {
                return None;
            }
            let mut idle = links.pop()?;
            let link = idle.link.take().filter(|link| link.is_usable() && link.sender.is_ready());
            if link.is_some() {
                return link;
            }
        }
    }

    /// Keeps `link`, or drops it if there are enough, or the door is closed.
    pub(crate) fn put(&mut self, link: Link, door: &Arc<Door>) {
        let links = self.idle.entry(door.key()).or_default();
        if links.len() >= self.per_process || door.is_closed() || !link.is_usable() {
            return;
        }
        door.idle_begins();
        links.push(Idle { link: Some(link), since: Instant::now(), door: Arc::clone(door) });
    }

    /// Drops what is closed, too old, or behind a closed door.
    pub(crate) fn sweep(&mut self, age: Duration) {
        self.idle.retain(|_, links| {
            links.retain(|idle| {
                let usable = idle.link.as_ref().is_some_and(Link::is_usable);
                usable && !idle.door.is_closed() && idle.since.elapsed() <= age
            });
            !links.is_empty()
        });
    }
}
