//! The one error type of the engine.
//!
//! An [`Error`] says what was wrong in the user's words and, where it helps,
//! what to do. Kinds are few: each becomes one Python exception class, a
//! subclass of the builtin that NumPy, pandas or Dask users would catch. A
//! broken invariant of ours is an assertion, never an `Error`.

use crate::value::Value;
use std::fmt;

/// The result of anything that can fail for a reason the user should read.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, coarsely; decides the Python class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An argument has a value that makes no sense here (`ValueError`).
    Value,
    /// An argument has the wrong type or dtype (`TypeError`).
    Type,
    /// An index or label is out of range (`IndexError`).
    Index,
    /// A name, column or key does not exist (`KeyError`).
    Missing,
    /// Reading or writing failed (`OSError`).
    Io,
    /// A file or glob matches nothing (`FileNotFoundError`).
    NotFound,
    /// A peer may not do this (`PermissionError`).
    Denied,
    /// The request is sensible but not supported (`NotImplementedError`).
    Unsupported,
    /// It does not fit the memory limit (`MemoryError`).
    Memory,
    /// A user's function failed; the original error is in the payload.
    Task,
    /// The process that held or ran it died too often.
    Lost,
    /// Somebody cancelled it (`CancelledError`).
    Cancelled,
    /// It took longer than the caller would wait (`TimeoutError`).
    Timeout,
    /// The user pressed Ctrl-C (`KeyboardInterrupt`).
    Interrupted,
    /// Two builds that do not fit talked to each other.
    Version,
    /// The client, cluster or executor that was asked is closed.
    Closed,
}

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    message: String,
    hint: Option<String>,
    context: Vec<String>,
    key: Option<String>,
    traceback: Option<String>,
    payload: Option<Value>,
}

/// An error with its place and a hint; cheap to move, cheap to clone.
#[derive(Clone)]
pub struct Error(Box<Inner>);

impl Error {
    /// An error of `kind` with a message for the user.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Error(Box::new(Inner {
            kind,
            message: message.into(),
            hint: None,
            context: Vec::new(),
            key: None,
            traceback: None,
            payload: None,
        }))
    }

    /// A bad value; see [`ErrorKind::Value`].
    pub fn value(message: impl Into<String>) -> Self {
        Error::new(ErrorKind::Value, message)
    }

    /// A wrong type or dtype; see [`ErrorKind::Type`].
    pub fn type_(message: impl Into<String>) -> Self {
        Error::new(ErrorKind::Type, message)
    }

    /// An index out of range; see [`ErrorKind::Index`].
    pub fn index(message: impl Into<String>) -> Self {
        Error::new(ErrorKind::Index, message)
    }

    /// A name that does not exist; see [`ErrorKind::Missing`].
    pub fn missing(message: impl Into<String>) -> Self {
        Error::new(ErrorKind::Missing, message)
    }

    /// Something we do not support; see [`ErrorKind::Unsupported`].
    pub fn unsupported(message: impl Into<String>) -> Self {
        Error::new(ErrorKind::Unsupported, message)
    }

    /// An I/O failure, with what was being done: `reading data/a.csv`.
    pub fn io(doing: impl fmt::Display, cause: &std::io::Error) -> Self {
        let kind = match cause.kind() {
            std::io::ErrorKind::NotFound => ErrorKind::NotFound,
            std::io::ErrorKind::PermissionDenied => ErrorKind::Denied,
            _ => ErrorKind::Io,
        };
        Error::new(kind, format!("{doing}: {cause}"))
    }

    /// Adds what the user can do about it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Adds the expression or file in which it happened; the outermost last.
    #[must_use]
    pub fn within(mut self, context: impl Into<String>) -> Self {
        self.0.context.push(context.into());
        self
    }

    /// Names the task that failed, unless an inner task is already named.
    #[must_use]
    pub fn in_task(mut self, key: impl Into<String>) -> Self {
        self.0.key.get_or_insert(key.into());
        self
    }

    /// Adds the traceback of the process in which a user's function failed.
    #[must_use]
    pub fn with_traceback(mut self, traceback: impl Into<String>) -> Self {
        self.0.traceback = Some(traceback.into());
        self
    }

    /// Adds the original error object, as a value that can travel.
    #[must_use]
    pub fn with_payload(mut self, payload: Value) -> Self {
        self.0.payload = Some(payload);
        self
    }

    /// The kind.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The message alone, without context or hint.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// The expressions or files around it, innermost first.
    #[must_use]
    pub fn context(&self) -> &[String] {
        &self.0.context
    }

    /// The task that failed.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        self.0.key.as_deref()
    }

    /// The traceback of the process in which a user's function failed.
    #[must_use]
    pub fn traceback(&self) -> Option<&str> {
        self.0.traceback.as_deref()
    }

    /// The original error object.
    #[must_use]
    pub fn payload(&self) -> Option<&Value> {
        self.0.payload.as_ref()
    }

    /// Whether running the task again could help: a user's bug stays a bug, a
    /// lost process may not happen twice.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Lost)
    }

    /// The plain fields, for the wire; the payload travels beside them as
    /// frames. [`Error::from_fields`] is the inverse.
    #[must_use]
    pub fn to_fields(&self) -> ErrorFields {
        ErrorFields {
            kind: self.0.kind,
            message: self.0.message.clone(),
            hint: self.0.hint.clone(),
            context: self.0.context.clone(),
            key: self.0.key.clone(),
            traceback: self.0.traceback.clone(),
        }
    }

    /// Rebuilds an error from its fields; see [`Error::to_fields`].
    #[must_use]
    pub fn from_fields(fields: ErrorFields, payload: Option<Value>) -> Self {
        Error(Box::new(Inner {
            kind: fields.kind,
            message: fields.message,
            hint: fields.hint,
            context: fields.context,
            key: fields.key,
            traceback: fields.traceback,
            payload,
        }))
    }
}

/// The serialisable part of an [`Error`].
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[allow(missing_docs, reason = "the fields are those of Error's accessors")]
pub struct ErrorFields {
    pub kind: ErrorKind,
    pub message: String,
    pub hint: Option<String>,
    pub context: Vec<String>,
    pub key: Option<String>,
    pub traceback: Option<String>,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        for context in &self.0.context {
            write!(f, "\n  in {context}")?;
        }
        if let Some(hint) = &self.0.hint {
            write!(f, "\nhint: {hint}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.0.kind)
    }
}

impl std::error::Error for Error {}

impl From<postcard::Error> for Error {
    fn from(cause: postcard::Error) -> Self {
        Error::new(ErrorKind::Version, format!("a message or operation could not be decoded: {cause}"))
    }
}
