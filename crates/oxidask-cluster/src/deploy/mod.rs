//! Ways to start clusters.

mod adaptive;
pub mod local;
mod nanny;
mod scheduler;
mod workers;

pub use adaptive::Adaptive;
pub use local::{LocalCluster, LocalClusterOptions};
pub use nanny::ProcessCommand;
pub use scheduler::{SchedulerFile, SchedulerOptions, SchedulerProcess};
pub use workers::{Workers, WorkersOptions};
