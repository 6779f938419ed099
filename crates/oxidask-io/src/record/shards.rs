//! Groups cut into shards by their keys, so that many tasks merge many keys, and
//! joined again in the order in which the keys were first seen.

use super::cell::{Cell, Scalar};
use super::exchange::{hash, piece_of};
use super::groups::{Groups, key_at};
use super::program::Run;
use super::term::Term;
use crate::json::Beyond;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The rank of a key's first sight: among the keys of its partition, and these
/// in the order of partitions.
#[must_use]
pub fn rank(partition: u64, place: usize) -> u64 {
    partition << u32::BITS | place as u64
}

/// Folds by key whose groups are shards from the beginning.
pub struct Sharded {
    shards: Vec<Groups>,
    partition: u64,
    n_keys: usize,
}

impl Sharded {
    /// No keys, for the elements of a partition in `n` shards.
    #[must_use]
    pub fn new(n: usize, partition: u64) -> Self {
        Sharded { shards: (0..n).map(|_| Groups::new()).collect(), partition, n_keys: 0 }
    }

    /// The groups of a partition in `n` shards.
    ///
    /// # Errors
    /// As for [`Groups::shards`].
    pub fn of(groups: &Groups, n: usize, partition: u64) -> Result<Self, Beyond> {
        Ok(Sharded { shards: groups.shards(n, partition)?, partition, n_keys: groups.len() })
    }

    /// Folds an element into the value of a key, as [`Groups::fold`] does.
    ///
    /// # Errors
    /// [`Beyond`] if Python has to be asked.
    pub fn fold(
        &mut self,
        key: &Cell<'_>,
        element: Cell<'_>,
        binop: &Term,
        initial: Option<&Scalar>,
        run: &Run<'_>,
    ) -> Result<(), Beyond> {
        let place = piece_of(hash(key)?, self.shards.len());
        let shard = &mut self.shards[place];
        let n_before = shard.len();
        shard.fold(key, element, binop, initial, run)?;
        if shard.len() > n_before {
            shard.ranks.push(rank(self.partition, self.n_keys));
            self.n_keys += 1;
        }
        Ok(())
    }

    /// The shards.
    #[must_use]
    pub fn finish(self) -> Vec<Groups> {
        self.shards
    }
}

impl Groups {
    /// Cuts the groups of a partition into `n` shards: keys that are equal, in
    /// whichever partition, go into shards with the same number.
    ///
    /// # Errors
    /// [`Beyond`] if Python has to say where a key belongs.
    ///
    /// ```
    /// use oxidask_io::record::{Cell, Groups};
    ///
    /// let mut words = Groups::new();
    /// for word in ["b", "a", "b"] {
    ///     words.count(&Cell::Str(word.into())).unwrap();
    /// }
    /// let shards = words.shards(4, 0).unwrap();
    /// let joined = Groups::joined(&shards.iter().collect::<Vec<_>>());
    /// assert!(joined.iter().map(|(key, _)| key.cell().keep()).eq(words.iter().map(|(key, _)| key.cell().keep())));
    /// ```
    pub fn shards(&self, n: usize, partition: u64) -> Result<Vec<Groups>, Beyond> {
        let mut shards: Vec<Groups> = (0..n).map(|_| Groups::new()).collect();
        shards.iter_mut().for_each(|shard| shard.numbers = self.numbers);
        for (place, (key, _)) in self.iter().enumerate() {
            shards[piece_of(hash(&key.cell())?, n)].take(self, place, rank(partition, place));
        }
        Ok(shards)
    }

    /// The groups of all shards together, in the order of their ranks.
    #[must_use]
    pub fn joined(shards: &[&Groups]) -> Groups {
        let mut joined = Groups::new();
        joined.bytes.reserve_exact(shards.iter().map(|shard| shard.bytes.len()).sum());
        let n = shards.iter().map(|shard| shard.len()).sum();
        joined.ends.reserve_exact(n);
        joined.values.reserve_exact(n);
        joined.numbers = shards.iter().fold(0, |numbers, shard| numbers | shard.numbers);
        // The next key of each shard: ranks rise within a shard.
        let first = |(number, shard): (usize, &&Groups)| Some(Reverse((*shard.ranks.first()?, number, 0)));
        let mut next: BinaryHeap<_> = shards.iter().enumerate().filter_map(first).collect();
        while let Some(mut least) = next.peek_mut() {
            let Reverse((rank, number, place)) = *least;
            let shard = shards[number];
            joined.take(shard, place, rank);
            match shard.ranks.get(place + 1) {
                Some(rank) => *least = Reverse((*rank, number, place + 1)),
                None => {
                    std::collections::binary_heap::PeekMut::pop(least);
                }
            }
        }
        joined.ranks = Vec::new();
        joined
    }

    /// Of a shard, which only joining makes whole: the rank of each key.
    #[must_use]
    pub fn ranks(&self) -> &[u64] {
        &self.ranks
    }

    /// Adds a key that is not there.
    fn take(&mut self, other: &Groups, place: usize, rank: u64) {
        self.bytes.extend_from_slice(key_at(&other.bytes, &other.ends, place));
        self.ends.push(self.bytes.len());
        self.values.push(other.values[place].clone());
        self.ranks.push(rank);
    }
}

#[cfg(test)]
mod tests {
    use super::super::program::Program;
    use super::*;

    fn pairs(groups: &Groups) -> Vec<(Scalar, Scalar)> {
        groups.iter().map(|(key, value)| (key.cell().keep().unwrap(), value.clone())).collect()
    }

    #[test]
    fn merging_shards_and_joining_them_is_merging_whole_groups() {
        let sum = Term::call("add", vec![Term::Arg(0), Term::Arg(1)]).unwrap();
        let partitions: Vec<Groups> = (0..7_u64)
            .map(|partition| {
                let mut groups = Groups::new();
                for n in 0..400_u64 {
                    let word = ((n + 1) * (partition + 3) * 2_654_435_761 % 601).to_string();
                    groups.count(&Cell::Str(word.into())).unwrap();
                }
                groups
            })
            .collect();
        let mut whole = Groups::new();
        partitions.iter().for_each(|groups| whole.merge(groups, &sum, None).unwrap());
        for n in [1, 2, 5] {
            let cut: Vec<Vec<Groups>> =
                (0..).zip(&partitions).map(|(number, groups)| groups.shards(n, number).unwrap()).collect();
            let merged: Vec<Groups> = (0..n)
                .map(|shard| {
                    let mut merged = Groups::new();
                    cut.iter().for_each(|shards| merged.merge(&shards[shard], &sum, None).unwrap());
                    assert!(merged.is_valid());
                    merged
                })
                .collect();
            let joined = Groups::joined(&merged.iter().collect::<Vec<_>>());
            assert_eq!(pairs(&joined), pairs(&whole));
        }
        assert!(Groups::joined(&[]).is_empty());
    }

    #[test]
    fn folding_into_shards_is_folding_and_cutting() {
        let sum = Term::call("add", vec![Term::Arg(0), Term::Arg(1)]).unwrap();
        let program = Program::new(Vec::new());
        let run = program.start();
        let (mut sharded, mut groups) = (Sharded::new(3, 9), Groups::new());
        for n in 0..500 {
            let key = Cell::Int(n * n % 101);
            sharded.fold(&key, Cell::Int(n), &sum, None, &run).unwrap();
            groups.fold(&key, Cell::Int(n), &sum, None, &run).unwrap();
        }
        for (shard, want) in sharded.finish().iter().zip(groups.shards(3, 9).unwrap()) {
            assert_eq!(pairs(shard), pairs(&want));
            assert_eq!(shard.ranks(), want.ranks());
        }
    }

    #[test]
    fn numbers_of_two_types_are_left_to_python() {
        let (mut ints, mut floats) = (Groups::new(), Groups::new());
        ints.count(&Cell::Int(1)).unwrap();
        floats.count(&Cell::Float(1.0)).unwrap();
        let (ints, floats) = (ints.shards(3, 0).unwrap(), floats.shards(3, 1).unwrap());
        let shard = ints.iter().position(|shard| !shard.is_empty()).unwrap();
        assert_eq!(floats[shard].len(), 1, "equal keys are in shards with one number");
        let mut merged = Groups::new();
        merged.merge(&ints[shard], &Term::Arg(0), None).unwrap();
        assert_eq!(merged.merge(&floats[shard], &Term::Arg(0), None), Err(Beyond));
    }
}
