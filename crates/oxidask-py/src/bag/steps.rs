//! Work on partitions that no function of Python's own does at C speed.
//!
//! Each function answers exactly what the plain Python loop would.

use oxidask_core::KeyHasher;
use pyo3::exceptions::{PyIndexError, PyKeyError, PyTypeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyFrozenSet, PyInt, PyList, PyString, PyTuple};

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(bag_cut, module)?)?;
    module.add_function(wrap_pyfunction!(bag_flatten, module)?)?;
    module.add_function(wrap_pyfunction!(bag_pluck, module)?)?;
    module.add_function(wrap_pyfunction!(bag_fold_by, module)?)?;
    module.add_function(wrap_pyfunction!(bag_merge_by, module)?)?;
    module.add_function(wrap_pyfunction!(bag_merge_counts, module)?)?;
    module.add_function(wrap_pyfunction!(bag_scatter, module)?)?;
    module.add_function(wrap_pyfunction!(bag_group, module)?)?;
    module.add_function(wrap_pyfunction!(bag_distinct, module)?)?;
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
    error.is_instance_of::<PyKeyError>(py)
        || error.is_instance_of::<PyIndexError>(py)
        || error.is_instance_of::<PyTypeError>(py)
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
            (Some(total), _) => binop.call1((total, element))?,
            (None, Some((initial,))) => binop.call1((initial, element))?,
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
                (Some(total), _) => combine.call1((total, value))?,
                (None, Some((initial,))) => combine.call1((initial, value))?,
                (None, None) => value,
            };
            merged.set_item(group, total)?;
        }
    }
    Ok(merged)
}

/// Adds up dicts of counts.
#[pyfunction]
fn bag_merge_counts<'py>(parts: Vec<Bound<'py, PyDict>>, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
    let merged = PyDict::new(py);
    for part in parts {
        if merged.is_empty() {
            merged.update(part.as_mapping())?;
            continue;
        }
        for (element, count) in part.iter() {
            let total = match merged.get_item(&element)? {
                Some(before) => before.add(count)?,
                None => count,
            };
            merged.set_item(element, total)?;
        }
    }
    Ok(merged)
}

/// The first element of each key, or each element once.
#[pyfunction]
fn bag_distinct<'py>(key: Option<Bound<'py, PyAny>>, partition: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyList>> {
    let py = partition.py();
    let Some(key) = key else {
        // A dict of the elements, which keeps their order.
        let seen = py.get_type::<PyDict>().call_method1(intern!(py, "fromkeys"), (partition,))?;
        return as_list(&seen);
    };
    let (seen, first) = (PyDict::new(py), PyList::empty(py));
    for element in partition.try_iter()? {
        let element = element?;
        let group = key.call1((&element,))?;
        if !seen.contains(&group)? {
            seen.set_item(group, ())?;
            first.append(element)?;
        }
    }
    Ok(first)
}

/// Puts each element into the piece, of `n`, that the hash of its key says.
#[pyfunction]
fn bag_scatter<'py>(key: &Bound<'py, PyAny>, n: u64, partition: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyList>> {
    let py = partition.py();
    let pieces: Vec<Bound<'py, PyList>> = (0..n).map(|_| PyList::empty(py)).collect();
    // Equal keys are hashed once; the dict also says whether they can be hashed.
    let known = PyDict::new(py);
    for element in partition.try_iter()? {
        let element = element?;
        let group = key.call1((&element,))?;
        let piece = match known.get_item(&group)? {
            Some(piece) => piece.extract::<u64>()?,
            None => {
                let piece = hash_of(&group)? % n;
                known.set_item(group, piece)?;
                piece
            }
        };
        pieces[usize::try_from(piece)?].append(element)?;
    }
    PyList::new(py, pieces)
}

/// A hash that is the same in all processes, and for equal objects.
///
/// Python's own is drawn anew by each process for text and what is made of it.
fn hash_of(object: &Bound<'_, PyAny>) -> PyResult<u64> {
    static PICKLE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    static NUMBER: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = object.py();
    let digest = |kind: &str, bytes: &[u8]| KeyHasher::new(kind).bytes(bytes).finish().0 as u64;
    if let Ok(text) = object.cast::<PyString>() {
        return Ok(digest("str", text.to_string_lossy().as_bytes()));
    }
    if let Ok(bytes) = object.cast::<PyBytes>() {
        return Ok(digest("bytes", bytes.as_bytes()));
    }
    if let Ok(tuple) = object.cast::<PyTuple>() {
        let hashes = tuple.iter().map(|element| hash_of(&element)).collect::<PyResult<Vec<u64>>>()?;
        return Ok(hashes.into_iter().fold(KeyHasher::new("tuple"), KeyHasher::u64).finish().0 as u64);
    }
    if let Ok(set) = object.cast::<PyFrozenSet>() {
        return set.iter().try_fold(0, |hash: u64, element| Ok(hash.wrapping_add(hash_of(&element)?)));
    }
    if object.is_none() {
        return Ok(0);
    }
    let is_number = object.is_instance_of::<PyInt>()
        || object.is_instance_of::<PyFloat>()
        || object.is_instance_of::<PyBool>()
        || object.is_instance(NUMBER.import(py, "numbers", "Number")?)?;
    if is_number {
        // Numbers hash by value, whatever their type.
        return Ok(digest("number", &object.hash()?.to_le_bytes()));
    }
    let stream = PICKLE.import(py, "pickle", "dumps")?.call1((object, 5))?;
    Ok(digest("object", stream.cast::<PyBytes>()?.as_bytes()))
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
