//! What centres say to clinics about cases.

use sqlx::any::AnyRow;

use medrelay_core::id::{CaseId, MessageId, OrganizationId, PersonId, Phi};
use medrelay_core::message::{MessageKind, ReturnCode};
use medrelay_core::time::Timestamp;

use super::{Columns, StoreError, Tx, known, parsed, statement};

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
}

impl Tx {
    /// Adds a message.
    pub async fn insert_message(&mut self, new: &Message) -> Result<(), StoreError> {
        self.change_one(
            statement(
                "INSERT INTO clinic_messages (id, clinic_id, centre_id, case_id, kind, code, \
                 text, written_by, written_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            )
            .bind(new.id.to_string())
            .bind(new.clinic.to_string())
            .bind(new.centre.to_string())
            .bind(new.case.to_string())
            .bind(new.kind.as_str().to_owned())
            .bind(new.code.map_or("", ReturnCode::as_str).to_owned())
            .bind(new.text.reveal().clone())
            .bind(new.written_by.to_string())
            .bind(new.written_at.micros()),
        )
        .await
    }

    /// The messages about a case, oldest first.
    pub async fn messages_of_case(&mut self, case: &CaseId) -> Result<Vec<Message>, StoreError> {
        let query = statement(
            "SELECT clinic_messages.*, persons.name AS written_by_name FROM clinic_messages \
             JOIN persons ON persons.id = clinic_messages.written_by \
             WHERE clinic_messages.case_id = $1 \
             ORDER BY clinic_messages.written_at, clinic_messages.id",
        );
        self.all(query.bind(case.to_string())).await?.iter().map(message).collect()
    }

    /// How many messages there are about a case.
    pub async fn count_messages(&mut self, case: &CaseId) -> Result<i64, StoreError> {
        let query = statement("SELECT COUNT(*) AS n FROM clinic_messages WHERE case_id = $1");
        self.one(query.bind(case.to_string())).await?.map_or(Ok(0), |row| row.int("n"))
    }
}

fn message(row: &AnyRow) -> Result<Message, StoreError> {
    let code = row.text("code")?;
    Ok(Message {
        id: parsed(MessageId::parse(&row.text("id")?), "clinic_messages")?,
        clinic: parsed(OrganizationId::parse(&row.text("clinic_id")?), "clinic_messages")?,
        centre: parsed(OrganizationId::parse(&row.text("centre_id")?), "clinic_messages")?,
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
    })
}
