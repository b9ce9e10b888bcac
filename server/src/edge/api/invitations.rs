//! `/people/{id}/invitation` and `/invitations`: how somebody comes to a password of their own.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use medrelay_core::access::Action;
use medrelay_core::id::PersonId;
use medrelay_core::time::Timestamp;

use super::auth::Who;
use super::organizations::named;
use super::page::Body;
use super::sessions::{SignedInBody, handed_over};
use super::{Api, Routes, Rule};
use crate::http::problem::Problem;
use crate::service::invitations::{NewInvitation, OpenedInvitation};

/// An invitation; its secret is shown once. The link for the person is `/invite#TOKEN`.
#[derive(Serialize, ToSchema)]
pub(super) struct InvitationBody {
    /// The secret.
    token: String,
    /// Until when it is good, in microseconds UTC.
    #[schema(value_type = i64)]
    expires_at: Timestamp,
}

impl From<NewInvitation> for InvitationBody {
    fn from(new: NewInvitation) -> Self {
        Self { token: new.token, expires_at: new.expires_at }
    }
}

/// How long an invitation is to be good.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct InvitationInput {
    /// Hours, 1 to 336; 72 if absent.
    hours: Option<i64>,
}

/// The secret of an invitation.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct InvitationSecret {
    /// What stands after `#` in the link.
    token: String,
}

/// What an invitation says.
#[derive(Serialize, ToSchema)]
struct OpenedInvitationBody {
    /// The name of who is invited.
    name: String,
    /// Their account name.
    login: String,
    /// The organization that they are invited to.
    organization_name: String,
    /// A second factor must be set up afterwards.
    second_factor: bool,
    /// The account has a second factor: its code is asked for.
    needs_code: bool,
}

impl From<OpenedInvitation> for OpenedInvitationBody {
    fn from(opened: OpenedInvitation) -> Self {
        Self {
            name: opened.name,
            login: opened.login,
            organization_name: opened.organization_name,
            second_factor: opened.must_enrol,
            needs_code: opened.needs_code,
        }
    }
}

/// The password that somebody has chosen.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AcceptedInvitation {
    /// What stands after `#` in the link.
    token: String,
    /// The password: at least 12 characters.
    password: String,
    /// A code of the second factor, or a recovery code, where the account has one.
    code: Option<String>,
}

/// The routes of this file.
pub fn routes(routes: Routes) -> Routes {
    // Whoever is invited cannot sign in yet; the token is the permission.
    routes
        .add(routes!(invite), Rule::May(Action::ManagePeople))
        .add(routes!(open_invitation), Rule::Public)
        .add(routes!(accept_invitation), Rule::Public)
}

/// Invites a person to choose a password, the first one or in place of a forgotten one. An earlier
/// invitation is worth nothing from here on.
#[utoipa::path(
    post, path = "/api/v1/people/{id}/invitation", tag = "people", operation_id = "invite",
    request_body = InvitationInput,
    params(("id" = String, Path, description = "the person")),
    responses(
        (status = 201, body = InvitationBody),
        (status = 403, body = Problem, description = "the person has roles elsewhere, too"),
        (status = 404, body = Problem),
        (status = 409, body = Problem, description = "the account is closed, or one's own"),
        (status = 422, body = Problem),
    )
)]
async fn invite(
    State(api): State<Api>,
    who: Who,
    Path(id): Path<String>,
    Body(input): Body<InvitationInput>,
) -> Result<(StatusCode, Json<InvitationBody>), Problem> {
    let id = named(PersonId::parse(&id))?;
    let invitation = api.service.invite(&who.caller, &id, input.hours).await?;
    Ok((StatusCode::CREATED, Json(invitation.into())))
}

/// Whom an invitation is for.
#[utoipa::path(
    post, path = "/api/v1/invitations/open", tag = "sessions", operation_id = "open_invitation",
    request_body = InvitationSecret,
    responses(
        (status = 200, body = OpenedInvitationBody),
        (status = 404, body = Problem, description = "it is wrong, used or out of date"),
        (status = 429, body = Problem, description = "too many wrong ones"),
    )
)]
async fn open_invitation(
    State(api): State<Api>,
    who: Who,
    Body(input): Body<InvitationSecret>,
) -> Result<Json<OpenedInvitationBody>, Problem> {
    let opened = api.service.open_invitation(&input.token, &who.caller.source).await?;
    Ok(Json(opened.into()))
}

/// Chooses the password, ends every other session of the person, and signs in at the browser.
#[utoipa::path(
    post, path = "/api/v1/invitations/accept", tag = "sessions",
    operation_id = "accept_invitation", request_body = AcceptedInvitation,
    responses(
        (status = 201, body = SignedInBody),
        (status = 401, body = Problem, description = "a code is needed, or it is wrong"),
        (status = 404, body = Problem, description = "it is wrong, used or out of date"),
        (status = 422, body = Problem),
        (status = 429, body = Problem, description = "too many wrong ones"),
    )
)]
async fn accept_invitation(
    State(api): State<Api>,
    who: Who,
    Body(input): Body<AcceptedInvitation>,
) -> Result<(StatusCode, HeaderMap, Json<SignedInBody>), Problem> {
    let code = input.code.as_deref();
    let source = &who.caller.source;
    let accepted = api.service.accept_invitation(&input.token, &input.password, code, source);
    let (headers, body) = handed_over(accepted.await?)?;
    Ok((StatusCode::CREATED, headers, Json(body)))
}
