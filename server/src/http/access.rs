//! Who may ask what over HTTP, for every edge: session cookie or bearer token, the route's rule, and
//! protection against requests that another site makes a browser send.
//!
//! A route exists only together with its [`Rule`]: [`Routes::add`] takes both, and there is no
//! other way in. The rule says who may even ask; the use case behind it decides about the object.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts, MatchedPath, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use utoipa::openapi::OpenApi;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

use medrelay_core::access::{Action, Denial, may_somewhere};
use medrelay_core::id::SessionId;
use medrelay_core::people::Actor;

use super::problem::Problem;
use crate::service::{Caller, Error, Service, SessionKind};

/// The largest JSON body that is read.
pub const BODY_LIMIT_BYTES: usize = 1 << 20;
/// Routes whose body is not JSON, and how long it may be.
const LARGER_BODIES: [(&str, usize); 1] =
    [("/api/v1/orders/{id}/attachments", crate::service::attachments::ATTACHMENT_BYTES)];

/// The browser's session cookie. The prefix makes browsers insist on Secure, Path=/ and no Domain.
pub const COOKIE: &str = "__Host-medrelay";
/// The header in which a browser page shows the token that it was given at sign-in.
pub const CSRF_HEADER: &str = "x-medrelay-csrf";

/// What every handler gets.
#[derive(Clone)]
pub struct Api {
    /// The use cases.
    pub service: Service,
    /// The rule of every route, by method and path pattern.
    pub rules: Arc<Rules>,
}

/// Who may ask at a route at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Anybody: signing in, the set-up link, the description of the interface.
    Public,
    /// A signed-in person whose roles allow the action on something.
    May(Action),
    /// The same, and somebody at a browser has proved lately that it is they who sit there.
    Proved(Action),
}

/// The rules by `"GET /api/v1/queue"`.
pub type Rules = BTreeMap<String, Rule>;

/// Collects routes with their rules.
pub struct Routes {
    router: OpenApiRouter<Api>,
    rules: Rules,
}

impl Routes {
    /// No route yet; `description` says what the interface is.
    pub fn new(description: OpenApi) -> Self {
        Self { router: OpenApiRouter::with_openapi(description), rules: Rules::new() }
    }

    /// Adds one handler, made by `utoipa_axum::routes!`, with the rule for all of its methods.
    #[must_use]
    pub fn add(mut self, route: UtoipaMethodRouter<Api>, rule: Rule) -> Self {
        for (path, item) in &route.1.paths {
            let methods = [
                ("GET", item.get.is_some()),
                ("POST", item.post.is_some()),
                ("PUT", item.put.is_some()),
                ("PATCH", item.patch.is_some()),
                ("DELETE", item.delete.is_some()),
            ];
            for (method, _) in methods.iter().filter(|(_, present)| *present) {
                self.rules.insert(format!("{method} {path}"), rule);
            }
        }
        self.router = self.router.routes(route);
        self
    }

    /// The routes, their description, and the rule of every one of them.
    pub fn into_parts(self) -> (OpenApiRouter<Api>, Rules) {
        (self.router, self.rules)
    }
}

/// The caller of a request and the session it came with.
#[derive(Debug, Clone)]
pub struct Who {
    /// Who, and from where.
    pub caller: Caller,
    /// Which session, if signed in.
    pub session: Option<SessionId>,
}

impl<S: Send + Sync> FromRequestParts<S> for Who {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts
            .extensions
            .get::<Self>()
            .cloned()
            .ok_or_else(|| Error::Denied(Denial::Unauthenticated).into())
    }
}

/// Middleware: finds out who is asking and whether they may ask here at all.
pub async fn guard(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let asked = Asked {
        path: path.unwrap_or_default().to_owned(),
        method: request.method().clone(),
        headers: request.headers().clone(),
        source: source_of(&request),
    };
    if announced_bytes(&asked.headers) > body_limit(&asked.path) as u64 {
        return Problem::new(413, "BODY_TOO_LARGE", "the body is larger than is taken here")
            .into_response();
    }
    match identify(&api, asked).await {
        Ok(who) => {
            request.extensions_mut().insert(who);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}

/// What of a request matters for who may ask: without its body, which only one task may hold.
struct Asked {
    path: String,
    method: Method,
    headers: HeaderMap,
    source: String,
}

async fn identify(api: &Api, asked: Asked) -> Result<Who, Problem> {
    let Asked { path, method, headers, source } = asked;
    // HEAD is answered by the GET handler, so it is under GET's rule.
    let ruled = if method == Method::HEAD { &Method::GET } else { &method };
    // A route without a rule cannot be registered; should one appear all the same, nobody enters.
    let rule = api.rules.get(&format!("{ruled} {path}")).ok_or_else(super::problem::not_found)?;
    let action = match rule {
        // What anybody may do is not done in the name of whoever happens to be signed in.
        Rule::Public => return Ok(anonymous(source)),
        Rule::May(action) | Rule::Proved(action) => *action,
    };
    let unauthenticated = || Problem::from(Error::Denied(Denial::Unauthenticated));
    let (kind, token) = credentials(&headers).ok_or_else(unauthenticated)?;
    let found = api.service.authenticate(&token, kind, &source).await?;
    let found = found.ok_or_else(unauthenticated)?;
    if kind == SessionKind::Browser && !safe(&method) {
        check_csrf(&headers, &found.session.csrf_hash)?;
    }
    if found.must_enrol && !open_before_enrolment(&path) {
        return Err(Error::SecondFactorNeeded.into());
    }
    may_somewhere(&found.actor, action).map_err(Error::Denied)?;
    if matches!(rule, Rule::Proved(_)) {
        api.service.must_be_proved(&found.session)?;
    }
    let session = Some(found.session.id);
    Ok(Who { caller: Caller { actor: found.actor, source }, session })
}

/// What somebody may do who must set up a second factor first: that, see where they stand, and
/// sign out.
fn open_before_enrolment(path: &str) -> bool {
    let below = |place: &str| {
        path.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    below("/api/v1/me") || below("/api/v1/sessions")
}

/// Who is behind a browser's session cookie, for an edge that upgrades a request to something else
/// and looks after its rule itself. Such a request is a GET from a page, so `Origin` must be this very host: a cookie alone
/// proves no page of ours.
pub async fn person_behind(
    service: &Service,
    headers: &HeaderMap,
    source: &str,
) -> Result<Option<Who>, Problem> {
    let Some((SessionKind::Browser, token)) = credentials(headers) else { return Ok(None) };
    if !same_origin(headers) {
        return Err(Problem::new(403, "ORIGIN", "this is only for pages of the relay itself"));
    }
    let found = service.authenticate(&token, SessionKind::Browser, source).await?;
    let Some(found) = found else { return Ok(None) };
    if found.must_enrol {
        return Err(Error::SecondFactorNeeded.into());
    }
    Ok(Some(Who {
        caller: Caller { actor: found.actor, source: source.to_owned() },
        session: Some(found.session.id),
    }))
}

/// The secret of a browser's session, for a page of ours that asks by itself.
pub fn page_secret(headers: &HeaderMap) -> Option<String> {
    match credentials(headers) {
        Some((SessionKind::Browser, secret)) if !from_other_site(headers) => Some(secret),
        _ => None,
    }
}

/// The longest body that the route with this path pattern takes.
pub fn body_limit(path: &str) -> usize {
    let larger = LARGER_BODIES.iter().find(|(pattern, _)| *pattern == path);
    larger.map_or(BODY_LIMIT_BYTES, |(_, bytes)| *bytes)
}

/// Whether a request carries the cookie of a browser's session, good or not.
pub fn has_session_cookie(headers: &HeaderMap) -> bool {
    matches!(credentials(headers), Some((SessionKind::Browser, _)))
}

/// Whether `Origin` names the host that the request was sent to.
fn same_origin(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let origin = text(header::ORIGIN).and_then(|origin| origin.split_once("://"));
    matches!((origin, text(header::HOST)), (Some((_, origin)), Some(host)) if origin.eq_ignore_ascii_case(host))
}

/// The length that a request announces for its body; 0 if it does not say.
fn announced_bytes(headers: &HeaderMap) -> u64 {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    length.and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn anonymous(source: String) -> Who {
    Who { caller: Caller { actor: Actor::Anonymous, source }, session: None }
}

fn credentials(headers: &HeaderMap) -> Option<(SessionKind, String)> {
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        let token = value.to_str().ok()?.strip_prefix("Bearer ")?;
        return Some((SessionKind::Program, token.trim().to_owned()));
    }
    let cookies = headers.get_all(header::COOKIE);
    cookies
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|line| line.split(';'))
        .find_map(|pair| {
            let (name, value) = pair.trim().split_once('=')?;
            (name == COOKIE).then(|| (SessionKind::Browser, value.to_owned()))
        })
}

fn safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// A browser sends cookies on its own; only our own pages know the token and may set the header.
fn check_csrf(headers: &HeaderMap, csrf_hash: &str) -> Result<(), Problem> {
    let shown = headers.get(CSRF_HEADER).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if from_other_site(headers) || crate::service::token_hash(shown) != csrf_hash {
        return Err(Problem::new(
            403,
            "CSRF",
            "a browser session must show the token from signing in, in the header X-Medrelay-CSRF",
        ));
    }
    Ok(())
}

/// Whether the browser says that a page of another site is behind the request.
fn from_other_site(headers: &HeaderMap) -> bool {
    headers.get("sec-fetch-site").is_some_and(|site| site != "same-origin" && site != "none")
}

/// The address that the request came from, without the port.
fn source_of(request: &Request) -> String {
    request
        .extensions()
        .get::<ConnectInfo<SocketAddr>>()
        .map(|info| info.0.ip().to_canonical().to_string())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_must_enrol_reaches_their_account_and_nothing_else() {
        for open in ["/api/v1/me", "/api/v1/me/second-factor", "/api/v1/sessions/current"] {
            assert!(open_before_enrolment(open), "{open}");
        }
        for closed in ["/api/v1/messages", "/api/v1/events", "/api/v1/queue", "/dicomweb/studies"] {
            assert!(!open_before_enrolment(closed), "{closed}");
        }
    }
}
