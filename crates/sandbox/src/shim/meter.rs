//! What a process uses, looked at every so often: who is above its quota is told (R14), who had a process killed for want of memory
//! is told (R15), and samples are told to who asked for them. Pure: readings and times come in, lines go out.

use super::lines;
use crate::spec::{Kind, ProcessSpec, Samples};
use domain::ids::{AppId, ProcessId};
use domain::process::ExitStatus;
use domain::time::BootMillis;
use domain::usage::Usage;
use serde::{Deserialize, Serialize};

/// How long after a kill for want of memory an end counts as one of that.
const LATELY_MILLIS: u64 = 20_000;
/// How the kernel kills.
const KILL: u8 = libc::SIGKILL as u8;
/// Load averages are told over one, five and fifteen minutes.
const LOAD_SECONDS: [f64; 3] = [60.0, 300.0, 900.0];

/// The looks at one process.
pub struct Meter {
    app: AppId,
    process: ProcessId,
    name: String,
    samples: Samples,
    every_millis: u64,
    /// By the clock that only runs forward. `None`: nobody would be told; a step of a build has no log.
    next_at: Option<BootMillis>,
    load: Load,
    oom: OutOfMemory,
    unmeasured: Unmeasured,
}

/// Whether it was told that nothing can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Unmeasured {
    Untold,
    Told,
}

/// Kills for want of memory that are known, and when the latest became known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
struct OutOfMemory {
    kills: u64,
    seen_at: Option<BootMillis>,
}

/// What its looks have come to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeterState {
    next_at: Option<BootMillis>,
    load: Load,
    oom: OutOfMemory,
    unmeasured: Unmeasured,
}

impl Meter {
    pub const fn to_state(&self) -> MeterState {
        let Self { next_at, load, oom, unmeasured, .. } = *self;
        MeterState { next_at, load, oom, unmeasured }
    }

    pub fn of_state(spec: &ProcessSpec, every_millis: u64, state: &MeterState) -> Self {
        let MeterState { next_at, load, oom, unmeasured } = state.clone();
        Self { next_at, load, oom, unmeasured, ..Self::new(spec, every_millis, BootMillis(0)) }
    }

    pub fn new(spec: &ProcessSpec, every_millis: u64, now: BootMillis) -> Self {
        let next_at = match spec.kind {
            Kind::Process { .. } => Some(now.plus_millis(every_millis)),
            Kind::Build { .. } => None,
        };
        Self {
            app: spec.app,
            process: spec.process,
            name: spec.display_name.clone(),
            samples: spec.samples,
            every_millis,
            next_at,
            load: Load::new(now),
            oom: OutOfMemory::default(),
            unmeasured: Unmeasured::Untold,
        }
    }

    pub const fn due_at(&self) -> Option<BootMillis> {
        self.next_at
    }

    pub fn is_due(&self, now: BootMillis) -> bool {
        self.next_at.is_some_and(|at| now >= at)
    }

    /// One look: the lines that follow from it. Looks that were missed (the machine slept) are not made up for.
    pub fn look(&mut self, now: BootMillis, usage: &Usage) -> Vec<String> {
        self.next_at = self.next_at.map(|_| now.plus_millis(self.every_millis));
        let mut told = self.sample(now, usage);
        told.extend(self.lack(usage));
        told.extend(self.oom_lines(now, usage));
        if let Some(memory) = usage.memory.filter(|memory| memory.total_bytes() > usage.limits.memory_bytes) {
            told.push(lines::running(memory.total_bytes(), usage.limits.memory_bytes));
            told.push(lines::MEMORY_EXCEEDED.to_owned());
        }
        told
    }

    /// The last look: the lines, and whether it ended for want of memory, which is to say of a kill by the kernel: of its first
    /// process, or of another one without which that gave up.
    pub fn end(&mut self, now: BootMillis, usage: &Usage, status: ExitStatus) -> (Vec<String>, bool) {
        let told = self.oom_lines(now, usage);
        let lately = self.oom.seen_at.is_some_and(|at| now.millis_since(at) <= LATELY_MILLIS);
        let out_of_memory = !told.is_empty() || (lately && status == ExitStatus::Signal(KILL));
        (told, out_of_memory)
    }

    /// The kernel kills one process, and the rest may live on: told once for each time that it is seen.
    fn oom_lines(&mut self, now: BootMillis, usage: &Usage) -> Vec<String> {
        let kills = usage.oom_kills.unwrap_or(0);
        let new = kills.saturating_sub(self.oom.kills);
        if new == 0 {
            return Vec::new();
        }
        self.oom = OutOfMemory { kills, seen_at: Some(now) };
        let (hard, quota) = (usage.limits.hard_memory_bytes(), usage.limits.memory_bytes);
        let used = usage.memory_peak_bytes.map_or(hard, |peak| peak.min(hard));
        vec![lines::running(used, quota), lines::OUT_OF_MEMORY.to_owned(), lines::oom_killed(new, hard)]
    }

    fn sample(&mut self, now: BootMillis, usage: &Usage) -> Vec<String> {
        let load = usage.cpu_micros.map(|cpu| self.load.at(now, cpu));
        match self.samples {
            Samples::Untold => return Vec::new(),
            Samples::Told => {}
        }
        let source = format!("source={} dyno=heroku.{}.{}", self.name, self.app, self.process);
        let measured = [
            usage.memory.map(|memory| lines::memory_sample(&memory, usage.limits.memory_bytes)),
            load.map(lines::load_sample),
        ];
        measured.into_iter().flatten().map(|sample| format!("{source} {sample}")).collect()
    }

    /// Told once, to everybody: without it nobody is warned of a quota that is exceeded.
    fn lack(&mut self, usage: &Usage) -> Option<String> {
        let new = usage.memory.is_none() && self.unmeasured == Unmeasured::Untold;
        new.then(|| {
            self.unmeasured = Unmeasured::Told;
            lines::UNMEASURED.to_owned()
        })
    }
}

/// How many cores were busy, averaged as the kernel averages its own load: each look counts the less the longer it is ago.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Load {
    since: BootMillis,
    cpu_micros: u64,
    averages: [f64; 3],
}

impl Load {
    const fn new(now: BootMillis) -> Self {
        Self { since: now, cpu_micros: 0, averages: [0.0; 3] }
    }

    fn at(&mut self, now: BootMillis, cpu_micros: u64) -> [f64; 3] {
        let seconds = now.millis_since(self.since) as f64 / 1000.0;
        if seconds > 0.0 {
            let busy = cpu_micros.saturating_sub(self.cpu_micros) as f64 / 1e6 / seconds;
            for (average, period) in self.averages.iter_mut().zip(LOAD_SECONDS) {
                let kept = (-seconds / period).exp();
                *average = *average * kept + busy * (1.0 - kept);
            }
            (self.since, self.cpu_micros) = (now, cpu_micros);
        }
        self.averages
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::tests::example;
    use domain::process::Limits;
    use domain::usage::MemoryUse;

    use crate::launcher::SAMPLE_MILLIS;

    const MEGABYTE: u64 = 1024 * 1024;

    fn usage(rss_megabytes: u64, oom_kills: u64) -> Usage {
        let memory = MemoryUse {
            rss_bytes: rss_megabytes * MEGABYTE,
            cache_bytes: MEGABYTE / 2,
            swap_bytes: 0,
            pages_in: Some(348_836),
            pages_out: Some(343_403),
        };
        Usage {
            limits: Limits { memory_hard_bytes: Some(1024 * MEGABYTE), ..Limits::DEFAULT },
            memory: Some(memory),
            memory_peak_bytes: Some(1100 * MEGABYTE),
            cpu_micros: Some(10_000_000),
            processes: Some(3),
            oom_kills: Some(oom_kills),
        }
    }

    fn meter(samples: Samples) -> Meter {
        Meter::new(&ProcessSpec { samples, ..example(1) }, SAMPLE_MILLIS, BootMillis(0))
    }

    #[test]
    fn samples_are_told_to_who_asked() {
        let at = BootMillis(SAMPLE_MILLIS);
        assert_eq!(meter(Samples::Untold).look(at, &usage(21, 0)), [""; 0]);
        let source = "source=web.1 dyno=heroku.00000000-0000-0000-0000-000000000002.00000000-0000-0000-0000-000000000001";
        let memory = "sample#memory_total=21.50MB sample#memory_rss=21.00MB sample#memory_cache=0.50MB \
            sample#memory_swap=0.00MB sample#memory_pgpgin=348836pages sample#memory_pgpgout=343403pages \
            sample#memory_quota=512.00MB";
        let load = "sample#load_avg_1m=0.14 sample#load_avg_5m=0.03 sample#load_avg_15m=0.01";
        let told = meter(Samples::Told).look(at, &usage(21, 0));
        assert_eq!(told, [format!("{source} {memory}"), format!("{source} {load}")]);
    }

    #[test]
    fn who_is_above_the_quota_is_told_each_time() {
        let mut meter = meter(Samples::Untold);
        assert!(!meter.is_due(BootMillis(SAMPLE_MILLIS - 1)) && meter.is_due(BootMillis(SAMPLE_MILLIS)));
        let first = meter.look(BootMillis(SAMPLE_MILLIS), &usage(528, 0));
        assert_eq!(first, ["Process running mem=528M(103.2%)", "Error R14 (Memory quota exceeded)"]);
        assert_eq!(meter.due_at(), Some(BootMillis(2 * SAMPLE_MILLIS)));
        // A day later: one look, not four thousand.
        let later = BootMillis(86_400_000);
        assert_eq!(meter.look(later, &usage(528, 0)), first);
        assert_eq!(meter.due_at(), Some(later.plus_millis(SAMPLE_MILLIS)));
        assert_eq!(meter.look(later, &usage(100, 0)), [""; 0]);
    }

    #[test]
    fn a_kill_for_want_of_memory_is_told_once_and_remembered_for_a_while() {
        let mut meter = meter(Samples::Untold);
        let told = meter.look(BootMillis(SAMPLE_MILLIS), &usage(100, 1));
        assert_eq!(
            told,
            [
                "Process running mem=1024M(200.0%)",
                "Error R15 (Memory quota vastly exceeded)",
                "Out of memory: the kernel killed a process at the hard limit of 1024M",
            ]
        );
        let (killed, soon) = (ExitStatus::Signal(KILL), BootMillis(2 * SAMPLE_MILLIS));
        assert_eq!(meter.end(soon, &usage(0, 1), killed), (Vec::new(), true));
        assert_eq!(meter.end(soon, &usage(0, 1), ExitStatus::Code(0)), (Vec::new(), false));
        assert_eq!(meter.end(soon.plus_millis(1), &usage(0, 1), killed), (Vec::new(), false));
        let (told, out_of_memory) =
            meter.end(BootMillis(3 * SAMPLE_MILLIS), &usage(0, 3), ExitStatus::Code(1));
        assert!(out_of_memory && told.len() == 3, "{told:?}");
    }

    #[test]
    fn what_cannot_be_measured_is_said_once() {
        let nothing = Usage { memory: None, cpu_micros: None, oom_kills: None, ..usage(0, 0) };
        for samples in [Samples::Told, Samples::Untold] {
            let mut meter = meter(samples);
            assert_eq!(meter.look(BootMillis(1), &nothing), [lines::UNMEASURED]);
            assert_eq!(meter.look(BootMillis(2), &nothing), [""; 0]);
        }
    }

    #[test]
    fn load_follows_what_is_used() {
        let mut load = Load::new(BootMillis(0));
        let mut last = [0.0; 3];
        for look in 1..=180 {
            last = load.at(BootMillis(look * SAMPLE_MILLIS), look * 40_000_000);
        }
        assert!(last.iter().all(|average| (1.9..=2.0).contains(average)), "{last:?}");
        assert_eq!(load.at(BootMillis(180 * SAMPLE_MILLIS), 0), last, "no time has passed");
    }
}
