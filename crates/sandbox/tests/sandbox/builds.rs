//! Steps of a build: other mounts, another user.

use crate::waiting::until;
use crate::world::{APP, Case, World, app_id};
use domain::ids::BuildId;
use domain::process::ExitStatus;
use sandbox::protocol::RefusalReason;
use sandbox::spec::{Kind, Passed, ProcessSpec, Stdio, Toolchain};
use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;

pub const CASES: &[Case] = &[
    ("a_build_sees_source_cache_and_a_folder_of_its_own", mounts),
    ("steps_of_one_build_share_its_folder_until_it_is_removed", steps),
];

const BUILD_UID: u32 = 2_000_000 + 2 * APP + 1;

fn build(world: &World, build: BuildId, line: &str) -> ProcessSpec {
    let source = world.data.build_source(build);
    std::fs::create_dir_all(&source).unwrap();
    std::fs::write(source.join("Procfile"), "web: true\n").unwrap();
    ProcessSpec {
        kind: Kind::Build { build },
        display_name: "build".to_owned(),
        stdio: Stdio::Passed(Passed::Three),
        toolchain: Some(Toolchain::Rust),
        ..world.spec(line)
    }
}

/// Its exit status and what it printed.
fn run(world: &World, spec: &ProcessSpec) -> (ExitStatus, String) {
    let (reading, writing) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
    let null = File::open("/dev/null").unwrap();
    world.start_with(spec, &[null.as_fd(), writing.as_fd(), writing.as_fd()]);
    drop(writing);
    let mut text = String::new();
    File::from(reading).read_to_string(&mut text).unwrap();
    (world.until_ended(spec.process).exit.status, text)
}

fn new_build(world: &World) -> BuildId {
    BuildId::from_uuid(*world.next_process().as_uuid())
}

fn mounts(world: &World) {
    let id = new_build(world);
    let line = "id -u; pwd; cat /src/Procfile; touch /src/x 2>/dev/null || echo source is read-only; \
                echo made > made && cat made; echo kept >> /cache/kept && cat /cache/kept; \
                touch /opt/rust/x 2>/dev/null || echo toolchain is read-only; ls /opt/rust | head -1 | wc -l; \
                /.dozen/dozen inside environment | grep -c SECRET_TOKEN; umask";
    let spec = build(world, id, line);
    let (status, text) = run(world, &spec);
    let expected = format!(
        "{BUILD_UID}\n/app\nweb: true\nsource is read-only\nmade\nkept\ntoolchain is read-only\n1\n1\n0022\n"
    );
    assert_eq!((status, text), (ExitStatus::Code(0), expected));
    assert_eq!(std::fs::metadata(world.data.cache(app_id(APP)).join("kept")).unwrap().uid(), BUILD_UID);
    assert!(
        !world.data.log(domain::ids::WriterId::of_process(spec.process)).exists(),
        "a build has no journal"
    );
    let (_, again) = run(world, &build(world, new_build(world), "cat /cache/kept; ls"));
    assert_eq!(again, "kept\n", "the cache is the app's, the folder is not");
    // The exit record is there a moment before the shim is gone; until then the cache counts as in use.
    let removed = (0..100).any(|_| {
        let removed = world.connect().remove_cache(app_id(APP));
        removed.is_ok() || {
            std::thread::sleep(std::time::Duration::from_millis(50));
            false
        }
    });
    assert!(removed, "the cache can be removed once its builds have ended");
    let (_, empty) = run(world, &build(world, new_build(world), "ls /cache | wc -l"));
    assert_eq!(empty, "0\n");
    let app = world.run_line("ls -d /src /cache /opt 2>/dev/null; echo end");
    assert_eq!(app.lines.stdout(), ["end"], "processes of a release have none of it");
}

fn steps(world: &World) {
    let id = new_build(world);
    let first = build(world, id, "echo from the first > shared");
    assert_eq!(run(world, &first), (ExitStatus::Code(0), String::new()));
    let second = build(world, id, "cat shared; sleep 600");
    let null = File::open("/dev/null").unwrap();
    let (reading, writing) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
    world.start_with(&second, &[null.as_fd(), writing.as_fd(), null.as_fd()]);
    drop(writing);
    let mut bytes = [0; 15];
    File::from(reading).read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"from the first\n");
    let refused = world.connect().remove_build(id).unwrap_err();
    assert_eq!(refused.refusal(), Some(RefusalReason::Busy));
    assert_eq!(world.connect().remove_cache(app_id(APP)).unwrap_err().refusal(), Some(RefusalReason::Busy));
    world.remove(second.process);
    world.remove(first.process);
    world.connect().remove_build(id).unwrap();
    world.connect().remove_build(id).unwrap();
    assert!(!world.data.build_work(id).exists());
    until("it is gone from the disk", || {
        (std::fs::read_dir(world.data.build_works())
            .unwrap()
            .flatten()
            .all(|entry| !entry.file_name().to_string_lossy().contains(&id.to_string())))
        .then_some(())
    });
}
