//! `/me/second-factor`, `/me/step-up`: proving more than a password, and proving it again.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use medrelay_core::access::Action;
use medrelay_core::id::PersonId;
use medrelay_core::time::Timestamp;

use super::auth::Who;
use super::organizations::named;
use super::page::Body;
use super::sessions::current;
use super::{Api, Routes, Rule};
use crate::http::problem::Problem;
use crate::service::Error;
use crate::service::step_up::Proving;

/// One's own password, shown again.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ShownPassword {
    /// The password.
    password: String,
}

/// A secret for an authenticator app; it is shown once and not asked for until it is confirmed.
#[derive(Serialize, ToSchema)]
struct ProposedBody {
    /// For typing: base32.
    secret: String,
    /// For a QR code: `otpauth://totp/…`.
    uri: String,
}

/// A code of the authenticator app.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ShownCode {
    /// Six digits.
    code: String,
}

/// Codes for whoever has lost the second factor; each is good once, and they are shown once.
#[derive(Serialize, ToSchema)]
struct RecoveryBody {
    /// Ten of them.
    recovery_codes: Vec<String>,
}

/// What takes the second factor away.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SecondFactorRemoval {
    /// The password.
    password: String,
    /// A code of the authenticator app, or a recovery code.
    code: String,
}

/// One of the two.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct StepUp {
    /// The password.
    password: Option<String>,
    /// A code of the authenticator app, or a recovery code.
    code: Option<String>,
}

/// How long a proof holds.
#[derive(Serialize, ToSchema)]
struct SteppedUp {
    /// Until when one may sign without another, in microseconds UTC.
    #[schema(value_type = i64)]
    until: Timestamp,
}

/// The routes of this file.
pub fn routes(routes: Routes) -> Routes {
    routes
        .add(routes!(propose_second_factor), Rule::May(Action::UseOwnAccount))
        .add(routes!(confirm_second_factor), Rule::May(Action::UseOwnAccount))
        .add(routes!(remove_second_factor), Rule::May(Action::UseOwnAccount))
        .add(routes!(step_up), Rule::May(Action::UseOwnAccount))
        .add(routes!(reset_second_factor), Rule::May(Action::ManagePeople))
}

/// Makes a secret for one's authenticator app, to be confirmed with its first code.
#[utoipa::path(
    post, path = "/api/v1/me/second-factor", tag = "accounts",
    operation_id = "propose_second_factor", request_body = ShownPassword,
    responses(
        (status = 200, body = ProposedBody),
        (status = 409, body = Problem, description = "there is one: remove it first"),
        (status = 422, body = Problem, description = "the password is wrong"),
        (status = 429, body = Problem, description = "too many failed attempts"),
    )
)]
async fn propose_second_factor(
    State(api): State<Api>,
    who: Who,
    Body(input): Body<ShownPassword>,
) -> Result<(HeaderMap, Json<ProposedBody>), Problem> {
    let proposed = api.service.propose_second_factor(&who.caller, &input.password).await?;
    Ok((once(), Json(ProposedBody { secret: proposed.secret, uri: proposed.uri })))
}

/// Puts the second factor in force and gives recovery codes. One's other sessions end.
#[utoipa::path(
    post, path = "/api/v1/me/second-factor/confirm", tag = "accounts",
    operation_id = "confirm_second_factor", request_body = ShownCode,
    responses(
        (status = 200, body = RecoveryBody),
        (status = 409, body = Problem, description = "nothing waits to be confirmed"),
        (status = 422, body = Problem, description = "the code is wrong"),
        (status = 429, body = Problem, description = "too many failed attempts"),
    )
)]
async fn confirm_second_factor(
    State(api): State<Api>,
    who: Who,
    Body(input): Body<ShownCode>,
) -> Result<(HeaderMap, Json<RecoveryBody>), Problem> {
    let session = current(&who)?;
    let codes = api.service.confirm_second_factor(&who.caller, session, &input.code).await?;
    Ok((once(), Json(RecoveryBody { recovery_codes: codes })))
}

/// Removes one's own second factor.
#[utoipa::path(
    post, path = "/api/v1/me/second-factor/remove", tag = "accounts",
    operation_id = "remove_second_factor", request_body = SecondFactorRemoval,
    responses(
        (status = 204),
        (status = 409, body = Problem, description = "there is none"),
        (status = 422, body = Problem, description = "the password or the code is wrong"),
        (status = 429, body = Problem, description = "too many failed attempts"),
    )
)]
async fn remove_second_factor(
    State(api): State<Api>,
    who: Who,
    Body(input): Body<SecondFactorRemoval>,
) -> Result<StatusCode, Problem> {
    api.service.remove_second_factor(&who.caller, &input.password, &input.code).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Proves again who one is, with the password or a code: needed to sign at a browser.
#[utoipa::path(
    post, path = "/api/v1/me/step-up", tag = "accounts", operation_id = "step_up",
    request_body = StepUp,
    responses(
        (status = 200, body = SteppedUp),
        (status = 422, body = Problem, description = "the password or the code is wrong"),
        (status = 429, body = Problem, description = "too many failed attempts"),
    )
)]
async fn step_up(
    State(api): State<Api>,
    who: Who,
    Body(input): Body<StepUp>,
) -> Result<Json<SteppedUp>, Problem> {
    let session = current(&who)?;
    let proving = match (&input.password, &input.code) {
        (Some(password), None) => Proving::Password(password),
        (None, Some(code)) => Proving::Code(code),
        (Some(_), Some(_)) | (None, None) => {
            return Err(Error::invalid("password", "show either the password or a code").into());
        }
    };
    let until = api.service.step_up(&who.caller, session, proving).await?;
    Ok(Json(SteppedUp { until }))
}

/// Removes the second factor of somebody who has lost it, and ends their sessions.
#[utoipa::path(
    post, path = "/api/v1/people/{id}/second-factor/remove", tag = "people",
    operation_id = "reset_second_factor",
    params(("id" = String, Path, description = "the person")),
    responses(
        (status = 204),
        (status = 403, body = Problem, description = "the person has roles elsewhere, too"),
        (status = 404, body = Problem),
        (status = 409, body = Problem, description = "it is one's own"),
    )
)]
async fn reset_second_factor(
    State(api): State<Api>,
    who: Who,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let id = named(PersonId::parse(&id))?;
    api.service.remove_second_factor_of(&who.caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The headers of an answer that is shown once and kept nowhere.
fn once() -> HeaderMap {
    HeaderMap::from_iter([(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))])
}
