//! `/me`: one's own account.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use medrelay_core::access::Action;

use super::auth::Who;
use super::page::Body;
use super::people::PersonBody;
use super::sessions::{SignedInBody, current, handed_over};
use super::{Api, Routes, Rule};
use crate::http::problem::Problem;

/// A change of one's own password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PasswordChange {
    /// The present password.
    current_password: String,
    /// The new one: at least 12 characters.
    password: String,
}

/// The routes of this file.
pub fn routes(routes: Routes) -> Routes {
    routes
        .add(routes!(me), Rule::May(Action::UseOwnAccount))
        .add(routes!(change_password), Rule::May(Action::UseOwnAccount))
}

/// One's own account with the roles that count now.
#[utoipa::path(
    get, path = "/api/v1/me", tag = "accounts", operation_id = "me",
    responses((status = 200, body = PersonBody), (status = 401, body = Problem))
)]
async fn me(State(api): State<Api>, who: Who) -> Result<Json<PersonBody>, Problem> {
    Ok(Json(api.service.me(&who.caller).await?.into()))
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
