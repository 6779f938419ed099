//! What clients learn beside results: answers to questions, and events of tasks.

use super::sessions::{Given, WorkerSession};
use super::state::State;
use crate::protocol::{Answer, FromWorker, Question, ToClient, WireFinished};
use oxidask_sched::{ClientId, Nanos, TaskId, WorkerId};

impl State {
    /// Answers a question, at once or once workers have left.
    pub(super) fn answer(&mut self, client: ClientId, request: u32, question: Question) {
        let names = |tasks: Vec<TaskId>| tasks.into_iter().map(|task| self.coordinator.name_of(task)).collect();
        let answer = match question {
            Question::Info => Answer::Info(self.info()),
            Question::WhoHas(keys) => Answer::WhoHas(
                keys.iter()
                    .map(|&key| {
                        let Some(task) = self.coordinator.task_of(key) else { return Vec::new() };
                        let holders = self.workers.iter().filter(|(_, worker)| worker.holds.contains_key(&task));
                        holders.map(|(id, _)| id.0).collect()
                    })
                    .collect(),
            ),
            Question::HasWhat => {
                let held = |worker: &WorkerSession| {
                    let live =
                        worker.holds.iter().filter(|(task, key)| self.coordinator.task_of(**key) == Some(**task));
                    names(live.map(|(&task, _)| task).collect())
                };
                Answer::HasWhat(self.workers.iter().map(|(id, worker)| (id.0, held(worker))).collect())
            }
            Question::Processing => {
                let given = |worker: &WorkerSession| {
                    let live = worker
                        .given
                        .iter()
                        .filter(|(task, given)| self.coordinator.task_of(given.job.key) == Some(**task));
                    names(live.map(|(&task, _)| task).collect())
                };
                Answer::HasWhat(self.workers.iter().map(|(id, worker)| (id.0, given(worker))).collect())
            }
            Question::Retire(names) => {
                self.retiring.push((client, request, names.clone()));
                self.retire(&names);
                self.answer_retired();
                return;
            }
        };
        if let Some(session) = self.clients.get_mut(&client) {
            session.outbox.push(ToClient::Answer { request, answer });
        }
    }

    /// Answers those whose workers have left.
    pub(super) fn answer_retired(&mut self) {
        let workers = &self.workers;
        let clients = &mut self.clients;
        self.retiring.retain(|(client, request, names)| {
            let is_there = workers
                .values()
                .any(|worker| names.contains(&worker.intro.name) || names.contains(&worker.intro.address));
            if !is_there && let Some(session) = clients.get_mut(client) {
                let answer = Answer::Retired(names.clone());
                session.outbox.push(ToClient::Answer { request: *request, answer });
            }
            is_there
        });
    }

    /// Tells clients that watch about a task that ended.
    pub(super) fn observe(&mut self, worker: WorkerId, given: &Given, message: &FromWorker, now: Nanos) {
        let (duration_ns, nbytes, ok) = match *message {
            FromWorker::Done { duration, bytes, .. } => (duration, bytes, true),
            FromWorker::Failed { .. } => (0, 0, false),
            _ => return,
        };
        for session in self.clients.values_mut().filter(|session| session.is_watching) {
            let Some(&seq) = session.graphs.get(&given.job.graph) else { continue };
            let finished = WireFinished {
                seq,
                key: given.job.key,
                label: given.job.handle.label.clone(),
                worker: worker.0,
                stop_ns: now,
                duration_ns,
                nbytes,
                ok,
            };
            match session.outbox.messages.last_mut() {
                Some(ToClient::Finished(batch)) => batch.push(finished),
                _ => session.outbox.push(ToClient::Finished(vec![finished])),
            }
        }
    }
}
