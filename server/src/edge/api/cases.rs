//! `/cases`: what is read, and the hold on it.

use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use medrelay_core::access::Action;
use medrelay_core::case::Case;
use medrelay_core::id::{CaseId, OrganizationId, PersonId};
use medrelay_core::message::ReturnCode;
use medrelay_core::people::Priority;
use medrelay_core::study::{Stage, display_name};
use medrelay_core::time::Timestamp;

use super::auth::Who;
use super::orders::OrderOutput;
use super::page::{Body, Page, Params};
use super::studies::StudyOutput;
use super::{Api, Routes, Rule};
use crate::http::problem::{Problem, not_found};
use crate::service::casebook::{CaseView, Critical, Forecast, Returned};
use crate::service::reading::{Claimed, Proof};
use crate::service::{CaseFilter, PAGE_LIMIT};

pub(super) fn routes(routes: Routes) -> Routes {
    routes
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
pub(super) struct CaseOutput {
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
    /// `submitted`, `ready`, `in_progress`, `preliminary`, `verifying`, `returned`, `final`,
    /// `delivered` or `closed`.
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
    /// Who is to take it, if a coordinator has said so.
    assigned: Option<String>,
    /// How often it was returned to the clinic.
    returns: i64,
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
            assigned: case.assigned.map(String::from),
            returns: case.returns,
            version: case.version,
        }
    }
}

/// Why a case is with its clinic.
#[derive(Serialize, ToSchema)]
struct ReturnOutput {
    /// What is the matter, such as `POSITIONING`.
    #[schema(value_type = String)]
    code: ReturnCode,
    /// In words.
    text: String,
    /// Who returned it.
    #[schema(value_type = String)]
    by: PersonId,
    /// Their name.
    by_name: String,
    /// When, microseconds since 1970 UTC.
    #[schema(value_type = i64)]
    at: Timestamp,
    /// How often it was returned by now.
    times: i64,
}

impl From<Returned> for ReturnOutput {
    fn from(returned: Returned) -> Self {
        Self {
            code: returned.code,
            text: returned.text.into_revealed(),
            by: returned.by,
            by_name: returned.by_name,
            at: returned.at,
            times: returned.times,
        }
    }
}

/// What a clinic may expect of a case that waits.
#[derive(Serialize, ToSchema)]
struct ForecastOutput {
    /// Cases before it.
    ahead: usize,
    /// When a reader may begin; `null` when nobody is at work or nothing was read lately.
    #[schema(value_type = Option<i64>)]
    expected_at: Option<Timestamp>,
}

impl From<Forecast> for ForecastOutput {
    fn from(forecast: Forecast) -> Self {
        Self { ahead: forecast.ahead, expected_at: forecast.expected_at }
    }
}

/// A case in a list, with what people want to see beside it.
#[derive(Serialize, ToSchema)]
pub(super) struct CaseLine {
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
    /// Name of whoever signed the preliminary report that waits or is being verified.
    preliminary_by_name: Option<String>,
    /// Who is to take it, if a coordinator has said so.
    assigned: Option<String>,
    /// Their name.
    assigned_name: Option<String>,
    /// Patient's name for people to read.
    patient: String,
    /// Patient ID.
    patient_id: String,
    /// Sex.
    patient_sex: Option<String>,
    /// Birth date, `YYYYMMDD`.
    patient_birth_date: Option<String>,
    /// Accession number.
    accession: Option<String>,
    /// Study Instance UID.
    study_uid: String,
    /// Study date, `YYYYMMDD`.
    study_date: Option<String>,
    /// Study time, `HHMMSS`.
    study_time: Option<String>,
    /// Description of the study.
    description: Option<String>,
    /// Part of the body.
    body_part: Option<String>,
    /// Series here so far.
    series: i64,
    /// Instances here so far.
    instances: i64,
    /// Instances that the sender announced; `null` when it sends without a manifest.
    expected: Option<i64>,
    /// Everything is here, as far as anybody has said.
    complete: bool,
    /// Other studies of the patient that the caller may see.
    priors: usize,
    /// What the clinic wants to know.
    question: Option<String>,
    /// The most pressing of its critical findings: `none`, `notifying`, `acknowledged` or
    /// `settled`.
    #[schema(value_type = String)]
    critical: Critical,
    /// How much people have discussed it.
    discussion: i64,
    /// Why it is with the clinic, while it is.
    returned: Option<ReturnOutput>,
    /// What its clinic may expect, while it waits for a reader.
    forecast: Option<ForecastOutput>,
}

impl From<CaseView> for CaseLine {
    fn from(view: CaseView) -> Self {
        let study = view.study;
        let missing = study.expected.is_some_and(|expected| expected > study.instances);
        let ordered = view.order.as_ref().and_then(|order| order.accession.clone());
        Self {
            patient: display_name(study.patient_name.reveal()),
            patient_id: study.patient_id.into_revealed(),
            patient_sex: study.patient_sex,
            patient_birth_date: study.patient_birth_date.into_revealed(),
            accession: study.accession.or(ordered),
            study_uid: study.uid.into(),
            study_date: study.study_date,
            study_time: study.study_time,
            description: study.description,
            body_part: study.body_part,
            series: view.series,
            instances: study.instances,
            expected: study.expected,
            complete: study.stage == Stage::Complete && !missing,
            priors: view.priors,
            question: view.order.map(|order| order.question.into_revealed()),
            assigned: view.case.assigned.as_ref().map(ToString::to_string),
            case: view.case.into(),
            number: view.number,
            clinic_name: view.clinic_name,
            centre_name: view.centre_name,
            holder_name: view.holder_name,
            preliminary_by_name: view.preliminary_by_name,
            assigned_name: view.assigned_name,
            critical: view.critical,
            discussion: view.discussion,
            returned: view.returned.map(ReturnOutput::from),
            forecast: view.forecast.map(ForecastOutput::from),
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
    /// Name of whoever signed the preliminary report that waits or is being verified.
    preliminary_by_name: Option<String>,
    /// Who is to take it, if a coordinator has said so.
    assigned: Option<String>,
    /// Their name.
    assigned_name: Option<String>,
    /// The study.
    study: StudyOutput,
    /// Its series here so far.
    series: i64,
    /// The order, once known.
    order: Option<OrderOutput>,
    /// Other studies of the patient that the caller may see.
    priors: usize,
    /// The most pressing of its critical findings: `none`, `notifying`, `acknowledged` or
    /// `settled`.
    #[schema(value_type = String)]
    critical: Critical,
    /// How much people have discussed it.
    discussion: i64,
    /// Why it is with the clinic, while it is.
    returned: Option<ReturnOutput>,
    /// What its clinic may expect, while it waits for a reader.
    forecast: Option<ForecastOutput>,
}

impl From<CaseView> for CaseDetail {
    fn from(view: CaseView) -> Self {
        Self {
            assigned: view.case.assigned.as_ref().map(ToString::to_string),
            case: view.case.into(),
            number: view.number,
            clinic_name: view.clinic_name,
            centre_name: view.centre_name,
            holder_name: view.holder_name,
            preliminary_by_name: view.preliminary_by_name,
            assigned_name: view.assigned_name,
            study: view.study.into(),
            series: view.series,
            order: view.order.map(OrderOutput::from),
            priors: view.priors,
            critical: view.critical,
            discussion: view.discussion,
            returned: view.returned.map(ReturnOutput::from),
            forecast: view.forecast.map(ForecastOutput::from),
        }
    }
}

/// A claim with its secret: shown this once.
#[derive(Serialize, ToSchema)]
pub(super) struct ClaimOutput {
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
    /// Only those with this priority: `stat`, `urgent` or `routine`.
    #[param(value_type = Option<String>)]
    priority: Option<Priority>,
    /// Only those of this modality.
    modality: Option<String>,
    /// Only those in which this is found: number, patient's name and number, accession number.
    text: Option<String>,
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
    let filter = CaseFilter {
        stage: query.stage,
        clinic: query.clinic,
        holder: query.holder,
        priority: query.priority,
        modality: query.modality,
        text: query.text.filter(|text| !text.trim().is_empty()),
    };
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

pub(super) fn case_id(text: &str) -> Result<CaseId, Problem> {
    CaseId::parse(text).map_err(|_| not_found())
}
