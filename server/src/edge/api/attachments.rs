//! `/orders/{id}/attachments`, `/attachments`: consent forms and other papers of an order.

use std::fmt::Write as _;

use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use medrelay_core::access::Action;
use medrelay_core::id::{AttachmentId, OrderId, Phi};
use medrelay_core::time::Timestamp;

use super::organizations::named;
use super::page::Params;
use crate::http::access::{Api, Routes, Rule, Who};
use crate::http::problem::Problem;
use crate::service::Attachment;
use crate::service::attachments::{ATTACHMENT_BYTES, NewAttachment};

/// What a page that shows a paper may do: nothing at all.
const POLICY: &str = "sandbox; default-src 'none'";

/// A paper of an order.
#[derive(Serialize, ToSchema)]
struct AttachmentBody {
    /// Its identifier.
    #[schema(value_type = String)]
    id: AttachmentId,
    /// The order that it belongs to.
    #[schema(value_type = String)]
    order: OrderId,
    /// Its file name.
    name: String,
    /// `application/pdf`, `image/jpeg` or `image/png`.
    media_type: String,
    /// Its length in bytes.
    bytes: i64,
    /// SHA-256 of it, hexadecimal.
    sha256: String,
    /// Who added it.
    added_by_name: String,
    /// When, in microseconds UTC.
    #[schema(value_type = i64)]
    added_at: Timestamp,
}

impl From<Attachment> for AttachmentBody {
    fn from(paper: Attachment) -> Self {
        Self {
            id: paper.id,
            order: paper.order,
            name: paper.name.into_revealed(),
            media_type: paper.media_type,
            bytes: paper.bytes,
            sha256: paper.sha256,
            added_by_name: paper.added_by_name,
            added_at: paper.added_at,
        }
    }
}

/// The papers of an order.
#[derive(Serialize, ToSchema)]
struct AttachmentsBody {
    /// Oldest first.
    items: Vec<AttachmentBody>,
}

/// What a paper is called.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct AttachmentQuery {
    /// Its file name, 1 to 120 characters.
    name: String,
}

/// The routes of this file.
pub fn routes(routes: Routes) -> Routes {
    routes
        .add(routes!(list_attachments), Rule::May(Action::ReadOrder))
        .add(routes!(add_attachment), Rule::May(Action::WriteOrder))
        .add(routes!(read_attachment), Rule::May(Action::ReadOrder))
        .add(routes!(remove_attachment), Rule::May(Action::WriteOrder))
}

/// The papers of an order.
#[utoipa::path(
    get, path = "/api/v1/orders/{id}/attachments", tag = "orders",
    operation_id = "list_attachments",
    params(("id" = String, Path, description = "the order")),
    responses((status = 200, body = AttachmentsBody), (status = 404, body = Problem))
)]
async fn list_attachments(
    State(api): State<Api>,
    who: Who,
    Path(id): Path<String>,
) -> Result<Json<AttachmentsBody>, Problem> {
    let order = named(OrderId::parse(&id))?;
    let papers = api.service.attachments(&who.caller, &order).await?;
    Ok(Json(AttachmentsBody { items: papers.into_iter().map(AttachmentBody::from).collect() }))
}

/// Adds a paper to an order: the body is the file itself, at most 8 MiB.
#[utoipa::path(
    post, path = "/api/v1/orders/{id}/attachments", tag = "orders",
    operation_id = "add_attachment",
    params(("id" = String, Path, description = "the order"), AttachmentQuery),
    request_body(
        content = Vec<u8>,
        description = "`Content-Type` application/pdf, image/jpeg or image/png",
        content_type = "application/octet-stream"
    ),
    responses(
        (status = 201, body = AttachmentBody),
        (status = 404, body = Problem),
        (status = 409, body = Problem, description = "the order has 20 papers"),
        (status = 413, body = Problem),
        (status = 422, body = Problem),
    )
)]
async fn add_attachment(
    State(api): State<Api>,
    who: Who,
    Path(id): Path<String>,
    Params(query): Params<AttachmentQuery>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<AttachmentBody>), Problem> {
    let order = named(OrderId::parse(&id))?;
    let body = to_bytes(body, ATTACHMENT_BYTES)
        .await
        .map_err(|_| Problem::new(413, "BODY_TOO_LARGE", "a paper has at most 8 MiB"))?;
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let new = NewAttachment {
        name: Phi::new(query.name),
        media_type: media_type.unwrap_or_default().to_owned(),
        body,
    };
    let made = api.service.add_attachment(&who.caller, &order, new).await?;
    Ok((StatusCode::CREATED, Json(made.into())))
}

/// The bytes of a paper, to be saved or shown by a page of ours.
#[utoipa::path(
    get, path = "/api/v1/attachments/{id}", tag = "orders", operation_id = "read_attachment",
    params(("id" = String, Path, description = "the paper")),
    responses(
        (status = 200, description = "The file", content_type = "application/octet-stream"),
        (status = 404, body = Problem),
    )
)]
async fn read_attachment(
    State(api): State<Api>,
    who: Who,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let id = named(AttachmentId::parse(&id))?;
    let (paper, reader) = api.service.open_attachment(&who.caller, &id).await?;
    let length = reader.length();
    let mut response = Response::new(Body::from_stream(reader.into_stream()));
    let headers = response.headers_mut();
    let disposition = disposition(paper.name.reveal(), &paper.media_type);
    for (name, value) in [
        (header::CONTENT_TYPE, paper.media_type),
        (header::CONTENT_LENGTH, length.to_string()),
        (header::CONTENT_DISPOSITION, disposition),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (header::CONTENT_SECURITY_POLICY, POLICY.to_owned()),
    ] {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    }
    Ok(response)
}

/// Takes a paper from its order; not after a report was signed.
#[utoipa::path(
    delete, path = "/api/v1/attachments/{id}", tag = "orders", operation_id = "remove_attachment",
    params(("id" = String, Path, description = "the paper")),
    responses((status = 204), (status = 404, body = Problem), (status = 409, body = Problem))
)]
async fn remove_attachment(
    State(api): State<Api>,
    who: Who,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let id = named(AttachmentId::parse(&id))?;
    api.service.remove_attachment(&who.caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `Content-Disposition` (RFC 6266): the name in ASCII for old programs and in UTF-8 for the others
/// (RFC 8187), with an ending that says what it is.
fn disposition(name: &str, media_type: &str) -> String {
    let endings: &[&str] = match media_type {
        "application/pdf" => &[".pdf"],
        "image/jpeg" => &[".jpg", ".jpeg"],
        _ => &[".png"],
    };
    let lower = name.to_lowercase();
    let ending = if endings.iter().any(|ending| lower.ends_with(ending)) { "" } else { endings[0] };
    let plain = |c: char| {
        if c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '%') || c == ' ' { c } else { '_' }
    };
    let ascii: String = name.chars().chain(ending.chars()).map(plain).collect();
    let mut encoded = String::new();
    for byte in name.bytes().chain(ending.bytes()) {
        // attr-char of RFC 8187.
        if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    format!("attachment; filename=\"{ascii}\"; filename*=UTF-8''{encoded}")
}

#[cfg(test)]
mod tests {
    use super::disposition;

    #[test]
    fn a_name_of_any_script_is_a_header() {
        assert_eq!(
            disposition("知情 \"1\".PDF", "application/pdf"),
            "attachment; filename=\"__ _1_.PDF\"; \
             filename*=UTF-8''%E7%9F%A5%E6%83%85%20%221%22.PDF"
        );
        assert_eq!(
            disposition("a", "image/jpeg"),
            "attachment; filename=\"a.jpg\"; filename*=UTF-8''a.jpg"
        );
        assert!(disposition("x\r\nSet-Cookie: a", "image/png").is_ascii());
        assert!(!disposition("x\r\ny", "image/png").contains('\n'));
    }
}
