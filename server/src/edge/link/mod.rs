//! The clinic link (PROTOCOL): gateways come in over QUIC, or over a WebSocket where UDP is
//! blocked, browsers over a WebSocket with the session of their person. All of them are spoken to
//! by the machine of `core::transfer`.
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
use tokio::time::{Duration, Instant};

use medrelay_core::transfer::limits;

pub use self::upgrade::{browser_routes, routes};

use crate::lifecycle::Lifecycle;
use crate::service::Service;
use crate::service::link::{Identity, LinkPeer};

/// Attempts of one address to open a link by a session within [`ATTEMPTS_WINDOW`]: enough for a
/// county behind one address whose line comes and goes.
const ATTEMPTS: u32 = 240;
const ATTEMPTS_WINDOW: Duration = Duration::from_secs(60);
/// Addresses whose attempts are counted; with more, the counting begins anew.
const ADDRESSES: usize = 10_000;

/// What an operator sets about the link.
#[derive(Debug, Clone)]
pub struct LinkSettings {
    /// Connections of all gateways together.
    pub connections: usize,
    /// Connections of one gateway; a new one may overlap the old.
    pub connections_per_gateway: usize,
    /// Connections of one person's browsers.
    pub connections_per_person: usize,
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
            connections_per_person: 4,
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
    /// How many connections somebody has, by the name that the protocol gives them.
    seats: Mutex<HashMap<String, usize>>,
    /// Since when an address has tried to open links by a session, and how often.
    attempts: Mutex<HashMap<String, (Instant, u32)>>,
}

impl Link {
    /// Puts it together.
    pub fn new(service: Service, lifecycle: Lifecycle, settings: LinkSettings) -> Self {
        let places = Arc::new(Semaphore::new(settings.connections));
        let (seats, attempts) = (Mutex::default(), Mutex::default());
        Self { shared: Arc::new(Shared { service, lifecycle, settings, places, seats, attempts }) }
    }

    fn service(&self) -> &Service {
        &self.shared.service
    }

    /// A place for one more connection of anybody, if there is one.
    fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.shared.places).try_acquire_owned().ok()
    }

    /// A place for one more connection of somebody, if they have not too many.
    fn seat(&self, peer: &LinkPeer) -> Option<Seat> {
        let limit = match peer.identity {
            Identity::Gateway { .. } => self.shared.settings.connections_per_gateway,
            Identity::Person { .. } => self.shared.settings.connections_per_person,
        };
        let name = peer.name();
        let mut seats = self.shared.seats.lock().unwrap_or_else(PoisonError::into_inner);
        let count = seats.entry(name.clone()).or_default();
        if *count >= limit {
            return None;
        }
        *count += 1;
        Some(Seat { link: self.clone(), name })
    }

    /// Counts an attempt to open a link by a session; false when the address has made too many.
    fn may_attempt(&self, source: &str) -> bool {
        let mut attempts = self.shared.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        if attempts.len() >= ADDRESSES && !attempts.contains_key(source) {
            attempts.clear();
        }
        let now = Instant::now();
        let (since, count) = attempts.entry(source.to_owned()).or_insert((now, 0));
        if now.duration_since(*since) >= ATTEMPTS_WINDOW {
            (*since, *count) = (now, 0);
        }
        *count = count.saturating_add(1);
        *count <= ATTEMPTS
    }
}

/// One connection of somebody; gone when it is dropped.
struct Seat {
    link: Link,
    name: String,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let shared = &self.link.shared;
        let mut seats = shared.seats.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = seats.get_mut(&self.name) {
            *count -= 1;
            if *count == 0 {
                seats.remove(&self.name);
            }
        }
    }
}
