//! The expression of one delayed value.

use crate::call::PyCall;
use crate::context::in_callers_context;
use crate::value::to_value;
use oxidask_core::{Annotations, Blocks, Error, Expr, ExprRef, Graph, Input, Inputs, Key, Result, Stage, TaskIdx};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyInt, PyString, PyTuple};
use smallvec::SmallVec;
use std::any::Any;
use std::borrow::Cow;
use std::sync::Arc;

/// Where the value of a [`DelayedNode`] comes from.
pub enum Work {
    /// It is an object of the user.
    Literal(Py<PyAny>),
    /// A call of a Python function with the values of the inputs.
    Call(Arc<PyCall>),
    /// A block of the only input.
    Block(u32),
}

/// The name that a user gave a value: text, or the tuple or number that keys of
/// Dask's graphs may be.
pub struct Name {
    /// What the engine and its messages call it.
    pub text: Arc<str>,
    object: Option<Py<PyAny>>,
}

impl Name {
    /// Reads a name.
    ///
    /// # Errors
    /// `TypeError` if an object of this type is no name.
    pub fn of(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        if let Ok(text) = object.cast::<PyString>() {
            return Ok(Name { text: Arc::from(&*text.to_cow()?), object: None });
        }
        if object.is_instance_of::<PyTuple>() || object.is_instance_of::<PyInt>() {
            let text = Arc::from(&*object.repr()?.to_cow()?);
            return Ok(Name { text, object: Some(object.clone().unbind()) });
        }
        Err(PyTypeError::new_err(format!(
            "the name of a task must be a text, a tuple or an integer, got {}",
            object.repr()?
        )))
    }

    /// A name that is text.
    pub fn text(text: &str) -> Self {
        Name { text: Arc::from(text), object: None }
    }

    /// The name as its user gave it.
    pub fn object<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        match &self.object {
            Some(object) => object.bind(py).clone(),
            None => PyString::new(py, &self.text).into_any(),
        }
    }

    /// The engine's key for the value of this name.
    pub fn key(&self) -> Key {
        Key::named(&self.text)
    }
}

/// One delayed value: always a single block that holds a Python object.
pub struct DelayedNode {
    /// The name of the value.
    pub key: Key,
    /// What users read.
    pub label: Arc<str>,
    /// The name that the user chose.
    pub name: Option<Arc<Name>>,
    /// How many elements the value has, if the user said so.
    pub n_out: Option<usize>,
    /// Where the value comes from.
    pub work: Work,
    /// What the work reads.
    pub inputs: Inputs,
    /// The user's wishes about where and how it runs.
    pub annotations: Option<Arc<Annotations>>,
    /// Whether it is a literal or a call, and so are all that it needs.
    pub is_plain: bool,
}

/// Whether all of `inputs` are plain, see [`DelayedNode::is_plain`].
pub fn are_plain(inputs: &[ExprRef]) -> bool {
    inputs.iter().all(|input| input.get::<DelayedNode>().is_some_and(|node| node.is_plain))
}

impl DelayedNode {
    /// The same value from another source.
    pub fn with_work(&self, work: Work, inputs: Vec<ExprRef>) -> Self {
        let is_plain = !matches!(work, Work::Block(_)) && are_plain(&inputs);
        DelayedNode {
            key: self.key,
            label: self.label.clone(),
            name: self.name.clone(),
            n_out: self.n_out,
            work,
            inputs: inputs.into(),
            annotations: self.annotations.clone(),
            is_plain,
        }
    }

    /// The same node once more.
    pub fn copy(&self, py: Python<'_>) -> Self {
        let work = match &self.work {
            Work::Literal(object) => Work::Literal(object.clone_ref(py)),
            Work::Call(call) => Work::Call(call.clone()),
            Work::Block(block) => Work::Block(*block),
        };
        self.with_work(work, self.inputs.to_vec())
    }

    /// The name that users read.
    pub fn key_text(&self) -> String {
        match &self.name {
            Some(name) => name.text.to_string(),
            None => format!("{}-{}", self.label, self.key),
        }
    }

    /// What identifies the value in a graph of Dask's.
    pub fn key_object<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        match &self.name {
            Some(name) => name.object(py),
            None => PyString::new(py, &self.key_text()).into_any(),
        }
    }
}

impl Expr for DelayedNode {
    fn key(&self) -> Key {
        self.key
    }

    fn label(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.label)
    }

    fn inputs(&self) -> &[ExprRef] {
        &self.inputs
    }

    fn with_inputs(&self, inputs: Vec<ExprRef>) -> Result<ExprRef> {
        let copy = Python::attach(|py| self.copy(py));
        Ok(Arc::new(DelayedNode { is_plain: copy.is_plain && are_plain(&inputs), inputs: inputs.into(), ..copy }))
    }

    fn lower(&self, inputs: &[Blocks], graph: &mut Graph) -> Result<Blocks> {
        if let Work::Block(block) = &self.work {
            return self.block(inputs, *block);
        }
        let mut read: SmallVec<[Input; 8]> = SmallVec::new();
        for blocks in inputs {
            let [block] = blocks[..] else { return Err(self.not_single(blocks.len())) };
            read.push(block);
        }
        Ok(vec![Input::whole(self.append(&read, graph))])
    }

    fn meta(&self) -> &(dyn Any + Send + Sync) {
        &()
    }
}

impl DelayedNode {
    /// Appends the task of a literal or a call that reads `inputs`.
    pub fn append(&self, inputs: &[Input], graph: &mut Graph) -> TaskIdx {
        let task = match &self.work {
            Work::Call(call) => {
                let stage = graph.stage_with(Stage {
                    op: in_callers_context(call),
                    label: self.label.clone(),
                    annotations: self.annotations.clone(),
                });
                graph.task(self.key, stage, 0, inputs)
            }
            Work::Literal(object) => graph.data(self.key, Python::attach(|py| to_value(object.bind(py).clone()))),
            Work::Block(_) => unreachable!("a block is its input's task"),
        };
        if let Some(name) = &self.name {
            graph.name(task, name.text.clone());
        }
        task
    }

    fn block(&self, inputs: &[Blocks], block: u32) -> Result<Blocks> {
        let blocks = inputs.first().map_or(&[][..], |blocks| blocks);
        let input = blocks.get(block as usize).ok_or_else(|| self.not_single(blocks.len()))?;
        Ok(vec![*input])
    }

    fn not_single(&self, n_blocks: usize) -> Error {
        Error::value(format!("'{}' reads one value and was given {n_blocks} blocks", self.label))
    }
}
