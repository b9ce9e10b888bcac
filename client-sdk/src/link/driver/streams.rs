//! The streams of a connection: packs going out, attachments coming in, each in a task of its own.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use medrelay_core::transfer::message::Item;
use medrelay_core::transfer::{StreamHeader, Urgency};
use medrelay_link::{Carrier, Incoming, Priority, StreamError};
use tokio::task::{AbortHandle, JoinSet};

use super::Shared;
use crate::link::ceiling::Pacer;
use crate::link::packing::{Name, Pack};
use crate::link::shelf::{Shelf, ShelfError};

/// How a stream ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// A pack went, or did not.
    Sent(Name, Result<(), StreamError>),
    /// An attachment came whole, or did not.
    Fetched(Item, Result<(), FetchError>),
}

/// Why an attachment did not come whole.
#[derive(Debug)]
pub(super) enum FetchError {
    /// The stream broke.
    Stream,
    /// It cannot be kept.
    Shelf(ShelfError),
}

/// Everything that runs on one connection; dropping it gives the streams up.
#[derive(Debug, Default)]
pub(super) struct Streams {
    tasks: JoinSet<Ended>,
    sending: HashMap<Name, (Arc<Steering>, AbortHandle)>,
}

/// The urgency of a stream that may not be open yet.
#[derive(Debug)]
struct Steering(Mutex<(Urgency, Option<Priority>)>);

impl Steering {
    fn urgency(&self) -> Urgency {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0
    }

    fn set(&self, urgency: Urgency) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.0 = urgency;
        if let Some(priority) = &inner.1 {
            priority.set(urgency);
        }
    }

    fn opened(&self, priority: Priority) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        priority.set(inner.0);
        inner.1 = Some(priority);
    }
}

impl Streams {
    /// Sends a pack from the header's offset on.
    pub fn send<S: Shelf>(
        &mut self,
        shared: &Arc<Shared<S>>,
        carrier: &Carrier,
        name: Name,
        header: StreamHeader,
        pack: Arc<Pack>,
        urgency: Urgency,
    ) {
        let steering = Arc::new(Steering(Mutex::new((urgency, None))));
        let (shared, carrier, steered) = (shared.clone(), carrier.clone(), steering.clone());
        let task = self.tasks.spawn(async move {
            let sent = send(&shared, &carrier, &header, &pack, &steered).await;
            Ended::Sent(name, sent)
        });
        self.sending.insert(name, (steering, task));
    }

    /// Takes an attachment in from `offset` on.
    pub fn fetch<S: Shelf>(&mut self, shelf: Arc<S>, item: Item, offset: u64, stream: Incoming) {
        self.tasks.spawn(async move {
            let fetched = fetch(&*shelf, &item, offset, stream).await;
            Ended::Fetched(item, fetched)
        });
    }

    pub fn reprioritize(&self, name: Name, urgency: Urgency) {
        if let Some((steering, _)) = self.sending.get(&name) {
            steering.set(urgency);
        }
    }

    /// Gives a pack's stream up, if it runs.
    pub fn give_up(&mut self, name: Name) {
        if let Some((_, task)) = self.sending.remove(&name) {
            task.abort();
        }
    }

    /// The next stream that ends; given up half way, nothing is lost.
    pub async fn ended(&mut self) -> Ended {
        loop {
            match self.tasks.join_next().await {
                Some(Ok(ended)) => return ended,
                // Given up.
                Some(Err(_)) => {}
                None => std::future::pending().await,
            }
        }
    }

    /// Takes in that a pack's stream ended; `false` when it had been given up.
    pub fn over(&mut self, name: Name) -> bool {
        self.sending.remove(&name).is_some()
    }

    /// Whether packs are on their way.
    pub fn is_sending(&self) -> bool {
        !self.sending.is_empty()
    }
}

async fn send<S: Shelf>(
    shared: &Shared<S>,
    carrier: &Carrier,
    header: &StreamHeader,
    pack: &Pack,
    steering: &Steering,
) -> Result<(), StreamError> {
    let StreamHeader::Instance { mut offset, .. } = *header else { return Ok(()) };
    let mut stream = carrier.open(header, steering.urgency()).await?;
    steering.opened(stream.priority());
    let who = STREAM.fetch_add(1, Ordering::Relaxed);
    loop {
        let rate = shared.settings.schedule.rate(shared.ambient.now());
        // A pack's file without a name can only be unreadable when the disk is broken.
        let piece = pack.read(offset, Pacer::piece(rate)).await;
        let piece = piece.map_err(|_| StreamError::Abandoned { code: 0 })?;
        if piece.is_empty() {
            return stream.finish().await;
        }
        shared.gate.pass(rate, piece.len(), steering.urgency(), who).await;
        let length = piece.len() as u64;
        stream.write(piece).await?;
        offset += length;
        shared.pack_bytes.fetch_add(length, Ordering::Relaxed);
    }
}

async fn fetch<S: Shelf>(
    shelf: &S,
    item: &Item,
    mut offset: u64,
    mut stream: Incoming,
) -> Result<(), FetchError> {
    let most = item.attachment.as_ref().map_or(0, |attachment| attachment.bytes);
    loop {
        match stream.read().await {
            Ok(Some(bytes)) => {
                let length = bytes.len() as u64;
                if offset.saturating_add(length) > most {
                    stream.stop(0);
                    return Err(FetchError::Shelf(ShelfError::Damaged));
                }
                shelf.attach(item, offset, bytes).await.map_err(FetchError::Shelf)?;
                offset += length;
            }
            Ok(None) => return Ok(()),
            Err(_) => return Err(FetchError::Stream),
        }
    }
}

/// Tells those who wait at the ceiling apart.
static STREAM: AtomicU64 = AtomicU64::new(0);
