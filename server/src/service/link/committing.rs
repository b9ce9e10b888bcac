//! The proof that a study is safe: every blob read back from the store and equal, then a signed
//! receipt, and the study is complete.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::stream::{self, StreamExt as _};
use tokio::sync::Semaphore;

use medrelay_core::event::Kind;
use medrelay_core::id::{InstanceId, ManifestId};
use medrelay_core::study::{self, InstanceFacts, Occasion, Settled};
use medrelay_core::transfer::{Hash, Manifest, Outcome, Receipt, RefusalCode};

use super::{LinkPeer, Refusal, manifests, outcome};
use crate::blobs::BlobError;
use crate::service::ingest::{self, Intake, Sender, Stored};
use crate::service::studies::centre_of;
use crate::service::{About, Error, Service, persist};
use crate::store::{NewEvent, Tx};

/// Blobs read back at once.
const READING_AT_ONCE: usize = 4;
/// Blobs that are remembered as read back.
const REMEMBERED: usize = 65_536;
/// When a gateway is to ask again about a study whose bytes were damaged in the store.
const DAMAGED_AGAIN_MS: u32 = 600_000;

/// The relay's receipt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commitment {
    /// As signed.
    pub receipt: Vec<u8>,
    /// Ed25519.
    pub signature: Vec<u8>,
}

/// Which blobs this process has read back since they were stored, oldest first.
pub(super) struct ReadBack {
    equal: Mutex<(HashSet<InstanceId>, VecDeque<InstanceId>)>,
    turns: Arc<Semaphore>,
}

impl Default for ReadBack {
    fn default() -> Self {
        Self { equal: Mutex::default(), turns: Arc::new(Semaphore::new(READING_AT_ONCE)) }
    }
}

impl ReadBack {
    fn knows(&self, id: &InstanceId) -> bool {
        self.equal.lock().unwrap_or_else(PoisonError::into_inner).0.contains(id)
    }

    fn remember(&self, id: InstanceId) {
        let mut equal = self.equal.lock().unwrap_or_else(PoisonError::into_inner);
        let (known, order) = &mut *equal;
        if known.insert(id.clone()) {
            order.push_back(id);
        }
        if order.len() > REMEMBERED
            && let Some(oldest) = order.pop_front()
        {
            known.remove(&oldest);
        }
    }
}

/// A blob and what its data set must be.
#[derive(Debug, Clone)]
struct Piece {
    id: InstanceId,
    data_offset: u64,
    sha256: String,
}

impl Service {
    /// Makes an entry's instance durable and begins to read it back, so that little is left to do
    /// when the last one has come.
    pub async fn take_entry(
        &self,
        intake: Intake,
        facts: InstanceFacts,
        sha256: &Hash,
    ) -> Result<Outcome, Refusal> {
        let (id, data_offset) = intake.name();
        let piece = Piece { id: id.clone(), data_offset, sha256: hex::encode(sha256) };
        let stored = self.finish_intake(intake, facts).await?;
        if stored == Stored::Fresh {
            let service = self.clone();
            tokio::spawn(async move {
                // Only an advance: the commit asks again and is loud about what it finds.
                if let Err(error) = service.read_back(&piece).await {
                    tracing::debug!(%error, "a blob is read back later");
                }
            });
        }
        Ok(outcome(stored))
    }

    /// Reads everything that a manifest announces back from the store; when all of it is equal,
    /// signs the receipt, and the study is complete. Asked again, gives the same receipt.
    pub async fn commit_manifest(
        &self,
        peer: &LinkPeer,
        sender: &Sender,
        id: &ManifestId,
        manifest: &Manifest,
    ) -> Result<Commitment, Refusal> {
        let mut tx = self.parts.db.read().await.map_err(Error::from)?;
        let record = tx.manifest(id).await.map_err(Error::from)?;
        let record = record.ok_or_else(|| Refusal::busy("the manifest is not known"))?;
        if let Some((receipt, signature)) = &record.receipt {
            return kept(receipt, signature);
        }
        let here = tx.entries_here(id).await.map_err(Error::from)?;
        drop(tx);
        let states = manifests::states(manifest, &peer.clinic, &here);
        let found: Vec<_> = states.iter().flatten().collect();
        if found.len() != manifest.entries.len() {
            return Err(Refusal::busy("an entry of the manifest is not here"));
        }
        let length = |n: i64| u64::try_from(n).unwrap_or(0);
        let pieces = found.iter().map(|(_, here)| Piece {
            id: here.id.clone(),
            data_offset: length(here.data_offset),
            sha256: here.sha256.clone(),
        });
        self.read_all_back(pieces.collect()).await?;
        let aside = states.iter().zip(0u32..).filter_map(|(state, index)| {
            state.map(|(outcome, _)| (index, outcome)).filter(|(_, o)| *o != Outcome::Stored)
        });
        let receipt = Receipt {
            relay: hex::encode(self.parts.authority.fingerprint()),
            clinic: peer.clinic.to_string(),
            gateway: peer.name(),
            manifest: id.to_string(),
            manifest_sha256: hash(&record.sha256),
            study: manifest.study.clone(),
            instances: u32::try_from(manifest.entries.len()).unwrap_or(u32::MAX),
            bytes: manifest.bytes(),
            aside: aside.collect(),
            committed: self.now(),
        };
        Ok(persist!(self.sign_receipt(sender, id, &receipt).await)?)
    }

    async fn read_all_back(&self, pieces: Vec<Piece>) -> Result<(), Refusal> {
        let readings = stream::iter(pieces).map(|piece| async move {
            let equal = self.read_back(&piece).await;
            (piece, equal)
        });
        let mut readings = std::pin::pin!(readings.buffer_unordered(READING_AT_ONCE));
        let mut damaged = 0usize;
        while let Some((piece, equal)) = readings.next().await {
            if !equal? {
                damaged += 1;
                metrics::counter!("medrelay_link_damaged_blobs_total").increment(1);
                tracing::error!(
                    instance.id = %piece.id,
                    "stored bytes are gone or are not what was stored: look at the disk and restore \
                     them from a backup; the gateway keeps its copy"
                );
            }
        }
        if damaged == 0 {
            return Ok(());
        }
        let detail = format!("{damaged} stored objects are damaged at the relay; keep your copies");
        Err(Refusal { code: RefusalCode::Busy, retry_ms: DAMAGED_AGAIN_MS, detail })
    }

    /// Whether a blob's data set, read from the store after its commit, is what it must be.
    async fn read_back(&self, piece: &Piece) -> Result<bool, Error> {
        let read = &self.link.read_back;
        if read.knows(&piece.id) {
            return Ok(true);
        }
        let _turn = Arc::clone(&read.turns).acquire_owned().await.map_err(|_| Error::Busy)?;
        // Somebody may have read it while we waited.
        if read.knows(&piece.id) {
            return Ok(true);
        }
        let key = ingest::key(&piece.id)?;
        match self.parts.blobs.digest(&key, piece.data_offset).await {
            Ok(sha256) if sha256 == piece.sha256 => {
                read.remember(piece.id.clone());
                Ok(true)
            }
            Ok(_) | Err(BlobError::NotFound | BlobError::Damaged(_)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    async fn sign_receipt(
        &self,
        sender: &Sender,
        id: &ManifestId,
        receipt: &Receipt,
    ) -> Result<Commitment, Error> {
        let bytes = receipt.encode();
        let signature = self.parts.receipts.sign(&bytes);
        let mut tx = self.parts.db.write().await?;
        let record = tx.manifest(id).await?.ok_or(Error::hidden())?;
        if let Some((receipt, signature)) = &record.receipt {
            // Another connection was faster: its receipt is the one that counts.
            return kept(receipt, signature)
                .map_err(|_| Error::Conflict("the receipt cannot be read"));
        }
        let (text, signed) = (hex::encode(&bytes), hex::encode(&signature));
        tx.commit_manifest(id, &text, &signed, self.now()).await?;
        let mut events = Vec::new();
        self.complete_by_manifest(&mut tx, sender, receipt, &mut events).await?;
        tx.record(events).await?;
        tx.commit().await?;
        Ok(Commitment { receipt: bytes, signature })
    }

    /// The study is complete unless a further manifest of it is open. Everything may have been put
    /// aside: then there is no study.
    async fn complete_by_manifest(
        &self,
        tx: &mut Tx,
        sender: &Sender,
        receipt: &Receipt,
        events: &mut Vec<NewEvent>,
    ) -> Result<(), Error> {
        let (caller, clinic) = (&sender.caller, &sender.clinic);
        let study = tx.study_by_uid(&receipt.study).await?.filter(|study| study.clinic == *clinic);
        let details = serde_json::json!({
            "manifest": receipt.manifest, "instances": receipt.instances,
            "aside": receipt.aside.len(), "bytes": receipt.bytes,
        });
        let Some(study) = study else {
            let about = About::of(clinic, format!("manifest:{}", receipt.manifest)).with(details);
            events.push(self.parts.event(caller, Kind::StudyCommitted, about));
            return Ok(());
        };
        let centre = centre_of(tx, clinic, &study.modality, self.now()).await?;
        let object = format!("study:{}", study.id);
        let about = About { partner: centre.as_ref(), ..About::of(clinic, object) }.with(details);
        events.push(self.parts.event(caller, Kind::StudyCommitted, about));
        let expected = tx.announced(&receipt.study, clinic).await?;
        tx.expect(&receipt.study, clinic, expected).await?;
        // A browser that forgot what it was sending announces the study anew: what is whole by the
        // new manifest does not wait for the old one.
        tx.supersede_manifests(&receipt.manifest, &receipt.study, clinic, self.now()).await?;
        if tx.open_manifests(&receipt.study, clinic).await? > 0 {
            return Ok(());
        }
        let now = self.now();
        if let Settled::Complete(reason) =
            study::settle(study.stage, study.settle_at, Occasion::Manifest, now)
        {
            self.complete(tx, caller, study, reason, None, events).await?;
        }
        Ok(())
    }
}

/// A receipt as it is stored.
fn kept(receipt: &str, signature: &str) -> Result<Commitment, Refusal> {
    let read = |text: &str| hex::decode(text).map_err(|_| Refusal::busy("the relay has a fault"));
    Ok(Commitment { receipt: read(receipt)?, signature: read(signature)? })
}

fn hash(text: &str) -> Hash {
    let mut hash = [0; 32];
    // Written by us from 32 bytes; anything else gives a receipt that no gateway believes.
    let _ = hex::decode_to_slice(text, &mut hash);
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_back_is_remembered_within_bounds() {
        let id = |n: usize| InstanceId::parse(&format!("00000000-0000-7000-8000-{n:012x}"));
        let read = ReadBack::default();
        for n in 0..=REMEMBERED {
            read.remember(id(n).expect("a UUID"));
        }
        assert!(!read.knows(&id(0).expect("a UUID")));
        assert!(read.knows(&id(1).expect("a UUID")));
        assert!(read.knows(&id(REMEMBERED).expect("a UUID")));
    }
}
