//! The form of an ordinary user: everything that people do in their first hour, what protects apps in this form, and what does not.
//! Run by root, each test is played by a user that nobody knows (see `support::ordinary`).

mod support;

use serde_json::Value;
use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener, TcpStream};
use support::eventually;
use support::ordinary::{plays, processes_of};
use support::pushing::Push;
use support::repository::Repository;
use support::server::Server;

/// Ports that strangers hold before any app starts, the first that would be given out among them.
const STRANGERS: [u16; 3] = [20_000, 20_001, 20_003];

#[test]
fn a_first_hour_as_an_ordinary_user() {
    if !plays("a_first_hour_as_an_ordinary_user") {
        return;
    }
    let strangers = STRANGERS.map(|port| TcpListener::bind(("0.0.0.0", port)).expect("the port is free"));
    let mut server = Server::start();
    the_weaker_form_is_told(&server);
    let hello = push_probe(&server, "hello");
    a_static_site(&server);
    many_processes_have_a_port_each(&server);
    drop(strangers);
    config_rollback_and_logs(&server, &hello);
    a_one_off_keeps_every_byte_and_its_code(&server);
    the_sandbox_holds_what_it_can(&server);
    the_network_is_shared_and_nothing_else(&server);
    a_dead_server_is_not_noticed(&server);
    a_dead_launcher_is_found_again(&mut server);
    nothing_is_left(server);
}

fn push_probe(server: &Server, app: &str) -> Repository {
    server.dozen(&["apps:create", app]);
    let repository = Repository::with_probe();
    repository.connect(server, app);
    repository.push(server);
    assert_eq!(server.get(app, "/").json()["release"], "v1");
    repository
}

fn the_weaker_form_is_told(server: &Server) {
    let doctor = server.try_dozen(&["doctor"]);
    let doctor = String::from_utf8_lossy(&doctor.stdout).into_owned();
    println!("---- doctor\n{doctor}");
    let banner = eventually("the banner is whole", 10, || {
        let output = server.output();
        output.contains("no network_namespace (Dozen runs as an ordinary user").then_some(output)
    });
    println!("---- start\n{banner}");
    assert!(banner.contains("WARNING: this server runs as an ordinary user"), "{banner}");
    assert!(doctor.contains("as an ordinary user: apps, server and router share this user's id"), "{doctor}");
    for layer in ["uid_switch", "network_namespace", "cgroup_memory"] {
        let sentence = format!("no {layer} (Dozen runs as an ordinary user");
        for (place, text) in [("the start", &banner), ("doctor", &doctor)] {
            assert!(text.contains(&sentence), "{place} does not say \"{sentence}\":\n{text}");
        }
    }
    assert!(doctor.contains("Apps can be started."), "{doctor}");
}

fn a_static_site(server: &Server) {
    server.dozen(&["apps:create", "site"]);
    let repository = Repository::new();
    repository.write("index.html", "<h1>here</h1>\n");
    repository.commit("a page");
    repository.connect(server, "site");
    repository.push(server);
    assert_eq!(server.get("site", "/").text(), "<h1>here</h1>\n");
}

fn table(server: &Server) -> Value {
    let text = std::fs::read_to_string(server.data().join("routes/table.json")).expect("the table");
    serde_json::from_str(&text).expect("JSON")
}

fn endpoints(server: &Server, app: &str) -> Vec<SocketAddr> {
    let table = table(server);
    let apps = table["apps"].as_array().expect("apps").iter();
    let processes = apps.filter(|route| route["name"] == app).flat_map(|route| route["processes"].as_array());
    let endpoint = |process: &Value| process["endpoint"].as_str().expect("an endpoint").parse();
    processes.flatten().map(|process| endpoint(process).expect("an address")).collect()
}

fn many_processes_have_a_port_each(server: &Server) {
    server.dozen(&["ps:scale", "web=3", "worker=1", "-a", "hello"]);
    let mut seen = BTreeSet::new();
    eventually("all three answer", 30, || {
        seen.insert(server.get("hello", "/").json()["dyno"].as_str().unwrap_or_default().to_owned());
        (seen.len() == 3).then_some(())
    });
    let all: Vec<_> = [endpoints(server, "hello"), endpoints(server, "site")].concat();
    let ports: BTreeSet<u16> = all.iter().map(SocketAddr::port).collect();
    println!("---- endpoints\n{all:?}");
    assert_eq!((all.len(), ports.len()), (4, 4), "{all:?}");
    assert!(ports.iter().all(|port| *port > STRANGERS[0] && !STRANGERS.contains(port)), "{ports:?}");
    assert!(all.iter().all(|endpoint| endpoint.ip().to_string().starts_with("127.77.")), "{all:?}");
    server.dozen(&["ps:scale", "web=2", "worker=1", "-a", "hello"]);
}

fn config_rollback_and_logs(server: &Server, repository: &Repository) {
    server.dozen(&["config:set", "GREETING=hej", "-a", "hello"]);
    eventually("v2 serves", 30, || (server.get("hello", "/").json()["release"] == "v2").then_some(()));
    assert_eq!(server.get("hello", "/env?name=GREETING").text(), "hej");
    repository.write("version", "two\n");
    repository.commit("second");
    repository.push(server);
    assert_eq!(server.get("hello", "/").json()["version"], "two");
    server.dozen(&["rollback", "v1", "-a", "hello"]);
    eventually("v1's code and config serve again", 30, || {
        let back = server.get("hello", "/").json()["version"] == "one";
        (back && server.get("hello", "/env?name=GREETING").text().is_empty()).then_some(())
    });
    eventually("app, platform and router lines", 15, || {
        let logs = server.dozen(&["logs", "-n", "1500", "-a", "hello"]);
        let all = [
            "app[web.1]: listening on",
            "heroku[web.1]: State changed from starting to up",
            "heroku[router]: at=info",
        ];
        all.iter().all(|part| logs.contains(part)).then_some(())
    });
}

fn a_one_off_keeps_every_byte_and_its_code(server: &Server) {
    use std::io::Write;
    use std::process::Stdio;
    let mut command = server.command();
    command.args(["run", "-a", "hello", "--", "cat; exit 7"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("dozen runs");
    let bytes: Vec<u8> = (0..=255u8).cycle().take(200_000).collect();
    let (mut input, sent) = (child.stdin.take().expect("a pipe"), bytes.clone());
    let writer = std::thread::spawn(move || input.write_all(&sent).expect("the process reads"));
    let output = child.wait_with_output().expect("dozen ends");
    writer.join().expect("all was written");
    assert_eq!((output.stdout == bytes, output.status.code()), (true, Some(7)));
}

fn run(server: &Server, app: &str, line: &str) -> Vec<String> {
    server.dozen(&["run", "-a", app, "--", line]).lines().map(str::to_owned).collect()
}

/// What is asserted here succeeds outside: this test has that user's rights.
fn the_sandbox_holds_what_it_can(server: &Server) {
    let own = rustix::process::getuid().as_raw();
    let status = run(server, "hello", "cat /proc/self/status").join("\n");
    for line in ["CapPrm:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"] {
        assert!(status.contains(line), "{line}:\n{status}");
    }
    assert!(status.contains(&format!("Uid:\t{own}\t{own}\t{own}\t{own}")), "{status}");
    let secret = server.folder().join("secret");
    std::fs::write(&secret, "this user's own").expect("a file");
    let key = server.data().join("keys/master");
    let mine = std::process::id();
    for (line, outside) in [
        (format!("cat {}", secret.display()), std::fs::read(&secret).is_ok()),
        (format!("cat {}", key.display()), std::fs::read(&key).is_ok()),
        ("echo x > /app/new".to_owned(), true),
        ("echo x > /usr/new".to_owned(), true),
        (format!("kill -0 {mine}"), true),
        ("unshare --user true".to_owned(), unshares()),
        ("cat /etc/shadow".to_owned(), true),
        ("ls /sys/kernel".to_owned(), std::fs::read_dir("/sys/kernel").is_ok()),
    ] {
        assert!(outside, "outside: {line}");
        let told = run(server, "hello", &format!("({line}) 2>/dev/null && echo reached || echo refused"));
        assert_eq!(told.last().map(String::as_str), Some("refused"), "{line}: {told:?}");
    }
    let processes = run(server, "hello", "ls -d /proc/[0-9]* | wc -l; whoami; hostname; ls -A /tmp | wc -l");
    assert!(processes[0].parse::<u32>().is_ok_and(|count| count <= 6), "{processes:?}");
    assert_eq!(processes[1], "app");
    assert!(processes[2].starts_with("run-"), "{processes:?}");
    assert_eq!(processes[3], "0");
}

fn unshares() -> bool {
    std::process::Command::new("unshare")
        .args(["--user", "true"])
        .status()
        .is_ok_and(|status| status.success())
}

/// The documentation says so; if it becomes better one day, it should be told.
fn the_network_is_shared_and_nothing_else(server: &Server) {
    let victim = endpoints(server, "hello")[0];
    push_probe(server, "other");
    assert_eq!(server.get("other", &format!("/connect?to={victim}")).text(), "connected");
    let socket = server.data().join("run/launcher.sock");
    assert!(socket.exists());
    let told = server.get("other", &format!("/see?path={}", socket.display())).text();
    assert!(told.starts_with("refused: No such file"), "{told}");
}

/// What a process is known by: its start and the counter in its memory.
fn known(server: &Server) -> (String, u64) {
    let answer = eventually("web.1 answers", 30, || {
        let answer = server.get("hello", "/").json();
        (answer["dyno"] == "web.1").then_some(answer)
    });
    (answer["started"].as_str().unwrap_or_default().to_owned(), answer["count"].as_u64().unwrap_or(0))
}

fn assert_same_process(server: &Server, before: &(String, u64)) {
    let after = known(server);
    assert_eq!(before.0, after.0, "the process is the same");
    assert!(after.1 > before.1, "it kept its memory");
}

fn a_dead_server_is_not_noticed(server: &Server) {
    let before = known(server);
    server.kill("serve");
    assert_eq!(server.get("hello", "/").status, 200, "it answers without a server");
    server.wait_for_api();
    assert_same_process(server, &before);
    server.dozen(&["ps:scale", "worker=2", "-a", "hello"]);
    eventually("the new server starts processes", 30, || {
        let table = server.json(&["ps", "-a", "hello"]);
        let up = table.as_array()?.iter().filter(|process| process["state"] == "up").count();
        (up == 4).then_some(())
    });
}

fn a_dead_launcher_is_found_again(server: &mut Server) {
    let before = known(server);
    server.kill("launcher");
    assert_eq!(server.get("hello", "/").status, 200, "it answers without a launcher");
    server.start_again();
    server.wait_for_api();
    // The daemons answered all the time: that says nothing of the new launcher.
    eventually("the new launcher answers", 60, || {
        let doctor = server.try_dozen(&["doctor"]);
        String::from_utf8_lossy(&doctor.stdout).contains("Apps can be started.").then_some(())
    });
    for _ in 0..20 {
        assert_eq!(server.get("hello", "/").status, 200, "every listener has somebody who accepts");
    }
    assert_same_process(server, &before);
    assert_eq!(run(server, "hello", "echo back"), ["back"]);
}

fn nothing_is_left(mut server: Server) {
    let own = rustix::process::getuid().as_raw();
    let (data, api, http) = (server.data(), server.api_port, server.http_port);
    let of_apps =
        || processes_of(own).into_iter().filter(|line| line.contains("probe") || line.contains("dozen "));
    assert!(of_apps().count() > 4, "{:?}", processes_of(own));
    server.stop();
    eventually("every process has ended", 20, || of_apps().next().is_none().then_some(()));
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").expect("the mounts");
    assert!(!mounts.contains(&data.display().to_string()), "{mounts}");
    for port in [api, http] {
        assert!(TcpStream::connect(("127.0.0.1", port)).is_err(), "port {port}");
    }
    assert_eq!(std::fs::read_dir(data.join("run/p")).expect("a folder").count(), 0);
    assert_eq!(std::fs::read_dir(data.join("run/net")).expect("a folder").count(), 0);
}

/// A web process that listens where it was not told to is not up, whoever else accepts there.
#[test]
fn who_accepts_is_asked_for() {
    if !plays("who_accepts_is_asked_for") {
        return;
    }
    let server = Server::start_with(&[("DOZEN_BOOT_TIMEOUT_SECONDS", "4")]);
    server.dozen(&["apps:create", "lost"]);
    server.dozen(&["config:set", "PROBE_BIND=127.0.0.1", "-a", "lost"]);
    let repository = Repository::with_probe();
    repository.connect(&server, "lost");
    let told = String::from_utf8_lossy(&repository.try_push(&server).stderr).into_owned();
    println!("{told}");
    assert!(told.contains("failed to bind to $PORT") && !told.contains("http://lost."), "{told}");
    eventually("the log says what is wrong", 15, || {
        let logs = server.dozen(&["logs", "-n", "200", "-a", "lost"]);
        logs.contains("of the loopback address only; it should bind to 0.0.0.0").then_some(())
    });

    // The next process is given the next port; a stranger that accepts there is not taken for it.
    server.dozen(&["config:set", "PROBE_BIND=none", "-a", "lost"]);
    repository.commit("again");
    let push = Push::start(&repository, &server);
    let spec = eventually("a process that listens nowhere runs", 30, || listens_nowhere(&server));
    let endpoint: SocketAddr = spec.parse().expect("an address");
    let _stranger = TcpListener::bind(endpoint).expect("the port is free");
    let (_, told) = push.wait();
    println!("{told}");
    assert!(told.contains("failed to bind to $PORT"), "{told}");
}

/// The endpoint of a living process whose log says so.
fn listens_nowhere(server: &Server) -> Option<String> {
    let logs = server.dozen(&["logs", "-n", "100", "-a", "lost"]);
    if !logs.contains("listening nowhere") {
        return None;
    }
    let folders = std::fs::read_dir(server.data().join("run/p")).ok()?.flatten();
    let live = folders.filter(|folder| !folder.path().join("exit").exists());
    let spec =
        live.filter_map(|folder| std::fs::read_to_string(folder.path().join("spec.json")).ok()).last()?;
    let spec: Value = serde_json::from_str(&spec).ok()?;
    Some(spec["endpoint"].as_str()?.to_owned())
}
