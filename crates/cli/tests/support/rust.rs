//! Small Rust apps without dependencies, whose build script does what a test wants.

use super::repository::Repository;
use std::path::PathBuf;
use std::process::Command;

/// A server that answers anything with 200.
const MAIN: &str = r#"
use std::io::{BufRead, BufReader, Write};
fn main() {
    let port = std::env::var("PORT").unwrap_or_default();
    let listener = std::net::TcpListener::bind(format!("0.0.0.0:{port}")).expect("the port is free");
    for stream in listener.incoming().flatten() {
        std::thread::spawn(move || {
            let mut reader = BufReader::new(&stream);
            let mut line = String::new();
            while line != "\r\n" {
                line.clear();
                if reader.read_line(&mut line).unwrap_or(0) == 0 { return }
            }
            let _ = (&stream).write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\nrust");
        });
    }
}
"#;

/// The toolchain of this machine, for the setting `DOZEN_RUST_PREFIX`.
pub fn toolchain() -> Option<PathBuf> {
    let output = Command::new("rustc").args(["--print", "sysroot"]).output().ok()?;
    let path = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
    (output.status.success() && path.join("bin/cargo").exists()).then_some(path)
}

/// A repository of such an app.
pub fn app(build_script: &str) -> Repository {
    let repository = Repository::new();
    write(&repository, build_script);
    repository
}

/// Makes a repository one of such an app, by one more commit.
pub fn write(repository: &Repository, build_script: &str) {
    repository.write("Cargo.toml", "[package]\nname = \"small\"\nversion = \"0.1.0\"\nedition = \"2021\"\n");
    repository.write("Cargo.lock", "version = 3\n\n[[package]]\nname = \"small\"\nversion = \"0.1.0\"\n");
    repository.write("Procfile", "web: ./target/release/small\n");
    repository.write("src/main.rs", MAIN);
    repository.write("build.rs", build_script);
    repository.commit("a small app");
}
