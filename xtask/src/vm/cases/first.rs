//! From a fresh machine to an app that answers.

use super::{Bench, Seen, expect, install_command};
use anyhow::Result;

pub fn boot(bench: &mut Bench) -> Seen {
    bench.boot()?;
    let mounts = bench.run("findmnt -n -o FSTYPE,OPTIONS -T /sys/fs/cgroup; grep -c cgroup /proc/mounts")?;
    expect(mounts.starts_with("cgroup2") && mounts.ends_with("\n1"), || {
        format!("control groups of version 2 alone are expected: {mounts}")
    })?;
    let about = bench.run(
        "uname -r; systemctl --version | head -1; cat /sys/fs/cgroup/cgroup.controllers; systemctl is-system-running --wait; systemd-analyze | head -1",
    )?;
    Ok(about.lines().map(str::to_owned).collect())
}

pub fn dry_run(bench: &mut Bench) -> Seen {
    let refused = bench.try_run("/payload/dozen install --dry-run", super::SCRIPT_LIMIT)?;
    expect(refused.0 == 1 && refused.1.contains("--base-domain"), || {
        format!("without a domain: {refused:?}")
    })?;
    let before = bench.run(FOOTPRINT)?;
    let told = bench.run(&format!("{} --dry-run", install_command("dozen")))?;
    expect(bench.run(FOOTPRINT)? == before, || "a dry run has changed the machine".to_owned())?;
    expect(
        told.contains("write /etc/systemd/system/dozen-apps.service") && told.contains("Delegate=yes"),
        || told.clone(),
    )?;
    Ok(vec![format!("{} lines told, nothing changed", told.lines().count())])
}

/// Whatever an installation would leave.
const FOOTPRINT: &str = "find /etc /usr/local /var/lib -newer /proc/1/cmdline -name '*dozen*' | sort; ls /etc/systemd/system; getent passwd; ls -d /var/lib/dozen 2>&1; true";

pub fn install(bench: &mut Bench) -> Seen {
    let told = bench.run(&install_command("dozen"))?;
    let token = told.lines().any(|line| line.trim().len() > 30 && line.starts_with("    "));
    expect(token, || format!("no first token was shown:\n{told}"))?;
    all_active(bench)?;
    let modes = bench.run("stat -c '%a %U %G %n' /etc/dozen/dozen.env /usr/local/bin/dozen /var/lib/dozen /var/lib/dozen/keys /var/lib/dozen/keys/master /var/lib/dozen/run/launcher.sock")?;
    expect(modes.contains("700 dozen dozen /var/lib/dozen/keys") && !modes.contains("UNKNOWN"), || {
        modes.clone()
    })?;
    expect(modes.contains("600 root root /etc/dozen/dozen.env"), || modes.clone())?;
    let key = bench.run("grep -cE '^DOZEN_FINGERPRINT_KEY=[0-9a-f]{32}$' /etc/dozen/dozen.env || true")?;
    expect(key == "1", || format!("the key of the fingerprints stands {key} times in the file of settings"))?;
    let others =
        "grep -v ^DOZEN_FINGERPRINT_KEY= /etc/dozen/dozen.env | grep -ciE 'token|secret|key=' || true";
    let secret = bench.run(others)?;
    expect(secret == "1", || {
        format!("the file of settings speaks of secrets {secret} times, beside that in its head only")
    })?;
    Ok(modes.lines().map(str::to_owned).collect())
}

pub fn all_active(bench: &mut Bench) -> Result<()> {
    let units = "dozen.target dozen-apps.service dozen-launcher.service dozen-server.service dozen-router.service dozen-server.socket dozen-router.socket";
    bench.until(&format!("systemctl is-active {units}")).map(drop)
}

pub fn install_again(bench: &mut Bench) -> Seen {
    let before = bench.run(PIDS)?;
    let told = bench.run("dozen install")?;
    expect(told.starts_with("Nothing to do"), || told.clone())?;
    expect(bench.run(PIDS)? == before, || "a daemon was restarted".to_owned())?;
    Ok(vec!["nothing to do, nothing restarted".to_owned()])
}

const PIDS: &str =
    "systemctl show --property=MainPID --value dozen-apps dozen-launcher dozen-server dozen-router | xargs";

pub fn doctor(bench: &mut Bench) -> Seen {
    let told = bench.run("dozen doctor")?;
    expect(told.contains("Apps can be started."), || told.clone())?;
    for wanted in ["cgroup", "systemd"] {
        expect(told.contains(wanted), || format!("nothing about {wanted}:\n{told}"))?;
    }
    let remarkable = told.lines().filter(|line| !line.starts_with("ok") && !line.trim().is_empty());
    Ok(remarkable.map(str::to_owned).collect())
}

/// The working copy is to live through a cut of the power, as the disk of whoever pushes from elsewhere would.
pub fn push(bench: &mut Bench) -> Seen {
    let pushed = bench.run(
        "set -e; rm -rf /root/app; cp -r /payload/app /root/app; cd /root/app
         git init -q -b main; git config core.fsync all; git add -A; git -c user.name=t -c user.email=t@vm.test commit -qm first
         dozen apps:create hello; dozen git:remote -a hello; git push dozen main 2>&1",
    )?;
    let (answer, _) = bench.ask_until()?;
    expect(answer.count >= 1, || format!("{answer:?}"))?;
    let groups = bench.run(
        "cd /sys/fs/cgroup/dozen.slice; for g in dozen-launcher.service dozen-apps.service/leaf dozen-apps.service/shims; do echo $g: $(wc -l < $g/cgroup.procs); done; pgrep -x limits | xargs -I@ cat /proc/@/cgroup",
    )?;
    // The template and one shim; the launcher itself alone in its own.
    for wanted in ["dozen-launcher.service: 1", "leaf: 1", "shims: 2", "dozen-apps.service/dozen/"] {
        expect(groups.contains(wanted), || format!("{wanted} is missing in\n{groups}"))?;
    }
    let told = pushed.lines().filter(|line| line.starts_with("remote:"));
    Ok(told.map(str::to_owned).chain(groups.lines().map(str::to_owned)).collect())
}
