//! Our side of an association that we open (PS3.8 7.1): C-ECHO and C-STORE to somebody else's PACS.

use std::io;
use std::time::Duration;

use bytes::{BufMut, BytesMut};
use medrelay_core::id::Uid;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::{TcpStream, ToSocketAddrs};
use tokio::time::{Instant, timeout};

use super::connection::{Connection, ConnectionError};
use super::{Pace, Prompt};
use crate::command::{self, Command, MoveOriginator, Priority, Reply, StoreCommand};
use crate::pdu::{
    self, Abort, AssociateAccept, AssociateRequest, ContextOutcome, FRAGMENT_HEAD_BYTES, Frame,
    FramerLimits, Part, ProposedContext, Rejection,
};
use crate::uids;

/// Who calls whom, and with which patience.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestorConfig {
    /// Our title.
    pub calling_ae_title: String,
    /// The title that the peer expects.
    pub called_ae_title: String,
    /// Longest P-DATA-TF PDU that we announce, and the longest that we send even to a peer that
    /// takes more.
    pub max_pdu_bytes: u32,
    /// Time for the peer to answer the association request or a release.
    pub association_timeout: Duration,
    /// Time for the peer to answer a message, which may include its disk.
    pub response_timeout: Duration,
    /// Pace at which the peer must take what we send.
    pub pace: Pace,
}

impl RequestorConfig {
    /// The usual patience: 30 s for the association, 120 s for a response.
    #[must_use]
    pub fn new(calling_ae_title: impl Into<String>, called_ae_title: impl Into<String>) -> Self {
        Self {
            calling_ae_title: calling_ae_title.into(),
            called_ae_title: called_ae_title.into(),
            max_pdu_bytes: super::MAX_PDU_BYTES,
            association_timeout: Duration::from_secs(30),
            response_timeout: Duration::from_secs(120),
            pace: Pace::default(),
        }
    }
}

/// What kind of object is to be sent in which encoding: one presentation context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// A SOP class.
    pub abstract_syntax: Uid,
    /// In the order of preference.
    pub transfer_syntaxes: Vec<Uid>,
}

impl Proposal {
    /// Every SOP class with every transfer syntax, each pair in a context of its own, so that the
    /// peer's answer says exactly what it takes. The first 128 pairs; more than that need a second
    /// association.
    #[must_use]
    pub fn pairs(pairs: impl IntoIterator<Item = (Uid, Uid)>) -> Vec<Self> {
        let mut proposals: Vec<Self> = Vec::new();
        for (abstract_syntax, transfer_syntax) in pairs {
            let proposal = Self { abstract_syntax, transfer_syntaxes: vec![transfer_syntax] };
            if !proposals.contains(&proposal) && proposals.len() < CONTEXTS {
                proposals.push(proposal);
            }
        }
        proposals
    }
}

/// An object to store; its data set comes as a stream beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreObject {
    /// SOP Class UID.
    pub sop_class: Uid,
    /// SOP Instance UID.
    pub sop_instance: Uid,
    /// How the data set is encoded; a context with just this syntax must have been accepted.
    pub transfer_syntax: Uid,
    /// Length of the data set in bytes, without preamble and file meta information.
    pub data_set_bytes: u64,
    /// Priority asked for.
    pub priority: Priority,
    /// Set when this is part of a C-MOVE.
    pub move_originator: Option<MoveOriginator>,
}

/// Why something did not go to the peer, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// No connection: try again later.
    #[error("unreachable: {0}")]
    Unreachable(#[source] io::Error),
    /// The peer refuses the association: try again if transient, else somebody must change a
    /// configuration.
    #[error("association rejected: {}", .0.text())]
    Rejected(Rejection),
    /// The peer does not take this SOP class in this transfer syntax: another encoding may help.
    #[error("no presentation context accepted for SOP class {sop_class} in {transfer_syntax}")]
    ContextNotAccepted {
        /// SOP class asked for.
        sop_class: Uid,
        /// Transfer syntax asked for.
        transfer_syntax: Uid,
    },
    /// Nothing came or went in time: try again later.
    #[error("timed out waiting for {0}")]
    TimedOut(&'static str),
    /// The peer aborted: try again later.
    #[error("aborted by the peer (source {}, reason {})", .0.source, .0.reason)]
    Aborted(Abort),
    /// The connection broke: try again later.
    #[error("connection broken: {0}")]
    Broken(#[source] io::Error),
    /// The peer breaks the protocol: somebody must look at it.
    #[error("peer breaks the protocol: {0}")]
    Protocol(String),
    /// Our own data set could not be read, or is not as long as announced: somebody must look at
    /// it.
    #[error("data set to send: {0}")]
    Source(#[source] io::Error),
}

impl RequestError {
    /// Whether the same attempt may succeed later without anybody changing anything.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::TimedOut(_) | Self::Aborted(_) | Self::Broken(_) => true,
            Self::Rejected(rejection) => rejection.is_transient(),
            Self::ContextNotAccepted { .. } | Self::Protocol(_) | Self::Source(_) => false,
        }
    }
}

/// Opens a TCP connection fit for DIMSE.
///
/// # Errors
/// [`RequestError::Unreachable`], also when `limit` passes.
pub async fn dial(address: impl ToSocketAddrs, limit: Duration) -> Result<Prompt, RequestError> {
    let connected = timeout(limit, TcpStream::connect(address)).await;
    let stream = connected
        .map_err(|_| RequestError::Unreachable(io::ErrorKind::TimedOut.into()))?
        .map_err(RequestError::Unreachable)?;
    Prompt::new(stream).map_err(RequestError::Unreachable)
}

/// An open association. Dropping it closes the connection without a word; prefer
/// [`Association::release`].
pub struct Association<S> {
    connection: Connection<S>,
    config: RequestorConfig,
    contexts: Vec<Accepted>,
    send_pdu_bytes: u32,
    next_message_id: u16,
    peer: AssociateAccept,
}

/// A presentation context that the peer accepted.
struct Accepted {
    id: u8,
    abstract_syntax: Uid,
    transfer_syntax: Uid,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Association<S> {
    /// Negotiates an association over a connected stream.
    ///
    /// # Errors
    /// Rejected, timed out, aborted, broken, or a peer that is no DICOM application.
    pub async fn open(
        stream: S,
        config: RequestorConfig,
        proposals: &[Proposal],
    ) -> Result<Self, RequestError> {
        let mut connection = Connection::new(stream, FramerLimits::default(), config.pace);
        let request = request(&config, proposals);
        pdu::associate_request(&request, &mut connection.output);
        connection.send().await.map_err(broken)?;
        let deadline = Instant::now() + config.association_timeout;
        let answer = connection.frame_before(deadline).await;
        let accept = match answer.map_err(|error| waited(error, "the association answer"))? {
            Frame::AssociateAccept(accept) => *accept,
            Frame::AssociateReject(rejection) => {
                connection.close().await;
                return Err(RequestError::Rejected(rejection));
            }
            other => return Err(unexpected(&other)),
        };
        let contexts = accepted(proposals, &request, &accept);
        let send_pdu_bytes = match accept.max_pdu_bytes {
            0 => config.max_pdu_bytes,
            peer => peer.min(config.max_pdu_bytes),
        };
        // Below this a fragment would have no room for a byte of data.
        let send_pdu_bytes = send_pdu_bytes.max(FRAGMENT_HEAD_BYTES as u32);
        Ok(Self { connection, config, contexts, send_pdu_bytes, next_message_id: 1, peer: accept })
    }

    /// What the peer said about itself.
    #[must_use]
    pub fn peer(&self) -> &AssociateAccept {
        &self.peer
    }

    /// Whether objects of this class in this encoding can be sent.
    #[must_use]
    pub fn accepts(&self, sop_class: &Uid, transfer_syntax: &Uid) -> bool {
        self.context(sop_class, transfer_syntax).is_ok()
    }

    /// C-ECHO: is anybody there?
    ///
    /// # Errors
    /// No Verification context, or no proper answer.
    pub async fn echo(&mut self) -> Result<Reply, RequestError> {
        let found =
            self.contexts.iter().find(|it| it.abstract_syntax.as_str() == uids::VERIFICATION);
        let Some(context_id) = found.map(|context| context.id) else {
            return Err(RequestError::Protocol("Verification was not accepted".to_owned()));
        };
        let message_id = self.message_id();
        let body = command::echo_request(message_id);
        self.put_command(context_id, &body);
        self.send().await?;
        self.response(command::C_ECHO_RQ, message_id).await
    }

    /// C-STORE: streams a data set and waits for the answer. A status of failure is an answer, not
    /// an error.
    ///
    /// # Errors
    /// After any error but [`RequestError::ContextNotAccepted`] the association cannot be used any
    /// more.
    pub async fn store(
        &mut self,
        object: &StoreObject,
        mut data: impl AsyncRead + Unpin + Send,
    ) -> Result<Reply, RequestError> {
        let context_id = self.context(&object.sop_class, &object.transfer_syntax)?;
        let message_id = self.message_id();
        let body = command::store_request(&StoreCommand {
            message_id,
            sop_class: object.sop_class.clone(),
            sop_instance: object.sop_instance.clone(),
            priority: object.priority,
            move_originator: object.move_originator.clone(),
        });
        self.put_command(context_id, &body);
        self.send_data_set(context_id, object.data_set_bytes, &mut data).await?;
        self.response(command::C_STORE_RQ, message_id).await
    }

    /// Ends the association in good order.
    ///
    /// # Errors
    /// The peer did not answer; everything answered before counts nevertheless.
    pub async fn release(mut self) -> Result<(), RequestError> {
        pdu::release_request(&mut self.connection.output);
        self.send().await?;
        let deadline = Instant::now() + self.config.association_timeout;
        let answer = self.connection.frame_before(deadline).await;
        match answer.map_err(|error| waited(error, "the release answer"))? {
            Frame::ReleaseReply => {
                self.connection.close().await;
                Ok(())
            }
            other => Err(unexpected(&other)),
        }
    }

    /// Ends the association at once.
    pub async fn abort(mut self) {
        self.connection.output.clear();
        pdu::abort(Abort::SERVICE_USER, &mut self.connection.output);
        self.connection.close().await;
    }

    /// Sends exactly `bytes` bytes of `data`, the command in `output` in front of them, one write a
    /// PDU.
    async fn send_data_set(
        &mut self,
        context_id: u8,
        bytes: u64,
        data: &mut (impl AsyncRead + Unpin + Send),
    ) -> Result<(), RequestError> {
        let room = self.send_pdu_bytes as usize + 6 - FRAGMENT_HEAD_BYTES;
        let mut left = bytes;
        loop {
            let piece = usize::try_from(left).map_or(room, |left| left.min(room));
            left -= piece as u64;
            let output = &mut self.connection.output;
            output.put_slice(&pdu::fragment_head(context_id, Part::DataSet, left == 0, piece));
            let start = output.len();
            output.resize(start + piece, 0);
            data.read_exact(&mut output[start..]).await.map_err(RequestError::Source)?;
            if left == 0 {
                let surplus = data.read(&mut [0; 1]).await.map_err(RequestError::Source)?;
                if surplus > 0 {
                    let error = io::Error::other("longer than announced");
                    return Err(RequestError::Source(error));
                }
                return self.send().await;
            }
            self.send().await?;
        }
    }

    async fn response(&mut self, field: u16, message_id: u16) -> Result<Reply, RequestError> {
        let deadline = Instant::now() + self.config.response_timeout;
        let mut body = BytesMut::new();
        loop {
            let frame = self.connection.frame_before(deadline).await;
            let fragment = match frame.map_err(|error| waited(error, "a response"))? {
                Frame::Fragment(fragment) if fragment.part == Part::Command => fragment,
                other => return Err(unexpected(&other)),
            };
            if body.len() + fragment.data.len() > command::COMMAND_BYTES {
                return Err(RequestError::Protocol("response is too long".to_owned()));
            }
            body.extend_from_slice(&fragment.data);
            if fragment.last {
                break;
            }
        }
        match Command::parse(&body) {
            Ok(Command::Response(response))
                if response.field == field | command::RESPONSE
                    && response.message_id == message_id
                    && !response.has_data_set =>
            {
                Ok(response.reply)
            }
            Ok(_) => Err(RequestError::Protocol("answer to another question".to_owned())),
            Err(error) => Err(RequestError::Protocol(error.to_string())),
        }
    }

    fn context(&self, sop_class: &Uid, transfer_syntax: &Uid) -> Result<u8, RequestError> {
        let wanted = |context: &&Accepted| {
            context.abstract_syntax == *sop_class && context.transfer_syntax == *transfer_syntax
        };
        self.contexts.iter().find(wanted).map(|context| context.id).ok_or_else(|| {
            RequestError::ContextNotAccepted {
                sop_class: sop_class.clone(),
                transfer_syntax: transfer_syntax.clone(),
            }
        })
    }

    fn message_id(&mut self) -> u16 {
        let id = self.next_message_id;
        self.next_message_id = id.checked_add(1).unwrap_or(1);
        id
    }

    fn put_command(&mut self, context_id: u8, body: &[u8]) {
        let output = &mut self.connection.output;
        pdu::message(context_id, Part::Command, body, self.send_pdu_bytes, output);
    }

    /// Sends; when that fails, the peer's A-ABORT may be the reason and say more than the broken
    /// pipe.
    async fn send(&mut self) -> Result<(), RequestError> {
        let Err(error) = self.connection.send().await else {
            return Ok(());
        };
        let deadline = Instant::now() + LAST_WORD;
        match self.connection.frame_before(deadline).await {
            Ok(Frame::Abort(abort)) => Err(RequestError::Aborted(abort)),
            _ => Err(broken(error)),
        }
    }
}

fn request(config: &RequestorConfig, proposals: &[Proposal]) -> AssociateRequest {
    let ids = (1..=u8::MAX).step_by(2);
    let contexts = ids.zip(proposals).map(|(id, proposal)| ProposedContext {
        id,
        abstract_syntax: proposal.abstract_syntax.to_string(),
        transfer_syntaxes: proposal.transfer_syntaxes.iter().map(Uid::to_string).collect(),
    });
    AssociateRequest {
        protocol_version: 1,
        called_ae_title: config.called_ae_title.clone(),
        calling_ae_title: config.calling_ae_title.clone(),
        application_context: uids::APPLICATION_CONTEXT.to_owned(),
        contexts: contexts.collect(),
        max_pdu_bytes: config.max_pdu_bytes,
        implementation_class_uid: uids::IMPLEMENTATION_CLASS_UID.to_owned(),
        implementation_version_name: uids::IMPLEMENTATION_VERSION_NAME.to_owned(),
        user_identity: false,
    }
}

/// Accepted contexts, with a transfer syntax that had really been proposed for them.
fn accepted(
    proposals: &[Proposal],
    request: &AssociateRequest,
    accept: &AssociateAccept,
) -> Vec<Accepted> {
    let answers = accept.contexts.iter().filter(|it| it.outcome == ContextOutcome::Accepted);
    answers
        .filter_map(|answer| {
            let index = request.contexts.iter().position(|context| context.id == answer.id)?;
            let proposal = proposals.get(index)?;
            let syntax = proposal
                .transfer_syntaxes
                .iter()
                .find(|it| it.as_str() == answer.transfer_syntax)?;
            Some(Accepted {
                id: answer.id,
                abstract_syntax: proposal.abstract_syntax.clone(),
                transfer_syntax: syntax.clone(),
            })
        })
        .collect()
}

fn unexpected(frame: &Frame) -> RequestError {
    match frame {
        Frame::Abort(abort) => RequestError::Aborted(*abort),
        _ => RequestError::Protocol("unexpected PDU".to_owned()),
    }
}

fn waited(error: ConnectionError, what: &'static str) -> RequestError {
    match error {
        ConnectionError::TimedOut => RequestError::TimedOut(what),
        other => broken(other),
    }
}

fn broken(error: ConnectionError) -> RequestError {
    match error {
        ConnectionError::Closed => RequestError::Broken(io::ErrorKind::UnexpectedEof.into()),
        ConnectionError::TimedOut => RequestError::TimedOut("the peer to take our data"),
        ConnectionError::Pdu(error) => RequestError::Protocol(error.to_string()),
        ConnectionError::Io(error) => RequestError::Broken(error),
    }
}

/// How long a peer's A-ABORT is waited for after a write has failed.
const LAST_WORD: Duration = Duration::from_millis(200);
/// Presentation contexts in one association (PS3.8 9.3.2.2).
const CONTEXTS: usize = 128;
