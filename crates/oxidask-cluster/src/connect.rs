//! Addresses, listening, and the way from a fresh socket to a connection whose
//! peer is known.

mod address;

pub use address::Address;

use crate::auth::{self, PROOF_TIMEOUT};
use crate::protocol::{Hello, Welcome};
use crate::security::Credentials;
use crate::wire::{self, Inlet, Limits, Outlet, Packet, Stream, TlsEnd};
use address::is_loopback;
use oxidask_core::{Error, ErrorKind, Result};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

/// The socket addresses of a host, of which there is at least one.
async fn resolve(host: &str, port: u16) -> std::io::Result<Vec<SocketAddr>> {
    let found: Vec<SocketAddr> = tokio::net::lookup_host((host, port)).await?.collect();
    if found.is_empty() { Err(std::io::ErrorKind::NotFound.into()) } else { Ok(found) }
}

/// Refuses what others could read along.
fn check_encryption(address: &Address, credentials: &Credentials) -> Result<()> {
    match address {
        Address::Tcp(host, port) if !is_loopback(host) && !credentials.security().allows_plain => Err(Error::new(
            ErrorKind::Denied,
            format!("{address} leaves this machine, and what goes over tcp:// can be read on the way"),
        )
        .with_hint(format!(
            "use tls://{host}:{port}, or allow it with the setting distributed.comm.require-encryption=false"
        ))),
        _ => Ok(()),
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
    Tls(TcpListener),
}

impl Listener {
    /// Listens at `address`.
    ///
    /// # Errors
    /// If the address is taken or not of this machine, or it could be reached
    /// from other machines and is not encrypted.
    pub async fn bind(address: &Address, credentials: &Credentials) -> Result<Self> {
        let failed = |cause: std::io::Error| Error::io(format_args!("listening at {address}"), &cause);
        check_encryption(address, credentials)?;
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
                let (listener, host, port) = bind_tcp(host, *port).await.map_err(failed)?;
                Ok(Listener { kind: ListenerKind::Tcp(listener), address: Address::Tcp(host, port) })
            }
            Address::Tls(host, port) => {
                credentials.tls()?;
                let (listener, host, port) = bind_tcp(host, *port).await.map_err(failed)?;
                Ok(Listener { kind: ListenerKind::Tls(listener), address: Address::Tls(host, port) })
            }
        }
    }

    /// Where it listens, with the port that the system chose.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The next peer, and whether it is to encrypt.
    async fn accept(&self) -> std::io::Result<(Stream, bool)> {
        match &self.kind {
            ListenerKind::Unix(listener) => Ok((Stream::unix(listener.accept().await?.0)?, false)),
            ListenerKind::Tcp(listener) => Ok((Stream::tcp(listener.accept().await?.0)?, false)),
            ListenerKind::Tls(listener) => Ok((Stream::tcp(listener.accept().await?.0)?, true)),
        }
    }

    /// Accepts for ever. Every peer that proves to be a member and introduces
    /// itself is given to `serve`, on a task of its own. At most
    /// `UNPROVEN_MAX` peers may be on the way there; the rest wait in the
    /// system's queue.
    pub async fn serve<F, S>(&self, credentials: Credentials, serve: F)
    where
        F: Fn(Introduced) -> S + Clone + Send + Sync + 'static,
        S: Future<Output = ()> + Send + 'static,
    {
        let unproven = Arc::new(tokio::sync::Semaphore::new(UNPROVEN_MAX));
        loop {
            let Ok(permit) = unproven.clone().acquire_owned().await else { return };
            let (stream, encrypts) = match self.accept().await {
                Ok(accepted) => accepted,
                Err(_) => {
                    // Out of file descriptors, most likely: wait for some.
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let (credentials, serve) = (credentials.clone(), serve.clone());
            tokio::spawn(async move {
                let introduced = introduce(stream, encrypts, &credentials).await;
                drop(permit);
                // Who fails to introduce itself was told so, or is no member.
                if let Ok(introduced) = introduced {
                    serve(introduced).await;
                }
            });
        }
    }
}

/// Listens at a host's first address; answers where that is for others.
async fn bind_tcp(host: &str, port: u16) -> std::io::Result<(TcpListener, String, u16)> {
    let listener = TcpListener::bind(&resolve(host, port).await?[..]).await?;
    let bound = listener.local_addr()?;
    let ip = if bound.ip().is_unspecified() { outward_ip(bound.ip()).await? } else { bound.ip() };
    Ok((listener, ip.to_string(), bound.port()))
}

/// This machine's address as others see it. Nothing is sent to find out: a
/// datagram socket only looks up the way.
async fn outward_ip(like: IpAddr) -> std::io::Result<IpAddr> {
    // Addresses that are reserved for documentation.
    let (from, to) = if like.is_ipv4() { ("0.0.0.0:0", "192.0.2.1:9") } else { ("[::]:0", "[2001:db8::1]:9") };
    let socket = tokio::net::UdpSocket::bind(from).await?;
    let outward = match socket.connect(to).await {
        Ok(()) => socket.local_addr()?.ip(),
        // Without any way out there is only this machine.
        Err(_) if like.is_ipv4() => IpAddr::from([127, 0, 0, 1]),
        Err(_) => IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]),
    };
    Ok(outward)
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
    stream: Arc<Stream>,
    inlet: Inlet,
    /// Who it is.
    pub hello: Hello,
}

impl Introduced {
    /// Lets it in, under a number.
    #[must_use]
    pub fn accept(mut self, number: u32) -> (Inlet, Outlet) {
        let outlet = Outlet::new(self.stream);
        if let Some(welcome) = welcome(&Welcome::Accepted { number, n_taken: 0 }) {
            outlet.send(welcome);
        }
        if self.hello.session.is_some() {
            let generation = outlet.make_resumable();
            self.inlet.make_resumable(outlet.clone(), generation);
        }
        self.inlet.set_limits(Limits::TRUSTED);
        (self.inlet, outlet)
    }

    /// Goes on with its session, whose sending half is `outlet`.
    ///
    /// # Errors
    /// If the two ends do not remember the same; the peer is to be refused.
    pub fn resume(&mut self, outlet: &Outlet, number: u32) -> Result<()> {
        let n_taken = self.hello.session.and_then(|session| session.resumes).unwrap_or(0);
        let first = welcome(&Welcome::Accepted { number, n_taken: outlet.n_received() });
        let generation = outlet.resume(self.stream.clone(), first, n_taken)?;
        self.inlet.set_limits(Limits::TRUSTED);
        self.inlet.make_resumable(outlet.clone(), generation);
        Ok(())
    }

    /// What it says, once it was let in.
    #[must_use]
    pub fn into_inlet(self) -> Inlet {
        self.inlet
    }

    /// Sends it away and closes the connection once it could read why.
    pub async fn refuse(self, error: &Error) {
        let outlet = Outlet::new(self.stream);
        if let Some(welcome) = welcome(&Welcome::Refused(error.to_fields())) {
            outlet.send(welcome);
        }
        // The peer closes as soon as it has read the answer.
        let mut inlet = self.inlet;
        let _ = tokio::time::timeout(PROOF_TIMEOUT, inlet.next()).await;
        outlet.close();
    }
}

/// A welcome is small, so encoding it does not fail.
fn welcome(welcome: &Welcome) -> Option<Packet> {
    wire::encode(welcome, Vec::new()).ok()
}

async fn introduce(stream: Stream, encrypts: bool, credentials: &Credentials) -> Result<Introduced> {
    let proving = async {
        let stream = if encrypts { stream.encrypt(credentials.tls()?, TlsEnd::Acceptor).await? } else { stream };
        auth::accept(&stream, credentials.secret(), PROOF_TIMEOUT).await?;
        let stream = Arc::new(stream);
        let mut inlet = Inlet::new(stream.clone(), Limits::HELLO);
        let packet = inlet.next().await.map_err(|cause| Error::io("waiting for a peer's introduction", &cause))?;
        let hello = wire::decode(&packet.head)?;
        Ok(Introduced { stream, inlet, hello })
    };
    tokio::time::timeout(2 * PROOF_TIMEOUT, proving)
        .await
        .unwrap_or_else(|_| Err(Error::new(ErrorKind::Timeout, "a peer did not introduce itself")))
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
/// If nobody listens there within `timeout`, the secret or a certificate is
/// wrong, or the other side refuses us.
pub async fn dial(
    address: &Address,
    credentials: &Credentials,
    hello: &Hello,
    timeout: Duration,
) -> Result<Connection> {
    let (stream, mut inlet, accepted) = knock(address, credentials, hello, timeout).await?;
    let outlet = Outlet::new(stream);
    if hello.session.is_some() {
        let generation = outlet.make_resumable();
        inlet.make_resumable(outlet.clone(), generation);
    }
    Ok(Connection { inlet, outlet, number: accepted.0 })
}

/// Connects as [`dial`] to a process that may not listen yet.
///
/// # Errors
/// As [`dial`], once `patience` is over.
pub async fn dial_when_there(
    address: &Address,
    credentials: &Credentials,
    hello: &Hello,
    patience: Duration,
) -> Result<Connection> {
    let deadline = tokio::time::Instant::now() + patience;
    let mut rest = FIRST_REST;
    loop {
        let left = deadline.saturating_duration_since(tokio::time::Instant::now());
        match dial(address, credentials, hello, left).await {
            Err(error)
                if matches!(error.kind(), ErrorKind::Io | ErrorKind::NotFound)
                    && tokio::time::Instant::now() + rest < deadline => {}
            done => return done,
        }
        tokio::time::sleep(rest).await;
        rest = (2 * rest).min(LONGEST_REST);
    }
}

/// Goes on with the session of `outlet` over a new connection.
///
/// # Errors
/// As [`dial`]; of the kind `Lost` if the other side has forgotten the session.
pub async fn redial(
    address: &Address,
    credentials: &Credentials,
    hello: &Hello,
    outlet: &Outlet,
    timeout: Duration,
) -> Result<Inlet> {
    let (stream, mut inlet, (_, n_taken)) = knock(address, credentials, hello, timeout).await?;
    let generation = outlet.resume(stream, None, n_taken)?;
    inlet.make_resumable(outlet.clone(), generation);
    Ok(inlet)
}

/// What it takes to come back to a scheduler whose connection dropped.
#[derive(Debug)]
pub struct Absence {
    /// Where it listens.
    pub address: Address,
    /// What members know and encrypt with.
    pub credentials: Credentials,
    /// How we introduced ourselves.
    pub hello: Hello,
    /// The way to it, whatever the connection.
    pub outlet: Outlet,
    /// How long to try.
    pub patience: Duration,
}

/// Rests between two attempts to come back.
const FIRST_REST: Duration = Duration::from_millis(10);
const LONGEST_REST: Duration = Duration::from_millis(500);

impl Absence {
    /// Tries until the session goes on over a new connection.
    ///
    /// # Errors
    /// Of the kind `Lost` if the scheduler has forgotten us or our end is closed,
    /// another if it refuses us or was not there for too long.
    pub async fn come_back(&mut self) -> Result<Inlet> {
        let deadline = tokio::time::Instant::now() + self.patience;
        let mut rest = FIRST_REST;
        loop {
            if let Some(session) = &mut self.hello.session {
                session.resumes = Some(self.outlet.n_received());
            }
            let left = deadline.saturating_duration_since(tokio::time::Instant::now());
            match redial(&self.address, &self.credentials, &self.hello, &self.outlet, left).await {
                Ok(inlet) => return Ok(inlet),
                Err(error) if matches!(error.kind(), ErrorKind::Lost | ErrorKind::Denied | ErrorKind::Version) => {
                    return Err(error);
                }
                Err(error) if tokio::time::Instant::now() + rest >= deadline => {
                    return Err(error.within(format!("coming back within {:?}", self.patience)));
                }
                Err(_) => {}
            }
            tokio::time::sleep(rest).await;
            rest = (2 * rest).min(LONGEST_REST);
        }
    }
}

/// Opens a connection and is let in: number, and how many packets were taken.
async fn knock(
    address: &Address,
    credentials: &Credentials,
    hello: &Hello,
    timeout: Duration,
) -> Result<(Arc<Stream>, Inlet, (u32, u64))> {
    tokio::time::timeout(timeout, knock_now(address, credentials, hello))
        .await
        .unwrap_or_else(|_| Err(Error::new(ErrorKind::Timeout, format!("no answer within {timeout:?}"))))
        .map_err(|error| error.within(format!("connecting to {address}")))
}

async fn knock_now(
    address: &Address,
    credentials: &Credentials,
    hello: &Hello,
) -> Result<(Arc<Stream>, Inlet, (u32, u64))> {
    let failed = |cause: std::io::Error| Error::io("opening a connection", &cause);
    check_encryption(address, credentials)?;
    let stream = match address {
        Address::Unix(path) => UnixStream::connect(path).await.and_then(Stream::unix).map_err(failed)?,
        Address::Tcp(host, port) | Address::Tls(host, port) => {
            let found = resolve(host, *port).await.map_err(failed)?;
            Stream::tcp(TcpStream::connect(&found[..]).await.map_err(failed)?).map_err(failed)?
        }
    };
    let stream = match address {
        Address::Tls(..) => stream.encrypt(credentials.tls()?, TlsEnd::Initiator).await?,
        Address::Unix(_) | Address::Tcp(..) => stream,
    };
    auth::initiate(&stream, credentials.secret(), PROOF_TIMEOUT).await?;
    let stream = Arc::new(stream);
    write_packet(&stream, &wire::encode(hello, Vec::new())?).await.map_err(failed)?;
    let mut inlet = Inlet::new(stream.clone(), Limits::HELLO);
    let packet = inlet.next().await.map_err(|cause| Error::io("waiting to be let in", &cause))?;
    match wire::decode(&packet.head)? {
        Welcome::Accepted { number, n_taken } => {
            inlet.set_limits(Limits::TRUSTED);
            Ok((stream, inlet, (number, n_taken)))
        }
        Welcome::Refused(fields) => Err(Error::from_fields(fields, None)),
    }
}

/// Writes a small packet on a stream that has no outlet yet.
async fn write_packet(stream: &Stream, packet: &Packet) -> std::io::Result<()> {
    for chunk in wire::chunks_of(packet.clone(), false).0 {
        stream.write_all(&chunk.bytes).await?;
    }
    Ok(())
}

/// Whether a process still listens at an address: a connection that is refused
/// says that it is gone; silence says nothing.
pub async fn is_gone(address: &Address, timeout: Duration) -> bool {
    let probe = async {
        match address {
            Address::Unix(path) => UnixStream::connect(path).await.map(drop),
            Address::Tcp(host, port) | Address::Tls(host, port) => {
                TcpStream::connect((host.as_str(), *port)).await.map(drop)
            }
        }
    };
    let is_refusal = |kind| matches!(kind, std::io::ErrorKind::ConnectionRefused | std::io::ErrorKind::NotFound);
    matches!(tokio::time::timeout(timeout, probe).await, Ok(Err(cause)) if is_refusal(cause.kind()))
}

#[cfg(test)]
mod tests;
