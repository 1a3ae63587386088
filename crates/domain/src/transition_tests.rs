//! Which ends count as crashes.

use super::*;
use crate::desired::{DesiredSlots, Strategy};
use crate::names::ReleaseVersion;
use crate::process::{Limits, StopPolicy};
use std::collections::{BTreeMap, BTreeSet};

const APP: AppId = AppId::from_u128(1);
const RELEASE: ReleaseId = ReleaseId::from_u128(2);
const NOW: BootMillis = BootMillis(100_000);

fn one_worker() -> Desired {
    let slots = DesiredSlots {
        startup_seconds: None,
        process_type: "worker".parse().unwrap(),
        command: "work".into(),
        quantity: 1,
        strategy: Strategy::StopFirst,
        limits: Limits::DEFAULT,
        stop: StopPolicy::APP,
        stopped: BTreeSet::new(),
        restarted_at: None,
        crashes: BTreeMap::new(),
    };
    let current = DesiredRelease {
        release: RELEASE,
        version: ReleaseVersion(1),
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

fn crash_at(at: u64) -> Option<CrashRecord> {
    let exit = Exit {
        at: BootMillis(at),
        status: ExitStatus::Code(1),
        stop_requested: false,
        out_of_memory: false,
        failed_check: None,
    };
    let process = ObservedProcess {
        process: ProcessId::from_u128(3),
        app: APP,
        purpose: Purpose::Slot { release: RELEASE, process_type: "worker".parse().unwrap(), index: 1 },
        endpoint: None,
        started_at: BootMillis(90_000),
        state: ProcessState::Exited(exit),
    };
    let observed = Observed { processes: vec![process], ..Observed::default() };
    match transitions(&one_worker(), &observed, NOW).as_slice() {
        [Transition::Ended { crash, .. }] => crash.as_ref().map(|crash| crash.record),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_crash_during_the_look_counts_and_one_of_an_older_boot_does_not() {
    let record = |last_exit| Some(CrashRecord { count: 1, last_exit: BootMillis(last_exit) });
    assert_eq!(crash_at(99_000), record(99_000));
    assert_eq!(crash_at(100_500), record(100_000));
    assert_eq!(crash_at(500_000), None);
}
