//! What a sandboxed process is and sees. What it cannot do is in `hostile`.

use crate::waiting::until;
use crate::world::{APP, Case, ENVIRONMENT, OTHER_APP, World, app_id};
use sandbox::spec::ProcessSpec;
use std::collections::BTreeMap;

pub const CASES: &[Case] = &[
    ("identity_is_the_apps_without_privilege", identity),
    ("the_file_system_is_the_slug_and_little_else", files),
    ("tmp_is_private", private_tmp),
    ("other_processes_are_not_visible", other_processes),
    ("the_environment_arrives_and_is_seen_by_nobody_else", environment),
    ("ids_and_names_inside_are_the_sandboxes_own", names),
    ("devices_and_proc_are_the_harmless_part", devices),
    ("processes_of_an_app_reach_each_other_and_no_other_app", another_app),
];

fn identity(world: &World) {
    let ended = world.run_line("cat /proc/self/status; id -u; id -g; id -G; ulimit -c");
    let lines = ended.lines.stdout();
    let status: BTreeMap<&str, &str> = lines.iter().filter_map(|line| line.split_once(":\t")).collect();
    let uid = (2_000_000 + 2 * APP).to_string();
    let four = format!("{uid}\t{uid}\t{uid}\t{uid}");
    assert_eq!((status["Uid"], status["Gid"]), (four.as_str(), four.as_str()));
    assert_eq!(status["Groups"].trim(), "");
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(status[set], "0000000000000000", "{set}");
    }
    assert_eq!((status["NoNewPrivs"], status["Seccomp"]), ("1", "2"));
    assert_eq!(status["SigBlk"], "0000000000000000");
    assert_eq!(status["SigIgn"], "0000000000000000", "not even SIGPIPE, which our own programs ignore");
    assert_eq!(&lines[lines.len() - 4..], &[uid.clone(), uid.clone(), uid, "0".to_owned()]);
}

fn files(world: &World) {
    let ended = world.run_line("cat greeting; pwd; ls /");
    let lines = ended.lines.stdout();
    assert_eq!(&lines[..2], ["hello from the slug", "/app"]);
    assert!(!lines.contains(&"sys".to_owned()) && !lines.contains(&"work".to_owned()), "{lines:?}");
}

fn private_tmp(world: &World) {
    let mark = format!("/tmp/dozen-mark-{}", world.next_process());
    std::fs::write(&mark, "the host's").unwrap();
    let first =
        world.spec(&format!("cat {mark}; echo mine > {mark}; cat {mark}; stat -c %a /tmp; sleep 600"));
    world.start(&first);
    world.until_line(first.process, "1777");
    let second = world.run_line(&format!("ls /tmp; echo end; touch {mark} /dev/shm/x && echo writable"));
    assert_eq!(second.lines.stdout(), ["end", "writable"]);
    assert_eq!(world.lines(first.process).stdout(), ["mine", "1777"]);
    assert_eq!(std::fs::read_to_string(&mark).unwrap(), "the host's");
    std::fs::remove_file(&mark).unwrap();
    world.remove(first.process);
}

fn other_processes(world: &World) {
    let neighbour = world.spec("echo neighbour; sleep 600");
    world.start(&neighbour);
    world.until_line(neighbour.process, "neighbour");
    let lines = world.run_line("echo /proc/[0-9]*; echo $$; ls /proc/1/fd").lines.stdout();
    // The init belongs to the same user but is not dumpable: hidden. The shell is the second process.
    assert_eq!(lines, ["/proc/2", "2"]);
    world.remove(neighbour.process);
}

fn environment(world: &World) {
    let spec = world.spec("/.dozen/dozen inside environment; echo ready; sleep 600; true");
    world.start(&spec);
    world.until_line(spec.process, "ready");
    let lines = world.lines(spec.process).stdout();
    for (name, value) in ENVIRONMENT {
        assert!(lines.contains(&format!("{name}={value}")), "{name}: {lines:?}");
    }
    assert!(!lines.iter().any(|line| line.starts_with("DOZEN") || line.starts_with("CARGO")), "{lines:?}");
    let (_, secret) = ENVIRONMENT[2];
    for file in files_below(world.data.root()) {
        let inside_log = file.starts_with(world.data.logs());
        let content = std::fs::read(&file).unwrap_or_default();
        assert!(inside_log || !contains(&content, secret.as_bytes()), "{} holds a value", file.display());
    }
    assert_no_process_shows(world, &spec, secret);
    world.remove(spec.process);
}

/// Only the app's own processes hold the value, and they show it to root and to themselves alone.
fn assert_no_process_shows(world: &World, spec: &ProcessSpec, secret: &str) {
    let app_uid = 2_000_000 + 2 * spec.app_index;
    until("the shell and its child hold it, and nobody else", || {
        let holders = holders(secret);
        assert!(holders.iter().all(|holder| *holder == (app_uid, 0o400)), "{holders:?}");
        (holders.len() == 2).then_some(())
    });
    let other = ProcessSpec {
        app: app_id(OTHER_APP),
        app_index: OTHER_APP,
        ..world.spec("for p in /proc/[0-9]*; do cat $p/environ; done | tr '\\0' '\\n' | grep -c SECRET_TOKEN")
    };
    let seen = world.run(&other).lines.stdout();
    // Its own shell's and those of the pipe's three processes, at most; of the other app's there are two more.
    assert!(seen[0].parse::<u32>().is_ok_and(|count| (1..=4).contains(&count)), "{seen:?}");
}

/// Owner and mode of every process's environment on this machine that holds the value. No argument list may.
fn holders(secret: &str) -> Vec<(u32, u32)> {
    use std::os::unix::fs::MetadataExt;
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let path = entry.path();
        let arguments = std::fs::read(path.join("cmdline")).unwrap_or_default();
        assert!(!contains(&arguments, secret.as_bytes()), "{} has it in its arguments", path.display());
        let environment = std::fs::read(path.join("environ")).unwrap_or_default();
        if contains(&environment, secret.as_bytes())
            && let Ok(metadata) = std::fs::metadata(path.join("environ"))
        {
            found.push((metadata.uid(), metadata.mode() & 0o777));
        }
    }
    found
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

fn files_below(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => files.extend(files_below(&entry.path())),
            Ok(kind) if kind.is_file() => files.push(entry.path()),
            Ok(_) | Err(_) => {}
        }
    }
    files
}

fn names(world: &World) {
    let ended = world.run_line(
        "hostname; whoami; getent hosts localhost | tail -1 | tr -s ' '; getent hosts $(hostname) | head -1 | tr -s ' '; \
         cat /proc/self/cgroup | cut -d: -f3 | sort -u; ls -d /sys 2>&1 | head -1; readlink /bin; ls /etc/passwd",
    );
    let lines = ended.lines.stdout();
    assert_eq!(&lines[..2], ["worker-1", "app"], "{lines:?}");
    assert!(lines[2].ends_with("localhost") && lines[3].contains("worker-1"), "{lines:?}");
    assert!(
        !lines.join("\n").contains(&app_id(APP).to_string()),
        "no control group path of the host: {lines:?}"
    );
    assert!(lines.contains(&"/etc/passwd".to_owned()));
}

fn devices(world: &World) {
    let ended = world.run_line(
        "ls /dev | sort | tr '\\n' ' '; echo; echo x > /dev/null && head -c 4 /dev/zero | wc -c; head -c 4 /dev/urandom | wc -c; \
         cat /proc/kallsyms | wc -c; cat /proc/interrupts | wc -c; echo out > /dev/stdout; echo err > /dev/stderr; \
         cat /proc/cpuinfo > /dev/null && echo cpuinfo",
    );
    assert_eq!(
        ended.lines.stdout(),
        [
            "fd full null ptmx pts random shm stderr stdin stdout tty urandom zero ",
            "4",
            "4",
            "0",
            "0",
            "out",
            "cpuinfo"
        ]
    );
    assert_eq!(ended.lines.of(journal::Stream::Stderr), ["err"]);
}

fn another_app(world: &World) {
    let web = world.web("/.dozen/dozen inside listen 0.0.0.0:7100", 7100);
    world.start(&web);
    world.until_up(web.process);
    let address = web.endpoint.unwrap().0;
    let (ip, port) = (address.ip(), address.port());
    let knock = format!("(exec 3<>/dev/tcp/{ip}/{port}) 2>/dev/null && echo reached || echo refused");
    let own = world.run_line(&knock);
    assert_eq!(own.lines.stdout(), ["reached"], "a process of the same app");
    let other =
        world.run(&ProcessSpec { app: app_id(OTHER_APP), app_index: OTHER_APP, ..world.spec(&knock) });
    assert_eq!(other.lines.stdout(), ["refused"]);
    assert!(std::net::TcpStream::connect(address).is_ok(), "the host, where the router lives");
    world.remove(web.process);
}
