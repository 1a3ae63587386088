//! Places, of which each of those who come gets a share and no more: whoever holds many keeps out nobody but themselves.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    pub all: usize,
    pub of_one: usize,
}

/// The places of one room, by who takes them. Cheap to clone.
pub struct Places<K> {
    room: Room,
    taken: Arc<Mutex<HashMap<K, usize>>>,
}

/// A place; given back when dropped.
pub struct Place<K: Eq + Hash> {
    of: K,
    taken: Arc<Mutex<HashMap<K, usize>>>,
}

impl<K> Clone for Places<K> {
    fn clone(&self) -> Self {
        Self { room: self.room, taken: Arc::clone(&self.taken) }
    }
}

impl<K: Copy + Eq + Hash> Places<K> {
    pub fn new(room: Room) -> Self {
        Self { room, taken: Arc::default() }
    }

    /// `None`: too many at this moment.
    pub fn enter(&self, of: K) -> Option<Place<K>> {
        let mut taken = lock(&self.taken);
        let all: usize = taken.values().sum();
        let own = taken.get(&of).copied().unwrap_or_default();
        if all >= self.room.all || own >= self.room.of_one {
            return None;
        }
        taken.insert(of, own + 1);
        Some(Place { of, taken: Arc::clone(&self.taken) })
    }
}

impl<K: Eq + Hash> Drop for Place<K> {
    fn drop(&mut self) {
        let mut taken = lock(&self.taken);
        if let Some(count) = taken.get_mut(&self.of) {
            *count -= 1;
        }
        taken.retain(|_, count| *count > 0);
    }
}

/// What counts as one address: a host with IPv6 has a whole /64 to itself.
pub fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        v4 @ IpAddr::V4(_) => v4,
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
    }
}

fn lock<K>(taken: &Mutex<HashMap<K, usize>>) -> MutexGuard<'_, HashMap<K, usize>> {
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_takes_its_share_and_all_of_them_the_room() {
        let places = Places::new(Room { all: 30, of_one: 8 });
        let enter = |text: &str| places.enter(network_of(text.parse().unwrap()));
        let first: Vec<_> = (0..8).map(|_| enter("192.0.2.1").unwrap()).collect();
        assert!(enter("192.0.2.1").is_none() && enter("::ffff:192.0.2.1").is_none());
        let second: Vec<_> = (0..8).map(|n| enter(&format!("2001:db8::{n}")).unwrap()).collect();
        assert!(enter("2001:db8::ffff").is_none(), "one network of a host");
        let others: Vec<_> = (0..14).map(|n| enter(&format!("192.0.2.{}", 10 + n)).unwrap()).collect();
        assert!(enter("192.0.2.200").is_none(), "the room is full");
        drop((first, second, others));
        assert!(enter("192.0.2.1").is_some());
        assert!(lock(&places.taken).is_empty(), "nothing is remembered of those who left");
    }
}
