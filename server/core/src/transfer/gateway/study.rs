//! One study at the gateway and its entries.
//!
//! ```text
//!            Prepare            packed()           Transmit           streamed()
//!  Wanted ───────────► Preparing ──────► Ready ──────────────► Sending ────────► Sent
//!    ▲  ▲                                  │ ▲                    │                │
//!    │  └── room for a more urgent one ────┘ │     broken(), REFUSED (passes)      │ REFUSED
//!    │                                       │                    ▼                ▼ (passes)
//!    └── after its time, pack damaged ───────┴─ after its time ─ Held ◄────────────┘
//!
//!  any ── STORED ─► There          any but There ── REFUSED (for good), unpackable() ─► Lost
//! ```
//!
//! A stream may still run when its entry is There already: STORED overtakes the end of the stream.

use std::collections::{BTreeMap, BTreeSet};

use super::step::{Offer, PackInfo, Progress, Step};
use crate::time::{Span, Timestamp};
use crate::transfer::message::Partial;
use crate::transfer::order::extent_first;
use crate::transfer::{Hash, Outcome, RefusalCode, Urgency, Violation};

/// Where a study stands on this connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Not offered yet.
    Queued,
    /// Refused for the time being: offered again then.
    Later(Timestamp),
    /// Offered under this number.
    Asked(u32),
    /// NEED has come.
    Open(u32),
}

/// Where an entry stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Wanted,
    Preparing,
    Ready,
    /// With what REFUSED said of it while it ran.
    Sending(Option<Again>),
    Sent,
    Held(Again),
    There,
    Lost,
}

/// When an entry is tried again, and whether its pack is made anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Again {
    at: Timestamp,
    remake: bool,
}

/// A pack that is being made (`None`) or was made, and what it counts for.
#[derive(Debug, Clone, Copy)]
struct Pack {
    info: Option<PackInfo>,
    bytes: u64,
}

/// A study that was offered to the machine.
#[derive(Debug)]
pub(super) struct Study {
    pub(super) offer: Offer,
    pub(super) stage: Stage,
    states: Vec<State>,
    /// Indexes in the order of sending, and the place of each index in it.
    order: Vec<u32>,
    places: Vec<u32>,
    /// Entries of these states by their place.
    wanted: BTreeSet<u32>,
    ready: BTreeSet<u32>,
    held: BTreeSet<(Timestamp, u32)>,
    /// Indexes whose stream runs.
    running: BTreeSet<u32>,
    packs: BTreeMap<u32, Pack>,
    partial: BTreeMap<u32, (Hash, u64)>,
    /// How often an entry failed without a final answer.
    failures: BTreeMap<u32, u32>,
    sent: usize,
    there: u32,
    bytes_there: u64,
    lost: u32,
}

impl Study {
    pub(super) fn new(offer: Offer) -> Self {
        let order = extent_first(offer.manifest.entries.len());
        let mut places = vec![0; order.len()];
        for (place, index) in (0u32..).zip(&order) {
            places[slot(*index)] = place;
        }
        Self {
            stage: Stage::Queued,
            states: vec![State::Wanted; order.len()],
            order,
            places,
            wanted: BTreeSet::new(),
            ready: BTreeSet::new(),
            held: BTreeSet::new(),
            running: BTreeSet::new(),
            packs: BTreeMap::new(),
            partial: BTreeMap::new(),
            failures: BTreeMap::new(),
            sent: 0,
            there: 0,
            bytes_there: 0,
            lost: 0,
            offer,
        }
    }

    /// What decides who goes first: smaller is sooner.
    pub(super) fn rank(&self) -> (Urgency, Timestamp, u64) {
        (self.offer.urgency, self.offer.since, self.offer.key)
    }

    pub(super) fn has(&self, index: u32) -> bool {
        slot(index) < self.states.len()
    }

    pub(super) fn running(&self) -> impl Iterator<Item = u32> {
        self.running.iter().copied()
    }

    /// Streams that run, and entries sent that wait for STORED.
    pub(super) fn unconfirmed(&self) -> (usize, usize) {
        (self.running.len(), self.sent)
    }

    /// Packs that are made or being made, and their bytes.
    pub(super) fn ahead(&self) -> (usize, u64) {
        (self.packs.len(), self.packs.values().map(|pack| pack.bytes).sum())
    }

    /// Packs and bytes that [`Study::shed`] can free.
    pub(super) fn spare(&self) -> (usize, u64) {
        let bytes = self.ready.iter().map(|place| self.pack_bytes(self.order[slot(*place)]));
        (self.ready.len(), bytes.sum())
    }

    pub(super) fn progress(&self) -> Progress {
        Progress {
            entries: u32::try_from(self.states.len()).unwrap_or(u32::MAX),
            there: self.there,
            bytes_original: self.offer.manifest.bytes(),
            bytes_there: self.bytes_there,
        }
    }

    pub(super) fn is_there(&self) -> bool {
        slot(self.there) == self.states.len()
    }

    /// Nothing is left to do, but not everything is there.
    pub(super) fn is_stuck(&self) -> bool {
        let settled = slot(self.there + self.lost) == self.states.len();
        matches!(self.stage, Stage::Open(_)) && self.lost > 0 && settled && self.running.is_empty()
    }

    /// When something is to be tried again.
    pub(super) fn due(&self) -> Option<Timestamp> {
        match self.stage {
            Stage::Later(at) => Some(at),
            _ => self.held.first().map(|(at, _)| *at),
        }
    }

    /// NEED: begins to send what is wanted, but for what is larger than `largest`.
    pub(super) fn open(
        &mut self,
        number: u32,
        states: &[Option<Outcome>],
        partial: Vec<Partial>,
        largest: u64,
    ) -> Result<Vec<Step>, Violation> {
        if states.len() != self.states.len() {
            return Err(Violation("NEED has more or fewer states than the manifest has entries"));
        }
        for Partial { index, pack, offset } in partial {
            if states.get(slot(index)) != Some(&None) {
                return Err(Violation("a partial pack of an entry that is not needed"));
            }
            if self.partial.insert(index, (pack, offset)).is_some() {
                return Err(Violation("two partial packs of one entry"));
            }
        }
        self.stage = Stage::Open(number);
        let key = self.offer.key;
        let mut steps = Vec::new();
        for (index, state) in (0u32..).zip(states) {
            if state.is_some() {
                self.enter(index, State::There);
            } else if self.original_bytes(index) > largest {
                self.enter(index, State::Lost);
                let (code, detail) = (RefusalCode::TooLarge, String::new());
                steps.push(Step::Refused { key, index: Some(index), code, detail });
            } else {
                self.enter(index, State::Wanted);
            }
        }
        steps.insert(0, Step::Known { key, have: self.there });
        Ok(steps)
    }

    /// The next entry that wants a pack, and what it counts for until it has one.
    pub(super) fn next_wanted(&self) -> Option<(u32, u64)> {
        let index = self.order[slot(*self.wanted.first()?)];
        Some((index, self.original_bytes(index)))
    }

    pub(super) fn prepare(&mut self, index: u32) -> Step {
        self.enter(index, State::Preparing);
        self.packs.insert(index, Pack { info: None, bytes: self.original_bytes(index) });
        Step::Prepare { key: self.offer.key, index }
    }

    /// The next entry to send, if one is ready.
    pub(super) fn transmit(&mut self) -> Option<Step> {
        let Stage::Open(study) = self.stage else { return None };
        let index = self.order[slot(*self.ready.first()?)];
        let pack = self.packs.get(&index)?.info?;
        let offset = match self.partial.get(&index) {
            Some((hash, offset)) if *hash == pack.sha256 && *offset <= pack.bytes => *offset,
            _ => 0,
        };
        if offset == 0 {
            // From here on the relay overwrites what it had.
            self.partial.remove(&index);
        }
        self.enter(index, State::Sending(None));
        self.running.insert(index);
        let (key, urgency) = (self.offer.key, self.offer.urgency);
        Some(Step::Transmit { key, study, index, offset, pack, urgency })
    }

    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Gives up the ready pack that would go last; says how many bytes it had.
    pub(super) fn shed(&mut self) -> Option<(Step, u64)> {
        let index = self.order[slot(*self.ready.last()?)];
        let bytes = self.pack_bytes(index);
        self.enter(index, State::Wanted);
        self.drop_pack(index).map(|step| (step, bytes))
    }

    pub(super) fn packed(&mut self, index: u32, info: PackInfo) -> Option<Step> {
        match self.state(index) {
            State::Preparing => {}
            // Told twice: the pack that is there is the same one.
            _ if self.packs.contains_key(&index) => return None,
            _ => return Some(Step::Drop { key: self.offer.key, index }),
        }
        self.packs.insert(index, Pack { info: Some(info), bytes: info.bytes });
        self.enter(index, State::Ready);
        None
    }

    /// The relay has the entry; `false` when that was known.
    pub(super) fn stored(&mut self, index: u32, steps: &mut Vec<Step>) -> bool {
        if matches!(self.state(index), State::There | State::Lost) {
            return false;
        }
        self.enter(index, State::There);
        if !self.running.contains(&index) {
            steps.extend(self.drop_pack(index));
        }
        true
    }

    /// The entry will never be there.
    pub(super) fn lose(&mut self, index: u32, steps: &mut Vec<Step>) -> bool {
        if matches!(self.state(index), State::There | State::Lost) {
            return false;
        }
        self.running.remove(&index);
        self.enter(index, State::Lost);
        steps.extend(self.drop_pack(index));
        true
    }

    /// The relay did not take the entry, but may later.
    pub(super) fn postpone(
        &mut self,
        index: u32,
        code: RefusalCode,
        retry: Span,
        now: Timestamp,
    ) -> Option<Step> {
        let remake = code == RefusalCode::Damaged;
        match self.state(index) {
            State::Sending(_) => {
                let at = now + self.pause(index, remake, retry);
                self.enter(index, State::Sending(Some(Again { at, remake })));
                None
            }
            State::Ready | State::Sent | State::Held(_) => {
                let at = now + self.pause(index, remake, retry);
                self.hold(index, Again { at, remake })
            }
            State::Wanted | State::Preparing | State::There | State::Lost => None,
        }
    }

    /// The whole pack was handed to the carrier.
    pub(super) fn streamed(&mut self, index: u32) -> Option<Step> {
        self.running.remove(&index);
        match self.state(index) {
            State::Sending(None) => {
                self.enter(index, State::Sent);
                None
            }
            State::Sending(Some(again)) => self.hold(index, again),
            State::There => self.drop_pack(index),
            _ => None,
        }
    }

    /// The stream ended early.
    pub(super) fn broken(&mut self, index: u32, now: Timestamp) -> Option<Step> {
        self.running.remove(&index);
        match self.state(index) {
            State::Sending(again) => {
                let again = again.unwrap_or_else(|| {
                    let at = now + self.pause(index, true, Span::ZERO);
                    Again { at, remake: false }
                });
                self.hold(index, again)
            }
            State::There => self.drop_pack(index),
            _ => None,
        }
    }

    /// What was held until now may go again.
    pub(super) fn release(&mut self, now: Timestamp) {
        if matches!(self.stage, Stage::Later(at) if at <= now) {
            self.stage = Stage::Queued;
        }
        while let Some((at, index)) = self.held.first().copied()
            && at <= now
        {
            let packed = self.packs.contains_key(&index);
            self.enter(index, if packed { State::Ready } else { State::Wanted });
        }
    }

    /// The study is over on this connection: every pack goes, and every stream that runs.
    pub(super) fn drop_packs(&mut self) -> Vec<Step> {
        let key = self.offer.key;
        let packs = std::mem::take(&mut self.packs);
        packs.into_keys().map(|index| Step::Drop { key, index }).collect()
    }

    fn state(&self, index: u32) -> State {
        self.states[slot(index)]
    }

    fn original_bytes(&self, index: u32) -> u64 {
        self.offer.manifest.entries[slot(index)].bytes
    }

    fn pack_bytes(&self, index: u32) -> u64 {
        self.packs.get(&index).map_or(0, |pack| pack.bytes)
    }

    fn drop_pack(&mut self, index: u32) -> Option<Step> {
        let pack = self.packs.remove(&index)?;
        // A pack that is still being made is dropped when it is reported.
        pack.info.map(|_| Step::Drop { key: self.offer.key, index })
    }

    fn hold(&mut self, index: u32, again: Again) -> Option<Step> {
        self.enter(index, State::Held(again));
        if again.remake {
            self.partial.remove(&index);
            self.drop_pack(index)
        } else {
            None
        }
    }

    /// How long to wait: what the relay says, and longer with every failure of the entry.
    fn pause(&mut self, index: u32, failed: bool, retry: Span) -> Span {
        let failures = self.failures.entry(index).or_default();
        let own = Span::from_micros(SHORTEST_PAUSE.micros() << (*failures).min(LONGEST_DOUBLING));
        *failures += u32::from(failed);
        own.max(retry)
    }

    /// The one place where an entry's state changes.
    fn enter(&mut self, index: u32, next: State) {
        let place = self.places[slot(index)];
        match self.state(index) {
            State::Wanted => {
                self.wanted.remove(&place);
            }
            State::Ready => {
                self.ready.remove(&place);
            }
            State::Sent => self.sent -= 1,
            State::Held(again) => {
                self.held.remove(&(again.at, index));
            }
            State::Preparing | State::Sending(_) | State::There | State::Lost => {}
        }
        match next {
            State::Wanted => {
                self.wanted.insert(place);
            }
            State::Ready => {
                self.ready.insert(place);
            }
            State::Sent => self.sent += 1,
            State::Held(again) => {
                self.held.insert((again.at, index));
            }
            State::There => {
                self.there += 1;
                self.bytes_there += self.original_bytes(index);
            }
            State::Lost => self.lost += 1,
            State::Preparing | State::Sending(_) => {}
        }
        self.states[slot(index)] = next;
    }
}

/// Where something with this index stands in memory.
fn slot(index: u32) -> usize {
    usize::try_from(index).unwrap_or(usize::MAX)
}

/// The shortest time before an entry is tried again; a REFUSED that belongs to a broken stream
/// comes within it. It doubles with every failure of the entry, [`LONGEST_DOUBLING`] times.
const SHORTEST_PAUSE: Span = Span::from_millis(250);
const LONGEST_DOUBLING: u32 = 7;
