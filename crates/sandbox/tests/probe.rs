//! The probe for real, on this machine as root, and as an ordinary user in a child.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use sandbox::cgroup::{CgroupSettings, Controller};
use sandbox::network::lab;
use sandbox::probe::{
    Layer, LayerSet, NetworkForm, Privilege, ProbeReport, Requirement, State, WeaknessCause,
    hidden_controllers, run, run_for, verdict,
};
use std::os::unix::process::CommandExt;
use std::process::Command;

const ORDINARY_USER: u32 = 31_002;
/// Set in the child that this test program starts of itself as another user.
const AS_USER: &str = "DOZEN_TEST_PROBE_AS_USER";

fn probe(mask: &str) -> ProbeReport {
    run(&mask.parse().unwrap(), &CgroupSettings::default())
}

/// Tells so, and is counted.
fn needs_root() -> bool {
    let root = nix::unistd::Uid::effective().is_root();
    if !root {
        eprintln!("skipped: needs root to have every layer of the sandbox");
    }
    !root
}

fn missing(report: &ProbeReport) -> Vec<Layer> {
    Layer::ALL.into_iter().filter(|layer| !report.has(*layer)).collect()
}

#[test]
fn this_machine_has_every_layer() {
    if needs_root() {
        return;
    }
    let report = probe("");
    assert_eq!(report.privilege, Privilege::Root, "tests of the sandbox run as root");
    assert_eq!(report.layers.len(), Layer::ALL.len());
    assert_eq!(missing(&report), [], "{report:#?}");
    assert_eq!(report.network_form(), NetworkForm::PerApp);
    assert_eq!(verdict(&report, &LayerSet::default()), Ok(Vec::new()));
}

#[test]
fn each_layer_can_be_hidden_and_counts_for_what_it_is_worth() {
    if needs_root() {
        return;
    }
    for layer in Layer::ALL {
        let report = probe(layer.name());
        assert_eq!(missing(&report), [layer]);
        let entry = report.layers.iter().find(|entry| entry.layer == layer).unwrap();
        assert!(matches!(&entry.state, State::Missing { why, .. } if why.contains("DOZEN_PROBE_MASK")));
        let judged = verdict(&report, &LayerSet::default());
        match entry.requirement {
            Requirement::Required => {
                assert!(judged.unwrap_err().to_string().contains(layer.name()));
                let excused = verdict(&report, &[layer].into_iter().collect());
                if [Layer::UidSwitch, Layer::MountNamespace, Layer::PidNamespace].contains(&layer) {
                    assert!(excused.unwrap_err().to_string().contains("No setting excuses"), "{layer}");
                    continue;
                }
                let weaknesses = excused.unwrap();
                assert_eq!(weaknesses[0].layer, layer);
                assert_eq!(weaknesses[0].cause, WeaknessCause::AllowedByOperator);
            }
            Requirement::Optional => assert_eq!(judged, Ok(Vec::new())),
        }
    }
}

#[test]
fn without_walls_between_networks_apps_share_one() {
    if needs_root() {
        return;
    }
    for layer in ["network_namespace", "veth", "nftables"] {
        assert_eq!(probe(layer).network_form(), NetworkForm::Shared, "{layer}");
    }
    assert_eq!(probe("landlock").network_form(), NetworkForm::PerApp);
}

#[test]
fn a_user_id_that_cannot_be_had_is_found_out() {
    if needs_root() {
        return;
    }
    // The kernel gives this number to nobody: it means "leave as it is".
    let report = run_for(&LayerSet::default(), &CgroupSettings::default(), u32::MAX);
    assert_eq!(missing(&report), [Layer::UidSwitch]);
}

#[test]
fn hidden_control_groups_are_missing_layers() {
    if needs_root() {
        return;
    }
    let mask: LayerSet = "cgroup_memory,cgroup_kill,seccomp".parse().unwrap();
    let hidden = hidden_controllers(&mask);
    assert_eq!(hidden, [Controller::Memory, Controller::Unified]);
    let settings = CgroupSettings { hidden, ..CgroupSettings::default() };
    let report = run(&LayerSet::default(), &settings);
    assert_eq!(missing(&report), [Layer::CgroupMemory, Layer::CgroupKill]);
}

#[test]
fn probing_leaves_nothing() {
    if needs_root() {
        return;
    }
    let mounts = || std::fs::read_to_string("/proc/thread-self/mountinfo").unwrap();
    let before = (lab::interfaces().unwrap().len(), mounts().lines().count());
    let identity = || (nix::unistd::getuid(), std::fs::read_link("/proc/thread-self/ns/net").unwrap());
    let me = identity();
    probe("");
    assert_eq!((lab::interfaces().unwrap().len(), mounts().lines().count()), before);
    assert_eq!(identity(), me);
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    assert!(status.lines().any(|line| line == "NoNewPrivs:\t0"), "{status}");
}

#[test]
fn an_ordinary_user_is_told_of_the_shared_network() {
    if std::env::var_os(AS_USER).is_some() {
        let report = probe("");
        println!("REPORT {}", serde_json::to_string(&report).unwrap());
        return;
    }
    if needs_root() {
        return;
    }
    // By this link the program may be executed even if the folder that it lies in is closed to the user.
    let output = Command::new("/proc/self/exe")
        .args(["--exact", "an_ordinary_user_is_told_of_the_shared_network", "--nocapture"])
        .uid(ORDINARY_USER)
        .gid(ORDINARY_USER)
        .env(AS_USER, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let json =
        text.lines().find_map(|line| line.split_once("REPORT ")).unwrap_or_else(|| panic!("{output:?}")).1;
    let report: ProbeReport = serde_json::from_str(json).unwrap();
    assert_eq!(report.privilege, Privilege::OrdinaryUser);
    for layer in [
        Layer::UserNamespace,
        Layer::MountNamespace,
        Layer::PidNamespace,
        Layer::NoCapabilities,
        Layer::Seccomp,
    ] {
        assert!(report.has(layer), "{:?}", report.state(layer));
    }
    for layer in [Layer::UidSwitch, Layer::Veth, Layer::Nftables, Layer::CgroupMemory] {
        assert!(!report.has(layer), "{layer}");
    }
    assert_eq!(report.network_form(), NetworkForm::Shared);
    let weaknesses = verdict(&report, &LayerSet::default()).unwrap();
    let told: Vec<Layer> = weaknesses.iter().map(|weakness| weakness.layer).collect();
    let limits = [Layer::CgroupMemory, Layer::CgroupCpu, Layer::CgroupPids];
    assert_eq!(told, [&[Layer::UidSwitch, Layer::NetworkNamespace][..], &limits].concat());
    assert!(weaknesses.iter().all(|weakness| weakness.cause == WeaknessCause::OrdinaryUser));
}
