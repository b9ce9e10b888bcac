//! The relay's authority toward its clinics: it gives gateways their certificates.
//!
//! Of a request (PKCS#10, RFC 2986) only the public key is taken, after its owner has proven to
//! hold the private half; the subject and every extension are ours. A certificate alone opens
//! nothing: the relay looks it up in its database at every connection.

use std::fmt;
use std::time::Duration;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use chrono::{DateTime, Datelike as _, Timelike as _, Utc};
use medrelay_core::id::GatewayId;
use medrelay_core::time::{Entropy, Span, Timestamp};
use medrelay_core::transfer::{Hash, SERVER_NAME};
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData, SignatureAlgorithm,
};
use rustls::sign::CertifiedKey;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use sha2::{Digest as _, Sha256};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::oid_registry::{
    OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_SIG_ECDSA_WITH_SHA256,
};
use x509_parser::prelude::FromDer as _;

use super::TlsError;
use super::authority::{CA_PURPOSE, CERTIFICATE_DAYS, certified, root_params, serial};
use crate::secrets::Vault;

/// Bytes of a certificate request (DER) at most.
pub const REQUEST_BYTES: usize = 4096;

/// An uncompressed point of P-256 (SEC 1 2.3.3).
const POINT_BYTES: usize = 65;

/// Why no certificate is given for a request. Asking again with the same one does not help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RequestFault {
    /// More than [`REQUEST_BYTES`].
    #[error("the certificate request has more than 4 KiB")]
    TooLarge,
    /// Not PKCS#10.
    #[error("this is not a certificate request (PKCS#10)")]
    Unreadable,
    /// A key of another kind.
    #[error("the key of a gateway must be on the curve P-256, signing with SHA-256")]
    OtherKey,
    /// The request was not signed by the key that it names.
    #[error("the certificate request is not signed by its own key")]
    Signature,
}

/// The public key of a request whose owner has proven to hold the private half.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestedKey(Vec<u8>);

impl RequestedKey {
    /// Checks a request (DER).
    pub fn of(request: &[u8]) -> Result<Self, RequestFault> {
        if request.len() > REQUEST_BYTES {
            return Err(RequestFault::TooLarge);
        }
        let (rest, parsed) =
            X509CertificationRequest::from_der(request).map_err(|_| RequestFault::Unreadable)?;
        if !rest.is_empty() {
            return Err(RequestFault::Unreadable);
        }
        let info = &parsed.certification_request_info;
        let key = &info.subject_pki;
        let curve = key.algorithm.parameters.as_ref().and_then(|any| any.as_oid().ok());
        let point = &key.subject_public_key.data;
        if key.algorithm.algorithm != OID_KEY_TYPE_EC_PUBLIC_KEY
            || curve.is_none_or(|curve| curve != OID_EC_P256)
            || parsed.signature_algorithm.algorithm != OID_SIG_ECDSA_WITH_SHA256
            || point.len() != POINT_BYTES
        {
            return Err(RequestFault::OtherKey);
        }
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point)
            .verify(info.raw, &parsed.signature_value.data)
            .map_err(|_| RequestFault::Signature)?;
        Ok(Self(point.to_vec()))
    }

    /// Checks a request in PEM.
    pub fn of_pem(request: &str) -> Result<Self, RequestFault> {
        // Base 64 makes four bytes of three; the rest is for line ends and the two marks.
        if request.len() > REQUEST_BYTES * 2 {
            return Err(RequestFault::TooLarge);
        }
        let der =
            rustls_pki_types::CertificateSigningRequestDer::from_pem_slice(request.as_bytes())
                .map_err(|_| RequestFault::Unreadable)?;
        Self::of(&der)
    }

    /// The key as SubjectPublicKeyInfo (DER, RFC 5280 4.1.2.7).
    pub fn public_key(&self) -> Vec<u8> {
        self.subject_public_key_info()
    }
}

impl PublicKeyData for RequestedKey {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

/// SHA-256 of a certificate (DER).
pub fn fingerprint(der: &[u8]) -> Hash {
    Sha256::digest(der).into()
}

/// A certificate for a gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// The certificate, DER.
    pub der: Vec<u8>,
    /// The certificate, PEM.
    pub pem: String,
    /// Until when it is good.
    pub not_after: Timestamp,
}

/// The authority that gateways trust and that certifies them. It is the same on every server.
pub struct ClinicAuthority {
    root: CertificateDer<'static>,
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl fmt::Debug for ClinicAuthority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClinicAuthority({})", hex::encode(self.fingerprint()))
    }
}

impl ClinicAuthority {
    /// The authority of a root certificate (PEM) and its sealed key.
    pub fn open(pem: &str, sealed_key: &str, vault: &Vault) -> Result<Self, TlsError> {
        let wrong = |message: String| TlsError::Authority(message);
        let root = CertificateDer::from_pem_slice(pem.as_bytes())
            .map_err(|error| wrong(format!("its certificate is not PEM: {error}")))?;
        let key = KeyPair::try_from(vault.open(CA_PURPOSE, sealed_key.trim())?)
            .map_err(|error| wrong(format!("its key cannot be read: {error}")))?;
        let fits = x509_parser::parse_x509_certificate(&root)
            .is_ok_and(|(_, parsed)| parsed.public_key().raw == key.subject_public_key_info());
        if !fits {
            return Err(wrong("its key does not belong to its certificate".to_owned()));
        }
        let issuer = Issuer::new(root_params(), key);
        Ok(Self { root, pem: pem.to_owned(), issuer })
    }

    /// The root certificate.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.root
    }

    /// The root certificate, DER.
    pub fn certificate_der(&self) -> &[u8] {
        &self.root
    }

    /// The root certificate, PEM.
    pub fn certificate_pem(&self) -> &str {
        &self.pem
    }

    /// SHA-256 of the root certificate: what a join code pins.
    pub fn fingerprint(&self) -> Hash {
        fingerprint(&self.root)
    }

    /// A certificate for a gateway's key, good for `life` from `now`.
    pub fn issue(
        &self,
        key: &RequestedKey,
        gateway: &GatewayId,
        life: Span,
        now: Timestamp,
        entropy: &dyn Entropy,
    ) -> Result<Issued, TlsError> {
        let mut params = leaf_params(gateway.as_str(), now, life, entropy);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(key, &self.issuer)?;
        let not_after = whole_seconds(now + life);
        Ok(Issued { der: certificate.der().to_vec(), pem: certificate.pem(), not_after })
    }

    /// A new certificate, with a new key, for the relay's own end of the link.
    pub(super) fn link_certificate(
        &self,
        now: Timestamp,
        entropy: &dyn Entropy,
    ) -> Result<CertifiedKey, TlsError> {
        let life = Span::from_hours(CERTIFICATE_DAYS * 24);
        let mut params = leaf_params(SERVER_NAME, now, life, entropy);
        params.subject_alt_names =
            CertificateParams::new([SERVER_NAME.to_owned()])?.subject_alt_names;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate()?;
        let leaf = params.signed_by(&key, &self.issuer)?;
        certified(vec![leaf.der().clone()], key.serialize_der())
    }
}

fn leaf_params(name: &str, now: Timestamp, life: Span, entropy: &dyn Entropy) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.serial_number = Some(serial(entropy));
    // From a day before, for servers and clinics whose clocks are behind.
    let moment = |at: Timestamp| {
        let date = DateTime::<Utc>::from_timestamp_micros(at.micros()).unwrap_or_default();
        // Month and day are below 32: no cast loses anything.
        let day = rcgen::date_time_ymd(date.year(), date.month() as u8, date.day() as u8);
        day + Duration::from_secs(date.num_seconds_from_midnight().into())
    };
    params.not_before = moment(now - Span::from_hours(24));
    params.not_after = moment(now + life);
    params
}

/// As X.509 knows time.
fn whole_seconds(at: Timestamp) -> Timestamp {
    Timestamp::from_micros(at.micros().div_euclid(1_000_000).saturating_mul(1_000_000))
}
