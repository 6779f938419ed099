//! New work, claims, and the end of claims.

use super::task::{Claim, NONE, Task};
use super::{Bad, Client, Scheduler, TaskState};
use crate::event::{ClientId, GroupId, GroupSpec, NewTask, Outcome, Piece, SchedulerAction, Submit, TaskId};

impl Scheduler {
    pub(super) fn submit(&mut self, client: ClientId, work: Submit) {
        for (group, spec) in work.groups {
            self.declare(group, spec);
        }
        if let Some(highest) = work.tasks.iter().map(|task| task.id).max() {
            self.tasks.grow_to(highest, work.n_later);
        }
        for row in &work.tasks {
            let inputs = &work.inputs[row.inputs_start as usize..][..row.n_inputs as usize];
            self.add(row, inputs);
        }
        for &task in &work.wants {
            self.want(client, task);
        }
        // What nothing of the submission needs goes at once, consumers before
        // inputs.
        let is_unneeded = |row: &&NewTask| !self.tasks[row.id].is_needed();
        self.kept_back.extend(work.tasks.iter().filter(is_unneeded).map(|row| row.id));
        if work.n_later == 0 {
            self.unneeded.append(&mut self.kept_back);
        }
    }

    pub(super) fn declare(&mut self, group: GroupId, spec: GroupSpec) {
        let index = group.0 as usize;
        if self.groups.len() <= index {
            self.groups.resize_with(index + 1, || None);
        }
        let record = self.groups[index].get_or_insert_default();
        // A group whose tasks are queued must not move between queues.
        if record.queue.live == 0 {
            record.spec = spec;
            self.constrained.retain(|&other| other != group);
            if record.is_constrained() {
                self.constrained.push(group);
            }
        }
    }

    fn add(&mut self, row: &NewTask, inputs: &[Piece]) {
        let known = &mut self.tasks[row.id];
        if known.state != TaskState::Vacant {
            if known.state == TaskState::Cancelled {
                self.revive(row.id);
            }
            return;
        }
        assert!(
            self.groups.get(row.group.0 as usize).is_some_and(Option::is_some),
            "{:?} was never declared",
            row.group
        );
        let start = self.edges.allocate(row.n_inputs);
        self.link(row.id, start, inputs);
        for &piece in inputs {
            let input = &self.tasks[piece.task];
            if !input.runnable && input.state == TaskState::Idle {
                self.await_value(piece.task);
            }
        }
        let record = &mut self.tasks[row.id];
        *record = Task {
            priority: row.priority,
            bytes: row.bytes,
            group: row.group.0,
            inputs: start,
            n_inputs: row.n_inputs,
            state: TaskState::Idle,
            runnable: row.runnable,
            // The value may be on its way to a worker.
            unsettled: u16::from(!row.runnable),
            ..Task::vacant(record.attempt)
        };
        self.n_tasks += 1;
        self.groups[row.group.0 as usize].as_deref_mut().expect("asserted above").n_tasks += 1;
    }

    /// A client claims a task.
    pub(super) fn want(&mut self, client: ClientId, task: TaskId) {
        if self.tasks.get(task).is_none() {
            return;
        }
        if self.tasks[task].state == TaskState::Cancelled {
            self.revive(task);
        }
        self.claim(client, task);
        if self.tasks[task].state == TaskState::Idle {
            self.activate(task);
        } else if let Some(outcome) = self.outcome(task) {
            self.out.push(SchedulerAction::Outcome { client, task, outcome });
        }
    }

    pub(super) fn claim(&mut self, client: ClientId, task: TaskId) {
        let mut claim = self.tasks[task].claims;
        while claim != NONE {
            if self.claims[claim].client == client.0 {
                self.claims[claim].count += 1;
                return;
            }
            claim = self.claims[claim].next;
        }
        let next = self.tasks[task].claims;
        self.tasks[task].claims = self.claims.push(Claim { client: client.0, count: 1, next });
        let record = self.clients.entry(client).or_default();
        record.n_claimed += 1;
        record.tasks.push(task);
        if record.tasks.len() > 2 * record.n_claimed + 1024 {
            self.compact_client(client);
        }
    }

    /// Drops what the client's list names in vain.
    fn compact_client(&mut self, client: ClientId) {
        let mut tasks = std::mem::take(&mut self.clients.entry(client).or_default().tasks);
        tasks.sort_unstable();
        tasks.dedup();
        tasks.retain(|&task| self.claim_of(client, task).is_some());
        self.clients.entry(client).or_default().tasks = tasks;
    }

    /// How often a client claims a task.
    pub(super) fn claim_of(&self, client: ClientId, task: TaskId) -> Option<u32> {
        let mut claim = self.tasks.get(task)?.claims;
        while claim != NONE {
            if self.claims[claim].client == client.0 {
                return Some(self.claims[claim].count);
            }
            claim = self.claims[claim].next;
        }
        None
    }

    /// Takes `count` claims of a client back.
    pub(super) fn unclaim(&mut self, client: ClientId, task: TaskId, count: u32) {
        let Some(record) = self.tasks.get(task) else { return };
        let mut claim = record.claims;
        let mut previous = NONE;
        while claim != NONE && self.claims[claim].client != client.0 {
            previous = claim;
            claim = self.claims[claim].next;
        }
        if claim == NONE {
            return;
        }
        if self.claims[claim].count > count {
            self.claims[claim].count -= count;
            return;
        }
        let next = self.claims[claim].next;
        match previous {
            NONE => self.tasks[task].claims = next,
            _ => self.claims[previous].next = next,
        }
        self.claims.release(claim);
        if let Some(client) = self.clients.get_mut(&client) {
            client.n_claimed -= 1;
        }
        if !self.tasks[task].is_needed() {
            self.unneeded.push(task);
        }
    }

    pub(super) fn client_gone(&mut self, client: ClientId) {
        let Some(Client { tasks, .. }) = self.clients.get_mut(&client).map(std::mem::take) else { return };
        self.clients.insert(client, Client { tasks: Vec::new(), n_claimed: tasks.len() });
        for task in tasks {
            self.unclaim(client, task, u32::MAX);
        }
        self.clients.remove(&client);
    }

    /// Stops a task for everybody, and everything that needs it.
    pub(super) fn cancel(&mut self, task: TaskId) {
        let Some(record) = self.tasks.get(task) else { return };
        if record.state != TaskState::Idle && !record.state.is_bad() {
            self.fail(task, Bad::Cancelled);
        }
    }

    /// Runs failed tasks again, and the failed ones that they need.
    pub(super) fn retry(&mut self, tasks: &[TaskId]) {
        for &task in tasks {
            if self
                .tasks
                .get(task)
                .is_some_and(|record| matches!(record.state, TaskState::Failed | TaskState::Cancelled))
            {
                self.revive(task);
            }
        }
    }

    /// Makes a failed task as if it had never been tried, with all failed tasks
    /// that it needs, and starts those that somebody claims.
    fn revive(&mut self, task: TaskId) {
        let mut revived = Vec::new();
        let mut stack = std::mem::take(&mut self.stack);
        stack.push(task);
        while let Some(task) = stack.pop() {
            let record = &mut self.tasks[task];
            // A client's lost value stays lost, and so does what needs it,
            // unless the client places it again.
            let is_own_loss = record.state == TaskState::Lost && !record.runnable;
            if !record.state.is_bad() || is_own_loss {
                continue;
            }
            record.state = TaskState::Idle;
            record.place = NONE;
            record.errors = 0;
            record.crashes = 0;
            revived.push(task);
            stack.extend(self.inputs(task).map(|edge| self.edges[edge].input));
        }
        self.stack = stack;
        for &task in &revived {
            self.notify(task, Outcome::Pending);
        }
        for &task in &revived {
            // Tasks that only others need are started with those.
            if self.tasks[task].claims != NONE || !self.tasks[task].runnable {
                self.activate(task);
            }
        }
        self.unneeded.extend(revived);
    }
}
