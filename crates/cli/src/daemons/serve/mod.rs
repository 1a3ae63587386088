//! `dozen serve`: the control plane, started by the launcher as the server's user with its listener open. It may die at any
//! instant: the next one finds everything in the ledger, in run folders and in the route table.

mod adapters;
mod doctor;
mod fetch;
mod garbage;
mod logs;
mod renewals;
mod secrets;
mod trees;

use super::first_login::{self, FirstLogin};
use super::settings::{RenewShims, Settings};
use super::{random_seed, supervise, systemd};
use ::logs::{Hub, HubSettings};
use adapters::{MachineClock, NativeBuilds, SystemRandom};
use blobs::{LayerStore, SlugStore};
use builder::{BuildLimits, Builder, Mirrors};
use domain::desired::Bounds;
use domain::ids::{Ids, WriterId};
use domain::observed::ObservedRouter;
use domain::trial::CrashBudget;
use engine::error::Error;
use engine::ports::{Ports, Random, Workers};
use engine::{Engine, ops};
use garbage::Garbage;
use host::{Host, HostSettings, RouterControl};
use sandbox::client::{BoundListener, LISTENERS_VARIABLE, Launcher, take_inherited_listeners};
use sandbox::protocol::ListenerName;
use server::ServerParts;
use server::git::{GitRepositories, GitTool};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// How long a router may take to answer; one that takes longer counts as silent.
const ROUTER_WAIT: Duration = Duration::from_millis(1_500);
/// What slugs are built for: the host's own base, for now.
const STACK: &str = "debian-12";

/// Why the server could not run: one line that names the step, causes behind it.
#[derive(Debug, thiserror::Error)]
#[error("{step}")]
pub struct ServeError {
    step: String,
    source: Box<dyn std::error::Error + Send + Sync>,
}

fn at<E: Into<Box<dyn std::error::Error + Send + Sync>>>(step: &str) -> impl FnOnce(E) -> ServeError {
    let step = step.to_owned();
    move |error| ServeError { step, source: error.into() }
}

/// Everything of one server.
struct Plane {
    settings: Settings,
    engine: Engine,
    hub: Arc<Hub>,
    repositories: GitRepositories,
    incarnation: u64,
}

/// Runs until SIGTERM.
pub fn run(settings: &Settings) -> Result<(), ServeError> {
    // Slugs and sources are read by apps' users; what is private lies in folders that are.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    let value = systemd::passed_listeners()
        .ok_or(LISTENERS_VARIABLE)
        .map_err(at("the server is started by the launcher, or by its unit: a variable is missing"))?;
    let listeners = take_inherited_listeners(&value).map_err(at("cannot take the listener"))?;
    let listeners = Listeners::of(listeners, settings)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(at("cannot start the runtime"))?;
    let plane = open(settings)?;
    let served = runtime.block_on(serve(&plane, listeners));
    plane.engine.shutdown();
    served
}

/// What we answer on.
struct Listeners {
    api: BoundListener,
    ssh: Option<TcpListener>,
}

impl Listeners {
    /// The launcher passes both; systemd's units know of the first only.
    fn of(bound: Vec<BoundListener>, settings: &Settings) -> Result<Self, ServeError> {
        let (mut api, mut ssh) = (None, None);
        for listener in bound {
            match listener.name {
                ListenerName::Api => api = Some(listener),
                ListenerName::Ssh => ssh = Some(listener.listener),
                ListenerName::Http | ListenerName::Https => {}
            }
        }
        if let (None, Some(address)) = (&ssh, settings.ssh_listen) {
            let bound = TcpListener::bind(address);
            ssh = Some(bound.map_err(at(&format!("cannot listen at DOZEN_SSH_LISTEN={address}")))?);
        }
        let api = api.ok_or("none was passed").map_err(at("cannot take the listener"))?;
        Ok(Self { api, ssh })
    }
}

fn open(settings: &Settings) -> Result<Plane, ServeError> {
    let root = settings.data.root();
    let key = secrets::master_key(&settings.master_key_file, |bytes| SystemRandom.fill(bytes))
        .map_err(at("cannot use the master key"))?;
    let incarnation = secrets::next_incarnation(&root.join("ledger/incarnation"))
        .map_err(at("cannot number this server"))?;
    let seed = random_seed().map_err(at("cannot read random bytes"))?;
    let writer = WriterId::from_uuid(Ids::seeded(seed).next_uuid());
    let hub =
        Hub::open(&settings.data.logs(), HubSettings::new(writer)).map_err(at("cannot open the logs"))?;
    let hub = Arc::new(hub);
    let tool = GitTool { program: PathBuf::from("git"), hooks: root.join("git/hooks") };
    let repositories =
        GitRepositories::new(&root.join("git"), tool).map_err(at("cannot use the repositories"))?;
    let ports = Ports {
        log: Arc::new(logs::HubLog(Arc::clone(&hub))),
        repositories: Arc::new(repositories.clone()),
        clock: Arc::new(MachineClock::new().map_err(at("cannot read the machine's boot id"))?),
        random: Arc::new(SystemRandom),
    };
    let engine =
        Engine::open(engine_settings(settings), &key, ports).map_err(at("cannot open the ledger"))?;
    welcome(settings, &engine)?;
    Ok(Plane { settings: settings.clone(), engine, hub, repositories, incarnation })
}

fn engine_settings(settings: &Settings) -> engine::Settings {
    let root = settings.data.root();
    let bounds = Bounds {
        processes: settings.process_limit,
        boot_timeout_seconds: settings.boot_timeout_seconds,
        drain_seconds: settings.drain_seconds,
        cycle_after_seconds: settings.cycle_hours.map(|hours| u64::from(hours.get()) * 3600),
        crash_budget: settings
            .rollback_crashes
            .map(|crashes| CrashBudget { crashes, seconds: u64::from(settings.rollback_minutes.get()) * 60 }),
        ..Bounds::default()
    };
    let base = settings.base_domain.clone();
    let sizes = settings.sizes.clone();
    engine::Settings {
        bounds,
        sizes,
        ..engine::Settings::new(root.join("ledger"), root.join("builds"), base)
    }
}

/// Makes the first account, and leaves its token for whoever started us.
fn welcome(settings: &Settings, engine: &Engine) -> Result<(), ServeError> {
    let email = &settings.admin_email;
    let url = format!("https://{}:{}", settings.api_host, settings.api_listen.port());
    let made = ops::accounts::bootstrap(engine, email, |token| {
        let token = token.secret.expose().clone();
        let login = FirstLogin { format: 1, url, email: email.to_string(), token };
        let unusable =
            |error| Error::unavailable("the first token cannot be left for its owner").with_source(error);
        first_login::leave(settings, &login).map_err(unusable)
    });
    made.map(drop).map_err(at("cannot make the first account"))
}

async fn serve(plane: &Plane, listeners: Listeners) -> Result<(), ServeError> {
    let slugs = start_workers(plane)?;
    collect_garbage(plane, slugs);
    renew_shims(plane);
    let stop = CancellationToken::new();
    watch_signals(stop.clone())?;
    let address = listeners.api.address;
    let parts = parts(plane, listeners)?;
    let mut held = None;
    let ready = || {
        match supervise::hold_ready(&plane.settings) {
            Ok(file) => held = Some(file),
            Err(error) => tracing::error!(%error, "cannot say that the server is ready"),
        }
        tracing::info!(%address, "serving the API");
        systemd::tell_ready();
    };
    let served = server::run_telling(parts, stop, ready).await.map_err(at("cannot serve the API"));
    drop(held);
    served
}

fn start_workers(plane: &Plane) -> Result<Arc<SlugStore>, ServeError> {
    let (settings, data) = (&plane.settings, plane.settings.data.clone());
    let slugs = SlugStore::open(&data.root().join("slugs")).map_err(at("cannot open the slug store"))?;
    let slugs = Arc::new(slugs);
    let layers = layers(settings);
    clean_builds(plane)?;
    slugs.clean_leftovers().map_err(at("cannot clean up the slug store"))?;
    let host = HostSettings {
        routes: data.root().join("routes"),
        routers: routers_folder(settings),
        network_base: settings.network_range.range().base(),
        seed: random_seed().map_err(at("cannot read random bytes"))?,
        incarnation: plane.incarnation,
        slugs: Arc::clone(&slugs),
        layers: layers.clone(),
        data: data.clone(),
    };
    let backend = Host::new(host, router_control(settings), plane.engine.environment());
    let incarnation = plane.incarnation;
    let limits = BuildLimits::DEFAULT;
    let mirrors = Mirrors {
        pypi: settings.pypi_mirror.clone(),
        npm: settings.npm_mirror.clone(),
        crates: settings.crates_mirror.clone(),
    };
    let builder = Builder {
        data,
        slugs: Arc::clone(&slugs),
        incarnation,
        limits,
        stack: STACK.to_owned(),
        layers,
        mirrors,
    };
    let workers = Workers { backend: Arc::new(backend), builder: Arc::new(NativeBuilds { builder }) };
    plane.engine.start(workers).map_err(at("cannot start the driver"))?;
    Ok(slugs)
}

fn layers(settings: &Settings) -> LayerStore {
    LayerStore::new(settings.data.root().join("layers"))
}

/// At once, then every so often, beside everything else.
fn collect_garbage(plane: &Plane, slugs: Arc<SlugStore>) {
    let garbage = Arc::new(Garbage {
        settings: plane.settings.clone(),
        incarnation: plane.incarnation,
        engine: plane.engine.clone(),
        hub: Arc::clone(&plane.hub),
        repositories: plane.repositories.clone(),
        slugs,
        layers: layers(&plane.settings),
    });
    tokio::spawn(async move {
        let mut rounds = tokio::time::interval(garbage::EVERY);
        loop {
            rounds.tick().await;
            let garbage = Arc::clone(&garbage);
            // A panic ends this round only.
            let _told = tokio::task::spawn_blocking(move || garbage.collect()).await;
        }
    });
}

/// After an upgrade, and then every so often: what was away may be back.
fn renew_shims(plane: &Plane) {
    let mut renewals = renewals::Renewals::new(plane.settings.clone(), plane.incarnation);
    match plane.settings.renew_shims {
        RenewShims::Off => return,
        RenewShims::On => {}
    }
    tokio::spawn(async move {
        let mut rounds = tokio::time::interval(renewals::EVERY);
        loop {
            rounds.tick().await;
            let round = tokio::task::spawn_blocking(move || {
                renewals.renew();
                renewals
            });
            // A panic ends it: a round that fails so would fail again.
            let Ok(after) = round.await else { return };
            renewals = after;
        }
    });
}

/// Ends what a server before left of its builds. Without a launcher their processes stay until it is back.
fn clean_builds(plane: &Plane) -> Result<(), ServeError> {
    let data = &plane.settings.data;
    let mut launcher = Launcher::connect(&data.launcher_socket()).ok();
    let greeted = launcher.as_mut().map(|launcher| launcher.hello(plane.incarnation));
    let mut launcher = launcher.filter(|_| matches!(greeted, Some(Ok(()))));
    let cleaned = builder::clean_abandoned(data, launcher.as_mut());
    let cleaned = cleaned.map_err(at("cannot clean up builds that were cut off"))?;
    cleaned.left.iter().for_each(|left| tracing::warn!(left, "something of an earlier build is left over"));
    Ok(())
}

fn routers_folder(settings: &Settings) -> PathBuf {
    settings.data.run().join("router")
}

/// Every living router; if the folder cannot be read, one that says nothing.
fn observe_routers(settings: &Settings) -> Vec<ObservedRouter> {
    router::client::observe(&routers_folder(settings), ROUTER_WAIT).unwrap_or_else(|error| {
        tracing::warn!(error = %domain::cause::chain(&error), "routers cannot be seen");
        vec![ObservedRouter::Silent]
    })
}

fn router_control(settings: &Settings) -> RouterControl {
    let (observed, nudged) = (settings.clone(), routers_folder(settings));
    RouterControl {
        observe: Box::new(move || observe_routers(&observed)),
        nudge: Box::new(move || {
            if let Err(error) = router::client::nudge(&nudged, ROUTER_WAIT) {
                tracing::warn!(error = %domain::cause::chain(&error), "routers cannot be told of the new table");
            }
        }),
    }
}

fn parts(plane: &Plane, listeners: Listeners) -> Result<ServerParts, ServeError> {
    let settings = &plane.settings;
    let runtime = tokio::runtime::Handle::current();
    Ok(ServerParts {
        listener: listeners.api.listener,
        ssh: listeners.ssh,
        engine: plane.engine.clone(),
        repositories: plane.repositories.clone(),
        data: settings.data.root().to_owned(),
        trees: Arc::new(trees::PushedTrees),
        fetch: Arc::new(fetch::Archives::new(&settings.fetch_allow)),
        logs: Arc::new(logs::HubFeeds { hub: Arc::clone(&plane.hub), engine: plane.engine.clone(), runtime }),
        doctor: Arc::new(doctor::MachineDoctor {
            settings: settings.clone(),
            incarnation: plane.incarnation,
        }),
        settings: server::Settings {
            base_domain: settings.base_domain.clone(),
            app_port: settings.http_listen.port(),
            names: vec![settings.api_host.to_string(), settings.base_domain.to_string()],
            hook_binary: super::launcher::program_copy(settings),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        },
    })
}

fn watch_signals(stop: CancellationToken) -> Result<(), ServeError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(at("cannot watch for signals"))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(at("cannot watch for signals"))?;
    tokio::spawn(async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        stop.cancel();
    });
    Ok(())
}
