//! Associations told as stories over an in-memory stream, with a virtual clock: good senders, slow
//! ones, rude ones.

#[expect(dead_code, reason = "each test binary uses a part of the shared harness")]
mod support;

use std::time::Duration;

use bytes::BytesMut;
use medrelay_dicom::association::acceptor::{AcceptorConfig, End, Summary, serve};
use medrelay_dicom::command::{Command, Status};
use medrelay_dicom::pdu::{
    self, Abort, ContextOutcome, Fragment, Frame, Framer, FramerLimits, Rejection,
};
use support::{Manner, Shelf, associate, echo, loopback, store};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// A sender that speaks raw PDUs to an acceptor in the same process.
struct Sender {
    stream: DuplexStream,
    framer: Framer,
    input: BytesMut,
    stop: CancellationToken,
    server: JoinHandle<Summary>,
}

impl Sender {
    fn connect(shelf: &Shelf, config: AcceptorConfig) -> Self {
        let (near, far) = tokio::io::duplex(64 * 1024);
        let (shelf, stop) = (shelf.clone(), CancellationToken::new());
        let stopped = stop.clone();
        let server =
            tokio::spawn(async move { serve(far, &loopback(), &shelf, &config, &stopped).await });
        let framer = Framer::new(FramerLimits::default());
        Self { stream: near, framer, input: BytesMut::new(), stop, server }
    }

    async fn associated(shelf: &Shelf) -> Self {
        let mut sender = Self::connect(shelf, AcceptorConfig::default());
        sender.send(&associate()).await;
        assert!(matches!(sender.frame().await, Some(Frame::AssociateAccept(_))));
        sender
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.expect("the acceptor reads");
    }

    /// The next frame, or `None` when the acceptor has closed.
    async fn frame(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.framer.next(&mut self.input).expect("we write proper PDUs") {
                return Some(frame);
            }
            if self.stream.read_buf(&mut self.input).await.expect("in memory") == 0 {
                return None;
            }
        }
    }

    /// The status of the next response, and the message that it answers.
    async fn status(&mut self) -> (u16, Status) {
        let mut body = Vec::new();
        loop {
            let Some(Frame::Fragment(Fragment { data, last, .. })) = self.frame().await else {
                panic!("a response was due");
            };
            body.extend_from_slice(&data);
            if last {
                break;
            }
        }
        match Command::parse(&body) {
            Ok(Command::Response(response)) => (response.message_id, response.reply.status),
            other => panic!("a response was due, not {other:?}"),
        }
    }

    async fn end(mut self) -> (Option<Frame>, End) {
        let last = self.frame().await;
        drop(self.stream);
        (last, self.server.await.expect("the acceptor does not panic").end)
    }
}

fn data(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|it| (it % 251) as u8).collect()
}

#[tokio::test(start_paused = true)]
async fn an_object_arrives_byte_for_byte_whatever_the_size_of_its_pieces() {
    let shelf = Shelf::default();
    for (index, (bytes, max)) in
        [(0, 100), (1, 7), (5_000, 50), (300_000, 16_384), (1_000_000, 131_072)]
            .into_iter()
            .enumerate()
    {
        let mut sender = Sender::associated(&shelf).await;
        let object = data(bytes);
        let message = store(9, &object, max);
        let (mut read, mut write) = tokio::io::split(sender.stream);
        let sending = tokio::spawn(async move {
            for piece in message.chunks(max as usize / 3 + 1) {
                write.write_all(piece).await.expect("the acceptor reads");
            }
            write
        });
        let mut answer = [0; 6];
        read.read_exact(&mut answer).await.expect("a response");
        sender.input.extend_from_slice(&answer);
        sender.stream = read.unsplit(sending.await.expect("sent"));
        assert_eq!(sender.status().await, (9, Status::SUCCESS));
        let seen = shelf.seen.lock().expect("no panic with the lock");
        let received = &seen.stored[index];
        assert_eq!(received.data, object, "{bytes} bytes in PDUs of {max}");
        assert!(received.chunks.0 <= 256 * 1024 + 131_136, "chunks are bounded");
        assert!(received.chunks.1 <= 1 + bytes / (256 * 1024), "writes are few");
    }
}

#[tokio::test(start_paused = true)]
async fn echo_store_and_release_in_one_association() {
    let shelf = Shelf::default();
    let mut sender = Sender::associated(&shelf).await;
    sender.send(&echo(1)).await;
    assert_eq!(sender.status().await, (1, Status::SUCCESS));
    sender.send(&store(2, &data(100), 64)).await;
    assert_eq!(sender.status().await, (2, Status::SUCCESS));
    sender.send(&echo(3)).await;
    assert_eq!(sender.status().await, (3, Status::SUCCESS));
    let mut out = BytesMut::new();
    pdu::release_request(&mut out);
    sender.send(&out).await;
    let (last, end) = sender.end().await;
    assert_eq!(last, Some(Frame::ReleaseReply));
    assert!(matches!(end, End::Released), "{end}");
}

#[tokio::test(start_paused = true)]
async fn a_command_and_its_data_may_share_a_pdu() {
    let shelf = Shelf::default();
    let mut sender = Sender::associated(&shelf).await;
    // The two P-DATA-TF of a small message become one with two values.
    let message = store(4, &data(10), 1024);
    let first = 6 + u32::from_be_bytes([message[2], message[3], message[4], message[5]]) as usize;
    let values = [&message[6..first], &message[first + 6..]].concat();
    let mut pdu = vec![4, 0];
    pdu.extend((values.len() as u32).to_be_bytes());
    pdu.extend(values);
    sender.send(&pdu).await;
    assert_eq!(sender.status().await, (4, Status::SUCCESS));
    assert_eq!(shelf.counts(), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_costs_the_object_and_not_the_association() {
    for (manner, status, abandoned) in [
        (Manner::RefusesToBegin, Status::NOT_AUTHORIZED, 0),
        (Manner::RefusesAfter(1_000), Status::OUT_OF_RESOURCES, 1),
    ] {
        let shelf = Shelf::new(manner);
        let mut sender = Sender::associated(&shelf).await;
        let message = store(1, &data(900_000), 16_384);
        for piece in message.chunks(30_000) {
            sender.send(piece).await;
        }
        assert_eq!(sender.status().await, (1, status));
        assert_eq!(shelf.counts(), (0, abandoned));
        sender.send(&echo(2)).await;
        assert_eq!(sender.status().await, (2, Status::SUCCESS), "the association lives on");
    }
}

#[tokio::test(start_paused = true)]
async fn unknown_operations_are_answered_after_their_data() {
    let shelf = Shelf::default();
    let mut sender = Sender::associated(&shelf).await;
    let mut message = store(8, &data(50), 1024);
    // C-STORE-RQ becomes C-FIND-RQ.
    let field = [0, 0, 0, 1, 2, 0, 0, 0, 1, 0];
    let at = message.windows(field.len()).position(|it| it == field).expect("the command field");
    message[at + 8] = 0x20;
    sender.send(&message).await;
    assert_eq!(sender.status().await, (8, Status::UNRECOGNIZED_OPERATION));
    sender.send(&echo(9)).await;
    assert_eq!(sender.status().await, (9, Status::SUCCESS));
}

#[tokio::test(start_paused = true)]
async fn contexts_are_answered_one_by_one() {
    let mut out = BytesMut::new();
    let context = |id, abstract_syntax: &str, syntaxes: &[&str]| pdu::ProposedContext {
        id,
        abstract_syntax: abstract_syntax.into(),
        transfer_syntaxes: syntaxes.iter().map(|it| (*it).to_owned()).collect(),
    };
    let request = pdu::AssociateRequest {
        protocol_version: 1,
        contexts: vec![
            context(1, support::CT, &["1.2.840.10008.1.2.4.90"]),
            context(3, support::CT, &["1.9", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2"]),
            context(5, "1.2.840.10008.5.1.4.31", &["1.2.840.10008.1.2"]),
            context(7, support::CT, &["1.9"]),
            context(9, support::CT, &[]),
        ],
        ..pdu::AssociateRequest::default()
    };
    pdu::associate_request(&request, &mut out);
    let mut sender = Sender::connect(&Shelf::default(), AcceptorConfig::default());
    sender.send(&out).await;
    let Some(Frame::AssociateAccept(accept)) = sender.frame().await else {
        panic!("accepted");
    };
    let outcomes: Vec<_> = accept.contexts.iter().map(|it| (it.id, it.outcome)).collect();
    let expected = vec![
        (1, ContextOutcome::Accepted),
        (3, ContextOutcome::Accepted),
        (5, ContextOutcome::AbstractSyntaxNotSupported),
        (7, ContextOutcome::TransferSyntaxesNotSupported),
        (9, ContextOutcome::TransferSyntaxesNotSupported),
    ];
    assert_eq!(outcomes, expected);
    assert_eq!(accept.contexts[1].transfer_syntax, "1.2.840.10008.1.2", "deflated comes last");
    assert_eq!(accept.max_pdu_bytes, 131_072);
}

#[tokio::test(start_paused = true)]
async fn the_unwelcome_are_rejected_with_a_reason() {
    let mut sender = Sender::connect(&Shelf::new(Manner::RejectsAll), AcceptorConfig::default());
    sender.send(&associate()).await;
    let (last, end) = sender.end().await;
    assert_eq!(last, Some(Frame::AssociateReject(Rejection::CALLING_AE_TITLE)));
    assert!(matches!(end, End::Rejected(_)), "{end}");

    let mut wrong = associate();
    let at = wrong.windows(9).position(|it| it == b"1.2.840.1").expect("the context name");
    wrong[at] = b'9';
    let mut sender = Sender::connect(&Shelf::default(), AcceptorConfig::default());
    sender.send(&wrong).await;
    let rejected = Frame::AssociateReject(Rejection::APPLICATION_CONTEXT);
    assert_eq!(sender.end().await.0, Some(rejected));
}

#[tokio::test(start_paused = true)]
async fn a_silent_or_dripping_caller_is_cut_by_artim() {
    let started = Instant::now();
    let sender = Sender::connect(&Shelf::default(), AcceptorConfig::default());
    let (last, end) = sender.end().await;
    assert_eq!((last, started.elapsed().as_secs()), (None, 30));
    assert!(matches!(end, End::Artim), "{end}");

    let started = Instant::now();
    let mut sender = Sender::connect(&Shelf::default(), AcceptorConfig::default());
    for byte in &associate()[..10] {
        if sender.stream.write_all(&[*byte]).await.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_secs(10)).await;
    }
    let (_, end) = sender.end().await;
    assert!(matches!(end, End::Artim), "{end}");
    assert!(started.elapsed().as_secs() <= 101);
}

#[tokio::test(start_paused = true)]
async fn an_idle_association_is_aborted() {
    let started = Instant::now();
    let sender = Sender::associated(&Shelf::default()).await;
    let (last, end) = sender.end().await;
    assert_eq!(last, Some(Frame::Abort(Abort::NOT_SPECIFIED)));
    assert_eq!(started.elapsed().as_secs(), 300);
    assert!(matches!(end, End::Idle), "{end}");
}

#[tokio::test(start_paused = true)]
async fn a_byte_every_ten_seconds_does_not_hold_a_message() {
    let shelf = Shelf::default();
    for whole_pdus in [false, true] {
        let started = Instant::now();
        let mut sender = Sender::associated(&shelf).await;
        let message = store(1, &data(1_000), if whole_pdus { 7 } else { 2_000 });
        let command = store(1, &[], 2_000).len() - 12;
        let message = if whole_pdus { &message[..] } else { &message[command..] };
        if !whole_pdus {
            let head = store(1, &[], 2_000);
            sender.send(&head[..command]).await;
        }
        for piece in message.chunks(if whole_pdus { 13 } else { 1 }).take(40) {
            if sender.stream.write_all(piece).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_secs(10)).await;
        }
        let abort = Frame::Abort(Abort::NOT_SPECIFIED);
        let (last, end) = sender.end().await;
        assert_eq!(last, Some(abort));
        assert!(matches!(end, End::TooSlow), "{end}");
        assert!(started.elapsed().as_secs() < 500);
    }
    assert_eq!(shelf.counts(), (0, 1), "what had begun was abandoned");
}

#[tokio::test(start_paused = true)]
async fn a_slow_but_steady_sender_is_served() {
    let shelf = Shelf::default();
    let mut sender = Sender::associated(&shelf).await;
    let message = store(1, &data(400_000), 16_384);
    for piece in message.chunks(5_000) {
        sender.send(piece).await;
        tokio::time::sleep(Duration::from_secs(10)).await;
    }
    assert_eq!(sender.status().await, (1, Status::SUCCESS));
}

#[tokio::test(start_paused = true)]
async fn what_breaks_the_protocol_is_aborted_with_the_reason() {
    let data_first = store(1, &data(4), 1024);
    let command_bytes = data_first.len() - (12 + 4);
    let accept = {
        let mut out = BytesMut::new();
        pdu::release_reply(&mut out);
        out
    };
    let cases: Vec<(&str, Vec<u8>, Abort)> = vec![
        ("second association", associate().to_vec(), Abort::UNEXPECTED_PDU),
        ("release reply", accept.to_vec(), Abort::UNEXPECTED_PDU),
        ("data before command", data_first[command_bytes..].to_vec(), Abort::UNEXPECTED_PDU),
        ("unknown type", vec![9, 0, 0, 0, 0, 0], Abort::UNRECOGNIZED_PDU),
        ("4 GiB", vec![4, 0, 0xFF, 0xFF, 0xFF, 0xFF], Abort::INVALID_PARAMETER),
        ("unknown context", vec![4, 0, 0, 0, 0, 6, 0, 0, 0, 2, 77, 3], Abort::INVALID_PARAMETER),
        (
            "no command set",
            vec![4, 0, 0, 0, 0, 9, 0, 0, 0, 5, 1, 3, 1, 2, 3],
            Abort::INVALID_PARAMETER,
        ),
    ];
    for (name, bytes, abort) in cases {
        let mut sender = Sender::associated(&Shelf::default()).await;
        sender.send(&bytes).await;
        let (last, end) = sender.end().await;
        assert_eq!(last, Some(Frame::Abort(abort)), "{name}: {end}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_object_broken_off_is_abandoned() {
    let whole = store(1, &data(100_000), 16_384);
    let mut abort = BytesMut::new();
    pdu::abort(Abort::SERVICE_USER, &mut abort);
    // The first cut ends with a whole PDU, so that an A-ABORT can follow.
    let command = store(1, &[], 16_384).len() - 12;
    let shelf = Shelf::default();
    let mut sender = Sender::associated(&shelf).await;
    sender.send(&whole[..command + 6 + 16_384]).await;
    sender.send(&abort).await;
    let (_, end) = sender.end().await;
    assert!(matches!(end, End::AbortedByPeer(Abort::SERVICE_USER)), "{end}");
    let mut sender = Sender::associated(&shelf).await;
    sender.send(&whole[..50_000]).await;
    drop(sender.stream);
    let end = sender.server.await.expect("no panic").end;
    assert!(matches!(end, End::Closed), "{end}");
    assert_eq!(shelf.counts(), (0, 2));
}

#[tokio::test(start_paused = true)]
async fn a_soft_stop_lets_the_message_under_way_finish() {
    let shelf = Shelf::default();
    let mut sender = Sender::associated(&shelf).await;
    let message = store(6, &data(100_000), 16_384);
    sender.send(&message[..60_000]).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    sender.stop.cancel();
    sender.send(&message[60_000..]).await;
    assert_eq!(sender.status().await, (6, Status::SUCCESS));
    let (last, end) = sender.end().await;
    assert_eq!(last, Some(Frame::Abort(Abort::NOT_SPECIFIED)));
    assert!(matches!(end, End::Stopped), "{end}");
    assert_eq!(shelf.counts(), (1, 0));

    let sender = Sender::associated(&shelf).await;
    sender.stop.cancel();
    assert!(matches!(sender.end().await.1, End::Stopped));
}

#[tokio::test(start_paused = true)]
async fn an_object_beyond_the_limit_ends_the_association() {
    let shelf = Shelf::default();
    let config = AcceptorConfig { object_bytes: 10_000, ..AcceptorConfig::default() };
    let mut sender = Sender::connect(&shelf, config);
    sender.send(&associate()).await;
    sender.frame().await;
    sender.send(&store(1, &data(20_000), 16_384)).await;
    let (last, end) = sender.end().await;
    assert_eq!(last, Some(Frame::Abort(Abort::INVALID_PARAMETER)), "{end}");
    assert_eq!(shelf.counts(), (0, 1));
}
