//! The relay's end of the clinic link (PROTOCOL): what a gateway announces, what of it is here, what
//! arrives in pieces, the proof that everything is safe, and what flows back.
//!
//! The edge speaks the protocol and carries the bytes; what is true is decided here and below.

mod committing;
mod items;
mod manifests;
mod packs;
mod partials;
mod peer;
mod progress;

use std::sync::Arc;

use tokio::sync::Semaphore;

use medrelay_core::study::QuarantineReason;
use medrelay_core::transfer::{Outcome, RefusalCode};

pub use self::committing::Commitment;
pub use self::items::WaitingItems;
pub use self::manifests::Registered;
pub use self::packs::{Announced, Pack, PackIntake};
pub use self::peer::{Identity, LinkPeer};
pub use self::progress::Progress;
pub(super) use self::progress::ProgressBoard;

use self::committing::ReadBack;
use self::packs::Running;
use self::partials::Partials;
use super::ingest::Stored;
use super::{Error, Parts, Service};
use crate::blobs::BlobError;
use crate::store::StoreError;

/// When to try again what failed for want of space, in milliseconds.
const NO_SPACE_AGAIN_MS: u32 = 5_000;
/// When to try again what failed because of something that passes.
const BUSY_AGAIN_MS: u32 = 1_000;

/// Why something of the link was not done, in the protocol's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Refusal {
    /// The protocol's code.
    pub code: RefusalCode,
    /// When to try again, in milliseconds, if the code passes.
    pub retry_ms: u32,
    /// For people; no patient data.
    pub detail: String,
}

impl Refusal {
    /// One that no trying again mends.
    pub fn new(code: RefusalCode, detail: impl Into<String>) -> Self {
        let retry_ms = match code {
            RefusalCode::OutOfSpace => NO_SPACE_AGAIN_MS,
            RefusalCode::Busy => BUSY_AGAIN_MS,
            _ => 0,
        };
        Self { code, retry_ms, detail: detail.into() }
    }

    /// Something passes; the same again in a moment.
    pub fn busy(detail: impl Into<String>) -> Self {
        Self::new(RefusalCode::Busy, detail)
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        match error {
            Error::OutOfSpace => Self::new(RefusalCode::OutOfSpace, error.to_string()),
            Error::Denied(_) => Self::new(RefusalCode::OtherClinic, error.to_string()),
            Error::Busy
            | Error::VersionConflict
            | Error::Store(StoreError::Unavailable(_) | StoreError::Lost)
            | Error::Blob(BlobError::Unavailable(_)) => Self::busy(error.to_string()),
            // A fault of ours: the sender keeps its bytes and tries again, an operator must look.
            other => {
                tracing::error!(error = ?other, "something of the link could not be done");
                Self { retry_ms: 60_000, ..Self::busy("the relay has a fault") }
            }
        }
    }
}

/// What the link keeps in memory between calls.
pub(super) struct LinkState {
    partials: Arc<Partials>,
    running: Running,
    memory: Arc<Semaphore>,
    unpacking: Arc<Semaphore>,
    read_back: ReadBack,
    progress: Arc<ProgressBoard>,
}

impl LinkState {
    /// The folder of unfinished packs is made when it is first needed.
    pub(super) fn new(parts: &Parts, progress: Arc<ProgressBoard>) -> Self {
        let (folder, share) = (parts.partials.clone(), parts.settings.link.partial_bytes);
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Self {
            partials: Arc::new(Partials::new(folder, share)),
            running: Running::default(),
            memory: Arc::new(Semaphore::new(packs::MEMORY_KIB)),
            unpacking: Arc::new(Semaphore::new(cores)),
            read_back: ReadBack::default(),
            progress,
        }
    }
}

/// How the protocol calls what became of an instance.
pub(super) const fn outcome(stored: Stored) -> Outcome {
    match stored {
        Stored::Fresh | Stored::Same => Outcome::Stored,
        Stored::Quarantined(reason) => aside(reason),
    }
}

const fn aside(reason: QuarantineReason) -> Outcome {
    match reason {
        QuarantineReason::OtherContent => Outcome::OtherContent,
        QuarantineReason::OtherOwner => Outcome::OtherOwner,
        QuarantineReason::OtherPatient => Outcome::OtherPatient,
    }
}

impl Service {
    /// A turn to unpack: as many at once as there are cores.
    pub async fn unpacking_turn(&self) -> Result<tokio::sync::OwnedSemaphorePermit, Error> {
        Arc::clone(&self.link.unpacking).acquire_owned().await.map_err(|_| Error::Busy)
    }

    /// Who the relay is on the link: its authority's fingerprint (hexadecimal) and the public key
    /// that signs receipts.
    pub fn link_identity(&self) -> (String, [u8; 32]) {
        let mut key = [0; 32];
        let public = self.parts.receipts.public_key();
        for (to, from) in key.iter_mut().zip(public) {
            *to = *from;
        }
        (hex::encode(self.parts.authority.fingerprint()), key)
    }

    /// Random bytes that a gateway is to sign.
    pub fn link_nonce(&self) -> [u8; 32] {
        let mut nonce = [0; 32];
        self.parts.entropy.fill(&mut nonce);
        nonce
    }
}
