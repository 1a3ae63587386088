//! `dozen router`: the data plane, started by the launcher as the router's user with its listeners open.

use super::settings::Settings;
use super::systemd;
use domain::ids::{Ids, RouterId, WriterId};
use router::{JournalSettings, ListenerSettings, RouterSettings};
use sandbox::client::{ClientError, LISTENERS_VARIABLE, take_inherited_listeners};
use sandbox::launcher::WRITERS_VARIABLE;

/// Why the router could not run.
#[derive(Debug, thiserror::Error)]
pub enum RouterFailure {
    #[error("the variable {0} is missing: the router is started by the launcher, or by its unit")]
    NotLaunched(&'static str),
    #[error(transparent)]
    Listeners(#[from] ClientError),
    #[error("cannot read random bytes")]
    Random(#[source] std::io::Error),
    #[error(transparent)]
    Router(#[from] router::RouterError),
}

/// Runs until SIGTERM.
pub fn run(settings: &Settings) -> Result<(), RouterFailure> {
    let passed = systemd::passed_listeners().ok_or(RouterFailure::NotLaunched(LISTENERS_VARIABLE))?;
    let listeners = take_inherited_listeners(&passed)?;
    let writers =
        std::env::var(WRITERS_VARIABLE).map_err(|_| RouterFailure::NotLaunched(WRITERS_VARIABLE))?;
    let id =
        RouterId::from_uuid(Ids::seeded(super::random_seed().map_err(RouterFailure::Random)?).next_uuid());
    let folder = settings.data.run().join("router").join(id.to_string());
    let mut router = RouterSettings::new(id, folder, settings.data.root().join("routes/table.json"));
    router.listeners =
        listeners.into_iter().map(|bound| ListenerSettings::Inherited(bound.listener)).collect();
    router.threads = super::launcher::router_threads(settings);
    router.journals =
        writers.split(',').filter_map(|id| id.parse().ok()).map(|id| journal(settings, id)).collect();
    router.control_uids = vec![settings.uid, 0];
    router::run_telling(without_draining_for_tests(router), systemd::tell_ready)?;
    Ok(())
}

fn journal(settings: &Settings, writer: WriterId) -> JournalSettings {
    JournalSettings { writer, dir: settings.data.log(writer) }
}

#[cfg(not(feature = "test-hooks"))]
fn without_draining_for_tests(router: RouterSettings) -> RouterSettings {
    router
}

/// The run that shows what the drain is worth turns it off.
#[cfg(feature = "test-hooks")]
fn without_draining_for_tests(router: RouterSettings) -> RouterSettings {
    match std::env::var_os("DOZEN_TEST_NO_DRAIN") {
        Some(_) => router.without_draining(),
        None => router,
    }
}
