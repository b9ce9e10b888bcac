//! What goes in and out of the relay's machine.

#[cfg(doc)]
use super::Session;
#[cfg(doc)]
use crate::transfer::limits;
use crate::transfer::{CloseCode, Entry, Manifest, Message, RefusalCode, Urgency};

/// What the relay tells every gateway, and holds it to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The relay: its authority's fingerprint, hexadecimal.
    pub relay: String,
    /// Ed25519 public key that signs receipts.
    pub receipt_key: [u8; 32],
    /// Instance streams at once.
    pub streams: u16,
    /// Bytes of an object at most.
    pub instance_bytes: u64,
    /// Entries of a manifest at most.
    pub entries: u32,
}

/// Who is at the other end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// The gateway's identifier, or `person:` and that of the person whose browser it is.
    pub gateway: String,
    /// The clinic's identifier.
    pub clinic: String,
    /// The clinic's name, for people.
    pub clinic_name: String,
}

/// How the relay learns who is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Greeting {
    /// It knows already: from the certificate of the QUIC connection, or a browser's session.
    Certified(Peer),
    /// The gateway has to sign this nonce (WebSocket).
    Challenge([u8; 32]),
}

/// What the driver is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Send this on the control channel, in the order of the steps.
    Send(Message),
    /// Check certificate and signature (PROTOCOL 8.3); then [`Session::proved`], or
    /// [`Session::leave`] with [`CloseCode::Proof`] or [`CloseCode::Revoked`] and the end.
    Prove {
        /// DER.
        certificate: Vec<u8>,
        /// ECDSA P-256, ASN.1.
        signature: Vec<u8>,
        /// What was to be signed.
        nonce: [u8; 32],
    },
    /// Check the signature, make the manifest durable, look up what is there; then
    /// [`Session::known`] or [`Session::refused`] for the whole.
    Register {
        /// The gateway's number for it.
        study: u32,
        /// What it says; clinic, gateway and limits are checked.
        manifest: Box<Manifest>,
        /// As signed.
        raw: Vec<u8>,
        /// Empty from a browser.
        signature: Vec<u8>,
    },
    /// Every entry is there: read everything back, sign; then [`Session::committed`], or
    /// [`Session::refused`] for the whole.
    Commit {
        /// Which study.
        study: u32,
    },
    /// The gateway gave the study up on this connection.
    Withdrawn {
        /// Which study.
        study: u32,
    },
    /// The study is more or less urgent than it was.
    Urgency {
        /// Which study.
        study: u32,
        /// How urgent now.
        urgency: Urgency,
    },
    /// Send the item's attachment on a stream, from `offset` on.
    Attach {
        /// Which item.
        item: String,
        /// Where to begin; not behind its end.
        offset: u64,
    },
    /// The item is durable at the clinic.
    Received {
        /// Which item.
        item: String,
    },
    /// Certify the new key and send CERTIFICATE.
    Renew {
        /// PKCS#10, DER.
        request: Vec<u8>,
    },
    /// Send so many bytes on a measuring stream.
    Measure {
        /// At most [`limits::MEASURE_BYTES`].
        bytes: u32,
    },
    /// Close the connection, after what was to be sent.
    Close {
        /// Why.
        code: CloseCode,
        /// For people.
        detail: String,
    },
}

/// What to do with a stream that the gateway opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Take it; then [`Session::stored`], [`Session::refused`] or [`Session::broken`], once.
    Take {
        /// Which study.
        study: u32,
        /// Which entry.
        index: u32,
        /// What is to come of it.
        entry: Entry,
        /// How urgent the study is.
        urgency: Urgency,
    },
    /// Read it to its end and answer MEASURED.
    Measure,
    /// Stop it and send the steps of [`Session::turn_away`] with this code. This stream was never
    /// taken: [`Session::refused`] would speak of another one.
    Refuse(RefusalCode),
}
