//! The clients of the simulation, and the judge of what they are told.

use super::graph::Plan;
use super::world::{Happening, Requester, World};
use crate::event::{
    ClientId, Failure, GroupId, NewTask, Outcome, Piece, SchedulerEvent, Submit, TaskId, UNKNOWN_BYTES,
};
use std::collections::BTreeMap;

/// How far a client's wish is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    Pending,
    Delivered,
    Failed,
}

/// A client: the tasks that it claims, how often, and how far they are.
#[derive(Default)]
pub(super) struct Client {
    pub gone: bool,
    pub wishes: BTreeMap<usize, (u32, Wish)>,
}

impl Client {
    pub fn is_content(&self) -> bool {
        self.wishes.values().all(|&(_, wish)| wish != Wish::Pending)
    }
}

impl World {
    /// A client asks for tasks; the server gives numbers to those that it does
    /// not know.
    pub fn client_submits(&mut self, client: usize, wants: &[usize]) {
        if self.clients[client].gone {
            return;
        }
        // What is about to be forgotten must not be taken for known.
        self.settle_scheduler();
        let mut work = Submit {
            groups: self
                .universe
                .groups
                .iter()
                .enumerate()
                .map(|(n, spec)| (GroupId(n as u32), spec.clone()))
                .collect(),
            ..Submit::default()
        };
        let mut to_place = Vec::new();
        for logical in self.universe.closure(wants) {
            let is_new = self.id_of[logical].is_none();
            let id = self.number_for(logical);
            // Some submissions say it all again, some only what is new.
            if is_new || self.random.one_in(2) {
                let task = &self.universe.tasks[logical];
                work.tasks.push(NewTask {
                    id,
                    inputs_start: work.inputs.len() as u32,
                    n_inputs: task.inputs.len() as u32,
                    priority: logical as u64 + 1,
                    bytes: if task.bytes_known { task.bytes } else { UNKNOWN_BYTES },
                    group: GroupId(task.group),
                    runnable: !task.is_data,
                });
                for &(input, part) in &task.inputs {
                    let task = self.id_of[input].expect("inputs come first");
                    work.inputs.push(Piece { task, part });
                }
            }
            if is_new && self.universe.tasks[logical].is_data {
                to_place.push((id, logical));
            }
        }
        for &logical in wants {
            work.wants.push(self.id_of[logical].expect("it was just numbered"));
            let wish = self.clients[client].wishes.entry(logical).or_insert((0, Wish::Pending));
            wish.0 += 1;
        }
        while self.waits_for_more() && work.tasks.len() > 1 {
            let part = self.first_part(&mut work);
            self.tell_scheduler(SchedulerEvent::Submit { client: ClientId(client as u32), work: part });
        }
        self.tell_scheduler(SchedulerEvent::Submit { client: ClientId(client as u32), work });
        for (task, logical) in to_place {
            self.place(task, logical);
        }
    }

    /// Takes the first tasks of a submission out of it, with some wants for them.
    fn first_part(&mut self, work: &mut Submit) -> Submit {
        let n_first = self.random.range(1, work.tasks.len() as u64 - 1) as usize;
        let tasks: Vec<NewTask> = work.tasks.drain(..n_first).collect();
        let inputs = work.inputs.clone();
        let groups = work.groups.clone();
        let n_wants = self.random.below(work.wants.len() as u64 + 1) as usize;
        // Who is wanted must be known by then.
        let is_later = |task: &TaskId| work.tasks.iter().any(|row| row.id == *task);
        let n_wants = work.wants.iter().take(n_wants).take_while(|task| !is_later(task)).count();
        let wants = work.wants.drain(..n_wants).collect();
        Submit { groups, tasks, inputs, wants, n_later: work.tasks.len() }
    }

    /// Sends a client's value to some worker.
    fn place(&mut self, task: TaskId, logical: usize) {
        let node = self.random.below(self.nodes.len() as u64) as usize;
        self.later(0, 100_000, Happening::Put { node, task, logical });
    }

    pub fn client_releases(&mut self, client: usize, logical: usize) {
        let Some(&(count, _)) = self.clients[client].wishes.get(&logical) else { return };
        let task = self.id_of[logical].expect("claimed tasks are not forgotten");
        self.clients[client].wishes.remove(&logical);
        let tasks = vec![task; count as usize];
        self.tell_scheduler(SchedulerEvent::Release { client: ClientId(client as u32), tasks });
    }

    pub fn client_leaves(&mut self, client: usize) {
        self.clients[client].gone = true;
        self.clients[client].wishes.clear();
        self.tell_scheduler(SchedulerEvent::ClientGone(ClientId(client as u32)));
    }

    /// The scheduler says how a task ended: it must be true.
    pub fn judge(&mut self, client: ClientId, task: TaskId, outcome: Outcome) {
        let logical = self.logical_of(task);
        assert!(self.clients[client.0 as usize].wishes.contains_key(&logical), "{client:?} does not claim {task:?}");
        match outcome {
            Outcome::Done { .. } | Outcome::Pending => {}
            Outcome::Failed { culprit, failure } => {
                let culprit = self.logical_of(culprit);
                assert!(self.needs(logical, culprit), "{culprit} is no reason for {logical} to fail");
                let task = &self.universe.tasks[culprit];
                let retries = self.universe.groups[task.group as usize].retries;
                let is_just = match (failure, task.plan) {
                    (Failure::Error, Plan::Errors(n)) => n > retries,
                    (Failure::Crash, Plan::Crashes(n)) => n + self.n_crash_losses > self.allowed_failures,
                    (Failure::Crash, _) => self.n_crash_losses > self.allowed_failures,
                    (Failure::Fatal, Plan::Fatal) => true,
                    _ => false,
                };
                assert!(is_just, "task {culprit} with {:?} must not end with {failure:?}", task.plan);
            }
            Outcome::Lost { culprit } => {
                let culprit = self.logical_of(culprit);
                assert!(self.needs(logical, culprit), "{culprit} is no reason for {logical} to be lost");
                assert!(self.universe.tasks[culprit].is_data, "{culprit} can be computed");
                assert!(!self.is_calm, "nothing was lost");
            }
            Outcome::Cancelled => {
                let is_just = self.cancelled.iter().any(|&cancelled| self.needs(logical, cancelled));
                assert!(is_just, "nobody cancelled {logical}");
            }
        }
        self.send_to_client(client.0 as usize, logical, outcome);
    }

    /// Whether a task is or needs another one.
    fn needs(&self, task: usize, other: usize) -> bool {
        self.universe.closure(&[task]).contains(&other)
    }

    /// A client hears how a task ended.
    pub fn client_hears(&mut self, client: usize, logical: usize, outcome: Outcome) {
        let Some(wish) = self.clients[client].wishes.get_mut(&logical) else { return };
        match outcome {
            Outcome::Done { holder, .. } => {
                if wish.1 != Wish::Delivered {
                    wish.1 = Wish::Pending;
                    let task = self.id_of[logical].expect("claimed tasks are not forgotten");
                    let request = self.new_request(Requester::Client { client, logical }, Piece::whole(task));
                    self.ask(request, holder);
                }
            }
            // What was delivered stays delivered.
            Outcome::Pending => {
                if wish.1 == Wish::Failed {
                    wish.1 = Wish::Pending;
                }
            }
            Outcome::Failed { .. } | Outcome::Lost { .. } | Outcome::Cancelled => {
                if wish.1 != Wish::Delivered {
                    wish.1 = Wish::Failed;
                }
            }
        }
    }

    /// A client gets what it read, or learns that it cannot be read there.
    pub fn client_reads(&mut self, client: usize, logical: usize, value: Option<u64>) {
        let Some(wish) = self.clients[client].wishes.get_mut(&logical) else { return };
        match value {
            Some(value) => {
                assert_eq!(value, self.universe.tasks[logical].value, "task {logical} has a wrong value");
                wish.1 = Wish::Delivered;
                self.n_delivered += 1;
            }
            None => self.later(10_000, 500_000, Happening::ClientAsksAgain { client, logical }),
        }
    }

    /// A read failed: ask the scheduler who has it now.
    pub fn client_asks_again(&mut self, client: usize, logical: usize) {
        if self.clients[client].wishes.get(&logical).is_none_or(|&(_, wish)| wish != Wish::Pending) {
            return;
        }
        let task = self.id_of[logical].expect("claimed tasks are not forgotten");
        let holders = self.scheduler.holders(task);
        // With no holder, the scheduler tells when there is one.
        if let Some(&holder) = self.random.pick(&holders) {
            let request = self.new_request(Requester::Client { client, logical }, Piece::whole(task));
            self.ask(request, holder);
        }
    }
}
