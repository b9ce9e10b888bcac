//! `Idempotency-Key`: a call that is sent twice is done once.
//!
//! Only successes are recorded: a refusal has changed nothing, so the same key may try again
//! after the cause is gone. Answers are kept sealed (they hold patient data and claim tokens) and
//! belong to one person. Signing in and setting up hand out sessions and never take part.

use axum::body::{Body, HttpBody as _, to_bytes};
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use tracing::Instrument as _;

use medrelay_core::id::PersonId;

use super::auth::Who;
use super::{Api, BODY_LIMIT_BYTES};
use crate::http::access::body_limit;
use crate::http::problem::Problem;
use crate::service::idempotency::{Repeated, request_hash};

/// The header that names a call.
pub const KEY_HEADER: &str = "idempotency-key";
/// The header that marks an answer that was recorded earlier.
pub const REPLAY_HEADER: &str = "idempotent-replay";
/// Longest key, in characters.
const KEY_LIMIT: usize = 128;
/// Paths whose answers hold sessions; below each of them too.
const EXCLUDED: [&str; 2] = ["/api/v1/sessions", "/api/v1/setup"];

/// Middleware: keeps the answers of POST requests that carry a key.
pub async fn keep(State(api): State<Api>, request: Request, next: Next) -> Response {
    match key_of(&request) {
        Ok(None) => next.run(request).await,
        Ok(Some((person, key))) => match once(api, person, key, request, next).await {
            Ok(response) => response,
            Err(problem) => problem.into_response(),
        },
        Err(problem) => problem.into_response(),
    }
}

/// The caller and the key of a request that takes part.
fn key_of(request: &Request) -> Result<Option<(PersonId, String)>, Problem> {
    let path = request.uri().path();
    let excluded = EXCLUDED.iter().any(|prefix| path.starts_with(prefix));
    if request.method() != Method::POST || excluded {
        return Ok(None);
    }
    let Some(value) = request.headers().get(KEY_HEADER) else { return Ok(None) };
    let Some(person) = request.extensions().get::<Who>().and_then(|who| who.caller.actor.person())
    else {
        return Ok(None);
    };
    let key = value.as_bytes();
    if !(1..=KEY_LIMIT).contains(&key.len()) || !key.iter().all(u8::is_ascii_graphic) {
        let mut problem = Problem::new(
            422,
            "VALIDATION",
            "Idempotency-Key takes 1 to 128 visible ASCII characters",
        );
        problem.field = Some("Idempotency-Key");
        return Err(problem);
    }
    Ok(Some((person.clone(), String::from_utf8_lossy(key).into_owned())))
}

async fn once(
    api: Api,
    person: PersonId,
    key: String,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let path = parts.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let body = to_bytes(body, body_limit(path)).await.map_err(|_| {
        Problem::new(413, "BODY_TOO_LARGE", "the body is larger than is taken here")
    })?;
    let target = parts.uri.path_and_query().map_or("", |target| target.as_str());
    let hash = request_hash(parts.method.as_str(), target, &body);
    match api.service.begin_idempotent(&person, &key, &hash).await? {
        Repeated::First => {}
        Repeated::InFlight => {
            let mut problem =
                Problem::new(409, "IN_FLIGHT", "the same call is being worked on: wait for it");
            problem.retry_after = Some(1);
            return Err(problem);
        }
        Repeated::Mismatch => {
            return Err(Problem::new(
                422,
                "IDEMPOTENCY_MISMATCH",
                "this Idempotency-Key was used for another request: take a new one",
            ));
        }
        Repeated::Answered(status, recorded) => return replay(status, &recorded),
    }
    // On its own task: the work and its record are finished even if the caller hangs up.
    let work = async move {
        let response = next.run(Request::from_parts(parts, Body::from(body))).await;
        record(&api, &person, &key, response).await
    };
    tokio::spawn(work.in_current_span()).await.map_err(|error| {
        tracing::error!(%error, "a call with an Idempotency-Key did not end");
        Problem::new(500, "INTERNAL", "the relay has a fault; the operator's log says more")
    })
}

/// An answer as it is kept.
#[derive(Serialize, Deserialize)]
struct Recorded {
    content_type: Option<String>,
    body: String,
}

/// Keeps a success and forgets everything else.
async fn record(api: &Api, person: &PersonId, key: &str, response: Response) -> Response {
    let whole = response.body().size_hint().upper().is_some_and(|n| n <= BODY_LIMIT_BYTES as u64);
    // An answer with the secret of a session is handed over once and kept nowhere.
    let secret = response.headers().contains_key(header::SET_COOKIE)
        || response.headers().get(header::CACHE_CONTROL).is_some_and(|value| value == "no-store");
    if !response.status().is_success() || !whole || secret {
        if let Err(error) = api.service.forget_idempotent(person, key).await {
            tracing::warn!(%error, "an idempotency key could not be forgotten");
        }
        return response;
    }
    let (parts, body) = response.into_parts();
    let Ok(body) = to_bytes(body, BODY_LIMIT_BYTES).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let content_type = parts.headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok());
    let recorded = Recorded {
        content_type: content_type.map(str::to_owned),
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    let text = serde_json::to_string(&recorded).unwrap_or_default();
    let status = parts.status.as_u16();
    if let Err(error) = api.service.finish_idempotent(person, key, status, &text).await {
        // The work is done; a repetition is told "in flight" until the key is swept, not doubled.
        tracing::warn!(%error, "an answer could not be recorded for its Idempotency-Key");
    }
    Response::from_parts(parts, Body::from(body))
}

fn replay(status: u16, recorded: &str) -> Result<Response, Problem> {
    let damaged = || Problem::new(500, "INTERNAL", "the recorded answer cannot be read");
    let recorded: Recorded = serde_json::from_str(recorded).map_err(|_| damaged())?;
    let status = StatusCode::from_u16(status).map_err(|_| damaged())?;
    let mut response = (status, recorded.body).into_response();
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_TYPE);
    if let Some(value) = recorded.content_type.and_then(|text| HeaderValue::try_from(text).ok()) {
        headers.insert(header::CONTENT_TYPE, value);
    }
    headers.insert(REPLAY_HEADER, HeaderValue::from_static("true"));
    Ok(response)
}
