//! The web process: HTTP on `PORT`, and nothing that another process could not do as well.
//!
//! `/` says who answers; `/health`; `/count` counts in memory; `/slow?ms=500` takes its time; `/backing` asks the backing
//! service; `/crash` ends the process. On SIGTERM no new connection is accepted, answers under way are finished.

use crate::backing::Service;
use crate::config::Config;
use crate::log;
use crate::stop::Stop;
use serde_json::{Value, json};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tiny_http::{Header, Request, Response, Server};

/// What is under way may take this long after SIGTERM: less than the platform's 30 s.
const FINISH: Duration = Duration::from_secs(25);
const MAX_SLOW: Duration = Duration::from_secs(60);
const EXIT_CRASH: i32 = 1;

type Answer = Response<std::io::Cursor<Vec<u8>>>;

/// An answer to a path.
struct Reply {
    status: u16,
    body: Body,
    after: After,
}

enum Body {
    Json(Value),
    Text(String),
}

/// What follows the answer.
#[derive(PartialEq, Eq)]
enum After {
    GoOn,
    Crash,
}

struct App {
    config: Config,
    count: AtomicU64,
}

pub fn run(config: &Config) -> ExitCode {
    match serve(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            log::event("failed", &[("what", "serving"), ("error", &problem)]);
            ExitCode::FAILURE
        }
    }
}

fn serve(config: &Config) -> Result<(), String> {
    let server = Arc::new(Server::http(("0.0.0.0", config.port)).map_err(|error| error.to_string())?);
    let stopped = Arc::new(OnceLock::new());
    let (wake, told) = (Arc::clone(&server), Arc::clone(&stopped));
    let _stop = Stop::watch(move || {
        let _ = told.set(());
        wake.unblock();
    })
    .map_err(|error| error.to_string())?;
    let port = config.port.to_string();
    log::event("web-started", &[("process", &config.process), ("release", &config.release), ("port", &port)]);
    let app = Arc::new(App { config: config.clone(), count: AtomicU64::new(0) });
    // Every answer under way holds a sender: when all are gone, the receiver knows.
    let (under_way, finished) = channel::<()>();
    loop {
        match server.recv() {
            Ok(request) => start_answer(&app, request, under_way.clone()),
            // Woken to stop.
            Err(_) if stopped.get().is_some() => break,
            // A listener that fails stays deaf: better to end and be started anew.
            Err(error) => return Err(error.to_string()),
        }
    }
    drop(server);
    drop(under_way);
    wait_for(&finished);
    log::event("web-stopped", &[]);
    Ok(())
}

fn start_answer(app: &Arc<App>, request: Request, under_way: Sender<()>) {
    let app = Arc::clone(app);
    std::thread::spawn(move || {
        answer(&app, request);
        drop(under_way);
    });
}

fn wait_for(finished: &Receiver<()>) {
    // Nothing is ever sent: it returns when the last sender is gone, or when waiting longer is of no use.
    let _ = finished.recv_timeout(FINISH);
}

fn answer(app: &App, request: Request) {
    let began = Instant::now();
    let (method, url) = (request.method().to_string(), request.url().to_owned());
    let request_id = header(&request, "X-Request-Id");
    let reply = app.reply(&url);
    let (status, after) = (reply.status, reply.after);
    // A client that has gone is no reason to stop.
    let _ = request.respond(render(status, reply.body));
    log::event(
        "request",
        &[
            ("method", &method),
            ("path", &url),
            ("status", &status.to_string()),
            ("ms", &began.elapsed().as_millis().to_string()),
            ("request_id", &request_id),
        ],
    );
    if after == After::Crash {
        log::event("crashing", &[("reason", "asked to")]);
        std::process::exit(EXIT_CRASH);
    }
}

fn header(request: &Request, name: &'static str) -> String {
    let found = request.headers().iter().find(|header| header.field.equiv(name));
    found.map_or("-", |header| header.value.as_str()).to_owned()
}

fn render(status: u16, body: Body) -> Answer {
    let (text, media) = match body {
        Body::Json(value) => (format!("{value}\n"), "application/json"),
        Body::Text(text) => (format!("{text}\n"), "text/plain; charset=utf-8"),
    };
    let media = Header::from_bytes("Content-Type", media).expect("a media type is a header value");
    Response::from_string(text).with_status_code(status).with_header(media)
}

impl App {
    fn reply(&self, url: &str) -> Reply {
        let (path, query) = url.split_once('?').unwrap_or((url, ""));
        let ok = |body| Reply { status: 200, body, after: After::GoOn };
        match path {
            "/" => ok(Body::Json(self.about())),
            "/health" => ok(Body::Text("ok".to_owned())),
            "/count" => ok(Body::Json(json!({ "count": self.count.fetch_add(1, Ordering::Relaxed) + 1 }))),
            "/slow" => {
                let pause = slow_pause(query);
                std::thread::sleep(pause);
                ok(Body::Json(json!({ "slept_ms": u64::try_from(pause.as_millis()).unwrap_or(u64::MAX) })))
            }
            "/backing" => ok(Body::Json(self.backing())),
            "/crash" => Reply { status: 202, body: Body::Text("crashing".to_owned()), after: After::Crash },
            _ => Reply {
                status: 404,
                body: Body::Text("there is nothing here".to_owned()),
                after: After::GoOn,
            },
        }
    }

    fn about(&self) -> Value {
        json!({
            "greeting": self.config.greeting,
            "process": self.config.process,
            "release": self.config.release,
            "commit": self.config.commit,
            "pid": std::process::id(),
        })
    }

    fn backing(&self) -> Value {
        let Some(url) = &self.config.backing_url else {
            return json!({ "configured": false });
        };
        match Service::parse(url) {
            Err(problem) => json!({ "configured": true, "reachable": false, "error": problem }),
            Ok(service) => match service.check() {
                Ok(answer) => {
                    json!({ "configured": true, "service": service.shown(), "reachable": true, "answer": answer })
                }
                Err(error) => {
                    json!({ "configured": true, "service": service.shown(), "reachable": false, "error": error })
                }
            },
        }
    }
}

fn slow_pause(query: &str) -> Duration {
    let value = query.split('&').find_map(|pair| pair.strip_prefix("ms="));
    let pause = Duration::from_millis(value.and_then(|text| text.parse().ok()).unwrap_or(1000));
    pause.min(MAX_SLOW)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::config;

    fn app(variables: &[(&str, &str)]) -> App {
        App { config: config(variables).expect("good values"), count: AtomicU64::new(0) }
    }

    fn json_of(app: &App, url: &str) -> Value {
        match app.reply(url).body {
            Body::Json(value) => value,
            Body::Text(text) => panic!("{url} answered with the text {text}"),
        }
    }

    #[test]
    fn says_who_answers() {
        let app = app(&[("GREETING", "Hej"), ("DYNO", "web.1"), ("HEROKU_RELEASE_VERSION", "v3")]);
        let about = json_of(&app, "/?x=1");
        assert_eq!(
            (&about["greeting"], &about["process"], &about["release"]),
            (&json!("Hej"), &json!("web.1"), &json!("v3"))
        );
    }

    #[test]
    fn counts() {
        let app = app(&[]);
        assert_eq!(json_of(&app, "/count")["count"], 1);
        assert_eq!(json_of(&app, "/count")["count"], 2);
    }

    #[test]
    fn statuses() {
        let app = app(&[]);
        for (url, status) in
            [("/", 200), ("/health", 200), ("/slow?ms=1", 200), ("/crash", 202), ("/none", 404)]
        {
            assert_eq!(app.reply(url).status, status, "{url}");
        }
        assert!(app.reply("/crash").after == After::Crash);
    }

    #[test]
    fn pauses_are_bounded() {
        for (query, millis) in
            [("ms=20", 20), ("a=b&ms=7", 7), ("", 1000), ("ms=x", 1000), ("ms=999999999", 60_000)]
        {
            assert_eq!(slow_pause(query), Duration::from_millis(millis), "{query}");
        }
    }

    #[test]
    fn a_backing_service_is_told_without_its_password() {
        assert_eq!(json_of(&app(&[]), "/backing"), json!({ "configured": false }));
        let app = app(&[("BACKING_URL", "redis://user:secret@127.0.0.1:1/0")]);
        let told = json_of(&app, "/backing");
        assert_eq!((&told["reachable"], &told["service"]), (&json!(false), &json!("redis://127.0.0.1:1")));
        assert!(!told.to_string().contains("secret"));
    }
}
