//! A disk without room: apps go on, their ends are recorded, and everything recovers when there is room again.

use crate::waiting::until;
use crate::world::{APP, Case, ENVIRONMENT, World, app_id};
use domain::observed::ProcessState;
use domain::process::ExitStatus;
use rustix::mount::{MountFlags, UnmountFlags};
use sandbox::control;
use sandbox::environment::SealedEnvironment;
use sandbox::protocol::RefusalReason;
use std::io::Write;
use std::path::Path;

pub const CASES: &[Case] = &[("a_full_disk_delays_facts_and_hurts_no_app", full_disk)];

/// Takes all the room there is.
fn fill(folder: &Path) {
    let mut file = std::fs::File::create(folder.join("ballast")).unwrap();
    let block = [7_u8; 4096];
    while file.write_all(&block).is_ok() {}
}

fn full_disk(world: &World) {
    let disk = world.path().join("disk");
    std::fs::create_dir(&disk).unwrap();
    rustix::mount::mount("tmpfs", &disk, "tmpfs", MountFlags::empty(), c"size=8m").unwrap();
    let small = world.beside_at(&disk, &[]);
    small.connect().create_network(app_id(APP), APP).unwrap();
    ends_are_recorded(&small, &disk);
    readiness_comes_late(&small, &disk);
    assert_eq!(small.end(), [""; 0]);
    rustix::mount::unmount(&disk, UnmountFlags::DETACH).unwrap();
}

fn ends_are_recorded(small: &World, disk: &Path) {
    let spec = small.spec("trap 'exit 9' TERM; echo before; while :; do sleep 0.05; done");
    small.start(&spec);
    small.until_line(spec.process, "before");
    until("room for its end has been taken", || {
        small.data.process(spec.process).join(".exit.reserved").exists().then_some(())
    });
    fill(disk);
    let environment = SealedEnvironment::seal(ENVIRONMENT).unwrap();
    let refused = small.connect().spawn(&small.spec("true"), &environment, &[]).unwrap_err();
    assert_eq!(refused.refusal(), Some(RefusalReason::Failed));
    assert!(refused.to_string().contains("No space left on device"), "{refused}");
    control::stop(&small.data, spec.process).unwrap();
    let exit = until("its end is recorded", || match small.state(spec.process) {
        Some(ProcessState::Exited(exit)) => Some(exit),
        _ => None,
    });
    assert_eq!((exit.status, exit.stop_requested), (ExitStatus::Code(9), true));
    std::fs::remove_file(disk.join("ballast")).unwrap();
    small.remove(spec.process);
}

fn readiness_comes_late(small: &World, disk: &Path) {
    let line = "until [ -e /tmp/go ]; do sleep 0.05; [ $SECONDS -ge 1 ] && touch /tmp/go; done; \
                exec /.dozen/dozen inside listen 0.0.0.0:7400";
    let web = small.web(line, 7400);
    small.start(&web);
    fill(disk);
    until("it accepts", || std::net::TcpStream::connect(web.endpoint.unwrap().0).ok());
    assert_eq!(small.state(web.process), Some(ProcessState::Starting), "there is no room to say so");
    std::fs::remove_file(disk.join("ballast")).unwrap();
    small.until_up(web.process);
    small.remove(web.process);
}
