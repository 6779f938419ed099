//! A unix socket that is woken by what it is told and by nothing else.
//!
//! When a process reads from a unix socket, the system tells the sender that there
//! is room again. A sender that listens for that all the time, as tokio's own
//! socket does, is woken once for every packet that its peer reads, and the peer
//! spends longer on waking it than on the packet. So this one listens for room
//! only while somebody waits for it.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// See the module's head.
#[derive(Debug)]
pub(super) struct QuietSocket(AsyncFd<OwnedFd>);

impl QuietSocket {
    /// Takes a connected socket that does not block. Must be called within a tokio
    /// runtime.
    pub fn new(socket: OwnedFd) -> io::Result<Self> {
        // SAFETY: the descriptor is owned, so it stays open and the same until the
        // registration ends with it; nothing here ever replaces or closes it.
        let socket = unsafe { AsyncFd::register_with_interest(socket, Interest::READABLE)? };
        Ok(QuietSocket(socket))
    }

    /// Waits until there may be something to read.
    pub async fn readable(&self) -> io::Result<()> {
        self.0.readable().await.map(|mut ready| ready.retain_ready())
    }

    /// Waits until something may be written.
    pub async fn writable(&self) -> io::Result<()> {
        // A second number of the same socket, since one can be registered once.
        let second = self.0.get_ref().try_clone()?;
        // SAFETY: as above.
        let second = unsafe { AsyncFd::register_with_interest(second, Interest::WRITABLE)? };
        second.writable().await.map(|mut ready| ready.retain_ready())
    }

    /// Reads if there is something to read.
    pub fn try_read<R>(&self, read: impl FnOnce(BorrowedFd<'_>) -> io::Result<R>) -> io::Result<R> {
        self.0.try_io(Interest::READABLE, |socket| read(socket.as_fd()))
    }

    /// Writes some of the slices if there is room.
    pub fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let nothing = &mut rustix::net::SendAncillaryBuffer::default();
        Ok(rustix::net::sendmsg(&self.0, slices, nothing, rustix::net::SendFlags::NOSIGNAL)?)
    }
}

impl AsFd for QuietSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
