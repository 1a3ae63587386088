//! `deploy`: what is sent and what is not, and what is told when nobody knows how it ended.

use crate::dozen::{Dozen, end_of, until};
use crate::stub::{Reply, Stub};
use crate::{json, refusal, samples};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A repository with a secret that git ignores.
fn repository(dozen: &Dozen) {
    dozen.git(&["init", "--quiet"]);
    for (name, text) in [("app.py", "x"), (".env", "SECRET=1"), (".gitignore", ".env\n")] {
        std::fs::write(dozen.path(name), text).expect("written");
    }
    dozen.git(&["add", "app.py", ".gitignore"]);
    dozen.git(&["-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "-m", "x"]);
}

/// Takes uploads; `build` answers the request for a build.
fn intake(build: impl Fn() -> Reply + Send + 'static) -> Stub {
    let own = Arc::new(Mutex::new(String::new()));
    let address = Arc::clone(&own);
    let stub = Stub::start(move |request| match request.line().as_str() {
        "POST /apps/hello/sources" => {
            let url = address.lock().expect("whole").clone();
            let source = format!(r#"{{"source_blob":{{"get_url":"{url}/up","put_url":"{url}/up"}}}}"#);
            Reply::Json(201, source)
        }
        "PUT /up" => Reply::Json(200, "{}".to_owned()),
        "POST /apps/hello/builds" => build(),
        "GET /users/~/apps" => json(&[samples::app("hello")]),
        _ => refusal(request),
    });
    *own.lock().expect("whole") = stub.url();
    stub
}

#[test]
fn a_repository_that_git_refuses_is_not_sent() {
    let stub = intake(|| Reply::HangUp);
    let dozen = Dozen::at(&stub.url());
    repository(&dozen);
    let deploy = |name: &str, value: &str| {
        let mut command = dozen.command(Dozen::program());
        end_of(command.env(name, value).args(["deploy", "-a", "hello"]), b"")
    };
    let refused = deploy("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1");
    assert_eq!((refused.code, stub.lines().len()), (Some(1), 0), "{}", refused.stderr);
    assert!(refused.stderr.contains("safe.directory"), "in git's own words: {}", refused.stderr);

    let ended = deploy("PATH", "/nonexistent");
    assert_eq!((ended.code, stub.lines().len()), (Some(1), 0), "{}", ended.stderr);
    assert!(ended.stderr.contains("error: git cannot list the files of"), "{}", ended.stderr);
}

#[test]
fn a_build_that_nobody_answered_for_may_be_there() {
    let stub = intake(|| Reply::HangUp);
    let dozen = Dozen::at(&stub.url());
    repository(&dozen);
    let ended = dozen.run(&["deploy", "-a", "hello"]);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let hint = "hint: The server may have accepted the build: dozen builds -a hello\n";
    assert!(ended.stderr.contains(hint), "{}", ended.stderr);
    let refused = intake(|| Reply::Json(422, r#"{"id":"invalid_params","message":"No."}"#.to_owned()));
    let dozen = Dozen::at(&refused.url());
    repository(&dozen);
    let ended = dozen.run(&["deploy", "-a", "hello"]);
    assert_eq!(
        (ended.code, ended.stderr.contains("may have accepted")),
        (Some(2), false),
        "{}",
        ended.stderr
    );
}

#[test]
fn an_interrupt_while_the_server_is_asked_is_told_so() {
    let (asked, seen) = (Arc::new(Mutex::new(false)), Arc::new(Mutex::new(false)));
    let (is_asked, may_end) = (Arc::clone(&asked), Arc::clone(&seen));
    let stub = intake(move || {
        *is_asked.lock().expect("whole") = true;
        let end = Instant::now() + Duration::from_secs(20);
        while !*may_end.lock().expect("whole") && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(10));
        }
        Reply::HangUp
    });
    let dozen = Dozen::at(&stub.url());
    repository(&dozen);
    let mut command = dozen.command(Dozen::program());
    let mut child =
        command.args(["deploy", "-a", "hello"]).stderr(std::process::Stdio::piped()).spawn().expect("runs");
    until("the build is asked for", &mut child, || *asked.lock().expect("whole"));
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("it runs");
    let output = child.wait_with_output().expect("it ends");
    *seen.lock().expect("whole") = true;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(130), "{told}");
    assert!(
        told.ends_with("Interrupted. The server may have accepted the build: dozen builds -a hello\n"),
        "{told}"
    );
}
