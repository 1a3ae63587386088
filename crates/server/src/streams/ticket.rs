//! Tickets: what a stream's address opens, until when, and the server's signature over both.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::ids::{AppId, BuildId, JobId, ReleaseId};
use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use std::time::{Duration, Instant};

/// How long an address opens its stream. A stream that is open stays open.
const LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
/// Longer texts are no tickets.
const MAX_TICKET: usize = 2048;

/// What a ticket opens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    Log(LogTicket),
    Build(BuildId),
    /// The output of a release phase, which ran as a job.
    Release {
        app: AppId,
        release: ReleaseId,
        job: JobId,
    },
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

#[derive(Serialize, Deserialize)]
struct Signed {
    target: Target,
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

    /// The path of a stream.
    pub fn path(&self, target: Target) -> String {
        let until = self.born.elapsed().as_secs() + LIFETIME.as_secs();
        let payload = serde_json::to_vec(&Signed { target, until }).expect("texts and numbers serialise");
        let signature = self.mac(&payload).finalize().into_bytes();
        format!("/streams/{}.{}", URL_SAFE_NO_PAD.encode(&payload), URL_SAFE_NO_PAD.encode(signature))
    }

    /// What a ticket opens, if it is ours and has not expired.
    pub fn read(&self, ticket: &str) -> Option<Target> {
        if ticket.len() > MAX_TICKET {
            return None;
        }
        let (payload, signature) = ticket.split_once('.')?;
        let payload = URL_SAFE_NO_PAD.decode(payload).ok()?;
        self.mac(&payload).verify_slice(&URL_SAFE_NO_PAD.decode(signature).ok()?).ok()?;
        let signed: Signed = serde_json::from_slice(&payload).ok()?;
        (self.born.elapsed().as_secs() < signed.until).then_some(signed.target)
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

    fn ticket(tickets: &Tickets, target: Target) -> String {
        tickets.path(target).strip_prefix("/streams/").unwrap().to_owned()
    }

    #[test]
    fn opens_what_it_was_made_for_and_nothing_else() {
        let (tickets, others) = (Tickets::new().unwrap(), Tickets::new().unwrap());
        let target = Target::Build(BuildId::from_u128(7));
        let mine = ticket(&tickets, target.clone());
        assert_eq!(tickets.read(&mine), Some(target));
        let other = ticket(&tickets, Target::Build(BuildId::from_u128(8)));
        let crossed = format!("{}.{}", other.split_once('.').unwrap().0, mine.split_once('.').unwrap().1);
        for forged in
            [crossed, ticket(&others, Target::Build(BuildId::from_u128(7))), String::new(), "a.b".to_owned()]
        {
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
            serde_json::to_vec(&Signed { target: Target::Build(BuildId::from_u128(7)), until: 0 }).unwrap();
        let signature = tickets.mac(&payload).finalize().into_bytes();
        let old = format!("{}.{}", URL_SAFE_NO_PAD.encode(&payload), URL_SAFE_NO_PAD.encode(signature));
        assert_eq!(tickets.read(&old), None);
    }
}
