//! Who holds a result: one worker mostly, a bit set where there are more.

use super::task::NONE;
use crate::event::WorkerId;

/// Marks [`super::task::Task::holders`] as the number of a set.
const SET: u32 = 1 << 31;

/// The sets of workers of those results that more than one worker holds.
#[derive(Default)]
pub(super) struct HolderSets {
    sets: Vec<Vec<u64>>,
    free: Vec<u32>,
}

impl HolderSets {
    /// Whether `worker` is among `holders`.
    pub fn contains(&self, holders: u32, worker: WorkerId) -> bool {
        if holders == NONE || holders & SET == 0 {
            return holders == worker.0;
        }
        let set = &self.sets[(holders & !SET) as usize];
        set.get(worker.0 as usize / 64).is_some_and(|word| word >> (worker.0 % 64) & 1 == 1)
    }

    /// `holders` with `worker`; the answer replaces `holders`.
    pub fn insert(&mut self, holders: u32, worker: WorkerId) -> u32 {
        debug_assert!(worker.0 < SET - 1);
        if holders == NONE {
            return worker.0;
        }
        if holders & SET != 0 {
            Self::set(&mut self.sets[(holders & !SET) as usize], worker.0);
            return holders;
        }
        if holders == worker.0 {
            return holders;
        }
        let slot = self.free.pop().unwrap_or_else(|| {
            self.sets.push(Vec::new());
            self.sets.len() as u32 - 1
        });
        let set = &mut self.sets[slot as usize];
        Self::set(set, holders);
        Self::set(set, worker.0);
        slot | SET
    }

    /// `holders` without `worker`; the answer replaces `holders`.
    pub fn remove(&mut self, holders: u32, worker: WorkerId) -> u32 {
        if holders == NONE || holders & SET == 0 {
            return if holders == worker.0 { NONE } else { holders };
        }
        let slot = holders & !SET;
        let set = &mut self.sets[slot as usize];
        if let Some(word) = set.get_mut(worker.0 as usize / 64) {
            *word &= !(1 << (worker.0 % 64));
        }
        if set.iter().map(|word| word.count_ones()).sum::<u32>() > 1 {
            return holders;
        }
        let only = Self::members(set).next();
        self.clear(slot);
        only.map_or(NONE, |worker| worker.0)
    }

    /// All holders; nothing more may be asked about `holders`.
    pub fn take(&mut self, holders: u32, into: &mut Vec<WorkerId>) {
        self.list(holders, into);
        if holders != NONE && holders & SET != 0 {
            self.clear(holders & !SET);
        }
    }

    /// All holders.
    pub fn list(&self, holders: u32, into: &mut Vec<WorkerId>) {
        if holders == NONE {
            return;
        }
        if holders & SET == 0 {
            into.push(WorkerId(holders));
        } else {
            into.extend(Self::members(&self.sets[(holders & !SET) as usize]));
        }
    }

    /// Whether exactly one worker holds it.
    pub fn is_single(holders: u32) -> bool {
        holders != NONE && holders & SET == 0
    }

    /// One of the holders, by `random` where there are several.
    pub fn pick(&self, holders: u32, random: u64) -> Option<WorkerId> {
        if holders == NONE || holders & SET == 0 {
            return (holders != NONE).then_some(WorkerId(holders));
        }
        let set = &self.sets[(holders & !SET) as usize];
        let start = (random % (set.len() as u64 * 64)) as usize;
        let from = |first: usize, skip: u32| {
            set.iter().enumerate().skip(first).find_map(|(index, word)| {
                let word = if index == first { word >> skip << skip } else { *word };
                (word != 0).then(|| WorkerId(index as u32 * 64 + word.trailing_zeros()))
            })
        };
        from(start / 64, (start % 64) as u32).or_else(|| from(0, 0))
    }

    fn set(set: &mut Vec<u64>, worker: u32) {
        let word = worker as usize / 64;
        if set.len() <= word {
            set.resize(word + 1, 0);
        }
        set[word] |= 1 << (worker % 64);
    }

    fn members(set: &[u64]) -> impl Iterator<Item = WorkerId> + '_ {
        set.iter().enumerate().flat_map(|(index, &word)| {
            let mut word = word;
            std::iter::from_fn(move || {
                (word != 0).then(|| {
                    let bit = word.trailing_zeros();
                    word &= word - 1;
                    WorkerId(index as u32 * 64 + bit)
                })
            })
        })
    }

    fn clear(&mut self, slot: u32) {
        self.sets[slot as usize].clear();
        self.free.push(slot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_set_grows_and_shrinks_to_one() {
        let mut sets = HolderSets::default();
        let mut holders = NONE;
        for worker in [3, 700, 3, 64] {
            holders = sets.insert(holders, WorkerId(worker));
        }
        let mut all = Vec::new();
        sets.list(holders, &mut all);
        assert_eq!(all, [WorkerId(3), WorkerId(64), WorkerId(700)]);
        for random in 0..1000 {
            assert!(all.contains(&sets.pick(holders, random).expect("there are three")));
        }
        holders = sets.remove(holders, WorkerId(3));
        holders = sets.remove(holders, WorkerId(700));
        assert!(HolderSets::is_single(holders));
        assert!(sets.contains(holders, WorkerId(64)));
        holders = sets.remove(holders, WorkerId(64));
        assert_eq!(holders, NONE);
        assert!(!sets.contains(holders, WorkerId(64)));
    }

    proptest! {
        #[test]
        fn a_set_is_a_set(steps in prop::collection::vec((any::<bool>(), 0_u32..200), 0..100)) {
            let mut sets = HolderSets::default();
            let mut model = BTreeSet::new();
            let mut holders = NONE;
            for (insert, worker) in steps {
                let worker = WorkerId(worker);
                if insert {
                    holders = sets.insert(holders, worker);
                    model.insert(worker);
                } else {
                    holders = sets.remove(holders, worker);
                    model.remove(&worker);
                }
                let mut all = Vec::new();
                sets.list(holders, &mut all);
                prop_assert_eq!(&all, &model.iter().copied().collect::<Vec<_>>());
                prop_assert_eq!(HolderSets::is_single(holders), model.len() == 1);
                prop_assert!(sets.pick(holders, u64::from(worker.0) * 31).is_none_or(|picked| model.contains(&picked)));
                prop_assert_eq!(holders == NONE, model.is_empty());
            }
        }
    }
}
