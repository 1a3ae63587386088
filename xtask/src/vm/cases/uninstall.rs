//! Off the machine, back with everything, and off without a trace.

use super::{Bench, Seen, expect, first, install_command};
use anyhow::Result;

/// What an installation consists of, and what shows it. Our own agent's name begins like its units'.
const TRACES: &[(&str, &str)] = &[
    ("units", "systemctl list-units --all --no-legend 'dozen*' | grep -v dozen-agent"),
    ("files of units", "ls /etc/systemd/system | grep dozen | grep -v dozen-agent"),
    ("links to units", "find /etc/systemd/system -name 'dozen*' -path '*.wants/*' | grep -v dozen-agent"),
    ("daemons", "pgrep -x dozen; pgrep -u 64990,64991"),
    ("processes of apps", "pgrep -x limits; pgrep -u 2000000,2000001"),
    ("packet rules", "nft list tables | grep dozen"),
    ("links", "ip -br link | grep '^dz'"),
    ("mounts", "grep /var/lib/dozen /proc/mounts"),
    ("control groups", "find /sys/fs/cgroup -type d -name '*dozen*' | grep -v dozen-agent"),
    ("the program", "ls /usr/local/bin/dozen"),
    ("listeners", "ss -Hltn 'sport = :80 or sport = :443 or sport = :2222'"),
];

fn find_trace(bench: &mut Bench, script: &str) -> Result<String> {
    bench.run(&format!("({script}) 2>/dev/null; true"))
}

/// Each of them is seen while Dozen is there: what finds nothing afterwards can find something.
fn is_on(bench: &mut Bench) -> Result<()> {
    for (what, script) in TRACES {
        let found = find_trace(bench, script)?;
        expect(!found.is_empty(), || format!("nothing of {what} is seen before Dozen goes: {script}"))?;
    }
    Ok(())
}

/// None of them is there once Dozen is off.
fn is_off(bench: &mut Bench) -> Result<()> {
    let mut left = Vec::new();
    for (what, script) in TRACES {
        let found = find_trace(bench, script)?;
        if !found.is_empty() {
            left.push(format!("{what} are left: {found}"));
        }
    }
    expect(left.is_empty(), || left.join("\n"))
}

pub fn keep(bench: &mut Bench) -> Seen {
    is_on(bench)?;
    let told = bench.run("dozen uninstall 2>&1")?;
    is_off(bench)?;
    bench.run("test -f /var/lib/dozen/keys/master && test -f /etc/dozen/dozen.env && getent passwd dozen")?;
    Ok(told.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect())
}

pub fn again(bench: &mut Bench) -> Seen {
    // Without the domain: the settings were kept.
    bench.run("/payload/dozen install")?;
    first::all_active(bench)?;
    let (answer, waited) = bench.ask_until()?;
    Ok(vec![format!("{} answers {:.1} s after the installation", answer.release, waited.as_secs_f64())])
}

pub fn purge(bench: &mut Bench) -> Seen {
    let refused = bench.try_run("dozen uninstall --purge", super::SCRIPT_LIMIT)?;
    expect(refused.0 == 1 && refused.1.contains("--confirm vm.test"), || format!("{refused:?}"))?;
    let told = bench.run("dozen uninstall --purge --confirm vm.test 2>&1")?;
    is_off(bench)?;
    let left = bench.run("ls -d /var/lib/dozen /etc/dozen 2>/dev/null; getent passwd dozen dozen-router; getent group dozen dozen-router; true")?;
    expect(left.is_empty(), || format!("left: {left}"))?;
    let fresh = bench.run(&format!("{} --dry-run | head -n 3", install_command("dozen")))?;
    expect(fresh.contains("make the group"), || fresh.clone())?;
    Ok(told
        .lines()
        .filter(|line| line.starts_with("REMOVE") || line.starts_with("remove the"))
        .map(str::to_owned)
        .collect())
}
