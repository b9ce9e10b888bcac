//! `/sessions`: signing in and out. A browser gets a cookie that scripts cannot read and a CSRF
//! token that only its own pages know; a program gets a bearer token.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use medrelay_core::access::{Action, Denial};
use medrelay_core::id::SessionId;
use medrelay_core::time::Timestamp;

use super::auth::{COOKIE, Who};
use super::organizations::named;
use super::page::Body;
use super::people::PersonBody;
use super::{Api, Routes, Rule};
use crate::http::problem::Problem;
use crate::service::Error;
use crate::service::sign_in::{Credentials, SignedIn};
use crate::service::{Session, SessionKind};

/// Who signs in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SignIn {
    /// Account name.
    login: String,
    /// Password.
    password: String,
    /// The second factor's code, or a recovery code, where the account has one.
    code: Option<String>,
    /// How the session's secret travels.
    #[serde(default)]
    kind: Kind,
}

/// How the secret of a session travels.
#[derive(Clone, Copy, Default, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Kind {
    /// As a cookie; changing calls must show the CSRF token in `X-Medrelay-CSRF`.
    Browser,
    /// As `Authorization: Bearer …`.
    #[default]
    Program,
}

/// A session.
#[derive(Serialize, ToSchema)]
pub(super) struct SessionBody {
    /// Its identifier.
    #[schema(value_type = String)]
    id: SessionId,
    /// How its secret travels.
    kind: Kind,
    /// Address that it was opened from.
    source: String,
    /// When it was opened, in microseconds UTC.
    #[schema(value_type = i64)]
    created_at: Timestamp,
    /// When it was last used, to the minute.
    #[schema(value_type = i64)]
    used_at: Timestamp,
    /// When it ends in any case.
    #[schema(value_type = i64)]
    expires_at: Timestamp,
    /// Whether it is the one that asks.
    current: bool,
}

/// A session with its secrets; they are shown once.
#[derive(Serialize, ToSchema)]
pub(super) struct SignedInBody {
    /// The session.
    session: SessionBody,
    /// Whose.
    person: PersonBody,
    /// The bearer token, for a program.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    /// A second factor must be set up: nothing but `/me` and `/sessions` is answered until it is.
    must_enrol: bool,
    /// What changing calls must show in `X-Medrelay-CSRF`, for a browser.
    #[serde(skip_serializing_if = "Option::is_none")]
    csrf_token: Option<String>,
}

/// The sessions of an account.
#[derive(Serialize, ToSchema)]
struct SessionList {
    /// The sessions, oldest first.
    items: Vec<SessionBody>,
}

/// The routes of this file.
pub fn routes(routes: Routes) -> Routes {
    routes
        .add(routes!(sign_in), Rule::Public)
        .add(routes!(list_sessions, end_all_sessions), Rule::May(Action::UseOwnAccount))
        .add(routes!(sign_out), Rule::May(Action::UseOwnAccount))
        .add(routes!(end_session), Rule::May(Action::UseOwnAccount))
}

/// Signs in.
#[utoipa::path(
    post, path = "/api/v1/sessions", tag = "sessions", operation_id = "sign_in",
    request_body = SignIn,
    responses(
        (status = 201, body = SignedInBody),
        (
            status = 401, body = Problem,
            description = "account name, password or code is wrong, or a code is needed"
        ),
        (status = 429, body = Problem, description = "too many failed attempts"),
        (status = 503, body = Problem, description = "too many are signing in at once"),
    )
)]
async fn sign_in(
    State(api): State<Api>,
    who: Who,
    Body(input): Body<SignIn>,
) -> Result<(StatusCode, HeaderMap, Json<SignedInBody>), Problem> {
    let kind = match input.kind {
        Kind::Browser => SessionKind::Browser,
        Kind::Program => SessionKind::Program,
    };
    let typed =
        Credentials { login: &input.login, password: &input.password, code: input.code.as_deref() };
    let signed_in = api.service.sign_in(&typed, kind, &who.caller.source).await?;
    let (headers, body) = handed_over(signed_in)?;
    Ok((StatusCode::CREATED, headers, Json(body)))
}

/// One's own sessions.
#[utoipa::path(
    get, path = "/api/v1/sessions", tag = "sessions", operation_id = "list_sessions",
    responses((status = 200, body = SessionList), (status = 401, body = Problem))
)]
async fn list_sessions(State(api): State<Api>, who: Who) -> Result<Json<SessionList>, Problem> {
    let sessions = api.service.sessions(&who.caller).await?;
    let items = sessions
        .into_iter()
        .map(|session| SessionBody::new(session, who.session.as_ref()))
        .collect();
    Ok(Json(SessionList { items }))
}

/// Ends every session of one's own, the one that asks included.
#[utoipa::path(
    delete, path = "/api/v1/sessions", tag = "sessions", operation_id = "end_all_sessions",
    responses((status = 204), (status = 401, body = Problem))
)]
async fn end_all_sessions(
    State(api): State<Api>,
    who: Who,
) -> Result<(StatusCode, HeaderMap), Problem> {
    api.service.end_all_sessions(&who.caller).await?;
    Ok((StatusCode::NO_CONTENT, cookie("", "; Max-Age=0")?))
}

/// Signs out.
#[utoipa::path(
    delete, path = "/api/v1/sessions/current", tag = "sessions", operation_id = "sign_out",
    responses((status = 204), (status = 401, body = Problem))
)]
async fn sign_out(State(api): State<Api>, who: Who) -> Result<(StatusCode, HeaderMap), Problem> {
    let session = current(&who)?;
    api.service.end_session(&who.caller, session).await?;
    Ok((StatusCode::NO_CONTENT, cookie("", "; Max-Age=0")?))
}

/// Ends one of one's own sessions.
#[utoipa::path(
    delete, path = "/api/v1/sessions/{id}", tag = "sessions", operation_id = "end_session",
    params(("id" = String, Path, description = "the session")),
    responses((status = 204), (status = 401, body = Problem), (status = 404, body = Problem))
)]
async fn end_session(
    State(api): State<Api>,
    who: Who,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let id = named(SessionId::parse(&id))?;
    api.service.end_session(&who.caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The session that a request came with.
pub(super) fn current(who: &Who) -> Result<&SessionId, Problem> {
    who.session.as_ref().ok_or_else(|| Error::Denied(Denial::Unauthenticated).into())
}

/// A new session as it is handed over: a browser's secret goes into the cookie and nowhere else.
pub(super) fn handed_over(signed_in: SignedIn) -> Result<(HeaderMap, SignedInBody), Problem> {
    let SignedIn { session, person, token, csrf_token, must_enrol } = signed_in;
    let (mut headers, token, csrf_token) = match session.kind {
        SessionKind::Browser => (cookie(&token, "")?, None, Some(csrf_token)),
        SessionKind::Program => (HeaderMap::new(), Some(token), None),
    };
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let id = session.id.clone();
    let session = SessionBody::new(session, Some(&id));
    let person = person.into();
    Ok((headers, SignedInBody { session, person, token, must_enrol, csrf_token }))
}

impl SessionBody {
    fn new(session: Session, current: Option<&SessionId>) -> Self {
        Self {
            current: current == Some(&session.id),
            id: session.id,
            kind: match session.kind {
                SessionKind::Browser => Kind::Browser,
                SessionKind::Program => Kind::Program,
            },
            source: session.source,
            created_at: session.created_at,
            used_at: session.used_at,
            expires_at: session.expires_at,
        }
    }
}

/// The session cookie. Its prefix makes browsers insist on Secure, Path=/ and no Domain.
fn cookie(token: &str, more: &str) -> Result<HeaderMap, Problem> {
    let text = format!("{COOKIE}={token}; Path=/; Secure; HttpOnly; SameSite=Strict{more}");
    let value = HeaderValue::try_from(text)
        .map_err(|_| Problem::new(500, "INTERNAL", "the session's cookie cannot be made"))?;
    Ok(HeaderMap::from_iter([(header::SET_COOKIE, value)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cookie_is_out_of_reach_of_scripts_and_other_sites() {
        let headers = cookie("abc", "").expect("a cookie");
        assert_eq!(
            headers[header::SET_COOKIE],
            "__Host-medrelay=abc; Path=/; Secure; HttpOnly; SameSite=Strict"
        );
        assert!(cookie("a\nb", "").is_err());
    }
}
