//! Hands events to observers.

/// Those who watch an executor.
#[derive(Default)]
pub struct Observers {}
