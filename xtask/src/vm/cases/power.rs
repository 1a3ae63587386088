//! The machine goes down, in order and out of order.

use super::{Bench, Seen, expect, first};
use anyhow::Result;

/// With its time: another one is another line.
const LAST_STOP: &str =
    "dozen logs -a hello -n 1500 | grep 'Stopping all processes with SIGTERM' | tail -n 1";

pub fn reboot(bench: &mut Bench) -> Seen {
    let before = bench.ask()?;
    let stopped_before = bench.run(LAST_STOP)?;
    bench.reboot()?;
    let (after, waited) = bench.ask_until()?;
    first::all_active(bench)?;
    expect(after.release == before.release, || format!("{before:?}, then {after:?}"))?;
    let stopped = bench.run(LAST_STOP)?;
    expect(!stopped.is_empty() && stopped != stopped_before, || {
        format!("apps were not told of the machine's end: {stopped:?}")
    })?;
    let stop = bench.run("journalctl -b -1 --no-pager -o short-monotonic -u dozen-apps | tail -n 4")?;
    let mut seen =
        vec![format!("the app answers {:.1} s after the machine's agent", waited.as_secs_f64()), stopped];
    seen.extend(stop.lines().map(str::to_owned));
    seen.push(is_whole(bench)?);
    Ok(seen)
}

/// What was acknowledged must be there afterwards; nothing else may be broken.
pub fn cut(bench: &mut Bench) -> Seen {
    push(bench)?;
    let before = newest_serves(bench)?;
    bench.run("dozen config:set PLUG=pulled -a hello")?;
    bench.machine.power_cut()?;
    bench.boot()?;
    let (after, waited) = bench.ask_until()?;
    first::all_active(bench)?;
    let kept = bench.run("dozen config:get PLUG -a hello")?;
    expect(kept == "pulled", || format!("the acknowledged change is gone: {kept:?}"))?;
    let heads =
        bench.run("cd /root/app && git ls-remote dozen refs/heads/main | cut -f1; git rev-parse HEAD")?;
    let (there, pushed) = heads.split_once('\n').unwrap_or_default();
    expect(!there.is_empty() && there == pushed, || format!("the acknowledged push is gone: {heads}"))?;
    // The release that served comes back first; the one that was on its way replaces it.
    let next = bench.until(&format!("curl -sf http://hello.vm.test/ | grep -v '\"{before}\"'"))?;
    let recovered =
        bench.run("journalctl -b -k --no-pager -o cat | grep -i 'EXT4-fs (vda)' | head -n 3; true")?;
    let mut seen = vec![
        format!(
            "the app answers {:.1} s after the machine's agent, as {}",
            waited.as_secs_f64(),
            after.release
        ),
        format!("push and change that were acknowledged right before are there, and then served: {next}"),
    ];
    seen.extend(recovered.lines().map(str::to_owned));
    seen.push(is_whole(bench)?);
    Ok(seen)
}

/// The ledger answers, the repository is sound, and a new release can be made.
fn is_whole(bench: &mut Bench) -> Result<String> {
    bench.run("dozen doctor > /dev/null")?;
    let checked = bench.run(
        "set -e; cd /var/lib/dozen/git; for head in $(find . -name HEAD -path '*.git/HEAD'); do git -c safe.directory='*' -C ${head%/HEAD} fsck --strict; echo sound; done",
    )?;
    expect(checked.lines().any(|line| line == "sound"), || format!("no repository was found: {checked}"))?;
    push(bench)?;
    Ok(format!("the repository is sound, and a push makes {}", newest_serves(bench)?))
}

/// Again if need be: on a busy host a handshake may take the machine longer than a server waits for one.
fn push(bench: &mut Bench) -> Result<()> {
    bench.run("cd /root/app && date +%s%N > changed && git add -A && git -c user.name=t -c user.email=t@vm.test commit -qm next")?;
    bench.until("cd /root/app && git push -q dozen main 2>&1").map(drop)
}

/// The newest release, which must be the one that answers.
pub fn newest_serves(bench: &mut Bench) -> Result<String> {
    let newest = bench.run("dozen releases -a hello -n 1 | tail -n 1")?;
    let (answer, _) = bench.ask_until()?;
    let named = newest.split_whitespace().any(|word| word == answer.release);
    expect(named, || format!("{newest}, but {answer:?} serves"))?;
    Ok(answer.release)
}
