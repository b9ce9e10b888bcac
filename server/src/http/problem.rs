//! Errors as problem details (RFC 9457): one exhaustive match from the use cases' error.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use medrelay_core::access::Denial;
use medrelay_core::case::Refusal;
use medrelay_core::finding;
use medrelay_core::queue::Ineligible;

use medrelay_dicom::pixels::PixelError;

use crate::service::imaging::ImageError;
use crate::service::{BlobError, Error, StoreError};

/// What went wrong, for a program (`code`) and for a person (`detail`).
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Problem {
    /// HTTP status.
    pub status: u16,
    /// Stable name of the fault; programs branch on this.
    pub code: &'static str,
    /// Short text that belongs to the status.
    pub title: &'static str,
    /// What is wrong here and what to do; never patient data.
    pub detail: String,
    /// Which field, for `VALIDATION`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<&'static str>,
    /// Facts that belong to the fault: current stage, holder, times.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub context: Option<serde_json::Value>,
    /// Seconds after which trying again makes sense.
    #[serde(skip)]
    pub retry_after: Option<u32>,
}

impl Problem {
    /// A problem with a status, a stable code and a sentence.
    pub fn new(status: u16, code: &'static str, detail: impl Into<String>) -> Self {
        let title =
            StatusCode::from_u16(status).ok().and_then(|s| s.canonical_reason()).unwrap_or("Error");
        let detail = detail.into();
        Self { status, code, title, detail, field: None, context: None, retry_after: None }
    }

    fn with(mut self, context: serde_json::Value) -> Self {
        self.context = Some(context);
        self
    }

    fn after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds.max(1));
        self
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retry_after = self.retry_after;
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// The answer for a method that a path does not have.
pub async fn method_not_allowed() -> Problem {
    Problem::new(405, "METHOD_NOT_ALLOWED", "this path does not take this method")
}

/// The answer for everything that does not exist, or does not exist for the caller.
pub fn not_found() -> Problem {
    Problem::new(404, "NOT_FOUND", "there is no such object")
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let text = error.to_string();
        match error {
            Error::Denied(denial) => denied(denial),
            Error::Invalid { field, reason } => Self {
                field: Some(field),
                ..Self::new(422, "VALIDATION", format!("{field}: {reason}"))
            },
            Error::Taken(_) => Self::new(409, "TAKEN", text),
            Error::Agreement(_) => Self::new(422, "VALIDATION", text),
            Error::Case(refusal) => refused(&refusal),
            Error::Ineligible(Ineligible::Modality) => Self::new(422, "NOT_QUALIFIED", text),
            Error::Ineligible(Ineligible::ClaimLimit) => Self::new(409, "CLAIM_LIMIT", text),
            Error::Ineligible(Ineligible::AuthorCannotVerify) => {
                Self::new(422, "AUTHOR_CANNOT_VERIFY", text)
            }
            Error::Ineligible(Ineligible::Assigned) => Self::new(409, "ASSIGNED_TO_ANOTHER", text),
            Error::Finding(refusal) => finding_refused(refusal),
            Error::QueueEmpty => Self::new(404, "QUEUE_EMPTY", text),
            Error::Text(_) => Self::new(422, "VALIDATION", text),
            Error::Delivery(refusal) => Self::new(409, "STATE_CONFLICT", text)
                .with(serde_json::json!({ "stage": refusal.stage })),
            Error::BadCredentials => Self::new(401, "BAD_CREDENTIALS", text),
            Error::Locked { until } => Self::new(429, "LOCKED", text)
                .with(serde_json::json!({ "until": until.micros() }))
                .after(60),
            Error::SecondFactorRequired => Self::new(401, "SECOND_FACTOR_REQUIRED", text),
            Error::SecondFactorWrong => Self::new(401, "SECOND_FACTOR_WRONG", text),
            Error::SecondFactorNeeded => Self::new(403, "SECOND_FACTOR_NEEDED", text),
            Error::StepUpRequired => Self::new(403, "STEP_UP_REQUIRED", text),
            Error::Busy => Self::new(503, "BUSY", text).after(1),
            Error::BadTicket => Self::new(404, "BAD_TICKET", text),
            Error::BadJoinCode => Self::new(404, "BAD_JOIN_CODE", text),
            Error::Conflict(_) => Self::new(409, "STATE_CONFLICT", text),
            Error::VersionConflict => Self::new(409, "VERSION_CONFLICT", text),
            Error::OutOfSpace => Self::new(507, "OUT_OF_SPACE", text).after(60),
            Error::Image(error) => image(error),
            Error::Document(_) => Self::new(500, "DOCUMENT", text),
            Error::Store(error) => store(&error),
            Error::Blob(error) => blob(&error),
        }
    }
}

fn denied(denial: Denial) -> Problem {
    match denial {
        Denial::Hidden => not_found(),
        Denial::Forbidden => Problem::new(403, "FORBIDDEN", denial.to_string()),
        Denial::Unauthenticated => Problem::new(401, "UNAUTHENTICATED", denial.to_string()),
    }
}

fn finding_refused(refusal: finding::Refusal) -> Problem {
    let text = refusal.to_string();
    match refusal {
        finding::Refusal::WrongStage { stage, command } => {
            Problem::new(409, "STATE_CONFLICT", text)
                .with(serde_json::json!({ "stage": stage, "command": command }))
        }
        finding::Refusal::ReadBackMissing => Problem::new(422, "READ_BACK_MISSING", text),
        finding::Refusal::Empty | finding::Refusal::TooLong | finding::Refusal::Control => {
            Problem::new(422, "VALIDATION", text)
        }
    }
}

fn refused(refusal: &Refusal) -> Problem {
    let text = refusal.to_string();
    match refusal {
        Refusal::WrongStage { stage, command } => Problem::new(409, "STATE_CONFLICT", text)
            .with(serde_json::json!({ "stage": stage, "command": command })),
        Refusal::AlreadyClaimed { holder, since, expires } => {
            Problem::new(409, "ALREADY_CLAIMED", text).with(serde_json::json!({
                "holder": holder, "since": since, "expires": expires
            }))
        }
        Refusal::ClaimLost { holder, since } => Problem::new(409, "CLAIM_LOST", text)
            .with(serde_json::json!({ "holder": holder, "since": since })),
        Refusal::NotExpired => Problem::new(409, "STATE_CONFLICT", text),
        Refusal::AuthorCannotVerify => Problem::new(422, "AUTHOR_CANNOT_VERIFY", text),
        Refusal::Policy { policy } => Problem::new(422, "SIGNING_POLICY", text)
            .with(serde_json::json!({ "policy": policy.as_str() })),
    }
}

fn image(error: ImageError) -> Problem {
    let text = error.to_string();
    match error {
        ImageError::Pixels(PixelError::NoPixels) => Problem::new(404, "NO_PIXELS", text),
        ImageError::Pixels(PixelError::NoSuchFrame(_)) => Problem::new(404, "NO_SUCH_FRAME", text),
        ImageError::Pixels(PixelError::Unsupported(_)) | ImageError::Syntax => {
            Problem::new(422, "NOT_DECODABLE", text)
        }
        ImageError::Pixels(PixelError::TooLarge) => Problem::new(422, "IMAGE_TOO_LARGE", text),
        ImageError::Pixels(PixelError::Damaged(_)) | ImageError::Header(_) => {
            Problem::new(422, "IMAGE_DAMAGED", text)
        }
    }
}

fn store(error: &StoreError) -> Problem {
    match error {
        StoreError::Lost => Problem::new(409, "VERSION_CONFLICT", error.to_string()),
        StoreError::Taken => Problem::new(409, "TAKEN", error.to_string()),
        StoreError::OutOfSpace => Problem::new(507, "OUT_OF_SPACE", error.to_string()).after(60),
        StoreError::Unavailable(_) => {
            tracing::warn!(error = ?error, "the database is not available");
            Problem::new(503, "DATABASE_UNAVAILABLE", error.to_string()).after(5)
        }
        StoreError::Inconsistent { .. } | StoreError::Driver(_) | StoreError::Setup(_) => {
            tracing::error!(error = ?error, "the database failed");
            Problem::new(500, "INTERNAL", "the relay has a fault; the operator's log says more")
        }
    }
}

fn blob(error: &BlobError) -> Problem {
    match error {
        BlobError::OutOfSpace => Problem::new(507, "OUT_OF_SPACE", error.to_string()).after(60),
        BlobError::NotFound => {
            tracing::error!(error = ?error, "bytes that a row names are missing");
            Problem::new(500, "BYTES_MISSING", "the stored bytes are missing")
        }
        BlobError::Unavailable(_) => {
            tracing::warn!(error = ?error, "the blob store is not available");
            Problem::new(503, "BLOBS_UNAVAILABLE", "the image store is not available").after(5)
        }
        BlobError::Exists | BlobError::TooLarge { .. } => {
            tracing::error!(error = ?error, "the blob store was used wrongly");
            Problem::new(500, "INTERNAL", "the relay has a fault; the operator's log says more")
        }
        BlobError::Damaged(_) => {
            tracing::error!(error = ?error, "the blob store is damaged");
            Problem::new(500, "BLOBS_DAMAGED", "the image store has a fault")
        }
    }
}
