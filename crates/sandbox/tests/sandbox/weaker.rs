//! Machines that lack something: what is required is refused without, what is optional is gone without.

use crate::world::{APP, Case, ENVIRONMENT, World, app_id};
use domain::process::ExitStatus;
use sandbox::environment::SealedEnvironment;
use sandbox::probe::{Layer, NetworkForm};
use sandbox::protocol::RefusalReason;
use sandbox::spec::{Network, ProcessSpec};

pub const CASES: &[Case] = &[
    ("without_any_one_layer_a_process_runs_or_is_refused_by_its_name", each_layer),
    ("without_a_required_layer_nothing_starts_and_the_reason_is_told", required),
    ("a_required_layer_may_be_excused_by_name", excused),
    ("optional_layers_may_be_missing", optional),
    ("without_networks_apps_share_the_hosts_if_that_is_excused", shared_network),
];

/// Every layer hidden in its turn and excused: the fall-back starts a process, reports its output and its end, and leaves nothing.
fn each_layer(world: &World) {
    for layer in Layer::ALL {
        let weak = world.beside(&[("MASK", layer.name()), ("ALLOW", layer.name())]);
        let refused = weak.connect().status().unwrap().cannot_start;
        let without_fall_back = [Layer::UidSwitch, Layer::MountNamespace, Layer::PidNamespace];
        assert_eq!(refused.is_some(), without_fall_back.contains(&layer), "{layer}: {refused:?}");
        match refused {
            Some(reason) => assert!(reason.contains(layer.name()), "{layer}: {reason}"),
            None => {
                weak.connect().create_network(app_id(APP), APP).unwrap();
                let ended = weak.run_line("echo here; exit 3");
                assert_eq!(ended.exit.status, ExitStatus::Code(3), "{layer}");
                assert_eq!(ended.lines.stdout(), ["here"], "{layer}");
            }
        }
        assert_eq!(weak.end(), [""; 0], "{layer}");
    }
}

fn required(world: &World) {
    let weak = world.beside(&[("MASK", "seccomp,no_new_privs"), ("ALLOW", "seccomp")]);
    let environment = SealedEnvironment::seal(ENVIRONMENT).unwrap();
    let error = weak.connect().spawn(&weak.spec("true"), &environment, &[]).unwrap_err();
    assert_eq!(error.refusal(), Some(RefusalReason::LayerMissing));
    let status = weak.connect().status().unwrap();
    for text in [error.to_string(), status.cannot_start.unwrap()] {
        assert!(text.contains("no_new_privs") && text.contains("DOZEN_ALLOW_WEAKER=no_new_privs"), "{text}");
        assert!(!text.contains("seccomp:"), "excused: {text}");
    }
    assert_eq!(weak.end(), [""; 0]);
    let bare = world.beside(&[("MASK", "pid_namespace"), ("ALLOW", "pid_namespace")]);
    let reason = bare.connect().status().unwrap().cannot_start.unwrap();
    assert!(reason.contains("No setting excuses the absence of pid_namespace"), "{reason}");
    assert_eq!(bare.end(), [""; 0]);
}

fn excused(world: &World) {
    let weak = world.beside(&[("MASK", "seccomp"), ("ALLOW", "seccomp")]);
    weak.connect().create_network(app_id(APP), APP).unwrap();
    let status = weak.connect().status().unwrap();
    assert!(status.cannot_start.is_none() && status.weaker.len() == 1, "{status:?}");
    assert!(status.weaker[0].contains("seccomp"), "{:?}", status.weaker);
    let line =
        "grep -E '^(Seccomp|NoNewPrivs|CapEff):' /proc/self/status; /.dozen/dozen attempt unshare-user";
    let lines = weak.run_line(line).lines.stdout();
    assert_eq!(&lines[..3], ["CapEff:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t0"], "{lines:?}");
    // The case that the filter would have refused: the attempt really does depend on it.
    assert_eq!(lines[3], "succeeded");
    assert_eq!(weak.end(), [""; 0]);
}

fn optional(world: &World) {
    let mask = "landlock,ipc_namespace,uts_namespace,cgroup_namespace,cgroup_memory,cgroup_cpu,cgroup_pids,cgroup_kill";
    let weak = world.beside(&[("MASK", mask)]);
    weak.connect().create_network(app_id(APP), APP).unwrap();
    let ended = weak.run_line("hostname; ulimit -u; exit 3");
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    assert_eq!(ended.exit.status, ExitStatus::Code(3));
    // Nothing counts its processes, so a limit of its user does.
    assert_eq!(ended.lines.stdout(), [host, "512".to_owned()]);
    let spec = weak.spec("trap '' TERM; sleep 600");
    weak.start(&spec);
    weak.until_up(spec.process);
    sandbox::control::kill(&weak.data, spec.process).unwrap();
    assert_eq!(weak.until_ended(spec.process).exit.status, ExitStatus::Signal(9));
    assert_eq!(weak.end(), [""; 0]);
}

fn shared_network(world: &World) {
    let weak = world.beside(&[("MASK", "nftables"), ("ALLOW", "nftables")]);
    assert_eq!(weak.connect().status().unwrap().network, NetworkForm::Shared);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let line = format!("(exec 3<>/dev/tcp/127.0.0.1/{port}) 2>/dev/null && echo reached || echo refused");
    let named = ProcessSpec { network: Network::Host, ..weak.spec(&line) };
    assert_eq!(weak.run(&named).lines.stdout(), ["reached"]);
    weak.connect().create_network(app_id(APP), APP).unwrap();
    assert_eq!(
        weak.run_line(&line).lines.stdout(),
        ["reached"],
        "an app's network is the host's in this form"
    );
    assert_eq!(weak.connect().inspect_network().unwrap().inspection, None);
    assert_eq!(weak.end(), [""; 0]);
    assert_eq!(
        world.run_line(&line).lines.stdout(),
        ["refused"],
        "in an own network the host's loopback is not there"
    );
}
