//! `/studies`, `/instances`: what has arrived.

use axum::Json;
use axum::body::Body as Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use medrelay_core::access::Action;
use medrelay_core::id::{InstanceId, OrganizationId, StudyId};
use medrelay_core::study::{ReadyReason, Stage, display_name};
use medrelay_core::time::Timestamp;

use super::auth::Who;
use super::orders::order_id;
use super::page::{Body, Page, Params};
use super::{Api, Routes, Rule};
use crate::http::problem::{Problem, not_found};
use crate::service::studies::StudyView;
use crate::service::{Instance, PAGE_LIMIT, Series, Study, StudyFilter};

pub(super) fn routes(routes: Routes) -> Routes {
    routes
        .add(routes!(list_studies), Rule::May(Action::ReadStudy))
        .add(routes!(read_study), Rule::May(Action::ReadStudy))
        .add(routes!(complete_study), Rule::May(Action::CompleteStudy))
        .add(routes!(match_study), Rule::May(Action::MatchStudy))
        .add(routes!(read_instance), Rule::May(Action::ReadStudy))
}

/// A study.
#[derive(Serialize, ToSchema)]
pub(super) struct StudyOutput {
    /// Its identifier.
    #[schema(value_type = String)]
    id: StudyId,
    /// Study Instance UID.
    uid: String,
    /// The clinic that sent it.
    clinic: String,
    /// Patient ID.
    patient_id: String,
    /// Issuer of Patient ID.
    patient_issuer: Option<String>,
    /// Patient's name for people to read, ideographic form first.
    patient: String,
    /// Patient's name with its groups as sent.
    patient_name: String,
    /// Birth date, `YYYYMMDD`.
    patient_birth_date: Option<String>,
    /// Sex.
    patient_sex: Option<String>,
    /// Accession number.
    accession: Option<String>,
    /// Study ID.
    study_number: Option<String>,
    /// Study date, `YYYYMMDD`.
    study_date: Option<String>,
    /// Study time, `HHMMSS`.
    study_time: Option<String>,
    /// Description.
    description: Option<String>,
    /// Modality.
    modality: String,
    /// Part of the body.
    body_part: Option<String>,
    /// Specific Character Set as declared by the sender.
    charset: String,
    /// The declaration was absent or wrong and the encoding was guessed.
    charset_guessed: bool,
    /// Instances here so far.
    instances: i64,
    /// Bytes here so far.
    bytes: i64,
    /// `arriving` or `complete`.
    #[schema(value_type = String)]
    stage: Stage,
    /// Instances that its sender announced; absent when it sends without a manifest.
    expected: Option<i64>,
    /// Why it counts as complete: `manifest`, `quiet` or `person`.
    #[schema(value_type = Option<String>)]
    ready_reason: Option<ReadyReason>,
    /// When the first instance came, microseconds since 1970 UTC.
    #[schema(value_type = i64)]
    first_at: Timestamp,
    /// When the last instance came.
    #[schema(value_type = i64)]
    last_at: Timestamp,
    /// When it counted as complete.
    #[schema(value_type = Option<i64>)]
    completed_at: Option<Timestamp>,
    /// Why it has no case and waits for a person: `no_agreement` or `ambiguous_order`.
    trouble: Option<String>,
    /// The order that it belongs to.
    order: Option<String>,
}

impl From<Study> for StudyOutput {
    fn from(study: Study) -> Self {
        Self {
            id: study.id,
            uid: study.uid.into(),
            clinic: study.clinic.into(),
            patient_id: study.patient_id.into_revealed(),
            patient_issuer: study.patient_issuer,
            patient: display_name(study.patient_name.reveal()),
            patient_name: study.patient_name.into_revealed(),
            patient_birth_date: study.patient_birth_date.into_revealed(),
            patient_sex: study.patient_sex,
            accession: study.accession,
            study_number: study.study_number,
            study_date: study.study_date,
            study_time: study.study_time,
            description: study.description,
            modality: study.modality,
            body_part: study.body_part,
            charset: study.charset,
            charset_guessed: study.charset_guessed,
            instances: study.instances,
            bytes: study.bytes,
            stage: study.stage,
            expected: study.expected,
            ready_reason: study.ready_reason,
            first_at: study.first_at,
            last_at: study.last_at,
            completed_at: study.completed_at,
            trouble: study.trouble,
            order: study.order.map(String::from),
        }
    }
}

/// Which studies.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct StudyQuery {
    /// `arriving` or `complete`.
    #[param(value_type = Option<String>)]
    stage: Option<Stage>,
    /// Only those that wait for a person because no case could be opened.
    #[serde(default)]
    trouble: bool,
    /// Only those that no order has been matched with.
    #[serde(default)]
    unmatched: bool,
    /// Only those of this clinic.
    #[param(value_type = Option<String>)]
    clinic: Option<OrganizationId>,
    /// Only the one with this Study Instance UID.
    uid: Option<String>,
    /// The identifier of the last study of the previous page.
    #[param(value_type = Option<String>)]
    after: Option<StudyId>,
    /// How many at most, 1 to 200; 50 if absent.
    limit: Option<i64>,
}

/// Studies that the caller may see, newest first.
#[utoipa::path(
    get, path = "/api/v1/studies", tag = "studies", params(StudyQuery),
    responses((status = 200, body = Page<StudyOutput>))
)]
async fn list_studies(
    State(api): State<Api>,
    who: Who,
    Params(query): Params<StudyQuery>,
) -> Result<Json<Page<StudyOutput>>, Problem> {
    let limit = query.limit.unwrap_or(50).clamp(1, PAGE_LIMIT);
    let filter = StudyFilter {
        stage: query.stage,
        trouble: query.trouble,
        unmatched: query.unmatched,
        clinic: query.clinic,
        uid: query.uid,
    };
    let studies =
        api.service.studies(&who.caller, &filter, query.after.as_ref(), limit + 1).await?;
    let studies = studies.into_iter().map(StudyOutput::from).collect();
    Ok(Json(Page::of(studies, limit, |study: &StudyOutput| study.id.to_string())))
}

/// An instance of a study.
#[derive(Serialize, ToSchema)]
struct InstanceOutput {
    /// Its identifier.
    id: String,
    /// SOP Instance UID.
    uid: String,
    /// SOP Class UID.
    sop_class: String,
    /// Transfer Syntax UID.
    transfer_syntax: String,
    /// Instance number.
    number: Option<i64>,
    /// Rows of pixels.
    rows: Option<i64>,
    /// Columns of pixels.
    columns: Option<i64>,
    /// Frames.
    frames: i64,
    /// Length of the sender's data set in bytes.
    bytes: i64,
    /// SHA-256 (hex) of the sender's data set.
    sha256: String,
    /// When it came, microseconds since 1970 UTC.
    #[schema(value_type = i64)]
    received_at: Timestamp,
}

impl From<Instance> for InstanceOutput {
    fn from(instance: Instance) -> Self {
        Self {
            id: instance.id.into(),
            uid: instance.uid.into(),
            sop_class: instance.sop_class.into(),
            transfer_syntax: instance.transfer_syntax.into(),
            number: instance.number,
            rows: instance.rows,
            columns: instance.columns,
            frames: instance.frames,
            bytes: instance.bytes,
            sha256: instance.sha256,
            received_at: instance.received_at,
        }
    }
}

/// A series with its instances.
#[derive(Serialize, ToSchema)]
struct SeriesOutput {
    /// Its identifier.
    id: String,
    /// Series Instance UID.
    uid: String,
    /// Modality.
    modality: String,
    /// Series number.
    number: Option<i64>,
    /// Description.
    description: Option<String>,
    /// Part of the body.
    body_part: Option<String>,
    /// What belongs to it, in the order of the instance numbers.
    instances: Vec<InstanceOutput>,
}

/// A study with everything in it.
#[derive(Serialize, ToSchema)]
struct StudyDetail {
    /// The study.
    study: StudyOutput,
    /// Its series.
    series: Vec<SeriesOutput>,
}

impl From<StudyView> for StudyDetail {
    fn from(view: StudyView) -> Self {
        let mut instances = view.instances;
        let mut of_series = |series: Series| {
            let (own, rest) =
                std::mem::take(&mut instances).into_iter().partition(|i| i.series == series.id);
            instances = rest;
            let own: Vec<Instance> = own;
            SeriesOutput {
                id: series.id.into(),
                uid: series.uid.into(),
                modality: series.modality,
                number: series.number,
                description: series.description,
                body_part: series.body_part,
                instances: own.into_iter().map(InstanceOutput::from).collect(),
            }
        };
        let series = view.series.into_iter().map(&mut of_series).collect();
        Self { study: view.study.into(), series }
    }
}

/// One study with its series and instances.
#[utoipa::path(
    get, path = "/api/v1/studies/{id}", tag = "studies", params(("id" = String, Path)),
    responses((status = 200, body = StudyDetail), (status = 404, body = Problem))
)]
async fn read_study(
    State(api): State<Api>,
    who: Who,
    Path(id): Path<String>,
) -> Result<Json<StudyDetail>, Problem> {
    let view = api.service.study(&who.caller, &study_id(&id)?).await?;
    Ok(Json(view.into()))
}

/// "Start anyway": says that nothing more will come.
#[utoipa::path(
    post, path = "/api/v1/studies/{id}/complete", tag = "studies", params(("id" = String, Path)),
    responses((status = 200, body = StudyOutput), (status = 409, body = Problem))
)]
async fn complete_study(
    State(api): State<Api>,
    who: Who,
    Path(id): Path<String>,
) -> Result<Json<StudyOutput>, Problem> {
    let study = api.service.complete_study(&who.caller, &study_id(&id)?).await?;
    Ok(Json(study.into()))
}

/// Which order a study belongs to.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct MatchInput {
    /// The order's identifier.
    order: String,
}

/// Says which order a study belongs to.
#[utoipa::path(
    post, path = "/api/v1/studies/{id}/match", tag = "studies", params(("id" = String, Path)),
    request_body = MatchInput,
    responses((status = 200, body = StudyOutput), (status = 409, body = Problem))
)]
async fn match_study(
    State(api): State<Api>,
    who: Who,
    Path(id): Path<String>,
    Body(input): Body<MatchInput>,
) -> Result<Json<StudyOutput>, Problem> {
    let order = order_id(&input.order)?;
    let study = api.service.match_study(&who.caller, &study_id(&id)?, &order).await?;
    Ok(Json(study.into()))
}

/// Which bytes of an instance.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct InstanceQuery {
    /// `dataset`: only the data set as the sender sent it, without preamble and file meta group.
    #[param(inline)]
    part: Option<Part>,
}

/// Part of an instance's bytes.
#[derive(Deserialize, ToSchema, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Part {
    /// The sender's data set.
    Dataset,
}

/// The bytes of an instance: a DICOM file (PS3.10).
#[utoipa::path(
    get, path = "/api/v1/instances/{id}/dicom", tag = "studies",
    params(("id" = String, Path), InstanceQuery),
    responses(
        (status = 200, description = "The bytes", content_type = "application/dicom"),
        (status = 404, body = Problem)
    )
)]
async fn read_instance(
    State(api): State<Api>,
    who: Who,
    Path(id): Path<String>,
    Params(query): Params<InstanceQuery>,
) -> Result<Response, Problem> {
    let id = InstanceId::parse(&id).map_err(|_| not_found())?;
    let data_set_only = query.part == Some(Part::Dataset);
    let (instance, reader) = api.service.open_instance(&who.caller, &id, data_set_only).await?;
    let length = reader.length();
    let mut response = Response::new(Bytes::from_stream(reader.into_stream()));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/dicom"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // Named by our own identifier: a UID from outside never becomes part of a header.
    let disposition = format!("attachment; filename=\"{}.dcm\"", instance.id);
    if let Ok(value) = HeaderValue::try_from(disposition) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    Ok(response)
}

fn study_id(text: &str) -> Result<StudyId, Problem> {
    StudyId::parse(text).map_err(|_| not_found())
}
