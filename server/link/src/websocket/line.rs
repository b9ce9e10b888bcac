//! The handles that a carrier over a WebSocket consists of.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::poll_fn;
use tokio::time::Instant;

use medrelay_core::transfer::CloseCode;

use super::mux::{Mux, Side};
use crate::carrier::Stats;
use crate::error::{CarrierError, StreamError};
use crate::priority::Priority;

/// What the socket's task and the handles share.
#[derive(Debug)]
pub(crate) struct Line {
    mux: Mutex<Mux>,
    traffic: Mutex<Traffic>,
    remote: SocketAddr,
}

/// What was seen on the socket.
#[derive(Debug, Clone, Copy)]
pub(super) struct Traffic {
    pub(super) sent_bytes: u64,
    pub(super) received_bytes: u64,
    pub(super) heard: Instant,
    pub(super) pinged: Option<Instant>,
    pub(super) rtt: Duration,
}

impl Line {
    pub(super) fn new(side: Side, remote: SocketAddr) -> Self {
        Self {
            mux: Mutex::new(Mux::new(side)),
            traffic: Mutex::new(Traffic {
                sent_bytes: 0,
                received_bytes: 0,
                heard: Instant::now(),
                pinged: None,
                rtt: Duration::ZERO,
            }),
            remote,
        }
    }

    /// A panic while the lock was held cannot have left it half changed in a way that matters more
    /// than the connection itself, which then ends by its time limit.
    pub(super) fn mux(&self) -> MutexGuard<'_, Mux> {
        self.mux.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn traffic(&self) -> MutexGuard<'_, Traffic> {
        self.traffic.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn remote(&self) -> SocketAddr {
        self.remote
    }

    pub(crate) async fn send(&self, frame: Bytes) -> Result<(), CarrierError> {
        poll_fn(|cx| self.mux().poll_send(cx, &frame)).await
    }

    /// The next bytes of the control channel; `None` after an orderly end.
    pub(crate) async fn control(&self) -> Result<Option<Bytes>, CarrierError> {
        match poll_fn(|cx| self.mux().poll_control(cx)).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(reason) if reason.is_orderly() => Ok(None),
            Err(reason) => Err(reason),
        }
    }

    pub(crate) async fn open(
        self: &Arc<Self>,
        priority: &Priority,
    ) -> Result<Sender, CarrierError> {
        let key = poll_fn(|cx| self.mux().poll_open(cx, priority)).await?;
        Ok(Sender { line: Arc::clone(self), key })
    }

    pub(crate) async fn arrival(self: &Arc<Self>) -> Result<Receiver, CarrierError> {
        let number = poll_fn(|cx| self.mux().poll_arrived(cx)).await?;
        Ok(Receiver { line: Arc::clone(self), number })
    }

    pub(crate) fn close(&self, code: CloseCode, detail: &str) {
        self.mux().close(code, detail);
    }

    pub(crate) fn end(&self, reason: CarrierError) {
        self.mux().end(reason);
    }

    pub(crate) async fn closed(&self) -> CarrierError {
        poll_fn(|cx| self.mux().poll_ended(cx)).await
    }

    pub(crate) fn stats(&self) -> Stats {
        let traffic = *self.traffic();
        Stats {
            sent_bytes: traffic.sent_bytes,
            received_bytes: traffic.received_bytes,
            lost_bytes: 0,
            rtt: traffic.rtt,
        }
    }
}

/// The sending end of a channel.
#[derive(Debug)]
pub(crate) struct Sender {
    line: Arc<Line>,
    key: u64,
}

impl Sender {
    pub(crate) async fn write(&mut self, bytes: Bytes) -> Result<(), StreamError> {
        poll_fn(|cx| self.line.mux().poll_write(cx, self.key, &bytes)).await
    }

    pub(crate) async fn finish(self) -> Result<(), StreamError> {
        self.line.mux().finish(self.key);
        poll_fn(|cx| self.line.mux().poll_finished(cx, self.key)).await
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.line.mux().release_own(self.key, 0);
    }
}

/// The receiving end of a channel.
#[derive(Debug)]
pub(crate) struct Receiver {
    line: Arc<Line>,
    number: u32,
}

impl Receiver {
    pub(crate) async fn read(&mut self) -> Result<Option<Bytes>, StreamError> {
        poll_fn(|cx| self.line.mux().poll_read(cx, self.number)).await
    }

    pub(crate) fn stop(self, code: u8) {
        self.line.mux().release_theirs(self.number, u32::from(code));
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.line.mux().release_theirs(self.number, 0);
    }
}
