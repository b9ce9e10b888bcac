//! `/findings`: critical findings, from the reader who raises one to the clinic that reads it back
//! and says what was done.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use medrelay_core::access::Action;
use medrelay_core::finding::{Disposition, FindingCode, READ_BACK_WITHIN, Stage};
use medrelay_core::id::{CaseId, FindingId, OrganizationId, PersonId, Phi};
use medrelay_core::study::display_name;
use medrelay_core::time::Timestamp;

use super::auth::Who;
use super::cases::case_id;
use super::organizations::named;
use super::page::{Body, Page, Params};
use super::{Api, Routes, Rule};
use crate::http::problem::Problem;
use crate::service::PAGE_LIMIT;
use crate::service::findings::FindingView;

pub(super) fn routes(routes: Routes) -> Routes {
    routes
        .add(routes!(raise_finding), Rule::May(Action::RaiseFinding))
        .add(routes!(list_case_findings), Rule::May(Action::ReadFinding))
        .add(routes!(list_findings), Rule::May(Action::ReadFinding))
        .add(routes!(list_finding_codes), Rule::May(Action::ReadFinding))
        .add(routes!(acknowledge_finding), Rule::May(Action::AcknowledgeFinding))
        .add(routes!(settle_finding), Rule::May(Action::AcknowledgeFinding))
        .add(routes!(call_off_finding), Rule::May(Action::RaiseFinding))
}

/// A critical finding.
#[derive(Serialize, ToSchema)]
struct FindingBody {
    /// Its identifier.
    #[schema(value_type = String)]
    id: FindingId,
    /// The case it was found in.
    #[schema(value_type = String)]
    case: CaseId,
    /// The number of the case for people.
    case_number: String,
    /// Patient's name for people to read.
    patient: String,
    /// The clinic that must know.
    #[schema(value_type = String)]
    clinic: OrganizationId,
    /// Its name.
    clinic_name: String,
    /// What was found, such as `AORTIC_DISSECTION`.
    #[schema(value_type = String)]
    code: FindingCode,
    /// In words.
    text: String,
    /// `notifying`, `acknowledged`, `settled` or `false_alarm`.
    stage: &'static str,
    /// Who raised it.
    #[schema(value_type = String)]
    raised_by: PersonId,
    /// Their name.
    raised_by_name: String,
    /// When, microseconds since 1970 UTC.
    #[schema(value_type = i64)]
    raised_at: Timestamp,
    /// When it is to be read back at the latest.
    #[schema(value_type = i64)]
    due_at: Timestamp,
    /// Name of whoever read it back.
    acknowledged_by_name: Option<String>,
    /// When.
    #[schema(value_type = Option<i64>)]
    acknowledged_at: Option<Timestamp>,
    /// In which words.
    read_back: Option<String>,
    /// What was done: `observe`, `treat`, `refer` or `emergency`.
    #[schema(value_type = Option<String>)]
    disposition: Option<Disposition>,
    /// More about what was done, or why it was called off.
    settled_text: Option<String>,
    /// Name of whoever settled it or called it off.
    settled_by_name: Option<String>,
    /// When.
    #[schema(value_type = Option<i64>)]
    settled_at: Option<Timestamp>,
    /// Grows with every change.
    version: i64,
}

impl From<FindingView> for FindingBody {
    fn from(view: FindingView) -> Self {
        let finding = view.finding;
        let read_back = finding.stage.read_back().cloned();
        let (disposition, text, at) = match &finding.stage {
            Stage::Settled { disposition, text, at, .. } => {
                (Some(*disposition), Some(text), Some(*at))
            }
            Stage::FalseAlarm { reason, at, .. } => (None, Some(reason), Some(*at)),
            Stage::Notifying | Stage::Acknowledged { .. } => (None, None, None),
        };
        Self {
            disposition,
            settled_text: text.map(|text| text.reveal().clone()),
            settled_at: at,
            id: finding.id,
            case: finding.case,
            case_number: finding.case_number,
            patient: display_name(finding.patient_name.reveal()),
            clinic: finding.clinic,
            clinic_name: finding.clinic_name,
            code: finding.code,
            text: finding.text.into_revealed(),
            stage: finding.stage.name(),
            raised_by: finding.raised_by,
            raised_by_name: finding.raised_by_name,
            raised_at: finding.raised_at,
            due_at: finding.raised_at + READ_BACK_WITHIN,
            acknowledged_by_name: view.acknowledged_by_name,
            acknowledged_at: read_back.as_ref().map(|it| it.at),
            read_back: read_back.map(|it| it.words.into_revealed()),
            settled_by_name: view.settled_by_name,
            version: finding.version,
        }
    }
}

/// A critical finding that is to be raised.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct FindingInput {
    /// What was found: one of `GET /findings/codes`.
    #[schema(value_type = String)]
    code: FindingCode,
    /// In words, at most 1000 characters; needed for `OTHER`.
    #[serde(default)]
    text: String,
}

/// Raises a critical finding: people of the clinic are told at once, its gateways get a notice.
#[utoipa::path(
    post, path = "/api/v1/cases/{id}/findings", tag = "findings", request_body = FindingInput,
    params(("id" = String, Path, description = "the case")),
    responses(
        (status = 201, body = FindingBody),
        (status = 404, body = Problem),
        (status = 422, body = Problem),
    )
)]
async fn raise_finding(
    State(api): State<Api>,
    who: Who,
    Path(id): Path<String>,
    Body(input): Body<FindingInput>,
) -> Result<(StatusCode, Json<FindingBody>), Problem> {
    let (case, text) = (case_id(&id)?, Phi::new(input.text));
    let raised = api.service.raise_finding(&who.caller, &case, input.code, &text).await?;
    Ok((StatusCode::CREATED, Json(raised.into())))
}

/// The critical findings of a case.
#[derive(Serialize, ToSchema)]
struct FindingsBody {
    /// Oldest first.
    items: Vec<FindingBody>,
}

/// The critical findings of a case.
#[utoipa::path(
    get, path = "/api/v1/cases/{id}/findings", tag = "findings",
    params(("id" = String, Path, description = "the case")),
    responses((status = 200, body = FindingsBody), (status = 404, body = Problem))
)]
async fn list_case_findings(
    State(api): State<Api>,
    who: Who,
    Path(id): Path<String>,
) -> Result<Json<FindingsBody>, Problem> {
    let findings = api.service.findings_of_case(&who.caller, &case_id(&id)?).await?;
    Ok(Json(FindingsBody { items: findings.into_iter().map(FindingBody::from).collect() }))
}

/// Which critical findings.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct FindingQuery {
    /// Only those that stand here: `notifying`, `acknowledged`, `settled` or `false_alarm`.
    stage: Option<String>,
    /// The identifier of the last finding of the previous page.
    #[param(value_type = Option<String>)]
    after: Option<FindingId>,
    /// How many at most, 1 to 200; 50 if absent.
    limit: Option<i64>,
}

/// Critical findings that the caller may see, newest first.
#[utoipa::path(
    get, path = "/api/v1/findings", tag = "findings", params(FindingQuery),
    responses((status = 200, body = Page<FindingBody>))
)]
async fn list_findings(
    State(api): State<Api>,
    who: Who,
    Params(query): Params<FindingQuery>,
) -> Result<Json<Page<FindingBody>>, Problem> {
    let limit = query.limit.unwrap_or(50).clamp(1, PAGE_LIMIT);
    let (stage, after) = (query.stage.as_deref(), query.after.as_ref());
    let findings = api.service.findings(&who.caller, stage, after, limit + 1).await?;
    let findings = findings.into_iter().map(FindingBody::from).collect();
    Ok(Json(Page::of(findings, limit, |finding: &FindingBody| finding.id.to_string())))
}

/// Something that can be found.
#[derive(Serialize, ToSchema)]
struct FindingCodeBody {
    /// Its word, which never changes.
    #[schema(value_type = String)]
    code: FindingCode,
    /// Modalities that it is usually seen in; empty means any.
    modalities: &'static [&'static str],
}

/// The list of critical findings.
#[derive(Serialize, ToSchema)]
struct FindingCodesBody {
    /// In the order of the list.
    items: Vec<FindingCodeBody>,
}

/// What can be raised as a critical finding.
#[utoipa::path(
    get, path = "/api/v1/findings/codes", tag = "findings",
    responses((status = 200, body = FindingCodesBody))
)]
async fn list_finding_codes() -> Json<FindingCodesBody> {
    let body = |code: &FindingCode| FindingCodeBody { code: *code, modalities: code.modalities() };
    Json(FindingCodesBody { items: FindingCode::ALL.iter().map(body).collect() })
}

/// Reads a critical finding back.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ReadBackInput {
    /// The finding in the receiver's own words, with the patient; at least 4 characters.
    read_back: String,
}

/// The clinic reads a critical finding back: now the centre knows that it was understood.
#[utoipa::path(
    post, path = "/api/v1/findings/{id}/acknowledge", tag = "findings",
    request_body = ReadBackInput, params(("id" = String, Path)),
    responses(
        (status = 200, body = FindingBody),
        (status = 404, body = Problem),
        (status = 409, body = Problem),
        (status = 422, body = Problem),
    )
)]
async fn acknowledge_finding(
    State(api): State<Api>,
    who: Who,
    Path(id): Path<String>,
    Body(input): Body<ReadBackInput>,
) -> Result<Json<FindingBody>, Problem> {
    let (id, words) = (named(FindingId::parse(&id))?, Phi::new(input.read_back));
    Ok(Json(api.service.acknowledge_finding(&who.caller, &id, words).await?.into()))
}

/// Says what was done.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SettleInput {
    /// `observe`, `treat`, `refer` or `emergency`.
    #[schema(value_type = String)]
    disposition: Disposition,
    /// More about it, at most 1000 characters.
    #[serde(default)]
    text: String,
}

/// The clinic says what was done about a critical finding.
#[utoipa::path(
    post, path = "/api/v1/findings/{id}/settle", tag = "findings", request_body = SettleInput,
    params(("id" = String, Path)),
    responses(
        (status = 200, body = FindingBody),
        (status = 404, body = Problem),
        (status = 409, body = Problem),
    )
)]
async fn settle_finding(
    State(api): State<Api>,
    who: Who,
    Path(id): Path<String>,
    Body(input): Body<SettleInput>,
) -> Result<Json<FindingBody>, Problem> {
    let (id, text) = (named(FindingId::parse(&id))?, Phi::new(input.text));
    Ok(Json(api.service.settle_finding(&who.caller, &id, input.disposition, text).await?.into()))
}

/// Calls a critical finding off.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct FalseAlarmInput {
    /// Why, at most 1000 characters.
    reason: String,
}

/// The centre calls a critical finding off.
#[utoipa::path(
    post, path = "/api/v1/findings/{id}/false-alarm", tag = "findings",
    request_body = FalseAlarmInput, params(("id" = String, Path)),
    responses(
        (status = 200, body = FindingBody),
        (status = 404, body = Problem),
        (status = 409, body = Problem),
        (status = 422, body = Problem),
    )
)]
async fn call_off_finding(
    State(api): State<Api>,
    who: Who,
    Path(id): Path<String>,
    Body(input): Body<FalseAlarmInput>,
) -> Result<Json<FindingBody>, Problem> {
    let (id, reason) = (named(FindingId::parse(&id))?, Phi::new(input.reason));
    Ok(Json(api.service.call_off_finding(&who.caller, &id, reason).await?.into()))
}
