//! What clients learn beside results: answers to questions, and events of tasks.

use super::http;
use super::sessions::{Given, WorkerSession};
use super::state::State;
use crate::protocol::{Answer, FromWorker, Question, ToClient, ToWorker, WireFinished};
use oxidask_sched::{ClientId, Nanos, SchedulerEvent, TaskId, WorkerId};

/// How long workers are waited for that could take the results of one that is to
/// leave, in nanoseconds.
const RETIRE_PATIENCE: Nanos = 5_000_000_000;
/// How long a client waits for workers to leave while none of them ends a task or
/// hands over a result, in nanoseconds.
const STALL_PATIENCE: Nanos = 30_000_000_000;

/// A client that waits for workers to leave.
#[derive(Debug)]
pub struct Retiring {
    client: ClientId,
    request: u32,
    /// When there was less left to do for the last time.
    moved: Nanos,
    /// Tasks to end and results to hand over.
    backlog: usize,
    /// Those that are still there.
    workers: Vec<(WorkerId, String)>,
    /// The names of those that left.
    left: Vec<String>,
}

impl State {
    /// Answers a question, at once or once workers have left.
    pub(super) fn answer(&mut self, client: ClientId, request: u32, question: Question) {
        let answer = match question {
            Question::Info => Answer::Info(self.info()),
            Question::WhoHas(keys) => Answer::WhoHas(
                keys.iter()
                    .map(|&key| {
                        let Some(task) = self.coordinator.task_of(key) else { return Vec::new() };
                        let holders = self.workers.iter().filter(|(_, worker)| worker.holds.contains(task));
                        holders.map(|(id, _)| id.0).collect()
                    })
                    .collect(),
            ),
            Question::HasWhat => {
                let held = |worker: &WorkerSession| {
                    let live = worker.holds.iter().filter(|(task, key)| self.coordinator.task_of(**key) == Some(*task));
                    live.map(|(task, _)| self.coordinator.name_of(task)).collect()
                };
                Answer::HasWhat(self.workers.iter().map(|(id, worker)| (id.0, held(worker))).collect())
            }
            Question::Processing => {
                let given = |worker: &WorkerSession| {
                    let live = worker
                        .given
                        .iter()
                        .filter(|(task, given)| self.coordinator.task_of(given.job.key) == Some(**task));
                    live.map(|(&task, _)| self.coordinator.name_of(task)).collect()
                };
                Answer::HasWhat(self.workers.iter().map(|(id, worker)| (id.0, given(worker))).collect())
            }
            Question::Retire(names) => {
                let leaving = self.send_away(&names);
                self.await_leave(client, request, &leaving);
                return;
            }
            Question::Restart(names) => {
                let leaving = self.restart(&names);
                self.await_leave(client, request, &leaving);
                return;
            }
            Question::Replicate { keys, n, workers } => {
                let (tasks, workers) = (self.tasks_of(&keys), self.workers_called(&workers));
                let now = self.now();
                self.coordinator.handle(now, SchedulerEvent::Replicate { tasks, n, workers });
                Answer::Ordered
            }
            Question::Rebalance { keys, workers } => {
                let (tasks, workers) = (self.tasks_of(&keys), self.workers_called(&workers));
                let now = self.now();
                self.coordinator.handle(now, SchedulerEvent::Rebalance { tasks, workers });
                Answer::Ordered
            }
            Question::Identity => Answer::Text(http::identity(&self.snapshot()).to_string()),
            Question::Sizes => Answer::Sizes(self.sizes()),
            Question::Desired(target) => {
                Answer::Desired(self.desired_workers(std::time::Duration::from_nanos(target)).0 as u64)
            }
            Question::Recipe(key) => Answer::Recipe(self.recipe(key)),
            Question::ReduceReplicas => {
                let now = self.now();
                self.coordinator.handle(now, SchedulerEvent::ReduceReplicas);
                Answer::Ordered
            }
            Question::KeepReplicas(keeps) => {
                let now = self.now();
                if let Some(keeps) = keeps {
                    self.coordinator.handle(now, SchedulerEvent::KeepReplicas(keeps));
                }
                Answer::Keeps(self.coordinator.core().keeps_replicas())
            }
            Question::Explain(key) => Answer::Text(match self.coordinator.task_of(key) {
                Some(task) => self.coordinator.explain(task),
                None => "the scheduler does not know this task: nobody needs it, or its result was released".to_owned(),
            }),
        };
        if let Some(session) = self.clients.get_mut(&client) {
            session.outbox.push(ToClient::Answer { request, answer });
        }
    }

    /// The workers with these names or addresses.
    fn workers_called(&self, names: &[String]) -> Vec<WorkerId> {
        let is_called =
            |worker: &WorkerSession| names.contains(&worker.intro.name) || names.contains(&worker.intro.address);
        self.workers.iter().filter(|(_, worker)| is_called(worker)).map(|(&id, _)| id).collect()
    }

    /// Names of the results that workers hold, and their bytes.
    fn sizes(&self) -> Vec<(String, u64)> {
        let mut held: Vec<TaskId> = self
            .workers
            .values()
            .flat_map(|worker| worker.holds.iter())
            .filter(|(task, key)| self.coordinator.task_of(**key) == Some(*task))
            .map(|(task, _)| task)
            .collect();
        held.sort_unstable();
        held.dedup();
        let bytes_of = |task| self.coordinator.core().result_bytes(task);
        held.into_iter().filter_map(|task| Some((self.coordinator.name_of(task), bytes_of(task)?))).collect()
    }

    /// A client is answered once these workers have left.
    fn await_leave(&mut self, client: ClientId, request: u32, leaving: &[WorkerId]) {
        let named = |&worker: &WorkerId| Some((worker, self.workers.get(&worker)?.intro.name.clone()));
        let workers = leaving.iter().filter_map(named).collect();
        self.retiring.push(Retiring {
            client,
            request,
            moved: self.now(),
            backlog: usize::MAX,
            workers,
            left: Vec::new(),
        });
        self.answer_retired();
    }

    /// Answers those whose workers have left.
    pub(super) fn answer_retired(&mut self) {
        let workers = &self.workers;
        let clients = &mut self.clients;
        self.retiring.retain_mut(|retiring| {
            let gone = retiring.workers.extract_if(.., |(worker, _)| !workers.contains_key(worker));
            retiring.left.extend(gone.map(|(_, name)| name));
            let is_over = retiring.workers.is_empty();
            if is_over && let Some(session) = clients.get_mut(&retiring.client) {
                let answer = Answer::Retired(std::mem::take(&mut retiring.left));
                session.outbox.push(ToClient::Answer { request: retiring.request, answer });
            }
            !is_over
        });
    }

    /// Keeps workers that were to leave for a client and cannot: only they hold some
    /// results, and for a while nobody was there to take them, or nothing moved.
    pub(super) fn keep_stranded(&mut self) {
        let now = self.now();
        let core = self.coordinator.core();
        let mut kept = Vec::new();
        for retiring in &mut self.retiring {
            let backlog = retiring.workers.iter().filter_map(|(worker, _)| core.retirement_backlog(*worker)).sum();
            if backlog < retiring.backlog {
                (retiring.backlog, retiring.moved) = (backlog, now);
            }
            let waited = now.saturating_sub(retiring.moved);
            if waited <= RETIRE_PATIENCE {
                continue;
            }
            let stranded = if waited <= STALL_PATIENCE {
                core.stranded_retirements()
            } else {
                retiring.workers.iter().map(|&(worker, _)| worker).collect()
            };
            let stays = |worker: WorkerId| stranded.contains(&worker) && core.retirement_backlog(worker) > Some(0);
            kept.extend(retiring.workers.extract_if(.., |(worker, _)| stays(*worker)).map(|(worker, _)| worker));
        }
        if kept.is_empty() {
            return;
        }
        for worker in kept {
            if let Some(session) = self.workers.get_mut(&worker) {
                session.is_leaving = false;
            }
            self.coordinator.handle(now, SchedulerEvent::Stay(worker));
        }
        self.answer_retired();
    }

    /// Cancels everything, if all workers are meant, and has them begin anew.
    fn restart(&mut self, names: &[String]) -> Vec<WorkerId> {
        let now = self.now();
        if names.is_empty() {
            let mut tasks: Vec<TaskId> =
                self.clients.values().flat_map(|session| session.claims.iter().map(|(task, _)| task)).collect();
            tasks.sort_unstable();
            tasks.dedup();
            self.coordinator.handle(now, SchedulerEvent::Cancel { tasks });
        }
        let mut leaving = Vec::new();
        for (&id, worker) in &mut self.workers {
            let is_meant =
                names.is_empty() || names.contains(&worker.intro.name) || names.contains(&worker.intro.address);
            // A worker in this very process has nobody who would start it again;
            // with its results cancelled it is as good as new.
            if is_meant && worker.intro.pid != std::process::id() {
                worker.is_leaving = true;
                worker.outbox.push(ToWorker::Restart);
                leaving.push(id);
            }
        }
        leaving
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
