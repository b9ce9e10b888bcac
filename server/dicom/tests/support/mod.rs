//! A provider that remembers what it was given, and the bytes of a sender without manners.

use std::sync::{Arc, Mutex};

use bytes::{Bytes, BytesMut};
use medrelay_core::id::Uid;
use medrelay_dicom::association::acceptor::{Peer, Provider, Sink, StoreRequest, Transport};
use medrelay_dicom::command::{self, Priority, Reply, Status, StoreCommand};
use medrelay_dicom::pdu::{self, AssociateRequest, Part, ProposedContext, Rejection};
use medrelay_dicom::uids;

/// CT Image Storage.
pub const CT: &str = "1.2.840.10008.5.1.4.1.1.2";

/// An object that was received.
#[derive(Debug, Clone)]
pub struct Received {
    /// What came with it.
    pub request: StoreRequest,
    /// Its data set; empty when bytes are only counted.
    pub data: BytesMut,
    /// Length of its data set.
    pub bytes: usize,
    /// Length of the longest and number of all chunks.
    pub chunks: (usize, usize),
}

/// What the provider has seen.
#[derive(Debug, Default)]
pub struct Seen {
    /// Objects finished.
    pub stored: Vec<Received>,
    /// Objects abandoned.
    pub abandoned: usize,
}

/// How the provider behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Manner {
    /// Stores everything.
    #[default]
    Willing,
    /// Stores everything but keeps no bytes.
    Counting,
    /// Refuses before the data set.
    RefusesToBegin,
    /// Refuses once so many bytes have come.
    RefusesAfter(usize),
    /// Admits nobody.
    RejectsAll,
}

/// A provider for tests.
#[derive(Debug, Default, Clone)]
pub struct Shelf {
    /// What to do.
    pub manner: Manner,
    /// What was done.
    pub seen: Arc<Mutex<Seen>>,
}

impl Shelf {
    /// A shelf with this manner.
    pub fn new(manner: Manner) -> Self {
        Self { manner, seen: Arc::default() }
    }

    /// How many objects were stored and abandoned.
    pub fn counts(&self) -> (usize, usize) {
        let seen = self.seen.lock().expect("no test panics with the lock");
        (seen.stored.len(), seen.abandoned)
    }
}

/// One place on the shelf.
pub struct Place {
    shelf: Shelf,
    received: Received,
}

impl Provider for Shelf {
    type Caller = String;
    type Sink = Place;

    async fn admit(&self, request: &AssociateRequest, _: &Peer) -> Result<String, Rejection> {
        match self.manner {
            Manner::RejectsAll => Err(Rejection::CALLING_AE_TITLE),
            _ => Ok(request.calling_ae_title.clone()),
        }
    }

    async fn begin(&self, _: &String, object: &StoreRequest) -> Result<Place, Reply> {
        if self.manner == Manner::RefusesToBegin {
            return Err(Reply::new(Status::NOT_AUTHORIZED, "not from here"));
        }
        let received =
            Received { request: object.clone(), data: BytesMut::new(), bytes: 0, chunks: (0, 0) };
        Ok(Place { shelf: self.clone(), received })
    }
}

impl Sink for Place {
    async fn write(&mut self, chunk: Bytes) -> Result<(), Reply> {
        let Received { data, bytes, chunks, .. } = &mut self.received;
        *bytes += chunk.len();
        *chunks = (chunks.0.max(chunk.len()), chunks.1 + 1);
        match self.shelf.manner {
            Manner::RefusesAfter(limit) if *bytes > limit => {
                return Err(Reply::new(Status::OUT_OF_RESOURCES, "shelf full"));
            }
            Manner::Counting => {}
            _ => data.extend_from_slice(&chunk),
        }
        Ok(())
    }

    async fn finish(self) -> Reply {
        self.shelf.seen.lock().expect("no test panics with the lock").stored.push(self.received);
        Status::SUCCESS.into()
    }

    async fn abandon(self) {
        self.shelf.seen.lock().expect("no test panics with the lock").abandoned += 1;
    }
}

/// A peer on loopback, without TLS.
pub fn loopback() -> Peer {
    Peer { address: ([127, 0, 0, 1], 104).into(), transport: Transport::Plain }
}

/// Parses a UID that a test wrote.
pub fn uid(text: &str) -> Uid {
    Uid::parse(text).expect("a UID")
}

/// An association request with contexts 1 (CT, explicit) and 3 (Verification).
pub fn associate() -> BytesMut {
    let context = |id, abstract_syntax: &str| ProposedContext {
        id,
        abstract_syntax: abstract_syntax.into(),
        transfer_syntaxes: vec![uids::EXPLICIT_VR_LITTLE_ENDIAN.into()],
    };
    let request = AssociateRequest {
        protocol_version: 1,
        called_ae_title: "MEDRELAY".into(),
        calling_ae_title: "TEST".into(),
        contexts: vec![context(1, CT), context(3, uids::VERIFICATION)],
        max_pdu_bytes: 16_384,
        implementation_class_uid: "1.2.3".into(),
        ..AssociateRequest::default()
    };
    let mut out = BytesMut::new();
    pdu::associate_request(&request, &mut out);
    out
}

/// A C-STORE-RQ on context 1 with this data set, in PDUs of at most `max` bytes.
pub fn store(message_id: u16, data: &[u8], max: u32) -> BytesMut {
    let body = command::store_request(&StoreCommand {
        message_id,
        sop_class: uid(CT),
        sop_instance: uid("1.2.3.4"),
        priority: Priority::Medium,
        move_originator: None,
    });
    let mut out = BytesMut::new();
    pdu::message(1, Part::Command, &body, max, &mut out);
    pdu::message(1, Part::DataSet, data, max, &mut out);
    out
}

/// A C-ECHO-RQ on context 3.
pub fn echo(message_id: u16) -> BytesMut {
    let mut out = BytesMut::new();
    pdu::message(3, Part::Command, &command::echo_request(message_id), 1024, &mut out);
    out
}
