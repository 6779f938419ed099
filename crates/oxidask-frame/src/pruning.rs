//! Which row groups of a Parquet file may hold rows for which filters hold, by
//! the least and greatest values that the file's footer tells.

use crate::dtype::Scalar;
use crate::error::polars_error;
use crate::expression::{Binary, ColExpr};
use crate::lower::literal;
use oxidask_core::Result;
use polars::prelude::*;
use polars_parquet::arrow::read::statistics::deserialize_all;

/// The parts of a condition that must all hold.
pub(crate) fn conjuncts(filter: &ColExpr) -> Vec<&ColExpr> {
    match filter {
        ColExpr::Binary(Binary::And, a, b) => [conjuncts(a), conjuncts(b)].concat(),
        other => vec![other],
    }
}

/// A comparison of a column with a value that is not missing, if that is what a
/// condition is.
pub(crate) fn comparison(part: &ColExpr) -> Option<(&str, Binary, &Scalar)> {
    let ColExpr::Binary(op, a, b) = part else { return None };
    let (ColExpr::Column(name), ColExpr::Literal(value)) = (&**a, &**b) else { return None };
    let missing = matches!(value, Scalar::Null) || matches!(value, Scalar::Float(value) if value.is_nan());
    use Binary::{Equal, Greater, GreaterEqual, Less, LessEqual};
    let usable = !missing && matches!(op, Equal | Less | LessEqual | Greater | GreaterEqual);
    usable.then_some((&**name, *op, value))
}

/// For each row group whether it may hold rows for which all filters hold. What
/// the footer does not tell may hold them.
pub(crate) fn matching_groups(metadata: &FileMetadata, schema: &ArrowSchema, filters: &[ColExpr]) -> Result<Vec<bool>> {
    let n_groups = metadata.row_groups.len();
    let mut matching = vec![true; n_groups];
    for (name, op, value) in filters.iter().flat_map(conjuncts).filter_map(comparison) {
        let Some(may_hold) = group_may_hold(metadata, schema, name, op, value)? else { continue };
        for (matches, may_hold) in matching.iter_mut().zip(may_hold.iter()) {
            *matches &= may_hold.unwrap_or(true);
        }
    }
    Ok(matching)
}

fn group_may_hold(
    metadata: &FileMetadata,
    schema: &ArrowSchema,
    name: &str,
    op: Binary,
    value: &Scalar,
) -> Result<Option<BooleanChunked>> {
    let (Some(position), Some(field)) = (schema.index_of(name), schema.get(name)) else { return Ok(None) };
    if metadata.row_groups.is_empty() || field.dtype().is_nested() {
        return Ok(None);
    }
    // Without nested columns before it, a column is where the schema has it.
    if schema.iter_values().take(position).any(|field| field.dtype().is_nested()) {
        return Ok(None);
    }
    let Ok(Some(ends)) = deserialize_all(field, &metadata.row_groups, position, &metadata.footer_buf) else {
        return Ok(None);
    };
    let end = |name: &str, array: Box<dyn polars_arrow::array::Array>| -> Result<Column> {
        let series = Series::try_from((PlSmallStr::from_str(name), array)).map_err(polars_error)?;
        let dtype = DataType::from_arrow_field(field);
        let series = if *series.dtype() == dtype { series } else { series.cast(&dtype).map_err(polars_error)? };
        Ok(series.into_column())
    };
    let columns = vec![end("least", ends.min_value)?, end("greatest", ends.max_value)?];
    let (least, greatest, value) = (col("least"), col("greatest"), literal(value)?);
    let may_hold = match op {
        Binary::Equal => least.lt_eq(value.clone()).and(greatest.gt_eq(value)),
        Binary::Less => least.lt(value),
        Binary::LessEqual => least.lt_eq(value),
        Binary::Greater => greatest.gt(value),
        _ => greatest.gt_eq(value),
    };
    let frame = DataFrame::new(metadata.row_groups.len(), columns).map_err(polars_error)?;
    // Types that do not compare are an error of the filter itself, later.
    let Ok(result) = frame.lazy().select([may_hold.alias("may hold")]).collect() else { return Ok(None) };
    let may_hold = result.column("may hold").map_err(polars_error)?.bool().map_err(polars_error)?.clone();
    Ok(Some(may_hold))
}
