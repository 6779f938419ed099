//! Frames in and out through Arrow's C interface, without a copy where Arrow
//! has the same memory layout.

use crate::dtype::DType;
use crate::error::polars_error;
use crate::value::Partition;
use oxidask_core::Result;
use polars::prelude::*;
use polars_arrow::array::{Array, StructArray};
use polars_arrow::datatypes::{ArrowDataType, Field as PolarsArrowField};
use polars_arrow::ffi::{ArrowArrayStreamReader, export_iterator};

pub use polars_arrow::ffi::ArrowArrayStream;

/// The rows as an Arrow stream of record batches. Strings are `large_string`,
/// which every reader of Arrow knows. `parallel` says that the rows are a result,
/// whose columns may be converted by all threads; a task uses its own alone.
pub fn export(partition: &Partition, parallel: bool) -> ArrowArrayStream {
    if parallel { stream(partition, true) } else { crate::threads::alone(|| stream(partition, false)) }
}

fn stream(partition: &Partition, parallel: bool) -> ArrowArrayStream {
    let level = CompatLevel::oldest();
    let mut frame = partition.frame.clone();
    // Batches need equal chunks in all columns.
    frame.align_chunks();
    let fields: Vec<PolarsArrowField> = frame.schema().iter_fields().map(|field| field.to_arrow(level)).collect();
    let dtype = ArrowDataType::Struct(fields);
    let field = PolarsArrowField::new(PlSmallStr::EMPTY, dtype.clone(), false);
    let batches: Vec<PolarsResult<Box<dyn Array>>> = frame
        .iter_chunks(level, parallel)
        .map(|batch| {
            let length = batch.len();
            let array = StructArray::try_new(dtype.clone(), length, batch.into_arrays(), None)?;
            Ok(Box::new(array) as Box<dyn Array>)
        })
        .collect();
    export_iterator(Box::new(batches.into_iter()), field)
}

/// The rows of the Arrow stream at `stream`, which is moved out of there.
///
/// # Errors
/// As [`import`].
///
/// # Safety
/// `stream` must point to a valid stream of the C interface.
pub unsafe fn import_from(stream: *mut std::ffi::c_void) -> Result<DataFrame> {
    // SAFETY: the caller vouches for the pointer; an empty stream is left behind,
    // whose release its owner may still ask for.
    let stream = unsafe { std::ptr::replace(stream.cast::<ArrowArrayStream>(), ArrowArrayStream::empty()) };
    // SAFETY: as above.
    unsafe { import(Box::new(stream)) }
}

/// The rows of an Arrow stream of record batches. NaN becomes missing.
///
/// # Errors
/// If the stream fails or holds a type that frames do not have.
///
/// # Safety
/// `stream` must be a valid stream of the C interface.
pub unsafe fn import(stream: Box<ArrowArrayStream>) -> Result<DataFrame> {
    // SAFETY: the caller vouches for the stream.
    let mut reader = unsafe { ArrowArrayStreamReader::try_new(stream) }.map_err(polars_error)?;
    let fields = match reader.field().dtype() {
        ArrowDataType::Struct(fields) => fields.clone(),
        other => {
            return Err(oxidask_core::Error::type_(format!("an Arrow stream of {other:?} is no table")));
        }
    };
    let schema: Schema = fields.iter().map(Field::from).collect();
    let mut all = DataFrame::empty_with_schema(&schema);
    // SAFETY: as above; every batch comes from the same stream.
    while let Some(batch) = unsafe { reader.next() } {
        let batch = batch.map_err(polars_error)?;
        let rows = batch.as_any().downcast_ref::<StructArray>();
        let rows = rows.ok_or_else(|| oxidask_core::Error::type_("an Arrow stream holds something else than rows"))?;
        let columns = fields.iter().zip(rows.values()).map(|(field, array)| {
            let series = Series::try_from((field, array.clone())).map_err(polars_error)?;
            Ok(series.into_column())
        });
        let part = DataFrame::new(rows.len(), columns.collect::<Result<_>>()?).map_err(polars_error)?;
        if all.height() == 0 { all = part } else { all.vstack_mut_owned(part).map(drop).map_err(polars_error)? }
    }
    clean(all)
}

/// Missing is null everywhere in frames; types that frames do not have are an
/// error here and not in some later task.
fn clean(frame: DataFrame) -> Result<DataFrame> {
    let mut cleaned = Vec::with_capacity(frame.width());
    let height = frame.height();
    for column in frame.columns() {
        let series = column.as_materialized_series();
        let dtype =
            DType::from_polars(series.dtype()).map_err(|error| error.within(format!("column '{}'", column.name())))?;
        let own = dtype.to_polars()?;
        let series = if *series.dtype() == own { series.clone() } else { series.cast(&own).map_err(polars_error)? };
        cleaned.push(crate::nan::column_to_null(series.into_column()).map_err(polars_error)?);
    }
    DataFrame::new(height, cleaned).map_err(polars_error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Index;

    #[test]
    fn a_stream_comes_back_as_it_went() {
        let one =
            df!("i" => [Some(1i64), None], "s" => ["a", "a string of more than twelve bytes"], "f" => [0.5, f64::NAN])
                .unwrap();
        let two = one.vstack(&one).unwrap();
        for parallel in [false, true] {
            let stream = export(&Partition { frame: two.clone(), index: Index::None }, parallel);
            // SAFETY: the stream was just exported.
            let back = unsafe { import(Box::new(stream)) }.unwrap();
            assert_eq!(back.height(), 4);
            assert_eq!(back.column("f").unwrap().null_count(), 2, "NaN becomes missing");
            assert!(back.select(["i", "s"]).unwrap().equals_missing(&two.select(["i", "s"]).unwrap()));
        }
    }
}
