//! `/queue` and `/cases`: what waits for a reader, and the hold on it.

use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use medrelay_core::access::Action;
use medrelay_core::case::Case;
use medrelay_core::id::{CaseId, OrganizationId, PersonId};
use medrelay_core::people::Priority;
use medrelay_core::study::display_name;
use medrelay_core::time::Timestamp;

use super::auth::Who;
use super::orders::OrderOutput;
use super::page::{Body, Page, Params};
use super::studies::StudyOutput;
use super::{Api, Routes, Rule};
use crate::http::problem::{Problem, not_found};
use crate::service::reading::{CaseView, Claimed, Proof, QueueEntry};
use crate::service::{CaseFilter, PAGE_LIMIT};

pub(super) fn routes(routes: Routes) -> Routes {
    routes
        .add(routes!(list_queue), Rule::May(Action::ListQueue))
        .add(routes!(next_case), Rule::May(Action::ClaimCase))
        .add(routes!(list_cases), Rule::May(Action::ReadCase))
        .add(routes!(read_case), Rule::May(Action::ReadCase))
        .add(routes!(claim_case), Rule::May(Action::ClaimCase))
        .add(routes!(keep_claim), Rule::May(Action::ClaimCase))
        .add(routes!(release_case), Rule::May(Action::ReadCase))
        .add(routes!(take_over_case), Rule::May(Action::ReadCase))
}

/// A reader's hold, without its secret.
#[derive(Serialize, ToSchema)]
struct HoldOutput {
    /// Who has the case.
    holder: String,
    /// Since when, microseconds since 1970 UTC.
    #[schema(value_type = i64)]
    acquired: Timestamp,
    /// Until when, unless it is renewed.
    #[schema(value_type = i64)]
    expires: Timestamp,
}

/// A case.
#[derive(Serialize, ToSchema)]
struct CaseOutput {
    /// Its identifier.
    #[schema(value_type = String)]
    id: CaseId,
    /// Who asks.
    clinic: String,
    /// Who reads.
    centre: String,
    /// The agreement it was opened under.
    agreement: String,
    /// Its study.
    study: String,
    /// Its order, once known.
    order: Option<String>,
    /// Modality.
    modality: String,
    /// `stat`, `urgent` or `routine`.
    #[schema(value_type = String)]
    priority: Priority,
    /// `single_senior` or `double`.
    policy: &'static str,
    /// `submitted`, `ready`, `in_progress`, `preliminary`, `verifying`, `final`, `delivered` or
    /// `closed`.
    stage: &'static str,
    /// Who signed the preliminary report that waits or is being verified.
    preliminary_by: Option<String>,
    /// Who has it.
    hold: Option<HoldOutput>,
    /// When it was opened, microseconds since 1970 UTC.
    #[schema(value_type = i64)]
    opened_at: Timestamp,
    /// When the report is due.
    #[schema(value_type = i64)]
    deadline: Timestamp,
    /// Images came after it was opened, and nobody has dealt with them yet.
    late_images: bool,
    /// Grows with every change.
    version: i64,
}

impl From<Case> for CaseOutput {
    fn from(case: Case) -> Self {
        let hold = case.stage.claim().map(|claim| HoldOutput {
            holder: claim.holder.to_string(),
            acquired: claim.acquired,
            expires: claim.expires,
        });
        Self {
            stage: case.stage.name(),
            preliminary_by: case.stage.preliminary_by().map(ToString::to_string),
            hold,
            id: case.id,
            clinic: case.clinic.into(),
            centre: case.centre.into(),
            agreement: case.agreement.into(),
            study: case.study.into(),
            order: case.order.map(String::from),
            modality: case.modality,
            priority: case.priority,
            policy: case.policy.as_str(),
            opened_at: case.opened_at,
            deadline: case.deadline,
            late_images: case.late_images,
            version: case.version,
        }
    }
}

/// A case in a list, with what people want to see beside it.
#[derive(Serialize, ToSchema)]
struct CaseLine {
    /// The case.
    case: CaseOutput,
    /// Its number for people.
    number: String,
    /// Name of the clinic.
    clinic_name: String,
    /// Name of the centre.
    centre_name: String,
    /// Name of whoever has it.
    holder_name: Option<String>,
    /// Patient's name for people to read.
    patient: String,
    /// Description of the study.
    description: Option<String>,
    /// Part of the body.
    body_part: Option<String>,
    /// Instances here so far.
    instances: i64,
    /// What the clinic wants to know.
    question: Option<String>,
}

impl From<CaseView> for CaseLine {
    fn from(view: CaseView) -> Self {
        Self {
            patient: display_name(view.study.patient_name.reveal()),
            description: view.study.description,
            body_part: view.study.body_part,
            instances: view.study.instances,
            question: view.order.map(|order| order.question.into_revealed()),
            case: view.case.into(),
            number: view.number,
            clinic_name: view.clinic_name,
            centre_name: view.centre_name,
            holder_name: view.holder_name,
        }
    }
}

/// A case with its study and its order.
#[derive(Serialize, ToSchema)]
struct CaseDetail {
    /// The case.
    case: CaseOutput,
    /// Its number for people.
    number: String,
    /// Name of the clinic.
    clinic_name: String,
    /// Name of the centre.
    centre_name: String,
    /// Name of whoever has it.
    holder_name: Option<String>,
    /// The study.
    study: StudyOutput,
    /// The order, once known.
    order: Option<OrderOutput>,
}

impl From<CaseView> for CaseDetail {
    fn from(view: CaseView) -> Self {
        Self {
            case: view.case.into(),
            number: view.number,
            clinic_name: view.clinic_name,
            centre_name: view.centre_name,
            holder_name: view.holder_name,
            study: view.study.into(),
            order: view.order.map(OrderOutput::from),
        }
    }
}

/// A waiting case and its place.
#[derive(Serialize, ToSchema)]
struct QueueLine {
    /// Its place at its centre, from 1.
    rank: usize,
    /// What waits.
    #[serde(flatten)]
    line: CaseLine,
}

impl From<QueueEntry> for QueueLine {
    fn from(entry: QueueEntry) -> Self {
        Self { rank: entry.rank, line: entry.view.into() }
    }
}

/// The cases that wait, in the order in which they should be read.
#[derive(Serialize, ToSchema)]
struct QueueOutput {
    /// First comes first.
    items: Vec<QueueLine>,
}

/// Which queue.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct QueueQuery {
    /// Only that of this centre.
    #[param(value_type = Option<String>)]
    centre: Option<OrganizationId>,
}

/// The queue of the caller's centres, at most 200 cases of each.
#[utoipa::path(
    get, path = "/api/v1/queue", tag = "cases", params(QueueQuery),
    responses((status = 200, body = QueueOutput))
)]
async fn list_queue(
    State(api): State<Api>,
    who: Who,
    Params(query): Params<QueueQuery>,
) -> Result<Json<QueueOutput>, Problem> {
    let entries = api.service.queue(&who.caller, query.centre.as_ref()).await?;
    Ok(Json(QueueOutput { items: entries.into_iter().map(QueueLine::from).collect() }))
}

/// A claim with its secret: shown this once.
#[derive(Serialize, ToSchema)]
struct ClaimOutput {
    /// The case.
    case: CaseOutput,
    /// The secret token that every write under the claim shows.
    token: String,
    /// The number that every write under the claim shows beside it.
    fence: i64,
}

impl From<Claimed> for ClaimOutput {
    fn from(claimed: Claimed) -> Self {
        Self { fence: claimed.case.fence, token: claimed.token, case: claimed.case.into() }
    }
}

/// Claims the first case in the queue that the caller may read.
#[utoipa::path(
    post, path = "/api/v1/queue/next", tag = "cases",
    responses((status = 200, body = ClaimOutput), (status = 404, body = Problem))
)]
async fn next_case(State(api): State<Api>, who: Who) -> Result<Json<ClaimOutput>, Problem> {
    Ok(Json(api.service.next_case(&who.caller).await?.into()))
}

/// Which cases.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct CaseQuery {
    /// Only those that stand here, such as `ready` or `final`.
    stage: Option<String>,
    /// Only those of this clinic.
    #[param(value_type = Option<String>)]
    clinic: Option<OrganizationId>,
    /// Only those that this person has.
    #[param(value_type = Option<String>)]
    holder: Option<PersonId>,
    /// The identifier of the last case of the previous page.
    #[param(value_type = Option<String>)]
    after: Option<CaseId>,
    /// How many at most, 1 to 200; 50 if absent.
    limit: Option<i64>,
}

/// Cases that the caller may see, newest first.
#[utoipa::path(
    get, path = "/api/v1/cases", tag = "cases", params(CaseQuery),
    responses((status = 200, body = Page<CaseLine>))
)]
async fn list_cases(
    State(api): State<Api>,
    who: Who,
    Params(query): Params<CaseQuery>,
) -> Result<Json<Page<CaseLine>>, Problem> {
    let limit = query.limit.unwrap_or(50).clamp(1, PAGE_LIMIT);
    let filter = CaseFilter { stage: query.stage, clinic: query.clinic, holder: query.holder };
    let cases = api.service.cases(&who.caller, &filter, query.after.as_ref(), limit + 1).await?;
    let cases = cases.into_iter().map(CaseLine::from).collect();
    Ok(Json(Page::of(cases, limit, |line: &CaseLine| line.case.id.to_string())))
}

/// One case with its study and its order.
#[utoipa::path(
    get, path = "/api/v1/cases/{id}", tag = "cases", params(("id" = String, Path)),
    responses((status = 200, body = CaseDetail), (status = 404, body = Problem))
)]
async fn read_case(
    State(api): State<Api>,
    who: Who,
    Path(id): Path<String>,
) -> Result<Json<CaseDetail>, Problem> {
    Ok(Json(api.service.case(&who.caller, &case_id(&id)?).await?.into()))
}

/// Claims a case.
#[utoipa::path(
    post, path = "/api/v1/cases/{id}/claim", tag = "cases", params(("id" = String, Path)),
    responses((status = 200, body = ClaimOutput), (status = 409, body = Problem))
)]
async fn claim_case(
    State(api): State<Api>,
    who: Who,
    Path(id): Path<String>,
) -> Result<Json<ClaimOutput>, Problem> {
    Ok(Json(api.service.claim(&who.caller, &case_id(&id)?).await?.into()))
}

/// Keeps a claim a while longer.
#[utoipa::path(
    post, path = "/api/v1/cases/{id}/heartbeat", tag = "cases", params(("id" = String, Path)),
    request_body = Proof,
    responses((status = 200, body = CaseOutput), (status = 409, body = Problem))
)]
async fn keep_claim(
    State(api): State<Api>,
    who: Who,
    Path(id): Path<String>,
    Body(proof): Body<Proof>,
) -> Result<Json<CaseOutput>, Problem> {
    Ok(Json(api.service.heartbeat(&who.caller, &case_id(&id)?, &proof).await?.into()))
}

/// Gives a case back.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ReleaseInput {
    /// The secret token of the claim.
    token: String,
    /// The number of the claim.
    fence: i64,
    /// Why, for the next reader; no patient data.
    #[serde(default)]
    reason: String,
}

/// Gives a case back to the queue.
#[utoipa::path(
    post, path = "/api/v1/cases/{id}/release", tag = "cases", params(("id" = String, Path)),
    request_body = ReleaseInput,
    responses((status = 200, body = CaseOutput), (status = 409, body = Problem))
)]
async fn release_case(
    State(api): State<Api>,
    who: Who,
    Path(id): Path<String>,
    Body(input): Body<ReleaseInput>,
) -> Result<Json<CaseOutput>, Problem> {
    let proof = Proof { token: input.token, fence: input.fence };
    let id = case_id(&id)?;
    Ok(Json(api.service.release(&who.caller, &id, &proof, &input.reason).await?.into()))
}

/// Takes a case from its holder.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TakeOverInput {
    /// Why; no patient data.
    reason: String,
}

/// Takes a case from whoever holds it; their text is kept as a draft of theirs.
#[utoipa::path(
    post, path = "/api/v1/cases/{id}/take-over", tag = "cases", params(("id" = String, Path)),
    request_body = TakeOverInput,
    responses((status = 200, body = ClaimOutput), (status = 409, body = Problem))
)]
async fn take_over_case(
    State(api): State<Api>,
    who: Who,
    Path(id): Path<String>,
    Body(input): Body<TakeOverInput>,
) -> Result<Json<ClaimOutput>, Problem> {
    let id = case_id(&id)?;
    Ok(Json(api.service.take_over(&who.caller, &id, &input.reason).await?.into()))
}

fn case_id(text: &str) -> Result<CaseId, Problem> {
    CaseId::parse(text).map_err(|_| not_found())
}
