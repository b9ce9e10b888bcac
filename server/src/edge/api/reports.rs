//! `/cases/{id}/draft`, `/sign`, `/addenda`, `/reports` and `/reports/{id}`: writing, signing and
//! reading reports.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use medrelay_core::access::Action;
use medrelay_core::id::{CaseId, Phi, ReportId};
use medrelay_core::report::{Signer, Text};
use medrelay_core::time::Timestamp;

use super::auth::Who;
use super::page::Body;
use super::{Api, Routes, Rule};
use crate::http::problem::Problem;
use crate::service::Error;
use crate::service::delivering::Rendered;
use crate::service::reading::Proof;
use crate::service::reporting::{Draft, ReportView, Verification};

pub(super) fn routes(routes: Routes) -> Routes {
    routes
        .add(routes!(save_draft), Rule::May(Action::ClaimCase))
        .add(routes!(list_drafts), Rule::May(Action::ClaimCase))
        .add(routes!(sign_report), Rule::Proved(Action::SignPreliminary))
        .add(routes!(add_addendum), Rule::Proved(Action::SignFinal))
        .add(routes!(list_reports), Rule::May(Action::ReadReport))
        .add(routes!(show_report), Rule::May(Action::ReadReport))
        .add(routes!(show_report_pdf), Rule::May(Action::ReadReport))
        .add(routes!(show_report_sr), Rule::May(Action::ReadReport))
        .add(routes!(verify_report), Rule::May(Action::ReadReport))
}

/// What a reader writes.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Writing {
    /// 检查所见.
    #[serde(default)]
    findings: String,
    /// 诊断意见.
    #[serde(default)]
    impression: String,
    /// 建议.
    #[serde(default)]
    recommendation: String,
}

impl From<Writing> for Text {
    fn from(writing: Writing) -> Self {
        Self {
            findings: Phi::new(writing.findings),
            impression: Phi::new(writing.impression),
            recommendation: Phi::new(writing.recommendation),
        }
    }
}

/// A text under a claim.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Held {
    /// Token and fence of the claim.
    proof: Proof,
    /// The text.
    text: Writing,
}

/// An addendum to a final report.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewAddendum {
    /// What is added.
    text: Writing,
    /// Why; printed on the report.
    reason: String,
}

/// A text that is not signed.
#[derive(Serialize, ToSchema)]
struct ShownDraft {
    /// Its identifier.
    id: String,
    /// Who wrote it.
    author: String,
    /// Their name; absent when it is the caller's own that was just saved.
    #[serde(skip_serializing_if = "Option::is_none")]
    author_name: Option<String>,
    /// The fence of the claim that it was written under.
    fence: i64,
    /// `live`, or `orphan` when its writer had lost the claim.
    state: &'static str,
    /// The text.
    text: ShownText,
    /// When it was saved last, microseconds since 1970 UTC.
    #[schema(value_type = i64)]
    saved_at: Timestamp,
}

impl ShownDraft {
    fn of(draft: Draft, author_name: Option<String>) -> Self {
        Self {
            id: draft.id.to_string(),
            author: draft.author.to_string(),
            author_name,
            fence: draft.fence,
            state: draft.state.as_str(),
            text: (&draft.text).into(),
            saved_at: draft.saved_at,
        }
    }
}

/// The sections of a report.
#[derive(Serialize, ToSchema)]
struct ShownText {
    /// 检查所见.
    findings: String,
    /// 诊断意见.
    impression: String,
    /// 建议.
    recommendation: String,
}

impl From<&Text> for ShownText {
    fn from(text: &Text) -> Self {
        Self {
            findings: text.findings.reveal().clone(),
            impression: text.impression.reveal().clone(),
            recommendation: text.recommendation.reveal().clone(),
        }
    }
}

/// Somebody who signed.
#[derive(Serialize, ToSchema)]
struct ShownSigner {
    /// Who.
    person: String,
    /// Their name when they signed.
    name: String,
    /// For which organization.
    organization: String,
}

impl From<&Signer> for ShownSigner {
    fn from(signer: &Signer) -> Self {
        Self {
            person: signer.person.to_string(),
            name: signer.name.clone(),
            organization: signer.organization.to_string(),
        }
    }
}

/// A signed version without its text.
#[derive(Serialize, ToSchema)]
struct ReportLine {
    /// Its identifier.
    id: String,
    /// The case.
    case: String,
    /// 1, 2, 3, … within the case.
    number: i64,
    /// Its number for people.
    report_number: String,
    /// `preliminary`, `final` or `addendum`.
    kind: &'static str,
    /// Who wrote it.
    reporter: ShownSigner,
    /// Who verified it.
    verifier: Option<ShownSigner>,
    /// When it was signed, microseconds since 1970 UTC.
    #[schema(value_type = i64)]
    signed_at: Timestamp,
    /// SHA-256 (hex) of the canonical bytes.
    sha256: String,
    /// SHA-256 (hex) of the version before it.
    predecessor: Option<String>,
}

impl From<&ReportView> for ReportLine {
    fn from(view: &ReportView) -> Self {
        let (report, signed) = (&view.report, &view.signed);
        Self {
            id: report.id.to_string(),
            case: report.case.to_string(),
            number: report.number,
            report_number: view.report_number.clone(),
            kind: report.kind.as_str(),
            reporter: (&signed.reporter).into(),
            verifier: signed.verifier.as_ref().map(Into::into),
            signed_at: report.signed_at,
            sha256: report.sha256.clone(),
            predecessor: signed.predecessor.clone(),
        }
    }
}

/// A signed version.
#[derive(Serialize, ToSchema)]
struct ShownReport {
    /// What it is.
    #[serde(flatten)]
    line: ReportLine,
    /// What it says.
    text: ShownText,
    /// Why an addendum was made.
    reason: Option<String>,
    /// Study Instance UID.
    study_uid: String,
    /// Accession Number.
    accession: Option<String>,
    /// Patient ID.
    patient_id: String,
    /// Patient's Name with its groups.
    patient_name: String,
    /// The canonical bytes that were signed (UTF-8), for a check elsewhere.
    canonical: String,
    /// Ed25519 signature over them, in hexadecimal.
    signature: String,
    /// SOP Instance UID of the structured report.
    sr_uid: String,
    /// SOP Instance UID of the encapsulated PDF.
    pdf_uid: String,
}

impl From<ReportView> for ShownReport {
    fn from(view: ReportView) -> Self {
        let line = ReportLine::from(&view);
        let (report, signed) = (view.report, view.signed);
        Self {
            line,
            text: (&signed.text).into(),
            reason: signed.reason.map(Phi::into_revealed),
            study_uid: signed.study.to_string(),
            accession: signed.accession,
            patient_id: signed.patient_id.into_revealed(),
            patient_name: signed.patient_name.into_revealed(),
            canonical: report.canonical.into_revealed(),
            signature: report.signature,
            sr_uid: report.sr_uid.to_string(),
            pdf_uid: report.pdf_uid.to_string(),
        }
    }
}

/// What a check of a signed version found.
#[derive(Serialize, ToSchema)]
struct ShownVerification {
    /// Everything is as it was signed.
    holds: bool,
    /// The stored SHA-256 is that of the canonical bytes.
    hash_holds: bool,
    /// The signature was made with the key below.
    signature_holds: bool,
    /// The key belongs to whoever the report names as signer.
    signer_holds: bool,
    /// The row says what the canonical bytes say.
    row_holds: bool,
    /// The version before it is the one that it names.
    chain_holds: bool,
    /// SHA-256 (hex), computed now.
    sha256: String,
    /// Always `ed25519`.
    algorithm: &'static str,
    /// The signature in hexadecimal.
    signature: String,
    /// The public key in hexadecimal.
    public_key: String,
    /// The short name of the key that is printed on the report.
    key_name: String,
    /// When the key was taken out of use, if it was.
    #[schema(value_type = Option<i64>)]
    key_retired_at: Option<Timestamp>,
}

impl From<Verification> for ShownVerification {
    fn from(found: Verification) -> Self {
        Self {
            holds: found.holds(),
            hash_holds: found.hash_holds,
            signature_holds: found.signature_holds,
            signer_holds: found.signer_holds,
            row_holds: found.row_holds,
            chain_holds: found.chain_holds,
            sha256: found.sha256,
            algorithm: "ed25519",
            signature: found.signature,
            public_key: found.public_key,
            key_name: found.key_name,
            key_retired_at: found.key_retired_at,
        }
    }
}

/// Saves what has been written so far; call it often. A text whose claim has ended is kept too.
#[utoipa::path(put, path = "/api/v1/cases/{id}/draft", tag = "reports",
    params(("id" = String, Path)), request_body = Held,
    responses((status = 200, body = ShownDraft),
        (status = 409, description = "the claim has ended: the text is kept", body = Problem)))]
async fn save_draft(
    State(api): State<Api>,
    who: Who,
    Path(id): Path<String>,
    Body(held): Body<Held>,
) -> Result<Json<ShownDraft>, Problem> {
    let text = held.text.into();
    let draft = api.service.save_draft(&who.caller, &case_id(&id)?, &held.proof, text).await?;
    Ok(Json(ShownDraft::of(draft, None)))
}

/// The caller's own drafts and, for the holder of the case, those that others left behind.
#[utoipa::path(get, path = "/api/v1/cases/{id}/drafts", tag = "reports",
    params(("id" = String, Path)), responses((status = 200, body = Vec<ShownDraft>)))]
async fn list_drafts(
    State(api): State<Api>,
    who: Who,
    Path(id): Path<String>,
) -> Result<Json<Vec<ShownDraft>>, Problem> {
    let drafts = api.service.drafts(&who.caller, &case_id(&id)?).await?;
    let shown = drafts.into_iter().map(|view| ShownDraft::of(view.draft, Some(view.author_name)));
    Ok(Json(shown.collect()))
}

/// Signs: a preliminary or the final report, as the signing policy and the stage of the case want.
#[utoipa::path(post, path = "/api/v1/cases/{id}/sign", tag = "reports",
    params(("id" = String, Path)), request_body = Held,
    responses((status = 201, body = ShownReport),
        (status = 403, description = "STEP_UP_REQUIRED: prove again who you are", body = Problem),
        (status = 409, description = "the claim has ended: the text is kept", body = Problem),
        (status = 422, description = "something required is missing", body = Problem)))]
async fn sign_report(
    State(api): State<Api>,
    who: Who,
    Path(id): Path<String>,
    Body(held): Body<Held>,
) -> Result<(StatusCode, Json<ShownReport>), Problem> {
    let text = held.text.into();
    let report = api.service.sign(&who.caller, &case_id(&id)?, &held.proof, text).await?;
    Ok((StatusCode::CREATED, Json(report.into())))
}

/// Adds to a final report: a new signed version, delivered and to be acknowledged again.
#[utoipa::path(post, path = "/api/v1/cases/{id}/addenda", tag = "reports",
    params(("id" = String, Path)), request_body = NewAddendum,
    responses((status = 201, body = ShownReport),
        (status = 403, description = "STEP_UP_REQUIRED: prove again who you are", body = Problem)))]
async fn add_addendum(
    State(api): State<Api>,
    who: Who,
    Path(id): Path<String>,
    Body(new): Body<NewAddendum>,
) -> Result<(StatusCode, Json<ShownReport>), Problem> {
    let text = new.text.into();
    let report = api.service.addendum(&who.caller, &case_id(&id)?, text, &new.reason).await?;
    Ok((StatusCode::CREATED, Json(report.into())))
}

/// The signed versions of a case in order, without their texts.
#[utoipa::path(get, path = "/api/v1/cases/{id}/reports", tag = "reports",
    params(("id" = String, Path)), responses((status = 200, body = Vec<ReportLine>)))]
async fn list_reports(
    State(api): State<Api>,
    who: Who,
    Path(id): Path<String>,
) -> Result<Json<Vec<ReportLine>>, Problem> {
    let reports = api.service.reports(&who.caller, &case_id(&id)?).await?;
    Ok(Json(reports.iter().map(Into::into).collect()))
}

/// A signed version.
#[utoipa::path(get, path = "/api/v1/reports/{id}", tag = "reports",
    params(("id" = String, Path)), responses((status = 200, body = ShownReport)))]
async fn show_report(
    State(api): State<Api>,
    who: Who,
    Path(id): Path<String>,
) -> Result<Json<ShownReport>, Problem> {
    Ok(Json(api.service.report(&who.caller, &report_id(&id)?).await?.into()))
}

/// A signed version as a PDF file.
#[utoipa::path(get, path = "/api/v1/reports/{id}/pdf", tag = "reports",
    params(("id" = String, Path)),
    responses((status = 200, content_type = "application/pdf", body = Vec<u8>)))]
async fn show_report_pdf(
    State(api): State<Api>,
    who: Who,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, Problem> {
    let rendered = api.service.report_pdf(&who.caller, &report_id(&id)?).await?;
    Ok(file(rendered, "application/pdf", "inline", "pdf"))
}

/// A signed version as a DICOM structured report.
#[utoipa::path(get, path = "/api/v1/reports/{id}/sr", tag = "reports",
    params(("id" = String, Path)),
    responses((status = 200, content_type = "application/dicom", body = Vec<u8>)))]
async fn show_report_sr(
    State(api): State<Api>,
    who: Who,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, Problem> {
    let rendered = api.service.report_sr(&who.caller, &report_id(&id)?).await?;
    Ok(file(rendered, "application/dicom", "attachment", "dcm"))
}

/// Checks hash, signature and chain of a signed version.
#[utoipa::path(get, path = "/api/v1/reports/{id}/verification", tag = "reports",
    params(("id" = String, Path)), responses((status = 200, body = ShownVerification)))]
async fn verify_report(
    State(api): State<Api>,
    who: Who,
    Path(id): Path<String>,
) -> Result<Json<ShownVerification>, Problem> {
    Ok(Json(api.service.verify(&who.caller, &report_id(&id)?).await?.into()))
}

/// A file whose name is the report's number and nothing of the patient.
fn file(
    rendered: Rendered,
    content_type: &'static str,
    disposition: &'static str,
    extension: &'static str,
) -> impl IntoResponse {
    let name = format!("{disposition}; filename=\"{}.{extension}\"", rendered.report_number);
    let headers = [
        (header::CONTENT_TYPE, content_type.to_owned()),
        (header::CONTENT_DISPOSITION, name),
        (header::CACHE_CONTROL, "private, no-store".to_owned()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
    ];
    (headers, rendered.bytes)
}

/// What is no identifier names nothing.
fn case_id(text: &str) -> Result<CaseId, Error> {
    CaseId::parse(text).map_err(|_| Error::hidden())
}

fn report_id(text: &str) -> Result<ReportId, Error> {
    ReportId::parse(text).map_err(|_| Error::hidden())
}
