//! What the state of shared objects means for results and clients.

use super::state::State;
use crate::coordination::Effect;
use crate::protocol::ToClient;
use oxidask_core::Key;
use oxidask_sched::{ClientId, SchedulerEvent};

/// The client in whose name results are kept that shared objects refer to.
/// Real clients are numbered from 1.
const KEEPER: ClientId = ClientId(0);

impl State {
    /// The time of the event at hand, in seconds since 1970, for people.
    pub(super) fn seconds(&self) -> f64 {
        self.started_at + self.now().saturating_sub(self.clock_start) as f64 * 1e-9
    }

    /// Carries out what follows from a question about shared objects.
    pub(super) fn coordinate(&mut self) {
        let mut effects = Vec::new();
        loop {
            self.coordination.take_effects(&mut effects);
            if effects.is_empty() {
                return;
            }
            for effect in effects.drain(..) {
                match effect {
                    Effect::Tell((client, request), told) => {
                        self.say(ClientId(client.0), ToClient::Told { request, told })
                    }
                    Effect::Event(client, event) => self.say(ClientId(client.0), ToClient::Event(event)),
                    Effect::Hold(keys) => self.hold(&keys),
                    Effect::Drop(keys) => self.drop_held(&keys),
                    Effect::Watch(key) => {
                        if !self.coordinator.watch(key) {
                            self.coordination.forgotten(key);
                        }
                    }
                }
            }
        }
    }

    fn say(&mut self, client: ClientId, message: ToClient) {
        if let Some(session) = self.clients.get_mut(&client) {
            session.outbox.push(message);
        }
    }

    fn hold(&mut self, keys: &[Key]) {
        let now = self.now();
        for &key in keys {
            // A result that is gone already is told to whoever asks for it. Letting go
            // of it must not take what another object keeps by then under this key.
            if self.coordinator.want(now, KEEPER, key).is_none() {
                *self.not_kept.entry(key).or_default() += 1;
            }
        }
    }

    fn drop_held(&mut self, keys: &[Key]) {
        let mut tasks = Vec::with_capacity(keys.len());
        for &key in keys {
            match self.not_kept.get_mut(&key) {
                Some(1) => {
                    self.not_kept.remove(&key);
                }
                Some(n_not_kept) => *n_not_kept -= 1,
                None => tasks.extend(self.coordinator.task_of(key)),
            }
        }
        let now = self.now();
        self.coordinator.handle(now, SchedulerEvent::Release { client: KEEPER, tasks });
    }
}
