//! A task that asks to be run once more.
//!
//! What it found where it ran does not suit it: a licence that is taken, say, or a
//! machine without the device it needs. That is no failure, so it counts against
//! nothing, and the scheduler places the task as if it had just become ready.

use oxidask_core::{Data, DataKind, Error, ErrorKind, Frames, Result, Value};
use oxidask_sched::Failure;

/// What an error carries whose task asks to be run once more. It is read where the
/// task ran, and goes no further.
///
/// # Examples
/// ```
/// use oxidask_exec::Again;
///
/// fn measure(device_is_free: bool) -> oxidask_core::Result<f64> {
///     if device_is_free { Ok(0.5) } else { Err(Again::error("the device is taken")) }
/// }
/// assert!(measure(false).is_err());
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Again;

impl Again {
    /// The error that a task answers with; `why` is for people who ask what became
    /// of the attempt.
    #[must_use]
    pub fn error(why: impl Into<String>) -> Error {
        Error::new(ErrorKind::Task, why).with_payload(Value::new(Again))
    }

    /// How an attempt failed that ended with this error.
    pub(crate) fn failure_of(error: &Error) -> Failure {
        let asks = error.payload().is_some_and(|payload| payload.get::<Again>().is_some());
        if asks { Failure::Again } else { Failure::Error }
    }
}

impl DataKind for Again {
    fn kind(&self) -> &'static str {
        "exec.again"
    }
}

impl Data for Again {
    fn nbytes(&self) -> u64 {
        0
    }

    fn encode(&self) -> Result<Frames> {
        Err(Error::unsupported("a wish to be run once more stays where the task ran"))
    }

    fn describe(&self) -> String {
        "a wish to be run once more".to_owned()
    }
}
