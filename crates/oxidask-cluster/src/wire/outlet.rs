//! The sending half of a connection, and of all connections of a session.
//!
//! [`Outlet::send`] writes from the calling thread when the socket takes it at
//! once, which saves a wake-up, and leaves the rest to a task otherwise; what
//! is sent meanwhile goes out in the same system call.

use super::chunk::{Chunk, chunks_of};
use super::session::{Session, WrittenSession};
use super::{ACKNOWLEDGEMENT, Packet, Stream};
use bytes::BytesMut;
use oxidask_core::{Error, ErrorKind, Result};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::Arc;
use tokio::sync::Notify;

/// Most slices given to one system call.
const SLICES_MAX: usize = 256;
/// Bytes that may wait for a peer that does not read, or is away, before it is
/// given up.
const BACKLOG_MAX: usize = 8 << 30;
/// Packets, and bytes, after which what was taken is acknowledged.
const ACKNOWLEDGE_PACKETS: u32 = 64;
const ACKNOWLEDGE_BYTES: usize = 1 << 20;

/// The sending half of a connection; clones share it.
#[derive(Clone, Debug)]
pub struct Outlet(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    /// None while the peer is away.
    stream: Option<Arc<Stream>>,
    /// Grows with every connection of the session.
    generation: u64,
    chunks: VecDeque<Chunk>,
    bytes: usize,
    /// Whether large buffers may go as shared memory.
    passes_files: bool,
    /// Whether the writing task waits for the socket; then senders only queue.
    is_blocked: bool,
    /// Wakes the task that writes what the socket did not take at once.
    blocked: Arc<Notify>,
    is_closed: bool,
    session: Option<Session>,
}

impl Outlet {
    /// The sending half of `stream`. Must be called within a tokio runtime,
    /// which then carries the task that writes what a slow peer does not take.
    #[must_use]
    pub fn new(stream: Arc<Stream>) -> Self {
        let outlet = Outlet::detached();
        outlet.connect(&mut outlet.0.lock(), stream);
        outlet
    }

    /// The sending half of a session whose peer is away. What is sent is kept
    /// until it comes back.
    #[must_use]
    pub fn away() -> Self {
        let outlet = Outlet::detached();
        outlet.0.lock().session = Some(Session::default());
        outlet
    }

    /// The sending half of a session as it was written down: its peer is away.
    #[must_use]
    pub fn of_session(written: WrittenSession) -> Self {
        let outlet = Outlet::detached();
        outlet.0.lock().session = Some(Session::of_written(written));
        outlet
    }

    /// What the session needs to go on in another process; none if something that
    /// was not acknowledged lies in memory that only this process has.
    #[must_use]
    pub fn to_written(&self) -> Option<WrittenSession> {
        let state = self.0.lock();
        state.session.as_ref()?.to_written()
    }

    fn detached() -> Self {
        Outlet(Arc::new(Mutex::new(State {
            stream: None,
            generation: 0,
            chunks: VecDeque::new(),
            bytes: 0,
            passes_files: false,
            is_blocked: false,
            blocked: Arc::default(),
            is_closed: false,
            session: None,
        })))
    }

    /// From now on everything that is sent is kept until it is acknowledged, so
    /// that the session can go on over another connection. Answers the number of
    /// the present connection, for [`super::Inlet::make_resumable`].
    pub fn make_resumable(&self) -> u64 {
        let mut state = self.0.lock();
        state.session.get_or_insert_default();
        state.generation
    }

    /// How many packets of the peer were taken.
    #[must_use]
    pub fn n_received(&self) -> u64 {
        self.0.lock().session.as_ref().map_or(0, |session| session.n_received)
    }

    /// How many packets the peer has acknowledged.
    #[must_use]
    pub fn n_acknowledged(&self) -> u64 {
        self.0.lock().session.as_ref().map_or(0, |session| session.n_acknowledged)
    }

    /// Whether the peer is away.
    #[must_use]
    pub fn is_away(&self) -> bool {
        let state = self.0.lock();
        state.stream.is_none() && !state.is_closed
    }

    /// Whether nothing is sent any more.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.lock().is_closed
    }

    /// Goes on over `stream`: `first`, which is not counted, then all packets
    /// after the first `n_taken`, which is what the peer says it took. Answers the
    /// number of the connection.
    ///
    /// # Errors
    /// If what the peer lacks is not there any more, or was never sent.
    pub fn resume(&self, stream: Arc<Stream>, first: Option<Packet>, n_taken: u64) -> Result<u64> {
        let mut state = self.0.lock();
        let unknown = || {
            Error::new(ErrorKind::Lost, "the two ends do not remember the same session")
                .with_hint("one of them was started again meanwhile")
        };
        if state.is_closed {
            return Err(unknown());
        }
        let session = state.session.as_mut().ok_or_else(unknown)?;
        session.acknowledged(n_taken).map_err(|_| unknown())?;
        let kept = session.kept.clone();
        session.unacknowledged = (0, 0);
        if let Some(old) = state.stream.take() {
            old.shutdown();
        }
        self.connect(&mut state, stream);
        state.chunks.clear();
        state.bytes = 0;
        if let Some(first) = first {
            for chunk in chunks_of(first, false).0 {
                state.push(chunk);
            }
        }
        state.bytes += kept.iter().map(|chunk| chunk.bytes.len()).sum::<usize>();
        state.chunks.extend(kept);
        let generation = state.generation;
        self.flush_locked(state);
        Ok(generation)
    }

    fn connect(&self, state: &mut State, stream: Arc<Stream>) {
        state.generation += 1;
        state.is_blocked = false;
        // The task of the connection before ends.
        state.blocked.notify_one();
        state.blocked = Arc::default();
        state.passes_files = stream.passes_files();
        state.stream = Some(stream.clone());
        tokio::spawn(self.clone().write_when_blocked(stream, state.blocked.clone(), state.generation));
    }

    /// The connection of this number has ended; a resumable session waits for the
    /// next one.
    pub(super) fn detach(&self, generation: u64) {
        let mut state = self.0.lock();
        if state.generation == generation {
            state.lose();
        }
    }

    /// Counts a packet that is about to be dealt with; false if the connection is
    /// not the newest, because the packet comes again on that one.
    pub(super) fn count_received(&self, generation: u64, bytes: usize) -> bool {
        let mut state = self.0.lock();
        if state.generation != generation || state.is_closed {
            return false;
        }
        if let Some(session) = &mut state.session {
            session.count_received(bytes);
        }
        true
    }

    /// Counts a packet that reached this session without a connection: one that a
    /// journal kept.
    pub fn count_replayed(&self) {
        if let Some(session) = &mut self.0.lock().session {
            session.count_received(0);
        }
    }

    /// Acknowledges what was taken, once it is much.
    pub(super) fn acknowledge(&self) {
        self.acknowledge_from(ACKNOWLEDGE_PACKETS, ACKNOWLEDGE_BYTES);
    }

    /// Acknowledges whatever was taken, so that the peer need not keep it: to be
    /// called when there is nothing else to do.
    pub fn acknowledge_all(&self) {
        self.acknowledge_from(1, usize::MAX);
    }

    fn acknowledge_from(&self, least_packets: u32, least_bytes: usize) {
        let mut state = self.0.lock();
        let Some(session) = &mut state.session else { return };
        let (packets, bytes) = session.unacknowledged;
        if packets < least_packets && bytes < least_bytes || state.stream.is_none() {
            return;
        }
        let Some(session) = &mut state.session else { return };
        session.unacknowledged = (0, 0);
        let mut chunk = BytesMut::with_capacity(16);
        chunk.extend_from_slice(&ACKNOWLEDGEMENT.to_le_bytes());
        chunk.extend_from_slice(&0_u32.to_le_bytes());
        chunk.extend_from_slice(&session.n_received.to_le_bytes());
        state.push(chunk.freeze().into());
        self.flush_locked(state);
    }

    /// The peer took so many packets of the session.
    ///
    /// # Errors
    /// If so many were never sent.
    pub(crate) fn acknowledged(&self, n_taken: u64) -> io::Result<()> {
        let mut state = self.0.lock();
        match &mut state.session {
            Some(session) => session.acknowledged(n_taken),
            None => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    /// Sends a packet, or queues it if the peer is slow or away. A closed
    /// connection swallows it: the reading half reports the loss.
    pub fn send(&self, packet: Packet) {
        let passes_files = self.0.lock().passes_files;
        // What goes into shared memory is copied there without the lock; the order
        // of packets is that in which their senders call, one after another.
        let chunks = chunks_of(packet, passes_files);
        let mut state = self.0.lock();
        state.queue(chunks);
        self.flush_locked(state);
    }

    /// Queues a packet to go out with the next [`Outlet::flush`].
    pub fn queue(&self, packet: Packet) {
        let passes_files = self.0.lock().passes_files;
        let chunks = chunks_of(packet, passes_files);
        self.0.lock().queue(chunks);
    }

    /// Writes what is queued as far as the socket takes it.
    pub fn flush(&self) {
        self.flush_locked(self.0.lock());
    }

    fn flush_locked(&self, mut state: parking_lot::MutexGuard<'_, State>) {
        if state.is_blocked || state.is_closed {
            return;
        }
        let Some(stream) = state.stream.clone() else { return };
        match state.write(&stream) {
            Ok(true) => {}
            Ok(false) => {
                state.is_blocked = true;
                state.blocked.notify_one();
            }
            Err(_) => state.lose(),
        }
    }

    /// Closes the connection, and its session, at once; both ends' readers see
    /// its end.
    pub fn close(&self) {
        self.0.lock().close();
    }

    /// Ends the present connection, as a network does that drops it.
    pub fn drop_connection(&self) {
        self.0.lock().lose();
    }

    /// Waits until all that was sent is with the operating system, or the
    /// connection is closed.
    pub async fn drained(&self) {
        loop {
            let stream = {
                let state = self.0.lock();
                if state.is_closed || state.chunks.is_empty() {
                    return;
                }
                match &state.stream {
                    Some(stream) => stream.clone(),
                    None => return,
                }
            };
            if stream.writable().await.is_err() {
                return;
            }
            tokio::task::yield_now().await;
        }
    }

    async fn write_when_blocked(self, stream: Arc<Stream>, blocked: Arc<Notify>, generation: u64) {
        loop {
            blocked.notified().await;
            loop {
                if stream.writable().await.is_err() {
                    self.detach(generation);
                    return;
                }
                let mut state = self.0.lock();
                if state.is_closed || state.generation != generation || state.stream.is_none() {
                    return;
                }
                match state.write(&stream) {
                    Ok(true) => {
                        state.is_blocked = false;
                        break;
                    }
                    Ok(false) => {}
                    Err(_) => {
                        state.lose();
                        return;
                    }
                }
            }
        }
    }
}

impl State {
    fn push(&mut self, chunk: Chunk) {
        self.bytes += chunk.bytes.len();
        self.chunks.push_back(chunk);
    }

    /// Queues the chunks of a packet, beside which so many bytes lie in shared
    /// memory.
    fn queue(&mut self, (chunks, shared_bytes): (Vec<Chunk>, usize)) {
        if self.is_closed {
            return;
        }
        let is_away = self.stream.is_none();
        if let Some(session) = &mut self.session {
            session.keep(&chunks, shared_bytes);
        }
        if !is_away {
            chunks.into_iter().for_each(|chunk| self.push(chunk));
        }
        if self.bytes.max(self.session.as_ref().map_or(0, |session| session.kept_bytes)) > BACKLOG_MAX {
            self.close();
        }
    }

    /// The connection is gone; without a session that is the end.
    fn lose(&mut self) {
        if self.session.is_none() {
            self.close();
            return;
        }
        if let Some(stream) = self.stream.take() {
            stream.shutdown();
        }
        self.chunks.clear();
        self.bytes = 0;
        self.is_blocked = false;
        self.blocked.notify_one();
    }

    fn close(&mut self) {
        self.is_closed = true;
        self.session = None;
        self.chunks.clear();
        self.bytes = 0;
        if let Some(stream) = self.stream.take() {
            stream.shutdown();
        }
        self.blocked.notify_one();
    }

    /// Writes until nothing is left (`true`) or the socket is full (`false`).
    fn write(&mut self, stream: &Stream) -> io::Result<bool> {
        loop {
            let wrote = match self.chunks.front() {
                None => stream.try_flush().map(|()| 0),
                Some(Chunk { bytes, files: Some(files) }) => stream.try_write_with_files(bytes, files),
                Some(_) => {
                    let mut slices = [IoSlice::new(&[]); SLICES_MAX];
                    let plain = self.chunks.iter().take_while(|chunk| chunk.files.is_none());
                    let mut n_slices = 0;
                    for (slice, chunk) in slices.iter_mut().zip(plain) {
                        *slice = IoSlice::new(&chunk.bytes);
                        n_slices += 1;
                    }
                    stream.try_write_vectored(&slices[..n_slices])
                }
            };
            match wrote {
                Ok(_) if self.chunks.is_empty() => return Ok(true),
                Ok(count) => self.advance(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn advance(&mut self, mut count: usize) {
        self.bytes -= count;
        while count > 0 {
            let Some(first) = self.chunks.front_mut() else { return };
            if first.bytes.len() > count {
                first.advance(count);
                return;
            }
            count -= first.bytes.len();
            self.chunks.pop_front();
        }
    }
}
