//! Offering what waits: manifests made and signed, and the receipts for them checked.

use std::collections::HashSet;

use medrelay_core::time::Timestamp;
use medrelay_core::transfer::gateway::Offer;
use medrelay_core::transfer::manifest::sha256;
use medrelay_core::transfer::{Entry, Manifest, Outcome, Receipt, Urgency};

use super::Conversation;
use super::clerk::Call;
use crate::link::identity::Identity;
use crate::link::shelf::{Shelf, Signed, Waiting};

/// A study that is offered, or about to be.
#[derive(Debug)]
pub(super) struct Study {
    pub urgency: Urgency,
    since: Timestamp,
    manifest: Manifest,
    signed: Signed,
}

impl Study {
    pub fn entry(&self, index: u32) -> Option<Entry> {
        self.manifest.entries.get(usize::try_from(index).ok()?).cloned()
    }

    /// Original bytes of an entry.
    pub fn bytes(&self, index: u32) -> u64 {
        self.entry(index).map_or(0, |entry| entry.bytes)
    }
}

impl<S: Shelf> Conversation<'_, S> {
    /// Compares what waits with what is offered.
    pub(super) fn take_list(&mut self, waiting: Vec<Waiting>) {
        let listed: HashSet<u64> = waiting.iter().map(|study| study.key).collect();
        // A key that the shelf has dropped may come again.
        self.over.retain(|key| listed.contains(key));
        let gone: Vec<u64> =
            self.studies.keys().filter(|key| !listed.contains(key)).copied().collect();
        for key in gone {
            let steps = self.session.withdraw(key);
            self.carry_out(steps);
            self.studies.remove(&key);
            self.packer.forget_study(key);
        }
        for study in waiting {
            if !self.over.contains(&study.key) {
                self.take(study);
            }
        }
    }

    fn take(&mut self, waiting: Waiting) {
        let key = waiting.key;
        if let Some(known) = self.studies.get_mut(&key) {
            if known.urgency != waiting.urgency {
                known.urgency = waiting.urgency;
                self.packer.reprioritize(key, waiting.urgency);
                let steps = self.session.reprioritize(key, waiting.urgency);
                self.carry_out(steps);
            }
            return;
        }
        let (study, is_new) = self.prepare_offer(waiting);
        let signed = study.signed.clone();
        self.studies.insert(key, study);
        if is_new {
            self.clerk.call(Call::Sign(key, signed));
        } else {
            self.offer_signed(key);
        }
    }

    /// The manifest of a study: the one that was signed, if it still holds, else a new one; `true`
    /// when it has to be kept first.
    fn prepare_offer(&self, waiting: Waiting) -> (Study, bool) {
        let Waiting { urgency, since, study, signed, entries, .. } = waiting;
        let facts = self.identity.relay();
        if let Some(signed) = signed
            && let Ok(manifest) = Manifest::decode(&signed.raw)
            && manifest.gateway == facts.gateway
            && manifest.clinic == facts.clinic
            && manifest.entries == entries
        {
            // After a renewal only the signature is another.
            let holds = self.identity.signed(&signed.raw, &signed.signature);
            let signed = if holds {
                signed
            } else {
                Signed { signature: self.identity.sign(&signed.raw), raw: signed.raw }
            };
            return (Study { urgency, since, manifest, signed }, !holds);
        }
        let manifest = Manifest {
            id: self.shared.ambient.uuid(),
            clinic: facts.clinic.clone(),
            gateway: facts.gateway.clone(),
            study,
            urgency,
            made: self.shared.ambient.now(),
            entries,
        };
        let raw = manifest.encode();
        let signature = self.identity.sign(&raw);
        (Study { urgency, since, manifest, signed: Signed { raw, signature } }, true)
    }

    /// The manifest is durable: the study may be offered.
    pub(super) fn offer_signed(&mut self, key: u64) {
        let Some(study) = self.studies.get(&key) else { return };
        let offer = Offer {
            key,
            manifest: study.manifest.clone(),
            raw: study.signed.raw.clone(),
            signature: study.signed.signature.clone(),
            urgency: study.urgency,
            since: study.since,
        };
        let steps = self.session.offer(offer);
        self.carry_out(steps);
    }
}

/// Whether a receipt is the relay's, about this study, and complete; the error says what is not so.
pub(super) fn judge(
    identity: &Identity,
    study: &Study,
    receipt: &[u8],
    signature: &[u8],
) -> Result<(), &'static str> {
    if !identity.is_receipt(receipt, signature) {
        return Err("its signature is not the relay's");
    }
    let receipt = Receipt::decode(receipt).map_err(|_| "it cannot be read")?;
    let manifest = &study.manifest;
    if receipt.relay != hex::encode(identity.authority_fingerprint()) {
        return Err("it is another relay's");
    }
    if receipt.clinic != manifest.clinic || receipt.gateway != manifest.gateway {
        return Err("it is another gateway's");
    }
    if receipt.manifest != manifest.id
        || receipt.manifest_sha256 != sha256(&study.signed.raw)
        || receipt.study != manifest.study
    {
        return Err("it is for another manifest");
    }
    let entries = u32::try_from(manifest.entries.len()).unwrap_or(u32::MAX);
    if receipt.instances != entries || receipt.bytes != manifest.bytes() {
        return Err("its counts are not the manifest's");
    }
    let mut aside = HashSet::new();
    let sound = |(index, outcome): &(u32, Outcome)| {
        *index < entries && *outcome != Outcome::Stored && aside.insert(*index)
    };
    if receipt.aside.iter().all(sound) { Ok(()) } else { Err("what it puts aside makes no sense") }
}
