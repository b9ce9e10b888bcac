//! Our requestor on a virtual clock: against our own acceptor, and against peers that misbehave.

#[expect(dead_code, reason = "each test binary uses a part of the shared harness")]
mod support;

use bytes::{Bytes, BytesMut};
use medrelay_dicom::association::acceptor::{AcceptorConfig, serve};
use medrelay_dicom::association::requestor::{
    Association, Proposal, RequestError, RequestorConfig, StoreObject,
};
use medrelay_dicom::command::{self, C_STORE_RQ, Priority, Reply, Status};
use medrelay_dicom::pdu::{
    self, Abort, AssociateAccept, ContextAnswer, ContextOutcome, Part, Rejection,
};
use medrelay_dicom::uids;
use support::{CT, Shelf, loopback, uid};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

fn proposals() -> Vec<Proposal> {
    let explicit = uid(uids::EXPLICIT_VR_LITTLE_ENDIAN);
    let implicit = uid(uids::IMPLICIT_VR_LITTLE_ENDIAN);
    Proposal::pairs([
        (uid(CT), explicit.clone()),
        (uid(CT), implicit.clone()),
        (uid(uids::VERIFICATION), implicit),
        (uid(CT), explicit),
    ])
}

fn object(bytes: usize) -> (StoreObject, Vec<u8>) {
    let object = StoreObject {
        sop_class: uid(CT),
        sop_instance: uid("1.2.3.4"),
        transfer_syntax: uid(uids::EXPLICIT_VR_LITTLE_ENDIAN),
        data_set_bytes: bytes as u64,
        priority: Priority::High,
        move_originator: None,
    };
    (object, (0..bytes).map(|it| (it % 249) as u8).collect())
}

fn config() -> RequestorConfig {
    RequestorConfig::new("MEDRELAY", "PACS")
}

/// The far end of a stream in the hands of a test.
struct Puppet(DuplexStream);

impl Puppet {
    fn new(buffer_bytes: usize) -> (DuplexStream, Self) {
        let (near, far) = tokio::io::duplex(buffer_bytes);
        (near, Self(far))
    }

    /// Type and length of the next PDU, whose body is thrown away.
    async fn pdu(&mut self) -> (u8, usize) {
        let mut head = [0; 6];
        self.0.read_exact(&mut head).await.expect("a PDU was due");
        let bytes = u32::from_be_bytes([head[2], head[3], head[4], head[5]]) as usize;
        self.0.read_exact(&mut vec![0; bytes]).await.expect("a whole PDU");
        (head[0], bytes)
    }

    async fn send(&mut self, write: impl FnOnce(&mut BytesMut)) {
        let mut out = BytesMut::new();
        write(&mut out);
        self.0.write_all(&out).await.expect("the requestor reads");
    }

    /// Accepts the first context with this syntax and refuses the others.
    async fn accept(&mut self, transfer_syntax: &str, max_pdu_bytes: u32) {
        assert_eq!(self.pdu().await.0, 1);
        let answer =
            |(id, outcome)| ContextAnswer { id, outcome, transfer_syntax: transfer_syntax.into() };
        let contexts = [
            (1, ContextOutcome::Accepted),
            (3, ContextOutcome::UserRejection),
            (5, ContextOutcome::AbstractSyntaxNotSupported),
        ];
        let accept = AssociateAccept {
            contexts: contexts.into_iter().map(answer).collect(),
            max_pdu_bytes,
            ..AssociateAccept::default()
        };
        self.send(|out| pdu::associate_accept(&accept, out)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn both_of_our_sides_understand_each_other() {
    let (near, far) = tokio::io::duplex(10_000);
    let shelf = Shelf::default();
    let (provider, stop) = (shelf.clone(), CancellationToken::new());
    let server = tokio::spawn(async move {
        serve(far, &loopback(), &provider, &AcceptorConfig::default(), &stop).await
    });
    let mut association = Association::open(near, config(), &proposals()).await.expect("opened");
    assert!(association.accepts(&uid(CT), &uid(uids::IMPLICIT_VR_LITTLE_ENDIAN)));
    assert_eq!(association.peer().implementation_class_uid, uids::IMPLEMENTATION_CLASS_UID);
    for bytes in [0, 1, 131_066, 131_067, 400_000] {
        let (object, data) = object(bytes);
        let reply = association.store(&object, &data[..]).await.expect("answered");
        assert_eq!(reply.status, Status::SUCCESS);
        let seen = shelf.seen.lock().expect("no panic with the lock");
        let received = seen.stored.last().expect("stored");
        assert!(received.data == data && received.request.priority == Priority::High);
    }
    assert_eq!(association.echo().await.expect("answered").status, Status::SUCCESS);
    association.release().await.expect("released");
    let summary = server.await.expect("no panic");
    assert_eq!((summary.stored, summary.failed, summary.echoes), (5, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn the_maximum_of_the_peer_is_kept() {
    let (near, mut puppet) = Puppet::new(1 << 20);
    let peer = tokio::spawn(async move {
        puppet.accept(uids::EXPLICIT_VR_LITTLE_ENDIAN, 1_000).await;
        let mut lengths = Vec::new();
        while lengths.iter().sum::<usize>() < 10_000 {
            lengths.push(puppet.pdu().await.1);
        }
        let reply = Reply::new(Status(0xB007), "as it is");
        let body = command::response(C_STORE_RQ, 1, Some((CT, "1.2.3.4")), &reply);
        puppet.send(|out| pdu::message(1, Part::Command, &body, 1_000, out)).await;
        lengths
    });
    let mut association = Association::open(near, config(), &proposals()).await.expect("opened");
    assert!(!association.accepts(&uid(CT), &uid(uids::IMPLICIT_VR_LITTLE_ENDIAN)));
    let (object, data) = object(10_000);
    let reply = association.store(&object, &data[..]).await.expect("answered");
    assert!(reply.status.is_stored() && reply.status.is_warning());
    assert_eq!(reply.comment.as_deref(), Some("as it is"));
    let lengths = peer.await.expect("no panic");
    assert!(lengths.iter().all(|bytes| *bytes <= 1_000), "{lengths:?}");
}

#[tokio::test(start_paused = true)]
async fn a_syntax_that_was_not_proposed_is_not_accepted() {
    let (near, mut puppet) = Puppet::new(10_000);
    let answered = tokio::spawn(async move {
        puppet.accept("1.2.840.10008.1.2.5", 0).await;
        puppet
    });
    let mut association = Association::open(near, config(), &proposals()).await.expect("opened");
    let _puppet = answered.await.expect("no panic");
    let (object, data) = object(10);
    let error = association.store(&object, &data[..]).await.expect_err("not accepted");
    assert!(matches!(error, RequestError::ContextNotAccepted { .. }), "{error}");
    assert!(!error.is_transient());
}

#[tokio::test(start_paused = true)]
async fn rejections_say_whether_to_come_again() {
    for (rejection, transient) in
        [(Rejection::CONGESTION, true), (Rejection::CALLED_AE_TITLE, false)]
    {
        let (near, mut puppet) = Puppet::new(10_000);
        let peer = tokio::spawn(async move {
            puppet.pdu().await;
            puppet.send(|out| pdu::associate_reject(rejection, out)).await;
        });
        let error = Association::open(near, config(), &proposals()).await.err().expect("rejected");
        assert_eq!(error.is_transient(), transient, "{error}");
        assert!(error.to_string().contains(rejection.text()), "{error}");
        peer.await.expect("no panic");
    }
}

#[tokio::test(start_paused = true)]
async fn silence_has_an_end() {
    let started = Instant::now();
    let (near, _puppet) = Puppet::new(10_000);
    let error = Association::open(near, config(), &proposals()).await.err().expect("silent");
    assert!(matches!(error, RequestError::TimedOut("the association answer")), "{error}");
    assert_eq!(started.elapsed().as_secs(), 30);

    // The peer accepts and then neither reads nor answers.
    for (bytes, seconds) in [(100, 120), (1_000_000, 60)] {
        let (near, mut puppet) = Puppet::new(10_000);
        let peer = tokio::spawn(async move {
            puppet.accept(uids::EXPLICIT_VR_LITTLE_ENDIAN, 0).await;
            puppet
        });
        let mut association = Association::open(near, config(), &proposals()).await.expect("open");
        let _puppet = peer.await.expect("no panic");
        let (object, data) = object(bytes);
        let started = Instant::now();
        let error = association.store(&object, &data[..]).await.expect_err("nobody answers");
        assert!(matches!(error, RequestError::TimedOut(_)) && error.is_transient(), "{error}");
        assert_eq!(started.elapsed().as_secs(), seconds);
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_another_question_is_none() {
    let (near, mut puppet) = Puppet::new(1 << 20);
    let peer = tokio::spawn(async move {
        puppet.accept(uids::EXPLICIT_VR_LITTLE_ENDIAN, 0).await;
        let body = command::response(C_STORE_RQ, 77, None, &Status::SUCCESS.into());
        puppet.send(|out| pdu::message(1, Part::Command, &body, 1_000, out)).await;
        puppet
    });
    let mut association = Association::open(near, config(), &proposals()).await.expect("opened");
    let (object, data) = object(10);
    let error = association.store(&object, &data[..]).await.expect_err("wrong message ID");
    assert!(matches!(error, RequestError::Protocol(_)), "{error}");
    drop(peer);
}

#[tokio::test(start_paused = true)]
async fn an_abort_of_the_peer_is_told_from_a_broken_line() {
    for aborts in [true, false] {
        let (near, mut puppet) = Puppet::new(10_000);
        let peer = tokio::spawn(async move {
            puppet.accept(uids::EXPLICIT_VR_LITTLE_ENDIAN, 0).await;
            if aborts {
                puppet.send(|out| pdu::abort(Abort::SERVICE_USER, out)).await;
            }
        });
        let mut association = Association::open(near, config(), &proposals()).await.expect("open");
        peer.await.expect("no panic");
        let (object, data) = object(1_000_000);
        let error = association.store(&object, &data[..]).await.expect_err("gone");
        let told = matches!(error, RequestError::Aborted(Abort::SERVICE_USER));
        assert_eq!(told, aborts, "{error}");
        assert!(error.is_transient());
    }
}

#[tokio::test(start_paused = true)]
async fn a_source_of_another_length_is_our_own_fault() {
    for offered in [9, 11] {
        let (near, mut puppet) = Puppet::new(10_000);
        let peer = tokio::spawn(async move {
            puppet.accept(uids::EXPLICIT_VR_LITTLE_ENDIAN, 0).await;
            puppet
        });
        let mut association = Association::open(near, config(), &proposals()).await.expect("open");
        let _puppet = peer.await.expect("no panic");
        let (object, _) = object(10);
        let source = Bytes::from(vec![0; offered]);
        let error = association.store(&object, &source[..]).await.expect_err("not ten");
        assert!(matches!(error, RequestError::Source(_)) && !error.is_transient(), "{error}");
    }
}
