//! Our side of an association that came in (PS3.8 7.1, PS3.7 9.1.1, 9.1.5): negotiation, C-ECHO and
//! C-STORE.
//!
//! What is decided about callers and objects is the [`Provider`]'s; what becomes of the bytes is
//! its [`Sink`]'s. Here is only the protocol. A sink's refusal, even in the middle of an object,
//! costs the sender that object and not the association.

mod session;

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use medrelay_core::id::Uid;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use super::Pace;
use crate::command::{CommandError, MoveOriginator, Priority, Reply, Status};
use crate::pdu::{Abort, AssociateRequest, ContextOutcome, FramerLimits, PduError, Rejection};
use crate::uids;

/// What an association may cost. Every wait and every length has its limit here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcceptorConfig {
    /// Longest P-DATA-TF PDU that we announce, in bytes.
    pub max_pdu_bytes: u32,
    /// Longest PDUs that we accept, whatever we announced.
    pub limits: FramerLimits,
    /// ARTIM (PS3.8 9.1.5): time from the connection to a complete A-ASSOCIATE-RQ.
    pub artim_timeout: Duration,
    /// Time between two messages.
    pub idle_timeout: Duration,
    /// Pace inside a message.
    pub pace: Pace,
    /// Bytes handed to the sink at once, where the object has so many.
    pub chunk_bytes: usize,
    /// Longest data set, in bytes; a longer one ends the association.
    pub object_bytes: u64,
}

impl Default for AcceptorConfig {
    fn default() -> Self {
        Self {
            max_pdu_bytes: super::MAX_PDU_BYTES,
            limits: FramerLimits::default(),
            artim_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(300),
            pace: Pace::default(),
            chunk_bytes: 256 * 1024,
            object_bytes: 32 * 1024 * 1024 * 1024,
        }
    }
}

/// Where a connection comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Remote address.
    pub address: SocketAddr,
    /// Whether and as whom the peer came through TLS.
    pub transport: Transport,
}

/// How the bytes travel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transport {
    /// TCP.
    Plain,
    /// TLS (PS3.15 B), already negotiated.
    Tls {
        /// The peer's own certificate in DER, if it showed one.
        certificate: Option<Bytes>,
    },
}

/// The application behind an acceptor.
pub trait Provider: Send + Sync + 'static {
    /// Who calls, once admitted.
    type Caller: Send + Sync;
    /// Where an object goes.
    type Sink: Sink;

    /// Decides whether this caller may associate. An AE title is a claim, never a credential.
    fn admit(
        &self,
        request: &AssociateRequest,
        peer: &Peer,
    ) -> impl Future<Output = Result<Self::Caller, Rejection>> + Send;

    /// Whether a SOP class that is not a storage class of the standard is stored nevertheless.
    fn stores_private(&self, _caller: &Self::Caller, _sop_class: &str) -> bool {
        false
    }

    /// Decides on one proposed context: the index of the transfer syntax to use, or why not. As a
    /// rule every storage SOP class and every transfer syntax that can be scanned, in the order of
    /// the sender.
    ///
    /// # Errors
    /// The outcome to answer, which is never [`ContextOutcome::Accepted`].
    fn choose(
        &self,
        caller: &Self::Caller,
        abstract_syntax: &str,
        transfer_syntaxes: &[String],
    ) -> Result<usize, ContextOutcome> {
        let known = abstract_syntax == uids::VERIFICATION
            || uids::is_storage_sop_class(abstract_syntax)
            || self.stores_private(caller, abstract_syntax);
        if !known {
            return Err(ContextOutcome::AbstractSyntaxNotSupported);
        }
        first_known(transfer_syntaxes).ok_or(ContextOutcome::TransferSyntaxesNotSupported)
    }

    /// Answers C-ECHO.
    fn echo(&self, _caller: &Self::Caller) -> impl Future<Output = Status> + Send {
        std::future::ready(Status::SUCCESS)
    }

    /// Opens a place for an object, before a byte of its data set has been read.
    fn begin(
        &self,
        caller: &Self::Caller,
        object: &StoreRequest,
    ) -> impl Future<Output = Result<Self::Sink, Reply>> + Send;
}

/// Where the data set of one object goes. Exactly one of `finish` and `abandon` ends it, unless the
/// task itself is dropped: then the sink is dropped too, and must clean up as for `abandon`.
pub trait Sink: Send {
    /// Takes the next bytes of the data set, as encoded. An error is final: `abandon` follows, the
    /// rest of the object is read and thrown away, and the reply is sent.
    fn write(&mut self, chunk: Bytes) -> impl Future<Output = Result<(), Reply>> + Send;

    /// The data set is complete. What this answers is sent: success means that it is safe now.
    fn finish(self) -> impl Future<Output = Reply> + Send;

    /// The object will not come: the peer went away, or `write` refused.
    fn abandon(self) -> impl Future<Output = ()> + Send;
}

/// A C-STORE request, as the provider sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreRequest {
    /// Message ID, unique within the association while the operation runs.
    pub message_id: u16,
    /// Affected SOP Class UID; equals the abstract syntax of the context.
    pub sop_class: Uid,
    /// Affected SOP Instance UID.
    pub sop_instance: Uid,
    /// The transfer syntax negotiated for the context: how the data set is encoded.
    pub transfer_syntax: Uid,
    /// Priority that the sender asks for.
    pub priority: Priority,
    /// Set when the object comes as part of a C-MOVE.
    pub move_originator: Option<MoveOriginator>,
}

/// How an association ended, and what went through it.
#[derive(Debug)]
pub struct Summary {
    /// The peer's title as it called itself; empty when it never said.
    pub calling_ae_title: String,
    /// The title it called.
    pub called_ae_title: String,
    /// Objects answered with success or a warning.
    pub stored: u64,
    /// Objects answered with a failure, or broken off.
    pub failed: u64,
    /// C-ECHO answered.
    pub echoes: u64,
    /// Bytes of data sets received.
    pub data_set_bytes: u64,
    /// The end.
    pub end: End,
}

/// Why an association is over.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum End {
    /// The peer released it: all is well.
    #[error("released")]
    Released,
    /// We refused it.
    #[error("rejected: {}", .0.text())]
    Rejected(Rejection),
    /// The peer aborted it.
    #[error("aborted by the peer (source {}, reason {})", .0.source, .0.reason)]
    AbortedByPeer(Abort),
    /// The peer closed the connection without a word.
    #[error("connection closed by the peer")]
    Closed,
    /// No complete A-ASSOCIATE-RQ came in time.
    #[error("no association request in time")]
    Artim,
    /// No message came in time.
    #[error("idle for too long")]
    Idle,
    /// Inside a message the bytes came too slowly.
    #[error("too slow inside a message")]
    TooSlow,
    /// We are stopping.
    #[error("stopped by the server")]
    Stopped,
    /// The peer sent a PDU or a part of a message that may not come now.
    #[error("unexpected {0}")]
    Unexpected(&'static str),
    /// The peer used a presentation context that was not accepted.
    #[error("presentation context {0} was not accepted")]
    UnknownContext(u8),
    /// A message is longer than allowed.
    #[error("{0} is too long")]
    TooLong(&'static str),
    /// A PDU breaks the rules.
    #[error(transparent)]
    Pdu(#[from] PduError),
    /// A command set breaks the rules.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// The connection broke.
    #[error("connection broken: {0}")]
    Io(#[source] std::io::Error),
}

impl End {
    /// What the peer is told, if anything (PS3.8 9.2.3, actions AA-1, AA-8).
    fn abort(&self) -> Option<Abort> {
        match self {
            Self::Idle | Self::TooSlow | Self::Stopped => Some(Abort::NOT_SPECIFIED),
            Self::Unexpected(_) => Some(Abort::UNEXPECTED_PDU),
            Self::UnknownContext(_) | Self::TooLong(_) | Self::Command(_) => {
                Some(Abort::INVALID_PARAMETER)
            }
            Self::Pdu(error) => Some(error.abort()),
            Self::Released
            | Self::Rejected(_)
            | Self::AbortedByPeer(_)
            | Self::Closed
            | Self::Artim
            | Self::Io(_) => None,
        }
    }
}

/// Serves one association from its first byte to its last.
///
/// `stop` ends it softly: a message under way is received, stored and answered, then the
/// association is aborted.
pub async fn serve<S, P>(
    stream: S,
    peer: &Peer,
    provider: &P,
    config: &AcceptorConfig,
    stop: &CancellationToken,
) -> Summary
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
    P: Provider,
{
    session::Session::new(stream, provider, config, stop).run(peer).await
}

/// The first transfer syntax that can be scanned; a deflated one only when there is no other.
fn first_known(transfer_syntaxes: &[String]) -> Option<usize> {
    let known = |syntax: &String| uids::encoding(syntax);
    let plain =
        |syntax: &String| known(syntax).is_some_and(|it| it != crate::scan::Encoding::Deflated);
    let first = transfer_syntaxes.iter().position(plain);
    first.or_else(|| transfer_syntaxes.iter().position(|syntax| known(syntax).is_some()))
}
