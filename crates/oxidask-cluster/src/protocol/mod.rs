//! What clients, the scheduler and workers say to each other.
//!
//! A packet's head is a `Vec` of one of these enums: [`client`] between clients
//! and the scheduler, [`worker`] between workers and the scheduler, and between
//! readers and holders of results. Large memory travels beside the head: a
//! [`WireValue`] says how many of the packet's buffers are its own, and the
//! receiver takes them in the order of the messages ([`batch`]).
//!
//! The scheduler hands [`WireOp`]s and [`WireValue`]s on as they are. Blobs are
//! sent once per connection and named by their key afterwards; see
//! [`crate::blobs`].

pub mod batch;
pub mod client;
pub mod worker;

pub use batch::{Inbox, Outbox, with_decoded_payload};
pub use client::{
    Answer, BroughtValue, ClusterInfo, FromClient, Metrics, Question, ToClient, WireEnd, WireFinished, WireRecipe,
    WorkerInfo,
};
pub use worker::{FromHolder, FromWorker, ReadRequest, ToHolder, ToWorker, WireCompute, WireFailure};

use bytes::Bytes;
use oxidask_core::error::ErrorFields;
use oxidask_core::{Error, ErrorKind, Key, Result};
use serde::{Deserialize, Serialize};

/// Who speaks, right after the proof of membership.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Hello {
    /// What it is.
    pub role: Role,
    /// The build it runs.
    pub build: Build,
    /// What outlives the connection; none for readers.
    pub session: Option<SessionHello>,
}

/// What a client or worker says of a session that outlives its connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionHello {
    /// The number that it chose for the session, at random.
    pub id: u128,
    /// How many packets it took, if it is back; none if the session begins.
    pub resumes: Option<u64>,
}

impl SessionHello {
    /// A session that begins.
    ///
    /// # Errors
    /// If the system has no random numbers.
    pub fn begin() -> Result<Self> {
        let mut id = [0; 16];
        getrandom::fill(&mut id)
            .map_err(|cause| Error::new(ErrorKind::Io, format!("the system gave no random numbers: {cause}")))?;
        Ok(SessionHello { id: u128::from_le_bytes(id), resumes: None })
    }
}

/// A program as far as two ends of a connection have to agree on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Build {
    /// Version of oxidask.
    pub version: String,
    /// [`oxidask_core::registry::fingerprint`].
    pub fingerprint: Key,
    /// What runs, for messages: the path of the program.
    pub program: String,
}

impl Build {
    /// The build of this process.
    #[must_use]
    pub fn current() -> Self {
        Build {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            fingerprint: oxidask_core::registry::fingerprint(),
            program: std::env::current_exe().map_or_else(|_| "?".to_owned(), |path| path.display().to_string()),
        }
    }

    fn describe(&self) -> String {
        let digits = self.fingerprint.to_string();
        format!("oxidask {} with operations {} ({})", self.version, &digits[..8], self.program)
    }

    /// Refuses a build that would not understand this one.
    ///
    /// # Errors
    /// If they differ; the message names both.
    pub fn check(&self, other: &Build, who: &str) -> Result<()> {
        if self.version == other.version && self.fingerprint == other.fingerprint {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Version, format!("{who} runs {}, the cluster {}", other.describe(), self.describe()))
            .with_hint("run the same build of oxidask, and of your program, in every process"))
    }
}

/// What a connection is for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Role {
    /// Submits work and wants results.
    Client {
        /// A name for people.
        name: String,
    },
    /// Runs tasks and holds results.
    Worker(WorkerIntro),
    /// Another worker or a client that reads results from a worker, or brings it
    /// values.
    Reader,
}

/// What a worker says of itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WorkerIntro {
    /// The name that outlives its incarnations.
    pub name: String,
    /// Where others read its results.
    pub address: String,
    /// Its process.
    pub pid: u32,
    /// Tasks it runs at once.
    pub n_slots: u32,
    /// Bytes of results it may hold in memory.
    pub memory_limit: u64,
    /// Folder for spilled results.
    pub local_directory: String,
    /// Its abstract resources.
    pub resources: Vec<(String, f64)>,
}

/// The answer to a [`Hello`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Welcome {
    /// It may go on.
    Accepted {
        /// The number of the client or worker.
        number: u32,
        /// How many packets of its session were taken.
        n_taken: u64,
    },
    /// It may not.
    Refused(ErrorFields),
}

/// A value on its way: what it is, and how many buffers of the packet it has.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WireValue {
    /// The registered kind.
    pub kind: String,
    /// Its header.
    pub header: Bytes,
    /// How many of the packet's buffers are its own.
    pub n_buffers: u32,
}

/// An error on its way, with the original error object.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WireError {
    /// The plain fields.
    pub fields: ErrorFields,
    /// The original error object.
    pub payload: Option<WireValue>,
}

/// An op on its way; its blobs are on the other side already.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WireOp {
    /// The registered kind.
    pub kind: String,
    /// Its parameters.
    pub body: Bytes,
    /// Its constants.
    pub blobs: Vec<Key>,
    /// Whether it runs a user's function.
    pub runs_user_code: bool,
}

/// A blob of a connection's cache; see [`crate::blobs`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum BlobMessage {
    /// Keep this.
    Keep {
        /// The hash of the content.
        key: Key,
        /// Its header.
        header: Bytes,
        /// How many of the packet's buffers are its own.
        n_buffers: u32,
    },
    /// Forget these; they are sent again before they are used again.
    Forget(Vec<Key>),
}
