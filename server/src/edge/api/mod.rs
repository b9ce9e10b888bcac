//! `/api/v1`: JSON over HTTP for people's browsers and for programs.
//!
//! Routes and their rules are collected by `crate::http::access`; `crate::edge` makes the router.

pub mod accounts;
pub mod agreements;
pub mod annotations;
pub mod attachments;
pub mod audit;
pub mod auth;
pub mod calendars;
pub mod cases;
pub mod devices;
pub mod events;
pub mod findings;
pub mod gateways;
pub mod idempotency;
pub mod inbox;
pub mod invitations;
pub mod link;
pub mod messages;
pub mod orders;
pub mod organizations;
pub mod page;
pub mod people;
pub mod quarantine;
pub mod queue;
pub mod reports;
pub mod returning;
pub mod second_factor;
pub mod sessions;
pub mod setup;
pub mod studies;
pub mod system;
pub mod templates;

pub use crate::http::access::{Api, BODY_LIMIT_BYTES, Routes, Rule};

/// Every route of the interface with its rule.
pub fn routes(routes: Routes) -> Routes {
    let routes = setup::routes(routes);
    let routes = sessions::routes(routes);
    let routes = accounts::routes(routes);
    let routes = second_factor::routes(routes);
    let routes = invitations::routes(routes);
    let routes = templates::routes(routes);
    let routes = organizations::routes(routes);
    let routes = calendars::routes(routes);
    let routes = people::routes(routes);
    let routes = agreements::routes(routes);
    let routes = devices::routes(routes);
    let routes = gateways::routes(routes);
    let routes = link::routes(routes);
    let routes = orders::routes(routes);
    let routes = attachments::routes(routes);
    let routes = studies::routes(routes);
    let routes = quarantine::routes(routes);
    let routes = queue::routes(routes);
    let routes = cases::routes(routes);
    let routes = returning::routes(routes);
    let routes = findings::routes(routes);
    let routes = annotations::routes(routes);
    let routes = messages::routes(routes);
    let routes = reports::routes(routes);
    let routes = inbox::routes(routes);
    let routes = audit::routes(routes);
    let routes = system::routes(routes);
    events::routes(routes)
}
