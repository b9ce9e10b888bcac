//! `/cases/{id}/return`, `resubmit`, `assign`, `priors` and `/centres/{id}/readers`: the ways of a
//! case between its clinic, its centre and a reader, and what was done for its patient before.

use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use medrelay_core::access::Action;
use medrelay_core::id::{CaseId, OrganizationId, PersonId, Phi, ReportId, StudyId};
use medrelay_core::message::ReturnCode;
use medrelay_core::people::Role;

use super::auth::Who;
use super::cases::{CaseOutput, case_id};
use super::organizations::named;
use super::page::Body;
use super::{Api, Routes, Rule};
use crate::http::problem::Problem;
use crate::service::priors::Prior;
use crate::service::reading::Proof;
use crate::service::returning::ReaderView;

pub(super) fn routes(routes: Routes) -> Routes {
    routes
        .add(routes!(return_case), Rule::May(Action::ReturnCase))
        .add(routes!(resubmit_case), Rule::May(Action::ResubmitCase))
        .add(routes!(assign_case), Rule::May(Action::AssignCase))
        .add(routes!(list_readers), Rule::May(Action::AssignCase))
        .add(routes!(list_priors), Rule::May(Action::ReadCase))
}

/// Returns a case to its clinic.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ReturnInput {
    /// The caller's claim; a coordinator returns what waits for a reader without one.
    proof: Option<Proof>,
    /// What is the matter: one of the codes of a return request, such as `POSITIONING`.
    #[schema(value_type = String)]
    code: ReturnCode,
    /// In words, at most 2000 characters.
    #[serde(default)]
    text: String,
}

/// Returns a case to its clinic, with a return request that its gateways get. The case leaves the
/// queue, its deadline stops, and the text of its reader is kept as a draft of theirs.
#[utoipa::path(
    post, path = "/api/v1/cases/{id}/return", tag = "cases", request_body = ReturnInput,
    params(("id" = String, Path)),
    responses(
        (status = 200, body = CaseOutput),
        (status = 404, body = Problem),
        (status = 409, body = Problem),
        (status = 422, body = Problem),
    )
)]
async fn return_case(
    State(api): State<Api>,
    who: Who,
    Path(id): Path<String>,
    Body(input): Body<ReturnInput>,
) -> Result<Json<CaseOutput>, Problem> {
    let (id, proof, text) = (case_id(&id)?, input.proof.as_ref(), Phi::new(input.text));
    let case = api.service.return_case(&who.caller, &id, proof, input.code, &text).await?;
    Ok(Json(case.into()))
}

/// Sends a returned case again.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ResubmitInput {
    /// What was done about it, for the reader; at most 2000 characters.
    #[serde(default)]
    text: String,
}

/// Sends a returned case again: it waits in its old place, and its deadline goes on with the rest
/// of its time, at least half of what the agreement gives.
#[utoipa::path(
    post, path = "/api/v1/cases/{id}/resubmit", tag = "cases", request_body = ResubmitInput,
    params(("id" = String, Path)),
    responses(
        (status = 200, body = CaseOutput),
        (status = 404, body = Problem),
        (status = 409, body = Problem),
    )
)]
async fn resubmit_case(
    State(api): State<Api>,
    who: Who,
    Path(id): Path<String>,
    Body(input): Body<ResubmitInput>,
) -> Result<Json<CaseOutput>, Problem> {
    let text = Phi::new(input.text);
    Ok(Json(api.service.resubmit(&who.caller, &case_id(&id)?, &text).await?.into()))
}

/// Gives a case to a reader.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AssignInput {
    /// Who is to take it; `null`: whoever comes.
    #[schema(value_type = Option<String>)]
    person: Option<PersonId>,
}

/// Gives a case that nobody works on to a reader: it comes to them first, and to nobody else. The
/// assignment ends when somebody takes the case.
#[utoipa::path(
    post, path = "/api/v1/cases/{id}/assign", tag = "cases", request_body = AssignInput,
    params(("id" = String, Path)),
    responses(
        (status = 200, body = CaseOutput),
        (status = 404, body = Problem),
        (status = 409, body = Problem),
        (status = 422, body = Problem),
    )
)]
async fn assign_case(
    State(api): State<Api>,
    who: Who,
    Path(id): Path<String>,
    Body(input): Body<AssignInput>,
) -> Result<Json<CaseOutput>, Problem> {
    let id = case_id(&id)?;
    Ok(Json(api.service.assign(&who.caller, &id, input.person.as_ref()).await?.into()))
}

/// A reader of a centre.
#[derive(Serialize, ToSchema)]
struct ReaderOutput {
    /// Who.
    #[schema(value_type = String)]
    person: PersonId,
    /// Their name.
    name: String,
    /// `reporter`, `verifier`.
    #[schema(value_type = Vec<String>)]
    roles: Vec<Role>,
    /// Modalities they may read; empty means every one.
    modalities: Vec<String>,
    /// Cases that they hold.
    holds: i64,
    /// Cases that were given to them and wait.
    waiting: i64,
    /// Versions that they have signed today.
    signed_today: i64,
}

impl From<ReaderView> for ReaderOutput {
    fn from(view: ReaderView) -> Self {
        Self {
            person: view.member.person,
            name: view.member.name,
            roles: view.member.roles,
            modalities: view.member.modalities,
            holds: view.load.holds,
            waiting: view.load.waiting,
            signed_today: view.load.signed,
        }
    }
}

/// The readers of a centre.
#[derive(Serialize, ToSchema)]
struct ReadersOutput {
    /// By name.
    items: Vec<ReaderOutput>,
}

/// Who reads at a centre, and what they have in hand.
#[utoipa::path(
    get, path = "/api/v1/centres/{id}/readers", tag = "cases",
    params(("id" = String, Path, description = "the centre")),
    responses((status = 200, body = ReadersOutput), (status = 404, body = Problem))
)]
async fn list_readers(
    State(api): State<Api>,
    who: Who,
    Path(id): Path<String>,
) -> Result<Json<ReadersOutput>, Problem> {
    let centre = named(OrganizationId::parse(&id))?;
    let readers = api.service.readers(&who.caller, &centre).await?;
    Ok(Json(ReadersOutput { items: readers.into_iter().map(ReaderOutput::from).collect() }))
}

/// Another study of the same patient.
#[derive(Serialize, ToSchema)]
struct PriorOutput {
    /// The study.
    #[schema(value_type = String)]
    study: StudyId,
    /// Study Instance UID.
    study_uid: String,
    /// Its case, if it has one.
    #[schema(value_type = Option<String>)]
    case: Option<CaseId>,
    /// Name of the clinic that made it.
    clinic_name: String,
    /// Modality.
    modality: String,
    /// Part of the body.
    body_part: Option<String>,
    /// Description.
    description: Option<String>,
    /// Study date, `YYYYMMDD`.
    study_date: Option<String>,
    /// Instances here.
    instances: i64,
    /// Its newest final report.
    #[schema(value_type = Option<String>)]
    report: Option<ReportId>,
    /// It carries the same patient number of the same clinic; otherwise the same name, birth date
    /// and sex, which a person must judge.
    same_patient_id: bool,
}

impl From<Prior> for PriorOutput {
    fn from(prior: Prior) -> Self {
        Self {
            study: prior.study.id,
            study_uid: prior.study.uid.into(),
            case: prior.case,
            clinic_name: prior.clinic_name,
            modality: prior.study.modality,
            body_part: prior.study.body_part,
            description: prior.study.description,
            study_date: prior.study.study_date,
            instances: prior.study.instances,
            report: prior.report,
            same_patient_id: prior.same_patient_id,
        }
    }
}

/// The other studies of a case's patient.
#[derive(Serialize, ToSchema)]
struct PriorsOutput {
    /// Those of the same part of the body and modality first, then the newest.
    items: Vec<PriorOutput>,
}

/// The other studies of a case's patient that the caller may see.
#[utoipa::path(
    get, path = "/api/v1/cases/{id}/priors", tag = "cases", params(("id" = String, Path)),
    responses((status = 200, body = PriorsOutput), (status = 404, body = Problem))
)]
async fn list_priors(
    State(api): State<Api>,
    who: Who,
    Path(id): Path<String>,
) -> Result<Json<PriorsOutput>, Problem> {
    let priors = api.service.priors(&who.caller, &case_id(&id)?).await?;
    Ok(Json(PriorsOutput { items: priors.into_iter().map(PriorOutput::from).collect() }))
}
