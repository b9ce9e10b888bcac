//! What a person decides: objects that looked wrong are sent after all, or not.

use medrelay_core::time::Timestamp;
use sqlx::Row as _;

use super::sight::Flag;
use super::{Spool, SpoolError, integer, natural};

/// An object that a person must look at. Holds no patient data.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Flagged {
    /// Its identifier in the spool.
    pub id: String,
    /// Its study's number in the spool.
    pub study: u64,
    /// SOP Instance UID.
    pub sop_instance: String,
    /// Why: the stable text of a [`Flag`].
    pub flag: String,
    /// When it came.
    pub received_at: Timestamp,
}

impl Spool {
    /// Everything that a person must look at, the oldest first.
    pub async fn flagged(&self) -> Result<Vec<Flagged>, SpoolError> {
        let rows = sqlx::query(
            "SELECT id, study_key, sop_instance, flag, received_at FROM objects WHERE state = 'flagged' \
             ORDER BY received_at, id LIMIT 1000",
        )
        .fetch_all(self.db())
        .await?;
        let flagged = |row: &sqlx::sqlite::SqliteRow| Flagged {
            id: row.get(0),
            study: natural(row.get(1)),
            sop_instance: row.get(2),
            flag: row.get::<Option<String>, _>(3).unwrap_or_default(),
            received_at: Timestamp::from_micros(row.get(4)),
        };
        Ok(rows.iter().map(flagged).collect())
    }

    /// Sends the flagged objects of a study after all; the relay decides about a UID with two
    /// contents and about a second patient by itself, and puts them aside.
    pub async fn send_flagged(&self, study: u64) -> Result<u64, SpoolError> {
        self.decide(study, "kept").await
    }

    /// Leaves the flagged objects of a study out; their files stay until the study's go.
    pub async fn leave_out_flagged(&self, study: u64) -> Result<u64, SpoolError> {
        self.decide(study, "discarded").await
    }

    async fn decide(&self, study: u64, state: &str) -> Result<u64, SpoolError> {
        let mut tx = self.writer().begin_with("BEGIN IMMEDIATE").await?;
        let rows = sqlx::query(
            "SELECT id, sop_instance, flag FROM objects WHERE study_key = $1 AND state = 'flagged'",
        )
        .bind(integer(study))
        .fetch_all(&mut *tx)
        .await?;
        if rows.is_empty() {
            return Err(SpoolError::Unknown);
        }
        for row in &rows {
            let twin =
                row.get::<Option<String>, _>(2).as_deref() == Some(Flag::OtherContent.as_str());
            sqlx::query("UPDATE objects SET state = $2 WHERE id = $1")
                .bind(row.get::<String, _>(0))
                .bind(state)
                .execute(&mut *tx)
                .await?;
            // A manifest names a UID once: the first content goes with it, another one by itself.
            if twin && state == "kept" {
                self.offer_alone(&mut tx, study, &row.get::<String, _>(0)).await?;
            }
        }
        tx.commit().await?;
        self.settle_study(study).await?;
        Ok(rows.len() as u64)
    }

    async fn offer_alone(
        &self,
        tx: &mut sqlx::Transaction<'static, sqlx::Sqlite>,
        study: u64,
        object: &str,
    ) -> Result<(), SpoolError> {
        let manifest: i64 = sqlx::query(
            "INSERT INTO manifests (study_key, made_at, entries) VALUES ($1, $2, 1) RETURNING key",
        )
        .bind(integer(study))
        .bind(self.now().micros())
        .fetch_one(&mut **tx)
        .await?
        .get(0);
        sqlx::query("UPDATE objects SET manifest_key = $2, position = 0 WHERE id = $1")
            .bind(object)
            .bind(manifest)
            .execute(&mut **tx)
            .await?;
        Ok(())
    }
}
