//! The proof that both ends of a connection belong to the same cluster.
//!
//! ```text
//! initiator → acceptor   magic, version, nonce            (42 bytes)
//! acceptor → initiator   magic, version, nonce            (42 bytes)
//! initiator → acceptor   MAC("initiator", both nonces, …) (32 bytes)
//! acceptor → initiator   verdict, MAC("acceptor", …)      (33 bytes)
//! ```
//!
//! The MAC is keyed BLAKE3 with the cluster's secret. Fresh nonces of both
//! sides keep a recorded proof from serving twice, the roles keep one end's
//! proof from being reflected to it, and the binding of the TLS connection
//! (`Stream::binding`), which is part of it, keeps somebody in the middle from
//! handing it on. All parts have a fixed size and one time limit for all
//! together, so garbage, silence and floods cost a closed socket and nothing
//! else. Nothing from a peer is decoded before the proof succeeded. It says who
//! may speak; hiding what is said is left to TLS.

use crate::wire::Stream;
use oxidask_core::{Error, ErrorKind, Result};
use std::fmt;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

/// First bytes of every connection.
const MAGIC: &[u8; 8] = b"OXIDASK\n";
/// Version of the wire: packets, proof and messages together.
const VERSION: u16 = 2;
const NONCE: usize = 32;
const HELLO: usize = 8 + 2 + NONCE;
const PROOF: usize = 32;
const ACCEPTED: u8 = 1;
const REFUSED: u8 = 0;

/// Longest that the whole proof may usually take.
pub const PROOF_TIMEOUT: Duration = Duration::from_secs(5);

/// What the members of a cluster know and nobody else.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret([u8; 32]);

impl Secret {
    /// A fresh secret from the operating system's random numbers.
    ///
    /// # Errors
    /// If the operating system has none.
    pub fn random() -> Result<Self> {
        Ok(Secret(random_bytes()?))
    }

    /// The secret as 64 hexadecimal digits, for the environment of a child or a
    /// file that only the owner can read.
    #[must_use]
    pub fn to_hex(&self) -> String {
        blake3::Hash::from_bytes(self.0).to_hex().to_string()
    }

    /// The inverse of [`Secret::to_hex`].
    ///
    /// # Errors
    /// If `text` is not 64 hexadecimal digits.
    pub fn from_hex(text: &str) -> Result<Self> {
        blake3::Hash::from_hex(text.trim()).map(|hash| Secret(*hash.as_bytes())).map_err(|_| {
            Error::value("a cluster's secret is 64 hexadecimal digits; this is something else")
                .with_hint("take it from the file that the scheduler wrote")
        })
    }

    /// Writes the secret to a new file that only its owner can read.
    ///
    /// # Errors
    /// If the file exists or cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let write = || -> std::io::Result<()> {
            let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
            file.write_all(self.to_hex().as_bytes())
        };
        write().map_err(|cause| Error::io(format_args!("writing the secret to {}", path.display()), &cause))
    }

    /// Reads a secret that [`Secret::save`] wrote.
    ///
    /// # Errors
    /// If the file cannot be read or holds something else.
    pub fn load(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .map_err(|cause| Error::io(format_args!("reading the secret from {}", path.display()), &cause))?;
        Secret::from_hex(&text)
    }

    fn proof(&self, role: &[u8], nonces: &Nonces, binding: &[u8; 32]) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(&VERSION.to_le_bytes());
        hasher.update(role);
        hasher.update(&nonces.initiator);
        hasher.update(&nonces.acceptor);
        hasher.update(binding);
        hasher.finalize()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A secret must not end up in a log.
        f.write_str("Secret(…)")
    }
}

/// What both ends contribute to a proof.
struct Nonces {
    initiator: [u8; NONCE],
    acceptor: [u8; NONCE],
}

fn random_bytes() -> Result<[u8; 32]> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)
        .map_err(|cause| Error::new(ErrorKind::Io, format!("the system gave no random numbers: {cause}")))?;
    Ok(bytes)
}

/// Proves to the peer that accepted this connection, and asks it to prove in
/// turn.
///
/// # Errors
/// If the peer speaks something else, does not know the secret, says that we do
/// not, or takes longer than `limit`.
pub async fn initiate(stream: &Stream, secret: &Secret, limit: Duration) -> Result<()> {
    within_time(limit, async {
        let binding = stream.binding()?;
        let initiator = random_bytes()?;
        send(stream, &hello(&initiator)).await?;
        let acceptor = check_hello(&receive::<HELLO>(stream).await?)?;
        let nonces = Nonces { initiator, acceptor };
        send(stream, secret.proof(b"initiator", &nonces, &binding).as_bytes()).await?;
        let answer = receive::<{ 1 + PROOF }>(stream).await?;
        let mut proof = [0; PROOF];
        proof.copy_from_slice(&answer[1..]);
        // Comparing blake3 hashes takes the same time wherever they differ.
        if answer[0] != ACCEPTED || blake3::Hash::from_bytes(proof) != secret.proof(b"acceptor", &nonces, &binding) {
            return Err(wrong_secret());
        }
        Ok(())
    })
    .await
}

/// Asks the peer that opened this connection for its proof, then proves in
/// turn.
///
/// # Errors
/// If the peer speaks something else, does not know the secret, or takes longer
/// than [`PROOF_TIMEOUT`].
pub async fn accept(stream: &Stream, secret: &Secret, limit: Duration) -> Result<()> {
    within_time(limit, async {
        let binding = stream.binding()?;
        let acceptor = random_bytes()?;
        let theirs = receive::<HELLO>(stream).await?;
        if theirs.starts_with(MAGIC) {
            // Answered even if the version differs, so that the peer can say so.
            send(stream, &hello(&acceptor)).await?;
        }
        let nonces = Nonces { initiator: check_hello(&theirs)?, acceptor };
        let proof = receive::<PROOF>(stream).await?;
        if blake3::Hash::from_bytes(proof) != secret.proof(b"initiator", &nonces, &binding) {
            // The refused peer may have gone already; it is refused either way.
            let _ = send(stream, &[REFUSED; 1 + PROOF]).await;
            return Err(wrong_secret());
        }
        let mut answer = [ACCEPTED; 1 + PROOF];
        answer[1..].copy_from_slice(secret.proof(b"acceptor", &nonces, &binding).as_bytes());
        send(stream, &answer).await
    })
    .await
}

fn wrong_secret() -> Error {
    Error::new(ErrorKind::Denied, "the two ends of the connection have different secrets")
        .with_hint("give the client or worker the secret of the cluster it connects to; each cluster makes its own")
}

fn hello(nonce: &[u8; NONCE]) -> [u8; HELLO] {
    let mut hello = [0; HELLO];
    hello[..8].copy_from_slice(MAGIC);
    hello[8..10].copy_from_slice(&VERSION.to_le_bytes());
    hello[10..].copy_from_slice(nonce);
    hello
}

fn check_hello(hello: &[u8; HELLO]) -> Result<[u8; NONCE]> {
    if !hello.starts_with(MAGIC) {
        return Err(Error::new(ErrorKind::Denied, "the other end of the connection is no oxidask process"));
    }
    let version = u16::from_le_bytes([hello[8], hello[9]]);
    if version != VERSION {
        return Err(Error::new(
            ErrorKind::Version,
            format!("the other end speaks version {version} of the protocol, this one version {VERSION}"),
        )
        .with_hint("install the same version of oxidask everywhere"));
    }
    let mut nonce = [0; NONCE];
    nonce.copy_from_slice(&hello[10..]);
    Ok(nonce)
}

async fn within_time<T>(limit: Duration, work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
        Err(Error::new(
            ErrorKind::Timeout,
            format!("the other end did not prove within {limit:?} that it belongs to the cluster"),
        ))
    })
}

async fn send(stream: &Stream, bytes: &[u8]) -> Result<()> {
    stream.write_all(bytes).await.map_err(|cause| Error::io("proving that we belong to the cluster", &cause))
}

async fn receive<const N: usize>(stream: &Stream) -> Result<[u8; N]> {
    let mut bytes = [0; N];
    let mut rest = &mut bytes[..];
    while !rest.is_empty() {
        stream
            .read_more(&mut rest)
            .await
            .map_err(|cause| Error::io("waiting for the other end to prove that it belongs to the cluster", &cause))?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
