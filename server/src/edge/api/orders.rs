//! `/orders`: what a clinic asks and why.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use medrelay_core::access::Action;
use medrelay_core::id::{OrderId, OrganizationId, Phi};
use medrelay_core::people::Priority;
use medrelay_core::time::Timestamp;

use super::auth::Who;
use super::page::{Body, Page, Params};
use super::{Api, Routes, Rule};
use crate::http::problem::{Problem, not_found};
use crate::service::Error;
use crate::service::ordering::{NewOrder, OrderChange, study_uid};
use crate::service::{Order, OrderFilter, PAGE_LIMIT};

pub(super) fn routes(routes: Routes) -> Routes {
    routes
        .add(routes!(create_order), Rule::May(Action::WriteOrder))
        .add(routes!(list_orders), Rule::May(Action::ReadOrder))
        .add(routes!(read_order), Rule::May(Action::ReadOrder))
        .add(routes!(change_order), Rule::May(Action::WriteOrder))
}

/// An order as a clinic writes it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct OrderInput {
    /// The clinic that asks.
    #[schema(value_type = String)]
    clinic: OrganizationId,
    /// Patient ID as the clinic's devices send it.
    patient_id: String,
    /// Patient's name.
    patient_name: String,
    /// Birth date, `YYYYMMDD`.
    patient_birth_date: Option<String>,
    /// `M`, `F` or `O`.
    patient_sex: Option<String>,
    /// What kind of image is asked for: a DICOM code such as `CT`.
    modality: String,
    /// Of which part of the body: a DICOM code such as `CHEST`.
    body_part: Option<String>,
    /// Accession number; a study that carries it is matched by it.
    accession: Option<String>,
    /// Study Instance UID, where it is known beforehand.
    study_uid: Option<String>,
    /// `stat`, `urgent` or `routine`; routine if absent.
    #[schema(value_type = Option<String>)]
    priority: Option<Priority>,
    /// History and findings so far.
    #[serde(default)]
    history: String,
    /// What the clinic wants to know.
    #[serde(default)]
    question: String,
}

/// What changes on an order: absent fields stay, an empty text clears an optional one.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct OrderPatch {
    /// The version that the change was made from; refused if the order has moved on.
    version: Option<i64>,
    /// Patient ID.
    patient_id: Option<String>,
    /// Patient's name.
    patient_name: Option<String>,
    /// Birth date, `YYYYMMDD`.
    patient_birth_date: Option<String>,
    /// `M`, `F` or `O`.
    patient_sex: Option<String>,
    /// Modality.
    modality: Option<String>,
    /// Part of the body.
    body_part: Option<String>,
    /// Accession number.
    accession: Option<String>,
    /// Study Instance UID.
    study_uid: Option<String>,
    /// `stat`, `urgent` or `routine`.
    #[schema(value_type = Option<String>)]
    priority: Option<Priority>,
    /// History.
    history: Option<String>,
    /// Question.
    question: Option<String>,
}

/// An order.
#[derive(Serialize, ToSchema)]
pub(super) struct OrderOutput {
    /// Its identifier.
    #[schema(value_type = String)]
    id: OrderId,
    /// Its number for people.
    number: String,
    /// The clinic that asks.
    clinic: String,
    /// Patient ID.
    patient_id: String,
    /// Patient's name.
    patient_name: String,
    /// Birth date, `YYYYMMDD`.
    patient_birth_date: Option<String>,
    /// `M`, `F` or `O`.
    patient_sex: Option<String>,
    /// Modality.
    modality: String,
    /// Part of the body.
    body_part: Option<String>,
    /// Accession number.
    accession: Option<String>,
    /// Study Instance UID.
    study_uid: Option<String>,
    /// `stat`, `urgent` or `routine`.
    priority: &'static str,
    /// History.
    history: String,
    /// Question.
    question: String,
    /// Who wrote it.
    ordered_by: String,
    /// The study that was matched with it.
    study: Option<String>,
    /// When it was written, microseconds since 1970 UTC.
    #[schema(value_type = i64)]
    created_at: Timestamp,
    /// Grows with every change.
    version: i64,
}

impl From<Order> for OrderOutput {
    fn from(order: Order) -> Self {
        Self {
            id: order.id,
            number: order.number,
            clinic: order.clinic.into(),
            patient_id: order.patient_id.into_revealed(),
            patient_name: order.patient_name.into_revealed(),
            patient_birth_date: order.patient_birth_date.into_revealed(),
            patient_sex: order.patient_sex,
            modality: order.modality,
            body_part: order.body_part,
            accession: order.accession,
            study_uid: order.study_uid.map(String::from),
            priority: order.priority.as_str(),
            history: order.history.into_revealed(),
            question: order.question.into_revealed(),
            ordered_by: order.ordered_by.into(),
            study: order.study.map(String::from),
            created_at: order.created_at,
            version: order.version,
        }
    }
}

/// Writes an order; a study that is here already is matched with it at once.
#[utoipa::path(
    post, path = "/api/v1/orders", tag = "orders", request_body = OrderInput,
    responses((status = 201, body = OrderOutput), (status = 422, body = Problem))
)]
async fn create_order(
    State(api): State<Api>,
    who: Who,
    Body(input): Body<OrderInput>,
) -> Result<(StatusCode, Json<OrderOutput>), Problem> {
    let uid = input.study_uid.as_deref().filter(|uid| !uid.trim().is_empty());
    let new = NewOrder {
        clinic: input.clinic,
        patient_id: Phi::new(input.patient_id),
        patient_name: Phi::new(input.patient_name),
        patient_birth_date: Phi::new(input.patient_birth_date),
        patient_sex: input.patient_sex,
        modality: input.modality,
        body_part: input.body_part,
        accession: input.accession,
        study_uid: uid.map(study_uid).transpose()?,
        priority: input.priority.unwrap_or(Priority::Routine),
        history: Phi::new(input.history),
        question: Phi::new(input.question),
    };
    let order = api.service.create_order(&who.caller, new).await?;
    Ok((StatusCode::CREATED, Json(order.into())))
}

/// Which orders.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct OrderQuery {
    /// Only those of this clinic.
    #[param(value_type = Option<String>)]
    clinic: Option<OrganizationId>,
    /// Only those that have their study (`true`) or still wait for it (`false`).
    matched: Option<bool>,
    /// Only those with this accession number.
    accession: Option<String>,
    /// The identifier of the last order of the previous page.
    #[param(value_type = Option<String>)]
    after: Option<OrderId>,
    /// How many at most, 1 to 200; 50 if absent.
    limit: Option<i64>,
}

/// Orders that the caller may see, newest first.
#[utoipa::path(
    get, path = "/api/v1/orders", tag = "orders", params(OrderQuery),
    responses((status = 200, body = Page<OrderOutput>))
)]
async fn list_orders(
    State(api): State<Api>,
    who: Who,
    Params(query): Params<OrderQuery>,
) -> Result<Json<Page<OrderOutput>>, Problem> {
    let limit = query.limit.unwrap_or(50).clamp(1, PAGE_LIMIT);
    let filter =
        OrderFilter { clinic: query.clinic, matched: query.matched, accession: query.accession };
    let orders = api.service.orders(&who.caller, &filter, query.after.as_ref(), limit + 1).await?;
    let orders = orders.into_iter().map(OrderOutput::from).collect();
    Ok(Json(Page::of(orders, limit, |order: &OrderOutput| order.id.to_string())))
}

/// One order.
#[utoipa::path(
    get, path = "/api/v1/orders/{id}", tag = "orders", params(("id" = String, Path)),
    responses((status = 200, body = OrderOutput), (status = 404, body = Problem))
)]
async fn read_order(
    State(api): State<Api>,
    who: Who,
    Path(id): Path<String>,
) -> Result<Json<OrderOutput>, Problem> {
    let id = OrderId::parse(&id).map_err(|_| not_found())?;
    Ok(Json(api.service.order(&who.caller, &id).await?.into()))
}

/// Changes an order that has no study yet.
#[utoipa::path(
    patch, path = "/api/v1/orders/{id}", tag = "orders", params(("id" = String, Path)),
    request_body = OrderPatch,
    responses((status = 200, body = OrderOutput), (status = 409, body = Problem))
)]
async fn change_order(
    State(api): State<Api>,
    who: Who,
    Path(id): Path<String>,
    Body(patch): Body<OrderPatch>,
) -> Result<Json<OrderOutput>, Problem> {
    let id = OrderId::parse(&id).map_err(|_| not_found())?;
    let change = OrderChange {
        version: patch.version,
        patient_id: patch.patient_id.map(Phi::new),
        patient_name: patch.patient_name.map(Phi::new),
        patient_birth_date: patch.patient_birth_date.map(Phi::new),
        patient_sex: patch.patient_sex,
        modality: patch.modality,
        body_part: patch.body_part,
        accession: patch.accession,
        study_uid: patch.study_uid,
        priority: patch.priority,
        history: patch.history.map(Phi::new),
        question: patch.question.map(Phi::new),
    };
    let order = api.service.update_order(&who.caller, &id, change).await?;
    Ok(Json(order.into()))
}

/// An identifier in a body that must be an order's; a malformed one is one that does not exist.
pub(super) fn order_id(text: &str) -> Result<OrderId, Problem> {
    OrderId::parse(text).map_err(|_| Error::hidden().into())
}
