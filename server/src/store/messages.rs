//! What is said about cases.

use sqlx::any::AnyRow;

use medrelay_core::access::Scope;
use medrelay_core::id::{CaseId, MessageId, OrganizationId, PersonId, Phi};
use medrelay_core::message::{MessageKind, ReturnCode};
use medrelay_core::time::Timestamp;

use super::{Columns, StoreError, Tx, assembled, known, parsed, statement, within};

/// A message to a clinic about a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its identifier.
    pub id: MessageId,
    /// The clinic that it goes to.
    pub clinic: OrganizationId,
    /// The centre that wrote it.
    pub centre: OrganizationId,
    /// The case that it is about.
    pub case: CaseId,
    /// The side that it was written on: the clinic or the centre.
    pub organization: OrganizationId,
    /// Name of that side.
    pub organization_name: String,
    /// What kind it is.
    pub kind: MessageKind,
    /// What is the matter, where something is asked for.
    pub code: Option<ReturnCode>,
    /// What it says; may name the patient.
    pub text: Phi<String>,
    /// Who wrote it.
    pub written_by: PersonId,
    /// Their name.
    pub written_by_name: String,
    /// When.
    pub written_at: Timestamp,
    /// Number of the case for people.
    pub case_number: String,
    /// Patient's Name with its groups.
    pub patient_name: Phi<String>,
    /// Whether whoever asks has not seen it.
    pub unread: bool,
}

/// Which messages a list shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MessageFilter {
    /// Only those of this kind.
    pub kind: Option<MessageKind>,
    /// Only those that whoever asks has not seen.
    pub unread: bool,
}

/// Messages with what people want to see beside them; `$1` is whoever asks.
const SELECT: &str = "SELECT m.*, p.name AS written_by_name, o.name AS organization_name, \
     c.number AS case_number, s.patient_name, CASE WHEN m.written_by = $1 THEN 0 \
     WHEN EXISTS (SELECT 1 FROM messages_seen x WHERE x.person_id = $1 \
     AND x.case_id = m.case_id AND x.seen_at >= m.written_at) THEN 0 ELSE 1 END AS unread \
     FROM clinic_messages m JOIN persons p ON p.id = m.written_by \
     JOIN organizations o ON o.id = COALESCE(m.organization_id, m.centre_id) \
     JOIN cases c ON c.id = m.case_id JOIN studies s ON s.id = c.study_id";

impl Tx {
    /// Adds a message.
    pub async fn insert_message(&mut self, new: &Message) -> Result<(), StoreError> {
        self.change_one(
            statement(
                "INSERT INTO clinic_messages (id, clinic_id, centre_id, case_id, kind, code, \
                 text, written_by, written_at, organization_id) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            )
            .bind(new.id.to_string())
            .bind(new.clinic.to_string())
            .bind(new.centre.to_string())
            .bind(new.case.to_string())
            .bind(new.kind.as_str().to_owned())
            .bind(new.code.map_or("", ReturnCode::as_str).to_owned())
            .bind(new.text.reveal().clone())
            .bind(new.written_by.to_string())
            .bind(new.written_at.micros())
            .bind(new.organization.to_string()),
        )
        .await
    }

    /// The messages about a case, oldest first, as somebody sees them.
    pub async fn messages_of_case(
        &mut self,
        case: &CaseId,
        reader: &PersonId,
    ) -> Result<Vec<Message>, StoreError> {
        let query = assembled(format!("{SELECT} WHERE m.case_id = $2 ORDER BY m.written_at, m.id"));
        let query = query.bind(reader.to_string()).bind(case.to_string());
        self.all(query).await?.iter().map(message).collect()
    }

    /// Messages about the cases of a scope as somebody sees them, newest first, before `after`.
    pub async fn messages(
        &mut self,
        scope: &Scope,
        reader: &PersonId,
        filter: &MessageFilter,
        after: Option<&MessageId>,
        now: Timestamp,
        limit: i64,
    ) -> Result<Vec<Message>, StoreError> {
        let partner = "(m.centre_id IN ({}) AND (c.stage <> 'closed' OR EXISTS (SELECT 1 \
             FROM agreements a WHERE a.id = c.agreement_id AND a.valid_from <= $4 \
             AND (a.valid_to IS NULL OR a.valid_to > $4))))";
        let (condition, binds) = within(scope, "m.clinic_id", partner, 7);
        let mut query = assembled(format!(
            "{SELECT} WHERE {condition} AND (CAST($2 AS TEXT) IS NULL OR m.id < $2) \
             AND (CAST($3 AS TEXT) IS NULL OR m.kind = $3) AND $4 > 0 \
             AND ($5 = 0 OR (m.written_by <> $1 AND NOT EXISTS (SELECT 1 FROM messages_seen x \
             WHERE x.person_id = $1 AND x.case_id = m.case_id AND x.seen_at >= m.written_at))) \
             ORDER BY m.id DESC LIMIT $6"
        ))
        .bind(reader.to_string())
        .bind(after.map(ToString::to_string))
        .bind(filter.kind.map(|kind| kind.as_str().to_owned()))
        .bind(now.micros())
        .bind(i64::from(filter.unread))
        .bind(limit);
        for value in binds {
            query = query.bind(value);
        }
        self.all(query).await?.iter().map(message).collect()
    }

    /// Notes that somebody has seen what was said about a case until a moment.
    pub async fn see_messages(
        &mut self,
        person: &PersonId,
        case: &CaseId,
        seen_at: Timestamp,
    ) -> Result<(), StoreError> {
        self.run(
            statement(
                "INSERT INTO messages_seen (person_id, case_id, seen_at) VALUES ($1, $2, $3) \
                 ON CONFLICT (person_id, case_id) DO UPDATE SET seen_at = excluded.seen_at",
            )
            .bind(person.to_string())
            .bind(case.to_string())
            .bind(seen_at.micros()),
        )
        .await?;
        Ok(())
    }

    /// How many messages there are about a case.
    pub async fn count_messages(&mut self, case: &CaseId) -> Result<i64, StoreError> {
        let query = statement("SELECT COUNT(*) AS n FROM clinic_messages WHERE case_id = $1");
        self.one(query.bind(case.to_string())).await?.map_or(Ok(0), |row| row.int("n"))
    }
}

fn message(row: &AnyRow) -> Result<Message, StoreError> {
    let code = row.text("code")?;
    let centre = row.text("centre_id")?;
    let organization = row.maybe_text("organization_id")?.unwrap_or_else(|| centre.clone());
    Ok(Message {
        id: parsed(MessageId::parse(&row.text("id")?), "clinic_messages")?,
        clinic: parsed(OrganizationId::parse(&row.text("clinic_id")?), "clinic_messages")?,
        centre: parsed(OrganizationId::parse(&centre), "clinic_messages")?,
        organization: parsed(OrganizationId::parse(&organization), "clinic_messages")?,
        organization_name: row.text("organization_name")?,
        case: parsed(CaseId::parse(&row.text("case_id")?), "clinic_messages")?,
        kind: known(MessageKind::parse(&row.text("kind")?), "clinic_messages")?,
        code: match code.as_str() {
            "" => None,
            code => Some(known(ReturnCode::parse(code), "clinic_messages")?),
        },
        text: Phi::new(row.text("text")?),
        written_by: parsed(PersonId::parse(&row.text("written_by")?), "clinic_messages")?,
        written_by_name: row.text("written_by_name")?,
        written_at: Timestamp::from_micros(row.int("written_at")?),
        case_number: row.text("case_number")?,
        patient_name: Phi::new(row.text("patient_name")?),
        unread: row.int("unread")? != 0,
    })
}
