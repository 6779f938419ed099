//! Queues of items.

use super::{Asker, Effect, Item, Told, Waiter, check_names};
use oxidask_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// Most items of a queue, those included that wait for room.
const ITEMS_MAX: usize = 1 << 20;

#[derive(Debug, Default, Serialize, Deserialize)]
struct Queue {
    /// 0 means none.
    limit: u64,
    items: VecDeque<Item>,
    /// Items that wait for room, and who brought them.
    putting: VecDeque<(Waiter, Item)>,
    taking: VecDeque<Taker>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Taker {
    waiter: Waiter,
    least: u64,
    most: u64,
}

impl Queue {
    fn has_room(&self) -> bool {
        self.limit == 0 || (self.items.len() as u64) < self.limit
    }

    /// Moves items on until nobody's wish can be met.
    fn pass_on(&mut self, due: &mut Vec<(Waiter, Told)>) {
        loop {
            let mut is_moving = false;
            while self.has_room()
                && let Some((waiter, item)) = self.putting.pop_front()
            {
                self.items.push_back(item);
                due.push((waiter, Told::Done(true)));
                is_moving = true;
            }
            if let Some(taker) = self.taking.front()
                && (self.items.len() as u64) >= taker.least
            {
                let n_taken = (self.items.len() as u64).min(taker.most) as usize;
                due.push((taker.waiter, Told::Items(self.items.drain(..n_taken).collect())));
                self.taking.pop_front();
                is_moving = true;
            }
            if !is_moving {
                return;
            }
        }
    }
}

/// Queues by name.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Queues {
    queues: BTreeMap<String, Queue>,
    /// Queues that were changed and not looked at since.
    changed: Vec<String>,
}

impl Queues {
    pub fn open(&mut self, name: String, limit: u64) -> Result<()> {
        if !self.queues.contains_key(&name) {
            check_names(self.queues.len(), "queues")?;
            self.queues.insert(name, Queue { limit, ..Queue::default() });
        }
        Ok(())
    }

    /// A queue that is used before it was made has no limit.
    fn queue(&mut self, name: &str) -> Result<&mut Queue> {
        self.open(name.to_owned(), 0)?;
        self.changed.push(name.to_owned());
        Ok(self.queues.entry(name.to_owned()).or_default())
    }

    /// Appends an item; whether there was room at once.
    pub fn put(&mut self, waiter: Waiter, name: &str, item: Item) -> Result<bool> {
        let queue = self.queue(name)?;
        if queue.items.len() + queue.putting.len() >= ITEMS_MAX {
            return Err(Error::value(format!("the queue '{name}' is full: it has {ITEMS_MAX} items")));
        }
        let has_room = queue.has_room() && queue.putting.is_empty();
        if has_room {
            queue.items.push_back(item);
        } else {
            queue.putting.push_back((waiter, item));
        }
        Ok(has_room)
    }

    pub fn take(&mut self, waiter: Waiter, name: &str, least: u64, most: u64) -> Result<()> {
        let queue = self.queue(name)?;
        if queue.limit != 0 && least > queue.limit {
            let message = format!("the queue '{name}' holds {} items, so it never has {least}", queue.limit);
            return Err(Error::value(message));
        }
        queue.taking.push_back(Taker { waiter, least, most });
        Ok(())
    }

    /// Puts items back to the front; whether the queue is there.
    pub fn put_back(&mut self, name: &str, items: Vec<Item>) -> bool {
        let Some(queue) = self.queues.get_mut(name) else { return false };
        for item in items.into_iter().rev() {
            queue.items.push_front(item);
        }
        self.changed.push(name.to_owned());
        true
    }

    pub fn length(&self, name: &str) -> u64 {
        self.queues.get(name).map_or(0, |queue| queue.items.len() as u64)
    }

    pub fn close(&mut self, name: &str, effects: &mut Vec<Effect>) {
        let Some(queue) = self.queues.remove(name) else { return };
        let told = || Told::from(Error::new(ErrorKind::Cancelled, "the queue was closed"));
        for item in queue.items {
            effects.push(Effect::Drop(item.keys));
        }
        for (waiter, item) in queue.putting {
            effects.push(Effect::Drop(item.keys));
            effects.push(Effect::Tell(waiter, told()));
        }
        effects.extend(queue.taking.into_iter().map(|taker| Effect::Tell(taker.waiter, told())));
    }

    /// Takes out what a predicate about waiters says; whether there was any.
    fn take_out(&mut self, mut is_it: impl FnMut(Waiter) -> bool, effects: &mut Vec<Effect>) -> bool {
        let mut found = false;
        for (name, queue) in &mut self.queues {
            let before = queue.taking.len() + queue.putting.len();
            queue.taking.retain(|taker| !is_it(taker.waiter));
            queue.putting.retain_mut(|(waiter, item)| {
                let stays = !is_it(*waiter);
                if !stays {
                    effects.push(Effect::Drop(std::mem::take(&mut item.keys)));
                }
                stays
            });
            if queue.taking.len() + queue.putting.len() < before {
                // Whoever came after may be served now.
                self.changed.push(name.clone());
                found = true;
            }
        }
        found
    }

    pub fn withdraw(&mut self, waiter: Waiter, effects: &mut Vec<Effect>) -> bool {
        self.take_out(|other| other == waiter, effects)
    }

    pub fn client_gone(&mut self, client: Asker, effects: &mut Vec<Effect>) {
        self.take_out(|waiter| waiter.0 == client, effects);
    }

    pub fn pass_on(&mut self, due: &mut Vec<(Waiter, Told)>) {
        for name in std::mem::take(&mut self.changed) {
            if let Some(queue) = self.queues.get_mut(&name) {
                queue.pass_on(due);
            }
        }
    }
}
