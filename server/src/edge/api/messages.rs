//! `/cases/{id}/messages`: what the centre says to the clinic about a case.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use medrelay_core::access::Action;
use medrelay_core::id::{CaseId, MessageId, PersonId, Phi};
use medrelay_core::message::{MessageKind, ReturnCode};
use medrelay_core::time::Timestamp;

use super::auth::Who;
use super::organizations::named;
use super::page::Body;
use super::{Api, Routes, Rule};
use crate::http::problem::Problem;
use crate::service::Message;
use crate::service::messages::NewMessage;

/// A message to a clinic about a case.
#[derive(Serialize, ToSchema)]
struct MessageBody {
    /// Its identifier.
    #[schema(value_type = String)]
    id: MessageId,
    /// The case that it is about.
    #[schema(value_type = String)]
    case: CaseId,
    /// `return_request` or `notice`.
    #[schema(value_type = String)]
    kind: MessageKind,
    /// What is the matter, such as `POSITIONING`; absent from a notice.
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
}

impl From<Message> for MessageBody {
    fn from(message: Message) -> Self {
        Self {
            id: message.id,
            case: message.case,
            kind: message.kind,
            code: message.code,
            text: message.text.into_revealed(),
            written_by: message.written_by,
            written_by_name: message.written_by_name,
            written_at: message.written_at,
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
    /// `return_request` (something is to be done again or added) or `notice`.
    #[schema(value_type = String)]
    kind: MessageKind,
    /// What is the matter; needed for a return request: `MISSING_HISTORY`, `MISSING_IMAGES`,
    /// `WRONG_PATIENT`, `WRONG_SITE`, `POSITIONING`, `MOTION`, `EXPOSURE`, `ARTIFACT`, `SEQUENCE`,
    /// `CONTRAST_PHASE`, `LEAD_REVERSAL`, `BASELINE`, `NOISE`, `NO_CALIBRATION`, `DUPLICATE`,
    /// `OUT_OF_SCOPE`.
    #[schema(value_type = Option<String>)]
    code: Option<ReturnCode>,
    /// What it says, at most 2000 characters; needed for a notice.
    #[serde(default)]
    text: String,
}

/// The routes of this file.
pub fn routes(routes: Routes) -> Routes {
    routes
        .add(routes!(list_messages), Rule::May(Action::ReadMessage))
        .add(routes!(write_message), Rule::May(Action::WriteMessage))
}

/// The messages about a case.
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

/// Writes to the clinic of a case; its gateways fetch the message.
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
