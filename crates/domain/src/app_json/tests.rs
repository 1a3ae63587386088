//! What is understood of app.json, and what is refused and how.

use super::*;
use crate::desired::Strategy;
use proptest::prelude::{any, prop_assert, proptest};

fn parsed(text: &str) -> AppJson {
    AppJson::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refused(text: &str) -> String {
    AppJson::parse(text.as_bytes()).expect_err(text).to_string()
}

#[test]
fn what_is_not_ours_is_ignored() {
    let heroku = r#"{"name": "x", "env": {"A": {"required": true}}, "addons": ["heroku-redis"], "stack": "heroku-24",
        "formation": {"web": {"quantity": 1, "size": "standard-1x"}}, "scripts": {"postdeploy": "x"}}"#;
    assert!(parsed(heroku).is_empty());
    assert!(parsed("\u{feff}{}").is_empty());
}

#[test]
fn everything_that_is_understood() {
    let app = parsed(
        r#"{"healthchecks": {
            "web": [
                {"type": "startup", "path": "/health", "content": "ok", "httpHeaders": [{"name": "Host", "value": "a.example"}]},
                {"type": "readiness", "name": "able", "path": "/ready", "timeout": 2, "attempts": 1, "wait": 1, "initialDelay": 7},
                {"type": "liveness", "listening": true, "port": 9000}
            ],
            "worker": [{"type": "liveness", "command": ["bin/alive", "-q"]}, {"type": "startup", "uptime": 3}]},
         "formation": {
            "web": {"strategy": "overlap"}, "worker": {"max_parallel": 2}, "clock": {"strategy": "stop-first"},
            "mailer": {"strategy": "rolling"}},
         "cron": [
            {"command": " bin/report ", "schedule": "0  6 * * *", "timezone": "Europe/Berlin", "concurrency_policy": "forbid"},
            {"command": "bin/sweep", "schedule": "@hourly"}]}"#,
    );
    insta::assert_snapshot!(serde_json::to_string_pretty(&app).expect("it is JSON"));
    let text = serde_json::to_string(&app).expect("it is JSON");
    assert_eq!(serde_json::from_str::<AppJson>(&text).expect("its own"), app);
    let strategy = |name: &str| app.strategy(&name.parse().expect("a type"));
    assert_eq!(strategy("web"), Strategy::Overlap);
    assert_eq!(strategy("worker"), Strategy::Rolling { max_in_flight: 2 });
    assert_eq!(strategy("clock"), Strategy::StopFirst);
    let startup = |name: &str| app.startup_seconds(&name.parse().expect("a type"));
    assert_eq!(startup("web"), Some(3 * (5 + 5) + startup::MARGIN_SECONDS));
    assert_eq!(startup("worker"), Some(3 + 3 * (5 + 5) + startup::MARGIN_SECONDS));
    assert_eq!(startup("clock"), None);
}

#[test]
fn mistakes_are_told_with_their_place() {
    let cases = [
        "{,}",
        "[]",
        "{} x",
        r#"{"healthchecks": {"we b": []}}"#,
        r#"{"healthchecks": {"web": [{"path": "/"}]}}"#,
        r#"{"healthchecks": {"web": [{"type": "startup", "pth": "/"}]}}"#,
        r#"{"healthchecks": {"web": [{"type": "startup"}]}}"#,
        r#"{"healthchecks": {"web": [{"type": "startup", "path": "/", "listening": true}]}}"#,
        r#"{"healthchecks": {"web": [{"type": "startup", "path": "health"}]}}"#,
        r#"{"healthchecks": {"web": [{"type": "startup", "path": "/ HTTP/1.1\r\nX: y"}]}}"#,
        r#"{"healthchecks": {"web": [{"type": "startup", "path": "/", "scheme": "https"}]}}"#,
        r#"{"healthchecks": {"web": [{"type": "startup", "path": "/", "port": 70000}]}}"#,
        r#"{"healthchecks": {"web": [{"type": "startup", "path": "/", "port": 0}]}}"#,
        r#"{"healthchecks": {"web": [{"type": "startup", "path": "/", "timeout": 0}]}}"#,
        r#"{"healthchecks": {"web": [{"type": "startup", "path": "/", "httpHeaders": [{"name": "A b", "value": ""}]}]}}"#,
        r#"{"healthchecks": {"web": [{"type": "startup", "path": "/", "httpHeaders": [{"name": "A", "value": "b\nc"}]}]}}"#,
        r#"{"healthchecks": {"web": [{"type": "startup", "path": "/", "httpHeaders": [{"name": "Upgrade", "value": "x"}]}]}}"#,
        r#"{"healthchecks": {"web": [{"type": "startup", "uptime": 4, "content": "x"}]}}"#,
        r#"{"healthchecks": {"web": [{"type": "startup", "command": []}]}}"#,
        r#"{"healthchecks": {"worker": [{"type": "readiness", "listening": true}]}}"#,
        r#"{"formation": {"web": {"strategy": "blue"}}}"#,
        r#"{"formation": {"web": {"strategy": "overlap", "max_in_flight": 2}}}"#,
        r#"{"formation": {"worker": {"max_in_flight": 0}}}"#,
        r#"{"cron": [{"command": "x"}]}"#,
        r#"{"cron": [{"command": "", "schedule": "@daily"}]}"#,
        r#"{"cron": [{"command": "x", "schedule": "@daily", "concurrency": "maybe"}]}"#,
        r#"{"cron": [{"command": "x", "schedule": "@daily"}, {"command": "y", "schedule": "60 * * * *"}]}"#,
        r#"{"cron": [{"command": "x", "schedule": "@daily", "timezone": "Berlin"}]}"#,
    ];
    let told: Vec<String> = cases.iter().map(|text| format!("{text}\n    {}", refused(text))).collect();
    insta::assert_snapshot!(told.join("\n"));
    let slow =
        r#"{"healthchecks": {"web": [{"type": "startup", "path": "/", "attempts": 100, "timeout": 60}]}}"#;
    assert!(
        refused(slow).contains("it may take 6500 seconds to fail, 3600 are allowed"),
        "{}",
        refused(slow)
    );
    let header = format!(r#"{{"name": "A", "value": "{}"}}"#, "x".repeat(2000));
    let heavy = format!(
        r#"{{"type": "liveness", "path": "/", "httpHeaders": [{}]}}"#,
        std::iter::repeat_n(header, 10).collect::<Vec<_>>().join(",")
    );
    assert!(
        refused(&format!(r#"{{"healthchecks": {{"web": [{heavy}]}}}}"#))
            .contains("bytes together, 16384 are allowed")
    );
    let large = format!("{{\"name\": \"{}\"}}", "x".repeat(MAX_BYTES));
    assert!(refused(&large).contains("are allowed"));
    let many = [r#"{"type":"startup","listening":true}"#; health::MAX_CHECKS + 1].join(",");
    assert!(
        refused(&format!("{{\"healthchecks\":{{\"web\":[{many}]}}}}")).contains("11 checks, 10 are allowed")
    );
}

#[test]
fn what_is_said_of_types_that_are_not_there_is_refused() {
    let types =
        |names: &[&str]| names.iter().map(|name| (name.parse().expect("a type"), "x".to_owned())).collect();
    let fitting = |text: &str| {
        let described = Described::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"));
        described.fitting(&types(&["release", "web", "worker"])).map_err(|error| error.to_string())
    };
    let check =
        |name: &str| format!(r#"{{"healthchecks": {{"{name}": [{{"type": "startup", "uptime": 4}}]}}}}"#);
    assert_eq!(
        fitting(&check("wbe")).unwrap_err(),
        "app.json, healthchecks.wbe: the app has no process type \"wbe\", but web, worker. Fix: name one of these, or declare it in \
         the Procfile"
    );
    assert!(fitting(&check("release")).unwrap_err().contains("runs to its end"));
    assert_eq!(fitting(&check("web")), Ok(parsed(&check("web"))));
    // Also where it says what is usual anyway, and so leaves nothing behind.
    let usual = r#"{"formation": {"wrker": {"strategy": "stop-first"}}}"#;
    assert!(
        fitting(usual).unwrap_err().starts_with("app.json, formation.wrker: the app has no process type")
    );
    assert!(fitting(r#"{"formation": {"gone": {"quantity": 2, "size": "standard-1x"}}}"#).is_ok());
}

#[test]
fn what_is_kept_is_bounded() {
    let check = r#"{"type":"startup","listening":true}"#;
    let of_type = |n: usize| format!(r#""t{n}":[{}]"#, [check; health::MAX_CHECKS].join(","));
    let file = |types: usize| {
        format!(r#"{{"healthchecks":{{{}}}}}"#, (0..types).map(of_type).collect::<Vec<_>>().join(","))
    };
    assert!(file(600).len() < MAX_BYTES);
    let told = refused(&file(600));
    assert!(told.contains("bytes to keep, 65536 are allowed"), "{told}");
    assert_eq!(parsed(&file(40)).health_checks.len(), 40);
}

proptest! {
    #[test]
    fn no_bytes_break_it(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = AppJson::parse(&bytes);
    }

    #[test]
    fn errors_can_be_printed(name in ".{0,40}") {
        let text = serde_json::json!({"healthchecks": {name: [{"type": "startup"}]}}).to_string();
        if let Err(error) = AppJson::parse(text.as_bytes()) {
            prop_assert!(!error.to_string().chars().any(char::is_control));
        }
    }
}
