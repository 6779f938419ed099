//! Storage options, in the spelling that users of fsspec know.

use oxidask_core::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Options of a storage: `key`, `secret`, `token`, `anon`, `endpoint_url` …
/// Options within options have dots: `client_kwargs.endpoint_url`.
///
/// ```
/// use oxidask_io::StorageOptions;
///
/// let options: StorageOptions = [("key".to_owned(), "me".to_owned())].into_iter().collect();
/// assert_eq!(options.get(&["username", "key"]), Some("me"));
/// ```
#[derive(Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StorageOptions(BTreeMap<String, String>);

impl FromIterator<(String, String)> for StorageOptions {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(pairs: I) -> Self {
        StorageOptions(pairs.into_iter().collect())
    }
}

impl std::fmt::Debug for StorageOptions {
    /// Shows names only: values may be secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl StorageOptions {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of the first of some names that is given.
    #[must_use]
    pub fn get(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| self.0.get(*name)).map(String::as_str)
    }

    /// Whether one of some names is given as true.
    #[must_use]
    pub fn is_true(&self, names: &[&str]) -> bool {
        self.get(names).is_some_and(|value| matches!(value, "true" | "True" | "1"))
    }

    /// The given names that begin with `prefix`, without it, and their values.
    pub fn under<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0.iter().filter_map(move |(name, value)| Some((name.strip_prefix(prefix)?, value.as_str())))
    }

    /// Refuses options that would silently mean nothing.
    ///
    /// # Errors
    /// If a name neither is in `known` nor begins with an entry of it that ends
    /// in a dot.
    pub fn check(&self, storage: &str, known: &[&str]) -> Result<()> {
        let is_known =
            |name: &str| known.iter().any(|k| if k.ends_with('.') { name.starts_with(k) } else { *k == name });
        match self.0.keys().find(|name| !is_known(name)) {
            None => Ok(()),
            Some(name) => {
                let error = Error::value(format!("{storage} has no storage option '{name}'"));
                Err(if known.is_empty() {
                    error.with_hint("leave storage_options out")
                } else {
                    error.with_hint(format!("the options are {}", known.join(", ")))
                })
            }
        }
    }
}
