//! Objects that the clients of a cluster share: variables, events, datasets,
//! queues, locks, semaphores, topics.
//!
//! [`Coordination`] is plain state beside the scheduler's: it is told who asks
//! what, and answers with [`Effect`]s. It does no I/O, reads no clock, and never
//! looks into an item, so that a scheduler without Python serves Python users.
//! All objects are made of four things:
//!
//! | | is |
//! |---|---|
//! | named items | variables, events (an empty item that is there or not), datasets, metadata |
//! | queues | items in order, with a limit |
//! | leases | semaphores; a lock is one with a single lease |
//! | topics | the newest events, and who is told of new ones |
//!
//! Whoever waits for something and goes away waits no more, and what it had a
//! lease on is free again, the latter already when it has been away for a short
//! while. There are no times here: a client that waits long
//! enough withdraws its question, and whichever comes first counts.

mod items;
mod leases;
pub mod message;
mod queues;
mod topics;

#[cfg(test)]
mod tests;

pub use message::{Ask, Item, Space, Told, TopicEvent};

use items::Items;
use leases::Leases;
use oxidask_core::{Error, Key, Result};
use queues::Queues;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use topics::Topics;

/// A client, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Asker(pub u32);

/// A question that waits for its answer: who asked, and its number.
pub type Waiter = (Asker, u32);

/// What follows from a question, in this order.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Tell a client.
    Tell(Waiter, Told),
    /// Tell a subscriber of an event.
    Event(Asker, TopicEvent),
    /// Keep these results, once more each.
    Hold(Vec<Key>),
    /// These results are kept once less each.
    Drop(Vec<Key>),
    /// Call [`Coordination::forgotten`] when nobody wants this result any more.
    Watch(Key),
}

/// See the module's head. It can be written down and read back whole.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Coordination {
    items: Items,
    queues: Queues,
    leases: Leases,
    topics: Topics,
    /// Results named in items that are on their way to a client, which has not
    /// claimed them yet.
    in_transit: BTreeMap<Waiter, Vec<Key>>,
    /// Who waits for the end of a result.
    mourners: BTreeMap<Key, Vec<Waiter>>,
    /// What is kept with a result.
    kept_with: BTreeMap<Key, Vec<Key>>,
    #[serde(skip)]
    effects: Vec<Effect>,
}

impl Coordination {
    /// Takes a question; `time` is the present, in seconds since 1970.
    pub fn ask(&mut self, waiter: Waiter, ask: Ask, time: f64) {
        match self.answer(waiter, ask, time) {
            Ok(Some(told)) => self.tell(waiter, told),
            Ok(None) => {}
            Err(error) => self.effects.push(Effect::Tell(waiter, error.into())),
        }
        self.pass_on();
    }

    /// The answer, unless it has to wait.
    fn answer(&mut self, waiter: Waiter, ask: Ask, time: f64) -> Result<Option<Told>> {
        let effects = &mut self.effects;
        Ok(match ask {
            Ask::Set { space, name, item, replace } => {
                item.check()?;
                Some(Told::Done(self.items.set((space, name), item, replace, effects)?))
            }
            Ask::Get { space, name, wait } => self.items.get(waiter, (space, name), wait).map(Told::Item),
            Ask::Delete { space, name } => Some(Told::Done(self.items.delete(&(space, name), effects))),
            Ask::List(space) => Some(Told::Names(self.items.list(space))),
            Ask::OpenQueue { name, limit } => {
                self.queues.open(name, limit)?;
                Some(Told::Done(true))
            }
            Ask::Put { queue, item } => {
                item.check()?;
                let keys = item.keys.clone();
                let has_room = self.queues.put(waiter, &queue, item)?;
                effects.push(Effect::Hold(keys));
                has_room.then_some(Told::Done(true))
            }
            Ask::Take { queue, least, most } => {
                self.queues.take(waiter, &queue, least, most)?;
                None
            }
            Ask::PutBack { queue, items } => {
                let keys: Vec<Key> = items.iter().flat_map(|item| item.keys.iter().copied()).collect();
                let is_there = self.queues.put_back(&queue, items);
                if is_there && !keys.is_empty() {
                    effects.push(Effect::Hold(keys));
                }
                Some(Told::Done(is_there))
            }
            Ask::Length(queue) => Some(Told::Count(self.queues.length(&queue))),
            Ask::CloseQueue(queue) => {
                self.queues.close(&queue, effects);
                Some(Told::Done(true))
            }
            Ask::OpenSemaphore { name, limit } => {
                self.leases.open(name, limit)?;
                Some(Told::Done(true))
            }
            Ask::Acquire { names, n, lease, is_lock } => {
                self.leases.acquire(waiter, names, n, lease, is_lock)?;
                None
            }
            Ask::Release(lease) => Some(Told::Done(self.leases.release(lease))),
            Ask::Leases(name) => Some(Told::Count(self.leases.count(&name))),
            Ask::CloseSemaphore(name) => {
                self.leases.close(&name, effects);
                Some(Told::Done(true))
            }
            Ask::Log { topics, item } => {
                item.check()?;
                self.topics.log(topics, &item, time, effects)?;
                Some(Told::Done(true))
            }
            Ask::Events(topic) => Some(Told::Events(self.topics.events(topic.as_deref()))),
            Ask::Subscribe { topic, on } => Some(Told::Done(self.topics.subscribe(waiter.0, topic, on))),
            Ask::Forgotten(key) => {
                self.mourners.entry(key).or_default().push(waiter);
                effects.push(Effect::Watch(key));
                None
            }
            Ask::KeepWith { owner, keys } => {
                effects.push(Effect::Hold(keys.clone()));
                self.kept_with.entry(owner).or_default().extend(keys);
                effects.push(Effect::Watch(owner));
                Some(Told::Done(true))
            }
        })
    }

    /// A client waits no longer. It is told [`Told::Withdrawn`] unless the
    /// answer is on its way already.
    pub fn withdraw(&mut self, waiter: Waiter) {
        let mourned = self.mourners.values_mut().any(|waiters| remove(waiters, waiter));
        let waited = self.items.withdraw(waiter)
            || self.queues.withdraw(waiter, &mut self.effects)
            || self.leases.withdraw(waiter)
            || mourned;
        if waited {
            self.effects.push(Effect::Tell(waiter, Told::Withdrawn));
        }
        self.pass_on();
    }

    /// A client has claimed the results that are named in an answer.
    pub fn received(&mut self, waiter: Waiter) {
        if let Some(keys) = self.in_transit.remove(&waiter) {
            self.effects.push(Effect::Drop(keys));
        }
    }

    /// A client is gone, and with it all it waited for and held.
    pub fn client_gone(&mut self, client: Asker) {
        let effects = &mut self.effects;
        self.items.client_gone(client);
        self.queues.client_gone(client, effects);
        self.leases.client_gone(client);
        self.topics.client_gone(client);
        self.mourners.values_mut().for_each(|waiters| waiters.retain(|waiter| waiter.0 != client));
        self.in_transit.retain(|waiter, keys| {
            let stays = waiter.0 != client;
            if !stays {
                effects.push(Effect::Drop(std::mem::take(keys)));
            }
            stays
        });
        self.pass_on();
    }

    /// Whether a client has locked something.
    #[must_use]
    pub fn has_leases(&self, client: Asker) -> bool {
        self.leases.has_any(client)
    }

    /// A client has been away for too long to keep what it has locked. Should it
    /// come back, it is told so when it wants to give it back.
    pub fn forfeit(&mut self, client: Asker) {
        self.leases.forfeit(client);
        self.pass_on();
    }

    /// Nobody wants a watched result any more.
    pub fn forgotten(&mut self, key: Key) {
        for waiter in self.mourners.remove(&key).unwrap_or_default() {
            self.effects.push(Effect::Tell(waiter, Told::Done(true)));
        }
        if let Some(keys) = self.kept_with.remove(&key) {
            self.effects.push(Effect::Drop(keys));
        }
    }

    /// Moves what follows from the calls before to the end of `into`.
    pub fn take_effects(&mut self, into: &mut Vec<Effect>) {
        into.append(&mut self.effects);
    }

    /// Tells a client; results that are named in the answer are kept until the
    /// client has claimed them.
    fn tell(&mut self, waiter: Waiter, told: Told) {
        let keys = told.keys();
        if !keys.is_empty() {
            // A queue's items leave it with what they hold; others stay.
            if matches!(told, Told::Item(_)) {
                self.effects.push(Effect::Hold(keys.clone()));
            }
            self.in_transit.insert(waiter, keys);
        }
        self.effects.push(Effect::Tell(waiter, told));
    }

    /// Answers those whose turn it is.
    fn pass_on(&mut self) {
        let mut due = Vec::new();
        self.items.pass_on(&mut due);
        self.queues.pass_on(&mut due);
        self.leases.pass_on(&mut due);
        for (waiter, told) in due {
            self.tell(waiter, told);
        }
    }
}

/// Most names of each kind.
const NAMES_MAX: usize = 1 << 20;

/// Refuses another name when there are too many.
fn check_names(n_names: usize, what: &str) -> Result<()> {
    if n_names < NAMES_MAX {
        return Ok(());
    }
    Err(Error::value(format!("there are {n_names} {what} already"))
        .with_hint("delete those that are not used any more"))
}

/// Takes a waiter out of a list; whether it was there.
fn remove(waiters: &mut Vec<Waiter>, waiter: Waiter) -> bool {
    let position = waiters.iter().position(|&other| other == waiter);
    position.map(|position| waiters.remove(position)).is_some()
}
