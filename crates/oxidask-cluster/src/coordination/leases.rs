//! Semaphores and locks.
//!
//! All wishes are queued at every semaphore that they name, at one moment; so
//! they stand in the same order everywhere, the oldest is first in all of its
//! queues, and no two can block each other.

use super::{Asker, Effect, Told, Waiter, check_names};
use oxidask_core::{Error, ErrorKind, Key, Result};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

#[derive(Debug, Serialize, Deserialize)]
struct Semaphore {
    limit: u32,
    n_out: u32,
    /// Wishes by their number, the oldest first.
    waiting: VecDeque<u64>,
    /// Locks go when nobody uses them; semaphores are closed.
    is_lock: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct Wish {
    waiter: Waiter,
    names: Vec<String>,
    n: usize,
    lease: Key,
}

/// Semaphores by name, the leases that are out, and who waits for some.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Leases {
    semaphores: BTreeMap<String, Semaphore>,
    wishes: BTreeMap<u64, Wish>,
    next_wish: u64,
    held: BTreeMap<Key, (Asker, Vec<String>)>,
    /// Semaphores that were changed and not looked at since.
    changed: Vec<String>,
}

fn unknown(name: &str) -> Error {
    Error::new(ErrorKind::Missing, format!("the semaphore '{name}' is not known, or was closed"))
}

impl Leases {
    pub fn open(&mut self, name: String, limit: u32) -> Result<()> {
        match self.semaphores.get(&name) {
            Some(known) if known.limit != limit => Err(Error::value(format!(
                "the semaphore '{name}' has {} leases already, so it cannot have {limit}",
                known.limit
            ))),
            Some(_) => Ok(()),
            None => self.make(name, limit, false),
        }
    }

    fn make(&mut self, name: String, limit: u32, is_lock: bool) -> Result<()> {
        check_names(self.semaphores.len(), "semaphores and locks")?;
        self.semaphores.insert(name, Semaphore { limit, n_out: 0, waiting: VecDeque::new(), is_lock });
        Ok(())
    }

    pub fn acquire(&mut self, waiter: Waiter, mut names: Vec<String>, n: u32, lease: Key, is_lock: bool) -> Result<()> {
        names.sort_unstable();
        names.dedup();
        let n = n as usize;
        if n == 0 || n > names.len() {
            return Err(Error::value(format!("{n} of {} leases cannot be had", names.len())));
        }
        if self.held.contains_key(&lease) {
            return Err(Error::value("this lease is held already"));
        }
        for name in &names {
            match self.semaphores.get(name) {
                Some(_) => {}
                None if is_lock => self.make(name.clone(), 1, true)?,
                None => return Err(unknown(name)),
            }
        }
        let number = self.next_wish;
        self.next_wish += 1;
        for name in &names {
            if let Some(semaphore) = self.semaphores.get_mut(name) {
                semaphore.waiting.push_back(number);
            }
        }
        self.changed.extend(names.iter().cloned());
        self.wishes.insert(number, Wish { waiter, names, n, lease });
        Ok(())
    }

    pub fn release(&mut self, lease: Key) -> bool {
        let Some((_, names)) = self.held.remove(&lease) else { return false };
        for name in names {
            if let Some(semaphore) = self.semaphores.get_mut(&name) {
                semaphore.n_out -= 1;
                self.changed.push(name);
            }
        }
        true
    }

    pub fn count(&self, name: &str) -> u64 {
        self.semaphores.get(name).map_or(0, |semaphore| u64::from(semaphore.n_out))
    }

    pub fn close(&mut self, name: &str, effects: &mut Vec<Effect>) {
        let Some(semaphore) = self.semaphores.remove(name) else { return };
        for number in semaphore.waiting {
            if let Some(wish) = self.forget(number) {
                effects.push(Effect::Tell(wish.waiter, unknown(name).into()));
            }
        }
        self.held.values_mut().for_each(|(_, names)| names.retain(|other| other != name));
    }

    /// Takes a wish out of all queues.
    fn forget(&mut self, number: u64) -> Option<Wish> {
        let wish = self.wishes.remove(&number)?;
        for name in &wish.names {
            if let Some(semaphore) = self.semaphores.get_mut(name) {
                if semaphore.waiting.front() == Some(&number) {
                    semaphore.waiting.pop_front();
                } else {
                    semaphore.waiting.retain(|&other| other != number);
                }
                self.changed.push(name.clone());
            }
        }
        Some(wish)
    }

    pub fn withdraw(&mut self, waiter: Waiter) -> bool {
        let found = self.wishes.iter().find(|(_, wish)| wish.waiter == waiter).map(|(&number, _)| number);
        found.and_then(|number| self.forget(number)).is_some()
    }

    pub fn client_gone(&mut self, client: Asker) {
        let gone = |wish: &&Wish| wish.waiter.0 == client;
        let numbers: Vec<u64> = self.wishes.iter().filter(|(_, wish)| gone(wish)).map(|(&number, _)| number).collect();
        for number in numbers {
            self.forget(number);
        }
        self.forfeit(client);
    }

    /// Takes all leases from a client.
    pub fn forfeit(&mut self, client: Asker) {
        let leases: Vec<Key> =
            self.held.iter().filter(|(_, (holder, _))| *holder == client).map(|(&lease, _)| lease).collect();
        for lease in leases {
            self.release(lease);
        }
    }

    /// Whether a client has any lease.
    pub fn has_any(&self, client: Asker) -> bool {
        self.held.values().any(|(holder, _)| *holder == client)
    }

    /// The semaphores of a wish that it could have now: it is first there.
    fn available(&self, number: u64) -> Option<Vec<String>> {
        let wish = self.wishes.get(&number)?;
        let is_free = |name: &&String| {
            self.semaphores.get(*name).is_some_and(|semaphore| {
                semaphore.n_out < semaphore.limit && semaphore.waiting.front() == Some(&number)
            })
        };
        let names: Vec<String> = wish.names.iter().filter(is_free).take(wish.n).cloned().collect();
        (names.len() == wish.n).then_some(names)
    }

    pub fn pass_on(&mut self, due: &mut Vec<(Waiter, Told)>) {
        while let Some(name) = self.changed.pop() {
            let Some(semaphore) = self.semaphores.get(&name) else { continue };
            let Some(&number) = semaphore.waiting.front() else {
                if semaphore.is_lock && semaphore.n_out == 0 {
                    self.semaphores.remove(&name);
                }
                continue;
            };
            let Some(names) = self.available(number) else { continue };
            for name in &names {
                if let Some(semaphore) = self.semaphores.get_mut(name) {
                    semaphore.n_out += 1;
                }
            }
            // The next in all of its queues are looked at, too.
            if let Some(wish) = self.forget(number) {
                self.held.insert(wish.lease, (wish.waiter.0, names));
                due.push((wish.waiter, Told::Done(true)));
            }
        }
    }

    /// Whether nothing is remembered.
    #[cfg(test)]
    pub fn is_idle(&self) -> bool {
        self.semaphores.is_empty() && self.wishes.is_empty() && self.held.is_empty()
    }
}
