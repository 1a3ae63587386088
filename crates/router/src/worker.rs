//! One thread of a router: a runtime of its own, its listeners, its connections, its pool. Nothing here is shared with other threads
//! except through [`Shared`].

use crate::access_log::buffer::Buffer;
use crate::balance::Random;
use crate::connect::Quarantine;
use crate::drain::Door;
use crate::pool::{Link, Pool};
use crate::proxy;
use crate::shared::{Shared, Stage};
use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::LocalSet;
use tokio_util::task::TaskTracker;

/// How often a thread looks after its pool and hands over its access lines.
const TICK: Duration = Duration::from_secs(1);
/// After an accept that failed for want of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The state of one thread.
#[derive(Debug)]
pub(crate) struct Worker {
    pub shared: Arc<Shared>,
    pub pool: RefCell<Pool>,
    pub quarantine: RefCell<Quarantine>,
    pub log: RefCell<Buffer>,
    pub random: RefCell<Random>,
    pub tracker: TaskTracker,
    index: usize,
    slots: Rc<Slots>,
}

/// What a thread starts with.
#[derive(Debug)]
pub(crate) struct WorkerParts {
    pub index: usize,
    pub shared: Arc<Shared>,
    pub listeners: Vec<std::net::TcpListener>,
    pub log: Buffer,
    pub random: Random,
}

/// Counts the thread's client connections.
#[derive(Debug)]
struct Slots {
    free: Cell<usize>,
    freed: Notify,
}

/// One client connection's place; dropping it makes room.
#[derive(Debug)]
pub(crate) struct Slot {
    slots: Rc<Slots>,
}

impl Slots {
    async fn take(self: &Rc<Self>) -> Slot {
        while self.free.get() == 0 {
            self.freed.notified().await;
        }
        self.free.set(self.free.get() - 1);
        Slot { slots: Rc::clone(self) }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.free.set(self.slots.free.get() + 1);
        self.slots.freed.notify_one();
    }
}

/// Runs a thread until the router ends.
pub(crate) fn run(parts: WorkerParts) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = LocalSet::new();
    let worker = Rc::new(Worker {
        pool: RefCell::new(Pool::new(parts.shared.limits.pooled_per_process)),
        quarantine: RefCell::default(),
        log: RefCell::new(parts.log),
        random: RefCell::new(parts.random),
        tracker: TaskTracker::new(),
        index: parts.index,
        slots: Rc::new(Slots {
            free: Cell::new(parts.shared.limits.connections_per_thread),
            freed: Notify::new(),
        }),
        shared: parts.shared,
    });
    let result = local.block_on(&runtime, Rc::clone(&worker).live(parts.listeners));
    // Cuts what is left; each cut request writes its line.
    drop(local);
    drop(runtime);
    worker.log.borrow_mut().flush();
    result
}

impl Worker {
    async fn live(self: Rc<Self>, listeners: Vec<std::net::TcpListener>) -> io::Result<()> {
        for listener in listeners {
            let listener = TcpListener::from_std(listener)?;
            self.tracker.spawn_local(Rc::clone(&self).accept(listener));
        }
        let mut stage = self.shared.stage.subscribe();
        let mut serial = self.shared.serial.subscribe();
        let mut tick = tokio::time::interval(TICK);
        self.take_table(*serial.borrow_and_update());
        loop {
            let now = *stage.borrow_and_update();
            if now == Stage::Ended {
                return Ok(());
            }
            tokio::select! {
                _ = serial.changed() => self.take_table(*serial.borrow_and_update()),
                _ = tick.tick() => self.tidy(),
                _ = stage.changed() => {}
                () = self.finished(), if now == Stage::Stopping => return Ok(()),
            }
        }
    }

    /// Nothing is under way any more.
    async fn finished(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }

    /// From here on this thread holds no idle connection that the table in force does not route.
    fn take_table(&self, serial: u64) {
        self.pool.borrow_mut().sweep(self.shared.timeouts.pooled);
        self.shared.acknowledge(self.index, serial);
    }

    fn tidy(&self) {
        self.pool.borrow_mut().sweep(self.shared.timeouts.pooled);
        self.quarantine.borrow_mut().sweep();
        self.log.borrow_mut().flush();
    }

    async fn accept(self: Rc<Self>, listener: TcpListener) {
        loop {
            let slot = tokio::select! {
                slot = self.slots.take() => slot,
                () = self.shared.stopping() => return,
            };
            tokio::select! {
                biased;
                // First, so that what is in the queue when the router stops is still served.
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        self.tracker.spawn_local(proxy::serve(Rc::clone(&self), stream, slot));
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be accepted");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
                () = self.shared.stopping() => return,
            }
        }
    }

    /// Keeps a link for the next request, once it is ready for one.
    pub(crate) fn give_back(self: &Rc<Self>, mut link: Link, door: &Arc<Door>) {
        if link.sender.is_ready() {
            self.pool.borrow_mut().put(link, door);
            return;
        }
        let (worker, door) = (Rc::clone(self), Arc::clone(door));
        tokio::task::spawn_local(async move {
            let ready = tokio::time::timeout(TICK, link.sender.ready()).await;
            if matches!(ready, Ok(Ok(()))) {
                worker.pool.borrow_mut().put(link, &door);
            }
        });
    }
}
