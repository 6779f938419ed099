//! Ways to start clusters.

pub mod local;
mod nanny;

pub use local::{LocalCluster, LocalClusterOptions};
pub use nanny::ProcessCommand;
