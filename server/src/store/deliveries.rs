//! Deliveries: signed versions on their way out, and the clinic's inbox.

use medrelay_core::access::Scope;
use medrelay_core::delivery::{Route, Stage};
use medrelay_core::id::{
    CaseId, DeliveryId, DestinationId, OrganizationId, PersonId, Phi, ReportId,
};
use medrelay_core::people::Priority;
use medrelay_core::report::VersionKind;
use medrelay_core::time::Timestamp;
use sqlx::any::AnyRow;

use super::{Columns, StoreError, Tx, assembled, known, parsed, statement, within};

/// One report version on its way to one destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Its identifier.
    pub id: DeliveryId,
    /// The version.
    pub report: ReportId,
    /// The case it belongs to.
    pub case: CaseId,
    /// The clinic that gets it.
    pub clinic: OrganizationId,
    /// The centre that signed it.
    pub centre: OrganizationId,
    /// Where it goes.
    pub destination: DestinationId,
    /// What kind of place that is.
    pub route: Route,
    /// Where it stands.
    pub stage: Stage,
    /// Attempts made in all, those before a person started it again included.
    pub attempts: i64,
    /// Why the last attempt failed; never patient data.
    pub last_error: Option<String>,
    /// When the report was signed.
    pub created_at: Timestamp,
    /// When it changed last.
    pub updated_at: Timestamp,
    /// Compare-and-set version.
    pub version: i64,
}

/// Which deliveries a list shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeliveryFilter {
    /// Only those of this case.
    pub case: Option<CaseId>,
    /// Only those that stand here: the name of a stage.
    pub stage: Option<String>,
}

/// A report in a clinic's inbox with what a person needs to recognise it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxEntry {
    /// The delivery.
    pub delivery: DeliveryId,
    /// The clinic whose inbox it is.
    pub clinic: OrganizationId,
    /// Who acknowledged it and when; `None` while nobody has.
    pub acknowledged: Option<(PersonId, Timestamp)>,
    /// Since when it is there.
    pub since: Timestamp,
    /// The report version.
    pub report: ReportId,
    /// Its number within the case.
    pub report_number: i64,
    /// Its kind.
    pub kind: VersionKind,
    /// The case.
    pub case: CaseId,
    /// The number of the case for people.
    pub case_number: String,
    /// How soon it was wanted.
    pub priority: Priority,
    /// Modality of the study.
    pub modality: String,
    /// Patient's Name with its groups.
    pub patient_name: Phi<String>,
    /// Patient ID.
    pub patient_id: Phi<String>,
    /// Study Date, `YYYYMMDD`.
    pub study_date: Option<String>,
}

/// The place in an inbox after which a page begins: what waits comes first, each part newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxCursor {
    /// Whether the last entry shown was acknowledged.
    pub acknowledged: bool,
    /// The last entry shown.
    pub after: DeliveryId,
}

impl Tx {
    /// Puts a delivery on its way; [`StoreError::Taken`] if the version goes there already.
    pub async fn insert_delivery(&mut self, delivery: &Delivery) -> Result<(), StoreError> {
        self.change_one(
            statement(
                "INSERT INTO deliveries (id, report_id, case_id, clinic_id, centre_id, \
                 destination_id, route, stage, state, attempts, last_error, created_at, \
                 updated_at, version) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12, 1)",
            )
            .bind(delivery.id.to_string())
            .bind(delivery.report.to_string())
            .bind(delivery.case.to_string())
            .bind(delivery.clinic.to_string())
            .bind(delivery.centre.to_string())
            .bind(delivery.destination.to_string())
            .bind(delivery.route.as_str().to_owned())
            .bind(delivery.stage.name().to_owned())
            .bind(state_text(&delivery.stage))
            .bind(delivery.attempts)
            .bind(delivery.last_error.clone())
            .bind(delivery.created_at.micros()),
        )
        .await
    }

    /// Writes where a delivery stands, if nobody changed it since it was read.
    pub async fn save_delivery(
        &mut self,
        delivery: &Delivery,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.change_one(
            statement(
                "UPDATE deliveries SET stage = $3, state = $4, attempts = $5, last_error = $6, \
                 updated_at = $7, version = version + 1 WHERE id = $1 AND version = $2",
            )
            .bind(delivery.id.to_string())
            .bind(delivery.version)
            .bind(delivery.stage.name().to_owned())
            .bind(state_text(&delivery.stage))
            .bind(delivery.attempts)
            .bind(delivery.last_error.clone())
            .bind(now.micros()),
        )
        .await
    }

    /// A delivery by identifier.
    pub async fn delivery(&mut self, id: &DeliveryId) -> Result<Option<Delivery>, StoreError> {
        let query = statement("SELECT * FROM deliveries WHERE id = $1").bind(id.to_string());
        self.one(query).await?.as_ref().map(delivery).transpose()
    }

    /// Every delivery of a case, oldest first.
    pub async fn deliveries_of_case(&mut self, case: &CaseId) -> Result<Vec<Delivery>, StoreError> {
        let query = statement("SELECT * FROM deliveries WHERE case_id = $1 ORDER BY id")
            .bind(case.to_string());
        self.all(query).await?.iter().map(delivery).collect()
    }

    /// Deliveries in a scope, newest first, before `after`.
    pub async fn deliveries(
        &mut self,
        scope: &Scope,
        filter: &DeliveryFilter,
        after: Option<&DeliveryId>,
        now: Timestamp,
        limit: i64,
    ) -> Result<Vec<Delivery>, StoreError> {
        let (condition, binds) = within(scope, "d.clinic_id", PARTNER, 6);
        let mut query = assembled(format!(
            "SELECT d.* FROM deliveries d WHERE {condition} \
             AND (CAST($1 AS TEXT) IS NULL OR d.id < $1) \
             AND (CAST($2 AS TEXT) IS NULL OR d.case_id = $2) \
             AND (CAST($3 AS TEXT) IS NULL OR d.stage = $3) \
             AND CAST($4 AS BIGINT) > 0 ORDER BY d.id DESC LIMIT $5"
        ))
        .bind(after.map(ToString::to_string))
        .bind(filter.case.as_ref().map(ToString::to_string))
        .bind(filter.stage.clone())
        .bind(now.micros())
        .bind(limit);
        for value in binds {
            query = query.bind(value);
        }
        self.all(query).await?.iter().map(delivery).collect()
    }

    /// Reports in the inboxes of a scope: those that wait for a person first, each part newest
    /// first.
    pub async fn inbox(
        &mut self,
        scope: &Scope,
        after: Option<&InboxCursor>,
        now: Timestamp,
        limit: i64,
    ) -> Result<Vec<InboxEntry>, StoreError> {
        let (condition, binds) = within(scope, "d.clinic_id", PARTNER, 5);
        let mut query = assembled(format!(
            "SELECT d.id, d.clinic_id, d.state, d.created_at, d.report_id, d.case_id, \
             r.number AS report_number, r.kind, c.number AS case_number, c.priority, c.modality, \
             s.patient_name, s.patient_id, s.study_date FROM deliveries d \
             JOIN reports r ON r.id = d.report_id JOIN cases c ON c.id = d.case_id \
             JOIN studies s ON s.id = c.study_id WHERE {condition} AND d.route = 'inbox' \
             AND ((d.stage = 'in_inbox' AND $1 = 0) OR (d.stage = 'acknowledged' AND $1 = 0) \
             OR (d.stage = 'in_inbox' AND $1 = 1 AND d.id < $2) \
             OR (d.stage = 'acknowledged' AND $1 = 1) \
             OR (d.stage = 'acknowledged' AND $1 = 2 AND d.id < $2)) \
             AND CAST($4 AS BIGINT) > 0 \
             ORDER BY CASE WHEN d.stage = 'in_inbox' THEN 0 ELSE 1 END, d.id DESC LIMIT $3"
        ))
        .bind(after.map_or(0, |cursor| if cursor.acknowledged { 2_i64 } else { 1 }))
        .bind(after.map(|cursor| cursor.after.to_string()).unwrap_or_default())
        .bind(limit)
        .bind(now.micros());
        for value in binds {
            query = query.bind(value);
        }
        self.all(query).await?.iter().map(inbox_entry).collect()
    }
}

/// The centre that a delivery reaches: while its case is open or the agreement is in force.
const PARTNER: &str = "(d.centre_id IN ({}) AND EXISTS (SELECT 1 FROM cases pc \
    JOIN agreements pa ON pa.id = pc.agreement_id WHERE pc.id = d.case_id \
    AND (pc.stage <> 'closed' OR (pa.valid_from <= $4 \
    AND (pa.valid_to IS NULL OR pa.valid_to > $4)))))";

fn state_text(stage: &Stage) -> String {
    // Strings and integers only: nothing here can fail to serialize.
    serde_json::to_string(stage).unwrap_or_default()
}

fn stage(row: &AnyRow) -> Result<Stage, StoreError> {
    parsed(serde_json::from_str(&row.text("state")?), "deliveries")
}

fn delivery(row: &AnyRow) -> Result<Delivery, StoreError> {
    Ok(Delivery {
        id: parsed(DeliveryId::parse(&row.text("id")?), "deliveries")?,
        report: parsed(ReportId::parse(&row.text("report_id")?), "deliveries")?,
        case: parsed(CaseId::parse(&row.text("case_id")?), "deliveries")?,
        clinic: parsed(OrganizationId::parse(&row.text("clinic_id")?), "deliveries")?,
        centre: parsed(OrganizationId::parse(&row.text("centre_id")?), "deliveries")?,
        destination: parsed(DestinationId::parse(&row.text("destination_id")?), "deliveries")?,
        route: known(Route::parse(&row.text("route")?), "deliveries")?,
        stage: stage(row)?,
        attempts: row.int("attempts")?,
        last_error: row.maybe_text("last_error")?,
        created_at: Timestamp::from_micros(row.int("created_at")?),
        updated_at: Timestamp::from_micros(row.int("updated_at")?),
        version: row.int("version")?,
    })
}

fn inbox_entry(row: &AnyRow) -> Result<InboxEntry, StoreError> {
    let acknowledged = match stage(row)? {
        Stage::Acknowledged { by, at } => Some((by, at)),
        Stage::Due { .. }
        | Stage::Sending { .. }
        | Stage::Sent { .. }
        | Stage::InInbox { .. }
        | Stage::Parked { .. }
        | Stage::Superseded => None,
    };
    Ok(InboxEntry {
        delivery: parsed(DeliveryId::parse(&row.text("id")?), "deliveries")?,
        clinic: parsed(OrganizationId::parse(&row.text("clinic_id")?), "deliveries")?,
        acknowledged,
        since: Timestamp::from_micros(row.int("created_at")?),
        report: parsed(ReportId::parse(&row.text("report_id")?), "deliveries")?,
        report_number: row.int("report_number")?,
        kind: known(VersionKind::parse(&row.text("kind")?), "reports")?,
        case: parsed(CaseId::parse(&row.text("case_id")?), "deliveries")?,
        case_number: row.text("case_number")?,
        priority: known(Priority::parse(&row.text("priority")?), "cases")?,
        modality: row.text("modality")?,
        patient_name: Phi::new(row.text("patient_name")?),
        patient_id: Phi::new(row.text("patient_id")?),
        study_date: row.maybe_text("study_date")?,
    })
}
