//! C-60 to C-70: what a process may use, and what is said of one that uses more.

use crate::platform::{Lack, Platform};
use crate::source::Source;
use crate::vector::{Outcome, Stage, held};
use anyhow::{Context, Result, ensure};
use api::dozen::process::End;
use api::dozen::usage::Usage;
use api::feature::UpdateFeature;
use serde_json::Value;

const MEGABYTE: u64 = 1 << 20;
/// Above the quota of 512 MB, far below the hard limit.
const ABOVE_QUOTA: u64 = 600;
/// As much again is above the hard limit.
const TOO_MUCH: u64 = 600;
/// Longest wait for a line that comes every 20 seconds.
const SAMPLE_SECONDS: u64 = 60;

pub fn source(_: &Platform) -> Option<Source> {
    // It takes all the memory there is, and is the largest.
    let hog = "hog: tail /dev/zero; echo \"the hog ended with $?\"; exec sleep infinity";
    Some(Source::new(&["web: exec ./contract-app", hog]))
}

fn usage(stage: &Stage<'_>, name: &str) -> Result<Usage> {
    let all = stage.app.client().usage(&stage.app.name)?;
    let found =
        all.into_iter().find(|one| one.name == name).with_context(|| format!("the usage of {name}"))?;
    found.usage.with_context(|| format!("{:?}", found.unknown))
}

fn counted(stage: &Stage<'_>, path: &str) -> Result<(u64, String)> {
    let value: Value = serde_json::from_slice(&stage.app.get(path)?.body)?;
    let count = value["count"].as_u64().context("a count")?;
    Ok((count, value["refusal"].as_str().unwrap_or_default().to_owned()))
}

pub fn c_64_processes_and_threads_are_limited(stage: &Stage<'_>) -> Result<Outcome> {
    if let Some(lacking) = stage.without(Lack::Limits) {
        return Ok(lacking);
    }
    let before = stage.app.up("web.1", 60)?;
    let limit = u64::from(usage(stage, "web.1")?.limits.processes);
    let (count, refusal) = counted(stage, &format!("/threads?most={}", 2 * limit))?;
    ensure!(
        refusal == "WouldBlock" && (limit / 2..limit).contains(&count),
        "{count} of {limit}, then {refusal}"
    );
    ensure!(stage.app.up("web.1", 5)?.id == before.id, "what runs goes on");
    held()
}

pub fn c_65_tmp_has_a_size_and_holds_so_many_files(stage: &Stage<'_>) -> Result<Outcome> {
    let app = stage.app;
    let before = app.up("web.1", 60)?;
    let size = usage(stage, "web.1")?.limits.tmp_bytes;
    for folder in ["/tmp", "/dev/shm"] {
        let ran = app.run(&format!(
            "head -c {} /dev/zero > {folder}/big; stat -c %s {folder}/big; rm {folder}/big",
            size + MEGABYTE
        ))?;
        ensure!(ran.err.contains("No space left on device"), "{folder}: {ran:?}");
        ensure!(
            ran.out.trim().parse::<u64>().is_ok_and(|bytes| bytes > size / 2 && bytes <= size),
            "{folder}: {ran:?}"
        );
    }
    let files = size / 2048;
    let ran = app.run(&format!(
        "mkdir /tmp/many && cd /tmp/many && seq {} | xargs touch; ls | wc -l; cd / && rm -r /tmp/many",
        files + 10
    ))?;
    ensure!(
        ran.err.contains("No space left on device"),
        "{} files: {} {}",
        files,
        ran.out,
        ran.err.chars().take(200).collect::<String>()
    );
    ensure!(app.up("web.1", 5)?.id == before.id, "nothing is killed for that");
    held()
}

const OPEN_FILES: u64 = 16_384;

pub fn c_66_open_files_are_limited(stage: &Stage<'_>) -> Result<Outcome> {
    let found = stage.app.print("ulimit -Sn; ulimit -Hn")?;
    let (soft, hard) = found.split_once('\n').context("two lines")?;
    let (soft, hard): (u64, u64) = (soft.parse()?, hard.parse()?);
    ensure!(soft == OPEN_FILES.min(hard) && hard <= 65_536, "{soft} and {hard}");
    let (count, refusal) = counted(stage, &format!("/files?most={}", soft + 10))?;
    // 24 is EMFILE.
    ensure!(refusal == "24" && count < soft && count + 50 > soft, "{count}, then {refusal}");
    held()
}

pub fn c_60_above_the_quota_it_is_told_and_goes_on(stage: &Stage<'_>) -> Result<Outcome> {
    if let Some(lacking) = stage.without(Lack::Limits) {
        return Ok(lacking);
    }
    let before = stage.app.up("web.1", 60)?;
    stage.app.get(&format!("/memory?mb={ABOVE_QUOTA}"))?;
    let told = ["heroku[web.1]: Process running mem=6", "heroku[web.1]: Error R14 (Memory quota exceeded)"];
    let twice = [told, told].concat();
    stage.app.told(&twice, 2 * SAMPLE_SECONDS)?;
    ensure!(stage.app.up("web.1", 5)?.id == before.id, "it goes on");
    held()
}

pub fn c_67_what_it_uses_is_told_to_who_asks(stage: &Stage<'_>) -> Result<Outcome> {
    if let Some(lacking) = stage.without(Lack::Limits) {
        return Ok(lacking);
    }
    let process = stage.app.up("web.1", 60)?;
    let shown =
        stage.app.client().process(&stage.app.name, &process.id.to_string())?.usage.context("its usage")?;
    for usage in [usage(stage, "web.1")?, shown] {
        let (memory, peak) = (usage.memory_bytes.unwrap_or(0), usage.memory_peak_bytes.unwrap_or(0));
        ensure!(
            memory > ABOVE_QUOTA * MEGABYTE && peak >= memory && memory < usage.limits.memory_hard_bytes,
            "{usage:?}"
        );
        ensure!(usage.cpu_millis.is_some_and(|millis| millis > 0), "{usage:?}");
        ensure!(
            usage.processes.is_some_and(|count| (1..usage.limits.processes).contains(&count)),
            "{usage:?}"
        );
        ensure!(usage.oom_kills == Some(0) && usage.limits.memory_bytes == 512 * MEGABYTE, "{usage:?}");
    }
    held()
}

pub fn c_61_at_the_hard_limit_it_ends_and_is_started_again(stage: &Stage<'_>) -> Result<Outcome> {
    if let Some(lacking) = stage.without(Lack::Limits) {
        return Ok(lacking);
    }
    let before = stage.app.up("web.1", 60)?;
    let _lost = stage.app.get(&format!("/memory?mb={TOO_MUCH}"));
    stage.app.told(
        &[
            "heroku[web.1]: Error R15 (Memory quota vastly exceeded)",
            "heroku[web.1]: Process exited with status 137",
        ],
        60,
    )?;
    let end = stage.app.until("its end is recorded", 30, || {
        Ok(stage.app.client().process(&stage.app.name, &before.id.to_string())?.end)
    })?;
    ensure!(matches!(end, End::Exited { code: 137, out_of_memory: true, .. }), "{end:?}");
    stage.app.renewed(&before, 60)?;
    held()
}

pub fn c_70_another_size_is_another_process_with_its_limits(stage: &Stage<'_>) -> Result<Outcome> {
    let app = stage.app;
    let before = app.up("web.1", 60)?;
    let old = usage(stage, "web.1")?.limits;
    app.resize("web", "standard-2x")?;
    app.renewed(&before, 60)?;
    let new = app.until("its limits are those of the size", 30, || {
        Ok(Some(usage(stage, "web.1")?.limits).filter(|new| *new != old))
    })?;
    ensure!(
        new.memory_bytes == 2 * old.memory_bytes && new.cpu_weight == 2 * old.cpu_weight,
        "{old:?}, then {new:?}"
    );
    ensure!(app.print("echo $WEB_CONCURRENCY")? == "4", "it is told how many workers fit");
    held()
}

pub fn c_62_what_is_left_after_a_kill_goes_on(stage: &Stage<'_>) -> Result<Outcome> {
    if let Some(lacking) = stage.without(Lack::Limits) {
        return Ok(lacking);
    }
    let web = stage.app.up("web.1", 60)?;
    stage.app.scale(&[("hog", 1)])?;
    let hog = stage.app.up("hog.1", 60)?;
    stage.app.told(&["app[hog.1]: the hog ended with 137"], 180)?;
    stage.app.told(&["heroku[hog.1]: Error R15 (Memory quota vastly exceeded)"], SAMPLE_SECONDS)?;
    ensure!(stage.app.up("hog.1", 5)?.id == hog.id, "the rest of it goes on");
    ensure!(stage.app.up("web.1", 5)?.id == web.id, "others notice nothing");
    ensure!(usage(stage, "hog.1")?.oom_kills.is_some_and(|kills| kills > 0), "the kill is counted");
    stage.app.scale(&[("hog", 0)])?;
    held()
}

pub fn c_63_samples_are_lines_of_the_log_of_who_asked(stage: &Stage<'_>) -> Result<Outcome> {
    let app = stage.app;
    if let Some(lacking) = stage.without(Lack::Limits) {
        return Ok(lacking);
    }
    app.client().update_feature(&app.name, "log-runtime-metrics", &UpdateFeature { enabled: Some(true) })?;
    let before = app.up("web.1", 60)?;
    ensure!(!app.log()?.iter().any(|line| line.contains("sample#")), "nobody had asked");
    app.client().restart_dyno(&app.name, "web.1")?;
    let process = app.renewed(&before, 60)?;
    let source = format!(
        "heroku[web.1]: source=web.1 dyno=heroku.{}.{} ",
        app.client().app(&app.name)?.id,
        process.id
    );
    let log = app.told(&[&source, &source], SAMPLE_SECONDS)?;
    let line_with =
        |name: &str| log.iter().find(|line| line.starts_with(&source) && line.contains(name)).cloned();
    let memory = line_with(" sample#memory_total=").with_context(|| format!("{log:#?}"))?;
    for name in ["rss", "cache", "swap", "quota"] {
        ensure!(memory.contains(&format!(" sample#memory_{name}=")), "{memory}");
    }
    let load = line_with(" sample#load_avg_1m=").with_context(|| format!("{log:#?}"))?;
    ensure!(["5m", "15m"].iter().all(|span| load.contains(&format!("sample#load_avg_{span}="))), "{load}");
    held()
}
