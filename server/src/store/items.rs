//! What waits to flow back to a clinic's gateways: signed versions and messages that a gateway has
//! not made durable yet.

use medrelay_core::id::{MessageId, OrganizationId, ReportId, Uid};
use medrelay_core::time::Timestamp;
use sqlx::any::AnyRow;

use super::{Columns, StoreError, Tx, parsed, statement};

/// Which of a clinic's items a gateway still needs.
#[derive(Debug, Clone)]
pub struct ItemsFor<'a> {
    /// The gateway.
    pub gateway: &'a str,
    /// Its clinic.
    pub clinic: &'a OrganizationId,
    /// Only what was made at this time or later; never before the gateway joined.
    pub since: Timestamp,
    /// How many at most.
    pub limit: i64,
}

/// A signed version that a gateway has not received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingReport {
    /// Which version.
    pub report: ReportId,
    /// Its number within the case.
    pub number: i64,
    /// Its kind: `final` or `addendum`.
    pub kind: String,
    /// When it was signed.
    pub at: Timestamp,
    /// Number of the case for people.
    pub case_number: String,
    /// Study Instance UID.
    pub study_uid: Uid,
}

/// A message that a gateway has not received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingMessage {
    /// Which.
    pub message: MessageId,
    /// `return_request` or `notice`.
    pub kind: String,
    /// The reason's code.
    pub code: String,
    /// For people.
    pub text: String,
    /// When it was written.
    pub at: Timestamp,
    /// Number of the case for people.
    pub case_number: String,
    /// Study Instance UID.
    pub study_uid: Uid,
}

impl Tx {
    /// Final versions and addenda that a gateway has not received, oldest first.
    pub async fn waiting_reports(
        &mut self,
        wanted: &ItemsFor<'_>,
    ) -> Result<Vec<WaitingReport>, StoreError> {
        let query = statement(
            "SELECT r.id, r.number, r.kind, r.signed_at AS at, c.number AS case_number, \
             s.uid AS study_uid FROM reports r JOIN cases c ON c.id = r.case_id \
             JOIN studies s ON s.id = c.study_id JOIN gateways g ON g.id = $1 \
             WHERE c.clinic_id = $2 AND r.signed_at >= $3 AND r.signed_at >= g.joined_at \
             AND r.kind IN ('final', 'addendum') AND NOT EXISTS (SELECT 1 FROM item_receipts x \
             WHERE x.gateway_id = $1 AND x.item = 'report:' || r.id) \
             ORDER BY r.signed_at, r.id LIMIT $4",
        );
        self.all(bound(query, wanted)).await?.iter().map(waiting_report).collect()
    }

    /// Messages that a gateway has not received, oldest first. What people discuss is not for it.
    pub async fn waiting_messages(
        &mut self,
        wanted: &ItemsFor<'_>,
    ) -> Result<Vec<WaitingMessage>, StoreError> {
        let query = statement(
            "SELECT m.id, m.kind, m.code, m.text, m.written_at AS at, c.number AS case_number, \
             s.uid AS study_uid FROM clinic_messages m JOIN cases c ON c.id = m.case_id \
             JOIN studies s ON s.id = c.study_id JOIN gateways g ON g.id = $1 \
             WHERE m.clinic_id = $2 AND m.kind <> 'discussion' AND m.written_at >= $3 AND m.written_at >= g.joined_at \
             AND NOT EXISTS (SELECT 1 FROM item_receipts x \
             WHERE x.gateway_id = $1 AND x.item = 'message:' || m.id) \
             ORDER BY m.written_at, m.id LIMIT $4",
        );
        self.all(bound(query, wanted)).await?.iter().map(waiting_message).collect()
    }

    /// The clinic that a message was written to.
    pub async fn clinic_of_message(
        &mut self,
        id: &MessageId,
    ) -> Result<Option<OrganizationId>, StoreError> {
        let query = statement("SELECT clinic_id FROM clinic_messages WHERE id = $1");
        let row = self.one(query.bind(id.to_string())).await?;
        let clinic = row.map(|row| row.text("clinic_id")).transpose()?;
        clinic.map(|id| parsed(OrganizationId::parse(&id), "clinic_messages")).transpose()
    }

    /// Notes that a gateway has made an item durable; false when that is known.
    pub async fn item_received(
        &mut self,
        gateway: &str,
        item: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let query = statement(
            "INSERT INTO item_receipts (gateway_id, item, received_at) VALUES ($1, $2, $3) \
             ON CONFLICT DO NOTHING",
        );
        let query = query.bind(gateway.to_owned()).bind(item.to_owned()).bind(now.micros());
        Ok(self.run(query).await? == 1)
    }
}

fn bound<'q>(query: super::Statement<'q>, wanted: &ItemsFor<'_>) -> super::Statement<'q> {
    query
        .bind(wanted.gateway.to_owned())
        .bind(wanted.clinic.to_string())
        .bind(wanted.since.micros())
        .bind(wanted.limit)
}

fn waiting_report(row: &AnyRow) -> Result<WaitingReport, StoreError> {
    Ok(WaitingReport {
        report: parsed(ReportId::parse(&row.text("id")?), "reports")?,
        number: row.int("number")?,
        kind: row.text("kind")?,
        at: Timestamp::from_micros(row.int("at")?),
        case_number: row.text("case_number")?,
        study_uid: parsed(Uid::parse(&row.text("study_uid")?), "studies")?,
    })
}

fn waiting_message(row: &AnyRow) -> Result<WaitingMessage, StoreError> {
    Ok(WaitingMessage {
        message: parsed(MessageId::parse(&row.text("id")?), "clinic_messages")?,
        kind: row.text("kind")?,
        code: row.text("code")?,
        text: row.text("text")?,
        at: Timestamp::from_micros(row.int("at")?),
        case_number: row.text("case_number")?,
        study_uid: parsed(Uid::parse(&row.text("study_uid")?), "studies")?,
    })
}
