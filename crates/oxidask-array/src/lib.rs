//! Lazy blocked arrays.
