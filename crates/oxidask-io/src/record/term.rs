//! Terms: what a function computes, as a tree that can travel.

use super::cell::Scalar;
use oxidask_core::{Error, Result};
use serde::{Deserialize, Serialize};

/// What a function of one or two arguments computes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Term {
    /// An argument.
    Arg(u8),
    /// A constant.
    Const(Scalar),
    /// A tuple of values.
    Tuple(Vec<Term>),
    /// The second value if the first is true, else the third.
    If(Box<Term>, Box<Term>, Box<Term>),
    /// A function of values.
    Call(Function, Vec<Term>),
}

macro_rules! functions {
    ($($(#[$doc:meta])* $variant:ident = $name:literal / $least:literal .. $most:literal,)*) => {
        /// The well-known functions.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum Function { $($(#[$doc])* $variant,)* }

        impl Function {
            /// The name, by which Python's side refers to it, and the least and
            /// the greatest number of arguments.
            pub const TABLE: &'static [(Function, &'static str, usize, usize)] =
                &[$((Function::$variant, $name, $least, $most),)*];
        }
    };
}

functions! {
    /// `x[key]`
    Item = "item" / 2 .. 2,
    /// `dict.get(key, default)`
    Get = "get" / 2 .. 3,
    /// `x[key]`, or the default if that raises what `pluck` forgives.
    Pluck = "pluck" / 3 .. 3,
    /// `json.loads`
    JsonLoads = "json.loads" / 1 .. 1,
    /// `json.dumps`
    JsonDumps = "json.dumps" / 1 .. 1,
    /// `len`
    Len = "len" / 1 .. 1,
    /// `int`
    Int = "int" / 1 .. 1,
    /// `float`
    Float = "float" / 1 .. 1,
    /// `str`
    Str = "str" / 1 .. 1,
    /// `bool`
    Bool = "bool" / 1 .. 1,
    /// `sum`
    Sum = "sum" / 1 .. 1,
    /// `min`
    Min = "min" / 1 .. 2,
    /// `max`
    Max = "max" / 1 .. 2,
    /// `abs`
    Abs = "abs" / 1 .. 1,
    /// `not x`
    Not = "not" / 1 .. 1,
    /// `-x`
    Neg = "neg" / 1 .. 1,
    /// `a + b`
    Add = "add" / 2 .. 2,
    /// `a - b`
    Sub = "sub" / 2 .. 2,
    /// `a * b`
    Mul = "mul" / 2 .. 2,
    /// `a / b`
    TrueDiv = "truediv" / 2 .. 2,
    /// `a // b`
    FloorDiv = "floordiv" / 2 .. 2,
    /// `a % b`
    Mod = "mod" / 2 .. 2,
    /// `a == b`
    Eq = "eq" / 2 .. 2,
    /// `a != b`
    Ne = "ne" / 2 .. 2,
    /// `a < b`
    Lt = "lt" / 2 .. 2,
    /// `a <= b`
    Le = "le" / 2 .. 2,
    /// `a > b`
    Gt = "gt" / 2 .. 2,
    /// `a >= b`
    Ge = "ge" / 2 .. 2,
    /// `b in a`, in the order of `operator.contains`.
    Contains = "contains" / 2 .. 2,
    /// `x.name`, of the numbers' own attributes.
    Attribute = "attribute" / 2 .. 2,
    /// `x is None`
    IsNone = "is_none" / 1 .. 1,
    /// `str.lower`
    Lower = "str.lower" / 1 .. 1,
    /// `str.upper`
    Upper = "str.upper" / 1 .. 1,
    /// `str.strip`
    Strip = "str.strip" / 1 .. 2,
    /// `str.lstrip`
    LeftStrip = "str.lstrip" / 1 .. 2,
    /// `str.rstrip`
    RightStrip = "str.rstrip" / 1 .. 2,
    /// `str.split`
    Split = "str.split" / 1 .. 3,
    /// `str.startswith`
    StartsWith = "str.startswith" / 2 .. 2,
    /// `str.endswith`
    EndsWith = "str.endswith" / 2 .. 2,
    /// `str.replace`
    Replace = "str.replace" / 3 .. 3,
    /// `str.find`
    Find = "str.find" / 2 .. 2,
    /// `str.count`
    Count = "str.count" / 2 .. 2,
    /// `str.isdigit`
    IsDigit = "str.isdigit" / 1 .. 1,
}

impl Term {
    /// A call of the function with a name.
    ///
    /// # Errors
    /// If there is none, or it takes another number of arguments.
    pub fn call(name: &str, args: Vec<Term>) -> Result<Self> {
        let row = Function::TABLE.iter().find(|(_, own, ..)| *own == name);
        let (function, _, least, most) = *row.ok_or_else(|| Error::value(format!("'{name}' is no native function")))?;
        if !(least..=most).contains(&args.len()) {
            return Err(Error::value(format!("'{name}' takes {least} to {most} arguments, got {}", args.len())));
        }
        Ok(Term::Call(function, args))
    }

    /// Adds the constant keys that the term asks records for.
    pub(super) fn keys(&self, keys: &mut Vec<String>) {
        match self {
            Term::Arg(_) | Term::Const(_) => {}
            Term::Tuple(terms) => terms.iter().for_each(|term| term.keys(keys)),
            Term::If(a, b, c) => [a, b, c].into_iter().for_each(|term| term.keys(keys)),
            Term::Call(function, args) => {
                if let (Function::Item | Function::Get | Function::Pluck, Some(Term::Const(Scalar::Str(key)))) =
                    (function, args.get(1))
                    && !keys.iter().any(|known| **known == **key)
                {
                    keys.push(key.to_string());
                }
                args.iter().for_each(|term| term.keys(keys));
            }
        }
    }
}
