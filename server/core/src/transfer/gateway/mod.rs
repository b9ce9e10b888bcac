//! The gateway's end of a connection: what is offered, packed and sent next.
//!
//! ```text
//!  Fresh ── start() ─► Greeted ──────────────── WELCOME ─────────────► Open
//!                         │                                             ▲
//!                         └─ CHALLENGE ─► Challenged ── proof() ─► Proved ── WELCOME
//!  before WELCOME ── GOAWAY ─► Closed
//!
//!  a study          OFFER         NEED         COMMITTED
//!           Queued ───────► Asked ─────► Open ──────────► gone
//!              ▲              │            │
//!              └─── Later ◄───┴────────────┴─ REFUSED (whole) ─► gone, if for good
//!                                          └─ withdraw(), nothing left to send ─► gone
//! ```
//!
//! The entries of a study have their own machine (in `study`); what begins next is decided in
//! `plan`. The machine lives as long as its connection: after a break a new one is made, every
//! study that is not committed is offered to it again, and NEED tells where to go on.

mod plan;
mod step;
mod study;

use std::collections::{BTreeMap, BTreeSet};

pub use self::step::{Offer, PackInfo, Progress, Step};
use self::study::{Stage, Study};
use super::message::{Message, Welcome};
use super::{CloseCode, RefusalCode, Urgency, VERSIONS, Violation, limits};
use crate::time::{Span, Timestamp};

/// The gateway's end of one connection.
#[derive(Debug)]
pub struct Session {
    software: String,
    phase: Phase,
    /// The latest moment that was told.
    now: Timestamp,
    streams: usize,
    largest: u64,
    most_entries: usize,
    next_number: u32,
    studies: BTreeMap<u64, Study>,
    /// Studies offered under these numbers and not over.
    numbers: BTreeMap<u32, u64>,
    /// Items that came and are not received.
    items: BTreeSet<String>,
    /// RENEWs without answer.
    renewals: u32,
    /// One of the sides said GOAWAY.
    leaving: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Fresh,
    Greeted,
    Challenged,
    Proved,
    Open,
    Closed,
}

impl Session {
    /// At the beginning of a connection. `software` is the program's name and version.
    pub fn new(software: &str) -> Self {
        Self {
            software: software.to_owned(),
            phase: Phase::Fresh,
            now: Timestamp::default(),
            streams: 1,
            largest: 0,
            most_entries: 0,
            next_number: 1,
            studies: BTreeMap::new(),
            numbers: BTreeMap::new(),
            items: BTreeSet::new(),
            renewals: 0,
            leaving: false,
        }
    }

    /// The connection stands: says HELLO.
    pub fn start(&mut self, now: Timestamp) -> Vec<Step> {
        self.now = now;
        if self.phase != Phase::Fresh {
            return Vec::new();
        }
        self.phase = Phase::Greeted;
        let (versions, software) = (VERSIONS.to_vec(), self.software.clone());
        vec![Step::Send(Message::Hello { versions, software, clock: now })]
    }

    /// A message of the relay. An error ends the connection with [`CloseCode::Violation`].
    pub fn handle(&mut self, message: Message, now: Timestamp) -> Result<Vec<Step>, Violation> {
        self.now = self.now.max(now);
        let mut steps = Vec::new();
        match (self.phase, message) {
            (Phase::Closed, _) | (_, Message::Unknown(_)) => {}
            (phase, Message::Goaway { code, retry_ms, detail }) => {
                self.leaving = true;
                steps.push(Step::Goaway { code, retry_ms });
                if phase != Phase::Open {
                    self.phase = Phase::Closed;
                    steps.push(Step::Close { code, detail });
                }
            }
            (Phase::Greeted, Message::Challenge { nonce }) => {
                self.phase = Phase::Challenged;
                steps.push(Step::Prove { nonce });
            }
            (Phase::Greeted | Phase::Proved, Message::Welcome(welcome)) => {
                self.welcome(welcome, &mut steps)?;
            }
            (Phase::Open, message) => self.handle_open(message, &mut steps)?,
            _ => return Err(Violation("a message before the greeting was over")),
        }
        self.begin(&mut steps);
        Ok(steps)
    }

    /// The nonce was signed.
    pub fn proof(&mut self, certificate: Vec<u8>, signature: Vec<u8>) -> Vec<Step> {
        if self.phase != Phase::Challenged {
            return Vec::new();
        }
        self.phase = Phase::Proved;
        vec![Step::Send(Message::Proof { certificate, signature })]
    }

    /// A study is to go. It is queued until the greeting is over and there is room for it; a key
    /// that is already under way is left alone.
    pub fn offer(&mut self, offer: Offer) -> Vec<Step> {
        self.studies.entry(offer.key).or_insert_with(|| Study::new(offer));
        self.begun()
    }

    /// A study is more or less urgent than it was.
    pub fn reprioritize(&mut self, key: u64, urgency: Urgency) -> Vec<Step> {
        let Some(study) = self.studies.get_mut(&key) else { return Vec::new() };
        study.offer.urgency = urgency;
        let mut steps = Vec::new();
        if let Stage::Asked(study) | Stage::Open(study) = study.stage {
            steps.push(Step::Send(Message::Priority { study, urgency }));
        }
        steps.extend(study.running().map(|index| Step::Urgency { key, index, urgency }));
        self.begin(&mut steps);
        steps
    }

    /// A study is given up on this connection; what is stored stays.
    pub fn withdraw(&mut self, key: u64) -> Vec<Step> {
        let mut steps = Vec::new();
        self.give_up(key, &mut steps);
        self.begin(&mut steps);
        steps
    }

    /// The pack of an entry is made.
    pub fn packed(&mut self, key: u64, index: u32, pack: PackInfo) -> Vec<Step> {
        match self.entry(key, index) {
            Some(study) => {
                let mut steps: Vec<Step> = study.packed(index, pack).into_iter().collect();
                self.begin(&mut steps);
                steps
            }
            None => vec![Step::Drop { key, index }],
        }
    }

    /// The pack of an entry cannot be made: the study goes without it and is never committed by
    /// this manifest. When nothing else is left of it, it is withdrawn.
    pub fn unpackable(&mut self, key: u64, index: u32) -> Vec<Step> {
        self.report(key, index, |study, steps| {
            study.lose(index, steps);
        })
    }

    /// The whole pack was handed to the carrier; its place is free, and STORED is awaited.
    pub fn streamed(&mut self, key: u64, index: u32) -> Vec<Step> {
        self.report(key, index, |study, steps| steps.extend(study.streamed(index)))
    }

    /// The stream ended early, by whomever. The entry is tried again when REFUSED says so, or
    /// after a pause that grows when it goes wrong again.
    pub fn broken(&mut self, key: u64, index: u32) -> Vec<Step> {
        let now = self.now;
        self.report(key, index, |study, steps| steps.extend(study.broken(index, now)))
    }

    /// Time went on: what was put off until now begins.
    pub fn tick(&mut self, now: Timestamp) -> Vec<Step> {
        self.now = self.now.max(now);
        for study in self.studies.values_mut() {
            study.release(self.now);
        }
        self.begun()
    }

    /// When [`Session::tick`] has something to do.
    pub fn next_tick(&self) -> Option<Timestamp> {
        if self.leaving {
            return None;
        }
        self.studies.values().filter_map(Study::due).min()
    }

    /// Asks for a certificate for a new key (PKCS#10, DER).
    pub fn renew(&mut self, request: Vec<u8>) -> Vec<Step> {
        if self.phase != Phase::Open {
            return Vec::new();
        }
        self.renewals += 1;
        vec![Step::Send(Message::Renew { request })]
    }

    /// Asks for the attachment of an open item from `offset` on.
    pub fn fetch(&mut self, item: impl Into<String>, offset: u64) -> Vec<Step> {
        let item = item.into();
        if !self.items.contains(&item) {
            return Vec::new();
        }
        vec![Step::Send(Message::Fetch { item, offset })]
    }

    /// An item and its attachment are durable here.
    pub fn received(&mut self, item: impl Into<String>) -> Vec<Step> {
        let item = item.into();
        if !self.items.remove(&item) {
            return Vec::new();
        }
        vec![Step::Send(Message::Received { item })]
    }

    /// Asks for so many bytes (at most [`limits::MEASURE_BYTES`]) on a measuring stream.
    pub fn measure(&mut self, bytes: u32) -> Vec<Step> {
        if self.phase != Phase::Open {
            return Vec::new();
        }
        vec![Step::Send(Message::Measure { bytes: bytes.min(limits::MEASURE_BYTES) })]
    }

    /// The gateway stops or moves: says GOAWAY and begins nothing new.
    pub fn leave(&mut self, code: CloseCode, retry_ms: u32, detail: &str) -> Vec<Step> {
        self.leaving = true;
        let detail = detail.to_owned();
        vec![Step::Send(Message::Goaway { code, retry_ms, detail })]
    }

    /// Whether the greeting is over.
    pub fn is_welcome(&self) -> bool {
        self.phase == Phase::Open
    }

    /// Whether one of the sides leaves, no stream runs and none waits for STORED: time to close.
    pub fn is_idle(&self) -> bool {
        self.leaving && self.studies.values().all(|study| study.unconfirmed() == (0, 0))
    }

    /// How far a study is; `None` when it is over or was never offered.
    pub fn progress(&self, key: u64) -> Option<Progress> {
        self.studies.get(&key).map(Study::progress)
    }

    fn welcome(&mut self, welcome: Welcome, steps: &mut Vec<Step>) -> Result<(), Violation> {
        if !VERSIONS.contains(&welcome.version) {
            return Err(Violation("a version that was not offered"));
        }
        self.streams = usize::from(welcome.streams.clamp(1, limits::STREAMS));
        self.largest = welcome.instance_bytes;
        let most = welcome.entries.min(limits::ENTRIES);
        self.most_entries = usize::try_from(most).unwrap_or(usize::MAX);
        self.phase = Phase::Open;
        steps.push(Step::Welcomed(welcome));
        Ok(())
    }

    fn handle_open(&mut self, message: Message, steps: &mut Vec<Step>) -> Result<(), Violation> {
        match message {
            Message::Need { study, .. }
            | Message::Stored { study, .. }
            | Message::Refused { study, .. }
            | Message::Committed { study, .. } => match self.numbers.get(&study) {
                Some(key) => self.handle_study(*key, study, message, steps),
                // Over here, while the relay could not know it yet.
                None if (1..self.next_number).contains(&study) => Ok(()),
                None => Err(Violation("a study that was never offered")),
            },
            Message::Item(item) => {
                if self.items.len() >= limits::ITEMS {
                    return Err(Violation("more open items than may be"));
                }
                if !self.items.insert(item.id.clone()) {
                    return Err(Violation("an item that is open already"));
                }
                steps.push(Step::Item(item));
                Ok(())
            }
            Message::Certificate { chain } => {
                let answered = self.renewals.checked_sub(1);
                self.renewals = answered.ok_or(Violation("a certificate that nobody asked for"))?;
                steps.push(Step::Certificate { chain });
                Ok(())
            }
            Message::Measured { bytes, micros } => {
                steps.push(Step::Measured { bytes, micros });
                Ok(())
            }
            Message::Challenge { .. } | Message::Welcome(_) => {
                Err(Violation("a greeting after the greeting"))
            }
            _ => Err(Violation("what only the gateway may send")),
        }
    }

    fn handle_study(
        &mut self,
        key: u64,
        number: u32,
        message: Message,
        steps: &mut Vec<Step>,
    ) -> Result<(), Violation> {
        let largest = self.largest;
        let Some(study) = self.studies.get_mut(&key) else { return Ok(()) };
        match (study.stage, message) {
            (Stage::Asked(_), Message::Need { states, partial, .. }) => {
                steps.extend(study.open(number, &states, partial, largest)?);
            }
            (Stage::Open(_), Message::Stored { entries, .. }) => {
                if entries.iter().any(|(index, _)| !study.has(*index)) {
                    return Err(NO_ENTRY);
                }
                for (index, outcome) in entries {
                    if study.stored(index, steps) {
                        steps.push(Step::Stored { key, index, outcome });
                    }
                }
            }
            (_, Message::Refused { index: None, code, retry_ms, detail, .. }) => {
                self.refused_whole(key, code, retry_ms, detail, steps);
            }
            (
                Stage::Open(_),
                Message::Refused { index: Some(index), code, retry_ms, detail, .. },
            ) => {
                if !study.has(index) {
                    return Err(NO_ENTRY);
                }
                let retry = Span::from_millis(i64::from(retry_ms));
                if code.passes() {
                    steps.extend(study.postpone(index, code, retry, self.now));
                } else if study.lose(index, steps) {
                    steps.push(Step::Refused { key, index: Some(index), code, detail });
                }
            }
            (Stage::Open(_), Message::Committed { receipt, signature, .. }) if study.is_there() => {
                steps.extend(study.drop_packs());
                self.forget(key);
                steps.push(Step::Committed { key, receipt, signature });
            }
            _ => return Err(Violation("an answer out of turn")),
        }
        self.give_up_stuck(key, steps);
        Ok(())
    }

    fn refused_whole(
        &mut self,
        key: u64,
        code: RefusalCode,
        retry_ms: u32,
        detail: String,
        steps: &mut Vec<Step>,
    ) {
        let Some(mut study) = self.forget(key) else { return };
        steps.extend(study.drop_packs());
        if !code.passes() {
            steps.push(Step::Refused { key, index: None, code, detail });
            return;
        }
        let pause = Span::from_millis(i64::from(retry_ms)).max(SHORTEST_RETRY);
        let mut again = Study::new(study.offer);
        again.stage = Stage::Later(self.now + pause);
        self.studies.insert(key, again);
    }

    /// What the driver says about an entry.
    fn report(
        &mut self,
        key: u64,
        index: u32,
        change: impl FnOnce(&mut Study, &mut Vec<Step>),
    ) -> Vec<Step> {
        let mut steps = Vec::new();
        if let Some(study) = self.entry(key, index) {
            change(study, &mut steps);
            self.give_up_stuck(key, &mut steps);
            self.begin(&mut steps);
        }
        steps
    }

    fn entry(&mut self, key: u64, index: u32) -> Option<&mut Study> {
        self.studies.get_mut(&key).filter(|study| study.has(index))
    }

    /// A study of which nothing is left to send, but something is missing for good, would keep
    /// its place until the connection ends.
    fn give_up_stuck(&mut self, key: u64, steps: &mut Vec<Step>) {
        if self.studies.get(&key).is_some_and(Study::is_stuck) {
            self.give_up(key, steps);
        }
    }

    fn give_up(&mut self, key: u64, steps: &mut Vec<Step>) {
        let Some(mut study) = self.forget(key) else { return };
        if let Stage::Asked(study) | Stage::Open(study) = study.stage {
            steps.push(Step::Send(Message::Withdraw { study }));
        }
        steps.extend(study.drop_packs());
    }

    fn forget(&mut self, key: u64) -> Option<Study> {
        let study = self.studies.remove(&key)?;
        if let Stage::Asked(number) | Stage::Open(number) = study.stage {
            self.numbers.remove(&number);
        }
        Some(study)
    }

    fn begun(&mut self) -> Vec<Step> {
        let mut steps = Vec::new();
        self.begin(&mut steps);
        steps
    }
}

/// The shortest time before a refused offer is made again.
const SHORTEST_RETRY: Span = Span::from_millis(250);

const NO_ENTRY: Violation = Violation("an entry that the manifest does not have");
