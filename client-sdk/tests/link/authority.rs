//! The test relay's own small certificate authority.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use chrono::Datelike as _;
use medrelay_client::link::ambient::SystemClock;
use medrelay_core::time::{Clock as _, Timestamp};
use medrelay_core::transfer::manifest::sha256;
use medrelay_core::transfer::{Hash, SERVER_NAME};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PublicKeyData, SignatureAlgorithm,
};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer as _;

use crate::relay::GATEWAY;

/// The relay's own certificate authority.
pub struct Authority {
    pub certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub fn new() -> Result<Self> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "test authority");
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?.der().clone();
        Ok(Self { certificate, issuer: Issuer::new(params, key) })
    }

    fn server(&self) -> Result<(CertificateDer<'static>, PrivateKeyDer<'static>)> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(vec![SERVER_NAME.to_owned()])?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let leaf = params.signed_by(&key, &self.issuer)?;
        let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(anyhow::Error::msg)?;
        Ok((leaf.der().clone(), key))
    }

    /// Certifies a gateway's key, with so many days behind and before it.
    pub fn issue(&self, request: &[u8], days: (i64, i64)) -> Result<CertificateDer<'static>> {
        let (_, request) = X509CertificationRequest::from_der(request)?;
        let information = &request.certification_request_info;
        let key = information.subject_pki.subject_public_key.data.to_vec();
        let params = gateway_params(SystemClock.now(), days)?;
        Ok(params.signed_by(&Certified(key), &self.issuer)?.der().clone())
    }

    pub fn fingerprint(&self) -> Hash {
        sha256(&self.certificate)
    }

    /// TLS of a relay, for the WebSocket and for joining.
    pub fn https(&self) -> Result<ServerConfig> {
        let (leaf, key) = self.server()?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        Ok(ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![leaf, self.certificate.clone()], key)?)
    }

    /// TLS of a relay's QUIC: gateways show their certificates.
    pub fn quic(&self) -> Result<ServerConfig> {
        let (leaf, key) = self.server()?;
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone())?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
                .build()?;
        Ok(ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![leaf, self.certificate.clone()], key)?)
    }
}

/// A P-256 key that somebody else holds.
struct Certified(Vec<u8>);

impl PublicKeyData for Certified {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}

fn gateway_params(now: Timestamp, (behind, before): (i64, i64)) -> Result<CertificateParams> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, GATEWAY);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let day = |days: i64| {
        let seconds = now.micros() / 1_000_000 + days * 86_400;
        let moment = chrono::DateTime::from_timestamp(seconds, 0).context("a moment")?;
        let date = moment.date_naive();
        anyhow::Ok(rcgen::date_time_ymd(date.year(), date.month() as u8, date.day() as u8))
    };
    params.not_before = day(-behind)?;
    params.not_after = day(before)?;
    Ok(params)
}
