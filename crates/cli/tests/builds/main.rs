//! Builds by the real package managers, each from its own lock file, in the real sandbox: what is locked is installed, and a second
//! build of an unchanged lock starts no package manager. Their registries are in a network beyond the host.

#[path = "../support/mod.rs"]
mod support;

mod crates;
mod django;
mod node;
mod uv;

use std::path::{Path, PathBuf};
use std::process::Command;
use support::ordinary::needs_root;
use support::registry::{self, Registry};
use support::repository::Repository;
use support::server::Server;
use support::trace::Trace;

/// What the tests here begin with.
struct World {
    /// Interpreters with package managers beside them, where every user may come: the checkout may lie where only root does.
    managers: tempfile::TempDir,
    registry: Registry,
}

impl World {
    /// `None`, said, where they cannot be.
    fn make() -> Option<Self> {
        if needs_root("for networks of apps") {
            return None;
        }
        let Some(packages) = registry::fetched() else {
            println!("skipped: packages were not fetched (cargo xtask test does it)");
            return None;
        };
        let managers = tempfile::Builder::new().prefix("dozen-managers-").tempdir().expect("a folder");
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(managers.path(), open).expect("its mode");
        let mut copy = Command::new("cp");
        copy.arg("--archive").arg(packages.join("managers/.")).arg(managers.path());
        assert!(copy.status().expect("cp runs").success());
        let registry = Registry::start();
        registry.offer_all(&packages);
        Some(Self { managers, registry })
    }

    /// A server whose builds ask the registry, with one more setting.
    fn server(&self, name: &str, value: &Path) -> Server {
        let settings = self.registry.settings();
        let value = value.display().to_string();
        let settings = settings.iter().map(|(name, value)| (*name, value.as_str()));
        Server::start_with(&settings.chain([(name, value.as_str())]).collect::<Vec<_>>())
    }

    /// An interpreter with package managers beside it.
    fn managers(&self, language: &str) -> PathBuf {
        self.managers.path().join(language)
    }
}

/// A committed repository of an app that is to be pushed to `server`.
fn app(server: &Server, name: &str, files: &[(&str, &str)]) -> Repository {
    server.dozen(&["apps:create", name]);
    let repository = Repository::new();
    files.iter().for_each(|(file, text)| repository.write(file, text));
    repository.commit("first");
    repository.connect(server, name);
    repository
}

/// Pushes; what people see, and the programs that the build executed.
fn push_traced(server: &Server, repository: &Repository) -> (String, Vec<String>) {
    let trace = Trace::start(server);
    let told = repository.push(server);
    let seen = trace.end();
    println!("{told}\n{seen:#?}");
    (told, seen)
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name)
}
