//! Measures a line: sends bytes over QUIC with a congestion control of choice and says how it went.
//!
//! ```text
//! cargo run --release -p medrelay-link --example line -- server 0.0.0.0:9443
//! cargo run --release -p medrelay-link --example line -- client 192.0.2.1:9443 14.4 ours
//! ```
//!
//! The client sends so many million bytes with `ours`, `cubic` or `bbr`, and prints the seconds until
//! the last byte was acknowledged, the rate, what was lost, and how long the queue was that it
//! made (smoothed round-trip time less the least seen); with `trace`, what the control knew on the way. The certificate is made up and not looked at: this
//! measures lines, it protects nothing.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use medrelay_core::congestion::Settings;
use medrelay_core::time::Timestamp;
use medrelay_link::controller::{LinkCongestion, snapshot};
use quinn::congestion::{BbrConfig, ControllerFactory, CubicConfig};
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{Connection, Endpoint, TransportConfig, VarInt};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};
use tokio::time::Instant;

/// How often the round-trip time is looked at.
const LOOK: Duration = Duration::from_millis(5);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["server", address] => serve(address.parse()?).await,
        ["client", address, megabytes, control, ref rest @ ..] => {
            let bytes = (megabytes.parse::<f64>()? * 1e6) as usize;
            send(address.parse()?, bytes, control, rest == ["trace"]).await
        }
        _ => bail!("line server ADDRESS | line client ADDRESS MEGABYTES ours|cubic|bbr [trace]"),
    }
}

fn transport(control: &str) -> anyhow::Result<Arc<TransportConfig>> {
    let factory: Arc<dyn ControllerFactory + Send + Sync> = match control {
        "ours" => {
            let wall = std::time::UNIX_EPOCH.elapsed()?.as_micros();
            let wall = Timestamp::from_micros(i64::try_from(wall)?);
            Arc::new(LinkCongestion::new(Settings::default(), wall, Instant::now().into_std()))
        }
        "cubic" => Arc::new(CubicConfig::default()),
        "bbr" => Arc::new(BbrConfig::default()),
        other => bail!("{other} is no congestion control"),
    };
    let mut config = TransportConfig::default();
    config
        .congestion_controller_factory(factory)
        .send_window(32 << 20)
        .receive_window(VarInt::from_u32(32 << 20))
        .stream_receive_window(VarInt::from_u32(32 << 20));
    Ok(Arc::new(config))
}

async fn serve(address: SocketAddr) -> anyhow::Result<()> {
    let made = rcgen::generate_simple_self_signed(vec!["line".to_owned()])?;
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let tls = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.into())?;
    let mut config = quinn::ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls)?));
    config.transport_config(transport("ours")?);
    let endpoint = Endpoint::server(config, address)?;
    while let Some(incoming) = endpoint.accept().await {
        tokio::spawn(async move {
            if let Err(error) = receive(incoming).await {
                println!("{error:#}");
            }
        });
    }
    Ok(())
}

async fn receive(incoming: quinn::Incoming) -> anyhow::Result<()> {
    let connection = incoming.await?;
    while let Ok(mut stream) = connection.accept_uni().await {
        while stream.read_chunk(1 << 20, false).await?.is_some() {}
    }
    Ok(())
}

async fn send(address: SocketAddr, bytes: usize, control: &str, trace: bool) -> anyhow::Result<()> {
    let tls = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody))
        .with_no_client_auth();
    let mut config = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls)?));
    config.transport_config(transport(control)?);
    let endpoint = Endpoint::client(SocketAddr::from(([0, 0, 0, 0], 0)))?;
    let begun = Instant::now();
    let connection = endpoint.connect_with(config, address, "line")?.await?;
    let mut rtts = Vec::new();
    let mut looks = tokio::time::interval(LOOK);
    let mut transfer = std::pin::pin!(transfer(&connection, bytes));
    loop {
        tokio::select! {
            done = &mut transfer => break done?,
            _ = looks.tick() => {
                rtts.push(connection.rtt().as_secs_f64() * 1e3);
                if trace && rtts.len() % 10 == 0 {
                    println!("{:7.3} {:?}", begun.elapsed().as_secs_f64(), snapshot(&connection));
                }
            }
        }
    }
    report(&connection, control, bytes, begun.elapsed().as_secs_f64(), &rtts);
    connection.close(VarInt::from_u32(0), b"");
    endpoint.wait_idle().await;
    Ok(())
}

async fn transfer(connection: &Connection, bytes: usize) -> anyhow::Result<()> {
    let mut stream = connection.open_uni().await?;
    let part = vec![0x5a; 64 * 1024];
    let mut left = bytes;
    while left > 0 {
        let size = left.min(part.len());
        stream.write_all(&part[..size]).await?;
        left -= size;
    }
    stream.finish()?;
    stream.stopped().await?;
    Ok(())
}

fn report(connection: &Connection, control: &str, bytes: usize, seconds: f64, rtts: &[f64]) {
    let path = connection.stats().path;
    let least = rtts.iter().copied().fold(f64::MAX, f64::min);
    let most = rtts.iter().copied().fold(0.0, f64::max);
    let mean = rtts.iter().sum::<f64>() / rtts.len().max(1) as f64;
    println!(
        "{control:6} {seconds:6.2} s, {:6.2} Mbit/s; {:5} of {:6} packets lost ({:5.2} %); \
         queue mean {:5.1} ms, most {:5.1} ms",
        bytes as f64 * 8e-6 / seconds,
        path.lost_packets,
        path.sent_packets,
        path.lost_packets as f64 / path.sent_packets.max(1) as f64 * 100.0,
        mean - least,
        most - least,
    );
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// Takes everybody for the server: nothing is protected here.
#[derive(Debug)]
struct Anybody;

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
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}
