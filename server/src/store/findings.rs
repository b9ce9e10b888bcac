//! Critical findings of cases.

use medrelay_core::access::Scope;
use medrelay_core::finding::{FindingCode, Stage};
use medrelay_core::id::{CaseId, FindingId, OrganizationId, PersonId, Phi};
use medrelay_core::time::Timestamp;
use sqlx::any::AnyRow;

use super::{Columns, StoreError, Tx, assembled, known, parsed, statement, within};

/// A critical finding with what people want to see beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Its identifier.
    pub id: FindingId,
    /// The case it was found in.
    pub case: CaseId,
    /// The clinic that must know.
    pub clinic: OrganizationId,
    /// The centre that found it.
    pub centre: OrganizationId,
    /// What was found.
    pub code: FindingCode,
    /// In words; may name the patient.
    pub text: Phi<String>,
    /// Where it stands.
    pub stage: Stage,
    /// Who raised it.
    pub raised_by: PersonId,
    /// When.
    pub raised_at: Timestamp,
    /// Compare-and-set version of the row.
    pub version: i64,
    /// Number of the case for people.
    pub case_number: String,
    /// Patient's Name with its groups.
    pub patient_name: Phi<String>,
    /// Name of the clinic.
    pub clinic_name: String,
    /// Name of whoever raised it.
    pub raised_by_name: String,
}

const SELECT: &str = "SELECT f.*, c.number AS case_number, s.patient_name, \
     o.name AS clinic_name, p.name AS raised_by_name FROM findings f \
     JOIN cases c ON c.id = f.case_id JOIN studies s ON s.id = c.study_id \
     JOIN organizations o ON o.id = f.clinic_id JOIN persons p ON p.id = f.raised_by";

impl Tx {
    /// Adds a critical finding.
    pub async fn insert_finding(&mut self, new: &Finding) -> Result<(), StoreError> {
        self.change_one(
            statement(
                "INSERT INTO findings (id, case_id, clinic_id, centre_id, code, text, stage, \
                 state, raised_by, raised_at, updated_at, version) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10, 1)",
            )
            .bind(new.id.to_string())
            .bind(new.case.to_string())
            .bind(new.clinic.to_string())
            .bind(new.centre.to_string())
            .bind(new.code.as_str().to_owned())
            .bind(new.text.reveal().clone())
            .bind(new.stage.name().to_owned())
            .bind(state_text(&new.stage))
            .bind(new.raised_by.to_string())
            .bind(new.raised_at.micros()),
        )
        .await
    }

    /// Writes where a finding stands, if nobody changed it since it was read.
    pub async fn save_finding(
        &mut self,
        finding: &Finding,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.change_one(
            statement(
                "UPDATE findings SET stage = $3, state = $4, updated_at = $5, \
                 version = version + 1 WHERE id = $1 AND version = $2",
            )
            .bind(finding.id.to_string())
            .bind(finding.version)
            .bind(finding.stage.name().to_owned())
            .bind(state_text(&finding.stage))
            .bind(now.micros()),
        )
        .await
    }

    /// A critical finding.
    pub async fn finding(&mut self, id: &FindingId) -> Result<Option<Finding>, StoreError> {
        let query = assembled(format!("{SELECT} WHERE f.id = $1")).bind(id.to_string());
        self.one(query).await?.as_ref().map(finding).transpose()
    }

    /// The critical findings of a case, oldest first.
    pub async fn findings_of_case(&mut self, case: &CaseId) -> Result<Vec<Finding>, StoreError> {
        let query = assembled(format!("{SELECT} WHERE f.case_id = $1 ORDER BY f.id"));
        self.all(query.bind(case.to_string())).await?.iter().map(finding).collect()
    }

    /// How many critical findings a case has.
    pub async fn count_findings(&mut self, case: &CaseId) -> Result<i64, StoreError> {
        let query = statement("SELECT COUNT(*) AS n FROM findings WHERE case_id = $1");
        self.one(query.bind(case.to_string())).await?.map_or(Ok(0), |row| row.int("n"))
    }

    /// Critical findings in a scope, newest first, before `after`.
    pub async fn findings(
        &mut self,
        scope: &Scope,
        stage: Option<&str>,
        after: Option<&FindingId>,
        now: Timestamp,
        limit: i64,
    ) -> Result<Vec<Finding>, StoreError> {
        let partner = "(f.centre_id IN ({}) AND (c.stage <> 'closed' OR EXISTS (SELECT 1 \
             FROM agreements a WHERE a.id = c.agreement_id AND a.valid_from <= $3 \
             AND (a.valid_to IS NULL OR a.valid_to > $3))))";
        let (condition, binds) = within(scope, "f.clinic_id", partner, 5);
        let mut query = assembled(format!(
            "{SELECT} WHERE {condition} AND (CAST($1 AS TEXT) IS NULL OR f.id < $1) \
             AND (CAST($2 AS TEXT) IS NULL OR f.stage = $2) AND $3 > 0 \
             ORDER BY f.id DESC LIMIT $4"
        ))
        .bind(after.map(ToString::to_string))
        .bind(stage.map(str::to_owned))
        .bind(now.micros())
        .bind(limit);
        for value in binds {
            query = query.bind(value);
        }
        self.all(query).await?.iter().map(finding).collect()
    }
}

fn state_text(stage: &Stage) -> String {
    // Strings and integers only: nothing here can fail to serialize.
    serde_json::to_string(stage).unwrap_or_default()
}

fn finding(row: &AnyRow) -> Result<Finding, StoreError> {
    Ok(Finding {
        id: parsed(FindingId::parse(&row.text("id")?), "findings")?,
        case: parsed(CaseId::parse(&row.text("case_id")?), "findings")?,
        clinic: parsed(OrganizationId::parse(&row.text("clinic_id")?), "findings")?,
        centre: parsed(OrganizationId::parse(&row.text("centre_id")?), "findings")?,
        code: known(FindingCode::parse(&row.text("code")?), "findings")?,
        text: Phi::new(row.text("text")?),
        stage: parsed(serde_json::from_str(&row.text("state")?), "findings")?,
        raised_by: parsed(PersonId::parse(&row.text("raised_by")?), "findings")?,
        raised_at: Timestamp::from_micros(row.int("raised_at")?),
        version: row.int("version")?,
        case_number: row.text("case_number")?,
        patient_name: Phi::new(row.text("patient_name")?),
        clinic_name: row.text("clinic_name")?,
        raised_by_name: row.text("raised_by_name")?,
    })
}
