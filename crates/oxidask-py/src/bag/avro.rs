//! Avro records as Python objects, and Python objects as Avro records.

use super::files::{BlockForm, block_of};
use crate::error::OrRaise;
use oxidask_io::avro::{Field, Header, Input, Logical, Schema, Sync, Type, put_long, put_sized};
use pyo3::exceptions::{PyOSError, PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PyMapping, PySequence, PyString};

/// Adds this file's functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(avro_header, module)?)?;
    module.add_function(wrap_pyfunction!(avro_read, module)?)?;
    module.add_function(wrap_pyfunction!(avro_check, module)?)?;
    module.add_function(wrap_pyfunction!(avro_write, module)?)
}

/// A header as Python passes it around: schema, codec, marker, end.
type HeaderForm = (String, String, Vec<u8>, u64);

fn header_of((schema, codec, sync, end): HeaderForm) -> PyResult<Header> {
    let sync: Sync = sync.try_into().map_err(|_| PyValueError::new_err("a marker has 16 bytes"))?;
    Ok(Header { schema, codec, sync, end })
}

/// The header of a file.
#[pyfunction]
fn avro_header(py: Python<'_>, file: BlockForm) -> PyResult<HeaderForm> {
    let file = block_of(file)?;
    let header = py.detach(|| Header::read(&file)).or_raise()?;
    Ok((header.schema, header.codec, header.sync.to_vec(), header.end))
}

/// Raises if a schema is not valid.
#[pyfunction]
fn avro_check(schema: &str) -> PyResult<()> {
    Schema::parse(schema).or_raise().map(|_| ())
}

/// The records of a part of a file.
#[pyfunction]
fn avro_read<'py>(py: Python<'py>, part: BlockForm, header: HeaderForm) -> PyResult<Bound<'py, PyList>> {
    let (part, header) = (block_of(part)?, header_of(header)?);
    let schema = Schema::parse(&header.schema).or_raise()?;
    let names = names_of(py, &schema);
    let records = PyList::empty(py);
    let mut raised = None;
    let done = header.each_block(&part, |count, bytes| {
        let mut input = Input::new(bytes);
        for _ in 0..count {
            let record = read(py, &schema, &names, schema.root(), &mut input, 0);
            if let Err(error) = record.and_then(|record| records.append(record)) {
                let message = error.value(py).to_string();
                raised = Some(error);
                return Err(oxidask_core::Error::new(oxidask_core::ErrorKind::Io, message));
            }
        }
        Ok(())
    });
    match (done, raised) {
        // Damaged data is the engine's error, which knows the place.
        (Err(_), Some(own)) if !own.is_instance_of::<PyOSError>(py) => Err(own),
        (done, _) => done.or_raise().map(|()| records),
    }
}

/// Deepest nesting of records in records.
const DEPTH_MAX: u32 = 200;

/// The objects of all names of fields, by the number of the record's type.
type Names = Vec<Vec<Py<PyString>>>;

fn names_of(py: Python<'_>, schema: &Schema) -> Names {
    let mut names = Vec::new();
    for number in 0..schema.len() {
        names.push(match &schema.get(number).0 {
            Type::Record(fields) => fields.iter().map(|field| PyString::new(py, &field.name).unbind()).collect(),
            _ => Vec::new(),
        });
    }
    names
}

fn read<'py>(
    py: Python<'py>,
    schema: &Schema,
    names: &Names,
    number: usize,
    input: &mut Input<'_>,
    depth: u32,
) -> PyResult<Bound<'py, PyAny>> {
    if depth > DEPTH_MAX {
        return Err(PyValueError::new_err(format!("Avro records nest more than {DEPTH_MAX} levels deep")));
    }
    let inner = |of: usize, input: &mut Input<'_>| read(py, schema, names, of, input, depth + 1);
    let (of, logical) = schema.get(number);
    let value = match of {
        Type::Null => py.None().into_bound(py),
        Type::Boolean => PyBool::new(py, input.take(1).or_raise()?[0] != 0).to_owned().into_any(),
        Type::Int | Type::Long => input.long().or_raise()?.into_pyobject(py)?.into_any(),
        Type::Float => PyFloat::new(py, f64::from(f32::from_le_bytes(input.array().or_raise()?))).into_any(),
        Type::Double => PyFloat::new(py, f64::from_le_bytes(input.array().or_raise()?)).into_any(),
        Type::Bytes => PyBytes::new(py, input.sized().or_raise()?).into_any(),
        Type::Fixed(n) => PyBytes::new(py, input.take(*n).or_raise()?).into_any(),
        Type::String => PyString::new(py, input.text().or_raise()?).into_any(),
        Type::Enum(symbols) => {
            let symbol = symbols.get(input.length().or_raise()?);
            let symbol =
                symbol.ok_or_else(|| PyValueError::new_err("the Avro data names a symbol that is not there"))?;
            PyString::new(py, symbol).into_any()
        }
        Type::Union(types) => {
            let of = types.get(input.length().or_raise()?);
            let of = of.ok_or_else(|| PyValueError::new_err("the Avro data names a branch that is not there"))?;
            inner(*of, input)?
        }
        Type::Array(of) => {
            let list = PyList::empty(py);
            loop {
                let count = input.count().or_raise()?;
                if count == 0 {
                    break list.into_any();
                }
                for _ in 0..count {
                    list.append(inner(*of, input)?)?;
                }
            }
        }
        Type::Map(of) => {
            let dict = PyDict::new(py);
            loop {
                let count = input.count().or_raise()?;
                if count == 0 {
                    break dict.into_any();
                }
                for _ in 0..count {
                    let key = PyString::new(py, input.text().or_raise()?);
                    dict.set_item(key, inner(*of, input)?)?;
                }
            }
        }
        Type::Record(fields) => {
            let dict = PyDict::new(py);
            for (field, name) in fields.iter().zip(&names[number]) {
                dict.set_item(name.bind(py), inner(field.of, input)?)?;
            }
            dict.into_any()
        }
    };
    match logical {
        Some(logical) => convert(py, "meant", value, logical),
        None => Ok(value),
    }
}

/// Calls a function of `oxidask.bag._avro` on a value of a logical type.
fn convert<'py>(
    py: Python<'py>,
    function: &str,
    value: Bound<'py, PyAny>,
    logical: &Logical,
) -> PyResult<Bound<'py, PyAny>> {
    py.import("oxidask.bag._avro")?.call_method1(function, (value, &logical.name, logical.scale))
}

/// What a file is written with.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct WriteWish {
    path: String,
    storage: Vec<(String, String)>,
    schema: String,
    codec: String,
    sync: Vec<u8>,
    sync_interval: usize,
    metadata: Vec<(String, Vec<u8>)>,
}

/// Writes records to a file; answers its path.
#[pyfunction]
fn avro_write(py: Python<'_>, records: &Bound<'_, PyAny>, wish: WriteWish) -> PyResult<String> {
    let schema = Schema::parse(&wish.schema).or_raise()?;
    let header = header_of((wish.schema, wish.codec, wish.sync, 0))?;
    let mut file = header.to_bytes(&wish.metadata);
    let (mut block, mut count) = (Vec::new(), 0);
    for (place, record) in records.try_iter()?.enumerate() {
        let record = record?;
        write(&schema, schema.root(), &record, &mut block, 0).map_err(|error| {
            let cause = error.value(py).to_string();
            let message = format!("record {place} of a partition cannot be written: {cause}");
            if error.is_instance_of::<PyTypeError>(py) {
                PyTypeError::new_err(message)
            } else {
                PyValueError::new_err(message)
            }
        })?;
        count += 1;
        if block.len() >= wish.sync_interval {
            header.put_block(&mut file, count, &block).or_raise()?;
            (count, _) = (0, block.clear());
        }
    }
    if count > 0 {
        header.put_block(&mut file, count, &block).or_raise()?;
    }
    let storage = wish.storage.into_iter().collect();
    let location = oxidask_io::Location::parse(&wish.path, &storage).or_raise()?;
    py.detach(|| location.write(file)).or_raise()?;
    Ok(wish.path)
}

fn misfit(value: &Bound<'_, PyAny>, want: &str) -> PyErr {
    let shown: String =
        value.repr().map_or_else(|_| "…".to_owned(), |text| text.to_string()).chars().take(80).collect();
    PyTypeError::new_err(format!("{shown} is no Avro {want}"))
}

fn write(schema: &Schema, number: usize, value: &Bound<'_, PyAny>, out: &mut Vec<u8>, depth: u32) -> PyResult<()> {
    let py = value.py();
    if depth > DEPTH_MAX {
        return Err(PyValueError::new_err(format!("Avro records nest more than {DEPTH_MAX} levels deep")));
    }
    let (of, logical) = schema.get(number);
    let value = &match logical {
        Some(logical) => convert(py, "plain", value.clone(), logical)?,
        None => value.clone(),
    };
    match of {
        Type::Null if value.is_none() => {}
        Type::Null => return Err(misfit(value, "null")),
        Type::Boolean => {
            let truth = value.cast::<PyBool>().map_err(|_| misfit(value, "boolean"))?;
            out.push(u8::from(truth.is_true()));
        }
        Type::Int | Type::Long => {
            if value.is_instance_of::<PyBool>() {
                return Err(misfit(value, "long"));
            }
            let number: i64 = value.extract().map_err(|_| misfit(value, "long"))?;
            if *of == Type::Int && i32::try_from(number).is_err() {
                return Err(misfit(value, "int, which has 32 bits"));
            }
            put_long(out, number);
        }
        Type::Float => out.extend(value.extract::<f32>().map_err(|_| misfit(value, "float"))?.to_le_bytes()),
        Type::Double => out.extend(value.extract::<f64>().map_err(|_| misfit(value, "double"))?.to_le_bytes()),
        Type::Bytes => put_sized(out, &value.extract::<Vec<u8>>().map_err(|_| misfit(value, "bytes"))?),
        Type::Fixed(n) => {
            let bytes = value.extract::<Vec<u8>>().ok().filter(|bytes| bytes.len() == *n);
            out.extend(bytes.ok_or_else(|| misfit(value, &format!("fixed of {n} bytes")))?);
        }
        Type::String => {
            let text = value.cast::<PyString>().map_err(|_| misfit(value, "string"))?;
            put_sized(out, text.to_str()?.as_bytes());
        }
        Type::Enum(symbols) => {
            let text: String = value.extract().map_err(|_| misfit(value, "symbol"))?;
            let place = symbols.iter().position(|symbol| *symbol == text);
            let place = place.ok_or_else(|| misfit(value, &format!("symbol; there are {}", symbols.join(", "))))?;
            put_long(out, i64::try_from(place)?);
        }
        Type::Union(types) => {
            let place = branch_of(schema, types, value)?;
            put_long(out, i64::try_from(place)?);
            write(schema, types[place], value, out, depth + 1)?;
        }
        Type::Array(of) => {
            let list = value.cast::<PySequence>().map_err(|_| misfit(value, "array"))?;
            let n = list.len()?;
            if n > 0 {
                put_long(out, i64::try_from(n)?);
                for element in list.try_iter()? {
                    write(schema, *of, &element?, out, depth + 1)?;
                }
            }
            put_long(out, 0);
        }
        Type::Map(of) => {
            let map = value.cast::<PyMapping>().map_err(|_| misfit(value, "map"))?;
            let items = map.items()?;
            if !items.is_empty() {
                put_long(out, i64::try_from(items.len())?);
                for item in items.iter() {
                    let (key, element): (String, Bound<'_, PyAny>) = item.extract()?;
                    put_sized(out, key.as_bytes());
                    write(schema, *of, &element, out, depth + 1)?;
                }
            }
            put_long(out, 0);
        }
        Type::Record(fields) => {
            let map = value.cast::<PyMapping>().map_err(|_| misfit(value, "record"))?;
            for field in fields {
                write_field(schema, field, map, out, depth)?;
            }
        }
    }
    Ok(())
}

fn write_field(
    schema: &Schema,
    field: &Field,
    record: &Bound<'_, PyMapping>,
    out: &mut Vec<u8>,
    depth: u32,
) -> PyResult<()> {
    static LOADS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = record.py();
    let value = match (record.contains(&field.name)?, &field.default) {
        (true, _) => record.get_item(&field.name)?,
        (false, Some(default)) => LOADS.import(py, "json", "loads")?.call1((default,))?,
        (false, None) => py.None().into_bound(py),
    };
    write(schema, field.of, &value, out, depth + 1)
        .map_err(|error| PyTypeError::new_err(format!("field '{}': {}", field.name, error.value(py))))
}

/// The first type of a union that fits a value.
fn branch_of(schema: &Schema, types: &[usize], value: &Bound<'_, PyAny>) -> PyResult<usize> {
    // A float also fits no integer, an int also a float: exact types come first.
    let fits = |number: &usize, is_strict: bool| -> bool {
        let (of, logical) = schema.get(*number);
        let plain = match logical {
            Some(logical) => convert(value.py(), "plain", value.clone(), logical),
            None => Ok(value.clone()),
        };
        let Ok(value) = plain else { return false };
        match of {
            // A union has no unions in it.
            Type::Union(_) => false,
            Type::Null => value.is_none(),
            Type::Boolean => value.is_instance_of::<PyBool>(),
            Type::Int | Type::Long => {
                value.is_instance_of::<PyInt>() && !value.is_instance_of::<PyBool>() && {
                    let number = value.extract::<i64>();
                    number.is_ok_and(|number| *of == Type::Long || i32::try_from(number).is_ok())
                }
            }
            Type::Float | Type::Double => {
                value.is_instance_of::<PyFloat>() || (!is_strict && value.is_instance_of::<PyInt>())
            }
            Type::Bytes => value.is_instance_of::<PyBytes>(),
            Type::Fixed(n) => value.cast::<PyBytes>().is_ok_and(|bytes| bytes.as_bytes().len() == *n),
            Type::String => value.is_instance_of::<PyString>(),
            Type::Enum(symbols) => value.extract::<String>().is_ok_and(|text| symbols.contains(&text)),
            Type::Array(_) => {
                value.is_instance_of::<PyList>() || value.hasattr(intern!(value.py(), "append")).unwrap_or(false)
            }
            Type::Map(_) => value.cast::<PyMapping>().is_ok(),
            Type::Record(fields) => value.cast::<PyMapping>().is_ok_and(|map| {
                fields.iter().all(|field| field.default.is_some() || map.contains(&field.name).unwrap_or(false))
            }),
        }
    };
    let strict = types.iter().position(|number| fits(number, true));
    strict
        .or_else(|| types.iter().position(|number| fits(number, false)))
        .ok_or_else(|| misfit(value, "branch of this union"))
}
