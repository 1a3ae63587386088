//! Two other ways to an app: over SSH, and in a language whose interpreter is the machine's own.

use super::super::image::PYTHON_HOST;
use super::{Bench, Seen, expect};
use crate::demo::http;

/// Above 1023: the server, which listens itself, may have no other.
const SSH: &str = "ssh://git@vm.test:2222";

/// As the page `push-over-ssh` tells: the setting, a key, the other address.
pub fn ssh(bench: &mut Bench) -> Seen {
    let before = bench.processes()?;
    bench.run("echo DOZEN_SSH_LISTEN=0.0.0.0:2222 >> /etc/dozen/dozen.env && dozen install")?;
    // A server that has just started has its pages to read first, and the client's patience is that of real machines.
    bench.until("dozen keys")?;
    expect(bench.processes()? == before, || "turning SSH on has touched processes of apps".to_owned())?;
    bench.run(
        "set -e; mkdir -p /root/.ssh; cd /root/.ssh
         ssh-keygen -q -t ed25519 -N '' -C known@vm.test -f id_ed25519
         ssh-keygen -q -t ed25519 -N '' -C stranger@vm.test -f stranger
         printf 'Host vm.test\\n  BatchMode yes\\n  IdentitiesOnly yes\\n  StrictHostKeyChecking accept-new\\n' > config
         dozen keys:add",
    )?;
    let listed = bench.run(&format!("git ls-remote {SSH}/hello.git refs/heads/main"))?;
    let stranger = bench.try_run(
        &format!("GIT_SSH_COMMAND='ssh -i /root/.ssh/stranger' git ls-remote {SSH}/hello.git"),
        super::SCRIPT_LIMIT,
    )?;
    expect(stranger.0 != 0 && stranger.1.contains("Permission denied"), || {
        format!("a stranger: {stranger:?}")
    })?;
    let fingerprints = bench.run(
        "ssh-keygen -lf /var/lib/dozen/keys/ssh_host_ed25519_key | grep -o 'SHA256:[^ ]*'; ssh-keygen -F '[vm.test]:2222' -l | grep -o 'SHA256:[^ ]*'",
    )?;
    let (told, met) = fingerprints.split_once('\n').unwrap_or_default();
    expect(!told.is_empty() && told == met, || format!("the server's key: {fingerprints}"))?;
    bench.run(&format!(
        "cd /root/app && date > by-ssh && git add -A && git -c user.name=t -c user.email=t@vm.test commit -qm ssh && git push {SSH}/hello.git main 2>&1"
    ))?;
    let released = super::power::newest_serves(bench)?;
    Ok(vec![
        format!("{}; a stranger's key is refused", listed.lines().last().unwrap_or_default()),
        format!("a push over SSH makes {released}"),
    ])
}

/// Debian's own Python and pip, in the sandbox that builds and in the one that runs.
pub fn python(bench: &mut Bench) -> Seen {
    let pushed = bench.run(
        "set -e; rm -rf /root/snake; cp -r /payload/snake /root/snake; cd /root/snake; python3 make_wheel.py
         git init -q -b main; git add -A; git -c user.name=t -c user.email=t@vm.test commit -qm first
         dozen apps:create snake; dozen git:remote -a snake; git push dozen main 2>&1",
    )?;
    bench.until(&format!("curl -sf http://{PYTHON_HOST}/"))?;
    let version = bench.run("/usr/bin/python3 -c 'import platform; print(platform.python_version())'")?;
    let (status, told) = http::get(bench.machine.http_port, PYTHON_HOST, "/")?;
    // In the sandbox the prefix, here /usr, has this name.
    let own = format!("hello from a wheel, /app/.venv/bin/python, /opt/python, {version}");
    expect(status == 200 && told == own, || format!("{status}: {told}\n{pushed}"))?;
    bench.run("dozen apps:destroy -a snake --confirm snake")?;
    bench.until("! pgrep -f 'python app.py'")?;
    let mut seen: Vec<String> =
        pushed.lines().filter(|line| line.starts_with("remote:")).map(str::to_owned).collect();
    seen.push(told);
    Ok(seen)
}
