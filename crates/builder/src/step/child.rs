//! Running the tools of a build: their output, indented, line by line; their end; and what all of them find in their environment.

use super::{Places, say};
use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

const SHELL: &str = "/bin/sh";
/// Executes its arguments without the descriptor of the result, which no script of the app is to write into by mistake.
const WITHOUT_RESULT: [&str; 3] = ["-c", "exec \"$@\" 3>&-", "sh"];
/// Longest line of text that is passed on whole.
const MAX_TEXT_LINE: u64 = 64 * 1024;
/// What tells tools of all languages whom to trust.
const CERTIFICATE_VARIABLES: [&str; 8] = [
    "SSL_CERT_FILE",
    "PIP_CERT",
    "REQUESTS_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "CARGO_HTTP_CAINFO",
    "GIT_SSL_CAINFO",
    "CURL_CA_BUNDLE",
    "AWS_CA_BUNDLE",
];

/// A tool, in the work folder, with nothing to read.
pub(super) fn command(places: &Places, program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(SHELL);
    command.args(WITHOUT_RESULT).arg(program).current_dir(&places.work).stdin(Stdio::null());
    if places.certificates.exists() {
        command.envs(CERTIFICATE_VARIABLES.map(|name| (name, &places.certificates)));
    }
    command
}

/// Runs it to its end; both of its outputs are passed on.
pub(super) fn run(mut command: Command, output: &mut (dyn Write + Send)) -> io::Result<ExitStatus> {
    let (reader, writer) = io::pipe()?;
    let mut child = command.stdout(writer.try_clone()?).stderr(writer).spawn()?;
    // It holds the writing ends, and the pipe ends with it.
    drop(command);
    pass_on(reader, output)?;
    child.wait()
}

/// What it prints if it succeeds; nobody else sees it.
pub(super) fn capture(mut command: Command) -> io::Result<Option<String>> {
    let output = command.stderr(Stdio::null()).output()?;
    Ok(output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned()))
}

/// A program on the `PATH` of the step.
pub(super) fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| is_program(file))
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

pub(super) fn pass_on(text: impl Read, output: &mut (dyn Write + Send)) -> io::Result<()> {
    each_line(text, MAX_TEXT_LINE, &mut |line| {
        // A reader that has gone does not stop the build.
        let _ = output
            .write_all(say::DETAIL.as_bytes())
            .and_then(|()| output.write_all(line))
            .and_then(|()| output.write_all(b"\n"))
            .and_then(|()| output.flush());
    })
}

/// Lines without their ends; one that is longer than `limit` comes in several.
pub(super) fn each_line(reader: impl Read, limit: u64, line: &mut dyn FnMut(&[u8])) -> io::Result<()> {
    let mut reader = BufReader::new(reader);
    let mut buffer = Vec::new();
    loop {
        buffer.clear();
        if reader.by_ref().take(limit).read_until(b'\n', &mut buffer)? == 0 {
            return Ok(());
        }
        line(buffer.strip_suffix(b"\n").unwrap_or(&buffer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_indented_line_by_line() {
        let mut output = Vec::new();
        pass_on(&b"   Compiling a\nerror: x\n\nno end"[..], &mut output).expect("passed on");
        assert_eq!(
            String::from_utf8(output).expect("text"),
            "          Compiling a\n       error: x\n       \n       no end\n"
        );
    }
}
