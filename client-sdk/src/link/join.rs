//! Joining a relay with a one-time code (PROTOCOL 8): the code pins the relay's authority, the key is
//! made here, and the secret leaves only after the pin has been checked.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use medrelay_core::transfer::SERVER_NAME;
use medrelay_core::transfer::join::{JoinCode, JoinCodeError};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use reqwest::{Client, RequestBuilder, StatusCode, Url};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::ambient::Ambient;
use super::identity::{self, Identity, IdentityError, Parts, RelayFacts};
use crate::error::Problem;

/// A gateway that has just joined.
#[derive(Debug)]
pub struct Joined {
    /// Who it is from now on; written to its folder.
    pub identity: Identity,
}

/// Why joining failed. The text says what to do.
#[derive(Debug, Error)]
pub enum JoinError {
    /// The address is not one of a relay: correct it.
    #[error(
        "the address is not that of a relay: {0}; it looks like https://relay.example.org:8443"
    )]
    Address(String),
    /// The code was mistyped; the relay was not asked.
    #[error("the code is mistyped: {0}")]
    Code(#[from] JoinCodeError),
    /// Nobody answers there: check address, name resolution and firewall, and try again.
    #[error("nobody answers at this address: {0}")]
    Unreachable(String),
    /// Whoever answers is not the relay that the code is for: nothing secret was sent.
    #[error(
        "whoever answers at this address is not the relay that made this code; check the address, \
         and if it is right, tell the relay's administrator"
    )]
    OtherRelay,
    /// The relay refuses: the code is used, over, locked or unknown. A new code helps.
    #[error("the relay refuses: {0}")]
    Refused(Box<Problem>),
    /// The relay's answer cannot be used: programs of different versions.
    #[error("the relay's answer is not understood: {0}")]
    Answer(&'static str),
    /// The identity cannot be kept.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// Cryptography failed; a fault of this program or machine.
    #[error("the cryptographic library refuses: {0}")]
    Cryptography(String),
}

/// Joins the relay at `url` with a one-time code, and writes the identity into the data folder
/// `data`. `name` is what the relay's administrators see.
///
/// # Errors
/// See [`JoinError`]; the folder is as it was, then.
pub async fn join(
    url: &str,
    code: &str,
    name: &str,
    data: &Path,
    ambient: &Ambient,
) -> Result<Joined, JoinError> {
    super::install_provider();
    let parsed = JoinCode::parse(code)?;
    let (host, port) = host_and_port(url)?;
    let found = tokio::net::lookup_host((host.as_str(), port)).await;
    let addresses: Vec<SocketAddr> =
        found.map_err(|error| JoinError::Unreachable(error.to_string()))?.collect();
    let authority = authority(&addresses, port, &parsed, ambient).await?;
    let key = KeyPair::generate().map_err(cryptography)?;
    let body = JoinRequest {
        code,
        request: request(&key, name).and_then(|request| request.pem()).map_err(cryptography)?,
        software: SOFTWARE,
        name,
    };
    let tls = identity::https(&authority, ambient).map_err(cryptography)?;
    let client = client(tls, &addresses)?;
    let answer = send(client.post(address(port, JOIN_PATH)).json(&body)).await?;
    let answer: JoinAnswer =
        serde_json::from_slice(&answer).map_err(|_| JoinError::Answer("its JSON"))?;
    let parts = judge(answer, &parsed, &authority, &key, (host, port))?;
    Ok(Joined { identity: Identity::create(data, parts)? })
}

/// The name and version that this program gives of itself.
pub const SOFTWARE: &str = concat!("medrelay-gateway ", env!("CARGO_PKG_VERSION"));

/// A request for a certificate (PKCS#10). The relay decides on the subject; the name is a courtesy.
pub(super) fn request(
    key: &KeyPair,
    name: &str,
) -> Result<rcgen::CertificateSigningRequest, rcgen::Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.serialize_request(key)
}

#[derive(Serialize)]
struct JoinRequest<'a> {
    code: &'a str,
    request: String,
    software: &'a str,
    name: &'a str,
}

#[derive(Deserialize)]
struct JoinAnswer {
    gateway: String,
    clinic: String,
    clinic_name: String,
    certificate: String,
    authority: String,
    receipt_key: String,
    port: u16,
    ae_title: String,
}

/// Host and TCP port of a relay's address; plain HTTP is never spoken.
fn host_and_port(url: &str) -> Result<(String, u16), JoinError> {
    let text = url.trim();
    let text = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    let parsed = Url::parse(&text).map_err(|error| JoinError::Address(error.to_string()))?;
    if parsed.scheme() != "https" {
        return Err(JoinError::Address(format!("it begins with {}://", parsed.scheme())));
    }
    let host = parsed.host_str().ok_or_else(|| JoinError::Address("no host".to_owned()))?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    Ok((host, parsed.port_or_known_default().unwrap_or(443)))
}

/// The authority's certificate, asked of whoever answers, and believed because the code names it.
async fn authority(
    addresses: &[SocketAddr],
    port: u16,
    code: &JoinCode,
    ambient: &Ambient,
) -> Result<CertificateDer<'static>, JoinError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let anybody = Arc::new(Anybody(provider.clone()));
    let mut tls = ClientConfig::builder_with_details(provider, Arc::new(ambient.clone()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(cryptography)?
        .dangerous()
        .with_custom_certificate_verifier(anybody)
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    let pem = send(client(tls, addresses)?.get(address(port, AUTHORITY_PATH))).await?;
    let authority = CertificateDer::from_pem_slice(&pem).map_err(|_| JoinError::OtherRelay)?;
    if code.pins(&authority) { Ok(authority) } else { Err(JoinError::OtherRelay) }
}

fn client(tls: ClientConfig, addresses: &[SocketAddr]) -> Result<Client, JoinError> {
    Client::builder()
        .tls_backend_preconfigured(tls)
        .resolve_to_addrs(SERVER_NAME, addresses)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .https_only(true)
        .connect_timeout(Duration::from_secs(10))
        .timeout(Duration::from_secs(30))
        .build()
        .map_err(|error| JoinError::Cryptography(error.without_url().to_string()))
}

fn address(port: u16, path: &str) -> String {
    format!("https://{SERVER_NAME}:{port}{path}")
}

async fn send(request: RequestBuilder) -> Result<Vec<u8>, JoinError> {
    let mut answer = request.send().await.map_err(|error| unreachable(&error))?;
    let status = answer.status();
    let mut body = Vec::new();
    while let Some(piece) = answer.chunk().await.map_err(|error| unreachable(&error))? {
        if body.len() + piece.len() > ANSWER_BYTES {
            return Err(JoinError::Answer("it is too long"));
        }
        body.extend_from_slice(&piece);
    }
    if status == StatusCode::OK || status == StatusCode::CREATED {
        return Ok(body);
    }
    let problem = serde_json::from_slice(&body);
    Err(problem.map_or(JoinError::OtherRelay, |problem| JoinError::Refused(Box::new(problem))))
}

/// The innermost cause tells most: a name that does not resolve, a port that is closed.
fn unreachable(error: &reqwest::Error) -> JoinError {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    JoinError::Unreachable(cause.to_string())
}

/// Checks the relay's answer against what was asked.
fn judge(
    answer: JoinAnswer,
    code: &JoinCode,
    authority: &CertificateDer<'static>,
    key: &KeyPair,
    (host, tcp_port): (String, u16),
) -> Result<Parts, JoinError> {
    let read = |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes());
    let named = read(&answer.authority).map_err(|_| JoinError::Answer("its authority"))?;
    if named != *authority || !code.pins(&named) {
        return Err(JoinError::OtherRelay);
    }
    let certificate =
        read(&answer.certificate).map_err(|_| JoinError::Answer("its certificate"))?;
    let facts = identity::facts(&certificate).map_err(|_| JoinError::Answer("its certificate"))?;
    if facts.public_key != key.public_key_raw() || facts.subject != answer.gateway {
        return Err(JoinError::Answer("its certificate is not ours"));
    }
    if identity::hex_key(&answer.receipt_key).is_none() {
        return Err(JoinError::Answer("its receipt key"));
    }
    let relay = RelayFacts {
        host,
        tcp_port,
        udp_port: answer.port,
        gateway: answer.gateway,
        clinic: answer.clinic,
        clinic_name: answer.clinic_name,
        receipt_key: answer.receipt_key,
        ae_title: answer.ae_title,
    };
    Ok(Parts { key_pem: key.serialize_pem(), certificate, authority: named, relay })
}

fn cryptography(error: impl ToString) -> JoinError {
    JoinError::Cryptography(error.to_string())
}

/// Takes any certificate: for the one request whose answer is checked against the code and which
/// sends nothing that is secret.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

const AUTHORITY_PATH: &str = "/api/v1/link/authority";
const JOIN_PATH: &str = "/api/v1/link/join";
/// A certificate, an identifier and a name; everything beyond is not from a relay.
const ANSWER_BYTES: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_https_only() {
        let read = |url| host_and_port(url).ok();
        assert_eq!(
            read("https://relay.example.org:8443/"),
            Some(("relay.example.org".into(), 8443))
        );
        assert_eq!(read(" relay.example.org "), Some(("relay.example.org".into(), 443)));
        assert_eq!(read("192.0.2.7:8443"), Some(("192.0.2.7".into(), 8443)));
        assert_eq!(read("https://[2001:db8::1]:8443"), Some(("2001:db8::1".into(), 8443)));
        assert!(matches!(host_and_port("http://relay.example.org"), Err(JoinError::Address(_))));
        assert!(host_and_port("https://").is_err());
    }
}
