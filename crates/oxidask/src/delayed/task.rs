//! What `#[oxidask::task]` makes of a function: an op without parameters.

use super::Delayed;
use super::typed::{TaskValue, Typed};
use oxidask_core::{
    Blocks, EncodedOp, Error, ErrorKind, Expr, ExprRef, Graph, Input, Inputs, Key, KeyHasher, Op, OpCodec, Result,
    Value,
};
use std::any::Any;
use std::borrow::Cow;
use std::fmt::Display;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

/// A function marked `#[task]`; the attribute implements it.
pub trait TaskFn: Send + Sync + 'static {
    /// The path by which other processes know it.
    const NAME: &'static str;
    /// What users read.
    const LABEL: &'static str;
    /// Whether equal arguments give equal results, so that equal calls may be
    /// made once.
    const PURE: bool;

    /// Calls it with arguments from other tasks.
    ///
    /// # Errors
    /// The function's own error, or that an argument has the wrong type.
    fn run(inputs: &[Value]) -> Result<Value>;

    /// The op, of which there is one in a process.
    fn op() -> &'static Arc<dyn Op>;
}

/// The op of a [`TaskFn`].
pub struct TaskOp<F>(PhantomData<fn() -> F>);

impl<F: TaskFn> TaskOp<F> {
    /// The op, shared.
    #[must_use]
    pub fn shared() -> Arc<dyn Op> {
        Arc::new(TaskOp::<F>(PhantomData))
    }
}

impl<F: TaskFn> OpCodec for TaskOp<F> {
    fn kind(&self) -> &'static str {
        F::NAME
    }

    fn encode(&self) -> Result<EncodedOp> {
        Ok(EncodedOp { kind: F::NAME.to_owned(), body: bytes::Bytes::new(), blobs: Vec::new() })
    }
}

impl<F: TaskFn> Op for TaskOp<F> {
    fn run(&self, _block: u64, inputs: &[Value]) -> Result<Value> {
        F::run(inputs)
    }

    fn label(&self) -> Cow<'_, str> {
        Cow::Borrowed(F::LABEL)
    }

    fn runs_user_code(&self) -> bool {
        true
    }
}

/// The result of a task's function that can fail.
pub trait TaskOutput {
    /// What it returns if all is well.
    type Ok: TaskValue;

    /// The result with its error in the engine's form.
    ///
    /// # Errors
    /// The function's own error.
    fn into_task_result(self) -> Result<Self::Ok>;
}

impl<T: TaskValue, E: Display + 'static> TaskOutput for Result<T, E> {
    type Ok = T;

    fn into_task_result(self) -> Result<T> {
        self.map_err(|error| match (&error as &dyn Any).downcast_ref::<Error>() {
            Some(ours) => ours.clone(),
            // The alternate form of `anyhow` and its like names the causes too.
            None => Error::new(ErrorKind::Task, format!("{error:#}")),
        })
    }
}

/// A lazy call of `F` with the arguments `inputs`.
#[must_use]
pub fn call<F: TaskFn, T>(inputs: Vec<ExprRef>) -> Delayed<T> {
    let hasher = KeyHasher::new("task").bytes(F::NAME.as_bytes()).keys(inputs.iter().map(|input| input.key()));
    let key = if F::PURE { hasher.finish() } else { hasher.key(unique()).finish() };
    Delayed::from_expr(Arc::new(TaskCall { key, op: F::op().clone(), inputs: inputs.into() }))
}

/// The error of a task that another process calls with too many arguments or
/// too few, which only different builds can do.
#[must_use]
pub fn wrong_arguments(name: &str, expected: usize, got: usize) -> Error {
    Error::new(ErrorKind::Version, format!("task '{name}' takes {expected} arguments but got {got}"))
}

/// A key that nothing else has, here or in another process: for impure calls,
/// and for closures, which cannot be named by their content.
pub(crate) fn unique() -> Key {
    static PROCESS: LazyLock<[u64; 2]> =
        LazyLock::new(|| [RandomState::new().build_hasher().finish(), RandomState::new().build_hasher().finish()]);
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let [a, b] = *PROCESS;
    KeyHasher::new("unique").u64(a).u64(b).u64(NEXT.fetch_add(1, Ordering::Relaxed)).finish()
}

/// One task that runs `op` on the single blocks of its inputs.
pub(super) struct TaskCall {
    pub(super) key: Key,
    pub(super) op: Arc<dyn Op>,
    pub(super) inputs: Inputs,
}

impl Expr for TaskCall {
    fn key(&self) -> Key {
        self.key
    }

    fn label(&self) -> Cow<'_, str> {
        self.op.label()
    }

    fn inputs(&self) -> &[ExprRef] {
        &self.inputs
    }

    fn with_inputs(&self, inputs: Vec<ExprRef>) -> Result<ExprRef> {
        // The key stays: equal meaning, and an impure call must not change.
        Ok(Arc::new(TaskCall { key: self.key, op: self.op.clone(), inputs: inputs.into() }))
    }

    fn lower(&self, inputs: &[Blocks], graph: &mut Graph) -> Result<Blocks> {
        let stage = graph.shared_stage(&self.op);
        let arguments = inputs.iter().map(single).collect::<Result<smallvec::SmallVec<[Input; 8]>>>()?;
        Ok(vec![Input::whole(graph.task(self.key, stage, 0, &arguments))])
    }

    fn meta(&self) -> &(dyn Any + Send + Sync) {
        &()
    }
}

fn single(blocks: &Blocks) -> Result<Input> {
    match blocks.as_slice() {
        [block] => Ok(*block),
        _ => Err(Error::value(format!("a task's argument has {} blocks instead of one", blocks.len()))),
    }
}

/// A value that is there already.
pub(super) struct Constant {
    pub(super) key: Key,
    pub(super) value: Value,
}

impl Expr for Constant {
    fn key(&self) -> Key {
        self.key
    }

    fn label(&self) -> Cow<'_, str> {
        Cow::Borrowed("value")
    }

    fn inputs(&self) -> &[ExprRef] {
        &[]
    }

    fn with_inputs(&self, _inputs: Vec<ExprRef>) -> Result<ExprRef> {
        Ok(Arc::new(Constant { key: self.key, value: self.value.clone() }))
    }

    fn lower(&self, _inputs: &[Blocks], graph: &mut Graph) -> Result<Blocks> {
        Ok(vec![Input::whole(graph.data(self.key, self.value.clone()))])
    }

    fn meta(&self) -> &(dyn Any + Send + Sync) {
        &()
    }

    fn describe(&self) -> String {
        self.value.data().describe()
    }
}

/// A constant whose value cannot be encoded and which therefore has no key; the
/// error is told where it can be returned, when the work is submitted.
pub(super) struct Unusable(pub(super) Key, pub(super) Error);

impl Unusable {
    pub(super) fn new(error: Error) -> Self {
        Unusable(unique(), error)
    }
}

impl Expr for Unusable {
    fn key(&self) -> Key {
        self.0
    }

    fn label(&self) -> Cow<'_, str> {
        Cow::Borrowed("value")
    }

    fn inputs(&self) -> &[ExprRef] {
        &[]
    }

    fn with_inputs(&self, _inputs: Vec<ExprRef>) -> Result<ExprRef> {
        Ok(Arc::new(Unusable(self.0, self.1.clone())))
    }

    fn lower(&self, _inputs: &[Blocks], _graph: &mut Graph) -> Result<Blocks> {
        Err(self.1.clone())
    }

    fn meta(&self) -> &(dyn Any + Send + Sync) {
        &()
    }
}

/// The argument of a task as a shared value of type `T`.
///
/// # Errors
/// If it is of another type.
pub(crate) fn argument<T: TaskValue>(value: &Value) -> Result<&T> {
    value.expect::<Typed>()?.get()
}
