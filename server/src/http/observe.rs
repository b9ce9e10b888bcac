//! What is known of every request: a number, a span in the log, a place in the metrics.
//!
//! A route is named by its pattern, never by the path that was asked for: identifiers and what
//! people type into queries stay out of logs and metrics.

use std::sync::OnceLock;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderValue, Method};
use axum::middleware::Next;
use axum::response::Response;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::time::Instant;
use tracing::Instrument as _;

use medrelay_core::id::uuid_v7;

use crate::service::Service;
use crate::system::SystemEntropy;

/// The header with the number of a request, to be quoted to the operator.
const REQUEST_ID: &str = "x-request-id";
/// Bounds of the duration histograms, in seconds.
const SECONDS: [f64; 12] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Middleware: numbers, traces and counts a request.
pub(super) async fn observe(
    State(service): State<Service>,
    request: Request,
    next: Next,
) -> Response {
    let id = uuid_v7(service.now(), &SystemEntropy);
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "none".to_owned(), |path| path.as_str().to_owned());
    let method = known(request.method());
    let begun = Instant::now();
    let span = tracing::info_span!(
        "request",
        http.request_id = id,
        http.method = method,
        http.route = route
    );
    let mut response = next.run(request).instrument(span.clone()).await;
    let status = response.status().as_u16();
    let seconds = begun.elapsed().as_secs_f64();
    span.in_scope(|| tracing::debug!(http.status = status, seconds, "answered"));
    let labels = [("route", route), ("method", method.to_owned()), ("status", status.to_string())];
    metrics::counter!("medrelay_http_requests_total", &labels).increment(1);
    metrics::histogram!("medrelay_http_request_seconds", &labels[..2]).record(seconds);
    if let Ok(value) = HeaderValue::try_from(id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

/// A method from a stranger is any text: only the usual ones become a label.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

/// The metrics of the process: recording is global in the `metrics` crate, so there is one
/// recorder however many listeners there are. `None` if the program installed another.
pub(super) fn recorder() -> Option<&'static PrometheusHandle> {
    static RECORDER: OnceLock<Option<PrometheusHandle>> = OnceLock::new();
    RECORDER
        .get_or_init(|| {
            let suffix = Matcher::Suffix("_seconds".to_owned());
            let built = PrometheusBuilder::new()
                .set_buckets_for_metric(suffix, &SECONDS)
                .and_then(PrometheusBuilder::install_recorder);
            built.inspect_err(|error| tracing::warn!(%error, "no metrics are kept")).ok()
        })
        .as_ref()
}
