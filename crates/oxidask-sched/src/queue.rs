//! A priority queue of tasks whose entries may go stale.
//!
//! Work that is ready when it is submitted comes in bulk and is sorted once;
//! what becomes ready later goes through a small heap. Taking the next task
//! costs the same with ten million tasks queued as with ten thousand.

use crate::event::TaskId;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// A queued task; smaller comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry {
    pub priority: u64,
    pub task: TaskId,
}

/// Sorted runs kept apart before two are merged.
const RUNS_MAX: usize = 8;
/// Entries that come together and are worth a run of their own.
const RUN_LEN_MIN: usize = 512;

/// The queue. Entries are not removed when their task leaves: the owner says
/// which are still valid when it looks at the top, and counts them in `live`.
#[derive(Default)]
pub(crate) struct ReadyQueue {
    heap: BinaryHeap<Reverse<Entry>>,
    /// Each sorted, best last.
    runs: Vec<Vec<Entry>>,
    /// Valid entries, by the owner's count.
    pub live: usize,
}

impl ReadyQueue {
    /// Adds one entry and counts it.
    pub fn push(&mut self, entry: Entry) {
        self.live += 1;
        self.heap.push(Reverse(entry));
    }

    /// Adds many entries and counts them.
    pub fn extend(&mut self, mut entries: Vec<Entry>) {
        self.live += entries.len();
        if entries.len() < RUN_LEN_MIN {
            self.heap.extend(entries.into_iter().map(Reverse));
            return;
        }
        // Submissions come in order mostly, which the sort finds in one pass.
        entries.sort_unstable_by_key(|&entry| Reverse(entry));
        if self.runs.len() == RUNS_MAX {
            self.runs.sort_by_key(|run| Reverse(run.len()));
            let smallest = self.runs.pop().unwrap_or_default();
            if let Some(second) = self.runs.last_mut() {
                second.extend(smallest);
                second.sort_by_key(|&entry| Reverse(entry));
            }
        }
        self.runs.push(entries);
    }

    /// The best valid entry; stale ones before it are dropped.
    pub fn peek(&mut self, valid: impl Fn(Entry) -> bool) -> Option<Entry> {
        if self.live == 0 {
            self.heap.clear();
            self.runs.clear();
            return None;
        }
        loop {
            let (source, entry) = self.top()?;
            if valid(entry) {
                return Some(entry);
            }
            self.remove_top(source);
        }
    }

    /// Takes the entry that `peek` just answered, and counts it no more.
    pub fn pop(&mut self) -> Option<Entry> {
        let (source, entry) = self.top()?;
        self.remove_top(source);
        self.live -= 1;
        Some(entry)
    }

    /// All entries, stale ones included, in no order; the queue is empty then.
    pub fn drain(&mut self) -> Vec<Entry> {
        self.live = 0;
        let mut all: Vec<Entry> = self.heap.drain().map(|Reverse(entry)| entry).collect();
        all.extend(self.runs.drain(..).flatten());
        all
    }

    /// Drops stale entries when they are the most.
    pub fn compact(&mut self, valid: impl Fn(Entry) -> bool) {
        let held = self.heap.len() + self.runs.iter().map(Vec::len).sum::<usize>();
        if held > 2 * self.live + 1024 {
            self.heap.retain(|Reverse(entry)| valid(*entry));
            for run in &mut self.runs {
                run.retain(|entry| valid(*entry));
            }
        }
    }

    /// The best entry and the run that it is in, or none for the heap.
    fn top(&self) -> Option<(Option<usize>, Entry)> {
        let mut best = self.heap.peek().map(|&Reverse(entry)| (None, entry));
        for (index, run) in self.runs.iter().enumerate() {
            if let Some(&entry) = run.last()
                && best.is_none_or(|(_, other)| entry < other)
            {
                best = Some((Some(index), entry));
            }
        }
        best
    }

    fn remove_top(&mut self, source: Option<usize>) {
        match source {
            None => drop(self.heap.pop()),
            Some(index) => {
                self.runs[index].pop();
                if self.runs[index].is_empty() {
                    self.runs.swap_remove(index);
                }
            }
        }
    }
}

/// Numbers by priority, smallest first. What comes in order, as most does, waits
/// in a line; only what comes out of turn goes through a heap.
#[derive(Default)]
pub(crate) struct TurnQueue {
    line: VecDeque<(u64, u32)>,
    heap: BinaryHeap<Reverse<(u64, u32)>>,
}

impl TurnQueue {
    /// Adds an entry.
    pub fn push(&mut self, entry: (u64, u32)) {
        if self.line.back().is_none_or(|&last| last <= entry) {
            self.line.push_back(entry);
        } else {
            self.heap.push(Reverse(entry));
        }
    }

    /// The smallest entry.
    pub fn peek(&self) -> Option<(u64, u32)> {
        match (self.line.front(), self.heap.peek()) {
            (Some(&first), Some(&Reverse(other))) => Some(first.min(other)),
            (first, other) => first.copied().or(other.map(|&Reverse(other)| other)),
        }
    }

    /// Takes the smallest entry.
    pub fn pop(&mut self) -> Option<(u64, u32)> {
        let is_in_line = match (self.line.front(), self.heap.peek()) {
            (Some(first), Some(Reverse(other))) => first <= other,
            (first, _) => first.is_some(),
        };
        if is_in_line { self.line.pop_front() } else { self.heap.pop().map(|Reverse(entry)| entry) }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.line.is_empty() && self.heap.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_kept_whatever_the_order_of_coming() {
        let mut queue = TurnQueue::default();
        let mut model = BinaryHeap::new();
        let mut number = 7_u64;
        for step in 0..5_000_u32 {
            number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            if number >> 62 == 0 {
                assert_eq!(queue.peek(), model.peek().map(|&Reverse(entry)| entry));
                assert_eq!(queue.pop(), model.pop().map(|Reverse(entry)| entry));
            } else {
                let priority = if number >> 63 == 0 { u64::from(step) } else { number >> 50 };
                queue.push((priority, step));
                model.push(Reverse((priority, step)));
            }
        }
        while let Some(Reverse(entry)) = model.pop() {
            assert_eq!(queue.pop(), Some(entry));
        }
        assert!(queue.is_empty() && queue.pop().is_none() && queue.peek().is_none());
    }

    #[test]
    fn runs_and_heap_answer_in_one_order() {
        let mut queue = ReadyQueue::default();
        let entry = |number: u32| Entry { priority: u64::from(number * 7919 % 10_007), task: TaskId(number) };
        let mut expected: Vec<Entry> = Vec::new();
        for batch in 0..20 {
            let entries: Vec<Entry> = (batch * 600..(batch + 1) * 600 - batch * 10).map(entry).collect();
            expected.extend(&entries);
            queue.extend(entries);
        }
        for number in 20_000..20_100 {
            queue.push(entry(number));
            expected.push(entry(number));
        }
        let valid = |entry: Entry| !entry.task.0.is_multiple_of(3);
        queue.live -= expected.iter().filter(|&&entry| !valid(entry)).count();
        expected.retain(|&entry| valid(entry));
        expected.sort();
        let mut found = Vec::new();
        while let Some(entry) = queue.peek(valid) {
            assert_eq!(queue.pop(), Some(entry));
            found.push(entry);
        }
        assert_eq!(found, expected);
        assert_eq!(queue.live, 0);
    }
}
