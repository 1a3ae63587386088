//! The disk that every run begins with: Debian 12 from the mirror that apt uses here, with its kernel, systemd and our agent. Made once and
//! kept; another recipe makes another.

use super::agent::{GUEST_SCRIPT, GUEST_UNIT};
use crate::shell;
use anyhow::{Context, Result};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

const SUITE: &str = "bookworm";
/// Where packages come from if apt does not say.
const MIRROR: &str = "http://deb.debian.org/debian";
/// What a small server has, Debian's own Python for apps, and what the cases look with.
const PACKAGES: &str = "systemd,systemd-sysv,dbus,udev,kmod,git,ca-certificates,iproute2,curl,procps,nftables,openssh-client,python3,python3-pip,initramfs-tools,linux-image-cloud-amd64";
const DISK_SIZE: &str = "4G";
/// To be raised when something below changes: an older image is then made anew.
const RECIPE: u32 = 3;

/// What qemu boots.
pub struct Image {
    pub kernel: PathBuf,
    pub initrd: PathBuf,
    pub disk: PathBuf,
}

/// The base domain of the cases; the machine knows itself by it.
pub const DOMAIN: &str = "vm.test";
pub const APP_HOST: &str = "hello.vm.test";
pub const PYTHON_HOST: &str = "snake.vm.test";

/// One device, one address: what a rented server has.
const UPLINK: &str = "[Match]
Driver=virtio_net

[Network]
Address=10.0.2.15/24
Gateway=10.0.2.2
IPv6AcceptRA=no
";

/// Modules that lead to the disk; the rest is loaded later. A small first file system is unpacked sooner.
const EARLY_MODULES: &str = "virtio_pci\nvirtio_blk\next4\n";

/// What a machine does at its first boot or now and then, and no case is about.
const MASKED: &[&str] = &[
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "man-db.timer",
    "systemd-update-utmp.service",
    "systemd-pcrphase.service",
    "systemd-firstboot.service",
    "systemd-repart.service",
    "sys-fs-fuse-connections.mount",
    "sys-kernel-config.mount",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
    "dev-hugepages.mount",
    "getty@tty1.service",
    "serial-getty@ttyS0.service",
];

pub fn ensure(folder: &Path) -> Result<Image> {
    let kept = folder.join(format!("image-{RECIPE}"));
    let image =
        Image { kernel: kept.join("vmlinuz"), initrd: kept.join("initrd"), disk: kept.join("disk.raw") };
    if image.disk.is_file() && image.kernel.is_file() && image.initrd.is_file() {
        return Ok(image);
    }
    println!("making the machine's disk: Debian 12 from {} (a few minutes, once)", mirror());
    fs::create_dir_all(&kept)?;
    let root = kept.join("root");
    if root.exists() {
        fs::remove_dir_all(&root).context("cannot remove a half-made root file system")?;
    }
    bootstrap(&root)?;
    furnish(&root)?;
    make_initrd(&root)?;
    copy_boot(&root, &image)?;
    make_disk(&root, &image.disk)?;
    fs::remove_dir_all(&root)?;
    Ok(image)
}

/// The one that apt uses for this suite.
fn mirror() -> String {
    let listed = Command::new("apt-get")
        .args(["indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages"])
        .output();
    let text = listed.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    parse_mirror(&text).unwrap_or_else(|| MIRROR.to_owned())
}

fn parse_mirror(listed: &str) -> Option<String> {
    let suffix = format!(" {SUITE} main");
    listed.lines().find_map(|line| line.strip_suffix(&suffix)).map(str::to_owned)
}

fn bootstrap(root: &Path) -> Result<()> {
    let mut debootstrap = Command::new("debootstrap");
    debootstrap
        .arg("--variant=minbase")
        .arg(format!("--include={PACKAGES}"))
        .arg(SUITE)
        .arg(root)
        .arg(mirror());
    shell::capture(&mut debootstrap).map(drop).context("cannot make a Debian 12")
}

fn furnish(root: &Path) -> Result<()> {
    write(root, "usr/local/sbin/dozen-agent", GUEST_SCRIPT, 0o755)?;
    write(root, "etc/systemd/system/dozen-agent.service", GUEST_UNIT, 0o644)?;
    write(root, "etc/systemd/network/10-uplink.network", UPLINK, 0o644)?;
    write(root, "etc/hostname", "vm\n", 0o644)?;
    write(
        root,
        "etc/hosts",
        &format!("127.0.0.1 localhost vm\n127.0.0.1 {DOMAIN} {APP_HOST} {PYTHON_HOST}\n"),
        0o644,
    )?;
    write(root, "etc/fstab", "/dev/vda / ext4 rw 0 1\n", 0o644)?;
    write(root, "etc/machine-id", "uninitialized\n", 0o444)?;
    write(root, "etc/initramfs-tools/conf.d/small", "MODULES=list\nBUSYBOX=n\n", 0o644)?;
    write(root, "etc/initramfs-tools/modules", EARLY_MODULES, 0o644)?;
    let system = root.join("etc/systemd/system");
    let wants = system.join("multi-user.target.wants");
    fs::create_dir_all(&wants)?;
    link("/etc/systemd/system/dozen-agent.service", &wants.join("dozen-agent.service"))?;
    link("/lib/systemd/system/systemd-networkd.service", &wants.join("systemd-networkd.service"))?;
    MASKED.iter().try_for_each(|unit| link("/dev/null", &system.join(unit)))
}

fn write(root: &Path, name: &str, text: &str, mode: u32) -> Result<()> {
    let path = root.join(name);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(fs::set_permissions(&path, fs::Permissions::from_mode(mode))?)
}

fn link(to: &str, at: &Path) -> Result<()> {
    if at.symlink_metadata().is_ok() {
        fs::remove_file(at)?;
    }
    symlink(to, at).with_context(|| format!("cannot make the link {}", at.display()))
}

/// Anew, with the modules above alone; and what systemd would do at a first boot of a new /usr is marked as done.
fn make_initrd(root: &Path) -> Result<()> {
    let script = "set -e; update-initramfs -u -k all; apt-get clean; rm -rf /var/lib/apt/lists/*; touch /etc/.updated /var/.updated";
    let mut chroot = Command::new("chroot");
    chroot.arg(root).args(["sh", "-c", script]).env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    shell::capture(&mut chroot).map(drop).context("cannot make the first file system")
}

fn copy_boot(root: &Path, image: &Image) -> Result<()> {
    for (prefix, to) in [("vmlinuz-", &image.kernel), ("initrd.img-", &image.initrd)] {
        let names = fs::read_dir(root.join("boot"))?.flatten().map(|entry| entry.file_name());
        let name = names.into_iter().find(|name| name.to_string_lossy().starts_with(prefix));
        let name = name.with_context(|| format!("the package of the kernel brought no {prefix}*"))?;
        fs::copy(root.join("boot").join(name), to)?;
    }
    Ok(())
}

/// Under another name until it is whole.
fn make_disk(root: &Path, disk: &Path) -> Result<()> {
    let new = disk.with_extension("new");
    let mut make = Command::new("mke2fs");
    make.args(["-q", "-F", "-t", "ext4", "-d"]).arg(root).arg(&new).arg(DISK_SIZE);
    shell::capture(&mut make).context("cannot make the disk")?;
    Ok(fs::rename(new, disk)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mirror_is_the_one_of_the_main_suite() {
        let listed = "http://x/debian-security/ bookworm-security main\nhttp://x/debian/ bookworm main\nhttp://x/debian/ bookworm-updates main\n";
        assert_eq!(parse_mirror(listed).as_deref(), Some("http://x/debian/"));
        assert_eq!(parse_mirror(""), None);
    }
}
