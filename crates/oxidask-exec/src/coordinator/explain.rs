//! Says in words why a task is not done, and why it failed.

use super::Coordinator;
use oxidask_core::{Error, ErrorKind};
use oxidask_sched::{Failure, TaskId, Why};

impl<H: Clone> Coordinator<H> {
    /// Why a task is not there yet, in words: a line for it and for each task in
    /// the chain of those it waits for.
    #[must_use]
    pub fn explain(&self, task: TaskId) -> String {
        /// Longest chain that is told.
        const MAX_LINES: usize = 10;
        let mut lines = Vec::new();
        let mut next = Some(task);
        while let Some(task) = next
            && self.is_live(task)
            && lines.len() < MAX_LINES
        {
            let name = self.name_of(task);
            next = None;
            lines.push(match self.core.explain(task) {
                Why::WaitsForInputs { n_missing, input } => {
                    next = Some(input);
                    format!("'{name}' waits for {n_missing} inputs, one of which is this:")
                }
                Why::Failed { culprit, .. } if culprit != task => {
                    next = Some(culprit);
                    format!("'{name}' needs a task that failed:")
                }
                Why::NoWorkerSatisfies => {
                    format!("'{name}' waits for a worker {}; none such is there", self.wishes_text(task))
                }
                why => format!("'{name}': {why}"),
            });
            lines.extend(self.attempts(task).iter().map(|end| format!("  {end}")));
        }
        lines.join("\n")
    }

    /// What a task asks of its worker, in words.
    fn wishes_text(&self, task: TaskId) -> String {
        let Some(spec) = self.core.wishes(task) else { return String::new() };
        let mut texts = Vec::new();
        let mut names: Vec<&str> = self
            .worker_names
            .iter()
            .filter(|(_, name)| spec.workers.contains(name))
            .map(|(name, _)| name.as_str())
            .collect();
        names.sort_unstable();
        if !names.is_empty() {
            texts.push(format!("called '{}'", names.join("' or '")));
        }
        for &(resource, amount) in &spec.resources {
            let name = self.resources.iter().find(|(_, other)| **other == resource).map(|(name, _)| name.as_str());
            texts.push(format!("with {}={amount}", name.unwrap_or("?")));
        }
        texts.join(" and ")
    }

    /// The error of a task whose workers died without a word.
    pub(super) fn unexplained(&self, culprit: TaskId, failure: Failure) -> Error {
        let name = self.name_of(culprit);
        let message = match failure {
            Failure::Crash => format!("every worker that ran '{name}' died while it ran"),
            Failure::Error | Failure::Fatal | Failure::Again => {
                format!("'{name}' failed, and its worker did not say why")
            }
        };
        Error::new(ErrorKind::Lost, message).in_task(name)
    }
}
