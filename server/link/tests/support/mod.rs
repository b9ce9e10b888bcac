//! Pairs of carriers over every kind of line, and lines that are slow or go dead.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::time::{Instant, sleep_until};

use medrelay_core::time::Timestamp;
use medrelay_core::transfer::{Message, SERVER_NAME, StreamHeader};
use medrelay_link::{Carrier, quic, websocket};

/// Two ends of a connection, and what must live as long.
pub struct Pair {
    pub gateway: Carrier,
    pub relay: Carrier,
    pub quic: Option<(quinn::Endpoint, quinn::Endpoint)>,
}

/// A clinic's authority with one certificate for each end.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    root: CertificateDer<'static>,
}

impl Authority {
    pub fn new() -> Result<Self> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "authority");
        let key = KeyPair::generate()?;
        let root = params.self_signed(&key)?.der().clone();
        Ok(Self { issuer: Issuer::new(params, key), root })
    }

    pub fn server(&self) -> Result<ServerConfig> {
        let (chain, key) = self.certify(SERVER_NAME, ExtendedKeyUsagePurpose::ServerAuth)?;
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(self.roots()?), provider())
                .build()?;
        Ok(ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)?)
    }

    pub fn client(&self) -> Result<ClientConfig> {
        let (chain, key) = self.certify("gateway", ExtendedKeyUsagePurpose::ClientAuth)?;
        Ok(ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(self.roots()?)
            .with_client_auth_cert(chain, key)?)
    }

    /// Trusts the relay and shows nothing.
    pub fn stranger(&self) -> Result<ClientConfig> {
        Ok(ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(self.roots()?)
            .with_no_client_auth())
    }

    fn roots(&self) -> Result<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(self.root.clone())?;
        Ok(roots)
    }

    fn certify(
        &self,
        name: &str,
        usage: ExtendedKeyUsagePurpose,
    ) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(vec![name.to_owned()])?;
        params.extended_key_usages = vec![usage];
        let certificate = params.signed_by(&key, &self.issuer)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        Ok((vec![certificate.der().clone()], key))
    }
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

pub fn localhost() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

pub fn hello() -> Message {
    Message::Hello {
        versions: vec![1],
        software: "test".into(),
        clock: Timestamp::from_micros(1_700_000_000_000_000),
    }
}

/// A header with two numbers to tell streams apart.
pub fn header(study: u32, index: u32) -> StreamHeader {
    StreamHeader::Instance { study, index, offset: 0, pack_bytes: 1, pack: [7; 32] }
}

/// QUIC over loopback, through `via` if given.
pub async fn quic_through(line: Option<&Impairment>) -> Result<Pair> {
    let authority = Authority::new()?;
    let server = quic::server(localhost(), authority.server()?)?;
    let client = quic::client(localhost(), authority.client()?)?;
    let addr = match line {
        None => server.local_addr()?,
        Some(line) => line.udp(server.local_addr()?).await?,
    };
    let admission = quic::Admission::default();
    let accepting = async {
        let attempt = admission.next(&server).await.context("the endpoint is closed")?;
        let relay = attempt.accept().await?;
        assert_eq!(relay.receive().await?, Some(hello()));
        anyhow::Ok(relay)
    };
    let connecting = async {
        let gateway = quic::connect(&client, addr).await?;
        gateway.send(&hello()).await?;
        anyhow::Ok(gateway)
    };
    let (relay, gateway) = tokio::try_join!(accepting, connecting)?;
    Ok(Pair { gateway, relay, quic: Some((client, server)) })
}

pub async fn quic() -> Result<Pair> {
    quic_through(None).await
}

/// WebSocket over an in-memory pipe.
pub async fn pipe() -> Result<Pair> {
    let (near, far) = duplex(64 * 1024);
    websocket_over(near, far).await
}

/// WebSocket over TCP on loopback.
pub async fn tcp() -> Result<Pair> {
    let listener = TcpListener::bind(localhost()).await?;
    let near = TcpStream::connect(listener.local_addr()?).await?;
    let (far, _) = listener.accept().await?;
    websocket::small_send_buffer(&near)?;
    websocket::small_send_buffer(&far)?;
    websocket_over(near, far).await
}

pub async fn websocket_over<A, B>(near: A, far: B) -> Result<Pair>
where
    A: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    B: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (gateway, relay) = tokio::try_join!(
        async { anyhow::Ok(websocket::connect(near, "link.medrelay", localhost()).await?) },
        upgrade(far),
    )?;
    gateway.send(&hello()).await?;
    assert_eq!(relay.receive().await?, Some(hello()));
    Ok(Pair { gateway, relay, quic: None })
}

/// What the relay's HTTP server does.
pub async fn upgrade<S>(mut io: S) -> Result<Carrier>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(io.read_u8().await?);
    }
    let request = String::from_utf8(request)?;
    anyhow::ensure!(request.starts_with("GET /link HTTP/1.1\r\n"), "{request}");
    let field = |name: &str| {
        request.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then(|| value.to_owned())
        })
    };
    anyhow::ensure!(field("Host").as_deref() == Some("link.medrelay"), "{request}");
    anyhow::ensure!(field("Sec-WebSocket-Protocol").as_deref() == Some("medrelay.1"));
    let key = field("Sec-WebSocket-Key").context("no key")?;
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\nSec-WebSocket-Protocol: medrelay.1\r\n\r\n",
        websocket::accept_key(&key)
    );
    io.write_all(answer.as_bytes()).await?;
    Ok(websocket::accept(io, localhost()).await)
}

/// A line of so many bytes a second each way, that can go dead.
#[derive(Clone)]
pub struct Impairment {
    bytes_per_second: u64,
    dead: Arc<AtomicBool>,
}

impl Impairment {
    pub fn of(bytes_per_second: u64) -> Self {
        Self { bytes_per_second, dead: Arc::new(AtomicBool::new(false)) }
    }

    pub fn die(&self) {
        self.dead.store(true, Ordering::SeqCst);
    }

    pub fn revive(&self) {
        self.dead.store(false, Ordering::SeqCst);
    }

    /// A pipe; its ends.
    pub fn pipe(&self) -> (DuplexStream, DuplexStream) {
        let (near, near_inner) = duplex(64 * 1024);
        let (far, far_inner) = duplex(64 * 1024);
        let (near_read, near_write) = tokio::io::split(near_inner);
        let (far_read, far_write) = tokio::io::split(far_inner);
        tokio::spawn(self.clone().pump(near_read, far_write));
        tokio::spawn(self.clone().pump(far_read, near_write));
        (near, far)
    }

    async fn pump<R, W>(self, mut from: R, mut to: W)
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let mut buffer = [0; 2048];
        let mut due = Instant::now();
        while let Ok(count @ 1..) = from.read(&mut buffer).await {
            due = due.max(Instant::now()) + self.time(count);
            sleep_until(due).await;
            if self.dead.load(Ordering::SeqCst) {
                std::future::pending::<()>().await;
            }
            if to.write_all(&buffer[..count]).await.is_err() {
                return;
            }
        }
    }

    /// A proxy before a UDP address: 64 KiB of queue each way, what does not fit is lost.
    pub async fn udp(&self, server: SocketAddr) -> Result<SocketAddr> {
        let outside = Arc::new(UdpSocket::bind(localhost()).await?);
        let inside = Arc::new(UdpSocket::bind(localhost()).await?);
        inside.connect(server).await?;
        let addr = outside.local_addr()?;
        let (client_known, client) = tokio::sync::watch::channel(None);
        let line = self.clone();
        let (up_from, up_to) = (Arc::clone(&outside), Arc::clone(&inside));
        tokio::spawn(async move {
            let queue = line.queue(move |packet| {
                let socket = Arc::clone(&up_to);
                async move { drop(socket.send(&packet).await) }
            });
            let mut buffer = vec![0; 65_536];
            while let Ok((count, from)) = up_from.recv_from(&mut buffer).await {
                client_known.send_replace(Some(from));
                line.enqueue(&queue, &buffer[..count]);
            }
        });
        let line = self.clone();
        tokio::spawn(async move {
            let queue = line.queue(move |packet| {
                let (socket, to) = (Arc::clone(&outside), *client.borrow());
                async move {
                    if let Some(to) = to {
                        drop(socket.send_to(&packet, to).await);
                    }
                }
            });
            let mut buffer = vec![0; 65_536];
            while let Ok(count) = inside.recv(&mut buffer).await {
                line.enqueue(&queue, &buffer[..count]);
            }
        });
        Ok(addr)
    }

    fn enqueue(
        &self,
        queue: &(tokio::sync::mpsc::UnboundedSender<Bytes>, Arc<AtomicU64>),
        packet: &[u8],
    ) {
        let held = queue.1.load(Ordering::SeqCst);
        if self.dead.load(Ordering::SeqCst) || held + packet.len() as u64 > 64 * 1024 {
            return;
        }
        queue.1.fetch_add(packet.len() as u64, Ordering::SeqCst);
        drop(queue.0.send(Bytes::copy_from_slice(packet)));
    }

    fn queue<F, Fut>(
        &self,
        deliver: F,
    ) -> (tokio::sync::mpsc::UnboundedSender<Bytes>, Arc<AtomicU64>)
    where
        F: Fn(Bytes) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send,
    {
        let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel::<Bytes>();
        let held = Arc::new(AtomicU64::new(0));
        let (line, level) = (self.clone(), Arc::clone(&held));
        tokio::spawn(async move {
            let mut due = Instant::now();
            while let Some(packet) = receiver.recv().await {
                due = due.max(Instant::now()) + line.time(packet.len());
                sleep_until(due).await;
                level.fetch_sub(packet.len() as u64, Ordering::SeqCst);
                deliver(packet).await;
            }
        });
        (sender, held)
    }

    fn time(&self, bytes: usize) -> Duration {
        Duration::from_nanos(bytes as u64 * 1_000_000_000 / self.bytes_per_second)
    }
}

/// A small generator (xorshift*), so that every run sees the same numbers.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    pub fn bytes(&mut self, count: usize) -> Bytes {
        (0..count).map(|_| (self.next() >> 24) as u8).collect()
    }
}

/// Everything of a stream.
pub async fn read_whole(
    stream: &mut medrelay_link::Incoming,
) -> Result<Vec<u8>, medrelay_link::StreamError> {
    let mut whole = Vec::new();
    while let Some(bytes) = stream.read().await? {
        assert!(bytes.len() <= 64 * 1024, "a read is at most 64 KiB");
        whole.extend_from_slice(&bytes);
    }
    Ok(whole)
}
