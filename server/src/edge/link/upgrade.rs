//! `GET /link`: a request becomes a WebSocket, and that a link (PROTOCOL 1). A request with the
//! cookie of a browser's session is a link of its person (PROTOCOL 8.5); any other is a gateway's,
//! which proves itself over the link.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::{ConnectInfo, Query, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use serde::Deserialize;

use medrelay_core::access::Denial;
use medrelay_core::id::OrganizationId;
use medrelay_core::transfer::{SUBPROTOCOL, WEBSOCKET_PATH};
use medrelay_link::websocket;

use super::{Link, session};
use crate::http::access;
use crate::http::problem::Problem;
use crate::service::Error;
use crate::service::link::LinkPeer;

/// The link of a listener, and whether gateways may use it.
#[derive(Clone)]
struct Door {
    link: Link,
    gateways: bool,
}

/// For which clinic a browser sends.
#[derive(Deserialize)]
struct Asked {
    clinic: Option<String>,
}

/// The route of the link, for a listener that speaks TLS.
pub fn routes(link: Link) -> Router {
    Router::new().route(WEBSOCKET_PATH, get(upgrade)).with_state(Door { link, gateways: true })
}

/// The route of the link for browsers only: for a listener without TLS that nobody but this machine
/// reaches.
pub fn browser_routes(link: Link) -> Router {
    Router::new().route(WEBSOCKET_PATH, get(upgrade)).with_state(Door { link, gateways: false })
}

async fn upgrade(
    State(door): State<Door>,
    ConnectInfo(remote): ConnectInfo<SocketAddr>,
    Query(asked_for): Query<Asked>,
    mut request: Request,
) -> Response {
    let Door { link, gateways } = door;
    let key = match asked(request.headers()) {
        Ok(key) => key,
        Err(problem) => return problem.into_response(),
    };
    let browser = access::has_session_cookie(request.headers());
    let peer = if browser || !gateways {
        match person(&link, request.headers(), remote, asked_for).await {
            Ok(peer) => Some(peer),
            Err(problem) => return problem.into_response(),
        }
    } else {
        None
    };
    let Some(upgrading) = request.extensions_mut().remove::<OnUpgrade>() else {
        return wrong("this connection cannot become a WebSocket; ask over HTTP/1.1")
            .into_response();
    };
    let Some(place) = link.place() else {
        let mut problem = Problem::new(503, "BUSY", "too many links are open");
        problem.retry_after = Some(5);
        return problem.into_response();
    };
    let Ok(accept) = HeaderValue::from_str(&websocket::accept_key(&key)) else {
        return wrong("Sec-WebSocket-Key is not one").into_response();
    };
    drop(link.shared.lifecycle.clone().spawn(async move {
        match upgrading.await {
            Ok(io) => {
                let io = TokioIo::new(io);
                let carrier = match &peer {
                    Some(_) => websocket::accept_browser(io, remote).await,
                    None => websocket::accept(io, remote).await,
                };
                // Without a session, who is there is proved over the link itself.
                session::run(link, carrier, peer).await;
            }
            Err(error) => tracing::debug!(net.peer = %remote, %error, "no WebSocket came of it"),
        }
        drop(place);
    }));
    let headers: [(HeaderName, HeaderValue); 4] = [
        (header::UPGRADE, HeaderValue::from_static("websocket")),
        (header::CONNECTION, HeaderValue::from_static("Upgrade")),
        (header::SEC_WEBSOCKET_ACCEPT, accept),
        (header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL)),
    ];
    (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
}

/// The person behind a browser's session as somebody who sends for a clinic.
async fn person(
    link: &Link,
    headers: &HeaderMap,
    remote: SocketAddr,
    asked: Asked,
) -> Result<LinkPeer, Problem> {
    let source = remote.ip().to_canonical().to_string();
    if !link.may_attempt(&source) {
        let mut problem = Problem::new(429, "LOCKED", "too many links were asked for from here");
        problem.retry_after = Some(60);
        return Err(problem);
    }
    let clinic = asked.clinic.as_deref().map(OrganizationId::parse).transpose();
    let clinic = clinic.map_err(|_| crate::http::problem::not_found())?;
    let who = access::person_behind(link.service(), headers, &source).await?;
    let session = who.and_then(|who| who.session);
    let session = session.ok_or(Error::Denied(Denial::Unauthenticated))?;
    Ok(link.service().admit_browser(&session, clinic.as_ref()).await?)
}

/// The key of a proper request for our subprotocol (RFC 6455 4.2.1). A page of another origin is
/// refused: its script would act with a person's session.
fn asked(headers: &HeaderMap) -> Result<String, Problem> {
    let text = |name: HeaderName| headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or("");
    let names = |name: HeaderName, wanted: &str| {
        let mut values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.any(|v| v.split(',').any(|one| one.trim().eq_ignore_ascii_case(wanted)))
    };
    if !names(header::UPGRADE, "websocket") || !names(header::CONNECTION, "upgrade") {
        return Err(wrong("only for WebSockets"));
    }
    if text(header::SEC_WEBSOCKET_VERSION) != "13" {
        return Err(wrong("Sec-WebSocket-Version must be 13"));
    }
    if !names(header::SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL) {
        return Err(wrong("Sec-WebSocket-Protocol must name medrelay.1"));
    }
    let origin = text(header::ORIGIN);
    let same = origin.split_once("://").is_some_and(|(_, host)| host == text(header::HOST));
    if !origin.is_empty() && !same {
        return Err(Problem::new(403, "FORBIDDEN", "another origin may not use the link"));
    }
    match text(header::SEC_WEBSOCKET_KEY) {
        "" => Err(wrong("Sec-WebSocket-Key is missing")),
        key => Ok(key.to_owned()),
    }
}

fn wrong(what: &str) -> Problem {
    Problem::new(400, "BAD_REQUEST", what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(change: &[(&'static str, &'static str)]) -> HeaderMap {
        let usual = [
            ("host", "relay.example:8443"),
            ("upgrade", "websocket"),
            ("connection", "keep-alive, Upgrade"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-protocol", "medrelay.1"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        let mut headers = HeaderMap::new();
        for (name, value) in usual.iter().chain(change) {
            headers.insert(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn only_a_proper_request_of_no_other_origin_becomes_a_link() {
        assert!(asked(&headers(&[])).is_ok());
        assert!(asked(&headers(&[("origin", "https://relay.example:8443")])).is_ok());
        for bad in [
            ("origin", "https://elsewhere.example"),
            ("origin", "null"),
            ("upgrade", "h2c"),
            ("connection", "close"),
            ("sec-websocket-version", "8"),
            ("sec-websocket-protocol", "chat"),
            ("sec-websocket-key", ""),
        ] {
            assert!(asked(&headers(&[bad])).is_err(), "{bad:?}");
        }
    }
}
