//! `/me`: one's own account, where one stands, and how one likes one's screen.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use medrelay_core::access::Action;
use medrelay_core::id::OrganizationId;
use medrelay_core::people::OrganizationKind;
use medrelay_core::time::Timestamp;

use super::auth::Who;
use super::page::Body;
use super::people::PersonBody;
use super::sessions::{SignedInBody, current, handed_over};
use super::{Api, Routes, Rule};
use crate::http::access::page_secret;
use crate::http::problem::Problem;
use crate::service::step_up::Standing;

/// A change of one's own password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PasswordChange {
    /// The present password.
    current_password: String,
    /// The new one: at least 12 characters.
    password: String,
}

/// Where somebody acts.
#[derive(Serialize, ToSchema)]
struct ActsAt {
    /// The organization.
    #[schema(value_type = String)]
    id: OrganizationId,
    /// Its name.
    name: String,
    /// `lead_hospital`, `county_hospital`, `township_clinic` or `village_clinic`.
    #[schema(value_type = String)]
    kind: OrganizationKind,
}

/// One's own account and where one stands.
#[derive(Serialize, ToSchema)]
struct MeBody {
    /// The account with the roles that count now.
    #[serde(flatten)]
    person: PersonBody,
    /// Until when one may sign without proving again who one is, in microseconds UTC; absent for a
    /// program, which may always.
    #[schema(value_type = Option<i64>)]
    proved_until: Option<Timestamp>,
    /// A second factor must be set up: nothing else is answered until it is.
    must_enrol: bool,
    /// The organizations that one acts in.
    organizations: Vec<ActsAt>,
    /// What changing calls must show in `X-Medrelay-CSRF`, for a browser's session: the same as at
    /// sign-in.
    csrf_token: Option<String>,
}

impl From<Standing> for MeBody {
    fn from(standing: Standing) -> Self {
        let acts_at = standing.organizations.into_iter();
        Self {
            person: standing.person.into(),
            proved_until: standing.proved_until,
            must_enrol: standing.must_enrol,
            organizations: acts_at
                .map(|it| ActsAt { id: it.id, name: it.name, kind: it.kind })
                .collect(),
            csrf_token: standing.csrf_token,
        }
    }
}

/// How somebody likes their screen.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PreferencesBody {
    /// An object that only pages know the meaning of, at most 65536 bytes.
    #[schema(value_type = Object)]
    body: serde_json::Value,
    /// The version that was read, to be sent back with a change; 0 when nothing was saved yet.
    version: i64,
}

/// The routes of this file.
pub fn routes(routes: Routes) -> Routes {
    routes
        .add(routes!(preferences, save_preferences), Rule::May(Action::UseOwnAccount))
        .add(routes!(me), Rule::May(Action::UseOwnAccount))
        .add(routes!(change_password), Rule::May(Action::UseOwnAccount))
}

/// One's own account with the roles that count now, and where one stands. A page that was loaded
/// again gets its CSRF token here.
#[utoipa::path(
    get, path = "/api/v1/me", tag = "accounts", operation_id = "me",
    responses((status = 200, body = MeBody), (status = 401, body = Problem))
)]
async fn me(State(api): State<Api>, who: Who, headers: HeaderMap) -> Result<Json<MeBody>, Problem> {
    let session = current(&who)?;
    let secret = page_secret(&headers);
    Ok(Json(api.service.standing(&who.caller, session, secret.as_deref()).await?.into()))
}

/// How one likes one's screen.
#[utoipa::path(
    get, path = "/api/v1/me/preferences", tag = "accounts", operation_id = "read_preferences",
    responses((status = 200, body = PreferencesBody), (status = 401, body = Problem))
)]
async fn preferences(State(api): State<Api>, who: Who) -> Result<Json<PreferencesBody>, Problem> {
    let (body, version) = api.service.preferences(&who.caller).await?;
    Ok(Json(PreferencesBody { body, version }))
}

/// Keeps how one likes one's screen.
#[utoipa::path(
    put, path = "/api/v1/me/preferences", tag = "accounts", operation_id = "save_preferences",
    request_body = PreferencesBody,
    responses(
        (status = 200, body = PreferencesBody),
        (status = 409, body = Problem, description = "another window has saved in the meantime"),
        (status = 422, body = Problem),
    )
)]
async fn save_preferences(
    State(api): State<Api>,
    who: Who,
    Body(input): Body<PreferencesBody>,
) -> Result<Json<PreferencesBody>, Problem> {
    let PreferencesBody { body, version } = input;
    let version = api.service.save_preferences(&who.caller, &body, version).await?;
    Ok(Json(PreferencesBody { body, version }))
}

/// Changes one's own password, ends one's other sessions and gives this one new secrets.
#[utoipa::path(
    post, path = "/api/v1/me/password", tag = "accounts", operation_id = "change_password",
    request_body = PasswordChange,
    responses(
        (status = 200, body = SignedInBody),
        (status = 401, body = Problem),
        (status = 422, body = Problem),
        (status = 429, body = Problem, description = "too many failed attempts"),
    )
)]
async fn change_password(
    State(api): State<Api>,
    who: Who,
    Body(input): Body<PasswordChange>,
) -> Result<(HeaderMap, Json<SignedInBody>), Problem> {
    let session = current(&who)?;
    let signed_in = api
        .service
        .change_password(&who.caller, session, &input.current_password, &input.password)
        .await?;
    let (headers, body) = handed_over(signed_in)?;
    Ok((headers, Json(body)))
}
