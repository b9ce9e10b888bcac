//! From an address to a carrier: every address of the relay, QUIC first and the WebSocket beside it,
//! one attempt after the other until one is through.
//!
//! An attempt costs a packet or two, so while nothing answers and something waits, a new one is made
//! every half second: the line's return is noticed within that, whatever timers the old attempts have
//! backed off to. Where somebody answers and refuses, the attempts back off to 5 s.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use medrelay_core::transfer::SERVER_NAME;
use medrelay_link::{Carrier, CarrierError, quic, websocket};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use thiserror::Error;
use tokio::net::{TcpStream, UdpSocket, lookup_host};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_rustls::TlsConnector;

use super::ambient::Ambient;
use super::identity::{Identity, RelayFacts, with_port};

/// A connection that is through, not greeted yet.
#[derive(Debug)]
pub(super) struct Dialed {
    pub carrier: Carrier,
    /// The UDP socket beneath, for moving it to another address.
    pub endpoint: Option<quinn::Endpoint>,
}

/// Why a single attempt failed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DialError {
    /// The relay's name does not resolve: check name resolution, or join by address.
    #[error("the relay's name does not resolve")]
    Name,
    /// Nobody answered in time: the line, the relay or a firewall.
    #[error("nobody answers")]
    Silence,
    /// The network refuses: no route, no address, port closed.
    #[error("the network refuses: {0}")]
    Network(String),
    /// Whoever answers is not our relay, or does not take us.
    #[error("the relay was reached and the connection refused: {0}")]
    Refused(String),
}

impl DialError {
    /// Whether somebody answered: then it does not help to ask at once again.
    fn was_answered(&self) -> bool {
        matches!(self, Self::Refused(_))
    }
}

/// Which carriers to try, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Manner {
    /// After which time the WebSocket is tried beside QUIC; `None` is never.
    pub websocket_after: Option<Duration>,
    /// Whether something waits: then silence does not slow the attempts down.
    pub eager: bool,
    /// When to give up for this time.
    pub within: Duration,
}

/// The first connection of a gateway, and any after a connection ended (PROTOCOL 1).
pub(super) const AFRESH: Manner = Manner {
    websocket_after: Some(Duration::from_millis(1_500)),
    eager: true,
    within: Duration::from_secs(15),
};
/// Beside a connection that has gone silent.
pub(super) const BESIDE_SILENCE: Manner =
    Manner { websocket_after: Some(Duration::from_millis(1_000)), ..AFRESH };
/// Beside a WebSocket that works.
pub(super) const BACK_TO_QUIC: Manner =
    Manner { websocket_after: None, eager: false, within: Duration::from_secs(4) };

/// Tries until a connection is through.
///
/// # Errors
/// What the last attempt met, when `manner.within` is over.
pub(super) async fn dial(
    identity: &Identity,
    ambient: &Ambient,
    book: &Book,
    manner: Manner,
) -> Result<Dialed, DialError> {
    let addresses = book.addresses(identity.relay()).await?;
    let mut race = Race::new(identity, ambient, &addresses)?;
    let began = Instant::now();
    let mut next_quic = began;
    let mut next_websocket = manner.websocket_after.map(|after| began + after);
    let mut held: Option<(Dialed, Instant)> = None;
    let mut last = DialError::Silence;
    loop {
        let wake = [Some(next_quic), next_websocket, held.as_ref().map(|(_, until)| *until)];
        let wake = wake.into_iter().flatten().min().unwrap_or(next_quic);
        let event = tokio::select! {
            ended = race.next() => Event::Ended(ended),
            () = sleep_until(wake.min(began + manner.within)) => Event::Time(Instant::now()),
        };
        match event {
            Event::Ended(Ok(dialed)) if dialed.endpoint.is_some() => return Ok(dialed),
            // QUIC may be a moment behind on its way back from an outage.
            Event::Ended(Ok(dialed)) => held = Some((dialed, Instant::now() + GRACE)),
            Event::Ended(Err(error)) => last = error,
            Event::Time(now) if now >= began + manner.within => return Err(last),
            Event::Time(now) => {
                if held.as_ref().is_some_and(|(_, until)| *until <= now)
                    && let Some((dialed, _)) = held.take()
                {
                    return Ok(dialed);
                }
                if next_quic <= now {
                    race.quic();
                    next_quic = now + race.gap(manner.eager, last.was_answered(), ambient);
                }
                if next_websocket.is_some_and(|next| next <= now) {
                    race.websocket();
                    next_websocket = Some(now + WEBSOCKET_GAP);
                }
            }
        }
    }
}

/// What a race waits for.
enum Event {
    Ended(Result<Dialed, DialError>),
    Time(Instant),
}

/// Attempts that run beside each other; dropping it ends them.
struct Race<'a> {
    addresses: &'a [SocketAddr],
    ports: (u16, u16),
    udp: [Option<quinn::Endpoint>; 2],
    https: Arc<ClientConfig>,
    host: String,
    attempts: JoinSet<Result<Dialed, DialError>>,
    quic_tries: usize,
    websocket_tries: usize,
}

impl<'a> Race<'a> {
    fn new(
        identity: &Identity,
        ambient: &Ambient,
        addresses: &'a [SocketAddr],
    ) -> Result<Self, DialError> {
        let refused = |error: rustls::Error| DialError::Refused(error.to_string());
        let tls = identity.quic(ambient).map_err(refused)?;
        let relay = identity.relay();
        let bound = |v6: bool| {
            let wanted = addresses.iter().any(|address| address.is_ipv6() == v6);
            wanted.then(|| quic::client(any_address(v6), tls.clone()).ok()).flatten()
        };
        Ok(Self {
            addresses,
            ports: (relay.udp_port, relay.tcp_port),
            udp: [bound(false), bound(true)],
            https: Arc::new(identity.https(ambient).map_err(refused)?),
            host: relay.http_host(),
            attempts: JoinSet::new(),
            quic_tries: 0,
            websocket_tries: 0,
        })
    }

    /// The next attempt that ends; never, while there is none.
    async fn next(&mut self) -> Result<Dialed, DialError> {
        match self.attempts.join_next().await {
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(DialError::Silence),
            None => std::future::pending().await,
        }
    }

    fn quic(&mut self) {
        let address =
            with_port(self.addresses[self.quic_tries % self.addresses.len()], self.ports.0);
        self.quic_tries += 1;
        let endpoint = self.udp[usize::from(address.is_ipv6())].clone();
        self.attempts.spawn(async move {
            let Some(endpoint) = endpoint else {
                return Err(DialError::Network("no UDP socket".to_owned()));
            };
            let connecting = timeout(QUIC_ATTEMPT, quic::connect(&endpoint, address)).await;
            let carrier = connecting.map_err(|_| DialError::Silence)?.map_err(judge)?;
            Ok(Dialed { carrier, endpoint: Some(endpoint) })
        });
    }

    fn websocket(&mut self) {
        let at = self.websocket_tries % self.addresses.len();
        let address = with_port(self.addresses[at], self.ports.1);
        self.websocket_tries += 1;
        let (tls, host) = (self.https.clone(), self.host.clone());
        self.attempts.spawn(async move {
            let connecting = timeout(WEBSOCKET_ATTEMPT, websocket_to(address, tls, &host)).await;
            let carrier = connecting.map_err(|_| DialError::Silence)??;
            Ok(Dialed { carrier, endpoint: None })
        });
    }

    /// How long to wait before the next attempt by QUIC.
    fn gap(&self, eager: bool, answered: bool, ambient: &Ambient) -> Duration {
        // Every address gets its first attempt soon.
        if self.quic_tries < self.addresses.len() {
            return FIRST_GAP;
        }
        let most = if eager && !answered { EAGER_GAP } else { LONGEST_GAP };
        let rounds = u32::try_from(self.quic_tries.min(10)).unwrap_or(10);
        ambient.jittered((FIRST_GAP * 2u32.pow(rounds - 1)).min(most))
    }
}

/// One WebSocket, from SYN to upgrade.
pub(super) async fn websocket_to(
    address: SocketAddr,
    tls: Arc<ClientConfig>,
    host: &str,
) -> Result<Carrier, DialError> {
    let network = |error: std::io::Error| DialError::Network(error.kind().to_string());
    let tcp = TcpStream::connect(address).await.map_err(network)?;
    websocket::small_send_buffer(&tcp).map_err(network)?;
    let name =
        ServerName::try_from(SERVER_NAME).map_err(|error| DialError::Refused(error.to_string()))?;
    let tls = TlsConnector::from(tls).connect(name, tcp).await;
    // A certificate that is wrong is an answer; a connection that breaks off is none.
    let tls = tls.map_err(|error| match error.kind() {
        std::io::ErrorKind::InvalidData => DialError::Refused(error.to_string()),
        _ => network(error),
    })?;
    websocket::connect(tls, host, address).await.map_err(judge)
}

/// The addresses that were found last: when the line is down, names do not resolve either.
#[derive(Debug, Default)]
pub(super) struct Book(Mutex<Option<(Vec<SocketAddr>, Instant)>>);

impl Book {
    /// The relay's addresses; asked for again after a while, and kept when nobody answers.
    pub async fn addresses(&self, relay: &RelayFacts) -> Result<Vec<SocketAddr>, DialError> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let patience = match &known {
            Some((addresses, found)) if found.elapsed() < FRESH => return Ok(addresses.clone()),
            Some(_) => PATIENCE,
            None => RESOLVE,
        };
        let found = timeout(patience, resolve(relay)).await.unwrap_or(Err(DialError::Name));
        match (found, known) {
            (Ok(found), _) => {
                let noted = Some((found.clone(), Instant::now()));
                *self.0.lock().unwrap_or_else(PoisonError::into_inner) = noted;
                Ok(found)
            }
            (Err(_), Some((addresses, _))) => Ok(addresses),
            (Err(error), None) => Err(error),
        }
    }
}

/// Every address that the relay's name has, in the resolver's order.
pub(super) async fn resolve(relay: &RelayFacts) -> Result<Vec<SocketAddr>, DialError> {
    let found = lookup_host((relay.host.as_str(), relay.udp_port)).await;
    let found: Vec<SocketAddr> = found.map_err(|_| DialError::Name)?.collect();
    if found.is_empty() { Err(DialError::Name) } else { Ok(found) }
}

fn judge(error: CarrierError) -> DialError {
    match error {
        CarrierError::TimedOut => DialError::Silence,
        other => DialError::Refused(other.to_string()),
    }
}

pub(super) fn any_address(v6: bool) -> SocketAddr {
    let ip = if v6 { IpAddr::V6(Ipv6Addr::UNSPECIFIED) } else { IpAddr::V4(Ipv4Addr::UNSPECIFIED) };
    SocketAddr::new(ip, 0)
}

/// Watches by which of our addresses the relay is reached: a connected UDP socket tells, and sends
/// nothing.
#[derive(Debug)]
pub(super) struct Path {
    target: SocketAddr,
    local: Option<IpAddr>,
    next: Instant,
}

impl Path {
    /// The path to `target` as it is now.
    pub async fn to(target: SocketAddr) -> Self {
        let next = Instant::now() + PATH_POLL;
        Self { target, local: local_address(target).await, next }
    }

    /// Ends when our address has become another one (and there is one). Given up half way, nothing
    /// is lost.
    pub async fn changed(&mut self) {
        loop {
            sleep_until(self.next).await;
            self.next = Instant::now() + PATH_POLL;
            let local = local_address(self.target).await;
            if local.is_some() && local != self.local {
                self.local = local;
                return;
            }
        }
    }
}

async fn local_address(target: SocketAddr) -> Option<IpAddr> {
    let socket = UdpSocket::bind(any_address(target.is_ipv6())).await.ok()?;
    socket.connect(target).await.ok()?;
    socket.local_addr().ok().map(|address| address.ip())
}

pub(super) const FIRST_GAP: Duration = Duration::from_millis(100);
const EAGER_GAP: Duration = Duration::from_millis(500);
pub(super) const LONGEST_GAP: Duration = Duration::from_secs(5);
const WEBSOCKET_GAP: Duration = Duration::from_secs(2);
const GRACE: Duration = Duration::from_millis(250);
/// A handshake of QUIC takes one round trip; a lost packet of it is sent again after a second.
const QUIC_ATTEMPT: Duration = Duration::from_secs(4);
const WEBSOCKET_ATTEMPT: Duration = Duration::from_secs(8);
const RESOLVE: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_millis(500);
const FRESH: Duration = Duration::from_secs(30);
const PATH_POLL: Duration = Duration::from_secs(2);
