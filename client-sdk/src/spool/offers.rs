//! What is offered to the relay: manifests made of what has settled, and what became of them.
//!
//! An offer is made of everything that has come for a study and is not part of an earlier offer; a
//! study with an object that a person must look at is not offered at all until then.

use std::path::PathBuf;

use medrelay_core::id::Uid;
use medrelay_core::time::Timestamp;
use medrelay_core::transfer::{Entry, Outcome, RefusalCode, Urgency, limits};
use sqlx::Row as _;

use super::{Spool, SpoolError, integer, natural};

/// An offer that waits for the relay's receipt.
#[derive(Debug, Clone)]
pub struct OpenOffer {
    /// Its number in the spool.
    pub key: u64,
    /// Study Instance UID.
    pub study: Uid,
    /// How soon.
    pub urgency: Urgency,
    /// When the study's first object came: older ones go first.
    pub since: Timestamp,
    /// What belongs to it, in the order of the images.
    pub entries: Vec<Entry>,
    /// The manifest and its signature, once it was signed.
    pub signed: Option<(Vec<u8>, Vec<u8>)>,
}

/// Where an entry's bytes are.
#[derive(Debug, Clone)]
pub struct Place {
    /// The file.
    pub path: PathBuf,
    /// Where in it the data set begins.
    pub data_offset: u64,
    /// How the data set is written.
    pub transfer_syntax: Uid,
}

impl Spool {
    /// Makes offers of every study that has settled; `all` makes them of those that have not, too
    /// (a person says that everything is here). Says when the next one settles.
    pub async fn settle(&self, all: bool) -> Result<Option<Timestamp>, SpoolError> {
        let now = if all { i64::MAX } else { self.now().micros() };
        let due = sqlx::query("SELECT key FROM studies WHERE settle_at <= $1")
            .bind(now)
            .fetch_all(self.db())
            .await?;
        for row in &due {
            self.settle_study(natural(row.get(0))).await?;
        }
        let next: Option<i64> =
            sqlx::query("SELECT MIN(settle_at) FROM studies").fetch_one(self.db()).await?.get(0);
        Ok(next.map(Timestamp::from_micros))
    }

    /// Makes an offer of what has come for one study, unless a person must look first.
    pub async fn settle_study(&self, study: u64) -> Result<(), SpoolError> {
        let study = integer(study);
        let mut tx = self.writer().begin_with("BEGIN IMMEDIATE").await?;
        let flagged: i64 =
            sqlx::query("SELECT COUNT(*) FROM objects WHERE study_key = $1 AND state = 'flagged'")
                .bind(study)
                .fetch_one(&mut *tx)
                .await?
                .get(0);
        let fresh = sqlx::query(
            "SELECT id FROM objects WHERE study_key = $1 AND state = 'kept' AND manifest_key IS NULL \
             ORDER BY series_number, series_uid, instance_number, sop_instance",
        )
        .bind(study)
        .fetch_all(&mut *tx)
        .await?;
        sqlx::query("UPDATE studies SET settle_at = NULL WHERE key = $1")
            .bind(study)
            .execute(&mut *tx)
            .await?;
        if flagged == 0 {
            for part in fresh.chunks(limits::ENTRIES as usize) {
                let manifest: i64 = sqlx::query(
                    "INSERT INTO manifests (study_key, made_at, entries) VALUES ($1, $2, $3) RETURNING key",
                )
                .bind(study)
                .bind(self.now().micros())
                .bind(integer(part.len() as u64))
                .fetch_one(&mut *tx)
                .await?
                .get(0);
                for (position, row) in part.iter().enumerate() {
                    sqlx::query(
                        "UPDATE objects SET manifest_key = $2, position = $3 WHERE id = $1",
                    )
                    .bind(row.get::<String, _>(0))
                    .bind(manifest)
                    .bind(integer(position as u64))
                    .execute(&mut *tx)
                    .await?;
                }
            }
        }
        tx.commit().await?;
        self.note_change();
        Ok(())
    }

    /// The offers that wait, the most urgent and then the oldest first.
    pub async fn open_offers(&self) -> Result<Vec<OpenOffer>, SpoolError> {
        let rows = sqlx::query(
            "SELECT m.key, s.uid, s.urgency, s.first_at, m.raw, m.signature FROM manifests m \
             JOIN studies s ON s.key = m.study_key WHERE m.committed_at IS NULL AND m.refused IS NULL \
             ORDER BY s.urgency, s.first_at, m.key LIMIT 64",
        )
        .fetch_all(self.db())
        .await?;
        let mut offers = Vec::with_capacity(rows.len());
        for row in rows {
            let key: i64 = row.get(0);
            let raw: Option<Vec<u8>> = row.get(4);
            let signature: Option<Vec<u8>> = row.get(5);
            offers.push(OpenOffer {
                key: natural(key),
                study: uid(row.get(1))?,
                urgency: urgency(row.get(2)),
                since: Timestamp::from_micros(row.get(3)),
                entries: self.entries(key).await?,
                signed: raw.zip(signature),
            });
        }
        Ok(offers)
    }

    async fn entries(&self, manifest: i64) -> Result<Vec<Entry>, SpoolError> {
        let rows = sqlx::query(
            "SELECT sop_instance, sop_class, transfer_syntax, bytes, sha256 FROM objects \
             WHERE manifest_key = $1 ORDER BY position",
        )
        .bind(manifest)
        .fetch_all(self.db())
        .await?;
        rows.iter()
            .map(|row| {
                let sha256: Vec<u8> = row.get(4);
                Ok(Entry {
                    sop_instance: uid(row.get(0))?,
                    sop_class: uid(row.get(1))?,
                    transfer_syntax: uid(row.get(2))?,
                    bytes: natural(row.get(3)),
                    sha256: sha256.try_into().map_err(|_| damaged())?,
                })
            })
            .collect()
    }

    /// Keeps a signed manifest; what was signed once is offered again as it is.
    pub async fn keep_signed(
        &self,
        key: u64,
        raw: &[u8],
        signature: &[u8],
    ) -> Result<(), SpoolError> {
        sqlx::query("UPDATE manifests SET raw = $2, signature = $3 WHERE key = $1 AND raw IS NULL")
            .bind(integer(key))
            .bind(raw)
            .bind(signature)
            .execute(self.writer())
            .await?;
        Ok(())
    }

    /// Where the bytes of an entry are.
    pub async fn place(&self, key: u64, index: u32) -> Result<Place, SpoolError> {
        let row = sqlx::query(
            "SELECT id, data_offset, transfer_syntax FROM objects WHERE manifest_key = $1 AND position = $2 \
             AND deleted_at IS NULL",
        )
        .bind(integer(key))
        .bind(i64::from(index))
        .fetch_optional(self.db())
        .await?
        .ok_or(SpoolError::Unknown)?;
        Ok(Place {
            path: self.object_path(&row.get::<String, _>(0)),
            data_offset: natural(row.get(1)),
            transfer_syntax: uid(row.get(2))?,
        })
    }

    /// Notes what became of entries at the relay.
    pub async fn entries_stored(
        &self,
        key: u64,
        entries: &[(u32, Outcome)],
    ) -> Result<(), SpoolError> {
        let mut tx = self.writer().begin_with("BEGIN IMMEDIATE").await?;
        let mut problems = Vec::new();
        for (index, outcome) in entries {
            let (state, problem) = match outcome {
                Outcome::Stored => ("stored", None),
                Outcome::OtherContent => ("aside", Some("aside_other_content")),
                Outcome::OtherOwner => ("aside", Some("aside_other_owner")),
                Outcome::OtherPatient => ("aside", Some("aside_other_patient")),
            };
            sqlx::query("UPDATE objects SET state = $3 WHERE manifest_key = $1 AND position = $2")
                .bind(integer(key))
                .bind(i64::from(*index))
                .bind(state)
                .execute(&mut *tx)
                .await?;
            problems.extend(problem);
        }
        tx.commit().await?;
        self.note_change();
        problems.dedup();
        for code in problems {
            self.note_problem(code, self.study_of(key).await?, "").await?;
        }
        Ok(())
    }

    /// Notes that the relay will not take an entry, or (without an index) the whole offer.
    pub async fn entry_refused(
        &self,
        key: u64,
        index: Option<u32>,
        code: RefusalCode,
        detail: &str,
    ) -> Result<(), SpoolError> {
        let reason = refusal(code);
        match index {
            Some(index) => self.set_entry(key, index, "refused").await?,
            None => {
                sqlx::query("UPDATE manifests SET refused = $2 WHERE key = $1")
                    .bind(integer(key))
                    .bind(reason)
                    .execute(self.writer())
                    .await?;
            }
        }
        self.note_problem(reason, self.study_of(key).await?, detail).await
    }

    /// Keeps the relay's receipt: from now on the files may go.
    pub async fn offer_committed(
        &self,
        key: u64,
        receipt: &[u8],
        signature: &[u8],
        aside: &[u32],
    ) -> Result<(), SpoolError> {
        let mut tx = self.writer().begin_with("BEGIN IMMEDIATE").await?;
        sqlx::query(
            "UPDATE manifests SET committed_at = $2, receipt = $3, receipt_signature = $4 WHERE key = $1",
        )
        .bind(integer(key))
        .bind(self.now().micros())
        .bind(receipt)
        .bind(signature)
        .execute(&mut *tx)
        .await?;
        sqlx::query(
            "UPDATE objects SET state = 'stored' WHERE manifest_key = $1 AND state = 'kept'",
        )
        .bind(integer(key))
        .execute(&mut *tx)
        .await?;
        for index in aside {
            sqlx::query(
                "UPDATE objects SET state = 'aside' WHERE manifest_key = $1 AND position = $2",
            )
            .bind(integer(key))
            .bind(i64::from(*index))
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
        self.note_change();
        Ok(())
    }

    /// The study that an offer belongs to.
    pub async fn study_of(&self, key: u64) -> Result<Option<u64>, SpoolError> {
        let row = sqlx::query("SELECT study_key FROM manifests WHERE key = $1")
            .bind(integer(key))
            .fetch_optional(self.db())
            .await?;
        Ok(row.map(|row| natural(row.get(0))))
    }

    async fn set_entry(&self, key: u64, index: u32, state: &str) -> Result<(), SpoolError> {
        sqlx::query("UPDATE objects SET state = $3 WHERE manifest_key = $1 AND position = $2")
            .bind(integer(key))
            .bind(i64::from(index))
            .bind(state)
            .execute(self.writer())
            .await?;
        self.note_change();
        Ok(())
    }
}

fn uid(text: String) -> Result<Uid, SpoolError> {
    Uid::parse(&text).map_err(|_| damaged())
}

fn damaged() -> SpoolError {
    SpoolError::Unreadable("a row of the spool is damaged".to_owned())
}

fn urgency(value: i64) -> Urgency {
    match value {
        0 => Urgency::Stat,
        1 => Urgency::Urgent,
        _ => Urgency::Routine,
    }
}

/// The word that pages translate a refusal by.
const fn refusal(code: RefusalCode) -> &'static str {
    match code {
        RefusalCode::OutOfSpace => "relay_out_of_space",
        RefusalCode::Busy => "relay_busy",
        RefusalCode::NotAnnounced => "not_announced",
        RefusalCode::Damaged => "pack_damaged",
        RefusalCode::OtherBytes => "changed_on_disk",
        RefusalCode::Unreadable => "unreadable",
        RefusalCode::TooLarge => "too_large",
        RefusalCode::BadManifest => "bad_manifest",
        RefusalCode::BadSignature => "bad_signature",
        RefusalCode::OtherClinic => "other_clinic",
    }
}
