//! Work that a client submits, as it travels.

use super::futures::ClientFuture;
use super::table::RunningGraph;
use super::{Inner, Sending};
use crate::blobs::SentBlobs;
use crate::constant::Constants;
use crate::protocol::{FromClient, Outbox, WireOp};
use oxidask_core::{EncodedOp, Future, Graph, Key, Result};
use oxidask_exec::coordinator::{NewStage, RowSource, Submission};
use std::sync::Arc;

/// A stage's op, encoded, and whether it runs user code.
type Stages = Submission<(EncodedOp, bool)>;

impl Inner {
    pub(super) fn submit(self: &Arc<Self>, graph: &Graph) -> Result<Vec<Future>> {
        // Encoding may need Python's lock, so it is done before any of ours is
        // taken.
        let submission: Stages =
            Submission::from_graph(graph, |stage| Ok((stage.op.encode()?, stage.op.runs_user_code())))?;
        let submission = with_constants(submission, graph)?;
        let keys: Vec<Key> = submission.outputs.iter().map(|&row| submission.tasks[row as usize].key).collect();
        let mut sending = self.sending.lock();
        let blobs = &mut sending.blobs;
        let mut outbox = Outbox::default();
        let wire = to_wire(submission, blobs, &mut outbox);
        self.submit_locked(&mut sending, outbox, &keys, |seq, _, outbox| {
            outbox.push(FromClient::Submit { seq, submission: wire });
            Ok(())
        })
    }

    /// Claims `keys`, then sends what `fill` puts into the outbox.
    pub(super) fn submit_with(
        self: &Arc<Self>,
        keys: &[Key],
        fill: impl FnOnce(u32, &[Key], &mut Outbox<FromClient>) -> Result<()>,
    ) -> Result<Vec<Future>> {
        let mut sending = self.sending.lock();
        self.submit_locked(&mut sending, Outbox::default(), keys, fill)
    }

    fn submit_locked(
        self: &Arc<Self>,
        sending: &mut Sending,
        mut outbox: Outbox<FromClient>,
        keys: &[Key],
        fill: impl FnOnce(u32, &[Key], &mut Outbox<FromClient>) -> Result<()>,
    ) -> Result<Vec<Future>> {
        let (seq, distinct, releases) = {
            let mut table = self.table.lock();
            if let Some(error) = &table.closed {
                return Err(error.clone());
            }
            table.seq += 1;
            let seq = table.seq;
            table.entries.reserve(keys.len());
            let distinct: Vec<Key> = keys.iter().copied().filter(|&key| table.claim(key, seq)).collect();
            let releases = table.releases_before(&distinct);
            (seq, distinct, releases)
        };
        if sending.is_watching {
            self.graphs.lock().insert(seq, RunningGraph { n_pending: distinct.len(), error: None });
        }
        let futures = keys.iter().map(|&key| Future::new(ClientFuture::new(self.clone(), key))).collect();
        if !releases.is_empty() {
            outbox.push(FromClient::Release(releases));
        }
        fill(seq, &distinct, &mut outbox)?;
        sending.blobs.trim(&mut outbox, FromClient::Blob);
        sending.outlet.send(outbox.take()?);
        Ok(futures)
    }
}

/// Turns the values of a graph into ops that answer them.
fn with_constants(mut submission: Stages, graph: &Graph) -> Result<Stages> {
    if graph.data_values().is_empty() {
        return Ok(submission);
    }
    let (ops, places) = Constants::encode_all(graph.data_values())?;
    let first = submission.stages.len() as u32;
    let label: Arc<str> = Arc::from("data");
    submission.stages.extend(ops.into_iter().map(|op| NewStage {
        handle: (op, false),
        label: label.clone(),
        annotations: None,
    }));
    for task in &mut submission.tasks {
        if let RowSource::Data(number) = task.source {
            let (op, block) = places[number as usize];
            task.source = RowSource::Run(first + op);
            task.block = block;
        }
    }
    Ok(submission)
}

fn to_wire(submission: Stages, blobs: &mut SentBlobs, outbox: &mut Outbox<FromClient>) -> Submission<WireOp> {
    let Submission { stages, tasks, inputs, names, outputs } = submission;
    // Stages that no output needs would be sent for nothing, but telling which
    // costs a pass over the graph, and lowering makes few of them.
    let stages = stages
        .into_iter()
        .map(|stage| NewStage {
            handle: blobs.op(&stage.handle.0, stage.handle.1, outbox, FromClient::Blob),
            label: stage.label,
            annotations: stage.annotations,
        })
        .collect();
    Submission { stages, tasks, inputs, names, outputs }
}
