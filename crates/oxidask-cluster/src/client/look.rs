//! Looking into workers: what they do, and where their time went.
//!
//! Asked of the workers themselves, so that the scheduler, which may be busy, has
//! nothing to do with it.

use super::Client;
use super::answers::Answers;
use crate::reader::{Done, Reader};
use oxidask_core::{Error, ErrorKind, Result};
use oxidask_exec::{Ledger, Sample};
use std::time::Duration;

impl Client {
    /// Asks the executors of each worker, named by their numbers, about the functions
    /// of users: a [`Sample`] for each executor. What may be asked is up to who
    /// knows the language of those functions. A worker that does not answer within
    /// `timeout` gives the error.
    ///
    /// # Errors
    /// If the connection is closed.
    pub fn samples(
        &self,
        workers: &[u32],
        question: &str,
        timeout: Duration,
    ) -> Result<Vec<(u32, Result<Vec<Sample>>)>> {
        self.look_into(workers, timeout, |reader, done| reader.sample(question.to_owned(), done))
    }

    /// Where the time of each worker's threads went since it began, by the workers'
    /// numbers. What a run cost is the difference of two; a worker that does not
    /// answer within `timeout` gives the error.
    ///
    /// # Errors
    /// If the connection is closed.
    pub fn ledgers(&self, workers: &[u32], timeout: Duration) -> Result<Vec<(u32, Result<Ledger>)>> {
        self.look_into(workers, timeout, Reader::ledger)
    }

    fn look_into<T: Send + 'static>(
        &self,
        workers: &[u32],
        timeout: Duration,
        ask: impl Fn(&Reader, Done<T>),
    ) -> Result<Vec<(u32, Result<T>)>> {
        let inner = self.inner();
        if let Some(error) = &inner.table.lock().closed {
            return Err(error.clone());
        }
        let answers = Answers::new();
        for &worker in workers {
            let ticket = answers.ticket();
            let done = move |answer: Result<T>| ticket.give((worker, answer));
            match inner.reader(worker) {
                Ok(reader) => ask(&reader, Box::new(done)),
                Err(error) => done(Err(error)),
            }
        }
        let mut arrived: Vec<(u32, Result<T>)> = answers.wait(Some(timeout));
        for &worker in workers {
            if !arrived.iter().any(|(other, _)| *other == worker) {
                let error = Error::new(ErrorKind::Timeout, format!("the worker did not answer within {timeout:?}"));
                arrived.push((worker, Err(error)));
            }
        }
        arrived.sort_by_key(|(worker, _)| *worker);
        Ok(arrived)
    }
}
