//! A table by task number for the few tasks that are there at a time.
//!
//! Numbers are dense, so a lookup is one index and no hash; rows are used again,
//! so that they stay in the processor's cache however many tasks there are.

use oxidask_sched::TaskId;

/// Rows by task.
pub(crate) struct Slots<T> {
    /// By task: which row is its, plus one; 0 for none.
    row_of: Vec<u32>,
    rows: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Slots { row_of: Vec::new(), rows: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slots<T> {
    fn row(&self, task: TaskId) -> Option<usize> {
        self.row_of.get(task.0 as usize)?.checked_sub(1).map(|row| row as usize)
    }

    pub fn get(&self, task: TaskId) -> Option<&T> {
        self.rows[self.row(task)?].as_ref()
    }

    pub fn get_mut(&mut self, task: TaskId) -> Option<&mut T> {
        let row = self.row(task)?;
        self.rows[row].as_mut()
    }

    /// Puts a row under a task; answers the one that was there.
    pub fn insert(&mut self, task: TaskId, value: T) -> Option<T> {
        if let Some(row) = self.row(task) {
            return self.rows[row].replace(value);
        }
        let number = task.0 as usize;
        if self.row_of.len() <= number {
            self.row_of.resize((number + 1).next_power_of_two(), 0);
        }
        let row = self.free.pop().unwrap_or_else(|| {
            self.rows.push(None);
            self.rows.len() as u32 - 1
        });
        self.rows[row as usize] = Some(value);
        self.row_of[number] = row + 1;
        None
    }

    pub fn remove(&mut self, task: TaskId) -> Option<T> {
        let row = self.row(task)?;
        self.row_of[task.0 as usize] = 0;
        self.free.push(row as u32);
        self.rows[row].take()
    }

    /// Takes all rows out.
    pub fn drain(&mut self) -> impl Iterator<Item = T> + use<T> {
        std::mem::take(self).rows.into_iter().flatten()
    }

    pub fn len(&self) -> usize {
        self.rows.len() - self.free.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_found_and_used_again() {
        let mut slots = Slots::default();
        assert_eq!(slots.insert(TaskId(1000), 'a'), None);
        assert_eq!(slots.insert(TaskId(3), 'b'), None);
        assert_eq!(slots.insert(TaskId(3), 'c'), Some('b'));
        assert_eq!((slots.get(TaskId(3)), slots.get(TaskId(4)), slots.get(TaskId(9999))), (Some(&'c'), None, None));
        assert_eq!(slots.remove(TaskId(1000)), Some('a'));
        assert_eq!(slots.remove(TaskId(1000)), None);
        slots.insert(TaskId(7), 'd');
        assert_eq!((slots.rows.len(), slots.len()), (2, 2));
        let mut left: Vec<char> = slots.drain().collect();
        left.sort_unstable();
        assert_eq!((left, slots.len()), (vec!['c', 'd'], 0));
    }
}
