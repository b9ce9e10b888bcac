//! The carrier over a WebSocket, for places that block UDP (PROTOCOL 1).

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::ClientRequestBuilder;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::http::Uri;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use medrelay_core::transfer::{SUBPROTOCOL, WEBSOCKET_PATH};

use crate::carrier::{self, Carrier};
use crate::error::CarrierError;

mod backlog;
pub(crate) mod line;
pub mod mux;
pub mod piece;
mod receiving;
mod sending;
mod socket;
mod waiters;

pub use mux::Side;

/// Makes a carrier of a WebSocket and starts the task that owns it; to be called within a runtime.
/// The WebSocket must have been made with [`config`].
pub fn over<S>(stream: WebSocketStream<S>, side: Side, remote: SocketAddr) -> Carrier
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    start(stream, side, side == Side::Gateway, remote)
}

fn start<S>(stream: WebSocketStream<S>, side: Side, pings: bool, remote: SocketAddr) -> Carrier
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let line = Arc::new(line::Line::new(side, remote));
    tokio::spawn(socket::run(stream, pings, Arc::clone(&line)));
    Carrier::new(carrier::Line::WebSocket(line))
}

/// Asks for `GET /link` on `io` (TLS is the caller's) and makes a carrier of the answer. `host` is
/// the name or address, with port if it is not 443.
///
/// # Errors
/// When the other side does not answer within ten seconds, or otherwise than with the subprotocol.
pub async fn connect<S>(io: S, host: &str, remote: SocketAddr) -> Result<Carrier, CarrierError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let uri = format!("wss://{host}{WEBSOCKET_PATH}")
        .parse::<Uri>()
        .map_err(|error| CarrierError::Lost(format!("no address to connect to: {error}")))?;
    let request = ClientRequestBuilder::new(uri).with_sub_protocol(SUBPROTOCOL);
    let handshake = client_async_with_config(request, io, Some(config()));
    match timeout(HANDSHAKE, handshake).await {
        Err(_) => Err(CarrierError::TimedOut),
        Ok(Err(error)) => Err(CarrierError::Lost(error.to_string())),
        Ok(Ok((stream, _))) => Ok(over(stream, Side::Gateway, remote)),
    }
}

/// Makes a carrier of a connection whose upgrade the HTTP server has answered.
pub async fn accept<S>(io: S, remote: SocketAddr) -> Carrier
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let stream = WebSocketStream::from_raw_socket(io, Role::Server, Some(config())).await;
    over(stream, Side::Relay, remote)
}

/// As [`accept`], for a browser: its scripts cannot ping, but it answers pings by itself, so this
/// side does it.
pub async fn accept_browser<S>(io: S, remote: SocketAddr) -> Carrier
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let stream = WebSocketStream::from_raw_socket(io, Role::Server, Some(config())).await;
    start(stream, Side::Relay, true, remote)
}

/// `Sec-WebSocket-Accept` for a request's `Sec-WebSocket-Key` (RFC 6455, 4.2.2).
pub fn accept_key(key: &str) -> String {
    derive_accept_key(key.as_bytes())
}

/// Limits of the WebSocket: a message is a piece, and no more than one waits to be written.
pub fn config() -> WebSocketConfig {
    let piece = piece::HEADER_BYTES + piece::PAYLOAD_BYTES;
    WebSocketConfig::default()
        .read_buffer_size(32 * 1024)
        .write_buffer_size(0)
        .max_write_buffer_size(64 * 1024)
        .max_message_size(Some(piece))
        .max_frame_size(Some(piece))
}

/// Keeps what the kernel has not yet sent below 64 KiB, so that an urgent piece waits for no more
/// than that, and sends small pieces at once.
///
/// # Errors
/// When the system refuses.
pub fn small_send_buffer(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    socket2::SockRef::from(stream).set_tcp_notsent_lowat(NOT_SENT_BYTES)?;
    Ok(())
}

/// Bytes that the kernel may hold unsent.
#[cfg(any(target_os = "linux", target_os = "android"))]
const NOT_SENT_BYTES: u32 = 64 * 1024;
/// How long the answer to the upgrade may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
