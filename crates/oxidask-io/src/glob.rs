//! Paths and globs as lists of files.

use crate::location::Location;
use crate::options::StorageOptions;
use oxidask_core::{Error, ErrorKind, Result};

/// The files that some paths and globs stand for, in order; those of one glob
/// in natural order, so that `2.txt` comes before `10.txt`. Addresses of HTTP
/// have no globs and are taken as they are.
///
/// # Errors
/// [`ErrorKind::NotFound`] if a path does not exist or a glob matches nothing;
/// the message names it.
///
/// ```
/// use oxidask_io::{StorageOptions, expand};
///
/// let error = expand(&["/nowhere/*.txt"], &StorageOptions::default()).unwrap_err();
/// assert!(error.to_string().contains("/nowhere/*.txt"));
/// ```
pub fn expand<S: AsRef<str>>(paths: &[S], options: &StorageOptions) -> Result<Vec<String>> {
    let mut files = Vec::new();
    for path in paths {
        let path = path.as_ref();
        match Location::parse(path, options)? {
            Location::Local(local) => files.extend(expand_local(&local)?),
            Location::Http(url) => files.push(url),
            Location::Object(object) => {
                if object.key.contains(WILDCARDS) {
                    let prefix = object.key.split(WILDCARDS).next().unwrap_or_default();
                    let folder = prefix.rsplit_once('/').map_or("", |(folder, _)| folder);
                    let pattern = glob_of(&object.key)?;
                    let keys = object.list(folder)?.into_iter().filter(|key| pattern.matches_with(key, MATCHING));
                    let scheme = path.split_once("://").map_or("s3", |(scheme, _)| scheme);
                    let found: Vec<String> = keys.map(|key| format!("{scheme}://{}/{key}", object.bucket)).collect();
                    files.extend(sorted(found, path)?);
                } else {
                    files.push(path.to_owned());
                }
            }
        }
    }
    Ok(files)
}

const WILDCARDS: [char; 3] = ['*', '?', '['];

const MATCHING: glob::MatchOptions =
    glob::MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: false };

fn glob_of(pattern: &str) -> Result<glob::Pattern> {
    glob::Pattern::new(pattern).map_err(|cause| Error::value(format!("'{pattern}' is no valid glob: {}", cause.msg)))
}

fn expand_local(path: &str) -> Result<Vec<String>> {
    if path.contains(WILDCARDS) && !std::path::Path::new(path).exists() {
        return matches_of(path);
    }
    let metadata = std::fs::metadata(path).map_err(|cause| Error::io(format!("reading '{path}'"), &cause))?;
    if metadata.is_dir() {
        return Err(Error::value(format!("'{path}' is a directory, not a file"))
            .with_hint(format!("name the files in it: '{}/*'", path.trim_end_matches('/'))));
    }
    Ok(vec![path.to_owned()])
}

fn matches_of(pattern: &str) -> Result<Vec<String>> {
    let paths = glob::glob_with(pattern, MATCHING)
        .map_err(|cause| Error::value(format!("'{pattern}' is no valid glob: {}", cause.msg)))?;
    // Hidden files are matched only by names that begin with a dot, as in shells.
    let is_hidden = |name: &str| name.starts_with('.');
    let wants_hidden = is_hidden(pattern.rsplit('/').next().unwrap_or(pattern));
    let mut files = Vec::new();
    for path in paths {
        let path = path.map_err(|cause| Error::io(format!("listing '{pattern}'"), cause.error()))?;
        let hidden = path.file_name().is_some_and(|name| is_hidden(&name.to_string_lossy()));
        if path.is_file() && (wants_hidden || !hidden) {
            files.push(path.to_string_lossy().into_owned());
        }
    }
    sorted(files, pattern)
}

/// Files in natural order, at least one.
fn sorted(mut files: Vec<String>, pattern: &str) -> Result<Vec<String>> {
    if files.is_empty() {
        return Err(Error::new(ErrorKind::NotFound, format!("no file matches '{pattern}'")));
    }
    files.sort_by(|left, right| natural_pieces(left).cmp(natural_pieces(right)));
    Ok(files)
}

/// The pieces by which a name is compared: numbers by value, all else as text.
fn natural_pieces(name: &str) -> impl Iterator<Item = (Option<u128>, &str)> {
    let mut rest = name;
    std::iter::from_fn(move || {
        let is_digit = rest.chars().next()?.is_ascii_digit();
        let end = rest.find(|symbol: char| symbol.is_ascii_digit() != is_digit).unwrap_or(rest.len());
        let (piece, after) = rest.split_at(end);
        rest = after;
        // A number of 40 digits is a name; so it compares as text.
        Some((if is_digit { piece.parse().ok() } else { None }, piece))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(paths: &[&str]) -> Result<Vec<String>> {
        expand(paths, &StorageOptions::default())
    }

    #[test]
    fn globs_are_in_natural_order_and_skip_hidden_files() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
        for name in ["10.txt", "2.txt", ".3.txt", "a.csv"] {
            std::fs::write(at(name), "x").unwrap();
        }
        std::fs::create_dir(at("4.txt")).unwrap();
        assert_eq!(names(&[&at("*.txt")]).unwrap(), [at("2.txt"), at("10.txt")]);
        assert_eq!(names(&[&at(".*.txt")]).unwrap(), [at(".3.txt")]);
        assert_eq!(names(&[&format!("file://{}", at("a.csv"))]).unwrap(), [at("a.csv")]);
        assert_eq!(names(&[&at("a.csv"), &at("a.csv")]).unwrap().len(), 2);
    }

    #[test]
    fn what_is_not_there_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
        for path in [at("none"), at("*.none")] {
            let error = names(&[&path]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound);
            assert!(error.to_string().contains(&path), "{error}");
        }
        let error = names(&[&at("")]).unwrap_err();
        assert!(error.to_string().contains("is a directory"), "{error}");
        let error = names(&["ftp://host/file"]).unwrap_err();
        assert!(error.to_string().contains("ftp"), "{error}");
    }
}
