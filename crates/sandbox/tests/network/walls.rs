//! What apps reach and what they do not.

use super::world::*;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, ipproto, recv, sendto, socket_with, sockopt,
};
use sandbox::network::lab;
use sandbox::network::{AppNetwork, Forwarding, NetworkSettings, RulesState};
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;

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
