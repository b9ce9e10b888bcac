//! `/messages` and `/cases/{id}/messages`: what is said about cases.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use medrelay_core::access::Action;
use medrelay_core::id::{CaseId, MessageId, OrganizationId, PersonId, Phi};
use medrelay_core::message::{MessageKind, ReturnCode};
use medrelay_core::study::display_name;
use medrelay_core::time::Timestamp;

use super::auth::Who;
use super::organizations::named;
use super::page::{Body, Page, Params};
use super::{Api, Routes, Rule};
use crate::http::problem::Problem;
use crate::service::messages::NewMessage;
use crate::service::{Message, MessageFilter, PAGE_LIMIT};

/// A message about a case.
#[derive(Serialize, ToSchema)]
struct MessageBody {
    /// Its identifier.
    #[schema(value_type = String)]
    id: MessageId,
    /// The case that it is about.
    #[schema(value_type = String)]
    case: CaseId,
    /// The case's number for people.
    case_number: String,
    /// Patient's name for people to read.
    patient: String,
    /// The side that wrote it: the clinic or the centre.
    #[schema(value_type = String)]
    organization: OrganizationId,
    /// Its name.
    organization_name: String,
    /// `return_request`, `notice` or `discussion`.
    #[schema(value_type = String)]
    kind: MessageKind,
    /// What is the matter, such as `POSITIONING`; only in a return request.
    #[schema(value_type = Option<String>)]
    code: Option<ReturnCode>,
    /// What it says.
    text: String,
    /// Who wrote it.
    #[schema(value_type = String)]
    written_by: PersonId,
    /// Their name.
    written_by_name: String,
    /// When, in microseconds UTC.
    #[schema(value_type = i64)]
    written_at: Timestamp,
    /// The caller has not listed the messages of this case since it was written.
    unread: bool,
}

impl From<Message> for MessageBody {
    fn from(message: Message) -> Self {
        Self {
            id: message.id,
            case: message.case,
            case_number: message.case_number,
            patient: display_name(message.patient_name.reveal()),
            organization: message.organization,
            organization_name: message.organization_name,
            kind: message.kind,
            code: message.code,
            text: message.text.into_revealed(),
            written_by: message.written_by,
            written_by_name: message.written_by_name,
            written_at: message.written_at,
            unread: message.unread,
        }
    }
}

/// The messages about a case.
#[derive(Serialize, ToSchema)]
struct MessagesBody {
    /// Oldest first.
    items: Vec<MessageBody>,
}

/// A message to be written.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct MessageInput {
    /// `return_request` (something is to be done again or added) or `notice`, from the centre;
    /// `discussion` from either side.
    #[schema(value_type = String)]
    kind: MessageKind,
    /// What is the matter; needed for a return request: `MISSING_HISTORY`, `MISSING_IMAGES`,
    /// `WRONG_PATIENT`, `WRONG_SITE`, `POSITIONING`, `MOTION`, `EXPOSURE`, `ARTIFACT`, `SEQUENCE`,
    /// `CONTRAST_PHASE`, `LEAD_REVERSAL`, `BASELINE`, `NOISE`, `NO_CALIBRATION`, `DUPLICATE`,
    /// `OUT_OF_SCOPE`.
    #[schema(value_type = Option<String>)]
    code: Option<ReturnCode>,
    /// What it says, at most 2000 characters; only a return request may do without.
    #[serde(default)]
    text: String,
}

/// The routes of this file.
pub fn routes(routes: Routes) -> Routes {
    routes
        .add(routes!(list_messages), Rule::May(Action::ReadMessage))
        // Who may write which kind is the use case's to say: both sides discuss.
        .add(routes!(write_message), Rule::May(Action::ReadMessage))
        .add(routes!(list_all_messages), Rule::May(Action::ReadMessage))
}

/// The messages about a case; from now on the caller has seen them.
#[utoipa::path(
    get, path = "/api/v1/cases/{id}/messages", tag = "cases", operation_id = "list_messages",
    params(("id" = String, Path, description = "the case")),
    responses((status = 200, body = MessagesBody), (status = 404, body = Problem))
)]
async fn list_messages(
    State(api): State<Api>,
    who: Who,
    Path(id): Path<String>,
) -> Result<Json<MessagesBody>, Problem> {
    let case = named(CaseId::parse(&id))?;
    let messages = api.service.messages(&who.caller, &case).await?;
    Ok(Json(MessagesBody { items: messages.into_iter().map(MessageBody::from).collect() }))
}

/// Writes about a case. The gateways of its clinic fetch return requests and notices.
#[utoipa::path(
    post, path = "/api/v1/cases/{id}/messages", tag = "cases", operation_id = "write_message",
    request_body = MessageInput,
    params(("id" = String, Path, description = "the case")),
    responses(
        (status = 201, body = MessageBody),
        (status = 404, body = Problem),
        (status = 422, body = Problem),
    )
)]
async fn write_message(
    State(api): State<Api>,
    who: Who,
    Path(id): Path<String>,
    Body(input): Body<MessageInput>,
) -> Result<(StatusCode, Json<MessageBody>), Problem> {
    let case = named(CaseId::parse(&id))?;
    let new = NewMessage { kind: input.kind, code: input.code, text: Phi::new(input.text) };
    let written = api.service.write_message(&who.caller, &case, &new).await?;
    Ok((StatusCode::CREATED, Json(written.into())))
}

/// Which messages.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct MessageQuery {
    /// Only those of this kind: `return_request`, `notice` or `discussion`.
    #[param(value_type = Option<String>)]
    kind: Option<MessageKind>,
    /// Only those that the caller has not seen.
    #[serde(default)]
    unread: bool,
    /// The identifier of the last message of the previous page.
    #[param(value_type = Option<String>)]
    after: Option<MessageId>,
    /// How many at most, 1 to 200; 50 if absent.
    limit: Option<i64>,
}

/// Everything that is said about the cases that the caller may see, newest first.
#[utoipa::path(
    get, path = "/api/v1/messages", tag = "cases", params(MessageQuery),
    responses((status = 200, body = Page<MessageBody>))
)]
async fn list_all_messages(
    State(api): State<Api>,
    who: Who,
    Params(query): Params<MessageQuery>,
) -> Result<Json<Page<MessageBody>>, Problem> {
    let limit = query.limit.unwrap_or(50).clamp(1, PAGE_LIMIT);
    let filter = MessageFilter { kind: query.kind, unread: query.unread };
    let after = query.after.as_ref();
    let messages = api.service.all_messages(&who.caller, &filter, after, limit + 1).await?;
    let messages = messages.into_iter().map(MessageBody::from).collect();
    Ok(Json(Page::of(messages, limit, |message: &MessageBody| message.id.to_string())))
}
