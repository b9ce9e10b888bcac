//! Certificates and TLS: one provider (aws-lc-rs), three sources of a server certificate.
//!
//! The certificate comes from PEM files, from an ACME authority, or from a small authority of the
//! relay's own: a root key made at the first start and wrapped by the vault, and a server
//! certificate of 90 days that is issued again when less than 30 are left. HTTPS and DICOM TLS use
//! the same certificate with separate settings; a new one takes effect for new connections without
//! a restart ([`Tls::refresh`]).
//!
//! The relay's own authority is also that of the clinic link, wherever the HTTPS certificate comes
//! from: see [`ClinicAuthority`].

mod authority;
mod clinics;
mod link;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use futures_util::StreamExt as _;
use medrelay_core::time::{Clock, Entropy, Timestamp};
use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{CipherSuite, ServerConfig};
use rustls_acme::caches::DirCache;
use rustls_acme::{AcmeConfig, AcmeState};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::{Config, Https};
use crate::secrets::{SecretError, Vault};

pub use authority::{CA_FILE, CERTIFICATE_DAYS, RENEW_DAYS, root_files};
pub use clinics::{
    ClinicAuthority, Issued, REQUEST_BYTES, RequestFault, RequestedKey, fingerprint,
};

/// Why there is no certificate. An operator mends it.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A certificate or key file cannot be read.
    #[error("{}: {message}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// A key of the relay's own authority cannot be read or written.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// A certificate cannot be made, for instance because a name is not one.
    #[error("cannot issue a certificate: {0}")]
    Issue(#[from] rcgen::Error),
    /// The authority of the clinic link cannot be used.
    #[error("the authority of the clinic link: {0}")]
    Authority(String),
    /// The library refuses the certificate or the settings.
    #[error("TLS: {0}")]
    Rustls(#[from] rustls::Error),
}

/// Makes aws-lc-rs the provider of the whole process. Calling it again changes nothing.
pub fn install_provider() {
    // An error only says that there is one already, and there is only this one in the program.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// The suites of the BCP 195 profile of DICOM TLS (PS3.15 B.12): forward secrecy and authenticated
/// encryption only.
fn dicom_provider() -> Arc<CryptoProvider> {
    let mut provider = rustls::crypto::aws_lc_rs::default_provider();
    provider.cipher_suites.retain(|suite| DICOM_SUITES.contains(&suite.suite()));
    Arc::new(provider)
}

/// RFC 9325 section 4.2 for TLS 1.2 and the compulsory suites of TLS 1.3.
const DICOM_SUITES: [CipherSuite; 7] = [
    CipherSuite::TLS13_AES_256_GCM_SHA384,
    CipherSuite::TLS13_AES_128_GCM_SHA256,
    CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
    CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
];

/// Where the server's certificate comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Source {
    Files {
        certificate: PathBuf,
        key: PathBuf,
    },
    Acme,
    Own {
        dir: PathBuf,
        names: Vec<String>,
    },
    /// No listener shows a certificate.
    None,
}

impl Source {
    fn of(https: &Https, dir: PathBuf) -> Self {
        match (&https.certificate, &https.key) {
            (Some(certificate), Some(key)) => {
                Self::Files { certificate: certificate.clone(), key: key.clone() }
            }
            _ if !https.acme_domains.is_empty() => Self::Acme,
            _ => Self::Own { dir, names: https.names.clone() },
        }
    }
}

/// The server side of TLS.
#[derive(Debug)]
pub struct Tls {
    source: Source,
    current: Arc<Current>,
    https: Arc<ServerConfig>,
    dicom: Arc<ServerConfig>,
    link: link::LinkEnd,
}

/// Drives the ACME certificate; to be run as a task as long as the program lives.
pub struct AcmeDriver(AcmeState<std::io::Error>);

impl fmt::Debug for AcmeDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AcmeDriver")
    }
}

impl AcmeDriver {
    /// Orders and renews the certificate for ever. The library waits longer after each failure by
    /// itself.
    pub async fn run(mut self) {
        while let Some(event) = self.0.next().await {
            match event {
                Ok(event) => tracing::info!(?event, "ACME certificate"),
                Err(error) => tracing::warn!(%error, "ACME certificate"),
            }
        }
    }
}

impl Tls {
    /// Reads, makes or begins to order the certificate. The driver is there for ACME only and must
    /// be run.
    pub fn open(
        config: &Config,
        vault: &Vault,
        authority: &Arc<ClinicAuthority>,
        clock: &Arc<dyn Clock>,
        entropy: &dyn Entropy,
    ) -> Result<(Self, Option<AcmeDriver>), TlsError> {
        let shown = config.https.enabled || config.dimse.tls_listen.is_some();
        let source = match Source::of(&config.https, config.keys_dir()) {
            source if shown => source,
            _ => Source::None,
        };
        let link = link::LinkEnd::open(authority, clock, entropy)?;
        let current = Arc::new(Current::default());
        let mut driver = None;
        let mut alpn = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let resolver: Arc<dyn ResolvesServerCert> = if source == Source::Acme {
            let state = acme(config)?;
            let resolver = state.resolver();
            driver = Some(AcmeDriver(state));
            alpn.push(ACME_PROTOCOL.to_vec());
            resolver
        } else {
            Arc::clone(&current) as _
        };
        let mut https = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(PROTOCOLS)?
            .with_no_client_auth()
            .with_cert_resolver(link.beside(Arc::clone(&resolver)));
        https.alpn_protocols = alpn;
        let dicom = ServerConfig::builder_with_provider(dicom_provider())
            .with_protocol_versions(PROTOCOLS)?
            .with_no_client_auth()
            .with_cert_resolver(resolver);
        let tls = Self { source, current, https: Arc::new(https), dicom: Arc::new(dicom), link };
        tls.refresh(vault, clock.now(), entropy)?;
        Ok((tls, driver))
    }

    /// Settings of the HTTPS listener (HTTP/2 and HTTP/1.1).
    pub fn https(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.https)
    }

    /// Settings of the DICOM TLS listener: TLS 1.2 and 1.3, ECDHE and AEAD only.
    pub fn dicom(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.dicom)
    }

    /// Settings of the clinic link over QUIC: TLS 1.3, the ALPN of the link, a certificate of the
    /// relay's own authority for the link's name, and a client certificate of the same authority
    /// that is good by the relay's clock. Whose it is, and whether still, says the database.
    pub fn link(&self) -> Arc<ServerConfig> {
        self.link.config()
    }

    /// Reads the files again, or issues the relay's own certificate again if it is due. For SIGHUP
    /// and once a day. After an error the certificate in use stays.
    pub fn refresh(
        &self,
        vault: &Vault,
        now: Timestamp,
        entropy: &dyn Entropy,
    ) -> Result<(), TlsError> {
        self.link.refresh(now, entropy)?;
        let key = match &self.source {
            Source::Files { certificate, key } => from_files(certificate, key)?,
            Source::Own { dir, names } => authority::certificate(dir, names, vault, now, entropy)?,
            Source::Acme | Source::None => return Ok(()),
        };
        self.current.set(key);
        Ok(())
    }

    /// Until when the certificate in use is valid; `None` while ACME has not given one.
    pub fn valid_until(&self) -> Option<Timestamp> {
        self.current.key().and_then(|key| validity(key.cert.first()?)).map(|(_, until)| until)
    }
}

const PROTOCOLS: &[&rustls::SupportedProtocolVersion] =
    &[&rustls::version::TLS13, &rustls::version::TLS12];

/// ALPN name of the tls-alpn-01 challenge (RFC 8737 section 6.2).
const ACME_PROTOCOL: &[u8] = b"acme-tls/1";

fn acme(config: &Config) -> Result<AcmeState<std::io::Error>, TlsError> {
    let https = &config.https;
    let dir = config.keys_dir().join("acme");
    crate::secrets::private_dir(&dir)?;
    let base = AcmeConfig::new_with_provider(&https.acme_domains, provider())
        .contact(https.acme_contact.iter().map(|address| format!("mailto:{address}")))
        .cache(DirCache::new(dir));
    let with_directory = match &https.acme_directory {
        Some(address) => base.directory(address),
        None => base.directory_lets_encrypt(true),
    };
    Ok(with_directory.state())
}

/// The certificate in use; connections under way keep the one they began with.
#[derive(Debug, Default)]
struct Current(RwLock<Option<Arc<CertifiedKey>>>);

impl Current {
    fn set(&self, key: CertifiedKey) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(key));
    }

    fn key(&self) -> Option<Arc<CertifiedKey>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.key()
    }
}

fn from_files(certificate: &Path, key: &Path) -> Result<CertifiedKey, TlsError> {
    let wrong = |path: &Path, message: String| TlsError::File { path: path.to_owned(), message };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| wrong(certificate, error.to_string()))?;
    if chain.is_empty() {
        return Err(wrong(certificate, String::from("holds no certificate")));
    }
    let private =
        PrivateKeyDer::from_pem_file(key).map_err(|error| wrong(key, error.to_string()))?;
    // Also refuses a key that does not belong to the certificate.
    CertifiedKey::from_der(chain, private, &provider())
        .map_err(|error| wrong(key, format!("does not fit {}: {error}", certificate.display())))
}

/// From when until when a certificate is valid.
pub fn validity(certificate: &CertificateDer<'_>) -> Option<(Timestamp, Timestamp)> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let moment = |time: x509_parser::time::ASN1Time| {
        Timestamp::from_micros(time.timestamp().saturating_mul(1_000_000))
    };
    Some((moment(parsed.validity().not_before), moment(parsed.validity().not_after)))
}

/// Until when the certificate that the configuration leads to is valid; `None` if there is none
/// yet. Reads files only.
pub fn configured_validity(config: &Config) -> Result<Option<Timestamp>, TlsError> {
    let path = match Source::of(&config.https, config.keys_dir()) {
        Source::Files { certificate, key } => {
            let loaded = from_files(&certificate, &key)?;
            return Ok(loaded.cert.first().and_then(validity).map(|(_, until)| until));
        }
        Source::Own { dir, .. } => dir.join(authority::SERVER_FILE),
        Source::Acme | Source::None => return Ok(None),
    };
    let certificate = CertificateDer::from_pem_file(path).ok();
    Ok(certificate.as_ref().and_then(validity).map(|(_, until)| until))
}

#[cfg(test)]
mod tests;
