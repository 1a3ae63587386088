//! How many may be connected. Whoever has not shown a key yet waits in a small room of its own, so that strangers, however many,
//! keep nobody away from the places of those who are known.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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
    strangers: Arc<Mutex<HashMap<IpAddr, usize>>>,
    known: Arc<Semaphore>,
}

/// A place in the small room; given back when dropped.
pub struct Stranger {
    address: IpAddr,
    strangers: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl Places {
    pub fn new() -> Self {
        Self { strangers: Arc::default(), known: Arc::new(Semaphore::new(MAX_KNOWN)) }
    }

    /// `None`: too many at this moment.
    pub fn stranger(&self, address: IpAddr) -> Option<Stranger> {
        let address = network_of(address.to_canonical());
        let mut strangers = lock(&self.strangers);
        let all: usize = strangers.values().sum();
        let own = strangers.get(&address).copied().unwrap_or_default();
        if all >= MAX_STRANGERS || own >= MAX_STRANGERS_OF_ADDRESS {
            return None;
        }
        strangers.insert(address, own + 1);
        Some(Stranger { address, strangers: Arc::clone(&self.strangers) })
    }

    /// `None`: too many at this moment.
    pub fn known(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.known).try_acquire_owned().ok()
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let mut strangers = lock(&self.strangers);
        if let Some(count) = strangers.get_mut(&self.address) {
            *count -= 1;
        }
        strangers.retain(|_, count| *count > 0);
    }
}

/// A host with IPv6 has a whole /64 to itself.
fn network_of(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
    }
}

fn lock(strangers: &Mutex<HashMap<IpAddr, usize>>) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
    strangers.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_takes_its_share_and_all_of_them_the_room() {
        let places = Places::new();
        let enter = |text: &str| places.stranger(address(text));
        let first: Vec<_> = (0..MAX_STRANGERS_OF_ADDRESS).map(|_| enter("192.0.2.1").unwrap()).collect();
        assert!(enter("192.0.2.1").is_none() && enter("::ffff:192.0.2.1").is_none());
        let second: Vec<_> =
            (0..MAX_STRANGERS_OF_ADDRESS).map(|n| enter(&format!("2001:db8::{n}")).unwrap()).collect();
        assert!(enter("2001:db8::ffff").is_none(), "one network of a host");
        let left = MAX_STRANGERS - first.len() - second.len();
        let others: Vec<_> = (0..left).map(|n| enter(&format!("192.0.2.{}", 10 + n)).unwrap()).collect();
        assert!(enter("192.0.2.200").is_none(), "the room is full");
        let known: Vec<_> = (0..MAX_KNOWN).map(|_| places.known().unwrap()).collect();
        assert!(places.known().is_none(), "those who are known have places of their own");
        drop((first, second, others, known));
        assert!(enter("192.0.2.1").is_some() && places.known().is_some());
        assert!(lock(&places.strangers).is_empty(), "nothing is remembered of those who left");
    }
}
