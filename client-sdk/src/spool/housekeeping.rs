//! Room: what a power cut left over, what may go, and when the spool is full.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use rustix::fs::FlockOperation;
use sqlx::Row as _;

use super::arrival::blocking;
use super::{Retention, Spool, SpoolError, integer, lock, natural};

impl Spool {
    /// Removes what has no row: a power cut came between the file and it. Counts what is held.
    pub(super) async fn sweep(&self) -> Result<(), SpoolError> {
        let rows =
            sqlx::query("SELECT id, bytes + data_offset FROM objects WHERE deleted_at IS NULL")
                .fetch_all(self.db())
                .await?;
        let mut known = HashSet::with_capacity(rows.len());
        let mut held = 0;
        for row in &rows {
            known.insert(format!("{}.dcm", row.get::<String, _>(0)));
            held += natural(row.get(1));
        }
        self.inner.held.store(held, Ordering::Relaxed);
        // Somebody who is adding something has files that have no row yet; another start sweeps.
        let guests = self.inner.root.join("guests");
        let alone = lock(&guests, FlockOperation::NonBlockingLockExclusive)?;
        if !self.is_owner() || alone.is_none() {
            return Ok(());
        }
        let root = self.inner.root.clone();
        blocking(move || {
            for entry in std::fs::read_dir(root.join("incoming"))? {
                std::fs::remove_file(entry?.path())?;
            }
            for shard in std::fs::read_dir(root.join("objects"))? {
                let shard = shard?;
                // What is no folder is not ours.
                if !shard.file_type()?.is_dir() {
                    continue;
                }
                for entry in std::fs::read_dir(shard.path())? {
                    let entry = entry?;
                    if !known.contains(entry.file_name().to_string_lossy().as_ref()) {
                        std::fs::remove_file(entry.path())?;
                    }
                }
            }
            Ok(())
        })
        .await
    }

    /// Makes sure that one more object may come; `Full` before the disk is.
    pub(super) async fn make_room(&self) -> Result<(), SpoolError> {
        if !self.is_full()? {
            return Ok(());
        }
        if self.settings().retention != Retention::Keep {
            self.delete_committed(Some(FREED_AT_ONCE)).await?;
        }
        if self.is_full()? { Err(SpoolError::Full) } else { Ok(()) }
    }

    /// Whether no more objects may come now.
    pub fn is_full(&self) -> Result<bool, SpoolError> {
        let found = rustix::fs::statvfs(&self.inner.root).map_err(std::io::Error::from)?;
        let free = found.f_bavail.saturating_mul(found.f_frsize);
        let settings = self.settings();
        Ok(free < settings.reserve_bytes || self.held_bytes() >= settings.max_bytes)
    }

    /// Deletes files whose time is over by the clinic's policy; says how many bytes that gave.
    pub async fn delete_due(&self) -> Result<u64, SpoolError> {
        match self.settings().retention {
            Retention::After(_) => self.delete_committed(None).await,
            Retention::Keep | Retention::WhenNeeded => Ok(0),
        }
    }

    /// Deletes files of studies that are committed as a whole, the oldest first: those whose time
    /// is over, or whichever there are until `needed` bytes are free. What was put aside at the
    /// relay, left out here or flagged keeps its whole study: somebody may want to look.
    async fn delete_committed(&self, needed: Option<u64>) -> Result<u64, SpoolError> {
        let before = match (needed, self.settings().retention) {
            (None, Retention::After(age)) => (self.now() - age).micros(),
            _ => i64::MAX,
        };
        let rows = sqlx::query(
            "SELECT o.id, o.bytes + o.data_offset FROM objects o JOIN manifests m ON m.key = o.manifest_key \
             WHERE o.deleted_at IS NULL AND o.state = 'stored' AND m.committed_at < $1 \
             AND NOT EXISTS (SELECT 1 FROM objects p WHERE p.study_key = o.study_key AND p.state <> 'stored') \
             ORDER BY m.committed_at, o.id LIMIT 5000",
        )
        .bind(before)
        .fetch_all(self.db())
        .await?;
        let mut freed = 0;
        for row in rows {
            if needed.is_some_and(|needed| freed >= needed) {
                break;
            }
            let (id, bytes): (String, u64) = (row.get(0), natural(row.get(1)));
            // The row first: a file that is still there after a power cut is swept, a row that
            // promises a file that is gone would be a lie.
            sqlx::query("UPDATE objects SET deleted_at = $2 WHERE id = $1")
                .bind(&id)
                .bind(self.now().micros())
                .execute(self.writer())
                .await?;
            self.forget_file(&id, bytes).await;
            freed += bytes;
        }
        if freed > 0 {
            tracing::info!(bytes = freed, "files of committed studies were deleted");
            self.note_change();
        }
        Ok(freed)
    }

    /// Removes a file that no row needs; one that stays is swept at the next start.
    pub(super) async fn forget_file(&self, id: &str, bytes: u64) {
        let path: PathBuf = self.object_path(id);
        let removed = blocking(move || Ok(std::fs::remove_file(path)?)).await;
        if let Err(error) = removed {
            tracing::warn!(%error, "a file that is not needed stays until the next start");
        }
        let _ = self.inner.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |held| {
            Some(held.saturating_sub(bytes))
        });
    }

    /// Withdraws a study that was never offered or was refused: its files go. For a person.
    pub async fn remove_study(&self, study: u64) -> Result<(), SpoolError> {
        let open: i64 = sqlx::query(
            "SELECT COUNT(*) FROM manifests WHERE study_key = $1 AND committed_at IS NULL AND refused IS NULL",
        )
        .bind(integer(study))
        .fetch_one(self.db())
        .await?
        .get(0);
        if open > 0 {
            return Err(SpoolError::Unreadable(
                "the study is being sent: it can be removed once it is committed or refused".into(),
            ));
        }
        let rows = sqlx::query(
            "SELECT id, bytes + data_offset FROM objects WHERE study_key = $1 AND deleted_at IS NULL",
        )
        .bind(integer(study))
        .fetch_all(self.db())
        .await?;
        let mut tx = self.writer().begin_with("BEGIN IMMEDIATE").await?;
        sqlx::query(
            "UPDATE objects SET deleted_at = $2, state = CASE WHEN state IN ('flagged', 'kept') THEN 'discarded' ELSE state END \
             WHERE study_key = $1 AND deleted_at IS NULL",
        )
        .bind(integer(study))
        .bind(self.now().micros())
        .execute(&mut *tx)
        .await?;
        sqlx::query("UPDATE studies SET settle_at = NULL WHERE key = $1")
            .bind(integer(study))
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        for row in rows {
            self.forget_file(&row.get::<String, _>(0), natural(row.get(1))).await;
        }
        self.note_change();
        Ok(())
    }
}

/// How much is freed at once when room is needed, so that it is not needed again with the next
/// slice.
const FREED_AT_ONCE: u64 = 256 << 20;
