//! Calls of objects that live in a process of a cluster.
//!
//! The process that has an object opens a [`Mailbox`]; whoever knows its address
//! calls through a [`CallLine`]. Calls and answers are frames that only the two
//! ends understand. They travel directly, so the scheduler is not slowed by them
//! and does not slow them. Nothing here knows what an object is: that is the
//! matter of whoever reads the mailbox.

mod line;
mod mailbox;

pub use line::{CallLine, OnReply};
pub use mailbox::{Call, Mailbox};

use crate::protocol::WireValue;
use oxidask_core::Key;
use serde::{Deserialize, Serialize};

/// A call on its way.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WireCall {
    /// Comes back with the answer.
    pub request: u32,
    /// The object.
    pub actor: Key,
    /// What is called with what.
    pub body: WireValue,
}

/// An answer on its way.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WireReply {
    /// To which call.
    pub request: u32,
    /// What came of it.
    pub body: WireValue,
}

/// Calls and answers name no registered kind of value: only their ends, which
/// agree on it, read them.
const KIND: &str = "call";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Secret;
    use crate::protocol::Build;
    use crate::security::{Credentials, Security};
    use oxidask_core::Frames;
    use std::time::Duration;

    fn frames(text: &'static str) -> Frames {
        Frames { header: bytes::Bytes::new(), buffers: vec![text.into()] }
    }

    #[test]
    fn calls_come_and_answers_go_back_in_any_order() {
        let secret = Secret::random().unwrap();
        let credentials = Credentials::new(secret, Security::default());
        let mailbox = Mailbox::open(&"tcp://127.0.0.1:0".parse().unwrap(), credentials.clone()).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let address = mailbox.address().to_string();
        let line = CallLine::open(runtime.handle(), address, credentials, Build::current(), Duration::from_secs(10));
        let (sender, receiver) = std::sync::mpsc::channel();
        for text in ["a", "b"] {
            let sender = sender.clone();
            line.call(Key(1), frames(text), Box::new(move |reply| sender.send(reply).unwrap()));
        }
        let mut calls = Vec::new();
        while calls.len() < 2 {
            calls.extend(mailbox.next(Some(Duration::from_secs(10)), &|| Ok(())).unwrap());
        }
        assert_eq!(calls.iter().map(|call| &call.body.buffers[0][..]).collect::<Vec<_>>(), [b"a", b"b"]);
        for call in calls.into_iter().rev() {
            call.reply(Frames { header: bytes::Bytes::new(), buffers: call.body.buffers.clone() });
        }
        let mut replies: Vec<_> = receiver.iter().take(2).map(|reply| reply.unwrap().buffers[0].clone()).collect();
        replies.sort();
        assert_eq!(replies, ["a", "b"]);
        drop(mailbox);
        line.call(Key(1), frames("c"), Box::new(move |reply| sender.send(reply).unwrap()));
        assert!(receiver.recv().unwrap().is_err());
    }
}
