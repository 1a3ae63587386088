//! C-10 to C-19: what a process finds, who it is, and what becomes of its output and its children.

use super::environment::restart_web;
use crate::platform::Lack;
use crate::vector::{Outcome, Stage, held};
use anyhow::{Context, Result, ensure};

pub fn c_10_the_app_folder_is_the_source_and_read_only(stage: &Stage<'_>) -> Result<Outcome> {
    let found = stage.app.print("head -c 4 /app/Procfile; test -x /app/contract-app")?;
    ensure!(found == "web:", "{found}");
    for script in ["touch /app/new", "echo x >> /app/Procfile", "rm /app/Procfile", "chmod 777 /app"] {
        let ran = stage.app.run(script)?;
        let refused = ["Read-only file system", "Permission denied", "Operation not permitted"];
        ensure!(ran.code != 0 && refused.iter().any(|reason| ran.err.contains(reason)), "{script}: {ran:?}");
    }
    held()
}

pub fn c_11_tmp_is_its_own_and_new(stage: &Stage<'_>) -> Result<Outcome> {
    let app = stage.app;
    for folder in ["/tmp", "/var/tmp", "/dev/shm"] {
        app.print(&format!("echo mark > {folder}/mark && cat {folder}/mark"))?;
    }
    app.print("printf '#!/bin/sh\\necho runs\\n' > /tmp/program && chmod +x /tmp/program && /tmp/program")?;
    for folder in ["/", "/etc", "/usr", "/var", "/var/log", "/home", "/root", "/run", "/dev"] {
        let ran = app.run(&format!("touch {folder}/mark"))?;
        ensure!(ran.code != 0, "{folder} can be written to");
    }
    app.scale(&[("worker", 2)])?;
    let told = app.told(&["app[worker.2]: worker.2 has port"], 60)?;
    ensure!(told[0].ends_with(", 0 files in /tmp"), "{}", told[0]);
    restart_web(stage)?;
    let left = app.print("ls /tmp /dev/shm | grep -c mark || true")?;
    ensure!(left == "0", "{left} of the files are still there after a restart");
    held()
}

pub fn c_12_the_stack_is_there_and_devices_are_few(stage: &Stage<'_>) -> Result<Outcome> {
    let app = stage.app;
    app.print("for d in null zero full random urandom tty; do test -c /dev/$d || exit 1; done")?;
    let bytes = app.print("head -c 16 /dev/urandom | wc -c")?;
    ensure!(bytes == "16", "{bytes}");
    app.print("test -L /dev/stdout && test -L /dev/stderr && test -L /dev/fd && test -x /usr/bin/env && test -x /bin/sh && test -r /etc/resolv.conf")?;
    let disks = app.print("find /dev -type b | wc -l; ls /sys 2>/dev/null | wc -l")?;
    ensure!(disks == "0\n0", "block devices, entries of /sys: {disks}");
    held()
}

pub fn c_13_proc_shows_its_own_processes_only(stage: &Stage<'_>) -> Result<Outcome> {
    let names = stage.app.print("cat /proc/[0-9]*/comm | sort -u")?;
    let ours = ["contract-app", "sh", "dash", "bash", "cat", "sort"];
    let others: Vec<&str> = names.lines().filter(|name| !ours.contains(name)).collect();
    // One more: the platform's first process.
    ensure!(names.contains("contract-app") && others.len() <= 1, "{others:?}");
    let one = stage.app.print("ls /proc | grep -cx '[0-9]*'")?;
    ensure!(one.parse::<u32>().is_ok_and(|count| count < 12), "{one} processes are seen");
    let ran = stage.app.run("echo 1 > /proc/sys/vm/drop_caches || echo x > /proc/sys/kernel/hostname")?;
    ensure!(ran.code != 0, "settings of the kernel can be written");
    held()
}

pub fn c_14_it_is_a_user_without_rights(stage: &Stage<'_>) -> Result<Outcome> {
    if let Some(lacking) = stage.without(Lack::OwnUser) {
        return Ok(lacking);
    }
    let found = stage
        .app
        .print("id -un; grep -E '^(CapPrm|CapEff|CapBnd|NoNewPrivs):' /proc/self/status | tr -d '\\t'")?;
    let nothing = "0".repeat(16);
    let expected = format!("app\nCapPrm:{nothing}\nCapEff:{nothing}\nCapBnd:{nothing}\nNoNewPrivs:1");
    ensure!(found == expected, "{found}");
    let id = stage.app.print("id -u; id -G")?;
    let (user, groups) = id.split_once('\n').context("two lines")?;
    ensure!(user != "0" && groups == user, "user {user} in groups {groups}");
    held()
}

pub fn c_15_input_is_empty_and_output_is_the_log(stage: &Stage<'_>) -> Result<Outcome> {
    let input = stage.app.get("/input")?.text();
    ensure!(input == "0", "bytes of standard input: {input}");
    stage.app.send("POST", "/say", &[], b"to standard output\n")?;
    stage.app.send("POST", "/say-error", &[], b"to standard error\n")?;
    let told = ["app[web.1]: to standard output", "app[web.1]: to standard error"];
    stage.app.told(&["app[web.1]: from-the-shell-itself"], 30)?;
    stage.app.told(&told[..1], 30)?;
    stage.app.told(&told[1..], 30)?;
    held()
}

const LONGEST_LINE: usize = 10_000;

pub fn c_16_lines_of_the_log_are_lines_of_the_app(stage: &Stage<'_>) -> Result<Outcome> {
    let app = stage.app;
    app.send("POST", "/say", &[], b"half a ")?;
    std::thread::sleep(std::time::Duration::from_secs(1));
    let long = format!("long {}", "\u{e4}".repeat(LONGEST_LINE / 2));
    let bytes = [
        b"line\r\n\nno text: \xff\xfe \x1b[1mbold\x1b[0m\n".as_slice(),
        long.as_bytes(),
        b"\nthe end, unended",
    ]
    .concat();
    app.send("POST", "/say", &[], &bytes)?;
    let cut = format!("app[web.1]: long {}", "\u{e4}".repeat(4997));
    let wanted = [
        "app[web.1]: half a line",
        "app[web.1]: ",
        "app[web.1]: no text: \u{fffd}\u{fffd} \u{1b}[1mbold\u{1b}[0m",
        &cut,
        "app[web.1]: \u{e4}",
    ];
    let told = app.told(&wanted, 30)?;
    let longest = told.iter().map(String::len).max().unwrap_or(0);
    ensure!(longest <= LONGEST_LINE + "app[web.1]: ".len(), "a line of {longest} bytes");
    ensure!(!told.iter().any(|line| line.contains("the end")), "a line that has not ended is told");
    restart_web(stage)?;
    app.told(&["app[web.1]: the end, unended"], 30)?;
    held()
}

pub fn c_17_it_is_born_as_processes_should_be(stage: &Stage<'_>) -> Result<Outcome> {
    let born = stage.app.print("grep -E '^Sig(Blk|Ign):' /tmp/status | tr -d '\\t'; cat /tmp/umask")?;
    let none = "0".repeat(16);
    ensure!(born == format!("SigBlk:{none}\nSigIgn:{none}\n0022"), "{born}");
    let stat = stage.app.print("sed 's/.*) //' /proc/$PPID/stat; echo $PPID; ulimit -c")?;
    let lines: Vec<&str> = stat.lines().collect();
    let fields: Vec<&str> = lines[0].split(' ').collect();
    // State, parent, group, session, terminal.
    ensure!(fields[2] == lines[1] && fields[3] == lines[1] && fields[4] == "0", "{stat}");
    ensure!(lines[2] == "0", "core files of {} blocks", lines[2]);
    held()
}

pub fn c_18_its_host_name_is_its_name(stage: &Stage<'_>) -> Result<Outcome> {
    let found =
        stage.app.print("cat /proc/sys/kernel/hostname; getent hosts web-1 | head -1 | cut -d' ' -f1")?;
    ensure!(found == "web-1\n127.0.0.1", "{found}");
    held()
}

pub fn c_19_orphans_are_reaped_and_nothing_outlives_the_first_process(stage: &Stage<'_>) -> Result<Outcome> {
    let app = stage.app;
    app.print("(sleep 0.2 &) ; (sleep 0.3 & sleep 0.1) &")?;
    app.until("no child is left unreaped", 20, || {
        let states = app.print("sleep 0.5; cat /proc/[0-9]*/stat | sed 's/.*) //' | cut -c1")?;
        Ok((!states.contains('Z')).then_some(()))
    })?;
    app.print("(trap '' TERM; setsid sleep 1000 >/dev/null 2>&1 &) ; sleep 0.2; cat /proc/[0-9]*/comm | grep -x sleep")?;
    restart_web(stage)?;
    let told = [
        "web.1]: Stopping all processes with SIGTERM",
        "web.1]: Process exited with status 143",
        "web.1]: State changed from starting to up",
    ];
    let log = app.told(&told, 30)?;
    ensure!(!log.iter().any(|line| line.contains("R12")), "what was left was waited for: {log:#?}");
    held()
}
