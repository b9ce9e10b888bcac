//! Protocol data units of the upper layer (PS3.8 9.3): a framer that streams, and writers.
//!
//! Presentation data never has to fit in memory: [`Framer`] hands out every byte as soon as it is
//! there, and what it must collect (association requests and answers) is bounded before a byte of
//! it is read.

mod associate;
mod framer;
mod write;

use bytes::Bytes;

pub use associate::{
    AssociateAccept, AssociateRequest, ContextAnswer, ContextOutcome, ProposedContext,
};
pub use framer::{Framer, FramerLimits};
pub(crate) use write::{FRAGMENT_HEAD_BYTES, fragment_head};
pub use write::{
    abort, associate_accept, associate_reject, associate_request, message, release_reply,
    release_request,
};

/// What the framer finds in the byte stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// A-ASSOCIATE-RQ (PS3.8 9.3.2).
    AssociateRequest(Box<AssociateRequest>),
    /// A-ASSOCIATE-AC (PS3.8 9.3.3).
    AssociateAccept(Box<AssociateAccept>),
    /// A-ASSOCIATE-RJ (PS3.8 9.3.4).
    AssociateReject(Rejection),
    /// A piece of a presentation data value (PS3.8 9.3.5), as much of it as has arrived.
    Fragment(Fragment),
    /// A-RELEASE-RQ (PS3.8 9.3.6).
    ReleaseRequest,
    /// A-RELEASE-RP (PS3.8 9.3.7).
    ReleaseReply,
    /// A-ABORT (PS3.8 9.3.8).
    Abort(Abort),
}

/// A piece of a command or a data set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fragment {
    /// Presentation context ID, odd.
    pub context_id: u8,
    /// Command or data set (PS3.8 E.2).
    pub part: Part,
    /// Whether the command or data set ends with this piece.
    pub last: bool,
    /// The bytes, possibly none.
    pub data: Bytes,
}

/// What a presentation data value belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The command set of a message.
    Command,
    /// The data set of a message.
    DataSet,
}

/// A-ASSOCIATE-RJ: result, source and reason exactly as on the wire (PS3.8 table 9-21).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rejection {
    /// 1 permanent, 2 transient.
    pub result: u8,
    /// 1 service user, 2 provider (ACSE), 3 provider (presentation).
    pub source: u8,
    /// Meaning depends on `source`.
    pub reason: u8,
}

impl Rejection {
    /// Permanent, no reason given: for what the peer need not know.
    pub const NO_REASON: Self = Self { result: 1, source: 1, reason: 1 };
    /// Permanent: the application context name is not DICOM's.
    pub const APPLICATION_CONTEXT: Self = Self { result: 1, source: 1, reason: 2 };
    /// Permanent: we do not know who calls.
    pub const CALLING_AE_TITLE: Self = Self { result: 1, source: 1, reason: 3 };
    /// Permanent: nobody here has the called title.
    pub const CALLED_AE_TITLE: Self = Self { result: 1, source: 1, reason: 7 };
    /// Permanent: a protocol version that we do not speak.
    pub const PROTOCOL_VERSION: Self = Self { result: 1, source: 2, reason: 2 };
    /// Transient: busy, come again.
    pub const CONGESTION: Self = Self { result: 2, source: 3, reason: 1 };
    /// Transient: as many associations as we serve.
    pub const LOCAL_LIMIT: Self = Self { result: 2, source: 3, reason: 2 };

    /// Whether the same request may be accepted later.
    #[must_use]
    pub fn is_transient(self) -> bool {
        self.result == 2
    }

    /// The reason in words (PS3.8 table 9-21).
    #[must_use]
    pub fn text(self) -> &'static str {
        match (self.source, self.reason) {
            (1, 2) => "application context name not supported",
            (1, 3) => "calling AE title not recognized",
            (1, 7) => "called AE title not recognized",
            (2, 2) => "protocol version not supported",
            (3, 1) => "temporary congestion",
            (3, 2) => "local limit exceeded",
            _ => "no reason given",
        }
    }
}

/// A-ABORT: source and reason exactly as on the wire (PS3.8 table 9-26).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Abort {
    /// 0 service user, 2 service provider.
    pub source: u8,
    /// Meaningful with source 2 only.
    pub reason: u8,
}

impl Abort {
    /// The application ended the association.
    pub const SERVICE_USER: Self = Self { source: 0, reason: 0 };
    /// The provider ended it without a reason of the table: a time-out, a stop.
    pub const NOT_SPECIFIED: Self = Self { source: 2, reason: 0 };
    /// A PDU of a type that does not exist.
    pub const UNRECOGNIZED_PDU: Self = Self { source: 2, reason: 1 };
    /// A PDU that may not come now.
    pub const UNEXPECTED_PDU: Self = Self { source: 2, reason: 2 };
    /// A PDU whose content breaks the rules.
    pub const INVALID_PARAMETER: Self = Self { source: 2, reason: 6 };
}

/// Bytes that are no upper layer protocol: answer with [`PduError::abort`] and close.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PduError {
    /// A PDU type that the standard does not know.
    #[error("PDU type {0:#04x} does not exist")]
    UnknownType(u8),
    /// A PDU longer than we accept.
    #[error("PDU of {bytes} bytes where {limit} are allowed")]
    TooLong {
        /// Declared length.
        bytes: u32,
        /// The limit that applies to this type.
        limit: u32,
    },
    /// A presentation data value that does not fit its PDU.
    #[error("presentation data value does not fit its PDU")]
    Fragment,
    /// An even presentation context ID (PS3.8 9.3.2.2).
    #[error("presentation context ID {0} is not odd")]
    ContextId(u8),
    /// An association request or answer whose items do not add up.
    #[error("malformed association PDU: {0}")]
    Malformed(&'static str),
}

impl PduError {
    /// How to say it to the peer.
    #[must_use]
    pub fn abort(&self) -> Abort {
        match self {
            Self::UnknownType(_) => Abort::UNRECOGNIZED_PDU,
            _ => Abort::INVALID_PARAMETER,
        }
    }
}

/// PDU types (PS3.8 9.3.1).
mod kind {
    pub(super) const ASSOCIATE_RQ: u8 = 0x01;
    pub(super) const ASSOCIATE_AC: u8 = 0x02;
    pub(super) const ASSOCIATE_RJ: u8 = 0x03;
    pub(super) const P_DATA: u8 = 0x04;
    pub(super) const RELEASE_RQ: u8 = 0x05;
    pub(super) const RELEASE_RP: u8 = 0x06;
    pub(super) const ABORT: u8 = 0x07;
}

#[cfg(test)]
mod tests;
