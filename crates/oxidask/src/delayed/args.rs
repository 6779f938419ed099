//! What may stand where a task expects an argument.

use super::task::{Constant, TaskCall, Unusable, argument};
use super::typed::{TaskValue, Typed};
use super::{Delayed, constant};
use bytes::Bytes;
use oxidask_core::{ExprRef, KeyHasher, Op, Result, Value};
use oxidask_macros::op;
use serde::{Deserialize, Serialize};
use std::any::type_name;
use std::borrow::Cow;
use std::sync::Arc;

/// Anything that can be the argument of type `T` of a lazy call: a `T`, a
/// [`Delayed<T>`], and vectors and tuples of `Delayed` for vectors and tuples.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a task's argument of type `{T}`",
    note = "pass a `{T}` or a `Delayed<{T}>`"
)]
pub trait IntoDelayed<T> {
    /// The argument as a lazy value.
    fn into_delayed(self) -> Delayed<T>;
}

impl<T: TaskValue> IntoDelayed<T> for T {
    fn into_delayed(self) -> Delayed<T> {
        let expr: ExprRef = match constant(self) {
            Ok((key, value)) => Arc::new(Constant { key, value }),
            Err(error) => Arc::new(Unusable::new(error)),
        };
        Delayed::from_expr(expr)
    }
}

impl<T> IntoDelayed<T> for Delayed<T> {
    fn into_delayed(self) -> Delayed<T> {
        self
    }
}

impl<T> IntoDelayed<T> for &Delayed<T> {
    fn into_delayed(self) -> Delayed<T> {
        self.clone()
    }
}

impl IntoDelayed<String> for &str {
    fn into_delayed(self) -> Delayed<String> {
        self.to_owned().into_delayed()
    }
}

impl<T: TaskValue + Clone> IntoDelayed<Vec<T>> for Vec<Delayed<T>> {
    fn into_delayed(self) -> Delayed<Vec<T>> {
        gather(true, build_vec::<T>, self.into_iter().map(|item| item.expr).collect())
    }
}

impl<T: TaskValue + Clone> IntoDelayed<Vec<T>> for &[Delayed<T>] {
    fn into_delayed(self) -> Delayed<Vec<T>> {
        self.to_vec().into_delayed()
    }
}

fn build_vec<T: TaskValue + Clone>(inputs: &[Value]) -> Result<Value> {
    let items = inputs.iter().map(|input| argument::<T>(input).cloned()).collect::<Result<Vec<T>>>()?;
    Ok(Value::new(Typed::new(items)))
}

macro_rules! tuples {
    ($(($($name:ident $idx:tt),+))+) => {$(
        impl<$($name: TaskValue + Clone),+> IntoDelayed<($($name,)+)> for ($(Delayed<$name>,)+) {
            fn into_delayed(self) -> Delayed<($($name,)+)> {
                fn build<$($name: TaskValue + Clone),+>(inputs: &[Value]) -> Result<Value> {
                    Ok(Value::new(Typed::new(($(argument::<$name>(&inputs[$idx])?.clone(),)+))))
                }
                gather(false, build::<$($name),+>, vec![$(self.$idx.expr),+])
            }
        }
    )+};
}

tuples! {
    (A 0)
    (A 0, B 1)
    (A 0, B 1, C 2)
    (A 0, B 1, C 2, D 3)
    (A 0, B 1, C 2, D 3, E 4)
    (A 0, B 1, C 2, D 3, E 4, F 5)
}

type Build = fn(&[Value]) -> Result<Value>;

fn gather<T>(is_list: bool, build: Build, inputs: Vec<ExprRef>) -> Delayed<T> {
    let type_name = type_name::<T>().to_owned();
    let key = KeyHasher::new("rust.gather")
        .params(&(is_list, &type_name))
        .keys(inputs.iter().map(|input| input.key()))
        .finish();
    let op = Arc::new(Gather { is_list, type_name, build: Some(build) });
    Delayed::from_expr(Arc::new(TaskCall { key, op, inputs: inputs.into() }))
}

/// Makes one vector or tuple of its inputs.
///
/// In the process that made it, it knows the types and clones the items. Other
/// processes know no types here; they join the encoded items, because postcard
/// writes a tuple as its items and a vector as its length and its items.
#[op("rust.gather")]
#[derive(Serialize, Deserialize)]
struct Gather {
    is_list: bool,
    type_name: String,
    #[serde(skip)]
    build: Option<Build>,
}

impl Op for Gather {
    fn run(&self, _block: u64, inputs: &[Value]) -> Result<Value> {
        if let Some(build) = self.build {
            return build(inputs);
        }
        let mut bytes = if self.is_list { postcard::to_allocvec(&inputs.len())? } else { Vec::new() };
        for input in inputs {
            let frames = input.expect::<Typed>().and_then(|_| input.data().encode())?;
            frames.buffers.iter().for_each(|buffer| bytes.extend_from_slice(buffer));
        }
        Ok(Value::new(Typed::encoded(&self.type_name, Bytes::from(bytes))))
    }

    fn label(&self) -> Cow<'_, str> {
        Cow::Borrowed(if self.is_list { "list" } else { "tuple" })
    }
}
