//! A disk that is full under the ledger: clear errors, nothing half-done, recovery when there is room again.

use super::*;
use crate::error::Kind;
use std::fs::File;
use std::io::Write;
use std::process::Command;

/// A small file system of its own; unmounted when dropped. `None` where none may be mounted.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=3m", "tmpfs"]).arg(folder.path()).status();
        mounted.is_ok_and(|status| status.success()).then_some(Self(folder))
    }

    fn fill(&self) -> PathBuf {
        let path = self.0.path().join("filler");
        let mut file = File::create(&path).unwrap();
        while file.write_all(&[1; 4096]).is_ok() {}
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_is_told_and_survived() {
    let Some(disk) = SmallDisk::mount() else {
        eprintln!("skipped: no file system may be mounted here");
        return;
    };
    let place = disk.0.path().to_owned();
    let mut world = World::start_with(move |settings| settings.ledger_folder = place.join("ledger"));
    let (id, app) = world.app("hello");
    world.push(&app, 1);
    world.until_running(id, &["web.1 v1"]);
    let filler = disk.fill();
    let big =
        |n: u64| [("BIG".parse().unwrap(), Some(Secret::new(format!("{n:>60000}"))))].into_iter().collect();
    // The ledger's log may have some room left from before; then it is used up.
    let refused = (0..100).find_map(|n| ops::config::patch(&world.engine, &world.admin, &app, &big(n)).err());
    let refused = refused.expect("a full disk is noticed");
    assert_eq!(refused.kind(), Kind::Unavailable, "{refused:?}");
    assert!(refused.message().contains("full"), "{refused}");
    assert!(refused.hints()[0].contains("space"), "{:?}", refused.hints());
    let before = ops::releases::list(&world.engine, &world.admin, &app).unwrap().len();
    assert_eq!(world.running(id).len(), 1, "what runs, runs on");
    // A build that ends now ends for its caller, whatever the ledger can take.
    std::fs::remove_file(&filler).unwrap();
    let after = world.set(&app, "SMALL", Some("1")).unwrap();
    assert_eq!(after.version.0 as usize, before + 1, "nothing was half-written");
    assert_eq!(world.ended(&app, &ReleaseRef::Head).status, ReleaseStatus::Succeeded);
    world.engine.shutdown();
    drop(std::mem::replace(&mut world.folder, tempfile::tempdir().unwrap()));
}
