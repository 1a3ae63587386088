//! `logs` and `logs --tail`.

use crate::support::heroku::Heroku;
use crate::support::server::Server;
use crate::support::terminal::Terminal;

pub fn are_read_filtered_and_followed(heroku: &Heroku, server: &Server) {
    let all = heroku.ok(&["logs", "-a", "hello", "-n", "500"]);
    assert!(
        all.contains("app[web.1]: listening on") && all.contains("heroku[web.1]: State changed"),
        "{all}"
    );
    let few = heroku.ok(&["logs", "-a", "hello", "-n", "2"]);
    assert_eq!(few.lines().count(), 2, "{few}");
    let of_app = heroku.ok(&["logs", "-a", "hello", "--source", "app", "--process-type", "web"]);
    assert!(of_app.contains("app[web.1]") && !of_app.contains("heroku["), "{of_app}");
    follows(heroku, server);
}

fn follows(heroku: &Heroku, server: &Server) {
    let mut command = heroku.command("heroku");
    let mut terminal = Terminal::start(command.args(["logs", "--tail", "-a", "hello", "-n", "1"]), 200, 24);
    terminal.wait_for("]:");
    for round in 1..=3 {
        let path = format!("/round-{round}");
        server.get("hello", &path);
        terminal.wait_for(&path);
    }
    terminal.press("\u{3}");
    let (_, seen) = terminal.end();
    assert_eq!(seen.matches("/round-1").count(), 1, "each line once: {seen}");
}
