//! How much of what was written the transport may hold.

use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use quinn::{Connection, SendStream, WriteError};
use tokio::time::Instant;

/// The room for what is written on a connection.
///
/// The transport holds what is not yet acknowledged and what is not yet sent. The latter is kept small, so
/// that a stream that becomes more urgent is not behind seconds of its own past; a stream that is
/// urgent from the start does not wait for this room at all, only for the receiver's.
#[derive(Debug)]
pub(super) struct Window {
    connection: Connection,
    size: Mutex<Size>,
}

#[derive(Debug)]
struct Size {
    bytes: u64,
    looked: Instant,
}

impl Window {
    pub(super) fn new(connection: Connection) -> Self {
        let size = Mutex::new(Size { bytes: super::SEND_WINDOW_BYTES, looked: Instant::now() });
        Self { connection, size }
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Makes the connection look whether it may send.
    pub(super) fn wake(&self) {
        self.connection.set_send_window(self.lock().bytes);
    }

    /// Writes a part of `part` and takes it away.
    pub(super) fn poll_write(
        &self,
        cx: &mut Context<'_>,
        stream: &mut SendStream,
        part: &mut Bytes,
        urgent: bool,
    ) -> Poll<Result<(), WriteError>> {
        // Held over the write: nobody else uses the room made for an urgent stream.
        let mut size = self.lock();
        self.look(&mut size);
        if urgent {
            self.connection.set_send_window(u64::MAX);
        }
        let written = pin!(stream.write_chunks(std::slice::from_mut(part))).poll(cx);
        if urgent {
            self.connection.set_send_window(size.bytes);
        }
        written.map_ok(|_| ())
    }

    fn lock(&self) -> MutexGuard<'_, Size> {
        self.size.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Follows the path's capacity.
    fn look(&self, size: &mut Size) {
        let now = Instant::now();
        if now.duration_since(size.looked) < LOOK {
            return;
        }
        size.looked = now;
        let flight = self.connection.stats().path.cwnd;
        let bytes = flight
            .saturating_mul(FLIGHTS)
            .saturating_add(UNSENT_BYTES)
            .clamp(super::SEND_WINDOW_BYTES, super::CONNECTION_WINDOW_BYTES);
        if bytes != size.bytes {
            size.bytes = bytes;
            self.connection.set_send_window(bytes);
        }
    }
}

/// How often the path's capacity is looked at.
const LOOK: Duration = Duration::from_millis(50);
/// Flights kept: one under way, one whose loss is being repaired, one whose repair was lost.
const FLIGHTS: u64 = 3;
/// Bytes kept unsent beside them.
const UNSENT_BYTES: u64 = 64 * 1024;
