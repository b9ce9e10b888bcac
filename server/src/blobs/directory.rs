//! Blobs in a directory: `incoming/` for what is on its way, 256 folders for what has arrived.
//!
//! A commit is one blocking step in a fixed order: file synced, renamed, folder synced. A crash between any two of them leaves
//! a temporary file or a whole blob without a row, never part of a blob under its final name.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use tokio::task::JoinHandle;

use super::spool::{Incoming, Piece, Writer};
use super::{BlobError, BlobKey, Committed, READ_BYTES, hop};
use crate::system::{DiskSpace, disk_space};

/// A blob store in a directory.
#[derive(Debug)]
pub(super) struct Directory {
    root: PathBuf,
    incoming: Arc<Incoming>,
    /// Folders known to exist durably, by their last byte: made at most once per process.
    shards: Vec<AtomicBool>,
}

impl Directory {
    pub(super) fn open(root: &Path) -> Result<Self, BlobError> {
        let incoming = Incoming::prepare(root.join("incoming"))?;
        incoming.sync_folder(root)?;
        if let Some(parent) = root.canonicalize().map_err(BlobError::from_io)?.parent() {
            incoming.sync_folder(parent)?;
        }
        let shards = (0..=u8::MAX).map(|_| AtomicBool::new(false)).collect();
        Ok(Self { root: root.to_owned(), incoming: Arc::new(incoming), shards })
    }

    pub(super) fn incoming(&self) -> &Arc<Incoming> {
        &self.incoming
    }

    /// Writes what is left, then makes the blob durable and visible; blocking.
    pub(super) fn commit(
        &self,
        key: &BlobKey,
        mut writer: Writer,
        rest: Vec<Piece>,
    ) -> Result<Committed, BlobError> {
        writer.apply(rest)?;
        let committed = Committed { bytes: writer.bytes(), sha256: writer.sha256() };
        let (temporary, file) = writer.file()?;
        self.incoming.sync(file)?;
        let shard = self.shard(key)?;
        let path = self.path(key);
        // The rename is one step in a journalling file system's log, so syncing the folder that gains the name is enough; the
        // worst that the other folder can keep is a name that the next start sweeps.
        match rename_new(temporary, &path) {
            Ok(()) => writer.disarm(),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                let mut there = File::open(&path).map_err(BlobError::from_io)?;
                if !same_bytes(file, &mut there)? {
                    return Err(BlobError::Exists);
                }
            }
            Err(error) => return Err(BlobError::from_io(error)),
        }
        self.incoming.sync_folder(&shard)?;
        Ok(committed)
    }

    /// Opens a blob and reads its first piece, in one step.
    pub(super) async fn read(
        &self,
        key: &BlobKey,
        offset: u64,
        length: u64,
    ) -> Result<FileReader, BlobError> {
        let path = self.path(key);
        hop(move || {
            let mut file = File::open(path).map_err(BlobError::from_io)?;
            let total = file.metadata().map_err(BlobError::from_io)?.len();
            let left = total.saturating_sub(offset).min(length);
            if left == 0 {
                return Ok(FileReader { left, ahead: Ahead::None });
            }
            file.seek(SeekFrom::Start(offset)).map_err(BlobError::from_io)?;
            let bytes = read_piece(&mut file, left)?;
            Ok(FileReader { left, ahead: Ahead::Here(file, bytes) })
        })
        .await
    }

    pub(super) async fn exists(&self, key: &BlobKey) -> Result<bool, BlobError> {
        let path = self.path(key);
        hop(move || path.try_exists().map_err(BlobError::from_io)).await
    }

    pub(super) async fn delete(&self, key: &BlobKey) -> Result<(), BlobError> {
        let path = self.path(key);
        hop(move || match fs::remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(BlobError::from_io(error)),
            _ => Ok(()),
        })
        .await
    }

    /// One folder at a time, so that memory holds a 256th of the keys.
    pub(super) fn list(self: Arc<Self>) -> BoxStream<'static, Result<BlobKey, BlobError>> {
        stream::iter(0..=u8::MAX)
            .then(move |shard| {
                let folder = self.root.join(format!("{shard:02x}"));
                hop(move || keys_in(&folder, shard))
            })
            .map_ok(|keys| stream::iter(keys.into_iter().map(Ok)))
            .try_flatten()
            .boxed()
    }

    pub(super) async fn space(&self) -> Option<DiskSpace> {
        let root = self.root.clone();
        hop(move || disk_space(&root).map_err(BlobError::from_io)).await.ok()
    }

    fn path(&self, key: &BlobKey) -> PathBuf {
        self.root.join(key.path())
    }

    /// The folder of `key`, made if needed, and itself durable before anything in it is promised.
    fn shard(&self, key: &BlobKey) -> Result<PathBuf, BlobError> {
        let folder = self.root.join(format!("{:02x}", key.shard()));
        let known = &self.shards[usize::from(key.shard())];
        if !known.load(Ordering::Acquire) {
            match fs::create_dir(&folder) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                    return Err(BlobError::from_io(error));
                }
                // Even one that is there already may have been made a moment ago and not be durable yet.
                _ => self.incoming.sync_folder(&self.root)?,
            }
            known.store(true, Ordering::Release);
        }
        Ok(folder)
    }
}

/// Renames without ever replacing a file.
fn rename_new(from: &Path, to: &Path) -> std::io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Not every network file system knows the flag; a hard link refuses an existing name everywhere.
        Err(Errno::INVAL | Errno::NOSYS) => {
            fs::hard_link(from, to)?;
            fs::remove_file(from)
        }
        outcome => Ok(outcome?),
    }
}

fn same_bytes(one: &mut File, other: &mut File) -> Result<bool, BlobError> {
    let length = one.metadata().map_err(BlobError::from_io)?.len();
    if length != other.metadata().map_err(BlobError::from_io)?.len() {
        return Ok(false);
    }
    one.seek(SeekFrom::Start(0)).map_err(BlobError::from_io)?;
    let mut left = length;
    while left > 0 {
        let piece = read_piece(one, left)?;
        if piece != read_piece(other, left)? {
            return Ok(false);
        }
        left -= piece.len() as u64;
    }
    Ok(true)
}

fn keys_in(folder: &Path, shard: u8) -> Result<Vec<BlobKey>, BlobError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(BlobError::from_io(error)),
    };
    let mut keys = Vec::new();
    for entry in entries {
        let name = entry.map_err(BlobError::from_io)?.file_name();
        match name.to_str().filter(|name| name.len() == 32).and_then(BlobKey::parse) {
            Some(key) if key.shard() == shard => keys.push(key),
            _ => {
                tracing::warn!(blobs.shard = shard, "a file that is not ours lies among the blobs");
            }
        }
    }
    Ok(keys)
}

/// The next piece of `file`, of `left` bytes at most; a file that ends sooner has lost bytes.
pub(super) fn read_piece(file: &mut File, left: u64) -> Result<Bytes, BlobError> {
    let wanted = usize::try_from(left).unwrap_or(READ_BYTES).min(READ_BYTES);
    let mut bytes = Vec::with_capacity(wanted);
    match file.take(wanted as u64).read_to_end(&mut bytes) {
        Ok(read) if read == wanted => Ok(bytes.into()),
        Ok(_) => Err(BlobError::Damaged("a blob is shorter than it was".into())),
        Err(error) => Err(BlobError::Damaged(format!("a blob cannot be read: {error}"))),
    }
}

/// Reads a file piece by piece, one piece ahead of its caller.
pub(super) struct FileReader {
    left: u64,
    ahead: Ahead,
}

enum Ahead {
    Here(File, Bytes),
    Reading(JoinHandle<Result<(File, Bytes), BlobError>>),
    None,
}

impl FileReader {
    /// Bytes not yet handed out.
    pub(super) fn left(&self) -> u64 {
        self.left
    }

    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, BlobError> {
        if let Ahead::Reading(handle) = &mut self.ahead {
            let outcome = handle.await;
            self.ahead = Ahead::None;
            let (file, bytes) = outcome.unwrap_or_else(|_| {
                Err(BlobError::Unavailable("a blocking step was cut short".into()))
            })?;
            self.ahead = Ahead::Here(file, bytes);
        }
        let Ahead::Here(mut file, bytes) = std::mem::replace(&mut self.ahead, Ahead::None) else {
            return Ok(None);
        };
        self.left -= bytes.len() as u64;
        let left = self.left;
        if left > 0 {
            self.ahead = Ahead::Reading(tokio::task::spawn_blocking(move || {
                let bytes = read_piece(&mut file, left)?;
                Ok((file, bytes))
            }));
        }
        Ok(Some(bytes))
    }
}
