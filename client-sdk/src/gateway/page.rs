//! The status page: three numbers, the last problem, what a person must decide, what came back.
//!
//! It listens on this machine only and asks for no password: whoever sits there sees the
//! modality's screen as well. Pages of other sites cannot reach it: the host must be the page's
//! own, and whatever changes something needs a header that no form can send.

use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::status::{Status, Watcher};
use crate::spool::SpoolError;

/// The header that says that a person pressed a button on this page.
const OWN_HEADER: &str = "x-medrelay";
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Serves the page until `stop`.
pub async fn serve(listener: TcpListener, watcher: Arc<Watcher>, stop: CancellationToken) {
    let router = Router::new()
        .route("/", get(|| text("text/html; charset=utf-8", include_str!("page/index.html"))))
        .route("/style.css", get(|| text("text/css", include_str!("page/style.css"))))
        .route("/page.js", get(|| text("text/javascript", include_str!("page/page.js"))))
        .route("/status.json", get(status))
        .route("/items/{id}", get(item))
        .route("/items/{id}/seen", post(seen))
        .route("/studies/{study}/send", post(send))
        .route("/studies/{study}/leave-out", post(leave_out))
        .layer(middleware::from_fn(guard))
        .with_state(watcher);
    let served = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned());
    if let Err(error) = served.await {
        tracing::error!(%error, "the status page has stopped");
    }
}

/// Refuses other sites' pages, and says what this one may do.
async fn guard(request: Request, next: Next) -> Response {
    let headers = request.headers();
    if !is_local(headers) {
        return (StatusCode::MISDIRECTED_REQUEST, "open this page as http://127.0.0.1")
            .into_response();
    }
    if request.method() == axum::http::Method::POST && !headers.contains_key(OWN_HEADER) {
        return (StatusCode::FORBIDDEN, "press the button on the page").into_response();
    }
    let mut response = next.run(request).await;
    let set = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    for (name, value) in set {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Whether the page was asked for by an address: a name could be made to point here by anybody.
fn is_local(headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    name == "localhost" || name.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok()
}

async fn text(kind: &'static str, body: &'static str) -> Response {
    ([(header::CONTENT_TYPE, kind)], body).into_response()
}

async fn status(State(watcher): State<Arc<Watcher>>) -> Result<axum::Json<Status>, Failure> {
    Ok(axum::Json(watcher.status().await?))
}

async fn item(
    State(watcher): State<Arc<Watcher>>,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
    let (path, media_type): (PathBuf, String) = watcher.spool.document(&id).await?;
    let bytes = tokio::fs::read(path).await.map_err(SpoolError::from)?;
    // Only what is known to be shown safely is shown; anything else is saved.
    let kind = if media_type == "application/pdf" {
        "application/pdf"
    } else {
        "application/octet-stream"
    };
    Ok(([(header::CONTENT_TYPE, kind)], Body::from(bytes)).into_response())
}

async fn seen(
    State(watcher): State<Arc<Watcher>>,
    Path(id): Path<String>,
) -> Result<StatusCode, Failure> {
    watcher.spool.note_seen(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn send(
    State(watcher): State<Arc<Watcher>>,
    Path(study): Path<u64>,
) -> Result<StatusCode, Failure> {
    watcher.spool.send_flagged(study).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn leave_out(
    State(watcher): State<Arc<Watcher>>,
    Path(study): Path<u64>,
) -> Result<StatusCode, Failure> {
    watcher.spool.leave_out_flagged(study).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// An error of the spool as an answer.
struct Failure(SpoolError);

impl From<SpoolError> for Failure {
    fn from(error: SpoolError) -> Self {
        Self(error)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = match self.0 {
            SpoolError::Unknown => StatusCode::NOT_FOUND,
            SpoolError::Full => StatusCode::INSUFFICIENT_STORAGE,
            SpoolError::Unreadable(_) => StatusCode::CONFLICT,
            SpoolError::Disk(_) | SpoolError::Database(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        (status, self.0.to_string()).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_somebody_pointed_here_is_refused() {
        let asked = |host: &'static str| {
            is_local(&HeaderMap::from_iter([(header::HOST, HeaderValue::from_static(host))]))
        };
        assert!(asked("127.0.0.1:8090") && asked("localhost:8090") && asked("[::1]:8090"));
        assert!(!asked("evil.example:8090") && !asked("127.0.0.1.evil.example") && !asked(""));
    }
}
