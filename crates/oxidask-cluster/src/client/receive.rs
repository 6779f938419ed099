//! What the scheduler says to a client.

use super::Inner;
use super::table::{Callback, Holder, Place, State};
use crate::connect::Absence;
use crate::protocol::{FromClient, Inbox, ToClient, WireEnd, WireFinished};
use crate::wire::{Inlet, Packet};
use oxidask_core::events::TaskFinished;
use oxidask_core::{Error, ErrorKind, Frames, Result};
use std::sync::Arc;
use std::time::Duration;

/// How soon the scheduler need not keep any more what arrived here.
const ACKNOWLEDGE_INTERVAL: Duration = Duration::from_secs(1);

/// How long after a future was dropped the scheduler is told.
const RELEASE_DELAY: Duration = Duration::from_millis(1);

/// Runs on the client's thread until the session ends. A connection that drops
/// is replaced by another.
pub async fn serve(inner: Arc<Inner>, mut inlet: Inlet, mut absence: Absence) {
    let acknowledged = absence.outlet.clone();
    let receiving = async {
        loop {
            match inlet.next().await {
                Ok(packet) => {
                    if let Err(error) = inner.take(packet) {
                        return error;
                    }
                }
                Err(_) => match absence.come_back().await {
                    Ok(next) => inlet = next,
                    Err(error) => {
                        return Error::new(
                            ErrorKind::Lost,
                            format!(
                                "the connection to the scheduler ended, and no other could be made: {}",
                                error.message()
                            ),
                        )
                        .with_hint("the scheduler's process died, or forgot this client");
                    }
                },
            }
        }
    };
    let releasing = async {
        loop {
            inner.releasing.notified().await;
            // What is dropped together is told together, and nobody waits for it:
            // a wake-up for every result would slow down who goes on at once.
            tokio::time::sleep(RELEASE_DELAY).await;
            inner.send_releases();
        }
    };
    let acknowledging = async {
        loop {
            tokio::time::sleep(ACKNOWLEDGE_INTERVAL).await;
            acknowledged.acknowledge_all();
        }
    };
    let ended = tokio::select! {
        error = receiving => Some(error),
        () = releasing => None,
        () = acknowledging => None,
        () = inner.closing.notified() => None,
    };
    let outlet = inner.sending.lock().outlet.clone();
    inner.say(FromClient::Close);
    outlet.drained().await;
    outlet.close();
    inner.all_lost(ended);
}

impl Inner {
    /// Notes why the connection ended and wakes all who wait.
    fn all_lost(&self, why: Option<Error>) {
        let mut callbacks: Vec<Callback> = Vec::new();
        {
            let mut table = self.table.lock();
            if let Some(why) = why {
                table.closed.get_or_insert(why);
            }
            for entry in table.entries.values_mut() {
                callbacks.append(&mut entry.callbacks);
            }
            table.holders.clear();
        }
        self.tell_all_lost();
        self.changed.tell();
        for callback in callbacks {
            callback();
        }
    }

    fn take(&self, packet: Packet) -> Result<()> {
        let (messages, mut inbox) = Inbox::open::<ToClient>(packet)?;
        let mut due: Vec<Callback> = Vec::new();
        // Dropped at the end, without the lock.
        let mut garbage = Vec::new();
        let mut called_for = Vec::new();
        {
            let mut table = self.table.lock();
            for message in messages {
                match message {
                    ToClient::Joined { id, intro } => {
                        table.holders.insert(id, Holder { intro, reader: None });
                    }
                    ToClient::Left(id) => garbage.extend(table.holders.remove(&id).map(Garbage::Holder)),
                    ToClient::Ended { seq, key, end } => {
                        let state = state_of(end, &mut inbox)?;
                        self.count_ended(seq, &state);
                        let Some(entry) = table.entries.get_mut(&key) else { continue };
                        if seq < entry.first_seq || matches!(entry.state, State::Cancelled) {
                            continue;
                        }
                        let is_pending = matches!(state, State::Pending);
                        let (old, mut callbacks) = entry.set(state);
                        due.append(&mut callbacks);
                        garbage.push(Garbage::State(old));
                        let held = if is_pending { None } else { entry.brought.take() };
                        garbage.extend(held.map(|(_, frames)| Garbage::Frames(frames)));
                    }
                    ToClient::Bring(key) => called_for.push(key),
                    ToClient::Refused { seq, error } => {
                        let error = inbox.error(error)?;
                        for entry in table.entries.values_mut() {
                            if entry.first_seq == seq && matches!(entry.state, State::Pending) {
                                due.append(&mut entry.set(State::Failed(error.clone())).1);
                            }
                        }
                    }
                    ToClient::Answer { request, answer } => {
                        if let Some(slot) = self.answers.lock().get_mut(&request) {
                            *slot = Some(answer);
                        }
                    }
                    ToClient::Closed => {
                        return Err(Error::new(ErrorKind::Closed, "the cluster was closed"));
                    }
                    ToClient::Told { request, told } => {
                        if let Some(on_told) = self.told.lock().remove(&request) {
                            due.push(Box::new(move || on_told(Ok(told))));
                        }
                    }
                    ToClient::Event(event) => {
                        if let Some(on_event) = self.on_event.lock().clone() {
                            due.push(Box::new(move || on_event(event)));
                        }
                    }
                    ToClient::Started { seq, labels } => self.observers.graph_started(u64::from(seq), &labels),
                    ToClient::Finished(tasks) => {
                        self.observers.tasks_finished(tasks.into_iter().map(finished).collect());
                    }
                }
            }
        }
        self.changed.tell();
        drop(garbage);
        if !called_for.is_empty() {
            self.bring(&called_for);
        }
        for callback in due {
            callback();
        }
        Ok(())
    }

    /// Tells observers when all outputs of a graph ended.
    fn count_ended(&self, seq: u32, state: &State) {
        if !self.observers.any() {
            return;
        }
        let mut graphs = self.graphs.lock();
        let Some(graph) = graphs.get_mut(&seq) else { return };
        match state {
            State::Pending => graph.n_pending += 1,
            State::Done(_) | State::Cancelled => graph.n_pending = graph.n_pending.saturating_sub(1),
            State::Failed(error) => {
                graph.n_pending = graph.n_pending.saturating_sub(1);
                graph.error.get_or_insert_with(|| error.clone());
            }
        }
        if graph.n_pending == 0
            && let Some(graph) = graphs.remove(&seq)
        {
            self.observers.graph_finished(u64::from(seq), graph.error.as_ref());
        }
    }
}

/// What must not be dropped under the lock.
#[allow(dead_code, reason = "held to be dropped later")]
enum Garbage {
    State(State),
    Holder(Holder),
    Frames(Frames),
}

fn state_of(end: WireEnd, inbox: &mut Inbox) -> Result<State> {
    Ok(match end {
        WireEnd::Done { holder, task, value, bytes: _ } => {
            let value = value.map(|value| inbox.value(value)).transpose()?;
            State::Done(Place { holder, task, value })
        }
        WireEnd::Failed(error) => State::Failed(inbox.error(error)?),
        WireEnd::Cancelled => State::Cancelled,
        WireEnd::Pending => State::Pending,
    })
}

fn finished(task: WireFinished) -> TaskFinished {
    TaskFinished {
        graph: u64::from(task.seq),
        key: task.key,
        label: task.label,
        worker: task.worker,
        thread: 0,
        start_ns: task.stop_ns.saturating_sub(task.duration_ns),
        stop_ns: task.stop_ns,
        nbytes: task.nbytes,
        ok: task.ok,
    }
}
