//! Values of a Rust user's own types.
//!
//! Inside a process the value is the `T` itself, shared. It travels in
//! postcard's encoding; a process that receives it keeps the bytes until a task
//! that knows the type reads it, so no table of types is needed.

use bytes::Bytes;
use oxidask_core::{Data, Decode, Error, ErrorKind, Frames, Result, Value};
use oxidask_macros::data;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::any::{Any, type_name};
use std::sync::{Arc, OnceLock};

/// What a task can take and return: any type that serde can write and read.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an argument or a result of a task",
    label = "this type cannot travel between tasks",
    note = "a task's types must be owned, Send + Sync, and derive serde::Serialize and serde::Deserialize"
)]
pub trait TaskValue: Serialize + DeserializeOwned + Send + Sync + 'static {}

impl<T: Serialize + DeserializeOwned + Send + Sync + 'static> TaskValue for T {}

type Shared = Arc<dyn Any + Send + Sync>;

enum Form {
    /// Made in this process.
    Here { value: Shared, encode: fn(&Shared) -> Result<Bytes> },
    /// Received; decoded when a task first reads it.
    Received { bytes: Bytes, decoded: OnceLock<Shared> },
}

/// A value of a user's type, as executors hold it.
#[data("rust.value")]
pub struct Typed {
    form: Form,
    type_name: Arc<str>,
    nbytes: u64,
}

impl Typed {
    /// Wraps a value.
    pub fn new<T: TaskValue>(value: T) -> Self {
        let nbytes = memory_of(&value);
        Typed {
            form: Form::Here { value: Arc::new(value), encode: encode::<T> },
            type_name: Arc::from(type_name::<T>()),
            nbytes,
        }
    }

    /// A value of the type called `type_name` in its encoded form.
    pub(super) fn encoded(type_name: &str, bytes: Bytes) -> Self {
        let nbytes = bytes.len() as u64;
        Typed { form: Form::Received { bytes, decoded: OnceLock::new() }, type_name: Arc::from(type_name), nbytes }
    }

    /// The value as a `T`.
    ///
    /// # Errors
    /// If it is of another type.
    pub fn get<T: TaskValue>(&self) -> Result<&T> {
        self.shared::<T>()?.downcast_ref().ok_or_else(|| self.mismatch::<T>())
    }

    /// Takes the `T` out of a task's result, without a copy if nobody else
    /// holds it.
    ///
    /// # Errors
    /// If it is not a `T`.
    pub fn take<T: TaskValue + Clone>(value: Value) -> Result<T> {
        match value.into_unique::<Typed>() {
            Ok(typed) => {
                typed.shared::<T>()?;
                let mismatch = typed.mismatch::<T>();
                let shared = match typed.form {
                    Form::Here { value, .. } => Some(value),
                    Form::Received { decoded, .. } => decoded.into_inner(),
                };
                let shared: Option<Arc<T>> = shared.and_then(|shared| shared.downcast().ok());
                shared.map(Arc::unwrap_or_clone).ok_or(mismatch)
            }
            Err(value) => value.expect::<Typed>()?.get::<T>().cloned(),
        }
    }

    fn shared<T: TaskValue>(&self) -> Result<&Shared> {
        match &self.form {
            Form::Here { value, .. } => Ok(value),
            Form::Received { bytes, decoded } => {
                if let Some(value) = decoded.get() {
                    return Ok(value);
                }
                if *self.type_name != *type_name::<T>() {
                    return Err(self.mismatch::<T>());
                }
                let value: T = postcard::from_bytes(bytes)?;
                Ok(decoded.get_or_init(|| Arc::new(value)))
            }
        }
    }

    fn mismatch<T>(&self) -> Error {
        Error::type_(format!("a task got a {} where it needs a {}", self.type_name, type_name::<T>()))
    }
}

fn encode<T: TaskValue>(value: &Shared) -> Result<Bytes> {
    let value: &T = value.downcast_ref().ok_or_else(|| Error::type_("a value changed its type"))?;
    postcard::to_allocvec(value).map(Bytes::from).map_err(|cause| {
        Error::type_(format!("a {} cannot be encoded: {cause}", type_name::<T>()))
            .with_hint("postcard needs sequences of known length and no flattened or untagged fields")
    })
}

/// Bytes in memory: the type's own size, or what it takes encoded if that is
/// more because it owns a heap.
fn memory_of<T: TaskValue>(value: &T) -> u64 {
    let own = size_of::<T>() as u64;
    if !std::mem::needs_drop::<T>() {
        return own;
    }
    let encoded = postcard::serialize_with_flavor(value, postcard::ser_flavors::Size::default());
    own + encoded.unwrap_or(0) as u64
}

impl Data for Typed {
    fn nbytes(&self) -> u64 {
        self.nbytes
    }

    fn encode(&self) -> Result<Frames> {
        let bytes = match &self.form {
            Form::Here { value, encode } => encode(value)?,
            Form::Received { bytes, .. } => bytes.clone(),
        };
        Ok(Frames { header: Bytes::copy_from_slice(self.type_name.as_bytes()), buffers: vec![bytes] })
    }

    fn describe(&self) -> String {
        self.type_name.to_string()
    }
}

impl Decode for Typed {
    fn decode(frames: Frames) -> Result<Self> {
        let broken = || Error::new(ErrorKind::Version, "a value of a user's type arrived damaged");
        let type_name = std::str::from_utf8(&frames.header).map_err(|_| broken())?;
        let [bytes] = <[Bytes; 1]>::try_from(frames.buffers).map_err(|_| broken())?;
        Ok(Typed::encoded(type_name, bytes))
    }
}
