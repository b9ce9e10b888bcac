//! The relay's own small certificate authority, for places without a public name.

use std::path::Path;

use chrono::{DateTime, Datelike, Utc};
use medrelay_core::time::{Entropy, Span, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType, SerialNumber,
};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use super::{TlsError, provider, validity};
use crate::secrets::{Vault, read_private, write_private};

/// The root certificate, in the key directory: what browsers and devices are given to trust.
pub const CA_FILE: &str = "ca.pem";
/// Days a server certificate is valid.
pub const CERTIFICATE_DAYS: i64 = 90;
/// Days before its end at which a server certificate is issued again.
pub const RENEW_DAYS: i64 = 30;

pub(super) const SERVER_FILE: &str = "server.pem";
const CA_KEY_FILE: &str = "ca.key";
const SERVER_KEY_FILE: &str = "server.key";
pub(super) const CA_PURPOSE: &str = "tls ca key";
const SERVER_PURPOSE: &str = "tls server key";
/// Ten years: replacing a root means visiting every browser, and it signs nothing but this relay.
const CA_DAYS: i64 = 3650;

/// The server certificate for `names`: the stored one while it is good, else a new one. The root is
/// made at first.
pub(super) fn certificate(
    dir: &Path,
    names: &[String],
    vault: &Vault,
    now: Timestamp,
    entropy: &dyn Entropy,
) -> Result<CertifiedKey, TlsError> {
    let (root, issuer) = root(dir, vault, now, entropy)?;
    let params = server_params(names, now, entropy)?;
    if let Some(stored) = stored(dir, &root, &params, vault, now)? {
        return Ok(stored);
    }
    let key = KeyPair::generate()?;
    let leaf = params.signed_by(&key, &issuer)?;
    save_key(&dir.join(SERVER_KEY_FILE), SERVER_PURPOSE, &key, vault, entropy)?;
    write_private(&dir.join(SERVER_FILE), leaf.pem().as_bytes())?;
    certified(vec![leaf.der().clone(), root], key.serialize_der())
}

/// The root certificate (PEM) and its sealed key as they lie in `dir`; made at first.
pub fn root_files(
    dir: &Path,
    vault: &Vault,
    now: Timestamp,
    entropy: &dyn Entropy,
) -> Result<(String, String), TlsError> {
    root(dir, vault, now, entropy)?;
    let text = |bytes: Option<Vec<u8>>| {
        let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
        text.ok_or_else(|| TlsError::Authority(format!("{} is damaged", dir.display())))
    };
    let pem = text(read_public(&dir.join(CA_FILE))?)?;
    let sealed = text(read_private(&dir.join(CA_KEY_FILE))?)?;
    Ok((pem, sealed.trim().to_owned()))
}

fn root(
    dir: &Path,
    vault: &Vault,
    now: Timestamp,
    entropy: &dyn Entropy,
) -> Result<(CertificateDer<'static>, Issuer<'static, KeyPair>), TlsError> {
    let (path, key_path) = (dir.join(CA_FILE), dir.join(CA_KEY_FILE));
    let wrong = |message: String| TlsError::File { path: path.clone(), message };
    match (read_public(&path)?, open_key(&key_path, CA_PURPOSE, vault)?) {
        (Some(pem), Some(key)) => {
            let der = CertificateDer::from_pem_slice(&pem).map_err(|e| wrong(e.to_string()))?;
            let pair = KeyPair::try_from(key).map_err(|e| wrong(e.to_string()))?;
            return Ok((der, Issuer::new(root_params(), pair)));
        }
        // People trust this root already: another one in its place would lock them all out.
        (Some(_), None) => {
            let message = format!("{CA_KEY_FILE} is missing: restore it, or remove {CA_FILE} too");
            return Err(wrong(message));
        }
        (None, _) => {}
    }
    let mut params = root_params();
    set_validity(&mut params, now, CA_DAYS);
    params.serial_number = Some(serial(entropy));
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    // The key first: a certificate without its key would be trusted by people and of no use to us.
    save_key(&key_path, CA_PURPOSE, &key, vault, entropy)?;
    write_private(&path, certificate.pem().as_bytes())?;
    Ok((certificate.der().clone(), Issuer::new(params, key)))
}

/// What is the same in every root: a server certificate names it by this subject and by its key.
pub(super) fn root_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "medrelay own authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn server_params(
    names: &[String],
    now: Timestamp,
    entropy: &dyn Entropy,
) -> Result<CertificateParams, TlsError> {
    let mut params = CertificateParams::new(names)?;
    let first = names.first().map_or("medrelay", String::as_str);
    params.distinguished_name.push(DnType::CommonName, first);
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    set_validity(&mut params, now, CERTIFICATE_DAYS);
    params.serial_number = Some(serial(entropy));
    Ok(params)
}

/// The stored certificate if it is for these names, valid now and not due.
fn stored(
    dir: &Path,
    root: &CertificateDer<'static>,
    wanted: &CertificateParams,
    vault: &Vault,
    now: Timestamp,
) -> Result<Option<CertifiedKey>, TlsError> {
    let pem = read_public(&dir.join(SERVER_FILE))?;
    let key = open_key(&dir.join(SERVER_KEY_FILE), SERVER_PURPOSE, vault)?;
    let (Some(pem), Some(key)) = (pem, key) else { return Ok(None) };
    let Ok(leaf) = CertificateDer::from_pem_slice(&pem) else { return Ok(None) };
    let due = Span::from_hours(RENEW_DAYS * 24);
    let good = validity(&leaf).is_some_and(|(from, until)| from <= now && now < until - due);
    if !good || names_of(&leaf) != Some(wanted_names(wanted)) || !issued_by(&leaf, root) {
        return Ok(None);
    }
    // A key that does not fit (a crash between the two files) means: issue again.
    Ok(certified(vec![leaf, root.clone()], key).ok())
}

fn wanted_names(params: &CertificateParams) -> Vec<String> {
    let mut names: Vec<String> = params.subject_alt_names.iter().map(name_text).collect();
    names.sort();
    names
}

fn name_text(name: &SanType) -> String {
    match name {
        SanType::DnsName(name) => name.as_str().to_owned(),
        SanType::IpAddress(address) => address.to_string(),
        other => format!("{other:?}"),
    }
}

fn names_of(leaf: &CertificateDer<'_>) -> Option<Vec<String>> {
    use x509_parser::extensions::GeneralName;
    let (_, parsed) = x509_parser::parse_x509_certificate(leaf).ok()?;
    let extension = parsed.subject_alternative_name().ok()??;
    let texts = extension.value.general_names.iter().map(|name| match name {
        GeneralName::DNSName(name) => (*name).to_owned(),
        GeneralName::IPAddress(bytes) => address_text(bytes),
        other => other.to_string(),
    });
    let mut names: Vec<String> = texts.collect();
    names.sort();
    Some(names)
}

fn address_text(bytes: &[u8]) -> String {
    let v4 = <[u8; 4]>::try_from(bytes).map(std::net::IpAddr::from);
    let any = v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(std::net::IpAddr::from));
    any.map_or_else(|_| hex::encode(bytes), |address| address.to_string())
}

/// Whether `leaf` names the root's key as its issuer's; both extensions are ours.
fn issued_by(leaf: &CertificateDer<'_>, root: &CertificateDer<'_>) -> bool {
    use x509_parser::extensions::ParsedExtension::{AuthorityKeyIdentifier, SubjectKeyIdentifier};
    let parsed = |der| x509_parser::parse_x509_certificate(der).ok().map(|(_, parsed)| parsed);
    let (Some(leaf), Some(root)) = (parsed(leaf), parsed(root)) else { return false };
    let issuer =
        leaf.extensions().iter().find_map(|extension| match extension.parsed_extension() {
            AuthorityKeyIdentifier(id) => id.key_identifier.as_ref().map(|id| id.0),
            _ => None,
        });
    let own = root.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        SubjectKeyIdentifier(id) => Some(id.0),
        _ => None,
    });
    issuer.is_some() && issuer == own
}

pub(super) fn certified(
    chain: Vec<CertificateDer<'static>>,
    pkcs8: Vec<u8>,
) -> Result<CertifiedKey, TlsError> {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(pkcs8));
    Ok(CertifiedKey::from_der(chain, key, &provider())?)
}

fn save_key(
    path: &Path,
    purpose: &str,
    key: &KeyPair,
    vault: &Vault,
    entropy: &dyn Entropy,
) -> Result<(), TlsError> {
    let sealed = vault.seal(purpose, key.serialized_der(), entropy)?;
    Ok(write_private(path, sealed.as_bytes())?)
}

/// Reads a certificate, which anybody may see; `None` if there is none.
fn read_public(path: &Path) -> Result<Option<Vec<u8>>, TlsError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(TlsError::File { path: path.to_owned(), message: error.to_string() }),
    }
}

fn open_key(path: &Path, purpose: &str, vault: &Vault) -> Result<Option<Vec<u8>>, TlsError> {
    let Some(sealed) = read_private(path)? else { return Ok(None) };
    let sealed = String::from_utf8_lossy(&sealed);
    Ok(Some(vault.open(purpose, sealed.trim())?))
}

/// From a day before `now`, for clients whose clocks are behind, and for `days` from it.
fn set_validity(params: &mut CertificateParams, now: Timestamp, days: i64) {
    let day = |offset: i64| {
        let moment = now + Span::from_hours(offset * 24);
        let date = DateTime::<Utc>::from_timestamp_micros(moment.micros()).unwrap_or_default();
        // Both are below 32: no cast loses anything.
        rcgen::date_time_ymd(date.year(), date.month() as u8, date.day() as u8)
    };
    params.not_before = day(-1);
    params.not_after = day(days);
}

/// 16 random bytes, positive as RFC 5280 4.1.2.2 asks.
pub(super) fn serial(entropy: &dyn Entropy) -> SerialNumber {
    let mut bytes = [0; 16];
    entropy.fill(&mut bytes);
    bytes[0] = bytes[0] & 0x7f | 0x40;
    SerialNumber::from_slice(&bytes)
}
