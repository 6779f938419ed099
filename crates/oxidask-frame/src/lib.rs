//! Lazy partitioned dataframes.
