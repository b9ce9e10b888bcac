//! `/api/v1`: JSON over HTTP for people's browsers and for programs.
//!
//! A route exists only together with its [`Rule`]: [`Routes::add`] takes both, and there is no
//! other way in. The rule says who may even ask; the use case behind it decides about the object.

pub mod accounts;
pub mod agreements;
pub mod auth;
pub mod cases;
pub mod devices;
pub mod events;
pub mod gateways;
pub mod idempotency;
pub mod inbox;
pub mod link;
pub mod messages;
pub mod orders;
pub mod organizations;
pub mod page;
pub mod people;
pub mod reports;
pub mod sessions;
pub mod setup;
pub mod studies;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

use medrelay_core::access::Action;

use crate::service::Service;

/// The largest JSON body that is read.
pub const BODY_LIMIT_BYTES: usize = 1 << 20;

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
}

/// The rules by `"GET /api/v1/queue"`.
pub type Rules = BTreeMap<String, Rule>;

/// Collects routes with their rules.
pub struct Routes {
    router: OpenApiRouter<Api>,
    rules: Rules,
}

impl Routes {
    fn new() -> Self {
        Self { router: OpenApiRouter::with_openapi(Description::openapi()), rules: Rules::new() }
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
}

#[derive(utoipa::OpenApi)]
#[openapi(info(
    title = "medrelay",
    description = "Teleradiology and remote consultation for medical consortia. Errors are \
                   problem details (RFC 9457) with a stable `code`. Lists page by `after`. \
                   Creating calls take an `Idempotency-Key` header."
))]
struct Description;

/// Every route of the interface with its rule.
pub fn routes() -> Routes {
    let routes = Routes::new();
    let routes = setup::routes(routes);
    let routes = sessions::routes(routes);
    let routes = accounts::routes(routes);
    let routes = organizations::routes(routes);
    let routes = people::routes(routes);
    let routes = agreements::routes(routes);
    let routes = devices::routes(routes);
    let routes = gateways::routes(routes);
    let routes = link::routes(routes);
    let routes = orders::routes(routes);
    let routes = studies::routes(routes);
    let routes = cases::routes(routes);
    let routes = messages::routes(routes);
    let routes = reports::routes(routes);
    let routes = inbox::routes(routes);
    events::routes(routes)
}

/// The description of the interface and the rule of every route.
pub fn describe() -> (OpenApi, Rules) {
    let routes = routes();
    (routes.router.into_openapi(), routes.rules)
}

/// The interface as a router; every request passes authentication, its route's rule, the CSRF
/// check and the idempotency key, in this order.
pub fn router(service: Service) -> Router {
    let Routes { router, rules } = routes();
    let (router, description) = router.split_for_parts();
    let api = Api { service, rules: Arc::new(rules) };
    let router = router
        .route_layer(middleware::from_fn_with_state(api.clone(), idempotency::keep))
        .route_layer(middleware::from_fn_with_state(api.clone(), auth::guard))
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
