//! A package index, a registry of npm and one of crates: files of a folder, over HTTP. Writes down what it was asked for. Compiled by
//! tests with `rustc` alone.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};

fn main() {
    let port = std::env::var("PORT").expect("PORT is set");
    let folder = PathBuf::from(std::env::var("REGISTRY_FOLDER").expect("REGISTRY_FOLDER is set"));
    let listener = TcpListener::bind(format!("0.0.0.0:{port}")).expect("the port is free");
    println!("listening on {port}");
    for stream in listener.incoming().flatten() {
        let folder = folder.clone();
        std::thread::spawn(move || {
            let _gone = serve(&stream, &folder);
        });
    }
}

fn serve(stream: &TcpStream, folder: &Path) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let path = line.split(' ').nth(1).unwrap_or("/").split(['?', '#']).next().unwrap_or("/").to_owned();
        write_down(folder, &path)?;
        let mut header = String::new();
        while reader.read_line(&mut header)? > 2 {
            header.clear();
        }
        let (status, kind, body) = answer(folder, &path);
        write!(
            &mut &*stream,
            "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        )?;
        (&mut &*stream).write_all(&body)?;
    }
}

fn write_down(folder: &Path, path: &str) -> std::io::Result<()> {
    let mut asked = std::fs::File::options().append(true).create(true).open(folder.join("asked"))?;
    asked.write_all(format!("{path}\n").as_bytes())
}

fn answer(folder: &Path, path: &str) -> (&'static str, &'static str, Vec<u8>) {
    let name = path.trim_matches('/').replace("%2f", "/").replace("%2F", "/").replace("%40", "@");
    let safe = name.split('/').all(|part| part != "..");
    let file = folder.join(&name);
    let file = if file.is_dir() { file.join("index") } else { file };
    match std::fs::read(&file) {
        Ok(bytes) if safe => {
            let kind = match name.split('/').next() {
                Some("simple") => "text/html",
                Some("npm") => "application/json",
                _ => "application/octet-stream",
            };
            ("200 OK", kind, bytes)
        }
        _ => ("404 Not Found", "text/plain", b"there is no such file\n".to_vec()),
    }
}
