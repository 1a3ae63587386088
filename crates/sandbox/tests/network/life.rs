//! Making, repairing and removing networks, beside other people's.

use super::world::*;
use sandbox::network::lab;
use sandbox::network::{ForwardingState, FoundState, Network, NetworkError, NetworkSettings, RulesState};
use std::net::Ipv4Addr;
use std::os::fd::AsFd;

#[test]
fn creating_twice_changes_nothing() {
    World::run(|world| {
        let first = world.network.create(A, 3).unwrap();
        let listener = world.inside(A, || listen(Ipv4Addr::UNSPECIFIED));
        let mut client = connect(first.address).unwrap();
        let (mut served, _) = accept(&listener);
        assert_eq!(world.network.create(A, 3).unwrap(), first);
        assert_carries(&mut client, &mut served, b"still here");
        assert_eq!(world.mounts(), 1);
        assert_eq!(world.state_of(A), Some(FoundState::Complete { index: 3 }));
    });
}

#[test]
fn removing_leaves_nothing() {
    World::run(|world| {
        let before = lab::interfaces().unwrap();
        world.network.install().unwrap();
        world.network.create(A, 0).unwrap();
        let b = world.network.create(B, 1).unwrap();
        assert_eq!(world.mounts(), 2);
        let namespace = world.network.open(A).unwrap();
        world.network.remove(A).unwrap();
        world.network.remove(A).unwrap();
        assert_eq!(lab::run_in(namespace.as_fd(), lab::interfaces).unwrap().unwrap(), []);
        assert_eq!(world.state_of(A), None);
        assert!(matches!(world.network.open(A), Err(NetworkError::NoNamespace { .. })));
        let _listener = world.inside(B, || listen(Ipv4Addr::UNSPECIFIED));
        connect(b.address).expect("app B is not touched");

        world.network.remove(B).unwrap();
        assert_eq!(world.network.list().unwrap(), []);
        assert_eq!(world.mounts(), 0);
        assert_eq!(std::fs::read_dir(world.folder.path().join("net")).unwrap().count(), 0);
        assert_eq!(lab::interfaces().unwrap(), before);
        assert_eq!(world.network.rules_state().unwrap(), RulesState::InForce);
        world.network.uninstall().unwrap();
        world.network.uninstall().unwrap();
        assert_eq!(world.network.rules_state().unwrap(), RulesState::Differ);
    });
}

#[test]
fn whatever_a_crash_left_is_made_whole() {
    type Damage = fn(&World);
    let damages: [(&str, Damage, Option<FoundState>); 6] = [
        ("nothing yet", |world| world.network.remove(A).unwrap(), None),
        (
            "a pin without a namespace",
            |world| {
                world.network.remove(A).unwrap();
                std::fs::write(world.network.pin(A), "").unwrap();
            },
            Some(FoundState::NoNamespace),
        ),
        ("a namespace without a link", |_| lab::delete_interface("dz4").unwrap(), Some(FoundState::NoLink)),
        (
            "a pair that never left the namespace",
            |world| {
                lab::delete_interface("dz4").unwrap();
                world.inside(A, || lab::make_pair(["dz4", "eth0"])).unwrap();
            },
            Some(FoundState::NoLink),
        ),
        (
            "a link to a namespace that is no longer pinned",
            |world| {
                let old = world.network.open(A).unwrap();
                unmount(&world.network.pin(A));
                // Somebody still holds the old namespace, so that its link lives on.
                std::mem::forget(old);
            },
            Some(FoundState::NoNamespace),
        ),
        (
            "flushed rules",
            |world| world.network.uninstall().unwrap(),
            Some(FoundState::Complete { index: 4 }),
        ),
    ];
    World::run(move |world| {
        for (name, damage, state) in damages {
            let app = world.network.create(A, 4).unwrap();
            damage(&world);
            assert_eq!(world.state_of(A), state, "{name}");
            assert_eq!(world.network.create(A, 4).unwrap(), app, "{name}");
            assert_eq!(world.state_of(A), Some(FoundState::Complete { index: 4 }), "{name}");
            assert_eq!(world.network.rules_state().unwrap(), RulesState::InForce, "{name}");
            let _listener = world.inside(A, || listen(Ipv4Addr::UNSPECIFIED));
            connect(app.address).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    });
}

#[test]
fn whatever_a_crash_left_is_removed() {
    World::run(|world| {
        world.network.create(A, 4).unwrap();
        let _held = world.network.open(A).unwrap();
        unmount(&world.network.pin(A));
        assert_eq!(world.state_of(A), Some(FoundState::NoNamespace));
        world.network.remove(A).unwrap();
        assert_eq!(world.network.list().unwrap(), []);
        assert!(lab::interfaces().unwrap().iter().all(|(name, _)| name != "dz4"));
    });
}

#[test]
fn somebody_elses_interface_is_left_alone() {
    World::run(|world| {
        lab::make_pair(["dz5", "other"]).unwrap();
        let error = world.network.create(A, 5).unwrap_err();
        assert!(
            matches!(&error, NetworkError::InterfaceTaken { interface, .. } if interface == "dz5"),
            "{error}"
        );
        assert!(lab::interfaces().unwrap().iter().any(|(name, _)| name == "dz5"));
        world.network.remove(A).unwrap();
        assert!(lab::interfaces().unwrap().iter().any(|(name, _)| name == "dz5"));

        world.network.create(A, 6).unwrap();
        let error = world.network.create(B, 6).unwrap_err();
        assert!(error.to_string().contains(&format!("belongs to app {A}")), "{error}");
        assert_eq!(world.state_of(A), Some(FoundState::Complete { index: 6 }));
    });
}

#[test]
fn chains_that_drop_what_is_forwarded_are_told() {
    World::run(|world| {
        assert_eq!(world.network.install().unwrap().foreign_drops, []);
        lab::drop_forwarded("docker").unwrap();
        let drops = world.network.install().unwrap().foreign_drops;
        let inspection = world.network.inspect().unwrap();
        assert_eq!(inspection.foreign_drops, drops);
        assert_eq!((inspection.rules, inspection.forwarding), (RulesState::InForce, ForwardingState::On));
        let told: Vec<_> =
            drops.iter().map(|drop| format!("{} {} {}", drop.family, drop.table, drop.chain)).collect();
        assert_eq!(told, ["inet docker forward"]);
    });
}

#[test]
fn two_installations_leave_each_other_alone() {
    World::run(|world| {
        let mut settings = NetworkSettings::new(world.folder.path().join("second"));
        settings.prefix = "ez".parse().unwrap();
        settings.table = "other".parse().unwrap();
        settings.range = "10.220.0.0/15".parse().unwrap();
        let second = Network::new(settings);
        world.network.create(A, 0).unwrap();
        let b = second.create(B, 0).unwrap();
        let _listener =
            lab::run_in(second.open(B).unwrap().as_fd(), || listen(Ipv4Addr::UNSPECIFIED)).unwrap();
        world.network.install().unwrap();
        connect(b.address).expect("the host reaches the other installation's app");
        assert_refused(world.inside(A, || connect(b.address)), "the other installation's app from app A");
        second.uninstall().unwrap();
        assert_eq!(world.network.rules_state().unwrap(), RulesState::InForce);
        assert_eq!(second.list().unwrap().len(), 1);
        assert_eq!(world.network.list().unwrap().len(), 1);
        second.remove(B).unwrap();
    });
}

#[test]
fn an_address_that_another_installation_uses_is_not_taken_away() {
    World::run(|world| {
        let app = world.network.create(A, 0).unwrap();
        let mut settings = NetworkSettings::new(world.folder.path().join("second"));
        settings.prefix = "ez".parse().unwrap();
        settings.table = "other".parse().unwrap();
        let second = Network::new(settings);
        let error = second.create(B, 0).unwrap_err();
        assert!(
            matches!(error, NetworkError::AddressTaken { address, .. } if address == app.address),
            "{error}"
        );
        let _listener = world.inside(A, || listen(Ipv4Addr::UNSPECIFIED));
        connect(app.address).expect("the first installation's app is still reached");
        second.remove(B).unwrap();
    });
}

#[test]
fn only_pins_with_a_namespace_count() {
    World::run(|world| {
        world.network.create(A, 0).unwrap();
        std::fs::write(world.network.pin(B), "").unwrap();
        std::fs::write(world.network.settings().pins.join("other"), "").unwrap();
        let seen = sandbox::network::pinned_apps(&world.network.settings().pins).unwrap();
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), [A]);
        std::fs::remove_file(world.network.settings().pins.join("other")).unwrap();
    });
}

#[test]
fn a_folder_of_pins_that_others_may_write_to_is_not_used() {
    World::run(|world| {
        let pins = world.folder.path().join("net");
        std::fs::create_dir(&pins).unwrap();
        std::os::unix::fs::chown(&pins, Some(31_001), None).unwrap();
        assert!(matches!(
            world.network.create(A, 0),
            Err(NetworkError::Pin { operation: "trust folder", .. })
        ));
        std::fs::remove_dir(&pins).unwrap();
        std::os::unix::fs::symlink("/tmp", &pins).unwrap();
        assert!(matches!(
            world.network.create(A, 0),
            Err(NetworkError::Pin { operation: "open folder", .. })
        ));
    });
}
