//! A gateway as far as joining and TLS go: its key, its request, and a handshake in memory with the
//! relay's end of the link.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use medrelay::config::Config;
use medrelay::secrets::MasterKey;
use medrelay::service::Service;
use medrelay::tls::{ClinicAuthority, RequestedKey, Tls, root_files};
use medrelay_client::Error;
use medrelay_core::id::GatewayId;
use medrelay_core::time::{Clock, Entropy, ManualClock, SeededEntropy, Span, Timestamp};
use medrelay_core::transfer::{ALPN, SERVER_NAME};
use medrelay_tests::clinic::Consortium;
use medrelay_tests::relay::Relay;
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, SignatureAlgorithm, SigningKey};
use reqwest::Method;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};
use serde_json::{Value, json};

/// The key of a gateway.
pub struct Key(KeyPair);

impl Key {
    /// A new one on the curve P-256.
    pub fn new() -> Result<Self> {
        Ok(Self(KeyPair::generate()?))
    }

    /// A new one of another kind.
    pub fn of(algorithm: &'static SignatureAlgorithm) -> Result<Self> {
        Ok(Self(KeyPair::generate_for(algorithm)?))
    }

    fn params() -> Result<CertificateParams> {
        let mut params = CertificateParams::new(["relay.example.org".to_owned()])?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Ok(params)
    }

    /// A request, PEM, that asks for more than it may get: another name, and to be an authority.
    pub fn request(&self) -> Result<String> {
        Ok(Self::params()?.serialize_request(&self.0)?.pem()?)
    }

    /// The same, DER.
    pub fn request_der(&self) -> Result<Vec<u8>> {
        Ok(Self::params()?.serialize_request(&self.0)?.der().to_vec())
    }

    /// Whether what this key signs is found to be signed by `public_key`, and only that.
    pub fn signed(&self, message: &[u8], public_key: &[u8]) -> Result<bool> {
        let signature = self.0.sign(message)?;
        let other = [message, b"!"].concat();
        Ok(Service::gateway_signed(public_key, message, &signature)
            && !Service::gateway_signed(public_key, &other, &signature))
    }
}

/// A request with one character of its body changed.
pub fn edited(request: &str) -> Result<String> {
    let mut lines: Vec<String> = request.lines().map(str::to_owned).collect();
    let line = lines.get_mut(2).context("a request has several lines")?;
    let other = if line.as_bytes()[10] == b'A' { "B" } else { "A" };
    line.replace_range(10..11, other);
    Ok(lines.join("\n"))
}

/// Makes a join code as the first administrator.
pub async fn make_code(consortium: &Consortium, clinic: &str, body: &Value) -> Result<Value> {
    let path = format!("/api/v1/clinics/{clinic}/join-codes");
    Ok(consortium.root.call(Method::POST, &path, body).await?)
}

/// Asks to join as a gateway does.
pub async fn try_join(relay: &Relay, code: &str, key: &Key) -> Result<Value, Error> {
    let request = key.request().expect("a key of our own");
    let body = json!({
        "code": code, "request": request, "software": "test 1", "name": "gateway of a test",
    });
    relay.client().call(Method::POST, "/api/v1/link/join", &body).await
}

/// A gateway that has joined for a clinic: its identifier, its certificate, its key.
pub async fn joined(
    relay: &Relay,
    consortium: &Consortium,
    clinic: &str,
) -> Result<(GatewayId, Vec<u8>, Key)> {
    let made = make_code(consortium, clinic, &json!({})).await?;
    let key = Key::new()?;
    let answer = try_join(relay, made["code"].as_str().context("a code")?, &key).await?;
    let id = GatewayId::parse(answer["gateway"].as_str().context("a gateway")?)?;
    Ok((id, certificate_of(&answer)?, key))
}

/// The certificate of an answer to joining, DER.
pub fn certificate_of(joined: &Value) -> Result<Vec<u8>> {
    let pem = joined["certificate"].as_str().context("a certificate")?;
    Ok(CertificateDer::from_pem_slice(pem.as_bytes())?.to_vec())
}

/// A certificate for the same key and name by an authority of somebody else's.
pub fn foreign(id: &GatewayId, key: &Key, now: Timestamp) -> Result<Vec<u8>> {
    let folder = tempfile::tempdir()?;
    let entropy = SeededEntropy::new(5);
    let vault = MasterKey::open(folder.path(), None, &entropy)?.vault()?;
    let (pem, sealed) = root_files(folder.path(), &vault, now, &entropy)?;
    let authority = ClinicAuthority::open(&pem, &sealed, &vault)?;
    let asked = RequestedKey::of_pem(&key.request()?)?;
    Ok(authority.issue(&asked, id, Span::from_hours(720), now, &entropy)?.der)
}

/// The relay's end of the link, without the packets between.
pub struct Tunnel {
    clock: Arc<ManualClock>,
    server: Arc<ServerConfig>,
    https: Arc<ServerConfig>,
    root: CertificateDer<'static>,
}

impl Tunnel {
    /// That of a relay, with a clock of its own.
    pub fn of(relay: &Relay) -> Result<Self> {
        let entropy = SeededEntropy::new(6);
        let clock = Arc::new(ManualClock::new(relay.now()));
        let vault = vault(relay.config(), &entropy)?;
        let shared = Arc::clone(&clock) as Arc<dyn Clock>;
        let mut config = relay.config().clone();
        config.https.enabled = true;
        let authority = relay.service().authority();
        let (tls, _) = Tls::open(&config, &vault, authority, &shared, &entropy)?;
        let root = authority.certificate().clone();
        Ok(Self { clock, server: tls.link(), https: tls.https(), root })
    }

    /// A handshake at `now`; answers with the certificate that the relay has verified.
    pub fn open(&self, now: Timestamp, shown: Option<(&[u8], &Key)>) -> Result<Vec<u8>> {
        self.clock.set(now);
        let (_, server) = handshake(Arc::clone(&self.server), self.client(shown)?, SERVER_NAME)?;
        ensure!(server.alpn_protocol() == Some(ALPN), "the link's protocol is agreed on");
        let chain = server.peer_certificates().context("the relay has seen a certificate")?;
        Ok(chain.first().context("one at least")?.to_vec())
    }

    /// Whether the HTTPS listener shows a certificate that gateways trust for this name.
    pub fn is_trusted_over_https(&self, now: Timestamp, name: &str) -> Result<bool> {
        self.clock.set(now);
        Ok(handshake(Arc::clone(&self.https), self.client(None)?, name).is_ok())
    }

    fn client(&self, shown: Option<(&[u8], &Key)>) -> Result<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.root.clone())?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let time = Arc::new(Time(Arc::clone(&self.clock)));
        let builder = ClientConfig::builder_with_details(provider, time)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(roots);
        let mut config = match shown {
            Some((certificate, key)) => {
                let chain = vec![CertificateDer::from(certificate.to_vec())];
                let private = PrivatePkcs8KeyDer::from(key.0.serialize_der());
                builder.with_client_auth_cert(chain, PrivateKeyDer::Pkcs8(private))?
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![ALPN.to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }
}

/// The vault of a relay's folder.
pub fn vault(config: &Config, entropy: &dyn Entropy) -> Result<medrelay::secrets::Vault> {
    let keys: &Path = &config.keys_dir();
    Ok(MasterKey::open(keys, config.secrets.master_key.as_ref(), entropy)?.vault()?)
}

#[derive(Debug)]
struct Time(Arc<ManualClock>);

impl TimeProvider for Time {
    fn current_time(&self) -> Option<UnixTime> {
        let micros = u64::try_from(self.0.now().micros()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_micros(micros)))
    }
}

/// A handshake in memory; the error of whichever side fails.
fn handshake(
    server: Arc<ServerConfig>,
    client: ClientConfig,
    name: &str,
) -> Result<(ClientConnection, ServerConnection)> {
    let mut client =
        ClientConnection::new(Arc::new(client), ServerName::try_from(name.to_owned())?)?;
    let mut server = ServerConnection::new(server)?;
    let mut wire = Vec::new();
    while client.is_handshaking() || server.is_handshaking() {
        client.write_tls(&mut wire)?;
        server.read_tls(&mut &wire[..])?;
        wire.clear();
        server.process_new_packets()?;
        server.write_tls(&mut wire)?;
        client.read_tls(&mut &wire[..])?;
        wire.clear();
        client.process_new_packets()?;
    }
    Ok((client, server))
}
