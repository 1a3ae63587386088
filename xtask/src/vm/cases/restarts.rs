//! Daemons come and go; apps do not notice, and neither do their visitors.

use super::super::image::APP_HOST;
use super::super::load::Load;
use super::{Answer, Bench, Seen, expect, first, install_command};
use anyhow::Result;

const DAEMONS: [&str; 3] = ["dozen-launcher", "dozen-server", "dozen-router"];

/// What must be the same afterwards.
struct Before {
    answer: Answer,
    processes: Vec<String>,
    holder: String,
}

impl Before {
    fn look(bench: &mut Bench) -> Result<Self> {
        let holder = bench.run("systemctl show --property=MainPID --value dozen-apps")?;
        Ok(Self { answer: bench.ask()?, processes: bench.processes()?, holder })
    }

    /// The same processes, by pid and start time, and the app's own count going on.
    fn compare(&self, bench: &mut Bench) -> Result<String> {
        let after = Self::look(bench)?;
        expect(after.processes == self.processes && after.holder == self.holder, || {
            format!("other processes: {:?} before, {:?} after", self.processes, after.processes)
        })?;
        let same = after.answer.started == self.answer.started && after.answer.count > self.answer.count;
        expect(same, || format!("{:?} before, {:?} after", self.answer, after.answer))?;
        Ok(format!(
            "{} processes untouched; the app has counted on from {} to {}",
            after.processes.len(),
            self.answer.count,
            after.answer.count
        ))
    }
}

pub fn restart(bench: &mut Bench) -> Seen {
    let before = Before::look(bench)?;
    let load = Load::start(bench.machine.http_port, APP_HOST);
    let mut seen = Vec::new();
    for unit in DAEMONS {
        let script = format!(
            "t=$(date +%s%N); systemctl restart {unit}; echo $(( ($(date +%s%N) - t) / 1000000 )) ms"
        );
        seen.push(format!("systemctl restart {unit}: {}", bench.run(&script)?));
        seen.push(before.compare(bench)?);
    }
    let all = bench.run(&format!("systemctl restart {}", DAEMONS.join(" ")));
    let outcome = load.end();
    all?;
    first::all_active(bench)?;
    seen.push(format!("all at once: {}", before.compare(bench)?));
    expect(outcome.failures.is_empty(), || {
        format!("{} requests failed: {:?}", outcome.failures.len(), outcome.failures)
    })?;
    seen.push(format!(
        "{} requests meanwhile, 0 failed, slowest {:.1} s",
        outcome.answered,
        outcome.slowest.as_secs_f64()
    ));
    let refused = bench.try_run("systemctl restart dozen-apps", super::SCRIPT_LIMIT)?;
    expect(refused.0 != 0, || "the service of the apps could be restarted by its name".to_owned())?;
    seen.push(refused.1.lines().next().unwrap_or_default().to_owned());
    seen.extend(starts_anew(bench)?);
    Ok(seen)
}

/// After all of that a new process can be started, and is where it belongs.
fn starts_anew(bench: &mut Bench) -> Seen {
    bench.run("dozen ps:scale web=2 -a hello")?;
    bench.until("[ $(pgrep -c -x limits) = 2 ]")?;
    let groups =
        bench.run("for pid in $(pgrep -x limits); do cut -d/ -f2-4 /proc/$pid/cgroup; done | sort -u")?;
    expect(groups == "dozen.slice/dozen-apps.service/dozen", || groups.clone())?;
    bench.run("dozen ps:scale web=1 -a hello")?;
    bench.until("[ $(pgrep -c -x limits) = 1 ]")?;
    Ok(vec!["scaled to 2 and back".to_owned()])
}

pub fn kill(bench: &mut Bench) -> Seen {
    let before = Before::look(bench)?;
    let mut seen = Vec::new();
    for unit in DAEMONS {
        let load = Load::start(bench.machine.http_port, APP_HOST);
        let killed = bench.run(&format!(
            "old=$(systemctl show --property=MainPID --value {unit}); kill -9 $old; echo $old"
        ))?;
        bench.until(&format!(
            "systemctl is-active -q {unit} && [ $(systemctl show --property=MainPID --value {unit}) != {killed} ]"
        ))?;
        before.compare(bench)?;
        let outcome = load.end();
        // A router that is killed takes the one request in flight with it; those that wait are answered by the next.
        let most = usize::from(unit == "dozen-router");
        expect(outcome.failures.len() <= most, || format!("{unit}: {:?}", outcome.failures))?;
        seen.push(format!(
            "kill -9 {unit}: back; {} requests answered, {} lost in flight, slowest {:.1} s",
            outcome.answered,
            outcome.failures.len(),
            outcome.slowest.as_secs_f64()
        ));
    }
    Ok(seen)
}

/// A newer program, installed over the old one under load.
pub fn upgrade(bench: &mut Bench) -> Seen {
    let before = Before::look(bench)?;
    let load = Load::start(bench.machine.http_port, APP_HOST);
    let told = bench.run(&format!("{} 2>&1", install_command("dozen-newer")));
    let outcome = load.end();
    let told = told?;
    first::all_active(bench)?;
    let untouched = before.compare(bench)?;
    let stale = bench.run(
        "for unit in dozen-launcher dozen-server dozen-router; do cmp /proc/$(systemctl show --property=MainPID --value $unit)/exe /payload/dozen-newer || exit 1; done; cmp /usr/local/bin/dozen /payload/dozen-newer && echo all run the newer program",
    )?;
    expect(outcome.failures.is_empty(), || format!("{:?}", outcome.failures))?;
    let steps = told.lines().filter(|line| line.starts_with("copy") || line.starts_with("systemctl"));
    let mut seen: Vec<String> = steps.map(str::to_owned).collect();
    seen.extend([stale, untouched, format!("{} requests meanwhile, 0 failed", outcome.answered)]);
    Ok(seen)
}
