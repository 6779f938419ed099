//! Elementwise functions of moments and spans of time.
//!
//! All of them run on counts of a common unit. A moment is counted like the
//! span since 1970, so that arithmetic is done on spans and the result is called
//! a moment again where it is one.

use super::{Argument, slots};
use crate::dtype::{Constant, DType, DTypeKind, TimeUnit, Unit};
use crate::program::{Builder, Func, Slot};
use oxidask_core::{Error, Result};

/// The unit in which all times among the dtypes can be counted.
fn common_unit(dtypes: &[DType]) -> TimeUnit {
    dtypes.iter().fold(TimeUnit::one(Unit::Generic), |unit, dtype| match dtype {
        DType::Datetime(own) | DType::Timedelta(own) => unit.finer(*own),
        _ => unit,
    })
}

fn refuse(name: &str, dtypes: &[DType]) -> Error {
    let names: Vec<&str> = dtypes.iter().map(|dtype| dtype.name()).collect();
    Error::type_(format!("{name} is not defined for dtype {}", names.join(" and ")))
}

/// Adds the steps of a function with a time among its arguments.
///
/// # Errors
/// If the function has no meaning for the dtypes.
pub fn build(name: &str, builder: &mut Builder, args: &[Argument], dtypes: &[DType]) -> Result<Slot> {
    use DTypeKind::{Bool, Datetime, Float, Signed, Timedelta, Unsigned};
    let unit = common_unit(dtypes);
    let (moment, span) = (DType::Datetime(unit), DType::Timedelta(unit));
    let kinds: Vec<DTypeKind> = dtypes.iter().map(|dtype| dtype.kind()).collect();
    let whole = |kind: DTypeKind| matches!(kind, Timedelta | Bool | Signed | Unsigned);
    let step = |builder: &mut Builder, func: Func, dtype: DType| -> Result<Slot> {
        let slots = converted(builder, args, dtypes, dtype)?;
        Ok(builder.step(func, &slots))
    };
    let has_moment = kinds.contains(&Datetime);
    match (name, kinds.as_slice()) {
        ("add", [Datetime, other] | [other, Datetime]) if whole(*other) => {
            let sum = step(builder, Func::Add, span)?;
            Ok(builder.cast(sum, moment))
        }
        ("add", [a, b]) if whole(*a) && whole(*b) => step(builder, Func::Add, span),
        ("subtract", [Datetime, Datetime]) => step(builder, Func::Subtract, span),
        ("subtract", [Datetime, other]) if whole(*other) => {
            let difference = step(builder, Func::Subtract, span)?;
            Ok(builder.cast(difference, moment))
        }
        ("subtract", [a, b]) if whole(*a) && whole(*b) => step(builder, Func::Subtract, span),
        ("multiply", [Timedelta, Bool | Signed | Unsigned] | [Bool | Signed | Unsigned, Timedelta]) => {
            step(builder, Func::Multiply, span)
        }
        ("multiply", [Timedelta, Float] | [Float, Timedelta]) => {
            let product = step(builder, Func::Multiply, DType::F64)?;
            Ok(builder.cast(product, span))
        }
        ("divide" | "true_divide", [Timedelta, Timedelta]) => {
            let slots = converted(builder, args, dtypes, span)?;
            let slots: Vec<Slot> = slots.into_iter().map(|slot| builder.cast(slot, DType::F64)).collect();
            Ok(builder.step(Func::Divide, &slots))
        }
        ("divide" | "true_divide", [Timedelta, Signed | Unsigned | Float]) => {
            let quotient = step(builder, Func::Divide, DType::F64)?;
            Ok(builder.cast(quotient, span))
        }
        ("floor_divide", [Timedelta, Timedelta]) => {
            let quotient = step(builder, Func::FloorDivide, span)?;
            Ok(builder.cast(quotient, DType::I64))
        }
        ("floor_divide", [Timedelta, Signed | Unsigned]) => step(builder, Func::FloorDivide, span),
        ("remainder" | "mod", [Timedelta, Timedelta]) => step(builder, Func::Remainder, span),
        ("fmod", [Timedelta, Timedelta]) => step(builder, Func::Fmod, span),
        ("negative", [Timedelta]) => step(builder, Func::Negative, span),
        ("absolute" | "abs", [Timedelta]) => step(builder, Func::Absolute, span),
        ("sign", [Timedelta]) => step(builder, Func::Sign, span),
        ("positive", [Timedelta]) => Ok(converted(builder, args, dtypes, span)?[0]),
        ("isnan" | "isnat", [_]) => step(builder, Func::Isnan, dtypes[0]),
        ("isfinite", [_]) => step(builder, Func::Isfinite, dtypes[0]),
        ("isinf", [_]) => {
            converted(builder, args, dtypes, dtypes[0])?;
            Ok(builder.constant(Constant::from_i128(DType::Bool, 0)))
        }
        (_, [a, b]) => {
            let same = a == b || (!has_moment && whole(*a) && whole(*b));
            let common = if has_moment { moment } else { span };
            match binary(name).filter(|_| same) {
                Some((func, false)) => step(builder, func, common),
                Some((func, true)) => {
                    let slots = converted(builder, args, dtypes, common)?;
                    Ok(builder.step(func, &[slots[1], slots[0]]))
                }
                None => Err(refuse(name, dtypes)),
            }
        }
        _ => Err(refuse(name, dtypes)),
    }
}

/// Functions of two times of one kind, and whether their arguments are
/// exchanged.
fn binary(name: &str) -> Option<(Func, bool)> {
    Some(match name {
        "equal" => (Func::Equal, false),
        "not_equal" => (Func::NotEqual, false),
        "less" => (Func::Less, false),
        "less_equal" => (Func::LessEqual, false),
        "greater" => (Func::Less, true),
        "greater_equal" => (Func::LessEqual, true),
        "maximum" => (Func::Maximum, false),
        "minimum" => (Func::Minimum, false),
        "fmax" => (Func::Fmax, false),
        "fmin" => (Func::Fmin, false),
        _ => return None,
    })
}

/// The arguments in one dtype: times are first brought to its unit, by way of
/// what they are.
fn converted(builder: &mut Builder, args: &[Argument], dtypes: &[DType], to: DType) -> Result<Vec<Slot>> {
    let unit = match to {
        DType::Datetime(unit) | DType::Timedelta(unit) => Some(unit),
        _ => None,
    };
    args.iter()
        .zip(dtypes)
        .map(|(arg, own)| {
            // A number takes the dtype of what it is beside.
            if let (Argument::Scalar(scalar), false) = (arg, own.is_time()) {
                return Ok(builder.constant(scalar.to_constant(to)?));
            }
            let mut slot = slots(builder, std::slice::from_ref(arg), *own)?[0];
            slot = match (own, unit) {
                (DType::Datetime(_), Some(unit)) => builder.cast(slot, DType::Datetime(unit)),
                (DType::Timedelta(_), Some(unit)) => builder.cast(slot, DType::Timedelta(unit)),
                _ => slot,
            };
            Ok(builder.cast(slot, to))
        })
        .collect()
}
