//! The handles that a carrier over QUIC consists of.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::poll_fn;
use quinn::{
    Connection, ConnectionError, Endpoint, ReadError, RecvStream, SendStream, StoppedError, VarInt,
    WriteError,
};
use rustls::pki_types::CertificateDer;
use tokio::sync::{Mutex as AsyncMutex, OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::timeout;

use medrelay_core::transfer::limits::FRAME_BYTES;
use medrelay_core::transfer::{CloseCode, Urgency};

use super::pulse;
use super::window::Window;
use crate::carrier::Stats;
use crate::error::{CarrierError, StreamError};
use crate::priority::Priority;

/// A QUIC connection whose first bidirectional stream is the control channel.
#[derive(Debug)]
pub(crate) struct Line {
    connection: Connection,
    commands: mpsc::UnboundedSender<Command>,
    queue: Arc<Semaphore>,
    control: AsyncMutex<RecvStream>,
    window: Arc<Window>,
    /// Why this side ended it; the connection itself only knows that it did.
    ended: OnceLock<CarrierError>,
}

/// What the task that owns the control channel is to do.
#[derive(Debug)]
enum Command {
    Frame(Bytes, OwnedSemaphorePermit),
    Close(CloseCode, String),
}

impl Line {
    /// Starts the task that writes the control channel and the one that looks after the connection.
    /// `endpoint`: a gateway's.
    pub(super) fn new(
        connection: Connection,
        (send, receive): (SendStream, RecvStream),
        endpoint: Option<Endpoint>,
    ) -> Self {
        let (commands, orders) = mpsc::unbounded_channel();
        let window = Arc::new(Window::new(connection.clone()));
        let queue = Arc::new(Semaphore::new(QUEUE_BYTES));
        tokio::spawn(control(send, orders, Arc::clone(&window)));
        tokio::spawn(pulse::run(Arc::clone(&window), endpoint));
        Self {
            connection,
            commands,
            queue,
            control: AsyncMutex::new(receive),
            window,
            ended: OnceLock::new(),
        }
    }

    pub(crate) fn remote(&self) -> SocketAddr {
        self.connection.remote_address()
    }

    pub(crate) fn peer_certificate(&self) -> Option<CertificateDer<'static>> {
        let chain = self.connection.peer_identity()?;
        chain.downcast::<Vec<CertificateDer<'static>>>().ok()?.into_iter().next()
    }

    pub(crate) fn stats(&self) -> Stats {
        let stats = self.connection.stats();
        Stats {
            sent_bytes: stats.udp_tx.bytes,
            received_bytes: stats.udp_rx.bytes,
            lost_bytes: stats.path.lost_bytes,
            rtt: stats.path.rtt,
        }
    }

    pub(crate) async fn send(&self, frame: Bytes) -> Result<(), CarrierError> {
        if let Some(reason) = self.ended.get() {
            return Err(reason.clone());
        }
        if self.connection.close_reason().is_some() {
            return Err(self.over());
        }
        let size = u32::try_from(frame.len()).unwrap_or(u32::MAX);
        let queued = Arc::clone(&self.queue).acquire_many_owned(size);
        let permit = tokio::select! {
            permit = queued => permit.map_err(|_| self.over())?,
            reason = self.closed() => return Err(reason),
        };
        self.commands.send(Command::Frame(frame, permit)).map_err(|_| self.over())
    }

    /// The next bytes of the control channel; `None` after an orderly end.
    pub(crate) async fn control(&self) -> Result<Option<Bytes>, CarrierError> {
        let mut control = self.control.lock().await;
        let reason = match control.read_chunk(CHUNK_BYTES, true).await {
            Ok(Some(chunk)) => return Ok(Some(chunk.bytes)),
            // The other side wrote its last message; why, it says when it closes.
            Ok(None) => timeout(FAREWELL, self.closed()).await.unwrap_or_else(|_| {
                CarrierError::closed_with(CloseCode::Done, "the control channel ended")
            }),
            Err(ReadError::ConnectionLost(error)) => self.reason(&error),
            Err(_) => self.over(),
        };
        if reason.is_orderly() { Ok(None) } else { Err(reason) }
    }

    pub(crate) async fn open(
        self: &Arc<Self>,
        priority: &Priority,
    ) -> Result<Sender, CarrierError> {
        let stream = self.connection.open_uni().await.map_err(|error| self.reason(&error))?;
        let mut sender = Sender {
            line: Arc::clone(self),
            stream,
            priority: priority.clone(),
            applied: None,
            whole: false,
        };
        sender.apply();
        Ok(sender)
    }

    pub(crate) async fn arrival(self: &Arc<Self>) -> Result<Receiver, CarrierError> {
        let stream = self.connection.accept_uni().await.map_err(|error| self.reason(&error))?;
        Ok(Receiver { line: Arc::clone(self), stream })
    }

    /// Closes the connection once the control channel is written and acknowledged.
    pub(crate) fn close(&self, code: CloseCode, detail: &str) {
        if self.ended.set(CarrierError::closed_with(code, detail)).is_err() {
            return;
        }
        if self.commands.send(Command::Close(code, detail.to_owned())).is_err() {
            self.connection.close(VarInt::from(code as u8), detail.as_bytes());
        }
    }

    /// Closes the connection at once.
    pub(crate) fn end(&self, reason: CarrierError) {
        let (code, detail) = match &reason {
            CarrierError::Violation(violation) => (CloseCode::Violation, violation.0),
            _ => (CloseCode::Done, ""),
        };
        if self.ended.set(reason).is_ok() {
            self.connection.close(VarInt::from(code as u8), detail.as_bytes());
        }
    }

    pub(crate) async fn closed(&self) -> CarrierError {
        let error = self.connection.closed().await;
        self.reason(&error)
    }

    /// Why the connection is over, asked by one who noticed that it is.
    fn over(&self) -> CarrierError {
        let error = self.connection.close_reason().unwrap_or(ConnectionError::LocallyClosed);
        self.reason(&error)
    }

    fn reason(&self, error: &ConnectionError) -> CarrierError {
        match error {
            ConnectionError::LocallyClosed => self
                .ended
                .get()
                .cloned()
                .unwrap_or_else(|| CarrierError::Closed { code: None, detail: String::new() }),
            other => reason(other),
        }
    }

    fn write_error(&self, error: WriteError) -> StreamError {
        match error {
            WriteError::Stopped(code) => StreamError::Stopped { code: short(code) },
            WriteError::ConnectionLost(error) => self.reason(&error).into(),
            WriteError::ClosedStream | WriteError::ZeroRttRejected => self.over().into(),
        }
    }
}

/// Why a connection, or the attempt at one, failed.
pub(super) fn reason(error: &ConnectionError) -> CarrierError {
    match error {
        ConnectionError::ApplicationClosed(close) => CarrierError::Closed {
            code: u8::try_from(close.error_code.into_inner()).ok(),
            detail: String::from_utf8_lossy(&close.reason).into_owned(),
        },
        ConnectionError::LocallyClosed => {
            CarrierError::Closed { code: None, detail: String::new() }
        }
        ConnectionError::TimedOut => CarrierError::TimedOut,
        other => CarrierError::Lost(other.to_string()),
    }
}

/// The sending end of a stream.
#[derive(Debug)]
pub(crate) struct Sender {
    line: Arc<Line>,
    stream: SendStream,
    priority: Priority,
    applied: Option<Urgency>,
    whole: bool,
}

impl Sender {
    pub(crate) async fn write(&mut self, mut bytes: Bytes) -> Result<(), StreamError> {
        while !bytes.is_empty() {
            // The transport keeps what it is given until all of it is acknowledged: small parts.
            let mut part = bytes.split_to(bytes.len().min(PART_BYTES));
            while !part.is_empty() {
                let write = poll_fn(|cx| {
                    self.priority.watch(cx);
                    self.apply();
                    let urgent = self.applied.is_some_and(|applied| applied != Urgency::Routine);
                    self.line.window.poll_write(cx, &mut self.stream, &mut part, urgent)
                });
                if let Ok(written) = timeout(RETRY, write).await {
                    written.map_err(|error| self.line.write_error(error))?;
                }
            }
        }
        Ok(())
    }

    pub(crate) async fn finish(mut self) -> Result<(), StreamError> {
        self.whole = self.stream.finish().is_ok();
        let stopped = self.stream.stopped();
        let mut stopped = pin!(stopped);
        let outcome = poll_fn(|cx| {
            self.priority.watch(cx);
            self.apply();
            stopped.as_mut().poll(cx)
        })
        .await;
        match outcome {
            Ok(None) => Ok(()),
            Ok(Some(code)) => Err(StreamError::Stopped { code: short(code) }),
            Err(StoppedError::ConnectionLost(error)) => Err(self.line.reason(&error).into()),
            Err(StoppedError::ZeroRttRejected) => Err(self.line.over().into()),
        }
    }

    fn apply(&mut self) {
        let wanted = self.priority.urgency();
        let rank = rank(wanted, self.stream.id().index());
        if Some(wanted) != self.applied && self.stream.set_priority(rank).is_ok() {
            self.applied = Some(wanted);
        }
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        // Left alone, the transport would end the stream as if it were whole.
        if !self.whole && self.stream.reset(VarInt::from_u32(0)).is_err() {
            tracing::trace!("a stream that was given up had ended already");
        }
    }
}

/// The receiving end of a stream.
#[derive(Debug)]
pub(crate) struct Receiver {
    line: Arc<Line>,
    stream: RecvStream,
}

impl Receiver {
    pub(crate) async fn read(&mut self) -> Result<Option<Bytes>, StreamError> {
        match self.stream.read_chunk(CHUNK_BYTES, true).await {
            Ok(chunk) => Ok(chunk.map(|chunk| chunk.bytes)),
            Err(ReadError::Reset(code)) => Err(StreamError::Abandoned { code: short(code) }),
            Err(ReadError::ConnectionLost(error)) => Err(self.line.reason(&error).into()),
            Err(_) => Err(self.line.over().into()),
        }
    }

    pub(crate) fn stop(mut self, code: u8) {
        if self.stream.stop(VarInt::from(code)).is_err() {
            tracing::trace!("a stream that was to stop had ended already");
        }
    }
}

/// Writes the control channel; its end is the connection's.
async fn control(
    mut send: SendStream,
    mut orders: mpsc::UnboundedReceiver<Command>,
    window: Arc<Window>,
) {
    let connection = window.connection().clone();
    if send.set_priority(CONTROL_RANK).is_err() {
        return;
    }
    loop {
        let command = tokio::select! {
            command = orders.recv() => command,
            _ = connection.closed() => return,
        };
        let (code, detail) = match command {
            Some(Command::Frame(mut frame, permit)) => {
                let written = write_frame(&mut send, &mut frame, &window).await;
                drop(permit);
                if written.is_err() {
                    return;
                }
                continue;
            }
            Some(Command::Close(code, detail)) => (code, detail),
            None => (CloseCode::Done, String::new()),
        };
        let acknowledged = async {
            if send.finish().is_ok() {
                send.stopped().await.ok();
            }
        };
        if timeout(FAREWELL, acknowledged).await.is_err() {
            tracing::debug!("the other side did not acknowledge the end of its QUIC connection");
        }
        connection.close(VarInt::from(code as u8), detail.as_bytes());
        return;
    }
}

async fn write_frame(
    send: &mut SendStream,
    frame: &mut Bytes,
    window: &Window,
) -> Result<(), WriteError> {
    while !frame.is_empty() {
        let mut part = frame.split_to(frame.len().min(PART_BYTES));
        while !part.is_empty() {
            let write = poll_fn(|cx| window.poll_write(cx, send, &mut part, true));
            if let Ok(written) = timeout(RETRY, write).await {
                written?;
            }
        }
    }
    Ok(())
}

/// The more urgent stream first, and of two equally urgent ones the older: what is complete early
/// is there early, and what a break leaves half done is little.
fn rank(urgency: Urgency, order: u64) -> i32 {
    let most = match urgency {
        Urgency::Stat => 3 * RANKS,
        Urgency::Urgent => 2 * RANKS,
        Urgency::Routine => RANKS,
    };
    most - i32::try_from(order).unwrap_or(i32::MAX).min(RANKS - 1)
}

/// Codes are small; what is larger than they can be counts as the largest.
fn short(code: VarInt) -> u8 {
    u8::try_from(code.into_inner()).unwrap_or(u8::MAX)
}

/// Before all streams.
const CONTROL_RANK: i32 = i32::MAX;
/// So many streams of a connection are told apart.
const RANKS: i32 = 1 << 28;
/// Bytes given to the transport in one part.
const PART_BYTES: usize = 16 * 1024;
/// Bytes read at once.
const CHUNK_BYTES: usize = 64 * 1024;
/// Bytes of control frames queued at once: two of the longest.
const QUEUE_BYTES: usize = 2 * (FRAME_BYTES as usize + 4);
/// How long the control channel may take to be acknowledged before the connection is closed.
const FAREWELL: Duration = Duration::from_secs(2);
/// How often a write that waits looks for itself: the transport wakes it for room in its usual
/// window, and an urgent stream may use more than that.
const RETRY: Duration = Duration::from_millis(50);
