//! What senders say belongs to a study, as they signed it, and what of it is here.

use medrelay_core::id::{InstanceId, ManifestId, OrganizationId, Uid};
use medrelay_core::study::QuarantineReason;
use medrelay_core::time::Timestamp;
use sqlx::any::AnyRow;

use super::quarantine::reason;
use super::{Columns, StoreError, Tx, assembled, parsed, statement};

/// Entries that one statement writes: five values each, far below what either engine takes.
const ENTRIES_AT_ONCE: usize = 200;

/// A manifest as it is kept, without its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestRecord {
    /// Its identifier, given by its sender.
    pub id: ManifestId,
    /// The clinic that it speaks for.
    pub clinic: OrganizationId,
    /// The gateway (or person) that made it.
    pub sender: String,
    /// Study Instance UID.
    pub study_uid: Uid,
    /// SHA-256 (hex) of its body.
    pub sha256: String,
    /// When it was read back and found equal.
    pub committed_at: Option<Timestamp>,
    /// When its sender gave it up.
    pub withdrawn_at: Option<Timestamp>,
    /// Receipt and signature, hexadecimal, once committed.
    pub receipt: Option<(String, String)>,
}

/// A manifest that is to be kept.
#[derive(Debug, Clone)]
pub struct NewManifest {
    /// Its identifier.
    pub id: ManifestId,
    /// The clinic that it speaks for.
    pub clinic: OrganizationId,
    /// The gateway (or person) that made it.
    pub sender: String,
    /// Study Instance UID.
    pub study_uid: Uid,
    /// SHA-256 (hex) of its body.
    pub sha256: String,
    /// Its body, hexadecimal.
    pub body: String,
    /// Its signature, hexadecimal; empty from a browser.
    pub signature: String,
    /// Fingerprint of the certificate whose key signed, hexadecimal; empty from a browser.
    pub certificate: String,
    /// How urgent its sender calls it: 0 STAT, 1 urgent, 2 routine.
    pub urgency: i64,
    /// The sum of its entries' lengths in bytes.
    pub bytes: i64,
    /// What it announces, in its order.
    pub entries: Vec<NewEntry>,
}

/// One entry of a [`NewManifest`].
#[derive(Debug, Clone)]
pub struct NewEntry {
    /// SOP Instance UID.
    pub sop_instance: Uid,
    /// SHA-256 (hex) of its data set.
    pub sha256: String,
    /// Length of its data set in bytes.
    pub bytes: i64,
}

/// Something here that has the SOP Instance UID of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryHere {
    /// Which entry.
    pub position: usize,
    /// The name of the bytes.
    pub id: InstanceId,
    /// SHA-256 (hex) of the data set.
    pub sha256: String,
    /// Transfer Syntax UID of the bytes.
    pub transfer_syntax: Uid,
    /// Length of what we put before the data set in the blob.
    pub data_offset: i64,
    /// The clinic that it came from.
    pub clinic: OrganizationId,
    /// Study Instance UID that it names.
    pub study_uid: Uid,
    /// Why it was put aside; `None` for an instance of a study.
    pub aside: Option<QuarantineReason>,
}

impl Tx {
    /// A manifest by identifier.
    pub async fn manifest(
        &mut self,
        id: &ManifestId,
    ) -> Result<Option<ManifestRecord>, StoreError> {
        let query = statement(
            "SELECT id, clinic_id, sender, study_uid, sha256, committed_at, withdrawn_at, receipt, \
             receipt_signature FROM manifests WHERE id = $1",
        )
        .bind(id.to_string());
        self.one(query).await?.as_ref().map(record).transpose()
    }

    /// Keeps a manifest with its entries; [`StoreError::Taken`] if its identifier is known.
    pub async fn insert_manifest(
        &mut self,
        new: &NewManifest,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.change_one(
            statement(
                "INSERT INTO manifests (id, clinic_id, sender, study_uid, sha256, body, signature, \
                 certificate, urgency, entries, bytes, received_at) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
            )
            .bind(new.id.to_string())
            .bind(new.clinic.to_string())
            .bind(new.sender.clone())
            .bind(new.study_uid.to_string())
            .bind(new.sha256.clone())
            .bind(new.body.clone())
            .bind(new.signature.clone())
            .bind(new.certificate.clone())
            .bind(new.urgency)
            .bind(i64::try_from(new.entries.len()).unwrap_or(i64::MAX))
            .bind(new.bytes)
            .bind(now.micros()),
        )
        .await?;
        let mut position = 0i64;
        for some in new.entries.chunks(ENTRIES_AT_ONCE) {
            let rows: Vec<String> = (0..some.len())
                .map(|row| format!("({})", super::placeholders(row * 5 + 1, 5)))
                .collect();
            let mut query = assembled(format!(
                "INSERT INTO manifest_entries (manifest_id, position, sop_instance, sha256, bytes) \
                 VALUES {}",
                rows.join(", ")
            ));
            for entry in some {
                query = query
                    .bind(new.id.to_string())
                    .bind(position)
                    .bind(entry.sop_instance.to_string())
                    .bind(entry.sha256.clone())
                    .bind(entry.bytes);
                position += 1;
            }
            self.run(query).await?;
        }
        Ok(())
    }

    /// What is here under the SOP Instance UIDs of a manifest's entries: instances, whosoever they
    /// are, and what was put aside with the very bytes announced.
    pub async fn entries_here(&mut self, id: &ManifestId) -> Result<Vec<EntryHere>, StoreError> {
        let instances = statement(
            "SELECT e.position, i.id, i.sha256, i.transfer_syntax, i.data_offset, s.clinic_id, \
             s.uid AS study_uid, CAST(NULL AS TEXT) AS reason FROM manifest_entries e \
             JOIN instances i ON i.uid = e.sop_instance JOIN studies s ON s.id = i.study_id \
             WHERE e.manifest_id = $1",
        )
        .bind(id.to_string());
        let mut here =
            self.all(instances).await?.iter().map(entry).collect::<Result<Vec<_>, _>>()?;
        let aside = statement(
            "SELECT e.position, q.id, q.sha256, q.transfer_syntax, q.data_offset, q.clinic_id, \
             q.study_uid, q.reason FROM manifest_entries e \
             JOIN quarantine q ON q.sop_instance = e.sop_instance AND q.sha256 = e.sha256 \
             WHERE e.manifest_id = $1",
        )
        .bind(id.to_string());
        for row in self.all(aside).await? {
            here.push(entry(&row)?);
        }
        Ok(here)
    }

    /// How many manifests of a study announce more than is here.
    pub async fn open_manifests(
        &mut self,
        study_uid: &Uid,
        clinic: &OrganizationId,
    ) -> Result<i64, StoreError> {
        let query = statement(
            "SELECT COUNT(*) AS n FROM manifests WHERE study_uid = $1 AND clinic_id = $2 \
             AND committed_at IS NULL AND withdrawn_at IS NULL",
        )
        .bind(study_uid.to_string())
        .bind(clinic.to_string());
        self.one(query).await?.map_or(Ok(0), |row| row.int("n"))
    }

    /// How many different instances the manifests of a study announce; `None` without a manifest.
    pub async fn announced(
        &mut self,
        study_uid: &Uid,
        clinic: &OrganizationId,
    ) -> Result<Option<i64>, StoreError> {
        let query = statement(
            "SELECT COUNT(DISTINCT e.sop_instance) AS n FROM manifests m \
             JOIN manifest_entries e ON e.manifest_id = m.id \
             WHERE m.study_uid = $1 AND m.clinic_id = $2 AND m.withdrawn_at IS NULL",
        )
        .bind(study_uid.to_string())
        .bind(clinic.to_string());
        let count = self.one(query).await?.map_or(Ok(0), |row| row.int("n"))?;
        Ok((count > 0).then_some(count))
    }

    /// Writes down how many instances a study is to have, if it is here already.
    pub async fn expect(
        &mut self,
        study_uid: &Uid,
        clinic: &OrganizationId,
        expected: Option<i64>,
    ) -> Result<(), StoreError> {
        self.run(
            statement("UPDATE studies SET expected = $3 WHERE uid = $1 AND clinic_id = $2")
                .bind(study_uid.to_string())
                .bind(clinic.to_string())
                .bind(expected),
        )
        .await?;
        Ok(())
    }

    /// Notes that everything a manifest announces was read back and is equal.
    pub async fn commit_manifest(
        &mut self,
        id: &ManifestId,
        receipt: &str,
        signature: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.change_one(
            statement(
                "UPDATE manifests SET committed_at = $4, receipt = $2, receipt_signature = $3 \
                 WHERE id = $1 AND committed_at IS NULL",
            )
            .bind(id.to_string())
            .bind(receipt.to_owned())
            .bind(signature.to_owned())
            .bind(now.micros()),
        )
        .await
    }

    /// Withdraws the open manifests of browsers for a study that announce nothing but what the
    /// manifest `by` has, too.
    pub async fn supersede_manifests(
        &mut self,
        by: &str,
        study_uid: &Uid,
        clinic: &OrganizationId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let query = statement(
            "UPDATE manifests SET withdrawn_at = $4 WHERE study_uid = $2 AND clinic_id = $3 \
             AND certificate = '' AND committed_at IS NULL AND withdrawn_at IS NULL \
             AND NOT EXISTS (SELECT 1 FROM manifest_entries e WHERE e.manifest_id = manifests.id \
             AND NOT EXISTS (SELECT 1 FROM manifest_entries c WHERE c.manifest_id = $1 \
             AND c.sop_instance = e.sop_instance AND c.sha256 = e.sha256))",
        )
        .bind(by.to_owned())
        .bind(study_uid.to_string())
        .bind(clinic.to_string())
        .bind(now.micros());
        self.run(query).await?;
        Ok(())
    }

    /// Withdraws manifests of browsers that nothing has come of since `before`: whoever closed the
    /// page may not come back, and their study must not wait for ever.
    pub async fn withdraw_forgotten(
        &mut self,
        before: Timestamp,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let query = statement(
            "UPDATE manifests SET withdrawn_at = $2 WHERE certificate = '' \
             AND committed_at IS NULL AND withdrawn_at IS NULL AND received_at < $1 \
             AND NOT EXISTS (SELECT 1 FROM studies s WHERE s.uid = manifests.study_uid \
             AND s.last_at >= $1)",
        );
        self.run(query.bind(before.micros()).bind(now.micros())).await
    }

    /// Notes that a sender gave an open manifest up, or takes it up again.
    pub async fn withdraw_manifest(
        &mut self,
        id: &ManifestId,
        at: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        self.run(
            statement(
                "UPDATE manifests SET withdrawn_at = $2 WHERE id = $1 AND committed_at IS NULL",
            )
            .bind(id.to_string())
            .bind(at.map(Timestamp::micros)),
        )
        .await?;
        Ok(())
    }
}

fn record(row: &AnyRow) -> Result<ManifestRecord, StoreError> {
    let receipt = row.maybe_text("receipt")?.zip(row.maybe_text("receipt_signature")?);
    Ok(ManifestRecord {
        id: parsed(ManifestId::parse(&row.text("id")?), "manifests")?,
        clinic: parsed(OrganizationId::parse(&row.text("clinic_id")?), "manifests")?,
        sender: row.text("sender")?,
        study_uid: parsed(Uid::parse(&row.text("study_uid")?), "manifests")?,
        sha256: row.text("sha256")?,
        committed_at: row.maybe_int("committed_at")?.map(Timestamp::from_micros),
        withdrawn_at: row.maybe_int("withdrawn_at")?.map(Timestamp::from_micros),
        receipt,
    })
}

fn entry(row: &AnyRow) -> Result<EntryHere, StoreError> {
    let table = "manifest_entries";
    Ok(EntryHere {
        position: parsed(usize::try_from(row.int("position")?), table)?,
        id: parsed(InstanceId::parse(&row.text("id")?), table)?,
        sha256: row.text("sha256")?,
        transfer_syntax: parsed(Uid::parse(&row.text("transfer_syntax")?), table)?,
        data_offset: row.int("data_offset")?,
        clinic: parsed(OrganizationId::parse(&row.text("clinic_id")?), table)?,
        study_uid: parsed(Uid::parse(&row.text("study_uid")?), table)?,
        aside: row.maybe_text("reason")?.map(|text| reason(&text)).transpose()?,
    })
}
