//! A stream of packed bytes becomes an instance: unpacked, looked at as DICOM, compared with what
//! the manifest announced, and only then made durable.

use std::io;

use bytes::Bytes;
use tokio::sync::mpsc;

use medrelay_core::id::Uid;
use medrelay_core::transfer::{Entry, Outcome, RefusalCode};
use medrelay_dicom::facts::{self, Envelope};
use medrelay_dicom::pack::{self, PackError, Unpacker};
use medrelay_dicom::part10::FileMeta;
use medrelay_dicom::scan::{Encoding, Header, Limits, ScanError, Scanner, Tag};
use medrelay_dicom::uids;
use medrelay_link::Incoming;

use super::report::Arrived;
use crate::service::Service;
use crate::service::ingest::{Intake, Sender};
use crate::service::link::{Announced, Pack, Refusal};

/// Bytes of the original that are handed on at once.
const CHUNK_BYTES: usize = 256 << 10;
/// Chunks that may wait for the disk.
const CHUNKS: usize = 4;

/// What a stream is to bring.
#[derive(Debug, Clone)]
pub(super) struct Expected {
    pub(super) announced: Announced,
    pub(super) entry: Entry,
    pub(super) study: Uid,
}

/// Takes a stream to its end.
pub(super) async fn receive(
    service: &Service,
    sender: &Sender,
    expected: Expected,
    mut incoming: Incoming,
) -> Arrived {
    let mut pack = match service.begin_pack(expected.announced.clone()).await {
        Ok(pack) => pack,
        Err(refusal) => return refuse(incoming, refusal),
    };
    let taken_over = pack.taken_over();
    loop {
        let read = tokio::select! {
            read = incoming.read() => read,
            () = taken_over.cancelled() => {
                pack.keep().await;
                incoming.stop(RefusalCode::Busy as u8);
                return Arrived::Broken;
            }
        };
        match read {
            Ok(Some(bytes)) => {
                metrics::counter!("medrelay_link_received_bytes_total")
                    .increment(bytes.len() as u64);
                if let Err(refusal) = pack.write(&bytes).await {
                    if refusal.code == RefusalCode::Damaged {
                        pack.discard().await;
                    }
                    return refuse(incoming, refusal);
                }
            }
            Ok(None) => break,
            Err(error) => {
                tracing::debug!(%error, "a stream broke; what came is kept");
                pack.keep().await;
                return Arrived::Broken;
            }
        }
    }
    let stored = match pack.whole().await {
        Ok(pack) => store(service, sender, &expected, pack).await,
        Err(refusal) => Err(refusal),
    };
    match stored {
        Ok(outcome) => Arrived::Stored(outcome),
        Err(refusal) => Arrived::Refused(refusal),
    }
}

fn refuse(incoming: Incoming, refusal: Refusal) -> Arrived {
    incoming.stop(refusal.code as u8);
    Arrived::Refused(refusal)
}

/// Unpacks into the store; the row is written only when every byte is what was announced.
async fn store(
    service: &Service,
    sender: &Sender,
    expected: &Expected,
    pack: Pack,
) -> Result<Outcome, Refusal> {
    let entry = &expected.entry;
    let unreadable = || Refusal::new(RefusalCode::Unreadable, "a transfer syntax we cannot read");
    let encoding = uids::encoding(entry.transfer_syntax.as_str()).ok_or_else(unreadable)?;
    let front = FileMeta {
        sop_class: entry.sop_class.clone(),
        sop_instance: entry.sop_instance.clone(),
        transfer_syntax: entry.transfer_syntax.clone(),
        source: None,
    };
    let turn = service.unpacking_turn().await?;
    let mut intake = service.begin_intake(sender, front.to_bytes().into()).await?;
    let unpacked = unpack_into(&mut intake, pack, entry, encoding).await;
    drop(turn);
    let (pack, header) = match unpacked {
        Ok(unpacked) => unpacked,
        Err(refusal) => {
            intake.abandon().await;
            return Err(refusal);
        }
    };
    let facts = match facts_of(&header, expected, encoding) {
        Ok(facts) => facts,
        Err(refusal) => {
            intake.abandon().await;
            pack.discard().await;
            return Err(refusal);
        }
    };
    let outcome = service.take_entry(intake, facts, &entry.sha256).await?;
    pack.discard().await;
    Ok(outcome)
}

/// Runs the unpacker on a blocking thread and writes what comes out of it. A pack whose content is
/// wrong is thrown away; one that could not be written stays for another time.
async fn unpack_into(
    intake: &mut Intake,
    pack: Pack,
    entry: &Entry,
    encoding: Encoding,
) -> Result<(Pack, Header), Refusal> {
    let (out, mut chunks) = mpsc::channel(CHUNKS);
    let wanted = entry.clone();
    let unpacking = tokio::task::spawn_blocking(move || {
        let outcome = unpack(&pack, &wanted, encoding, out);
        (pack, outcome)
    });
    let mut written = Ok(());
    while let Some(chunk) = chunks.recv().await {
        written = intake.write(chunk).await;
        if written.is_err() {
            break;
        }
    }
    drop(chunks);
    let cut_short = |_| Refusal::busy("the unpacking was cut short");
    let (pack, outcome) = unpacking.await.map_err(cut_short)?;
    written?;
    match outcome {
        Ok(header) => Ok((pack, header)),
        Err(fault) => {
            let refusal = Refusal::from(fault);
            if !refusal.code.passes() {
                pack.discard().await;
            }
            Err(refusal)
        }
    }
}

/// Why a pack gives no instance.
enum Fault {
    Pack(PackError),
    Scan(ScanError),
    Read(io::Error),
    /// The bytes are not those of the manifest.
    Other,
    /// Nobody takes the bytes any more; the reason is known there.
    Gone,
}

impl From<PackError> for Fault {
    fn from(error: PackError) -> Self {
        Self::Pack(error)
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Read(error)
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Pack(PackError::Io(error)) | Fault::Read(error) => {
                tracing::warn!(%error, "an arrived pack cannot be read");
                Self::busy("the relay cannot read an arrived pack")
            }
            // Its hash is right, so it would be the same again.
            Fault::Pack(error) => Self::new(RefusalCode::OtherBytes, error.to_string()),
            Fault::Scan(error) => Self::new(RefusalCode::Unreadable, error.to_string()),
            Fault::Other => Self::new(RefusalCode::OtherBytes, "not the bytes of the manifest"),
            Fault::Gone => Self::busy("the bytes could not be written"),
        }
    }
}

/// Blocks.
fn unpack(
    pack: &Pack,
    entry: &Entry,
    encoding: Encoding,
    out: mpsc::Sender<Bytes>,
) -> Result<Header, Fault> {
    let limits = pack::Limits { object_bytes: entry.bytes, ..pack::Limits::default() };
    let mut unpacker = Unpacker::new(limits);
    let mut scanner = Scanner::new(encoding, Limits::default());
    let mut chunk = Vec::with_capacity(CHUNK_BYTES);
    let hand_on = |chunk: Vec<u8>| out.blocking_send(chunk.into()).map_err(|_| Fault::Gone);
    pack.feed(|bytes| {
        unpacker.feed(bytes, &mut |piece: &[u8]| {
            scanner.feed(piece).map_err(Fault::Scan)?;
            chunk.extend_from_slice(piece);
            if chunk.len() >= CHUNK_BYTES {
                hand_on(std::mem::replace(&mut chunk, Vec::with_capacity(CHUNK_BYTES)))?;
            }
            Ok::<(), Fault>(())
        })
    })?;
    let unpacked = unpacker.finish()?;
    if unpacked.bytes != entry.bytes || unpacked.sha256 != entry.sha256 {
        return Err(Fault::Other);
    }
    hand_on(chunk)?;
    scanner.finish().map_err(Fault::Scan)
}

/// What the header says, which must be what was announced.
fn facts_of(
    header: &Header,
    expected: &Expected,
    encoding: Encoding,
) -> Result<medrelay_core::study::InstanceFacts, Refusal> {
    let entry = &expected.entry;
    let envelope = Envelope {
        transfer_syntax: &entry.transfer_syntax,
        big_endian: encoding == Encoding::ExplicitBig,
        announced_class: Some(&entry.sop_class),
        announced_instance: Some(&entry.sop_instance),
        charset_profile: None,
    };
    let facts = facts::read(&envelope, |tag| header.raw(Tag(tag.0, tag.1)));
    match facts {
        Ok(facts) if facts.study == expected.study => Ok(facts),
        Ok(_) => {
            let detail = "the object belongs to another study than the manifest says";
            Err(Refusal::new(RefusalCode::OtherBytes, detail))
        }
        Err(error @ facts::FactsError::Mismatch(_)) => {
            Err(Refusal::new(RefusalCode::OtherBytes, error.to_string()))
        }
        Err(error) => Err(Refusal::new(RefusalCode::Unreadable, error.to_string())),
    }
}
