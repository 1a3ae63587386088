//! `dozen static-server [--root FOLDER] [--single-page]`: serves the files of an app's slug. Runs inside the sandbox, as the app.

use builder::native::static_site::{MissingPath, StaticServer, serve};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;

const EXIT_USAGE: u8 = 64;

/// Serves until SIGTERM.
pub fn run(words: &[String]) -> ExitCode {
    let server = match parse(words, std::env::var("PORT").ok().as_deref()) {
        Ok(server) => server,
        Err(problem) => {
            eprintln!("{problem}");
            return ExitCode::from(EXIT_USAGE);
        }
    };
    match serve(&server, &mut |address| println!("serving {} at {address}", server.root.display())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", domain::cause::chain(&error));
            ExitCode::FAILURE
        }
    }
}

fn parse(words: &[String], port: Option<&str>) -> Result<StaticServer, String> {
    let port = port.and_then(|port| port.parse().ok()).ok_or("PORT must be set to a port number")?;
    let mut server = StaticServer {
        address: SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port),
        root: PathBuf::from("/app"),
        missing_path: MissingPath::NotFound,
    };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--root" => server.root.push(words.next().ok_or("--root needs a folder")?),
            "--single-page" => server.missing_path = MissingPath::Index,
            other => return Err(format!("unknown option {other}; known: --root FOLDER, --single-page")),
        }
    }
    Ok(server)
}
