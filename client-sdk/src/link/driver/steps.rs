//! Carrying out what the machine wants done.

use medrelay_core::transfer::gateway::Step;
use medrelay_core::transfer::message::{Item, Welcome};
use medrelay_core::transfer::{CloseCode, RefusalCode, StreamHeader, Urgency};
use tokio::time::Instant;

use super::clerk::Call;
use super::offers::judge;
use super::{Conversation, End, FAREWELL, FETCHES};
use crate::link::shelf::Shelf;
use crate::link::state::{Phase, Problem};

impl<S: Shelf> Conversation<'_, S> {
    pub(super) fn carry_out(&mut self, steps: Vec<Step>) {
        for step in steps {
            self.step(step);
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Send(message) => {
                self.watch.said();
                // The writer goes only when the connection does; that is noticed elsewhere.
                let _ = self.control.send(message);
            }
            Step::Prove { nonce } => {
                let (certificate, signature) = self.identity.prove(&nonce);
                let steps = self.session.proof(certificate, signature);
                self.carry_out(steps);
            }
            Step::Welcomed(welcome) => self.welcomed(&welcome),
            Step::Prepare { key, index } => self.prepare(key, index),
            Step::Transmit { key, study, index, offset, pack, urgency } => {
                let (pack_bytes, pack) = (pack.bytes, pack.sha256);
                let header = StreamHeader::Instance { study, index, offset, pack_bytes, pack };
                self.transmit((key, index), header, urgency);
            }
            Step::Urgency { key, index, urgency } => {
                self.streams.reprioritize((key, index), urgency);
            }
            Step::Drop { key, index } => {
                self.streams.give_up((key, index));
                self.packer.forget((key, index));
            }
            Step::Known { key, have } => self.clerk.call(Call::Known(key, have)),
            Step::Stored { key, index, outcome } => {
                let bytes = self.studies.get(&key).map_or(0, |study| study.bytes(index));
                self.shared.board.change(|state| {
                    state.original_bytes += bytes;
                    state.relay_full_since = None;
                });
                self.clerk.call(Call::Stored(key, index, outcome));
            }
            Step::Refused { key, index, code, detail } => {
                if index.is_none() {
                    self.forget(key);
                }
                self.clerk.call(Call::Refused(key, index, code, detail));
            }
            Step::Committed { key, receipt, signature } => self.committed(key, receipt, signature),
            Step::Item(item) => self.item(item),
            Step::Certificate { chain } => self.certificate(chain),
            // Only the self-test measures, and it does so by itself.
            Step::Measured { .. } => {}
            Step::Goaway { code, retry_ms } => self.goaway(code, retry_ms),
            Step::Close { code, .. } => {
                let is_leaving = self.watch.is_leaving;
                let end = if is_leaving { self.watch.farewell() } else { closed(code) };
                self.end.get_or_insert(end);
            }
        }
    }

    fn transmit(&mut self, entry: (u64, u32), header: StreamHeader, urgency: Urgency) {
        match self.packer.get(entry) {
            Some(pack) => {
                let carrier = &self.dialed.carrier;
                self.streams.send(self.shared, carrier, entry, header, pack, urgency);
            }
            None => {
                // Let go by mistake: it is made again.
                let steps = self.session.broken(entry.0, entry.1);
                self.carry_out(steps);
            }
        }
    }

    /// The relay must be the one that this gateway joined, and take it for what it is.
    fn welcomed(&mut self, welcome: &Welcome) {
        let facts = self.identity.relay();
        let relay = hex::encode(self.identity.authority_fingerprint());
        let ours = welcome.relay == relay
            && Some(welcome.receipt_key) == self.identity.receipt_key()
            && welcome.gateway == facts.gateway
            && welcome.clinic == facts.clinic;
        let now = self.shared.ambient.now();
        if !ours {
            self.end = Some(End::Lost(Problem::OtherRelay));
            return;
        }
        self.deadline = None;
        let carrier = &self.dialed.carrier;
        let (kind, remote) = (carrier.kind(), carrier.remote());
        let offset = welcome.clock.since(now).micros();
        self.shared.board.change(|state| {
            state.phase = Phase::Connected;
            state.carrier = Some(kind);
            state.remote = Some(remote);
            state.connected_since = Some(now);
            state.clinic_name.clone_from(&welcome.clinic_name);
            state.clock_offset_micros = Some(offset);
            state.connections += 1;
        });
        self.list();
    }

    fn prepare(&mut self, key: u64, index: u32) {
        let Some(study) = self.studies.get(&key) else { return };
        let (Some(entry), urgency) = (study.entry(index), study.urgency) else { return };
        if let Some(pack) = self.packer.prepare((key, index), entry, urgency) {
            let steps = self.session.packed(key, index, pack.info);
            self.carry_out(steps);
        }
    }

    /// An object is gone or changed: the study goes without it, and somebody has to look.
    pub(super) fn unreadable(&mut self, key: u64, index: u32) -> Vec<Step> {
        self.shared.board.problem(self.shared.ambient.now(), Problem::Unreadable(key));
        let detail = "the object in the spool is not the one that was announced".to_owned();
        self.clerk.call(Call::Refused(key, Some(index), RefusalCode::Unreadable, detail));
        self.session.unpackable(key, index)
    }

    fn committed(&mut self, key: u64, receipt: Vec<u8>, signature: Vec<u8>) {
        let verdict =
            self.studies.get(&key).map(|study| judge(self.identity, study, &receipt, &signature));
        self.forget(key);
        match verdict {
            Some(Ok(())) => self.clerk.call(Call::Committed(key, receipt, signature)),
            Some(Err(why)) => {
                tracing::warn!(link.study = key, why, "the relay's receipt is not accepted");
                self.shared.board.problem(self.shared.ambient.now(), Problem::BadReceipt(key));
            }
            None => {}
        }
    }

    /// A study is over on this connection.
    pub(super) fn forget(&mut self, key: u64) {
        self.studies.remove(&key);
        self.over.insert(key);
        self.packer.forget_study(key);
    }

    fn item(&mut self, item: Item) {
        self.items.insert(item.id.clone(), item.clone());
        self.clerk.call(match item.attachment {
            Some(_) => Call::Attachment(item),
            None => Call::Keep(item),
        });
    }

    /// Asks for what is missing of an attachment.
    pub(super) fn fetch(&mut self, item: Item, offset: u64) {
        let wanted = item.attachment.as_ref().map_or(0, |attachment| attachment.bytes);
        if offset == wanted {
            self.clerk.call(Call::Keep(item));
            return;
        }
        // More than there should be is not the beginning of it.
        let offset = if offset > wanted { 0 } else { offset };
        let steps = self.session.fetch(item.id, offset);
        self.carry_out(steps);
    }

    /// What came is not what the item names.
    pub(super) fn fetch_again(&mut self, item: Item) {
        let times = self.damaged.entry(item.id.clone()).or_default();
        *times += 1;
        if *times < FETCHES {
            let steps = self.session.fetch(item.id, 0);
            self.carry_out(steps);
        } else {
            self.shared.board.problem(self.shared.ambient.now(), Problem::BadAttachment);
        }
    }

    /// The relay leaves: nothing new begins, what runs is finished.
    fn goaway(&mut self, code: CloseCode, retry_ms: u32) {
        let pause = std::time::Duration::from_millis(u64::from(retry_ms)).max(super::SOON);
        self.watch.leave(End::Closed(code, pause));
        self.deadline = Some(Instant::now() + FAREWELL);
    }
}

fn closed(code: CloseCode) -> End {
    End::Closed(code, super::SOON)
}
