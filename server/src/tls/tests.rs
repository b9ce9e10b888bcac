//! Certificates over their lifetime, and real handshakes with them.

use super::*;
use crate::config::Secret;
use crate::secrets::MasterKey;
use crate::system::SystemEntropy;
use medrelay_core::time::{ManualClock, Span};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConnection};

/// 2026-11-21T00:00:00Z. Handshakes below verify at the machine's clock, so they use that one
/// instead.
const NOW: Timestamp = Timestamp::from_micros(1_795_219_200_000_000);

fn vault() -> Vault {
    let secret = Secret::new("07".repeat(32));
    let master = MasterKey::open(Path::new("/"), Some(&secret), &SystemEntropy);
    master.expect("given").vault().expect("a vault")
}

fn config(dir: &Path) -> Config {
    let mut config = Config::default();
    config.data.dir = dir.to_owned();
    config
}

fn open(config: &Config, now: Timestamp) -> Result<Tls, TlsError> {
    opened(config, &vault(), now).map(|(tls, _)| tls)
}

fn opened(
    config: &Config,
    vault: &Vault,
    now: Timestamp,
) -> Result<(Tls, Option<AcmeDriver>), TlsError> {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(now));
    Tls::open(config, vault, &clinics(now), &clock, &SystemEntropy)
}

/// An authority of the link; where its key lies does not matter to these tests.
fn clinics(now: Timestamp) -> Arc<ClinicAuthority> {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (pem, sealed) = root_files(dir.path(), &vault(), now, &SystemEntropy).expect("made");
    Arc::new(ClinicAuthority::open(&pem, &sealed, &vault()).expect("opened"))
}

fn days(days: i64) -> Span {
    Span::from_hours(24 * days)
}

fn shown(tls: &Tls) -> Vec<u8> {
    tls.current.key().expect("a certificate").cert[0].to_vec()
}

/// A handshake in memory; the error of whichever side fails.
fn handshake(
    server: Arc<ServerConfig>,
    client: ClientConfig,
    name: &str,
) -> Result<ClientConnection, rustls::Error> {
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    let mut client = ClientConnection::new(Arc::new(client), name)?;
    let mut server = ServerConnection::new(server)?;
    let mut wire = Vec::new();
    while client.is_handshaking() || server.is_handshaking() {
        client.write_tls(&mut wire).expect("memory");
        server.read_tls(&mut &wire[..]).expect("memory");
        wire.clear();
        server.process_new_packets()?;
        server.write_tls(&mut wire).expect("memory");
        client.read_tls(&mut &wire[..]).expect("memory");
        wire.clear();
        client.process_new_packets()?;
    }
    Ok(client)
}

fn client(root: &Path, versions: &[&'static rustls::SupportedProtocolVersion]) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(root).expect("PEM")).expect("a root");
    ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)
        .expect("known versions")
        .with_root_certificates(roots)
        .with_no_client_auth()
}

#[test]
fn the_own_authority_is_made_once_and_its_certificate_renewed_in_time() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let config = config(dir.path());
    let first = open(&config, NOW).expect("made");
    let root = std::fs::read(config.keys_dir().join(CA_FILE)).expect("the root");
    let until = first.valid_until().expect("known");
    assert_eq!(until, NOW + days(CERTIFICATE_DAYS));
    assert_eq!(configured_validity(&config).expect("readable"), Some(until));

    let later = open(&config, NOW + days(59)).expect("read");
    assert_eq!(shown(&later), shown(&first));
    let due = NOW + days(61);
    first.refresh(&vault(), due, &SystemEntropy).expect("issued again");
    assert_ne!(shown(&later), shown(&first));
    assert_eq!(first.valid_until(), Some(due + days(CERTIFICATE_DAYS)));
    assert_eq!(std::fs::read(config.keys_dir().join(CA_FILE)).expect("the root"), root);
}

#[test]
fn other_names_or_a_lost_key_mean_a_new_certificate() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut config = config(dir.path());
    let first = open(&config, NOW).expect("made");
    config.https.names = vec!["relay.example.org".into(), "192.0.2.7".into()];
    let second = open(&config, NOW).expect("issued again");
    assert_ne!(shown(&first), shown(&second));
    std::fs::remove_file(config.keys_dir().join("server.key")).expect("ours");
    assert_ne!(shown(&open(&config, NOW).expect("issued again")), shown(&second));
    config.https.names = vec!["not a name €".into()];
    assert!(matches!(open(&config, NOW), Err(TlsError::Issue(_))));
}

#[test]
fn a_root_is_never_replaced_while_its_certificate_is_there() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().expect("a temporary directory");
    let config = config(dir.path());
    let first = open(&config, NOW).expect("made");
    let root = config.keys_dir().join(CA_FILE);
    let public = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(&root, public).expect("ours");
    assert_eq!(shown(&open(&config, NOW).expect("a certificate may be read")), shown(&first));

    std::fs::remove_file(config.keys_dir().join("ca.key")).expect("ours");
    let error = open(&config, NOW).expect_err("the root's key is gone").to_string();
    assert!(error.contains("ca.key is missing"), "{error}");
    std::fs::remove_file(root).expect("ours");
    assert_ne!(shown(&open(&config, NOW).expect("begun anew")), shown(&first));
}

#[test]
fn keys_on_disk_are_wrapped_and_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().expect("a temporary directory");
    let config = config(dir.path());
    open(&config, NOW).expect("made");
    for name in ["ca.key", "server.key"] {
        let path = config.keys_dir().join(name);
        let text = std::fs::read_to_string(&path).expect("text");
        assert!(text.starts_with("v1."), "{name} is sealed");
        let mode = std::fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    let other = Secret::new("08".repeat(32));
    let other = MasterKey::open(Path::new("/"), Some(&other), &SystemEntropy).expect("given");
    let wrong = opened(&config, &other.vault().expect("a vault"), NOW);
    assert!(wrong.is_err(), "another master key neither opens nor silently replaces the root");
}

#[test]
fn a_client_that_trusts_the_root_gets_through_and_no_other() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let config = config(dir.path());
    let tls = open(&config, crate::system::SystemClock.now()).expect("made");
    let root = config.keys_dir().join(CA_FILE);
    for name in ["localhost", "127.0.0.1", "::1"] {
        let client = client(&root, PROTOCOLS);
        let session = handshake(tls.https(), client, name).expect("trusted");
        assert_eq!(session.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_3));
    }
    assert!(handshake(tls.https(), client(&root, PROTOCOLS), "example.org").is_err());

    let elsewhere = tempfile::tempdir().expect("a temporary directory");
    let stranger = self::config(elsewhere.path());
    open(&stranger, NOW).expect("made");
    let foreign = client(&stranger.keys_dir().join(CA_FILE), PROTOCOLS);
    assert!(handshake(tls.https(), foreign, "localhost").is_err());
}

#[test]
fn dicom_takes_tls_1_2_with_forward_secrecy() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let config = config(dir.path());
    let tls = open(&config, crate::system::SystemClock.now()).expect("made");
    let client = client(&config.keys_dir().join(CA_FILE), &[&rustls::version::TLS12]);
    let session = handshake(tls.dicom(), client, "localhost").expect("agreed");
    let suite = session.negotiated_cipher_suite().expect("agreed").suite();
    assert!(format!("{suite:?}").contains("ECDHE") && format!("{suite:?}").contains("GCM"));
    assert!(session.alpn_protocol().is_none());
}

#[test]
fn given_files_are_read_again_and_checked() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (pem, key_pem) = (dir.path().join("c.pem"), dir.path().join("k.pem"));
    let write = || {
        let made = rcgen::generate_simple_self_signed(vec!["relay.test".into()]).expect("made");
        std::fs::write(&pem, made.cert.pem()).expect("written");
        std::fs::write(&key_pem, made.signing_key.serialize_pem()).expect("written");
    };
    write();
    let mut config = config(dir.path());
    config.https.certificate = Some(pem.clone());
    config.https.key = Some(key_pem.clone());
    let tls = open(&config, NOW).expect("read");
    let first = shown(&tls);
    write();
    tls.refresh(&vault(), NOW, &SystemEntropy).expect("read again");
    let second = shown(&tls);
    assert_ne!(first, second);
    assert!(!config.keys_dir().exists(), "no authority is made when none is needed");

    let made = rcgen::generate_simple_self_signed(vec!["other.test".into()]).expect("made");
    std::fs::write(&key_pem, made.signing_key.serialize_pem()).expect("written");
    let error = tls.refresh(&vault(), NOW, &SystemEntropy).expect_err("a foreign key").to_string();
    assert!(error.contains("k.pem") && error.contains("does not fit"), "{error}");
    assert_eq!(shown(&tls), second, "the good one stays in use");
    std::fs::write(&pem, "nothing").expect("written");
    assert!(tls.refresh(&vault(), NOW, &SystemEntropy).is_err());
}

#[test]
fn an_acme_certificate_is_announced_by_its_protocol() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut config = config(dir.path());
    config.https.acme_domains = vec!["relay.example.org".into()];
    let (tls, driver) = opened(&config, &vault(), NOW).expect("begun");
    assert!(driver.is_some());
    assert!(tls.https().alpn_protocols.iter().any(|name| name == ACME_PROTOCOL));
    assert_eq!(tls.valid_until(), None);
}

/// A certificate request (DER) for `key` that asks to be an authority under a name of its choice.
fn request(key: &rcgen::KeyPair) -> Vec<u8> {
    let mut params =
        rcgen::CertificateParams::new(["relay.example.org".to_owned()]).expect("a name");
    params.distinguished_name.push(rcgen::DnType::CommonName, "somebody");
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.serialize_request(key).expect("signed").der().to_vec()
}

#[test]
fn of_a_request_only_the_key_is_taken_and_only_from_who_holds_it() {
    use medrelay_core::id::GatewayId;
    let key = rcgen::KeyPair::generate().expect("a key");
    let der = request(&key);
    let asked = RequestedKey::of(&der).expect("a good request");
    let id = GatewayId::new(NOW, &SystemEntropy);
    let authority = clinics(NOW);
    let issued = authority.issue(&asked, &id, days(30), NOW, &SystemEntropy).expect("issued");
    let (_, seen) = x509_parser::parse_x509_certificate(&issued.der).expect("a certificate");
    assert_eq!(seen.subject().to_string(), format!("CN={id}"));
    assert_eq!(seen.public_key().raw, asked.public_key());
    assert!(!seen.is_ca() && seen.subject_alternative_name().expect("parsed").is_none());
    let usage = seen.extended_key_usage().expect("parsed").expect("there").value;
    assert!(usage.client_auth && !usage.server_auth && !usage.any);
    let until = validity(&CertificateDer::from(issued.der.clone())).expect("parsed");
    assert_eq!(until, (NOW - days(1), NOW + days(30)));
    assert_eq!(issued.not_after, NOW + days(30));
    let again = authority.issue(&asked, &id, days(30), NOW, &SystemEntropy).expect("issued");
    assert_ne!(again.der, issued.der, "each has a number of its own");

    // The subject is covered by the request's own signature.
    let at = der.windows(8).position(|bytes| bytes == b"somebody").expect("its subject");
    let mut edited = der.clone();
    edited[at] = b'S';
    assert_eq!(RequestedKey::of(&edited), Err(RequestFault::Signature));
    let other = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).expect("a key");
    assert_eq!(RequestedKey::of(&request(&other)), Err(RequestFault::OtherKey));
    let other = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).expect("a key");
    assert_eq!(RequestedKey::of(&request(&other)), Err(RequestFault::OtherKey));
    let longer = [der.as_slice(), &[0]].concat();
    assert_eq!(RequestedKey::of(&longer), Err(RequestFault::Unreadable));
    assert_eq!(RequestedKey::of(&vec![0x30; 5000]), Err(RequestFault::TooLarge));
    for end in 0..der.len() {
        assert!(RequestedKey::of(&der[..end]).is_err(), "cut after {end}");
    }
}

#[test]
fn an_authority_needs_the_key_of_its_certificate() {
    let (one, two) = (tempfile::tempdir().expect("made"), tempfile::tempdir().expect("made"));
    let files = |dir: &tempfile::TempDir| {
        root_files(dir.path(), &vault(), NOW, &SystemEntropy).expect("made")
    };
    let (pem, sealed) = files(&one);
    assert_eq!(files(&one), (pem.clone(), sealed.clone()), "the same the second time");
    let (_, foreign) = files(&two);
    ClinicAuthority::open(&pem, &sealed, &vault()).expect("its own key");
    let error = ClinicAuthority::open(&pem, &foreign, &vault()).expect_err("another's key");
    assert!(error.to_string().contains("does not belong"), "{error}");
}

#[test]
fn the_link_has_its_name_beside_every_other_certificate_and_renews_itself() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let config = config(dir.path());
    let authority = clinics(NOW);
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(crate::system::SystemClock.now()));
    let (tls, _) =
        Tls::open(&config, &vault(), &authority, &clock, &SystemEntropy).expect("opened");
    let trusting = |pem: &[u8]| {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(pem).expect("PEM")).expect("a root");
        ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(PROTOCOLS)
            .expect("known versions")
            .with_root_certificates(roots)
            .with_no_client_auth()
    };
    let gateway = || trusting(authority.certificate_pem().as_bytes());
    handshake(tls.https(), gateway(), "link.medrelay").expect("the link's own authority");
    assert!(handshake(tls.https(), gateway(), "localhost").is_err(), "the other is a browser's");
    let browser = client(&config.keys_dir().join(CA_FILE), PROTOCOLS);
    handshake(tls.https(), browser, "localhost").expect("as before");

    let end = link::LinkEnd::open(&authority, &clock, &SystemEntropy).expect("opened");
    let now = clock.now();
    let shown = |end: &link::LinkEnd| end.shown().expect("a certificate");
    let first = shown(&end);
    end.refresh(now + days(59), &SystemEntropy).expect("not due");
    assert_eq!(shown(&end), first);
    end.refresh(now + days(61), &SystemEntropy).expect("due");
    assert_ne!(shown(&end), first);
}
