//! The virtual machine itself: qemu, emulating the processor (help by the host's kernel hangs on many machines that are virtual
//! themselves). It dies with this program, whatever happens.

use super::agent::Agent;
use super::image::Image;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Enough for two apps at their hard limits at once.
const MEMORY_MIB: u32 = 4096;
/// One: a kernel that is to wait for all of its processors, as at the making of a network, waits for each of the threads that
/// emulate them, and on a busy host that takes seconds.
const CORES: u32 = 1;
/// An emulated machine on a busy host.
pub const BOOT_LIMIT: Duration = Duration::from_secs(400);
const POWER_OFF_LIMIT: Duration = Duration::from_secs(180);
const POLL: Duration = Duration::from_millis(100);
/// Lines of the console that are shown after a failure.
const LAST_LINES: usize = 30;

pub struct Machine {
    folder: PathBuf,
    kernel: PathBuf,
    initrd: PathBuf,
    payload: PathBuf,
    qemu: Option<Child>,
    /// The host's port that leads to the machine's port 80.
    pub http_port: u16,
}

impl Machine {
    /// With a disk of its own, copied from the image. Not switched on.
    pub fn make(folder: &Path, image: &Image, payload: &Path) -> Result<Self> {
        let run = folder.join("run");
        if run.exists() {
            fs::remove_dir_all(&run)?;
        }
        fs::create_dir_all(&run)?;
        let mut copy = Command::new("cp");
        copy.arg("--sparse=always").arg(&image.disk).arg(run.join("disk.raw"));
        crate::shell::run(&mut copy)?;
        let http_port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        Ok(Self {
            folder: run,
            kernel: image.kernel.clone(),
            initrd: image.initrd.clone(),
            payload: payload.to_owned(),
            qemu: None,
            http_port,
        })
    }

    fn agent_socket(&self) -> PathBuf {
        self.folder.join("agent.sock")
    }

    /// Switches it on and waits for its agent.
    pub fn boot(&mut self) -> Result<Agent> {
        self.power_cut()?;
        let _ = fs::remove_file(self.agent_socket());
        let console = fs::OpenOptions::new().create(true).append(true).open(self.folder.join("qemu.log"))?;
        // It dies with us: the kernel is asked for that by `setpriv`.
        let mut qemu = Command::new("setpriv");
        qemu.args(["--pdeathsig", "KILL", "--", "qemu-system-x86_64"]).args(self.arguments());
        qemu.stdin(Stdio::null()).stdout(console.try_clone()?).stderr(console);
        self.qemu = Some(qemu.spawn().context("cannot start qemu-system-x86_64")?);
        Agent::connect(&self.agent_socket(), BOOT_LIMIT).context("see the console below")
    }

    fn arguments(&self) -> Vec<String> {
        let disk = |path: &Path, rest: &str| format!("file={},format=raw,if=virtio{rest}", path.display());
        let words = [
            ("-machine", "q35".to_owned()),
            ("-accel", "tcg,thread=multi".to_owned()),
            // Old enough that the kernel loads nothing for virtual machines and ciphers of its own.
            ("-cpu", "Nehalem".to_owned()),
            ("-smp", CORES.to_string()),
            ("-m", MEMORY_MIB.to_string()),
            ("-display", "none".to_owned()),
            ("-monitor", "none".to_owned()),
            ("-serial", format!("file:{}", self.folder.join("console.log").display())),
            ("-kernel", self.kernel.display().to_string()),
            ("-initrd", self.initrd.display().to_string()),
            ("-append", "root=/dev/vda rw console=ttyS0 panic=5 systemd.show_status=0".to_owned()),
            ("-drive", disk(&self.folder.join("disk.raw"), ",cache=writeback")),
            ("-drive", disk(&self.payload, ",readonly=on")),
            // No way out: only the one port leads in.
            (
                "-nic",
                format!("user,model=virtio-net-pci,restrict=on,hostfwd=tcp:127.0.0.1:{}-:80", self.http_port),
            ),
            ("-device", "virtio-serial-pci".to_owned()),
            (
                "-chardev",
                format!("socket,path={},server=on,wait=off,id=agent", self.agent_socket().display()),
            ),
            ("-device", "virtserialport,chardev=agent,name=dozen-agent".to_owned()),
        ];
        let words = words.into_iter().flat_map(|(name, value)| [name.to_owned(), value]);
        words.chain(["-no-user-config".to_owned()]).collect()
    }

    /// From one instant to the next: what the machine had not written is lost.
    pub fn power_cut(&mut self) -> Result<()> {
        if let Some(mut qemu) = self.qemu.take() {
            qemu.kill()?;
            qemu.wait()?;
        }
        Ok(())
    }

    /// Waits until it has switched itself off.
    pub fn wait_off(&mut self) -> Result<()> {
        let Some(qemu) = &mut self.qemu else { return Ok(()) };
        let deadline = Instant::now() + POWER_OFF_LIMIT;
        while qemu.try_wait()?.is_none() {
            if Instant::now() >= deadline {
                bail!("the machine did not switch itself off within {} s", POWER_OFF_LIMIT.as_secs());
            }
            std::thread::sleep(POLL);
        }
        self.qemu = None;
        Ok(())
    }

    /// The end of its console.
    pub fn console(&self) -> String {
        let text = fs::read(self.folder.join("console.log")).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.power_cut();
        let _ = fs::remove_file(self.folder.join("disk.raw"));
    }
}
