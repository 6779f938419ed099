//! Takes submissions: gives keys their numbers, leaves out what nobody needs, and
//! hands the rest to the core in parts.

use super::{Accepted, Coordinator, MAX_DEAD, NO_STAGE, NewStage, Row, RowSource, StageRow, Submission, hash};
use hashbrown::hash_table::Entry;
use oxidask_core::graph::Annotations;
use oxidask_core::{Error, ErrorKind, Key, Result};
use oxidask_sched::{ClientId, GroupId, GroupSpec, Nanos, NewTask, Piece, SchedulerEvent, Submit, TaskId};

impl<H: Clone> Coordinator<H> {
    /// Takes work. Tasks whose keys are known are not run again; rows that no
    /// output needs are left out.
    ///
    /// # Errors
    /// If the tables do not fit together (they may come from a peer), a
    /// [`RowSource::Held`] key is unknown, or two different tasks have one key,
    /// which a user chose. Nothing is changed then.
    pub fn submit(&mut self, now: Nanos, client: ClientId, submission: &Submission<H>) -> Result<Accepted> {
        submission.validate()?;
        self.settle(now);
        if self.dead.len() > self.n_live + MAX_DEAD {
            self.bury();
        }
        let mut ids = self.needed(submission)?;
        let graph = self.n_graphs;
        self.n_graphs = self.n_graphs.wrapping_add(1);

        let mut data = Vec::new();
        // Stage numbers of this coordinator, given when the first task needs one.
        let mut stages: Vec<u32> = vec![NO_STAGE; submission.stages.len()];
        let n_new = ids.iter().filter(|&&id| id >= NEEDED).count();
        let rows = &self.rows;
        self.tasks.reserve(n_new, |&id| hash(rows[id as usize].key));
        self.rows.reserve(n_new.saturating_sub(self.free_tasks.len()));
        let mut n_later = n_new;
        let mut part = Part::default();
        for (row, task) in submission.tasks.iter().enumerate() {
            let is_output = ids[row] == WANTED;
            if ids[row] < NEEDED {
                continue;
            }
            let (id, is_new) = self.intern(task.key);
            ids[row] = id;
            // The same work may stand twice in the graph.
            if !is_new {
                continue;
            }
            let mut user_priority = 0;
            let stage = match task.source {
                RowSource::Run(stage) => {
                    let new = &submission.stages[stage as usize];
                    user_priority = new.annotations.as_ref().map_or(0, |wishes| wishes.priority);
                    self.stage(new, &mut stages[stage as usize], &mut part.work)
                }
                RowSource::Data(number) => {
                    data.push((TaskId(id), number));
                    part.declare_no_stage();
                    NO_STAGE
                }
                RowSource::Held => unreachable!("`needed` answered the tasks of held keys"),
            };
            let new_row = Row { key: task.key, stage, block: task.block, graph, named: false, is_live: true };
            match self.rows.get_mut(id as usize) {
                Some(row) => *row = new_row,
                None => self.rows.push(new_row),
            }
            let inputs = &submission.inputs[task.inputs_start as usize..][..task.n_inputs as usize];
            part.work.tasks.push(NewTask {
                id: TaskId(id),
                inputs_start: part.work.inputs.len() as u32,
                n_inputs: task.n_inputs,
                priority: priority(user_priority, graph, task.rank),
                bytes: task.bytes,
                group: GroupId(stage),
                runnable: stage != NO_STAGE,
            });
            part.work
                .inputs
                .extend(inputs.iter().map(|&(input, part)| Piece { task: TaskId(ids[input as usize]), part }));
            if is_output {
                part.work.wants.push(TaskId(id));
            }
            if part.work.tasks.len() == PART_TASKS {
                // At least 1, because the rest may be known under other rows.
                n_later = n_later.saturating_sub(PART_TASKS).max(1);
                self.submit_part(now, client, &mut part, n_later);
            }
        }
        for (row, name) in &submission.names {
            let id = ids[*row as usize];
            if id != UNNEEDED {
                self.rows[id as usize].named = true;
                self.names.insert(TaskId(id), name.clone());
            }
        }
        let outputs: Vec<TaskId> = submission.outputs.iter().map(|&row| TaskId(ids[row as usize])).collect();
        part.want_rest(&outputs);
        let labels = stages
            .iter()
            .zip(&submission.stages)
            .filter(|(stage, _)| **stage != NO_STAGE)
            .map(|(&stage, new)| (new.label.clone(), u64::from(self.stage_row(stage).n_tasks)))
            .collect();
        self.submit_part(now, client, &mut part, 0);
        Ok(Accepted { graph: u64::from(graph), outputs, data, labels })
    }

    /// Gives the core a part of a submission.
    fn submit_part(&mut self, now: Nanos, client: ClientId, part: &mut Part, n_later: usize) {
        part.wanted.extend_from_slice(&part.work.wants);
        let work = std::mem::take(&mut part.work);
        self.take(now, SchedulerEvent::Submit { client, work: Submit { n_later, ..work } });
        if n_later > 0 {
            part.work.tasks.reserve(PART_TASKS);
        } else {
            self.settle(now);
        }
    }

    /// For every row: the number of its task if it is known, [`NEEDED`] if it
    /// has to be made, [`WANTED`] if it is an output besides, [`UNNEEDED`] if no
    /// output needs it.
    fn needed(&self, submission: &Submission<H>) -> Result<Vec<u32>> {
        let mut ids = vec![UNNEEDED; submission.tasks.len()];
        for &output in &submission.outputs {
            ids[output as usize] = WANTED;
        }
        for (row, task) in submission.tasks.iter().enumerate().rev() {
            if ids[row] < NEEDED {
                continue;
            }
            if self.n_live > 0
                && let Some(id) = self.task_of(task.key)
            {
                ids[row] = id.0;
                continue;
            }
            if task.source == RowSource::Held {
                return Err(Error::new(
                    ErrorKind::Lost,
                    format!("the value {} is no longer held by this executor", task.key),
                )
                .with_hint(
                    "keep the persisted collection or future alive until everything that uses it was submitted",
                ));
            }
            for &(input, _) in &submission.inputs[task.inputs_start as usize..][..task.n_inputs as usize] {
                let input = &mut ids[input as usize];
                *input = (*input).max(NEEDED);
            }
        }
        Ok(ids)
    }

    /// The number of the task with this key, and whether it is new; the caller
    /// must then fill its row.
    fn intern(&mut self, key: Key) -> (u32, bool) {
        let rows = &self.rows;
        let next = self.free_tasks.last().copied().unwrap_or(rows.len() as u32);
        let is_same = |&id: &u32| rows[id as usize].is_same(key);
        match self.tasks.entry(hash(key), is_same, |&id| hash(rows[id as usize].key)) {
            Entry::Occupied(entry) => (*entry.get(), false),
            Entry::Vacant(entry) => {
                entry.insert(next);
                self.free_tasks.pop();
                self.n_live += 1;
                (next, true)
            }
        }
    }

    /// The number of a submitted stage, given at its first task.
    fn stage(&mut self, new: &NewStage<H>, number: &mut u32, work: &mut Submit) -> u32 {
        if *number == NO_STAGE {
            *number = self.free_stages.pop().unwrap_or_else(|| {
                self.stages.push(None);
                self.stages.len() as u32 - 1
            });
            self.stages[*number as usize] =
                Some(StageRow { handle: new.handle.clone(), label: new.label.clone(), n_tasks: 0 });
            let spec = new.annotations.as_deref().map_or_else(GroupSpec::default, |wishes| self.group_spec(wishes));
            work.groups.push((GroupId(*number), spec));
        }
        if let Some(row) = &mut self.stages[*number as usize] {
            row.n_tasks += 1;
        }
        *number
    }

    fn group_spec(&mut self, wishes: &Annotations) -> GroupSpec {
        GroupSpec {
            retries: wishes.retries,
            workers: wishes.workers.iter().flat_map(|name| self.workers_called(name)).collect(),
            allow_other_workers: wishes.allow_other_workers,
            resources: wishes.resources.iter().map(|(name, &amount)| (self.resource(name), amount)).collect(),
        }
    }
}

/// A part of a submission on its way to the core: a large graph goes in parts, so
/// that its tables stay in the processor's cache.
#[derive(Default)]
struct Part {
    work: Submit,
    /// What earlier parts wanted.
    wanted: Vec<TaskId>,
    has_no_stage: bool,
}

/// Tasks of a part.
pub(super) const PART_TASKS: usize = 4096;

impl Part {
    /// Declares the group of values that clients bring.
    fn declare_no_stage(&mut self) {
        if !std::mem::replace(&mut self.has_no_stage, true) {
            self.work.groups.push((GroupId(NO_STAGE), GroupSpec::default()));
        }
    }

    /// Wants the outputs that are no new tasks, each once.
    fn want_rest(&mut self, outputs: &[TaskId]) {
        if self.wanted.len() + self.work.wants.len() == outputs.len() {
            return;
        }
        self.wanted.extend_from_slice(&self.work.wants);
        self.wanted.sort_unstable();
        let mut rest: Vec<TaskId> =
            outputs.iter().copied().filter(|task| self.wanted.binary_search(task).is_err()).collect();
        rest.sort_unstable();
        rest.dedup();
        self.work.wants.append(&mut rest);
    }
}

/// Marks of [`Coordinator::needed`], beyond any task number.
const UNNEEDED: u32 = u32::MAX - 2;
const NEEDED: u32 = u32::MAX - 1;
const WANTED: u32 = u32::MAX;

/// The user's priority before the age of the submission, that before the order
/// within it. A user's priority beyond ±127 counts as that.
pub(super) fn priority(user: i64, graph: u32, rank: u32) -> u64 {
    const RANK_BITS: u32 = 24;
    let user = (127 - user.clamp(-127, 127)) as u64;
    // Beyond 2^24 tasks the last ones share a rank.
    let rank = rank.min((1 << RANK_BITS) - 1);
    user << 56 | u64::from(graph) << RANK_BITS | u64::from(rank)
}
