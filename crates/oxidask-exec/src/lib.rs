//! Runs the scheduler and worker cores in one process.
