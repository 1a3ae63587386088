//! Limits, with the controllers of version 2 in earnest.

use super::super::image::APP_HOST;
use super::{Bench, Seen, expect};
use crate::demo::http;
use anyhow::{Context, Result};

/// The group of the app's one web process.
const GROUP: &str = "G=/sys/fs/cgroup$(sed 's/^0:://' /proc/$(pgrep -o -x limits)/cgroup)";
/// Limits of a process, as `domain` has them by default.
/// The hard limit: twice the quota.
const MEMORY_BYTES: u64 = 1024 << 20;
const PROCESSES: u64 = 512;
const CPU_WEIGHT: u64 = 100;
/// The app at rest: its first process, its own, a thread for each visitor.
const MOST_AT_REST: u64 = 30;

pub fn in_force(bench: &mut Bench) -> Seen {
    let read = bench.run(&format!(
        "{GROUP}; cd $G; for f in memory.max memory.swap.max pids.max cpu.weight cgroup.controllers cgroup.procs memory.events; do echo $f $(cat $f); done; stat -c '%U %n' cgroup.kill memory.max; cat ../cgroup.subtree_control ../../cgroup.subtree_control; echo holder $(cat ../../leaf/cgroup.procs); echo empty $(cat ../../cgroup.procs ../cgroup.procs | wc -l)",
    ))?;
    let wanted = [
        format!("memory.max {MEMORY_BYTES}"),
        "memory.swap.max 0".to_owned(),
        format!("pids.max {PROCESSES}"),
        format!("cpu.weight {CPU_WEIGHT}"),
        "dozen cgroup.kill".to_owned(),
        "root memory.max".to_owned(),
        "cpu memory pids".to_owned(),
        "empty 0".to_owned(),
    ];
    for line in &wanted {
        let found = read.lines().any(|found| found.starts_with(line.as_str()));
        expect(found, || format!("\"{line}\" is missing in\n{read}"))?;
    }
    Ok(wanted.into_iter().collect())
}

pub fn out_of_memory(bench: &mut Bench) -> Seen {
    let before = bench.ask()?;
    let lost = http::get(bench.machine.http_port, APP_HOST, "/memory");
    let status = lost.map_or_else(|error| format!("{error:#}"), |(status, _)| status.to_string());
    let told = bench.until("dozen logs -a hello -n 200 | grep -m1 'R15'")?;
    let (after, waited) = bench.ask_until()?;
    expect(after.started != before.started, || "the process is still the same".to_owned())?;
    apps_service_is_well(bench)?;
    Ok(vec![
        format!("the request that took the memory: {status}"),
        told,
        format!("another process answers after {:.1} s", waited.as_secs_f64()),
    ])
}

/// The end of a process must not be taken for one of the service that all of them live in.
fn apps_service_is_well(bench: &mut Bench) -> Result<()> {
    let result = bench.run("systemctl show --property=Result,ActiveState,NRestarts dozen-apps | xargs")?;
    expect(
        result.contains("Result=success")
            && result.contains("ActiveState=active")
            && result.contains("NRestarts=0"),
        || result,
    )
}

pub fn too_many_processes(bench: &mut Bench) -> Seen {
    let before = bench.ask()?;
    http::get(bench.machine.http_port, APP_HOST, "/processes").context("the app did not answer")?;
    let body = bench.until(&format!("curl -sf http://{APP_HOST}/counted | grep children"))?;
    let value: serde_json::Value = serde_json::from_str(&body).context("the app did not count")?;
    let children = value["children"].as_u64().unwrap_or(0);
    expect((PROCESSES - 20..PROCESSES).contains(&children), || format!("{body}: the limit is {PROCESSES}"))?;
    expect(value["refusal"] == "WouldBlock", || body.clone())?;
    let events = bench.run(&format!("{GROUP}; cat $G/pids.events"))?;
    expect(events.starts_with("max ") && events != "max 0", || format!("pids.events: {events}"))?;
    // What comes next is to find the app as it was.
    bench.until(&format!("{GROUP}; [ $(cat $G/pids.current) -lt {MOST_AT_REST} ]"))?;
    expect(bench.ask()?.started == before.started, || "the process did not live through it".to_owned())?;
    Ok(vec![body, format!("pids.events: {events}")])
}
