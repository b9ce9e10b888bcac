//! Orders: what a clinic asks and why, and the study that was matched with each.

use medrelay_core::access::Scope;
use medrelay_core::id::{OrderId, OrganizationId, PersonId, Phi, StudyId, Uid};
use medrelay_core::people::Priority;
use medrelay_core::time::Timestamp;
use sqlx::any::AnyRow;

use super::{Columns, StoreError, Tx, assembled, known, parsed, statement, within};

/// An order as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Its identifier.
    pub id: OrderId,
    /// Its number for people: `ORD-2026-000001`.
    pub number: String,
    /// The clinic that asks.
    pub clinic: OrganizationId,
    /// Patient ID as the clinic knows it.
    pub patient_id: Phi<String>,
    /// Patient's name as the clinic wrote it.
    pub patient_name: Phi<String>,
    /// Birth date, `YYYYMMDD`.
    pub patient_birth_date: Phi<Option<String>>,
    /// `M`, `F` or `O`.
    pub patient_sex: Option<String>,
    /// What kind of image is asked for.
    pub modality: String,
    /// Of which part of the body, as a DICOM code string.
    pub body_part: Option<String>,
    /// Accession Number.
    pub accession: Option<String>,
    /// Study Instance UID, where the clinic knows it beforehand.
    pub study_uid: Option<Uid>,
    /// How soon.
    pub priority: Priority,
    /// History and findings so far.
    pub history: Phi<String>,
    /// What the clinic wants to know.
    pub question: Phi<String>,
    /// Who wrote it.
    pub ordered_by: PersonId,
    /// The study that was matched with it.
    pub study: Option<StudyId>,
    /// When it was written.
    pub created_at: Timestamp,
    /// Compare-and-set version.
    pub version: i64,
}

/// Which orders a list shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OrderFilter {
    /// Only those of this clinic.
    pub clinic: Option<OrganizationId>,
    /// Only those that have a study, or only those that have none.
    pub matched: Option<bool>,
    /// Only those with this accession number.
    pub accession: Option<String>,
}

impl Tx {
    /// Writes a new order; [`StoreError::Taken`] if its number exists.
    pub async fn insert_order(&mut self, order: &Order) -> Result<(), StoreError> {
        self.change_one(
            statement(
                "INSERT INTO orders (id, number, clinic_id, patient_id, patient_name, \
                 patient_birth_date, patient_sex, modality, body_part, accession, study_uid, \
                 priority, history, question, ordered_by, study_id, created_at, version) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, \
                 $17, $18)",
            )
            .bind(order.id.to_string())
            .bind(order.number.clone())
            .bind(order.clinic.to_string())
            .bind(order.patient_id.reveal().clone())
            .bind(order.patient_name.reveal().clone())
            .bind(order.patient_birth_date.reveal().clone())
            .bind(order.patient_sex.clone())
            .bind(order.modality.clone())
            .bind(order.body_part.clone())
            .bind(order.accession.clone())
            .bind(order.study_uid.as_ref().map(ToString::to_string))
            .bind(order.priority.as_str().to_owned())
            .bind(order.history.reveal().clone())
            .bind(order.question.reveal().clone())
            .bind(order.ordered_by.to_string())
            .bind(order.study.as_ref().map(ToString::to_string))
            .bind(order.created_at.micros())
            .bind(order.version),
        )
        .await
    }

    /// An order by identifier.
    pub async fn order(&mut self, id: &OrderId) -> Result<Option<Order>, StoreError> {
        let query = statement("SELECT * FROM orders WHERE id = $1").bind(id.to_string());
        self.one(query).await?.as_ref().map(order).transpose()
    }

    /// Writes the content of an order that has no study yet, if nobody changed it since it was
    /// read.
    pub async fn save_order(&mut self, order: &Order) -> Result<(), StoreError> {
        self.change_one(
            statement(
                "UPDATE orders SET patient_id = $3, patient_name = $4, patient_birth_date = $5, \
                 patient_sex = $6, modality = $7, body_part = $8, accession = $9, \
                 study_uid = $10, priority = $11, history = $12, question = $13, \
                 version = version + 1 WHERE id = $1 AND version = $2 AND study_id IS NULL",
            )
            .bind(order.id.to_string())
            .bind(order.version)
            .bind(order.patient_id.reveal().clone())
            .bind(order.patient_name.reveal().clone())
            .bind(order.patient_birth_date.reveal().clone())
            .bind(order.patient_sex.clone())
            .bind(order.modality.clone())
            .bind(order.body_part.clone())
            .bind(order.accession.clone())
            .bind(order.study_uid.as_ref().map(ToString::to_string))
            .bind(order.priority.as_str().to_owned())
            .bind(order.history.reveal().clone())
            .bind(order.question.reveal().clone()),
        )
        .await
    }

    /// Ties an order to its study; [`StoreError::Lost`] if it has one already or was changed.
    pub async fn mark_order_matched(
        &mut self,
        order: &Order,
        study: &StudyId,
    ) -> Result<(), StoreError> {
        self.change_one(
            statement(
                "UPDATE orders SET study_id = $3, version = version + 1 \
                 WHERE id = $1 AND version = $2 AND study_id IS NULL",
            )
            .bind(order.id.to_string())
            .bind(order.version)
            .bind(study.to_string()),
        )
        .await
    }

    /// Orders of a clinic that have no study and name this study or this accession number.
    pub async fn orders_for_study(
        &mut self,
        clinic: &OrganizationId,
        uid: &Uid,
        accession: Option<&str>,
    ) -> Result<Vec<Order>, StoreError> {
        let query = statement(
            "SELECT * FROM orders WHERE clinic_id = $1 AND study_id IS NULL \
             AND (study_uid = $2 OR accession = $3) ORDER BY id",
        )
        .bind(clinic.to_string())
        .bind(uid.to_string())
        .bind(accession.map(str::to_owned));
        self.all(query).await?.iter().map(order).collect()
    }

    /// Studies of a clinic that have no order and carry this study UID or this accession number.
    pub async fn studies_for_order(
        &mut self,
        clinic: &OrganizationId,
        uid: Option<&Uid>,
        accession: Option<&str>,
    ) -> Result<Vec<StudyId>, StoreError> {
        let query = statement(
            "SELECT id FROM studies WHERE clinic_id = $1 AND order_id IS NULL \
             AND (uid = $2 OR accession = $3) ORDER BY id",
        )
        .bind(clinic.to_string())
        .bind(uid.map(ToString::to_string))
        .bind(accession.map(str::to_owned));
        let rows = self.all(query).await?;
        rows.iter().map(|row| parsed(StudyId::parse(&row.text("id")?), "studies")).collect()
    }

    /// Orders in a scope, newest first, before `after`.
    pub async fn orders(
        &mut self,
        scope: &Scope,
        filter: &OrderFilter,
        after: Option<&OrderId>,
        now: Timestamp,
        limit: i64,
    ) -> Result<Vec<Order>, StoreError> {
        // REPLACE instead of LIKE: the same on both engines, and an underscore is only itself.
        let partner = "EXISTS (SELECT 1 FROM agreements a WHERE a.clinic_id = o.clinic_id \
             AND a.centre_id IN ({}) AND ((a.valid_from <= $5 \
             AND (a.valid_to IS NULL OR a.valid_to > $5) AND (a.modalities = '[]' \
             OR REPLACE(a.modalities, '\"' || o.modality || '\"', '') <> a.modalities)) \
             OR EXISTS (SELECT 1 FROM cases c WHERE c.study_id = o.study_id \
             AND c.agreement_id = a.id AND c.stage <> 'closed')))";
        let (condition, binds) = within(scope, "o.clinic_id", partner, 7);
        let mut query = assembled(format!(
            "SELECT o.* FROM orders o WHERE {condition} \
             AND (CAST($1 AS TEXT) IS NULL OR o.id < $1) \
             AND (CAST($2 AS TEXT) IS NULL OR o.clinic_id = $2) \
             AND ($3 = 0 OR ($3 = 1 AND o.study_id IS NOT NULL) \
             OR ($3 = 2 AND o.study_id IS NULL)) \
             AND (CAST($4 AS TEXT) IS NULL OR o.accession = $4) \
             AND $5 > 0 ORDER BY o.id DESC LIMIT $6"
        ))
        .bind(after.map(ToString::to_string))
        .bind(filter.clinic.as_ref().map(ToString::to_string))
        .bind(filter.matched.map_or(0i64, |matched| if matched { 1 } else { 2 }))
        .bind(filter.accession.clone())
        .bind(now.micros())
        .bind(limit);
        for value in binds {
            query = query.bind(value);
        }
        self.all(query).await?.iter().map(order).collect()
    }
}

/// An order out of its row.
pub(super) fn order(row: &AnyRow) -> Result<Order, StoreError> {
    let study_uid = row.maybe_text("study_uid")?;
    let study = row.maybe_text("study_id")?;
    Ok(Order {
        id: parsed(OrderId::parse(&row.text("id")?), "orders")?,
        number: row.text("number")?,
        clinic: parsed(OrganizationId::parse(&row.text("clinic_id")?), "orders")?,
        patient_id: Phi::new(row.text("patient_id")?),
        patient_name: Phi::new(row.text("patient_name")?),
        patient_birth_date: Phi::new(row.maybe_text("patient_birth_date")?),
        patient_sex: row.maybe_text("patient_sex")?,
        modality: row.text("modality")?,
        body_part: row.maybe_text("body_part")?,
        accession: row.maybe_text("accession")?,
        study_uid: study_uid.map(|uid| parsed(Uid::parse(&uid), "orders")).transpose()?,
        priority: known(Priority::parse(&row.text("priority")?), "orders")?,
        history: Phi::new(row.text("history")?),
        question: Phi::new(row.text("question")?),
        ordered_by: parsed(PersonId::parse(&row.text("ordered_by")?), "orders")?,
        study: study.map(|id| parsed(StudyId::parse(&id), "orders")).transpose()?,
        created_at: Timestamp::from_micros(row.int("created_at")?),
        version: row.int("version")?,
    })
}
