//! Whether the relay can do its work now: asked by load balancers, `/readyz` and people.

use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::Service;

/// How long the database or the blob store may take to answer before it counts as away.
const PATIENCE: Duration = Duration::from_secs(3);

/// How old the last look at the free space may be for the next instance.
const FRESH: Duration = Duration::from_millis(100);

/// The free space as of a moment ago: asking the file system costs a thread hop, and an instance
/// takes about as long.
#[derive(Debug, Default)]
pub(super) struct Room(Mutex<Option<(Instant, Option<u64>)>>);

impl Room {
    /// The bytes as last seen, or as `look` sees them now.
    pub(super) async fn bytes(&self, look: impl Future<Output = Option<u64>>) -> Option<u64> {
        let seen = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, bytes)) = seen.filter(|(at, _)| at.elapsed() < FRESH) {
            return bytes;
        }
        let bytes = look.await;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), bytes));
        bytes
    }
}

/// What works and what does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Health {
    /// The database answers.
    pub database: bool,
    /// A blob could be stored.
    pub blobs: bool,
    /// More than the reserve is free, or the store does not say.
    pub space: bool,
}

impl Health {
    /// Whether everything works.
    pub const fn is_good(&self) -> bool {
        self.database && self.blobs && self.space
    }
}

impl Service {
    /// Bytes that can still be written: on the volume of the blobs or on that of the database,
    /// whichever has less. Every instance needs both.
    pub(super) async fn free_bytes(&self) -> Option<u64> {
        let volumes = [self.parts.blobs.free_bytes().await, self.parts.db.free_bytes()];
        volumes.into_iter().flatten().min()
    }

    /// Asks the database and the blob store, both at once.
    pub async fn health(&self) -> Health {
        let database = tokio::time::timeout(PATIENCE, self.parts.db.ping());
        let blobs = tokio::time::timeout(PATIENCE, self.parts.blobs.probe());
        let free = tokio::time::timeout(PATIENCE, self.free_bytes());
        let (database, blobs, free) = tokio::join!(database, blobs, free);
        let reserve = self.parts.settings.reserve_bytes;
        Health {
            database: matches!(database, Ok(Ok(()))),
            blobs: matches!(blobs, Ok(Ok(()))),
            space: free.ok().flatten().is_none_or(|free| free >= reserve),
        }
    }
}
