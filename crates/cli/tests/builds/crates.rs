//! Cargo by the mirror of the house.

use super::support::registry::hexadecimal;
use super::support::rust;
use super::{World, app};
use std::path::{Path, PathBuf};
use std::process::Command;

const MANIFEST: &str = "[package]\nname = \"greeting\"\nversion = \"1.0.0\"\nedition = \"2021\"\n";
const CODE: &str = "pub fn text() -> &'static str { \"of the mirror\" }\n";
const MAIN: &str = r#"
use std::io::{BufRead, BufReader, Write};
fn main() {
    let port = std::env::var("PORT").unwrap_or_default();
    let listener = std::net::TcpListener::bind(format!("0.0.0.0:{port}")).expect("the port is free");
    for stream in listener.incoming().flatten() {
        let head = BufReader::new(&stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty());
        drop(head.count());
        let text = greeting::text();
        let _ = write!(&stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}", text.len());
    }
}
"#;

/// As `cargo package` writes it.
fn make_crate(folder: &Path) -> PathBuf {
    let source = folder.join("greeting-1.0.0/src");
    std::fs::create_dir_all(&source).expect("made");
    std::fs::write(folder.join("greeting-1.0.0/Cargo.toml"), MANIFEST).expect("written");
    std::fs::write(source.join("lib.rs"), CODE).expect("written");
    let packed = folder.join("greeting-1.0.0.crate");
    let mut tar = Command::new("tar");
    tar.arg("czf").arg(&packed).arg("-C").arg(folder).arg("greeting-1.0.0");
    assert!(tar.status().expect("tar runs").success());
    packed
}

/// What a lock file has from crates.io comes from the mirror, by the lock's checksum.
#[test]
fn crates_come_from_the_mirror() {
    let Some(world) = World::make() else { return };
    let Some(toolchain) = rust::toolchain() else {
        println!("skipped: there is no Rust toolchain");
        return;
    };
    let place = tempfile::tempdir().expect("a folder");
    let packed = make_crate(place.path());
    world.registry.offer_crate(&packed, "greeting", "1.0.0");
    let sum = hexadecimal("sha256sum", &packed);
    let lock = format!(
        "version = 3\n\n[[package]]\nname = \"greeting\"\nversion = \"1.0.0\"\n\
         source = \"registry+https://github.com/rust-lang/crates.io-index\"\nchecksum = \"{sum}\"\n\n\
         [[package]]\nname = \"small\"\nversion = \"0.1.0\"\ndependencies = [\n \"greeting\",\n]\n"
    );
    let manifest = "[package]\nname = \"small\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\n[dependencies]\ngreeting = \"1\"\n";
    let server = world.server("DOZEN_RUST_PREFIX", &toolchain);
    let repository = app(
        &server,
        "small",
        &[
            ("Cargo.toml", manifest),
            ("Cargo.lock", &lock),
            ("Procfile", "web: ./target/release/small\n"),
            ("src/main.rs", MAIN),
        ],
    );
    println!("{}", repository.push(&server));
    assert_eq!(server.get("small", "/").text(), "of the mirror");
    let asked = world.registry.asked();
    let crates: Vec<&String> = asked.iter().filter(|path| path.contains("greeting")).collect();
    println!("{asked:?}");
    assert!(crates.iter().any(|path| path.as_str() == "/files/greeting/1.0.0/download"), "{asked:?}");

    repository.write("Cargo.lock", &lock.replace(&sum, &"0".repeat(64)));
    repository.write("src/main.rs", &MAIN.replace("fn main", "// another\nfn main"));
    repository.commit("another checksum");
    let output = repository.try_push(&server);
    let told = String::from_utf8_lossy(&output.stderr);
    println!("{told}");
    assert!(!output.status.success() && told.contains("checksum"), "{told}");
}
