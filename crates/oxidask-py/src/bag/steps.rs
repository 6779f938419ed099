//! Work on partitions that no function of Python's own does at C speed.
//!
//! Each function answers exactly what the plain Python loop would.

use oxidask_core::KeyHasher;
use oxidask_io::record;
use pyo3::exceptions::{PyIndexError, PyKeyError, PyTypeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyFloat, PyFrozenSet, PyInt, PyList, PyString, PyTuple};

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(bag_cut, module)?)?;
    module.add_function(wrap_pyfunction!(bag_flatten, module)?)?;
    module.add_function(wrap_pyfunction!(bag_pluck, module)?)?;
    module.add_function(wrap_pyfunction!(bag_fold, module)?)?;
    module.add_function(wrap_pyfunction!(bag_accumulate, module)?)?;
    module.add_function(wrap_pyfunction!(bag_fold_by, module)?)?;
    module.add_function(wrap_pyfunction!(bag_merge_by, module)?)?;
    module.add_function(wrap_pyfunction!(bag_merge_shards, module)?)?;
    module.add_function(wrap_pyfunction!(bag_join_shards, module)?)?;
    module.add_function(wrap_pyfunction!(bag_scatter, module)?)?;
    module.add_function(wrap_pyfunction!(bag_group, module)?)?;
    module.add_function(wrap_pyfunction!(bag_join, module)?)
}

/// Cuts a partition into `n` lists of equal length, or nearly so.
#[pyfunction]
fn bag_cut<'py>(partition: &Bound<'py, PyAny>, n: usize) -> PyResult<Bound<'py, PyList>> {
    let py = partition.py();
    let list = as_list(partition)?;
    let cut = |piece: usize| piece * list.len() / n;
    PyList::new(py, (0..n).map(|piece| list.get_slice(cut(piece), cut(piece + 1))))
}

fn as_list<'py>(partition: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyList>> {
    match partition.cast::<PyList>() {
        Ok(list) => Ok(list.clone()),
        Err(_) => Ok(partition.py().get_type::<PyList>().call1((partition,))?.cast_into()?),
    }
}

/// Up to `limit` symbols of an object's repr.
fn short(object: &Bound<'_, PyAny>) -> String {
    const LIMIT: usize = 80;
    let text = object.repr().map_or_else(|_| "…".to_owned(), |text| text.to_string());
    if text.chars().count() <= LIMIT {
        return text;
    }
    text.chars().take(LIMIT).chain("…".chars()).collect()
}

/// The elements of the elements.
#[pyfunction]
fn bag_flatten<'py>(partition: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyList>> {
    let all = PyList::empty(partition.py());
    for (position, element) in partition.try_iter()?.enumerate() {
        let element = element?;
        let elements = element.try_iter().map_err(|error| {
            if !error.is_instance_of::<PyTypeError>(partition.py()) {
                return error;
            }
            let kind = element.get_type().name().map_or_else(|_| "object".to_owned(), |name| name.to_string());
            PyTypeError::new_err(format!(
                "flatten: an element is of type '{kind}' and cannot be iterated: {} at position {position} of its \
                 partition\nhint: every element must be a list or another iterable",
                short(&element)
            ))
        })?;
        for inner in elements {
            all.append(inner?)?;
        }
    }
    Ok(all)
}

/// `element[key]` of each element, or `default` where there is none; a list of
/// keys makes tuples.
#[pyfunction]
fn bag_pluck<'py>(
    partition: &Bound<'py, PyAny>,
    key: &Bound<'py, PyAny>,
    default: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyList>> {
    let py = partition.py();
    let keys: Option<Vec<Bound<'py, PyAny>>> = key.cast::<PyList>().ok().map(|keys| keys.iter().collect());
    let pluck = |element: &Bound<'py, PyAny>, key: &Bound<'py, PyAny>| -> PyResult<Bound<'py, PyAny>> {
        if let Ok(dict) = element.cast_exact::<PyDict>() {
            return Ok(dict.get_item(key)?.unwrap_or_else(|| default.clone()));
        }
        match element.get_item(key) {
            Err(error) if is_absent(py, &error) => Ok(default.clone()),
            other => other,
        }
    };
    let plucked = PyList::empty(py);
    for element in partition.try_iter()? {
        let element = element?;
        match &keys {
            None => plucked.append(pluck(&element, key)?)?,
            Some(keys) => {
                let all: Vec<_> = keys.iter().map(|key| pluck(&element, key)).collect::<PyResult<_>>()?;
                plucked.append(PyTuple::new(py, all)?)?;
            }
        }
    }
    Ok(plucked)
}

fn is_absent(py: Python<'_>, error: &PyErr) -> bool {
    error.is_instance_of::<PyKeyError>(py) || error.is_instance_of::<PyIndexError>(py)
}

/// What `binop` makes of two values. If it raises, the error says of which.
fn combined<'py>(
    binop: &Bound<'py, PyAny>,
    left: &Bound<'py, PyAny>,
    right: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    binop.call1((left, right)).inspect_err(|error| {
        let note = format!("while combining {} with {}", short(left), short(right));
        // Exceptions that take no notes are raised as they are.
        let _ = error.value(binop.py()).call_method1(intern!(binop.py(), "add_note"), (note,));
    })
}

/// Reduces elements with a function of two values, from the only one in `start`,
/// or the first element if that is empty.
#[pyfunction]
fn bag_fold<'py>(
    binop: &Bound<'py, PyAny>,
    start: &Bound<'py, PyTuple>,
    elements: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let mut total = start.iter().next();
    for element in elements.try_iter()? {
        let element = element?;
        total = Some(match total {
            Some(total) => combined(binop, &total, &element)?,
            None => element,
        });
    }
    total.ok_or_else(|| {
        PyTypeError::new_err("fold: there are neither elements nor an initial value\nhint: pass initial=")
    })
}

/// All results of reducing elements one after another, that of `start` among
/// them if it has one.
#[pyfunction]
fn bag_accumulate<'py>(
    binop: &Bound<'py, PyAny>,
    start: &Bound<'py, PyTuple>,
    elements: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyList>> {
    let results = PyList::new(binop.py(), start)?;
    let mut total = start.iter().next();
    for element in elements.try_iter()? {
        let element = element?;
        let next = match total {
            Some(total) => combined(binop, &total, &element)?,
            None => element,
        };
        results.append(&next)?;
        total = Some(next);
    }
    Ok(results)
}

/// Folds the elements of each key: `binop(so far, element)`, from `initial` if
/// that is a tuple of one value, from the first element if it is none.
#[pyfunction]
fn bag_fold_by<'py>(
    key: &Bound<'py, PyAny>,
    binop: &Bound<'py, PyAny>,
    initial: Option<(Bound<'py, PyAny>,)>,
    partition: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyDict>> {
    let folded = PyDict::new(partition.py());
    for element in partition.try_iter()? {
        let element = element?;
        let group = key.call1((&element,))?;
        let total = match (folded.get_item(&group)?, &initial) {
            (Some(total), _) => combined(binop, &total, &element)?,
            (None, Some((initial,))) => combined(binop, initial, &element)?,
            (None, None) => element,
        };
        folded.set_item(group, total)?;
    }
    Ok(folded)
}

/// Merges the dicts of [`bag_fold_by`]: `combine(total, total)`.
#[pyfunction]
fn bag_merge_by<'py>(
    combine: &Bound<'py, PyAny>,
    initial: Option<(Bound<'py, PyAny>,)>,
    parts: Vec<Bound<'py, PyDict>>,
    py: Python<'py>,
) -> PyResult<Bound<'py, PyDict>> {
    let merged = PyDict::new(py);
    for part in parts {
        for (group, value) in part.iter() {
            let total = match (merged.get_item(&group)?, &initial) {
                (Some(total), _) => combined(combine, &total, &value)?,
                (None, Some((initial,))) => combined(combine, initial, &value)?,
                (None, None) => value,
            };
            merged.set_item(group, total)?;
        }
    }
    Ok(merged)
}

/// As [`bag_merge_by`], for shards: dicts of pairs of a key's rank and its value.
/// Shards come in the order of partitions, so that the first rank is the least.
#[pyfunction]
fn bag_merge_shards<'py>(
    combine: &Bound<'py, PyAny>,
    initial: Option<(Bound<'py, PyAny>,)>,
    shards: Vec<Bound<'py, PyDict>>,
    py: Python<'py>,
) -> PyResult<Bound<'py, PyDict>> {
    type Ranked<'py> = (Bound<'py, PyAny>, Bound<'py, PyAny>);
    let merged = PyDict::new(py);
    for shard in shards {
        for (group, ranked) in shard.iter() {
            let (rank, value): Ranked<'py> = ranked.extract()?;
            let (rank, total) = match (merged.get_item(&group)?, &initial) {
                (Some(before), _) => {
                    let (rank, before): Ranked<'py> = before.extract()?;
                    (rank, combined(combine, &before, &value)?)
                }
                (None, Some((initial,))) => (rank, combined(combine, initial, &value)?),
                (None, None) => (rank, value),
            };
            merged.set_item(group, (rank, total))?;
        }
    }
    Ok(merged)
}

/// Values by key from shards of different keys, in the order of their ranks.
#[pyfunction]
fn bag_join_shards<'py>(shards: Vec<Bound<'py, PyDict>>, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
    let mut items = Vec::with_capacity(shards.iter().map(PyDictMethods::len).sum());
    for (group, ranked) in shards.iter().flatten() {
        let (rank, value): (u64, Bound<'py, PyAny>) = ranked.extract()?;
        items.push((rank, group, value));
    }
    items.sort_unstable_by_key(|(rank, ..)| *rank);
    let joined = PyDict::new(py);
    items.into_iter().try_for_each(|(_, group, value)| joined.set_item(group, value))?;
    Ok(joined)
}

/// Puts each element into the piece, of `n`, that the hash of its key says.
#[pyfunction]
fn bag_scatter<'py>(key: &Bound<'py, PyAny>, n: usize, partition: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyList>> {
    let py = partition.py();
    let pieces: Vec<Bound<'py, PyList>> = (0..n).map(|_| PyList::empty(py)).collect();
    for element in partition.try_iter()? {
        let element = element?;
        let hash = hash_of(&key.call1((&element,))?)?;
        pieces[record::piece_of(hash, n)].append(element)?;
    }
    PyList::new(py, pieces)
}

/// A hash that is the same in all processes, for equal objects, and for native
/// elements.
fn hash_of(object: &Bound<'_, PyAny>) -> PyResult<u64> {
    static PICKLE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    if let Some(hash) = settled_hash(object)? {
        return Ok(hash);
    }
    if let Ok(tuple) = object.cast::<PyTuple>() {
        return record::hash_all(tuple.iter().map(|element| hash_of(&element)));
    }
    if let Ok(set) = object.cast::<PyFrozenSet>() {
        return set.iter().try_fold(0, |hash: u64, element| Ok(hash.wrapping_add(hash_of(&element)?)));
    }
    let stream = PICKLE.import(object.py(), "pickle", "dumps")?.call1((object, 5))?;
    Ok(digest("object", stream.cast::<PyBytes>()?.as_bytes()))
}

fn digest(kind: &str, bytes: &[u8]) -> u64 {
    KeyHasher::new(kind).bytes(bytes).finish().0 as u64
}

/// As [`hash_of`], for text, None, numbers, bytes and tuples of these: whether
/// others are equal is up to their types, and Python draws the hashes of text, and
/// of what is made of it, anew for each process.
///
/// # Errors
/// `TypeError` for what cannot be hashed.
pub fn settled_hash(object: &Bound<'_, PyAny>) -> PyResult<Option<u64>> {
    static NUMBER: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = object.py();
    if let Ok(text) = object.cast::<PyString>() {
        return Ok(Some(record::hash_text(&text.to_string_lossy())));
    }
    if object.is_none() {
        return Ok(Some(0));
    }
    // Raises for what cannot be hashed, and is that of the value for numbers.
    let own = object.hash()?;
    let is_number = object.is_instance_of::<PyInt>()
        || object.is_instance_of::<PyFloat>()
        || object.is_instance(NUMBER.import(py, "numbers", "Number")?)?
        // NumPy's bools and dates are no numbers and hash as such.
        || object.get_type().module().is_ok_and(|module| module == "numpy");
    if is_number {
        return Ok(Some(record::hash_number(own as i64)));
    }
    if let Ok(bytes) = object.cast::<PyBytes>() {
        return Ok(Some(digest("bytes", bytes.as_bytes())));
    }
    let Ok(tuple) = object.cast::<PyTuple>() else { return Ok(None) };
    let hashes: Option<Vec<u64>> = tuple
        .iter()
        .map(|element| settled_hash(&element).transpose())
        .map(Option::transpose)
        .collect::<PyResult<_>>()?;
    hashes.map(|hashes| record::hash_all(hashes.into_iter().map(Ok))).transpose()
}

/// Pairs of each key and the list of its elements.
#[pyfunction]
fn bag_group<'py>(
    key: &Bound<'py, PyAny>,
    pieces: Vec<Bound<'py, PyAny>>,
    py: Python<'py>,
) -> PyResult<Bound<'py, PyList>> {
    let groups = PyDict::new(py);
    for piece in pieces {
        add_groups(key, &piece, &groups)?;
    }
    PyList::new(py, groups.iter())
}

/// Adds the elements to the lists of their keys.
fn add_groups<'py>(key: &Bound<'py, PyAny>, elements: &Bound<'py, PyAny>, groups: &Bound<'py, PyDict>) -> PyResult<()> {
    for element in elements.try_iter()? {
        let element = element?;
        let group = key.call1((&element,))?;
        match groups.get_item(&group)? {
            Some(list) => list.cast::<PyList>()?.append(element)?,
            None => groups.set_item(group, PyList::new(elements.py(), [element])?)?,
        }
    }
    Ok(())
}

/// All pairs of an element of `other` and one of the partition with equal keys.
#[pyfunction]
fn bag_join<'py>(
    partition: &Bound<'py, PyAny>,
    other: &Bound<'py, PyAny>,
    on_self: &Bound<'py, PyAny>,
    on_other: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyList>> {
    let py = other.py();
    let (groups, pairs) = (PyDict::new(py), PyList::empty(py));
    add_groups(on_other, other, &groups)?;
    for element in partition.try_iter()? {
        let element = element?;
        let Some(matches) = groups.get_item(on_self.call1((&element,))?)? else { continue };
        for partner in matches.cast::<PyList>()?.iter() {
            pairs.append((partner, &element))?;
        }
    }
    Ok(pairs)
}
