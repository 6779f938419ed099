//! NumPy's elementwise functions as rows of a table.
//!
//! A row is a name, a number of arguments and a rule that says in which dtype
//! the instruction runs. Adding a function is adding a row (and an instruction
//! if it cannot be said with those there are).

mod time;

use crate::dtype::{Constant, DType, DTypeKind, Scalar};
use crate::program::{Builder, Func, Program, Slot};
use oxidask_core::{Error, Result};

/// How a function treats dtypes.
#[derive(Clone, Copy, Debug)]
enum Rule {
    /// In the common dtype of the arguments.
    Common(Func),
    /// As `Common`, but truth values are refused, with a hint what to use.
    NoBool(Func, &'static str),
    /// As `Common`, but truth values count as one-byte integers.
    BoolAsInt(Func),
    /// In floats; integers become the float that can hold them.
    Float(Func),
    /// Bitwise: integers and truth values only.
    Bits(Func),
    /// In the common dtype, answering truth values.
    Compare(Func),
    /// As `Compare` with the arguments exchanged.
    CompareSwapped(Func),
    /// Arguments count as truth values.
    Logical(Func),
    /// A question about floats, which integers answer with this value.
    Predicate(Func, bool),
    /// Floats are rounded, integers are whole already.
    Round(Func),
    /// Something made of several instructions.
    Compound(fn(&mut Builder, &[Slot]) -> Result<Slot>, Common),
}

/// The dtype in which a compound function gets its arguments.
#[derive(Clone, Copy, Debug)]
enum Common {
    /// The common dtype.
    Any,
    /// Truth values as one-byte integers.
    Int,
    /// Floats.
    Float,
    /// All integers as `float64`, as true division has it.
    Float64,
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Ufunc {
    /// NumPy's name.
    pub name: &'static str,
    /// Number of arguments.
    pub arity: usize,
    rule: Rule,
}

const fn row(name: &'static str, arity: usize, rule: Rule) -> Ufunc {
    Ufunc { name, arity, rule }
}

/// Every elementwise function, sorted by nothing but kinship.
pub const UFUNCS: &[Ufunc] = &[
    row("add", 2, Rule::Common(Func::Add)),
    row("subtract", 2, Rule::NoBool(Func::Subtract, "use logical_xor or ^")),
    row("multiply", 2, Rule::Common(Func::Multiply)),
    row("divide", 2, Rule::Compound(divide, Common::Float64)),
    row("true_divide", 2, Rule::Compound(divide, Common::Float64)),
    row("floor_divide", 2, Rule::BoolAsInt(Func::FloorDivide)),
    row("remainder", 2, Rule::BoolAsInt(Func::Remainder)),
    row("mod", 2, Rule::BoolAsInt(Func::Remainder)),
    row("fmod", 2, Rule::BoolAsInt(Func::Fmod)),
    row("power", 2, Rule::Compound(power, Common::Int)),
    row("float_power", 2, Rule::Compound(float_power, Common::Float64)),
    row("maximum", 2, Rule::Common(Func::Maximum)),
    row("minimum", 2, Rule::Common(Func::Minimum)),
    row("fmax", 2, Rule::Common(Func::Fmax)),
    row("fmin", 2, Rule::Common(Func::Fmin)),
    row("copysign", 2, Rule::Float(Func::Copysign)),
    row("arctan2", 2, Rule::Float(Func::Arctan2)),
    row("hypot", 2, Rule::Float(Func::Hypot)),
    row("logaddexp", 2, Rule::Float(Func::Logaddexp)),
    row("bitwise_and", 2, Rule::Bits(Func::BitAnd)),
    row("bitwise_or", 2, Rule::Bits(Func::BitOr)),
    row("bitwise_xor", 2, Rule::Bits(Func::BitXor)),
    row("left_shift", 2, Rule::Bits(Func::LeftShift)),
    row("right_shift", 2, Rule::Bits(Func::RightShift)),
    row("invert", 1, Rule::Bits(Func::Invert)),
    row("bitwise_not", 1, Rule::Bits(Func::Invert)),
    row("equal", 2, Rule::Compare(Func::Equal)),
    row("not_equal", 2, Rule::Compare(Func::NotEqual)),
    row("less", 2, Rule::Compare(Func::Less)),
    row("less_equal", 2, Rule::Compare(Func::LessEqual)),
    row("greater", 2, Rule::CompareSwapped(Func::Less)),
    row("greater_equal", 2, Rule::CompareSwapped(Func::LessEqual)),
    row("logical_and", 2, Rule::Logical(Func::BitAnd)),
    row("logical_or", 2, Rule::Logical(Func::BitOr)),
    row("logical_xor", 2, Rule::Logical(Func::BitXor)),
    row("logical_not", 1, Rule::Logical(Func::Invert)),
    row("negative", 1, Rule::NoBool(Func::Negative, "use logical_not or ~")),
    row("positive", 1, Rule::Compound(positive, Common::Any)),
    row("absolute", 1, Rule::Compound(magnitude, Common::Any)),
    row("conjugate", 1, Rule::Common(Func::Conjugate)),
    row("conj", 1, Rule::Common(Func::Conjugate)),
    row("real", 1, Rule::Compound(|builder, args| Ok(part(builder, Func::RealPart, args[0])), Common::Any)),
    row("imag", 1, Rule::Compound(|builder, args| Ok(part(builder, Func::ImagPart, args[0])), Common::Any)),
    row("angle", 1, Rule::Compound(angle, Common::Float)),
    row("abs", 1, Rule::Compound(magnitude, Common::Any)),
    row("fabs", 1, Rule::Float(Func::Absolute)),
    row("sign", 1, Rule::NoBool(Func::Sign, "convert it with astype")),
    row("square", 1, Rule::Compound(|builder, args| Ok(builder.step(Func::Square, args)), Common::Int)),
    row("reciprocal", 1, Rule::Compound(reciprocal, Common::Int)),
    row("sqrt", 1, Rule::Float(Func::Sqrt)),
    row("cbrt", 1, Rule::Float(Func::Cbrt)),
    row("exp", 1, Rule::Float(Func::Exp)),
    row("exp2", 1, Rule::Float(Func::Exp2)),
    row("expm1", 1, Rule::Float(Func::Expm1)),
    row("log", 1, Rule::Float(Func::Log)),
    row("log2", 1, Rule::Float(Func::Log2)),
    row("log10", 1, Rule::Float(Func::Log10)),
    row("log1p", 1, Rule::Float(Func::Log1p)),
    row("sin", 1, Rule::Float(Func::Sin)),
    row("cos", 1, Rule::Float(Func::Cos)),
    row("tan", 1, Rule::Float(Func::Tan)),
    row("arcsin", 1, Rule::Float(Func::Arcsin)),
    row("arccos", 1, Rule::Float(Func::Arccos)),
    row("arctan", 1, Rule::Float(Func::Arctan)),
    row("sinh", 1, Rule::Float(Func::Sinh)),
    row("cosh", 1, Rule::Float(Func::Cosh)),
    row("tanh", 1, Rule::Float(Func::Tanh)),
    row("arcsinh", 1, Rule::Float(Func::Arcsinh)),
    row("arccosh", 1, Rule::Float(Func::Arccosh)),
    row("arctanh", 1, Rule::Float(Func::Arctanh)),
    row(
        "deg2rad",
        1,
        Rule::Compound(|builder, args| Ok(scaled(builder, args[0], std::f64::consts::PI / 180.0)), Common::Float),
    ),
    row(
        "radians",
        1,
        Rule::Compound(|builder, args| Ok(scaled(builder, args[0], std::f64::consts::PI / 180.0)), Common::Float),
    ),
    row(
        "rad2deg",
        1,
        Rule::Compound(|builder, args| Ok(scaled(builder, args[0], 180.0 / std::f64::consts::PI)), Common::Float),
    ),
    row(
        "degrees",
        1,
        Rule::Compound(|builder, args| Ok(scaled(builder, args[0], 180.0 / std::f64::consts::PI)), Common::Float),
    ),
    row("floor", 1, Rule::Round(Func::Floor)),
    row("ceil", 1, Rule::Round(Func::Ceil)),
    row("trunc", 1, Rule::Round(Func::Trunc)),
    row("fix", 1, Rule::Round(Func::Trunc)),
    row("rint", 1, Rule::Float(Func::Rint)),
    row("isnan", 1, Rule::Predicate(Func::Isnan, false)),
    row("isnat", 1, Rule::Predicate(Func::Isnan, false)),
    row("isinf", 1, Rule::Predicate(Func::Isinf, false)),
    row("isfinite", 1, Rule::Predicate(Func::Isfinite, true)),
    row("signbit", 1, Rule::Compound(signbit, Common::Any)),
];

/// The row with a name.
///
/// # Errors
/// If there is none.
pub fn find(name: &str) -> Result<&'static Ufunc> {
    UFUNCS
        .iter()
        .find(|ufunc| ufunc.name == name)
        .ok_or_else(|| Error::unsupported(format!("the function '{name}' is not available for these arrays")))
}

/// What a function is applied to: an array, of which only the dtype matters, or
/// a number.
#[derive(Clone, Copy, Debug)]
pub enum Argument {
    /// An array.
    Array(DType),
    /// A number.
    Scalar(Scalar),
}

impl Argument {
    /// The dtype of the argument alone.
    #[must_use]
    pub fn dtype(&self) -> DType {
        match self {
            Argument::Array(dtype) => *dtype,
            Argument::Scalar(scalar) => scalar.default_dtype(),
        }
    }
}

/// The dtype that arguments promote to: arrays first, then plain numbers.
#[must_use]
pub fn common_dtype(args: &[Argument]) -> DType {
    let arrays = args.iter().filter_map(|arg| match arg {
        Argument::Array(dtype) => Some(*dtype),
        Argument::Scalar(Scalar::Typed(constant)) => Some(constant.dtype()),
        Argument::Scalar(_) => None,
    });
    let scalars: Vec<Scalar> = args
        .iter()
        .filter_map(|arg| match arg {
            Argument::Scalar(scalar) if !matches!(scalar, Scalar::Typed(_)) => Some(*scalar),
            _ => None,
        })
        .collect();
    match arrays.reduce(DType::promote) {
        Some(dtype) => scalars.iter().fold(dtype, |dtype, scalar| scalar.promote(dtype)),
        None => scalars.iter().map(|scalar| scalar.default_dtype()).reduce(DType::promote).unwrap_or(DType::F64),
    }
}

/// The numbers of a program for arguments, in one dtype.
fn slots(builder: &mut Builder, args: &[Argument], dtype: DType) -> Result<Vec<Slot>> {
    args.iter()
        .map(|arg| match arg {
            Argument::Array(own) => {
                let slot = builder.input(*own);
                Ok(builder.cast(slot, dtype))
            }
            Argument::Scalar(scalar) => Ok(builder.constant(scalar.to_constant(dtype)?)),
        })
        .collect()
}

impl Ufunc {
    /// The program of this function for arguments of these dtypes; its inputs
    /// are the arrays among them, in order.
    ///
    /// # Errors
    /// If the number of arguments is wrong or the function has no meaning for
    /// the dtypes.
    pub fn program(&self, args: &[Argument]) -> Result<Program> {
        if args.len() != self.arity {
            return Err(Error::type_(format!("{} takes {} arguments and got {}", self.name, self.arity, args.len())));
        }
        let common = common_dtype(args);
        let dtypes: Vec<DType> = args.iter().map(Argument::dtype).collect();
        if dtypes.iter().any(|dtype| dtype.is_time()) {
            let mut builder = Builder::new();
            let output = time::build(self.name, &mut builder, args, &dtypes)?;
            return Ok(builder.finish(output));
        }
        if !common.has_arithmetic() {
            let names: Vec<&str> = dtypes.iter().map(|dtype| dtype.name()).collect();
            return Err(Error::type_(format!("{} is not defined for dtype {}", self.name, names.join(" and "))));
        }
        let mut builder = Builder::reporting();
        let output = self.build(&mut builder, args, common)?;
        Ok(builder.finish(output))
    }

    fn build(&self, builder: &mut Builder, args: &[Argument], common: DType) -> Result<Slot> {
        let is_bool = common == DType::Bool;
        let refuse =
            |hint: &str| Err(Error::type_(format!("{} is not defined for dtype {common}", self.name)).with_hint(hint));
        let (func, dtype) = match self.rule {
            Rule::Common(func) => (func, common),
            Rule::BoolAsInt(Func::Remainder | Func::Fmod | Func::FloorDivide) if common.is_complex() => {
                return refuse("take the real part first");
            }
            Rule::Float(func) | Rule::Round(func) if common.is_complex() && !func.takes_complex() => {
                return refuse("take the real part or the absolute value first");
            }
            Rule::NoBool(_, hint) if is_bool => return refuse(hint),
            Rule::NoBool(func, _) => (func, common),
            Rule::BoolAsInt(func) => (func, bool_as_int(common)),
            Rule::Float(func) => (func, common.to_float()),
            Rule::Bits(_) if common.is_float() || common.is_complex() => {
                return refuse("convert it to integers with astype first");
            }
            Rule::Bits(Func::LeftShift | Func::RightShift) if is_bool => return refuse("convert it with astype first"),
            Rule::Bits(func) => (func, common),
            Rule::Compare(func) => (func, comparable(args, common)),
            Rule::CompareSwapped(func) => {
                let slots = slots(builder, args, comparable(args, common))?;
                return Ok(builder.step(func, &[slots[1], slots[0]]));
            }
            Rule::Logical(func) => (func, DType::Bool),
            Rule::Predicate(_, answer) if !(common.is_float() || common.is_complex()) => {
                slots(builder, args, common)?;
                return Ok(builder.constant(Constant::from_i128(DType::Bool, answer.into())));
            }
            Rule::Predicate(func, _) => (func, common),
            Rule::Round(func) if common.is_float() => (func, common),
            Rule::Round(_) => return Ok(slots(builder, args, common)?[0]),
            Rule::Compound(function, wish) => {
                let dtype = match wish {
                    Common::Any => common,
                    Common::Int => bool_as_int(common),
                    Common::Float => common.to_float(),
                    Common::Float64 if common.is_float() || common.is_complex() => common,
                    Common::Float64 => DType::F64,
                };
                let slots = slots(builder, args, dtype)?;
                return function(builder, &slots);
            }
        };
        let slots = slots(builder, args, dtype)?;
        Ok(builder.step(func, &slots))
    }
}

fn bool_as_int(dtype: DType) -> DType {
    if dtype == DType::Bool { DType::I8 } else { dtype }
}

/// The dtype in which to compare: a plain integer beyond the range of the array
/// compares by its value, not by what it wraps to.
fn comparable(args: &[Argument], common: DType) -> DType {
    let fits = |arg: &Argument| match arg {
        Argument::Scalar(scalar) => scalar.to_constant(common).is_ok(),
        Argument::Array(_) => true,
    };
    if args.iter().all(fits) { common } else { DType::F64 }
}

/// The absolute value: for complex numbers a real one.
fn magnitude(builder: &mut Builder, args: &[Slot]) -> Result<Slot> {
    let func = if builder.dtype_of(args[0]).is_complex() { Func::Magnitude } else { Func::Absolute };
    Ok(builder.step(func, args))
}

/// The real or imaginary part; real numbers are their own real part.
fn part(builder: &mut Builder, func: Func, slot: Slot) -> Slot {
    let dtype = builder.dtype_of(slot);
    match (dtype.is_complex(), func) {
        (true, _) => builder.step(func, &[slot]),
        (false, Func::RealPart) => slot,
        _ => builder.constant(Constant::from_i128(dtype, 0)),
    }
}

fn angle(builder: &mut Builder, args: &[Slot]) -> Result<Slot> {
    let imaginary = part(builder, Func::ImagPart, args[0]);
    let real = part(builder, Func::RealPart, args[0]);
    Ok(builder.step(Func::Arctan2, &[imaginary, real]))
}

fn divide(builder: &mut Builder, args: &[Slot]) -> Result<Slot> {
    Ok(builder.step(Func::Divide, args))
}

fn positive(builder: &mut Builder, args: &[Slot]) -> Result<Slot> {
    if builder.dtype_of(args[0]) == DType::Bool {
        return Err(Error::type_("positive is not defined for dtype bool"));
    }
    Ok(args[0])
}

/// One divided by a number; of integers only one and minus one have a whole
/// reciprocal, and all others answer 0.
fn reciprocal(builder: &mut Builder, args: &[Slot]) -> Result<Slot> {
    let dtype = builder.dtype_of(args[0]);
    let one = builder.constant(Constant::from_i128(dtype, 1));
    if dtype.is_float() {
        return Ok(builder.step(Func::Reciprocal, &args[..1]));
    }
    if dtype.is_complex() {
        return Ok(builder.step(Func::Divide, &[one, args[0]]));
    }
    let magnitude = builder.step(Func::Absolute, args);
    let is_unit = builder.step(Func::Equal, &[magnitude, one]);
    let zero = builder.constant(Constant::from_i128(dtype, 0));
    Ok(builder.step(Func::Select, &[is_unit, args[0], zero]))
}

fn scaled(builder: &mut Builder, slot: Slot, factor: f64) -> Slot {
    let factor = builder.constant(Constant::from_f64(builder.dtype_of(slot), factor));
    builder.step(Func::Multiply, &[slot, factor])
}

fn signbit(builder: &mut Builder, args: &[Slot]) -> Result<Slot> {
    let dtype = builder.dtype_of(args[0]);
    if dtype.is_complex() {
        return Err(Error::type_(format!("signbit is not defined for dtype {dtype}")));
    }
    if dtype.is_float() {
        return Ok(builder.step(Func::Signbit, args));
    }
    let zero = builder.constant(Constant::from_i128(dtype, 0));
    Ok(builder.step(Func::Less, &[args[0], zero]))
}

fn float_power(builder: &mut Builder, args: &[Slot]) -> Result<Slot> {
    let dtype = if builder.dtype_of(args[0]).is_complex() { DType::C128 } else { DType::F64 };
    let args = [builder.cast(args[0], dtype), builder.cast(args[1], dtype)];
    power(builder, &args)
}

/// Powers with small constant exponents are products, which vectorise.
fn power(builder: &mut Builder, args: &[Slot]) -> Result<Slot> {
    let (base, dtype) = (args[0], builder.dtype_of(args[0]));
    let exponent = builder.constant_value(args[1]).filter(|exponent| exponent.imaginary() == 0.0);
    if let Some(exponent) = exponent
        && dtype.kind() == DTypeKind::Signed
        && exponent.to_i128() < 0
    {
        return Err(Error::value("integers cannot be raised to negative integer powers")
            .with_hint("convert the base to floats with astype first"));
    }
    match exponent.map(Constant::to_f64) {
        Some(1.0) => Ok(base),
        Some(2.0) => Ok(builder.step(Func::Square, &[base])),
        Some(3.0) => {
            let square = builder.step(Func::Square, &[base]);
            Ok(builder.step(Func::Multiply, &[square, base]))
        }
        Some(0.5) if dtype.is_float() || dtype.is_complex() => Ok(builder.step(Func::Sqrt, &[base])),
        Some(-1.0) if dtype.is_float() || dtype.is_complex() => reciprocal(builder, args),
        _ => Ok(builder.step(Func::Power, args)),
    }
}

/// The program of `where(condition, x, y)`.
///
/// # Errors
/// If a plain integer does not fit the dtype of the array beside it.
pub fn where_program(condition: Argument, x: Argument, y: Argument) -> Result<Program> {
    let dtype = common_dtype(&[x, y]);
    if !dtype.has_arithmetic() {
        return Err(Error::type_(format!("where cannot choose between {} and {}", x.dtype(), y.dtype())));
    }
    let mut builder = Builder::new();
    let condition = slots(&mut builder, &[condition], DType::Bool)?[0];
    let values = slots(&mut builder, &[x, y], dtype)?;
    let output = builder.step(Func::Select, &[condition, values[0], values[1]]);
    Ok(builder.finish(output))
}

/// The program of `clip(x, low, high)`; a missing bound does not bound.
///
/// # Errors
/// If both bounds are missing, or a plain integer does not fit.
pub fn clip_program(x: Argument, low: Option<Argument>, high: Option<Argument>) -> Result<Program> {
    let all: Vec<Argument> = [Some(x), low, high].into_iter().flatten().collect();
    if all.len() == 1 {
        return Err(Error::value("clip needs a lower or an upper bound"));
    }
    let common = common_dtype(&all);
    if !common.has_arithmetic() {
        return Err(Error::type_(format!("clip is not defined for dtype {}", x.dtype())));
    }
    let mut builder = Builder::new();
    let slots = slots(&mut builder, &all, common)?;
    let mut bounds = slots[1..].iter();
    let mut output = slots[0];
    for (bound, func) in [(low, Func::Maximum), (high, Func::Minimum)] {
        if bound.is_some() {
            let bound = *bounds.next().expect("every bound has a number");
            output = builder.step(func, &[output, bound]);
        }
    }
    Ok(builder.finish(output))
}

/// The program of `astype`.
///
/// # Errors
/// If one of the dtypes has no arithmetic and they differ.
pub fn cast_program(from: DType, to: DType) -> Result<Program> {
    if from != to && !(from.has_arithmetic() && to.has_arithmetic()) {
        return Err(Error::type_(format!("there is no conversion from {from} to {to} but through NumPy")));
    }
    let mut builder = Builder::reporting();
    let input = builder.input(from);
    let output = builder.cast(input, to);
    Ok(builder.finish(output))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dtype(name: &str, args: &[Argument]) -> DType {
        let program = find(name).unwrap().program(args).unwrap();
        program.check().unwrap();
        program.dtype()
    }

    #[test]
    fn every_row_has_a_sound_program_for_every_dtype_it_takes() {
        for ufunc in UFUNCS {
            for dtype in DType::ALL {
                let args = vec![Argument::Array(dtype); ufunc.arity];
                match ufunc.program(&args) {
                    Ok(program) => program.check().unwrap(),
                    Err(error) => assert!(error.message().contains(ufunc.name), "{error}"),
                }
            }
        }
        let mut names: Vec<&str> = UFUNCS.iter().map(|ufunc| ufunc.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), UFUNCS.len(), "every name once");
    }

    #[test]
    fn dtypes_are_numpys() {
        use Argument::{Array, Scalar as Number};
        let (i32s, u8s, f32s) = (Array(DType::I32), Array(DType::U8), Array(DType::F32));
        assert_eq!(dtype("add", &[u8s, Number(Scalar::Int(3))]), DType::U8);
        assert_eq!(dtype("add", &[i32s, f32s]), DType::F64);
        assert_eq!(dtype("divide", &[u8s, u8s]), DType::F64);
        assert_eq!(dtype("divide", &[f32s, Number(Scalar::Int(2))]), DType::F32);
        assert_eq!(dtype("sin", &[i32s]), DType::F64);
        assert_eq!(dtype("less", &[u8s, Number(Scalar::Int(300))]), DType::Bool);
        assert_eq!(dtype("floor", &[i32s]), DType::I32);
        assert_eq!(dtype("power", &[i32s, Number(Scalar::Float(2.0))]), DType::F64);
        assert!(find("power").unwrap().program(&[i32s, Number(Scalar::Int(-1))]).is_err());
        assert!(find("add").unwrap().program(&[u8s, Number(Scalar::Int(300))]).is_err());
        assert!(find("no_such_function").is_err());
    }
}
