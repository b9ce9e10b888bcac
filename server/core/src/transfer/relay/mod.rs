//! The relay's end of a connection: what it answers and what its driver has to do.
//!
//! ```text
//!  Hello(certified) ── HELLO ───────────────────────────────────────────────► Open
//!  Hello(challenge) ── HELLO ─► Challenged ── PROOF ─► Proving ── proved() ──►  │
//!                                                                               │ everything else
//!  any ── no common version ─► Closed
//!
//!  a study       OFFER          known()            last entry there        committed()
//!            ──────────► Asked ────────► Open ──────────────────────► Committing ─────► gone
//!                          └───────────── WITHDRAW, refused(whole) ──────┴───────────► gone
//!
//!  an entry      stream()           stored()
//!         Wanted ────────► Taken ─────────────► There
//!            ▲               ├── broken(), refused(a code that passes) ─► Wanted
//!            └───────────────┘── refused(for good) ──────────────────────► Refused
//! ```
//!
//! The machine never waits and never forgets: the driver reports what became of every
//! [`Step`] and of every stream that it was told to take, in any order.

mod step;

use std::collections::{BTreeMap, BTreeSet};

pub use self::step::{Greeting, Peer, Settings, Step, Verdict};
use super::message::{Item, Message, Partial, StreamHeader, Welcome};
use super::{CloseCode, Manifest, Outcome, RefusalCode, Urgency, VERSIONS, Violation, limits};
use crate::time::Timestamp;

/// The relay's end of one connection.
#[derive(Debug)]
pub struct Session {
    settings: Settings,
    phase: Phase,
    /// The highest study number offered so far.
    last_study: Option<u32>,
    studies: BTreeMap<u32, Study>,
    /// Streams taken whose end has not been told.
    running: BTreeSet<(u32, u32)>,
    /// Items sent on this connection, and those of them that are not received.
    sent_items: BTreeSet<String>,
    open_items: BTreeMap<String, Option<u64>>,
    /// One of the sides said GOAWAY.
    leaving: bool,
}

#[derive(Debug)]
enum Phase {
    Hello(Greeting),
    Challenged { version: u16, nonce: [u8; 32] },
    Proving { version: u16 },
    Open(Peer),
    Closed,
}

#[derive(Debug)]
struct Study {
    manifest: Manifest,
    urgency: Urgency,
    stage: Stage,
    entries: Vec<State>,
    partial: BTreeMap<u32, Partial>,
    there: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Asked,
    Open,
    Committing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Wanted,
    Taken,
    There,
    Refused(RefusalCode),
}

impl Session {
    /// At the beginning of a connection.
    pub fn new(settings: Settings, greeting: Greeting) -> Self {
        Self {
            settings,
            phase: Phase::Hello(greeting),
            last_study: None,
            studies: BTreeMap::new(),
            running: BTreeSet::new(),
            sent_items: BTreeSet::new(),
            open_items: BTreeMap::new(),
            leaving: false,
        }
    }

    /// A message of the gateway. An error ends the connection with [`CloseCode::Violation`].
    pub fn handle(&mut self, message: Message, now: Timestamp) -> Result<Vec<Step>, Violation> {
        match (&self.phase, message) {
            (Phase::Closed, _) | (_, Message::Unknown(_)) => Ok(Vec::new()),
            (_, Message::Goaway { .. }) => {
                self.leaving = true;
                Ok(Vec::new())
            }
            (Phase::Hello(greeting), Message::Hello { versions, .. }) => {
                let greeting = greeting.clone();
                Ok(self.greet(greeting, &versions, now))
            }
            (Phase::Challenged { version, nonce }, Message::Proof { certificate, signature }) => {
                let (version, nonce) = (*version, *nonce);
                self.phase = Phase::Proving { version };
                Ok(vec![Step::Prove { certificate, signature, nonce }])
            }
            (Phase::Open(peer), Message::Offer { study, manifest, signature }) => {
                let peer = peer.clone();
                self.offer(&peer, study, manifest, signature)
            }
            (Phase::Open(_), message) => self.handle_open(message),
            _ => Err(Violation("a message before the greeting was over")),
        }
    }

    /// The proof was right: the gateway is this one.
    pub fn proved(&mut self, peer: Peer, now: Timestamp) -> Vec<Step> {
        match self.phase {
            Phase::Proving { version } => vec![self.welcome(peer, version, now)],
            _ => Vec::new(),
        }
    }

    /// A stream that the gateway opened. An error ends the connection.
    pub fn stream(&mut self, header: &StreamHeader) -> Result<Verdict, Violation> {
        if !matches!(self.phase, Phase::Open(_)) {
            return Err(Violation("a stream before the greeting was over"));
        }
        match *header {
            StreamHeader::Measure => Ok(Verdict::Measure),
            StreamHeader::Attachment { .. } => Err(OTHER_SIDE),
            StreamHeader::Instance { study, .. } if self.last_study < Some(study) => Err(UNKNOWN),
            StreamHeader::Instance { study, index, offset, pack_bytes, pack } => {
                let arriving = Partial { index, pack, offset };
                self.instance(study, &arriving, pack_bytes)
            }
        }
    }

    /// REFUSED for a stream that [`Session::stream`] would not take.
    pub fn turn_away(&self, header: &StreamHeader, code: RefusalCode) -> Vec<Step> {
        match *header {
            StreamHeader::Instance { study, index, .. } => {
                vec![refusal(study, Some(index), code, BUSY_RETRY_MS, "")]
            }
            _ => Vec::new(),
        }
    }

    /// What is known of a registered study: answers NEED, and commits when nothing is missing.
    /// `states` has one value for each entry of the manifest.
    pub fn known(
        &mut self,
        study: u32,
        mut states: Vec<Option<Outcome>>,
        mut partial: Vec<Partial>,
    ) -> Vec<Step> {
        let largest = self.settings.instance_bytes;
        let Some(known) = self.studies.get_mut(&study) else { return Vec::new() };
        if known.stage != Stage::Asked {
            return Vec::new();
        }
        states.resize(known.entries.len(), None);
        known.stage = Stage::Open;
        known.partial = partial
            .drain(..)
            .filter(|partial| at(&states, partial.index) == Some(&None))
            .map(|partial| (partial.index, partial))
            .collect();
        let partial = known.partial.values().cloned().collect();
        let mut steps = vec![Step::Send(Message::Need { study, states: states.clone(), partial })];
        for (index, state) in (0u32..).zip(&states) {
            let Some(slot) = at_mut(&mut known.entries, index) else { break };
            let too_large = at(&known.manifest.entries, index).is_some_and(|e| e.bytes > largest);
            if state.is_some() {
                *slot = State::There;
                known.there += 1;
            } else if too_large {
                *slot = State::Refused(RefusalCode::TooLarge);
                steps.push(refusal(study, Some(index), RefusalCode::TooLarge, 0, ""));
            }
        }
        steps.extend(known.commit(study));
        steps
    }

    /// An entry is durable, or put aside. Answers STORED, and commits when it was the last.
    pub fn stored(&mut self, study: u32, index: u32, outcome: Outcome) -> Vec<Step> {
        self.running.remove(&(study, index));
        let Some(known) = self.studies.get_mut(&study) else { return Vec::new() };
        match at_mut(&mut known.entries, index) {
            None | Some(State::There) => return Vec::new(),
            Some(_) if known.stage != Stage::Open => return Vec::new(),
            Some(state) => *state = State::There,
        }
        known.there += 1;
        known.partial.remove(&index);
        let stored = Message::Stored { study, entries: vec![(index, outcome)] };
        let mut steps = vec![Step::Send(stored)];
        steps.extend(known.commit(study));
        steps
    }

    /// A registered study (`index` is `None`) or a stream that was taken is refused. `retry_ms`
    /// counts for codes that pass.
    pub fn refused(
        &mut self,
        study: u32,
        index: Option<u32>,
        code: RefusalCode,
        retry_ms: u32,
        detail: &str,
    ) -> Vec<Step> {
        let answer = vec![refusal(study, index, code, retry_ms, detail)];
        let Some(index) = index else {
            return if self.studies.remove(&study).is_some() { answer } else { Vec::new() };
        };
        self.running.remove(&(study, index));
        let Some(known) = self.studies.get_mut(&study) else { return Vec::new() };
        if code == RefusalCode::Damaged {
            known.partial.remove(&index);
        }
        match at_mut(&mut known.entries, index) {
            None | Some(State::There) => Vec::new(),
            Some(state) => {
                *state = if code.passes() { State::Wanted } else { State::Refused(code) };
                answer
            }
        }
    }

    /// A stream that was taken ended early: the entry may come again.
    pub fn broken(&mut self, study: u32, index: u32) {
        self.running.remove(&(study, index));
        let known = self.studies.get_mut(&study);
        let state = known.and_then(|known| at_mut(&mut known.entries, index));
        if let Some(state @ State::Taken) = state {
            *state = State::Wanted;
        }
    }

    /// Everything was read back and signed: answers COMMITTED, and the study is over.
    pub fn committed(&mut self, study: u32, receipt: Vec<u8>, signature: Vec<u8>) -> Vec<Step> {
        if self.studies.get(&study).is_none_or(|known| known.stage != Stage::Committing) {
            return Vec::new();
        }
        self.studies.remove(&study);
        vec![Step::Send(Message::Committed { study, receipt, signature })]
    }

    /// Items for the clinic, oldest first. Those that were sent on this connection are passed
    /// over, and those beyond [`Session::wants_items`] are left for the next call.
    pub fn items(&mut self, items: Vec<Item>) -> Vec<Step> {
        let mut steps = Vec::new();
        for item in items {
            if self.wants_items() == 0 {
                break;
            }
            if self.sent_items.insert(item.id.clone()) {
                let bytes = item.attachment.as_ref().map(|attachment| attachment.bytes);
                self.open_items.insert(item.id.clone(), bytes);
                steps.push(Step::Send(Message::Item(item)));
            }
        }
        steps
    }

    /// How many more items may be sent now.
    pub fn wants_items(&self) -> usize {
        match self.phase {
            Phase::Open(_) if !self.leaving => limits::ITEMS - self.open_items.len(),
            _ => 0,
        }
    }

    /// The relay stops, or has to end this connection: says GOAWAY and takes no new streams.
    pub fn leave(&mut self, code: CloseCode, retry_ms: u32, detail: &str) -> Vec<Step> {
        self.leaving = true;
        vec![goaway(code, retry_ms, detail)]
    }

    /// Whether one of the sides leaves and no stream runs any more: time to close.
    pub fn is_idle(&self) -> bool {
        self.leaving && self.running.is_empty()
    }

    /// How urgent an open study is.
    pub fn urgency(&self, study: u32) -> Option<Urgency> {
        self.studies.get(&study).map(|known| known.urgency)
    }

    /// Entries of an open study that are there, and all of them.
    pub fn progress(&self, study: u32) -> Option<(u32, u32)> {
        let count = |entries| u32::try_from(entries).unwrap_or(u32::MAX);
        self.studies.get(&study).map(|known| (count(known.there), count(known.entries.len())))
    }

    fn greet(&mut self, greeting: Greeting, versions: &[u16], now: Timestamp) -> Vec<Step> {
        let common = versions.iter().filter(|version| VERSIONS.contains(version)).max();
        let Some(&version) = common else {
            self.phase = Phase::Closed;
            self.leaving = true;
            let detail = "no version that both know";
            let close = Step::Close { code: CloseCode::Version, detail: detail.to_owned() };
            return vec![goaway(CloseCode::Version, 0, detail), close];
        };
        match greeting {
            Greeting::Certified(peer) => vec![self.welcome(peer, version, now)],
            Greeting::Challenge(nonce) => {
                self.phase = Phase::Challenged { version, nonce };
                vec![Step::Send(Message::Challenge { nonce })]
            }
        }
    }

    fn welcome(&mut self, peer: Peer, version: u16, now: Timestamp) -> Step {
        let welcome = Welcome {
            version,
            relay: self.settings.relay.clone(),
            gateway: peer.gateway.clone(),
            clinic: peer.clinic.clone(),
            clinic_name: peer.clinic_name.clone(),
            clock: now,
            receipt_key: self.settings.receipt_key,
            streams: self.settings.streams.clamp(1, limits::STREAMS),
            instance_bytes: self.settings.instance_bytes,
            entries: self.settings.entries.min(limits::ENTRIES),
        };
        self.phase = Phase::Open(peer);
        Step::Send(Message::Welcome(welcome))
    }

    fn handle_open(&mut self, message: Message) -> Result<Vec<Step>, Violation> {
        match message {
            Message::Priority { study, .. } | Message::Withdraw { study }
                if self.last_study < Some(study) =>
            {
                Err(UNKNOWN)
            }
            Message::Priority { study, urgency } => {
                let Some(known) = self.studies.get_mut(&study) else { return Ok(Vec::new()) };
                known.urgency = urgency;
                Ok(vec![Step::Urgency { study, urgency }])
            }
            Message::Withdraw { study } => {
                let known = self.studies.remove(&study);
                Ok(known.map(|_| Step::Withdrawn { study }).into_iter().collect())
            }
            Message::Fetch { item, offset } => self.fetch(item, offset),
            Message::Received { item } => match self.open_items.remove(&item) {
                Some(_) => Ok(vec![Step::Received { item }]),
                None => self.spoken_of(&item),
            },
            Message::Renew { request } => Ok(vec![Step::Renew { request }]),
            Message::Measure { bytes } if bytes <= limits::MEASURE_BYTES => {
                Ok(vec![Step::Measure { bytes }])
            }
            Message::Measure { .. } => Err(Violation("more is to be measured than may be")),
            Message::Hello { .. } | Message::Proof { .. } => {
                Err(Violation("a greeting after the greeting"))
            }
            _ => Err(OTHER_SIDE),
        }
    }

    fn offer(
        &mut self,
        peer: &Peer,
        study: u32,
        raw: Vec<u8>,
        signature: Vec<u8>,
    ) -> Result<Vec<Step>, Violation> {
        if self.last_study >= Some(study) {
            return Err(Violation("a study number that is not higher than the one before"));
        }
        if self.studies.len() >= limits::STUDIES {
            return Err(Violation("more open studies than may be"));
        }
        self.last_study = Some(study);
        let refuse = |code, detail| Ok(vec![refusal(study, None, code, BUSY_RETRY_MS, detail)]);
        if self.leaving {
            return refuse(RefusalCode::Busy, "");
        }
        let manifest = match Manifest::decode(&raw) {
            Ok(manifest) => manifest,
            Err(Violation(rule)) => return refuse(RefusalCode::BadManifest, rule),
        };
        let entries = manifest.entries.len();
        let most = usize::try_from(self.settings.entries).unwrap_or(usize::MAX);
        if entries > most {
            return refuse(RefusalCode::BadManifest, "more entries than may be");
        }
        if manifest.clinic != peer.clinic {
            return refuse(RefusalCode::OtherClinic, "");
        }
        if manifest.gateway != peer.gateway {
            return refuse(RefusalCode::BadSignature, "the manifest is another gateway's");
        }
        let open: usize = self.studies.values().map(|known| known.entries.len()).sum();
        if open + entries > OPEN_ENTRIES {
            return refuse(RefusalCode::Busy, "too many entries are open");
        }
        self.studies.insert(study, Study::asked(manifest.clone()));
        Ok(vec![Step::Register { study, manifest: Box::new(manifest), raw, signature }])
    }

    fn instance(
        &mut self,
        study: u32,
        arriving: &Partial,
        pack_bytes: u64,
    ) -> Result<Verdict, Violation> {
        let streams = usize::from(self.settings.streams.clamp(1, limits::STREAMS));
        let crowded = self.leaving || self.running.len() >= streams * UNCONFIRMED;
        let running = self.running.contains(&(study, arriving.index));
        let Some(known) = self.studies.get_mut(&study) else {
            return Ok(Verdict::Refuse(RefusalCode::NotAnnounced));
        };
        if known.stage == Stage::Asked {
            return Err(Violation("a stream before the relay said what it needs"));
        }
        let index = arriving.index;
        let entry = at(&known.manifest.entries, index).ok_or(NO_ENTRY)?.clone();
        let state = at_mut(&mut known.entries, index).ok_or(NO_ENTRY)?;
        match *state {
            State::Refused(code) => return Ok(Verdict::Refuse(code)),
            State::Taken | State::There => return Ok(Verdict::Refuse(RefusalCode::Busy)),
            State::Wanted if crowded || running => return Ok(Verdict::Refuse(RefusalCode::Busy)),
            State::Wanted => {}
        }
        if pack_bytes > longest_pack(entry.bytes) {
            *state = State::Refused(RefusalCode::TooLarge);
            return Ok(Verdict::Refuse(RefusalCode::TooLarge));
        }
        if arriving.offset == 0 {
            // What was there of it is overwritten from its beginning.
            known.partial.remove(&index);
        } else if known.partial.get(&index) != Some(arriving) {
            return Ok(Verdict::Refuse(RefusalCode::Damaged));
        }
        *state = State::Taken;
        self.running.insert((study, index));
        Ok(Verdict::Take { study, index, entry, urgency: known.urgency })
    }

    fn fetch(&self, item: String, offset: u64) -> Result<Vec<Step>, Violation> {
        match self.open_items.get(&item) {
            Some(Some(bytes)) if offset <= *bytes => Ok(vec![Step::Attach { item, offset }]),
            Some(Some(_)) => Err(Violation("an attachment is fetched from behind its end")),
            Some(None) => Err(Violation("an item without attachment is fetched")),
            None => self.spoken_of(&item),
        }
    }

    /// An item that is not open: it was once, or the gateway made it up.
    fn spoken_of(&self, item: &str) -> Result<Vec<Step>, Violation> {
        let known = self.sent_items.contains(item);
        if known { Ok(Vec::new()) } else { Err(Violation("an item that was never sent")) }
    }
}

impl Study {
    fn asked(manifest: Manifest) -> Self {
        Self {
            urgency: manifest.urgency,
            stage: Stage::Asked,
            entries: vec![State::Wanted; manifest.entries.len()],
            partial: BTreeMap::new(),
            there: 0,
            manifest,
        }
    }

    fn commit(&mut self, study: u32) -> Option<Step> {
        if self.there < self.entries.len() {
            return None;
        }
        self.stage = Stage::Committing;
        Some(Step::Commit { study })
    }
}

/// Bytes that a pack may have: hardly more than what it holds (PROTOCOL 9).
pub const fn longest_pack(original_bytes: u64) -> u64 {
    original_bytes.saturating_add(original_bytes / 16).saturating_add(64 << 10)
}

fn at<T>(items: &[T], index: u32) -> Option<&T> {
    items.get(usize::try_from(index).ok()?)
}

fn at_mut<T>(items: &mut [T], index: u32) -> Option<&mut T> {
    items.get_mut(usize::try_from(index).ok()?)
}

fn goaway(code: CloseCode, retry_ms: u32, detail: &str) -> Step {
    Step::Send(Message::Goaway { code, retry_ms, detail: detail.to_owned() })
}

fn refusal(study: u32, index: Option<u32>, code: RefusalCode, retry_ms: u32, detail: &str) -> Step {
    let retry_ms = if code.passes() { retry_ms } else { 0 };
    Step::Send(Message::Refused { study, index, code, retry_ms, detail: detail.to_owned() })
}

/// For one stream place, so many streams may be taken and not yet stored or refused: the last
/// bytes of a stream free its place at the gateway before the relay has stored them.
pub(super) const UNCONFIRMED: usize = 4;
/// Entries of all open studies of a connection at most.
const OPEN_ENTRIES: usize = 10 * limits::ENTRIES as usize;
/// When a stream or an offer may be tried again that there was no room for, in milliseconds.
const BUSY_RETRY_MS: u32 = 250;

const UNKNOWN: Violation = Violation("a study that was never offered");
const NO_ENTRY: Violation = Violation("an entry that the manifest does not have");
const OTHER_SIDE: Violation = Violation("what only the relay may send");
