//! A carrier: one control channel and any number of one-way streams with priorities, over QUIC or
//! over a WebSocket. Both ends use the same type.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use rustls::pki_types::CertificateDer;
use tokio::sync::Mutex;

use medrelay_core::transfer::wire::Frames;
use medrelay_core::transfer::{CloseCode, Message, StreamHeader, Urgency, Violation};

use crate::error::{CarrierError, StreamError};
use crate::priority::Priority;
use crate::quic::line as quic;
use crate::websocket::line as websocket;

/// What a carrier runs over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// UDP.
    Quic,
    /// TCP.
    WebSocket,
}

/// What a carrier has moved so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Bytes sent: over QUIC those of all datagrams, over a WebSocket those of all pieces.
    pub sent_bytes: u64,
    /// Bytes received, likewise.
    pub received_bytes: u64,
    /// Bytes that QUIC had to send again; a WebSocket cannot know.
    pub lost_bytes: u64,
    /// Round-trip time; zero while unknown. On a WebSocket only the side that pings measures it.
    pub rtt: Duration,
}

/// A connection. Clones are the same connection; when the last of them and of its streams is
/// dropped, the connection is closed with code 0.
#[derive(Debug, Clone)]
pub struct Carrier {
    inner: Arc<Inner>,
}

impl Carrier {
    pub(crate) fn new(line: Line) -> Self {
        Self {
            inner: Arc::new(Inner {
                line,
                frames: Mutex::new(Frames::new()),
                arrivals: Mutex::new(FuturesUnordered::new()),
            }),
        }
    }

    /// What it runs over.
    pub fn kind(&self) -> Kind {
        match self.inner.line {
            Line::Quic(_) => Kind::Quic,
            Line::WebSocket(_) => Kind::WebSocket,
        }
    }

    /// The other side's address; over QUIC it may change.
    pub fn remote(&self) -> SocketAddr {
        self.inner.line.remote()
    }

    /// The certificate that the other side showed in the handshake; `None` on a WebSocket.
    pub fn peer_certificate(&self) -> Option<CertificateDer<'static>> {
        match &self.inner.line {
            Line::Quic(line) => line.peer_certificate(),
            Line::WebSocket(_) => None,
        }
    }

    /// What it has moved so far.
    pub fn stats(&self) -> Stats {
        match &self.inner.line {
            Line::Quic(line) => line.stats(),
            Line::WebSocket(line) => line.stats(),
        }
    }

    /// Queues a control message behind those sent before; it overtakes all streams. Waits while
    /// too much is queued. Given up half way, nothing was sent.
    ///
    /// # Errors
    /// When the connection is over.
    pub async fn send(&self, message: &Message) -> Result<(), CarrierError> {
        let frame = Bytes::from(message.encode());
        match &self.inner.line {
            Line::Quic(line) => line.send(frame).await,
            Line::WebSocket(line) => line.send(frame).await,
        }
    }

    /// The next control message; `None` when the other side is done (code 0). Messages that came
    /// before the end are given out first. For one reader; given up half way, nothing is lost.
    ///
    /// # Errors
    /// When the connection is over; with a violation when what came is no control frame.
    pub async fn receive(&self) -> Result<Option<Message>, CarrierError> {
        let mut frames = self.inner.frames.lock().await;
        loop {
            match frames.next() {
                Ok(Some(message)) => return Ok(Some(message)),
                Ok(None) => {}
                Err(violation) => return Err(self.inner.line.violated(violation)),
            }
            let bytes = match &self.inner.line {
                Line::Quic(line) => line.control().await?,
                Line::WebSocket(line) => line.control().await?,
            };
            match bytes {
                Some(bytes) => frames.feed(&bytes),
                None => return Ok(None),
            }
        }
    }

    /// Opens a stream and queues its header. Waits while the other side allows no more streams.
    ///
    /// # Errors
    /// When the connection is over.
    pub async fn open(
        &self,
        header: &StreamHeader,
        urgency: Urgency,
    ) -> Result<Outgoing, CarrierError> {
        let priority = Priority::new(urgency);
        let end = match &self.inner.line {
            Line::Quic(line) => SendingEnd::Quic(line.open(&priority).await?),
            Line::WebSocket(line) => SendingEnd::WebSocket(line.open(&priority).await?),
        };
        let mut stream = Outgoing { end, priority, _carrier: self.clone() };
        match stream.write(Bytes::from(header.encode())).await {
            Err(StreamError::Connection(reason)) => Err(reason),
            // Stopped already: the caller learns it when it writes.
            Err(_) | Ok(()) => Ok(stream),
        }
    }

    /// The next stream that the other side opened and whose header has come. Given up half way,
    /// nothing is lost.
    ///
    /// # Errors
    /// When the connection is over; with a violation when a stream begins with something else.
    pub async fn accept(&self) -> Result<(StreamHeader, Incoming), CarrierError> {
        let mut arrivals = self.inner.arrivals.lock().await;
        loop {
            let next = tokio::select! {
                biased;
                Some(begun) = arrivals.next() => Next::Begun(begun),
                arrived = self.inner.line.arrival() => Next::Arrived(arrived?),
            };
            match next {
                Next::Arrived(end) => arrivals.push(Box::pin(begin(end))),
                Next::Begun(Beginning::Header(header, mut stream)) => {
                    stream.carrier = Some(self.clone());
                    return Ok((header, stream));
                }
                Next::Begun(Beginning::Nothing) => {}
                Next::Begun(Beginning::Violation(violation)) => {
                    return Err(self.inner.line.violated(violation));
                }
            }
        }
    }

    /// Closes the connection, after what is queued on the control channel (two seconds at most).
    /// Streams that run are cut off.
    pub fn close(&self, code: CloseCode, detail: &str) {
        self.inner.line.close(code, detail);
    }

    /// Waits for the end of the connection.
    pub async fn closed(&self) -> CarrierError {
        match &self.inner.line {
            Line::Quic(line) => line.closed().await,
            Line::WebSocket(line) => line.closed().await,
        }
    }

    /// Whether `other` is the same connection.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }
}

/// The sending end of a stream. Dropped before [`finish`](Self::finish), the stream is given up.
#[derive(Debug)]
pub struct Outgoing {
    end: SendingEnd,
    priority: Priority,
    _carrier: Carrier,
}

impl Outgoing {
    /// Hands `bytes` to the transport; waits while that has enough. A write that is given up half
    /// way may have sent a part: only [`abandon`](Self::abandon) the stream then.
    ///
    /// # Errors
    /// When the receiver stopped the stream or the connection is over.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), StreamError> {
        match &mut self.end {
            SendingEnd::Quic(end) => end.write(bytes).await,
            SendingEnd::WebSocket(end) => end.write(bytes).await,
        }
    }

    /// The stream is as urgent as this from now on.
    pub fn set_priority(&mut self, urgency: Urgency) {
        self.priority.set(urgency);
    }

    /// A handle that changes the urgency while a write is under way.
    pub fn priority(&self) -> Priority {
        self.priority.clone()
    }

    /// Ends the stream and waits until the other side's transport has all of it (QUIC) or the
    /// socket has (WebSocket). The future may be spawned; dropped after its first poll, the stream
    /// still goes out whole.
    ///
    /// # Errors
    /// When the receiver stopped the stream or the connection ended before.
    pub async fn finish(self) -> Result<(), StreamError> {
        let Self { end, priority: _, _carrier } = self;
        match end {
            SendingEnd::Quic(end) => end.finish().await,
            SendingEnd::WebSocket(end) => end.finish().await,
        }
    }

    /// Gives the stream up: the receiver is told, what is queued is thrown away.
    pub fn abandon(self) {
        drop(self);
    }
}

/// The receiving end of a stream. Dropped before its end, the sender is told to stop (code 0).
#[derive(Debug)]
pub struct Incoming {
    end: ReceivingEnd,
    /// What came together with the header.
    ahead: Bytes,
    carrier: Option<Carrier>,
}

impl Incoming {
    /// The next bytes, 64 KiB at most; `None` when the stream has come whole. Given up half way,
    /// nothing is lost.
    ///
    /// # Errors
    /// When the sender gave the stream up or the connection ended before.
    pub async fn read(&mut self) -> Result<Option<Bytes>, StreamError> {
        if !self.ahead.is_empty() {
            return Ok(Some(std::mem::take(&mut self.ahead)));
        }
        self.end.read().await
    }

    /// Tells the sender to stop.
    pub fn stop(self, code: u8) {
        match self.end {
            ReceivingEnd::Quic(end) => end.stop(code),
            ReceivingEnd::WebSocket(end) => end.stop(code),
        }
    }
}

#[derive(Debug)]
struct Inner {
    line: Line,
    frames: Mutex<Frames>,
    /// Streams whose headers are being read. They do not hold the carrier, which holds them.
    arrivals: Mutex<FuturesUnordered<BoxFuture<'static, Beginning>>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.line.close(CloseCode::Done, "");
    }
}

/// The connection below.
#[derive(Debug)]
pub(crate) enum Line {
    Quic(Arc<quic::Line>),
    WebSocket(Arc<websocket::Line>),
}

impl Line {
    fn remote(&self) -> SocketAddr {
        match self {
            Self::Quic(line) => line.remote(),
            Self::WebSocket(line) => line.remote(),
        }
    }

    async fn arrival(&self) -> Result<ReceivingEnd, CarrierError> {
        match self {
            Self::Quic(line) => line.arrival().await.map(ReceivingEnd::Quic),
            Self::WebSocket(line) => line.arrival().await.map(ReceivingEnd::WebSocket),
        }
    }

    fn close(&self, code: CloseCode, detail: &str) {
        match self {
            Self::Quic(line) => line.close(code, detail),
            Self::WebSocket(line) => line.close(code, detail),
        }
    }

    /// The other side broke the protocol: the connection ends at once.
    fn violated(&self, violation: Violation) -> CarrierError {
        let reason = CarrierError::Violation(violation);
        match self {
            Self::Quic(line) => line.end(reason.clone()),
            Self::WebSocket(line) => line.end(reason.clone()),
        }
        reason
    }
}

#[derive(Debug)]
enum SendingEnd {
    Quic(quic::Sender),
    WebSocket(websocket::Sender),
}

#[derive(Debug)]
enum ReceivingEnd {
    Quic(quic::Receiver),
    WebSocket(websocket::Receiver),
}

impl ReceivingEnd {
    async fn read(&mut self) -> Result<Option<Bytes>, StreamError> {
        match self {
            Self::Quic(end) => end.read().await,
            Self::WebSocket(end) => end.read().await,
        }
    }
}

enum Next {
    Arrived(ReceivingEnd),
    Begun(Beginning),
}

/// How a stream began.
enum Beginning {
    Header(StreamHeader, Incoming),
    /// It was given up, or the connection was, before its header had come.
    Nothing,
    Violation(Violation),
}

/// Reads a stream's header.
async fn begin(mut end: ReceivingEnd) -> Beginning {
    let mut read = BytesMut::new();
    loop {
        match end.read().await {
            Ok(Some(bytes)) => read.extend_from_slice(&bytes),
            Ok(None) => return Beginning::Violation(Violation("a stream ends in its header")),
            Err(_) => return Beginning::Nothing,
        }
        match StreamHeader::decode(&read) {
            Ok(Some((header, length))) => {
                let ahead = read.split_off(length.min(read.len())).freeze();
                return Beginning::Header(header, Incoming { end, ahead, carrier: None });
            }
            Ok(None) if read.len() > StreamHeader::LONGEST => {
                return Beginning::Violation(Violation("a stream's header is too long"));
            }
            Ok(None) => {}
            Err(violation) => return Beginning::Violation(violation),
        }
    }
}
