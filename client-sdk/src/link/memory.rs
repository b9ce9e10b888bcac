//! A shelf in memory: for sending a few files once, for examples and tests. What it knows is gone
//! with the process; the relay's answers are not, so that sending again costs nothing.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use aws_lc_rs::digest;
use bytes::Bytes;
use medrelay_core::id::Uid;
use medrelay_core::time::Timestamp;
use medrelay_core::transfer::message::Item;
use medrelay_core::transfer::{Entry, Hash, Outcome, RefusalCode, Urgency};
use medrelay_dicom::part10;
use medrelay_dicom::scan::{Limits, SOP_CLASS_UID, SOP_INSTANCE_UID, STUDY_INSTANCE_UID, Scanner};
use medrelay_dicom::uids;
use thiserror::Error;
use tokio::sync::Notify;

use super::shelf::{Shelf, ShelfError, Signed, Source, Waiting, is_intact};

/// Studies made of files that lie somewhere else, and what became of them.
#[derive(Debug, Default)]
pub struct MemoryShelf {
    inner: Mutex<Inner>,
    changed: Notify,
    settled: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    last_key: u64,
    studies: BTreeMap<u64, Study>,
    attachments: BTreeMap<String, Vec<u8>>,
    items: BTreeMap<String, (Item, Vec<u8>)>,
}

#[derive(Debug)]
struct Study {
    waiting: Waiting,
    sources: Vec<Source>,
    fate: Fate,
}

/// How far a study is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fate {
    /// Entries that the relay had when the study was offered.
    pub known: u32,
    /// Entries that the relay has or put aside, by index.
    pub stored: BTreeMap<u32, Outcome>,
    /// Entries, or with `None` the study, that the relay will not take.
    pub refused: Vec<(Option<u32>, RefusalCode)>,
    /// The receipt and its signature.
    pub receipt: Option<Signed>,
}

impl Fate {
    /// Whether nothing more will happen by itself: committed, or refused as a whole.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.receipt.is_some() || self.refused.iter().any(|(index, _)| index.is_none())
    }
}

/// Why a file cannot wait on the shelf.
#[derive(Debug, Error)]
pub enum AddError {
    /// The file cannot be read: mend it, or leave it out.
    #[error("the file cannot be read: {0}")]
    File(#[from] io::Error),
    /// It is no DICOM object: leave it out.
    #[error("the file is not a DICOM object: {0}")]
    Foreign(String),
}

impl MemoryShelf {
    /// An empty shelf.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads these files and lets the studies found in them wait, in the order of the files. Returns
    /// the keys.
    ///
    /// # Errors
    /// See [`AddError`]; nothing is added then.
    pub fn add_files(
        &self,
        paths: &[PathBuf],
        urgency: Urgency,
        now: Timestamp,
    ) -> Result<Vec<u64>, AddError> {
        let mut found: Vec<(Uid, Vec<Entry>, Vec<Source>)> = Vec::new();
        for path in paths {
            let (study, entry, source) = examine(path)?;
            let at = found.iter().position(|(known, ..)| *known == study).unwrap_or_else(|| {
                found.push((study, Vec::new(), Vec::new()));
                found.len() - 1
            });
            found[at].1.push(entry);
            found[at].2.push(source);
        }
        let add = |(study, entries, sources)| self.add(study, entries, sources, urgency, now);
        Ok(found.into_iter().map(add).collect())
    }

    /// Lets a study wait whose entries are known. Returns its key.
    pub fn add(
        &self,
        study: Uid,
        entries: Vec<Entry>,
        sources: Vec<Source>,
        urgency: Urgency,
        since: Timestamp,
    ) -> u64 {
        let mut inner = self.inner();
        inner.last_key += 1;
        let key = inner.last_key;
        let waiting = Waiting { key, urgency, since, study, signed: None, entries };
        inner.studies.insert(key, Study { waiting, sources, fate: Fate::default() });
        drop(inner);
        self.changed.notify_one();
        key
    }

    /// Makes a study more or less urgent.
    pub fn reprioritize(&self, key: u64, urgency: Urgency) {
        if let Some(study) = self.inner().studies.get_mut(&key) {
            study.waiting.urgency = urgency;
        }
        self.changed.notify_one();
    }

    /// How far a study is.
    #[must_use]
    pub fn fate(&self, key: u64) -> Option<Fate> {
        self.inner().studies.get(&key).map(|study| study.fate.clone())
    }

    /// Items that came and were kept, with their attachments, by their identifiers.
    #[must_use]
    pub fn items(&self) -> Vec<(Item, Vec<u8>)> {
        self.inner().items.values().cloned().collect()
    }

    /// Waits until a study is settled; returns how.
    pub async fn settled(&self, key: u64) -> Fate {
        self.until(|shelf| shelf.fate(key).filter(Fate::is_settled)).await
    }

    /// Waits until so many items were kept.
    pub async fn received(&self, count: usize) -> Vec<(Item, Vec<u8>)> {
        self.until(|shelf| Some(shelf.items()).filter(|items| items.len() >= count)).await
    }

    async fn until<T>(&self, ready: impl Fn(&Self) -> Option<T>) -> T {
        loop {
            let mut turned = std::pin::pin!(self.settled.notified());
            turned.as_mut().enable();
            if let Some(found) = ready(self) {
                return found;
            }
            turned.await;
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, key: u64, change: impl FnOnce(&mut Study)) -> Result<(), ShelfError> {
        let result = self.inner().studies.get_mut(&key).map(change).ok_or(ShelfError::Missing);
        self.settled.notify_waiters();
        result
    }
}

impl Shelf for MemoryShelf {
    async fn waiting(&self) -> Result<Vec<Waiting>, ShelfError> {
        let inner = self.inner();
        let open = inner.studies.values().filter(|study| !study.fate.is_settled());
        Ok(open.map(|study| study.waiting.clone()).collect())
    }

    async fn sign(&self, key: u64, signed: Signed) -> Result<(), ShelfError> {
        self.change(key, |study| study.waiting.signed = Some(signed))
    }

    async fn object(&self, key: u64, index: u32) -> Result<Source, ShelfError> {
        let index = usize::try_from(index).map_err(|_| ShelfError::Missing)?;
        let inner = self.inner();
        let study = inner.studies.get(&key).ok_or(ShelfError::Missing)?;
        study.sources.get(index).cloned().ok_or(ShelfError::Missing)
    }

    async fn known(&self, key: u64, have: u32) -> Result<(), ShelfError> {
        self.change(key, |study| study.fate.known = have)
    }

    async fn stored(&self, key: u64, entries: Vec<(u32, Outcome)>) -> Result<(), ShelfError> {
        self.change(key, |study| study.fate.stored.extend(entries))
    }

    async fn refused(
        &self,
        key: u64,
        index: Option<u32>,
        code: RefusalCode,
        _detail: String,
    ) -> Result<(), ShelfError> {
        self.change(key, |study| study.fate.refused.push((index, code)))
    }

    async fn committed(
        &self,
        key: u64,
        receipt: Vec<u8>,
        signature: Vec<u8>,
    ) -> Result<(), ShelfError> {
        self.change(key, |study| study.fate.receipt = Some(Signed { raw: receipt, signature }))
    }

    async fn attachment(&self, item: &Item) -> Result<u64, ShelfError> {
        Ok(self.inner().attachments.get(&item.id).map_or(0, |bytes| bytes.len() as u64))
    }

    async fn attach(&self, item: &Item, offset: u64, bytes: Bytes) -> Result<(), ShelfError> {
        let mut inner = self.inner();
        let kept = inner.attachments.entry(item.id.clone()).or_default();
        let offset = usize::try_from(offset).map_err(|_| ShelfError::Damaged)?;
        if offset > kept.len() {
            return Err(ShelfError::Damaged);
        }
        kept.truncate(offset);
        kept.extend_from_slice(&bytes);
        Ok(())
    }

    async fn keep(&self, item: Item) -> Result<(), ShelfError> {
        let mut inner = self.inner();
        let bytes = inner.attachments.remove(&item.id).unwrap_or_default();
        if let Some(attachment) = &item.attachment
            && !is_intact(attachment, bytes.as_slice())?
        {
            return Err(ShelfError::Damaged);
        }
        inner.items.insert(item.id.clone(), (item, bytes));
        drop(inner);
        self.settled.notify_waiters();
        Ok(())
    }

    async fn changed(&self) {
        self.changed.notified().await;
    }
}

/// Which study a file belongs to, and what a manifest says of it.
fn examine(path: &Path) -> Result<(Uid, Entry, Source), AddError> {
    let foreign = |why: &dyn std::fmt::Display| AddError::Foreign(why.to_string());
    let mut file = File::open(path)?;
    let mut front = vec![0; part10::MAX_FRONT];
    let read = read_up_to(&mut file, &mut front)?;
    let (meta, offset) = part10::read(&front[..read]).map_err(|error| foreign(&error))?;
    let syntax = meta.transfer_syntax.ok_or_else(|| foreign(&"no transfer syntax"))?;
    let encoding =
        uids::encoding(syntax.as_str()).ok_or_else(|| foreign(&"its syntax is unknown"))?;
    file.seek(SeekFrom::Start(offset as u64))?;
    let mut scanner = Scanner::new(encoding, Limits::default());
    let mut hasher = digest::Context::new(&digest::SHA256);
    let mut bytes = 0u64;
    loop {
        let read = read_up_to(&mut file, &mut front)?;
        if read == 0 {
            break;
        }
        bytes += read as u64;
        hasher.update(&front[..read]);
        scanner.feed(&front[..read]).map_err(|error| foreign(&error))?;
    }
    let header = scanner.finish().map_err(|error| foreign(&error))?;
    let uid = |tag| {
        let value = header.raw(tag).ok_or_else(|| foreign(&"an identifier is missing"))?;
        uids::parse(value).map_err(|error| foreign(&error))
    };
    let entry = Entry {
        sop_instance: uid(SOP_INSTANCE_UID)?,
        sop_class: uid(SOP_CLASS_UID)?,
        transfer_syntax: syntax.clone(),
        bytes,
        sha256: hash(hasher),
    };
    let source =
        Source { path: path.to_owned(), data_offset: offset as u64, transfer_syntax: syntax };
    Ok((uid(STUDY_INSTANCE_UID)?, entry, source))
}

fn hash(hasher: digest::Context) -> Hash {
    let mut hash = Hash::default();
    hash.copy_from_slice(hasher.finish().as_ref());
    hash
}

fn read_up_to(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..])? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}
