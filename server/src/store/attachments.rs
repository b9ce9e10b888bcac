//! Papers of orders: consent forms, referral letters, photographs of them.

use sqlx::any::AnyRow;

use medrelay_core::id::{AttachmentId, OrderId, OrganizationId, PersonId, Phi};
use medrelay_core::time::Timestamp;

use super::{Columns, StoreError, Tx, parsed, statement};

/// A paper of an order. Its bytes are a blob that is named by its identifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// Its identifier, and the name of its bytes.
    pub id: AttachmentId,
    /// The order that it belongs to.
    pub order: OrderId,
    /// The clinic of the order.
    pub clinic: OrganizationId,
    /// Its file name; may name the patient.
    pub name: Phi<String>,
    /// Its media type.
    pub media_type: String,
    /// Its length.
    pub bytes: i64,
    /// SHA-256 of it, hexadecimal.
    pub sha256: String,
    /// Who added it.
    pub added_by: PersonId,
    /// Their name.
    pub added_by_name: String,
    /// When.
    pub added_at: Timestamp,
}

impl Tx {
    /// Adds a paper.
    pub async fn insert_attachment(&mut self, new: &Attachment) -> Result<(), StoreError> {
        self.change_one(
            statement(
                "INSERT INTO attachments (id, order_id, clinic_id, name, media_type, bytes, sha256, \
                 blob_id, added_by, added_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $1, $8, $9)",
            )
            .bind(new.id.to_string())
            .bind(new.order.to_string())
            .bind(new.clinic.to_string())
            .bind(new.name.reveal().clone())
            .bind(new.media_type.clone())
            .bind(new.bytes)
            .bind(new.sha256.clone())
            .bind(new.added_by.to_string())
            .bind(new.added_at.micros()),
        )
        .await
    }

    /// A paper that was not removed.
    pub async fn attachment(
        &mut self,
        id: &AttachmentId,
    ) -> Result<Option<Attachment>, StoreError> {
        let query = statement(
            "SELECT a.*, p.name AS added_by_name FROM attachments a \
             JOIN persons p ON p.id = a.added_by WHERE a.id = $1 AND a.removed_at IS NULL",
        );
        self.one(query.bind(id.to_string())).await?.as_ref().map(attachment).transpose()
    }

    /// The papers of an order that were not removed, oldest first.
    pub async fn attachments_of(&mut self, order: &OrderId) -> Result<Vec<Attachment>, StoreError> {
        let query = statement(
            "SELECT a.*, p.name AS added_by_name FROM attachments a \
             JOIN persons p ON p.id = a.added_by \
             WHERE a.order_id = $1 AND a.removed_at IS NULL ORDER BY a.id",
        );
        self.all(query.bind(order.to_string())).await?.iter().map(attachment).collect()
    }

    /// Removes a paper; its bytes are nobody's then.
    pub async fn remove_attachment(
        &mut self,
        id: &AttachmentId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let query = statement(
            "UPDATE attachments SET removed_at = $2 WHERE id = $1 AND removed_at IS NULL",
        );
        self.change_one(query.bind(id.to_string()).bind(now.micros())).await
    }

    /// How many reports were signed with the papers of an order before the reader.
    pub async fn reports_of_order(&mut self, order: &OrderId) -> Result<i64, StoreError> {
        let query = statement(
            "SELECT COUNT(*) AS n FROM reports JOIN cases ON cases.id = reports.case_id \
             WHERE cases.order_id = $1",
        );
        self.one(query.bind(order.to_string())).await?.map_or(Ok(0), |row| row.int("n"))
    }
}

fn attachment(row: &AnyRow) -> Result<Attachment, StoreError> {
    let table = "attachments";
    Ok(Attachment {
        id: parsed(AttachmentId::parse(&row.text("id")?), table)?,
        order: parsed(OrderId::parse(&row.text("order_id")?), table)?,
        clinic: parsed(OrganizationId::parse(&row.text("clinic_id")?), table)?,
        name: Phi::new(row.text("name")?),
        media_type: row.text("media_type")?,
        bytes: row.int("bytes")?,
        sha256: row.text("sha256")?,
        added_by: parsed(PersonId::parse(&row.text("added_by")?), table)?,
        added_by_name: row.text("added_by_name")?,
        added_at: Timestamp::from_micros(row.int("added_at")?),
    })
}
