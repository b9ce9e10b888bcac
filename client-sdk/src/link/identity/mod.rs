//! Who a gateway is: its key, its certificate, the one authority it trusts, and where its relay is.
//!
//! ```text
//! <data>/identity/key.pem          0600; made here, never leaves
//!                 certificate.pem  from the relay, 30 days
//!                 authority.pem    the only root that is trusted, for one name
//!                 relay.json       address, names, the key that signs receipts
//! ```
//!
//! Files are written beside their place, made durable and moved there. A renewal changes two files:
//! the new pair waits as `*.next` until both are durable, and whoever loads an identity after a power
//! cut finishes or forgets the change.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, ED25519, EcdsaKeyPair, KeyPair as _,
    UnparsedPublicKey,
};
use medrelay_core::time::Timestamp;
use medrelay_core::transfer::manifest::sha256;
use medrelay_core::transfer::{ALPN, Hash};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::ambient::Ambient;

/// The folder of the identity in a gateway's data folder.
pub const FOLDER: &str = "identity";

/// A joined gateway. Cheap to clone; a renewal makes a new one.
#[derive(Debug, Clone)]
pub struct Identity {
    dir: PathBuf,
    key: Arc<PrivatePkcs8KeyDer<'static>>,
    signer: Arc<EcdsaKeyPair>,
    certificate: CertificateDer<'static>,
    authority: CertificateDer<'static>,
    validity: (Timestamp, Timestamp),
    relay: RelayFacts,
}

/// What is known of the relay, as `relay.json` holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelayFacts {
    /// Name or address of the relay, without a port.
    pub host: String,
    /// TCP port of HTTPS and of the WebSocket.
    pub tcp_port: u16,
    /// UDP port of QUIC.
    pub udp_port: u16,
    /// This gateway's identifier.
    pub gateway: String,
    /// Its clinic's identifier.
    pub clinic: String,
    /// Its clinic's name, for people.
    pub clinic_name: String,
    /// Ed25519 public key that signs receipts, in hexadecimal.
    pub receipt_key: String,
    /// The AE title under which the clinic's modalities are to call.
    pub ae_title: String,
}

impl RelayFacts {
    /// Host and port as an HTTP request names them.
    pub(super) fn http_host(&self) -> String {
        match (self.host.contains(':'), self.tcp_port) {
            (true, port) => format!("[{}]:{port}", self.host),
            (false, port) => format!("{}:{port}", self.host),
        }
    }
}

/// What is written down at joining.
#[derive(Debug)]
pub(super) struct Parts {
    pub key_pem: String,
    pub certificate: CertificateDer<'static>,
    pub authority: CertificateDer<'static>,
    pub relay: RelayFacts,
}

/// Why there is no usable identity. The text says how to mend it.
#[derive(Debug, Error)]
pub enum IdentityError {
    /// No identity here: join first.
    #[error("this gateway has not joined a relay: run `medrelay-gateway join URL CODE`")]
    Absent,
    /// Others can read the key: it must be treated as known to them.
    #[error(
        "{0} can be read by others: take their rights away (`chmod 600`), and if they may have \
         read it, join again with a new code"
    )]
    Exposed(PathBuf),
    /// A file is there and not usable.
    #[error("{path}: {why}; restore the folder from a backup or join again with a new code")]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The disk.
    #[error("{path} cannot be read or written: {source}")]
    Disk {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl Identity {
    /// Loads the identity of a gateway from its data folder.
    ///
    /// # Errors
    /// See [`IdentityError`].
    pub fn load(data: &Path) -> Result<Self, IdentityError> {
        let dir = data.join(FOLDER);
        if !dir.join(RELAY).exists() {
            return Err(IdentityError::Absent);
        }
        finish_renewal(&dir)?;
        let key_path = dir.join(KEY);
        let mode = fs::metadata(&key_path).map_err(|e| disk(&key_path, e))?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(IdentityError::Exposed(key_path));
        }
        let key = PrivatePkcs8KeyDer::from_pem_file(&key_path)
            .map_err(|error| damaged(&key_path, error))?;
        let certificate = read_certificate(&dir.join(CERTIFICATE))?;
        let authority = read_certificate(&dir.join(AUTHORITY))?;
        let relay_path = dir.join(RELAY);
        let text = fs::read(&relay_path).map_err(|error| disk(&relay_path, error))?;
        let relay: RelayFacts =
            serde_json::from_slice(&text).map_err(|error| damaged(&relay_path, error))?;
        Self::assemble(dir, key, certificate, authority, relay)
    }

    /// Writes a new identity into a gateway's data folder, in the place of an older one.
    pub(super) fn create(data: &Path, parts: Parts) -> Result<Self, IdentityError> {
        let dir = data.join(FOLDER);
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&dir)
            .map_err(|error| disk(&dir, error))?;
        for leftover in [KEY_NEXT, CERTIFICATE_NEXT] {
            remove(&dir.join(leftover))?;
        }
        let key_path = dir.join(KEY);
        let key = PrivatePkcs8KeyDer::from_pem_slice(parts.key_pem.as_bytes())
            .map_err(|error| damaged(&key_path, error))?;
        let facts = serde_json::to_vec_pretty(&parts.relay)
            .map_err(|error| damaged(&dir.join(RELAY), error))?;
        let made = Self::assemble(
            dir.clone(),
            key,
            parts.certificate.clone(),
            parts.authority.clone(),
            parts.relay,
        )?;
        write(&key_path, parts.key_pem.as_bytes(), 0o600)?;
        write(&dir.join(CERTIFICATE), pem(&parts.certificate).as_bytes(), 0o644)?;
        write(&dir.join(AUTHORITY), pem(&parts.authority).as_bytes(), 0o644)?;
        // Last: where this file is, the others are.
        write(&dir.join(RELAY), &facts, 0o644)?;
        Ok(made)
    }

    /// The same gateway with a new key and its certificate, durable.
    pub(super) fn renewed(
        &self,
        key_pem: &str,
        certificate: CertificateDer<'static>,
    ) -> Result<Self, IdentityError> {
        let key_path = self.dir.join(KEY_NEXT);
        let key = PrivatePkcs8KeyDer::from_pem_slice(key_pem.as_bytes())
            .map_err(|error| damaged(&key_path, error))?;
        let made = Self::assemble(
            self.dir.clone(),
            key,
            certificate.clone(),
            self.authority.clone(),
            self.relay.clone(),
        )?;
        write(&key_path, key_pem.as_bytes(), 0o600)?;
        write(&self.dir.join(CERTIFICATE_NEXT), pem(&certificate).as_bytes(), 0o644)?;
        finish_renewal(&self.dir)?;
        Ok(made)
    }

    fn assemble(
        dir: PathBuf,
        key: PrivatePkcs8KeyDer<'static>,
        certificate: CertificateDer<'static>,
        authority: CertificateDer<'static>,
        relay: RelayFacts,
    ) -> Result<Self, IdentityError> {
        let key_path = dir.join(KEY);
        let signer =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, key.secret_pkcs8_der())
                .map_err(|error| damaged(&key_path, error))?;
        let certificate_path = dir.join(CERTIFICATE);
        let facts = facts(&certificate).map_err(|why| damaged(&certificate_path, why))?;
        if facts.public_key != signer.public_key().as_ref() {
            return Err(damaged(&certificate_path, "it is not the certificate of this key"));
        }
        if hex_key(&relay.receipt_key).is_none() {
            return Err(damaged(&dir.join(RELAY), "the receipt key is not 32 bytes"));
        }
        let (key, signer, validity) = (Arc::new(key), Arc::new(signer), facts.validity);
        Ok(Self { dir, key, signer, certificate, authority, validity, relay })
    }

    /// Where the relay is and who we are there.
    #[must_use]
    pub fn relay(&self) -> &RelayFacts {
        &self.relay
    }

    /// The authority's fingerprint: SHA-256 of its certificate, the relay's name in receipts.
    #[must_use]
    pub fn authority_fingerprint(&self) -> Hash {
        sha256(&self.authority)
    }

    /// From when to when the certificate is good.
    #[must_use]
    pub fn validity(&self) -> (Timestamp, Timestamp) {
        self.validity
    }

    /// Signs with the certificate's key: ECDSA P-256 with SHA-256 in ASN.1 form.
    ///
    /// # Panics
    /// If the operating system gives no randomness: nothing may be signed then.
    #[must_use]
    pub fn sign(&self, bytes: &[u8]) -> Vec<u8> {
        let signature = self.signer.sign(&SystemRandom::new(), bytes);
        signature.expect("ECDSA needs nothing but randomness").as_ref().to_vec()
    }

    /// Whether a signature is one that [`Identity::sign`] makes with the present key.
    #[must_use]
    pub fn signed(&self, bytes: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, self.signer.public_key().as_ref())
            .verify(bytes, signature)
            .is_ok()
    }

    /// Certificate (DER) and signature that answer a challenge (PROTOCOL 8.3).
    pub(super) fn prove(&self, nonce: &[u8; 32]) -> (Vec<u8>, Vec<u8>) {
        let fingerprint = self.authority_fingerprint();
        let statement = [PROOF, nonce.as_slice(), fingerprint.as_slice()].concat();
        (self.certificate.to_vec(), self.sign(&statement))
    }

    /// Whether the relay's receipt key signed these bytes.
    #[must_use]
    pub fn is_receipt(&self, receipt: &[u8], signature: &[u8]) -> bool {
        hex_key(&self.relay.receipt_key).is_some_and(|key| {
            UnparsedPublicKey::new(&ED25519, key).verify(receipt, signature).is_ok()
        })
    }

    /// The pinned receipt key.
    #[must_use]
    pub fn receipt_key(&self) -> Option<[u8; 32]> {
        hex_key(&self.relay.receipt_key)
    }

    /// TLS for QUIC: the pinned authority only, TLS 1.3, our certificate.
    pub(super) fn quic(&self, ambient: &Ambient) -> Result<ClientConfig, rustls::Error> {
        let chain = vec![self.certificate.clone(), self.authority.clone()];
        let key = PrivateKeyDer::Pkcs8(self.key.clone_key());
        let mut tls = pinned(&self.authority, ambient)?.with_client_auth_cert(chain, key)?;
        tls.alpn_protocols = vec![ALPN.to_vec()];
        Ok(tls)
    }

    /// TLS for the WebSocket: the pinned authority only; who we are is proved inside.
    pub(super) fn https(&self, ambient: &Ambient) -> Result<ClientConfig, rustls::Error> {
        https(&self.authority, ambient)
    }
}

/// TLS for HTTPS to a relay whose authority is known.
pub(super) fn https(
    authority: &CertificateDer<'static>,
    ambient: &Ambient,
) -> Result<ClientConfig, rustls::Error> {
    let mut tls = pinned(authority, ambient)?.with_no_client_auth();
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(tls)
}

type WantsClientCert = rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert>;

fn pinned(
    authority: &CertificateDer<'static>,
    ambient: &Ambient,
) -> Result<WantsClientCert, rustls::Error> {
    let mut roots = RootCertStore::empty();
    roots.add(authority.clone())?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    Ok(ClientConfig::builder_with_details(provider, Arc::new(ambient.clone()))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots))
}

/// What a certificate says.
pub(super) struct CertificateFacts {
    /// The uncompressed point of its P-256 key.
    pub public_key: Vec<u8>,
    /// From when to when it is good.
    pub validity: (Timestamp, Timestamp),
    /// Common name of its subject.
    pub subject: String,
}

/// Reads a certificate; the error says what is wrong with it.
pub(super) fn facts(certificate: &CertificateDer<'_>) -> Result<CertificateFacts, String> {
    let (_, parsed) =
        x509_parser::parse_x509_certificate(certificate).map_err(|error| error.to_string())?;
    let moment = |time: x509_parser::time::ASN1Time| {
        Timestamp::from_micros(time.timestamp().saturating_mul(1_000_000))
    };
    let validity = (moment(parsed.validity().not_before), moment(parsed.validity().not_after));
    let subject = parsed.subject().iter_common_name().next().and_then(|name| name.as_str().ok());
    Ok(CertificateFacts {
        public_key: parsed.public_key().subject_public_key.data.to_vec(),
        validity,
        subject: subject.unwrap_or_default().to_owned(),
    })
}

/// A certificate as PEM.
pub(super) fn pem(certificate: &CertificateDer<'_>) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::from("-----BEGIN CERTIFICATE-----\n");
    // 48 bytes are 64 characters, the length of a line (RFC 7468 2).
    for line in certificate.chunks(48) {
        for group in line.chunks(3) {
            let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
            let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
            for at in 0..4 {
                let symbol = ALPHABET[(bits >> (18 - 6 * at) & 0x3f) as usize];
                text.push(if at <= group.len() { char::from(symbol) } else { '=' });
            }
        }
        text.push('\n');
    }
    text.push_str("-----END CERTIFICATE-----\n");
    text
}

pub(super) fn hex_key(text: &str) -> Option<[u8; 32]> {
    hex::decode(text).ok()?.try_into().ok()
}

/// Brings a renewal that was cut short to its end: with both files there it is done, else forgotten.
fn finish_renewal(dir: &Path) -> Result<(), IdentityError> {
    let (key, certificate) = (dir.join(KEY_NEXT), dir.join(CERTIFICATE_NEXT));
    // The key moves first; a certificate that waits alone says that its key has moved.
    if certificate.exists() {
        if key.exists() {
            rename(&key, &dir.join(KEY))?;
        }
        rename(&certificate, &dir.join(CERTIFICATE))?;
        return sync(dir);
    }
    remove(&key)
}

fn read_certificate(path: &Path) -> Result<CertificateDer<'static>, IdentityError> {
    CertificateDer::from_pem_file(path).map_err(|error| damaged(path, error))
}

/// Writes a file beside its place, makes it durable and moves it there.
fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<(), IdentityError> {
    let beside = path.with_extension("part");
    remove(&beside)?;
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&beside)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()));
    written.map_err(|error| disk(&beside, error))?;
    rename(&beside, path)?;
    path.parent().map_or(Ok(()), sync)
}

fn rename(from: &Path, to: &Path) -> Result<(), IdentityError> {
    fs::rename(from, to).map_err(|error| disk(from, error))
}

fn remove(path: &Path) -> Result<(), IdentityError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(disk(path, error)),
        _ => Ok(()),
    }
}

fn sync(dir: &Path) -> Result<(), IdentityError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(|error| disk(dir, error))
}

fn disk(path: &Path, source: io::Error) -> IdentityError {
    IdentityError::Disk { path: path.to_owned(), source }
}

fn damaged(path: &Path, why: impl ToString) -> IdentityError {
    IdentityError::Damaged { path: path.to_owned(), why: why.to_string() }
}

/// An address of the relay with a port on it.
pub(super) fn with_port(address: SocketAddr, port: u16) -> SocketAddr {
    SocketAddr::new(address.ip(), port)
}

const KEY: &str = "key.pem";
const CERTIFICATE: &str = "certificate.pem";
const AUTHORITY: &str = "authority.pem";
const RELAY: &str = "relay.json";
const KEY_NEXT: &str = "key.next";
const CERTIFICATE_NEXT: &str = "certificate.next";
const PROOF: &[u8] = b"medrelay link proof 1\0";

#[cfg(test)]
pub(super) mod tests;
