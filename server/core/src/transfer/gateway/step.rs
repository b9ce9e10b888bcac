//! What goes in and out of the gateway's machine.

#[cfg(doc)]
use super::Session;
use crate::time::Timestamp;
#[cfg(doc)]
use crate::transfer::limits;
use crate::transfer::message::{Item, Welcome};
use crate::transfer::{CloseCode, Hash, Manifest, Message, Outcome, RefusalCode, Urgency};

/// A study that is to go to the relay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The driver's own name for it; one study at a time goes by it.
    pub key: u64,
    /// What belongs to it.
    pub manifest: Manifest,
    /// The manifest as signed.
    pub raw: Vec<u8>,
    /// Its signature; empty from a browser.
    pub signature: Vec<u8>,
    /// How urgent it is now, whatever the manifest says.
    pub urgency: Urgency,
    /// Since when it waits: among equally urgent ones the older goes first.
    pub since: Timestamp,
}

/// A pack that was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackInfo {
    /// Its length.
    pub bytes: u64,
    /// Its SHA-256.
    pub sha256: Hash,
}

/// How far a study is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Entries of the manifest.
    pub entries: u32,
    /// Of which the relay has this many, stored or put aside.
    pub there: u32,
    /// Original bytes of all entries.
    pub bytes_original: u64,
    /// Of which the relay has this many.
    pub bytes_there: u64,
}

/// What the driver is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Send this on the control channel, in the order of the steps.
    Send(Message),
    /// Sign the nonce (PROTOCOL 8.3); then [`Session::proof`].
    Prove {
        /// What the relay wants signed.
        nonce: [u8; 32],
    },
    /// The greeting is over; check that it is the clinic and the receipt key of the enrolment.
    Welcomed(Welcome),
    /// Make the pack of an entry; then [`Session::packed`] or [`Session::unpackable`].
    Prepare {
        /// Which study.
        key: u64,
        /// Which entry.
        index: u32,
    },
    /// Send the pack on a stream, from `offset` on; then [`Session::streamed`] or
    /// [`Session::broken`].
    Transmit {
        /// Which study.
        key: u64,
        /// Its number on this connection.
        study: u32,
        /// Which entry.
        index: u32,
        /// Where in the pack to begin.
        offset: u64,
        /// The whole pack.
        pack: PackInfo,
        /// The stream's priority.
        urgency: Urgency,
    },
    /// The priority of a running stream changes.
    Urgency {
        /// Which study.
        key: u64,
        /// Which entry.
        index: u32,
        /// Its new priority.
        urgency: Urgency,
    },
    /// The pack is no longer needed. If its stream still runs, it is given up, and nothing more
    /// is to be said about it.
    Drop {
        /// Which study.
        key: u64,
        /// Which entry.
        index: u32,
    },
    /// The relay said what it has.
    Known {
        /// Which study.
        key: u64,
        /// Entries that the relay had, stored or put aside.
        have: u32,
    },
    /// The relay has an entry.
    Stored {
        /// Which study.
        key: u64,
        /// Which entry.
        index: u32,
        /// Stored, or why it was put aside.
        outcome: Outcome,
    },
    /// The relay will not take an entry or the study (`None`), now or later: for a person.
    Refused {
        /// Which study.
        key: u64,
        /// Which entry; `None` when the study is over on this connection.
        index: Option<u32>,
        /// Why.
        code: RefusalCode,
        /// The relay's words.
        detail: String,
    },
    /// The study is safe; check the receipt before anything is deleted. The study is over.
    Committed {
        /// Which study.
        key: u64,
        /// As signed.
        receipt: Vec<u8>,
        /// Ed25519.
        signature: Vec<u8>,
    },
    /// Something for the clinic: make it durable, then [`Session::received`].
    Item(Item),
    /// The certificate for the new key.
    Certificate {
        /// DER, the gateway's first.
        chain: Vec<Vec<u8>>,
    },
    /// What came of the measuring stream.
    Measured {
        /// Bytes that came.
        bytes: u64,
        /// From the first to the last.
        micros: u64,
    },
    /// The relay leaves: nothing new begins, what runs is finished.
    Goaway {
        /// Why.
        code: CloseCode,
        /// When to come again, in milliseconds.
        retry_ms: u32,
    },
    /// Close the connection.
    Close {
        /// Why.
        code: CloseCode,
        /// For people.
        detail: String,
    },
}
