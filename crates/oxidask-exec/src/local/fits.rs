//! What cannot end within the memory limit is refused before it starts.
//!
//! Everything that waits can spill, so a plan fits if its largest task does: its
//! result and the inputs beside it, of which no byte can be elsewhere while it
//! runs. Sizes that are not known count nothing, nor does what the user
//! brings, which is in memory anyway: a plan is refused for what is certain.

use crate::coordinator::{RowSource, Submission};
use oxidask_core::{Error, ErrorKind, Result};
use oxidask_sched::{Piece, UNKNOWN_BYTES};
use smallvec::SmallVec;

/// Answers an error if a task of a submission needs more than `limit` bytes at
/// once, or, where the outputs are `gathered` in memory, if these do.
pub(super) fn check<H>(submission: &Submission<H>, limit: u64, gathered: bool) -> Result<()> {
    if limit == u64::MAX {
        return Ok(());
    }
    for task in &submission.tasks {
        let RowSource::Run(stage) = task.source else { continue };
        let from = task.inputs_start as usize;
        let mut whole: SmallVec<[u32; 8]> = submission.inputs[from..from + task.n_inputs as usize]
            .iter()
            .filter(|&&(_, part)| part == Piece::WHOLE)
            .map(|&(row, _)| row)
            .collect();
        whole.sort_unstable();
        whole.dedup();
        let inputs = whole.iter().map(|&row| made(submission, row)).fold(0, u64::saturating_add);
        let result = if task.bytes == UNKNOWN_BYTES { 0 } else { task.bytes };
        if result.saturating_add(inputs) > limit {
            let label = &submission.stages[stage as usize].label;
            return Err(Error::new(
                ErrorKind::Memory,
                format!(
                    "a task of '{label}' needs {} at once: {} for its result and {} for what it reads; the memory limit is {}",
                    mebibytes(result.saturating_add(inputs)),
                    mebibytes(result),
                    mebibytes(inputs),
                    mebibytes(limit),
                ),
            )
            .with_hint("cut the data into smaller chunks or partitions, or raise the setting 'memory-limit'"));
        }
    }
    if !gathered {
        return Ok(());
    }
    let mut outputs = submission.outputs.clone();
    outputs.sort_unstable();
    outputs.dedup();
    check_result(outputs.iter().map(|&row| made(submission, row)).fold(0, u64::saturating_add), limit)
}

/// Answers an error if results of so many bytes do not fit together.
pub(super) fn check_result(bytes: u64, limit: u64) -> Result<()> {
    if bytes <= limit {
        return Ok(());
    }
    let what = format!("the result takes {}, and the memory limit is {}", mebibytes(bytes), mebibytes(limit));
    Err(Error::new(ErrorKind::Memory, what).with_hint(
        "persist it, write it to files, or reduce it before it is computed; or raise the setting 'memory-limit'",
    ))
}

/// Bytes that the run adds to memory for a row, as far as they are known.
fn made<H>(submission: &Submission<H>, row: u32) -> u64 {
    let task = &submission.tasks[row as usize];
    match task.source {
        RowSource::Run(_) if task.bytes != UNKNOWN_BYTES => task.bytes,
        _ => 0,
    }
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coordinator::{NewStage, TaskRow};
    use oxidask_core::Key;

    /// A chain of tasks with these sizes, the first brought by the user.
    fn chain(sizes: &[u64]) -> Submission<()> {
        let row = |at: usize, bytes: u64| TaskRow {
            key: Key::named(&at.to_string()),
            source: if at == 0 { RowSource::Data(0) } else { RowSource::Run(0) },
            block: 0,
            inputs_start: at.saturating_sub(1) as u32,
            n_inputs: u32::from(at > 0),
            rank: at as u32,
            bytes,
        };
        Submission {
            stages: vec![NewStage { handle: (), label: "double".into(), annotations: None }],
            tasks: sizes.iter().enumerate().map(|(at, &bytes)| row(at, bytes)).collect(),
            inputs: (1..sizes.len() as u32).map(|at| (at - 1, Piece::WHOLE)).collect(),
            names: vec![],
            outputs: vec![sizes.len() as u32 - 1],
        }
    }

    #[test]
    fn the_largest_task_decides_and_the_message_tells_its_estimate() {
        const MIB: u64 = 1 << 20;
        assert!(check(&chain(&[900 * MIB, 40 * MIB, 60 * MIB, 10 * MIB]), 100 * MIB, true).is_ok());
        let text = check(&chain(&[MIB, 40 * MIB, 61 * MIB, 10 * MIB]), 100 * MIB, true).unwrap_err().to_string();
        assert!(text.contains("'double' needs 101.0 MiB at once: 61.0 MiB for its result and 40.0 MiB"), "{text}");
        assert!(check(&chain(&[MIB, UNKNOWN_BYTES, 99 * MIB]), 100 * MIB, true).is_ok());
        assert!(check(&chain(&[MIB, 40 * MIB, 61 * MIB]), u64::MAX, true).is_ok());
    }

    #[test]
    fn results_are_counted_where_they_are_gathered() {
        let mut wide = chain(&[1, 60, 30]);
        wide.outputs = vec![1, 2, 1];
        assert!(check(&wide, 90, true).is_ok());
        wide.tasks[2].n_inputs = 0;
        wide.tasks[1].n_inputs = 0;
        let text = check(&wide, 89, true).unwrap_err().to_string();
        assert!(text.contains("the result takes"), "{text}");
        assert!(check(&wide, 89, false).is_ok());
    }
}
