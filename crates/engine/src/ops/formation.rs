//! How many processes run, and their restart and stop. All of it is declared: rows that the next pass acts upon.

use super::processes::find_job;
use super::{Done, authorised_app, log_by_actor, record};
use crate::context::Context;
use crate::engine::Engine;
use crate::error::Error;
use crate::reference::{AppRef, ProcessRef};
use domain::app::App;
use domain::event::ResourceKind;
use domain::formation::{Formation, FormationRefused, FormationUpdate, ProcessTypes, Size, updated_rows};
use domain::ids::ProcessId;
use domain::names::ProcessType;
use domain::policy::Action;
use domain::process::Purpose;
use domain::time::WallMillis;
use store::tables::slots::Restart;
use store::{Reader, Writer};
use uuid::Uuid;

/// One process type as people see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormationRow {
    pub id: Uuid,
    pub process_type: ProcessType,
    pub command: String,
    pub quantity: u32,
    pub size: Size,
    pub created_at: WallMillis,
    pub updated_at: WallMillis,
}

/// Which processes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProcessTarget {
    All,
    Type(ProcessType),
    One(ProcessRef),
}

/// The types that can be scaled, by name.
pub fn list(engine: &Engine, context: &Context, app: &AppRef) -> Result<Vec<FormationRow>, Error> {
    engine.read(|reader| {
        let app = authorised_app(reader, context, app, Action::FormationRead)?;
        rows(reader, &app)
    })
}

/// Changes several types at once, all or none, and answers with the whole formation.
pub fn patch(
    engine: &Engine,
    context: &Context,
    app: &AppRef,
    updates: &[FormationUpdate],
) -> Result<Vec<FormationRow>, Error> {
    let (app, after, told) = engine.write(|writer| {
        let app = authorised_app(writer, context, app, Action::FormationWrite)?;
        let told = apply(engine, writer, context, &app, updates)?;
        let after = rows(writer, &app)?;
        Ok((app, after, told))
    })?;
    if let Some(told) = told {
        log_by_actor(engine, context, app.id, &format!("Scaled to {told}"));
    }
    Ok(after)
}

/// Replaces processes by new ones; stopped and crashed ones start again.
pub fn restart(
    engine: &Engine,
    context: &Context,
    app: &AppRef,
    target: &ProcessTarget,
) -> Result<(), Error> {
    let (app, told) = engine.write(|writer| {
        let app = authorised_app(writer, context, app, Action::ProcessRestart)?;
        let places = places(writer, &app, target)?;
        let (boot_id, at) = (engine.boot_id(), engine.boot());
        for place in &places {
            writer.unstop_slots(app.id, &place.process_type, place.slot)?;
            writer.clear_crashes(app.id, &place.process_type, place.slot)?;
            let slot = place.slot.unwrap_or(0);
            writer.put_restart(
                app.id,
                &Restart { process_type: place.process_type.clone(), slot, at },
                &boot_id,
            )?;
        }
        let told = describe(target, &places);
        let done = Done::new(Action::ProcessRestart.name(), Some(app.id), ResourceKind::Process, &told);
        record(engine, writer, context, done)?;
        Ok((app, told))
    })?;
    log_by_actor(engine, context, app.id, &format!("Restart of {told} requested"));
    Ok(())
}

/// Stops processes until they are restarted, scaled or released anew. A job is cancelled.
pub fn stop(engine: &Engine, context: &Context, app: &AppRef, target: &ProcessTarget) -> Result<(), Error> {
    if let ProcessTarget::One(process) = target
        && super::run::stop_if_job(engine, context, app, process)?
    {
        return Ok(());
    }
    let (app, told) = engine.write(|writer| {
        let app = authorised_app(writer, context, app, Action::ProcessStop)?;
        let formation = writer.formation(app.id)?;
        let places = places(writer, &app, target)?;
        for place in &places {
            for slot in place.slots(&formation) {
                writer.stop_slot(app.id, &place.process_type, slot)?;
            }
        }
        let told = describe(target, &places);
        let done = Done::new(Action::ProcessStop.name(), Some(app.id), ResourceKind::Process, &told);
        record(engine, writer, context, done)?;
        Ok((app, told))
    })?;
    log_by_actor(engine, context, app.id, &format!("Stop of {told} requested"));
    Ok(())
}

/// One place of the formation, or all of a type.
struct Place {
    process_type: ProcessType,
    slot: Option<u32>,
}

impl Place {
    fn slots(&self, formation: &Formation) -> Vec<u32> {
        match self.slot {
            Some(slot) => vec![slot],
            None => (1..=formation.get(&self.process_type).map_or(0, |row| row.quantity)).collect(),
        }
    }
}

fn places(reader: &Reader<'_>, app: &App, target: &ProcessTarget) -> Result<Vec<Place>, Error> {
    let formation = reader.formation(app.id)?;
    let known = |process_type: &ProcessType| formation.contains_key(process_type);
    match target {
        ProcessTarget::All => Ok(formation
            .keys()
            .map(|process_type| Place { process_type: process_type.clone(), slot: None })
            .collect()),
        ProcessTarget::Type(process_type) if known(process_type) => {
            Ok(vec![Place { process_type: process_type.clone(), slot: None }])
        }
        ProcessTarget::Type(process_type) => {
            Err(Error::not_found("formation", format!("Couldn't find the process type {process_type}.")))
        }
        ProcessTarget::One(process) => {
            let (process_type, slot) = place_of(reader, app, process)?;
            let exists = formation.get(&process_type).is_some_and(|row| (1..=row.quantity).contains(&slot));
            let place = Place { process_type, slot: Some(slot) };
            if exists { Ok(vec![place]) } else { Err(no_such_process()) }
        }
    }
}

fn place_of(reader: &Reader<'_>, app: &App, process: &ProcessRef) -> Result<(ProcessType, u32), Error> {
    if find_job(reader, app.id, process)?.is_some() {
        return Err(Error::invalid("A one-off process or release phase runs once and cannot be restarted."));
    }
    match process {
        ProcessRef::Name { process_type, number } => Ok((process_type.clone(), *number)),
        ProcessRef::Id(id) => {
            let placements = reader.placements_of(app.id)?;
            let found =
                placements.into_iter().find(|placement| placement.process == ProcessId::from_uuid(*id));
            match found.map(|placement| placement.purpose) {
                Some(Purpose::Slot { process_type, index, .. }) => Ok((process_type, index)),
                Some(Purpose::Job { .. }) | None => Err(no_such_process()),
            }
        }
        ProcessRef::Unknown => Err(no_such_process()),
    }
}

pub(crate) fn no_such_process() -> Error {
    Error::not_found("dyno", "Couldn't find that process.")
        .with_hint("Run `dozen ps` to see the app's processes.")
}

fn describe(target: &ProcessTarget, places: &[Place]) -> String {
    match (target, places) {
        (ProcessTarget::All, _) => "all processes".to_owned(),
        (ProcessTarget::Type(_) | ProcessTarget::One(_), [Place { process_type, slot: Some(slot) }]) => {
            format!("{process_type}.{slot}")
        }
        (ProcessTarget::Type(_) | ProcessTarget::One(_), places) => {
            places.iter().map(|place| place.process_type.as_str()).collect::<Vec<_>>().join(", ")
        }
    }
}

/// The types that can be scaled: of the newest release that did not fail, of the one that serves, and of the newest that was
/// built. A first deploy that failed, or a release of config alone, does not take away what may run next.
fn known_types(reader: &Reader<'_>, app: &App) -> Result<ProcessTypes, Error> {
    let current = match reader.current_release(app.id)? {
        Some(release) => reader.release(release)?,
        None => None,
    };
    let releases = [reader.newest_built_release(app.id)?, current, reader.sound_release(app.id)?];
    let mut types = ProcessTypes::new();
    for release in releases.into_iter().flatten() {
        types.extend(release.artifact.process_types);
    }
    Ok(types)
}

fn rows(reader: &Reader<'_>, app: &App) -> Result<Vec<FormationRow>, Error> {
    let mut commands = known_types(reader, app)?;
    let rows = reader.formation_rows(app.id)?.into_iter();
    Ok(rows
        .filter_map(|row| {
            let command = commands.remove(&row.process_type)?;
            let (quantity, size) = (row.quantity.quantity, row.quantity.size);
            let (created_at, updated_at) = (row.created_at, row.updated_at);
            Some(FormationRow {
                id: row.id,
                process_type: row.process_type,
                command,
                quantity,
                size,
                created_at,
                updated_at,
            })
        })
        .collect())
}

/// Returns what to tell, `web@2:Standard-1X worker@1:Standard-1X`, if anything changed.
fn apply(
    engine: &Engine,
    writer: &Writer<'_>,
    context: &Context,
    app: &App,
    updates: &[FormationUpdate],
) -> Result<Option<String>, Error> {
    let before = writer.formation(app.id)?;
    let known = known_types(writer, app)?.into_keys().collect();
    let changed = updated_rows(&before, &known, updates)?;
    let mut done = Done::new(Action::FormationWrite.name(), Some(app.id), ResourceKind::Formation, app.id);
    for (process_type, row) in &changed {
        writer.put_formation(app.id, engine.uuid(), process_type, row, engine.now())?;
        done = done.after(process_type.as_str(), format!("{}:{}", row.quantity, row.size));
        if let Some(row) = before.get(process_type) {
            done = done.before(process_type.as_str(), format!("{}:{}", row.quantity, row.size));
        }
    }
    for update in updates.iter().filter(|update| update.quantity.is_some()) {
        writer.unstop_slots(app.id, &update.process_type, None)?;
    }
    restart_resized(engine, writer, app, &before, &changed)?;
    check_process_quota(writer, app)?;
    if changed.is_empty() {
        return Ok(None);
    }
    record(engine, writer, context, done)?;
    let told =
        changed.iter().map(|(process_type, row)| format!("{process_type}@{}:{}", row.quantity, row.size));
    Ok(Some(told.collect::<Vec<_>>().join(" ")))
}

/// A process keeps the limits that it was started with: those of another size come with the next one.
fn restart_resized(
    engine: &Engine,
    writer: &Writer<'_>,
    app: &App,
    before: &Formation,
    changed: &Formation,
) -> Result<(), Error> {
    let size_before = |kind| before.get(kind).map(|row| row.size).unwrap_or_default();
    for (process_type, _) in changed.iter().filter(|(kind, row)| size_before(*kind) != row.size) {
        let restart = Restart { process_type: process_type.clone(), slot: 0, at: engine.boot() };
        writer.put_restart(app.id, &restart, &engine.boot_id())?;
    }
    Ok(())
}

fn check_process_quota(reader: &Reader<'_>, app: &App) -> Result<(), Error> {
    let Some(quota) = reader.process_quota(app.owner)? else { return Ok(()) };
    let wanted = reader.processes_wanted_by(app.owner)?;
    if wanted <= u64::from(quota) {
        return Ok(());
    }
    Err(Error::forbidden(format!("The owner's apps would have {wanted} processes; the quota is {quota}.")))
}

impl From<FormationRefused> for Error {
    fn from(refused: FormationRefused) -> Self {
        let hint = match &refused {
            FormationRefused::UnknownType { .. } => {
                Some("Run `dozen ps:scale` without arguments to see the formation.")
            }
            FormationRefused::NoTypes => Some("Push first: `git push dozen main`."),
            FormationRefused::TooMany { .. } | FormationRefused::ReleasePhase => None,
        };
        let error = Self::invalid(format!("{refused}."));
        match hint {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    }
}
