//! The identity on the disk: made, read, refused, renewed.

use anyhow::Result;
use aws_lc_rs::signature::Ed25519KeyPair;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use super::*;

pub struct Authority {
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

fn authority() -> Result<Authority> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?.der().clone();
    Ok(Authority { certificate, issuer: Issuer::new(params, key) })
}

fn leaf(authority: &Authority) -> Result<(String, CertificateDer<'static>)> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "gateway");
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.not_after = rcgen::date_time_ymd(2026, 1, 31);
    let certificate = params.signed_by(&key, &authority.issuer)?;
    Ok((key.serialize_pem(), certificate.der().clone()))
}

fn relay(receipt_key: &[u8]) -> RelayFacts {
    RelayFacts {
        host: "relay.example.org".to_owned(),
        tcp_port: 443,
        udp_port: 8443,
        gateway: "a".to_owned(),
        clinic: "b".to_owned(),
        clinic_name: "青山镇卫生院".to_owned(),
        receipt_key: hex::encode(receipt_key),
        ae_title: "MEDRELAY".to_owned(),
    }
}

/// A gateway whose certificate is good in January 2026.
pub fn joined(data: &Path) -> Result<(Authority, Identity)> {
    let authority = authority()?;
    let (key_pem, certificate) = leaf(&authority)?;
    let parts = Parts {
        key_pem,
        certificate,
        authority: authority.certificate.clone(),
        relay: relay(&[7; 32]),
    };
    Ok((authority, Identity::create(data, parts)?))
}

#[test]
fn what_is_written_is_loaded_and_the_key_is_nobody_elses() -> Result<()> {
    let data = tempfile::tempdir()?;
    assert!(matches!(Identity::load(data.path()), Err(IdentityError::Absent)));
    let (_, made) = joined(data.path())?;
    let loaded = Identity::load(data.path())?;
    assert_eq!(loaded.relay(), made.relay());
    assert_eq!(loaded.authority_fingerprint(), made.authority_fingerprint());
    assert!(made.signed(b"text", &loaded.sign(b"text")));
    assert!(!made.signed(b"other", &loaded.sign(b"text")));
    let key = data.path().join(FOLDER).join(KEY);
    assert_eq!(fs::metadata(&key)?.permissions().mode() & 0o777, 0o600);
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640))?;
    assert!(
        matches!(Identity::load(data.path()), Err(IdentityError::Exposed(path)) if path == key)
    );
    Ok(())
}

#[test]
fn a_renewal_survives_a_power_cut_at_every_step() -> Result<()> {
    let data = tempfile::tempdir()?;
    let dir = data.path().join(FOLDER);
    let (authority, old) = joined(data.path())?;
    let (key, certificate) = leaf(&authority)?;
    // Cut before the certificate was durable: the old pair goes on.
    write(&dir.join(KEY_NEXT), key.as_bytes(), 0o600)?;
    assert!(old.signed(b"t", &Identity::load(data.path())?.sign(b"t")));
    assert!(!dir.join(KEY_NEXT).exists());
    // Cut before either had moved, and between the two moves: the new pair.
    for moved in [false, true] {
        write(&dir.join(if moved { KEY } else { KEY_NEXT }), key.as_bytes(), 0o600)?;
        write(&dir.join(CERTIFICATE_NEXT), pem(&certificate).as_bytes(), 0o644)?;
        let loaded = Identity::load(data.path())?;
        assert_eq!(loaded.certificate, certificate, "moved: {moved}");
    }
    let (key, certificate) = leaf(&authority)?;
    let renewed = Identity::load(data.path())?.renewed(&key, certificate.clone())?;
    assert_eq!(Identity::load(data.path())?.certificate, certificate);
    assert!(renewed.signed(b"t", &Identity::load(data.path())?.sign(b"t")));
    Ok(())
}

#[test]
fn a_certificate_of_another_key_is_found() -> Result<()> {
    let data = tempfile::tempdir()?;
    let (authority, identity) = joined(data.path())?;
    let (_, certificate) = leaf(&authority)?;
    let other = identity.renewed(&KeyPair::generate()?.serialize_pem(), certificate.clone());
    assert!(matches!(other, Err(IdentityError::Damaged { .. })));
    let path = data.path().join(FOLDER).join(CERTIFICATE);
    write(&path, pem(&certificate).as_bytes(), 0o644)?;
    let error = Identity::load(data.path()).err().map(|error| error.to_string());
    assert!(error.is_some_and(|text| text.contains("not the certificate of this key")));
    Ok(())
}

#[test]
fn receipts_are_checked_with_the_pinned_key() -> Result<()> {
    let data = tempfile::tempdir()?;
    let authority = authority()?;
    let (key_pem, certificate) = leaf(&authority)?;
    let signer = Ed25519KeyPair::generate()?;
    let parts = Parts {
        key_pem,
        certificate,
        authority: authority.certificate,
        relay: relay(signer.public_key().as_ref()),
    };
    let identity = Identity::create(data.path(), parts)?;
    let signature = signer.sign(b"receipt");
    assert!(identity.is_receipt(b"receipt", signature.as_ref()));
    assert!(!identity.is_receipt(b"receipT", signature.as_ref()));
    let other = Ed25519KeyPair::generate()?.sign(b"receipt");
    assert!(!identity.is_receipt(b"receipt", other.as_ref()));
    Ok(())
}

#[test]
fn pem_is_what_everybody_reads() -> Result<()> {
    for length in 1..100 {
        let der = CertificateDer::from((0..length).collect::<Vec<u8>>());
        assert_eq!(CertificateDer::from_pem_slice(pem(&der).as_bytes())?, der);
    }
    Ok(())
}
