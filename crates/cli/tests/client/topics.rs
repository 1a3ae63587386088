//! Names, host names, builders, people and tokens: requests in order, bodies, output.

use crate::dozen::Dozen;
use crate::stub::Reply;
use crate::{json, samples, server};
use api::buildpack::BuildpackInstallation;
use api::dozen::cron::{CronEntry, CronOutcome, CronRun};
use api::dyno::{DynoState, Empty};
use api::release::ReleaseStatus;
use std::sync::atomic::{AtomicUsize, Ordering};

#[test]
fn a_renamed_app_is_still_found_by_its_remote() {
    let stub = server(vec![("PATCH /apps/hello", json(&samples::app("hallo")))]);
    let dozen = Dozen::at(&stub.url());
    dozen.git(&["init", "--quiet"]);
    dozen.git(&["remote", "add", "dozen", &format!("{}/hello.git", stub.url())]);
    dozen.git(&["remote", "add", "origin", "https://github.com/ada/hello.git"]);
    let ended = dozen.run(&["apps:rename", "hallo"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.starts_with("Renaming hello to hallo... done\n"), "{}", ended.stderr);
    assert_eq!(stub.requests()[0].body, r#"{"name":"hallo"}"#);
    assert_eq!(dozen.git(&["remote", "get-url", "dozen"]).trim(), format!("{}/hallo.git", stub.url()));
    assert_eq!(dozen.git(&["remote", "get-url", "origin"]).trim(), "https://github.com/ada/hello.git");
    let refused = dozen.run(&["apps:rename", "No Name", "-a", "hello"]);
    assert_eq!((refused.code, stub.lines().len()), (Some(1), 1), "{}", refused.stderr);
}

#[test]
fn maintenance_is_turned_on_and_off_and_shown() {
    let mut down = samples::app("hello");
    down.maintenance = true;
    let stub = server(vec![("PATCH /apps/hello", json(&down)), ("GET /apps/hello", json(&down))]);
    let dozen = Dozen::at(&stub.url()).with("DOZEN_APP", "hello");
    assert_eq!(dozen.run(&["maintenance:on"]).stderr, "Enabling maintenance mode for hello... done\n");
    assert_eq!(dozen.run(&["maintenance:off"]).code, Some(0));
    assert_eq!(dozen.run(&["maintenance"]).stdout(), "on\n");
    assert_eq!(dozen.run(&["maintenance", "--json"]).stdout(), "true\n");
    let bodies: Vec<_> = stub.requests().into_iter().take(2).map(|request| request.body).collect();
    assert_eq!(bodies, [r#"{"maintenance":true}"#, r#"{"maintenance":false}"#]);
}

#[test]
fn a_domain_is_added_and_waited_for() {
    let looks = AtomicUsize::new(0);
    let stub = crate::stub::Stub::start(move |request| {
        let mut domain = samples::domain("www.example.com", "custom");
        match request.line().as_str() {
            "POST /apps/hello/domains" => json(&domain),
            "GET /apps/hello/domains/www.example.com" => {
                if looks.fetch_add(1, Ordering::SeqCst) > 0 {
                    domain.status = "succeeded".to_owned();
                }
                json(&domain)
            }
            _ => crate::refusal(request),
        }
    });
    let dozen = Dozen::at(&stub.url()).with("DOZEN_APP", "hello");
    let ended = dozen.run(&["domains:add", "www.example.com", "--wait"]);
    assert_eq!(
        ended.stderr,
        "Adding www.example.com to hello... done\n\
         Let the DNS record of www.example.com point to hello.localhost\n\
         Waiting for www.example.com... done\n"
    );
    assert_eq!(stub.requests()[0].body, r#"{"hostname":"www.example.com","sni_endpoint":null}"#);
    assert_eq!(stub.lines().len(), 3);
}

#[test]
fn clearing_domains_leaves_the_apps_own() {
    let domains = [samples::domain("hello.localhost", "heroku"), samples::domain("*.example.com", "custom")];
    let stub = server(vec![
        ("GET /apps/hello/domains", json(&domains)),
        ("DELETE /apps/hello/domains/*.example.com", json(&domains[1])),
        ("DELETE /apps/hello/domains/%2A.example.com", json(&domains[1])),
    ]);
    let ended = Dozen::at(&stub.url()).run(&["domains:clear", "-a", "hello"]);
    assert_eq!((ended.code, stub.lines().len()), (Some(0), 2), "{}", ended.stderr);
    assert_eq!(ended.stderr, "Removing all custom domains from hello... done, 1\n");
}

#[test]
fn builders_are_changed_as_a_whole_list() {
    let installed = |names: &[&str]| {
        let one = |(ordinal, name): (u64, &&str)| BuildpackInstallation {
            ordinal,
            buildpack: api::build::Buildpack {
                url: format!("urn:buildpack:{name}"),
                name: (*name).to_owned(),
            },
        };
        (0..).zip(names).map(one).collect::<Vec<_>>()
    };
    let before = installed(&["heroku/nodejs", "heroku/python"]);
    let stub = server(vec![
        ("GET /apps/hello/buildpack-installations", json(&before)),
        ("PUT /apps/hello/buildpack-installations", json(&before)),
    ]);
    let dozen = Dozen::at(&stub.url()).with("DOZEN_APP", "hello");
    let sent = |words: &[&str]| {
        let ended = dozen.run(words);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        stub.requests().last().expect("sent").body.clone()
    };
    let body = |names: &[&str]| {
        let updates: Vec<_> = names.iter().map(|name| format!(r#"{{"buildpack":"{name}"}}"#)).collect();
        format!(r#"{{"updates":[{}]}}"#, updates.join(","))
    };
    assert_eq!(sent(&["buildpacks:set", "dozen/rust"]), body(&["dozen/rust"]));
    assert_eq!(sent(&["buildpacks:set", "-i", "2", "dozen/rust"]), body(&["heroku/nodejs", "dozen/rust"]));
    assert_eq!(
        sent(&["buildpacks:add", "-i", "1", "dozen/rust"]),
        body(&["dozen/rust", "heroku/nodejs", "heroku/python"])
    );
    assert_eq!(sent(&["buildpacks:remove", "heroku/nodejs"]), body(&["heroku/python"]));
    assert_eq!(sent(&["buildpacks:clear"]), body(&[]));
    let refused = dozen.run(&["buildpacks:remove", "heroku/pyton"]);
    assert_eq!(
        refused.stderr,
        "error: heroku/pyton is not among the buildpacks\nhint: Did you mean heroku/python?\n"
    );
}

#[test]
fn sharing_says_the_role_in_our_words() {
    let shared = samples::collaborator("bob@example.com", "member", &["view"]);
    let stub = server(vec![
        ("POST /apps/hello/collaborators", json(&shared)),
        ("GET /apps/hello/collaborators", json(&std::slice::from_ref(&shared))),
        ("DELETE /apps/hello/collaborators/bob@example.com", json(&shared)),
        ("DELETE /apps/hello/collaborators/bob%40example.com", json(&shared)),
    ]);
    let dozen = Dozen::at(&stub.url()).with("DOZEN_APP", "hello");
    let added = dozen.run(&["access:add", "bob@example.com", "--role", "viewer"]);
    assert_eq!(added.stderr, "Adding bob@example.com access to hello... done, viewer\n");
    assert_eq!(stub.requests()[0].body, r#"{"user":"bob@example.com","role":"viewer"}"#);
    assert_eq!(dozen.run(&["access:update", "bob@example.com", "-p", "view,deploy"]).code, Some(0));
    let sent = stub.requests().last().expect("sent").body.clone();
    assert_eq!(sent, r#"{"user":"bob@example.com","permissions":["view","deploy"]}"#);
    let refused = dozen.run(&["access:update", "eve@example.com", "-p", "view"]);
    assert!(refused.stderr.contains("not shared with eve@example.com"), "{}", refused.stderr);
    assert_eq!(dozen.run(&["access:remove", "bob@example.com"]).code, Some(0));
}

#[test]
fn a_new_token_is_data() {
    let made = samples::authorization("ci", None);
    let stub = server(vec![("POST /oauth/authorizations", json(&made))]);
    let ended = Dozen::at(&stub.url()).run(&["authorizations:create", "-d", "ci", "-e", "3600", "--short"]);
    assert_eq!((ended.code, ended.stdout()), (Some(0), "dzn_01234567**********\n"), "{}", ended.stderr);
    assert_eq!(stub.requests()[0].body, r#"{"description":"ci","expires_in":3600,"scope":["global"]}"#);
}

#[test]
fn a_token_of_the_whole_account_is_not_made_by_leaving_a_word_out() {
    let made = samples::authorization("ci", None);
    let stub = server(vec![("POST /oauth/authorizations", json(&made))]);
    let dozen = Dozen::at(&stub.url());
    let refused = dozen.run(&["tokens:create", "-a", "hello"]);
    assert_eq!((refused.code, refused.stdout(), stub.lines().len()), (Some(1), "", 0));
    assert_eq!(
        refused.stderr,
        "error: tokens:create makes tokens that deploy one app: pass --deploy\n\
         hint: A token for everything that your account may do is made by `dozen authorizations:create`.\n"
    );
    let ended = dozen.run(&["tokens:create", "--deploy", "-a", "hello"]);
    assert_eq!((ended.code, ended.stdout()), (Some(0), "dzn_01234567**********\n"), "{}", ended.stderr);
    let revoke = format!("To revoke it: dozen authorizations:revoke {}\n", made.id);
    assert!(ended.stderr.ends_with(&revoke), "{}", ended.stderr);
    assert_eq!(stub.requests()[0].body, r#"{"scope":["deploy:hello"]}"#);
}

#[test]
fn stops_and_waits() {
    let newest = samples::dyno("web.1", DynoState::Up).release.version.0;
    let looks = AtomicUsize::new(0);
    let mut formation = samples::formation();
    formation[0].quantity = 1;
    let stub = crate::stub::Stub::start(move |request| match request.line().as_str() {
        "GET /apps/hello/formation" => json(&formation),
        "POST /apps/hello/dynos/web.1/actions/stop" | "POST /apps/hello/formations/web/actions/stop" => {
            json(&Empty {})
        }
        "GET /apps/hello/releases" => json(&[samples::release(newest, "x", ReleaseStatus::Pending)]),
        "GET /apps/hello/dynos" => {
            let up = looks.fetch_add(1, Ordering::SeqCst) > 0;
            let run = samples::dyno("run.1", DynoState::Starting);
            let web = samples::dyno("web.1", if up { DynoState::Up } else { DynoState::Starting });
            json(&[web, run])
        }
        _ => crate::refusal(request),
    });
    let dozen = Dozen::at(&stub.url()).with("DOZEN_APP", "hello");
    assert!(dozen.run(&["ps:stop", "web.1"]).stderr.starts_with("Stopping web.1 of hello... done\n"));
    assert_eq!(dozen.run(&["ps:stop", "--process-type", "web"]).code, Some(0));
    let waited = dozen.run(&["ps:wait", "-w", "1"]);
    let told = format!("Waiting for every process to run v{newest}... done, 1 up\n");
    assert_eq!((waited.code, waited.stderr), (Some(0), told));
    assert_eq!(dozen.run(&["ps:stop"]).code, Some(1), "of what?");
}

#[test]
fn nothing_running_is_not_what_is_waited_for() {
    let newest = samples::dyno("web.1", DynoState::Up).release.version.0;
    let up = [samples::dyno("web.1", DynoState::Up)];
    let stub = server(vec![
        ("GET /apps/hello/releases", json(&[samples::release(newest, "x", ReleaseStatus::Pending)])),
        ("GET /apps/hello/formation", json(&samples::formation())),
        ("GET /apps/hello/dynos", json(&up)),
        ("GET /dozen/apps/hello/status", json(&samples::app_status("hello"))),
    ]);
    let dozen = Dozen::at(&stub.url()).with("DOZEN_APP", "hello");
    let late = dozen.run(&["ps:wait", "--timeout", "0"]);
    assert_eq!(late.code, Some(1));
    assert!(late.stderr.contains("error: not up after 0 s: web (1 of 2)\n"), "{}", late.stderr);
    let none = dozen.run(&["ps:wait", "--type", "worker"]);
    assert!(none.code == Some(0) && none.stderr.ends_with("done, 0 up\n"), "of none: {}", none.stderr);
    let unknown = dozen.run(&["ps:wait", "--type", "wbe"]);
    assert_eq!(
        (unknown.code, unknown.stderr.as_str()),
        (Some(1), "error: hello has no process type wbe\nhint: Did you mean web?\n")
    );
    for verb in ["ps:wait", "domains:wait"] {
        let refused = dozen.run(&[verb, "--timeout", "18446744073709551615"]);
        assert_eq!(refused.code, Some(1), "{}", refused.stderr);
        assert!(refused.stderr.contains("..=86400"), "{}", refused.stderr);
    }
}

#[test]
fn an_app_that_is_gone_meanwhile_is_told_with_the_near_one() {
    let gone = r#"{"id":"not_found","message":"There is no app of that name.","resource":"app"}"#;
    let domain = || json(&[samples::domain("*.example.com", "custom")]);
    let stub = server(vec![
        ("GET /apps/hallo/domains", domain()),
        ("DELETE /apps/hallo/domains/*.example.com", Reply::Json(404, gone.to_owned())),
        ("DELETE /apps/hallo/domains/%2A.example.com", Reply::Json(404, gone.to_owned())),
        ("GET /users/~/apps", json(&[samples::app("hello")])),
    ]);
    let ended = Dozen::at(&stub.url()).run(&["domains:clear", "-a", "hallo"]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("hint: Did you mean hello?\n"), "{}", ended.stderr);
}

#[test]
fn remarks_of_the_server_go_to_standard_error_once() {
    let remarks =
        ["X-Heroku-Warning", "Warning-Message"].map(|name| (name.to_owned(), "Warning: Slow.".to_owned()));
    let app = serde_json::to_string(&samples::app("hello")).expect("json");
    let reply = Reply::Full(200, remarks.into(), "application/json", app);
    let stub = server(vec![("GET /apps/hello", reply.clone()), ("PATCH /apps/hello", reply)]);
    let dozen = Dozen::at(&stub.url()).with("DOZEN_APP", "hello");
    let shown = dozen.run(&["maintenance", "--json"]);
    assert_eq!((shown.stdout(), shown.stderr.as_str()), ("false\n", "warning: Slow.\n"));
    let begun = "Enabling maintenance mode for hello... ";
    assert_eq!(dozen.run(&["maintenance:on"]).stderr, format!("{begun}\nwarning: Slow.\n{begun}done\n"));
}

#[test]
fn the_address_of_an_app_is_data_and_the_manual_is_written() {
    let stub = server(vec![("GET /apps/hello", json(&samples::app("hello")))]);
    let dozen = Dozen::at(&stub.url()).with("BROWSER", "/bin/true");
    let ended = dozen.run(&["open", "/login", "-a", "hello"]);
    assert_eq!(ended.stdout(), "http://hello.localhost:8080/login\n", "{}", ended.stderr);
    let folder = dozen.path("man1");
    let ended = dozen.run(&["manual", &folder.display().to_string()]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(folder.join("dozen-apps:create.1").is_file());
}

#[test]
fn a_recurring_command_is_added_run_and_removed() {
    let at = "2026-01-31T06:00:00Z".parse().expect("a time");
    let entry = |id: u128, command: &str| CronEntry {
        id: domain::ids::CronId::from_u128(id),
        command: command.to_owned(),
        schedule: "0 6 * * *".to_owned(),
        timezone: "UTC".to_owned(),
        concurrency: "forbid".to_owned(),
        origin: "added".to_owned(),
        created_at: at,
        next_runs: vec![at],
        last_run: None,
    };
    let (first, second) = (entry(0xab01 << 112, "bin/report -v"), entry(0xab02 << 112, "bin/sweep"));
    let run = CronRun {
        cron: second.id,
        command: second.command.clone(),
        due_at: None,
        recorded_at: at,
        outcome: CronOutcome::Started {
            id: domain::ids::JobId::from_u128(1),
            name: "cron.3".to_owned(),
            end: None,
        },
    };
    let of_second = "/dozen/apps/hello/cron/ab020000-0000-0000-0000-000000000000";
    let stub = server(vec![
        ("POST /dozen/apps/hello/cron", json(&first)),
        ("GET /dozen/apps/hello/cron", json(&[&first, &second])),
        (Box::leak(format!("POST {of_second}/runs").into_boxed_str()), json(&run)),
        (Box::leak(format!("DELETE {of_second}").into_boxed_str()), json(&second)),
    ]);
    let dozen = Dozen::at(&stub.url()).with("DOZEN_APP", "hello");
    let added = dozen.run(&["cron:add", "--concurrency", "forbid", "0 6 * * *", "bin/report", "-v"]);
    assert_eq!(
        added.stderr,
        "Adding a recurring command to hello... done, ab010000\nIt runs next at 2026-01-31 06:00:00 UTC.\n"
    );
    let sent = r#"{"command":"bin/report -v","schedule":"0 6 * * *","concurrency":"forbid"}"#;
    assert_eq!(stub.requests()[0].body, sent);
    let ran = dozen.run(&["cron:run", "AB02"]);
    assert!(ran.stderr.starts_with("Running `bin/sweep` on hello... done, cron.3\n"), "{}", ran.stderr);
    assert_eq!(dozen.run(&["cron:remove", "ab02"]).stderr, "Removing `bin/sweep` from hello... done\n");
    for (id, told) in [("ab", "2 ids begin with ab"), ("ff", "has the id ff"), ("", "has the id")] {
        let refused = dozen.run(&["cron:remove", id]);
        assert!(refused.code == Some(1) && refused.stderr.contains(told), "{}", refused.stderr);
    }
}
