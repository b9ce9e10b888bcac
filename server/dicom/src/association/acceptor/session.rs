//! One association, message by message. The loop waits, then acts; what ends it is an [`End`].

use bytes::BytesMut;
use medrelay_core::id::Uid;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{AcceptorConfig, End, Peer, Provider, Sink, StoreRequest, Summary};
use crate::association::connection::{Connection, ConnectionError, READ_BYTES};
use crate::command::{
    self, C_ECHO_RQ, C_STORE_RQ, COMMAND_BYTES, Command, Reply, Status, StoreCommand,
};
use crate::pdu::{
    self, AssociateAccept, AssociateRequest, ContextAnswer, ContextOutcome, Fragment, Frame, Part,
    Rejection,
};
use crate::uids;

pub(super) struct Session<'a, S, P> {
    connection: Connection<S>,
    provider: &'a P,
    config: &'a AcceptorConfig,
    stop: &'a CancellationToken,
    contexts: Vec<Context>,
    /// Longest PDU that we send: the smaller of the peer's wish and our own.
    send_pdu_bytes: u32,
    /// Bytes of a data set on their way to the sink.
    chunk: BytesMut,
    summary: Summary,
}

/// An accepted presentation context.
#[derive(Clone)]
struct Context {
    id: u8,
    abstract_syntax: String,
    transfer_syntax: Uid,
}

/// Why a data set did not reach its end in the sink.
enum Break {
    /// The sink refused it; `complete` says whether all of it had been read by then.
    Refused { reply: Reply, complete: bool },
    /// The association is over.
    Ended(End),
}

impl<'a, S, P> Session<'a, S, P>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
    P: Provider,
{
    pub(super) fn new(
        stream: S,
        provider: &'a P,
        config: &'a AcceptorConfig,
        stop: &'a CancellationToken,
    ) -> Self {
        Self {
            connection: Connection::new(stream, config.limits, config.pace),
            provider,
            config,
            stop,
            contexts: Vec::new(),
            send_pdu_bytes: config.max_pdu_bytes,
            chunk: BytesMut::new(),
            summary: Summary {
                calling_ae_title: String::new(),
                called_ae_title: String::new(),
                stored: 0,
                failed: 0,
                echoes: 0,
                data_set_bytes: 0,
                end: End::Closed,
            },
        }
    }

    pub(super) async fn run(mut self, peer: &Peer) -> Summary {
        let end = match self.associate(peer).await {
            Ok(caller) => self.serve(&caller).await,
            Err(end) => end,
        };
        // An answer that could not be sent must not be repeated in front of the last word.
        self.connection.output.clear();
        match &end {
            End::Rejected(rejection) => {
                pdu::associate_reject(*rejection, &mut self.connection.output);
            }
            End::Released => pdu::release_reply(&mut self.connection.output),
            other => {
                if let Some(abort) = other.abort() {
                    pdu::abort(abort, &mut self.connection.output);
                }
            }
        }
        self.connection.close().await;
        self.summary.end = end;
        self.summary
    }

    /// From the connection to A-ASSOCIATE-AC, or to the reason why not.
    async fn associate(&mut self, peer: &Peer) -> Result<P::Caller, End> {
        let deadline = Instant::now() + self.config.artim_timeout;
        let frame = tokio::select! {
            frame = self.connection.frame_before(deadline) => frame,
            () = self.stop.cancelled() => return Err(End::Rejected(Rejection::CONGESTION)),
        };
        let request = match frame {
            Ok(Frame::AssociateRequest(request)) => request,
            Ok(other) => return Err(unexpected(&other)),
            Err(ConnectionError::TimedOut) => return Err(End::Artim),
            Err(error) => return Err(ended(error)),
        };
        self.summary.calling_ae_title.clone_from(&request.calling_ae_title);
        self.summary.called_ae_title.clone_from(&request.called_ae_title);
        if request.protocol_version & 1 == 0 {
            return Err(End::Rejected(Rejection::PROTOCOL_VERSION));
        }
        if request.application_context != uids::APPLICATION_CONTEXT {
            return Err(End::Rejected(Rejection::APPLICATION_CONTEXT));
        }
        let caller = self.provider.admit(&request, peer).await.map_err(End::Rejected)?;
        if request.max_pdu_bytes != 0 {
            self.send_pdu_bytes = self.send_pdu_bytes.min(request.max_pdu_bytes);
        }
        let accept = self.negotiate(&caller, &request);
        pdu::associate_accept(&accept, &mut self.connection.output);
        self.send().await?;
        Ok(caller)
    }

    fn negotiate(&mut self, caller: &P::Caller, request: &AssociateRequest) -> AssociateAccept {
        let mut answers = Vec::with_capacity(request.contexts.len());
        for proposed in &request.contexts {
            let syntaxes = &proposed.transfer_syntaxes;
            let chosen = self.provider.choose(caller, &proposed.abstract_syntax, syntaxes);
            let accepted = chosen.and_then(|index| {
                let syntax = syntaxes.get(index).ok_or(ContextOutcome::NoReason)?;
                Uid::parse(syntax).map_err(|_| ContextOutcome::TransferSyntaxesNotSupported)
            });
            let (outcome, transfer_syntax) = match accepted {
                Ok(transfer_syntax) => {
                    self.contexts.push(Context {
                        id: proposed.id,
                        abstract_syntax: proposed.abstract_syntax.clone(),
                        transfer_syntax: transfer_syntax.clone(),
                    });
                    (ContextOutcome::Accepted, transfer_syntax.to_string())
                }
                // Not significant when refused, but some peers want to read a UID here.
                Err(outcome) => (outcome, uids::IMPLICIT_VR_LITTLE_ENDIAN.to_owned()),
            };
            answers.push(ContextAnswer { id: proposed.id, outcome, transfer_syntax });
        }
        AssociateAccept {
            called_ae_title: request.called_ae_title.clone(),
            calling_ae_title: request.calling_ae_title.clone(),
            contexts: answers,
            max_pdu_bytes: self.config.max_pdu_bytes,
            implementation_class_uid: uids::IMPLEMENTATION_CLASS_UID.to_owned(),
            implementation_version_name: uids::IMPLEMENTATION_VERSION_NAME.to_owned(),
        }
    }

    /// Message after message, until the end.
    async fn serve(&mut self, caller: &P::Caller) -> End {
        loop {
            if self.stop.is_cancelled() {
                return End::Stopped;
            }
            if let Err(end) = self.message(caller).await {
                return end;
            }
        }
    }

    async fn message(&mut self, caller: &P::Caller) -> Result<(), End> {
        let woken = tokio::select! {
            woken = self.connection.wake(self.config.idle_timeout) => woken,
            () = self.stop.cancelled() => return Err(End::Stopped),
        };
        woken.map_err(|error| match error {
            ConnectionError::TimedOut => End::Idle,
            other => ended(other),
        })?;
        self.connection.restart();
        let (context_id, bytes) = self.command().await?;
        let context = self.contexts.iter().find(|context| context.id == context_id);
        let context = context.cloned().ok_or(End::UnknownContext(context_id))?;
        match Command::parse(&bytes)? {
            Command::Echo { message_id } => {
                let status = self.provider.echo(caller).await;
                self.summary.echoes += 1;
                self.respond(context_id, C_ECHO_RQ, message_id, None, &status.into()).await
            }
            Command::Store(command) => self.store(caller, &context, command).await,
            Command::Cancel => Ok(()),
            Command::Unacceptable(refused) => {
                if refused.has_data_set {
                    self.drain(context_id).await?;
                }
                self.summary.failed += u64::from(refused.field == C_STORE_RQ);
                let (field, id) = (refused.field, refused.message_id);
                self.respond(context_id, field, id, None, &refused.reply).await
            }
            Command::Response(_) => Err(End::Unexpected("response")),
        }
    }

    /// Collects a command set.
    async fn command(&mut self) -> Result<(u8, BytesMut), End> {
        let mut bytes = BytesMut::new();
        let mut context_id = None;
        loop {
            let fragment = match self.connection.frame().await.map_err(ended)? {
                Frame::Fragment(fragment) => fragment,
                Frame::ReleaseRequest if context_id.is_none() => return Err(End::Released),
                other => return Err(unexpected(&other)),
            };
            if fragment.part != Part::Command {
                return Err(End::Unexpected("data set"));
            }
            if *context_id.get_or_insert(fragment.context_id) != fragment.context_id {
                return Err(End::Unexpected("presentation context inside a message"));
            }
            if bytes.len() + fragment.data.len() > COMMAND_BYTES {
                return Err(End::TooLong("command set"));
            }
            bytes.extend_from_slice(&fragment.data);
            if fragment.last {
                return Ok((fragment.context_id, bytes));
            }
        }
    }

    async fn store(
        &mut self,
        caller: &P::Caller,
        context: &Context,
        command: StoreCommand,
    ) -> Result<(), End> {
        let object = StoreRequest {
            message_id: command.message_id,
            sop_class: command.sop_class,
            sop_instance: command.sop_instance,
            transfer_syntax: context.transfer_syntax.clone(),
            priority: command.priority,
            move_originator: command.move_originator,
        };
        let received = self.transfer(caller, context, &object).await;
        let stored = received.as_ref().is_ok_and(|reply| reply.status.is_stored());
        self.summary.stored += u64::from(stored);
        self.summary.failed += u64::from(!stored);
        let names = Some((object.sop_class.as_str(), object.sop_instance.as_str()));
        self.respond(context.id, C_STORE_RQ, object.message_id, names, &received?).await
    }

    /// Brings a data set into a sink of the provider's, and says how that is to be answered.
    async fn transfer(
        &mut self,
        caller: &P::Caller,
        context: &Context,
        object: &StoreRequest,
    ) -> Result<Reply, End> {
        let begun = if object.sop_class.as_str() == context.abstract_syntax {
            self.provider.begin(caller, object).await
        } else {
            let comment = "SOP class is not that of the presentation context";
            Err(Reply::new(Status::SOP_CLASS_NOT_SUPPORTED, comment))
        };
        let mut sink = match begun {
            Ok(sink) => sink,
            Err(reply) => {
                self.drain(context.id).await?;
                return Ok(reply);
            }
        };
        let received = self.receive(context.id, &mut sink).await;
        self.chunk.clear();
        match received {
            Ok(()) => Ok(sink.finish().await),
            Err(Break::Refused { reply, complete }) => {
                sink.abandon().await;
                if !complete {
                    self.drain(context.id).await?;
                }
                Ok(reply)
            }
            Err(Break::Ended(end)) => {
                sink.abandon().await;
                Err(end)
            }
        }
    }

    /// Passes a data set on in large pieces, so that a disk is asked seldom.
    async fn receive(&mut self, context_id: u8, sink: &mut P::Sink) -> Result<(), Break> {
        let mut total: u64 = 0;
        loop {
            let fragment = self.data_fragment(context_id).await.map_err(Break::Ended)?;
            total += fragment.data.len() as u64;
            if total > self.config.object_bytes {
                return Err(Break::Ended(End::TooLong("data set")));
            }
            if self.chunk.is_empty() {
                self.chunk.reserve(self.config.chunk_bytes + READ_BYTES);
            }
            self.chunk.extend_from_slice(&fragment.data);
            let full = self.chunk.len() >= self.config.chunk_bytes;
            if full || (fragment.last && !self.chunk.is_empty()) {
                let chunk = self.chunk.split().freeze();
                let written = sink.write(chunk).await;
                let complete = fragment.last;
                written.map_err(|reply| Break::Refused { reply, complete })?;
            }
            if fragment.last {
                return Ok(());
            }
        }
    }

    /// Reads a data set to its end and forgets it.
    async fn drain(&mut self, context_id: u8) -> Result<(), End> {
        let mut total: u64 = 0;
        loop {
            let fragment = self.data_fragment(context_id).await?;
            total += fragment.data.len() as u64;
            if fragment.last {
                return Ok(());
            }
            if total > self.config.object_bytes {
                return Err(End::TooLong("data set"));
            }
        }
    }

    async fn data_fragment(&mut self, context_id: u8) -> Result<Fragment, End> {
        match self.connection.frame().await.map_err(ended)? {
            Frame::Fragment(fragment) if fragment.part == Part::Command => {
                Err(End::Unexpected("command before the end of a data set"))
            }
            Frame::Fragment(fragment) if fragment.context_id != context_id => {
                Err(End::Unexpected("presentation context inside a message"))
            }
            Frame::Fragment(fragment) => {
                self.summary.data_set_bytes += fragment.data.len() as u64;
                Ok(fragment)
            }
            other => Err(unexpected(&other)),
        }
    }

    async fn respond(
        &mut self,
        context_id: u8,
        field: u16,
        message_id: u16,
        object: Option<(&str, &str)>,
        reply: &Reply,
    ) -> Result<(), End> {
        let body = command::response(field, message_id, object, reply);
        let output = &mut self.connection.output;
        pdu::message(context_id, Part::Command, &body, self.send_pdu_bytes, output);
        self.send().await
    }

    async fn send(&mut self) -> Result<(), End> {
        self.connection.send().await.map_err(ended)
    }
}

/// A frame that may not come now.
fn unexpected(frame: &Frame) -> End {
    match frame {
        Frame::Abort(abort) => End::AbortedByPeer(*abort),
        Frame::AssociateRequest(_) => End::Unexpected("A-ASSOCIATE-RQ"),
        Frame::AssociateAccept(_) => End::Unexpected("A-ASSOCIATE-AC"),
        Frame::AssociateReject(_) => End::Unexpected("A-ASSOCIATE-RJ"),
        Frame::Fragment(_) => End::Unexpected("P-DATA-TF"),
        Frame::ReleaseRequest => End::Unexpected("A-RELEASE-RQ"),
        Frame::ReleaseReply => End::Unexpected("A-RELEASE-RP"),
    }
}

/// What the end of the connection means inside a message.
fn ended(error: ConnectionError) -> End {
    match error {
        ConnectionError::Closed => End::Closed,
        ConnectionError::TimedOut => End::TooSlow,
        ConnectionError::Pdu(error) => End::Pdu(error),
        ConnectionError::Io(error) => End::Io(error),
    }
}
