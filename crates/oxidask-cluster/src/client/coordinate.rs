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

#[derive(Default)]
struct Slot {
    told: Mutex<Option<Result<Told>>>,
    changed: Condvar,
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
        let slot = Arc::new(Slot::default());
        let answered = slot.clone();
        let request = self.coordinate_later(
            ask,
            Box::new(move |told| {
                *answered.told.lock() = Some(told);
                answered.changed.notify_all();
            }),
        )?;
        let mut told = slot.told.lock();
        let mut is_withdrawn = false;
        loop {
            if let Some(told) = told.take() {
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
            if slot.changed.wait_until(&mut told, until).timed_out()
                && let Err(error) = MutexGuard::unlocked(&mut told, interrupted)
            {
                self.withdraw(request);
                return Err(error);
            }
        }
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

    /// Tells all who wait for an answer that none will come.
    pub(super) fn tell_all_lost(&self) {
        let why: Error = self.table.lock().closed.clone().unwrap_or_else(closed_by_user);
        let waiting = std::mem::take(&mut *self.told.lock());
        for on_told in waiting.into_values() {
            on_told(Err(why.clone()));
        }
    }
}
