//! Bringing values to workers.

use super::answers::Answers;
use super::{Client, Inner};
use crate::protocol::{BroughtValue, FromClient, Outbox};
use crate::reader::Reader;
use oxidask_core::{Frames, Future, Key, Result, Value};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Bytes from which on values go straight to workers. Below, a packet that the
/// scheduler hands on costs less than a second way.
const DIRECT_BYTES_MIN: u64 = 256 << 10;

/// A value on its way.
struct Encoded {
    key: Key,
    kind: &'static str,
    frames: Frames,
}

impl Client {
    /// Sends values to workers and answers a future for each: spread over the
    /// workers, or to all of them with `broadcast`. `workers` names those that
    /// may get them (names or addresses); empty means all. Large values go straight
    /// to the workers, and have arrived when this returns.
    ///
    /// # Errors
    /// If a value cannot travel or the connection is closed.
    pub fn scatter(&self, values: &[(Key, Value)], workers: &[String], broadcast: bool) -> Result<Vec<Future>> {
        let encoded = values
            .iter()
            .map(|(key, value)| Ok(Encoded { key: *key, kind: value.data().kind(), frames: value.data().encode()? }))
            .collect::<Result<Vec<_>>>()?;
        let inner = self.inner();
        let keys: Vec<Key> = values.iter().map(|(key, _)| *key).collect();
        let is_large = encoded.iter().map(|value| value.frames.nbytes()).sum::<u64>() >= DIRECT_BYTES_MIN;
        if is_large && let Some(brought) = inner.bring_all(&encoded, workers, broadcast) {
            let mut former = Vec::new();
            return inner.submit_with(&keys, |seq, _, outbox| {
                former = inner.remember_brought(encoded);
                outbox.push(FromClient::Brought { seq, values: brought });
                Ok(())
            });
        }
        inner.submit_with(&keys, |seq, _, outbox| {
            let values =
                encoded.into_iter().map(|Encoded { key, kind, frames }| (key, outbox.frames(kind, frames))).collect();
            outbox.push(FromClient::Scatter { seq, values, workers: workers.to_vec(), broadcast });
            Ok(())
        })
    }
}

impl Inner {
    /// Brings values to workers and waits until they have them; none if they have to
    /// go by the scheduler: nobody of these names is there, or somebody cannot be
    /// reached.
    fn bring_all(&self, values: &[Encoded], workers: &[String], broadcast: bool) -> Option<Vec<BroughtValue>> {
        let targets: Vec<(u32, Arc<Reader>)> = self
            .holders_called(workers)
            .into_iter()
            .map(|worker| Some((worker, self.reader(worker).ok()?)))
            .collect::<Option<_>>()?;
        if targets.is_empty() {
            return None;
        }
        let n_copies = if broadcast { targets.len() } else { 1 };
        let first = self.next_target.fetch_add(values.len(), Ordering::Relaxed);
        let answers = Answers::new();
        let mut brought = Vec::with_capacity(values.len());
        for (number, Encoded { key, kind, frames }) in values.iter().enumerate() {
            let chosen = (0..n_copies).map(|copy| &targets[(first + number + copy) % targets.len()]);
            let mut workers = Vec::with_capacity(n_copies);
            for (worker, reader) in chosen {
                let ticket = answers.ticket();
                reader.keep(*key, kind, frames.clone(), Box::new(move |kept| ticket.give(kept.is_ok())));
                workers.push(*worker);
            }
            brought.push(BroughtValue { key: *key, bytes: frames.nbytes(), workers });
        }
        // The connection to a worker that is lost ends with its last owner.
        drop(targets);
        let kept = answers.wait(None);
        (kept.len() == values.len() * n_copies && kept.into_iter().all(|is_kept| is_kept)).then_some(brought)
    }

    /// The workers of these names or addresses; all for none.
    fn holders_called(&self, names: &[String]) -> Vec<u32> {
        let table = self.table.lock();
        let holders = table.holders.iter().filter(|(_, holder)| {
            names.is_empty() || names.contains(&holder.intro.name) || names.contains(&holder.intro.address)
        });
        holders.map(|(&worker, _)| worker).collect()
    }

    /// Keeps values for [`Inner::bring`] until the scheduler says that they are held.
    /// Answers what was kept before, which must be dropped without locks: its memory
    /// may be Python's.
    fn remember_brought(&self, values: Vec<Encoded>) -> Vec<(&'static str, Frames)> {
        let mut former = Vec::new();
        let mut table = self.table.lock();
        for Encoded { key, kind, frames } in values {
            match table.entries.get_mut(&key) {
                Some(entry) => former.extend(entry.brought.replace((kind, frames))),
                None => former.push((kind, frames)),
            }
        }
        former
    }

    /// Sends the scheduler values whose workers are gone.
    pub(super) fn bring(&self, keys: &[Key]) {
        let sending = self.sending.lock();
        let mut outbox = Outbox::default();
        for &key in keys {
            let brought = self.table.lock().entries.get(&key).and_then(|entry| entry.brought.clone());
            let value = brought.map(|(kind, frames)| outbox.frames(kind, frames));
            outbox.push(FromClient::Bring { key, value });
        }
        if let Ok(packet) = outbox.take() {
            sending.outlet.send(packet);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::{LocalCluster, LocalClusterOptions};
    use oxidask_core::{Data, Decode, Error, ErrorKind, KeyHasher};
    use oxidask_macros::data;
    use std::time::{Duration, Instant};

    #[data("test.scattered")]
    struct Scattered(bytes::Bytes);

    impl Data for Scattered {
        fn nbytes(&self) -> u64 {
            self.0.len() as u64
        }

        fn encode(&self) -> Result<Frames> {
            Ok(Frames { header: bytes::Bytes::new(), buffers: vec![self.0.clone()] })
        }
    }

    impl Decode for Scattered {
        fn decode(frames: Frames) -> Result<Self> {
            frames.buffers.into_iter().next().map(Scattered).ok_or_else(|| Error::value("no block"))
        }
    }

    fn block(byte: u8) -> (Key, Value) {
        let value = Value::new(Scattered(vec![byte; 1 << 20].into()));
        (KeyHasher::new("scattered").u64(byte.into()).finish(), value)
    }

    fn cluster() -> (LocalCluster, Client) {
        let options = LocalClusterOptions { tcp: true, ..LocalClusterOptions::in_process(2) };
        let cluster = LocalCluster::start(options).unwrap();
        let client = cluster.client().unwrap();
        assert!(client.wait_for_workers(2, Some(Duration::from_secs(10)), &|| Ok(())).unwrap());
        (cluster, client)
    }

    fn holders_of(client: &Client, keys: &[Key]) -> Vec<Vec<u32>> {
        match client.ask(crate::protocol::Question::WhoHas(keys.to_vec()), Duration::from_secs(10)).unwrap() {
            crate::protocol::Answer::WhoHas(holders) => holders,
            other => panic!("{other:?}"),
        }
    }

    fn is(value: &Value, byte: u8) -> bool {
        value.expect::<Scattered>().unwrap().0[..] == vec![byte; 1 << 20]
    }

    #[test]
    fn large_values_are_spread_or_copied_to_all() {
        let (_cluster, client) = cluster();
        let values: Vec<_> = (0..4).map(block).collect();
        let futures = client.scatter(&values, &[], false).unwrap();
        let keys: Vec<Key> = futures.iter().map(Future::key).collect();
        let back = client.gather(&keys, &|| Ok(())).unwrap();
        assert!((0..4).zip(&back).all(|(byte, value)| is(value, byte)));
        let mut holders = holders_of(&client, &keys).concat();
        holders.sort_unstable();
        assert_eq!(holders.len(), 4);
        assert!(holders[0] == holders[1] && holders[1] != holders[2] && holders[2] == holders[3]);
        // A second time, and to everybody.
        let again = client.scatter(&values[..1], &[], false).unwrap();
        let all = client.scatter(&[block(9)], &[], true).unwrap();
        client.wait(&[all[0].key(), again[0].key()], false, None, &|| Ok(())).unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        while holders_of(&client, &[all[0].key()])[0].len() < 2 {
            assert!(Instant::now() < deadline, "the second worker never had it");
        }
        let error = client.scatter(&[block(10)], &["nobody".to_owned()], false).unwrap();
        let error = client.gather(&[error[0].key()], &|| Ok(())).unwrap_err();
        assert!(error.message().contains("no worker is called nobody"), "{error}");
    }

    #[test]
    fn values_whose_workers_have_them_not_are_asked_for_again() {
        let (_cluster, client) = cluster();
        let inner = client.inner();
        // A worker that is gone, and one that lost what it was brought.
        for (byte, worker) in [(1, 999), (2, holders_there(&client)[0])] {
            let (key, value) = block(byte);
            let encoded = Encoded { key, kind: value.data().kind(), frames: value.data().encode().unwrap() };
            let futures = inner.submit_with(&[key], |seq, _, outbox| {
                drop(inner.remember_brought(vec![encoded]));
                let brought = BroughtValue { key, bytes: 1 << 20, workers: vec![worker] };
                outbox.push(FromClient::Brought { seq, values: vec![brought] });
                Ok(())
            });
            let futures = futures.unwrap();
            let back = client.gather(&[futures[0].key()], &|| Ok(())).unwrap();
            assert!(is(&back[0], byte));
        }
    }

    fn holders_there(client: &Client) -> Vec<u32> {
        client.inner().holders_called(&[])
    }

    #[test]
    fn values_that_nobody_has_any_more_are_cancelled() {
        let (_cluster, client) = cluster();
        let (key, _) = block(3);
        let futures = client.inner().submit_with(&[key], |seq, _, outbox| {
            let brought = BroughtValue { key, bytes: 1 << 20, workers: vec![999] };
            outbox.push(FromClient::Brought { seq, values: vec![brought] });
            Ok(())
        });
        let futures = futures.unwrap();
        let error = client.gather(&[futures[0].key()], &|| Ok(())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
    }
}
