//! Looking after the line: is it silent, is there a better one, did our address change?
//!
//! A timer of QUIC doubles with every packet that is not answered, so after an outage of ten seconds
//! an old connection may take as long to notice that the line is back. Therefore, when nothing comes
//! for about a second while something is under way, a new connection is tried beside the old one,
//! again and again; whichever moves first is used.

use std::sync::atomic::Ordering;
use std::time::Duration;

use medrelay_core::time::Timestamp;
use medrelay_core::transfer::CloseCode;
use medrelay_link::{Carrier, Kind, quic};
use rustls_pki_types::CertificateDer;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::{Conversation, End, Experience, SOON};
use crate::link::connect::{self, BACK_TO_QUIC, BESIDE_SILENCE, DialError, Dialed, Manner, Path};
use crate::link::shelf::Shelf;
use crate::link::state::Problem;

/// What is known of the line.
pub(super) struct Watch {
    pub path: Path,
    pub challenger: Challenger,
    pub is_leaving: bool,
    farewell: Option<End>,
    /// What the line has moved, and when that changed last.
    moved: u64,
    moved_at: Instant,
    /// When something was said that must be answered.
    said_at: Option<Instant>,
    next_quic: Instant,
}

/// A connection that is being tried beside the one in use; it ends with its owner.
#[derive(Debug, Default)]
pub(super) struct Challenger {
    task: Option<(JoinHandle<Result<Dialed, DialError>>, Why)>,
}

/// Why another connection is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    /// The present one is silent.
    Silence,
    /// The present one is a WebSocket.
    WebSocket,
}

impl Challenger {
    /// The challenger's end; never, while there is none.
    pub async fn dialed(&mut self) -> Result<Dialed, DialError> {
        match &mut self.task {
            Some((task, _)) => task.await.unwrap_or(Err(DialError::Silence)),
            None => std::future::pending().await,
        }
    }

    /// Gives it up, if it is for this reason; whether it was.
    fn stop(&mut self, why: Why) -> bool {
        match self.task.take() {
            Some((task, reason)) if reason == why => {
                task.abort();
                true
            }
            other => {
                self.task = other;
                false
            }
        }
    }
}

impl Drop for Challenger {
    fn drop(&mut self) {
        if let Some((task, _)) = &self.task {
            task.abort();
        }
    }
}

impl Watch {
    pub async fn new(dialed: &Dialed, experience: &Experience) -> Self {
        let now = Instant::now();
        let falls = experience.falls.load(Ordering::Relaxed).min(4);
        Self {
            path: Path::to(dialed.carrier.remote()).await,
            challenger: Challenger::default(),
            is_leaving: false,
            farewell: None,
            moved: 0,
            moved_at: now,
            said_at: None,
            next_quic: now + (QUIC_FIRST * 2u32.pow(falls)).min(QUIC_EVERY),
        }
    }

    /// Something was said on the control channel.
    pub fn said(&mut self) {
        self.said_at = Some(Instant::now());
    }

    /// How long to wait before looking again.
    pub fn pause(&self, is_sending: bool) -> Duration {
        if is_sending || self.said_at.is_some() || self.is_leaving { LOOK } else { LOOK_IDLE }
    }

    /// The connection is to end like this when what runs has ended.
    pub fn leave(&mut self, end: End) {
        self.is_leaving = true;
        self.farewell = Some(end);
    }

    pub fn farewell(&mut self) -> End {
        self.farewell.take().unwrap_or(End::Closed(CloseCode::Done, SOON))
    }

    /// Whether nothing has come for longer than it may, while something is under way.
    fn is_silent(&mut self, carrier: &Carrier, is_sending: bool, experience: &Experience) -> bool {
        let (stats, now) = (carrier.stats(), Instant::now());
        // On a WebSocket TCP's acknowledgements are not seen, but the socket takes no more.
        let (moved, patience) = match carrier.kind() {
            Kind::Quic => (stats.received_bytes, SILENCE.max(stats.rtt * 3)),
            Kind::WebSocket => (stats.received_bytes + stats.sent_bytes, SILENCE_WEBSOCKET),
        };
        if moved != self.moved {
            self.moved = moved;
            self.moved_at = now;
            self.said_at = None;
            return false;
        }
        if !is_sending && self.said_at.is_none() {
            self.moved_at = now;
            return false;
        }
        // A relay that is often slow, and not gone, is given more time.
        let alarms = experience.false_alarms.load(Ordering::Relaxed);
        let patience = patience * 2u32.pow((alarms / 3).min(3));
        now.duration_since(self.moved_at.max(self.said_at.unwrap_or(self.moved_at))) > patience
    }
}

impl<S: Shelf> Conversation<'_, S> {
    /// Tries another connection when there is reason to.
    pub(super) fn look_after_line(&mut self) {
        let carrier = self.dialed.carrier.clone();
        let is_sending = self.streams.is_sending();
        if self.watch.is_leaving || !self.session.is_welcome() {
            return;
        }
        let experience = &self.shared.experience;
        if self.watch.is_silent(&carrier, is_sending, experience) {
            self.challenge(BESIDE_SILENCE, Why::Silence);
        } else if self.watch.challenger.stop(Why::Silence) {
            experience.false_alarms.fetch_add(1, Ordering::Relaxed);
        }
        if carrier.kind() == Kind::Quic && self.began.1.elapsed() > QUIC_EVERY {
            experience.falls.store(0, Ordering::Relaxed);
        }
        if carrier.kind() == Kind::WebSocket && self.watch.next_quic <= Instant::now() {
            self.watch.next_quic = Instant::now() + QUIC_EVERY;
            self.challenge(BACK_TO_QUIC, Why::WebSocket);
        }
    }

    fn challenge(&mut self, manner: Manner, why: Why) {
        if self.watch.challenger.task.is_some() {
            return;
        }
        let (shared, identity) = (self.shared.clone(), self.identity.clone());
        let dialing =
            async move { connect::dial(&identity, &shared.ambient, &shared.book, manner).await };
        self.watch.challenger.task = Some((tokio::spawn(dialing), why));
    }

    /// Another connection is through, or will not be.
    pub(super) fn challenged(&mut self, dialed: Result<Dialed, DialError>) {
        let why = self.watch.challenger.task.take().map(|(_, why)| why);
        let Ok(dialed) = dialed else { return };
        let carrier = self.dialed.carrier.clone();
        let experience = &self.shared.experience;
        let is_silent = self.watch.is_silent(&carrier, self.streams.is_sending(), experience);
        if why == Some(Why::Silence) {
            if !is_silent {
                // The old one has moved first.
                experience.false_alarms.fetch_add(1, Ordering::Relaxed);
                dialed.carrier.close(CloseCode::Moved, "");
                return;
            }
            experience.false_alarms.store(0, Ordering::Relaxed);
            if carrier.kind() == Kind::Quic && dialed.carrier.kind() == Kind::WebSocket {
                experience.falls.fetch_add(1, Ordering::Relaxed);
            }
        }
        let steps = self.session.leave(CloseCode::Moved, 0, "");
        self.carry_out(steps);
        self.end = Some(End::Moved(dialed));
    }

    /// We are reached by another address than before.
    pub(super) fn path_changed(&mut self) {
        match &self.dialed.endpoint {
            // QUIC goes on with the same connection; the relay sees where it comes from now.
            Some(endpoint) => {
                if let Err(error) = quic::rebind(endpoint) {
                    tracing::debug!(%error, "the socket cannot be moved");
                }
            }
            None => self.watch.next_quic = Instant::now(),
        }
    }

    /// Asks for a new certificate when it is time.
    pub(super) fn renew(&mut self, now: Timestamp) {
        let alarm = self.renewal.is_alarming(now);
        let ends = self.identity.validity().1;
        self.shared.board.change(|state| {
            state.certificate_alarm = alarm;
            state.certificate_ends = Some(ends);
        });
        if !self.session.is_welcome() || self.watch.is_leaving {
            return;
        }
        let name = &self.identity.relay().gateway;
        match self.renewal.request(now, name, &self.shared.ambient) {
            Ok(Some(request)) => {
                let steps = self.session.renew(request);
                self.carry_out(steps);
            }
            Ok(None) => {}
            Err(why) => self.shared.board.problem(now, Problem::Renewal(why)),
        }
    }

    /// The relay certified the new key: it is kept, and the next connection is made with it.
    pub(super) fn certificate(&mut self, chain: Vec<Vec<u8>>) {
        let leaf = chain.into_iter().next().map(CertificateDer::from);
        match self.renewal.accept(self.identity, leaf) {
            Ok(identity) => {
                let steps = self.session.leave(CloseCode::Moved, 0, "");
                self.carry_out(steps);
                self.end = Some(End::Renewed(Box::new(identity)));
            }
            Err(why) => {
                self.shared.board.problem(self.shared.ambient.now(), Problem::Renewal(why));
            }
        }
    }
}

const LOOK: Duration = Duration::from_millis(100);
const LOOK_IDLE: Duration = Duration::from_secs(1);
/// An acknowledgement comes within a round trip and 25 ms; lost ones make it two or three.
const SILENCE: Duration = Duration::from_millis(1_000);
const SILENCE_WEBSOCKET: Duration = Duration::from_secs(3);
/// After UDP was blocked for a moment QUIC is tried again soon, then less often.
const QUIC_FIRST: Duration = Duration::from_secs(4);
const QUIC_EVERY: Duration = Duration::from_secs(60);
