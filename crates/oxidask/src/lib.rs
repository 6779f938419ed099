//! Lazy parallel arrays, dataframes, bags and tasks.
