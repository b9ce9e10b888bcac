//! The task that owns a WebSocket: it alone reads it and writes it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::poll_fn;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode as Status;
use tokio_tungstenite::tungstenite::{Bytes, Error, Message, Utf8Bytes};

use medrelay_core::transfer::{CloseCode, Violation};

use super::line::Line;
use super::mux::Outbound;
use crate::error::CarrierError;

/// Runs a connection to its end; `pings` says that this side looks whether the other still answers.
pub(super) async fn run<S>(stream: WebSocketStream<S>, pings: bool, line: Arc<Line>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut sink, mut source) = stream.split();
    let reason = tokio::select! {
        reason = read(&mut source, &line) => reason,
        reason = write(&mut sink, &line) => reason,
        reason = watch(pings, &line) => reason,
        // A handle found that the other side broke the protocol.
        reason = line.closed() => reason,
    };
    line.end(reason.clone());
    // The handles know already; what follows is courtesy, and it has an end.
    let courtesy = timeout(FAREWELL, farewell(&mut sink, &mut source, &reason));
    if courtesy.await.is_err() {
        tracing::debug!("the other side did not answer the end of its WebSocket");
    }
}

/// Reads pieces as long as there is room for them.
async fn read<S>(source: &mut SplitStream<WebSocketStream<S>>, line: &Line) -> CarrierError
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        poll_fn(|cx| line.mux().poll_room(cx)).await;
        // Silence counts only while somebody listens.
        line.traffic().heard = Instant::now();
        let received = match source.next().await {
            None => return CarrierError::Lost("it ended without a farewell".into()),
            Some(Err(error)) => return lost(&error),
            Some(Ok(message)) => message,
        };
        if let Err(reason) = take(received, line) {
            return reason;
        }
    }
}

fn take(received: Message, line: &Line) -> Result<(), CarrierError> {
    let now = Instant::now();
    match received {
        Message::Binary(bytes) => {
            line.traffic().received_bytes += bytes.len() as u64;
            line.mux().take(bytes)?;
            Ok(())
        }
        Message::Pong(_) => {
            let mut traffic = line.traffic();
            if let Some(pinged) = traffic.pinged.take() {
                traffic.rtt = now.duration_since(pinged);
            }
            Ok(())
        }
        // The library answers it.
        Message::Ping(_) => Ok(()),
        Message::Close(frame) => Err(closed(frame)),
        Message::Text(_) | Message::Frame(_) => {
            Err(Violation("a message of the WebSocket is not binary").into())
        }
    }
}

/// Writes one piece after the other; the next is chosen when the socket has taken the last.
async fn write<S>(sink: &mut SplitSink<WebSocketStream<S>, Message>, line: &Line) -> CarrierError
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        let outbound = poll_fn(|cx| line.mux().poll_next(cx)).await;
        let message = match outbound {
            Outbound::Message(bytes) => {
                line.traffic().sent_bytes += bytes.len() as u64;
                Message::Binary(bytes)
            }
            Outbound::Ping => {
                line.traffic().pinged.get_or_insert_with(Instant::now);
                Message::Ping(Bytes::new())
            }
            Outbound::Farewell(code, detail) => return CarrierError::closed_with(code, &detail),
        };
        if let Err(error) = sink.send(message).await {
            return lost(&error);
        }
    }
}

/// Ends a silent connection, and one that cannot be left in good order. Pings.
async fn watch(pings: bool, line: &Line) -> CarrierError {
    let mut ping = interval_at(Instant::now(), PING);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut closing = std::pin::pin!(async {
        poll_fn(|cx| line.mux().poll_closing(cx)).await;
        tokio::time::sleep(FAREWELL).await;
    });
    loop {
        let silent_at = line.traffic().heard + SILENCE;
        if Instant::now() >= silent_at && !line.mux().is_full() {
            return CarrierError::TimedOut;
        }
        let wake_at = silent_at.max(Instant::now() + CHECK);
        tokio::select! {
            () = sleep_until(wake_at) => {}
            _ = ping.tick(), if pings => line.mux().ping(),
            () = &mut closing => {
                return CarrierError::Lost("it could not be closed in good order".into());
            }
        }
    }
}

/// Says why, and waits for the answer.
async fn farewell<S>(
    sink: &mut SplitSink<WebSocketStream<S>, Message>,
    source: &mut SplitStream<WebSocketStream<S>>,
    reason: &CarrierError,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (code, detail) = match reason {
        CarrierError::Lost(_) => return,
        CarrierError::Closed { code, detail } => {
            (code.unwrap_or(CloseCode::Done as u8), detail.clone())
        }
        CarrierError::TimedOut => (CloseCode::Idle as u8, String::new()),
        CarrierError::Violation(violation) => (CloseCode::Violation as u8, violation.0.to_owned()),
    };
    let frame = CloseFrame {
        code: Status::from(STATUS_BASE + u16::from(code)),
        reason: Utf8Bytes::from(shortened(detail)),
    };
    // Refused when the other side closed first; its own frame is answered below then.
    let said = sink.send(Message::Close(Some(frame))).await;
    tracing::trace!(said = said.is_ok(), "WebSocket closed");
    while let Some(Ok(_)) = source.next().await {}
}

/// What the other side's closing frame means.
fn closed(frame: Option<CloseFrame>) -> CarrierError {
    let Some(frame) = frame else {
        return CarrierError::Closed { code: None, detail: String::new() };
    };
    let code = u16::from(frame.code).checked_sub(STATUS_BASE).and_then(|n| u8::try_from(n).ok());
    CarrierError::Closed { code, detail: frame.reason.to_string() }
}

fn lost(error: &Error) -> CarrierError {
    match error {
        Error::Capacity(_) => Violation("a message of the WebSocket is too long").into(),
        Error::Utf8(_) => Violation("a message of the WebSocket is not binary").into(),
        other => CarrierError::Lost(other.to_string()),
    }
}

/// A closing frame has room for 123 bytes.
fn shortened(mut detail: String) -> String {
    let mut end = detail.len().min(REASON_BYTES);
    while !detail.is_char_boundary(end) {
        end -= 1;
    }
    detail.truncate(end);
    detail
}

/// How often the side that pings does.
const PING: Duration = Duration::from_secs(15);
/// Silence that ends a connection.
const SILENCE: Duration = Duration::from_secs(45);
/// How often it is looked at when it is due but nobody listens.
const CHECK: Duration = Duration::from_secs(1);
/// How long a connection may take to end.
const FAREWELL: Duration = Duration::from_secs(2);
/// Status of the WebSocket for the protocol's code 0; the others follow (RFC 6455, 7.4.2).
const STATUS_BASE: u16 = 4000;
/// Bytes of a closing frame's reason.
const REASON_BYTES: usize = 123;
