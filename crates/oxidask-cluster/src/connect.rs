//! Addresses, listening, and the way from a fresh socket to a connection whose
//! peer is known.

use crate::auth::{self, PROOF_TIMEOUT, Secret};
use crate::protocol::{Hello, Welcome};
use crate::wire::{self, Inlet, Limits, Outlet, Stream};
use oxidask_core::{Error, ErrorKind, Result};
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

/// Where a process listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// A socket file: `unix:///tmp/…/scheduler`.
    Unix(PathBuf),
    /// `tcp://127.0.0.1:8786`; port 0 lets the system choose.
    Tcp(String, u16),
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || {
            Error::value(format!("'{text}' is not an address"))
                .with_hint("write it as tcp://127.0.0.1:8786 or unix:///path/to/socket")
        };
        if let Some(path) = text.strip_prefix("unix://") {
            return if path.is_empty() { Err(wrong()) } else { Ok(Address::Unix(path.into())) };
        }
        let host_port = text.strip_prefix("tcp://").unwrap_or(text);
        let (host, port) = host_port.rsplit_once(':').ok_or_else(wrong)?;
        let port = port.parse().map_err(|_| wrong())?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() || host.contains('/') {
            return Err(wrong());
        }
        Ok(Address::Tcp(host.to_owned(), port))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Unix(path) => write!(f, "unix://{}", path.display()),
            Address::Tcp(host, port) if host.contains(':') => write!(f, "tcp://[{host}]:{port}"),
            Address::Tcp(host, port) => write!(f, "tcp://{host}:{port}"),
        }
    }
}

/// A listening socket of either family. A socket file goes with it.
#[derive(Debug)]
pub struct Listener {
    kind: ListenerKind,
    address: Address,
}

#[derive(Debug)]
enum ListenerKind {
    Unix(UnixListener),
    Tcp(TcpListener),
}

impl Listener {
    /// Listens at `address`. Only this machine can reach it: until connections
    /// are encrypted, what they carry must not leave it.
    ///
    /// # Errors
    /// If the address is taken, not of this machine, or not a loopback address.
    pub async fn bind(address: &Address) -> Result<Self> {
        let failed = |cause: std::io::Error| Error::io(format_args!("listening at {address}"), &cause);
        match address {
            Address::Unix(path) => {
                let listener = match UnixListener::bind(path) {
                    // A process that was killed leaves its socket file behind.
                    Err(cause) if cause.kind() == std::io::ErrorKind::AddrInUse && is_abandoned(path).await => {
                        std::fs::remove_file(path).and_then(|()| UnixListener::bind(path)).map_err(failed)?
                    }
                    bound => bound.map_err(failed)?,
                };
                Ok(Listener { kind: ListenerKind::Unix(listener), address: address.clone() })
            }
            Address::Tcp(host, port) => {
                let ip = if host == "localhost" { Some(IpAddr::from([127, 0, 0, 1])) } else { host.parse().ok() };
                let ip: IpAddr = ip.filter(IpAddr::is_loopback).ok_or_else(|| {
                    Error::unsupported(format!(
                        "{address} could be reached from other machines, and connections are not encrypted yet"
                    ))
                    .with_hint("listen at 127.0.0.1")
                })?;
                let listener = TcpListener::bind((ip, *port)).await.map_err(failed)?;
                let bound = listener.local_addr().map_err(failed)?;
                let address = Address::Tcp(bound.ip().to_string(), bound.port());
                Ok(Listener { kind: ListenerKind::Tcp(listener), address })
            }
        }
    }

    /// Where it listens, with the port that the system chose.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    async fn accept(&self) -> std::io::Result<Stream> {
        match &self.kind {
            ListenerKind::Unix(listener) => Ok(Stream::Unix(listener.accept().await?.0)),
            ListenerKind::Tcp(listener) => Stream::tcp(listener.accept().await?.0),
        }
    }

    /// Accepts for ever. Every peer that proves to know `secret` and introduces
    /// itself is given to `serve`, on a task of its own. At most
    /// `UNPROVEN_MAX` peers may be on the way there; the rest wait in the
    /// system's queue.
    pub async fn serve<F, S>(&self, secret: Secret, serve: F)
    where
        F: Fn(Introduced) -> S + Clone + Send + Sync + 'static,
        S: Future<Output = ()> + Send + 'static,
    {
        let unproven = Arc::new(tokio::sync::Semaphore::new(UNPROVEN_MAX));
        loop {
            let Ok(permit) = unproven.clone().acquire_owned().await else { return };
            let stream = match self.accept().await {
                Ok(stream) => stream,
                Err(_) => {
                    // Out of file descriptors, most likely: wait for some.
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let (secret, serve) = (secret.clone(), serve.clone());
            tokio::spawn(async move {
                let introduced = introduce(stream, &secret).await;
                drop(permit);
                // Who fails to introduce itself was told so, or is no member.
                if let Ok(introduced) = introduced {
                    serve(introduced).await;
                }
            });
        }
    }
}

/// Whether nobody listens at a socket file any more.
async fn is_abandoned(path: &std::path::Path) -> bool {
    matches!(UnixStream::connect(path).await, Err(cause) if cause.kind() == std::io::ErrorKind::ConnectionRefused)
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Address::Unix(path) = &self.address {
            // Whoever deleted the folder has deleted the socket.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Most peers that may be proving themselves at once.
const UNPROVEN_MAX: usize = 64;
/// Rest after the system refused a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A peer that proved its membership and said who it is, and waits for our
/// [`Welcome`].
#[derive(Debug)]
pub struct Introduced {
    /// What it says.
    pub inlet: Inlet,
    /// The way to it.
    pub outlet: Outlet,
    /// Who it is.
    pub hello: Hello,
}

impl Introduced {
    /// Lets it in, under a number.
    pub fn accept(&mut self, number: u32) {
        self.inlet.set_limits(Limits::TRUSTED);
        self.answer(&Welcome::Accepted(number));
    }

    /// Sends it away and closes the connection once it could read why.
    pub async fn refuse(self, error: &Error) {
        self.answer(&Welcome::Refused(error.to_fields()));
        // The peer closes as soon as it has read the answer.
        let mut inlet = self.inlet;
        let _ = tokio::time::timeout(PROOF_TIMEOUT, inlet.next()).await;
        self.outlet.close();
    }

    fn answer(&self, welcome: &Welcome) {
        // A welcome is small, so encoding it cannot fail.
        if let Ok(packet) = wire::encode(welcome, Vec::new()) {
            self.outlet.send(packet);
        }
    }
}

async fn introduce(stream: Stream, secret: &Secret) -> Result<Introduced> {
    auth::accept(&stream, secret, PROOF_TIMEOUT).await?;
    let stream = Arc::new(stream);
    let outlet = Outlet::new(stream.clone());
    let mut inlet = Inlet::new(stream, Limits::HELLO);
    let hello = tokio::time::timeout(PROOF_TIMEOUT, inlet.next()).await;
    let packet = match hello {
        Ok(Ok(packet)) => packet,
        Ok(Err(cause)) => {
            outlet.close();
            return Err(Error::io("waiting for a peer's introduction", &cause));
        }
        Err(_) => {
            outlet.close();
            return Err(Error::new(ErrorKind::Timeout, "a peer did not introduce itself"));
        }
    };
    match wire::decode(&packet.head) {
        Ok(hello) => Ok(Introduced { inlet, outlet, hello }),
        Err(error) => {
            outlet.close();
            Err(error)
        }
    }
}

/// A connection that the other side accepted.
#[derive(Debug)]
pub struct Connection {
    /// What the other side says.
    pub inlet: Inlet,
    /// The way to it.
    pub outlet: Outlet,
    /// The number it gave us.
    pub number: u32,
}

/// Connects to a process of the cluster and introduces us.
///
/// # Errors
/// If nobody listens there within `timeout`, the secret is wrong, or the other
/// side refuses us.
pub async fn dial(address: &Address, secret: &Secret, hello: &Hello, timeout: Duration) -> Result<Connection> {
    let within = |error: Error| error.within(format!("connecting to {address}"));
    tokio::time::timeout(timeout, dial_now(address, secret, hello))
        .await
        .unwrap_or_else(|_| Err(Error::new(ErrorKind::Timeout, format!("no answer within {timeout:?}"))))
        .map_err(within)
}

async fn dial_now(address: &Address, secret: &Secret, hello: &Hello) -> Result<Connection> {
    let failed = |cause: std::io::Error| Error::io("opening a connection", &cause);
    let stream = match address {
        Address::Unix(path) => Stream::Unix(UnixStream::connect(path).await.map_err(failed)?),
        Address::Tcp(host, port) => {
            let stream = TcpStream::connect((host.as_str(), *port)).await.map_err(failed)?;
            Stream::tcp(stream).map_err(failed)?
        }
    };
    auth::initiate(&stream, secret, PROOF_TIMEOUT).await?;
    let stream = Arc::new(stream);
    let outlet = Outlet::new(stream.clone());
    outlet.send(wire::encode(hello, Vec::new())?);
    let mut inlet = Inlet::new(stream, Limits::HELLO);
    let packet = inlet.next().await.map_err(|cause| Error::io("waiting to be let in", &cause))?;
    match wire::decode(&packet.head)? {
        Welcome::Accepted(number) => {
            inlet.set_limits(Limits::TRUSTED);
            Ok(Connection { inlet, outlet, number })
        }
        Welcome::Refused(fields) => {
            outlet.close();
            Err(Error::from_fields(fields, None))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written() {
        for text in ["unix:///tmp/a b/scheduler", "tcp://127.0.0.1:8786", "tcp://[::1]:0"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        assert_eq!("localhost:80".parse::<Address>().unwrap(), Address::Tcp("localhost".to_owned(), 80));
        for text in ["", "unix://", "tcp://", "nowhere", "tcp://host:port", "http://host:80"] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }

    #[tokio::test]
    async fn only_loopback_is_listened_at() {
        let error = Listener::bind(&"tcp://0.0.0.0:0".parse().unwrap()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        let listener = Listener::bind(&"tcp://127.0.0.1:0".parse().unwrap()).await.unwrap();
        assert!(!listener.address().to_string().ends_with(":0"));
    }
}
