//! How many may be connected. Whoever has not shown a key yet waits in a small room of its own, so that strangers, however many,
//! keep nobody away from the places of those who are known.

use crate::places::{self, Place, Room, network_of};
use std::net::IpAddr;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Clients at once that have not shown who they are.
const MAX_STRANGERS: usize = 30;
/// Of one address. Logging in takes a moment, so honest clients behind one address share these easily.
pub const MAX_STRANGERS_OF_ADDRESS: usize = 8;
/// Clients at once that are known.
const MAX_KNOWN: usize = 100;

/// All places.
#[derive(Clone)]
pub struct Places {
    strangers: places::Places<IpAddr>,
    known: Arc<Semaphore>,
}

/// A place in the small room; given back when dropped.
pub type Stranger = Place<IpAddr>;

impl Places {
    pub fn new() -> Self {
        let room = Room { all: MAX_STRANGERS, of_one: MAX_STRANGERS_OF_ADDRESS };
        Self { strangers: places::Places::new(room), known: Arc::new(Semaphore::new(MAX_KNOWN)) }
    }

    /// `None`: too many at this moment.
    pub fn stranger(&self, address: IpAddr) -> Option<Stranger> {
        self.strangers.enter(network_of(address))
    }

    /// `None`: too many at this moment.
    pub fn known(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.known).try_acquire_owned().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_who_are_known_have_places_of_their_own() {
        let places = Places::new();
        let enter = |n: usize| places.stranger(IpAddr::from([192, 0, 2, u8::try_from(n).unwrap()]));
        let strangers: Vec<_> = (0..MAX_STRANGERS).map(|n| enter(n).unwrap()).collect();
        assert!(enter(200).is_none(), "the room is full");
        let known: Vec<_> = (0..MAX_KNOWN).map(|_| places.known().unwrap()).collect();
        assert!(places.known().is_none());
        drop((strangers, known));
        assert!(enter(200).is_some() && places.known().is_some());
    }
}
