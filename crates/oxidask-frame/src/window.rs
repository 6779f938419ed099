//! Functions of a column whose value in a row depends on rows around it.
//!
//! What a partition needs of the rows before and after it is small: so many rows
//! of its neighbours, or one row that sums up all rows before. `Window::summary`
//! makes it of one partition, `Window::merged` of several, and
//! `Window::apply` computes the rows of a partition beside it.

use crate::dtype::DType;
use crate::error::polars_error;
use oxidask_core::{Error, Result};
use polars::lazy::dsl::{Expr, col, lit};
use polars::prelude::*;
use serde::{Deserialize, Serialize};

/// A function of a column that looks at other rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Window {
    /// The value so many rows before; after, if negative.
    Shift(i64),
    /// The difference to the value so many rows before; after, if negative.
    Diff(i64),
    /// An aggregate of the last `size` rows, of which at least `min_periods` are
    /// not missing; centred on the row instead of ending with it if `center`.
    Rolling {
        /// What to compute.
        func: Rolling,
        /// Rows of a window.
        size: u32,
        /// With fewer values the result is missing.
        min_periods: u32,
        /// Whether the row is the middle of its window.
        center: bool,
    },
    /// An aggregate of all rows up to this one.
    Cumulative(Cumulative),
    /// The last value that is not missing.
    ForwardFill,
    /// The next value that is not missing.
    BackwardFill,
}

/// Aggregates of moving windows; missing values are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Rolling {
    Sum,
    Mean,
    Min,
    Max,
    Count,
    Median,
    /// Standard deviation with this many degrees of freedom taken off.
    Std(u8),
    /// Variance with this many degrees of freedom taken off.
    Var(u8),
}

/// Aggregates of all rows so far; missing values stay missing and are passed
/// over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Cumulative {
    Sum,
    Product,
    Min,
    Max,
}

/// The only column of a summary, and of the rows that it is put beside.
const VALUE: &str = "value";

/// From where rows are needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Side {
    Before,
    After,
}

impl Window {
    /// The function by pandas' name, such as `cumsum`.
    ///
    /// # Errors
    /// If there is none of that name.
    pub fn by_name(name: &str) -> Result<Window> {
        Ok(match name {
            "cumsum" => Window::Cumulative(Cumulative::Sum),
            "cumprod" => Window::Cumulative(Cumulative::Product),
            "cummin" => Window::Cumulative(Cumulative::Min),
            "cummax" => Window::Cumulative(Cumulative::Max),
            "ffill" => Window::ForwardFill,
            "bfill" => Window::BackwardFill,
            _ => {
                return Err(Error::value(format!("there is no function '{name}' of rows around each row"))
                    .with_hint("there are cumsum, cumprod, cummin, cummax, ffill and bfill"));
            }
        })
    }

    /// How many rows before and after each row it looks at; a summary of all of
    /// them counts as one.
    pub(crate) fn reach(&self) -> (usize, usize) {
        let sides = |n: i64| if n >= 0 { (n as usize, 0) } else { (0, n.unsigned_abs() as usize) };
        match self {
            Window::Shift(n) | Window::Diff(n) => sides(*n),
            Window::Rolling { size, center: true, .. } => {
                let after = (*size as usize).saturating_sub(1) / 2;
                ((*size as usize).saturating_sub(1) - after, after)
            }
            Window::Rolling { size, .. } => ((*size as usize).saturating_sub(1), 0),
            Window::Cumulative(_) | Window::ForwardFill => (1, 0),
            Window::BackwardFill => (0, 1),
        }
    }

    /// The type of the result for values of a type.
    ///
    /// # Errors
    /// If values of the type cannot be treated so.
    pub(crate) fn dtype(&self, of: &DType) -> Result<DType> {
        let needs_numbers = |what: &str| -> Error {
            Error::type_(format!("values of type {of} have no {what}; it needs numbers"))
                .with_hint("choose the numeric columns first")
        };
        Ok(match self {
            Window::Shift(_) if of.is_integer() => DType::F64,
            Window::Shift(_) | Window::ForwardFill | Window::BackwardFill => of.clone(),
            Window::Diff(_) => match of {
                DType::F32 => DType::F32,
                of if of.is_numeric() => DType::F64,
                DType::Datetime(unit, _) | DType::Duration(unit) => DType::Duration(*unit),
                _ => return Err(needs_numbers("difference")),
            },
            Window::Rolling { .. } if of.is_numeric() => DType::F64,
            Window::Rolling { .. } => return Err(needs_numbers("rolling aggregate")),
            Window::Cumulative(Cumulative::Min | Cumulative::Max) if of.is_numeric() => of.clone(),
            Window::Cumulative(_) => match of {
                DType::Bool | DType::I8 | DType::I16 | DType::I32 => DType::I64,
                DType::U8 | DType::U16 | DType::U32 => DType::U64,
                of if of.is_numeric() => of.clone(),
                _ => return Err(needs_numbers("cumulative aggregate")),
            },
        })
    }

    /// What neighbours need of these values.
    pub(crate) fn summary(&self, values: &Column, side: Side) -> Result<Column> {
        let (before, after) = self.reach();
        let summed = |expr: Expr| evaluated(values, expr);
        match self {
            Window::Cumulative(Cumulative::Sum) => summed(col(VALUE).sum()),
            Window::Cumulative(Cumulative::Product) => summed(col(VALUE).product()),
            Window::Cumulative(Cumulative::Min) => summed(col(VALUE).min()),
            Window::Cumulative(Cumulative::Max) => summed(col(VALUE).max()),
            Window::ForwardFill => summed(col(VALUE).last_non_null()),
            Window::BackwardFill => summed(col(VALUE).first_non_null()),
            _ if side == Side::Before => Ok(values.tail(Some(before))),
            _ => Ok(values.head(Some(after))),
        }
    }

    /// The summary of rows that follow each other, from the summaries of parts.
    pub(crate) fn merged(&self, first: &Column, then: &Column, side: Side) -> Result<Column> {
        let mut all = first.clone();
        all.append(then).map_err(polars_error)?;
        self.summary(&all, side)
    }

    /// The results for `values` that have these summaries before and after them.
    pub(crate) fn apply(&self, before: Option<&Column>, values: &Column, after: Option<&Column>) -> Result<Column> {
        let mut all = values.clone();
        let mut offset = 0;
        if let Some(before) = before {
            all = before.clone();
            all.append(values).map_err(polars_error)?;
            offset = before.len();
        }
        if let Some(after) = after {
            all.append(after).map_err(polars_error)?;
        }
        let result = evaluated(&all, self.expr(col(VALUE)))?;
        Ok(result.slice(offset as i64, values.len()))
    }

    /// The function of all rows of a table. The values must be those that
    /// [`Window::prepared`] makes.
    pub(crate) fn expr(&self, value: Expr) -> Expr {
        match self {
            Window::Shift(n) => value.shift(lit(*n)),
            Window::Diff(n) => value.clone() - value.shift(lit(*n)),
            Window::Rolling { func, size, min_periods, center } => rolling(value, *func, *size, *min_periods, *center),
            Window::Cumulative(Cumulative::Sum) => value.cum_sum(false),
            Window::Cumulative(Cumulative::Product) => value.cum_prod(false),
            Window::Cumulative(Cumulative::Min) => value.cum_min(false),
            Window::Cumulative(Cumulative::Max) => value.cum_max(false),
            Window::ForwardFill => value.fill_null_with_strategy(FillNullStrategy::Forward(None)),
            Window::BackwardFill => value.fill_null_with_strategy(FillNullStrategy::Backward(None)),
        }
    }

    /// Values of a type as the function takes them.
    pub(crate) fn prepared(&self, value: Expr, dtype: &DType) -> Result<Expr> {
        let result = self.dtype(dtype)?;
        Ok(match (self, &result) {
            (Window::Diff(_), DType::Duration(_)) => value,
            _ if result == *dtype => value,
            _ => value.cast(result.to_polars()?),
        })
    }
}

fn evaluated(values: &Column, expr: Expr) -> Result<Column> {
    let frame = DataFrame::new(values.len(), vec![values.clone().with_name(VALUE.into())]).map_err(polars_error)?;
    let result = frame.lazy().select([expr.alias(VALUE)]).collect().map_err(polars_error)?;
    result.column(VALUE).cloned().map_err(polars_error)
}

fn rolling(value: Expr, func: Rolling, size: u32, min_periods: u32, center: bool) -> Expr {
    let params = match func {
        Rolling::Std(ddof) | Rolling::Var(ddof) => Some(RollingFnParams::Var(RollingVarParams { ddof })),
        _ => None,
    };
    let options = RollingOptionsFixedWindow {
        window_size: size as usize,
        min_periods: min_periods as usize,
        weights: None,
        center,
        fn_params: params,
    };
    match func {
        Rolling::Sum => value.rolling_sum(options),
        Rolling::Mean => value.rolling_mean(options),
        Rolling::Min => value.rolling_min(options),
        Rolling::Max => value.rolling_max(options),
        Rolling::Median => value.rolling_median(options),
        Rolling::Std(_) => value.rolling_std(options),
        Rolling::Var(_) => value.rolling_var(options),
        Rolling::Count => value.is_not_null().cast(DataType::Float64).rolling_sum(options),
    }
}
