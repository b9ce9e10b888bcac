//! The clinic link's protocol (docs/PROTOCOL.md), both ends, without sockets: messages, manifests,
//! receipts, join codes, the order of sending, and the two machines that decide what happens next.

pub mod gateway;
pub mod join;
pub mod manifest;
pub mod message;
pub mod order;
pub mod receipt;
pub mod relay;
pub mod wire;

pub use manifest::{Entry, Manifest};
pub use message::{Message, StreamHeader};
pub use receipt::Receipt;

/// What is agreed on by its name in ALPN; versions within it are negotiated by HELLO.
pub const ALPN: &[u8] = b"medrelay/1";
/// WebSocket subprotocol.
pub const SUBPROTOCOL: &str = "medrelay.1";
/// Path of the WebSocket.
pub const WEBSOCKET_PATH: &str = "/link";
/// The name that the relay's own authority certifies for the link, whatever its address is.
pub const SERVER_NAME: &str = "link.medrelay";
/// Versions of the protocol that this program speaks.
pub const VERSIONS: &[u16] = &[1];

/// SHA-256, raw.
pub type Hash = [u8; 32];

/// Why a byte string is not what it should be, or a message came out of turn: the connection ends
/// with close code 2. The text names the rule, never the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the other side broke the protocol: {0}")]
pub struct Violation(pub &'static str);

/// Limits of the protocol (PROTOCOL 9).
pub mod limits {
    /// Bytes of a control frame.
    pub const FRAME_BYTES: u32 = 4 << 20;
    /// Entries of a manifest.
    pub const ENTRIES: u32 = 20_000;
    /// Studies open at once on one connection.
    pub const STUDIES: usize = 64;
    /// Instance streams at once.
    pub const STREAMS: u16 = 16;
    /// Of which this many are kept for what is more urgent.
    pub const STREAMS_KEPT: u16 = 2;
    /// Bytes of packs made ahead of the line.
    pub const AHEAD_BYTES: u64 = 64 << 20;
    /// Items sent and not yet received.
    pub const ITEMS: usize = 32;
    /// Bytes of a measuring stream.
    pub const MEASURE_BYTES: u32 = 1 << 20;
}

/// How soon a study is to go: smaller is sooner. The values are those of the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Urgency {
    /// At once.
    Stat = 0,
    /// Before the others.
    Urgent = 1,
    /// In its turn.
    Routine = 2,
}

/// What became of an entry at the relay. The values are those of the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Durable.
    Stored = 1,
    /// Put aside: the UID is known with other bytes.
    OtherContent = 2,
    /// Put aside: it belongs to another clinic.
    OtherOwner = 3,
    /// Put aside: the study is another patient's.
    OtherPatient = 4,
}

/// Why the relay did not take something (PROTOCOL 7). The values are those of the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RefusalCode {
    /// Out of space: try again later.
    OutOfSpace = 1,
    /// Busy: try again later.
    Busy = 2,
    /// The stream names something that was not announced.
    NotAnnounced = 3,
    /// The pack is damaged: send it again from its beginning.
    Damaged = 4,
    /// The restored bytes are not those of the manifest.
    OtherBytes = 5,
    /// Not readable as DICOM.
    Unreadable = 6,
    /// Too large.
    TooLarge = 7,
    /// The manifest cannot be read or breaks a limit.
    BadManifest = 8,
    /// The manifest's signature is wrong.
    BadSignature = 9,
    /// The manifest is another clinic's.
    OtherClinic = 10,
}

impl RefusalCode {
    /// Whether the same thing may be taken later without a person's doing.
    pub const fn passes(self) -> bool {
        matches!(self, Self::OutOfSpace | Self::Busy | Self::Damaged)
    }
}

/// Why a connection ends (PROTOCOL 7). The values are those of the wire and of QUIC close codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CloseCode {
    /// Done.
    Done = 0,
    /// No common version.
    Version = 1,
    /// The other side broke the protocol.
    Violation = 2,
    /// The gateway was revoked.
    Revoked = 3,
    /// The proof on a WebSocket is wrong.
    Proof = 4,
    /// The side stops.
    Stopping = 5,
    /// Too many connections.
    Crowded = 6,
    /// Moved to another carrier.
    Moved = 7,
    /// Nothing was heard.
    Idle = 8,
    /// The clinic is closed.
    Closed = 9,
}
