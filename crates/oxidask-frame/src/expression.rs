//! What users write about columns: a small language of our own.
//!
//! Plans are made of [`ColExpr`]s and not of Polars' expressions, so that they
//! can be hashed, sent and analysed whatever Polars does to its own between
//! releases. Every expression here is elementwise: the value of a row depends
//! on that row alone, hence filters and projections may move past it.
//! `lower.rs` turns it into Polars' form inside a task.

use crate::dtype::{DType, Scalar};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// An elementwise expression over the columns of one frame.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ColExpr {
    /// A column by its name.
    Column(Arc<str>),
    /// The same value in every row.
    Literal(Scalar),
    /// A function of one operand.
    Unary(Unary, Arc<ColExpr>),
    /// An operator with two operands.
    Binary(Binary, Arc<ColExpr>, Arc<ColExpr>),
    /// Conversion to another type; values that do not fit are an error.
    Cast(Arc<ColExpr>, DType),
    /// The second where the first is missing.
    FillNull(Arc<ColExpr>, Arc<ColExpr>),
    /// Whether it is one of these.
    IsIn(Arc<ColExpr>, Vec<Scalar>),
    /// The second where the first holds, else the third.
    When(Arc<ColExpr>, Arc<ColExpr>, Arc<ColExpr>),
    /// A function of strings.
    Text(Text, Arc<ColExpr>),
    /// A function of times.
    Time(Time, Arc<ColExpr>),
}

/// Functions of one operand.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Unary {
    Negate,
    Not,
    Abs,
    IsNull,
    NotNull,
    Sqrt,
    Floor,
    Ceil,
    /// To so many decimals, halves to even.
    Round(u32),
}

/// Operators with two operands, with pandas' meaning: a comparison with a
/// missing value is false (`!=`: true), division of whole numbers gives a
/// float, `//` and `%` round towards minus infinity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Binary {
    Add,
    Subtract,
    Multiply,
    Divide,
    FloorDivide,
    Modulo,
    Power,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    And,
    Or,
    Xor,
}

impl Binary {
    /// The operator by the name of Python's method: `add`, `truediv`, `lt`.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Binary> {
        Some(match name {
            "add" => Binary::Add,
            "sub" => Binary::Subtract,
            "mul" => Binary::Multiply,
            "truediv" => Binary::Divide,
            "floordiv" => Binary::FloorDivide,
            "mod" => Binary::Modulo,
            "pow" => Binary::Power,
            "eq" => Binary::Equal,
            "ne" => Binary::NotEqual,
            "lt" => Binary::Less,
            "le" => Binary::LessEqual,
            "gt" => Binary::Greater,
            "ge" => Binary::GreaterEqual,
            "and" => Binary::And,
            "or" => Binary::Or,
            "xor" => Binary::Xor,
            _ => return None,
        })
    }

    /// How it is written.
    #[must_use]
    pub fn symbol(self) -> &'static str {
        match self {
            Binary::Add => "+",
            Binary::Subtract => "-",
            Binary::Multiply => "*",
            Binary::Divide => "/",
            Binary::FloorDivide => "//",
            Binary::Modulo => "%",
            Binary::Power => "**",
            Binary::Equal => "==",
            Binary::NotEqual => "!=",
            Binary::Less => "<",
            Binary::LessEqual => "<=",
            Binary::Greater => ">",
            Binary::GreaterEqual => ">=",
            Binary::And => "&",
            Binary::Or => "|",
            Binary::Xor => "^",
        }
    }

    /// Whether the result is a boolean that says how two values compare.
    #[must_use]
    pub fn is_comparison(self) -> bool {
        use Binary::*;
        matches!(self, Equal | NotEqual | Less | LessEqual | Greater | GreaterEqual)
    }

    /// Whether the operands are numbers and the result is one.
    #[must_use]
    pub fn is_arithmetic(self) -> bool {
        use Binary::*;
        matches!(self, Add | Subtract | Multiply | Divide | FloorDivide | Modulo | Power)
    }
}

/// Functions of strings, by the names of pandas' `.str`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Text {
    Lower,
    Upper,
    /// Length in characters.
    Len,
    /// Removes these characters, or white space, from both ends.
    Strip(Option<String>),
    LStrip(Option<String>),
    RStrip(Option<String>),
    StartsWith(String),
    EndsWith(String),
    Contains {
        pattern: String,
        regex: bool,
        case: bool,
    },
    Replace {
        pattern: String,
        with: String,
        regex: bool,
    },
    /// Characters from the first position to before the second.
    Slice(Option<i64>, Option<i64>),
    /// At least so wide, filled with zeros from the left.
    ZFill(u32),
    /// One piece of the string split at a separator.
    SplitGet {
        separator: String,
        piece: i64,
    },
}

/// Functions of times, by the names of pandas' `.dt`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Time {
    Year,
    Month,
    Day,
    Hour,
    Minute,
    Second,
    Microsecond,
    Quarter,
    /// Monday is 0.
    DayOfWeek,
    DayOfYear,
    DaysInMonth,
    /// Midnight of the day.
    Normalize,
    Strftime(String),
    TotalSeconds,
    /// Whole days of a length of time.
    Days,
}

/// A column of the frame.
#[must_use]
pub fn col(name: impl AsRef<str>) -> ColExpr {
    ColExpr::Column(Arc::from(name.as_ref()))
}

/// The same value in every row.
#[must_use]
pub fn lit(value: impl Into<Scalar>) -> ColExpr {
    ColExpr::Literal(value.into())
}

impl ColExpr {
    /// This operator with another operand.
    #[must_use]
    pub fn binary(self, op: Binary, other: impl Into<ColExpr>) -> ColExpr {
        ColExpr::Binary(op, Arc::new(self), Arc::new(other.into()))
    }

    /// A function of it.
    #[must_use]
    pub fn unary(self, op: Unary) -> ColExpr {
        ColExpr::Unary(op, Arc::new(self))
    }

    /// Whether it is missing.
    #[must_use]
    pub fn is_null(self) -> ColExpr {
        self.unary(Unary::IsNull)
    }

    /// Converted to another type.
    #[must_use]
    pub fn cast(self, dtype: DType) -> ColExpr {
        ColExpr::Cast(Arc::new(self), dtype)
    }

    /// With missing values replaced.
    #[must_use]
    pub fn fill_null(self, value: impl Into<ColExpr>) -> ColExpr {
        ColExpr::FillNull(Arc::new(self), Arc::new(value.into()))
    }

    /// Whether it is one of `values`.
    #[must_use]
    pub fn is_in<S: Into<Scalar>>(self, values: impl IntoIterator<Item = S>) -> ColExpr {
        ColExpr::IsIn(Arc::new(self), values.into_iter().map(Into::into).collect())
    }

    /// A function of strings.
    #[must_use]
    pub fn text(self, function: Text) -> ColExpr {
        ColExpr::Text(function, Arc::new(self))
    }

    /// A function of times.
    #[must_use]
    pub fn time(self, function: Time) -> ColExpr {
        ColExpr::Time(function, Arc::new(self))
    }

    fn children(&self) -> Vec<&Arc<ColExpr>> {
        match self {
            ColExpr::Column(_) | ColExpr::Literal(_) => vec![],
            ColExpr::Unary(_, a)
            | ColExpr::Cast(a, _)
            | ColExpr::IsIn(a, _)
            | ColExpr::Text(_, a)
            | ColExpr::Time(_, a) => vec![a],
            ColExpr::Binary(_, a, b) | ColExpr::FillNull(a, b) => vec![a, b],
            ColExpr::When(a, b, c) => vec![a, b, c],
        }
    }

    /// The columns it reads, added to `columns`.
    pub fn columns(&self, columns: &mut BTreeSet<Arc<str>>) {
        if let ColExpr::Column(name) = self {
            columns.insert(name.clone());
        }
        self.children().into_iter().for_each(|child| child.columns(columns));
    }

    /// The number of its nodes, counted no further than `limit`.
    #[must_use]
    pub fn size(&self, limit: usize) -> usize {
        let mut size = 1;
        for child in self.children() {
            if size >= limit {
                break;
            }
            size += child.size(limit - size);
        }
        size
    }

    /// It with every column replaced by what `replace` answers for it.
    #[must_use]
    pub fn substitute(&self, replace: &impl Fn(&Arc<str>) -> Option<ColExpr>) -> ColExpr {
        let sub = |child: &Arc<ColExpr>| Arc::new(child.substitute(replace));
        match self {
            ColExpr::Column(name) => replace(name).unwrap_or_else(|| self.clone()),
            ColExpr::Literal(_) => self.clone(),
            ColExpr::Unary(op, a) => ColExpr::Unary(*op, sub(a)),
            ColExpr::Binary(op, a, b) => ColExpr::Binary(*op, sub(a), sub(b)),
            ColExpr::Cast(a, dtype) => ColExpr::Cast(sub(a), dtype.clone()),
            ColExpr::FillNull(a, b) => ColExpr::FillNull(sub(a), sub(b)),
            ColExpr::IsIn(a, values) => ColExpr::IsIn(sub(a), values.clone()),
            ColExpr::When(a, b, c) => ColExpr::When(sub(a), sub(b), sub(c)),
            ColExpr::Text(function, a) => ColExpr::Text(function.clone(), sub(a)),
            ColExpr::Time(function, a) => ColExpr::Time(function.clone(), sub(a)),
        }
    }
}

impl From<Scalar> for ColExpr {
    fn from(value: Scalar) -> Self {
        ColExpr::Literal(value)
    }
}

impl From<i64> for ColExpr {
    fn from(value: i64) -> Self {
        lit(value)
    }
}

impl From<f64> for ColExpr {
    fn from(value: f64) -> Self {
        lit(value)
    }
}

impl From<&str> for ColExpr {
    fn from(value: &str) -> Self {
        lit(value)
    }
}

macro_rules! operator {
    ($($trait:ident $method:ident $op:ident),*) => {$(
        impl<T: Into<ColExpr>> std::ops::$trait<T> for ColExpr {
            type Output = ColExpr;
            fn $method(self, other: T) -> ColExpr { self.binary(Binary::$op, other) }
        }
    )*};
}
operator!(Add add Add, Sub sub Subtract, Mul mul Multiply, Div div Divide, Rem rem Modulo,
    BitAnd bitand And, BitOr bitor Or, BitXor bitxor Xor);

macro_rules! comparison {
    ($($(#[$doc:meta])* $method:ident $op:ident),*) => {
        impl ColExpr {$(
            $(#[$doc])*
            #[must_use]
            pub fn $method(self, other: impl Into<ColExpr>) -> ColExpr { self.binary(Binary::$op, other) }
        )*}
    };
}
comparison!(
    /// Whether both are equal; false where one is missing.
    eq Equal,
    /// Whether they differ; true where one is missing.
    ne NotEqual,
    /// Whether it is less.
    lt Less,
    /// Whether it is less or equal.
    le LessEqual,
    /// Whether it is greater.
    gt Greater,
    /// Whether it is greater or equal.
    ge GreaterEqual
);

impl fmt::Display for ColExpr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ColExpr::Column(name) => f.write_str(name),
            ColExpr::Literal(value) => write!(f, "{value}"),
            ColExpr::Unary(op, a) => write!(f, "{op:?}({a})"),
            ColExpr::Binary(op, a, b) => write!(f, "({a} {} {b})", op.symbol()),
            ColExpr::Cast(a, dtype) => write!(f, "{a}.astype({dtype})"),
            ColExpr::FillNull(a, b) => write!(f, "{a}.fillna({b})"),
            ColExpr::IsIn(a, values) => write!(f, "{a}.isin({} values)", values.len()),
            ColExpr::When(a, b, c) => write!(f, "({b} if {a} else {c})"),
            ColExpr::Text(function, a) => write!(f, "{a}.str.{function:?}"),
            ColExpr::Time(function, a) => write!(f, "{a}.dt.{function:?}"),
        }
    }
}
