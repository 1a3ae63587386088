//! The engine's handle: the ledger, the ports and the bells, shared by operations, builds and driver.

use crate::bell::Bell;
use crate::builds::Builds;
use crate::driver;
use crate::environment::Environment;
use crate::error::Error;
use crate::ports::{Ports, ReleaseEnvironment, Status, Workers};
use crate::settings::Settings;
use crate::start_up;
use domain::ids::HostId;
use domain::time::{BootId, BootMillis, WallMillis};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use store::{AppKey, MasterKey, Nonce, Reader, Store, Writer};
use uuid::Uuid;

/// The ledger's file within its folder.
const LEDGER_FILE: &str = "ledger.db";

/// Cheap to clone.
#[derive(Clone)]
pub struct Engine(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) settings: Settings,
    pub(crate) store: Store,
    pub(crate) ports: Ports,
    pub(crate) host: HostId,
    pub(crate) builds: Builds,
    /// Rings when the driver should look: something was committed, or the backend woke.
    pub(crate) work: Bell,
    /// Rings when there is something new to tell: something was committed, or a pass has ended.
    pub(crate) news: Bell,
    pub(crate) workers: OnceLock<Workers>,
    status: Mutex<Arc<Status>>,
    stopping: AtomicBool,
    driver: Mutex<Option<JoinHandle<()>>>,
    /// Lets a test look at the ledger between any two transactions.
    #[cfg(test)]
    pub(crate) after_commit: Mutex<Option<Look>>,
}

#[cfg(test)]
pub(crate) type Look = Box<dyn FnMut(&Store) + Send>;

impl Engine {
    /// Opens the ledger, migrates it, fails builds that were cut off, and sets the repositories' refs. Starts nothing.
    pub fn open(settings: Settings, master_key: &[u8], ports: Ports) -> Result<Self, Error> {
        let master = MasterKey::from_bytes(master_key)?;
        let now = ports.clock.wall();
        // Seconds since 1970: a ledger that is made anew outranks the tables of one that was lost.
        let opening = store::Opening { master, nonce: random_nonce(&ports), epoch: now.0 / 1000, now };
        let store = Store::open(&settings.ledger_folder.join(LEDGER_FILE), opening)?;
        let host = find_or_make_host(&store, &settings, &ports)?;
        let builds = Builds::new(settings.concurrent_builds);
        let engine = Self(Arc::new(Inner {
            settings,
            store,
            ports,
            host,
            builds,
            work: Bell::default(),
            news: Bell::default(),
            workers: OnceLock::new(),
            status: Mutex::new(Arc::new(Status::default())),
            stopping: AtomicBool::new(false),
            driver: Mutex::new(None),
            #[cfg(test)]
            after_commit: Mutex::new(None),
        }));
        start_up::repair(&engine)?;
        Ok(engine)
    }

    /// Starts the loop; builds are taken from now on.
    pub fn start(&self, workers: Workers) -> Result<(), Error> {
        workers.backend.wake(self.0.work.clone());
        if self.0.workers.set(workers).is_err() {
            return Err(Error::internal("the engine was started before"));
        }
        let engine = self.clone();
        let thread =
            std::thread::Builder::new().name("driver".to_owned()).spawn(move || driver::run(&engine));
        let thread = thread.map_err(|error| {
            Error::unavailable("the driver's thread cannot be started").with_source(error)
        })?;
        *self.0.driver.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        Ok(())
    }

    /// Ends the loop and waits for it. Running builds are told to stop and end as failed.
    pub fn shutdown(&self) {
        self.0.stopping.store(true, Ordering::Release);
        self.0.builds.cancel_all();
        self.0.work.ring();
        self.0.news.ring();
        let thread = self.0.driver.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the driver ended by a panic");
        }
    }

    /// What processes are started with. For whoever spawns them.
    pub fn environment(&self) -> Arc<dyn ReleaseEnvironment> {
        Arc::new(Environment(self.clone()))
    }

    /// Rings after each committed operation and each pass of the driver.
    pub fn changed(&self) -> Bell {
        self.0.news.clone()
    }

    /// What the latest pass found.
    pub fn status(&self) -> Arc<Status> {
        self.0.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_status(&self, status: Arc<Status>) {
        *self.0.status.lock().unwrap_or_else(PoisonError::into_inner) = status;
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.0.stopping.load(Ordering::Acquire)
    }

    /// One transaction. When it has committed, the driver is woken.
    pub(crate) fn write<T>(&self, work: impl FnOnce(&Writer<'_>) -> Result<T, Error>) -> Result<T, Error> {
        let value = self.write_quietly(work)?;
        self.0.work.ring();
        self.0.news.ring();
        Ok(value)
    }

    /// The same for what follows from a pass of the driver and asks for no other.
    pub(crate) fn write_quietly<T>(
        &self,
        work: impl FnOnce(&Writer<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let value = self.0.store.write(work)?;
        #[cfg(test)]
        if let Some(look) = self.0.after_commit.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            look(&self.0.store);
        }
        Ok(value)
    }

    pub(crate) fn read<T>(&self, work: impl FnOnce(&Reader<'_>) -> Result<T, Error>) -> Result<T, Error> {
        self.0.store.read(work)
    }

    pub(crate) fn now(&self) -> WallMillis {
        self.0.ports.clock.wall()
    }

    pub(crate) fn boot(&self) -> BootMillis {
        self.0.ports.clock.boot()
    }

    pub(crate) fn boot_id(&self) -> BootId {
        self.0.ports.clock.boot_id()
    }

    pub(crate) fn nonce(&self) -> Nonce {
        random_nonce(&self.0.ports)
    }

    pub(crate) fn app_key(&self) -> AppKey {
        AppKey::from_bytes(self.random())
    }

    pub(crate) fn uuid(&self) -> Uuid {
        uuid::Builder::from_random_bytes(self.random()).into_uuid()
    }

    pub(crate) fn random<const N: usize>(&self) -> [u8; N] {
        random(&self.0.ports)
    }

    /// Copies the ledger to a file while it is in use. The master key is not part of it.
    pub fn backup(&self, target: &std::path::Path) -> Result<(), Error> {
        Ok(self.0.store.backup(target)?)
    }
}

fn random<const N: usize>(ports: &Ports) -> [u8; N] {
    let mut bytes = [0; N];
    ports.random.fill(&mut bytes);
    bytes
}

fn random_nonce(ports: &Ports) -> Nonce {
    Nonce(random(ports))
}

fn find_or_make_host(store: &Store, settings: &Settings, ports: &Ports) -> Result<HostId, Error> {
    store.write(|writer| {
        if let Some(host) = writer.host(&settings.host_name)? {
            return Ok(host);
        }
        let host = HostId::from_uuid(uuid::Builder::from_random_bytes(random(ports)).into_uuid());
        writer.insert_host(host, &settings.host_name, ports.clock.wall())?;
        Ok(host)
    })
}
