//! The carrier over QUIC (PROTOCOL 1).

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use quinn::congestion::ControllerFactory;
use quinn::crypto::rustls::{NoInitialCipherSuite, QuicClientConfig, QuicServerConfig};
use quinn::{
    AckFrequencyConfig, ClientConfig, ConnectError, Endpoint, EndpointConfig, IdleTimeout,
    MtuDiscoveryConfig, ServerConfig, StdSystemTime, TimeSource as _, TokioRuntime,
    TransportConfig, VarInt,
};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use medrelay_core::congestion::Settings;
use medrelay_core::time::Timestamp;
use medrelay_core::transfer::{ALPN, SERVER_NAME};

use crate::carrier::{self, Carrier};
use crate::controller::LinkCongestion;
use crate::error::CarrierError;

pub(crate) mod line;
mod pulse;
mod window;

/// Why there is no endpoint.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// The address cannot be had.
    #[error("the UDP socket could not be opened: {0}")]
    Socket(#[from] io::Error),
    /// The TLS settings do not offer what QUIC begins with.
    #[error("the TLS settings are not fit for QUIC: {0}")]
    Tls(#[from] NoInitialCipherSuite),
}

/// The relay's endpoint. `tls` holds the relay's certificate and demands one of the gateways;
/// ALPN is set here, early data is switched off.
///
/// # Errors
/// When the address cannot be had or `tls` does not offer TLS 1.3 with AES-128.
pub fn server(bind: SocketAddr, mut tls: rustls::ServerConfig) -> Result<Endpoint, EndpointError> {
    let config = server_config(&mut tls)?;
    let socket = socket(bind)?;
    let runtime = Arc::new(TokioRuntime);
    Ok(Endpoint::new(EndpointConfig::default(), Some(config), socket, runtime)?)
}

/// Replaces the certificate for connections to come.
///
/// # Errors
/// When `tls` does not offer TLS 1.3 with AES-128.
pub fn replace(endpoint: &Endpoint, mut tls: rustls::ServerConfig) -> Result<(), EndpointError> {
    endpoint.set_server_config(Some(server_config(&mut tls)?));
    Ok(())
}

/// A gateway's endpoint. `tls` trusts the relay's authority only and holds the gateway's
/// certificate; ALPN is set here, early data is switched off.
///
/// # Errors
/// When the address cannot be had or `tls` does not offer TLS 1.3 with AES-128.
pub fn client(bind: SocketAddr, tls: rustls::ClientConfig) -> Result<Endpoint, EndpointError> {
    let runtime = Arc::new(TokioRuntime);
    let mut endpoint = Endpoint::new(EndpointConfig::default(), None, socket(bind)?, runtime)?;
    trust(&mut endpoint, tls)?;
    Ok(endpoint)
}

/// Replaces what a gateway's endpoint trusts and shows, for connections to come.
///
/// # Errors
/// When `tls` does not offer TLS 1.3 with AES-128.
pub fn trust(endpoint: &mut Endpoint, mut tls: rustls::ClientConfig) -> Result<(), EndpointError> {
    tls.alpn_protocols = vec![ALPN.to_vec()];
    tls.enable_early_data = false;
    let mut config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls)?));
    config.transport_config(Arc::new(transport(0)));
    endpoint.set_default_client_config(config);
    Ok(())
}

/// Connects a gateway.
///
/// # Errors
/// When the handshake fails or takes longer than ten seconds.
pub async fn connect(endpoint: &Endpoint, addr: SocketAddr) -> Result<Carrier, CarrierError> {
    let connecting = endpoint.connect(addr, SERVER_NAME).map_err(|error| match error {
        ConnectError::EndpointStopping => CarrierError::Lost("this side stops".into()),
        other => CarrierError::Lost(other.to_string()),
    })?;
    let handshake = async {
        let connection = connecting.await.map_err(|error| line::reason(&error))?;
        let control = connection.open_bi().await.map_err(|error| line::reason(&error))?;
        Ok::<_, CarrierError>(line::Line::new(connection, control, Some(endpoint.clone())))
    };
    let line = timeout(GREETING, handshake).await.map_err(|_| CarrierError::TimedOut)??;
    Ok(Carrier::new(carrier::Line::Quic(Arc::new(line))))
}

/// Finishes the relay's side of a handshake and waits for the beginning of the control channel.
///
/// # Errors
/// When the handshake fails, as without a certificate of ours, or when all that takes longer than
/// ten seconds.
pub async fn accept(incoming: quinn::Incoming) -> Result<Carrier, CarrierError> {
    let handshake = async {
        let connection = incoming.await.map_err(|error| line::reason(&error))?;
        let control = connection.accept_bi().await.map_err(|error| line::reason(&error))?;
        Ok::<_, CarrierError>(line::Line::new(connection, control, None))
    };
    let line = timeout(GREETING, handshake).await.map_err(|_| CarrierError::TimedOut)??;
    Ok(Carrier::new(carrier::Line::Quic(Arc::new(line))))
}

/// Limits how many handshakes run at once, and makes strangers prove their address (Retry) once
/// half of them do.
#[derive(Debug, Clone)]
pub struct Admission {
    places: Arc<Semaphore>,
    handshakes: usize,
}

impl Default for Admission {
    fn default() -> Self {
        Self::new(HANDSHAKES)
    }
}

impl Admission {
    /// So many handshakes at once.
    pub fn new(handshakes: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(handshakes)), handshakes }
    }

    /// The next connection attempt that may go on; `None` when the endpoint is closed. To be
    /// called in a loop, each attempt to be finished in a task of its own.
    pub async fn next(&self, endpoint: &Endpoint) -> Option<Attempt> {
        loop {
            let incoming = endpoint.accept().await?;
            let crowded = self.places.available_permits() <= self.handshakes / 2;
            if crowded && !incoming.remote_address_validated() && incoming.may_retry() {
                if incoming.retry().is_err() {
                    tracing::debug!("a QUIC client could not be asked to prove its address");
                }
                continue;
            }
            match Arc::clone(&self.places).try_acquire_owned() {
                Ok(place) => return Some(Attempt { incoming, _place: place }),
                Err(_) => incoming.refuse(),
            }
        }
    }
}

/// A connection attempt. Dropped, it is refused.
#[derive(Debug)]
pub struct Attempt {
    incoming: quinn::Incoming,
    _place: OwnedSemaphorePermit,
}

impl Attempt {
    /// Where it comes from.
    pub fn remote(&self) -> SocketAddr {
        self.incoming.remote_address()
    }

    /// Whether it has proved that it is where it says.
    pub fn is_proved(&self) -> bool {
        self.incoming.remote_address_validated()
    }

    /// Goes through with it; see [`accept`].
    ///
    /// # Errors
    /// As [`accept`].
    pub async fn accept(self) -> Result<Carrier, CarrierError> {
        accept(self.incoming).await
    }
}

/// Moves a gateway's endpoint to a fresh socket, after the machine's addresses have changed. Its
/// connections go on from there.
///
/// # Errors
/// When no socket can be opened; the old one stays then.
pub fn rebind(endpoint: &Endpoint) -> io::Result<()> {
    let any = match endpoint.local_addr()? {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    endpoint.rebind(socket(any)?)
}

fn server_config(tls: &mut rustls::ServerConfig) -> Result<ServerConfig, EndpointError> {
    tls.alpn_protocols = vec![ALPN.to_vec()];
    tls.max_early_data_size = 0;
    let mut config = ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls.clone())?));
    config.transport_config(Arc::new(transport(1)));
    config.migration(true);
    config.max_incoming(HANDSHAKES);
    config.incoming_buffer_size(INCOMING_BYTES);
    config.incoming_buffer_size_total(INCOMING_TOTAL_BYTES);
    Ok(config)
}

/// The limits of PROTOCOL 9 and what goes with them. `controls`: bidirectional streams that the
/// other side may open.
fn transport(controls: u32) -> TransportConfig {
    let mut ack_frequency = AckFrequencyConfig::default();
    ack_frequency.ack_eliciting_threshold(VarInt::from_u32(ACK_EVERY));
    let mut config = TransportConfig::default();
    config
        .max_concurrent_bidi_streams(VarInt::from_u32(controls))
        .max_concurrent_uni_streams(VarInt::from_u32(STREAMS))
        .receive_window(VarInt::from_u32(CONNECTION_WINDOW_BYTES as u32))
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW_BYTES))
        .send_window(SEND_WINDOW_BYTES)
        .datagram_receive_buffer_size(None)
        .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(IDLE_MILLIS))))
        .keep_alive_interval(Some(KEEP_ALIVE))
        .mtu_discovery_config(Some(MtuDiscoveryConfig::default()))
        .ack_frequency_config(Some(ack_frequency))
        .enable_segmentation_offload(true)
        .congestion_controller_factory(congestion());
    config
}

/// What decides how fast to send.
fn congestion() -> Arc<dyn ControllerFactory + Send + Sync> {
    // The wall clock only makes flows that share a line look together whether it is empty; it is
    // read where the transport reads its own, and nothing else depends on it.
    let wall = StdSystemTime.now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let wall = Timestamp::from_micros(i64::try_from(wall.as_micros()).unwrap_or(0));
    let settings = Settings { window_limit: CONNECTION_WINDOW_BYTES, ..Settings::default() };
    Arc::new(LinkCongestion::new(settings, wall, Instant::now().into_std()))
}

/// A UDP socket with room for a burst, for both families where the address is of the newer one.
fn socket(bind: SocketAddr) -> io::Result<std::net::UdpSocket> {
    let socket = Socket::new(Domain::for_address(bind), Type::DGRAM, Some(Protocol::UDP))?;
    if bind.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    // As much as the system lets us have; it is no error if that is less.
    for outcome in
        [socket.set_recv_buffer_size(SOCKET_BYTES), socket.set_send_buffer_size(SOCKET_BYTES)]
    {
        if let Err(error) = outcome {
            tracing::debug!(%error, "the UDP socket keeps its small buffer");
        }
    }
    socket.set_nonblocking(true)?;
    socket.bind(&bind.into())?;
    Ok(socket.into())
}

/// Bytes on their way on a connection, in one direction.
const CONNECTION_WINDOW_BYTES: u64 = 16 << 20;
/// Bytes on their way on a stream.
const STREAM_WINDOW_BYTES: u32 = 2 << 20;
/// Bytes written that the transport holds, before the path is known; the least it ever may.
const SEND_WINDOW_BYTES: u64 = 256 * 1024;
/// One-way streams that the other side may have open.
const STREAMS: u32 = 24;
/// Packets that are acknowledged together. With seven, flows that share a line found their shares later.
const ACK_EVERY: u32 = 2;
/// Silence that ends a connection, in milliseconds.
const IDLE_MILLIS: u32 = 30_000;
/// How often a silent connection is kept alive.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// How long a handshake may take, the beginning of the greeting included.
const GREETING: Duration = Duration::from_secs(10);
/// Handshakes at once.
const HANDSHAKES: usize = 256;
/// Bytes kept of a connection attempt that nobody has answered yet.
const INCOMING_BYTES: u64 = 64 * 1024;
/// Bytes kept of all of these.
const INCOMING_TOTAL_BYTES: u64 = 8 << 20;
/// Bytes of the socket's buffers.
const SOCKET_BYTES: usize = 4 << 20;
