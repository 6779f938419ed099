//! Missing is null in frames, never NaN: how NaN becomes null.
//!
//! Polars' `fill_nan` writes every column anew and gives it a bitmap of what is
//! missing, with which all that follows is slower. Most columns hold no NaN, and
//! to look for one takes a fraction of the time.

use polars::prelude::*;

/// The expression with null where it is NaN.
pub(crate) fn to_null(expr: Expr) -> Expr {
    expr.map_with_fmt_str(column_to_null, |_, field| Ok(field.clone()), "nan to null")
}

/// The columns of floats among these with null where they are NaN.
pub(crate) fn columns_to_null<'a>(names: impl Iterator<Item = &'a str>) -> Vec<Expr> {
    names.map(|name| to_null(col(name))).collect()
}

/// The column with null where it is NaN; as it is if it has none.
///
/// # Errors
/// None for columns as Polars makes them.
pub(crate) fn column_to_null(column: Column) -> PolarsResult<Column> {
    let has_nan = match column.dtype() {
        DataType::Float64 => {
            let chunks = column.as_materialized_series().f64()?;
            chunks.downcast_iter().any(|chunk| any_nan(chunk.values()))
        }
        DataType::Float32 => {
            let chunks = column.as_materialized_series().f32()?;
            chunks.downcast_iter().any(|chunk| any_nan(chunk.values()))
        }
        _ => false,
    };
    if !has_nan {
        return Ok(column);
    }
    let numbers = column.is_not_nan()?;
    let nothing = Column::full_null(column.name().clone(), column.len(), column.dtype());
    column.zip_with(&numbers, &nothing)
}

/// Whether a value is NaN: the only one that differs from itself. Looks at many
/// at a time, without a branch among them, and stops after those with one.
#[allow(clippy::eq_op, reason = "that is what NaN is")]
fn any_nan<T: Copy + PartialEq>(values: &[T]) -> bool {
    values.chunks(1024).any(|part| part.iter().fold(false, |any, value| any | (*value != *value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nan_becomes_null_and_nothing_else_changes() {
        for at in [0, 5, 1023, 1024, 2999] {
            let mut values: Vec<Option<f64>> = (0..3000).map(|i| Some(f64::from(i))).collect();
            values[7] = None;
            values[at] = Some(f64::NAN);
            let column = Column::new("x".into(), &values);
            values[at] = None;
            let wanted = Column::new("x".into(), &values);
            assert!(column_to_null(column).unwrap().equals_missing(&wanted), "NaN at {at}");
        }
    }

    #[test]
    fn columns_without_nan_stay_where_they_are() {
        let column = Column::new("x".into(), [1.5_f32, -0.0, f32::INFINITY]);
        let address = |column: &Column| column.f32().unwrap().cont_slice().unwrap().as_ptr();
        let same = column_to_null(column.clone()).unwrap();
        assert_eq!(address(&same), address(&column));
        assert_eq!(same.null_count(), 0);
        let whole = Column::new("i".into(), [1_i64, 2]);
        assert!(column_to_null(whole.clone()).unwrap().equals(&whole));
    }
}
