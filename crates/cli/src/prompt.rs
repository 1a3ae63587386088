//! Questions to the person at the terminal.

use crate::failure::Failure;
use crate::output::tell;
use api::Token;
use std::io::{self, BufRead, IsTerminal};

/// Most bytes of a token.
const MAX_TOKEN_BYTES: usize = 4096;

/// Reads a token from standard input: its first line.
pub fn read_token() -> Result<Token, Failure> {
    let mut line = String::new();
    io::Read::take(io::stdin().lock(), MAX_TOKEN_BYTES as u64).read_line(&mut line)?;
    let token = line.trim();
    if token.is_empty() {
        return Err(Failure::new("standard input held no token"));
    }
    Ok(Token::new(token))
}

/// Asks for a token without showing it.
pub fn ask_token() -> Result<Token, Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::new("standard input is not a terminal")
            .hint("Pass the token by `dozen login --token-stdin`."));
    }
    tell("Token: ");
    let token = with_hidden_input(read_token)?;
    tell("\n");
    token
}

#[cfg(unix)]
fn with_hidden_input<T>(read: impl FnOnce() -> T) -> Result<T, Failure> {
    use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
    let stdin = io::stdin();
    let shown = tcgetattr(&stdin).map_err(io::Error::from)?;
    let mut hidden = shown.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    tcsetattr(&stdin, OptionalActions::Now, &hidden).map_err(io::Error::from)?;
    let result = read();
    tcsetattr(&stdin, OptionalActions::Now, &shown).map_err(io::Error::from)?;
    Ok(result)
}

/// Without a way to hide what is typed, nothing is asked.
#[cfg(not(unix))]
fn with_hidden_input<T>(_: impl FnOnce() -> T) -> Result<T, Failure> {
    Err(Failure::new("typing cannot be hidden on this system")
        .hint("Pass the token by `dozen login --token-stdin`."))
}
