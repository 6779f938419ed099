//! Where processes listen, as text and taken apart.

use oxidask_core::{Error, Result};
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

/// Where a process listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// A socket file: `unix:///tmp/…/scheduler`.
    Unix(PathBuf),
    /// `tcp://127.0.0.1:8786`; port 0 lets the system choose.
    Tcp(String, u16),
    /// `tls://192.0.2.7:8786`: the same, encrypted.
    Tls(String, u16),
}

impl Address {
    /// Whether only this machine can reach it, as far as its text tells.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match self {
            Address::Unix(_) => true,
            Address::Tcp(host, _) | Address::Tls(host, _) => is_loopback(host),
        }
    }

    /// The same place with another port; a socket file stays as it is.
    #[must_use]
    pub fn with_port(self, port: u16) -> Self {
        match self {
            Address::Unix(path) => Address::Unix(path),
            Address::Tcp(host, _) => Address::Tcp(host, port),
            Address::Tls(host, _) => Address::Tls(host, port),
        }
    }
}

/// Whether a host is this machine, as far as its text tells.
pub(super) fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || {
            Error::value(format!("'{text}' is not an address"))
                .with_hint("write it as tcp://127.0.0.1:8786, tls://host:8786 or unix:///path/to/socket")
        };
        if let Some(path) = text.strip_prefix("unix://") {
            return if path.is_empty() { Err(wrong()) } else { Ok(Address::Unix(path.into())) };
        }
        let tls = text.strip_prefix("tls://");
        let host_port = tls.or(text.strip_prefix("tcp://")).unwrap_or(text);
        let (host, port) = host_port.rsplit_once(':').ok_or_else(wrong)?;
        let port = port.parse().map_err(|_| wrong())?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() || host.contains('/') {
            return Err(wrong());
        }
        let address = if tls.is_some() { Address::Tls } else { Address::Tcp };
        Ok(address(host.to_owned(), port))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Unix(path) => write!(f, "unix://{}", path.display()),
            Address::Tcp(host, port) => write_host_port(f, "tcp", host, *port),
            Address::Tls(host, port) => write_host_port(f, "tls", host, *port),
        }
    }
}

fn write_host_port(f: &mut fmt::Formatter<'_>, scheme: &str, host: &str, port: u16) -> fmt::Result {
    if host.contains(':') { write!(f, "{scheme}://[{host}]:{port}") } else { write!(f, "{scheme}://{host}:{port}") }
}
