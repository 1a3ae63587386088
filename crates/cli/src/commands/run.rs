//! `run` and `run:detached`: a command on the current release and config.
//!
//! Where both ends of the attached form are terminals, so is the process's: keys go there as they are typed, and the process learns
//! of the window's size. Elsewhere it is a pipe: standard input goes to the process byte by byte, its standard output and standard
//! error come back apart. Either way the program ends with the process's exit code.

use crate::exit::Code;
use crate::failure::Failure;
use crate::output::{Progress, tell};
use crate::session::{AppFlags, Session};
use crate::terminal::{self, Raw};
use crate::text::quote_for_shell;
use api::client::Client;
use api::client::rendezvous::{self, AttachUrl, Input, Mode, Output, RendezvousError};
use api::dozen::process::{End, Process};
use api::dyno::{CreateDyno, Dyno};
use api::frame::Frame;
use clap::Args;
use domain::names::{ConfigKey, InvalidName};
use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

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
pub(super) fn render_command(arguments: &[String]) -> String {
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
    /// Use no terminal, though this is one
    #[arg(long)]
    no_tty: bool,
}

/// What the process is connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ends {
    Terminal,
    Pipes,
}

impl Run {
    pub fn act(self, session: &Session) -> Result<ExitCode, Failure> {
        self.attach(session).map_err(|failure| match failure.code {
            Code::Refused | Code::Done => failure,
            Code::Failed | Code::NotRun => failure.code(Code::NotRun),
        })
    }

    fn ends(&self) -> Ends {
        if !self.no_tty && terminal::is_interactive() { Ends::Terminal } else { Ends::Pipes }
    }

    fn attach(&self, session: &Session) -> Result<ExitCode, Failure> {
        let at = session.app_client(&self.flags.app)?;
        let app = &at.app;
        let ends = self.ends();
        let mut request = self.flags.request(true)?;
        if ends == Ends::Terminal {
            tell_of_terminal(&mut request, session.environment.terminal_kind());
        }
        let progress = session.output.begin(&format!("Running {} on {app}", request.command));
        let dyno = at.ask(|client, app| client.create_dyno(app, &request))?;
        let url: AttachUrl = dyno.attach_url.as_deref().unwrap_or_default().parse()?;
        let (input, output) = rendezvous::attach(&url, &at.client.target().trust, Mode::Dozen)?;
        announce(progress, &dyno);
        let raw = match ends {
            Ends::Terminal => Some(enter_raw(&input)?),
            Ends::Pipes => None,
        };
        // Ends with the program: a read of a terminal cannot be called off.
        let left = Arc::new(AtomicBool::new(false));
        let leaving = Arc::clone(&left);
        std::thread::spawn(move || send_stdin(&input, ends, &leaving));
        let received = receive_all(output, ends);
        drop(raw);
        match received? {
            Received::ExitCode(code) => Ok(ExitCode::from(code)),
            Received::NobodyListens => Ok(ExitCode::from(NOBODY_LISTENS)),
            Received::Nothing => observe_end(&at.client, app, &dyno).map(ExitCode::from),
            Received::Broken(_) if left.load(Ordering::Relaxed) => Err(disconnected(app, &dyno)),
            Received::Broken(error) => {
                session.output.warn(&format!("{error}; asking the server how the process ended"));
                observe_end(&at.client, app, &dyno).map(ExitCode::from)
            }
        }
    }
}

fn announce(progress: Progress, dyno: &Dyno) {
    progress.done(&format!("{} on {}", dyno.name, dyno.release.version));
}

fn disconnected(app: &str, dyno: &Dyno) -> Failure {
    Failure::new(format!("disconnected from {}, which is asked to end", dyno.name))
        .hint(format!("See `dozen ps --app {app}`."))
}

/// How an attached connection ended.
#[derive(Debug)]
enum Received {
    ExitCode(u8),
    /// It ended without saying how the process did.
    Nothing,
    /// It did not end as it should.
    Broken(RendezvousError),
    /// Our own output is closed.
    NobodyListens,
}

/// In place of the flag that asks for pipes: which terminal this is.
fn tell_of_terminal(request: &mut CreateDyno, kind: Option<&str>) {
    request.force_no_tty = None;
    let size = terminal::window_size();
    let known = [
        ("TERM", kind.map(str::to_owned)),
        ("COLUMNS", size.map(|size| size.columns.to_string())),
        ("LINES", size.map(|size| size.lines.to_string())),
    ];
    for (name, value) in known {
        // What the user says by --env goes before what we see.
        if let Some(value) = value {
            request.env.entry(name.to_owned()).or_insert(value);
        }
    }
}

/// Raw from here on. A window that changed before is told at once.
fn enter_raw(input: &Input) -> Result<Raw, Failure> {
    let told = input.clone();
    // A connection that is gone is told by the thread that reads.
    let tell_size = move |size| drop(told.resize(size));
    terminal::window_size().into_iter().for_each(&tell_size);
    Raw::enter(tell_size).map_err(|error| Failure::of(&error).hint("Pass --no-tty to do without a terminal."))
}

/// So many interrupts by the keyboard within [`IMPATIENCE`] end the program though nobody answers.
const INTERRUPTS: usize = 4;
const IMPATIENCE: Duration = Duration::from_secs(1);
/// What the key for an interrupt sends from a raw terminal.
const INTERRUPT: &[u8] = b"\x03";

/// The newest interrupts by the keyboard.
#[derive(Default)]
struct Patience(Vec<Instant>);

impl Patience {
    /// Whether it has come to an end with these keys.
    fn ends_with(&mut self, keys: &[u8], now: Instant) -> bool {
        if keys != INTERRUPT {
            return false;
        }
        self.0.retain(|at| now.duration_since(*at) < IMPATIENCE);
        self.0.push(now);
        self.0.len() >= INTERRUPTS
    }
}

fn send_stdin(input: &Input, ends: Ends, left: &AtomicBool) {
    let mut buffer = [0; 16 * 1024];
    let mut stdin = io::stdin().lock();
    let mut patience = Patience::default();
    loop {
        match stdin.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) if ends == Ends::Terminal && patience.ends_with(&buffer[..read], Instant::now()) => {
                left.store(true, Ordering::Relaxed);
                input.cut();
                return;
            }
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

fn receive_all(mut output: Output, ends: Ends) -> Result<Received, Failure> {
    loop {
        let frame = match output.next_frame() {
            Ok(None) => return Ok(Received::Nothing),
            Ok(Some(frame)) => frame,
            Err(error) => return Ok(Received::Broken(error)),
        };
        let written = match frame {
            Frame::Output(bytes) => write_all(io::stdout().lock(), &bytes),
            Frame::ErrorOutput(bytes) => write_all(io::stderr().lock(), &bytes),
            Frame::Notice(text) => {
                // A raw terminal does not go back to the line's beginning by itself.
                tell(&if ends == Ends::Terminal { format!("{text}\r\n") } else { format!("{text}\n") });
                Ok(())
            }
            Frame::ExitCode(code) => return Ok(Received::ExitCode(code)),
            // Sent by clients only.
            Frame::Input(_) | Frame::InputEnd | Frame::Resize(_) => Ok(()),
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
        let at = session.app_client(&self.flags.app)?;
        let app = &at.app;
        let request = CreateDyno { time_to_live: self.time_to_live, ..self.flags.request(false)? };
        let progress = session.output.begin(&format!("Running {} on {app}", request.command));
        let dyno = at.ask(|client, app| client.create_dyno(app, &request))?;
        announce(progress, &dyno);
        session
            .output
            .note(&format!("Its output is shown by `dozen logs --app {app} --dyno-name {}`.", dyno.name));
        session.output.data(&dyno, |_| format!("{}\n", dyno.name))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::commands::samples;
    use crate::text::Style;
    use api::dyno::DynoState;

    /// Arguments, and the line for the shell that they mean.
    pub const COMMANDS: &[(&[&str], &str)] = &[
        (&["worker"], "worker"),
        (&["echo $HOME | wc -c"], "echo $HOME | wc -c"),
        (&["ls", "-l", "a b"], "ls -l 'a b'"),
        (&["echo", "$HOME"], "echo '$HOME'"),
        (&["sh", "-c", "cd x && rm -r y"], "sh -c 'cd x && rm -r y'"),
    ];

    #[test]
    fn one_argument_is_a_line_and_several_are_exact() {
        for (arguments, command) in COMMANDS {
            let arguments: Vec<_> = arguments.iter().map(|word| (*word).to_owned()).collect();
            assert_eq!(render_command(&arguments), *command);
        }
    }

    #[test]
    fn a_terminal_is_told_of_and_the_users_word_goes_first() {
        let mut request = CreateDyno {
            force_no_tty: Some(true),
            env: [("TERM".to_owned(), "vt100".to_owned())].into(),
            ..CreateDyno::default()
        };
        tell_of_terminal(&mut request, Some("xterm"));
        assert_eq!((request.force_no_tty, request.env["TERM"].as_str()), (None, "vt100"));
    }

    #[test]
    fn four_interrupts_in_a_second_are_impatience() {
        let start = Instant::now();
        let presses = |milliseconds: &[u64]| {
            let mut patience = Patience::default();
            let at = |later: &u64| start + Duration::from_millis(*later);
            milliseconds.iter().map(|later| patience.ends_with(INTERRUPT, at(later))).collect::<Vec<_>>()
        };
        assert_eq!(presses(&[0, 100, 200, 300]), [false, false, false, true]);
        assert_eq!(presses(&[0, 600, 1200, 1800]), [false; 4]);
        assert!(!Patience::default().ends_with(b"abc", start));
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
                usage: None,
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
