//! `/inbox` and `/deliveries`: reports on their way out, and those that wait for the clinic.

use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use medrelay_core::access::Action;
use medrelay_core::delivery::Stage;
use medrelay_core::id::{CaseId, DeliveryId};
use medrelay_core::study::display_name;
use medrelay_core::time::Timestamp;

use super::auth::Who;
use super::page::{Page, Paging, Params};
use super::{Api, Routes, Rule};
use crate::http::problem::Problem;
use crate::service::Error;
use crate::service::delivering::{DeliveryFilter, DeliveryView, InboxCursor, InboxEntry};

pub(super) fn routes(routes: Routes) -> Routes {
    routes
        .add(routes!(list_inbox), Rule::May(Action::AcknowledgeReport))
        .add(routes!(acknowledge_delivery), Rule::May(Action::AcknowledgeReport))
        .add(routes!(list_deliveries), Rule::May(Action::ReadDelivery))
        .add(routes!(retry_delivery), Rule::May(Action::RetryDelivery))
}

/// A report in the inbox.
#[derive(Serialize, ToSchema)]
struct InboxItem {
    /// The delivery: what is acknowledged.
    id: String,
    /// The clinic whose inbox it is.
    clinic: String,
    /// Whether somebody has acknowledged it.
    acknowledged: bool,
    /// Who acknowledged it.
    acknowledged_by: Option<String>,
    /// When, microseconds since 1970 UTC.
    #[schema(value_type = Option<i64>)]
    acknowledged_at: Option<Timestamp>,
    /// Since when it is there, microseconds since 1970 UTC.
    #[schema(value_type = i64)]
    since: Timestamp,
    /// The report version.
    report: String,
    /// Its number for people.
    report_number: String,
    /// `final` or `addendum`.
    kind: &'static str,
    /// The case.
    case: String,
    /// `stat`, `urgent` or `routine`.
    priority: &'static str,
    /// Modality of the study.
    modality: String,
    /// Name of the patient as people read it.
    patient_name: String,
    /// Patient ID.
    patient_id: String,
    /// Study Date, `YYYYMMDD`.
    study_date: Option<String>,
}

impl From<InboxEntry> for InboxItem {
    fn from(entry: InboxEntry) -> Self {
        let (by, at) = entry.acknowledged.unzip();
        Self {
            id: entry.delivery.to_string(),
            clinic: entry.clinic.to_string(),
            acknowledged: by.is_some(),
            acknowledged_by: by.map(|person| person.to_string()),
            acknowledged_at: at,
            since: entry.since,
            report: entry.report.to_string(),
            report_number: format!("{}-{}", entry.case_number, entry.report_number),
            kind: entry.kind.as_str(),
            case: entry.case.to_string(),
            priority: entry.priority.as_str(),
            modality: entry.modality,
            patient_name: display_name(entry.patient_name.reveal()),
            patient_id: entry.patient_id.into_revealed(),
            study_date: entry.study_date,
        }
    }
}

/// One report version on its way to one destination.
#[derive(Serialize, ToSchema)]
struct ShownDelivery {
    /// Its identifier.
    id: String,
    /// The report version.
    report: String,
    /// The case.
    case: String,
    /// The number of the case for people.
    case_number: String,
    /// The clinic that gets it.
    clinic: String,
    /// The centre that signed it.
    centre: String,
    /// Where it goes.
    destination: String,
    /// What people call that place.
    destination_name: String,
    /// `inbox` or `dicom`.
    route: &'static str,
    /// `due`, `sending`, `sent`, `in_inbox`, `acknowledged`, `parked` or `superseded`.
    stage: &'static str,
    /// When it is tried next, microseconds since 1970 UTC.
    #[schema(value_type = Option<i64>)]
    next_at: Option<Timestamp>,
    /// Attempts made in all.
    attempts: i64,
    /// Why the last attempt failed.
    last_error: Option<String>,
    /// When the report was signed, microseconds since 1970 UTC.
    #[schema(value_type = i64)]
    created_at: Timestamp,
    /// When it changed last, microseconds since 1970 UTC.
    #[schema(value_type = i64)]
    updated_at: Timestamp,
}

impl From<DeliveryView> for ShownDelivery {
    fn from(view: DeliveryView) -> Self {
        let delivery = view.delivery;
        let next_at = match &delivery.stage {
            Stage::Due { at, .. } => Some(*at),
            Stage::Sending { .. }
            | Stage::Sent { .. }
            | Stage::InInbox { .. }
            | Stage::Acknowledged { .. }
            | Stage::Parked { .. }
            | Stage::Superseded => None,
        };
        Self {
            id: delivery.id.to_string(),
            report: delivery.report.to_string(),
            case: delivery.case.to_string(),
            case_number: view.case_number,
            clinic: delivery.clinic.to_string(),
            centre: delivery.centre.to_string(),
            destination: delivery.destination.to_string(),
            destination_name: view.destination_name,
            route: delivery.route.as_str(),
            stage: delivery.stage.name(),
            next_at,
            attempts: delivery.attempts,
            last_error: delivery.last_error,
            created_at: delivery.created_at,
            updated_at: delivery.updated_at,
        }
    }
}

/// Which deliveries.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Which {
    /// Only those of this case.
    case: Option<String>,
    /// Only those that stand here.
    stage: Option<String>,
    /// The identifier of the last item of the previous page.
    after: Option<String>,
    /// How many items at most, 1 to 200; 50 if absent.
    limit: Option<i64>,
}

/// Reports that came back: those that wait for somebody first, each part newest first.
#[utoipa::path(get, path = "/api/v1/inbox", tag = "deliveries", params(Paging),
    responses((status = 200, body = Page<InboxItem>)))]
async fn list_inbox(
    State(api): State<Api>,
    who: Who,
    Params(paging): Params<Paging>,
) -> Result<Json<Page<InboxItem>>, Problem> {
    let after = paging.after.as_deref().map(cursor).transpose()?;
    let limit = paging.limit();
    let entries = api.service.inbox(&who.caller, after.as_ref(), limit + 1).await?;
    let items = entries.into_iter().map(InboxItem::from).collect();
    Ok(Json(Page::of(items, limit, place)))
}

/// Says that the clinic has the report; the case is closed when every machine has it too.
#[utoipa::path(post, path = "/api/v1/deliveries/{id}/acknowledge", tag = "deliveries",
    params(("id" = String, Path)), responses((status = 200, body = ShownDelivery)))]
async fn acknowledge_delivery(
    State(api): State<Api>,
    who: Who,
    Path(id): Path<String>,
) -> Result<Json<ShownDelivery>, Problem> {
    Ok(Json(api.service.acknowledge(&who.caller, &delivery_id(&id)?).await?.into()))
}

/// Deliveries, newest first; `stage=parked` shows those that wait for a person.
#[utoipa::path(get, path = "/api/v1/deliveries", tag = "deliveries", params(Which),
    responses((status = 200, body = Page<ShownDelivery>)))]
async fn list_deliveries(
    State(api): State<Api>,
    who: Who,
    Params(which): Params<Which>,
) -> Result<Json<Page<ShownDelivery>>, Problem> {
    let paging = Paging { after: which.after, limit: which.limit };
    let case = which.case.map(|id| CaseId::parse(&id)).transpose();
    let after = paging.after.as_deref().map(DeliveryId::parse).transpose();
    let filter = DeliveryFilter {
        case: case.map_err(|_| Error::invalid("case", "not an identifier"))?,
        stage: which.stage,
    };
    let after = after.map_err(|_| Error::invalid("after", "not an identifier"))?;
    let (caller, limit) = (&who.caller, paging.limit());
    let found = api.service.deliveries(caller, &filter, after.as_ref(), limit + 1).await?;
    let items: Vec<ShownDelivery> = found.into_iter().map(Into::into).collect();
    Ok(Json(Page::of(items, limit, |item| item.id.clone())))
}

/// Starts a parked delivery again.
#[utoipa::path(post, path = "/api/v1/deliveries/{id}/retry", tag = "deliveries",
    params(("id" = String, Path)), responses((status = 200, body = ShownDelivery)))]
async fn retry_delivery(
    State(api): State<Api>,
    who: Who,
    Path(id): Path<String>,
) -> Result<Json<ShownDelivery>, Problem> {
    Ok(Json(api.service.retry(&who.caller, &delivery_id(&id)?).await?.into()))
}

/// A place in the inbox says on which side of it an entry was: the entry may have changed sides
/// before the next page is asked for, and no report may be skipped for that.
fn place(item: &InboxItem) -> String {
    format!("{}-{}", if item.acknowledged { ACKNOWLEDGED } else { WAITING }, item.id)
}

fn cursor(text: &str) -> Result<InboxCursor, Error> {
    let parsed = text.split_once('-').and_then(|(side, id)| {
        let acknowledged = [WAITING, ACKNOWLEDGED].iter().position(|known| *known == side)? == 1;
        Some(InboxCursor { acknowledged, after: DeliveryId::parse(id).ok()? })
    });
    parsed.ok_or_else(|| Error::invalid("after", "not what the previous page gave"))
}

const WAITING: &str = "waiting";
const ACKNOWLEDGED: &str = "acknowledged";

fn delivery_id(text: &str) -> Result<DeliveryId, Error> {
    DeliveryId::parse(text).map_err(|_| Error::hidden())
}
