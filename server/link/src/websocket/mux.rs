//! Many channels over one sequence of pieces: who may send what next. No I/O and no clock.

use std::collections::VecDeque;
use std::task::{Context, Poll};

use bytes::Bytes;

use medrelay_core::transfer::{CloseCode, Violation};

use super::backlog::Backlog;
use super::piece::{CONTROL, PAYLOAD_BYTES, Piece};
use super::receiving::Receiving;
use super::sending::{Sending, Stopped};
use super::waiters::Waiters;
use crate::error::{CarrierError, StreamError};
use crate::priority::Priority;

/// Which end of the connection this is: gateways open odd channels, the relay even ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The gateway, or a browser.
    Gateway,
    /// The relay.
    Relay,
}

/// What the socket is to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outbound {
    /// Write this message.
    Message(Bytes),
    /// Write a ping.
    Ping,
    /// Say goodbye; nothing follows.
    Farewell(CloseCode, String),
}

/// The channels of one WebSocket. Whoever waits for it polls; whoever changes it wakes.
///
/// The socket's task calls [`poll_next`](Self::poll_next) only when everything it got before was
/// written, so that the choice is made as late as possible.
#[derive(Debug)]
pub struct Mux {
    sending: Sending,
    receiving: Receiving,
    control: Control,
    ping_due: bool,
    farewell: Option<(CloseCode, String)>,
    ended: Option<CarrierError>,
    /// The task that writes to the socket.
    writer: Waiters,
    /// The task that reads from it, when there was no room.
    reader: Waiters,
    /// Those who wait for the end.
    mourners: Waiters,
}

#[derive(Debug, Default)]
struct Control {
    out: VecDeque<Bytes>,
    out_bytes: usize,
    senders: Waiters,
    backlog: Backlog,
    receiver: Waiters,
}

/// What the socket's task calls.
impl Mux {
    /// A connection on which nothing has happened yet.
    pub fn new(side: Side) -> Self {
        let (own, theirs) = match side {
            Side::Gateway => (1, 2),
            Side::Relay => (2, 1),
        };
        Self {
            sending: Sending::new(own),
            receiving: Receiving::new(theirs),
            control: Control::default(),
            ping_due: false,
            farewell: None,
            ended: None,
            writer: Waiters::default(),
            reader: Waiters::default(),
            mourners: Waiters::default(),
        }
    }

    /// A message came.
    ///
    /// # Errors
    /// A violation; the connection must end then.
    pub fn take(&mut self, message: Bytes) -> Result<(), Violation> {
        match Piece::decode(message)? {
            Piece::Data { channel: CONTROL, last: false, payload } => {
                self.control.backlog.push(payload);
                self.control.receiver.wake();
                Ok(())
            }
            Piece::Data { channel, .. }
            | Piece::GivenUp { channel, .. }
            | Piece::Unwanted { channel, .. }
            | Piece::Credit { channel, .. }
                if channel == CONTROL =>
            {
                Err(Violation("the control channel has neither end nor credit"))
            }
            Piece::Data { channel, last, payload } => self.receiving.data(channel, last, payload),
            Piece::GivenUp { channel, code } => self.receiving.given_up(channel, code),
            Piece::Unwanted { channel, code } => {
                self.expect_own(channel)?;
                self.writer.wake();
                self.sending.unwanted(channel, code)
            }
            Piece::Credit { channel, more } => {
                self.expect_own(channel)?;
                self.writer.wake();
                self.sending.granted(channel, more)
            }
        }
    }

    /// Ready while there is room for another message.
    pub fn poll_room(&mut self, cx: &Context<'_>) -> Poll<()> {
        if self.is_full() {
            self.reader.add(cx);
            return Poll::Pending;
        }
        Poll::Ready(())
    }

    /// Whether nothing is read until somebody took what is there.
    pub fn is_full(&self) -> bool {
        self.receiving.is_full() || self.control.backlog.bytes() >= CONTROL_BYTES
    }

    /// What to write next. Calling it says that what it gave before was written.
    pub fn poll_next(&mut self, cx: &Context<'_>) -> Poll<Outbound> {
        self.sending.handed();
        if let Some(payload) = self.control.next() {
            return Poll::Ready(message(&Piece::Data { channel: CONTROL, last: false, payload }));
        }
        if std::mem::take(&mut self.ping_due) {
            return Poll::Ready(Outbound::Ping);
        }
        if let Some((code, detail)) = self.farewell.clone() {
            return Poll::Ready(Outbound::Farewell(code, detail));
        }
        match self.receiving.next().or_else(|| self.sending.next()) {
            Some(piece) => Poll::Ready(message(&piece)),
            None => {
                self.writer.add(cx);
                Poll::Pending
            }
        }
    }

    /// A ping is to be written.
    pub fn ping(&mut self) {
        self.ping_due = true;
        self.writer.wake();
    }

    /// The connection is over; the first reason stands.
    pub fn end(&mut self, reason: CarrierError) {
        self.ended.get_or_insert(reason);
        self.writer.wake();
        self.reader.wake();
        self.mourners.wake();
        self.control.senders.wake();
        self.control.receiver.wake();
        self.sending.wake_all();
        self.receiving.wake_all();
    }

    /// Own channels have the parity of this side; zero is the control channel.
    fn expect_own(&self, channel: u32) -> Result<(), Violation> {
        if self.sending.owns(channel) {
            return Ok(());
        }
        Err(Violation("a piece answers a channel of its own sender"))
    }
}

/// What the carrier's handles call.
impl Mux {
    /// Queues a control frame.
    ///
    /// # Errors
    /// When the connection is over or about to be closed by this side.
    pub fn poll_send(&mut self, cx: &Context<'_>, frame: &Bytes) -> Poll<Result<(), CarrierError>> {
        self.check()?;
        if let Some((code, detail)) = &self.farewell {
            return Poll::Ready(Err(CarrierError::closed_with(*code, detail)));
        }
        if self.control.out_bytes >= CONTROL_BYTES {
            self.control.senders.add(cx);
            return Poll::Pending;
        }
        self.control.out_bytes += frame.len();
        self.control.out.push_back(frame.clone());
        self.writer.wake();
        Poll::Ready(Ok(()))
    }

    /// The next bytes of the control channel. What came before the end is given out first.
    ///
    /// # Errors
    /// When the connection is over.
    pub fn poll_control(&mut self, cx: &Context<'_>) -> Poll<Result<Bytes, CarrierError>> {
        if let Some(bytes) = self.control.backlog.pop() {
            self.reader.wake();
            return Poll::Ready(Ok(bytes));
        }
        self.check()?;
        self.control.receiver.add(cx);
        Poll::Pending
    }

    /// Opens a channel, as soon as there is a place; its key.
    ///
    /// # Errors
    /// When the connection is over.
    pub fn poll_open(
        &mut self,
        cx: &Context<'_>,
        priority: &Priority,
    ) -> Poll<Result<u64, CarrierError>> {
        self.check()?;
        self.sending.poll_open(cx, priority).map(|key| {
            key.ok_or_else(|| CarrierError::Lost("its channel numbers are used up".into()))
        })
    }

    /// Queues bytes on an own channel.
    ///
    /// # Errors
    /// When the channel or the connection is over.
    pub fn poll_write(
        &mut self,
        cx: &Context<'_>,
        key: u64,
        bytes: &Bytes,
    ) -> Poll<Result<(), StreamError>> {
        self.check().map_err(StreamError::Connection)?;
        self.writer.wake();
        self.sending.poll_write(cx, key, bytes).map_err(stopped)
    }

    /// No more is written to an own channel.
    pub fn finish(&mut self, key: u64) {
        self.sending.finish(key);
        self.writer.wake();
    }

    /// Ready when the socket has all of an own channel.
    ///
    /// # Errors
    /// When the channel was stopped or the connection ended before.
    pub fn poll_finished(&mut self, cx: &Context<'_>, key: u64) -> Poll<Result<(), StreamError>> {
        match self.sending.poll_finished(cx, key).map_err(stopped) {
            Poll::Pending => {
                self.check().map_err(StreamError::Connection)?;
                Poll::Pending
            }
            ready => ready,
        }
    }

    /// The owner of an own channel is gone; unfinished, it is given up with `code`.
    pub fn release_own(&mut self, key: u64, code: u32) {
        self.sending.release(key, code);
        self.writer.wake();
    }

    /// The next channel that the other side opened.
    ///
    /// # Errors
    /// When the connection is over.
    pub fn poll_arrived(&mut self, cx: &Context<'_>) -> Poll<Result<u32, CarrierError>> {
        match self.receiving.poll_arrived(cx) {
            Poll::Ready(number) => Poll::Ready(Ok(number)),
            Poll::Pending => {
                self.check()?;
                Poll::Pending
            }
        }
    }

    /// The next bytes of a channel of the other side; `None` after the last.
    ///
    /// # Errors
    /// When the channel was given up or the connection ended before its last piece.
    pub fn poll_read(
        &mut self,
        cx: &Context<'_>,
        number: u32,
    ) -> Poll<Result<Option<Bytes>, StreamError>> {
        match self.receiving.poll_read(cx, number) {
            Poll::Ready(Ok(bytes)) => {
                self.writer.wake();
                Poll::Ready(Ok(bytes))
            }
            Poll::Ready(Err(code)) => {
                Poll::Ready(Err(StreamError::Abandoned { code: short(code) }))
            }
            Poll::Pending => {
                self.check().map_err(StreamError::Connection)?;
                Poll::Pending
            }
        }
    }

    /// The owner of a channel of the other side is gone; unfinished, it is stopped with `code`.
    pub fn release_theirs(&mut self, number: u32, code: u32) {
        self.receiving.release(number, code);
        self.writer.wake();
        self.reader.wake();
    }

    /// Ends the connection once the control frames queued are written.
    pub fn close(&mut self, code: CloseCode, detail: &str) {
        self.farewell.get_or_insert_with(|| (code, detail.to_owned()));
        self.writer.wake();
        self.mourners.wake();
    }

    /// Ready once this side wants to end the connection.
    pub fn poll_closing(&mut self, cx: &Context<'_>) -> Poll<()> {
        if self.farewell.is_some() || self.ended.is_some() {
            return Poll::Ready(());
        }
        self.mourners.add(cx);
        Poll::Pending
    }

    /// Ready, with the reason, once the connection is over.
    pub fn poll_ended(&mut self, cx: &Context<'_>) -> Poll<CarrierError> {
        if let Some(reason) = &self.ended {
            return Poll::Ready(reason.clone());
        }
        self.mourners.add(cx);
        Poll::Pending
    }

    /// Bytes that wait to be written: of streams, and of the control channel.
    pub fn queued_bytes(&self) -> (usize, usize) {
        (self.sending.queued(), self.control.out_bytes)
    }

    fn check(&self) -> Result<(), CarrierError> {
        self.ended.clone().map_or(Ok(()), Err)
    }
}

impl Control {
    fn next(&mut self) -> Option<Bytes> {
        let frame = self.out.front_mut()?;
        let payload = frame.split_to(frame.len().min(PAYLOAD_BYTES));
        if frame.is_empty() {
            self.out.pop_front();
        }
        self.out_bytes -= payload.len();
        if self.out_bytes < CONTROL_BYTES {
            self.senders.wake();
        }
        Some(payload)
    }
}

fn message(piece: &Piece) -> Outbound {
    Outbound::Message(piece.encode())
}

fn stopped(code: Stopped) -> StreamError {
    StreamError::Stopped { code: code.map_or(0, short) }
}

/// Codes are small; what is larger than they can be counts as the largest.
fn short(code: u32) -> u8 {
    u8::try_from(code).unwrap_or(u8::MAX)
}

/// Bytes of control frames that wait in either direction before the other end has to wait too.
const CONTROL_BYTES: usize = 1 << 20;
