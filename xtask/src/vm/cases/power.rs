//! The machine goes down, in order and out of order.

use super::{Bench, Seen, expect, first};
use anyhow::Result;

pub fn reboot(bench: &mut Bench) -> Seen {
    let before = bench.ask()?;
    bench.reboot()?;
    let (after, waited) = bench.ask_until()?;
    first::all_active(bench)?;
    expect(after.release == before.release, || format!("{before:?}, then {after:?}"))?;
    let stopped =
        bench.run("dozen logs -a hello -n 200 | grep 'Stopping all processes with SIGTERM' | tail -n 1")?;
    expect(!stopped.is_empty(), || "apps were not told of the machine's end".to_owned())?;
    let stop = bench.run("journalctl -b -1 --no-pager -o short-monotonic -u dozen-apps | tail -n 4")?;
    let mut seen =
        vec![format!("the app answers {:.1} s after the machine's agent", waited.as_secs_f64()), stopped];
    seen.extend(stop.lines().map(str::to_owned));
    seen.push(is_whole(bench)?);
    Ok(seen)
}

/// What was acknowledged must be there afterwards; nothing else may be broken.
pub fn cut(bench: &mut Bench) -> Seen {
    let before = bench.ask()?;
    bench.run("dozen config:set PLUG=pulled -a hello")?;
    bench.machine.power_cut()?;
    bench.boot()?;
    let (after, waited) = bench.ask_until()?;
    first::all_active(bench)?;
    let kept = bench.run("dozen config:get PLUG -a hello")?;
    expect(kept == "pulled", || format!("the acknowledged change is gone: {kept:?}"))?;
    // The release that served comes back first; the one that was on its way replaces it.
    let next = bench.until(&format!("curl -sf http://hello.vm.test/ | grep -v '\"{}\"'", before.release))?;
    let recovered =
        bench.run("journalctl -b -k --no-pager -o cat | grep -i 'EXT4-fs (vda)' | head -n 3; true")?;
    let mut seen = vec![
        format!(
            "the app answers {:.1} s after the machine's agent, as {}",
            waited.as_secs_f64(),
            after.release
        ),
        format!("the change that was acknowledged right before is there, and then served: {next}"),
    ];
    seen.extend(recovered.lines().map(str::to_owned));
    seen.push(is_whole(bench)?);
    Ok(seen)
}

/// The ledger answers, the repository is sound, and a new release can be made.
fn is_whole(bench: &mut Bench) -> Result<String> {
    bench.run("dozen doctor > /dev/null")?;
    bench.run("cd /var/lib/dozen/git && for r in */; do [ -f $r/HEAD ] && git -c safe.directory='*' -C $r fsck --strict || true; done; git -c safe.directory='*' -C $(find . -name HEAD -path '*.git/HEAD' -printf '%h\\n' | head -n 1) fsck --strict")?;
    bench.run("cd /root/app && date > changed && git add -A && git -c user.name=t -c user.email=t@vm.test commit -qm next && git push -q dozen main")?;
    let newest = bench.run("dozen releases -a hello -n 1 | tail -n 1")?;
    let (answer, _) = bench.ask_until()?;
    expect(newest.contains(&answer.release), || format!("{newest}, but {answer:?} serves"))?;
    Ok(format!("the repository is sound, and a push makes {}", answer.release))
}
