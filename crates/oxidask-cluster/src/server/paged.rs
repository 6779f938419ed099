//! A table by task number, in pages that come and go with their entries.
//!
//! Tasks are numbered in order and live about as long as their neighbours. So what
//! a graph of a million tasks touches next lies beside what it touched last, and the
//! memory goes when its tasks do, where a hash table would miss the cache each time.

use oxidask_sched::TaskId;

/// Entries of a page.
const PAGE: usize = 256;

/// See the module's head.
#[derive(Debug)]
pub struct Paged<T> {
    pages: Vec<Option<Page<T>>>,
    /// An empty page for the next one that is needed: a single task that comes and
    /// goes, again and again, need not make one each time.
    spare: Option<Page<T>>,
    len: usize,
}

#[derive(Debug)]
struct Page<T> {
    entries: Box<[Option<T>]>,
    len: usize,
}

impl<T> Default for Paged<T> {
    fn default() -> Self {
        Paged { pages: Vec::new(), spare: None, len: 0 }
    }
}

fn place(task: TaskId) -> (usize, usize) {
    (task.0 as usize / PAGE, task.0 as usize % PAGE)
}

impl<T> Paged<T> {
    /// How many entries there are.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.len
    }

    /// The entry of a task.
    pub fn get(&self, task: TaskId) -> Option<&T> {
        let (page, index) = place(task);
        self.pages.get(page)?.as_ref()?.entries[index].as_ref()
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, task: TaskId) -> Option<&mut T> {
        let (page, index) = place(task);
        self.pages.get_mut(page)?.as_mut()?.entries[index].as_mut()
    }

    /// Whether the task has an entry.
    pub fn contains(&self, task: TaskId) -> bool {
        self.get(task).is_some()
    }

    /// The entry of a task, made if there is none.
    pub fn get_or_insert_with(&mut self, task: TaskId, make: impl FnOnce() -> T) -> &mut T {
        let (number, index) = place(task);
        if self.pages.len() <= number {
            self.pages.resize_with(number + 1, || None);
        }
        let spare = &mut self.spare;
        let empty = || Page { entries: std::iter::repeat_with(|| None).take(PAGE).collect(), len: 0 };
        let page = self.pages[number].get_or_insert_with(|| spare.take().unwrap_or_else(empty));
        let entry = &mut page.entries[index];
        if entry.is_none() {
            page.len += 1;
            self.len += 1;
        }
        entry.get_or_insert_with(make)
    }

    /// Sets the entry of a task.
    pub fn insert(&mut self, task: TaskId, value: T) {
        let mut value = Some(value);
        let entry = self.get_or_insert_with(task, || value.take().expect("it is asked for once"));
        if let Some(value) = value {
            *entry = value;
        }
    }

    /// Takes the entry of a task out.
    pub fn remove(&mut self, task: TaskId) -> Option<T> {
        let (number, index) = place(task);
        let slot = self.pages.get_mut(number)?;
        let page = slot.as_mut()?;
        let entry = page.entries[index].take()?;
        page.len -= 1;
        self.len -= 1;
        if page.len == 0 {
            self.spare = slot.take();
            if self.len == 0 {
                self.pages = Vec::new();
            }
        }
        Some(entry)
    }

    /// All entries, by number.
    pub fn iter(&self) -> impl Iterator<Item = (TaskId, &T)> {
        let pages = self.pages.iter().enumerate();
        let pages = pages.filter_map(|(number, page)| Some((number, &page.as_ref()?.entries)));
        pages.flat_map(|(number, entries)| {
            let entries = entries.iter().enumerate();
            entries.filter_map(move |(index, entry)| Some((TaskId((number * PAGE + index) as u32), entry.as_ref()?)))
        })
    }
}

impl<T> Extend<(TaskId, T)> for Paged<T> {
    fn extend<I: IntoIterator<Item = (TaskId, T)>>(&mut self, entries: I) {
        for (task, value) in entries {
            self.insert(task, value);
        }
    }
}

impl<T> FromIterator<(TaskId, T)> for Paged<T> {
    fn from_iter<I: IntoIterator<Item = (TaskId, T)>>(entries: I) -> Self {
        let mut all = Paged::default();
        all.extend(entries);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn a_table_is_a_map() {
        let (mut table, mut model) = (Paged::default(), BTreeMap::new());
        let mut random = 1_u64;
        for _ in 0..20_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let (task, value) = (TaskId((random >> 33) as u32 % 1500), random);
            if random >> 63 == 0 {
                table.insert(task, value);
                model.insert(task, value);
            } else {
                assert_eq!(table.remove(task), model.remove(&task));
            }
            assert_eq!(table.get(task), model.get(&task));
            assert_eq!(table.len(), model.len());
        }
        let all: Vec<(TaskId, u64)> = table.iter().map(|(task, &value)| (task, value)).collect();
        assert_eq!(all, model.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn pages_go_with_their_entries() {
        let mut table: Paged<u64> = (0..100_000).map(|task| (TaskId(task), 1)).collect();
        for task in 0..100_000 {
            table.remove(TaskId(task));
        }
        assert_eq!((table.len(), table.pages.capacity()), (0, 0));
    }
}
