//! The one graph: a flat table of tasks in topological order.
//!
//! Expressions lower to it, the scheduler reads it, and nothing lies between.
//! Tasks are 32 bytes each; everything they share (op, label, annotations) is a
//! [`Stage`] that they point at. A task's inputs always have smaller indices.

use crate::key::Key;
use crate::op::Op;
use crate::value::Value;
use smallvec::SmallVec;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

/// Index of a task in its [`Graph`].
pub type TaskIdx = u32;

/// An output of a task that another task reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Input {
    /// The task.
    pub task: TaskIdx,
    part: u32,
}

impl Input {
    const WHOLE: u32 = u32::MAX;

    /// The whole result of `task`.
    #[must_use]
    pub fn whole(task: TaskIdx) -> Self {
        Input { task, part: Self::WHOLE }
    }

    /// One part of the result of `task`.
    #[must_use]
    pub fn part(task: TaskIdx, part: u32) -> Self {
        debug_assert_ne!(part, Self::WHOLE);
        Input { task, part }
    }

    /// The part that is read, or none for the whole.
    #[must_use]
    pub fn part_idx(self) -> Option<u32> {
        (self.part != Self::WHOLE).then_some(self.part)
    }
}

/// What tasks of one expression share.
#[derive(Clone)]
pub struct Stage {
    /// The work.
    pub op: Arc<dyn Op>,
    /// What users read in keys and progress: `sum`, `inc`.
    pub label: Arc<str>,
    /// Wishes about where and how to run, if any.
    pub annotations: Option<Arc<Annotations>>,
}

/// A user's wishes about where and how tasks run, as `annotate` collects them.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Annotations {
    /// Larger runs earlier.
    pub priority: i64,
    /// How often to run again after the user's function failed.
    pub retries: u32,
    /// Names or addresses of the workers that may run it; empty means all.
    pub workers: Vec<String>,
    /// Whether other workers may run it if none of those is there.
    pub allow_other_workers: bool,
    /// Abstract resources that it occupies while it runs.
    pub resources: BTreeMap<String, f64>,
}

impl Annotations {
    /// These wishes, and in what they say nothing about those of `others`.
    #[must_use]
    pub fn or(&self, others: &Annotations) -> Annotations {
        let says_where = !self.workers.is_empty();
        let place = if says_where { self } else { others };
        Annotations {
            priority: if self.priority == 0 { others.priority } else { self.priority },
            retries: if self.retries == 0 { others.retries } else { self.retries },
            workers: place.workers.clone(),
            allow_other_workers: place.allow_other_workers,
            resources: if self.resources.is_empty() { others.resources.clone() } else { self.resources.clone() },
        }
    }
}

/// Where a task's value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// It runs the op of this stage.
    Run(u32),
    /// It is the given value with this index in [`Graph::data`].
    Data(u32),
    /// The executor already holds it under the task's key.
    Held,
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Task {
    /// The name of the value.
    pub key: Key,
    source: u32,
    /// Which block of its expression it computes.
    pub block: u32,
    inputs_start: u32,
    n_inputs: u32,
}

const DATA_BIT: u32 = 1 << 31;
const HELD: u32 = u32::MAX;

impl Task {
    /// Where the value comes from.
    #[must_use]
    pub fn source(&self) -> Source {
        match self.source {
            HELD => Source::Held,
            data if data & DATA_BIT != 0 => Source::Data(data & !DATA_BIT),
            stage => Source::Run(stage),
        }
    }
}

/// The blocks of a lowered expression, in order.
pub type Blocks = Vec<Input>;

/// A flat table of tasks and the outputs somebody wants.
#[derive(Clone, Default)]
pub struct Graph {
    tasks: Vec<Task>,
    inputs: Vec<Input>,
    stages: Vec<Stage>,
    /// Stages that [`Graph::shared_stage`] made, by the address of their op.
    stage_of_op: hashbrown::HashMap<usize, u32>,
    data: Vec<Value>,
    /// Names that users chose for tasks; all others are label and key.
    names: hashbrown::HashMap<TaskIdx, Arc<str>>,
    /// What the submitter wants, in its order; may repeat a task.
    pub outputs: Vec<Input>,
}

impl Graph {
    /// An empty graph.
    #[must_use]
    pub fn new() -> Self {
        Graph::default()
    }

    /// Adds work that tasks can share.
    pub fn stage(&mut self, op: Arc<dyn Op>) -> u32 {
        let label = Arc::from(&*op.label());
        self.stage_with(Stage { op, label, annotations: None })
    }

    /// The stage of `op`, added unless this very op has one already: nodes that
    /// are one task each, such as calls of the same function, then share it.
    pub fn shared_stage(&mut self, op: &Arc<dyn Op>) -> u32 {
        // The graph keeps the op alive, so its address stays its own.
        let address = Arc::as_ptr(op).cast::<()>() as usize;
        if let Some(&stage) = self.stage_of_op.get(&address) {
            return stage;
        }
        let stage = self.stage(op.clone());
        self.stage_of_op.insert(address, stage);
        stage
    }

    /// Adds work with a label and annotations of its own.
    pub fn stage_with(&mut self, stage: Stage) -> u32 {
        let index = index_of(self.stages.len());
        assert!(index < DATA_BIT, "a graph has fewer than 2^31 stages");
        self.stages.push(stage);
        index
    }

    /// Adds a task that runs a stage's op on `block`.
    pub fn task(&mut self, key: Key, stage: u32, block: u32, inputs: &[Input]) -> TaskIdx {
        debug_assert!((stage as usize) < self.stages.len());
        self.push(key, stage, block, inputs)
    }

    /// Adds a task for every block `0..n`, each reading the inputs that
    /// `inputs_of` appends for it; their keys are the blocks of `key`.
    pub fn blocks(
        &mut self,
        key: Key,
        op: Arc<dyn Op>,
        n_blocks: usize,
        mut inputs_of: impl FnMut(usize, &mut SmallVec<[Input; 8]>),
    ) -> Blocks {
        let stage = self.stage(op);
        self.tasks.reserve(n_blocks);
        let mut inputs = SmallVec::new();
        (0..n_blocks)
            .map(|block| {
                inputs.clear();
                inputs_of(block, &mut inputs);
                let number = index_of(block);
                Input::whole(self.push(key.block(u64::from(number)), stage, number, &inputs))
            })
            .collect()
    }

    /// Adds a value that the submitter already has.
    pub fn data(&mut self, key: Key, value: Value) -> TaskIdx {
        let index = index_of(self.data.len());
        assert!(index < DATA_BIT - 1, "a graph has fewer than 2^31 - 1 constants");
        self.data.push(value);
        self.push(key, index | DATA_BIT, 0, &[])
    }

    /// Adds a value that the executor already holds under `key`.
    pub fn held(&mut self, key: Key) -> TaskIdx {
        self.push(key, HELD, 0, &[])
    }

    /// Gives a task the name that its user chose.
    pub fn name(&mut self, task: TaskIdx, name: Arc<str>) {
        self.names.insert(task, name);
    }

    fn push(&mut self, key: Key, source: u32, block: u32, inputs: &[Input]) -> TaskIdx {
        let task = index_of(self.tasks.len());
        debug_assert!(inputs.iter().all(|input| input.task < task), "inputs come before their task");
        let inputs_start = index_of(self.inputs.len());
        self.inputs.extend_from_slice(inputs);
        self.tasks.push(Task { key, source, block, inputs_start, n_inputs: index_of(inputs.len()) });
        task
    }

    /// Number of tasks.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Whether there is no task.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// All tasks, inputs before their consumers.
    #[must_use]
    pub fn tasks(&self) -> &[Task] {
        &self.tasks
    }

    /// The inputs of a task.
    #[must_use]
    pub fn inputs_of(&self, task: TaskIdx) -> &[Input] {
        let row = &self.tasks[task as usize];
        &self.inputs[row.inputs_start as usize..][..row.n_inputs as usize]
    }

    /// The inputs of all tasks, one after another in task order.
    #[must_use]
    pub fn all_inputs(&self) -> &[Input] {
        &self.inputs
    }

    /// The shared work.
    #[must_use]
    pub fn stages(&self) -> &[Stage] {
        &self.stages
    }

    /// Has `wishes` hold for all stages in whatever they have no wish of their own.
    pub fn wish(&mut self, wishes: &Arc<Annotations>) {
        for stage in &mut self.stages {
            match &stage.annotations {
                Some(own) if own != wishes => stage.annotations = Some(Arc::new(own.or(wishes))),
                Some(_) => {}
                None => stage.annotations = Some(wishes.clone()),
            }
        }
    }

    /// The given values.
    #[must_use]
    pub fn data_values(&self) -> &[Value] {
        &self.data
    }

    /// The stage of a task that runs something.
    #[must_use]
    pub fn stage_of(&self, task: TaskIdx) -> Option<&Stage> {
        match self.tasks[task as usize].source() {
            Source::Run(stage) => Some(&self.stages[stage as usize]),
            Source::Data(_) | Source::Held => None,
        }
    }

    /// The name users read: their own, or the label and the key.
    #[must_use]
    pub fn name_of(&self, task: TaskIdx) -> String {
        if let Some(name) = self.names.get(&task) {
            return name.to_string();
        }
        let key = self.tasks[task as usize].key;
        match self.stage_of(task) {
            Some(stage) => format!("{}-{key}", stage.label),
            None => format!("data-{key}"),
        }
    }

    /// The name a user chose for a task.
    #[must_use]
    pub fn user_name(&self, task: TaskIdx) -> Option<&Arc<str>> {
        self.names.get(&task)
    }

    /// The estimated result size of every task in bytes; unknown sizes are
    /// `None`.
    #[must_use]
    pub fn output_bytes(&self) -> Vec<Option<u64>> {
        let mut sizes: Vec<Option<u64>> = Vec::with_capacity(self.tasks.len());
        let mut inputs: SmallVec<[Option<u64>; 8]> = SmallVec::new();
        for (idx, task) in self.tasks.iter().enumerate() {
            let size = match task.source() {
                Source::Held => None,
                Source::Data(data) => Some(self.data[data as usize].nbytes()),
                Source::Run(stage) => {
                    inputs.clear();
                    // A part's size is not known apart from the whole's.
                    inputs.extend(
                        self.inputs_of(index_of(idx))
                            .iter()
                            .map(|input| input.part_idx().map_or(sizes[input.task as usize], |_| None)),
                    );
                    self.stages[stage as usize].op.output_bytes(u64::from(task.block), &inputs)
                }
            };
            sizes.push(size);
        }
        sizes
    }

    /// The graph as text, for tests and for reading: one line a task.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for (idx, task) in self.tasks.iter().enumerate() {
            let idx = index_of(idx);
            let what = match task.source() {
                Source::Run(stage) => format!("{}[{}]", self.stages[stage as usize].label, task.block),
                Source::Data(data) => format!("data {:?}", self.data[data as usize]),
                Source::Held => "held".to_owned(),
            };
            let _ = write!(text, "{idx}: {what}");
            for input in self.inputs_of(idx) {
                let _ = write!(text, " {}", input.task);
                if let Some(part) = input.part_idx() {
                    let _ = write!(text, ".{part}");
                }
            }
            text.push('\n');
        }
        let outputs: Vec<String> = self.outputs.iter().map(|output| output.task.to_string()).collect();
        let _ = writeln!(text, "-> {}", outputs.join(" "));
        text
    }
}

/// A position as a task index.
///
/// # Panics
/// Beyond 2³² tasks, which is beyond what a graph may hold.
fn index_of(position: usize) -> u32 {
    u32::try_from(position).expect("a graph holds fewer than 2^32 tasks")
}
