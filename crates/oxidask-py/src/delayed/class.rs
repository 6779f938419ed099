//! The Python classes of delayed values.

use super::graph;
use super::key;
use super::node::{DelayedNode, Name, Work};
use super::{LazyCall, label_of, own_function};
use crate::base::Lazy;
use crate::call::Function;
use crate::template::index_of;
use oxidask_core::{ExprRef, Inputs, KeyHasher};
use pyo3::exceptions::{PyAttributeError, PyIndexError, PyTypeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pyclass::CompareOp;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString, PyTuple};
use std::sync::Arc;

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Delayed>()?;
    module.add_class::<DelayedLeaf>()?;
    module.add_class::<DelayedAttr>()
}

/// A value that will be computed later.
///
/// Calls, operators, attributes, items and methods make further delayed values.
#[pyclass(frozen, subclass, weakref, module = "oxidask.delayed")]
pub struct Delayed {
    expr: Arc<DelayedNode>,
}

// A function or other object of the user, made delayed. This is no doc comment,
// because `__doc__` answers that of the user's function.
#[pyclass(frozen, extends = Delayed, module = "oxidask.delayed")]
pub struct DelayedLeaf {
    object: Py<PyAny>,
    function: Arc<Function>,
    pure: Option<bool>,
    n_out: Option<usize>,
}

/// An attribute of a delayed value, which may turn out to be a method.
#[pyclass(frozen, extends = Delayed, module = "oxidask.delayed")]
pub struct DelayedAttr {
    object: Py<Delayed>,
    name: Py<PyString>,
}

impl Delayed {
    /// A Python object over a node.
    pub fn make(py: Python<'_>, expr: Arc<DelayedNode>) -> PyResult<Bound<'_, Self>> {
        Bound::new(py, Delayed { expr })
    }

    /// The expression.
    pub fn expr(&self) -> &Arc<DelayedNode> {
        &self.expr
    }

    /// What the rest of the module needs to know.
    pub fn lazy(&self) -> Lazy {
        Lazy { expr: self.expr.clone(), collection: None }
    }

    /// The delayed value `original`, held elsewhere.
    ///
    /// # Errors
    /// If Python is out of memory.
    pub fn held<'py>(py: Python<'py>, original: &ExprRef, held: ExprRef) -> PyResult<Bound<'py, Self>> {
        match original.get::<DelayedNode>() {
            Some(node) => Delayed::make(py, Arc::new(node.with_work(Work::Block(0), vec![held]))),
            None => Delayed::of_block(py, held, 0),
        }
    }

    /// An expression with one block as a delayed value.
    ///
    /// # Errors
    /// If Python is out of memory.
    pub fn over(py: Python<'_>, expr: ExprRef) -> PyResult<Bound<'_, Self>> {
        match expr.get::<DelayedNode>() {
            Some(node) => Delayed::make(py, Arc::new(node.copy(py))),
            None => Delayed::of_block(py, expr, 0),
        }
    }

    /// One block of any expression as a delayed value.
    pub fn of_block(py: Python<'_>, expr: ExprRef, block: usize) -> PyResult<Bound<'_, Self>> {
        let key = KeyHasher::new("python.block").key(expr.key()).u64(block as u64).finish();
        let node = DelayedNode {
            key,
            label: Arc::from(&*expr.label()),
            name: None,
            n_out: None,
            work: Work::Block(index_of(block)),
            inputs: vec![expr].into(),
            annotations: None,
            is_plain: false,
        };
        Delayed::make(py, Arc::new(node))
    }
}

impl DelayedLeaf {
    /// A leaf for an object in which there is nothing lazy.
    pub fn make(
        object: Bound<'_, PyAny>,
        name: Option<Arc<Name>>,
        pure: Option<bool>,
        n_out: Option<usize>,
    ) -> PyResult<Bound<'_, PyAny>> {
        let py = object.py();
        let function = Function::of(&object);
        let key = match &name {
            Some(name) => name.key(),
            None if key::is_pure(pure) => key::object_key(&object, n_out)?,
            None => key::random_key(),
        };
        let label = if object.is_callable() { function.label().clone() } else { label_of(&object) };
        let work = Work::Literal(object.clone().unbind());
        let inputs = Inputs::default();
        let expr = DelayedNode { key, label, name, n_out, work, inputs, annotations: None, is_plain: true };
        let leaf = DelayedLeaf { object: object.unbind(), function, pure, n_out };
        let class = PyClassInitializer::from(Delayed { expr: Arc::new(expr) }).add_subclass(leaf);
        Ok(Bound::new(py, class)?.into_any())
    }
}

/// A function of the module `operator`, looked up once.
struct Operator {
    name: &'static str,
    function: PyOnceLock<Py<PyAny>>,
}

impl Operator {
    const fn new(name: &'static str) -> Self {
        Operator { name, function: PyOnceLock::new() }
    }

    /// The operation on `operands`, as a delayed value.
    fn on<'py>(&self, py: Python<'py>, operands: &[Bound<'py, PyAny>]) -> PyResult<Bound<'py, Delayed>> {
        let function = self.function.import(py, "operator", self.name)?;
        pure_call(py, Function::of(function), operands)
    }
}

/// A call whose key is made of what it does.
fn pure_call<'py>(
    py: Python<'py>,
    function: Arc<Function>,
    operands: &[Bound<'py, PyAny>],
) -> PyResult<Bound<'py, Delayed>> {
    let none = PyTuple::empty(py);
    let call =
        LazyCall { function, label: None, first: operands, args: &none, kwargs: None, pure: Some(true), n_out: None };
    Delayed::make(py, call.node(py)?)
}

/// The name in `operator`, its Rust name here, and the two methods of each
/// operator with two operands.
macro_rules! operators {
    ($($name:ident = $text:literal),* $(,)?) => {
        $(static $name: Operator = Operator::new($text);)*
    };
}

operators! {
    ADD = "add", SUB = "sub", MUL = "mul", TRUEDIV = "truediv", FLOORDIV = "floordiv", MOD = "mod", POW = "pow",
    LSHIFT = "lshift", RSHIFT = "rshift", AND = "and_", OR = "or_", XOR = "xor", MATMUL = "matmul", NEG = "neg",
    POS = "pos", ABS = "abs", INVERT = "invert", LT = "lt", LE = "le", EQ = "eq", NE = "ne", GT = "gt", GE = "ge",
    GETITEM = "getitem",
}

/// What operators answer.
type Made<'py> = PyResult<Bound<'py, Delayed>>;

fn infix<'py>(operator: &Operator, left: &Bound<'py, PyAny>, right: &Bound<'py, PyAny>) -> Made<'py> {
    operator.on(left.py(), &[left.clone(), right.clone()])
}

#[pymethods]
impl Delayed {
    #[new]
    #[pyo3(signature = (key, dsk, length = None, layer = None))]
    fn new(
        py: Python<'_>,
        key: &Bound<'_, PyAny>,
        dsk: &Bound<'_, PyAny>,
        length: Option<usize>,
        layer: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        // Which layer of the graph holds the key makes no difference to us.
        let _ = layer;
        let made = py.import("oxidask._graphs")?.call_method1("delayed_of_graph", (dsk, key))?;
        let made = made.cast_into::<Delayed>()?;
        let name = Some(Arc::new(Name::of(key)?));
        let node = DelayedNode { name, n_out: length, ..made.get().expr.copy(py) };
        Ok(Delayed { expr: Arc::new(node) })
    }

    /// The name of the value in graphs.
    #[getter]
    fn key<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        self.expr.key_object(py)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!("Delayed({})", self.expr.key_object(py).repr()?))
    }

    fn __hash__(&self) -> u64 {
        self.expr.key.0 as u64
    }

    fn __bool__(&self) -> PyResult<bool> {
        Err(PyTypeError::new_err(
            "the truth of a Delayed is not known before it is computed\nhint: call .compute() first",
        ))
    }

    fn __len__(&self) -> PyResult<usize> {
        self.expr.n_out.ok_or_else(|| {
            PyTypeError::new_err(
                "a Delayed of unspecified length has no len()\nhint: say how many elements it has: delayed(f, nout=2)",
            )
        })
    }

    fn __iter__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let Some(n_out) = slf.get().expr.n_out else {
            return Err(PyTypeError::new_err(
                "a Delayed of unspecified length is not iterable\nhint: say how many elements it has: delayed(f, nout=2)",
            ));
        };
        let py = slf.py();
        let elements: Vec<Bound<'py, Delayed>> = (0..n_out)
            .map(|index| infix(&GETITEM, slf.as_any(), index.into_pyobject(py)?.as_any()))
            .collect::<PyResult<_>>()?;
        Ok(PyTuple::new(py, elements)?.try_iter()?.into_any())
    }

    fn __getitem__<'py>(slf: &Bound<'py, Self>, index: &Bound<'py, PyAny>) -> Made<'py> {
        // Python stops unpacking `a, b = value` at an IndexError.
        if let (Some(n_out), Ok(position)) = (slf.get().expr.n_out, index.extract::<isize>())
            && (position >= n_out.cast_signed() || position < -n_out.cast_signed())
        {
            return Err(PyIndexError::new_err(format!(
                "index {position} is out of range for a Delayed with {n_out} elements"
            )));
        }
        infix(&GETITEM, slf.as_any(), index)
    }

    fn __setitem__(&self, _index: &Bound<'_, PyAny>, _value: &Bound<'_, PyAny>) -> PyResult<()> {
        Err(immutable())
    }

    fn __setattr__(&self, _name: &Bound<'_, PyAny>, _value: &Bound<'_, PyAny>) -> PyResult<()> {
        Err(immutable())
    }

    fn __getattr__<'py>(slf: &Bound<'py, Self>, name: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyAny>> {
        DelayedAttr::make(slf, name)
    }

    #[pyo3(signature = (*args, **kwargs))]
    fn __call__<'py>(
        slf: &Bound<'py, Self>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> Made<'py> {
        let py = slf.py();
        let call = LazyCall {
            function: own_function(py, "apply")?,
            label: Some(slf.get().expr.label.clone()),
            first: &[slf.as_any().clone()],
            args,
            kwargs,
            pure: None,
            n_out: None,
        };
        Delayed::make(py, call.node(py)?)
    }

    /// Makes it a method when it is an attribute of a class.
    fn __get__<'py>(
        slf: &Bound<'py, Self>,
        instance: &Bound<'py, PyAny>,
        owner: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let _ = owner;
        if instance.is_none() {
            return Ok(slf.as_any().clone());
        }
        slf.py().import("types")?.getattr("MethodType")?.call1((slf, instance))
    }

    fn __richcmp__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>, op: CompareOp) -> Made<'py> {
        let operator = match op {
            CompareOp::Lt => &LT,
            CompareOp::Le => &LE,
            CompareOp::Eq => &EQ,
            CompareOp::Ne => &NE,
            CompareOp::Gt => &GT,
            CompareOp::Ge => &GE,
        };
        infix(operator, slf.as_any(), other)
    }

    fn __add__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> Made<'py> {
        infix(&ADD, slf.as_any(), other)
    }

    fn __radd__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> Made<'py> {
        infix(&ADD, other, slf.as_any())
    }

    fn __sub__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> Made<'py> {
        infix(&SUB, slf.as_any(), other)
    }

    fn __rsub__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> Made<'py> {
        infix(&SUB, other, slf.as_any())
    }

    fn __mul__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> Made<'py> {
        infix(&MUL, slf.as_any(), other)
    }

    fn __rmul__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> Made<'py> {
        infix(&MUL, other, slf.as_any())
    }

    fn __truediv__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> Made<'py> {
        infix(&TRUEDIV, slf.as_any(), other)
    }

    fn __rtruediv__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> Made<'py> {
        infix(&TRUEDIV, other, slf.as_any())
    }

    fn __floordiv__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> Made<'py> {
        infix(&FLOORDIV, slf.as_any(), other)
    }

    fn __rfloordiv__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> Made<'py> {
        infix(&FLOORDIV, other, slf.as_any())
    }

    fn __mod__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> Made<'py> {
        infix(&MOD, slf.as_any(), other)
    }

    fn __rmod__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> Made<'py> {
        infix(&MOD, other, slf.as_any())
    }

    fn __lshift__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> Made<'py> {
        infix(&LSHIFT, slf.as_any(), other)
    }

    fn __rlshift__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> Made<'py> {
        infix(&LSHIFT, other, slf.as_any())
    }

    fn __rshift__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> Made<'py> {
        infix(&RSHIFT, slf.as_any(), other)
    }

    fn __rrshift__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> Made<'py> {
        infix(&RSHIFT, other, slf.as_any())
    }

    fn __and__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> Made<'py> {
        infix(&AND, slf.as_any(), other)
    }

    fn __rand__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> Made<'py> {
        infix(&AND, other, slf.as_any())
    }

    fn __or__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> Made<'py> {
        infix(&OR, slf.as_any(), other)
    }

    fn __ror__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> Made<'py> {
        infix(&OR, other, slf.as_any())
    }

    fn __xor__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> Made<'py> {
        infix(&XOR, slf.as_any(), other)
    }

    fn __rxor__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> Made<'py> {
        infix(&XOR, other, slf.as_any())
    }

    fn __matmul__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> Made<'py> {
        infix(&MATMUL, slf.as_any(), other)
    }

    fn __rmatmul__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> Made<'py> {
        infix(&MATMUL, other, slf.as_any())
    }

    fn __pow__<'py>(
        slf: &Bound<'py, Self>,
        other: &Bound<'py, PyAny>,
        modulo: Option<&Bound<'py, PyAny>>,
    ) -> Made<'py> {
        no_modulo(modulo)?;
        infix(&POW, slf.as_any(), other)
    }

    fn __rpow__<'py>(
        slf: &Bound<'py, Self>,
        other: &Bound<'py, PyAny>,
        modulo: Option<&Bound<'py, PyAny>>,
    ) -> Made<'py> {
        no_modulo(modulo)?;
        infix(&POW, other, slf.as_any())
    }

    fn __neg__<'py>(slf: &Bound<'py, Self>) -> Made<'py> {
        NEG.on(slf.py(), &[slf.as_any().clone()])
    }

    fn __pos__<'py>(slf: &Bound<'py, Self>) -> Made<'py> {
        POS.on(slf.py(), &[slf.as_any().clone()])
    }

    fn __abs__<'py>(slf: &Bound<'py, Self>) -> Made<'py> {
        ABS.on(slf.py(), &[slf.as_any().clone()])
    }

    fn __invert__<'py>(slf: &Bound<'py, Self>) -> Made<'py> {
        INVERT.on(slf.py(), &[slf.as_any().clone()])
    }

    /// The result.
    #[pyo3(signature = (**kwargs))]
    fn compute<'py>(slf: &Bound<'py, Self>, kwargs: Option<&Bound<'py, PyDict>>) -> PyResult<Bound<'py, PyAny>> {
        in_base(slf, "compute", kwargs)?.get_item(0)
    }

    /// The same value, computed or being computed and held by its executor.
    #[pyo3(signature = (**kwargs))]
    fn persist<'py>(slf: &Bound<'py, Self>, kwargs: Option<&Bound<'py, PyDict>>) -> PyResult<Bound<'py, PyAny>> {
        in_base(slf, "persist", kwargs)?.get_item(0)
    }

    /// Draws the graph; see `oxidask.visualize`.
    #[pyo3(signature = (filename = "mydask", format = None, optimize_graph = false, **kwargs))]
    fn visualize<'py>(
        slf: &Bound<'py, Self>,
        filename: Option<&str>,
        format: Option<&str>,
        optimize_graph: bool,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let kwargs = kwargs.map_or_else(|| Ok(PyDict::new(slf.py())), PyDictMethods::copy)?;
        kwargs.set_item("filename", filename)?;
        kwargs.set_item("format", format)?;
        kwargs.set_item("optimize_graph", optimize_graph)?;
        in_base(slf, "visualize", Some(&kwargs))
    }

    /// The graph as a dict of tasks, as Dask's schedulers read it.
    #[getter]
    fn dask<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyDict>> {
        graph::to_dict(slf.py(), &slf.get().expr)
    }

    fn __dask_graph__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyDict>> {
        graph::to_dict(slf.py(), &slf.get().expr)
    }

    fn __dask_keys__<'py>(&self, py: Python<'py>) -> [Bound<'py, PyAny>; 1] {
        [self.expr.key_object(py)]
    }

    /// Nothing is left to optimise for Dask's schedulers.
    #[classattr]
    fn __dask_optimize__(py: Python<'_>) -> Py<PyAny> {
        py.None()
    }

    fn __dask_layers__<'py>(&self, py: Python<'py>) -> (Bound<'py, PyAny>,) {
        (self.expr.key_object(py),)
    }

    fn __dask_tokenize__<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        self.expr.key_object(py)
    }

    fn __dask_postcompute__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let py = slf.py();
        Ok((py.import("oxidask._graphs")?.getattr("only")?, PyTuple::empty(py)))
    }

    fn __dask_postpersist__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, (Bound<'py, PyAny>,))> {
        let py = slf.py();
        let rebuild = py.import("oxidask._graphs")?.getattr("rebuild_delayed")?;
        Ok((rebuild, (slf.get().expr.key_object(py),)))
    }

    /// The scheduler that Dask uses for this collection if nothing else is set.
    #[staticmethod]
    #[pyo3(signature = (dsk, keys, **kwargs))]
    fn __dask_scheduler__<'py>(
        dsk: &Bound<'py, PyAny>,
        keys: &Bound<'py, PyAny>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        dsk.py().import("oxidask.threaded")?.getattr("get")?.call((dsk, keys), kwargs)
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyTuple>> {
        graph::reduce(slf.py(), &slf.get().expr)
    }

    fn __copy__<'py>(slf: &Bound<'py, Self>) -> Bound<'py, Self> {
        slf.clone()
    }

    fn __dir__(slf: &Bound<'_, Self>) -> PyResult<Vec<String>> {
        slf.get_type().dir()?.iter().map(|name| name.extract()).collect()
    }
}

fn no_modulo(modulo: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
    if modulo.is_some_and(|modulo| !modulo.is_none()) {
        return Err(PyTypeError::new_err("pow() of a Delayed takes no modulus"));
    }
    Ok(())
}

fn immutable() -> PyErr {
    PyTypeError::new_err("a Delayed is immutable\nhint: make the change in a function and delay its call")
}

/// A function of `oxidask.base` on a delayed value.
fn in_base<'py>(
    delayed: &Bound<'py, Delayed>,
    name: &str,
    kwargs: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    delayed.py().import("oxidask.base")?.getattr(name)?.call((delayed,), kwargs)
}

#[pymethods]
impl DelayedLeaf {
    #[pyo3(signature = (*args, **kwargs))]
    fn __call__<'py>(
        slf: &Bound<'py, Self>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> Made<'py> {
        let (py, leaf) = (slf.py(), slf.get());
        let function = leaf.function.clone();
        let call = LazyCall { function, label: None, first: &[], args, kwargs, pure: leaf.pure, n_out: leaf.n_out };
        Delayed::make(py, call.node(py)?)
    }

    #[getter]
    fn __wrapped__(&self, py: Python<'_>) -> Py<PyAny> {
        self.object.clone_ref(py)
    }

    #[getter]
    fn __name__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.object.bind(py).getattr(intern!(py, "__name__"))
    }

    #[getter]
    fn __doc__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.object.bind(py).getattr(intern!(py, "__doc__"))
    }
}

impl DelayedAttr {
    fn make<'py>(object: &Bound<'py, Delayed>, name: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyAny>> {
        let py = object.py();
        let text = name.to_cow()?;
        // Protocols ask for attributes with underscores; an answer that is not
        // theirs would mislead them.
        if text.starts_with('_') {
            return Err(PyAttributeError::new_err(format!("a Delayed has no attribute '{text}'")));
        }
        if text == "visualise" {
            let message = c"oxidask.delayed objects have no `visualise` method; did you mean `visualize`?";
            PyErr::warn(py, &py.get_type::<pyo3::exceptions::PyUserWarning>(), message, 1)?;
        }
        static GETATTR: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let function = Function::of(GETATTR.import(py, "builtins", "getattr")?);
        let none = PyTuple::empty(py);
        let operands = [object.as_any().clone(), name.as_any().clone()];
        let call = LazyCall {
            function,
            label: None,
            first: &operands,
            args: &none,
            kwargs: None,
            pure: Some(true),
            n_out: None,
        };
        let attr = DelayedAttr { object: object.clone().unbind(), name: name.clone().unbind() };
        let class = PyClassInitializer::from(Delayed { expr: call.node(py)? }).add_subclass(attr);
        Ok(Bound::new(py, class)?.into_any())
    }
}

#[pymethods]
impl DelayedAttr {
    fn __getattr__<'py>(slf: &Bound<'py, Self>, name: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyAny>> {
        // NumPy asks for `x.dtype.dtype.dtype…` until it fails.
        if name == "dtype" && slf.get().name.bind(slf.py()) == "dtype" {
            return Err(PyAttributeError::new_err("a Delayed has no attribute 'dtype'"));
        }
        DelayedAttr::make(slf.as_super(), name)
    }

    /// Calls the method.
    #[pyo3(signature = (*args, **kwargs))]
    fn __call__<'py>(
        slf: &Bound<'py, Self>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> Made<'py> {
        let (py, attr) = (slf.py(), slf.get());
        let name = attr.name.bind(py);
        let call = LazyCall {
            function: own_function(py, "call_method")?,
            label: Some(Arc::from(&*name.to_cow()?)),
            first: &[name.as_any().clone(), attr.object.bind(py).as_any().clone()],
            args,
            kwargs,
            pure: None,
            n_out: None,
        };
        Delayed::make(py, call.node(py)?)
    }
}
