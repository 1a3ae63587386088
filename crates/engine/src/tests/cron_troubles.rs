//! Recurring commands in bad company: entries that cannot be read, machines that start nothing, limits, and names that others have.

use super::cron::*;
use super::*;
use crate::error::Kind;
use crate::ops::cron;
use crate::ops::formation::ProcessTarget;
use domain::app_json::AppJson;

#[test]
fn an_entry_that_cannot_be_read_stands_in_nobodys_way() {
    let (mut world, _, app) = deployed_at("2026-01-01T00:00:30Z");
    world.builder.app_json(app_json(r#"{"cron": [{"command": "exit 1", "schedule": "* * * * *"}]}"#));
    world.push(&app, 2);
    let (_, other) = world.app("other");
    world.builder.app_json(AppJson::default());
    world.push(&other, 3);
    added(&world, &other, "exit 0", "* * * * *");
    let raw = rusqlite::Connection::open(world.ledger()).unwrap();
    raw.execute("UPDATE cron_entries SET timezone = 'Nowhere/Atall' WHERE command = 'exit 1'", ()).unwrap();
    to(&world, "2026-01-01T00:01:00Z");
    assert_eq!(told(&world, &other), ["2026-01-01 00:01:00 UTC started"]);
    assert_eq!(told(&world, &app), [""; 0]);
    world.restart();
    to(&world, "2026-01-01T00:02:00Z");
    assert_eq!(told(&world, &other)[0], "2026-01-01 00:02:00 UTC started");
    // It is tried again, more and more seldom, and then what has been missed is told.
    raw.execute("UPDATE cron_entries SET timezone = 'UTC'", ()).unwrap();
    world.clock.advance_millis(MINUTE);
    look(&world);
    let expected = ["2026-01-01 00:03:00 UTC started", "2026-01-01 00:01:00 UTC missed 2"];
    assert_eq!(told(&world, &app), expected);
    raw.execute("UPDATE cron_entries SET timezone = 'Nowhere/Atall' WHERE command = 'exit 1'", ()).unwrap();
    assert_eq!(
        world.push(&app, 4).status,
        ReleaseStatus::Succeeded,
        "a release takes the place of what cannot be read"
    );
}

#[test]
fn housekeeping_that_fails_stands_in_nobodys_way() {
    let (mut world, _, app) = deployed_at("2026-01-01T00:00:30Z");
    world.engine.shutdown();
    let raw = rusqlite::Connection::open(world.ledger()).unwrap();
    raw.execute_batch("ALTER TABLE idempotency RENAME TO elsewhere").unwrap();
    world.reopen();
    assert_eq!(world.push(&app, 2).status, ReleaseStatus::Succeeded);
}

#[test]
fn a_run_that_could_not_be_started_in_time_is_missed() {
    let (mut world, id, app) = deployed_at("2026-01-01T00:59:00Z");
    added(&world, &app, "exit 0", "0 1 * * *");
    world.backend.cannot_start(Some("not now"));
    to(&world, "2026-01-01T01:00:00Z");
    assert_eq!(told(&world, &app), ["2026-01-01 01:00:00 UTC started"]);
    world.engine.shutdown();
    world.clock.advance_millis(9 * HOUR);
    world.backend.cannot_start(None);
    world.reopen();
    look(&world);
    assert_eq!(told(&world, &app), ["2026-01-01 01:00:00 UTC missed 1"]);
    let is_job = |p: &domain::observed::ObservedProcess| matches!(p.purpose, Purpose::Job { .. });
    assert!(!world.backend.observed().processes.iter().any(is_job));
    let lines = world.log.lines(id);
    let missed = "api: Missed cron.1 with command `exit 0`: it could not be started within 5 minutes";
    assert!(lines.iter().any(|line| line == missed), "{lines:#?}");
    let first = crate::ProcessRef::new("cron.1");
    let info = || ops::processes::info(&world.engine, &world.admin, &app, &first).unwrap();
    world.until("its job has ended", || info().state.has_ended().then_some(()));
    to(&world, "2026-01-02T01:00:00Z");
    assert_eq!(told(&world, &app)[0], "2026-01-02 01:00:00 UTC started");
}

#[test]
fn an_app_and_its_owner_have_so_many_runs_at_a_time() {
    let (world, id, app) = deployed_at("2026-01-01T00:00:30Z");
    world.backend.cannot_start(Some("not now"));
    let add = |app: &AppRef, count: usize| {
        for n in 0..count {
            added(&world, app, &format!("exit {n}"), "* * * * *");
        }
    };
    let skipped = |reason: &str| {
        let of = |row: &String| row.ends_with(&format!("skipped: {reason}"));
        told(&world, &app).iter().filter(|row| of(row)).count()
    };
    let quota = |processes| {
        let set =
            |writer: &store::Writer<'_>| Ok(writer.set_quotas(account(&world.admin), None, processes)?);
        world.engine.write(set).unwrap();
    };
    add(&app, 3);
    quota(Some(2));
    to(&world, "2026-01-01T00:01:00Z");
    let reason = "the owner of the app has as many processes as the quota allows";
    assert_eq!(skipped(reason), 2, "one beside the web process");
    let entry = cron::list(&world.engine, &world.admin, &app).unwrap()[1].row.id;
    let refused = cron::run_now(&world.engine, &world.admin, &app, Some(entry)).unwrap_err();
    assert_eq!(refused.kind(), Kind::Forbidden, "{refused}");
    quota(None);
    world
        .engine
        .write(|writer| {
            // Started ones: more than one of an entry may be there.
            for n in 0..domain::cron::admit::APP_LIMIT as u128 - 1 {
                let [job, ..] = &writer.unfinished_jobs(id)?[..] else { panic!("one") };
                let mut row = job.clone();
                (row.job.id, row.job.number) = (domain::ids::JobId::from_u128(n), 1000 + n as u32);
                writer.insert_job(&row, &[], &store::Nonce([1; 24]))?;
            }
            Ok(())
        })
        .unwrap();
    to(&world, "2026-01-01T00:02:00Z");
    assert_eq!(skipped("100 runs of the app's commands have not ended"), 2, "{:#?}", told(&world, &app));
}

#[test]
fn runs_of_a_schedule_leave_no_events_and_what_was_removed_is_kept_for_a_while() {
    let (world, _, app) = deployed_at("2026-01-01T00:00:30Z");
    let entry = added(&world, &app, "exit 0", "* * * * *");
    to(&world, "2026-01-01T00:01:00Z");
    until_ended(&world, &app);
    let of_jobs = || {
        let events = ops::events::of_app(&world.engine, &world.admin, &app, 0, 1000).unwrap();
        events
            .into_iter()
            .map(|event| event.action)
            .filter(|action| action.starts_with("job:"))
            .collect::<Vec<_>>()
    };
    assert_eq!(of_jobs(), [""; 0]);
    cron::run_now(&world.engine, &world.admin, &app, Some(entry)).unwrap();
    until_ended(&world, &app);
    assert_eq!(of_jobs(), ["job:create", "job:ended"], "what people do has events");
    for _ in 0..60 {
        let id = added(&world, &app, "exit 0", "* * * * *");
        cron::remove(&world.engine, &world.admin, &app, Some(id)).unwrap();
    }
    let raw = rusqlite::Connection::open(world.ledger()).unwrap();
    let count =
        || raw.query_row("SELECT count(*) FROM cron_entries", (), |row| row.get::<_, u32>(0)).unwrap();
    assert_eq!(count(), 51);
    world.clock.advance_millis(8 * 24 * HOUR);
    world.until("housekeeping has forgotten them", || {
        world.clock.advance_millis(MINUTE);
        look(&world);
        (count() == 1).then_some(())
    });
}

#[test]
fn a_process_type_may_be_called_as_runs_are() {
    let (world, id, app) = deployed_at("2026-01-01T00:00:30Z");
    world.builder.procfile(&[("web", "serve"), ("cron", "work")]);
    world.push(&app, 2);
    let update = domain::formation::FormationUpdate {
        process_type: "cron".parse().unwrap(),
        quantity: Some("1".parse().unwrap()),
        size: None,
    };
    ops::formation::patch(&world.engine, &world.admin, &app, &[update]).unwrap();
    added(&world, &app, "work", "* * * * *");
    to(&world, "2026-01-01T00:01:00Z");
    to(&world, "2026-01-01T00:02:00Z");
    let named = |name: &str| ProcessTarget::One(crate::ProcessRef::new(name));
    let jobs = || {
        let live = world.backend.observed().processes.into_iter().filter(|p| p.state.is_live());
        let is_job = |purpose: &Purpose| matches!(purpose, Purpose::Job { .. });
        let mut names: Vec<_> =
            live.filter(|p| is_job(&p.purpose)).map(|p| p.purpose.display_name()).collect();
        names.sort();
        names
    };
    world.until("both runs run", || (jobs() == ["cron.1", "cron.2"]).then_some(()));
    world.until_running(id, &["cron.1 v2", "web.1 v2"]);
    ops::formation::restart(&world.engine, &world.admin, &app, &named("cron.1")).unwrap();
    ops::formation::stop(&world.engine, &world.admin, &app, &named("cron.1")).unwrap();
    world.until_running(id, &["web.1 v2"]);
    assert_eq!(jobs(), ["cron.1", "cron.2"], "the place was meant");
    // There is no such place, and by its id a run is itself.
    ops::formation::stop(&world.engine, &world.admin, &app, &named("cron.2")).unwrap();
    world.until("cron.2 ends", || (jobs() == ["cron.1"]).then_some(()));
    let run = history(&world, &app).pop().unwrap().job.unwrap().job.id;
    ops::formation::stop(&world.engine, &world.admin, &app, &named(&run.to_string())).unwrap();
    world.until("cron.1 ends", || jobs().is_empty().then_some(()));
}
