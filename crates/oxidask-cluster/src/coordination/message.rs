//! What clients ask of a cluster's shared objects, and what they are told.

use bytes::Bytes;
use oxidask_core::{Error, ErrorKind, Key, Result};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Something that a client leaves with the scheduler: bytes that only clients
/// understand, and the results that are named in them, which live as long as
/// the item does.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Encoded by whoever brought it.
    pub body: Bytes,
    /// Results that the body refers to.
    pub keys: Vec<Key>,
}

impl Item {
    /// Largest body. Larger things are scattered, and their future is left here.
    pub const BYTES_MAX: usize = 16 << 20;

    pub(super) fn check(&self) -> Result<()> {
        if self.body.len() <= Self::BYTES_MAX {
            return Ok(());
        }
        let message = format!("an object of {} bytes is too large to be kept in the scheduler", self.body.len());
        Err(Error::value(message).with_hint("scatter it, and put the future in its place"))
    }
}

impl fmt::Debug for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Item({} bytes, {} keys)", self.body.len(), self.keys.len())
    }
}

/// Which kind of named item is meant; names of different spaces are unrelated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Space {
    /// Variables.
    Variable,
    /// Events: one that is set is an empty item.
    Event,
    /// Published datasets.
    Dataset,
    /// Notes that programs leave for each other.
    Metadata,
    /// Plugins that clients registered.
    Plugin,
}

/// What a client asks.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Ask {
    /// Gives an item a name. Told [`Told::Done`]: false if the name was taken
    /// and `replace` is not set.
    Set {
        /// The kind.
        space: Space,
        /// The name.
        name: String,
        /// The item.
        item: Item,
        /// Whether it may take the place of another.
        replace: bool,
    },
    /// Looks an item up. Told [`Told::Item`]; with `wait` once it is there.
    Get {
        /// The kind.
        space: Space,
        /// The name.
        name: String,
        /// Whether to wait for it.
        wait: bool,
    },
    /// Forgets an item. Told [`Told::Done`]: whether it was there.
    Delete {
        /// The kind.
        space: Space,
        /// The name.
        name: String,
    },
    /// All names of a kind, sorted. Told [`Told::Names`].
    List(Space),
    /// Makes a queue unless it is there; 0 means no limit. Told [`Told::Done`].
    OpenQueue {
        /// Its name.
        name: String,
        /// Most items in it.
        limit: u64,
    },
    /// Appends an item, once there is room. Told [`Told::Done`].
    Put {
        /// The queue.
        queue: String,
        /// The item.
        item: Item,
    },
    /// Takes items from the front: waits for `least`, takes up to `most`. Told
    /// [`Told::Items`].
    Take {
        /// The queue.
        queue: String,
        /// How many to wait for.
        least: u64,
        /// How many to take if they are there.
        most: u64,
    },
    /// Puts items that were taken back to the front, beyond the limit if need be:
    /// nobody waited for them any more. A queue that was closed meanwhile stays
    /// closed. Told [`Told::Done`]: whether the queue is there.
    PutBack {
        /// The queue.
        queue: String,
        /// What was taken, in order.
        items: Vec<Item>,
    },
    /// How many items a queue has. Told [`Told::Count`].
    Length(String),
    /// Forgets a queue and what is in it. Told [`Told::Done`].
    CloseQueue(String),
    /// Makes a semaphore unless it is there. Told [`Told::Done`].
    OpenSemaphore {
        /// Its name.
        name: String,
        /// How many leases it has.
        limit: u32,
    },
    /// Takes one lease each of `n` of these, all at once. Told [`Told::Done`].
    Acquire {
        /// Semaphores. Those that are unknown are made with one lease if
        /// `is_lock`; else that is an error.
        names: Vec<String>,
        /// How many of them suffice.
        n: u32,
        /// What to call the leases when they are released.
        lease: Key,
        /// Whether they are locks.
        is_lock: bool,
    },
    /// Gives leases back. Told [`Told::Done`]: whether they were held.
    Release(Key),
    /// How many leases of a semaphore are out. Told [`Told::Count`].
    Leases(String),
    /// Forgets a semaphore; who waits for it is told an error. Told
    /// [`Told::Done`].
    CloseSemaphore(String),
    /// Adds an event to the log of topics, and tells their subscribers. Told
    /// [`Told::Done`].
    Log {
        /// The topics.
        topics: Vec<String>,
        /// The event.
        item: Item,
    },
    /// The newest events of a topic, or of all. Told [`Told::Events`].
    Events(Option<String>),
    /// Whether to be told of a topic's events. Told [`Told::Done`]: whether
    /// that is a change.
    Subscribe {
        /// The topic.
        topic: String,
        /// Whether to be told.
        on: bool,
    },
    /// Waits until nobody wants the result `key` any more. Told
    /// [`Told::Done`].
    Forgotten(Key),
    /// Keeps results for as long as another result is wanted, in which they are
    /// named. Told [`Told::Done`].
    KeepWith {
        /// The result that names them.
        owner: Key,
        /// The results.
        keys: Vec<Key>,
    },
}

impl Ask {
    /// What undoes that this was answered so, if the answer took something that would
    /// be missed: for whoever does not wait for it any more.
    #[must_use]
    pub fn undo(&self, told: &Told) -> Option<Ask> {
        match (self, told) {
            (Ask::Acquire { lease, .. }, Told::Done(_)) => Some(Ask::Release(*lease)),
            (Ask::Take { queue, .. }, Told::Items(items)) if !items.is_empty() => {
                Some(Ask::PutBack { queue: queue.clone(), items: items.clone() })
            }
            _ => None,
        }
    }
}

/// An event of a topic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TopicEvent {
    /// The topic.
    pub topic: String,
    /// Seconds since 1970, by the scheduler's clock.
    pub time: f64,
    /// What was logged.
    pub item: Item,
}

/// The answer to an [`Ask`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Told {
    /// It was done; what the flag means is said at each question.
    Done(bool),
    /// An item, if it is there.
    Item(Option<Item>),
    /// Items, in order.
    Items(Vec<Item>),
    /// Names.
    Names(Vec<String>),
    /// A number.
    Count(u64),
    /// Events, the oldest first.
    Events(Vec<TopicEvent>),
    /// The question was withdrawn before there was an answer.
    Withdrawn,
    /// It cannot be done.
    Refused {
        /// What kind of error it is.
        kind: ErrorKind,
        /// The message.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
}

impl From<Error> for Told {
    fn from(error: Error) -> Self {
        let fields = error.to_fields();
        Told::Refused { kind: fields.kind, message: fields.message, hint: fields.hint }
    }
}

impl Told {
    /// The results that are named in it.
    pub(super) fn keys(&self) -> Vec<Key> {
        match self {
            Told::Item(Some(item)) => item.keys.clone(),
            Told::Items(items) => items.iter().flat_map(|item| item.keys.iter().copied()).collect(),
            _ => Vec::new(),
        }
    }

    /// The error, if it is one.
    ///
    /// # Errors
    /// That error.
    pub fn or_error(self) -> Result<Self> {
        match self {
            Told::Refused { kind, message, hint } => {
                let error = Error::new(kind, message);
                Err(hint.into_iter().fold(error, Error::with_hint))
            }
            told => Ok(told),
        }
    }

    /// The flag of [`Told::Done`].
    ///
    /// # Errors
    /// If it is another answer.
    pub fn done(self) -> Result<bool> {
        match self.or_error()? {
            Told::Done(flag) => Ok(flag),
            _ => Err(unexpected()),
        }
    }

    /// The number of [`Told::Count`].
    ///
    /// # Errors
    /// If it is another answer.
    pub fn count(self) -> Result<u64> {
        match self.or_error()? {
            Told::Count(count) => Ok(count),
            _ => Err(unexpected()),
        }
    }
}

/// The error of an answer that does not fit the question.
#[must_use]
pub fn unexpected() -> Error {
    Error::new(ErrorKind::Version, "the scheduler answered another question")
}
