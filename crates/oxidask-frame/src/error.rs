//! Polars' errors in the words of ours.

use oxidask_core::{Error, ErrorKind};
use polars::prelude::PolarsError;

/// What a user should read of an error of Polars: its message without the query
/// plan that Polars appends.
pub(crate) fn polars_error(cause: PolarsError) -> Error {
    let kind = match &cause {
        PolarsError::ColumnNotFound(_) | PolarsError::SchemaFieldNotFound(_) => ErrorKind::Missing,
        PolarsError::InvalidOperation(_) | PolarsError::SchemaMismatch(_) => ErrorKind::Type,
        PolarsError::IO { .. } => ErrorKind::Io,
        PolarsError::OutOfBounds(_) => ErrorKind::Index,
        _ => ErrorKind::Value,
    };
    let text = cause.to_string();
    let text = text.split("\n\nResolved plan").next().unwrap_or(&text);
    Error::new(kind, text.trim())
}

/// The `n` names among `known` that are nearest to `wanted`, for a hint.
fn near<'a>(wanted: &str, known: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut scored: Vec<(usize, &str)> = known.map(|name| (distance(wanted, name), name)).collect();
    scored.sort_by_key(|(distance, _)| *distance);
    let limit = wanted.chars().count().max(2) / 2 + 1;
    scored.into_iter().filter(|(distance, _)| *distance <= limit).take(3).map(|(_, name)| name).collect()
}

/// Edits between two names, whatever their case.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.to_lowercase().chars().collect(), b.to_lowercase().chars().collect());
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

/// No such column: names it and those it may have been meant to be.
pub(crate) fn unknown_column<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Error {
    let known: Vec<&str> = known.collect();
    let close = near(name, known.iter().copied());
    let error = Error::missing(format!("there is no column '{name}'"));
    if close.is_empty() {
        let shown: Vec<&str> = known.iter().copied().take(20).collect();
        error.with_hint(format!("the columns are: {}", shown.join(", ")))
    } else {
        error.with_hint(format!("did you mean {}?", close.join(" or ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_column_names_its_neighbours() {
        let error = unknown_column("brths", ["name", "sex", "births"].into_iter());
        assert_eq!(error.hint(), Some("did you mean births?"));
        let error = unknown_column("wind", ["name", "sex"].into_iter());
        assert_eq!(error.hint(), Some("the columns are: name, sex"));
    }
}
