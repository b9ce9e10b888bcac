//! Orders: written by the clinic, found for a study that arrives, or tied to one that is here
//! already.
//!
//! Which order belongs to which study is [`medrelay_core::matching`]'s to decide; here the rows
//! are looked up and the answer is written in one transaction with what caused it.

use medrelay_core::access::{self, Action, Object};
use medrelay_core::case::Stage as CaseStage;
use medrelay_core::event::Kind;
use medrelay_core::id::{OrderId, OrganizationId, Phi, StudyId, Uid};
use medrelay_core::matching::{Candidate, Match, StudyFacts, match_order};
use medrelay_core::people::Priority;
use medrelay_core::study::Stage;
use medrelay_core::time::Timestamp;

use super::calendars::due;
use super::{About, Caller, Error, Service, allow, case_object, clinic_object, owned_by};
use crate::store::{NewEvent, Order, OrderFilter, Study, Tx};

/// Longest history or question, in characters.
const TEXT_LIMIT: usize = 10_000;

/// What a clinic writes on an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewOrder {
    /// The clinic that asks.
    pub clinic: OrganizationId,
    /// Patient ID as the clinic's devices send it.
    pub patient_id: Phi<String>,
    /// Patient's name.
    pub patient_name: Phi<String>,
    /// Birth date, `YYYYMMDD`.
    pub patient_birth_date: Phi<Option<String>>,
    /// `M`, `F` or `O`.
    pub patient_sex: Option<String>,
    /// What kind of image is asked for.
    pub modality: String,
    /// Of which part of the body.
    pub body_part: Option<String>,
    /// Accession Number.
    pub accession: Option<String>,
    /// Study Instance UID, where it is known beforehand.
    pub study_uid: Option<Uid>,
    /// How soon.
    pub priority: Priority,
    /// History and findings so far.
    pub history: Phi<String>,
    /// What the clinic wants to know.
    pub question: Phi<String>,
}

/// What changes on an order: `None` leaves a field as it is, an empty text clears an optional one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OrderChange {
    /// The version that the change was made from; another one in the row refuses the change.
    pub version: Option<i64>,
    /// Patient ID.
    pub patient_id: Option<Phi<String>>,
    /// Patient's name.
    pub patient_name: Option<Phi<String>>,
    /// Birth date.
    pub patient_birth_date: Option<Phi<String>>,
    /// Sex.
    pub patient_sex: Option<String>,
    /// Modality.
    pub modality: Option<String>,
    /// Part of the body.
    pub body_part: Option<String>,
    /// Accession Number.
    pub accession: Option<String>,
    /// Study Instance UID.
    pub study_uid: Option<String>,
    /// How soon.
    pub priority: Option<Priority>,
    /// History.
    pub history: Option<Phi<String>>,
    /// Question.
    pub question: Option<Phi<String>>,
}

impl Service {
    /// Writes an order and, if its study is here already, ties them together.
    pub async fn create_order(&self, caller: &Caller, new: NewOrder) -> Result<Order, Error> {
        let person = caller.person()?.clone();
        let now = self.now();
        let mut tx = self.db().write().await?;
        tx.organization(&new.clinic).await?.ok_or_else(Error::hidden)?;
        allow(caller, Action::WriteOrder, &owned_by(&mut tx, &new.clinic).await?)?;
        let number = self.human_number(&mut tx, "ORD").await?;
        let mut order = Order {
            id: OrderId::new(now, &*self.parts.entropy),
            number,
            clinic: new.clinic,
            patient_id: new.patient_id,
            patient_name: new.patient_name,
            patient_birth_date: new.patient_birth_date,
            patient_sex: new.patient_sex,
            modality: new.modality,
            body_part: new.body_part,
            accession: new.accession,
            study_uid: new.study_uid,
            priority: new.priority,
            history: new.history,
            question: new.question,
            ordered_by: person,
            study: None,
            created_at: now,
            version: 1,
        };
        tidy(&mut order);
        check(&order)?;
        tx.insert_order(&order).await?;
        let mut events = vec![self.order_event(caller, Kind::OrderChanged, &order)];
        self.match_with_arrived(&mut tx, caller, &mut order, &mut events).await?;
        tx.record(events).await?;
        tx.commit().await?;
        Ok(order)
    }

    /// Changes an order that has no study yet, and looks for its study again.
    pub async fn update_order(
        &self,
        caller: &Caller,
        id: &OrderId,
        change: OrderChange,
    ) -> Result<Order, Error> {
        let mut tx = self.db().write().await?;
        let mut order = tx.order(id).await?.ok_or_else(Error::hidden)?;
        let object = order_object(&mut tx, &order, self.now()).await?;
        allow(caller, Action::WriteOrder, &object)?;
        if order.study.is_some() {
            return Err(Error::Conflict("the order has its study and cannot be changed any more"));
        }
        if change.version.is_some_and(|version| version != order.version) {
            return Err(Error::VersionConflict);
        }
        change.apply(&mut order)?;
        tidy(&mut order);
        check(&order)?;
        tx.save_order(&order).await?;
        order.version += 1;
        let mut events = vec![self.order_event(caller, Kind::OrderChanged, &order)];
        self.match_with_arrived(&mut tx, caller, &mut order, &mut events).await?;
        tx.record(events).await?;
        tx.commit().await?;
        Ok(order)
    }

    /// One order; that it was looked at is recorded.
    pub async fn order(&self, caller: &Caller, id: &OrderId) -> Result<Order, Error> {
        let mut tx = self.db().write().await?;
        let order = tx.order(id).await?.ok_or_else(Error::hidden)?;
        let object = order_object(&mut tx, &order, self.now()).await?;
        allow(caller, Action::ReadOrder, &object)?;
        tx.record(vec![self.order_event(caller, Kind::StudyRead, &order)]).await?;
        tx.commit().await?;
        Ok(order)
    }

    /// Orders that the caller may see, newest first, before `after`.
    pub async fn orders(
        &self,
        caller: &Caller,
        filter: &OrderFilter,
        after: Option<&OrderId>,
        limit: i64,
    ) -> Result<Vec<Order>, Error> {
        access::may_somewhere(&caller.actor, Action::ReadOrder)?;
        let scope = access::scope(&caller.actor, Action::ReadOrder);
        let mut tx = self.db().read().await?;
        Ok(tx.orders(&scope, filter, after, self.now(), limit).await?)
    }

    /// Which order an arrived study belongs to, among those of its clinic that have no study.
    pub(crate) async fn find_order(&self, tx: &mut Tx, study: &Study) -> Result<Match, Error> {
        let accession = study.accession.as_deref().map(str::trim).filter(|text| !text.is_empty());
        let orders = tx.orders_for_study(&study.clinic, &study.uid, accession).await?;
        let candidates: Vec<Candidate> = orders.into_iter().map(candidate).collect();
        let facts = StudyFacts {
            uid: study.uid.clone(),
            clinic: study.clinic.clone(),
            patient_id: study.patient_id.clone(),
            accession: study.accession.clone(),
        };
        Ok(match_order(&facts, &candidates))
    }

    /// Ties a study and an order together: opens the case if it waited for nothing else, or lets
    /// the open case follow the order. The caller saves the study and records the events.
    pub(super) async fn tie(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        study: &mut Study,
        order: &Order,
        by: &'static str,
        events: &mut Vec<NewEvent>,
    ) -> Result<(), Error> {
        let about = About::of(&study.clinic, format!("study:{}", study.id))
            .with(serde_json::json!({ "order": order.id, "by": by }));
        events.push(self.parts.event(caller, Kind::StudyMatched, about));
        tx.mark_order_matched(order, &study.id).await?;
        study.order = Some(order.id.clone());
        if study.stage == Stage::Complete && study.trouble.is_some() {
            study.trouble = None;
            self.route(tx, caller, study, Some(order), events).await
        } else {
            self.adopt_order(tx, &study.id, order).await
        }
    }

    /// Gives the order to the open case of a study, if there is one; while nobody works on it,
    /// its priority and due time follow the order.
    pub(super) async fn adopt_order(
        &self,
        tx: &mut Tx,
        study: &StudyId,
        order: &Order,
    ) -> Result<(), Error> {
        let Some(mut case) = tx.case_of_study(study).await? else { return Ok(()) };
        case.order = Some(order.id.clone());
        // Whoever reads it already has seen the old due time; only a waiting case moves.
        let waits = case.stage.is_waiting() || case.stage == CaseStage::Submitted;
        let returned = matches!(case.stage, CaseStage::Returned { .. });
        if returned {
            // Its time stands still; when it comes again, it goes on by the new priority.
            case.priority = order.priority;
        } else if waits && let Some(agreement) = tx.agreement(&case.agreement).await? {
            case.priority = order.priority;
            let again = case.returns > 0;
            // Time that stood still with the clinic is not taken back: the limit counts from now.
            let (from, limits) =
                (if again { self.now() } else { case.opened_at }, &agreement.limits);
            let due = due(tx, &case.centre, from, limits, order.priority).await?;
            case.deadline = if again { due.min(case.deadline) } else { due };
        }
        Ok(tx.save_case(&case).await?)
    }

    /// Ties an order to the one study among those already here whose order it is.
    async fn match_with_arrived(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        order: &mut Order,
        events: &mut Vec<NewEvent>,
    ) -> Result<(), Error> {
        let uid = order.study_uid.as_ref();
        let ids = tx.studies_for_order(&order.clinic, uid, order.accession.as_deref()).await?;
        let mut fitting = Vec::new();
        for id in ids {
            let Some(study) = tx.study(&id).await? else { continue };
            if self.find_order(tx, &study).await? == Match::One(order.id.clone()) {
                fitting.push(study);
            }
        }
        // Two studies with one accession number are for a person, as two orders are.
        let [study] = fitting.as_mut_slice() else { return Ok(()) };
        self.tie(tx, caller, study, order, "rule", events).await?;
        tx.save_study(study).await?;
        order.study = Some(study.id.clone());
        order.version += 1;
        Ok(())
    }

    fn order_event(&self, caller: &Caller, kind: Kind, order: &Order) -> NewEvent {
        let about = About::of(&order.clinic, format!("order:{}", order.id));
        self.parts.event(caller, kind, about)
    }
}

/// The standing of an order: as its case's, else as the clinic's studies of that modality.
pub(super) async fn order_object(
    tx: &mut Tx,
    order: &Order,
    now: Timestamp,
) -> Result<Object, Error> {
    if let Some(study) = &order.study
        && let Some(case) = tx.case_of_study(study).await?
    {
        return case_object(tx, &case, now).await;
    }
    clinic_object(tx, &order.clinic, &order.modality, now).await
}

fn candidate(order: Order) -> Candidate {
    Candidate {
        order: order.id,
        clinic: order.clinic,
        patient_id: order.patient_id,
        accession: order.accession,
        study_uid: order.study_uid,
    }
}

impl OrderChange {
    fn apply(self, order: &mut Order) -> Result<(), Error> {
        fn set<T>(field: &mut T, value: Option<T>) {
            if let Some(value) = value {
                *field = value;
            }
        }
        set(&mut order.patient_id, self.patient_id);
        set(&mut order.patient_name, self.patient_name);
        if let Some(date) = self.patient_birth_date {
            order.patient_birth_date = Phi::new(Some(date.into_revealed()));
        }
        set(&mut order.patient_sex, self.patient_sex.map(Some));
        set(&mut order.modality, self.modality);
        set(&mut order.body_part, self.body_part.map(Some));
        set(&mut order.accession, self.accession.map(Some));
        if let Some(uid) = self.study_uid {
            order.study_uid = if uid.trim().is_empty() { None } else { Some(study_uid(&uid)?) };
        }
        set(&mut order.priority, self.priority);
        set(&mut order.history, self.history);
        set(&mut order.question, self.question);
        Ok(())
    }
}

/// Reads a Study Instance UID that a person typed.
pub fn study_uid(text: &str) -> Result<Uid, Error> {
    Uid::parse(text.trim()).map_err(|error| Error::invalid("study_uid", error.to_string()))
}

/// Takes spaces off the ends; an optional field without text is absent.
fn tidy(order: &mut Order) {
    let trimmed = |text: &Phi<String>| Phi::new(text.reveal().trim().to_owned());
    let optional = |text: Option<String>| {
        text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
    };
    order.patient_id = trimmed(&order.patient_id);
    order.patient_name = trimmed(&order.patient_name);
    order.patient_birth_date = Phi::new(optional(order.patient_birth_date.reveal().clone()));
    order.patient_sex = optional(order.patient_sex.take());
    order.modality = order.modality.trim().to_ascii_uppercase();
    order.body_part = optional(order.body_part.take()).map(|part| part.to_ascii_uppercase());
    order.accession = optional(order.accession.take());
    order.history = trimmed(&order.history);
    order.question = trimmed(&order.question);
}

/// Refuses what could not stand in a DICOM object or on a report; never repeats a value.
fn check(order: &Order) -> Result<(), Error> {
    let date = order.patient_birth_date.reveal();
    line("patient_id", order.patient_id.reveal(), 64)?;
    line("patient_name", order.patient_name.reveal(), 192)?;
    if date.as_deref().is_some_and(|date| !is_date(date)) {
        return Err(Error::invalid("patient_birth_date", "write it as YYYYMMDD"));
    }
    if order.patient_sex.as_deref().is_some_and(|sex| !matches!(sex, "M" | "F" | "O")) {
        return Err(Error::invalid("patient_sex", "M, F or O"));
    }
    if !is_code(&order.modality) {
        return Err(Error::invalid("modality", "a DICOM code such as CT, MR, DX or US"));
    }
    if order.body_part.as_deref().is_some_and(|part| !is_code(&part.replace(' ', "_"))) {
        return Err(Error::invalid("body_part", "a DICOM code such as CHEST"));
    }
    if let Some(accession) = &order.accession {
        line("accession", accession, 16)?;
    }
    for (field, text) in [("history", &order.history), ("question", &order.question)] {
        if text.reveal().chars().count() > TEXT_LIMIT {
            return Err(Error::invalid(field, format!("at most {TEXT_LIMIT} characters")));
        }
        if text.reveal().chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
            return Err(Error::invalid(field, "control characters cannot be printed"));
        }
    }
    Ok(())
}

/// A line of text as DICOM's LO and SH allow it: no backslash, no control character.
fn line(field: &'static str, text: &str, limit: usize) -> Result<(), Error> {
    if text.is_empty() || text.chars().count() > limit {
        Err(Error::invalid(field, format!("1 to {limit} characters")))
    } else if text.chars().any(|c| c.is_control() || c == '\\') {
        Err(Error::invalid(field, "no backslash and no control character"))
    } else {
        Ok(())
    }
}

fn is_code(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
    (1..=16).contains(&text.len()) && text.bytes().all(allowed)
}

fn is_date(text: &str) -> bool {
    text.len() == 8
        && text.bytes().all(|b| b.is_ascii_digit())
        && chrono::NaiveDate::parse_from_str(text, "%Y%m%d").is_ok()
}

#[cfg(test)]
mod tests;
