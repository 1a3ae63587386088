//! Registries of Python and Node.js packages in the network beyond the host: what examples lock, fetched beforehand by
//! `cargo xtask test` through the machine's own clients, and small packages that tests make themselves.

use super::outside::{NEIGHBOUR, Outside};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Where `cargo xtask test` has put what the examples lock.
const PACKAGES: &str = "DOZEN_TEST_PACKAGES";

/// Nobody else listens in the outside's own network.
const PORT: u16 = 8099;

/// Both registries, and the outside that they are in.
pub struct Registry {
    folder: tempfile::TempDir,
    /// The network that it is in, for other services of the same place.
    pub outside: Outside,
}

/// The folder of fetched packages, if there is one.
pub fn fetched() -> Option<PathBuf> {
    std::env::var_os(PACKAGES).map(PathBuf::from).filter(|folder| folder.is_dir())
}

impl Registry {
    pub fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("dozen-registry-").tempdir().expect("a folder");
        let variables = [("REGISTRY_FOLDER", folder.path().display().to_string())];
        let outside = Outside::make(&program(), PORT, &variables);
        Self { folder, outside }
    }

    /// The settings that lead builds here.
    pub fn settings(&self) -> [(&'static str, String); 3] {
        [
            ("DOZEN_PYPI_MIRROR", format!("{}/simple", self.url())),
            ("DOZEN_NPM_MIRROR", format!("{}/npm/", self.url())),
            ("DOZEN_CRATES_MIRROR", format!("sparse+{}/crates/", self.url())),
        ]
    }

    pub fn url(&self) -> String {
        format!("http://{NEIGHBOUR}:{PORT}")
    }

    /// Offers every package of a folder of wheels and of tarballs of npm.
    pub fn offer_all(&self, packages: &Path) {
        for entry in std::fs::read_dir(packages.join("pypi")).expect("a folder of wheels").flatten() {
            self.offer_wheel(&entry.path());
        }
        for entry in std::fs::read_dir(packages.join("npm")).expect("a folder of tarballs").flatten() {
            self.offer_tarball(&entry.path());
        }
    }

    /// A wheel, by its file name.
    pub fn offer_wheel(&self, wheel: &Path) {
        let file = wheel.file_name().expect("a name").to_str().expect("text");
        let name = file.split('-').next().unwrap_or_default().to_lowercase().replace(['_', '.'], "-");
        let index = self.file(&format!("simple/{name}/index"));
        std::fs::copy(wheel, self.file(&format!("files/{file}"))).expect("copied");
        let known = std::fs::read_to_string(&index).unwrap_or_default();
        let sum = hexadecimal("sha256sum", wheel);
        let line = format!("<a href=\"{}/files/{file}#sha256={sum}\">{file}</a>\n", self.url());
        std::fs::write(index, known + &line).expect("written");
    }

    /// A package of npm, by the `package.json` in it.
    pub fn offer_tarball(&self, tarball: &Path) {
        let output =
            Command::new("tar").arg("xzOf").arg(tarball).args(["--wildcards", "*/package.json"]).output();
        let text = output.expect("tar runs").stdout;
        // Packages carry further files of that name; theirs comes first.
        let mut stream = serde_json::Deserializer::from_slice(&text).into_iter::<serde_json::Value>();
        let package =
            stream.find_map(|one| one.ok().filter(|one| one["version"].is_string())).expect("a package");
        let (name, version) =
            (package["name"].as_str().expect("a name"), package["version"].as_str().expect("text"));
        // Where clients look for it without asking: a name's scope is no part of the file's.
        let file = format!("{}-{version}.tgz", name.rsplit('/').next().unwrap_or(name));
        std::fs::copy(tarball, self.file(&format!("npm/{name}/-/{file}"))).expect("copied");
        let document = self.file(&format!("npm/{name}/index"));
        let known = std::fs::read(&document).unwrap_or_else(|_| b"{}".to_vec());
        let mut known: serde_json::Value = serde_json::from_slice(&known).expect("JSON");
        let mut entry = package.clone();
        entry["dist"] = serde_json::json!({
            "tarball": format!("{}/npm/{name}/-/{file}", self.url()),
            "shasum": hexadecimal("sha1sum", tarball),
            "integrity": format!("sha512-{}", base64(&hexadecimal("sha512sum", tarball))),
        });
        known["name"] = name.into();
        known["dist-tags"]["latest"] = version.into();
        known["versions"][version] = entry;
        std::fs::write(document, known.to_string()).expect("written");
    }

    /// A crate, as `cargo package` writes it, in a sparse index.
    pub fn offer_crate(&self, packed: &Path, name: &str, version: &str) {
        let configuration = serde_json::json!({ "dl": format!("{}/files", self.url()) });
        std::fs::write(self.file("crates/config.json"), configuration.to_string()).expect("written");
        std::fs::copy(packed, self.file(&format!("files/{name}/{version}/download"))).expect("copied");
        let sum = hexadecimal("sha256sum", packed);
        let line = serde_json::json!({
            "name": name, "vers": version, "deps": [], "cksum": sum, "features": {}, "yanked": false,
        });
        // Names of four letters and more lie by their first two and their second two.
        let path = format!("crates/{}/{}/{name}", &name[..2], &name[2..4]);
        std::fs::write(self.file(&path), format!("{line}\n")).expect("written");
    }

    /// The paths that were asked for, oldest first.
    pub fn asked(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.folder.path().join("asked")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    fn file(&self, name: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("its folders");
        path
    }
}

/// A package of npm, version 1.0.0, of these files. One named `cli.js` is its program.
pub fn pack(folder: &Path, name: &str, files: &[(&str, &str)]) -> PathBuf {
    let package = folder.join("package");
    std::fs::create_dir_all(&package).expect("made");
    let mut manifest = serde_json::json!({ "name": name, "version": "1.0.0" });
    for (file, text) in files {
        std::fs::write(package.join(file), text).expect("written");
        if *file == "cli.js" {
            manifest["bin"] = serde_json::json!({ name: file });
        }
    }
    std::fs::write(package.join("package.json"), manifest.to_string()).expect("written");
    let tarball = folder.join(format!("{name}-1.0.0.tgz"));
    let mut tar = Command::new("tar");
    tar.arg("czf").arg(&tarball).arg("-C").arg(folder).arg("package");
    assert!(tar.status().expect("tar runs").success());
    tarball
}

/// What a program of the family of `sha256sum` says about a file.
pub fn hexadecimal(program: &str, file: &Path) -> String {
    let output = Command::new(program).arg(file).output().expect("it runs");
    let text = String::from_utf8(output.stdout).expect("text");
    text.split(' ').next().unwrap_or_default().to_owned()
}

/// Bytes written as hexadecimal digits, written in base 64 instead.
fn base64(hexadecimal: &str) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits: String =
        hexadecimal.chars().map(|c| format!("{:04b}", c.to_digit(16).expect("a digit"))).collect();
    let mut text: String = bits
        .as_bytes()
        .chunks(6)
        .map(|six| {
            let six = format!("{:0<6}", String::from_utf8_lossy(six));
            char::from(LETTERS[usize::from_str_radix(&six, 2).expect("six bits")])
        })
        .collect();
    text.extend(std::iter::repeat_n('=', (4 - text.len() % 4) % 4));
    text
}

/// The compiled registry, made once per test program.
fn program() -> PathBuf {
    static PROGRAM: OnceLock<tempfile::TempDir> = OnceLock::new();
    let folder = PROGRAM.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let source = folder.path().join("registry.rs");
        std::fs::write(&source, include_str!("../apps/registry.rs")).expect("written");
        let mut rustc = Command::new("rustc");
        rustc.args(["--edition", "2024", "-O", "-o"]).arg(folder.path().join("registry")).arg(source);
        assert!(rustc.status().expect("rustc runs").success(), "the registry compiles");
        folder
    });
    folder.path().join("registry")
}
