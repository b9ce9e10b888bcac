//! Bytes that were put aside at the door: kept, told, never mixed with the good ones.

use medrelay_core::access::Scope;
use medrelay_core::id::{InstanceId, OrganizationId, PersonId, Phi, Uid};
use medrelay_core::study::QuarantineReason;
use medrelay_core::time::Timestamp;
use sqlx::any::AnyRow;

use super::{Columns, NewInstance, StoreError, Tx, assembled, known, parsed, statement, within};

/// An object that was put aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    /// Its identifier, and the name of its bytes.
    pub id: InstanceId,
    /// The clinic that sent it.
    pub clinic: OrganizationId,
    /// SOP Instance UID.
    pub sop_instance: Uid,
    /// SOP Class UID.
    pub sop_class: Uid,
    /// Study Instance UID.
    pub study_uid: Uid,
    /// Why.
    pub reason: QuarantineReason,
    /// SHA-256 (hex) of the data set.
    pub sha256: String,
    /// Length of the data set in bytes.
    pub bytes: i64,
    /// When it was put aside.
    pub received_at: Timestamp,
    /// What a person decided about it, if somebody has.
    pub settled: Option<Settlement>,
}

/// What a person decided about an object that was put aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: PersonId,
    /// Their name.
    pub by_name: String,
    /// Why, and what became of it.
    pub reason: Phi<String>,
}

const QUARANTINED: &str = "SELECT q.*, p.name AS settled_by_name FROM quarantine q \
     LEFT JOIN persons p ON p.id = q.settled_by";

impl Tx {
    /// Puts an object aside. False when the very same bytes are there already.
    pub async fn quarantine(
        &mut self,
        new: &NewInstance,
        reason: QuarantineReason,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let facts = &new.facts;
        let inserted = self
            .run(
                statement(
                    "INSERT INTO quarantine (id, clinic_id, sop_instance, sop_class, study_uid, \
                     transfer_syntax, reason, sha256, bytes, data_offset, device_id, received_at) \
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) \
                     ON CONFLICT DO NOTHING",
                )
                .bind(new.id.to_string())
                .bind(new.clinic.to_string())
                .bind(facts.sop_instance.to_string())
                .bind(facts.sop_class.to_string())
                .bind(facts.study.to_string())
                .bind(facts.transfer_syntax.to_string())
                .bind(text(reason).to_owned())
                .bind(new.sha256.clone())
                .bind(new.bytes)
                .bind(new.data_offset)
                .bind(new.device.as_ref().map(ToString::to_string))
                .bind(now.micros()),
            )
            .await?;
        Ok(inserted == 1)
    }

    /// One object that was put aside.
    pub async fn quarantined_one(
        &mut self,
        id: &InstanceId,
    ) -> Result<Option<Quarantined>, StoreError> {
        let query = assembled(format!("{QUARANTINED} WHERE q.id = $1")).bind(id.to_string());
        self.one(query).await?.as_ref().map(quarantined).transpose()
    }

    /// Writes down what a person decided; [`StoreError::Lost`] if somebody has already.
    pub async fn settle_quarantined(
        &mut self,
        id: &InstanceId,
        settlement: &Settlement,
    ) -> Result<(), StoreError> {
        let query = statement(
            "UPDATE quarantine SET settled_at = $2, settled_by = $3, settled_reason = $4 \
             WHERE id = $1 AND settled_at IS NULL",
        );
        self.change_one(
            query
                .bind(id.to_string())
                .bind(settlement.at.micros())
                .bind(settlement.by.to_string())
                .bind(settlement.reason.reveal().clone()),
        )
        .await
    }

    /// What was put aside, newest first, before `after`; settled or not, or only the one of both.
    pub async fn quarantined(
        &mut self,
        scope: &Scope,
        settled: Option<bool>,
        after: Option<&InstanceId>,
        now: Timestamp,
        limit: i64,
    ) -> Result<Vec<Quarantined>, StoreError> {
        let partner = "EXISTS (SELECT 1 FROM agreements a WHERE a.clinic_id = q.clinic_id \
             AND a.centre_id IN ({}) AND a.valid_from <= $2 \
             AND (a.valid_to IS NULL OR a.valid_to > $2))";
        let (condition, binds) = within(scope, "q.clinic_id", partner, 4);
        let settled = match settled {
            None => "",
            Some(true) => "AND q.settled_at IS NOT NULL",
            Some(false) => "AND q.settled_at IS NULL",
        };
        let mut query = assembled(format!(
            "{QUARANTINED} WHERE {condition} {settled} AND (CAST($1 AS TEXT) IS NULL OR q.id < $1) \
             AND $2 = $2 ORDER BY q.id DESC LIMIT $3"
        ))
        .bind(after.map(ToString::to_string))
        .bind(now.micros())
        .bind(limit);
        for value in binds {
            query = query.bind(value);
        }
        self.all(query).await?.iter().map(quarantined).collect()
    }
}

/// The stable text of a reason.
fn text(reason: QuarantineReason) -> &'static str {
    match reason {
        QuarantineReason::OtherContent => "other_content",
        QuarantineReason::OtherOwner => "other_owner",
        QuarantineReason::OtherPatient => "other_patient",
    }
}

/// The reason behind a stored text.
pub(super) fn reason(text: &str) -> Result<QuarantineReason, StoreError> {
    match text {
        "other_content" => Ok(QuarantineReason::OtherContent),
        "other_owner" => Ok(QuarantineReason::OtherOwner),
        "other_patient" => Ok(QuarantineReason::OtherPatient),
        _ => known(None, "quarantine"),
    }
}

fn quarantined(row: &AnyRow) -> Result<Quarantined, StoreError> {
    Ok(Quarantined {
        id: parsed(InstanceId::parse(&row.text("id")?), "quarantine")?,
        clinic: parsed(OrganizationId::parse(&row.text("clinic_id")?), "quarantine")?,
        sop_instance: parsed(Uid::parse(&row.text("sop_instance")?), "quarantine")?,
        sop_class: parsed(Uid::parse(&row.text("sop_class")?), "quarantine")?,
        study_uid: parsed(Uid::parse(&row.text("study_uid")?), "quarantine")?,
        reason: reason(&row.text("reason")?)?,
        sha256: row.text("sha256")?,
        bytes: row.int("bytes")?,
        received_at: Timestamp::from_micros(row.int("received_at")?),
        settled: settlement(row)?,
    })
}

fn settlement(row: &AnyRow) -> Result<Option<Settlement>, StoreError> {
    let (at, by) = (row.maybe_int("settled_at")?, row.maybe_text("settled_by")?);
    let Some((at, by)) = at.zip(by) else { return Ok(None) };
    Ok(Some(Settlement {
        at: Timestamp::from_micros(at),
        by: parsed(PersonId::parse(&by), "quarantine")?,
        by_name: row.maybe_text("settled_by_name")?.unwrap_or_default(),
        reason: Phi::new(row.maybe_text("settled_reason")?.unwrap_or_default()),
    }))
}
