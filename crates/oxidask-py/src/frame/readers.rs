//! Files read into frames.

use super::handles::PyFrame;
use crate::error::OrRaise;
use oxidask_frame::{CsvOptions, DType, JsonOptions, Storage};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// Adds this file's functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(read_csv, module)?)?;
    module.add_function(wrap_pyfunction!(read_json, module)?)?;
    module.add_function(wrap_pyfunction!(read_parquet, module)?)
}

fn one_byte(name: &str, text: &str) -> PyResult<u8> {
    match text.as_bytes() {
        [byte] => Ok(*byte),
        _ => Err(PyValueError::new_err(format!("{name} must be one ASCII character, not {text:?}"))),
    }
}

fn dtypes(value: &Bound<'_, PyAny>) -> PyResult<Vec<(String, DType)>> {
    let named: Vec<(String, String)> = value.extract()?;
    named.into_iter().map(|(column, dtype)| Ok((column, DType::parse(&dtype).or_raise()?))).collect()
}

/// A number of bytes, or text such as `64 MiB`.
fn blocksize(value: &Bound<'_, PyAny>) -> PyResult<Option<u64>> {
    match value.extract::<String>() {
        Ok(text) => oxidask_core::config::parse_bytes(&text).or_raise().map(Some),
        Err(_) => value.extract(),
    }
}

/// Takes an option of how files are stored; says whether it was one.
fn stored(storage: &mut Storage, name: &str, value: &Bound<'_, PyAny>) -> PyResult<bool> {
    match name {
        "compression" => storage.compression = value.extract()?,
        "encoding" => storage.encoding = value.extract()?,
        "storage_options" => storage.options = value.extract::<Vec<(String, String)>>()?.into_iter().collect(),
        _ => return Ok(false),
    }
    Ok(true)
}

/// Files of JSON objects, one a line; options by name.
#[pyfunction]
fn read_json(paths: Vec<String>, options: &Bound<'_, PyDict>) -> PyResult<PyFrame> {
    let mut json = JsonOptions::default();
    for (name, value) in options {
        let name: String = name.extract()?;
        match name.as_str() {
            "blocksize" => json.blocksize = blocksize(&value)?,
            "sample" => json.sample = value.extract()?,
            "dtypes" => json.dtypes = dtypes(&value)?,
            _ if stored(&mut json.storage, &name, &value)? => {}
            _ => return Err(PyTypeError::new_err(format!("read_json has no option '{name}'"))),
        }
    }
    options.py().detach(|| oxidask_frame::read_json(paths, &json)).or_raise().map(PyFrame)
}

/// Options by name; the Python half fills in pandas' and Dask's defaults.
#[pyfunction]
fn read_csv(paths: Vec<String>, options: &Bound<'_, PyDict>) -> PyResult<PyFrame> {
    let mut csv = CsvOptions::default();
    for (name, value) in options {
        let name: String = name.extract()?;
        match name.as_str() {
            "sep" => csv.separator = one_byte("sep", &value.extract::<String>()?)?,
            "quotechar" => {
                let quote: Option<String> = value.extract()?;
                csv.quote = quote.map(|quote| one_byte("quotechar", &quote)).transpose()?;
            }
            "comment" => {
                let comment: Option<String> = value.extract()?;
                csv.comment = comment.map(|comment| one_byte("comment", &comment)).transpose()?;
            }
            "header" => csv.header = value.extract()?,
            "skiprows" => csv.skip_rows = value.extract()?,
            "names" => csv.names = value.extract()?,
            "usecols" => csv.usecols = value.extract()?,
            "dtypes" => csv.dtypes = dtypes(&value)?,
            "dtype" => {
                let dtype: Option<String> = value.extract()?;
                csv.dtype = dtype.map(|dtype| DType::parse(&dtype)).transpose().or_raise()?;
            }
            "parse_dates" => csv.parse_dates = value.extract()?,
            "na_values" => csv.na_values = value.extract()?,
            "keep_default_na" => csv.keep_default_na = value.extract()?,
            "assume_missing" => csv.assume_missing = value.extract()?,
            "blocksize" => csv.blocksize = blocksize(&value)?,
            "sample" => csv.sample = value.extract()?,
            "path_column" => csv.path_column = value.extract()?,
            "header_row" => csv.header_row = value.extract()?,
            "skip_bad_lines" => csv.skip_bad_lines = value.extract()?,
            "decimal" => csv.decimal = one_byte("decimal", &value.extract::<String>()?)?,
            "thousands" => {
                let thousands: Option<String> = value.extract()?;
                csv.thousands = thousands.map(|text| one_byte("thousands", &text)).transpose()?;
            }
            _ if stored(&mut csv.storage, &name, &value)? => {}
            _ => return Err(PyTypeError::new_err(format!("read_csv has no option '{name}'"))),
        }
    }
    let frame = options.py().detach(|| oxidask_frame::read_csv(paths, csv));
    frame.or_raise().map(PyFrame)
}

#[pyfunction]
#[pyo3(signature = (paths, columns = None))]
fn read_parquet(py: Python<'_>, paths: Vec<String>, columns: Option<Vec<String>>) -> PyResult<PyFrame> {
    py.detach(|| oxidask_frame::read_parquet(paths, columns.as_deref())).or_raise().map(PyFrame)
}
