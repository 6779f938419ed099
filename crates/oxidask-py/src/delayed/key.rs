//! Names of delayed values.
//!
//! A call is impure unless its user says otherwise: its key is drawn at random,
//! so that two calls are two values. The key of a pure call is a hash of the
//! function and its arguments.

use super::class::Delayed;
use oxidask_core::{Key, KeyHasher};
use parking_lot::RwLock;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyString, PyTuple};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Whether calls are pure where the user did not say (`delayed_pure`).
static PURE_BY_DEFAULT: AtomicBool = AtomicBool::new(false);

/// Sets whether calls are pure where the user did not say.
#[pyfunction]
pub fn set_pure_by_default(pure: bool) {
    PURE_BY_DEFAULT.store(pure, Ordering::Relaxed);
}

/// Whether a call is pure, given what its user said.
pub fn is_pure(pure: Option<bool>) -> bool {
    pure.unwrap_or_else(|| PURE_BY_DEFAULT.load(Ordering::Relaxed))
}

static SEED: LazyLock<RwLock<Key>> = LazyLock::new(|| RwLock::new(random_seed()));
static DRAWN: AtomicU64 = AtomicU64::new(0);

fn random_seed() -> Key {
    let mut bytes = [0; 16];
    // Without the system's randomness, the process number and the time still
    // keep processes apart.
    if getrandom::fill(&mut bytes).is_err() {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        return KeyHasher::new("seed").u64(std::process::id().into()).params(&now.as_nanos()).finish();
    }
    Key(u128::from_le_bytes(bytes))
}

/// A key that no other call of any process has.
pub fn random_key() -> Key {
    SEED.read().block(DRAWN.fetch_add(1, Ordering::Relaxed))
}

/// Draws a new seed; a forked child calls it, which else would repeat the keys
/// of its parent, and free states of its threads that Python has freed already.
#[pyfunction]
pub fn reseed_keys() {
    *SEED.write() = random_seed();
    crate::call::forget_ended_threads();
}

/// The key of a pure call.
///
/// # Errors
/// If an argument cannot be hashed and the user asked for that to be an error.
pub fn call_key(
    function: &Bound<'_, PyAny>,
    args: &[Bound<'_, PyAny>],
    kwargs: Option<&Bound<'_, PyDict>>,
) -> PyResult<Key> {
    let mut hasher = token(KeyHasher::new("python.call"), function)?.u64(args.len() as u64);
    for arg in args {
        hasher = token(hasher, arg)?;
    }
    if let Some(kwargs) = kwargs {
        for (name, arg) in kwargs.iter() {
            hasher = token(token(hasher, &name)?, &arg)?;
        }
    }
    Ok(hasher.finish())
}

/// The key of a pure object.
///
/// # Errors
/// See [`call_key`].
pub fn object_key(object: &Bound<'_, PyAny>, n_out: Option<usize>) -> PyResult<Key> {
    let n_out = n_out.map_or(0, |n_out| n_out as u64 + 1);
    Ok(token(KeyHasher::new("python.object"), object)?.u64(n_out).finish())
}

/// Adds an object to a hash, with a mark of its type.
///
/// # Errors
/// See [`call_key`].
pub fn token(hasher: KeyHasher, object: &Bound<'_, PyAny>) -> PyResult<KeyHasher> {
    static TOKENIZE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    if let Ok(delayed) = object.cast::<Delayed>() {
        return Ok(hasher.u64(1).key(delayed.get().expr().key));
    }
    if object.is_none() {
        return Ok(hasher.u64(2));
    }
    if let Ok(flag) = object.cast_exact::<PyBool>() {
        return Ok(hasher.u64(3).u64(u64::from(flag.is_true())));
    }
    if let Ok(number) = object.cast_exact::<PyInt>()
        && let Ok(number) = number.extract::<i64>()
    {
        return Ok(hasher.u64(4).u64(number as u64));
    }
    if let Ok(number) = object.cast_exact::<PyFloat>() {
        return Ok(hasher.u64(5).u64(number.extract::<f64>()?.to_bits()));
    }
    if let Ok(text) = object.cast_exact::<PyString>() {
        return Ok(hasher.u64(6).bytes(text.to_string_lossy().as_bytes()));
    }
    let py = object.py();
    let text: String = TOKENIZE.import(py, "oxidask.tokenize", "tokenize")?.call1((object,))?.extract()?;
    Ok(hasher.u64(7).bytes(text.as_bytes()))
}

/// The arguments of a call as a slice.
pub fn args_of<'py>(args: &Bound<'py, PyTuple>) -> smallvec::SmallVec<[Bound<'py, PyAny>; 4]> {
    args.iter().collect()
}
