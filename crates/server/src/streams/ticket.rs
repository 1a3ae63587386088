//! Tickets: what a stream's address opens, until when, and the server's signature over both.

use super::right::Claim;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::ids::{AppId, BuildId, JobId, ReleaseId, TokenId};
use domain::policy::Action;
use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use std::time::{Duration, Instant};

/// How long an address opens its stream. A stream that is open stays open, as long as its right lasts.
const LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
/// Longer texts are no tickets.
const MAX_TICKET: usize = 2048;

/// What a ticket opens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    Log(LogTicket),
    /// The output of a build.
    Build {
        app: AppId,
        build: BuildId,
    },
    /// The output of a release phase, which ran as a job.
    Release {
        app: AppId,
        release: ReleaseId,
        job: JobId,
    },
}

impl Target {
    /// What the holder of a token must be allowed to do for it.
    pub fn claim(&self, token: TokenId) -> Claim {
        let (app, action) = match self {
            Self::Log(wanted) => (wanted.app, Action::LogRead),
            Self::Build { app, .. } => (*app, Action::BuildRead),
            Self::Release { app, .. } => (*app, Action::ReleaseRead),
        };
        Claim { token, app, action }
    }
}

/// A log session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogTicket {
    pub app: AppId,
    pub lines: usize,
    pub tail: bool,
    pub dyno: Option<String>,
    pub process_type: Option<String>,
    pub source: Option<String>,
}

/// An address, and the token with which it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    pub target: Target,
    pub token: Option<TokenId>,
}

#[derive(Serialize, Deserialize)]
struct Signed {
    ticket: Ticket,
    /// Seconds of this server's life.
    until: u64,
}

/// Issues tickets and reads them.
pub struct Tickets {
    key: [u8; 32],
    born: Instant,
}

impl Tickets {
    /// With a key of its own; `None` if there is no randomness.
    pub fn new() -> Option<Self> {
        let mut key = [0; 32];
        getrandom::fill(&mut key).ok()?;
        Some(Self { key, born: Instant::now() })
    }

    /// The path of a stream, for whoever holds that token.
    pub fn path(&self, target: Target, token: Option<TokenId>) -> String {
        let until = self.born.elapsed().as_secs() + LIFETIME.as_secs();
        let payload = serde_json::to_vec(&Signed { ticket: Ticket { target, token }, until })
            .expect("texts and numbers serialise");
        let signature = self.mac(&payload).finalize().into_bytes();
        format!("/streams/{}.{}", URL_SAFE_NO_PAD.encode(&payload), URL_SAFE_NO_PAD.encode(signature))
    }

    /// What a ticket opens, if it is ours and has not expired.
    pub fn read(&self, ticket: &str) -> Option<Ticket> {
        if ticket.len() > MAX_TICKET {
            return None;
        }
        let (payload, signature) = ticket.split_once('.')?;
        let payload = URL_SAFE_NO_PAD.decode(payload).ok()?;
        self.mac(&payload).verify_slice(&URL_SAFE_NO_PAD.decode(signature).ok()?).ok()?;
        let signed: Signed = serde_json::from_slice(&payload).ok()?;
        (self.born.elapsed().as_secs() < signed.until).then_some(signed.ticket)
    }

    fn mac(&self, payload: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes keys of any length");
        mac.update(payload);
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: Option<TokenId> = Some(TokenId::from_u128(3));

    fn build(number: u128) -> Target {
        Target::Build { app: AppId::from_u128(1), build: BuildId::from_u128(number) }
    }

    fn ticket(tickets: &Tickets, target: Target) -> String {
        tickets.path(target, TOKEN).strip_prefix("/streams/").unwrap().to_owned()
    }

    #[test]
    fn opens_what_it_was_made_for_and_nothing_else() {
        let (tickets, others) = (Tickets::new().unwrap(), Tickets::new().unwrap());
        let target = build(7);
        let mine = ticket(&tickets, target.clone());
        assert_eq!(tickets.read(&mine), Some(Ticket { target, token: TOKEN }));
        let other = ticket(&tickets, build(8));
        let crossed = format!("{}.{}", other.split_once('.').unwrap().0, mine.split_once('.').unwrap().1);
        for forged in [crossed, ticket(&others, build(7)), String::new(), "a.b".to_owned()] {
            assert_eq!(tickets.read(&forged), None, "{forged}");
        }
        for cut in 1..mine.len() {
            assert_eq!(tickets.read(&mine[..cut]), None, "{cut}");
        }
    }

    #[test]
    fn expires() {
        let tickets = Tickets::new().unwrap();
        let payload =
            serde_json::to_vec(&Signed { ticket: Ticket { target: build(7), token: TOKEN }, until: 0 })
                .unwrap();
        let signature = tickets.mac(&payload).finalize().into_bytes();
        let old = format!("{}.{}", URL_SAFE_NO_PAD.encode(&payload), URL_SAFE_NO_PAD.encode(signature));
        assert_eq!(tickets.read(&old), None);
    }
}
