//! `/quarantine`: what was put aside at the door, and what a person decides about it.

use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use medrelay_core::access::Action;
use medrelay_core::id::{InstanceId, Phi};
use medrelay_core::study::QuarantineReason;
use medrelay_core::time::Timestamp;

use super::organizations::{after, named};
use super::page::{Body, Page, Paging, Params};
use crate::http::access::{Api, Routes, Rule, Who};
use crate::http::problem::Problem;
use crate::service::Quarantined;

/// An object that was put aside at the door.
#[derive(Serialize, ToSchema)]
struct QuarantineOutput {
    /// Its identifier.
    id: String,
    /// The clinic that sent it.
    clinic: String,
    /// SOP Instance UID.
    sop_instance: String,
    /// SOP Class UID.
    sop_class: String,
    /// Study Instance UID.
    study_uid: String,
    /// `other_content`, `other_owner` or `other_patient`.
    #[schema(value_type = String)]
    reason: QuarantineReason,
    /// SHA-256 (hex) of the data set.
    sha256: String,
    /// Length of the data set in bytes.
    bytes: i64,
    /// When it came, microseconds since 1970 UTC.
    #[schema(value_type = i64)]
    received_at: Timestamp,
    /// When a person decided about it.
    #[schema(value_type = Option<i64>)]
    settled_at: Option<Timestamp>,
    /// Who.
    settled_by_name: Option<String>,
    /// Why, and what became of it.
    settled_reason: Option<String>,
}

impl From<Quarantined> for QuarantineOutput {
    fn from(object: Quarantined) -> Self {
        let (settled_at, settled_by_name, settled_reason) = match object.settled {
            Some(it) => (Some(it.at), Some(it.by_name), Some(it.reason.into_revealed())),
            None => (None, None, None),
        };
        Self {
            id: object.id.into(),
            clinic: object.clinic.into(),
            sop_instance: object.sop_instance.into(),
            sop_class: object.sop_class.into(),
            study_uid: object.study_uid.into(),
            reason: object.reason,
            sha256: object.sha256,
            bytes: object.bytes,
            received_at: object.received_at,
            settled_at,
            settled_by_name,
            settled_reason,
        }
    }
}

/// Which objects.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct QuarantineQuery {
    /// Only those that a person has decided about, or only those that wait for one.
    settled: Option<bool>,
    /// The identifier of the last object of the previous page.
    after: Option<String>,
    /// How many at most, 1 to 200; 50 if absent.
    limit: Option<i64>,
}

/// What a person decides.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SettleInput {
    /// Why, and what became of it: 1 to 500 characters.
    reason: String,
}

/// The routes of this file.
pub fn routes(routes: Routes) -> Routes {
    routes
        .add(routes!(list_quarantine), Rule::May(Action::ReadQuarantine))
        .add(routes!(settle_quarantine), Rule::May(Action::SettleQuarantine))
}

/// What was put aside at the door, newest first.
#[utoipa::path(
    get, path = "/api/v1/quarantine", tag = "studies", params(QuarantineQuery),
    operation_id = "list_quarantine",
    responses((status = 200, body = Page<QuarantineOutput>))
)]
async fn list_quarantine(
    State(api): State<Api>,
    who: Who,
    Params(query): Params<QuarantineQuery>,
) -> Result<Json<Page<QuarantineOutput>>, Problem> {
    let limit = Paging { after: None, limit: query.limit }.limit();
    let from = after(query.after.as_deref(), InstanceId::parse)?;
    let found =
        api.service.quarantine(&who.caller, query.settled, from.as_ref(), limit + 1).await?;
    let items = found.into_iter().map(QuarantineOutput::from).collect();
    Ok(Json(Page::of(items, limit, |object: &QuarantineOutput| object.id.clone())))
}

/// Says what was decided about an object; its bytes stay.
#[utoipa::path(
    post, path = "/api/v1/quarantine/{id}/settle", tag = "studies",
    operation_id = "settle_quarantine", request_body = SettleInput,
    params(("id" = String, Path, description = "the object")),
    responses(
        (status = 200, body = QuarantineOutput),
        (status = 404, body = Problem),
        (status = 409, body = Problem),
        (status = 422, body = Problem),
    )
)]
async fn settle_quarantine(
    State(api): State<Api>,
    who: Who,
    Path(id): Path<String>,
    Body(input): Body<SettleInput>,
) -> Result<Json<QuarantineOutput>, Problem> {
    let id = named(InstanceId::parse(&id))?;
    let reason = Phi::new(input.reason);
    Ok(Json(api.service.settle_quarantine(&who.caller, &id, &reason).await?.into()))
}
