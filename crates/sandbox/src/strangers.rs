//! What the launcher and the shims do with a message before they act: the parts that need no machine, each called as they call it.
//! For fuzzing and for the tests that replay its corpora; nothing else uses it.
//!
//! Strangers cannot reach those sockets. A server that has been taken over can, and could send any bytes: each function must return
//! for all of them, and states by assertions what holds of a request that is understood.

use crate::launcher::{LauncherSettings, may_ask};
use crate::layout::DataFolder;
use crate::network::AppRange;
use crate::protocol::{ControlMessage, MAX_MESSAGE_BYTES, Request, RequestMessage};
use crate::spec::{Kind, MAX_APP_INDEX, ProcessSpec};
use domain::ids::WriterId;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::{Component, Path, PathBuf};

const DATA: &str = "/data";

/// A message to the launcher.
pub fn launcher(bytes: &[u8]) {
    let Some(RequestMessage { request, .. }) = read(bytes) else { return };
    assert_judged(&request);
    match &request {
        Request::Spawn { spec } => assert_stays_within(spec),
        Request::NetworkCreate { app, index } => {
            assert_beneath(&data().network(*app), 3);
            let address = AppRange::DEFAULT.address_of(*index);
            assert!(address.is_none_or(|address| AppRange::DEFAULT.range().contains(address)));
        }
        Request::NetworkRemove { app } => assert_beneath(&data().network(*app), 3),
        Request::CacheRemove { app } => assert_beneath(&data().cache(*app), 2),
        Request::ProcessRemove { process } | Request::ShimRenew { process } => {
            assert_beneath(&data().process(*process), 3);
        }
        Request::BuildRemove { build } => assert_beneath(&data().build_work(*build), 3),
        Request::Hello { .. }
        | Request::NetworkInspect
        | Request::Listeners { .. }
        | Request::DaemonStart { .. }
        | Request::DaemonStop { .. }
        | Request::Status
        | Request::Shutdown => {}
    }
}

/// A message to a shim.
pub fn shim(bytes: &[u8]) {
    let _: Option<ControlMessage> = read(bytes);
}

/// Reads a document as a socket's owner does. What was read is written and reads the same again.
fn read<T: DeserializeOwned + Serialize + PartialEq>(bytes: &[u8]) -> Option<T> {
    if bytes.len() > MAX_MESSAGE_BYTES {
        return None;
    }
    let document: T = serde_json::from_slice(bytes).ok()?;
    let written = serde_json::to_vec(&document).expect("what was read can be written");
    let again: T = serde_json::from_slice(&written).expect("what was written can be read");
    assert!(again == document, "{}", String::from_utf8_lossy(&written));
    Some(document)
}

/// Without a greeting a server learns how things are, and nothing more; and it never ends the launcher.
fn assert_judged(request: &Request) {
    let harmless = matches!(request, Request::Status | Request::NetworkInspect);
    if !matches!(request, Request::Hello { .. }) {
        assert_eq!(may_ask(request, None), harmless);
        assert_eq!(may_ask(request, Some(1)), !matches!(request, Request::Shutdown));
    }
}

fn data() -> DataFolder {
    DataFolder::new(DATA)
}

/// Paths and users of a spec are an app's own, whatever it says.
fn assert_stays_within(spec: &ProcessSpec) {
    let data = data();
    assert_beneath(&data.process(spec.process), 3);
    assert_beneath(&data.log(WriterId::of_process(spec.process)), 2);
    assert_beneath(&data.network(spec.app), 3);
    assert_beneath(&data.cache(spec.app), 2);
    match &spec.kind {
        Kind::Process { slug, .. } => assert_beneath(&data.slug_tree(slug), 3),
        Kind::Build { build } => {
            assert_beneath(&data.build_work(*build), 3);
            assert_beneath(&data.build_source(*build), 3);
        }
    }
    let settings = LauncherSettings::new(data);
    let range = settings.app_uid_base..settings.app_uid_base + 2 * MAX_APP_INDEX;
    for user in [settings.app_user(spec.app_index), settings.build_user(spec.app_index)] {
        let valid = spec.validate().is_ok();
        assert!(user.is_some() || !valid, "a spec that can be run has a user");
        assert!(user.is_none_or(|user| range.contains(&user.uid) && range.contains(&user.gid)));
    }
}

/// So many plain names below the data folder.
fn assert_beneath(path: &Path, names: usize) {
    let below: PathBuf = path.strip_prefix(DATA).expect("below the data folder").to_owned();
    let all_plain = below.components().all(|component| matches!(component, Component::Normal(_)));
    assert!(all_plain && below.components().count() == names, "{}", path.display());
}
