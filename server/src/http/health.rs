//! `/healthz`, `/readyz`, `/version`, `/metrics`: how the relay is, for machines that look after
//! it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::observe::recorder;
use super::problem::not_found;
use crate::lifecycle::Lifecycle;
use crate::service::Service;
use crate::service::health::Health;

/// How long an answer about database and store holds: anybody may ask, and each asking writes.
const FRESH: Duration = Duration::from_secs(2);

#[derive(Clone)]
struct Watch {
    service: Service,
    lifecycle: Lifecycle,
    last: Arc<Mutex<Option<(Instant, Health)>>>,
}

pub(super) fn routes(service: Service, lifecycle: Lifecycle) -> Router {
    // Recording begins with the first listener, not with the first look at the numbers.
    let _ = recorder();
    Router::new()
        .route("/healthz", get(alive))
        .route("/readyz", get(ready))
        .route("/version", get(version))
        .route("/metrics", get(numbers))
        .with_state(Watch { service, lifecycle, last: Arc::default() })
}

/// The process runs and answers.
async fn alive() -> &'static str {
    "ok\n"
}

/// What `/readyz` says.
#[derive(Serialize)]
struct Ready {
    ready: bool,
    serving: bool,
    database: bool,
    blobs: bool,
    space: bool,
}

/// Whether new work is welcome: 200, or 503 with what is missing.
async fn ready(State(watch): State<Watch>) -> Response {
    let mut last = watch.last.lock().await;
    let health = match *last {
        Some((at, health)) if at.elapsed() < FRESH => health,
        _ => {
            let health = watch.service.health().await;
            *last = Some((Instant::now(), health));
            health
        }
    };
    drop(last);
    let serving = watch.lifecycle.is_ready();
    let ready = serving && health.is_good();
    let Health { database, blobs, space } = health;
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Ready { ready, serving, database, blobs, space })).into_response()
}

/// What `/version` says.
#[derive(Serialize)]
struct Version {
    name: &'static str,
    version: &'static str,
}

async fn version() -> Json<Version> {
    Json(Version { name: "medrelay", version: env!("CARGO_PKG_VERSION") })
}

/// The metrics in Prometheus' text form, for this machine only.
async fn numbers(request: Request) -> Response {
    let headers = request.headers();
    // What a proxy beside the relay passes on comes from this machine too, but is not.
    let passed_on =
        headers.contains_key(header::FORWARDED) || headers.contains_key("x-forwarded-for");
    let local = request
        .extensions()
        .get::<ConnectInfo<SocketAddr>>()
        .is_some_and(|info| info.0.ip().to_canonical().is_loopback());
    match recorder() {
        Some(recorder) if local && !passed_on => {
            recorder.run_upkeep();
            ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], recorder.render())
                .into_response()
        }
        _ => not_found().into_response(),
    }
}
