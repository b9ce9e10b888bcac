//! What readers draw on the images of a case, and what was drawn when a report was signed.

use medrelay_core::id::{CaseId, PersonId, Phi, ReportId};
use medrelay_core::time::Timestamp;
use sqlx::any::AnyRow;

use super::{Columns, StoreError, Tx, parsed, statement};

/// What was drawn on the images of a case under one hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Annotations {
    /// Who drew it.
    pub author: PersonId,
    /// The fence of the claim that it was drawn under.
    pub fence: i64,
    /// A JSON object; may hold words about the patient.
    pub body: Phi<String>,
    /// SHA-256 (hex) of the body.
    pub sha256: String,
    /// When it was saved last.
    pub saved_at: Timestamp,
}

impl Tx {
    /// Saves what was drawn under a hold, over what it had saved before.
    pub async fn save_annotations(
        &mut self,
        case: &CaseId,
        drawn: &Annotations,
    ) -> Result<(), StoreError> {
        self.change_one(
            statement(
                "INSERT INTO annotations (case_id, author_id, fence, body, sha256, saved_at) \
                 VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (case_id, author_id, fence) \
                 DO UPDATE SET body = excluded.body, sha256 = excluded.sha256, \
                 saved_at = excluded.saved_at",
            )
            .bind(case.to_string())
            .bind(drawn.author.to_string())
            .bind(drawn.fence)
            .bind(drawn.body.reveal().clone())
            .bind(drawn.sha256.clone())
            .bind(drawn.saved_at.micros()),
        )
        .await
    }

    /// What was drawn under one hold on a case, else what was drawn last under any.
    pub async fn annotations(
        &mut self,
        case: &CaseId,
        author: &PersonId,
        fence: i64,
    ) -> Result<Option<Annotations>, StoreError> {
        let query = statement(
            "SELECT author_id, fence, body, sha256, saved_at FROM annotations WHERE case_id = $1 \
             ORDER BY CASE WHEN author_id = $2 AND fence = $3 THEN 0 ELSE 1 END, \
             saved_at DESC, fence DESC LIMIT 1",
        );
        let query = query.bind(case.to_string()).bind(author.to_string()).bind(fence);
        self.one(query).await?.as_ref().map(annotations).transpose()
    }

    /// Keeps what was drawn when a version was signed.
    pub async fn insert_report_annotations(
        &mut self,
        report: &ReportId,
        body: &Phi<String>,
        sha256: &str,
    ) -> Result<(), StoreError> {
        self.change_one(
            statement(
                "INSERT INTO report_annotations (report_id, body, sha256) VALUES ($1, $2, $3)",
            )
            .bind(report.to_string())
            .bind(body.reveal().clone())
            .bind(sha256.to_owned()),
        )
        .await
    }

    /// What was drawn when a version was signed, with its SHA-256 (hex).
    pub async fn report_annotations(
        &mut self,
        report: &ReportId,
    ) -> Result<Option<(Phi<String>, String)>, StoreError> {
        let query = statement("SELECT body, sha256 FROM report_annotations WHERE report_id = $1");
        let row = self.one(query.bind(report.to_string())).await?;
        row.map(|row| Ok((Phi::new(row.text("body")?), row.text("sha256")?))).transpose()
    }
}

fn annotations(row: &AnyRow) -> Result<Annotations, StoreError> {
    Ok(Annotations {
        author: parsed(PersonId::parse(&row.text("author_id")?), "annotations")?,
        fence: row.int("fence")?,
        body: Phi::new(row.text("body")?),
        sha256: row.text("sha256")?,
        saved_at: Timestamp::from_micros(row.int("saved_at")?),
    })
}
