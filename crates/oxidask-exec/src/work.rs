//! What the tasks of a stage run, as a worker knows it.

use hashbrown::HashMap;
use oxidask_core::registry::decode_op;
use oxidask_core::{EncodedOp, Op, Result};
use std::fmt;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

/// The op that tasks of one stage share, decoded or encoded when first needed:
/// an agent without Python never decodes what only its children run.
pub struct Work {
    id: u64,
    label: Arc<str>,
    runs_user_code: bool,
    op: OnceLock<Result<Arc<dyn Op>>>,
    encoded: OnceLock<Result<EncodedOp>>,
    cost: Arc<Cost>,
}

/// What tasks of one kind cost, as far as is known: running means, which are 0
/// before the first task ended. Two threads may overwrite each other's update,
/// which only costs one sample.
#[derive(Default)]
pub(crate) struct Cost {
    mean_ns: AtomicU32,
    mean_bytes: AtomicU64,
}

impl Cost {
    /// Nanoseconds that a task takes.
    pub fn mean_ns(&self) -> u64 {
        u64::from(self.mean_ns.load(Ordering::Relaxed))
    }

    /// Bytes of a task's result.
    pub fn mean_bytes(&self) -> u64 {
        self.mean_bytes.load(Ordering::Relaxed)
    }

    /// Takes one more task into the means.
    pub fn took(&self, duration_ns: u64, bytes: u64) {
        let sample = duration_ns.clamp(1, u64::from(u32::MAX));
        self.mean_ns.store(blend(self.mean_ns(), sample) as u32, Ordering::Relaxed);
        self.mean_bytes.store(blend(self.mean_bytes(), bytes), Ordering::Relaxed);
    }
}

/// A running mean with one more sample. Larger ones count at once, so that what
/// is sized by it is never too large for long.
fn blend(mean: u64, sample: u64) -> u64 {
    if mean == 0 || sample > mean { sample.max(mean / 2 + sample / 2) } else { (mean * 7 + sample) / 8 }
}

/// What is known of tasks by their label: calls of one function with different
/// arguments are stages of their own, and the first of them tells about the
/// others.
#[derive(Default)]
pub(crate) struct Costs(HashMap<Arc<str>, Arc<Cost>>);

impl Costs {
    /// The cost of tasks with this label.
    pub fn of(&mut self, label: &Arc<str>) -> &Arc<Cost> {
        self.0.entry_ref(label).or_default()
    }
}

/// Numbers works within this process.
static NEXT_ID: AtomicU64 = AtomicU64::new(0);

impl Work {
    /// Work of this process.
    #[must_use]
    pub fn from_op(label: Arc<str>, op: Arc<dyn Op>) -> Self {
        let runs_user_code = op.runs_user_code();
        let work = Self::new(label, runs_user_code);
        let _ = work.op.set(Ok(op));
        work
    }

    /// The same work, whose cost is that of all works of its label.
    #[must_use]
    pub(crate) fn with_costs(mut self, costs: &mut Costs) -> Self {
        self.cost = costs.of(&self.label).clone();
        self
    }

    /// Work that came from another process.
    #[must_use]
    pub fn from_encoded(label: Arc<str>, runs_user_code: bool, encoded: EncodedOp) -> Self {
        let work = Self::new(label, runs_user_code);
        let _ = work.encoded.set(Ok(encoded));
        work
    }

    fn new(label: Arc<str>, runs_user_code: bool) -> Self {
        Work {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            label,
            runs_user_code,
            op: OnceLock::new(),
            encoded: OnceLock::new(),
            cost: Arc::default(),
        }
    }

    /// Its number, never given twice in this process.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// What users read.
    #[must_use]
    pub fn label(&self) -> &Arc<str> {
        &self.label
    }

    /// Whether it belongs into a child process.
    #[must_use]
    pub fn runs_user_code(&self) -> bool {
        self.runs_user_code
    }

    /// The op, decoded at the first call.
    ///
    /// # Errors
    /// If this build does not know it; the same error at every call.
    pub fn op(&self) -> Result<&Arc<dyn Op>> {
        self.op.get_or_init(|| decode_op(self.encoded()?)).as_ref().map_err(Clone::clone)
    }

    /// The op's bytes, encoded at the first call.
    ///
    /// # Errors
    /// If it cannot travel; the same error at every call.
    pub fn encoded(&self) -> Result<&EncodedOp> {
        self.encoded.get_or_init(|| self.op()?.encode()).as_ref().map_err(Clone::clone)
    }

    /// Whether its tasks run one at a time in this process.
    pub(crate) fn has_lane(&self) -> bool {
        matches!(self.op.get(), Some(Ok(op)) if op.lane().is_some())
    }

    /// What its tasks cost.
    pub(crate) fn cost(&self) -> &Cost {
        &self.cost
    }
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Work({}, {})", self.id, self.label)
    }
}
