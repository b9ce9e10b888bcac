//! `GET /link`: a request becomes a WebSocket, and that a link (PROTOCOL 1).

use std::net::SocketAddr;

use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;

use medrelay_core::transfer::{SUBPROTOCOL, WEBSOCKET_PATH};
use medrelay_link::websocket;

use super::{Link, session};
use crate::http::problem::Problem;

/// The route of the link, for a listener that speaks TLS.
pub fn routes(link: Link) -> Router {
    Router::new().route(WEBSOCKET_PATH, get(upgrade)).with_state(link)
}

async fn upgrade(
    State(link): State<Link>,
    ConnectInfo(remote): ConnectInfo<SocketAddr>,
    mut request: Request,
) -> Response {
    let key = match asked(request.headers()) {
        Ok(key) => key,
        Err(problem) => return problem.into_response(),
    };
    let Some(upgrading) = request.extensions_mut().remove::<OnUpgrade>() else {
        return wrong("this connection cannot become a WebSocket; ask over HTTP/1.1")
            .into_response();
    };
    let Some(place) = link.place() else {
        let mut problem = Problem::new(503, "BUSY", "too many gateways are connected");
        problem.retry_after = Some(5);
        return problem.into_response();
    };
    let Ok(accept) = HeaderValue::from_str(&websocket::accept_key(&key)) else {
        return wrong("Sec-WebSocket-Key is not one").into_response();
    };
    drop(link.shared.lifecycle.clone().spawn(async move {
        match upgrading.await {
            Ok(io) => {
                let carrier = websocket::accept(TokioIo::new(io), remote).await;
                // Who is there is proved over the link itself. A browser's session would stand in
                // for the proof here.
                session::run(link, carrier, None).await;
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
