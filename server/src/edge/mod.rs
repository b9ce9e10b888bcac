//! One folder per protocol: parse, call a use case, map the error, nothing more. Here the routes of
//! those that speak HTTP become one interface with one table of rules.

pub mod api;
pub mod dicomweb;
pub mod dimse;
pub mod link;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{Extensions, HeaderMap, StatusCode, Version, header};
use axum::middleware;
use tower_http::compression::predicate::{Predicate, SizeAbove};
use tower_http::compression::{CompressionLayer, CompressionLevel};
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;

use crate::http::access::{self, Api, BODY_LIMIT_BYTES, Routes, Rules};
use crate::service::Service;

#[derive(utoipa::OpenApi)]
#[openapi(info(
    title = "medrelay",
    description = "Teleradiology and remote consultation for medical consortia. Errors are \
                   problem details (RFC 9457) with a stable `code`. Lists page by `after`. \
                   Creating calls take an `Idempotency-Key` header."
))]
struct Description;

/// Every route of every edge over HTTP, with its rule.
fn routes() -> Routes {
    dicomweb::routes(api::routes(Routes::new(Description::openapi())))
}

/// The description of the interface and the rule of every route.
pub fn describe() -> (OpenApi, Rules) {
    let (router, rules) = routes().into_parts();
    (router.into_openapi(), rules)
}

/// The interface as a router; every request passes authentication, its route's rule, the CSRF
/// check and the idempotency key, in this order.
pub fn router(service: Service) -> Router {
    let (router, rules) = routes().into_parts();
    let (router, description) = router.split_for_parts();
    let api = Api { service, rules: Arc::new(rules) };
    let router = router
        .route_layer(middleware::from_fn_with_state(api.clone(), api::idempotency::keep))
        .route_layer(middleware::from_fn_with_state(api.clone(), access::guard))
        .layer(compressed())
        .layer(DefaultBodyLimit::max(BODY_LIMIT_BYTES))
        .method_not_allowed_fallback(crate::http::problem::method_not_allowed)
        .with_state(api);
    let text = description.to_json().unwrap_or_default();
    router.route(
        "/api/v1/openapi.json",
        axum::routing::get(move || {
            let text = text.clone();
            async move { ([("content-type", "application/json")], text) }
        }),
    )
}

/// Long answers of JSON are packed for whoever takes gzip: the headers of a series shrink to a twentieth. Images are
/// compressed in their own ways, and event streams must not wait for a block to fill.
fn compressed() -> CompressionLayer<impl Predicate> {
    CompressionLayer::new()
        .quality(CompressionLevel::Fastest)
        .compress_when(SizeAbove::new(1024).and(is_json))
}

fn is_json(_: StatusCode, _: Version, headers: &HeaderMap, _: &Extensions) -> bool {
    let media = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    media.is_some_and(|media| {
        media.starts_with("application/json") || media.starts_with("application/dicom+json")
    })
}
