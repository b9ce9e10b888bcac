//! The way out: attempts to deliver a signed version, the clinic's inbox, and what closes a case.
//!
//! An attempt is two short transactions with the sending between them, never one around it. If the
//! relay dies in between, the attempt's time runs out and the next one sends the same objects with
//! the same UIDs again, which a receiver takes for what it is.

mod documents;
mod renderings;

use std::time::Duration;

use medrelay_core::access::{self, Action};
use medrelay_core::case::{self, Case};
use medrelay_core::delivery::{self, Command, Route, Stage};
use medrelay_core::event::Kind;
use medrelay_core::id::{DeliveryId, ReportId};
use medrelay_core::time::Timestamp;

pub use self::renderings::Rendered;
use super::{
    About, Caller, CourierError, DicomAddress, Error, JOB_DELIVER, Parcel, ParcelObject, Service,
    persist,
};
use crate::blobs::BlobError;
pub use crate::store::{Delivery, DeliveryFilter, InboxCursor, InboxEntry};
use crate::store::{Form, StoreError, Tx};

/// A delivery with what people call its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryView {
    /// The delivery.
    pub delivery: Delivery,
    /// Name of the destination.
    pub destination_name: String,
    /// Number of the case for people.
    pub case_number: String,
}

/// What comes of starting an attempt.
enum Attempt {
    /// Send it now.
    Begun(Box<Delivery>),
    /// Nothing to do now; look again then, if ever.
    Not(Option<Timestamp>),
}

impl Service {
    /// Tries to deliver a version to a machine; tells when to try again, if at all. A failed
    /// attempt is not an error: it is written down, and the delivery parked after the last.
    pub async fn deliver(&self, id: &DeliveryId) -> Result<Option<Timestamp>, Error> {
        let begun = match self.begin_attempt(id).await? {
            Attempt::Begun(delivery) => delivery,
            Attempt::Not(again) => return Ok(again),
        };
        let micros = u64::try_from(self.parts.settings.backoff.attempt.micros()).unwrap_or(0);
        let sent = tokio::time::timeout(Duration::from_micros(micros), self.carry(&begun)).await;
        let outcome = sent.unwrap_or_else(|_| {
            Err(CourierError::Retry("the attempt took longer than one may take".to_owned()))
        });
        persist!(self.conclude(&begun, &outcome).await)
    }

    /// Starts a parked delivery again.
    pub async fn retry(&self, caller: &Caller, id: &DeliveryId) -> Result<DeliveryView, Error> {
        caller.person()?;
        let mut tx = self.parts.db.write().await?;
        let mut delivery = tx.delivery(id).await?.ok_or(Error::hidden())?;
        let action = Action::RetryDelivery;
        let case = self.visible_case(&mut tx, caller, action, &delivery.case).await?;
        delivery.stage = self.step(&delivery, Command::Retry)?;
        tx.save_delivery(&delivery, self.now()).await?;
        self.parts.schedule(&mut tx, JOB_DELIVER, id.as_str(), self.now()).await?;
        let about = About::case(&case).with(facts(&delivery, None));
        tx.record(vec![self.parts.event(caller, Kind::DeliveryRetried, about)]).await?;
        let view = view(&mut tx, delivery).await?;
        tx.commit().await?;
        Ok(view)
    }

    /// Deliveries that the caller may see, newest first.
    pub async fn deliveries(
        &self,
        caller: &Caller,
        filter: &DeliveryFilter,
        after: Option<&DeliveryId>,
        limit: i64,
    ) -> Result<Vec<DeliveryView>, Error> {
        access::may_somewhere(&caller.actor, Action::ReadDelivery)?;
        let scope = access::scope(&caller.actor, Action::ReadDelivery);
        let mut tx = self.parts.db.read().await?;
        let mut views = Vec::new();
        for delivery in tx.deliveries(&scope, filter, after, self.now(), limit).await? {
            views.push(view(&mut tx, delivery).await?);
        }
        Ok(views)
    }

    /// The inbox of the caller's clinics: what waits for a person first, each part newest first.
    pub async fn inbox(
        &self,
        caller: &Caller,
        after: Option<&InboxCursor>,
        limit: i64,
    ) -> Result<Vec<InboxEntry>, Error> {
        access::may_somewhere(&caller.actor, Action::AcknowledgeReport)?;
        let scope = access::scope(&caller.actor, Action::AcknowledgeReport);
        let mut tx = self.parts.db.read().await?;
        Ok(tx.inbox(&scope, after, self.now(), limit).await?)
    }

    /// A person at the clinic says that they have the report; the case closes when every machine
    /// has it too.
    pub async fn acknowledge(
        &self,
        caller: &Caller,
        id: &DeliveryId,
    ) -> Result<DeliveryView, Error> {
        persist!(self.acknowledge_once(caller, id).await)
    }

    async fn acknowledge_once(
        &self,
        caller: &Caller,
        id: &DeliveryId,
    ) -> Result<DeliveryView, Error> {
        let by = caller.person()?.clone();
        let mut tx = self.parts.db.write().await?;
        let mut delivery = tx.delivery(id).await?.ok_or(Error::hidden())?;
        let action = Action::AcknowledgeReport;
        let case = self.visible_case(&mut tx, caller, action, &delivery.case).await?;
        delivery.stage = self.step(&delivery, Command::Acknowledge { by })?;
        tx.save_delivery(&delivery, self.now()).await?;
        let about = About::case(&case).with(facts(&delivery, None));
        let mut events = vec![self.parts.event(caller, Kind::ReportAcknowledged, about)];
        let (case, kinds) = self.settle_case(&mut tx, case).await?;
        events.extend(kinds.into_iter().map(|k| self.parts.event(caller, k, About::case(&case))));
        let view = view(&mut tx, delivery).await?;
        tx.record(events).await?;
        tx.commit().await?;
        Ok(view)
    }

    /// The first transaction: the attempt is counted before it is made.
    async fn begin_attempt(&self, id: &DeliveryId) -> Result<Attempt, Error> {
        let mut tx = self.parts.db.write().await?;
        let Some(mut delivery) = tx.delivery(id).await? else { return Ok(Attempt::Not(None)) };
        if delivery.route != Route::Dicom {
            return Ok(Attempt::Not(None));
        }
        let Ok(stage) = self.step(&delivery, Command::Begin) else {
            return Ok(Attempt::Not(again(&delivery.stage)));
        };
        delivery.stage = stage;
        if !matches!(delivery.stage, Stage::Sending { .. }) {
            // The relay died in each attempt up to the last one.
            delivery.last_error = Some("no attempt came to an end".to_owned());
            tx.save_delivery(&delivery, self.now()).await?;
            let case = tx.case(&delivery.case).await?.ok_or(StoreError::Lost)?;
            let about = About::case(&case).with(facts(&delivery, delivery.last_error.as_deref()));
            let caller = Caller::system();
            tx.record(vec![self.parts.event(&caller, Kind::DeliveryParked, about)]).await?;
            tx.commit().await?;
            tracing::error!(delivery.id = %id, "a delivery was parked: no attempt came to an end");
            return Ok(Attempt::Not(None));
        }
        delivery.attempts += 1;
        tx.save_delivery(&delivery, self.now()).await?;
        tx.commit().await?;
        Ok(Attempt::Begun(Box::new(delivery)))
    }

    /// Between the transactions: renders what is not rendered yet, and sends.
    async fn carry(&self, delivery: &Delivery) -> Result<(), CourierError> {
        let parcel = self.parcel(delivery).await.map_err(undeliverable)?;
        self.parts.courier.send(&parcel).await
    }

    async fn parcel(&self, delivery: &Delivery) -> Result<Parcel, Error> {
        let mut tx = self.parts.db.read().await?;
        let destination = tx.destination(&delivery.destination).await?;
        let report = tx.report(&delivery.report).await?;
        drop(tx);
        let (Some(destination), Some(report)) = (destination, report) else {
            return Err(Error::Store(StoreError::Inconsistent {
                table: "deliveries",
                what: "names a destination or a report that is not there",
            }));
        };
        let address: DicomAddress = serde_json::from_str(&destination.settings)
            .map_err(|_| Error::Document("the destination has no valid address".to_owned()))?;
        let object = |sop_class: &str, sop_instance: String, data_set| ParcelObject {
            sop_class: sop_class.to_owned(),
            sop_instance,
            data_set,
        };
        let structured = self.rendered(&report, Form::SrObject).await?;
        let encapsulated = self.rendered(&report, Form::PdfObject).await?;
        Ok(Parcel {
            address,
            objects: vec![
                object(documents::SR_CLASS, report.sr_uid.to_string(), structured),
                object(documents::PDF_CLASS, report.pdf_uid.to_string(), encapsulated),
            ],
        })
    }

    /// The second transaction: what came of the attempt.
    async fn conclude(
        &self,
        begun: &Delivery,
        outcome: &Result<(), CourierError>,
    ) -> Result<Option<Timestamp>, Error> {
        let mut tx = self.parts.db.write().await?;
        let Some(mut delivery) = tx.delivery(&begun.id).await? else { return Ok(None) };
        let current = matches!(delivery.stage, Stage::Sending { .. });
        if !current || delivery.attempts != begun.attempts {
            // Its time ran out and the next attempt has begun: that one will tell.
            return Ok(again(&delivery.stage));
        }
        let command = match outcome {
            Ok(()) => Command::Accepted,
            Err(CourierError::Retry(_)) => Command::Failed,
            Err(CourierError::Refused(_)) => Command::Refused,
        };
        delivery.last_error = outcome.as_ref().err().map(ToString::to_string);
        delivery.stage = self.step(&delivery, command)?;
        let kind = match (&delivery.stage, outcome) {
            (_, Ok(())) => Kind::DeliverySent,
            (Stage::Parked { .. }, Err(_)) => Kind::DeliveryParked,
            (_, Err(_)) => Kind::DeliveryFailed,
        };
        let overtaken = outcome.is_err() && is_overtaken(&mut tx, &delivery).await?;
        if overtaken {
            // A newer version went to the same place while this one was being sent in vain.
            delivery.stage = self.step(&delivery, Command::Supersede)?;
        }
        tx.save_delivery(&delivery, self.now()).await?;
        let caller = Caller::system();
        let case = tx.case(&delivery.case).await?.ok_or(StoreError::Lost)?;
        let about = About::case(&case).with(facts(&delivery, delivery.last_error.as_deref()));
        let mut events = vec![self.parts.event(&caller, kind, about)];
        let (case, kinds) = self.settle_case(&mut tx, case).await?;
        events.extend(kinds.into_iter().map(|k| self.parts.event(&caller, k, About::case(&case))));
        tx.record(events).await?;
        tx.commit().await?;
        told(&delivery, kind);
        Ok(again(&delivery.stage))
    }

    fn step(&self, delivery: &Delivery, command: Command) -> Result<Stage, delivery::Refusal> {
        let parts = &self.parts;
        let backoff = &parts.settings.backoff;
        delivery::apply(delivery.stage.clone(), command, backoff, &*parts.entropy, self.now())
    }

    /// Moves a case on when its deliveries allow it, and saves it if they do.
    async fn settle_case(&self, tx: &mut Tx, mut case: Case) -> Result<(Case, Vec<Kind>), Error> {
        let deliveries = tx.deliveries_of_case(&case.id).await?;
        let kinds = settle(&mut case, &deliveries, self.now())?;
        if !kinds.is_empty() {
            tx.save_case(&case).await?;
        }
        Ok((case, kinds))
    }
}

/// Moves a case on as far as its deliveries allow: delivered when every machine has every version,
/// closed when a person has acknowledged everything in the inbox as well. A case without an inbox
/// has nobody to acknowledge and stays delivered.
pub(super) fn settle(
    case: &mut Case,
    deliveries: &[Delivery],
    now: Timestamp,
) -> Result<Vec<Kind>, Error> {
    let mut kinds = Vec::new();
    let mut step = |case: &mut Case, command| -> Result<(), Error> {
        let step = case::apply(case.clone(), command, now)?;
        *case = step.case;
        kinds.extend(step.events);
        Ok(())
    };
    let (machines, inbox): (Vec<_>, Vec<_>) =
        deliveries.iter().partition(|delivery| delivery.route == Route::Dicom);
    let done = |list: &[&Delivery]| list.iter().all(|delivery| delivery.stage.is_done());
    if matches!(case.stage, case::Stage::Final) && done(&machines) {
        step(case, case::Command::Delivered)?;
    }
    let acknowledged =
        inbox.iter().any(|delivery| matches!(delivery.stage, Stage::Acknowledged { .. }));
    if matches!(case.stage, case::Stage::Delivered) && acknowledged && done(&inbox) {
        step(case, case::Command::Acknowledged)?;
    }
    Ok(kinds)
}

/// When a delivery wants to be looked at again.
const fn again(stage: &Stage) -> Option<Timestamp> {
    match stage {
        Stage::Due { at, .. } => Some(*at),
        Stage::Sending { until, .. } => Some(*until),
        Stage::Sent { .. }
        | Stage::InInbox { .. }
        | Stage::Acknowledged { .. }
        | Stage::Parked { .. }
        | Stage::Superseded => None,
    }
}

/// Whether a newer version is on its way to the same place.
async fn is_overtaken(tx: &mut Tx, delivery: &Delivery) -> Result<bool, Error> {
    let number = |id: &ReportId, reports: &[crate::store::Report]| {
        reports.iter().find(|report| report.id == *id).map(|report| report.number)
    };
    let reports = tx.reports_of_case(&delivery.case).await?;
    let own = number(&delivery.report, &reports);
    let others = tx.deliveries_of_case(&delivery.case).await?;
    Ok(others.iter().any(|other| {
        other.destination == delivery.destination && number(&other.report, &reports) > own
    }))
}

/// What an event tells of a delivery.
fn facts(delivery: &Delivery, error: Option<&str>) -> serde_json::Value {
    serde_json::json!({
        "delivery": delivery.id, "report": delivery.report,
        "destination": delivery.destination, "attempt": delivery.attempts, "error": error,
    })
}

fn told(delivery: &Delivery, kind: Kind) {
    metrics::counter!("medrelay_delivery_attempts_total", "outcome" => kind.as_str()).increment(1);
    let error = delivery.last_error.as_deref().unwrap_or_default();
    match kind {
        Kind::DeliveryParked => tracing::error!(
            delivery.id = %delivery.id, delivery.attempts, error,
            "a report could not be delivered and waits for a person"
        ),
        Kind::DeliveryFailed => tracing::warn!(
            delivery.id = %delivery.id, delivery.attempts, error,
            "a report could not be delivered yet"
        ),
        _ => tracing::info!(delivery.id = %delivery.id, "a report was delivered"),
    }
}

/// What cannot be made or read will not be better in a minute; what cannot be reached may be.
fn undeliverable(error: Error) -> CourierError {
    let text = error.to_string();
    match error {
        Error::Document(_)
        | Error::Image(_)
        | Error::Blob(BlobError::NotFound | BlobError::Damaged(_) | BlobError::TooLarge { .. })
        | Error::Store(StoreError::Inconsistent { .. }) => CourierError::Refused(text),
        _ => CourierError::Retry(text),
    }
}

async fn view(tx: &mut Tx, delivery: Delivery) -> Result<DeliveryView, Error> {
    let destination = tx.destination(&delivery.destination).await?;
    let case_number = tx.case_number(&delivery.case).await?;
    let destination_name = destination.map(|destination| destination.name).unwrap_or_default();
    Ok(DeliveryView { delivery, destination_name, case_number })
}
