//! What a frame of kind `Dropped` says, and the count that a writer keeps until it can say it.

use crate::codec::u64_at;
use domain::ids::AppId;

/// How many lines of an app were dropped because they could not be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DroppedNotice {
    pub count: u64,
    /// Wall time of the first of them, microseconds.
    pub since_micros: u64,
}

/// The payload of a `Dropped` frame is too short.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a notice of dropped lines is {found} bytes long, under 16")]
pub struct InvalidNotice {
    found: usize,
}

const NOTICE_BYTES: usize = 16;

impl DroppedNotice {
    pub fn to_payload(&self) -> [u8; NOTICE_BYTES] {
        let mut payload = [0; NOTICE_BYTES];
        payload[..8].copy_from_slice(&self.count.to_le_bytes());
        payload[8..].copy_from_slice(&self.since_micros.to_le_bytes());
        payload
    }

    pub fn parse(payload: &[u8]) -> Result<Self, InvalidNotice> {
        if payload.len() < NOTICE_BYTES {
            return Err(InvalidNotice { found: payload.len() });
        }
        Ok(Self { count: u64_at(payload, 0), since_micros: u64_at(payload, 8) })
    }
}

/// The apps that a tally tells apart. A shim has one; a router thread on a full disk may see more, and then the rest are counted
/// together under the nil app.
const MAX_TALLIED_APPS: usize = 64;

/// Lines dropped and not yet told, per app.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    apps: Vec<(AppId, DroppedNotice)>,
}

impl Tally {
    pub fn add(&mut self, app: AppId, dropped: DroppedNotice) {
        let room = self.apps.len() < MAX_TALLIED_APPS;
        let known =
            |app: AppId, apps: &[(AppId, DroppedNotice)]| apps.iter().position(|(known, _)| *known == app);
        let app = if room || known(app, &self.apps).is_some() { app } else { AppId::from_u128(0) };
        match known(app, &self.apps) {
            Some(at) => self.apps[at].1.merge(dropped),
            None => self.apps.push((app, dropped)),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.apps.is_empty()
    }

    /// Hands all counts over to be written; what then cannot be written comes back by [`Tally::add`].
    pub fn take(&mut self) -> Vec<(AppId, DroppedNotice)> {
        std::mem::take(&mut self.apps)
    }
}

impl DroppedNotice {
    fn merge(&mut self, other: Self) {
        self.count = self.count.saturating_add(other.count);
        self.since_micros = self.since_micros.min(other.since_micros);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_comes_back_from_its_payload() {
        let notice = DroppedNotice { count: 12, since_micros: 99 };
        assert_eq!(DroppedNotice::parse(&notice.to_payload()), Ok(notice));
        assert_eq!(DroppedNotice::parse(&[0; 15]), Err(InvalidNotice { found: 15 }));
    }

    #[test]
    fn a_tally_keeps_every_count_however_many_apps() {
        let mut tally = Tally::default();
        for app in 1..=200_u128 {
            for since_micros in [50, 40] {
                tally.add(AppId::from_u128(app), DroppedNotice { count: 1, since_micros });
            }
        }
        let told = tally.take();
        assert!(told.len() <= MAX_TALLIED_APPS + 1 && tally.is_empty());
        assert_eq!(told.iter().map(|(_, notice)| notice.count).sum::<u64>(), 400);
        assert!(told.iter().all(|(_, notice)| notice.since_micros == 40));
        assert_eq!(told[0], (AppId::from_u128(1), DroppedNotice { count: 2, since_micros: 40 }));
    }
}
