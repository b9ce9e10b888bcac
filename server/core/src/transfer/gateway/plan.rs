//! What begins next at the gateway: offers, packs and streams, the most urgent first.
//!
//! Everything that is scarce is given out by one rule ([`share`]): the last part of it is kept for
//! STAT, a part before that for urgent and STAT. Because the more urgent may always use what the
//! less urgent may, it is enough to look at the most urgent that waits: if it gets nothing, nobody
//! does, and what is large and urgent is not kept waiting by what is small.

use super::step::Step;
use super::study::{Stage, Study};
use super::{Phase, Session};
use crate::time::Timestamp;
use crate::transfer::message::Message;
use crate::transfer::relay::UNCONFIRMED;
use crate::transfer::{RefusalCode, Urgency, limits};

impl Session {
    /// Begins whatever may begin.
    pub(super) fn begin(&mut self, steps: &mut Vec<Step>) {
        if !matches!(self.phase, Phase::Open) || self.leaving {
            return;
        }
        self.offer_more(steps);
        self.prepare_more(steps);
        self.transmit_more(steps);
    }

    fn offer_more(&mut self, steps: &mut Vec<Step>) {
        loop {
            let queued = self.studies.values().filter(|study| study.stage == Stage::Queued);
            let Some((urgency, _, key)) = queued.map(Study::rank).min() else { return };
            if self.numbers.len() >= share(limits::STUDIES, STUDIES_KEPT, urgency) {
                return;
            }
            let Some(study) = self.studies.get_mut(&key) else { return };
            if study.offer.manifest.entries.len() > self.most_entries {
                self.studies.remove(&key);
                let detail = "more entries than the relay takes".to_owned();
                let code = RefusalCode::TooLarge;
                steps.push(Step::Refused { key, index: None, code, detail });
                continue;
            }
            let number = self.next_number;
            self.next_number += 1;
            study.stage = Stage::Asked(number);
            self.numbers.insert(number, key);
            let (manifest, signature) = (study.offer.raw.clone(), study.offer.signature.clone());
            steps.push(Step::Send(Message::Offer { study: number, manifest, signature }));
            if study.offer.manifest.urgency != urgency {
                steps.push(Step::Send(Message::Priority { study: number, urgency }));
            }
        }
    }

    fn prepare_more(&mut self, steps: &mut Vec<Step>) {
        for (urgency, _, key) in self.ranked(|study| study.next_wanted().is_some()) {
            while let Some((index, bytes)) = self.studies.get(&key).and_then(Study::next_wanted) {
                if !self.make_room(urgency, bytes, steps) {
                    return;
                }
                let Some(study) = self.studies.get_mut(&key) else { return };
                steps.push(study.prepare(index));
            }
        }
    }

    fn transmit_more(&mut self, steps: &mut Vec<Step>) {
        let (mut running, mut sent) = (0, 0);
        for study in self.studies.values() {
            let (runs, waits) = study.unconfirmed();
            running += runs;
            sent += waits;
        }
        for (urgency, _, key) in self.ranked(Study::has_ready) {
            let streams = share(self.streams, STREAMS_KEPT, urgency);
            let unconfirmed = share(self.streams * UNCONFIRMED, STREAMS_KEPT, urgency);
            let Some(study) = self.studies.get_mut(&key) else { return };
            while study.has_ready() {
                if running >= streams || running + sent >= unconfirmed {
                    return;
                }
                let Some(step) = study.transmit() else { break };
                steps.push(step);
                running += 1;
            }
        }
    }

    /// Whether a pack of so many bytes may be made now; less urgent packs that wait for a stream
    /// are given up for it. However large it is, the first of its kind overtakes what is less
    /// urgent and cannot be given up, and goes alone if it is more than may be ahead.
    fn make_room(&mut self, urgency: Urgency, bytes: u64, steps: &mut Vec<Step>) -> bool {
        let most = share(AHEAD_BYTES, AHEAD_BYTES / 4, urgency) as u64;
        let most_packs = share(AHEAD_PACKS, AHEAD_PACKS / 4, urgency);
        let (mut packs, mut ahead, mut as_urgent) = (0, 0, 0);
        let (mut spare_packs, mut spare_bytes) = (0, 0);
        for study in self.studies.values() {
            let (count, bytes) = study.ahead();
            packs += count;
            ahead += bytes;
            if study.offer.urgency <= urgency {
                as_urgent += count;
            } else {
                let (count, bytes) = study.spare();
                spare_packs += count;
                spare_bytes += bytes;
            }
        }
        let fits =
            packs - spare_packs < most_packs && (ahead - spare_bytes).saturating_add(bytes) <= most;
        if !fits && as_urgent > 0 {
            return false;
        }
        while packs >= most_packs || ahead.saturating_add(bytes) > most {
            let less_urgent = self.studies.values_mut().filter(|s| s.offer.urgency > urgency);
            let last = less_urgent.filter(|s| s.has_ready()).max_by_key(|study| study.rank());
            let Some((step, freed)) = last.and_then(Study::shed) else { break };
            steps.push(step);
            packs -= 1;
            ahead -= freed;
        }
        true
    }

    /// Open studies of which something is to be done, the most urgent first.
    fn ranked(&self, waits: impl Fn(&Study) -> bool) -> Vec<(Urgency, Timestamp, u64)> {
        let open = self.studies.values().filter(|study| matches!(study.stage, Stage::Open(_)));
        let mut ranked: Vec<_> = open.filter(|study| waits(study)).map(Study::rank).collect();
        ranked.sort_unstable();
        ranked
    }
}

/// How much of `all` may be in use when something so urgent wants more: all of it for STAT, without
/// half of what is `kept` for urgent, without all of that for routine. One is always given.
fn share(all: usize, kept: usize, urgency: Urgency) -> usize {
    let kept = match urgency {
        Urgency::Stat => 0,
        Urgency::Urgent => kept / 2,
        Urgency::Routine => kept,
    };
    all.saturating_sub(kept).max(1)
}

const STREAMS_KEPT: usize = limits::STREAMS_KEPT as usize;
/// Open studies that are kept for what is more urgent.
const STUDIES_KEPT: usize = 2;
const AHEAD_BYTES: usize = limits::AHEAD_BYTES as usize;
/// Packs made ahead, however small they are.
const AHEAD_PACKS: usize = 256;
