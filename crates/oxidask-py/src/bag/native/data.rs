//! Native values of bags: elements as a column, and values by key.

use super::Finish;
use crate::bag::cells::{self, Objects};
use crate::bag::steps;
use crate::value::{Conversion, to_value};
use oxidask_core::registry::DataEntry;
use oxidask_core::{Data, DataKind, Error, ErrorKind, Frames, Result, Value};
use oxidask_io::record::{self, Groups, Key, Scalar};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

/// Elements as a native column, kind `bag.rows`: encoded one after another.
pub struct Rows(pub oxidask_io::record::Rows);

/// Values by key, kind `bag.groups`; to Python a dict, or a list of pairs.
pub struct GroupsData {
    pub groups: Groups,
    pub finish: Finish,
}

macro_rules! data_kind {
    ($type:ty, $kind:literal, $to_python:expr) => {
        impl DataKind for $type {
            fn kind(&self) -> &'static str {
                $kind
            }
        }

        inventory::submit! { Conversion { kind: $kind, to_python: $to_python } }
    };
}

data_kind!(Rows, "bag.rows", |py, value| {
    let rows = value.expect::<Rows>().map_err(|error| crate::error::to_py(py, error))?;
    let (list, mut objects) = (PyList::empty(py), Objects::new(py));
    for cell in rows.0.iter() {
        list.append(objects.cell(&cell)?)?;
    }
    Ok(list.into_any().unbind())
});

data_kind!(GroupsData, "bag.groups", |py, value| {
    let data = value.expect::<GroupsData>().map_err(|error| crate::error::to_py(py, error))?;
    let mut objects = Objects::new(py);
    let mut pair = |(key, value): (Key<'_>, &Scalar)| -> PyResult<_> {
        Ok((objects.cell(&key.cell())?, objects.cell(&value.cell())?))
    };
    match data.finish {
        Finish::Nothing => {
            let dict = PyDict::new(py);
            let ranks = data.groups.ranks();
            for (place, item) in data.groups.iter().enumerate() {
                let (key, value) = pair(item)?;
                match ranks.get(place) {
                    Some(rank) => dict.set_item(key, (rank, value))?,
                    None => dict.set_item(key, value)?,
                }
            }
            Ok(dict.into_any().unbind())
        }
        Finish::Values => {
            let values = data.groups.iter().map(|(_, value)| objects.cell(&value.cell()));
            Ok(PyList::new(py, values.collect::<PyResult<Vec<_>>>()?)?.into_any().unbind())
        }
        Finish::Keys => {
            let keys = data.groups.iter().map(|(key, _)| objects.cell(&key.cell()));
            Ok(PyList::new(py, keys.collect::<PyResult<Vec<_>>>()?)?.into_any().unbind())
        }
        Finish::Pairs => {
            let pairs = data.groups.iter().map(pair).collect::<PyResult<Vec<_>>>()?;
            Ok(PyList::new(py, pairs)?.into_any().unbind())
        }
        Finish::Sorted => {
            let order = data.groups.sorted().map_err(|_| PyValueError::new_err("only counts can be sorted"))?;
            let pairs = order.into_iter().map(|place| pair(data.groups.get(place as usize)));
            Ok(PyList::new(py, pairs.collect::<PyResult<Vec<_>>>()?)?.into_any().unbind())
        }
    }
});

impl Data for Rows {
    fn nbytes(&self) -> u64 {
        self.0.nbytes()
    }

    fn encode(&self) -> Result<Frames> {
        Ok(Frames { header: bytes::Bytes::new(), buffers: vec![postcard::to_allocvec(&self.0)?.into()] })
    }

    fn describe(&self) -> String {
        "a list".to_owned()
    }
}

impl Data for GroupsData {
    fn nbytes(&self) -> u64 {
        self.groups.nbytes()
    }

    fn encode(&self) -> Result<Frames> {
        let header = postcard::to_allocvec(&self.finish)?.into();
        Ok(Frames { header, buffers: vec![postcard::to_allocvec(&self.groups)?.into()] })
    }

    fn describe(&self) -> String {
        "values by key".to_owned()
    }
}

pub fn damaged() -> Error {
    Error::new(ErrorKind::Version, "elements of a bag arrived damaged")
}

inventory::submit! {
    DataEntry {
        kind: "bag.rows",
        decode: |frames| {
            let rows: oxidask_io::record::Rows = postcard::from_bytes(frames.buffers.first().ok_or_else(damaged)?)?;
            if rows.is_valid() { Ok(Value::new(Rows(rows))) } else { Err(damaged()) }
        },
    }
}

inventory::submit! {
    DataEntry {
        kind: "bag.groups",
        decode: |frames| {
            let finish = postcard::from_bytes(&frames.header)?;
            let groups: Groups = postcard::from_bytes(frames.buffers.first().ok_or_else(damaged)?)?;
            if groups.is_valid() { Ok(Value::new(GroupsData { groups, finish })) } else { Err(damaged()) }
        },
    }
}

/// A dict of plain keys and values as native groups, if it is one.
pub fn groups_of(object: &Bound<'_, PyAny>) -> Option<Value> {
    let groups = plain_groups(object.cast_exact::<PyDict>().ok()?)?;
    Some(Value::new(GroupsData { groups, finish: Finish::Nothing }))
}

fn plain_groups(dict: &Bound<'_, PyDict>) -> Option<Groups> {
    let mut groups = Groups::new();
    for (key, value) in dict.iter() {
        groups.insert(&cells::of_object(&key)?, cells::scalar_of(&value)?).ok()?;
    }
    Some(groups)
}

/// A dict cut by key into `n` shards, native ones if all of it is plain; else
/// dicts of pairs of the rank of the key's first sight, and the value.
///
/// # Errors
/// Those of Python.
pub fn shards_of(dict: &Bound<'_, PyDict>, n: u32, partition: u64) -> PyResult<Vec<Value>> {
    let native = plain_groups(dict).and_then(|groups| groups.shards(n as usize, partition).ok());
    if let Some(shards) = native {
        let value = |groups| Value::new(GroupsData { groups, finish: Finish::Nothing });
        return Ok(shards.into_iter().map(value).collect());
    }
    let py = dict.py();
    let shards: Vec<Bound<'_, PyDict>> = (0..n).map(|_| PyDict::new(py)).collect();
    for (place, (key, value)) in dict.iter().enumerate() {
        // Keys whose hashes differ between processes meet in the first shard.
        let shard = steps::settled_hash(&key)?.map_or(0, |hash| record::piece_of(hash, n as usize));
        shards[shard].set_item(key, (record::rank(partition, place), value))?;
    }
    Ok(shards.into_iter().map(|shard| to_value(shard.into_any())).collect())
}
