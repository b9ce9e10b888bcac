//! Packs made by all cores, the most urgent first, and kept until the relay has them.
//!
//! How far ahead of the line is decided by the machine (PROTOCOL 9). Small packs wait in memory,
//! large ones in a file without a name in the shelf's folder. Packs outlive a connection: after a
//! break nothing is compressed twice.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, BufReader, Read as _, Seek as _, SeekFrom, Write};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use medrelay_core::transfer::gateway::PackInfo;
use medrelay_core::transfer::{Entry, Urgency};
use medrelay_dicom::pack::{self, PackError, Plan};
use medrelay_dicom::scan::{Limits, Scanner};
use medrelay_dicom::uids;
use thiserror::Error;
use tokio::task::JoinSet;

use super::shelf::{Shelf, ShelfError, Source};

/// One object, ready for the line.
#[derive(Debug)]
pub(super) struct Pack {
    pub info: PackInfo,
    data: Data,
}

#[derive(Debug)]
enum Data {
    Memory(Bytes),
    File(Arc<File>),
}

impl Pack {
    /// Up to `most` bytes from `offset` on; empty behind the end.
    pub async fn read(&self, offset: u64, most: usize) -> io::Result<Bytes> {
        match &self.data {
            Data::Memory(bytes) => {
                let from = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
                Ok(bytes.slice(from..bytes.len().min(from.saturating_add(most))))
            }
            Data::File(file) => {
                let file = file.clone();
                let read = move || {
                    let mut piece = vec![0; most];
                    let read = file.read_at(&mut piece, offset)?;
                    piece.truncate(read);
                    Ok(Bytes::from(piece))
                };
                tokio::task::spawn_blocking(read).await.map_err(io::Error::other)?
            }
        }
    }

    fn memory_bytes(&self) -> u64 {
        match &self.data {
            Data::Memory(bytes) => bytes.len() as u64,
            Data::File(_) => 0,
        }
    }
}

/// Why an object could not be packed.
#[derive(Debug, Error)]
pub(super) enum PackingError {
    /// The object is gone or not what was announced: left out and shown.
    #[error("the object is not what was announced")]
    Unreadable,
    /// The disk: tried again with the next connection.
    #[error("the object cannot be read or the pack not written: {0}")]
    Disk(String),
}

/// A pack by its study's key and its entry's index.
pub(super) type Name = (u64, u32);

/// What is to be packed, is being packed, and was packed.
#[derive(Debug)]
pub(super) struct Packer<S> {
    shelf: Arc<S>,
    threads: usize,
    waiting: BTreeMap<(Urgency, u64), (Name, Entry)>,
    sequence: u64,
    working: JoinSet<(Name, Result<Pack, PackingError>)>,
    ready: HashMap<Name, Arc<Pack>>,
    /// Packs that an earlier connection left and this one has not asked for.
    left: HashMap<Name, Arc<Pack>>,
}

impl<S: Shelf> Packer<S> {
    pub fn new(shelf: Arc<S>, threads: usize) -> Self {
        Self {
            shelf,
            threads: threads.max(1),
            waiting: BTreeMap::new(),
            sequence: 0,
            working: JoinSet::new(),
            ready: HashMap::new(),
            left: HashMap::new(),
        }
    }

    /// A new connection begins: it knows of no pack.
    pub fn begin(&mut self) {
        self.waiting.clear();
        // What is being packed is not known to the new connection; it comes again if it is wanted.
        self.working.abort_all();
        self.working = JoinSet::new();
        self.left.extend(self.ready.drain());
    }

    /// Asks for a pack; gives it at once if it is there.
    pub fn prepare(&mut self, name: Name, entry: Entry, urgency: Urgency) -> Option<Arc<Pack>> {
        if let Some(pack) = self.left.remove(&name) {
            self.ready.insert(name, pack.clone());
            return Some(pack);
        }
        self.sequence += 1;
        self.waiting.insert((urgency, self.sequence), (name, entry));
        self.make_room();
        self.work();
        None
    }

    /// The next pack that is made; never, while none is being made.
    pub async fn packed(&mut self) -> (Name, Result<Pack, PackingError>) {
        loop {
            match self.working.join_next().await {
                Some(Ok(packed)) => return packed,
                // Aborted, or a fault of the packer: what it was about is in its result only, so the
                // connection's next offer brings it again.
                Some(Err(_)) => {}
                None => std::future::pending().await,
            }
        }
    }

    /// Takes in what [`Packer::packed`] gave.
    pub fn keep(&mut self, name: Name, pack: Pack) -> PackInfo {
        let info = pack.info;
        self.ready.insert(name, Arc::new(pack));
        self.work();
        info
    }

    /// Lets the next ones begin.
    pub fn work(&mut self) {
        while self.working.len() < self.threads
            && let Some((_, (name, entry))) = self.waiting.pop_first()
        {
            // The last ones share the cores that nobody else wants.
            let rivals = self.working.len() + self.waiting.len() + 1;
            let threads = (self.threads / rivals).max(1);
            let shelf = self.shelf.clone();
            self.working.spawn(async move {
                let packed = pack_one(&*shelf, name, &entry, threads).await;
                (name, packed)
            });
        }
    }

    /// The study is more or less urgent than it was.
    pub fn reprioritize(&mut self, key: u64, urgency: Urgency) {
        let moved: Vec<(Urgency, u64)> = (self.waiting.iter())
            .filter(|(_, ((study, _), _))| *study == key)
            .map(|(place, _)| *place)
            .collect();
        for place in moved {
            if let Some(job) = self.waiting.remove(&place) {
                self.waiting.insert((urgency, place.1), job);
            }
        }
    }

    pub fn get(&self, name: Name) -> Option<Arc<Pack>> {
        self.ready.get(&name).cloned()
    }

    /// A pack is not needed any more.
    pub fn forget(&mut self, name: Name) {
        self.ready.remove(&name);
        self.left.remove(&name);
        self.waiting.retain(|_, (waiting, _)| *waiting != name);
    }

    /// A whole study is not needed any more.
    pub fn forget_study(&mut self, key: u64) {
        self.ready.retain(|(study, _), _| *study != key);
        self.left.retain(|(study, _), _| *study != key);
        self.waiting.retain(|_, ((study, _), _)| *study != key);
    }

    /// Old packs go when new ones need their memory.
    fn make_room(&mut self) {
        let held: u64 =
            self.ready.values().chain(self.left.values()).map(|pack| pack.memory_bytes()).sum();
        let mut excess = held.saturating_sub(LEFT_BYTES);
        self.left.retain(|_, pack| {
            let stays = excess == 0;
            excess = excess.saturating_sub(pack.memory_bytes());
            stays
        });
    }
}

async fn pack_one<S: Shelf>(
    shelf: &S,
    (key, index): Name,
    entry: &Entry,
    threads: usize,
) -> Result<Pack, PackingError> {
    let source = shelf.object(key, index).await.map_err(|error| match error {
        ShelfError::Missing | ShelfError::Damaged => PackingError::Unreadable,
        ShelfError::Storage(why) => PackingError::Disk(why),
    })?;
    let (entry, scratch) = (entry.clone(), shelf.scratch());
    let packed = tokio::task::spawn_blocking(move || pack_file(&source, &entry, &scratch, threads));
    packed.await.map_err(|error| PackingError::Disk(error.to_string()))?
}

/// Packs one object and checks that it is still the one that was announced.
pub(super) fn pack_file(
    source: &Source,
    entry: &Entry,
    scratch: &Path,
    threads: usize,
) -> Result<Pack, PackingError> {
    let mut file = File::open(&source.path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => PackingError::Unreadable,
        kind => PackingError::Disk(kind.to_string()),
    })?;
    let plan = plan(&mut file, source).map_err(disk)?;
    file.seek(SeekFrom::Start(source.data_offset)).map_err(disk)?;
    let mut out = Spill::new(scratch);
    let original = BufReader::with_capacity(256 << 10, file);
    let summary = pack::pack(&plan, original, &mut out, threads).map_err(|error| match error {
        PackError::Io(error) => disk(error),
        // Packing does not read packs.
        _ => PackingError::Unreadable,
    })?;
    if summary.original_bytes != entry.bytes || summary.original_sha256 != entry.sha256 {
        return Err(PackingError::Unreadable);
    }
    let info = PackInfo { bytes: summary.packed_bytes, sha256: summary.packed_sha256 };
    Ok(Pack { info, data: out.finish().map_err(disk)? })
}

/// Where the pixels are. An object that the scanner does not like is packed without that knowledge:
/// the relay judges it, not we.
fn plan(file: &mut File, source: &Source) -> io::Result<Plan> {
    let Some(encoding) = uids::encoding(source.transfer_syntax.as_str()) else {
        return Ok(Plan::default());
    };
    file.seek(SeekFrom::Start(source.data_offset))?;
    let mut scanner = Scanner::new(encoding, Limits::default());
    let mut piece = vec![0; 256 << 10];
    loop {
        let read = file.read(&mut piece)?;
        if read == 0 {
            return Ok(scanner
                .finish()
                .map_or_else(|_| Plan::default(), |header| pack::plan(&header)));
        }
        if scanner.feed(&piece[..read]).is_err() {
            return Ok(Plan::default());
        }
    }
}

fn disk(error: io::Error) -> PackingError {
    PackingError::Disk(error.kind().to_string())
}

/// Memory at first, a file when it becomes too much.
struct Spill {
    scratch: PathBuf,
    memory: Vec<u8>,
    file: Option<File>,
}

impl Spill {
    fn new(scratch: &Path) -> Self {
        Self { scratch: scratch.to_owned(), memory: Vec::new(), file: None }
    }

    fn finish(mut self) -> io::Result<Data> {
        match self.file.take() {
            None => Ok(Data::Memory(Bytes::from(self.memory))),
            Some(mut file) => {
                file.write_all(&self.memory)?;
                Ok(Data::File(Arc::new(file)))
            }
        }
    }
}

impl Write for Spill {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.memory.extend_from_slice(bytes);
        if self.memory.len() > MEMORY_BYTES || (self.file.is_some() && self.memory.len() > 1 << 20)
        {
            let file = match &mut self.file {
                Some(file) => file,
                none => none.insert(tempfile::tempfile_in(&self.scratch)?),
            };
            file.write_all(&self.memory)?;
            self.memory.clear();
            self.memory.shrink_to(1 << 20);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Packs up to this size wait in memory.
const MEMORY_BYTES: usize = 8 << 20;
/// Packs of an earlier connection are let go beyond this.
const LEFT_BYTES: u64 = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn large_packs_wait_in_a_file_and_read_the_same() -> anyhow::Result<()> {
        let scratch = tempfile::tempdir()?;
        for length in [0, 1_000, MEMORY_BYTES + 1, 2 * MEMORY_BYTES + 12_345] {
            let bytes: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
            let mut spill = Spill::new(scratch.path());
            for piece in bytes.chunks(100_000) {
                spill.write_all(piece)?;
            }
            let data = spill.finish()?;
            assert_eq!(matches!(data, Data::File(_)), length > MEMORY_BYTES);
            let info = PackInfo { bytes: length as u64, sha256: [0; 32] };
            let pack = Pack { info, data };
            let mut read = Vec::new();
            loop {
                let piece = pack.read(read.len() as u64, 65_536).await?;
                if piece.is_empty() {
                    break;
                }
                read.extend_from_slice(&piece);
            }
            assert_eq!(read, bytes);
        }
        assert_eq!(std::fs::read_dir(scratch.path())?.count(), 0, "a file with a name is left");
        Ok(())
    }
}
