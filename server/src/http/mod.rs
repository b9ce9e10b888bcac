//! HTTP: the listeners, and everything around the interface that is the same for every request.
//!
//! Outermost first: a panic becomes a problem, every request gets a number, a span and its place
//! in the metrics, every answer its security headers; then limits on how many and how long; then
//! the route. `/healthz`, `/readyz`, `/version`, `/metrics` and the pages stand outside the
//! limits, so that a busy relay can still be asked how it is.

pub mod access;
mod health;
mod listen;
mod observe;
mod pages;
pub mod problem;
#[cfg(test)]
mod tests;

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Extension, MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::set_header::SetResponseHeaderLayer;

use self::problem::Problem;
use crate::lifecycle::Lifecycle;
use crate::service::Service;

/// Cancelled when the relay stops: event streams end so that connections can. A request extension.
#[derive(Debug, Clone)]
pub struct Stopping(pub CancellationToken);

/// How many times longer a request with a large body may take than one without.
const UPLOADS_TAKE: u32 = 5;

/// What an operator can set about HTTP.
#[derive(Debug, Clone)]
pub struct HttpSettings {
    /// Connections open at once on one listener.
    pub connections: usize,
    /// Requests worked on at once on one listener; the next ones are told to come back.
    pub requests: usize,
    /// How long a request may take until its answer begins; event streams begin at once.
    pub request_time: Duration,
    /// How long a connection may take to send its first request, and each request's head.
    pub head_time: Duration,
    /// Streams open at once on one HTTP/2 connection.
    pub streams: u32,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            connections: 2048,
            requests: 512,
            request_time: Duration::from_secs(60),
            head_time: Duration::from_secs(10),
            streams: 100,
        }
    }
}

/// One HTTP listener with all its routes.
pub struct Server {
    router: Router,
    lifecycle: Lifecycle,
    settings: HttpSettings,
}

impl Server {
    /// Puts the routes of the `interface` edges and our own together; `secure` says that the listener speaks TLS.
    pub fn new(
        interface: Router,
        service: Service,
        lifecycle: Lifecycle,
        settings: HttpSettings,
        secure: bool,
    ) -> Self {
        let router = router(interface, service, &lifecycle, &settings, secure);
        Self { router, lifecycle, settings }
    }

    /// With routes beside the interface, outside its limits: what becomes something else than
    /// requests and answers.
    #[must_use]
    pub fn with(mut self, routes: Router) -> Self {
        self.router = self.router.merge(routes);
        self
    }
}

/// Every route of a listener, for [`Server`] and for tests without a socket.
pub fn router(
    interface: Router,
    service: Service,
    lifecycle: &Lifecycle,
    settings: &HttpSettings,
    secure: bool,
) -> Router {
    let limits = Arc::new(Limits {
        requests: Semaphore::new(settings.requests),
        request_time: settings.request_time,
    });
    let interface = interface
        .layer(Extension(Stopping(lifecycle.soft())))
        .layer(middleware::from_fn_with_state(limits, limit));
    let router = Router::new()
        .merge(interface)
        .merge(health::routes(service.clone(), lifecycle.clone()))
        .merge(pages::routes())
        .fallback(pages::otherwise);
    with_headers(router, secure)
        .layer(middleware::from_fn_with_state(service, observe::observe))
        .layer(CatchPanicLayer::custom(panicked))
}

struct Limits {
    requests: Semaphore,
    request_time: Duration,
}

/// Middleware: not too many at once, and none for ever.
async fn limit(State(limits): State<Arc<Limits>>, request: Request, next: Next) -> Response {
    let Ok(_turn) = limits.requests.try_acquire() else {
        let mut problem = Problem::new(503, "BUSY", "the relay is busy; try again in a moment");
        problem.retry_after = Some(1);
        return problem.into_response();
    };
    // A paper of 8 MiB takes its time over a county line.
    let uploads = access::body_limit(matched(&request)) > access::BODY_LIMIT_BYTES;
    let request_time = limits.request_time * if uploads { UPLOADS_TAKE } else { 1 };
    match tokio::time::timeout(request_time, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::new(503, "TIMEOUT", "the request took too long and was given up")
            .into_response(),
    }
}

fn matched(request: &Request) -> &str {
    request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str)
}

fn panicked(_: Box<dyn Any + Send + 'static>) -> Response {
    // The panic hook has written where; the payload could hold anything and is not repeated.
    tracing::error!("a request ended in a panic");
    Problem::new(500, "INTERNAL", "the relay has a fault; the operator's log says more")
        .into_response()
}

/// The security headers of every answer (OWASP ASVS V3.4). Nothing may be framed, nothing may be
/// loaded from elsewhere, and no script may stand in a page itself.
fn with_headers(router: Router, secure: bool) -> Router {
    // Codecs of images are WebAssembly; components write their styles at run time. Images are made
    // in workers and shown from memory. No script but our own files.
    const POLICY: &str = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; \
                          style-src 'self' 'unsafe-inline'; img-src 'self' blob: data:; \
                          media-src 'self' blob:; worker-src 'self' blob:; base-uri 'none'; \
                          form-action 'self'; frame-ancestors 'none'; object-src 'none'";
    let always: [(HeaderName, &'static str); 5] = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ];
    let mut router = router;
    for (name, value) in always {
        let value = HeaderValue::from_static(value);
        // What a stranger has made is shown under a stricter policy of its own.
        router = match name {
            header::CONTENT_SECURITY_POLICY => {
                router.layer(SetResponseHeaderLayer::if_not_present(name, value))
            }
            name => router.layer(SetResponseHeaderLayer::overriding(name, value)),
        };
    }
    // Patient data must not stay in a browser's cache; a page may say otherwise for itself.
    let store = SetResponseHeaderLayer::if_not_present(
        header::CACHE_CONTROL,
        HeaderValue::from_static("no-store"),
    );
    router = router.layer(store);
    if secure {
        router = router.layer(SetResponseHeaderLayer::overriding(
            header::STRICT_TRANSPORT_SECURITY,
            HeaderValue::from_static("max-age=31536000"),
        ));
    }
    router
}
