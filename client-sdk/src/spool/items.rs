//! What came back from the relay: reports, return requests, notices.

use std::io::Write as _;
use std::path::PathBuf;

use bytes::Bytes;
use medrelay_core::time::Timestamp;
use medrelay_core::transfer::message::{Item, ItemKind};
use sqlx::Row as _;

use super::arrival::blocking;
use super::{Spool, SpoolError, integer};

/// An item that is durable here. Its text may hold patient data: for the clinic's own screen only.
#[derive(Debug, Clone, serde::Serialize)]
pub struct KeptItem {
    /// The relay's name for it.
    pub id: String,
    /// `report`, `return_request` or `notice`.
    pub kind: &'static str,
    /// When the relay made it.
    pub at: Timestamp,
    /// Study Instance UID, or empty.
    pub study_uid: String,
    /// The case's number, or empty.
    pub case_number: String,
    /// Kind of report or reason of a return.
    pub code: String,
    /// For people.
    pub text: String,
    /// Media type of its document, if it has one.
    pub media_type: Option<String>,
    /// Whether somebody has opened it here.
    pub seen: bool,
}

impl Spool {
    /// Bytes of an item's attachment that are here already.
    pub async fn attachment_offset(&self, item: &str) -> Result<u64, SpoolError> {
        let path = self.item_path(item);
        blocking(move || match std::fs::metadata(path) {
            Ok(found) => Ok(found.len()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(error.into()),
        })
        .await
    }

    /// Appends bytes of an attachment at `offset`; what is there behind it is thrown away.
    pub async fn append_attachment(
        &self,
        item: &str,
        offset: u64,
        bytes: Bytes,
    ) -> Result<(), SpoolError> {
        let path = self.item_path(item);
        blocking(move || {
            let mut file =
                std::fs::OpenOptions::new().create(true).write(true).truncate(false).open(path)?;
            file.set_len(offset)?;
            std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(offset))?;
            Ok(file.write_all(&bytes)?)
        })
        .await
    }

    /// Makes an item and its attachment durable.
    pub async fn keep_item(&self, item: &Item) -> Result<(), SpoolError> {
        if item.attachment.is_some() {
            let path = self.item_path(&item.id);
            let folder = self.inner.root.join("items");
            blocking(move || {
                std::fs::File::open(path)?.sync_all()?;
                Ok(std::fs::File::open(folder)?.sync_all()?)
            })
            .await?;
        }
        sqlx::query(
            "INSERT INTO items (id, kind, at, study_uid, case_number, code, text, media_type, bytes, received_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (id) DO NOTHING",
        )
        .bind(&item.id)
        .bind(item.kind as i64)
        .bind(item.at.micros())
        .bind(&item.study_uid)
        .bind(&item.case_number)
        .bind(&item.code)
        .bind(&item.text)
        .bind(item.attachment.as_ref().map(|attachment| attachment.media_type.as_str()))
        .bind(item.attachment.as_ref().map(|attachment| integer(attachment.bytes)))
        .bind(self.now().micros())
        .execute(self.writer())
        .await?;
        self.note_change();
        Ok(())
    }

    /// What came back, the newest first; at most `limit`.
    pub async fn items(&self, limit: u32) -> Result<Vec<KeptItem>, SpoolError> {
        let rows = sqlx::query(
            "SELECT id, kind, at, study_uid, case_number, code, text, media_type, seen_at FROM items \
             ORDER BY at DESC, id DESC LIMIT $1",
        )
        .bind(i64::from(limit))
        .fetch_all(self.db())
        .await?;
        Ok(rows.iter().map(kept).collect())
    }

    /// The document of an item, and its media type; it counts as seen.
    pub async fn document(&self, item: &str) -> Result<(PathBuf, String), SpoolError> {
        let media_type = self.note_seen(item).await?;
        media_type.map(|kind| (self.item_path(item), kind)).ok_or(SpoolError::Unknown)
    }

    /// Somebody has read an item here; says the media type of its document, if it has one.
    pub async fn note_seen(&self, item: &str) -> Result<Option<String>, SpoolError> {
        let row = sqlx::query(
            "UPDATE items SET seen_at = COALESCE(seen_at, $2) WHERE id = $1 RETURNING media_type",
        )
        .bind(item)
        .bind(self.now().micros())
        .fetch_optional(self.writer())
        .await?
        .ok_or(SpoolError::Unknown)?;
        Ok(row.get(0))
    }
}

fn kept(row: &sqlx::sqlite::SqliteRow) -> KeptItem {
    KeptItem {
        id: row.get(0),
        kind: match row.get::<i64, _>(1) {
            kind if kind == ItemKind::Report as i64 => "report",
            kind if kind == ItemKind::ReturnRequest as i64 => "return_request",
            _ => "notice",
        },
        at: Timestamp::from_micros(row.get(2)),
        study_uid: row.get(3),
        case_number: row.get(4),
        code: row.get(5),
        text: row.get(6),
        media_type: row.get(7),
        seen: row.get::<Option<i64>, _>(8).is_some(),
    }
}
