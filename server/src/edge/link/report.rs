//! What the tasks of a connection tell its driver.

use medrelay_core::id::ManifestId;
use medrelay_core::transfer::{Manifest, Outcome};

use crate::service::gateways::Admission;
use crate::service::ingest::Sender;
use crate::service::link::{Commitment, LinkPeer, Refusal, Registered, WaitingItems};

/// Whom the tasks of a connection work for.
#[derive(Debug, Clone)]
pub(super) struct Party {
    pub(super) peer: LinkPeer,
    pub(super) sender: Sender,
}

/// A study that is open on a connection.
#[derive(Debug)]
pub(super) struct Study {
    pub(super) id: ManifestId,
    pub(super) manifest: Manifest,
}

/// How the stream of an entry ended.
#[derive(Debug)]
pub(super) enum Arrived {
    /// Durable, or put aside.
    Stored(Outcome),
    /// Not taken.
    Refused(Refusal),
    /// It broke; what came is kept.
    Broken,
}

/// Something that a task has done.
#[derive(Debug)]
pub(super) enum Report {
    /// The proof of a WebSocket was looked at.
    Proved(Admission),
    /// A manifest was looked at; the manifest comes back.
    Registered { study: u32, manifest: Box<Manifest>, outcome: Result<Registered, Refusal> },
    /// The stream of an entry has ended.
    Arrived { study: u32, index: u32, end: Arrived },
    /// A study was read back.
    Committed { study: u32, outcome: Result<Commitment, Refusal> },
    /// What waits for the clinic, if it could be looked up.
    Items(Option<WaitingItems>),
    /// A new certificate.
    Renewed(Vec<Vec<u8>>),
    /// What came of the gateway's measuring stream.
    Measured { bytes: u64, micros: u64 },
    /// Whether the other side may go on.
    Standing(Admission),
}
