//! `run` in all its forms.

use crate::support::eventually;
use crate::support::heroku::Heroku;
use crate::support::server::Server;
use crate::support::terminal::Terminal;

/// A shell at a terminal of the right size, which echoes, edits lines, has job control and an interrupt key.
pub fn a_shell_has_a_terminal(heroku: &Heroku) {
    let mut command = heroku.command("heroku");
    let mut terminal = Terminal::start(command.args(["run", "-a", "hello", "bash"]), 100, 30);
    terminal.wait_for("$ ");
    terminal.press("stty size; tty; echo \"<$TERM>\" $((6*7))\r");
    let seen = terminal.wait_for(" 42");
    assert!(seen.contains("30 100") && seen.contains("/dev/pts/") && seen.contains("<xterm>"), "{seen}");
    assert!(seen.contains("echo \"<$TERM>\""), "what is typed is echoed: {seen}");
    terminal.press("echo go''ing; sleep 600\r");
    terminal.wait_for("going");
    terminal.press("\u{3}");
    terminal.wait_for("^C");
    terminal.press("echo $?-interrupted\r");
    terminal.wait_for("130-interrupted");
    assert!(!terminal.seen().contains("no job control"), "{}", terminal.seen());
    terminal.press("exit 3\r");
    let (code, seen) = terminal.end();
    assert_eq!(code, Some(0), "without -x the code is always 0: {seen}");
}

pub fn exit_codes_come_back(heroku: &Heroku) {
    for (command, code) in [("exit 7", 7), ("true", 0), ("kill -9 $$", 137), ("no-such-program", 127)] {
        let ended = heroku.run(&["run", "-x", "-a", "hello", "--", command]);
        assert_eq!(ended.code, Some(code), "{command}: {}", ended.said());
        assert!(!ended.stdout.contains('\u{ffff}'), "{}", ended.stdout);
    }
    // The last line has no end, and the exit code comes back all the same.
    let ended =
        heroku.run(&["run", "-x", "-a", "hello", "--", "head -c 50000 /dev/zero | tr '\\0' x; exit 4"]);
    assert_eq!((ended.code, ended.stdout.matches('x').count()), (Some(4), 50_000));
}

pub fn a_pipe_is_no_terminal(heroku: &Heroku) {
    let ended = heroku
        .run_with_input(&["run", "--no-tty", "-a", "hello", "--", "cat; test -t 0 || echo piped"], "hi\n");
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "hi\npiped\n"), "{}", ended.stderr);
    let ended = heroku.run_with_input(&["run", "-a", "hello", "-e", "A=1;B=x y", "--", "echo $A $B"], "");
    assert!(ended.stdout.contains("1 x y"), "{}", ended.said());
}

pub fn detached_ones_write_to_the_log(heroku: &Heroku) {
    let said = heroku.says(&["run:detached", "-a", "hello", "--", "echo from afar"], &["done, run."]);
    let name = said.split("done, ").nth(1).and_then(|rest| rest.split_whitespace().next()).expect("a name");
    let name = name.trim_end_matches(['.', '\u{1b}']);
    let line = format!("app[{name}]: from afar");
    eventually("it is in the log", 30, || {
        heroku.ok(&["logs", "-a", "hello", "-d", name]).contains(&line).then_some(())
    });
}

/// `dozen run` at a terminal: the window's size, also when it changes, the keys, the exit code, and a sane terminal afterwards.
pub fn ours_has_a_terminal_too(server: &Server) {
    let mut command = server.command();
    command.args(["run", "-a", "hello", "bash"]).env("TERM", "xterm").env("HOME", server.folder());
    let mut terminal = Terminal::start(&command, 90, 20);
    terminal.wait_for("$ ");
    terminal.press("stty size; echo \"<$TERM>\" $((6*7))\r");
    let seen = terminal.wait_for(" 42");
    assert!(seen.contains("20 90") && seen.contains("<xterm>"), "{seen}");
    assert!(!terminal.is_sane(), "keys go to the process, not to this terminal");
    terminal.resize(120, 40);
    eventually("the process learns of its window", 30, || {
        terminal.press("stty size\r");
        terminal.seen().contains("40 120").then_some(())
    });
    terminal.press("exit 3\r");
    eventually("it ends", 30, || terminal.has_ended().then_some(()));
    assert!(terminal.is_sane(), "the terminal is as it was");
    assert_eq!(terminal.end().0, Some(3));
    with_no_tty_it_is_a_pipe(server);
}

fn with_no_tty_it_is_a_pipe(server: &Server) {
    let mut command = server.command();
    command.args(["run", "--no-tty", "-a", "hello", "test -t 1 || echo piped"]);
    let (code, seen) = Terminal::start(&command, 80, 24).end();
    assert!(code == Some(0) && seen.contains("piped"), "{seen}");
}
