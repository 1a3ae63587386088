//! The verbs: requests in order, bodies, output.

use crate::dozen::Dozen;
use crate::stub::Reply;
use crate::{json, samples, server};
use api::dozen::doctor::{Check, DoctorReport, Outcome};
use api::dyno::{DynoState, Empty};
use api::release::ReleaseStatus;

fn not_found(resource: &str) -> Reply {
    Reply::Json(
        404,
        format!(
            r#"{{"id":"not_found","message":"There is no {resource} of that name.","resource":"{resource}"}}"#
        ),
    )
}

#[test]
fn apps_are_data_and_their_absence_a_note() {
    let account = || {
        Reply::json(
            serde_json::to_string(&api::account::Account::new(
                samples::user().id,
                samples::user().email,
                samples::at(),
            ))
            .expect("json"),
        )
    };
    let stub =
        server(vec![("GET /users/~/apps", json(&[samples::app("hello")])), ("GET /account", account())]);
    let ended = Dozen::at(&stub.url()).run(&["apps"]);
    assert_eq!(
        (ended.code, ended.stdout(), ended.stderr.as_str()),
        (Some(0), "=== ada@example.com Apps\n\nhello\n", "")
    );
    let listed = Dozen::at(&stub.url()).run(&["apps", "--json"]);
    let listed: Vec<api::app::App> = serde_json::from_slice(&listed.stdout).expect("the wire's own form");
    assert_eq!(listed, [samples::app("hello")]);

    let stub = server(vec![("GET /users/~/apps", Reply::json("[]")), ("GET /account", account())]);
    let ended = Dozen::at(&stub.url()).run(&["apps"]);
    assert_eq!((ended.code, ended.stdout()), (Some(0), ""));
    assert!(ended.stderr.starts_with("You have no apps."));
}

#[test]
fn an_unknown_app_is_answered_with_the_near_one() {
    let stub = server(vec![
        ("GET /apps/hallo/dynos", not_found("app")),
        ("GET /users/~/apps", json(&[samples::app("hello")])),
    ]);
    let ended = Dozen::at(&stub.url()).run(&["ps", "-a", "hallo"]);
    assert_eq!((ended.code, ended.stdout()), (Some(2), ""));
    assert_eq!(
        ended.stderr,
        "error: There is no app of that name.\nhint: Did you mean hello?\nerror id: not_found\n"
    );
}

#[test]
fn config_set_sends_a_patch_and_names_the_release() {
    let release = |version| json(&[samples::release(version, "x", ReleaseStatus::Pending)]);
    let calls = std::sync::atomic::AtomicU64::new(1);
    let stub = crate::stub::Stub::start(move |request| match request.line().as_str() {
        "GET /apps/hello/releases" => release(calls.fetch_add(1, std::sync::atomic::Ordering::SeqCst)),
        "PATCH /apps/hello/config-vars" => Reply::json(r#"{"A":"1","B":"x y","OLD":"z"}"#),
        _ => crate::refusal(request),
    });
    let dozen = Dozen::at(&stub.url()).with("DOZEN_APP", "hello");
    std::fs::write(dozen.path("value"), "x y\n").expect("written");
    let ended = dozen.run(&["config:set", "A=1", "B=@value"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(ended.stderr, "Setting A and B and restarting hello... done, v2\n");
    assert_eq!(ended.stdout(), "A:  1\nB:  x y\n");
    let requests = stub.requests();
    let patch = requests.iter().find(|request| request.method == "PATCH").expect("sent");
    assert_eq!(patch.body, r#"{"A":"1","B":"x y"}"#);
    assert_eq!(requests[0].header("range"), Some("version ..; max=1, order=desc"));
}

#[test]
fn config_unset_sends_nulls_and_config_get_prints_the_bare_value() {
    let stub = server(vec![
        ("GET /apps/hello/releases", Reply::json("[]")),
        ("PATCH /apps/hello/config-vars", Reply::json("{}")),
        ("GET /apps/hello/config-vars", Reply::json(r#"{"A":"one\ntwo"}"#)),
    ]);
    let dozen = Dozen::at(&stub.url()).with("HEROKU_APP", "hello");
    assert_eq!(dozen.run(&["config:unset", "A", "B"]).code, Some(0));
    assert_eq!(stub.requests()[1].body, r#"{"A":null,"B":null}"#);
    assert_eq!(dozen.run(&["config:get", "A"]).stdout(), "one\ntwo\n");
    let ended = dozen.run(&["config:get", "B"]);
    assert_eq!((ended.code, ended.stdout()), (Some(1), ""));
}

#[test]
fn scaling_sends_one_batch() {
    let stub = server(vec![
        ("GET /apps/hello/formation", json(&samples::formation())),
        ("PATCH /apps/hello/formation", json(&samples::formation())),
    ]);
    let dozen = Dozen::at(&stub.url());
    let ended = dozen.run(&["ps:scale", "web=2", "worker=+1:standard", "-a", "hello"]);
    assert_eq!(
        ended.stderr,
        "Scaling web and worker... done, now running web at 2:standard, worker at 0:standard\n"
    );
    let body =
        r#"{"updates":[{"type":"web","quantity":2},{"type":"worker","quantity":"+1","size":"standard"}]}"#;
    assert_eq!(stub.requests()[1].body, body);
    assert_eq!(dozen.run(&["ps:scale", "-a", "hello"]).stdout(), "web=2:standard worker=0:standard\n");
    let before = stub.lines().len();
    assert_eq!(dozen.run(&["ps:scale", "wbe=2", "-a", "hello"]).code, Some(1));
    assert_eq!(stub.lines()[before..], ["GET /apps/hello/formation"], "nothing is changed");
}

#[test]
fn restarts_of_all_of_one_and_of_a_type() {
    let accepted = || Reply::Json(202, serde_json::to_string(&Empty {}).expect("json"));
    let lines =
        ["DELETE /apps/hello/dynos", "DELETE /apps/hello/dynos/web.1", "DELETE /apps/hello/formations/web"];
    let stub = server(lines.map(|line| (line, accepted())).into());
    let dozen = Dozen::at(&stub.url());
    for arguments in [
        &["ps:restart", "-a", "hello"][..],
        &["restart", "web.1", "-a", "hello"],
        &["restart", "web", "-a", "hello"],
    ] {
        assert_eq!(dozen.run(arguments).code, Some(0));
    }
    assert_eq!(stub.lines(), lines);
}

#[test]
fn processes_with_what_they_wait_for() {
    let mut status = samples::app_status("hello");
    status.waits = vec!["web.2 is started again in 8 s".to_owned()];
    status.warnings = vec!["This server runs apps without Landlock.".to_owned()];
    let dynos = [samples::dyno("web.1", DynoState::Up), samples::dyno("worker.1", DynoState::Up)];
    let stub = server(vec![
        ("GET /apps/hello/dynos", json(&dynos)),
        ("GET /dozen/apps/hello/status", json(&status)),
    ]);
    let dozen = Dozen::at(&stub.url());
    let ended = dozen.run(&["ps", "web", "-a", "hello"]);
    assert!(
        ended.stdout().contains("web.1")
            && ended.stdout().ends_with("=== waits\n\nweb.2 is started again in 8 s\n")
    );
    assert!(!ended.stdout().contains("worker.1"));
    assert_eq!(ended.stderr, "warning: This server runs apps without Landlock.\n");
}

#[test]
fn a_rollback_without_a_number_goes_to_what_served_before() {
    let mut releases = vec![
        samples::release(3, "Set A config vars", ReleaseStatus::Succeeded),
        samples::release(2, "Deploy b", ReleaseStatus::Failed),
        samples::release(1, "Deploy a", ReleaseStatus::Succeeded),
    ];
    releases[0].current = true;
    let stub = server(vec![
        ("GET /apps/hello/releases", json(&releases)),
        ("POST /apps/hello/releases", json(&samples::release(4, "Rollback to v1", ReleaseStatus::Pending))),
    ]);
    let ended = Dozen::at(&stub.url()).run(&["rollback", "-a", "hello"]);
    assert!(ended.stderr.starts_with("Rolling back hello to v1... done, v4\n"), "{}", ended.stderr);
    let requests = stub.requests();
    assert_eq!(requests[1].body, r#"{"release":"v1"}"#);
    assert!(requests[1].header("idempotency-key").is_some());
}

#[test]
fn nothing_is_destroyed_without_its_name() {
    let stub = server(vec![
        ("GET /apps/hello", json(&samples::app("hello"))),
        ("DELETE /apps/hello", json(&samples::app("hello"))),
    ]);
    let dozen = Dozen::at(&stub.url());
    for arguments in [&["destroy", "-a", "hello"][..], &["destroy", "-a", "hello", "--confirm", "hallo"]] {
        assert_eq!(dozen.run(arguments).code, Some(1));
    }
    assert_eq!(stub.lines(), ["GET /apps/hello"; 2]);
    assert_eq!(dozen.run(&["destroy", "hello", "--confirm", "hello"]).code, Some(0));
    assert_eq!(stub.lines().last().map(String::as_str), Some("DELETE /apps/hello"));
}

#[test]
fn doctor_ends_as_it_found_things() {
    let report = |outcome| {
        let [area, name, detail] = ["sandbox", "seccomp", "x"].map(str::to_owned);
        let checks = vec![Check { area, name, outcome, detail, hint: None }];
        json(&DoctorReport { can_start_apps: outcome != Outcome::Failure, checks })
    };
    for (outcome, code) in [(Outcome::Ok, 0), (Outcome::Warning, 0), (Outcome::Failure, 1)] {
        let stub = server(vec![("GET /dozen/doctor", report(outcome))]);
        assert_eq!(Dozen::at(&stub.url()).run(&["doctor"]).code, Some(code));
    }
}

#[test]
fn release_output_is_streamed_and_its_absence_told() {
    let mut release = samples::release(3, "Deploy a", ReleaseStatus::Succeeded);
    let text = server(vec![("GET /streams/secret", Reply::text("text/plain", "migrating\ndone\n"))]);
    release.output_stream_url = Some(format!("{}/streams/secret", text.url()));
    let stub = server(vec![
        ("GET /apps/hello/releases/v3", json(&release)),
        ("GET /apps/hello/releases", json(&[samples::release(4, "x", ReleaseStatus::Succeeded)])),
    ]);
    let dozen = Dozen::at(&stub.url());
    assert_eq!(dozen.run(&["releases:output", "v3", "-a", "hello"]).stdout(), "migrating\ndone\n");
    assert_eq!(text.requests()[0].header("authorization"), None);
    let ended = dozen.run(&["releases:output", "-a", "hello"]);
    assert_eq!((ended.code, ended.stdout()), (Some(0), ""));
    assert!(ended.stderr.contains("no release phase"));
}

#[test]
fn wrong_usage_ends_with_1_and_help_with_0() {
    let dozen = Dozen::new();
    for arguments in [&["config:sett", "A=1"][..], &["config:set"], &["ps:scale", "--nope"], &[]] {
        let ended = dozen.run(arguments);
        assert_eq!((ended.code, ended.stdout()), (Some(1), ""), "{arguments:?}");
        assert!(!ended.stderr.is_empty());
    }
    for arguments in
        [&["--help"][..], &["config:set", "--help"], &["--version"], &["version"], &["completions", "bash"]]
    {
        let ended = dozen.run(arguments);
        assert!(ended.code == Some(0) && !ended.stdout.is_empty(), "{arguments:?}");
    }
    let told = dozen.run(&["relases"]).stderr;
    assert_eq!(told, "error: there is no command relases\nhint: Did you mean releases?\n");
}

#[test]
fn output_that_nobody_reads_is_no_failure() {
    let stub = server(vec![(
        "GET /apps/hello/config-vars",
        Reply::json(format!(r#"{{"A":"{}"}}"#, "x".repeat(1 << 20))),
    )]);
    let dozen = Dozen::at(&stub.url());
    let line = format!("'{}' config -a hello | true; exit ${{PIPESTATUS[0]}}", Dozen::program());
    let ended = crate::dozen::end_of(dozen.command("bash").args(["-c", &line]), b"");
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
}
