//! The client of a cluster for Python; what clients share and actors are in
//! files of their own.
//!
//! `oxidask.distributed.Client` wraps a [`ClientHandle`] and documents it.

mod actor;
mod profiler;
mod questions;
pub mod setups;
mod shared;
mod watch;

use crate::base::{Lazy, graph_of, wish_now};
use crate::call::{self, Function};
use crate::calls::{CALLS_PER_OP, Calls, Kwargs, pickled_args};
use crate::delayed::key::{random_key, token};
use crate::delayed::{LazyCall, Name, current_annotations};
use crate::error::OrRaise;
use crate::executor::{self, check_signals};
use crate::future::{FutureHandle, deadline_of};
use crate::persist::lowering_for;
use crate::template::{Arg, Builder};
use crate::value::{from_value, to_value};
use actor::Reply;
use oxidask_cluster::agent::Membership;
use oxidask_cluster::{Client, ClientOptions, Secret, Security};
use oxidask_core::{Executor, ExprRef, Graph, Input, Key, KeyHasher, Stage, Value};
use oxidask_exec::lend_slot;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple, PyType};
use questions::Questions;
use shared::Shared;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Adds this file's classes and functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<ClientHandle>()?;
    module.add_function(wrap_pyfunction!(membership, module)?)?;
    module.add_function(wrap_pyfunction!(key_of_name, module)?)?;
    module.add_function(wrap_pyfunction!(secede, module)?)?;
    module.add_function(wrap_pyfunction!(rejoin, module)?)?;
    module.add_function(wrap_pyfunction!(temporary_security, module)?)?;
    questions::register(module)?;
    shared::register(module)?;
    watch::register(module)?;
    actor::register(module)
}

/// The worker whose task the calling thread runs, as JSON; none outside tasks.
#[pyfunction]
fn membership() -> Option<String> {
    Membership::current().and_then(|membership| serde_json::to_string(&*membership).ok())
}

/// The key in the engine of a result that its user named so, as hexadecimal
/// digits.
#[pyfunction]
fn key_of_name(name: &str) -> String {
    Key::named(name).to_string()
}

/// Gives the slot of the running task to others until it ends; whether a task
/// runs on this thread.
#[pyfunction]
fn secede(py: Python<'_>) -> bool {
    py.detach(oxidask_exec::secede)
}

/// Takes the slot again that `secede` gave away.
#[pyfunction]
fn rejoin(py: Python<'_>) -> bool {
    py.detach(oxidask_exec::rejoin)
}

/// A fresh authority and a certificate that it signed, as JSON.
#[pyfunction]
fn temporary_security() -> PyResult<String> {
    let security = Security::temporary().or_raise()?;
    serde_json::to_string(&security).map_err(|cause| pyo3::exceptions::PyRuntimeError::new_err(cause.to_string()))
}

/// Certificates as Python hands them over: JSON.
fn security_of(json: Option<&str>) -> PyResult<Security> {
    let Some(json) = json else { return Ok(Security::default()) };
    serde_json::from_str(json).map_err(|cause| pyo3::exceptions::PyValueError::new_err(cause.to_string()))
}

/// A connection to a cluster.
#[pyclass(frozen, weakref, module = "oxidask._oxidask")]
pub struct ClientHandle {
    client: Client,
    /// The same client, as what runs graphs; its address is its identity.
    executor: Arc<dyn Executor>,
    wrapped: Py<executor::Executor>,
}

type Futures<'py> = Vec<Bound<'py, FutureHandle>>;

impl ClientHandle {
    /// Submits the lazy things and answers a future for each.
    fn submit_all<'py>(&self, py: Python<'py>, lazy: &[Lazy], optimize_graph: bool) -> PyResult<Futures<'py>> {
        let lower = || lowering_for(&self.executor, || graph_of(lazy, optimize_graph));
        let (mut graph, _) = py.detach(lower).or_raise()?;
        wish_now(py, &mut graph)?;
        let names: Vec<Option<Arc<str>>> =
            graph.outputs.iter().map(|output| graph.user_name(output.task).cloned()).collect();
        let futures = py.detach(|| self.executor.submit(graph)).or_raise()?;
        let labels = lazy.iter().map(|lazy| Arc::from(&*lazy.expr.label()));
        futures
            .into_iter()
            .zip(labels)
            .zip(names)
            .map(|((future, label), name)| {
                Bound::new(py, FutureHandle::new(future, label, name, self.executor.clone()))
            })
            .collect()
    }
}

/// The key of a pure call, the same for `submit` and `map`.
fn pure_key(function: Key, args: &[Bound<'_, PyAny>], kwargs: Option<&Bound<'_, PyDict>>) -> PyResult<Key> {
    let mut hasher = KeyHasher::new("python.submit").key(function).u64(args.len() as u64);
    for arg in args {
        hasher = token(hasher, arg)?;
    }
    for (name, arg) in kwargs.into_iter().flat_map(|kwargs| kwargs.iter()) {
        hasher = token(token(hasher, &name)?, &arg)?;
    }
    Ok(hasher.finish())
}

/// The key of a function: that of its pickled form, which is needed anyway.
fn function_key(py: Python<'_>, function: &Arc<Function>) -> PyResult<Key> {
    Ok(function.blob(py).or_raise()?.key)
}

/// Whether there is something lazy in an argument.
fn is_lazy(object: &Bound<'_, PyAny>) -> PyResult<bool> {
    let mut lazy = Vec::new();
    let mut builder = Builder::new(&mut lazy, true);
    Ok(!matches!(builder.arg(object)?, Arg::Literal(_)))
}

/// What a call that stands alone needs.
struct Call<'a, 'py> {
    function: &'a Arc<Function>,
    function_key: Option<Key>,
    args: &'a Bound<'py, PyTuple>,
    kwargs: Option<&'a Bound<'py, PyDict>>,
    name: Option<&'a str>,
}

impl<'py> Call<'_, 'py> {
    fn key(&self) -> PyResult<Key> {
        match (self.name, self.function_key) {
            (Some(name), _) => Ok(Key::named(name)),
            (None, Some(function)) => {
                let args: Vec<Bound<'py, PyAny>> = self.args.iter().collect();
                pure_key(function, &args, self.kwargs)
            }
            (None, None) => Ok(random_key()),
        }
    }

    /// The call as an expression of its own.
    fn lazy(&self, py: Python<'py>) -> PyResult<Lazy> {
        let node = LazyCall {
            function: self.function.clone(),
            label: None,
            first: &[],
            args: self.args,
            kwargs: self.kwargs,
            pure: Some(false),
            n_out: None,
        };
        let mut node = node.node(py)?.copy(py);
        node.key = self.key()?;
        node.name = self.name.map(|text| Arc::new(Name::text(text)));
        let expr: ExprRef = Arc::new(node);
        Ok(Lazy { expr, collection: None })
    }
}

#[pymethods]
impl ClientHandle {
    #[new]
    #[pyo3(signature = (address, secret, name, timeout, security = None))]
    fn new(
        py: Python<'_>,
        address: &str,
        secret: &str,
        name: String,
        timeout: f64,
        security: Option<&str>,
    ) -> PyResult<Self> {
        let security = security_of(security)?;
        let options = ClientOptions {
            name,
            security,
            timeout: Duration::try_from_secs_f64(timeout)
                .map_err(|_| pyo3::exceptions::PyValueError::new_err("the timeout is no length of time"))?,
            ..ClientOptions::new(address.parse().or_raise()?, Secret::from_hex(secret).or_raise()?)
        };
        let client = py.detach(|| Client::connect(options)).or_raise()?;
        let executor: Arc<dyn Executor> = Arc::new(client.clone());
        let wrapped = Py::new(py, executor::Executor::new(executor.clone()))?;
        Ok(ClientHandle { client, executor, wrapped })
    }

    /// What runs graphs on the cluster.
    #[getter]
    fn executor(&self, py: Python<'_>) -> Py<executor::Executor> {
        self.wrapped.clone_ref(py)
    }

    /// What this client may ask about the cluster.
    #[getter]
    fn questions(&self) -> Questions {
        Questions::new(self.client.clone())
    }

    /// What this client shares with others.
    #[getter]
    fn shared(&self) -> Shared {
        Shared::new(self.client.clone())
    }

    /// Calls the actor of this name that lives behind the mailbox at `address`.
    fn call_actor(&self, py: Python<'_>, address: &str, name: &str, body: &Bound<'_, PyAny>) -> PyResult<Reply> {
        Reply::of_call(py, &self.client, address, name, body)
    }

    /// Futures for results that others made: key in the engine, label, and the
    /// name that their user chose.
    fn want<'py>(&self, py: Python<'py>, wanted: Vec<(String, String, Option<String>)>) -> PyResult<Futures<'py>> {
        let keys = wanted.iter().map(|(key, ..)| key_of(key)).collect::<PyResult<Vec<Key>>>()?;
        let futures = py.detach(|| self.client.want(&keys)).or_raise()?;
        futures
            .into_iter()
            .zip(wanted)
            .map(|(future, (_, label, name))| {
                let name = name.map(Arc::from);
                Bound::new(py, FutureHandle::new(future, Arc::from(label), name, self.executor.clone()))
            })
            .collect()
    }

    /// Futures for results that users named so.
    fn want_named<'py>(&self, py: Python<'py>, names: Vec<String>) -> PyResult<Futures<'py>> {
        let wanted = names.into_iter().map(|name| (Key::named(&name).to_string(), name.clone(), Some(name)));
        self.want(py, wanted.collect())
    }

    #[getter]
    fn is_open(&self) -> bool {
        self.client.is_open()
    }

    /// Whether a future is one of this client's.
    fn owns(&self, future: &FutureHandle) -> bool {
        future.is_of(&self.executor)
    }

    /// Submits one call.
    #[pyo3(signature = (function, args, kwargs, pure, key))]
    fn submit<'py>(
        &self,
        function: &Bound<'py, PyAny>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
        pure: bool,
        key: Option<&str>,
    ) -> PyResult<Bound<'py, FutureHandle>> {
        let py = function.py();
        call::new_round();
        let function = Function::of(function);
        let function_key = if pure && key.is_none() { Some(function_key(py, &function)?) } else { None };
        let lazy = Call { function: &function, function_key, args, kwargs, name: key }.lazy(py)?;
        let mut futures = self.submit_all(py, &[lazy], false)?;
        futures.pop().ok_or_else(|| pyo3::exceptions::PyRuntimeError::new_err("a call had no future"))
    }

    /// Submits many calls of one function; `keys` names each if given.
    #[pyo3(signature = (function, calls, kwargs, pure, keys))]
    fn map<'py>(
        &self,
        function: &Bound<'py, PyAny>,
        calls: Vec<Bound<'py, PyTuple>>,
        kwargs: Option<&Bound<'py, PyDict>>,
        pure: bool,
        keys: Option<Vec<String>>,
    ) -> PyResult<Futures<'py>> {
        let py = function.py();
        call::new_round();
        let function = Function::of(function);
        let function_key = if pure && keys.is_none() { Some(function_key(py, &function)?) } else { None };
        let kwargs_are_plain = match kwargs {
            Some(kwargs) => !is_lazy(kwargs.as_any())?,
            None => true,
        };
        let shared = kwargs.filter(|_| kwargs_are_plain).map(|kwargs| Kwargs::new(py, kwargs)).transpose()?;
        // Plain calls share ops; those with lazy or large arguments stand alone.
        let mut plain: Vec<(usize, Key, bytes::Bytes)> = Vec::with_capacity(calls.len());
        let mut alone: Vec<(usize, Lazy)> = Vec::new();
        for (idx, args) in calls.iter().enumerate() {
            let name = keys.as_ref().and_then(|keys| keys.get(idx)).map(String::as_str);
            let call = Call { function: &function, function_key, args, kwargs, name };
            let is_plain = kwargs_are_plain && !is_lazy(args.as_any())?;
            match pickled_args(args).filter(|_| is_plain) {
                Some(pickled) => plain.push((idx, call.key()?, pickled)),
                None => alone.push((idx, call.lazy(py)?)),
            }
        }
        let mut futures: Vec<Option<Bound<'py, FutureHandle>>> = (0..calls.len()).map(|_| None).collect();
        let (graph, places) = plain_graph(py, &function, shared.as_ref(), plain, keys.as_deref())?;
        let submitted = py.detach(|| self.executor.submit(graph)).or_raise()?;
        for (idx, future) in places.into_iter().zip(submitted) {
            let name = keys.as_ref().and_then(|keys| keys.get(idx)).map(|name| Arc::from(name.as_str()));
            let handle = FutureHandle::new(future, function.label().clone(), name, self.executor.clone());
            futures[idx] = Some(Bound::new(py, handle)?);
        }
        if !alone.is_empty() {
            let lazy: Vec<Lazy> = alone.iter().map(|(_, lazy)| lazy.clone()).collect();
            for ((idx, _), future) in alone.iter().zip(self.submit_all(py, &lazy, false)?) {
                futures[*idx] = Some(future);
            }
        }
        Ok(futures.into_iter().flatten().collect())
    }

    /// Starts to compute collections; answers a future for each.
    fn compute<'py>(
        &self,
        py: Python<'py>,
        exprs: Vec<Bound<'py, crate::base::PyExpr>>,
        optimize_graph: bool,
    ) -> PyResult<Futures<'py>> {
        call::new_round();
        let lazy = exprs
            .iter()
            .map(|expr| Ok(Lazy { expr: expr.get().0.whole()?, collection: None }))
            .collect::<oxidask_core::Result<Vec<_>>>()
            .or_raise()?;
        self.submit_all(py, &lazy, optimize_graph)
    }

    /// The results of futures, in order.
    fn gather<'py>(&self, py: Python<'py>, futures: Futures<'py>) -> PyResult<Bound<'py, PyList>> {
        let keys: Vec<Key> = futures.iter().map(|future| future.get().engine_key()).collect();
        let is_pending = futures.iter().any(|future| future.get().is_pending());
        let gathering = || self.client.gather(&keys, &check_signals);
        let values = py.detach(|| if is_pending { lend_slot(gathering) } else { gathering() }).or_raise()?;
        let objects: Vec<Py<PyAny>> = values.iter().map(|value| from_value(py, value)).collect::<PyResult<_>>()?;
        PyList::new(py, objects)
    }

    /// The type of a future's result, if that is in this process already.
    fn type_of<'py>(&self, py: Python<'py>, future: &Bound<'py, FutureHandle>) -> PyResult<Option<Bound<'py, PyType>>> {
        let Some(value) = self.client.peek(future.get().engine_key()) else { return Ok(None) };
        let value = oxidask_exec::decoded(value).or_raise()?;
        Ok(Some(from_value(py, &value)?.bind(py).get_type()))
    }

    /// Waits until all futures are done, or with `first` until one is; whether
    /// that is so after `timeout` seconds.
    fn wait(&self, py: Python<'_>, futures: Futures<'_>, first: bool, timeout: Option<f64>) -> PyResult<bool> {
        let keys: Vec<Key> = futures.iter().map(|future| future.get().engine_key()).collect();
        let timeout = deadline_of(timeout)?.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        py.detach(|| lend_slot(|| self.client.wait(&keys, first, timeout, &check_signals))).or_raise()
    }

    /// Sends objects to workers; answers a future for each.
    fn scatter<'py>(
        &self,
        py: Python<'py>,
        objects: Vec<Bound<'py, PyAny>>,
        workers: Vec<String>,
        broadcast: bool,
        hash: bool,
    ) -> PyResult<Futures<'py>> {
        let mut values: Vec<(Key, Value)> = Vec::with_capacity(objects.len());
        let mut labels: Vec<Arc<str>> = Vec::with_capacity(objects.len());
        for object in objects {
            let key = if hash { token(KeyHasher::new("python.scatter"), &object)?.finish() } else { random_key() };
            labels.push(Arc::from(object.get_type().name()?.to_string()));
            values.push((key, to_value(object)));
        }
        let futures = py.detach(|| self.client.scatter(&values, &workers, broadcast)).or_raise()?;
        futures
            .into_iter()
            .zip(labels)
            .map(|(future, label)| Bound::new(py, FutureHandle::new(future, label, None, self.executor.clone())))
            .collect()
    }

    fn cancel(&self, py: Python<'_>, futures: Futures<'_>, force: bool) {
        let keys: Vec<Key> = futures.iter().map(|future| future.get().engine_key()).collect();
        py.detach(|| self.client.cancel(&keys, force));
    }

    fn retry(&self, py: Python<'_>, futures: Futures<'_>) -> PyResult<()> {
        let keys: Vec<Key> = futures.iter().map(|future| future.get().engine_key()).collect();
        py.detach(|| self.client.retry(&keys)).or_raise()
    }

    fn wait_for_workers(&self, py: Python<'_>, n_workers: usize, timeout: Option<f64>) -> PyResult<bool> {
        let timeout = deadline_of(timeout)?.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        py.detach(|| self.client.wait_for_workers(n_workers, timeout, &check_signals)).or_raise()
    }

    fn shutdown(&self) {
        self.client.shutdown();
    }

    fn close(&self, py: Python<'_>) {
        py.detach(|| self.client.close());
    }
}

/// A key from its hexadecimal digits.
fn key_of(digits: &str) -> PyResult<Key> {
    u128::from_str_radix(digits, 16)
        .map(Key)
        .map_err(|_| pyo3::exceptions::PyValueError::new_err(format!("'{digits}' is not a key")))
}

/// The graph of calls that share ops, and which call each output is.
fn plain_graph(
    py: Python<'_>,
    function: &Arc<Function>,
    kwargs: Option<&Kwargs>,
    plain: Vec<(usize, Key, bytes::Bytes)>,
    names: Option<&[String]>,
) -> PyResult<(Graph, Vec<usize>)> {
    let annotations = current_annotations(py)?;
    let mut graph = Graph::new();
    let mut places = Vec::with_capacity(plain.len());
    for chunk in plain.chunks(CALLS_PER_OP) {
        let args = chunk.iter().map(|(_, _, args)| args.clone()).collect();
        let stage = graph.stage_with(Stage {
            op: Arc::new(Calls::new(function.clone(), kwargs.cloned(), args)),
            label: function.label().clone(),
            annotations: annotations.clone(),
        });
        for (block, (idx, key, _)) in chunk.iter().enumerate() {
            let task = graph.task(*key, stage, block as u32, &[]);
            if let Some(name) = names.and_then(|names| names.get(*idx)) {
                graph.name(task, Arc::from(name.as_str()));
            }
            graph.outputs.push(Input::whole(task));
            places.push(*idx);
        }
    }
    Ok((graph, places))
}
