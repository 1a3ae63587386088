//! The libraries: scripts as people write them, each of which checks what it gets.

use crate::support::heroku::{Heroku, end_of};
use crate::support::server::Server;

pub fn drive_an_app(heroku: &Heroku, server: &Server) {
    let url = format!("https://localhost:{}", server.api_port);
    let authority = server.data().join("ca/ca.pem");
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/heroku");
    let scripts = [("node", format!("{folder}/library.js")), ("python3", format!("{folder}/library.py"))];
    for (program, script) in scripts {
        let mut command = heroku.command(program);
        let ended = end_of(command.arg(script).arg(&url).arg(&authority), "");
        assert_eq!(ended.code, Some(0), "{program}: {}", ended.said());
        assert_eq!(ended.stdout, "all well\n");
    }
}
