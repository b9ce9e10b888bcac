//! A byte stream with a framer on it, and the patience that we have with whoever is at the other
//! end.

use std::io;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout};

use crate::pdu::{Frame, Framer, FramerLimits, PduError};

/// How fast a peer must be inside a message, so that a byte every ten seconds does not hold a
/// connection for ever: `bytes` in every `window` that we spend waiting for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Time that we are ready to wait for `bytes`. Time that we need ourselves (a slow disk) does
    /// not count.
    pub window: Duration,
    /// Bytes after which a new window starts.
    pub bytes: usize,
}

impl Default for Pace {
    fn default() -> Self {
        Self { window: Duration::from_secs(60), bytes: 16 * 1024 }
    }
}

/// Why no frame came.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectionError {
    /// The peer closed the connection.
    #[error("connection closed by the peer")]
    Closed,
    /// The time allowed is over.
    #[error("timed out")]
    TimedOut,
    /// The bytes are no upper layer protocol.
    #[error(transparent)]
    Pdu(#[from] PduError),
    /// The connection broke.
    #[error("connection broken: {0}")]
    Io(#[from] io::Error),
}

/// A stream, what has been read from it and what is to be written to it.
pub(super) struct Connection<S> {
    stream: S,
    framer: Framer,
    input: BytesMut,
    /// Bytes to send next; [`Connection::send`] writes them all at once.
    pub(super) output: BytesMut,
    pace: Pace,
    /// What is left of the present window, and the bytes received in it.
    patience: Duration,
    received: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Connection<S> {
    pub(super) fn new(stream: S, limits: FramerLimits, pace: Pace) -> Self {
        Self {
            stream,
            framer: Framer::new(limits),
            input: BytesMut::new(),
            output: BytesMut::new(),
            pace,
            patience: pace.window,
            received: 0,
        }
    }

    /// Whether not a byte of the next PDU has been read.
    pub(super) fn is_quiet(&self) -> bool {
        self.input.is_empty() && self.framer.is_between_pdus()
    }

    /// Waits for the first bytes of whatever comes next. Safe to cancel.
    pub(super) async fn wake(&mut self, idle: Duration) -> Result<(), ConnectionError> {
        if !self.is_quiet() {
            return Ok(());
        }
        self.read(idle, FIRST_READ_BYTES).await?;
        self.restart();
        Ok(())
    }

    /// The next frame, with the pace that is due inside a message.
    pub(super) async fn frame(&mut self) -> Result<Frame, ConnectionError> {
        loop {
            if let Some(frame) = self.framer.next(&mut self.input)? {
                return Ok(frame);
            }
            let started = Instant::now();
            self.received += self.read(self.patience, READ_BYTES).await?;
            if self.received >= self.pace.bytes {
                self.restart();
            } else {
                self.patience = self.patience.saturating_sub(started.elapsed());
            }
        }
    }

    /// The next frame, complete before `deadline`.
    pub(super) async fn frame_before(
        &mut self,
        deadline: Instant,
    ) -> Result<Frame, ConnectionError> {
        loop {
            if let Some(frame) = self.framer.next(&mut self.input)? {
                return Ok(frame);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            self.read(left, FIRST_READ_BYTES).await?;
        }
    }

    /// Starts a new window of patience: a message begins.
    pub(super) fn restart(&mut self) {
        self.patience = self.pace.window;
        self.received = 0;
    }

    /// Writes `output` in one go and empties it.
    pub(super) async fn send(&mut self) -> Result<(), ConnectionError> {
        let Self { stream, output, pace, .. } = self;
        let written = timeout(pace.window, async {
            stream.write_all(output).await?;
            stream.flush().await
        });
        written.await.map_err(|_| ConnectionError::TimedOut)??;
        self.output.clear();
        Ok(())
    }

    /// Writes what is left in `output`, closes our side and waits a moment for the peer to close
    /// its own, because a socket closed with unread bytes destroys what was sent last. Nothing that
    /// fails here matters any more.
    pub(super) async fn close(&mut self) {
        let _ = timeout(LINGER, async {
            self.stream.write_all(&self.output).await?;
            self.stream.shutdown().await?;
            for _ in 0..LINGER_READS {
                self.input.clear();
                self.input.reserve(FIRST_READ_BYTES);
                if self.stream.read_buf(&mut self.input).await? == 0 {
                    break;
                }
            }
            io::Result::Ok(())
        })
        .await;
    }

    async fn read(&mut self, patience: Duration, room: usize) -> Result<usize, ConnectionError> {
        self.input.reserve(room);
        match timeout(patience, self.stream.read_buf(&mut self.input)).await {
            Err(_) => Err(ConnectionError::TimedOut),
            Ok(Ok(0)) => Err(ConnectionError::Closed),
            Ok(bytes) => Ok(bytes?),
        }
    }
}

/// Room for one read before and between messages, when there is nothing much to be expected.
const FIRST_READ_BYTES: usize = 4 * 1024;
/// Room for one read inside a message: a whole PDU of the length that we announce.
pub(super) const READ_BYTES: usize = super::MAX_PDU_BYTES as usize + 64;
/// Longest wait for a peer to close, and how often it may still send something.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_READS: u32 = 1_024;
