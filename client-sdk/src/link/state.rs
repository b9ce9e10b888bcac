//! What the link shows of itself: a [`LinkState`], watched by whoever wants to know.

use std::net::SocketAddr;
use std::time::Duration;

use medrelay_core::time::Timestamp;
use medrelay_core::transfer::gateway::Progress;
use medrelay_core::transfer::{CloseCode, Urgency};
use medrelay_link::{Carrier, Kind, Stats};
use tokio::sync::watch;

use super::connect::DialError;

/// The link at a moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LinkState {
    /// Whether there is a connection.
    pub phase: Phase,
    /// What it runs over.
    pub carrier: Option<Kind>,
    /// The relay's address.
    pub remote: Option<SocketAddr>,
    /// Since when there is a connection.
    pub connected_since: Option<Timestamp>,
    /// The clinic's name, as the relay says it.
    pub clinic_name: String,
    /// The relay's clock minus ours in microseconds, as of the last greeting.
    pub clock_offset_micros: Option<i64>,
    /// Studies on their way, the most urgent first.
    pub sending: Vec<Sending>,
    /// Bytes on the wire since the link was started, on all connections together.
    pub sent_bytes: u64,
    /// Bytes from the wire, likewise.
    pub received_bytes: u64,
    /// Bytes that had to be sent again, likewise; on a WebSocket nobody knows.
    pub lost_bytes: u64,
    /// Pack bytes given to streams, likewise.
    pub pack_bytes: u64,
    /// Original bytes of the objects that the relay said are stored.
    pub original_bytes: u64,
    /// Connections that were made since the link was started.
    pub connections: u64,
    /// Round-trip time; zero while unknown.
    pub rtt: Duration,
    /// The last thing that went wrong; it stays until the next.
    pub last_problem: Option<(Timestamp, Problem)>,
    /// Since when the relay has no space for what is sent; it is tried again and again.
    pub relay_full_since: Option<Timestamp>,
    /// When the certificate ends.
    pub certificate_ends: Option<Timestamp>,
    /// Whether it ends within seven days, and was not renewed: a person has to look.
    pub certificate_alarm: bool,
}

/// Whether there is a connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Phase {
    /// Not now; it is being tried.
    #[default]
    Connecting,
    /// Yes.
    Connected,
    /// No, and it is not tried any more, for this reason; `None` when it was asked to stop.
    Stopped(Option<CloseCode>),
}

/// A study on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sending {
    /// The shelf's name for it.
    pub key: u64,
    /// How urgent it is.
    pub urgency: Urgency,
    /// How far it is.
    pub progress: Progress,
}

/// What went wrong. [`super::words`] has a sentence for each in Chinese and English.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// No connection comes about; the link goes on trying.
    Dial(DialError),
    /// The connection broke; the link makes a new one.
    Lost(String),
    /// The relay ended the connection.
    Closed(CloseCode),
    /// The relay is not the one that this gateway joined, or takes it for another clinic's.
    OtherRelay,
    /// The relay's receipt is not signed as it must be, or is about something else: the study is
    /// kept.
    BadReceipt(u64),
    /// An attachment came damaged several times.
    BadAttachment,
    /// The disk or the database here.
    Shelf(String),
    /// An object is gone, or is not what it was when it was announced.
    Unreadable(u64),
    /// The certificate is at its end: only a new code helps.
    Expired,
    /// The new certificate cannot be used or kept.
    Renewal(String),
}

/// The writing end of the state, with what earlier connections have counted.
#[derive(Debug)]
pub(super) struct Board {
    state: watch::Sender<LinkState>,
    /// Of the connections that are over.
    before: std::sync::Mutex<Stats>,
}

impl Board {
    pub fn new(state: watch::Sender<LinkState>) -> Self {
        Self { state, before: std::sync::Mutex::default() }
    }

    pub fn change(&self, change: impl FnOnce(&mut LinkState)) {
        self.state.send_if_modified(|state| {
            let before = state.clone();
            change(state);
            *state != before
        });
    }

    pub fn problem(&self, now: Timestamp, problem: Problem) {
        tracing::warn!(link.problem = ?problem, "the link has a problem");
        self.change(|state| state.last_problem = Some((now, problem)));
    }

    /// Shows what the present connection has moved, on top of those before.
    pub fn count(&self, carrier: &Carrier) {
        let now = carrier.stats();
        let before = *self.before();
        self.change(|state| {
            state.sent_bytes = before.sent_bytes + now.sent_bytes;
            state.received_bytes = before.received_bytes + now.received_bytes;
            state.lost_bytes = before.lost_bytes + now.lost_bytes;
            state.rtt = now.rtt;
        });
    }

    /// The connection is over: what it moved is carried forward.
    pub fn close(&self, carrier: &Carrier) {
        self.count(carrier);
        let now = carrier.stats();
        {
            let mut before = self.before();
            before.sent_bytes += now.sent_bytes;
            before.received_bytes += now.received_bytes;
            before.lost_bytes += now.lost_bytes;
        }
        self.change(|state| {
            state.phase = Phase::Connecting;
            state.carrier = None;
            state.remote = None;
            state.connected_since = None;
            state.sending.clear();
        });
    }

    fn before(&self) -> std::sync::MutexGuard<'_, Stats> {
        self.before.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
