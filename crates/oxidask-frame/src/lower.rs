//! From our expressions to Polars', with pandas' meaning.
//!
//! One rule carries most of it: *missing is null, never NaN*. Arithmetic may
//! make NaN (0/0), so its result is cleaned once, where something other than
//! arithmetic reads it; between two arithmetic operations NaN and null spread
//! alike.

use crate::dtype::{DType, Scalar};
use crate::expression::{Binary, ColExpr, Time, Unary};
use crate::text::text;
use oxidask_core::{Error, Result};
use polars::chunked_array::cast::CastOptions;
use polars::lazy::dsl::{Expr, col, lit, when};
use polars::prelude::*;
use std::borrow::Cow;

/// The expression in Polars' form; `schema` gives the types of the columns.
pub(crate) fn lower(expr: &ColExpr, schema: &Schema) -> Result<Expr> {
    Ok(Lowered::of(expr, schema)?.clean())
}

/// A lowered expression and whether it may hold NaN.
struct Lowered {
    expr: Expr,
    may_be_nan: bool,
}

impl Lowered {
    fn exact(expr: Expr) -> Self {
        Lowered { expr, may_be_nan: false }
    }

    fn clean(self) -> Expr {
        if self.may_be_nan { crate::nan::to_null(self.expr) } else { self.expr }
    }

    fn of(expr: &ColExpr, schema: &Schema) -> Result<Self> {
        Ok(match expr {
            ColExpr::Column(name) => Self::exact(col(&**name)),
            ColExpr::Literal(value) => Self::exact(literal(value)?),
            ColExpr::Unary(op, a) => unary(*op, a, schema)?,
            ColExpr::Binary(op, a, b) => binary(*op, a, b, schema)?,
            ColExpr::Cast(a, dtype) => Self::exact(cast(lower(a, schema)?, type_of(a, schema)?, dtype)?),
            ColExpr::FillNull(a, b) => Self::exact(lower(a, schema)?.fill_null(lower(b, schema)?)),
            ColExpr::IsIn(a, values) => Self::exact(is_in(lower(a, schema)?, values)?),
            ColExpr::When(a, b, c) => Self::exact(
                when(lower(a, schema)?.fill_null(lit(false))).then(lower(b, schema)?).otherwise(lower(c, schema)?),
            ),
            ColExpr::Text(function, a) => {
                let dtype = type_of(a, schema)?;
                let strings = lower(a, schema)?;
                let strings = match dtype {
                    DType::Str => strings,
                    DType::Categorical => strings.cast(DataType::String),
                    other => return Err(Error::type_(format!("'{a}' is of type {other}; .str needs strings"))),
                };
                Self::exact(text(function, strings)?)
            }
            ColExpr::Time(function, a) => {
                let dtype = type_of(a, schema)?;
                if !dtype.is_temporal() {
                    return Err(Error::type_(format!("'{a}' is of type {dtype}; .dt needs times")));
                }
                Self::exact(time(function, lower(a, schema)?))
            }
        })
    }
}

/// The type of an expression over columns with these types.
pub(crate) fn type_of(expr: &ColExpr, schema: &Schema) -> Result<DType> {
    if let ColExpr::Column(name) = expr {
        let dtype = schema
            .get(name)
            .ok_or_else(|| crate::error::unknown_column(name, schema.iter_names().map(|name| &**name)))?;
        return DType::from_polars(dtype);
    }
    let lowered = lower(expr, schema)?.alias("x");
    let frame = DataFrame::empty_with_schema(schema);
    let typed = frame.lazy().select([lowered]).collect_schema().map_err(crate::error::polars_error)?;
    let dtype = typed.get("x").ok_or_else(|| Error::type_(format!("the type of '{expr}' is not known")))?;
    DType::from_polars(dtype)
}

pub(crate) fn literal(value: &Scalar) -> Result<Expr> {
    Ok(match value {
        Scalar::Null => lit(NULL),
        Scalar::Bool(value) => lit(*value),
        // Untyped, so that a small type stays small, as in NumPy.
        Scalar::Int(value) => lit(*value),
        Scalar::UInt(value) => lit(*value),
        Scalar::Float(value) if value.is_nan() => lit(NULL).cast(DataType::Float64),
        Scalar::Float(value) => lit(*value),
        Scalar::Str(value) => lit(value.as_str()),
        Scalar::Datetime(value, unit) => typed(polars::prelude::Scalar::new_datetime(*value, unit.to_polars(), None)),
        Scalar::Duration(value, unit) => typed(polars::prelude::Scalar::new_duration(*value, unit.to_polars())),
    })
}

fn typed(value: polars::prelude::Scalar) -> Expr {
    Expr::Literal(LiteralValue::Scalar(value))
}

/// A time that is compared with values of another unit, in their unit if it is a
/// whole number of it: otherwise Polars would convert the column.
fn in_unit_of<'a>(value: &'a ColExpr, other: &ColExpr, schema: &Schema) -> Result<Cow<'a, ColExpr>> {
    let ColExpr::Literal(Scalar::Datetime(time, unit)) = value else { return Ok(Cow::Borrowed(value)) };
    let DType::Datetime(wanted, _) = type_or_literal(other, schema)? else { return Ok(Cow::Borrowed(value)) };
    let nanoseconds = i128::from(*time) * unit.nanoseconds();
    let whole = nanoseconds % wanted.nanoseconds() == 0;
    let converted = i64::try_from(nanoseconds / wanted.nanoseconds()).ok().filter(|_| whole && wanted != *unit);
    Ok(converted.map_or(Cow::Borrowed(value), |time| Cow::Owned(ColExpr::Literal(Scalar::Datetime(time, wanted)))))
}

/// A filter in Polars' form. Rows for which it is missing are left out anyway, so
/// that, unlike in [`lower`], no comparison must say what it is of missing values;
/// Polars recognises such comparisons and skips row groups by them.
pub(crate) fn lower_filter(filter: &ColExpr, schema: &Schema) -> Result<Expr> {
    match filter {
        ColExpr::Binary(Binary::And, a, b) => Ok(lower_filter(a, schema)?.and(lower_filter(b, schema)?)),
        ColExpr::Binary(Binary::Or, a, b) => Ok(lower_filter(a, schema)?.or(lower_filter(b, schema)?)),
        ColExpr::Binary(op, a, b) if op.is_comparison() && *op != Binary::NotEqual => comparison(*op, a, b, schema),
        _ => lower(filter, schema),
    }
}

/// A comparison that is missing where an operand is.
fn comparison(op: Binary, a: &ColExpr, b: &ColExpr, schema: &Schema) -> Result<Expr> {
    check_comparable(op, a, b, schema)?;
    let (x, y) = (in_unit_of(a, b, schema)?, in_unit_of(b, a, schema)?);
    let (left, right) = (lower(&x, schema)?, lower(&y, schema)?);
    Ok(match op {
        Binary::Equal => left.eq(right),
        Binary::NotEqual => left.neq(right),
        Binary::Less => left.lt(right),
        Binary::LessEqual => left.lt_eq(right),
        Binary::Greater => left.gt(right),
        _ => left.gt_eq(right),
    })
}

fn unary(op: Unary, a: &ColExpr, schema: &Schema) -> Result<Lowered> {
    let operand = Lowered::of(a, schema)?;
    let may_be_nan = operand.may_be_nan;
    let arithmetic = |expr: Expr| Lowered { expr, may_be_nan };
    Ok(match op {
        Unary::Negate => arithmetic(-operand.expr),
        Unary::Abs => arithmetic(operand.expr.abs()),
        Unary::Floor => arithmetic(operand.expr.floor()),
        Unary::Ceil => arithmetic(operand.expr.ceil()),
        Unary::Round(decimals) => arithmetic(operand.expr.round(decimals, RoundMode::HalfToEven)),
        Unary::Sqrt => Lowered { expr: operand.expr.sqrt(), may_be_nan: true },
        Unary::Not => Lowered::exact(operand.clean().not()),
        Unary::IsNull => Lowered::exact(operand.clean().is_null()),
        Unary::NotNull => Lowered::exact(operand.clean().is_not_null()),
    })
}

fn binary(op: Binary, a: &ColExpr, b: &ColExpr, schema: &Schema) -> Result<Lowered> {
    if op.is_comparison() {
        let missing = lit(op == Binary::NotEqual);
        return Ok(Lowered::exact(comparison(op, a, b, schema)?.fill_null(missing)));
    }
    let (left, right) = (Lowered::of(a, schema)?, Lowered::of(b, schema)?);
    if op.is_arithmetic() {
        let (x, y) = (type_or_literal(a, schema)?, type_or_literal(b, schema)?);
        return arithmetic(op, (left.expr, &x), (right.expr, &y), a, b);
    }
    let (left, right) = (left.clean(), right.clean());
    Ok(Lowered::exact(match op {
        Binary::And => left.and(right),
        Binary::Or => left.or(right),
        _ => left.xor(right),
    }))
}

/// The type of an operand; literals answer the type that a column would have.
fn type_or_literal(expr: &ColExpr, schema: &Schema) -> Result<DType> {
    Ok(match expr {
        ColExpr::Literal(Scalar::Int(_) | Scalar::UInt(_)) => DType::I64,
        ColExpr::Literal(Scalar::Float(_)) => DType::F64,
        ColExpr::Literal(Scalar::Bool(_)) => DType::Bool,
        ColExpr::Literal(Scalar::Null) => DType::Null,
        other => type_of(other, schema)?,
    })
}

fn check_comparable(op: Binary, a: &ColExpr, b: &ColExpr, schema: &Schema) -> Result<()> {
    let (x, y) = (type_or_literal(a, schema)?, type_or_literal(b, schema)?);
    let texts = |dtype: &DType| matches!(dtype, DType::Str | DType::Categorical);
    if (texts(&x) && y.is_numeric()) || (x.is_numeric() && texts(&y)) {
        let symbol = op.symbol();
        return Err(Error::type_(format!("cannot compare '{a}' of type {x} with '{b}' of type {y} by {symbol}"))
            .with_hint("convert one of them with astype"));
    }
    Ok(())
}

fn arithmetic(
    op: Binary,
    (x, x_type): (Expr, &DType),
    (y, y_type): (Expr, &DType),
    a: &ColExpr,
    b: &ColExpr,
) -> Result<Lowered> {
    let number = |dtype: &DType| dtype.is_numeric() || *dtype == DType::Null;
    if !(number(x_type) && number(y_type)) {
        let joins = *x_type == DType::Str && *y_type == DType::Str && op == Binary::Add;
        let times = (x_type.is_temporal() && (y_type.is_temporal() || number(y_type)))
            || (number(x_type) && y_type.is_temporal());
        if !joins && !times {
            let symbol = op.symbol();
            return Err(Error::type_(format!("cannot compute '{a}' of type {x_type} {symbol} '{b}' of type {y_type}"))
                .with_hint("convert the columns with astype first"));
        }
        return Ok(Lowered::exact(match op {
            Binary::Add => x + y,
            Binary::Subtract => x - y,
            Binary::Multiply => x * y,
            _ => x / y,
        }));
    }
    // Booleans count as 0 and 1, as everywhere in NumPy.
    let as_number = |expr: Expr, dtype: &DType| if *dtype == DType::Bool { expr.cast(DataType::Int64) } else { expr };
    let (x, y) = (as_number(x, x_type), as_number(y, y_type));
    let floats = x_type.is_float() || y_type.is_float();
    let expr = match op {
        Binary::Add => x + y,
        Binary::Subtract => x - y,
        Binary::Multiply => x * y,
        Binary::Divide => {
            let narrow = *x_type == DType::F32 || *y_type == DType::F32;
            if narrow { x / y } else { x.cast(DataType::Float64) / y.cast(DataType::Float64) }
        }
        Binary::FloorDivide => x.floor_div(y),
        Binary::Modulo => modulo(x, y, floats),
        _ => x.pow(y),
    };
    Ok(Lowered { expr, may_be_nan: floats || matches!(op, Binary::Divide) })
}

/// The remainder with the sign of the divisor, as Python has it.
fn modulo(x: Expr, y: Expr, floats: bool) -> Expr {
    if floats { x.clone() - (x / y.clone()).floor() * y } else { x.clone() - x.floor_div(y.clone()) * y }
}

/// Converts as pandas does, save that a fraction beyond the whole numbers of the new
/// type is an error: what NumPy makes of it depends on the machine.
fn cast(expr: Expr, from: DType, to: &DType) -> Result<Expr> {
    let target = to.to_polars()?;
    Ok(match (&from, to) {
        // Whole numbers wrap, as in NumPy.
        (from, to) if from.is_integer() && to.is_integer() => {
            without_missing(expr.cast_with_options(target, CastOptions::Overflowing), to)
        }
        (_, to) if to.is_integer() => without_missing(expr.strict_cast(target), to),
        // A missing number is not zero.
        (DType::F32 | DType::F64, DType::Bool) => expr.strict_cast(target).fill_null(lit(true)),
        (DType::Bool, DType::Str) => {
            when(expr.clone()).then(lit("True")).when(expr.not()).then(lit("False")).otherwise(lit(NULL))
        }
        _ => expr.strict_cast(target),
    })
}

/// The same whole numbers, or an error if one is missing, as none can be.
fn without_missing(numbers: Expr, to: &DType) -> Expr {
    let to = to.to_string();
    numbers.map(
        move |column| {
            if column.null_count() == 0 {
                return Ok(column);
            }
            Err(PolarsError::ComputeError(
                format!(
                    "column '{}' has missing values, which cannot be converted to {to}\nhint: fill them first, as \
                     with fillna(0), or ask for the type '{}', which has missing values",
                    column.name(),
                    nullable_name(&to),
                )
                .into(),
            ))
        },
        |_, field| Ok(field.clone()),
    )
}

/// How pandas calls the type of whole numbers that has missing values.
fn nullable_name(name: &str) -> String {
    name.replace("uint", "UInt").replace("int", "Int")
}

fn is_in(expr: Expr, values: &[Scalar]) -> Result<Expr> {
    let nulls = values.iter().any(|value| matches!(value, Scalar::Null));
    let mut found: Option<Expr> = None;
    let rest: Vec<&Scalar> = values.iter().filter(|value| !matches!(value, Scalar::Null)).collect();
    if !rest.is_empty() {
        let series = scalars_to_series(&rest)?;
        let list = lit(series).implode(true);
        found = Some(expr.clone().is_in(list, false).fill_null(lit(false)));
    }
    let missing = nulls.then(|| expr.is_null());
    Ok(match (found, missing) {
        (Some(found), Some(missing)) => found.or(missing),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => lit(false),
    })
}

/// Values of one kind as a series without a name.
pub(crate) fn scalars_to_series(values: &[&Scalar]) -> Result<Series> {
    let name = PlSmallStr::EMPTY;
    let mixed = || Error::type_("isin takes values of one type: all numbers, all strings or all booleans");
    let Some(first) = values.first() else { return Ok(Series::new_empty(name, &DataType::Null)) };
    Ok(match first {
        Scalar::Str(_) => {
            let texts: Option<Vec<&str>> = values
                .iter()
                .map(|value| if let Scalar::Str(text) = value { Some(text.as_str()) } else { None })
                .collect();
            Series::new(name, texts.ok_or_else(mixed)?)
        }
        Scalar::Bool(_) => {
            let bools: Option<Vec<bool>> =
                values.iter().map(|value| if let Scalar::Bool(value) = value { Some(*value) } else { None }).collect();
            Series::new(name, bools.ok_or_else(mixed)?)
        }
        Scalar::Datetime(_, unit) => {
            let unit = *unit;
            let times: Option<Vec<i64>> = values
                .iter()
                .map(
                    |value| {
                        if let Scalar::Datetime(time, own) = value { (*own == unit).then_some(*time) } else { None }
                    },
                )
                .collect();
            let series = Series::new(name, times.ok_or_else(mixed)?);
            series.cast(&DataType::Datetime(unit.to_polars(), None)).map_err(crate::error::polars_error)?
        }
        _ => {
            let whole: Option<Vec<i64>> =
                values.iter().map(|value| if let Scalar::Int(value) = value { Some(*value) } else { None }).collect();
            if let Some(whole) = whole {
                return Ok(Series::new(name, whole));
            }
            let floats: Option<Vec<f64>> = values
                .iter()
                .map(|value| match value {
                    Scalar::Int(value) => Some(*value as f64),
                    Scalar::UInt(value) => Some(*value as f64),
                    Scalar::Float(value) => Some(*value),
                    _ => None,
                })
                .collect();
            Series::new(name, floats.ok_or_else(mixed)?)
        }
    })
}

fn time(function: &Time, times: Expr) -> Expr {
    let whole = |expr: Expr| expr.cast(DataType::Int32);
    match function {
        Time::Year => whole(times.dt().year()),
        Time::Month => whole(times.dt().month()),
        Time::Day => whole(times.dt().day()),
        Time::Hour => whole(times.dt().hour()),
        Time::Minute => whole(times.dt().minute()),
        Time::Second => whole(times.dt().second()),
        Time::Microsecond => whole(times.dt().microsecond()),
        Time::Quarter => whole(times.dt().quarter()),
        Time::DayOfWeek => whole(times.dt().weekday()) - lit(1_i32),
        Time::DayOfYear => whole(times.dt().ordinal_day()),
        Time::DaysInMonth => whole(times.dt().days_in_month()),
        Time::Normalize => times.dt().truncate(lit("1d")),
        Time::Strftime(format) => times.dt().strftime(format),
        Time::TotalSeconds => times.dt().total_microseconds(false).cast(DataType::Float64) / lit(1e6),
        Time::Days => times.dt().total_days(false),
    }
}
