//! The vectors of the runtime contract against Dozen as it is installed here: its API, its router, and nothing of the machine.

use super::{Bench, Seen, expect};
use crate::test::count::Count;
use anyhow::Result;
use std::time::Duration;

/// Some sixty vectors, each with processes of its own, on an emulated processor.
const LIMIT: Duration = Duration::from_secs(3_000);
/// What vectors wait for takes that much longer here, and so few scenes fit on the one core at once.
const PATIENCE: u32 = 6;
const AT_ONCE: u32 = 3;
/// An emulated process takes seconds to begin.
const BOOT_TIMEOUT_SECONDS: u32 = 30;
const ROLLBACK_CRASHES: u32 = 2;

/// A host beyond the machine, within it: a network of its own at the other end of a link.
const BEYOND: &str = "ip netns add beyond && ip link add beyond0 type veth peer name beyond1 netns beyond
 ip addr add 198.51.100.1/24 dev beyond0 && ip link set beyond0 up
 ip -n beyond addr add 198.51.100.7/24 dev beyond1 && ip -n beyond link set beyond1 up && ip -n beyond link set lo up
 ip -n beyond route add default via 198.51.100.1
 systemd-run --quiet --unit=beyond ip netns exec beyond python3 -m http.server 8000";

/// The way to the server, as the client that `dozen install` has logged in knows it.
const CREDENTIALS: &str = r#"python3 -c '
import json, shlex
known = json.load(open("/root/.config/dozen/credentials.json"))
url = known["current"]
login = known["servers"][url]
told = {"URL": url, "TOKEN": login["token"], "CA_FILE": login.get("ca_file", "")}
print("\n".join(f"export CONTRACT_{name}={shlex.quote(value)}" for name, value in told.items()))'"#;

pub fn vectors(bench: &mut Bench) -> Seen {
    bench.run(BEYOND)?;
    set(
        bench,
        &format!(
            "DOZEN_BOOT_TIMEOUT_SECONDS={BOOT_TIMEOUT_SECONDS}\nDOZEN_ROLLBACK_CRASHES={ROLLBACK_CRASHES}"
        ),
    )?;
    let script = format!(
        "eval \"$({CREDENTIALS})\"
         export CONTRACT_ROUTER=127.0.0.1:80 CONTRACT_OUTBOUND=198.51.100.7:8000 CONTRACT_PATIENCE={PATIENCE} CONTRACT_AT_ONCE={AT_ONCE} \
         CONTRACT_BOOT_TIMEOUT_SECONDS={BOOT_TIMEOUT_SECONDS} CONTRACT_ROLLBACK_CRASHES={ROLLBACK_CRASHES}
         /payload/contract 2>&1"
    );
    let (code, output) = bench.try_run(&script, LIMIT)?;
    let count = Count::read(output.as_bytes(), |_| {});
    // The settings are those of the cases that follow, and apps of vectors are gone.
    bench.run("sed -i '/^DOZEN_BOOT_TIMEOUT_SECONDS=/d; /^DOZEN_ROLLBACK_CRASHES=/d' /etc/dozen/dozen.env && dozen install")?;
    bench.until("dozen apps | grep -q hello && ! dozen apps | grep -q '^c-'")?;
    bench.run("systemctl stop beyond; ip link del beyond0; ip netns del beyond")?;
    expect(code == 0 && count.passed > 0 && count.failed + count.skipped == 0, || {
        format!("ended with {code}, {count}\n{output}")
    })?;
    Ok(output.lines().filter(|line| line.starts_with("C-")).map(str::to_owned).collect())
}

fn set(bench: &mut Bench, lines: &str) -> Result<()> {
    bench.run(&format!("printf '%s\\n' '{lines}' >> /etc/dozen/dozen.env && dozen install"))?;
    bench.until("dozen apps").map(drop)
}
