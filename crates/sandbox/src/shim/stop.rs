//! How far a stop has come. Pure: time comes in, effects go out as values.

use domain::process::StopPolicy;
use domain::time::BootMillis;
use serde::{Deserialize, Serialize};

/// The state of a stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    NotAsked,
    /// The signal was sent; SIGKILL follows at this time.
    Asked {
        kill_at: BootMillis,
    },
    /// SIGKILL was sent.
    Killed,
}

/// What the shim has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    Nothing,
    /// Write the fact, say so in the log, send the policy's signal.
    Signal,
    /// Say in the log that the grace is over, send SIGKILL.
    KillAfterGrace,
    /// Write the fact if it is the first, send SIGKILL.
    KillNow,
}

impl Stop {
    /// Somebody asks for the end by the policy. The first request counts.
    pub fn ask(&mut self, policy: StopPolicy, now: BootMillis) -> Effect {
        match self {
            Self::NotAsked => {
                *self = Self::Asked { kill_at: now.plus_seconds(u64::from(policy.grace_seconds)) };
                Effect::Signal
            }
            Self::Asked { .. } | Self::Killed => Effect::Nothing,
        }
    }

    /// Somebody asks for the end at once.
    pub fn kill(&mut self) -> Effect {
        match self {
            Self::NotAsked | Self::Asked { .. } => {
                *self = Self::Killed;
                Effect::KillNow
            }
            Self::Killed => Effect::Nothing,
        }
    }

    /// Time has passed.
    pub fn tick(&mut self, now: BootMillis) -> Effect {
        match self {
            Self::Asked { kill_at } if now >= *kill_at => {
                *self = Self::Killed;
                Effect::KillAfterGrace
            }
            Self::NotAsked | Self::Asked { .. } | Self::Killed => Effect::Nothing,
        }
    }

    /// When [`Stop::tick`] next has something to do.
    pub const fn due_at(&self) -> Option<BootMillis> {
        match self {
            Self::Asked { kill_at } => Some(*kill_at),
            Self::NotAsked | Self::Killed => None,
        }
    }

    pub const fn is_asked(&self) -> bool {
        match self {
            Self::NotAsked => false,
            Self::Asked { .. } | Self::Killed => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: StopPolicy = StopPolicy { grace_seconds: 30, ..StopPolicy::APP };

    #[test]
    fn grace_then_kill_once_each() {
        let mut stop = Stop::NotAsked;
        assert_eq!(stop.tick(BootMillis(0)), Effect::Nothing);
        assert_eq!(stop.ask(POLICY, BootMillis(1_000)), Effect::Signal);
        assert_eq!(
            stop.ask(POLICY, BootMillis(20_000)),
            Effect::Nothing,
            "a second request does not lengthen the grace"
        );
        assert_eq!(stop.due_at(), Some(BootMillis(31_000)));
        assert_eq!(stop.tick(BootMillis(30_999)), Effect::Nothing);
        assert_eq!(stop.tick(BootMillis(31_000)), Effect::KillAfterGrace);
        assert_eq!(stop.tick(BootMillis(99_000)), Effect::Nothing);
        assert_eq!(stop.kill(), Effect::Nothing);
        assert!(stop.is_asked());
    }

    #[test]
    fn a_kill_overtakes_the_grace() {
        let mut stop = Stop::NotAsked;
        stop.ask(POLICY, BootMillis(0));
        assert_eq!(stop.kill(), Effect::KillNow);
        assert_eq!(stop.tick(BootMillis(60_000)), Effect::Nothing);
    }
}
