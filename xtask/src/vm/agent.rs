//! The host's end of the agent: a shell script in base64 goes in on one line, its exit code and output come back on one.

use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

const POLL: Duration = Duration::from_millis(100);
/// From the end of a script to its answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);

/// What the agent is, in the machine: systemd starts it, and it does one script after the other.
pub const GUEST_SCRIPT: &str = r#"#!/bin/bash
# Carries out the scripts that come over a port of the virtual machine.
port=/dev/virtio-ports/dozen-agent
until [ -e "$port" ]; do sleep 0.2; done
exec 3<>"$port"
printf 'ready %s\n' "$(cat /proc/sys/kernel/random/boot_id)" >&3
while IFS= read -r line <&3; do
  printf %s "$line" | base64 -d > /run/agent-script
  bash /run/agent-script > /run/agent-output 2>&1 < /dev/null
  printf '%s %s\n' "$?" "$(base64 -w0 /run/agent-output)" >&3
done
"#;

pub const GUEST_UNIT: &str = "[Unit]
Description=Agent of the tests

[Service]
Type=exec
Environment=HOME=/root
ExecStart=/usr/local/sbin/dozen-agent
Restart=always

[Install]
WantedBy=multi-user.target
";

pub struct Agent {
    stream: BufReader<UnixStream>,
    /// Which boot of the machine it speaks for.
    pub boot_id: String,
}

impl Agent {
    /// Waits until the machine's agent speaks.
    pub fn connect(socket: &Path, limit: Duration) -> Result<Self> {
        let deadline = Instant::now() + limit;
        let stream = loop {
            match UnixStream::connect(socket) {
                Ok(stream) => break stream,
                Err(_) if Instant::now() < deadline => std::thread::sleep(POLL),
                Err(error) => return Err(error).context("the machine has no agent's socket"),
            }
        };
        stream.set_read_timeout(Some(limit))?;
        let mut agent = Self { stream: BufReader::new(stream), boot_id: String::new() };
        agent.wait_ready(limit)?;
        Ok(agent)
    }

    /// Waits for the agent of the next boot.
    pub fn wait_ready(&mut self, limit: Duration) -> Result<()> {
        self.stream.get_ref().set_read_timeout(Some(limit))?;
        loop {
            let line = self.read_line().context("the machine did not come up")?;
            if let Some(boot_id) = line.strip_prefix("ready ").filter(|id| *id != self.boot_id) {
                boot_id.clone_into(&mut self.boot_id);
                return Ok(());
            }
        }
    }

    /// Exit code and output of a script. One that takes longer than the limit is ended in the machine, where its output is: 124.
    pub fn run(&mut self, script: &str, limit: Duration) -> Result<(i32, String)> {
        self.stream.get_ref().set_read_timeout(Some(limit + ANSWER_LIMIT))?;
        let seconds = limit.as_secs();
        let limited = format!(
            "printf %s {} | base64 -d > /run/limited-script; timeout --kill-after=5 {seconds} bash /run/limited-script",
            encode(script.as_bytes())
        );
        let line = format!("{}\n", encode(limited.as_bytes()));
        self.stream.get_mut().write_all(line.as_bytes()).context("the agent has gone")?;
        let answer = self
            .read_line()
            .with_context(|| format!("no answer within {} s to:\n{script}", limit.as_secs()))?;
        // Without any output nothing follows the code.
        let (code, output) = answer.split_once(' ').unwrap_or((&answer, ""));
        let output = decode(output).context("the agent's answer is no base64")?;
        let code = code.parse().with_context(|| format!("the agent said {answer:?}"))?;
        Ok((code, String::from_utf8_lossy(&output).into_owned()))
    }

    /// Hands a script over and waits for nothing: the machine may be gone before it could answer.
    pub fn send(&mut self, script: &str) -> Result<()> {
        let line = format!("{}\n", encode(script.as_bytes()));
        self.stream.get_mut().write_all(line.as_bytes()).context("the agent has gone")
    }

    fn read_line(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            bail!("the machine has ended");
        }
        Ok(line.trim_end().to_owned())
    }
}

const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn encode(bytes: &[u8]) -> String {
    let mut text = String::new();
    for piece in bytes.chunks(3) {
        let number =
            piece.iter().fold(0u32, |number, byte| number << 8 | u32::from(*byte)) << (8 * (3 - piece.len()));
        for place in 0..4 {
            let letter = LETTERS[(number >> (18 - 6 * place)) as usize & 63];
            text.push(if place <= piece.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let (mut number, mut bits) = (0u32, 0);
    for letter in text.trim_end_matches('=').bytes() {
        let value = LETTERS.iter().position(|known| *known == letter)?;
        number = number << 6 | u32::try_from(value).ok()?;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((number >> bits & 255) as u8);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_travel_whole() {
        for (plain, coded) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")]
        {
            assert_eq!(encode(plain.as_bytes()), coded);
            assert_eq!(decode(coded).as_deref(), Some(plain.as_bytes()));
        }
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(decode(&encode(&all)), Some(all));
        assert_eq!(decode("no base64!"), None);
    }
}
