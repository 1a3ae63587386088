//! Networks of apps on a host and an uplink of the test's own: every attempt that must be refused is also made from where it must
//! succeed. Needs root.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use domain::ids::AppId;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, ipproto, recv, sendto, socket_with, sockopt,
};
use sandbox::network::lab::{self, Lab};
use sandbox::network::{
    AppNetwork, Forwarding, ForwardingState, FoundState, Network, NetworkError, NetworkSettings, RulesState,
};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

/// Longest wait for what must happen; it is far sooner.
const PATIENCE: Duration = Duration::from_secs(10);
/// Wait for what must not happen.
const SILENCE: Duration = Duration::from_millis(300);
const PORT: u16 = 5000;

const A: AppId = AppId::from_u128(0xa);
const B: AppId = AppId::from_u128(0xb);

/// One test's host.
struct World {
    lab: Lab,
    network: Network,
    folder: tempfile::TempDir,
}

impl World {
    /// Runs a test on a thread of its own, in a lab that ends with it.
    fn run(test: impl FnOnce(World) + Send + 'static) {
        Self::run_with(|_| {}, test);
    }

    fn run_with(
        change: impl FnOnce(&mut NetworkSettings) + Send + 'static,
        test: impl FnOnce(World) + Send + 'static,
    ) {
        let thread = std::thread::spawn(move || {
            let lab = Lab::enter().expect("a lab needs root and network namespaces");
            let folder = tempfile::tempdir().unwrap();
            let mut settings = NetworkSettings::new(folder.path().join("net"));
            change(&mut settings);
            test(World { lab, network: Network::new(settings), folder });
        });
        if let Err(panic) = thread.join() {
            std::panic::resume_unwind(panic);
        }
    }

    fn inside<T: Send>(&self, app: AppId, work: impl FnOnce() -> T + Send) -> T {
        lab::run_in(self.network.open(app).unwrap().as_fd(), work).unwrap()
    }

    fn outside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.lab.run_outside(work).unwrap()
    }

    fn state_of(&self, app: AppId) -> Option<FoundState> {
        self.network.list().unwrap().into_iter().find(|found| found.app == app).map(|found| found.state)
    }

    fn mounts(&self) -> usize {
        let mounts = std::fs::read_to_string("/proc/thread-self/mountinfo").unwrap();
        mounts.lines().filter(|line| line.contains(self.folder.path().to_str().unwrap())).count()
    }
}

impl Drop for World {
    /// Pins are mounts: they go first, or the folder cannot.
    fn drop(&mut self) {
        for found in self.network.list().into_iter().flatten() {
            let _ = self.network.remove(found.app);
        }
    }
}

/// As if the mount had been lost, while somebody may still hold the namespace.
fn unmount(pin: &Path) {
    nix::mount::umount2(pin, nix::mount::MntFlags::MNT_DETACH).unwrap();
}

fn listen(address: Ipv4Addr) -> TcpListener {
    TcpListener::bind((address, PORT)).unwrap()
}

fn connect(address: impl Into<IpAddr>) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&SocketAddr::new(address.into(), PORT), PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn assert_refused(attempt: io::Result<TcpStream>, what: &str) {
    match attempt {
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{what}: {error}"),
        Ok(stream) => panic!("{what}: connected to {:?}", stream.peer_addr()),
    }
}

fn accept(listener: &TcpListener) -> (TcpStream, IpAddr) {
    let (stream, peer) = listener.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    (stream, peer.ip())
}

fn assert_carries(from: &mut TcpStream, to: &mut TcpStream, text: &[u8]) {
    from.write_all(text).unwrap();
    let mut got = vec![0; text.len()];
    to.read_exact(&mut got).unwrap();
    assert_eq!(got, text);
}

#[test]
fn the_host_reaches_an_app_and_the_app_answers() {
    World::run(|world| {
        let app: AppNetwork = world.network.create(A, 7).unwrap();
        assert_eq!(Some(app.address), sandbox::network::address_of(7));
        let listener = world.inside(A, || listen(Ipv4Addr::UNSPECIFIED));
        let mut client = connect(app.address).unwrap();
        let (mut served, peer) = accept(&listener);
        assert_eq!(peer, IpAddr::V4(app.gateway));
        assert_carries(&mut client, &mut served, b"question");
        assert_carries(&mut served, &mut client, b"answer");
    });
}

#[test]
fn an_app_reaches_the_outside_under_the_hosts_address() {
    World::run(|world| {
        let installed = world.network.install().unwrap();
        assert_eq!(installed.forwarding, Forwarding::TurnedOn);
        assert_eq!(
            installed.uplink.map(|uplink| (uplink.interface, uplink.mtu)),
            Some((lab::UPLINK.into(), lab::UPLINK_MTU))
        );
        assert_eq!(world.network.install().unwrap().forwarding, Forwarding::AlreadyOn);

        let app = world.network.create(A, 0).unwrap();
        let listener = world.outside(|| listen(lab::OUTSIDE_HOST));
        let mut client = world.inside(A, || connect(lab::OUTSIDE_HOST)).unwrap();
        let (mut served, peer) = accept(&listener);
        assert_eq!(peer, IpAddr::V4(lab::UPLINK_ADDRESS));
        assert_carries(&mut client, &mut served, b"out");
        assert_carries(&mut served, &mut client, b"back");

        assert_eq!(app.mtu, lab::UPLINK_MTU);
        let inner = world.inside(A, lab::interfaces).unwrap();
        assert_eq!(inner, [("eth0".to_owned(), lab::UPLINK_MTU)]);
        assert!(lab::interfaces().unwrap().contains(&(app.interface, lab::UPLINK_MTU)));
    });
}

#[test]
fn apps_do_not_reach_each_other() {
    World::run(|world| {
        world.network.install().unwrap();
        world.network.create(A, 0).unwrap();
        let b = world.network.create(B, 1).unwrap();
        let _listener = world.inside(B, || listen(Ipv4Addr::UNSPECIFIED));
        connect(b.address).expect("the host reaches app B");
        world.inside(B, || connect(b.address)).expect("app B reaches itself");
        assert_refused(world.inside(A, || connect(b.address)), "app B from app A");

        let receiver = world.inside(B, || UdpSocket::bind((Ipv4Addr::UNSPECIFIED, PORT)).unwrap());
        receiver.set_read_timeout(Some(SILENCE)).unwrap();
        let error = world.inside(A, || {
            let sender = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
            sender.connect((b.address, PORT)).unwrap();
            sender.set_read_timeout(Some(PATIENCE)).unwrap();
            sender.send(b"hello").unwrap();
            sender.recv(&mut [0; 8]).unwrap_err()
        });
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        assert!(receiver.recv(&mut [0; 8]).is_err());
    });
}

#[test]
fn an_app_reaches_no_address_of_the_host() {
    World::run(|world| {
        world.network.install().unwrap();
        let app = world.network.create(A, 0).unwrap();
        let b = world.network.create(B, 1).unwrap();
        let held = Ipv4Addr::new(169, 254, 1, 1);
        lab::add_address("lo", held).unwrap();
        let _listener = listen(Ipv4Addr::UNSPECIFIED);
        for address in [app.gateway, b.gateway, lab::UPLINK_ADDRESS, held] {
            connect(address).unwrap_or_else(|error| panic!("the host reaches its own {address}: {error}"));
            assert_refused(world.inside(A, || connect(address)), &format!("{address} from app A"));
        }
        connect(Ipv4Addr::LOCALHOST).expect("the host reaches its loopback");
        assert_refused(world.inside(A, || connect(Ipv4Addr::LOCALHOST)), "the host's loopback from app A");
        // That the host is out of reach is not for want of a way: the uplink's neighbour reaches it.
        world.outside(|| connect(lab::UPLINK_ADDRESS)).expect("the outside reaches the host");
    });
}

#[test]
fn an_app_reaches_neither_metadata_nor_what_is_denied() {
    let denied = Ipv4Addr::new(203, 0, 113, 99);
    let deny =
        |settings: &mut NetworkSettings| settings.deny_outbound = vec!["203.0.113.96/28".parse().unwrap()];
    World::run_with(deny, move |world| {
        world.network.install().unwrap();
        world.network.create(A, 0).unwrap();
        world.outside(|| lab::add_address("lo", denied)).unwrap();
        let _listener = world.outside(|| listen(Ipv4Addr::UNSPECIFIED));
        for address in [lab::METADATA, denied] {
            connect(address).unwrap_or_else(|error| panic!("the host reaches {address}: {error}"));
            assert_refused(world.inside(A, || connect(address)), &format!("{address} from app A"));
        }
        world.inside(A, || connect(lab::OUTSIDE_HOST)).expect("app A reaches what is not denied");
    });
}

#[test]
fn everything_denied_needs_no_forwarding() {
    let deny = |settings: &mut NetworkSettings| settings.deny_outbound = vec!["0.0.0.0/0".parse().unwrap()];
    World::run_with(deny, |world| {
        assert_eq!(world.network.install().unwrap().forwarding, Forwarding::NotNeeded);
        assert_eq!(std::fs::read_to_string("/proc/sys/net/ipv4/ip_forward").unwrap().trim(), "0");
        let app = world.network.create(A, 0).unwrap();
        let _listener = world.inside(A, || listen(Ipv4Addr::UNSPECIFIED));
        connect(app.address).expect("the host still reaches the app");
    });
}

#[test]
fn nothing_from_outside_is_forwarded_to_an_app() {
    World::run(|world| {
        world.network.install().unwrap();
        let app = world.network.create(A, 0).unwrap();
        let _listener = world.inside(A, || listen(Ipv4Addr::UNSPECIFIED));
        world.outside(|| lab::add_route(app.address, lab::UPLINK_ADDRESS, "down0")).unwrap();
        assert_refused(world.outside(|| connect(app.address)), "app A from outside");
        world.network.uninstall().unwrap();
        world.outside(|| connect(app.address)).expect("it is the rules that refuse, not the way");
    });
}

#[test]
fn a_false_source_address_gets_nowhere() {
    World::run(|world| {
        world.network.install().unwrap();
        let app = world.network.create(A, 0).unwrap();
        let b = world.network.create(B, 1).unwrap();
        let receiver = world.outside(|| UdpSocket::bind((lab::OUTSIDE_HOST, PORT)).unwrap());
        receiver.set_read_timeout(Some(SILENCE)).unwrap();
        let stranger = Ipv4Addr::new(198, 51, 100, 77);
        let send_from = |source: Ipv4Addr| {
            world.inside(A, || {
                let sender = UdpSocket::bind((source, 0)).unwrap();
                sender.send_to(b"hello", (lab::OUTSIDE_HOST, PORT)).unwrap();
            });
            receiver.recv_from(&mut [0; 8])
        };
        for source in [b.address, stranger, app.gateway] {
            world.inside(A, || lab::add_address("eth0", source)).unwrap();
            assert!(send_from(source).is_err(), "a packet from {source}");
        }
        let (_, peer) = send_from(app.address).expect("a packet from its own address arrives");
        assert_eq!(peer.ip(), IpAddr::V4(lab::UPLINK_ADDRESS));
    });
}

/// An answer to a ping that nobody sent: no connection it could belong to.
const STRAY_ANSWER: [u8; 8] = [0, 0, 0xff, 0xff, 0, 0, 0, 0];

fn ping_socket() -> OwnedFd {
    let socket =
        socket_with(AddressFamily::INET, SocketType::RAW, SocketFlags::CLOEXEC, Some(ipproto::ICMP)).unwrap();
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, Some(SILENCE)).unwrap();
    socket
}

#[test]
fn what_belongs_to_no_connection_does_not_leave_under_an_inner_address() {
    World::run(|world| {
        world.network.install().unwrap();
        world.network.create(A, 0).unwrap();
        let receiver = world.outside(ping_socket);
        let send = || {
            world.inside(A, || {
                let address = SocketAddrV4::new(lab::OUTSIDE_HOST, 0);
                sendto(ping_socket(), &STRAY_ANSWER, SendFlags::empty(), &address).unwrap();
            });
            recv(&receiver, &mut [0; 64], RecvFlags::empty())
        };
        assert!(send().is_err());
        world.network.uninstall().unwrap();
        send().expect("it is the rules that refuse, not the way");
    });
}

#[test]
fn there_is_no_ipv6_beyond_the_apps_own_loopback() {
    World::run(|world| {
        world.network.create(A, 0).unwrap();
        let addresses =
            world.inside(A, || std::fs::read_to_string("/proc/thread-self/net/if_inet6").unwrap_or_default());
        assert!(addresses.lines().all(|line| line.ends_with(" lo")), "{addresses}");
        let host = std::fs::read_to_string("/proc/thread-self/net/if_inet6").unwrap_or_default();
        assert!(!host.contains("dz0"), "{host}");
        if !addresses.is_empty() {
            let loopback: IpAddr = "::1".parse().unwrap();
            let _listener = world.inside(A, || TcpListener::bind((loopback, PORT)).unwrap());
            world.inside(A, || connect(loopback)).expect("an app may use its own ::1");
        }
    });
}

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
fn connections_outlive_a_firewalls_reload() {
    World::run(|world| {
        let app = world.network.create(A, 0).unwrap();
        let listener = world.inside(A, || listen(Ipv4Addr::UNSPECIFIED));
        let mut known = Connection::new(&app, &listener);
        known.assert_carries_both_ways();
        world.network.uninstall().unwrap();
        // This one the kernel does not track, for no rules ask it to.
        let mut unknown = Connection::new(&app, &listener);
        assert_eq!(world.network.ensure_rules().unwrap(), RulesState::Differ);
        assert_eq!(world.network.ensure_rules().unwrap(), RulesState::InForce);
        known.assert_carries_both_ways();
        unknown.assert_carries_both_ways();
        let _host = listen(Ipv4Addr::UNSPECIFIED);
        assert_refused(world.inside(A, || connect(app.gateway)), "a new connection to the host");
    });
}

/// A connection from the host to an app, as a router has many.
struct Connection {
    client: TcpStream,
    served: TcpStream,
}

impl Connection {
    fn new(app: &AppNetwork, listener: &TcpListener) -> Self {
        let client = connect(app.address).unwrap();
        Self { client, served: accept(listener).0 }
    }

    fn assert_carries_both_ways(&mut self) {
        assert_carries(&mut self.served, &mut self.client, b"the app speaks first");
        assert_carries(&mut self.client, &mut self.served, b"and is answered");
    }
}

#[test]
fn an_app_does_not_reach_the_host_by_broadcast() {
    World::run(|world| {
        world.network.create(A, 0).unwrap();
        let receiver = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, PORT)).unwrap();
        receiver.set_read_timeout(Some(SILENCE)).unwrap();
        let shout = || {
            world.inside(A, || {
                let sender = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
                sender.set_broadcast(true).unwrap();
                sender.send_to(b"hello", (Ipv4Addr::BROADCAST, PORT)).unwrap();
            });
            receiver.recv(&mut [0; 8])
        };
        assert!(shout().is_err());
        world.network.uninstall().unwrap();
        shout().expect("it is the rules that refuse, not the way");
    });
}

#[test]
fn an_address_of_the_host_that_leads_elsewhere_is_refused_too() {
    World::run(|world| {
        world.network.install().unwrap();
        let app = world.network.create(A, 0).unwrap();
        let _listener = world.outside(|| listen(lab::OUTSIDE_HOST));
        world.outside(|| lab::add_route(app.address, lab::UPLINK_ADDRESS, "down0")).unwrap();
        // As container managers publish a port: on the host's own addresses, before anything else sees the packet.
        lab::lead_own_addresses_to("published", lab::OUTSIDE_HOST).unwrap();
        assert_refused(world.inside(A, || connect(app.gateway)), "a published port from app A");
        world.network.uninstall().unwrap();
        world.inside(A, || connect(app.gateway)).expect("it is the rules that refuse, not the way");
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
