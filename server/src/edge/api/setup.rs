//! `/setup`: the lead hospital and the first administrator, through the one-time link.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::auth::Who;
use super::organizations::OrganizationBody;
use super::page::Body;
use super::people::PersonBody;
use super::{Api, Routes, Rule};
use crate::http::problem::Problem;
use crate::service::accounts::SetUp;

/// What the set-up page sends.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SetUpInput {
    /// The secret from the set-up link.
    token: String,
    /// Name of the lead hospital.
    hospital: String,
    /// Name of the first administrator.
    name: String,
    /// Account name of the first administrator.
    login: String,
    /// Password of the first administrator: at least 12 characters.
    password: String,
}

/// What the set-up made.
#[derive(Serialize, ToSchema)]
struct SetUpBody {
    /// The lead hospital.
    organization: OrganizationBody,
    /// Its administrator, who can sign in now.
    person: PersonBody,
}

/// The routes of this file.
pub fn routes(routes: Routes) -> Routes {
    // Before it there is nobody who could be signed in; the token is the permission.
    routes.add(routes!(set_up), Rule::Public)
}

/// Makes the lead hospital and the first administrator, once.
#[utoipa::path(
    post, path = "/api/v1/setup", tag = "setup", operation_id = "set_up",
    request_body = SetUpInput,
    responses(
        (status = 201, body = SetUpBody),
        (status = 404, body = Problem, description = "the link is wrong, used or out of date"),
        (status = 422, body = Problem),
    )
)]
async fn set_up(
    State(api): State<Api>,
    who: Who,
    Body(input): Body<SetUpInput>,
) -> Result<(StatusCode, Json<SetUpBody>), Problem> {
    let typed = SetUp {
        hospital: input.hospital,
        name: input.name,
        login: input.login,
        password: input.password,
    };
    let (organization, person) = api.service.set_up(&who.caller, &input.token, &typed).await?;
    let body = SetUpBody { organization: organization.into(), person: person.into() };
    Ok((StatusCode::CREATED, Json(body)))
}
