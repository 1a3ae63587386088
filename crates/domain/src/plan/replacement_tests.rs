//! Places are renewed in turn, judged by whole plans.

use super::*;
use crate::desired::{Desired, DesiredApp, ReleasePhase};
use crate::ids::{AppId, Ids, ReleaseId};
use crate::names::ReleaseVersion;
use crate::observed::{Observed, ProcessState};
use crate::plan::{Action, Plan, Waiting, Why, plan};
use crate::process::{Limits, StopPolicy};
use proptest::prelude::{Just, prop, prop_assert, prop_oneof, proptest};
use std::collections::BTreeSet;

const APP: AppId = AppId::from_u128(1);
const OLD: ReleaseId = ReleaseId::from_u128(11);
const NEW: ReleaseId = ReleaseId::from_u128(12);
const NOW: BootMillis = BootMillis(1_000_000);
const RESTARTED: BootMillis = BootMillis(900_000);

/// What is in a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum In {
    Nothing,
    OldUp,
    OldStopping,
    NewUp,
    /// For less than the time to settle.
    NewJustUp,
    NewStarting,
    /// Of the new release, started before the restart.
    Stale,
    StaleUnready,
    StaleStarting,
}

fn strategy(max_in_flight: u32) -> Strategy {
    Strategy::Rolling { max_in_flight }
}

fn desired(process_type: &str, quantity: usize, strategy: Strategy) -> Desired {
    let slots = DesiredSlots {
        startup_seconds: None,
        process_type: process_type.parse().unwrap(),
        command: "work".into(),
        quantity: quantity as u32,
        strategy,
        limits: Limits::DEFAULT,
        stop: StopPolicy::APP,
        stopped: BTreeSet::new(),
        restarted_at: Some(RESTARTED),
        crashes: BTreeMap::new(),
    };
    let current = DesiredRelease {
        release: NEW,
        version: ReleaseVersion(2),
        slug: Some(format!("sha256:{:064x}", 2).parse().unwrap()),
        phase: ReleasePhase::Done,
        slots: vec![slots],
        trial: None,
    };
    let app = DesiredApp {
        app: APP,
        name: "hello".parse().unwrap(),
        index: 1,
        hosts: Vec::new(),
        maintenance: false,
        current: Some(current),
        candidate: None,
        jobs: Vec::new(),
    };
    Desired { apps: vec![app], ..Desired::default() }
}

fn observed(process_type: &str, places: &[In]) -> Observed {
    let mut processes = Vec::new();
    for (at, place) in places.iter().enumerate() {
        let up = ProcessState::Up { since: BootMillis(1) };
        let (release, started_at, state) = match place {
            In::Nothing => continue,
            In::OldUp => (OLD, 1, up),
            In::OldStopping => (OLD, 1, ProcessState::Stopping { since: BootMillis(2) }),
            In::NewUp => (NEW, 950_000, up),
            In::NewJustUp => (NEW, 995_000, ProcessState::Up { since: BootMillis(995_000) }),
            In::NewStarting => (NEW, 999_000, ProcessState::Starting),
            In::Stale => (NEW, 500_000, up),
            In::StaleUnready => (NEW, 500_000, ProcessState::Unready { since: BootMillis(1) }),
            In::StaleStarting => (NEW, 500_000, ProcessState::Starting),
        };
        let index = at as u32 + 1;
        processes.push(ObservedProcess {
            process: ProcessId::from_u128(u128::from(index)),
            app: APP,
            purpose: Purpose::Slot { release, process_type: process_type.parse().unwrap(), index },
            endpoint: None,
            started_at: BootMillis(started_at),
            state,
        });
    }
    Observed { processes, networks: [APP].into(), ..Observed::default() }
}

fn stopped(plan: &Plan) -> Vec<u128> {
    let stops = plan.actions.iter().filter_map(|action| match action {
        Action::Stop { process, .. } => Some(process.as_uuid().as_u128()),
        _ => None,
    });
    stops.collect()
}

fn planned(process_type: &str, strategy: Strategy, places: &[In]) -> Plan {
    let desired = desired(process_type, places.len(), strategy);
    plan(&desired, &observed(process_type, places), NOW, &mut Ids::seeded(1))
}

#[test]
fn c_52_a_release_replaces_workers_of_a_rolling_type_in_turn() {
    use In::*;
    for (limit, places, expected) in [
        (1, vec![OldUp, OldUp, OldUp], vec![1]),
        (2, vec![OldUp, OldUp, OldUp], vec![1, 2]),
        (1, vec![OldStopping, OldUp, OldUp], vec![]),
        (2, vec![OldStopping, OldUp, OldUp], vec![2]),
        (1, vec![Nothing, OldUp, OldUp], vec![]),
        (1, vec![NewStarting, OldUp, OldUp], vec![]),
        (1, vec![NewUp, OldUp, OldUp], vec![2]),
        (1, vec![NewJustUp, OldUp, OldUp], vec![]),
        (2, vec![NewJustUp, OldUp, OldUp], vec![2]),
        (1, vec![NewUp, NewUp, NewUp], vec![]),
    ] {
        let plan = planned("worker", strategy(limit), &places);
        assert_eq!(stopped(&plan), expected, "{limit} {places:?}");
    }
    let all = planned("worker", Strategy::StopFirst, &[OldUp, OldUp, OldUp]);
    assert_eq!(stopped(&all), [1, 2, 3]);
}

#[test]
fn c_51_a_restart_takes_as_many_at_a_time_and_those_that_serve_nobody_at_once() {
    use In::*;
    for (name, chosen, places, expected) in [
        ("worker", strategy(2), vec![Stale, Stale, Stale], vec![1, 2]),
        ("worker", strategy(1), vec![NewUp, Stale, Stale], vec![2]),
        ("worker", strategy(1), vec![Stale, StaleStarting, Stale], vec![2]),
        ("worker", Strategy::StopFirst, vec![Stale, Stale, Stale], vec![1, 2, 3]),
        ("web", Strategy::Overlap, vec![Stale, Stale, Stale], vec![1]),
        ("web", Strategy::Overlap, vec![Stale], vec![1]),
        ("web", strategy(2), vec![Stale, Stale, Stale], vec![1, 2]),
        ("web", strategy(2), vec![NewStarting, Stale, Stale], vec![2]),
        ("web", Strategy::Overlap, vec![Stale, StaleUnready, Stale], vec![2]),
        ("web", Strategy::Overlap, vec![StaleUnready, StaleUnready], vec![1]),
        ("worker", strategy(1), vec![StaleUnready, Stale], vec![1]),
    ] {
        assert_eq!(stopped(&planned(name, chosen, &places)), expected, "{name} {chosen:?} {places:?}");
    }
}

/// What ends soon after its start takes one place away, not one after the other.
#[test]
fn c_52_a_roll_out_waits_for_what_crashed_or_has_just_begun() {
    let places = [In::NewUp, In::OldUp, In::OldUp];
    let crashed = |last_exit: u64| {
        let mut wanted = desired("worker", 3, strategy(1));
        let slots = &mut wanted.apps[0].current.as_mut().unwrap().slots[0];
        slots.crashes.insert(1, crate::desired::CrashRecord { count: 1, last_exit: BootMillis(last_exit) });
        stopped(&plan(&wanted, &observed("worker", &places), NOW, &mut Ids::seeded(1)))
    };
    assert_eq!(crashed(940_001), Vec::<u128>::new());
    assert_eq!(crashed(NOW.millis_since(BootMillis(0)) - 60_000), [2]);
    let just_up = planned("worker", strategy(1), &[In::NewJustUp, In::OldUp]);
    assert_eq!(just_up.wake_at, Some(BootMillis(1_005_000)));
    let checked = |process_type: &str, startup_seconds| {
        let mut wanted = desired(process_type, 2, strategy(1));
        wanted.apps[0].current.as_mut().unwrap().slots[0].startup_seconds = startup_seconds;
        let seen = observed(process_type, &[In::NewJustUp, In::Stale]);
        stopped(&plan(&wanted, &seen, NOW, &mut Ids::seeded(1)))
    };
    assert_eq!((checked("worker", None), checked("worker", Some(30))), (vec![], vec![2]));
    assert_eq!(checked("web", None), [2], "web has accepted");
}

#[test]
fn who_waits_for_a_turn_is_told_so() {
    let plan = planned("worker", strategy(1), &[In::OldUp, In::OldUp]);
    let told: Vec<_> = plan.report.waiting.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "worker.1 waits: the process before it has not ended",
            "worker.2 waits: processes of its type are replaced 1 at a time and its turn has not come"
        ]
    );
}

#[test]
fn places_that_are_gone_or_stopped_do_not_wait_for_a_turn() {
    let mut wanted = desired("worker", 3, strategy(1));
    let slots = &mut wanted.apps[0].current.as_mut().unwrap().slots[0];
    slots.quantity = 2;
    slots.stopped.insert(1);
    let seen = observed("worker", &[In::OldUp, In::OldUp, In::OldUp]);
    let plan = plan(&wanted, &seen, NOW, &mut Ids::seeded(1));
    assert_eq!(stopped(&plan), [1, 2, 3], "1 is stopped, 3 is gone, 2 has its turn");
}

#[test]
fn c_52_a_candidate_that_rolls_starts_so_many_at_a_time() {
    let mut wanted = desired("web", 3, strategy(2));
    let app = &mut wanted.apps[0];
    app.candidate = app.current.take();
    let started = |places: &[In]| {
        let plan = plan(&wanted, &observed("web", places), NOW, &mut Ids::seeded(1));
        let turn = Why::MaxInFlight { limit: 2 };
        let waiting = plan.report.waiting.iter();
        let waiting = waiting.filter(|it| matches!(it, Waiting::Slot { why, .. } if *why == turn)).count();
        (plan.actions.iter().filter(|action| matches!(action, Action::Spawn { .. })).count(), waiting)
    };
    assert_eq!(started(&[]), (2, 1));
    assert_eq!(started(&[In::NewStarting]), (1, 1));
    assert_eq!(started(&[In::NewUp, In::NewStarting]), (1, 0));
    assert_eq!(started(&[In::NewUp, In::NewUp]), (1, 0));
}

fn any_place() -> impl proptest::strategy::Strategy<Value = In> {
    prop_oneof![
        Just(In::Nothing),
        Just(In::OldUp),
        Just(In::OldStopping),
        Just(In::NewUp),
        Just(In::NewJustUp),
        Just(In::NewStarting),
        Just(In::Stale),
        Just(In::StaleStarting),
    ]
}

proptest! {
    /// Never more places without an up process than allowed because of the plan, and never a standstill.
    #[test]
    fn c_52_places_in_flight_are_bounded_and_the_rest_comes_to_its_turn(
        places in prop::collection::vec(any_place(), 1..8),
        limit in 1u32..4,
    ) {
        let plan = planned("worker", strategy(limit), &places);
        let stopped = stopped(&plan);
        let is_up = |place: &In| matches!(place, In::OldUp | In::NewUp | In::Stale);
        let taken = |at: usize| stopped.contains(&(at as u128 + 1));
        let without = places.iter().enumerate().filter(|(at, place)| !is_up(place) || taken(*at)).count();
        let before = places.iter().filter(|place| !is_up(place)).count();
        prop_assert!(without == before || without <= limit as usize, "{places:?} {stopped:?}");
        let due = places.iter().filter(|place| matches!(place, In::OldUp | In::Stale)).count();
        prop_assert!(due == 0 || before >= limit as usize || without > before, "{places:?} {stopped:?}");
        let fresh = places.iter().enumerate().any(|(at, place)| *place == In::NewUp && taken(at));
        prop_assert!(!fresh, "{places:?} {stopped:?}");
    }
}
