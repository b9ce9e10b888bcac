//! Blobs in a bucket of an S3 store.
//!
//! Bytes are gathered in a local file first and sent at the commit, because only then is it known that they are whole, and
//! because a retry needs them again. The store is given a SHA-256 of everything it receives and asked for the size afterwards.
//! A process killed in the middle of a large upload leaves parts behind that only a lifecycle rule of the bucket
//! ("abort incomplete multipart uploads") removes.

use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::try_join;
use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};
use object_store::aws::{AmazonS3, AmazonS3Builder, Checksum};
use object_store::path::Path as Name;
use object_store::{
    BackoffConfig, ClientOptions, Error as StoreError, GetOptions, GetRange, MultipartUpload,
    ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, RetryConfig,
};

use super::directory::read_piece;
use super::spool::{Incoming, Piece, Writer};
use super::{BlobError, BlobKey, Committed, hop};

/// Size of a part of a large upload, in bytes; two are in memory at a time.
const PART_BYTES: u64 = 8 * 1024 * 1024;
/// Up to here a blob is sent in one request, in bytes.
const SINGLE_BYTES: u64 = 2 * PART_BYTES;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long one answer, or one piece of it, may take. It includes sending a part: 8 MiB at 1.2 Mbit/s.
const READ_TIMEOUT: Duration = Duration::from_secs(60);
const RETRIES: usize = 3;
/// After this no further attempt is begun.
const RETRY_TIMEOUT: Duration = Duration::from_secs(20);

/// Where a bucket is and how to enter it.
#[derive(Clone)]
pub struct BucketSettings {
    /// Name of the bucket.
    pub bucket: String,
    /// Prefix of all our names in it, without slashes at its ends; empty for none.
    pub prefix: String,
    /// Address of the service; `None` for Amazon's own in the region.
    pub endpoint: Option<String>,
    /// Region as the service knows it, such as `us-east-1`.
    pub region: String,
    /// Access key id.
    pub access_key: String,
    /// Secret access key.
    pub secret_key: String,
    /// Whether an endpoint without TLS is acceptable.
    pub allow_http: bool,
    /// Local folder for bytes on their way.
    pub spool: PathBuf,
}

/// A blob store in a bucket.
#[derive(Debug)]
pub(super) struct Bucket {
    store: AmazonS3,
    prefix: Name,
    incoming: Arc<Incoming>,
    /// Cleared when the store turns out not to know `If-None-Match` on a put.
    create_only: AtomicBool,
}

impl Bucket {
    pub(super) fn open(settings: BucketSettings) -> Result<Self, BlobError> {
        // No limit on a whole answer: a reader on a slow line may take minutes over a large blob.
        let client = ClientOptions::new()
            .with_connect_timeout(CONNECT_TIMEOUT)
            .with_read_timeout(READ_TIMEOUT)
            .with_timeout_disabled()
            .with_allow_http(settings.allow_http);
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(settings.bucket)
            .with_region(settings.region)
            .with_access_key_id(settings.access_key)
            .with_secret_access_key(settings.secret_key)
            .with_checksum_algorithm(Checksum::SHA256)
            .with_disable_bulk_delete(true)
            .with_retry(RetryConfig {
                backoff: BackoffConfig::default(),
                max_retries: RETRIES,
                retry_timeout: RETRY_TIMEOUT,
            })
            // After the client options, which would overwrite what it sets in them.
            .with_client_options(client)
            .with_allow_http(settings.allow_http);
        if let Some(endpoint) = settings.endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        Ok(Self {
            store: builder.build().map_err(|error| sort(&error))?,
            prefix: Name::from(settings.prefix),
            incoming: Arc::new(Incoming::prepare(settings.spool)?),
            create_only: AtomicBool::new(true),
        })
    }

    pub(super) fn incoming(&self) -> &Arc<Incoming> {
        &self.incoming
    }

    /// Sends a finished local file; returns when the store has confirmed checksum and size.
    pub(super) async fn commit(
        &self,
        key: &BlobKey,
        mut writer: Writer,
        rest: Vec<Piece>,
    ) -> Result<Committed, BlobError> {
        let (writer, file, committed) = hop(move || {
            writer.apply(rest)?;
            let committed = Committed { bytes: writer.bytes(), sha256: writer.sha256() };
            let mut file = writer.file()?.1.try_clone().map_err(BlobError::from_io)?;
            file.seek(SeekFrom::Start(0)).map_err(BlobError::from_io)?;
            Ok((writer, file, committed))
        })
        .await?;
        let name = self.name(key);
        let length = committed.bytes;
        let outcome = if length <= SINGLE_BYTES {
            self.send_whole(&name, file, length).await
        } else {
            self.send_parts(&name, file, length).await
        };
        let outcome = match outcome {
            Ok(()) => self.confirm(&name, length).await,
            Err(BlobError::Exists) => self.confirm_same(key, writer, length).await.map(drop),
            Err(error) => Err(error),
        };
        outcome.map(|()| committed)
    }

    pub(super) async fn read(
        &self,
        key: &BlobKey,
        offset: u64,
        length: u64,
    ) -> Result<(u64, BoxStream<'static, Result<Bytes, BlobError>>), BlobError> {
        let name = self.name(key);
        let nothing = || (0, stream::empty().boxed());
        let range = match (offset, length) {
            (0, u64::MAX) => None,
            // The store has no word for a range without bytes, or one beyond the end: ask for the size instead.
            _ if offset >= self.size(&name).await? || length == 0 => return Ok(nothing()),
            (_, u64::MAX) => Some(GetRange::Offset(offset)),
            _ => Some(GetRange::Bounded(offset..offset.saturating_add(length))),
        };
        let options = GetOptions { range, ..GetOptions::default() };
        let result = self.store.get_opts(&name, options).await.map_err(|error| sort(&error))?;
        let length = result.range.end - result.range.start;
        Ok((length, result.into_stream().map_err(|error| sort(&error)).boxed()))
    }

    pub(super) async fn exists(&self, key: &BlobKey) -> Result<bool, BlobError> {
        self.holds(&self.name(key)).await
    }

    pub(super) async fn delete(&self, key: &BlobKey) -> Result<(), BlobError> {
        self.remove(&self.name(key)).await
    }

    pub(super) fn list(&self) -> BoxStream<'static, Result<BlobKey, BlobError>> {
        let prefix = self.prefix.clone();
        self.store
            .list(Some(&self.prefix))
            .map_err(|error| sort(&error))
            .try_filter_map(move |object| {
                let key = object.location.filename().and_then(BlobKey::parse);
                let ours = key.filter(|key| named(&prefix, &key.path()) == object.location);
                async move { Ok(ours) }
            })
            .boxed()
    }

    /// Writes and removes a small object, and checks the local folder.
    pub(super) async fn probe(&self) -> Result<(), BlobError> {
        let incoming = Arc::clone(&self.incoming);
        hop(move || incoming.probe()).await?;
        let name = named(&self.prefix, "probe");
        self.store
            .put(&name, PutPayload::from_static(b"probe"))
            .await
            .map_err(|error| sort_put(&error))?;
        self.remove(&name).await
    }

    /// One request, which the store refuses if the name is taken.
    async fn send_whole(&self, name: &Name, file: File, length: u64) -> Result<(), BlobError> {
        let (_, payload) = load(file, length).await?;
        if self.create_only.load(Ordering::Relaxed) {
            let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
            match self.store.put_opts(name, payload.clone(), options).await {
                Err(StoreError::Generic { source, .. })
                    if source.to_string().contains("NotImplemented") =>
                {
                    tracing::warn!(
                        "the store does not know conditional puts; names are checked beforehand instead"
                    );
                    self.create_only.store(false, Ordering::Relaxed);
                }
                outcome => return outcome.map(drop).map_err(|error| sort_put(&error)),
            }
        }
        if self.holds(name).await? {
            return Err(BlobError::Exists);
        }
        self.store.put(name, payload).await.map(drop).map_err(|error| sort_put(&error))
    }

    /// Parts, two at a time. There is no conditional form of this, so the name is looked at beforehand.
    async fn send_parts(&self, name: &Name, file: File, length: u64) -> Result<(), BlobError> {
        if self.holds(name).await? {
            return Err(BlobError::Exists);
        }
        let mut upload = self.store.put_multipart(name).await.map_err(|error| sort_put(&error))?;
        let outcome = match send_each_part(upload.as_mut(), file, length).await {
            Ok(()) => upload.complete().await.map(drop).map_err(|error| sort_put(&error)),
            Err(error) => Err(error),
        };
        if outcome.is_err() && upload.abort().await.is_err() {
            tracing::warn!(
                "parts of a failed upload stay in the bucket until its lifecycle rule removes them"
            );
        }
        outcome
    }

    async fn confirm(&self, name: &Name, length: u64) -> Result<(), BlobError> {
        match self.size(name).await? {
            size if size == length => Ok(()),
            _ => Err(BlobError::Damaged("the bucket holds another size than was sent".into())),
        }
    }

    /// The name was taken: by an earlier attempt of ours whose answer got lost, or by other bytes?
    async fn confirm_same(
        &self,
        key: &BlobKey,
        mut writer: Writer,
        length: u64,
    ) -> Result<Writer, BlobError> {
        let (there, mut stream) = self.read(key, 0, u64::MAX).await?;
        if there != length {
            return Err(BlobError::Exists);
        }
        let mut file = writer.file()?.1.try_clone().map_err(BlobError::from_io)?;
        file.seek(SeekFrom::Start(0)).map_err(BlobError::from_io)?;
        while let Some(theirs) = stream.try_next().await? {
            let (next, same) = hop(move || {
                let mut rest = theirs;
                while !rest.is_empty() {
                    let ours = read_piece(&mut file, rest.len() as u64)?;
                    if rest.split_to(ours.len()) != ours {
                        return Ok((file, false));
                    }
                }
                Ok((file, true))
            })
            .await?;
            file = next;
            if !same {
                return Err(BlobError::Exists);
            }
        }
        Ok(writer)
    }

    async fn size(&self, name: &Name) -> Result<u64, BlobError> {
        self.store.head(name).await.map(|object| object.size).map_err(|error| sort(&error))
    }

    async fn holds(&self, name: &Name) -> Result<bool, BlobError> {
        match self.size(name).await {
            Ok(_) => Ok(true),
            Err(BlobError::NotFound) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn remove(&self, name: &Name) -> Result<(), BlobError> {
        match self.store.delete(name).await.map_err(|error| sort(&error)) {
            Err(BlobError::NotFound) | Ok(()) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn name(&self, key: &BlobKey) -> Name {
        named(&self.prefix, &key.path())
    }
}

fn named(prefix: &Name, rest: &str) -> Name {
    Name::from_iter(prefix.parts().chain(Name::from(rest).parts()))
}

async fn send_each_part(
    upload: &mut dyn MultipartUpload,
    mut file: File,
    length: u64,
) -> Result<(), BlobError> {
    let mut left = length;
    while left > 0 {
        let (next, first) = load(file, left.min(PART_BYTES)).await?;
        left -= first.content_length() as u64;
        let (next, second) = load(next, left.min(PART_BYTES)).await?;
        left -= second.content_length() as u64;
        file = next;
        let first = upload.put_part(first);
        if second.content_length() == 0 {
            first.await.map_err(|error| sort_put(&error))?;
        } else {
            try_join(first, upload.put_part(second)).await.map_err(|error| sort_put(&error))?;
        }
    }
    Ok(())
}

/// The next `length` bytes of the local file, in memory.
async fn load(mut file: File, length: u64) -> Result<(File, PutPayload), BlobError> {
    hop(move || {
        let mut pieces = Vec::new();
        let mut left = length;
        while left > 0 {
            let piece = read_piece(&mut file, left)?;
            left -= piece.len() as u64;
            pieces.push(piece);
        }
        Ok((file, PutPayload::from_iter(pieces)))
    })
    .await
}

/// Sorts a store's error by what can be done about it.
fn sort(error: &StoreError) -> BlobError {
    match error {
        // A missing bucket is a wrong setting; a blob must not be taken for lost because of it.
        StoreError::NotFound { source, .. } if source.to_string().contains("NoSuchBucket") => {
            BlobError::Unavailable("the bucket does not exist".into())
        }
        StoreError::NotFound { .. } => BlobError::NotFound,
        StoreError::AlreadyExists { .. } | StoreError::Precondition { .. } => BlobError::Exists,
        StoreError::PermissionDenied { .. } | StoreError::Unauthenticated { .. } => {
            BlobError::Unavailable("the store refuses our access key".into())
        }
        StoreError::Generic { source, .. } => {
            let text = source.to_string();
            if FULL.iter().any(|sign| text.contains(sign)) {
                return BlobError::OutOfSpace;
            }
            BlobError::Unavailable(text)
        }
        other => BlobError::Unavailable(other.to_string()),
    }
}

/// As [`sort`], for writing: what is not found is then the bucket.
fn sort_put(error: &StoreError) -> BlobError {
    match sort(error) {
        BlobError::NotFound => BlobError::Unavailable("the bucket does not exist".into()),
        other => other,
    }
}

/// How stores say that they are full.
const FULL: [&str; 4] =
    ["507 Insufficient Storage", "StorageFull", "QuotaExceeded", "InsufficientCapacity"];
