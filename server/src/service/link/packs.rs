//! A pack on its way in: a small one in memory, a large one in a file, and what came of either when
//! its stream breaks.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use aws_lc_rs::digest;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

use medrelay_core::id::OrganizationId;
use medrelay_core::transfer::message::Partial;
use medrelay_core::transfer::{Hash, Manifest, Outcome, RefusalCode};

use super::Refusal;
use super::partials::{self, Partials};
use crate::service::{Error, Service};

/// Memory for small packs of all connections, in KiB.
pub(super) const MEMORY_KIB: usize = 64 << 10;
/// A pack up to this size is held in memory until it is whole, in bytes. What is in memory when the
/// process dies crosses the line twice, so that only what costs less than its file is held there.
const SMALL_BYTES: u64 = 32 << 10;
/// Bytes gathered before a file is written to, for the same reason no more than this.
const WRITE_BYTES: usize = 32 << 10;
/// Bytes read at once.
const BLOCK_BYTES: usize = 256 << 10;
/// Bytes that a power cut may cost a large pack.
const SYNC_BYTES: u64 = 4 << 20;
/// How long a stream that is taken over may need to put away what it has.
const TAKE_OVER: Duration = Duration::from_secs(5);

/// What a stream says of the pack that it carries.
#[derive(Debug, Clone)]
pub struct Announced {
    /// The clinic that it is from.
    pub clinic: OrganizationId,
    /// SHA-256 of the original, as the manifest has it.
    pub entry: Hash,
    /// SHA-256 of the whole pack.
    pub pack: Hash,
    /// Length of the whole pack.
    pub pack_bytes: u64,
    /// Where in it the stream begins.
    pub offset: u64,
}

/// Which packs arrive now. A stream for one that arrives already takes it over: the older one
/// belongs to a connection that is dead or has been left.
#[derive(Debug, Clone, Default)]
pub(super) struct Running(Arc<Mutex<Slots>>);

type Key = (OrganizationId, Hash);
type Slots = HashMap<Key, Slot>;

#[derive(Debug, Clone)]
struct Slot {
    stop: CancellationToken,
    gone: CancellationToken,
}

/// A place in [`Running`], free again when it is dropped.
#[derive(Debug)]
struct Place {
    running: Running,
    key: Key,
    slot: Slot,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.running.slots().remove(&self.key);
        self.slot.gone.cancel();
    }
}

impl Running {
    fn slots(&self) -> std::sync::MutexGuard<'_, Slots> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn enter(&self, key: Key) -> Result<Place, Refusal> {
        let others = || Refusal::busy("the object arrives on another stream");
        self.stop(std::slice::from_ref(&key)).await?;
        let slot = Slot { stop: CancellationToken::new(), gone: CancellationToken::new() };
        let mut slots = self.slots();
        if slots.contains_key(&key) {
            return Err(others());
        }
        slots.insert(key.clone(), slot.clone());
        drop(slots);
        Ok(Place { running: self.clone(), key, slot })
    }

    /// Stops what arrives under these keys and waits until it is put away.
    async fn stop(&self, keys: &[Key]) -> Result<(), Refusal> {
        let found: Vec<Slot> = {
            let slots = self.slots();
            keys.iter().filter_map(|key| slots.get(key).cloned()).collect()
        };
        for slot in &found {
            slot.stop.cancel();
        }
        let all_gone = async {
            for slot in &found {
                slot.gone.cancelled().await;
            }
        };
        let busy = |_| Refusal::busy("the object arrives on another stream");
        tokio::time::timeout(TAKE_OVER, all_gone).await.map_err(busy)
    }
}

/// A pack that arrives.
pub struct PackIntake {
    announced: Announced,
    partials: Arc<Partials>,
    store: Store,
    // Over the whole pack; `None` when its beginning came by an earlier stream.
    hash: Option<digest::Context>,
    taken: u64,
    place: Place,
}

enum Store {
    Memory { bytes: Vec<u8>, permit: OwnedSemaphorePermit },
    File(Appender),
}

/// A pack that is whole and has the announced hash.
pub struct Pack {
    source: Source,
    _place: Place,
}

enum Source {
    Memory { bytes: Vec<u8>, _permit: OwnedSemaphorePermit },
    File(PathBuf),
}

impl Service {
    /// Opens a place for a pack, taking over from an older stream of the same object.
    pub async fn begin_pack(&self, announced: Announced) -> Result<PackIntake, Refusal> {
        if announced.offset > announced.pack_bytes {
            return Err(damaged("the stream begins behind the end of its pack"));
        }
        let key = (announced.clinic.clone(), announced.entry);
        let place = self.link.running.enter(key).await?;
        self.check_room().await?;
        let partials = Arc::clone(&self.link.partials);
        let kib = u32::try_from(announced.pack_bytes.div_ceil(1024)).unwrap_or(u32::MAX);
        let small = announced.offset == 0 && announced.pack_bytes <= SMALL_BYTES;
        let permit = if small {
            Arc::clone(&self.link.memory).try_acquire_many_owned(kib).ok()
        } else {
            None
        };
        let store = match permit {
            Some(permit) => {
                let room = usize::try_from(announced.pack_bytes).unwrap_or(0);
                Store::Memory { bytes: Vec::with_capacity(room), permit }
            }
            None => Store::File(open(&partials, &announced).await?),
        };
        let begins = announced.offset == 0;
        let hash = begins.then(|| digest::Context::new(&digest::SHA256));
        Ok(PackIntake { taken: announced.offset, announced, partials, store, hash, place })
    }

    /// Packs of a manifest's missing entries that began to arrive.
    pub(super) async fn partial_packs(
        &self,
        clinic: &OrganizationId,
        manifest: &Manifest,
        states: &[Option<Outcome>],
    ) -> Result<Vec<Partial>, Refusal> {
        let (partials, of) = (Arc::clone(&self.link.partials), clinic.clone());
        let known = blocking(move || partials.of(&of)).await?;
        if known.is_empty() {
            return Ok(Vec::new());
        }
        let missing: HashMap<Hash, u32> = manifest
            .entries
            .iter()
            .zip(0u32..)
            .zip(states)
            .filter(|(_, state)| state.is_none())
            .map(|((entry, index), _)| (entry.sha256, index))
            .collect();
        let mut furthest: HashMap<u32, Partial> = HashMap::new();
        for pack in known.into_iter().filter(|pack| pack.bytes > 0) {
            let Some(index) = missing.get(&pack.entry).copied() else { continue };
            let partial = Partial { index, pack: pack.pack, offset: pack.bytes };
            let best = furthest.entry(index).or_insert_with(|| partial.clone());
            if best.offset < partial.offset {
                *best = partial;
            }
        }
        let mut partials: Vec<Partial> = furthest.into_values().collect();
        partials.sort_by_key(|partial| partial.index);
        Ok(partials)
    }

    /// Streams of these entries on other connections stop and put away what they have, so that
    /// the offsets that are told next are right.
    pub(super) async fn stop_streams(
        &self,
        clinic: &OrganizationId,
        manifest: &Manifest,
    ) -> Result<(), Refusal> {
        let keys: Vec<Key> =
            manifest.entries.iter().map(|entry| (clinic.clone(), entry.sha256)).collect();
        self.link.running.stop(&keys).await
    }

    /// Removes unfinished packs that nobody went on with for too long.
    pub async fn sweep_partials(&self) -> Result<(), Error> {
        let before = (self.now() - self.parts.settings.link.partial_life).micros();
        let before = UNIX_EPOCH + Duration::from_micros(u64::try_from(before).unwrap_or(0));
        let partials = Arc::clone(&self.link.partials);
        let swept = tokio::task::spawn_blocking(move || partials.sweep(before)).await;
        match swept {
            Ok(Ok(0)) => {}
            Ok(Ok(removed)) => tracing::info!(removed, "removed packs that nobody went on with"),
            Ok(Err(error)) => tracing::warn!(%error, "unfinished packs cannot be swept"),
            Err(_) => tracing::warn!("the sweep for unfinished packs was cut short"),
        }
        Ok(())
    }
}

impl PackIntake {
    /// Cancelled when another stream takes the object over.
    pub fn taken_over(&self) -> CancellationToken {
        self.place.slot.stop.clone()
    }

    /// Appends bytes of the pack.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        self.taken += bytes.len() as u64;
        if self.taken > self.announced.pack_bytes {
            return Err(damaged("the pack is longer than announced"));
        }
        if let Some(hash) = &mut self.hash {
            hash.update(bytes);
        }
        match &mut self.store {
            Store::Memory { bytes: all, .. } => {
                all.extend_from_slice(bytes);
                Ok(())
            }
            Store::File(file) => file.append(bytes).await,
        }
    }

    /// The stream broke: what came is kept for the next one.
    pub async fn keep(self) {
        let Self { announced, partials, store, place, .. } = self;
        let kept = match store {
            Store::Memory { bytes, .. } if bytes.is_empty() => Ok(()),
            Store::Memory { bytes, .. } => match open(&partials, &announced).await {
                Ok(mut file) => match file.append(&bytes).await {
                    Ok(()) => file.finish(true).await.map(drop),
                    Err(refusal) => Err(refusal),
                },
                Err(refusal) => Err(refusal),
            },
            Store::File(file) => file.finish(true).await.map(drop),
        };
        if let Err(refusal) = kept {
            // The sender begins again from what is there; nothing but time is lost.
            tracing::warn!(error = %refusal, "an unfinished pack could not be kept");
        }
        drop(place);
    }

    /// The stream has ended in order: is the pack whole and what was announced? One that is not is
    /// thrown away.
    pub async fn whole(self) -> Result<Pack, Refusal> {
        let Self { announced, partials, store, hash, taken, place } = self;
        let path = partials.path(&announced.clinic, &announced.entry, &announced.pack);
        let (source, hash) = match store {
            Store::Memory { bytes, permit } => (Source::Memory { bytes, _permit: permit }, hash),
            Store::File(file) => {
                file.finish(false).await?;
                (Source::File(path), hash)
            }
        };
        let hash = match (hash, &source) {
            (Some(hash), _) => hash.finish(),
            (None, Source::Memory { bytes, .. }) => digest::digest(&digest::SHA256, bytes),
            (None, Source::File(path)) => {
                let path = path.clone();
                blocking(move || file_hash(&path)).await?
            }
        };
        let pack = Pack { source, _place: place };
        if taken == announced.pack_bytes && hash.as_ref() == announced.pack {
            return Ok(pack);
        }
        pack.discard().await;
        Err(damaged("the pack is not what its hash says"))
    }

    /// Throws what came away.
    pub async fn discard(self) {
        let Self { announced, partials, store, place, .. } = self;
        if let Store::File(file) = store {
            drop(file);
            let path = partials.path(&announced.clinic, &announced.entry, &announced.pack);
            forget(path).await;
        }
        drop(place);
    }
}

impl Pack {
    /// Gives the pack's bytes to `sink` in order. Blocks.
    pub fn feed<E: From<io::Error>>(
        &self,
        mut sink: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        match &self.source {
            Source::Memory { bytes, .. } => sink(bytes),
            Source::File(path) => {
                let mut file = File::open(path)?;
                let mut block = vec![0; BLOCK_BYTES];
                loop {
                    match file.read(&mut block)? {
                        0 => return Ok(()),
                        read => sink(&block[..read])?,
                    }
                }
            }
        }
    }

    /// It is stored, or of no use.
    pub async fn discard(self) {
        if let Source::File(path) = &self.source {
            forget(path.clone()).await;
        }
    }
}

/// A pack's file being written, in blocking steps.
struct Appender {
    file: Option<File>,
    pending: Vec<u8>,
    unsynced: u64,
}

impl Appender {
    async fn append(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        self.pending.extend_from_slice(bytes);
        if self.pending.len() < WRITE_BYTES {
            return Ok(());
        }
        self.flush(false).await
    }

    async fn flush(&mut self, durable: bool) -> Result<(), Refusal> {
        let Some(mut file) = self.file.take() else {
            return Err(Refusal::busy("an earlier write of the pack failed"));
        };
        let block = std::mem::take(&mut self.pending);
        self.unsynced += block.len() as u64;
        let sync = durable || self.unsynced >= SYNC_BYTES;
        let file = blocking(move || {
            file.write_all(&block)?;
            if sync {
                file.sync_data()?;
            }
            Ok(file)
        });
        self.file = Some(file.await?);
        if sync {
            self.unsynced = 0;
        }
        Ok(())
    }

    async fn finish(mut self, durable: bool) -> Result<(), Refusal> {
        self.flush(durable).await
    }
}

async fn open(partials: &Arc<Partials>, announced: &Announced) -> Result<Appender, Refusal> {
    let (partials, announced) = (Arc::clone(partials), announced.clone());
    let file = blocking(move || {
        let path = partials.path(&announced.clinic, &announced.entry, &announced.pack);
        partials.open(&announced.clinic, &path, announced.offset)
    });
    let file =
        file.await?.ok_or_else(|| damaged("less of the pack is here than the stream says"))?;
    Ok(Appender { file: Some(file), pending: Vec::with_capacity(WRITE_BYTES), unsynced: 0 })
}

fn damaged(detail: &str) -> Refusal {
    Refusal::new(RefusalCode::Damaged, detail)
}

fn file_hash(path: &Path) -> io::Result<digest::Digest> {
    let mut file = File::open(path)?;
    let mut hash = digest::Context::new(&digest::SHA256);
    let mut block = vec![0; BLOCK_BYTES];
    loop {
        match file.read(&mut block)? {
            0 => return Ok(hash.finish()),
            read => hash.update(&block[..read]),
        }
    }
}

async fn forget(path: PathBuf) {
    if let Err(error) = blocking(move || partials::remove(&path)).await {
        tracing::warn!(%error, "a pack's file stays until the next sweep");
    }
}

/// Runs one blocking step on a file.
async fn blocking<T: Send + 'static>(
    step: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Refusal> {
    let cut_short = |_| Err(io::Error::from(ErrorKind::Interrupted));
    let done = tokio::task::spawn_blocking(step).await.unwrap_or_else(cut_short);
    done.map_err(|error| match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Error::OutOfSpace.into(),
        _ => {
            tracing::warn!(%error, "an unfinished pack cannot be written or read");
            Refusal::busy("the relay cannot write unfinished packs now")
        }
    })
}
