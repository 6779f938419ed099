//! Which columns a list of steps reads, so that no others are made.

use crate::step::Step;
use crate::value::is_hidden;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What is needed of the rows at some point between steps.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Needs {
    /// The columns; all if none.
    pub columns: Option<BTreeSet<Arc<str>>>,
    /// Whether the index.
    pub index: bool,
}

impl Needs {
    /// All columns and the index.
    pub(crate) fn everything() -> Self {
        Needs { columns: None, index: true }
    }

    fn add(&mut self, names: BTreeSet<Arc<str>>) {
        for name in names {
            if is_hidden(&name) {
                self.index = true;
            } else if let Some(columns) = &mut self.columns {
                columns.insert(name);
            }
        }
    }

    fn none(&mut self) {
        self.columns = Some(BTreeSet::new());
    }
}

/// What the steps need of the rows that they get, if all of their result is
/// wanted.
pub(crate) fn needs(steps: &[Step]) -> Needs {
    needs_for(steps, Needs::everything())
}

/// What the steps need of the rows that they get, if `after` of their result is
/// wanted.
pub(crate) fn needs_for(steps: &[Step], after: Needs) -> Needs {
    steps.iter().rev().fold(after, before)
}

/// What is needed before a step, given what is needed after it.
fn before(mut needs: Needs, step: &Step) -> Needs {
    let mut reads = BTreeSet::new();
    match step {
        Step::Select(columns) => {
            let wanted = columns.iter().filter(|(name, _)| needs.columns.as_ref().is_none_or(|all| all.contains(name)));
            wanted.for_each(|(_, expr)| expr.columns(&mut reads));
            needs.none();
        }
        Step::Filter(expr) => expr.columns(&mut reads),
        Step::DropIndex => needs.index = false,
        Step::SetIndex(exprs) => {
            needs.index = false;
            exprs.iter().for_each(|expr| expr.columns(&mut reads));
        }
        Step::ResetIndex(names) => {
            needs.index = false;
            for name in names {
                let wanted = needs.columns.as_mut().is_none_or(|columns| columns.remove(name));
                needs.index |= wanted;
            }
        }
        Step::Head(_) | Step::Tail(_) => {}
        Step::Sort(keys) | Step::Top(keys, _) => keys.iter().for_each(|key| key.by.columns(&mut reads)),
        Step::Sample(keys) => {
            needs = Needs { columns: Some(BTreeSet::new()), index: false };
            keys.iter().for_each(|key| key.by.columns(&mut reads));
        }
        Step::Distinct(Some(subset), _) => reads.extend(subset.iter().cloned()),
        Step::Distinct(None, _) => needs.columns = None,
        Step::Partial(aggregation) | Step::Aggregate(aggregation) => {
            needs = Needs { columns: Some(BTreeSet::new()), index: false };
            aggregation.keys.iter().for_each(|key| key.columns(&mut reads));
            for column in aggregation.columns.iter().filter(|c| c.func != crate::aggregate::AggFunc::Size) {
                column.arg.columns(&mut reads);
            }
        }
        Step::Combine(_) | Step::Finish(_) | Step::Bounds(..) | Step::Share(_) | Step::Transpose(_) => {
            return Needs::everything();
        }
    }
    needs.add(reads);
    needs
}

/// The steps, with the index forgotten first where nobody asks for it, so that
/// no filter has to carry it along.
pub(crate) fn without_unused_index(steps: &[Step]) -> Vec<Step> {
    let moves_rows = steps.iter().any(|step| !step.keeps_rows());
    let mut pruned = Vec::with_capacity(steps.len() + 1);
    if moves_rows && !needs(steps).index && !matches!(steps.first(), Some(Step::DropIndex)) {
        pruned.push(Step::DropIndex);
    }
    pruned.extend(without_unused_columns(steps, Needs::everything()));
    pruned
}

/// The steps, with only those columns selected on the way of which `after` is
/// wanted at the end: the others may not be there, for nobody reads them.
pub(crate) fn without_unused_columns(steps: &[Step], mut after: Needs) -> Vec<Step> {
    let mut kept = Vec::with_capacity(steps.len());
    for step in steps.iter().rev() {
        let narrow = match (step, &after.columns) {
            (Step::Select(columns), Some(wanted)) => {
                let mut own = columns.clone();
                own.retain(|(name, _)| wanted.contains(name));
                // Selecting no column would forget how many rows there are.
                if own.is_empty() { None } else { Some(Step::Select(own)) }
            }
            _ => Some(step.clone()),
        };
        after = before(after, step);
        kept.extend(narrow);
    }
    kept.reverse();
    kept
}

/// How many rows of the source are enough, where the steps take only the first
/// ones.
pub(crate) fn row_limit(steps: &[Step]) -> Option<u64> {
    let first = steps.iter().find(|step| !step.keeps_rows())?;
    if let Step::Head(n) = first { Some(*n) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expression::col;

    fn names(needs: &Needs) -> Vec<&str> {
        needs.columns.iter().flatten().map(|name| &**name).collect()
    }

    #[test]
    fn only_columns_that_reach_the_end_are_needed() {
        let steps = [
            Step::Filter(col("a").gt(1)),
            Step::Select(vec![(Arc::from("x"), col("b") + col("c")), (Arc::from("y"), col("d"))]),
            Step::Select(vec![(Arc::from("x"), col("x"))]),
        ];
        let needs = needs(&steps);
        assert_eq!(names(&needs), ["a", "b", "c"]);
        assert!(needs.index);
    }

    #[test]
    fn the_index_is_dropped_where_nobody_asks_for_it() {
        let reset = [
            Step::Filter(col("a").gt(1)),
            Step::ResetIndex(vec![Arc::from("i")]),
            Step::Select(vec![(Arc::from("a"), col("a"))]),
        ];
        assert_eq!(without_unused_index(&reset)[0], Step::DropIndex);
        let kept = [Step::Filter(col("a").gt(1))];
        assert_eq!(without_unused_index(&kept), kept);
    }

    #[test]
    fn columns_that_nobody_reads_are_not_selected_on_the_way() {
        let all = ["a", "b", "c"].map(|name| (Arc::from(name), col(name))).to_vec();
        let last = Step::Select(vec![(Arc::from("x"), col("b"))]);
        let pruned = without_unused_index(&[Step::Filter(col("a").gt(1)), Step::Select(all), last.clone()]);
        assert_eq!(pruned[1..], [Step::Select(vec![(Arc::from("b"), col("b"))]), last]);
    }

    #[test]
    fn heads_limit_what_is_read() {
        let select = Step::Select(vec![(Arc::from("a"), col("a"))]);
        assert_eq!(row_limit(&[select.clone(), Step::Head(5)]), Some(5));
        assert_eq!(row_limit(&[Step::Filter(col("a").gt(1)), Step::Head(5)]), None);
        assert_eq!(row_limit(&[select]), None);
    }
}
