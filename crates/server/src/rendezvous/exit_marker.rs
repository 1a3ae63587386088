//! The exit code in Heroku's form. Its `run -x` appends ` ; echo "\u{ffff} heroku-command-exit-status: $?"` to the command and
//! looks for that line in the output, where it never stands if the command is `exit 7`, replaces the shell, or is killed. So the
//! addition is taken off, the command runs as it was typed, and the server, who knows how it ended, says the line. Pure.

/// What the client appends, less the separator.
const ECHO: &str = "echo \"\u{ffff} heroku-command-exit-status: $?\"";

/// Whether a client looks for the exit code in the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitMarker {
    Wanted,
    Unwanted,
}

/// The command as its user typed it, and whether an exit code was asked for.
pub fn split_command(command: &str) -> (&str, ExitMarker) {
    let typed = command.trim_end().strip_suffix(ECHO).and_then(|front| front.trim_end().strip_suffix(';'));
    match typed {
        Some(typed) => (typed.trim_end(), ExitMarker::Wanted),
        None => (command, ExitMarker::Unwanted),
    }
}

/// What the client looks for, whole and in a TLS record of its own.
pub fn render(code: u8) -> String {
    format!("\u{ffff} heroku-command-exit-status: {code}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_freed_of_what_the_client_added() {
        for (command, typed, marker) in [
            (format!("exit 7 ; {ECHO}"), "exit 7", ExitMarker::Wanted),
            (format!("worker; {ECHO}"), "worker", ExitMarker::Wanted),
            (format!("a; b ; {ECHO}"), "a; b", ExitMarker::Wanted),
            ("echo hi".to_owned(), "echo hi", ExitMarker::Unwanted),
            (ECHO.to_owned(), ECHO, ExitMarker::Unwanted),
            (format!("true && {ECHO}"), &format!("true && {ECHO}"), ExitMarker::Unwanted),
        ] {
            assert_eq!(split_command(&command), (typed, marker), "{command}");
        }
    }

    #[test]
    fn the_marker_is_what_the_client_matches() {
        assert_eq!(render(7).as_bytes(), b"\xef\xbf\xbf heroku-command-exit-status: 7\n");
    }
}
