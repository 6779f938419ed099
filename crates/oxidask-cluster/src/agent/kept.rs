//! Values that clients brought straight to this agent, until the scheduler says
//! which tasks they stand for.
//!
//! The scheduler numbers tasks and frees numbers over its own connection, so a
//! value must not be put under a number that came another way: it waits here under
//! its key. What is not adopted goes with the connection over which it came.

use hashbrown::HashMap;
use oxidask_core::{Key, Value};
use parking_lot::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// See the module's head.
#[derive(Default)]
pub struct Kept {
    values: Mutex<HashMap<Key, (u64, Value)>>,
    n_connections: AtomicU64,
}

impl Kept {
    /// A number for a connection.
    pub fn connection(&self) -> u64 {
        self.n_connections.fetch_add(1, Ordering::Relaxed)
    }

    /// Keeps a value that came over a connection. A value of the same key is the
    /// same, so the newer one takes its place.
    pub fn keep(&self, connection: u64, key: Key, value: Value) {
        // Dropped without the lock.
        let _former = self.values.lock().insert(key, (connection, value));
    }

    /// Takes a value out.
    pub fn take(&self, key: Key) -> Option<Value> {
        self.values.lock().remove(&key).map(|(_, value)| value)
    }

    /// A connection ended.
    pub fn ended(&self, connection: u64) {
        let mut values = self.values.lock();
        let gone: Vec<_> = values.extract_if(|_, (over, _)| *over == connection).collect();
        drop(values);
        drop(gone);
    }
}
