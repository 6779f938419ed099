//! A connected socket of either family, encrypted or not.
//!
//! TLS is kept out of everybody's sight: the stream reads and writes plain
//! bytes, and what rustls has not brought to the socket yet counts as not
//! written. Nothing here blocks.

use super::quiet::QuietSocket;
use crate::security::TlsConfig;
use bytes::{BufMut, BytesMut};
use oxidask_core::{Error, ErrorKind, Result};
use oxidask_exec::segment::{FILES_MAX, Files};
use parking_lot::Mutex;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
};
use std::collections::VecDeque;
use std::io::{self, BufRead as _, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use tokio::net::{TcpStream, UnixStream};

/// Plain bytes that TLS takes before they are on their way.
const TLS_BUFFER: usize = 256 << 10;

/// See the module's head.
#[derive(Debug)]
pub struct Stream {
    socket: Socket,
    tls: Option<Mutex<rustls::Connection>>,
}

#[derive(Debug)]
enum Socket {
    /// Between processes of one machine.
    Unix(QuietSocket),
    /// Between machines, or over loopback.
    Tcp(TcpStream),
}

/// Descriptors that came over a stream and belong to packets that are yet to be
/// read.
#[derive(Debug)]
pub(super) struct PassedFiles {
    /// In the order of their packets.
    pub queue: VecDeque<OwnedFd>,
    scratch: Box<[u8]>,
}

impl PassedFiles {
    /// None yet; so many bytes are read at once.
    pub fn new(read_bytes: usize) -> Self {
        PassedFiles { queue: VecDeque::new(), scratch: vec![0; read_bytes].into() }
    }
}

/// Which end of a TLS handshake this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsEnd {
    /// It opened the connection.
    Initiator,
    /// It was listening.
    Acceptor,
}

impl Stream {
    /// A stream over a unix socket.
    ///
    /// # Errors
    /// If the system has no more descriptors or memory to watch it.
    pub fn unix(socket: UnixStream) -> io::Result<Self> {
        Ok(Stream { socket: Socket::Unix(QuietSocket::new(socket.into_std()?.into())?), tls: None })
    }

    /// A TCP stream that sends small packets at once.
    ///
    /// # Errors
    /// If the socket refuses the option, which means that it is gone.
    pub fn tcp(socket: TcpStream) -> io::Result<Self> {
        socket.set_nodelay(true)?;
        Ok(Stream { socket: Socket::Tcp(socket), tls: None })
    }

    /// The same stream, encrypted from now on.
    ///
    /// # Errors
    /// If the other end speaks no TLS, or its certificate is not accepted.
    pub async fn encrypt(mut self, config: &TlsConfig, end: TlsEnd) -> Result<Self> {
        let mut tls = config.connection(end)?;
        tls.set_buffer_limit(Some(TLS_BUFFER));
        while tls.is_handshaking() || tls.wants_write() {
            if tls.wants_write() {
                match tls.write_tls(&mut self.socket) {
                    Ok(_) => {}
                    Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => {
                        self.writable().await.map_err(|cause| handshake_failed(&cause))?;
                    }
                    Err(cause) => return Err(handshake_failed(&cause)),
                }
                continue;
            }
            match tls.read_tls(&mut self.socket) {
                Ok(0) => return Err(handshake_failed(&io::ErrorKind::UnexpectedEof.into())),
                Ok(_) => {
                    if let Err(cause) = tls.process_new_packets() {
                        // The other end is told why; whether it hears it is its
                        // own affair.
                        let _ = tls.write_tls(&mut self.socket);
                        return Err(tls_refused(&cause));
                    }
                }
                Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => {
                    self.readable().await.map_err(|cause| handshake_failed(&cause))?;
                }
                Err(cause) => return Err(handshake_failed(&cause)),
            }
        }
        self.tls = Some(Mutex::new(tls));
        Ok(self)
    }

    /// A number that both ends of this very connection know and that no
    /// connection shares with another; zeros without TLS.
    ///
    /// # Errors
    /// If TLS cannot tell, which its protocol rules out after the handshake.
    pub(crate) fn binding(&self) -> Result<[u8; 32]> {
        let Some(tls) = &self.tls else { return Ok([0; 32]) };
        tls.lock().export_keying_material([0; 32], b"EXPORTER-oxidask", None).map_err(|cause| tls_refused(&cause))
    }

    /// Whether what it carries is encrypted.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.tls.is_some()
    }

    /// Whether descriptors can be passed with what is written.
    pub(super) fn passes_files(&self) -> bool {
        self.tls.is_none() && matches!(self.socket, Socket::Unix(_))
    }

    /// Writes some of `bytes`, and with the first of them the descriptors.
    pub(super) fn try_write_with_files(&self, bytes: &[u8], files: &Files) -> io::Result<usize> {
        let Socket::Unix(socket) = &self.socket else { return Err(io::ErrorKind::Unsupported.into()) };
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FILES_MAX))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let files = files.as_fds();
        if !control.push(SendAncillaryMessage::ScmRights(&files)) {
            return Err(io::Error::other("too many descriptors in one packet"));
        }
        Ok(rustix::net::sendmsg(socket, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL)?)
    }

    fn try_read_with_files(&self, files: &mut PassedFiles) -> io::Result<usize> {
        let Socket::Unix(socket) = &self.socket else { return Err(io::ErrorKind::Unsupported.into()) };
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FILES_MAX))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let PassedFiles { queue, scratch } = files;
        let received = socket.try_read(|socket| {
            let mut slices = [IoSliceMut::new(scratch)];
            Ok(rustix::net::recvmsg(socket, &mut slices, &mut control, RecvFlags::CMSG_CLOEXEC)?)
        })?;
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(files) = message {
                queue.extend(files);
            }
        }
        Ok(received.bytes)
    }

    /// Reads more bytes onto the end of `buffer`, and the descriptors that come
    /// with them.
    ///
    /// # Errors
    /// As [`Stream::read_more`].
    pub(super) async fn read_with_files(&self, buffer: &mut BytesMut, files: &mut PassedFiles) -> io::Result<()> {
        loop {
            match self.try_read_with_files(files) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => {
                    buffer.extend_from_slice(&files.scratch[..count]);
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.readable().await?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    pub(super) async fn readable(&self) -> io::Result<()> {
        match &self.socket {
            Socket::Unix(socket) => socket.readable().await,
            Socket::Tcp(socket) => socket.readable().await,
        }
    }

    pub(super) async fn writable(&self) -> io::Result<()> {
        match &self.socket {
            Socket::Unix(socket) => socket.writable().await,
            Socket::Tcp(socket) => socket.writable().await,
        }
    }

    fn try_read_into(&self, buffer: &mut impl BufMut) -> io::Result<usize> {
        match (&self.tls, &self.socket) {
            (Some(tls), _) => self.try_read_tls(&mut tls.lock(), buffer),
            (None, Socket::Unix(socket)) => socket.try_read(|socket| read_into(socket, buffer)),
            (None, Socket::Tcp(socket)) => socket.try_read_buf(buffer),
        }
    }

    fn try_read_tls(&self, tls: &mut rustls::Connection, buffer: &mut impl BufMut) -> io::Result<usize> {
        loop {
            let mut reader = tls.reader();
            match reader.fill_buf() {
                Ok(plain) => {
                    let count = plain.len().min(buffer.remaining_mut());
                    buffer.put_slice(&plain[..count]);
                    reader.consume(count);
                    return Ok(count);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
            if tls.read_tls(&mut &self.socket)? == 0 {
                return Ok(0);
            }
            tls.process_new_packets().map_err(|cause| io::Error::new(io::ErrorKind::InvalidData, cause))?;
            if tls.wants_write() {
                // An answer of the protocol itself; what the socket does not take
                // now goes out before the next packet.
                ignore_would_block(self.push(tls))?;
            }
        }
    }

    /// Writes some of the slices; none of TLS's own backlog is left before.
    pub(super) fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match (&self.tls, &self.socket) {
            (Some(tls), _) => {
                let mut tls = tls.lock();
                self.push(&mut tls)?;
                let count = tls.writer().write_vectored(slices)?;
                ignore_would_block(self.push(&mut tls))?;
                Ok(count)
            }
            (None, Socket::Unix(socket)) => socket.try_write_vectored(slices),
            (None, Socket::Tcp(socket)) => socket.try_write_vectored(slices),
        }
    }

    /// Brings what TLS holds back to the socket; `WouldBlock` if something is
    /// left.
    pub(super) fn try_flush(&self) -> io::Result<()> {
        match &self.tls {
            Some(tls) => self.push(&mut tls.lock()),
            None => Ok(()),
        }
    }

    fn push(&self, tls: &mut rustls::Connection) -> io::Result<()> {
        while tls.wants_write() {
            tls.write_tls(&mut &self.socket)?;
        }
        Ok(())
    }

    /// Reads more bytes onto the end of `buffer`, which has room.
    ///
    /// # Errors
    /// If the socket fails, or the peer closed it (`UnexpectedEof`).
    pub(crate) async fn read_more(&self, buffer: &mut impl BufMut) -> io::Result<usize> {
        loop {
            match self.try_read_into(buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => return Ok(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.readable().await?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Writes all of `bytes`; only for a stream that has no
    /// [`Outlet`](super::Outlet) yet.
    ///
    /// # Errors
    /// If the socket fails.
    pub(crate) async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        loop {
            let wrote = if bytes.is_empty() {
                self.try_flush().map(|()| 0)
            } else {
                self.try_write_vectored(&[IoSlice::new(bytes)])
            };
            match wrote {
                Ok(_) if bytes.is_empty() => return Ok(()),
                Ok(count) => bytes = &bytes[count..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.writable().await?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Ends both directions, so that both ends notice at once.
    pub(super) fn shutdown(&self) {
        // A socket that is already gone needs no shutdown.
        let _ = match &self.socket {
            Socket::Unix(socket) => rustix::net::shutdown(socket, rustix::net::Shutdown::Both),
            Socket::Tcp(socket) => rustix::net::shutdown(socket, rustix::net::Shutdown::Both),
        };
    }
}

/// Reads onto the end of `buffer`.
fn read_into(socket: BorrowedFd<'_>, buffer: &mut impl BufMut) -> io::Result<usize> {
    // SAFETY: what is asked of the memory is that nothing uninitialised is written
    // there; the system writes what it has read.
    let room = unsafe { buffer.chunk_mut().as_uninit_slice_mut() };
    let count = rustix::io::read(socket, room)?.0.len();
    // SAFETY: the system has just written so many bytes there.
    unsafe { buffer.advance_mut(count) };
    Ok(count)
}

fn ignore_would_block(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
        done => done,
    }
}

fn handshake_failed(cause: &io::Error) -> Error {
    Error::io("agreeing on encryption with the other end", cause)
}

fn tls_refused(cause: &rustls::Error) -> Error {
    Error::new(ErrorKind::Denied, format!("the other end's encryption or certificate is not accepted: {cause}"))
        .with_hint("give every process of the cluster certificates of one authority, or none")
}

/// rustls reads and writes through these; they never block.
impl Read for &Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Socket::Unix(socket) => socket.try_read(|socket| Ok(rustix::io::read(socket, buffer)?)),
            Socket::Tcp(socket) => socket.try_read(buffer),
        }
    }
}

impl Write for &Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Socket::Unix(socket) => socket.try_write_vectored(&[IoSlice::new(bytes)]),
            Socket::Tcp(socket) => socket.try_write(bytes),
        }
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Socket::Unix(socket) => socket.try_write_vectored(slices),
            Socket::Tcp(socket) => socket.try_write_vectored(slices),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Read::read(&mut &*self, buffer)
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Write::write(&mut &*self, bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
