//! `/cases/{id}/annotations` and `/reports/{id}/annotations`: what is drawn on the images.

use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use medrelay_core::access::Action;
use medrelay_core::id::{Phi, ReportId};
use medrelay_core::time::Timestamp;

use super::auth::Who;
use super::cases::case_id;
use super::organizations::named;
use super::page::Body;
use super::{Api, Routes, Rule};
use crate::http::problem::Problem;
use crate::service::reading::Proof;

pub(super) fn routes(routes: Routes) -> Routes {
    routes
        .add(routes!(read_annotations), Rule::May(Action::ClaimCase))
        .add(routes!(save_annotations), Rule::May(Action::ClaimCase))
        .add(routes!(read_report_annotations), Rule::May(Action::ReadReport))
}

/// What is to be kept.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AnnotationsInput {
    /// The caller's claim.
    proof: Proof,
    /// Whatever the viewer draws again from; an object of at most 512 KiB.
    #[schema(value_type = Object)]
    body: serde_json::Value,
}

/// What was kept.
#[derive(Serialize, ToSchema)]
struct SavedOutput {
    /// SHA-256 (hex) of the object as compact JSON: what a signature will cover.
    sha256: String,
    /// When, microseconds since 1970 UTC.
    #[schema(value_type = i64)]
    saved_at: Timestamp,
}

/// Keeps what the caller has drawn under their claim, over what they had drawn before.
#[utoipa::path(
    put, path = "/api/v1/cases/{id}/annotations", tag = "cases",
    request_body = AnnotationsInput, params(("id" = String, Path)),
    responses(
        (status = 200, body = SavedOutput),
        (status = 404, body = Problem),
        (status = 409, body = Problem),
        (status = 422, body = Problem),
    )
)]
async fn save_annotations(
    State(api): State<Api>,
    who: Who,
    Path(id): Path<String>,
    Body(input): Body<AnnotationsInput>,
) -> Result<Json<SavedOutput>, Problem> {
    let (id, proof) = (case_id(&id)?, &input.proof);
    let saved = api.service.save_annotations(&who.caller, &id, proof, &input.body).await?;
    Ok(Json(SavedOutput { sha256: saved.sha256, saved_at: saved.saved_at }))
}

/// What is drawn on the images of a case.
#[derive(Serialize, ToSchema)]
struct AnnotationsOutput {
    /// What was saved; `null` when nothing was.
    #[schema(value_type = Option<Object>)]
    body: Option<serde_json::Value>,
    /// When, microseconds since 1970 UTC.
    #[schema(value_type = Option<i64>)]
    saved_at: Option<Timestamp>,
}

/// What whoever holds the case has drawn, else what was drawn last.
#[utoipa::path(
    get, path = "/api/v1/cases/{id}/annotations", tag = "cases", params(("id" = String, Path)),
    responses((status = 200, body = AnnotationsOutput), (status = 404, body = Problem))
)]
async fn read_annotations(
    State(api): State<Api>,
    who: Who,
    Path(id): Path<String>,
) -> Result<Json<AnnotationsOutput>, Problem> {
    let drawn = api.service.annotations(&who.caller, &case_id(&id)?).await?;
    let saved_at = drawn.as_ref().map(|drawn| drawn.saved_at);
    let body = drawn.map(|drawn| parsed(&drawn.body)).transpose()?;
    Ok(Json(AnnotationsOutput { body, saved_at }))
}

/// What was drawn on the images of a signed version.
#[derive(Serialize, ToSchema)]
struct ReportAnnotationsOutput {
    /// What was drawn.
    #[schema(value_type = Object)]
    body: serde_json::Value,
    /// SHA-256 (hex) of it as compact JSON, as the signature covers it.
    sha256: String,
}

/// What was drawn on the images when a version was signed.
#[utoipa::path(
    get, path = "/api/v1/reports/{id}/annotations", tag = "reports",
    params(("id" = String, Path)),
    responses((status = 200, body = ReportAnnotationsOutput), (status = 404, body = Problem))
)]
async fn read_report_annotations(
    State(api): State<Api>,
    who: Who,
    Path(id): Path<String>,
) -> Result<Json<ReportAnnotationsOutput>, Problem> {
    let id = named(ReportId::parse(&id))?;
    let (body, sha256) = api.service.report_annotations(&who.caller, &id).await?;
    Ok(Json(ReportAnnotationsOutput { body: parsed(&body)?, sha256 }))
}

fn parsed(body: &Phi<String>) -> Result<serde_json::Value, Problem> {
    serde_json::from_str(body.reveal())
        .map_err(|_| Problem::new(500, "INTERNAL", "what was drawn cannot be read any more"))
}
