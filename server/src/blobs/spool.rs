//! Bytes on their way in: a temporary file in `incoming/`, written in few large blocking steps and hashed on the way.
//!
//! Both back-ends take their bytes through here, so memory per upload stays at two blocks whatever the object's size, and
//! what a crash leaves behind is always a file in `incoming/` and never half a blob.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::SystemTime;

use aws_lc_rs::digest;
use bytes::Bytes;
use tokio::task::JoinHandle;

use super::{BlobError, BlobKey, hop};

/// Bytes gathered before the disk is touched: one blocking step costs the same for 16 KiB as for 256 KiB.
const BLOCK_BYTES: usize = 256 * 1024;
/// Pieces gathered at most, so that a sender of tiny fragments cannot make the list itself grow.
const BLOCK_PIECES: usize = 1024;
/// Names tried for a temporary file before giving up; more than one is needed only after an unclean stop.
const NAME_ATTEMPTS: u32 = 1000;

/// The folder of temporary files and the health of the volume under it.
#[derive(Debug)]
pub(super) struct Incoming {
    folder: PathBuf,
    serial: AtomicU64,
    suspect: AtomicBool,
}

impl Incoming {
    /// Uses `folder`, creating it if needed.
    pub(super) fn prepare(folder: PathBuf) -> Result<Self, BlobError> {
        fs::create_dir_all(&folder).map_err(BlobError::from_io)?;
        Ok(Self { folder, serial: AtomicU64::new(0), suspect: AtomicBool::new(false) })
    }

    /// Refuses once a sync has failed: what the kernel then says about later syncs can no longer be believed.
    pub(super) fn check(&self) -> Result<(), BlobError> {
        if self.suspect.load(Ordering::Acquire) {
            return Err(BlobError::Damaged(
                "an earlier sync of this volume failed; restart after checking the disk".into(),
            ));
        }
        Ok(())
    }

    /// Makes `file` durable. A failure other than a lack of space makes the volume suspect until restart, because Linux may
    /// mark the lost pages clean and let the next sync succeed. A lack of space only costs the file, which is thrown away.
    pub(super) fn sync(&self, file: &File) -> Result<(), BlobError> {
        self.check()?;
        file.sync_all().map_err(|error| {
            let error = BlobError::from_io(error);
            if matches!(error, BlobError::OutOfSpace) {
                return error;
            }
            self.suspect.store(true, Ordering::Release);
            tracing::error!(blobs.error = %error, "sync failed: this volume takes no more blobs until restart");
            BlobError::Damaged(format!("sync failed: {error}"))
        })
    }

    /// Makes the entries of `folder` durable, under the same rule as [`Incoming::sync`].
    pub(super) fn sync_folder(&self, folder: &Path) -> Result<(), BlobError> {
        self.sync(&File::open(folder).map_err(BlobError::from_io)?)
    }

    /// Removes files last written before `before`; returns how many.
    pub(super) fn sweep(&self, before: SystemTime) -> Result<u64, BlobError> {
        let mut removed = 0;
        for entry in fs::read_dir(&self.folder).map_err(BlobError::from_io)? {
            let entry = entry.map_err(BlobError::from_io)?;
            let age = entry.metadata().and_then(|about| Ok((about.is_file(), about.modified()?)));
            match age {
                Ok((true, modified)) if modified < before => {}
                Ok(_) => continue,
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(BlobError::from_io(error)),
            }
            match fs::remove_file(entry.path()) {
                Ok(()) => removed += 1,
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(BlobError::from_io(error)),
            }
        }
        Ok(removed)
    }

    /// Writes, syncs and removes a small file: whether the volume would take a blob now.
    pub(super) fn probe(&self) -> Result<(), BlobError> {
        self.check()?;
        let (path, mut file) = self.new_file("probe").map_err(BlobError::from_io)?;
        let outcome =
            file.write_all(b"probe").map_err(BlobError::from_io).and_then(|()| self.sync(&file));
        let removed = fs::remove_file(&path).map_err(BlobError::from_io);
        outcome.and(removed)
    }

    fn new_file(&self, stem: &str) -> io::Result<(PathBuf, File)> {
        for _ in 0..NAME_ATTEMPTS {
            let serial = self.serial.fetch_add(1, Ordering::Relaxed);
            let path = self.folder.join(format!("{stem}.{}.{serial}", std::process::id()));
            match OpenOptions::new().read(true).write(true).create_new(true).open(&path) {
                Ok(file) => return Ok((path, file)),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(ErrorKind::AlreadyExists.into())
    }
}

/// What the caller handed over, in order.
#[derive(Debug)]
pub(super) enum Piece {
    Bytes(Bytes),
    StartHash,
}

/// A temporary file being written; only ever touched on a blocking thread. Dropping it removes the file.
pub(super) struct Writer {
    incoming: Arc<Incoming>,
    key: BlobKey,
    file: Option<(PathBuf, File)>,
    hash: digest::Context,
    bytes: u64,
}

impl Writer {
    fn new(incoming: Arc<Incoming>, key: BlobKey) -> Self {
        Self { incoming, key, file: None, hash: digest::Context::new(&digest::SHA256), bytes: 0 }
    }

    /// Writes and hashes `pieces`; the file is created here so that an upload costs no extra step for it.
    pub(super) fn apply(&mut self, pieces: Vec<Piece>) -> Result<(), BlobError> {
        if self.file.is_none() {
            self.file =
                Some(self.incoming.new_file(&self.key.to_string()).map_err(BlobError::from_io)?);
        }
        for piece in pieces {
            match piece {
                Piece::StartHash => self.hash = digest::Context::new(&digest::SHA256),
                Piece::Bytes(bytes) => {
                    self.hash.update(&bytes);
                    self.file()?.1.write_all(&bytes).map_err(BlobError::from_io)?;
                    self.bytes += bytes.len() as u64;
                }
            }
        }
        Ok(())
    }

    /// The temporary name and the open file.
    pub(super) fn file(&mut self) -> Result<&mut (PathBuf, File), BlobError> {
        self.file.as_mut().ok_or_else(|| BlobError::Unavailable("the upload has no file".into()))
    }

    /// Bytes written so far.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The hash so far, in lower-case hexadecimal.
    pub(super) fn sha256(&self) -> String {
        hex::encode(self.hash.clone().finish())
    }

    /// The temporary name is gone (renamed), so there is nothing left to remove.
    pub(super) fn disarm(&mut self) {
        self.file = None;
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if let Some((path, _)) = self.file.take()
            && let Err(error) = fs::remove_file(&path)
        {
            tracing::warn!(blobs.error = %error, "a temporary file stays behind until the next start");
        }
    }
}

/// One upload's way to its temporary file: gathers a block while the one before it is being written.
pub(super) struct Spool {
    pending: Vec<Piece>,
    pending_bytes: usize,
    state: State,
}

enum State {
    Idle(Writer),
    Busy(JoinHandle<Result<Writer, BlobError>>),
    Failed,
}

impl Spool {
    pub(super) fn new(incoming: Arc<Incoming>, key: BlobKey) -> Self {
        Self {
            pending: Vec::new(),
            pending_bytes: 0,
            state: State::Idle(Writer::new(incoming, key)),
        }
    }

    pub(super) fn start_hash(&mut self) {
        self.pending.push(Piece::StartHash);
    }

    pub(super) async fn write(&mut self, bytes: Bytes) -> Result<(), BlobError> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.pending_bytes += bytes.len();
        self.pending.push(Piece::Bytes(bytes));
        if self.pending_bytes < BLOCK_BYTES && self.pending.len() < BLOCK_PIECES {
            return Ok(());
        }
        let mut writer = self.settle().await?;
        let pieces = mem::take(&mut self.pending);
        self.pending_bytes = 0;
        self.state = State::Busy(tokio::task::spawn_blocking(move || {
            writer.apply(pieces)?;
            Ok(writer)
        }));
        Ok(())
    }

    /// Waits for the block under way; returns the writer and what it has not been given yet.
    pub(super) async fn finish(mut self) -> Result<(Writer, Vec<Piece>), BlobError> {
        let writer = self.settle().await?;
        Ok((writer, self.pending))
    }

    /// Removes the temporary file, on a blocking thread because freeing a large file takes a while.
    pub(super) async fn abandon(mut self) {
        if let Ok(writer) = self.settle().await {
            let _ = hop(move || {
                drop(writer);
                Ok(())
            })
            .await;
        }
    }

    /// Takes the writer out, leaving `Failed`. Safe to cancel: the handle stays in place until its result is here.
    async fn settle(&mut self) -> Result<Writer, BlobError> {
        if let State::Busy(handle) = &mut self.state {
            let outcome = handle.await;
            self.state = State::Failed;
            return outcome.unwrap_or_else(|_| {
                Err(BlobError::Unavailable("a blocking step was cut short".into()))
            });
        }
        match mem::replace(&mut self.state, State::Failed) {
            State::Idle(writer) => Ok(writer),
            _ => Err(BlobError::Unavailable("the upload has failed before".into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suspect_volume_takes_nothing_more() {
        let folder = tempfile::tempdir().expect("a folder");
        let incoming = Incoming::prepare(folder.path().join("incoming")).expect("prepared");
        incoming.probe().expect("healthy");
        incoming.suspect.store(true, Ordering::Release);
        assert!(matches!(incoming.probe(), Err(BlobError::Damaged(_))));
        let file = File::create(folder.path().join("x")).expect("a file");
        assert!(
            matches!(incoming.sync(&file), Err(BlobError::Damaged(_))),
            "no later sync may be believed"
        );
    }

    #[test]
    fn a_failed_sync_makes_the_volume_suspect() {
        let folder = tempfile::tempdir().expect("a folder");
        let incoming = Incoming::prepare(folder.path().join("incoming")).expect("prepared");
        let unsyncable = File::open("/dev/null").expect("a device that cannot be synced");
        assert!(matches!(incoming.sync(&unsyncable), Err(BlobError::Damaged(_))));
        assert!(matches!(incoming.probe(), Err(BlobError::Damaged(_))));
    }
}
