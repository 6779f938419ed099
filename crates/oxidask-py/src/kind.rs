//! What instances of a Python class may be to us.
//!
//! Looking up an attribute that is not there costs more than making a task, and
//! is asked for every argument; so the answer is kept for each class.

use hashbrown::HashMap;
use parking_lot::Mutex;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyTuple, PyType};
use std::sync::LazyLock;

/// What instances of a class may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing that we look into.
    Plain,
    /// A collection of ours: it answers `__oxidask_expr__`.
    Collection,
    /// A collection of another library: it answers `__dask_graph__`.
    Foreign,
    /// A dataclass.
    Dataclass,
    /// A named tuple.
    NamedTuple,
}

/// The class, which stays alive, and its kind.
type KindRow = (Py<PyType>, Kind);

/// Kinds by the address of the class, which the entry keeps alive.
static KINDS: LazyLock<Mutex<HashMap<usize, KindRow>>> = LazyLock::new(Mutex::default);

/// How many classes are remembered; programs that make more start over.
const KINDS_MAX: usize = 4096;

/// The kind of a class.
///
/// # Errors
/// If a metaclass raises.
pub fn kind_of(class: &Bound<'_, PyType>) -> PyResult<Kind> {
    let address = class.as_ptr() as usize;
    if let Some((_, kind)) = KINDS.lock().get(&address) {
        return Ok(*kind);
    }
    let py = class.py();
    let kind = if class.getattr_opt(intern!(py, "__oxidask_expr__"))?.is_some() {
        Kind::Collection
    } else if class.getattr_opt(intern!(py, "__dask_graph__"))?.is_some() {
        Kind::Foreign
    } else if class.getattr_opt(intern!(py, "__dataclass_fields__"))?.is_some() {
        Kind::Dataclass
    } else if class.is_subclass_of::<PyTuple>()? && class.getattr_opt(intern!(py, "_fields"))?.is_some() {
        Kind::NamedTuple
    } else {
        Kind::Plain
    };
    let mut kinds = KINDS.lock();
    let old = if kinds.len() >= KINDS_MAX { std::mem::take(&mut *kinds) } else { HashMap::new() };
    kinds.insert(address, (class.clone().unbind(), kind));
    drop(kinds);
    // Dropping the last reference to a class runs Python code.
    drop(old);
    Ok(kind)
}
