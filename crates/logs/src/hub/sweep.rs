//! Carrying out [`plan_deletions`]: segments, and folders of writers that are gone.

use crate::index::{Index, SegmentFacts, SegmentState};
use crate::retention::{Growth, Held, plan_deletions};
use crate::settings::Retention;
use domain::ids::{AppId, WriterId};
use journal::{AppsSeen, Liveness, Stamp, WriterFolder};
use std::collections::BTreeSet;
use std::time::UNIX_EPOCH;

/// An empty folder is left for this long: the launcher makes it a moment before its writer begins.
const EMPTY_FOLDER_SECONDS: u64 = 60 * 60;

/// Deletes what is to be deleted now.
pub(super) fn sweep(index: &mut Index, retention: Retention, now: Stamp) {
    index.refresh();
    index.drop_vanished_segments();
    let held: Vec<Held> =
        index.writers().map(|(writer, _)| writer).flat_map(|writer| held_by(index, writer)).collect();
    for (writer, number) in plan_deletions(&held, retention, now.wall_micros) {
        delete(index, writer, number);
    }
    let empty: Vec<_> =
        index.writers().filter(|(_, segments)| segments.is_empty()).map(|(writer, _)| writer).collect();
    for writer in empty {
        remove_folder(index, writer, now);
    }
}

/// Deletes all that only `app` has written and that cannot grow any more; folders that are empty then go at once.
pub(super) fn delete_app(index: &mut Index, app: AppId) {
    index.refresh();
    index.drop_vanished_segments();
    let of_app = index.writers().filter(|(_, segments)| is_all_of(segments, app));
    let writers: Vec<WriterId> = of_app.map(|(writer, _)| writer).collect();
    for writer in writers {
        let ended = held_by(index, writer).into_iter().filter(|segment| segment.growth == Growth::Ended);
        for segment in ended {
            delete(index, writer, segment.number);
        }
        if index.segments_of(writer).is_empty() {
            remove_empty_folder(index, writer);
        }
    }
}

/// Apps of which there are lines that only they have written.
pub(super) fn apps(index: &mut Index) -> BTreeSet<AppId> {
    index.refresh();
    let seen = index.writers().flat_map(|(_, segments)| segments).map(|segment| segment.apps);
    seen.filter_map(|apps| if let AppsSeen::One(app) = apps { Some(app) } else { None }).collect()
}

fn is_all_of(segments: &[SegmentFacts], app: AppId) -> bool {
    !segments.is_empty() && segments.iter().all(|segment| segment.apps == AppsSeen::One(app))
}

fn held_by(index: &Index, writer: WriterId) -> Vec<Held> {
    let segments = index.segments_of(writer);
    let ends_open = segments.last().is_some_and(|last| last.state != SegmentState::Sealed);
    let may_grow = ends_open && is_alive(index, writer);
    let last = segments.last().map(|last| last.number);
    let held = segments.iter().map(|segment| Held {
        writer,
        number: segment.number,
        bytes: segment.bytes,
        last_order: segment.last_order,
        modified_seconds: segment.modified_seconds,
        apps: segment.apps,
        growth: if may_grow && Some(segment.number) == last { Growth::Possible } else { Growth::Ended },
    });
    held.collect()
}

/// In doubt it lives.
fn is_alive(index: &Index, writer: WriterId) -> bool {
    let liveness = WriterFolder::open(&index.folder_of(writer)).and_then(|folder| folder.liveness());
    !matches!(liveness, Ok(Liveness::Gone))
}

fn delete(index: &mut Index, writer: WriterId, number: u64) {
    let Ok(folder) = WriterFolder::open(&index.folder_of(writer)) else { return };
    let segments = index.segments_of(writer);
    let is_open_end =
        segments.last().is_some_and(|last| last.number == number && last.state != SegmentState::Sealed);
    // A writer that began since the plan was made keeps its segment; none can begin while `folder` is held.
    if is_open_end && !matches!(folder.liveness(), Ok(Liveness::Gone)) {
        return;
    }
    match folder.remove_segment(number) {
        Ok(()) => index.forget_segment(writer, number),
        Err(error) => {
            tracing::warn!(%writer, number, error = &error as &dyn std::error::Error, "cannot delete a log segment")
        }
    }
}

/// A writer's folder that has been empty for a while.
fn remove_folder(index: &mut Index, writer: WriterId, now: Stamp) {
    let path = index.folder_of(writer);
    let Ok(modified) = path.metadata().and_then(|metadata| metadata.modified()) else { return };
    let modified_seconds = modified.duration_since(UNIX_EPOCH).map_or(0, |age| age.as_secs());
    if (now.wall_micros / 1_000_000).saturating_sub(modified_seconds) < EMPTY_FOLDER_SECONDS {
        return;
    }
    remove_empty_folder(index, writer);
}

fn remove_empty_folder(index: &mut Index, writer: WriterId) {
    let path = index.folder_of(writer);
    let Ok(folder) = WriterFolder::open(&path) else { return };
    let gone = matches!(folder.liveness(), Ok(Liveness::Gone));
    // Fails if it is not empty after all.
    if gone && std::fs::remove_dir(&path).is_ok() {
        index.forget(writer);
    }
}
