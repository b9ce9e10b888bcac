//! What the link needs of the place where studies wait: a [`Shelf`]. The gateway's spool is one; an
//! in-memory one ([`super::MemoryShelf`]) serves examples and tests.
//!
//! A shelf keeps what the link tells it before its futures end, because the link acts on that: it
//! offers a manifest after `sign`, and tells the relay that an item was received after `keep`.

use std::future::Future;
use std::io::{self, Read};
use std::path::PathBuf;

use aws_lc_rs::digest;
use bytes::Bytes;
use medrelay_core::id::Uid;
use medrelay_core::time::Timestamp;
use medrelay_core::transfer::message::{Attachment, Item};
use medrelay_core::transfer::{Entry, Outcome, RefusalCode, Urgency};
use thiserror::Error;

/// The place where studies wait for the line. Every method may be called at any time and from any
/// task; the calls of one connection about one study come one after the other.
pub trait Shelf: Send + Sync + 'static {
    /// Every study that is to be offered now: approved, and neither committed nor refused as a
    /// whole. In any order.
    fn waiting(&self) -> impl Future<Output = Result<Vec<Waiting>, ShelfError>> + Send;

    /// Keeps a study's manifest and signature. Durable when it returns: the relay will know it.
    fn sign(&self, key: u64, signed: Signed)
    -> impl Future<Output = Result<(), ShelfError>> + Send;

    /// Where an entry's bytes are.
    ///
    /// # Errors
    /// [`ShelfError::Missing`] when they are gone: the entry is left out and shown.
    fn object(
        &self,
        key: u64,
        index: u32,
    ) -> impl Future<Output = Result<Source, ShelfError>> + Send;

    /// So many entries were at the relay when the study was offered.
    fn known(&self, key: u64, have: u32) -> impl Future<Output = Result<(), ShelfError>> + Send;

    /// These entries are durable at the relay, or put aside there. In the order in which the relay
    /// said so; several at once, so that one transaction serves them.
    fn stored(
        &self,
        key: u64,
        entries: Vec<(u32, Outcome)>,
    ) -> impl Future<Output = Result<(), ShelfError>> + Send;

    /// The relay will not take an entry (or, without an index, the whole study) as it is: a person
    /// has to look. `detail` holds no patient data.
    fn refused(
        &self,
        key: u64,
        index: Option<u32>,
        code: RefusalCode,
        detail: String,
    ) -> impl Future<Output = Result<(), ShelfError>> + Send;

    /// The study is read back and equal at the relay. The receipt's signature, manifest and counts
    /// have been checked. From now on, and not before, the study may be deleted, by policy.
    fn committed(
        &self,
        key: u64,
        receipt: Vec<u8>,
        signature: Vec<u8>,
    ) -> impl Future<Output = Result<(), ShelfError>> + Send;

    /// How many bytes of the item's attachment are here already; 0 for a new one.
    fn attachment(&self, item: &Item) -> impl Future<Output = Result<u64, ShelfError>> + Send;

    /// More bytes of the item's attachment. An `offset` below what is here cuts the rest off.
    fn attach(
        &self,
        item: &Item,
        offset: u64,
        bytes: Bytes,
    ) -> impl Future<Output = Result<(), ShelfError>> + Send;

    /// Keeps the item, and its attachment if it has one. Durable when it returns. An item that is
    /// here already is kept once.
    ///
    /// # Errors
    /// [`ShelfError::Damaged`] when the attachment's bytes are not those that the item names
    /// ([`is_intact`] tells): they are forgotten, and fetched again.
    fn keep(&self, item: Item) -> impl Future<Output = Result<(), ShelfError>> + Send;

    /// Ends when something may be different in [`Shelf::waiting`] since this ended the last time. It
    /// may end without reason; it must not miss one.
    fn changed(&self) -> impl Future<Output = ()> + Send;

    /// Folder for packs too large for memory, on a real disk; they have no names there.
    fn scratch(&self) -> PathBuf {
        std::env::temp_dir()
    }
}

/// A study that waits for the line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The shelf's name for it; once signed, its entries never change. Images that come later wait
    /// under another key with the same study UID.
    pub key: u64,
    /// How soon it is to go.
    pub urgency: Urgency,
    /// Since when it waits: of two equally urgent ones the older goes first.
    pub since: Timestamp,
    /// Study Instance UID.
    pub study: Uid,
    /// Manifest and signature, once there were any.
    pub signed: Option<Signed>,
    /// Its objects in the order of the images.
    pub entries: Vec<Entry>,
}

/// A manifest as it was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// The bytes (PROTOCOL 5).
    pub raw: Vec<u8>,
    /// ECDSA P-256 with SHA-256 over them, in ASN.1 form.
    pub signature: Vec<u8>,
}

/// Where an object's bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// A file that does not change.
    pub path: PathBuf,
    /// Where the data set starts in it: behind preamble and file meta information.
    pub data_offset: u64,
    /// Transfer Syntax UID of the data set.
    pub transfer_syntax: Uid,
}

/// Why a shelf did not do what it was asked to.
#[derive(Debug, Error)]
pub enum ShelfError {
    /// There is nothing of this name: shown, not tried again.
    #[error("not on the shelf")]
    Missing,
    /// The bytes are not those that were announced: they are fetched again.
    #[error("the bytes are not those that were announced")]
    Damaged,
    /// The disk or the database: the connection is given up and tried again later.
    #[error("the shelf cannot be read or written: {0}")]
    Storage(String),
}

impl From<io::Error> for ShelfError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Missing,
            // The path may hold identifiers; the kind says enough.
            kind => Self::Storage(kind.to_string()),
        }
    }
}

/// Whether an attachment's bytes are those that its item names.
///
/// # Errors
/// When they cannot be read.
pub fn is_intact(attachment: &Attachment, mut bytes: impl Read) -> io::Result<bool> {
    let mut hasher = digest::Context::new(&digest::SHA256);
    let mut length = 0u64;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = bytes.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        length += read as u64;
        hasher.update(&buffer[..read]);
    }
    Ok(length == attachment.bytes && hasher.finish().as_ref() == attachment.sha256)
}
