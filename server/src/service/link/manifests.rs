//! A manifest comes in: signature, limits, rows; and the answer, what of it is here already.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};

use medrelay_core::event::Kind;
use medrelay_core::id::{ManifestId, OrganizationId};
use medrelay_core::transfer::manifest::sha256;
use medrelay_core::transfer::message::Partial;
use medrelay_core::transfer::{Hash, Manifest, Outcome, RefusalCode};

use super::{Identity, LinkPeer, Refusal, aside};
use crate::service::ingest::Sender;
use crate::service::{About, Error, Service, persist};
use crate::store::{EntryHere, NewEntry, NewManifest, StoreError, Tx};

/// What is signed by the proof on a WebSocket before nonce and authority (PROTOCOL 8.3).
const PROOF_CONTEXT: &[u8] = b"medrelay link proof 1\0";

/// A manifest that is kept, and what of it is here.
#[derive(Debug, Clone)]
pub struct Registered {
    /// Its identifier.
    pub id: ManifestId,
    /// SHA-256 of it as signed.
    pub sha256: Hash,
    /// Per entry: what became of it, `None` while it is needed.
    pub states: Vec<Option<Outcome>>,
    /// Packs that began to arrive.
    pub partial: Vec<Partial>,
}

impl Service {
    /// Whether a gateway's signature over `message` is right; `public_key` as in [`Identity`].
    pub fn gateway_signed(public_key: &[u8], message: &[u8], signature: &[u8]) -> bool {
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, public_key);
        key.verify(message, signature).is_ok()
    }

    /// Whether a gateway on a WebSocket has proved that it holds its key (PROTOCOL 8.3).
    pub fn gateway_proved(&self, peer: &LinkPeer, nonce: &[u8; 32], signature: &[u8]) -> bool {
        let authority = self.parts.authority.fingerprint();
        let message = [PROOF_CONTEXT, nonce, authority.as_slice()].concat();
        match &peer.identity {
            Identity::Gateway { public_key, .. } => {
                Self::gateway_signed(public_key, &message, signature)
            }
            Identity::Person { .. } => false,
        }
    }

    /// Checks and keeps a manifest, and says what of it is here. The same one again is only asked
    /// about; another body under a known identifier is refused.
    pub async fn register_manifest(
        &self,
        peer: &LinkPeer,
        sender: &Sender,
        manifest: &Manifest,
        raw: &[u8],
        signature: &[u8],
    ) -> Result<Registered, Refusal> {
        if manifest.clinic != peer.clinic.as_str() || manifest.gateway != peer.name() {
            let detail = "the manifest names another clinic or sender than the one that sends it";
            return Err(Refusal::new(RefusalCode::OtherClinic, detail));
        }
        if !self.manifest_signed(peer, raw, signature).await? {
            let detail = "the manifest's signature is not of its sender's key";
            return Err(Refusal::new(RefusalCode::BadSignature, detail));
        }
        let id = ManifestId::parse(&manifest.id).map_err(|_| {
            Refusal::new(RefusalCode::BadManifest, "the manifest's identifier is not a UUID")
        })?;
        let hash = sha256(raw);
        self.stop_streams(&peer.clinic, manifest).await?;
        let new = new_manifest(&id, peer, manifest, raw, signature);
        let known = persist!(match self.keep_manifest(sender, &new).await {
            // Another connection has brought the same one this moment.
            Err(Error::Store(StoreError::Taken)) => Err(Error::VersionConflict),
            kept => kept,
        });
        let Some(here) = known? else {
            let detail = "another manifest has this identifier";
            return Err(Refusal::new(RefusalCode::BadManifest, detail));
        };
        let states = states(manifest, &peer.clinic, &here);
        let states: Vec<_> = states.iter().map(|state| state.map(|(outcome, _)| outcome)).collect();
        let partial = self.partial_packs(&peer.clinic, manifest, &states).await?;
        Ok(Registered { id, sha256: hash, states, partial })
    }

    /// Whether a manifest is signed by one of the gateway's keys: it may have been renewed since. For
    /// a person their session stands in, and there is nothing to sign with.
    async fn manifest_signed(
        &self,
        peer: &LinkPeer,
        raw: &[u8],
        signature: &[u8],
    ) -> Result<bool, Error> {
        let Identity::Gateway { id, public_key, .. } = &peer.identity else {
            return Ok(signature.is_empty());
        };
        if Self::gateway_signed(public_key, raw, signature) {
            return Ok(true);
        }
        let mut tx = self.parts.db.read().await?;
        let known = tx.gateway_certificates(id).await?;
        Ok(known
            .iter()
            .filter_map(|one| hex::decode(&one.public_key).ok())
            .any(|key| key != *public_key && Self::gateway_signed(&key, raw, signature)))
    }

    /// The gateway gives a study up: what is here stays, and settles by quiet time again.
    pub async fn withdraw_manifest(&self, id: &ManifestId) -> Result<(), Error> {
        let mut tx = self.parts.db.write().await?;
        tx.withdraw_manifest(id, Some(self.now())).await?;
        let Some(record) = tx.manifest(id).await? else { return Ok(()) };
        let expected = tx.announced(&record.study_uid, &record.clinic).await?;
        tx.expect(&record.study_uid, &record.clinic, expected).await?;
        Ok(tx.commit().await?)
    }

    /// Writes a manifest down; `None` when its identifier belongs to another one.
    async fn keep_manifest(
        &self,
        sender: &Sender,
        new: &NewManifest,
    ) -> Result<Option<Vec<EntryHere>>, Error> {
        // A look first: a gateway that asks how far its study is must not write.
        let mut tx = self.parts.db.read().await?;
        let known = tx.manifest(&new.id).await?;
        if let Some(known) = known {
            if known.sha256 != new.sha256 || known.clinic != new.clinic {
                return Ok(None);
            }
            let here = tx.entries_here(&new.id).await?;
            drop(tx);
            if known.withdrawn_at.is_some() {
                self.take_up_again(new).await?;
            }
            return Ok(Some(here));
        }
        drop(tx);
        let mut tx = self.parts.db.write().await?;
        tx.insert_manifest(new, self.now()).await?;
        expect(&mut tx, new).await?;
        let here = tx.entries_here(&new.id).await?;
        let details = serde_json::json!({
            "study_uid": new.study_uid, "entries": new.entries.len(), "bytes": new.bytes,
        });
        let about = About::of(&new.clinic, format!("manifest:{}", new.id)).with(details);
        tx.record(vec![self.parts.event(&sender.caller, Kind::ManifestReceived, about)]).await?;
        tx.commit().await?;
        Ok(Some(here))
    }

    async fn take_up_again(&self, new: &NewManifest) -> Result<(), Error> {
        let mut tx = self.parts.db.write().await?;
        tx.withdraw_manifest(&new.id, None).await?;
        expect(&mut tx, new).await?;
        Ok(tx.commit().await?)
    }
}

async fn expect(tx: &mut Tx, new: &NewManifest) -> Result<(), Error> {
    let expected = tx.announced(&new.study_uid, &new.clinic).await?;
    Ok(tx.expect(&new.study_uid, &new.clinic, expected).await?)
}

fn new_manifest(
    id: &ManifestId,
    peer: &LinkPeer,
    manifest: &Manifest,
    raw: &[u8],
    signature: &[u8],
) -> NewManifest {
    let length = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    let entry = |entry: &medrelay_core::transfer::Entry| NewEntry {
        sop_instance: entry.sop_instance.clone(),
        sha256: hex::encode(entry.sha256),
        bytes: length(entry.bytes),
    };
    NewManifest {
        id: id.clone(),
        clinic: peer.clinic.clone(),
        sender: peer.id(),
        study_uid: manifest.study.clone(),
        sha256: hex::encode(sha256(raw)),
        body: hex::encode(raw),
        signature: hex::encode(signature),
        certificate: peer.fingerprint().to_owned(),
        urgency: manifest.urgency as i64,
        bytes: length(manifest.bytes()),
        entries: manifest.entries.iter().map(entry).collect(),
    }
}

/// What became of each entry, with where its bytes are: exactly the announced bytes in the
/// announced transfer syntax, from this clinic, in the announced study.
pub(super) fn states<'h>(
    manifest: &Manifest,
    clinic: &OrganizationId,
    here: &'h [EntryHere],
) -> Vec<Option<(Outcome, &'h EntryHere)>> {
    let mut states = vec![None; manifest.entries.len()];
    for found in here {
        let Some(entry) = manifest.entries.get(found.position) else { continue };
        let equal = found.clinic == *clinic
            && found.study_uid == manifest.study
            && found.transfer_syntax == entry.transfer_syntax
            && found.sha256 == hex::encode(entry.sha256);
        let outcome = found.aside.map_or(Outcome::Stored, aside);
        let better = !matches!(states[found.position], Some((Outcome::Stored, _)));
        if equal && better {
            states[found.position] = Some((outcome, found));
        }
    }
    states
}

#[cfg(test)]
mod tests {
    use medrelay_core::id::{InstanceId, Uid};
    use medrelay_core::study::QuarantineReason;
    use medrelay_core::time::Timestamp;
    use medrelay_core::transfer::{Entry, Urgency};

    use super::*;

    fn uid(text: &str) -> Uid {
        Uid::parse(text).expect("a UID")
    }

    fn clinic(n: u64) -> OrganizationId {
        OrganizationId::parse(&format!("00000000-0000-7000-8000-{n:012x}")).expect("a UUID")
    }

    fn manifest() -> Manifest {
        let entry = |n: u8| Entry {
            sop_instance: uid(&format!("1.2.3.{n}")),
            sop_class: uid("1.2.840.10008.5.1.4.1.1.2"),
            transfer_syntax: uid("1.2.840.10008.1.2.1"),
            bytes: 10,
            sha256: [n; 32],
        };
        Manifest {
            id: String::new(),
            clinic: clinic(1).to_string(),
            gateway: String::new(),
            study: uid("1.2.3"),
            urgency: Urgency::Routine,
            made: Timestamp::default(),
            entries: vec![entry(1), entry(2)],
        }
    }

    fn here(position: usize, n: u8) -> EntryHere {
        EntryHere {
            position,
            id: InstanceId::parse("00000000-0000-7000-8000-00000000aaaa").expect("a UUID"),
            sha256: hex::encode([n; 32]),
            transfer_syntax: uid("1.2.840.10008.1.2.1"),
            data_offset: 300,
            clinic: clinic(1),
            study_uid: uid("1.2.3"),
            aside: None,
        }
    }

    fn outcomes(here: &[EntryHere]) -> Vec<Option<Outcome>> {
        let states = states(&manifest(), &clinic(1), here);
        states.into_iter().map(|state| state.map(|(outcome, _)| outcome)).collect()
    }

    #[test]
    fn only_the_very_same_bytes_of_the_same_clinic_and_study_count() {
        assert_eq!(outcomes(&[here(0, 1)]), [Some(Outcome::Stored), None]);
        let other_bytes = here(0, 9);
        let other_clinic = EntryHere { clinic: clinic(2), ..here(0, 1) };
        let other_study = EntryHere { study_uid: uid("1.2.4"), ..here(0, 1) };
        let other_syntax = EntryHere { transfer_syntax: uid("1.2.840.10008.1.2"), ..here(0, 1) };
        let beyond = here(2, 1);
        assert_eq!(
            outcomes(&[other_bytes, other_clinic, other_study, other_syntax, beyond]),
            [None, None]
        );
    }

    #[test]
    fn what_was_put_aside_is_told_with_its_reason_unless_it_is_stored_too() {
        let aside = |reason| EntryHere { aside: Some(reason), ..here(1, 2) };
        assert_eq!(
            outcomes(&[aside(QuarantineReason::OtherPatient)]),
            [None, Some(Outcome::OtherPatient)]
        );
        let both = [here(1, 2), aside(QuarantineReason::OtherContent)];
        assert_eq!(outcomes(&both), [None, Some(Outcome::Stored)]);
    }
}
