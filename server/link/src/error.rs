//! What can go wrong on a carrier, and on one of its streams.

use medrelay_core::transfer::{CloseCode, Violation};

/// Why a connection is over. Everything but a violation is a reason to connect again, unless the
/// code of [`Closed`](Self::Closed) says that it does not help (PROTOCOL 7).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CarrierError {
    /// One of the sides closed it.
    #[error("the connection was closed (code {code:?})")]
    Closed {
        /// One of the codes of PROTOCOL 7, if one was given.
        code: Option<u8>,
        /// For people.
        detail: String,
    },
    /// The network or the other side's program failed, or the handshake did.
    #[error("the connection was lost: {0}")]
    Lost(String),
    /// Nothing came for too long.
    #[error("nothing was heard from the other side")]
    TimedOut,
    /// The other side broke the protocol.
    #[error(transparent)]
    Violation(#[from] Violation),
}

impl CarrierError {
    pub(crate) fn closed_with(code: CloseCode, detail: &str) -> Self {
        Self::Closed { code: Some(code as u8), detail: detail.to_owned() }
    }

    /// Whether a side said that it is done, and nothing went wrong.
    pub fn is_orderly(&self) -> bool {
        matches!(self, Self::Closed { code: Some(code), .. } if *code == CloseCode::Done as u8)
    }
}

/// Why a stream is over before its end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// The receiver does not want it (any more).
    #[error("the receiver stopped the stream (code {code})")]
    Stopped {
        /// What the receiver gave as reason.
        code: u8,
    },
    /// The sender gave it up.
    #[error("the sender gave the stream up (code {code})")]
    Abandoned {
        /// What the sender gave as reason.
        code: u8,
    },
    /// The connection is over.
    #[error(transparent)]
    Connection(#[from] CarrierError),
}
