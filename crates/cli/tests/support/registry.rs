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
    _outside: Outside,
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
        Self { folder, _outside: outside }
    }

    /// The settings that lead builds here.
    pub fn settings(&self) -> [(&'static str, String); 2] {
        [
            ("DOZEN_PYPI_MIRROR", format!("{}/simple", self.url())),
            ("DOZEN_NPM_MIRROR", format!("{}/npm/", self.url())),
        ]
    }

    fn url(&self) -> String {
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
        let line = format!("<a href=\"{}/files/{file}\">{file}</a>\n", self.url());
        std::fs::write(index, known + &line).expect("written");
    }

    /// A package of npm, by the `package.json` in it.
    pub fn offer_tarball(&self, tarball: &Path) {
        let file = tarball.file_name().expect("a name").to_str().expect("text");
        let output =
            Command::new("tar").arg("xzOf").arg(tarball).args(["--wildcards", "*/package.json"]).output();
        let text = output.expect("tar runs").stdout;
        // Packages carry further files of that name; theirs comes first.
        let mut stream = serde_json::Deserializer::from_slice(&text).into_iter::<serde_json::Value>();
        let package =
            stream.find_map(|one| one.ok().filter(|one| one["version"].is_string())).expect("a package");
        let (name, version) =
            (package["name"].as_str().expect("a name"), package["version"].as_str().expect("text"));
        std::fs::copy(tarball, self.file(&format!("files/{file}"))).expect("copied");
        let document = self.file(&format!("npm/{name}"));
        let known = std::fs::read(&document).unwrap_or_else(|_| b"{}".to_vec());
        let mut known: serde_json::Value = serde_json::from_slice(&known).expect("JSON");
        let mut entry = package.clone();
        entry["dist"] = serde_json::json!({ "tarball": format!("{}/files/{file}", self.url()) });
        known["name"] = name.into();
        known["dist-tags"]["latest"] = version.into();
        known["versions"][version] = entry;
        std::fs::write(document, known.to_string()).expect("written");
    }

    fn file(&self, name: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("its folders");
        path
    }
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
