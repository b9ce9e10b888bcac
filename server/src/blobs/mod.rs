//! Where the bytes of instances and reports lie: a directory, or a bucket of an S3 store, behind one type.
//!
//! `commit` is the promise that everything above rests on: when it returns, the bytes survive a power cut. A blob is written
//! once under a key of our own making and never changed; no text from a sender ever becomes part of a name.

mod bucket;
mod directory;
mod spool;

use std::fmt;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use aws_lc_rs::digest;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, Stream, StreamExt};
use thiserror::Error;

use self::bucket::Bucket;
pub use self::bucket::BucketSettings;
use self::directory::{Directory, FileReader};
use self::spool::Spool;
use crate::system::DiskSpace;

/// Size of the pieces in which a blob is read, in bytes.
pub const READ_BYTES: usize = 256 * 1024;

/// Why a blob operation did not happen. The variant is the decision: what the caller may do next.
#[derive(Debug, Error)]
pub enum BlobError {
    /// The volume or the bucket is full; ingest resumes by itself when space returns.
    #[error("the blob store is out of space")]
    OutOfSpace,
    /// There is no such blob.
    #[error("no such blob")]
    NotFound,
    /// The key already holds other bytes. Keys are fresh, so this is a bug of the caller; nothing was overwritten.
    #[error("the key already holds other bytes")]
    Exists,
    /// The blob is longer than the caller wanted to hold in memory.
    #[error("the blob is longer than {limit} bytes")]
    TooLarge {
        /// What the caller allowed, in bytes.
        limit: u64,
    },
    /// The store cannot be reached or answered wrongly; the same call may succeed later.
    #[error("the blob store is unavailable: {0}")]
    Unavailable(String),
    /// Bytes were lost or cannot be trusted: a failed sync, a blob shorter than it was. A person must look.
    #[error("the blob store is damaged: {0}")]
    Damaged(String),
}

impl BlobError {
    /// Sorts an error of the file system by what can be done about it.
    fn from_io(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::OutOfSpace,
            ErrorKind::NotFound => Self::NotFound,
            _ => Self::Unavailable(error.to_string()),
        }
    }
}

/// Name of a blob: one of our own UUIDs, written as 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobKey([u8; 16]);

impl BlobKey {
    /// Reads 32 lower-case hexadecimal digits, or the hyphenated form of a UUID; anything else is `None`.
    pub fn parse(text: &str) -> Option<Self> {
        let hyphens = [8, 13, 18, 23];
        let digits: String = match text.len() {
            32 => text.to_owned(),
            36 if hyphens.iter().all(|&at| text.as_bytes()[at] == b'-') => text.replace('-', ""),
            _ => return None,
        };
        if !digits.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)) {
            return None;
        }
        let mut key = [0; 16];
        hex::decode_to_slice(&digits, &mut key).ok()?;
        Some(Self(key))
    }

    /// The 256-way folder: the last byte, because the first ones of a version 7 UUID are its time.
    fn shard(&self) -> u8 {
        self.0[15]
    }

    /// `ff/0123…ff`: where the blob lies below the root.
    fn path(&self) -> String {
        format!("{:02x}/{self}", self.shard())
    }
}

impl From<uuid::Uuid> for BlobKey {
    fn from(id: uuid::Uuid) -> Self {
        Self(id.into_bytes())
    }
}

impl fmt::Display for BlobKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// What a commit made durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// Length of the whole blob.
    pub bytes: u64,
    /// SHA-256 from the last [`Upload::start_hash`] (else from the first byte) to the end, in lower-case hexadecimal.
    pub sha256: String,
}

/// A blob store. Clones share it.
#[derive(Debug, Clone)]
pub struct Blobs(Backend);

#[derive(Debug, Clone)]
enum Backend {
    Directory(Arc<Directory>),
    Bucket(Arc<Bucket>),
}

impl Blobs {
    /// A store in the directory `root`, which is created if needed.
    pub fn directory(root: &Path) -> Result<Self, BlobError> {
        Ok(Self(Backend::Directory(Arc::new(Directory::open(root)?))))
    }

    /// A store in a bucket. Does not contact it; [`Blobs::probe`] does.
    pub fn bucket(settings: BucketSettings) -> Result<Self, BlobError> {
        Ok(Self(Backend::Bucket(Arc::new(Bucket::open(settings)?))))
    }

    /// Begins a blob. Nothing is visible under `key` before [`Upload::commit`] returns.
    pub async fn create(&self, key: &BlobKey) -> Result<Upload, BlobError> {
        let incoming = match &self.0 {
            Backend::Directory(directory) => directory.incoming(),
            Backend::Bucket(bucket) => bucket.incoming(),
        };
        incoming.check()?;
        Ok(Upload {
            backend: self.0.clone(),
            key: *key,
            spool: Spool::new(Arc::clone(incoming), *key),
        })
    }

    /// Stores `bytes` in one call; for what is small and already in memory.
    pub async fn put(&self, key: &BlobKey, bytes: Bytes) -> Result<Committed, BlobError> {
        let mut upload = self.create(key).await?;
        upload.write(bytes).await?;
        upload.commit().await
    }

    /// Reads a whole blob, piece by piece.
    pub async fn open(&self, key: &BlobKey) -> Result<BlobReader, BlobError> {
        self.range(key, 0, u64::MAX).await
    }

    /// Reads at most `length` bytes from `offset` on; fewer only where the blob ends, none from its end on.
    pub async fn range(
        &self,
        key: &BlobKey,
        offset: u64,
        length: u64,
    ) -> Result<BlobReader, BlobError> {
        match &self.0 {
            Backend::Directory(directory) => {
                let reader = directory.read(key, offset, length).await?;
                Ok(BlobReader {
                    length: reader.left(),
                    left: reader.left(),
                    source: Source::File(reader),
                })
            }
            Backend::Bucket(bucket) => {
                let (length, stream) = bucket.read(key, offset, length).await?;
                Ok(BlobReader { length, left: length, source: Source::Stream(stream) })
            }
        }
    }

    /// The whole blob in memory, refused before reading if it is longer than `limit` bytes.
    pub async fn read_all(&self, key: &BlobKey, limit: u64) -> Result<Bytes, BlobError> {
        self.open(key).await?.collect(limit).await
    }

    /// SHA-256 of the stored bytes from `offset` to the end, read back now; lower-case hexadecimal.
    pub async fn digest(&self, key: &BlobKey, offset: u64) -> Result<String, BlobError> {
        let mut reader = self.range(key, offset, u64::MAX).await?;
        let mut hash = digest::Context::new(&digest::SHA256);
        while let Some(bytes) = reader.next().await? {
            hash.update(&bytes);
        }
        Ok(hex::encode(hash.finish()))
    }

    /// Whether the blob is there.
    pub async fn exists(&self, key: &BlobKey) -> Result<bool, BlobError> {
        match &self.0 {
            Backend::Directory(directory) => directory.exists(key).await,
            Backend::Bucket(bucket) => bucket.exists(key).await,
        }
    }

    /// Removes a blob; one that is not there is success. Not made durable: a deletion undone by a power cut leaves an
    /// orphan, which the sweep finds.
    pub async fn delete(&self, key: &BlobKey) -> Result<(), BlobError> {
        match &self.0 {
            Backend::Directory(directory) => directory.delete(key).await,
            Backend::Bucket(bucket) => bucket.delete(key).await,
        }
    }

    /// Every committed blob, in no promised order; one that comes or goes meanwhile may or may not be named.
    pub fn list(&self) -> Keys {
        Keys(match &self.0 {
            Backend::Directory(directory) => Arc::clone(directory).list(),
            Backend::Bucket(bucket) => bucket.list(),
        })
    }

    /// Removes temporary files last written before `before`; returns how many. For start-up, with the present time, when
    /// nobody else writes to the same place.
    pub async fn sweep_incoming(&self, before: SystemTime) -> Result<u64, BlobError> {
        let incoming = match &self.0 {
            Backend::Directory(directory) => Arc::clone(directory.incoming()),
            Backend::Bucket(bucket) => Arc::clone(bucket.incoming()),
        };
        hop(move || incoming.sweep(before)).await
    }

    /// Bytes that can still be written; `None` where the store does not say (a bucket).
    pub async fn free_bytes(&self) -> Option<u64> {
        self.space().await.map(|volume| volume.free_bytes)
    }

    /// The volume of the store; `None` where it does not say (a bucket).
    pub async fn space(&self) -> Option<DiskSpace> {
        match &self.0 {
            Backend::Directory(directory) => directory.space().await,
            Backend::Bucket(_) => None,
        }
    }

    /// What kind of store it is: `directory` or `bucket`.
    pub const fn kind(&self) -> &'static str {
        match &self.0 {
            Backend::Directory(_) => "directory",
            Backend::Bucket(_) => "bucket",
        }
    }

    /// Whether a blob could be stored now: writes, makes durable and removes a small object.
    pub async fn probe(&self) -> Result<(), BlobError> {
        match &self.0 {
            Backend::Directory(directory) => {
                let incoming = Arc::clone(directory.incoming());
                hop(move || incoming.probe()).await
            }
            Backend::Bucket(bucket) => bucket.probe().await,
        }
    }
}

/// A blob being written. Dropping it is [`Upload::abandon`] without waiting.
pub struct Upload {
    backend: Backend,
    key: BlobKey,
    spool: Spool,
}

impl Upload {
    /// Restarts the hash: it will cover the bytes written from here on. For a header of ours in front of a sender's bytes.
    pub fn start_hash(&mut self) {
        self.spool.start_hash();
    }

    /// Appends `bytes`. Returns early while less than a block is waiting, so an error may surface at a later call.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), BlobError> {
        self.spool.write(bytes).await
    }

    /// Makes the blob durable and visible under its key. A key that already holds the same bytes is success again; one with
    /// other bytes is [`BlobError::Exists`].
    pub async fn commit(self) -> Result<Committed, BlobError> {
        let (writer, rest) = self.spool.finish().await?;
        match self.backend {
            Backend::Directory(directory) => {
                hop(move || directory.commit(&self.key, writer, rest)).await
            }
            Backend::Bucket(bucket) => bucket.commit(&self.key, writer, rest).await,
        }
    }

    /// Gives the upload up and removes what was written.
    pub async fn abandon(self) {
        self.spool.abandon().await;
    }
}

/// A blob, or a range of one, being read.
pub struct BlobReader {
    length: u64,
    left: u64,
    source: Source,
}

enum Source {
    File(FileReader),
    Stream(BoxStream<'static, Result<Bytes, BlobError>>),
}

impl BlobReader {
    /// Bytes that the whole reading yields.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// The next piece, `None` after the last. A blob that ends too early is an error, never a short success.
    pub async fn next(&mut self) -> Result<Option<Bytes>, BlobError> {
        let piece = match &mut self.source {
            Source::File(reader) => reader.next().await?,
            Source::Stream(stream) => stream.next().await.transpose()?,
        };
        let read = piece.as_ref().map_or(0, |bytes| bytes.len() as u64);
        if (piece.is_none() && self.left > 0) || read > self.left {
            return Err(BlobError::Unavailable(
                "the store sent another length than it announced".into(),
            ));
        }
        self.left -= read;
        Ok(piece)
    }

    /// The pieces as a stream, for a response body. It ends after its first error.
    pub fn into_stream(self) -> impl Stream<Item = Result<Bytes, BlobError>> + Send + 'static {
        stream::try_unfold(self, |mut reader| async move {
            Ok(reader.next().await?.map(|bytes| (bytes, reader)))
        })
    }

    /// All pieces as one, refused before reading if there are more than `limit` bytes.
    pub async fn collect(mut self, limit: u64) -> Result<Bytes, BlobError> {
        if self.length > limit {
            return Err(BlobError::TooLarge { limit });
        }
        let mut all = Vec::with_capacity(usize::try_from(self.length).unwrap_or(0));
        while let Some(bytes) = self.next().await? {
            if all.is_empty() && self.left == 0 {
                return Ok(bytes);
            }
            all.extend_from_slice(&bytes);
        }
        Ok(all.into())
    }
}

/// The keys of a store, one after the other.
pub struct Keys(BoxStream<'static, Result<BlobKey, BlobError>>);

impl Keys {
    /// The next key, `None` after the last.
    pub async fn next(&mut self) -> Result<Option<BlobKey>, BlobError> {
        self.0.next().await.transpose()
    }
}

/// Runs one blocking step.
async fn hop<T: Send + 'static>(
    step: impl FnOnce() -> Result<T, BlobError> + Send + 'static,
) -> Result<T, BlobError> {
    let cut_short = |_| Err(BlobError::Unavailable("a blocking step was cut short".into()));
    tokio::task::spawn_blocking(step).await.unwrap_or_else(cut_short)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_ids_are_keys() {
        let key = BlobKey::parse("0190a5c0000070008000000000000a1f").expect("plain digits");
        assert_eq!(BlobKey::parse("0190a5c0-0000-7000-8000-000000000a1f"), Some(key));
        assert_eq!(key.path(), "1f/0190a5c0000070008000000000000a1f");
        for bad in [
            "",
            "..",
            "../../../../etc/passwd/0000000000",
            "0190A5C0000070008000000000000A1F",
            "0190a5c000007000800000000000/a1f",
            "0190a5c00000700080000000000\0a1f1",
            "0190a5c0-0000-7000-8000-0000000-0a1f",
            "1.2.840.10008.5.1.4.1.1.2.000000",
            "影像影像影像影像影像ab",
        ] {
            assert_eq!(BlobKey::parse(bad), None, "{bad:?}");
        }
    }
}
