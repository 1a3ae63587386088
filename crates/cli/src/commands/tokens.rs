//! `tokens:create`: an access token for a machine.

use crate::failure::Failure;
use crate::session::{AppFlags, Session};
use api::oauth::{Authorization, CreateAuthorization};
use clap::Args;

/// `dozen tokens:create`.
#[derive(Debug, Args)]
pub struct Create {
    /// A token that deploys one app and does nothing else: for continuous integration
    #[arg(long)]
    deploy: bool,
    /// What it is for
    #[arg(short, long, value_name = "TEXT")]
    description: Option<String>,
    /// It ends after so long: seconds, or a number with s, m, h or d
    #[arg(short, long, value_name = "TIME", value_parser = parse_time)]
    expires_in: Option<u64>,
    #[command(flatten)]
    flags: AppFlags,
}

impl Create {
    pub fn act(self, session: &Session) -> Result<(), Failure> {
        if !self.deploy {
            return Err(Failure::new("tokens:create makes tokens that deploy one app: pass --deploy").hint(
                "A token for everything that your account may do is made by `dozen authorizations:create`.",
            ));
        }
        let at = session.app_client(&self.flags)?;
        let made = at.client.create_authorization(&CreateAuthorization {
            description: self.description,
            expires_in: self.expires_in,
            scope: vec![format!("deploy:{}", at.app)],
        })?;
        session.output.note("This token is shown once; keep it where your machine keeps its secrets.");
        session.output.note(&format!("To revoke it: dozen authorizations:revoke {}", made.id));
        session.output.data(&made, |_| token_line(&made))
    }
}

fn token_line(made: &Authorization) -> String {
    made.access_token.as_ref().map(|access| format!("{}\n", access.token.expose())).unwrap_or_default()
}

/// `90`, `90s`, `15m`, `12h`, `30d`.
fn parse_time(text: &str) -> Result<u64, String> {
    let (digits, unit) = match text.char_indices().last() {
        Some((at, 's')) => (&text[..at], 1),
        Some((at, 'm')) => (&text[..at], 60),
        Some((at, 'h')) => (&text[..at], 60 * 60),
        Some((at, 'd')) => (&text[..at], 24 * 60 * 60),
        Some(_) | None => (text, 1),
    };
    let bad =
        || format!("\"{text}\" is no time: expected seconds, or a number with s, m, h or d, such as 30d");
    digits
        .parse::<u64>()
        .ok()
        .and_then(|count| count.checked_mul(unit))
        .filter(|seconds| *seconds > 0)
        .ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        for (text, seconds) in [("90", 90), ("90s", 90), ("15m", 900), ("12h", 43_200), ("30d", 2_592_000)] {
            assert_eq!(parse_time(text), Ok(seconds));
        }
        for bad in ["", "d", "0", "-1", "1w", "99999999999999999999d", "é"] {
            assert!(parse_time(bad).is_err(), "{bad}");
        }
    }
}
