//! What people want to see beside many cases at once: one statement for each thing, whatever the
//! number of cases.

use std::collections::HashMap;

use medrelay_core::case::Case;
use medrelay_core::id::{CaseId, OrganizationId, ReportId, StudyId};
use medrelay_core::time::Timestamp;
use sqlx::any::AnyRow;

use super::{Columns, Order, StoreError, Study, Tx, assembled, parsed, placeholders};

/// A study of the same patient as that of a case, as far as it is known here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriorRow {
    /// The case that is looked at.
    pub case: CaseId,
    /// The other study.
    pub study: StudyId,
    /// Whose.
    pub clinic: OrganizationId,
    /// Its case, if it has one.
    pub prior_case: Option<CaseId>,
    /// Where that is read.
    pub centre: Option<OrganizationId>,
    /// Whether that centre has it still.
    pub standing: bool,
    /// It carries the same patient number of the same clinic; otherwise the same name, birth date
    /// and sex.
    pub same_patient_id: bool,
}

/// A return request's words, by case and moment.
pub type ReturnTexts = HashMap<(String, i64), String>;

impl Tx {
    /// Cases by identifier, each with its number for people.
    pub async fn cases_by_id(
        &mut self,
        ids: &[String],
    ) -> Result<HashMap<String, (Case, String)>, StoreError> {
        let mut cases = HashMap::new();
        for row in self.listed("SELECT * FROM cases WHERE id IN ({})", ids).await? {
            cases.insert(row.text("id")?, (super::cases::case(&row)?, row.text("number")?));
        }
        Ok(cases)
    }

    /// Studies by identifier.
    pub async fn studies_by_id(
        &mut self,
        ids: &[String],
    ) -> Result<HashMap<String, Study>, StoreError> {
        let mut studies = HashMap::new();
        for row in self.listed("SELECT * FROM studies WHERE id IN ({})", ids).await? {
            studies.insert(row.text("id")?, super::studies::study(&row)?);
        }
        Ok(studies)
    }

    /// Orders by identifier.
    pub async fn orders_by_id(
        &mut self,
        ids: &[String],
    ) -> Result<HashMap<String, Order>, StoreError> {
        let mut orders = HashMap::new();
        for row in self.listed("SELECT * FROM orders WHERE id IN ({})", ids).await? {
            orders.insert(row.text("id")?, super::orders::order(&row)?);
        }
        Ok(orders)
    }

    /// Names of organizations.
    pub async fn organization_names(
        &mut self,
        ids: &[String],
    ) -> Result<HashMap<String, String>, StoreError> {
        let sql = "SELECT id AS k, name AS v FROM organizations WHERE id IN ({})";
        texts(&self.listed(sql, ids).await?)
    }

    /// Names of people.
    pub async fn person_names(
        &mut self,
        ids: &[String],
    ) -> Result<HashMap<String, String>, StoreError> {
        let sql = "SELECT id AS k, name AS v FROM persons WHERE id IN ({})";
        texts(&self.listed(sql, ids).await?)
    }

    /// How many series studies have.
    pub async fn count_series(
        &mut self,
        studies: &[String],
    ) -> Result<HashMap<String, i64>, StoreError> {
        let sql = "SELECT study_id AS k, COUNT(*) AS v FROM series WHERE study_id IN ({}) \
             GROUP BY study_id";
        counts(&self.listed(sql, studies).await?)
    }

    /// How many words of discussion there are about cases.
    pub async fn count_discussion(
        &mut self,
        cases: &[String],
    ) -> Result<HashMap<String, i64>, StoreError> {
        let sql = "SELECT case_id AS k, COUNT(*) AS v FROM clinic_messages \
             WHERE case_id IN ({}) AND kind = 'discussion' GROUP BY case_id";
        counts(&self.listed(sql, cases).await?)
    }

    /// Where the critical findings of cases stand.
    pub async fn finding_stages(
        &mut self,
        cases: &[String],
    ) -> Result<HashMap<String, Vec<String>>, StoreError> {
        let sql = "SELECT DISTINCT case_id, stage FROM findings WHERE case_id IN ({})";
        let mut stages: HashMap<String, Vec<String>> = HashMap::new();
        for row in self.listed(sql, cases).await? {
            stages.entry(row.text("case_id")?).or_default().push(row.text("stage")?);
        }
        Ok(stages)
    }

    /// The words that cases were returned with.
    pub async fn return_texts(&mut self, cases: &[String]) -> Result<ReturnTexts, StoreError> {
        let sql = "SELECT case_id, written_at, text FROM clinic_messages \
             WHERE case_id IN ({}) AND kind = 'return_request'";
        let mut texts = HashMap::new();
        for row in self.listed(sql, cases).await? {
            texts.insert((row.text("case_id")?, row.int("written_at")?), row.text("text")?);
        }
        Ok(texts)
    }

    /// The newest final version of cases.
    pub async fn newest_reports(
        &mut self,
        cases: &[String],
    ) -> Result<HashMap<String, ReportId>, StoreError> {
        let sql = "SELECT case_id, id FROM reports WHERE case_id IN ({}) \
             AND kind IN ('final', 'addendum') ORDER BY number";
        let mut newest = HashMap::new();
        for row in self.listed(sql, cases).await? {
            let id = parsed(ReportId::parse(&row.text("id")?), "reports")?;
            newest.insert(row.text("case_id")?, id);
        }
        Ok(newest)
    }

    /// The other studies of the patients of cases. The same number at the same clinic is the same
    /// patient unless the birth dates contradict; elsewhere name, birth date and sex must agree.
    pub async fn priors(
        &mut self,
        cases: &[String],
        now: Timestamp,
    ) -> Result<Vec<PriorRow>, StoreError> {
        const ROW: &str = "SELECT c.id AS case_id, p.id AS study_id, p.clinic_id, \
             pc.id AS prior_case, pc.centre_id, CASE WHEN pc.stage <> 'closed' THEN 1 \
             WHEN EXISTS (SELECT 1 FROM agreements a WHERE a.id = pc.agreement_id \
             AND a.valid_from <= $1 AND (a.valid_to IS NULL OR a.valid_to > $1)) THEN 1 \
             ELSE 0 END AS standing";
        const FROM: &str = "FROM cases c JOIN studies s ON s.id = c.study_id JOIN studies p";
        let list = placeholders(2, cases.len());
        let mut query = assembled(format!(
            "{ROW}, 1 AS same_number {FROM} ON p.clinic_id = s.clinic_id \
             AND p.patient_id = s.patient_id AND p.id <> s.id \
             AND COALESCE(p.patient_issuer, '') = COALESCE(s.patient_issuer, '') \
             LEFT JOIN cases pc ON pc.study_id = p.id \
             WHERE c.id IN ({list}) AND s.patient_id <> '' AND $1 > 0 \
             AND (p.patient_birth_date IS NULL OR s.patient_birth_date IS NULL \
             OR p.patient_birth_date = s.patient_birth_date) \
             UNION ALL {ROW}, 0 AS same_number {FROM} \
             ON p.patient_birth_date = s.patient_birth_date \
             AND p.patient_name = s.patient_name AND p.id <> s.id \
             AND COALESCE(p.patient_sex, '') = COALESCE(s.patient_sex, '') \
             LEFT JOIN cases pc ON pc.study_id = p.id \
             WHERE c.id IN ({list}) AND s.patient_name <> '' AND s.patient_birth_date <> '' \
             AND NOT (p.clinic_id = s.clinic_id AND p.patient_id = s.patient_id \
             AND s.patient_id <> '' \
             AND COALESCE(p.patient_issuer, '') = COALESCE(s.patient_issuer, ''))"
        ))
        .bind(now.micros());
        for id in cases {
            query = query.bind(id.clone());
        }
        self.all(query).await?.iter().map(prior).collect()
    }

    /// The rows of a statement for a list of identifiers, which stands at `{}` in its text.
    async fn listed(
        &mut self,
        sql: &'static str,
        ids: &[String],
    ) -> Result<Vec<AnyRow>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut query = assembled(sql.replace("{}", &placeholders(1, ids.len())));
        for id in ids {
            query = query.bind(id.clone());
        }
        self.all(query).await
    }
}

fn texts(rows: &[AnyRow]) -> Result<HashMap<String, String>, StoreError> {
    rows.iter().map(|row| Ok((row.text("k")?, row.text("v")?))).collect()
}

fn counts(rows: &[AnyRow]) -> Result<HashMap<String, i64>, StoreError> {
    rows.iter().map(|row| Ok((row.text("k")?, row.int("v")?))).collect()
}

fn prior(row: &AnyRow) -> Result<PriorRow, StoreError> {
    let case = row.maybe_text("prior_case")?;
    let centre = row.maybe_text("centre_id")?;
    Ok(PriorRow {
        case: parsed(CaseId::parse(&row.text("case_id")?), "cases")?,
        study: parsed(StudyId::parse(&row.text("study_id")?), "studies")?,
        clinic: parsed(OrganizationId::parse(&row.text("clinic_id")?), "studies")?,
        prior_case: case.map(|id| parsed(CaseId::parse(&id), "cases")).transpose()?,
        centre: centre.map(|id| parsed(OrganizationId::parse(&id), "cases")).transpose()?,
        standing: row.int("standing")? != 0,
        same_patient_id: row.int("same_number")? != 0,
    })
}
