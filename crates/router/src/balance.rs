//! Which process gets a request: the one with the fewest in flight, ties broken at random. Pure.

use domain::ids::Ids;

/// The index of the candidate with the least load. `load` is `None` for one that must not be chosen.
pub(crate) fn choose(loads: impl Iterator<Item = Option<u32>>, random: &mut Random) -> Option<usize> {
    let (mut best, mut ties) = (None::<(usize, u32)>, 0u64);
    for (index, load) in loads.enumerate() {
        let Some(load) = load else { continue };
        match best {
            Some((_, least)) if load > least => {}
            Some((_, least)) if load == least => {
                ties += 1;
                if random.below(ties) == 0 {
                    best = Some((index, load));
                }
            }
            _ => {
                (best, ties) = (Some((index, load)), 1);
            }
        }
    }
    best.map(|(index, _)| index)
}

/// A thread's source of randomness: for balance and request ids. Seeded by the operating system; not for secrets.
#[derive(Debug)]
pub(crate) struct Random {
    ids: Ids,
}

impl Random {
    pub(crate) const fn seeded(seed: u128) -> Self {
        Self { ids: Ids::seeded(seed) }
    }

    /// A number below `bound`, which is small, so that the remainder's bias does not matter.
    fn below(&mut self, bound: u64) -> u64 {
        (self.ids.next_uuid().as_u128() as u64 >> 8) % bound
    }

    pub(crate) fn request_id(&mut self) -> String {
        self.ids.next_uuid().to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(loads: &[Option<u32>]) -> Vec<u32> {
        let mut random = Random::seeded(7);
        let mut counts = vec![0; loads.len()];
        for _ in 0..3000 {
            if let Some(index) = choose(loads.iter().copied(), &mut random) {
                counts[index] += 1;
            }
        }
        counts
    }

    #[test]
    fn the_least_loaded_gets_it_and_ties_share() {
        assert_eq!(shares(&[]), Vec::<u32>::new());
        assert_eq!(shares(&[None, None]), [0, 0]);
        assert_eq!(shares(&[Some(3), Some(1), Some(2)]), [0, 3000, 0]);
        assert_eq!(shares(&[None, Some(9)]), [0, 3000]);
        let ties = shares(&[Some(1), Some(0), Some(0), Some(0)]);
        assert_eq!(ties[0], 0);
        assert!(ties[1..].iter().all(|share| (850..1150).contains(share)), "{ties:?}");
    }
}
