//! Messages that no honest server sends: bytes of any kind, requests with something hostile in the place of a value, too much, and
//! descriptors that nobody announced.

use proptest::prelude::*;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags};
use sandbox::environment::SealedEnvironment;
use sandbox::protocol::{ControlRequest, Daemon, ListenerName, Request};
use sandbox::spec::{ProcessSpec, WindowSize};
use serde_json::{Value, json};
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

/// Longest that an answer is waited for: a bound that only a fault reaches.
const PATIENCE: Duration = Duration::from_secs(20);
const SOON: Duration = Duration::from_millis(20);
/// The kernel takes no more at once.
const MOST_DESCRIPTORS: usize = 253;
const MAX_REPLY_BYTES: usize = 64 * 1024;

/// One message, and how it is sent.
#[derive(Debug, Clone)]
pub struct Blow {
    pub greets: bool,
    pub bytes: Vec<u8>,
    pub descriptors: usize,
    /// Of what the first of them is: a sealed environment where it should be one.
    pub sealed: bool,
    pub hangs_up: bool,
}

/// What came back.
pub enum Told {
    Answer(Value),
    Closed,
    Nothing,
}

impl Told {
    /// `done`, the reason of a refusal, `closed`, ...
    pub fn word(&self) -> String {
        match self {
            Self::Answer(answer) => match &answer["response"] {
                response if response.get("Ok").is_some() => "done".to_owned(),
                response => response["Err"]["reason"].as_str().unwrap_or("refused").to_owned(),
            },
            Self::Closed => "closed".to_owned(),
            Self::Nothing => "nothing".to_owned(),
        }
    }
}

/// One of each request, the spawn with this spec.
pub fn requests(spec: &ProcessSpec) -> Vec<Value> {
    let (app, process, index) = (spec.app, spec.process, spec.app_index);
    [
        Request::Spawn { spec: spec.clone() },
        Request::Hello { incarnation: 1 },
        Request::NetworkCreate { app, index },
        Request::NetworkRemove { app: domain::ids::AppId::from_u128(0xbad) },
        Request::ProcessRemove { process },
        Request::NetworkInspect,
        Request::BuildRemove { build: domain::ids::BuildId::from_u128(0xbad) },
        Request::CacheRemove { app },
        Request::Listeners { name: ListenerName::Http },
        Request::DaemonStart { daemon: Daemon::Router },
        Request::DaemonStop { daemon: Daemon::Server },
        Request::Status,
        Request::Shutdown,
    ]
    .iter()
    .map(|request| serde_json::to_value(request).unwrap())
    .collect()
}

/// What is asked of a shim, without what ends the process.
pub fn control_requests() -> Vec<Value> {
    [
        ControlRequest::Diagnose,
        ControlRequest::Attach,
        ControlRequest::Resize(WindowSize { rows: 24, columns: 80 }),
        ControlRequest::Usage,
    ]
    .iter()
    .map(|request| serde_json::to_value(request).unwrap())
    .collect()
}

pub fn any_blow(requests: Vec<Value>) -> impl Strategy<Value = Blow> {
    let bytes = prop_oneof![
        1 => proptest::collection::vec(any::<u8>(), 0..600),
        1 => Just(vec![b'['; 60_000]),
        1 => Just(vec![b' '; 70_000]),
        12 => spoilt(requests.clone()),
        2 => (spoilt(requests), any::<proptest::sample::Index>()).prop_map(|(mut bytes, at)| {
            bytes.truncate(at.index(bytes.len()));
            bytes
        }),
    ];
    let descriptors = prop_oneof![6 => Just(1), 3 => 0..6_usize, 1 => 60..=MOST_DESCRIPTORS];
    let often = || proptest::bool::weighted(0.8);
    (often(), bytes, descriptors, often(), proptest::bool::weighted(0.1)).prop_map(
        |(greets, bytes, descriptors, sealed, hangs_up)| Blow {
            greets,
            bytes,
            descriptors,
            sealed,
            hangs_up,
        },
    )
}

/// A request with none, one or two of its values replaced.
fn spoilt(requests: Vec<Value>) -> impl Strategy<Value = Vec<u8>> {
    let change = || (any::<proptest::sample::Index>(), hostile());
    let request = proptest::sample::select(requests);
    // One in three as it should be, so that what comes after the checks is struck as well.
    let changes = prop_oneof![1 => Just(Vec::new()), 2 => proptest::collection::vec(change(), 1..3)];
    (request, changes).prop_map(|(request, changes)| {
        let mut message = json!({"format": 1, "request": request});
        for (at, value) in changes {
            let places = places(&message);
            if let Some(place) = message.pointer_mut(&places[at.index(places.len())]) {
                *place = value;
            }
        }
        message.to_string().into_bytes()
    })
}

fn hostile() -> impl Strategy<Value = Value> {
    proptest::sample::select(vec![
        json!("../../../etc/passwd"),
        json!("/"),
        json!(""),
        json!("a\0b"),
        json!("x".repeat(50_000)),
        json!(-1),
        json!(0),
        json!(1),
        json!(1.5),
        json!(u32::MAX),
        json!(u64::MAX),
        json!(null),
        json!(true),
        json!([]),
        json!({}),
        json!("00000000-0000-0000-0000-00000000dead"),
        json!({"passed": "four"}),
        json!({"held": {"terminal": {"rows": 65_535, "columns": 65_535}}}),
        json!({"held": "pipes"}),
        json!({"build": {"build": "00000000-0000-0000-0000-00000000dead"}}),
    ])
}

/// Every place of a document, as pointers; the whole is not one of them.
fn places(value: &Value) -> Vec<String> {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(map) => map.iter().map(|(name, value)| (name.clone(), value)).collect(),
        Value::Array(list) => list.iter().enumerate().map(|(at, value)| (at.to_string(), value)).collect(),
        _ => Vec::new(),
    };
    let deeper = |(name, value): (String, &Value)| {
        let below = places(value).into_iter().map(|place| format!("/{name}{place}")).collect::<Vec<_>>();
        [vec![format!("/{name}")], below].concat()
    };
    children.into_iter().flat_map(deeper).collect()
}

/// Connects as a user: one thread becomes that user, and ends.
pub fn connect_as(uid: u32, path: &Path) -> OwnedFd {
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
    let address = SocketAddrUnix::new(path).expect("a temporary folder with a short name");
    let connecting = std::thread::spawn(move || {
        become_user(i64::from(uid));
        let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        connect(&socket, &address).map(|()| socket)
    });
    let connected = connecting.join().unwrap();
    // A change of user closes the whole program's memory to others, whom other cases look at it as.
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::Dumpable).unwrap();
    connected.unwrap_or_else(|errno| panic!("connecting to {}: {errno}", path.display()))
}

/// Of this thread alone, which the C library's own calls would not do.
fn become_user(uid: i64) {
    let keep = -1_i64;
    // SAFETY: numbers; the thread ends right after.
    let changed = unsafe {
        libc::syscall(libc::SYS_setresgid, uid, uid, keep)
            + libc::syscall(libc::SYS_setresuid, uid, uid, keep)
    };
    assert_eq!(changed, 0);
}

/// Sends it and hears what comes.
pub fn strike(socket: OwnedFd, blow: &Blow) -> Told {
    let environment = SealedEnvironment::seal([("PATH", "/usr/bin:/bin")]).unwrap();
    let null = File::open("/dev/null").unwrap();
    let first = if blow.sealed { environment.as_fd() } else { null.as_fd() };
    let descriptors: Vec<BorrowedFd<'_>> =
        std::iter::once(first).chain(std::iter::repeat(null.as_fd())).take(blow.descriptors).collect();
    say(socket.as_fd(), &blow.bytes, &descriptors);
    if blow.hangs_up {
        return Told::Closed;
    }
    hear(socket.as_fd())
}

/// The other side may have closed meanwhile.
pub fn say(socket: BorrowedFd<'_>, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) {
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    assert!(descriptors.is_empty() || ancillary.push(SendAncillaryMessage::ScmRights(descriptors)));
    let parts = [std::io::IoSlice::new(bytes)];
    let _ = rustix::net::sendmsg(socket, &parts, &mut ancillary, SendFlags::NOSIGNAL);
}

pub fn say_if_there_is_room(socket: BorrowedFd<'_>, bytes: &[u8]) {
    let _ = rustix::net::send(socket, bytes, SendFlags::NOSIGNAL | SendFlags::DONTWAIT);
}

pub fn hear(socket: BorrowedFd<'_>) -> Told {
    hear_within(socket, PATIENCE)
}

pub fn hear_soon(socket: BorrowedFd<'_>) -> Told {
    hear_within(socket, SOON)
}

/// Descriptors beside an answer are let go by the kernel: no room is given for them.
fn hear_within(socket: BorrowedFd<'_>, patience: Duration) -> Told {
    use rustix::net::sockopt::{Timeout, set_socket_timeout};
    set_socket_timeout(socket, Timeout::Recv, Some(patience)).unwrap();
    let mut bytes = vec![0; MAX_REPLY_BYTES];
    match rustix::net::recv(socket, &mut bytes, RecvFlags::empty()) {
        Ok((0, _)) | Err(rustix::io::Errno::CONNRESET) => Told::Closed,
        Ok((count, _)) => Told::Answer(serde_json::from_slice(&bytes[..count]).unwrap()),
        Err(rustix::io::Errno::AGAIN) => Told::Nothing,
        Err(errno) => panic!("{errno}"),
    }
}
