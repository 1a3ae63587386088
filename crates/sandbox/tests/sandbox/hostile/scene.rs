//! What attempts are aimed at: another app that serves, files and services of the host. Paths and addresses are those inside and
//! outside; where they are the same, inside they lead nowhere.

use super::Form;
use crate::waiting::until;
use crate::world::{APP, OTHER_APP, World, app_id};
use domain::names::SlugId;
use sandbox::layout::DataFolder;
use sandbox::network::AppRange;
use sandbox::spec::ProcessSpec;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixListener};
use std::path::{Path, PathBuf};

/// The host's end of every app's link.
const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 212, 0, 1);
/// A name of a new file that is nowhere.
const NEW: &str = "dozen-test-new";

pub struct Scene {
    data: DataFolder,
    slug: SlugId,
    launcher_pid: u32,
    form: Form,
    host_file: PathBuf,
    other_slug: SlugId,
    neighbour: ProcessSpec,
    neighbour_pid: u32,
    neighbour_port: u16,
    own_shim: u32,
    /// Whose shim that is.
    own: ProcessSpec,
    /// Where anybody may go: an ordinary user's data folder is closed.
    open_place: tempfile::TempDir,
    loopback: TcpListener,
    everywhere: TcpListener,
    abstract_name: String,
    _abstract: UnixListener,
}

impl Scene {
    pub fn set(world: &World, form: Form) -> Self {
        let host_file = world.path().join("secret");
        std::fs::write(&host_file, "the host's own").unwrap();
        let other_slug = format!("sha256:{}", "6b".repeat(32)).parse().unwrap();
        let other_tree = world.data.slug_tree(&other_slug);
        std::fs::create_dir_all(&other_tree).unwrap();
        std::fs::write(other_tree.join("secret"), "the other app's own").unwrap();
        let open_place = tempfile::tempdir().unwrap();
        furnish(&world.data.slug_tree(&world.slug), &host_file, open_place.path());
        let own = world.spec("sleep 600");
        world.start(&own);
        world.until_up(own.process);
        let own_shim = crate::life::shim_pid(world, &own).as_raw_pid().unsigned_abs();
        let (neighbour, neighbour_pid, neighbour_port) = start_neighbour(world);
        let abstract_name = format!("dozen-hostile-{}-{}", std::process::id(), own.process);
        let address = UnixAddress::from_abstract_name(&abstract_name).unwrap();
        Self {
            data: world.data.clone(),
            slug: world.slug.clone(),
            launcher_pid: world.connect().status().unwrap().pid,
            form,
            host_file,
            other_slug,
            neighbour,
            neighbour_pid,
            neighbour_port,
            own_shim,
            own,
            open_place,
            loopback: TcpListener::bind("127.0.0.1:0").unwrap(),
            everywhere: TcpListener::bind("0.0.0.0:0").unwrap(),
            _abstract: UnixListener::bind_addr(&address).unwrap(),
            abstract_name,
        }
    }

    pub fn end(self, world: &World) {
        world.remove(self.own.process);
        world.remove(self.neighbour.process);
    }

    fn tree(&self) -> PathBuf {
        self.data.slug_tree(&self.slug)
    }

    pub fn code(&self) -> (String, String) {
        (format!("/app/{NEW}"), text(&self.tree().join(NEW)))
    }

    pub fn programs(&self) -> (String, String) {
        both(format!("/usr/{NEW}"))
    }

    pub fn etc(&self) -> (String, String) {
        both(format!("/etc/{NEW}"))
    }

    pub fn root(&self) -> (String, String) {
        both(format!("/{NEW}"))
    }

    pub fn helper(&self) -> (String, String) {
        ("/.dozen/dozen".to_owned(), text(&std::env::current_exe().unwrap()))
    }

    pub fn host_file(&self) -> (String, String) {
        both(text(&self.host_file))
    }

    pub fn other_code(&self) -> (String, String) {
        both(text(&self.data.slug_tree(&self.other_slug).join("secret")))
    }

    pub fn data_file(&self) -> (String, String) {
        both(text(&self.data.root().join("format")))
    }

    pub fn climbing(&self) -> (String, String) {
        both(format!("/usr/../../../../../../../..{}", self.host_file.display()))
    }

    pub fn by_way_of_the_first(&self) -> (String, String) {
        self.of_who_started_it(&format!("root{}", self.host_file.display()))
    }

    /// Inside that is the init, which is process 1.
    pub fn of_who_started_it(&self, file: &str) -> (String, String) {
        (format!("/proc/1/{file}"), format!("/proc/{}/{file}", std::process::id()))
    }

    pub fn link_in_code(&self) -> (String, String) {
        ("/app/way-out".to_owned(), text(&self.tree().join("way-out")))
    }

    pub fn control_group(&self) -> (String, String) {
        let names = ["/sys/fs/cgroup/cgroup.procs", "/sys/fs/cgroup/pids/cgroup.procs"];
        both(names.into_iter().find(|name| Path::new(name).exists()).unwrap_or(names[0]).to_owned())
    }

    pub fn set_user_id(&self) -> (String, String) {
        ("/app/set-user-id".to_owned(), text(&self.open_place.path().join("set-user-id")))
    }

    pub fn other_environment(&self) -> (String, String) {
        both(format!("/proc/{}/environ", self.neighbour_pid))
    }

    pub fn other_memory(&self) -> (String, String) {
        both(format!("/proc/{}/mem", self.neighbour_pid))
    }

    pub fn other_pid(&self) -> (String, String) {
        both(self.neighbour_pid.to_string())
    }

    pub fn launcher_pid(&self) -> (String, String) {
        both(self.launcher_pid.to_string())
    }

    pub fn shim_pid(&self) -> (String, String) {
        both(self.own_shim.to_string())
    }

    pub fn launcher_socket(&self) -> (String, String) {
        both(text(&self.data.launcher_socket()))
    }

    pub fn shim_socket(&self) -> (String, String) {
        both(text(&self.data.process(self.neighbour.process).join("ctl")))
    }

    pub fn abstract_socket(&self) -> (String, String) {
        both(self.abstract_name.clone())
    }

    pub fn other_port(&self) -> (String, String) {
        let address = match self.form {
            Form::Root => AppRange::DEFAULT.address_of(OTHER_APP).unwrap(),
            Form::OrdinaryUser => Ipv4Addr::LOCALHOST,
        };
        both(SocketAddr::new(IpAddr::V4(address), self.neighbour_port).to_string())
    }

    pub fn host_loopback(&self) -> (String, String) {
        both(self.loopback.local_addr().unwrap().to_string())
    }

    pub fn host_address(&self) -> (String, String) {
        let address = match self.form {
            Form::Root => GATEWAY,
            Form::OrdinaryUser => Ipv4Addr::LOCALHOST,
        };
        let port = self.everywhere.local_addr().unwrap().port();
        both(SocketAddr::new(IpAddr::V4(address), port).to_string())
    }
}

/// Puts into the code what a hostile one might bring.
fn furnish(tree: &Path, host_file: &Path, open_place: &Path) {
    let _ = std::fs::remove_file(tree.join("way-out"));
    std::os::unix::fs::symlink(host_file, tree.join("way-out")).unwrap();
    let program = tree.join("set-user-id");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    std::os::unix::fs::chown(&program, Some(0), Some(0)).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o4755)).unwrap();
    std::fs::set_permissions(open_place, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::hard_link(&program, open_place.join("set-user-id")).unwrap();
}

/// A process of another app that listens: its spec, its pid on the host, its port.
fn start_neighbour(world: &World) -> (ProcessSpec, u32, u16) {
    let mut spec = ProcessSpec { app: app_id(OTHER_APP), app_index: OTHER_APP, ..world.spec("") };
    let line = format!("exec /.dozen/dozen inside listen 0.0.0.0:0 {}", spec.process);
    spec.command = sandbox::spec::Command::shell(&line);
    world.start(&spec);
    let told = world.until_line(spec.process, "listening on");
    let port = told.rsplit_once(':').unwrap().1.parse().unwrap();
    let arguments = format!("inside\0listen\00.0.0.0:0\0{}\0", spec.process);
    let pid = until("the neighbour is found among the processes", || pid_of(arguments.as_bytes()));
    assert_ne!(spec.app_index, APP);
    (spec, pid, port)
}

/// The process whose arguments end so.
fn pid_of(arguments: &[u8]) -> Option<u32> {
    let mut entries = std::fs::read_dir("/proc").unwrap().flatten();
    entries.find_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        std::fs::read(entry.path().join("cmdline")).ok()?.ends_with(arguments).then_some(pid)
    })
}

fn both(object: String) -> (String, String) {
    (object.clone(), object)
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}
