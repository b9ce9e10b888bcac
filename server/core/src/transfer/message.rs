//! What travels on the control channel, and what a stream begins with (PROTOCOL 3).

use super::{CloseCode, Hash, Outcome, RefusalCode, Urgency};
use crate::time::Timestamp;

/// A control frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Gateway: first of all.
    Hello {
        /// Versions it speaks.
        versions: Vec<u16>,
        /// Name and version of the program.
        software: String,
        /// Its clock.
        clock: Timestamp,
    },
    /// Relay, WebSocket only: sign this.
    Challenge {
        /// Random.
        nonce: [u8; 32],
    },
    /// Gateway, WebSocket only.
    Proof {
        /// DER.
        certificate: Vec<u8>,
        /// Over PROTOCOL 8.3.
        signature: Vec<u8>,
    },
    /// Relay: the greeting is over.
    Welcome(Welcome),
    /// Gateway: what belongs to a study.
    Offer {
        /// The gateway's number for it on this connection.
        study: u32,
        /// The manifest as signed.
        manifest: Vec<u8>,
        /// Its signature; empty from a browser.
        signature: Vec<u8>,
    },
    /// Relay: what of it is wanted.
    Need {
        /// Which study.
        study: u32,
        /// Per entry: `None` is wanted, else what became of it.
        states: Vec<Option<Outcome>>,
        /// Packs that began to arrive.
        partial: Vec<Partial>,
    },
    /// Relay: durable.
    Stored {
        /// Which study.
        study: u32,
        /// Entries by index.
        entries: Vec<(u32, Outcome)>,
    },
    /// Relay: not taken.
    Refused {
        /// Which study.
        study: u32,
        /// Which entry; `None` for the whole offer.
        index: Option<u32>,
        /// Why.
        code: RefusalCode,
        /// When to try again, in milliseconds, if the code passes.
        retry_ms: u32,
        /// For people; no patient data.
        detail: String,
    },
    /// Relay: every entry read back and equal.
    Committed {
        /// Which study.
        study: u32,
        /// The receipt as signed.
        receipt: Vec<u8>,
        /// Ed25519.
        signature: Vec<u8>,
    },
    /// Gateway: the study is more or less urgent than offered.
    Priority {
        /// Which study.
        study: u32,
        /// How urgent now.
        urgency: Urgency,
    },
    /// Gateway: it gives the study up on this connection.
    Withdraw {
        /// Which study.
        study: u32,
    },
    /// Relay: something for the clinic.
    Item(Item),
    /// Gateway: send the attachment from here on.
    Fetch {
        /// Which item.
        item: String,
        /// Bytes that it has.
        offset: u64,
    },
    /// Gateway: the item and its attachment are durable.
    Received {
        /// Which item.
        item: String,
    },
    /// Gateway: a certificate for a new key, please.
    Renew {
        /// PKCS#10, DER.
        request: Vec<u8>,
    },
    /// Relay: here it is.
    Certificate {
        /// DER, the gateway's first.
        chain: Vec<Vec<u8>>,
    },
    /// Gateway: send so many bytes on a measuring stream.
    Measure {
        /// How many.
        bytes: u32,
    },
    /// Relay: what came of the gateway's measuring stream.
    Measured {
        /// Bytes that came.
        bytes: u64,
        /// From the first to the last.
        micros: u64,
    },
    /// Either: no more; running streams are finished.
    Goaway {
        /// Why.
        code: CloseCode,
        /// When to try again, in milliseconds.
        retry_ms: u32,
        /// For people.
        detail: String,
    },
    /// A type from `80` on that this program does not know; ignored.
    Unknown(u8),
}

/// The end of the greeting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Welcome {
    /// The version that both speak.
    pub version: u16,
    /// The relay: its authority's fingerprint, hexadecimal.
    pub relay: String,
    /// Who the relay takes the gateway for.
    pub gateway: String,
    /// Its clinic.
    pub clinic: String,
    /// The clinic's name, for people.
    pub clinic_name: String,
    /// The relay's clock.
    pub clock: Timestamp,
    /// Ed25519 public key that signs receipts.
    pub receipt_key: [u8; 32],
    /// Instance streams at once.
    pub streams: u16,
    /// Bytes of an object at most.
    pub instance_bytes: u64,
    /// Entries of a manifest at most.
    pub entries: u32,
}

/// A pack that began to arrive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partial {
    /// Which entry.
    pub index: u32,
    /// SHA-256 of the whole pack.
    pub pack: Hash,
    /// Bytes that the relay has of it.
    pub offset: u64,
}

/// Something that the relay has for the clinic (PROTOCOL 6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its identifier.
    pub id: String,
    /// What it is.
    pub kind: ItemKind,
    /// When it was made.
    pub at: Timestamp,
    /// The study it is about, or empty.
    pub study_uid: String,
    /// The case's number, or empty.
    pub case_number: String,
    /// Kind of report or reason of a return.
    pub code: String,
    /// For people. May hold patient data: never logged.
    pub text: String,
    /// What comes with it.
    pub attachment: Option<Attachment>,
}

/// What an item is. The values are those of the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ItemKind {
    /// A signed report, as PDF.
    Report = 1,
    /// Images or data are to be made or sent again.
    ReturnRequest = 2,
    /// Something to know.
    Notice = 3,
}

/// A document that comes with an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// `application/pdf`.
    pub media_type: String,
    /// Its length.
    pub bytes: u64,
    /// Its SHA-256.
    pub sha256: Hash,
}

/// What a stream begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamHeader {
    /// An entry's pack, from `offset` on.
    Instance {
        /// Which study.
        study: u32,
        /// Which entry.
        index: u32,
        /// Where in the pack the bytes begin.
        offset: u64,
        /// Length of the whole pack.
        pack_bytes: u64,
        /// SHA-256 of the whole pack.
        pack: Hash,
    },
    /// An item's attachment, from `offset` on.
    Attachment {
        /// Which item.
        item: String,
        /// Where in the attachment the bytes begin.
        offset: u64,
    },
    /// Bytes to measure the line with.
    Measure,
}
