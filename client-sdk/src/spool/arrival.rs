//! One object on its way into the spool: every byte passes the scanner, the file is durable before
//! its row, and only then is the modality told "success".

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use aws_lc_rs::digest;
use bytes::Bytes;
use tokio::io::AsyncWriteExt as _;

use medrelay_core::id::{AeTitle, Uid, uuid_v7};
use medrelay_core::study::InstanceFacts;
use medrelay_core::transfer::Urgency;
use medrelay_dicom::facts::{self, Envelope};
use medrelay_dicom::part10::{self, FileMeta};
use medrelay_dicom::scan::{Encoding, Header, Limits, Scanner, Tag};
use medrelay_dicom::uids;

use super::sight::{self, Flag};
use super::{Spool, SpoolError};

/// What became of an object. In every case it is safe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// It waits to be offered.
    Fresh {
        /// Its study.
        study: u64,
    },
    /// The same bytes are here, or were sent already.
    Same {
        /// Its study.
        study: u64,
    },
    /// A person must look first.
    Flagged {
        /// Its study.
        study: u64,
        /// Why.
        flag: Flag,
    },
}

impl Taken {
    /// The study that the object belongs to.
    pub const fn study(&self) -> u64 {
        match self {
            Self::Fresh { study } | Self::Same { study } | Self::Flagged { study, .. } => *study,
        }
    }
}

/// An object being received. Dropping it throws its bytes away.
pub struct Arrival {
    spool: Spool,
    id: String,
    temporary: Temporary,
    file: tokio::fs::File,
    scanner: Scanner,
    encoding: Encoding,
    announced: Announced,
    hash: digest::Context,
    bytes: u64,
    data_offset: u64,
    urgency: Urgency,
}

struct Announced {
    sop_class: Option<Uid>,
    sop_instance: Option<Uid>,
    transfer_syntax: Uid,
}

/// Removes its file unless it was kept.
struct Temporary(Option<PathBuf>);

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Some(path) = self.0.take() {
            // What cannot be removed now is swept at the next start.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// What is known of an object once all of it is here.
pub(super) struct Whole {
    pub(super) id: String,
    pub(super) facts: InstanceFacts,
    pub(super) sha256: Vec<u8>,
    pub(super) bytes: u64,
    pub(super) data_offset: u64,
    pub(super) flag: Option<Flag>,
    pub(super) urgency: Urgency,
}

impl Spool {
    /// Opens a place for an object whose data set comes in `transfer_syntax`. `Full` before the
    /// disk is full.
    pub async fn receive(
        &self,
        sop_class: Option<Uid>,
        sop_instance: Option<Uid>,
        transfer_syntax: Uid,
        source: Option<AeTitle>,
        urgency: Urgency,
    ) -> Result<Arrival, SpoolError> {
        self.make_room().await?;
        let encoding = uids::encoding(transfer_syntax.as_str()).ok_or_else(|| {
            SpoolError::Unreadable("its transfer syntax is not one that medrelay knows".into())
        })?;
        let id = uuid_v7(self.now(), &*self.inner.entropy);
        let path = self.inner.root.join("incoming").join(&id);
        let mut file = tokio::fs::File::create_new(&path).await?;
        let temporary = Temporary(Some(path));
        let front = front(sop_class.as_ref(), sop_instance.as_ref(), &transfer_syntax, source);
        file.write_all(&front).await?;
        Ok(Arrival {
            spool: self.clone(),
            id,
            temporary,
            file,
            scanner: Scanner::new(encoding, Limits::default()),
            encoding,
            announced: Announced { sop_class, sop_instance, transfer_syntax },
            hash: digest::Context::new(&digest::SHA256),
            bytes: 0,
            data_offset: front.len() as u64,
            urgency,
        })
    }

    /// Takes a DICOM file (PS3.10, or a bare data set) into the spool. The file stays where it is.
    pub async fn take_file(&self, path: &Path, urgency: Urgency) -> Result<Taken, SpoolError> {
        let path = path.to_owned();
        let (meta, offset) = {
            let path = path.clone();
            blocking(move || read_front(&path)).await?
        };
        let syntax = meta.transfer_syntax.ok_or_else(|| {
            SpoolError::Unreadable("the file does not say its transfer syntax".into())
        })?;
        let mut arrival =
            self.receive(meta.sop_class, meta.sop_instance, syntax, meta.source, urgency).await?;
        let mut file = tokio::fs::File::open(&path).await?;
        tokio::io::AsyncSeekExt::seek(&mut file, std::io::SeekFrom::Start(offset)).await?;
        loop {
            let mut piece = bytes::BytesMut::with_capacity(PIECE_BYTES);
            if tokio::io::AsyncReadExt::read_buf(&mut file, &mut piece).await? == 0 {
                break;
            }
            arrival.write(piece.freeze()).await?;
        }
        arrival.finish().await
    }
}

impl Arrival {
    /// Takes the next bytes of the data set.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), SpoolError> {
        self.scanner.feed(&bytes).map_err(|error| SpoolError::Unreadable(error.to_string()))?;
        self.hash.update(&bytes);
        self.bytes += bytes.len() as u64;
        self.file.write_all(&bytes).await.map_err(full_or_broken)
    }

    /// Makes the object durable and files it.
    pub async fn finish(self) -> Result<Taken, SpoolError> {
        let Self { spool, id, temporary, mut file, scanner, encoding, announced, hash, .. } = self;
        let header = scanner.finish().map_err(|error| SpoolError::Unreadable(error.to_string()))?;
        let envelope = Envelope {
            transfer_syntax: &announced.transfer_syntax,
            big_endian: encoding == Encoding::ExplicitBig,
            announced_class: announced.sop_class.as_ref(),
            announced_instance: announced.sop_instance.as_ref(),
            charset_profile: None,
        };
        let facts = facts::read(&envelope, |tag| header.raw(Tag(tag.0, tag.1)))
            .map_err(|error| SpoolError::Unreadable(error.to_string()))?;
        file.flush().await.map_err(full_or_broken)?;
        let file = file.into_std().await;
        let (offset, place) = (self.data_offset, spool.object_path(&id));
        let flag = blocking(move || keep(file, temporary, &place, &header, offset)).await?;
        let whole = Whole {
            id,
            facts,
            sha256: hash.finish().as_ref().to_vec(),
            bytes: self.bytes,
            data_offset: offset,
            flag,
            urgency: self.urgency,
        };
        spool.inner.held.fetch_add(whole.bytes + offset, Ordering::Relaxed);
        spool.file_object(whole).await
    }
}

/// Syncs the file, looks at its pixels, gives it its name and makes the name durable.
fn keep(
    mut file: File,
    mut temporary: Temporary,
    place: &Path,
    header: &Header,
    data_offset: u64,
) -> Result<Option<Flag>, SpoolError> {
    file.sync_all().map_err(full_or_broken)?;
    // Opened for writing only; the look needs a reader.
    if let Some(path) = &temporary.0 {
        file = File::open(path)?;
    }
    let flag = sight::pixels(header, &mut file, data_offset)?;
    let folder = place.parent().unwrap_or(place);
    if !folder.is_dir() {
        std::fs::create_dir_all(folder)?;
        if let Some(above) = folder.parent() {
            File::open(above)?.sync_all()?;
        }
    }
    if let Some(path) = temporary.0.take() {
        std::fs::rename(path, place)?;
    }
    File::open(folder)?.sync_all()?;
    Ok(flag)
}

/// The front of the file as it is kept: ours when all three names are known, else none at all.
fn front(
    sop_class: Option<&Uid>,
    sop_instance: Option<&Uid>,
    transfer_syntax: &Uid,
    source: Option<AeTitle>,
) -> Vec<u8> {
    match (sop_class, sop_instance) {
        (Some(class), Some(instance)) => FileMeta {
            sop_class: class.clone(),
            sop_instance: instance.clone(),
            transfer_syntax: transfer_syntax.clone(),
            source,
        }
        .to_bytes(),
        _ => Vec::new(),
    }
}

fn read_front(path: &Path) -> Result<(part10::FoundMeta, u64), SpoolError> {
    use std::io::Read as _;
    let mut prefix = Vec::new();
    File::open(path)?.take(part10::MAX_FRONT as u64).read_to_end(&mut prefix)?;
    let (meta, offset) =
        part10::read(&prefix).map_err(|error| SpoolError::Unreadable(error.to_string()))?;
    Ok((meta, offset as u64))
}

fn full_or_broken(error: std::io::Error) -> SpoolError {
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => SpoolError::Full,
        _ => SpoolError::Disk(error),
    }
}

/// Runs one blocking step.
pub(super) async fn blocking<T: Send + 'static>(
    step: impl FnOnce() -> Result<T, SpoolError> + Send + 'static,
) -> Result<T, SpoolError> {
    tokio::task::spawn_blocking(step).await.unwrap_or_else(|_| {
        Err(SpoolError::Disk(std::io::Error::other("a blocking step was cut short")))
    })
}

const PIECE_BYTES: usize = 256 * 1024;
