//! What clients share: questions to the scheduler, and their answers.

use super::{Client, INTERRUPT_POLL, Inner, closed_by_user};
use crate::coordination::{Ask, Told, TopicEvent};
use crate::protocol::{FromClient, Outbox};
use oxidask_core::{Error, Result};
use parking_lot::{Condvar, Mutex, MutexGuard};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Called once with an answer, on the connection's thread; must be short.
pub type OnTold = Box<dyn FnOnce(Result<Told>) + Send>;

/// Called with each event of a topic, on the connection's thread; must be short.
pub type OnEvent = Arc<dyn Fn(TopicEvent) + Send + Sync>;

/// Where an answer is awaited.
struct Slot {
    ask: Ask,
    told: Mutex<Awaited>,
    changed: Condvar,
}

#[derive(Default)]
enum Awaited {
    #[default]
    Pending,
    Told(Result<Told>),
    /// Whoever asked this question has left: what its answer takes is given back.
    Left(u32),
}

impl Client {
    /// Asks about something that clients share, and waits for the answer; none
    /// if there is none within `timeout`, in which case it is as if it had never
    /// been asked. The number names the question, for [`Client::received`].
    ///
    /// # Errors
    /// If what was asked cannot be done, the connection ends, or `interrupted`
    /// says so.
    ///
    /// # Examples
    /// ```
    /// use oxidask_cluster::coordination::{Ask, Item, Space, Told};
    /// use oxidask_cluster::{LocalCluster, LocalClusterOptions};
    ///
    /// # fn main() -> oxidask_core::Result<()> {
    /// let cluster = LocalCluster::start(LocalClusterOptions::in_process(1))?;
    /// let client = cluster.client()?;
    /// let item = Item { body: "42".into(), keys: Vec::new() };
    /// let (space, name) = (Space::Variable, "answer".to_owned());
    /// client.coordinate(Ask::Set { space, name: name.clone(), item: item.clone(), replace: true }, None, &|| Ok(()))?;
    /// let told = client.coordinate(Ask::Get { space, name, wait: true }, None, &|| Ok(()))?;
    /// assert_eq!(told.map(|(_, told)| told), Some(Told::Item(Some(item))));
    /// # Ok(())
    /// # }
    /// ```
    pub fn coordinate(
        &self,
        ask: Ask,
        timeout: Option<Duration>,
        interrupted: &dyn Fn() -> Result<()>,
    ) -> Result<Option<(u32, Told)>> {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let slot = Arc::new(Slot { ask, told: Mutex::default(), changed: Condvar::new() });
        let request = self.ask_into(&slot)?;
        let mut awaited = slot.told.lock();
        let mut is_withdrawn = false;
        loop {
            if let Awaited::Told(told) = std::mem::take(&mut *awaited) {
                return match told? {
                    Told::Withdrawn => Ok(None),
                    told => Ok(Some((request, told.or_error()?))),
                };
            }
            if !is_withdrawn && deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                // The answer may be on its way; whichever comes first counts.
                self.withdraw(request);
                is_withdrawn = true;
            }
            let poll = Instant::now() + INTERRUPT_POLL;
            let until = if is_withdrawn { poll } else { deadline.map_or(poll, |deadline| deadline.min(poll)) };
            if slot.changed.wait_until(&mut awaited, until).timed_out()
                && let Err(error) = MutexGuard::unlocked(&mut awaited, interrupted)
            {
                let was = std::mem::replace(&mut *awaited, Awaited::Left(request));
                drop(awaited);
                match was {
                    Awaited::Told(Ok(told)) => self.inner().give_back(request, &slot.ask, &told),
                    _ => self.withdraw(request),
                }
                return Err(error);
            }
        }
    }

    /// Asks; the answer comes into the slot, or is undone if nobody waits there.
    fn ask_into(&self, slot: &Arc<Slot>) -> Result<u32> {
        let answered = slot.clone();
        // A question that waits must not keep the client.
        let inner = Arc::downgrade(self.inner());
        let on_told = move |told: Result<Told>| {
            let mut awaited = answered.told.lock();
            let Awaited::Left(request) = *awaited else {
                *awaited = Awaited::Told(told);
                answered.changed.notify_all();
                return;
            };
            drop(awaited);
            if let (Ok(told), Some(inner)) = (told, inner.upgrade()) {
                inner.give_back(request, &answered.ask, &told);
            }
        };
        self.coordinate_later(slot.ask.clone(), Box::new(on_told))
    }

    /// Asks about something that clients share; `on_told` is called with the
    /// answer. Answers the number of the question.
    ///
    /// # Errors
    /// If the connection is closed; `on_told` is not called then.
    pub fn coordinate_later(&self, ask: Ask, on_told: OnTold) -> Result<u32> {
        self.inner().coordinate(ask, on_told)
    }

    /// Waits no longer for the answer to a question. The answer is
    /// [`Told::Withdrawn`] unless another is on its way.
    pub fn withdraw(&self, request: u32) {
        self.inner().say(FromClient::Withdraw(request));
    }

    /// Says that there are futures now for the results that were named in the
    /// answer to a question; until then the scheduler keeps them.
    pub fn received(&self, request: u32) {
        self.inner().say(FromClient::Received(request));
    }

    /// Has a function called with each event of the topics that this client
    /// subscribed to.
    pub fn on_event(&self, on_event: OnEvent) {
        *self.inner().on_event.lock() = Some(on_event);
    }
}

impl Inner {
    fn coordinate(&self, ask: Ask, on_told: OnTold) -> Result<u32> {
        let mut sending = self.sending.lock();
        sending.next_request = sending.next_request.wrapping_add(1);
        let request = sending.next_request;
        let mut outbox = Outbox::default();
        outbox.push(FromClient::Coordinate { request, ask });
        let packet = outbox.take()?;
        {
            // Under the table's lock, so that whoever closes sees the question.
            let table = self.table.lock();
            if let Some(error) = &table.closed {
                return Err(error.clone());
            }
            self.told.lock().insert(request, on_told);
        }
        sending.outlet.send(packet);
        Ok(request)
    }

    /// Undoes what a question did whose answer nobody waits for any more.
    fn give_back(&self, request: u32, ask: &Ask, told: &Told) {
        if let Some(undo) = ask.undo(told) {
            // If the connection is closed, all that the client held is free anyway.
            let _ = self.coordinate(undo, Box::new(|_| {}));
        }
        // After what undoes it: the scheduler keeps named results meanwhile.
        self.say(FromClient::Received(request));
    }

    /// Tells all who wait for an answer that none will come.
    pub(super) fn tell_all_lost(&self) {
        let why: Error = self.table.lock().closed.clone().unwrap_or_else(closed_by_user);
        let waiting = std::mem::take(&mut *self.told.lock());
        for on_told in waiting.into_values() {
            on_told(Err(why.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coordination::Item;
    use crate::{LocalCluster, LocalClusterOptions};
    use oxidask_core::ErrorKind;

    const LONG: Option<Duration> = Some(Duration::from_secs(30));

    fn take(least: u64) -> Ask {
        Ask::Take { queue: "numbers".to_owned(), least, most: least }
    }

    fn put(number: u8) -> Ask {
        Ask::Put { queue: "numbers".to_owned(), item: Item { body: vec![number].into(), keys: Vec::new() } }
    }

    fn ask(client: &Client, ask: Ask) -> Told {
        client.coordinate(ask, LONG, &|| Ok(())).unwrap().unwrap().1
    }

    #[test]
    fn what_came_for_a_caller_who_was_interrupted_goes_back() {
        let cluster = LocalCluster::start(LocalClusterOptions::in_process(1)).unwrap();
        let (client, other) = (cluster.client().unwrap(), cluster.client().unwrap());
        for number in 0..20 {
            // The element comes while the caller is told of the interrupt: before the
            // caller leaves, or after, as it happens.
            let interrupted = || {
                ask(&other, put(number));
                Err(Error::new(ErrorKind::Interrupted, "Ctrl-C"))
            };
            assert_eq!(
                client.coordinate(take(u64::from(number) + 1), None, &interrupted).unwrap_err().kind(),
                ErrorKind::Interrupted
            );
        }
        let Told::Items(items) = ask(&client, take(20)) else { panic!("no items") };
        let mut numbers: Vec<u8> = items.iter().map(|item| item.body[0]).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..20).collect::<Vec<u8>>());
    }

    #[test]
    fn a_lock_that_came_for_a_caller_who_was_interrupted_is_free() {
        let cluster = LocalCluster::start(LocalClusterOptions::in_process(1)).unwrap();
        let (client, other) = (cluster.client().unwrap(), cluster.client().unwrap());
        let acquire = |lease: &str| Ask::Acquire {
            names: vec!["door".to_owned()],
            n: 1,
            lease: oxidask_core::Key::named(lease),
            is_lock: true,
        };
        for round in 0..10 {
            let (theirs, mine) = (format!("theirs-{round}"), format!("mine-{round}"));
            ask(&other, acquire(&theirs));
            let interrupted = || {
                ask(&other, Ask::Release(oxidask_core::Key::named(&theirs)));
                Err(Error::new(ErrorKind::Interrupted, "Ctrl-C"))
            };
            client.coordinate(acquire(&mine), None, &interrupted).unwrap_err();
        }
    }
}
