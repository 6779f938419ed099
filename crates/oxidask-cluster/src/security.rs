//! Encryption of connections that leave the machine, and whose certificates are
//! accepted.
//!
//! Who may speak is decided by the secret ([`crate::auth`]), whose proof is bound
//! to the very TLS connection it travels on: somebody in the middle would have
//! two connections with two different bindings, and fails the proof on both. So
//! certificates made on the fly protect as well as given ones, and no file has
//! to be handed around. With certificates given, both ends must in addition
//! show one that the given authority signed.
//!
//! Only TLS 1.3 is spoken.

use crate::auth::Secret;
use crate::wire::TlsEnd;
use oxidask_core::{Error, ErrorKind, Result};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// What the members of a cluster encrypt with. The default makes certificates on
/// the fly, and refuses unencrypted connections that leave the machine.
///
/// # Examples
/// ```
/// use oxidask_cluster::Security;
///
/// let security = Security::temporary()?;
/// assert!(security.certificates.is_some());
/// # Ok::<(), oxidask_core::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Security {
    /// Given certificates; made on the fly if none.
    pub certificates: Option<Certificates>,
    /// Whether `tcp://` off loopback is allowed, so that others can read along.
    pub allows_plain: bool,
}

/// Certificates as PEM texts.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificates {
    /// Certificates of the authority that signed those of all members.
    pub authority: String,
    /// This member's certificate, with intermediate ones after it.
    pub certificate: String,
    /// The key of `certificate`.
    pub key: String,
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The key must not end up in a log.
        f.write_str("Certificates(…)")
    }
}

/// The name in certificates made here. Names are not checked, because members
/// move between addresses; the authority's signature is.
const NAME: &str = "oxidask";

impl Security {
    /// A fresh authority and one certificate signed by it, for all members of one
    /// cluster. The authority's own key is thrown away, so that it signs no other.
    ///
    /// # Errors
    /// If the system has no random numbers.
    pub fn temporary() -> Result<Self> {
        let failed = |cause: rcgen::Error| Error::new(ErrorKind::Io, format!("no certificate could be made: {cause}"));
        let mut authority = rcgen::CertificateParams::new(Vec::new()).map_err(failed)?;
        authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        authority.distinguished_name.push(rcgen::DnType::CommonName, "oxidask cluster");
        let authority_key = rcgen::KeyPair::generate().map_err(failed)?;
        let signed = authority.self_signed(&authority_key).map_err(failed)?;
        let issuer = rcgen::Issuer::new(authority, authority_key);
        let key = rcgen::KeyPair::generate().map_err(failed)?;
        let member = rcgen::CertificateParams::new(vec![NAME.to_owned()]).map_err(failed)?;
        let member = member.signed_by(&key, &issuer).map_err(failed)?;
        let certificates =
            Certificates { authority: signed.pem(), certificate: member.pem(), key: key.serialize_pem() };
        Ok(Security { certificates: Some(certificates), allows_plain: false })
    }

    /// Reads the JSON form: `certificates`, with the PEM texts `authority`,
    /// `certificate` and `key`, or null; and `allows_plain`.
    ///
    /// # Errors
    /// If it is something else.
    pub fn from_json(text: &str) -> Result<Self> {
        serde_json::from_str(text).map_err(|cause| Error::value(format!("this describes no security: {cause}")))
    }

    /// Certificates from PEM files.
    ///
    /// # Errors
    /// If a file cannot be read, or holds no certificate or key.
    pub fn from_files(authority: &Path, certificate: &Path, key: &Path) -> Result<Self> {
        let read = |path: &Path| {
            std::fs::read_to_string(path).map_err(|cause| Error::io(format_args!("reading {}", path.display()), &cause))
        };
        let certificates =
            Certificates { authority: read(authority)?, certificate: read(certificate)?, key: read(key)? };
        let security = Security { certificates: Some(certificates), allows_plain: false };
        TlsConfig::new(&security)?;
        Ok(security)
    }
}

/// What a member needs to open and accept connections. Clones share it.
#[derive(Clone)]
pub struct Credentials(Arc<Inner>);

struct Inner {
    secret: Secret,
    security: Security,
    /// Made when it is first needed: connections within the machine need none.
    tls: OnceLock<Result<TlsConfig>>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(…)")
    }
}

impl Credentials {
    /// Those of a member that knows `secret`.
    #[must_use]
    pub fn new(secret: Secret, security: Security) -> Self {
        Credentials(Arc::new(Inner { secret, security, tls: OnceLock::new() }))
    }

    /// What members know.
    #[must_use]
    pub fn secret(&self) -> &Secret {
        &self.0.secret
    }

    /// What members encrypt with.
    #[must_use]
    pub fn security(&self) -> &Security {
        &self.0.security
    }

    /// The settings of TLS.
    ///
    /// # Errors
    /// If the certificates make no sense.
    pub fn tls(&self) -> Result<&TlsConfig> {
        self.0.tls.get_or_init(|| TlsConfig::new(&self.0.security)).as_ref().map_err(Clone::clone)
    }
}

impl From<Secret> for Credentials {
    fn from(secret: Secret) -> Self {
        Credentials::new(secret, Security::default())
    }
}

/// Settings of both ends of TLS connections.
#[derive(Clone, Debug)]
pub struct TlsConfig {
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
}

impl TlsConfig {
    /// # Errors
    /// If the certificates make no sense.
    fn new(security: &Security) -> Result<Self> {
        let provider = Arc::new(ring::default_provider());
        let wrong = |cause: rustls::Error| Error::value(format!("the certificates cannot be used: {cause}"));
        let server = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(wrong)?;
        let client = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(wrong)?
            .dangerous();
        let Some(given) = &security.certificates else {
            let (chain, key) = self_signed()?;
            let server = server.with_no_client_auth().with_single_cert(chain, key).map_err(wrong)?;
            let verifier = Arc::new(Verifier { provider, roots: None });
            let client = client.with_custom_certificate_verifier(verifier).with_no_client_auth();
            return Ok(TlsConfig { client: Arc::new(client), server: Arc::new(server) });
        };
        let mut roots = RootCertStore::empty();
        for certificate in certificates_of(&given.authority, "the certificate authority")? {
            roots.add(certificate).map_err(wrong)?;
        }
        let roots = Arc::new(roots);
        let chain = certificates_of(&given.certificate, "the certificate")?;
        let key = || {
            PrivateKeyDer::from_pem_slice(given.key.as_bytes())
                .map_err(|cause| Error::value(format!("the key is not in PEM form: {cause}")))
        };
        let clients = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone())
            .build()
            .map_err(|cause| Error::value(format!("the certificate authority cannot be used: {cause}")))?;
        let server =
            server.with_client_cert_verifier(clients).with_single_cert(chain.clone(), key()?).map_err(wrong)?;
        let verifier = Arc::new(Verifier { provider, roots: Some(roots) });
        let client =
            client.with_custom_certificate_verifier(verifier).with_client_auth_cert(chain, key()?).map_err(wrong)?;
        Ok(TlsConfig { client: Arc::new(client), server: Arc::new(server) })
    }

    /// The state of a new connection.
    pub(crate) fn connection(&self, end: TlsEnd) -> Result<rustls::Connection> {
        let failed = |cause: rustls::Error| Error::new(ErrorKind::Io, format!("starting encryption: {cause}"));
        Ok(match end {
            TlsEnd::Initiator => {
                let name = ServerName::try_from(NAME).expect("the name is a valid DNS name");
                rustls::ClientConnection::new(self.client.clone(), name).map_err(failed)?.into()
            }
            TlsEnd::Acceptor => rustls::ServerConnection::new(self.server.clone()).map_err(failed)?.into(),
        })
    }
}

fn self_signed() -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
    let made = rcgen::generate_simple_self_signed(vec![NAME.to_owned()])
        .map_err(|cause| Error::new(ErrorKind::Io, format!("no certificate could be made: {cause}")))?;
    let key = PrivateKeyDer::from_pem_slice(made.signing_key.serialize_pem().as_bytes())
        .map_err(|cause| Error::new(ErrorKind::Io, format!("no certificate could be made: {cause}")))?;
    Ok((vec![made.cert.der().clone()], key))
}

fn certificates_of(pem: &str, what: &str) -> Result<Vec<CertificateDer<'static>>> {
    let wrong = |why: &str| Error::value(format!("{what} is not in PEM form: {why}"));
    let all: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|cause| wrong(&cause.to_string()))?;
    if all.is_empty() { Err(wrong("it holds none")) } else { Ok(all) }
}

/// Accepts certificates that an authority signed, whatever their name; without an
/// authority all, because the proof of the secret binds the connection.
#[derive(Debug)]
struct Verifier {
    provider: Arc<CryptoProvider>,
    roots: Option<Arc<RootCertStore>>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if let Some(roots) = &self.roots {
            let certificate = ParsedCertificate::try_from(certificate)?;
            let algorithms = self.provider.signature_verification_algorithms.all;
            rustls::client::verify_server_cert_signed_by_trust_anchor(
                &certificate,
                roots,
                intermediates,
                now,
                algorithms,
            )?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("only TLS 1.3 is spoken".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn temporary_certificates_serve_from_files_and_stay_out_of_logs() {
        let security = Security::temporary().unwrap();
        let given = security.certificates.clone().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let (authority, certificate, key) =
            (file("ca.pem", &given.authority), file("cert.pem", &given.certificate), file("key.pem", &given.key));
        assert_eq!(Security::from_files(&authority, &certificate, &key).unwrap(), security);
        assert_eq!(Security::from_json(&serde_json::to_string(&security).unwrap()).unwrap(), security);
        assert!(Security::from_json("{}").is_err());
        assert!(!format!("{security:?}").contains("PRIVATE"));
        // A file in the wrong place is named.
        let error = Security::from_files(&key, &certificate, &key).unwrap_err();
        assert!(error.to_string().contains("authority"), "{error}");
        assert!(Security::from_files(&authority, &key, &key).is_err());
        assert!(Security::from_files(&authority, &certificate, &certificate).is_err());
    }
}
