//! The op that combines native results of partitions.

use super::data::{GroupsData, Rows};
use super::{Finish, TREE, Tree, wrapped};
use crate::bag::pipe::PipeOp;
use oxidask_core::registry::OpCodec;
use oxidask_core::{EncodedOp, Op, Result, Value};
use oxidask_io::record::Groups;
use std::borrow::Cow;

/// Combines native results.
pub struct TreeOp {
    pub tree: Tree,
    pub python: PipeOp,
}

impl TreeOp {
    fn merged(&self, inputs: &[Value]) -> Option<Value> {
        match &self.tree {
            Tree::Merge { combine, initial, finish } => {
                let mut groups = Groups::new();
                for other in all_groups(inputs)? {
                    groups.merge(other, combine, initial.as_ref()).ok()?;
                }
                finished(groups, *finish)
            }
            Tree::Join(finish) => finished(Groups::joined(&all_groups(inputs)?), *finish),
            Tree::Calls => None,
            Tree::Take(k) => {
                let mut rows = oxidask_io::record::Rows::new();
                for value in inputs {
                    let other: &Rows = value.get()?;
                    for cell in other.0.iter().take(k - rows.len()) {
                        rows.push(&cell).ok()?;
                    }
                }
                Some(Value::new(Rows(rows)))
            }
            Tree::Group(key) => Some(Value::new(Rows(super::lines::grouped(inputs, key)?))),
        }
    }
}

/// The groups of all inputs, if all are such.
fn all_groups(inputs: &[Value]) -> Option<Vec<&Groups>> {
    let groups = |value| {
        let data: &GroupsData = Value::get(value)?;
        (data.finish == Finish::Nothing).then_some(&data.groups)
    };
    inputs.iter().map(groups).collect()
}

fn finished(groups: Groups, finish: Finish) -> Option<Value> {
    if finish == Finish::Sorted && groups.sorted().is_err() {
        return None;
    }
    Some(Value::new(GroupsData { groups: groups.sealed(), finish }))
}

impl Op for TreeOp {
    fn run(&self, block: u64, inputs: &[Value]) -> Result<Value> {
        match self.merged(inputs) {
            Some(value) => Ok(value),
            None => self.python.run(block, inputs),
        }
    }

    fn label(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.python.label)
    }
}

impl OpCodec for TreeOp {
    fn kind(&self) -> &'static str {
        TREE
    }

    fn encode(&self) -> Result<EncodedOp> {
        wrapped(TREE, &self.python)
    }
}
