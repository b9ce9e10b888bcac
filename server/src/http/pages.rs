//! The pages inside the program: what runs here, and the one-time set-up.

use axum::Router;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const ICON: &str = "image/svg+xml";
const SCRIPT: &str = "text/javascript; charset=utf-8";

pub(super) fn routes() -> Router {
    Router::new()
        .route("/", get(|| page(HTML, include_str!("../../web/old/index.html"))))
        .route("/index.js", get(|| page(SCRIPT, include_str!("../../web/old/index.js"))))
        .route("/setup", get(|| page(HTML, include_str!("../../web/old/setup.html"))))
        .route("/setup.js", get(|| page(SCRIPT, include_str!("../../web/old/setup.js"))))
        .route("/icon.svg", get(|| page(ICON, include_str!("../../web/public/icon.svg"))))
        .route("/medrelay.css", get(|| page(CSS, include_str!("../../web/old/medrelay.css"))))
}

async fn page(kind: &'static str, text: &'static str) -> impl IntoResponse {
    // The pages change with the program: a browser asks again each time.
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-cache")], text)
}
