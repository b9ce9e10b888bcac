//! Cases and the tags that keep the queue fair.

use medrelay_core::access::Scope;
use medrelay_core::case::{Case, Stage};
use medrelay_core::id::{AgreementId, CaseId, OrderId, OrganizationId, PersonId, StudyId};
use medrelay_core::people::{Priority, SigningPolicy};
use medrelay_core::time::Timestamp;
use sqlx::any::AnyRow;

use super::queue::{found_in, pattern};
use super::{Columns, StoreError, Tx, assembled, known, parsed, statement, within};

/// Which cases a list shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CaseFilter {
    /// Only those that stand here: a name of [`Stage::NAMES`].
    pub stage: Option<String>,
    /// Only those of this clinic.
    pub clinic: Option<OrganizationId>,
    /// Only those that this person holds.
    pub holder: Option<PersonId>,
    /// Only those with this priority.
    pub priority: Option<Priority>,
    /// Only those of this modality.
    pub modality: Option<String>,
    /// Only those in which this is found: number, patient's name and number, accession number.
    pub text: Option<String>,
}

impl Tx {
    /// Opens a case; [`StoreError::Taken`] if its study has one.
    pub async fn insert_case(&mut self, case: &Case, number: &str) -> Result<(), StoreError> {
        self.change_one(
            statement(
                "INSERT INTO cases (id, number, agreement_id, clinic_id, centre_id, study_id, \
                 order_id, modality, priority, policy, opened_at, deadline, fair, fence, \
                 late_images, stage, state, holder_id, claim_expires, assigned_id, returns, \
                 version) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, \
                 $15, $16, $17, $18, $19, $20, $21, 1)",
            )
            .bind(case.id.to_string())
            .bind(number.to_owned())
            .bind(case.agreement.to_string())
            .bind(case.clinic.to_string())
            .bind(case.centre.to_string())
            .bind(case.study.to_string())
            .bind(case.order.as_ref().map(ToString::to_string))
            .bind(case.modality.clone())
            .bind(case.priority.as_str().to_owned())
            .bind(case.policy.as_str().to_owned())
            .bind(case.opened_at.micros())
            .bind(case.deadline.micros())
            .bind(case.fair)
            .bind(case.fence)
            .bind(i64::from(case.late_images))
            .bind(case.stage.name().to_owned())
            .bind(state_text(&case.stage))
            .bind(case.stage.claim().map(|c| c.holder.to_string()))
            .bind(case.stage.claim().map(|c| c.expires.micros()))
            .bind(case.assigned.as_ref().map(ToString::to_string))
            .bind(case.returns),
        )
        .await
    }

    /// Writes what may change of a case, if nobody changed it since it was read.
    pub async fn save_case(&mut self, case: &Case) -> Result<(), StoreError> {
        self.change_one(
            statement(
                "UPDATE cases SET order_id = $3, priority = $4, deadline = $5, fair = $6, \
                 fence = $7, late_images = $8, stage = $9, state = $10, holder_id = $11, \
                 claim_expires = $12, assigned_id = $13, returns = $14, version = version + 1 \
                 WHERE id = $1 AND version = $2",
            )
            .bind(case.id.to_string())
            .bind(case.version)
            .bind(case.order.as_ref().map(ToString::to_string))
            .bind(case.priority.as_str().to_owned())
            .bind(case.deadline.micros())
            .bind(case.fair)
            .bind(case.fence)
            .bind(i64::from(case.late_images))
            .bind(case.stage.name().to_owned())
            .bind(state_text(&case.stage))
            .bind(case.stage.claim().map(|c| c.holder.to_string()))
            .bind(case.stage.claim().map(|c| c.expires.micros()))
            .bind(case.assigned.as_ref().map(ToString::to_string))
            .bind(case.returns),
        )
        .await
    }

    /// A case by identifier.
    pub async fn case(&mut self, id: &CaseId) -> Result<Option<Case>, StoreError> {
        let query = statement("SELECT * FROM cases WHERE id = $1").bind(id.to_string());
        self.one(query).await?.as_ref().map(case).transpose()
    }

    /// The case of a study, if one was opened.
    pub async fn case_of_study(&mut self, id: &StudyId) -> Result<Option<Case>, StoreError> {
        let query = statement("SELECT * FROM cases WHERE study_id = $1").bind(id.to_string());
        self.one(query).await?.as_ref().map(case).transpose()
    }

    /// The number of a case for people: `IMG-2026-000123`.
    pub async fn case_number(&mut self, id: &CaseId) -> Result<String, StoreError> {
        let query = statement("SELECT number FROM cases WHERE id = $1").bind(id.to_string());
        let row = self.one(query).await?;
        row.ok_or(StoreError::Inconsistent { table: "cases", what: "no row" })?.text("number")
    }

    /// How many cases a person holds.
    pub async fn cases_held(&mut self, person: &PersonId) -> Result<i64, StoreError> {
        let query = statement("SELECT COUNT(*) AS n FROM cases WHERE holder_id = $1")
            .bind(person.to_string());
        self.one(query).await?.map_or(Ok(0), |row| row.int("n"))
    }

    /// The identifiers of cases in a scope, newest first, before `after`.
    pub async fn cases(
        &mut self,
        scope: &Scope,
        filter: &CaseFilter,
        after: Option<&CaseId>,
        now: Timestamp,
        limit: i64,
    ) -> Result<Vec<String>, StoreError> {
        let partner = "(c.centre_id IN ({}) AND (c.stage <> 'closed' OR EXISTS (SELECT 1 \
             FROM agreements a WHERE a.id = c.agreement_id AND a.valid_from <= $5 \
             AND (a.valid_to IS NULL OR a.valid_to > $5))))";
        let (condition, binds) = within(scope, "c.clinic_id", partner, 10);
        let found = found_in("c", "s", 9);
        let mut query = assembled(format!(
            "SELECT c.id FROM cases c WHERE {condition} \
             AND (CAST($1 AS TEXT) IS NULL OR c.id < $1) \
             AND (CAST($2 AS TEXT) IS NULL OR c.stage = $2) \
             AND (CAST($3 AS TEXT) IS NULL OR c.clinic_id = $3) \
             AND (CAST($4 AS TEXT) IS NULL OR c.holder_id = $4) AND $5 = $5 \
             AND (CAST($7 AS TEXT) IS NULL OR c.priority = $7) \
             AND (CAST($8 AS TEXT) IS NULL OR c.modality = $8) \
             AND (CAST($9 AS TEXT) IS NULL OR EXISTS (SELECT 1 FROM studies s \
             WHERE s.id = c.study_id AND {found})) ORDER BY c.id DESC LIMIT $6"
        ))
        .bind(after.map(ToString::to_string))
        .bind(filter.stage.clone())
        .bind(filter.clinic.as_ref().map(ToString::to_string))
        .bind(filter.holder.as_ref().map(ToString::to_string))
        .bind(now.micros())
        .bind(limit)
        .bind(filter.priority.map(|priority| priority.as_str().to_owned()))
        .bind(filter.modality.clone())
        .bind(filter.text.as_deref().map(pattern));
        for value in binds {
            query = query.bind(value);
        }
        self.all(query).await?.iter().map(|row| row.text("id")).collect()
    }

    /// A tag of the fair queue: the centre's virtual time if `clinic` is `None`, else the
    /// clinic's last finish tag. 0 if there is none yet.
    pub async fn fair_tag(
        &mut self,
        centre: &OrganizationId,
        clinic: Option<&OrganizationId>,
    ) -> Result<i64, StoreError> {
        let query = statement("SELECT tag FROM fairness WHERE centre_id = $1 AND clinic_id = $2")
            .bind(centre.to_string())
            .bind(clinic.map(ToString::to_string).unwrap_or_default());
        self.one(query).await?.map_or(Ok(0), |row| row.int("tag"))
    }

    /// Moves a tag of the fair queue forward; it never goes back.
    pub async fn raise_fair_tag(
        &mut self,
        centre: &OrganizationId,
        clinic: Option<&OrganizationId>,
        tag: i64,
    ) -> Result<(), StoreError> {
        self.run(
            statement(
                "INSERT INTO fairness (centre_id, clinic_id, tag) VALUES ($1, $2, $3) \
                 ON CONFLICT (centre_id, clinic_id) DO UPDATE SET tag = \
                 CASE WHEN fairness.tag > excluded.tag THEN fairness.tag ELSE excluded.tag END",
            )
            .bind(centre.to_string())
            .bind(clinic.map(ToString::to_string).unwrap_or_default())
            .bind(tag),
        )
        .await?;
        Ok(())
    }
}

fn state_text(stage: &Stage) -> String {
    // Strings and integers only: nothing here can fail to serialize.
    serde_json::to_string(stage).unwrap_or_default()
}

/// A case out of its row.
pub(super) fn case(row: &AnyRow) -> Result<Case, StoreError> {
    let order = row.maybe_text("order_id")?;
    let assigned = row.maybe_text("assigned_id")?;
    Ok(Case {
        id: parsed(CaseId::parse(&row.text("id")?), "cases")?,
        agreement: parsed(AgreementId::parse(&row.text("agreement_id")?), "cases")?,
        clinic: parsed(OrganizationId::parse(&row.text("clinic_id")?), "cases")?,
        centre: parsed(OrganizationId::parse(&row.text("centre_id")?), "cases")?,
        study: parsed(StudyId::parse(&row.text("study_id")?), "cases")?,
        order: order.map(|id| parsed(OrderId::parse(&id), "cases")).transpose()?,
        modality: row.text("modality")?,
        priority: known(Priority::parse(&row.text("priority")?), "cases")?,
        policy: known(SigningPolicy::parse(&row.text("policy")?), "cases")?,
        opened_at: Timestamp::from_micros(row.int("opened_at")?),
        deadline: Timestamp::from_micros(row.int("deadline")?),
        fair: row.int("fair")?,
        fence: row.int("fence")?,
        late_images: row.int("late_images")? != 0,
        assigned: assigned.map(|id| parsed(PersonId::parse(&id), "cases")).transpose()?,
        returns: row.int("returns")?,
        version: row.int("version")?,
        stage: parsed(serde_json::from_str(&row.text("state")?), "cases")?,
    })
}
