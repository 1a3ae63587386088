//! `run` and `run:detached`: a command on the current release and config.
//!
//! The attached form is a pipe: standard input goes to the process byte by byte, its standard output and standard error come back
//! apart, and the program ends with the process's exit code.

use crate::exit::Code;
use crate::failure::Failure;
use crate::output::{Progress, tell};
use crate::session::{AppFlags, Session, app_failure};
use crate::text::quote_for_shell;
use api::client::Client;
use api::client::rendezvous::{self, AttachUrl, Input, Mode, Output};
use api::dozen::process::{End, Process};
use api::dyno::{CreateDyno, Dyno};
use api::frame::Frame;
use clap::Args;
use domain::names::{ConfigKey, InvalidName};
use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::process::ExitCode;
use std::time::Duration;

/// What a shell reports of a program that nobody listened to any more (128 + SIGPIPE).
const NOBODY_LISTENS: u8 = 141;
/// How long the end of a process is asked for after its connection has ended: its grace of 30 s, and some.
const END_ATTEMPTS: u32 = 45;
const END_INTERVAL: Duration = Duration::from_secs(1);

/// What both forms take.
#[derive(Debug, Args)]
struct CommandFlags {
    #[command(flatten)]
    app: AppFlags,
    /// Set a variable for this process alone; several times for several
    #[arg(short, long = "env", value_name = "KEY=VALUE")]
    env: Vec<String>,
    /// The size of the process
    #[arg(short, long)]
    size: Option<String>,
    /// The command and its arguments. One argument alone is a line for the shell, or the name of a process type
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    command: Vec<String>,
}

impl CommandFlags {
    fn request(&self, attach: bool) -> Result<CreateDyno, Failure> {
        Ok(CreateDyno {
            attach: Some(attach),
            command: render_command(&self.command),
            env: self.env.iter().map(|pair| parse_variable(pair)).collect::<Result<BTreeMap<_, _>, _>>()?,
            force_no_tty: attach.then_some(true),
            size: self.size.clone(),
            ..CreateDyno::default()
        })
    }
}

/// One argument is a line for the shell as it stands; several are quoted, so that the process gets exactly these.
fn render_command(arguments: &[String]) -> String {
    match arguments {
        [line] => line.clone(),
        several => several.iter().map(|argument| quote_for_shell(argument)).collect::<Vec<_>>().join(" "),
    }
}

fn parse_variable(text: &str) -> Result<(String, String), Failure> {
    let (key, value) =
        text.split_once('=').ok_or_else(|| Failure::new(format!("{text} is not of the form KEY=VALUE")))?;
    let key: ConfigKey = key.parse().map_err(|error: InvalidName| Failure::of(&error))?;
    Ok((key.into(), value.to_owned()))
}

/// `dozen run`.
#[derive(Debug, Args)]
pub struct Run {
    #[command(flatten)]
    flags: CommandFlags,
    /// End with the process's exit code, which is always so
    #[arg(short = 'x', long)]
    exit_code: bool,
    /// Use no terminal, which is always so
    #[arg(long)]
    no_tty: bool,
}

impl Run {
    pub fn act(self, session: &Session) -> Result<ExitCode, Failure> {
        self.attach(session).map_err(|failure| match failure.code {
            Code::Refused | Code::Done => failure,
            Code::Failed | Code::NotRun => failure.code(Code::NotRun),
        })
    }

    fn attach(&self, session: &Session) -> Result<ExitCode, Failure> {
        let (client, app) = session.client_and_app(&self.flags.app)?;
        let request = self.flags.request(true)?;
        let progress = session.output.begin(&format!("Running {} on {app}", request.command));
        let dyno = client.create_dyno(&app, &request).map_err(|error| app_failure(&client, &app, error))?;
        let url: AttachUrl = dyno.attach_url.as_deref().unwrap_or_default().parse()?;
        let (input, output) = rendezvous::attach(&url, &client.target().trust, Mode::Dozen)?;
        announce(progress, &dyno);
        // Ends with the program: a read of a terminal cannot be called off.
        std::thread::spawn(move || send_stdin(input));
        match receive_all(session, output)? {
            Received::ExitCode(code) => Ok(ExitCode::from(code)),
            Received::NobodyListens => Ok(ExitCode::from(NOBODY_LISTENS)),
            Received::Nothing => observe_end(&client, &app, &dyno).map(ExitCode::from),
        }
    }
}

fn announce(progress: Progress, dyno: &Dyno) {
    progress.done(&format!("{} on {}", dyno.name, dyno.release.version));
}

/// How an attached connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Received {
    ExitCode(u8),
    /// It ended without saying how the process did.
    Nothing,
    /// Our own output is closed.
    NobodyListens,
}

fn send_stdin(input: Input) {
    let mut buffer = [0; 16 * 1024];
    let mut stdin = io::stdin().lock();
    loop {
        match stdin.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => {
                // The connection is gone: the other thread tells.
                if input.send(&buffer[..read]).is_err() {
                    return;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // Input that cannot be read has ended.
            Err(_) => break,
        }
    }
    let _ = input.end();
}

fn receive_all(session: &Session, mut output: Output) -> Result<Received, Failure> {
    loop {
        let frame = match output.next_frame() {
            Ok(None) => return Ok(Received::Nothing),
            Ok(Some(frame)) => frame,
            Err(error) => {
                session.output.warn(&format!("{error}; asking the server how the process ended"));
                return Ok(Received::Nothing);
            }
        };
        let written = match frame {
            Frame::Output(bytes) => write_all(io::stdout().lock(), &bytes),
            Frame::ErrorOutput(bytes) => write_all(io::stderr().lock(), &bytes),
            Frame::Notice(text) => {
                tell(&format!("{text}\n"));
                Ok(())
            }
            Frame::ExitCode(code) => return Ok(Received::ExitCode(code)),
            // Sent by clients only.
            Frame::Input(_) | Frame::InputEnd => Ok(()),
        };
        match written {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(Received::NobodyListens),
            other => other?,
        }
    }
}

fn write_all(mut stream: impl Write, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes)?;
    stream.flush()
}

/// Asks how the process ended until it is known.
fn observe_end(client: &Client, app: &str, dyno: &Dyno) -> Result<u8, Failure> {
    for attempt in 0..END_ATTEMPTS {
        if attempt > 0 {
            std::thread::sleep(END_INTERVAL);
        }
        match client.process(app, &dyno.id.to_string()) {
            Ok(process) => {
                if let Some(known) = render_end(&process) {
                    render_not_started(&process).iter().for_each(|reason| tell(&format!("{reason}\n")));
                    return known;
                }
            }
            Err(error) if error.may_pass() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Failure::new(format!("{} goes on running, and the connection to it is lost", dyno.name))
        .hint(format!("See `dozen ps --app {app}` and `dozen logs --app {app} --dyno-name {}`.", dyno.name)))
}

/// The exit code, or why there is none; `None` while the process runs.
fn render_end(process: &Process) -> Option<Result<u8, Failure>> {
    let name = &process.name;
    let end = process.end.as_ref()?;
    Some(
        end.code().ok_or_else(|| {
            Failure::new(format!("how {name} ended is not known: the server's machine lost it"))
        }),
    )
}

/// Why a process has an exit code without having run.
fn render_not_started(process: &Process) -> Option<String> {
    match process.end.as_ref()? {
        End::NotStarted { reason } => Some(format!("{} could not be started: {reason}", process.name)),
        End::Exited { .. } | End::Lost => None,
    }
}

/// `dozen run:detached`.
#[derive(Debug, Args)]
pub struct Detached {
    #[command(flatten)]
    flags: CommandFlags,
    /// Stop it after this many seconds
    #[arg(long, value_name = "SECONDS")]
    time_to_live: Option<u64>,
}

impl Detached {
    pub fn act(self, session: &Session) -> Result<(), Failure> {
        let (client, app) = session.client_and_app(&self.flags.app)?;
        let request = CreateDyno { time_to_live: self.time_to_live, ..self.flags.request(false)? };
        let progress = session.output.begin(&format!("Running {} on {app}", request.command));
        let dyno = client.create_dyno(&app, &request).map_err(|error| app_failure(&client, &app, error))?;
        announce(progress, &dyno);
        session
            .output
            .note(&format!("Its output is shown by `dozen logs --app {app} --dyno-name {}`.", dyno.name));
        session.output.data(&dyno, |_| format!("{}\n", dyno.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::samples;
    use crate::text::Style;
    use api::dyno::DynoState;

    #[test]
    fn one_argument_is_a_line_and_several_are_exact() {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        for (arguments, command) in [
            (words(&["worker"]), "worker"),
            (words(&["echo $HOME | wc -c"]), "echo $HOME | wc -c"),
            (words(&["ls", "-l", "a b"]), "ls -l 'a b'"),
            (words(&["echo", "$HOME"]), "echo '$HOME'"),
        ] {
            assert_eq!(render_command(&arguments), command);
        }
    }

    #[test]
    fn variables() {
        assert_eq!(parse_variable("A=b=c").expect("valid"), ("A".to_owned(), "b=c".to_owned()));
        assert!(parse_variable("A").is_err() && parse_variable("A-B=1").is_err());
    }

    #[test]
    fn ends() {
        let process = |end| {
            let dyno = samples::dyno("run.4821", DynoState::Up);
            let [created_at, at] = [samples::at(), samples::now()];
            Process {
                id: dyno.id,
                name: dyno.name,
                app: dyno.app,
                release: dyno.release,
                process_type: dyno.process_type,
                command: dyno.command,
                state: dyno.state,
                created_at,
                started_at: Some(created_at),
                ended_at: Some(at),
                end,
                waits: None,
            }
        };
        assert!(render_end(&process(None)).is_none());
        let exited = End::Exited { code: 3, signal: None, out_of_memory: false, stop_requested: false };
        assert_eq!(render_end(&process(Some(exited))).expect("ended").ok(), Some(3));
        let never = process(Some(End::NotStarted { reason: "no place".to_owned() }));
        assert_eq!(render_end(&never).expect("ended").ok(), Some(127));
        assert_eq!(render_not_started(&never).as_deref(), Some("run.4821 could not be started: no place"));
        let lost = render_end(&process(Some(End::Lost))).expect("ended").expect_err("unknown");
        assert!(lost.render(Style::Plain).contains("run.4821"));
    }
}
