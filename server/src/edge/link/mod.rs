//! The clinic link (PROTOCOL): gateways come in over QUIC, or over a WebSocket where UDP is
//! blocked, and are spoken to by the machine of `core::transfer`.
//!
//! One task drives a connection and never waits for anything but its next event; what takes time
//! (a stream, a manifest, a receipt, a report) is a task of its own that reports back.

mod quic;
mod receiving;
mod report;
mod session;
mod upgrade;
mod work;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use medrelay_core::id::GatewayId;
use medrelay_core::transfer::limits;

pub use self::upgrade::routes;

use crate::lifecycle::Lifecycle;
use crate::service::Service;

/// What an operator sets about the link.
#[derive(Debug, Clone)]
pub struct LinkSettings {
    /// Connections of all gateways together.
    pub connections: usize,
    /// Connections of one gateway; a new one may overlap the old.
    pub connections_per_gateway: usize,
    /// Bytes of an object at most.
    pub instance_bytes: u64,
    /// Instance streams at once on one connection.
    pub streams: u16,
    /// Entries of a manifest at most.
    pub entries: u32,
}

impl Default for LinkSettings {
    fn default() -> Self {
        Self {
            connections: 1000,
            connections_per_gateway: 16,
            instance_bytes: 4 << 30,
            streams: limits::STREAMS,
            entries: limits::ENTRIES,
        }
    }
}

/// The relay's end of all links: one for both carriers, so that their limits are shared.
#[derive(Clone)]
pub struct Link {
    shared: Arc<Shared>,
}

struct Shared {
    service: Service,
    lifecycle: Lifecycle,
    settings: LinkSettings,
    places: Arc<Semaphore>,
    gateways: Mutex<HashMap<GatewayId, usize>>,
}

impl Link {
    /// Puts it together.
    pub fn new(service: Service, lifecycle: Lifecycle, settings: LinkSettings) -> Self {
        let places = Arc::new(Semaphore::new(settings.connections));
        let gateways = Mutex::default();
        Self { shared: Arc::new(Shared { service, lifecycle, settings, places, gateways }) }
    }

    fn service(&self) -> &Service {
        &self.shared.service
    }

    /// A place for one more connection of anybody, if there is one.
    fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.shared.places).try_acquire_owned().ok()
    }

    /// A place for one more connection of a gateway, if it has not too many.
    fn seat(&self, gateway: &GatewayId) -> Option<Seat> {
        let mut gateways = self.shared.gateways.lock().unwrap_or_else(PoisonError::into_inner);
        let count = gateways.entry(gateway.clone()).or_default();
        if *count >= self.shared.settings.connections_per_gateway {
            return None;
        }
        *count += 1;
        Some(Seat { link: self.clone(), gateway: gateway.clone() })
    }
}

/// One connection of a gateway; gone when it is dropped.
struct Seat {
    link: Link,
    gateway: GatewayId,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let shared = &self.link.shared;
        let mut gateways = shared.gateways.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = gateways.get_mut(&self.gateway) {
            *count -= 1;
            if *count == 0 {
                gateways.remove(&self.gateway);
            }
        }
    }
}
