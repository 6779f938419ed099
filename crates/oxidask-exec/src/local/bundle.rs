//! Short tasks of a graph without edges, run as one.
//!
//! What the scheduler does for a task costs about a microsecond, and one lock
//! guards it: many threads would take turns rather than run tasks that are
//! shorter than that. So as many of them as take [`BUNDLE_NS`] together go
//! through the scheduler as one, whose result has their results as its parts.
//!
//! It must never show: a task of a bundle has its own name, error and panic, and a
//! bundle whose results nobody waits for ends after the task at hand.

use super::link::given_up;
use crate::lend;
use crate::pool::batch::call;
use crate::work::{Cost, Costs};
use oxidask_core::graph::Stage;
use oxidask_core::registry::EncodedOp;
use oxidask_core::{Error, Graph, Input, Key, Lane, Op, OpCodec, Parts, Result, Value};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

/// What the tasks of a bundle take together, in nanoseconds: long against the cost
/// of a task, short against what anybody notices.
const BUNDLE_NS: u64 = 50_000;
/// Most bytes of their results.
const BUNDLE_BYTES: u64 = 1 << 20;
/// Most of them.
const BUNDLE_TASKS: u64 = 256;

/// A graph without edges on its way.
pub(super) struct Divided {
    pub graph: Graph,
    /// Nobody waits for it any more.
    pub is_given_up: AtomicBool,
}

impl Divided {
    /// The stage that an output's task runs.
    pub fn stage(&self, output: &Input) -> &Stage {
        self.graph.stage_of(output.task).expect("every output of a divisible graph runs something")
    }

    /// The bytes of an output's task, if they are known.
    pub fn bytes(&self, output: &Input) -> Option<u64> {
        self.stage(output).op.output_bytes(u64::from(self.graph.tasks()[output.task as usize].block), &[])
    }
}

/// How many tasks of this cost one bundle takes; 1 if nothing is known of them.
pub(super) fn size(cost: &Cost) -> usize {
    let (nanos, bytes) = (cost.mean_ns(), cost.mean_bytes());
    if nanos == 0 {
        return 1;
    }
    (BUNDLE_NS / nanos).min(BUNDLE_BYTES / bytes.max(1)).clamp(1, BUNDLE_TASKS) as usize
}

/// Where a bundle that begins at `begin` and may go on to `end` ends: before the
/// first task whose bytes, as far as they are known, are too many.
pub(super) fn end(divided: &Divided, begin: usize, end: usize) -> usize {
    let mut bytes = 0_u64;
    for (at, output) in divided.graph.outputs[begin..end].iter().enumerate() {
        bytes = bytes.saturating_add(divided.bytes(output).unwrap_or(0));
        if bytes > BUNDLE_BYTES {
            return begin + at.max(1);
        }
    }
    end
}

/// Runs bundles of tasks that have a label in common. One of several tasks answers
/// their results as [`Parts`], one of a single task its result.
pub(super) struct Bundle {
    divided: Arc<Divided>,
    cost: Arc<Cost>,
    /// Outputs of the graph, for each of the op's blocks.
    ranges: Vec<Range<u32>>,
}

impl Bundle {
    /// Bundles of the outputs in these ranges, none of which is empty.
    pub fn new(divided: &Arc<Divided>, costs: &mut Costs, label: &Arc<str>, ranges: Vec<Range<u32>>) -> Self {
        Bundle { divided: divided.clone(), cost: costs.of(label).clone(), ranges }
    }

    /// A name for one more bundle, which no other has.
    pub fn key() -> Key {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Key::named("a bundle of tasks").block(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    fn outputs(&self, block: u64) -> &[Input] {
        let Range { start, end } = self.ranges[block as usize];
        &self.divided.graph.outputs[start as usize..end as usize]
    }
}

impl OpCodec for Bundle {
    fn kind(&self) -> &'static str {
        "bundle"
    }

    fn encode(&self) -> Result<EncodedOp> {
        Err(Error::unsupported("a bundle of tasks stays in its process"))
    }
}

impl Op for Bundle {
    fn run(&self, block: u64, _: &[Value]) -> Result<Value> {
        let graph = &self.divided.graph;
        let outputs = self.outputs(block);
        let mut values = Vec::with_capacity(outputs.len());
        let mut bytes = 0;
        let begin = Instant::now();
        for output in outputs {
            if self.divided.is_given_up.load(Ordering::Relaxed) {
                return Err(given_up());
            }
            let op = &self.divided.stage(output).op;
            let value = call(&**op, graph.tasks()[output.task as usize].block, Default::default());
            // What a task lent, it lent until it ended.
            lend::rejoin();
            let value = value.map_err(|error| error.in_task(graph.name_of(output.task)))?;
            bytes += value.nbytes();
            values.push(value);
        }
        let n = outputs.len() as u64;
        self.cost.took(begin.elapsed().as_nanos() as u64 / n, bytes / n);
        if values.len() == 1 {
            return Ok(values.remove(0));
        }
        Ok(Value::new(Parts(values)))
    }

    fn output_bytes(&self, block: u64, _: &[Option<u64>]) -> Option<u64> {
        self.outputs(block).iter().map(|output| self.divided.bytes(output)).sum()
    }

    fn lane(&self) -> Option<&'static dyn Lane> {
        let Range { start, .. } = self.ranges.first()?;
        self.divided.stage(&self.divided.graph.outputs[*start as usize]).op.lane()
    }
}
