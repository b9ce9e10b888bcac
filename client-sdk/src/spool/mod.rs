//! The spool: where studies wait at the clinic until the relay has committed them.
//!
//! Objects are files, everything about them is a row in one SQLite database with full syncs. An
//! object is acknowledged to its modality only when both are on the disk, and its file goes only
//! after the relay's signed receipt, by the policy that the clinic chose. What looks wrong (two
//! patients in one study, one UID with two contents, an empty picture) waits for a person.

mod arrival;
mod housekeeping;
mod items;
mod offers;
mod review;
mod shelf;
mod sight;
mod studies;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use medrelay_core::time::{Clock, Entropy, Span, Timestamp};
use rustix::fs::{FlockOperation, flock};
use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use thiserror::Error;
use tokio::sync::watch;

pub use arrival::{Arrival, Taken};
pub use items::KeptItem;
pub use review::Flagged;
pub use sight::Flag;
pub use studies::{Numbers, Problem, StudyLine, StudyState};

/// Why the spool did not do what was asked. The variant is the decision.
#[derive(Debug, Error)]
pub enum SpoolError {
    /// No room: the modality keeps the object and tries again.
    #[error("the spool is full: wait until studies were sent, or give it more room")]
    Full,
    /// The bytes are not DICOM that can be filed; sending them again will not help.
    #[error("{0}")]
    Unreadable(String),
    /// There is no such study, object or item here.
    #[error("there is no such thing in the spool")]
    Unknown,
    /// The disk failed.
    #[error("the spool's disk failed: {0}")]
    Disk(#[from] std::io::Error),
    /// The database failed.
    #[error("the spool's database failed: {0}")]
    Database(#[from] sqlx::Error),
}

/// When the files of committed studies go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retention {
    /// Never by themselves.
    Keep,
    /// This long after the receipt.
    After(Span),
    /// Only when the spool needs the room, the oldest first.
    WhenNeeded,
}

/// What a clinic can set about its spool.
#[derive(Debug, Clone)]
pub struct SpoolSettings {
    /// Bytes of objects that it may hold.
    pub max_bytes: u64,
    /// Bytes that stay free on its disk.
    pub reserve_bytes: u64,
    /// How long nothing must come for a study before it is offered.
    pub settle: Span,
    /// When files go.
    pub retention: Retention,
}

impl Default for SpoolSettings {
    fn default() -> Self {
        Self {
            max_bytes: 50 << 30,
            reserve_bytes: 1 << 30,
            settle: Span::from_secs(5),
            retention: Retention::After(Span::from_hours(7 * 24)),
        }
    }
}

/// The spool. Clones share it.
#[derive(Clone)]
pub struct Spool {
    inner: Arc<Inner>,
}

struct Inner {
    root: PathBuf,
    db: SqlitePool,
    /// One connection for everything that writes: SQLite has one writer, and a queue in front of it
    /// is fairer and quicker than its sleeping and trying again.
    writer: SqlitePool,
    settings: SpoolSettings,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    /// Bytes of the files that are here.
    held: AtomicU64,
    changes: watch::Sender<u64>,
    /// Held by the one process that cleans up; another one may look in and add.
    owner: Option<std::fs::File>,
    /// Held by those who look in: what they are adding must not be swept away.
    _guest: Option<std::fs::File>,
}

impl Spool {
    /// Opens the spool in `root`, which is made if needed. The first process that opens it owns it,
    /// and removes what a power cut left over; a further one may add to it and look.
    pub async fn open(
        root: &Path,
        settings: SpoolSettings,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, SpoolError> {
        for folder in ["incoming", "objects", "items"] {
            std::fs::create_dir_all(root.join(folder))?;
        }
        std::fs::File::open(root)?.sync_all()?;
        let owner = lock(&root.join("lock"), FlockOperation::NonBlockingLockExclusive)?;
        let guest = match owner {
            Some(_) => None,
            None => lock(&root.join("guests"), FlockOperation::LockShared)?,
        };
        let options = SqliteConnectOptions::new()
            .filename(root.join("spool.db"))
            .create_if_missing(true)
            .foreign_keys(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(std::time::Duration::from_secs(10));
        let db = SqlitePoolOptions::new().max_connections(4).connect_with(options.clone()).await?;
        let writer = SqlitePoolOptions::new().max_connections(1).connect_with(options).await?;
        sqlx::migrate!("./migrations")
            .run(&db)
            .await
            .map_err(|error| SpoolError::Database(error.into()))?;
        let spool = Self {
            inner: Arc::new(Inner {
                root: root.to_owned(),
                db,
                writer,
                settings,
                clock,
                entropy,
                held: AtomicU64::new(0),
                changes: watch::Sender::new(0),
                owner,
                _guest: guest,
            }),
        };
        spool.sweep().await?;
        Ok(spool)
    }

    /// Whether this process owns the spool: nobody else works on it.
    pub fn is_owner(&self) -> bool {
        self.inner.owner.is_some()
    }

    /// Closes the database; what was promised is on the disk with or without it.
    pub async fn close(&self) {
        self.inner.db.close().await;
        self.inner.writer.close().await;
    }

    /// The present moment.
    pub fn now(&self) -> Timestamp {
        self.inner.clock.now()
    }

    /// What the clinic has set.
    pub fn settings(&self) -> &SpoolSettings {
        &self.inner.settings
    }

    /// Bytes of objects that are here.
    pub fn held_bytes(&self) -> u64 {
        self.inner.held.load(Ordering::Relaxed)
    }

    /// Wakes up whenever something in the spool has changed.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.inner.changes.subscribe()
    }

    fn db(&self) -> &SqlitePool {
        &self.inner.db
    }

    fn writer(&self) -> &SqlitePool {
        &self.inner.writer
    }

    fn note_change(&self) {
        self.inner.changes.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Where an object's file is: in one of 256 folders, by the last byte of its identifier.
    fn object_path(&self, id: &str) -> PathBuf {
        let shard = id.get(id.len().saturating_sub(2)..).unwrap_or("00");
        self.inner.root.join("objects").join(shard).join(format!("{id}.dcm"))
    }

    fn item_path(&self, id: &str) -> PathBuf {
        // The name is the relay's, so it is not used as one here.
        let name = medrelay_core::report::sha256_hex(id.as_bytes());
        self.inner.root.join("items").join(name)
    }
}

/// Takes a lock; `None` when another process has it and this one is not to wait.
fn lock(path: &Path, how: FlockOperation) -> Result<Option<std::fs::File>, SpoolError> {
    let file = std::fs::OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
    match flock(&file, how) {
        Ok(()) => Ok(Some(file)),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(SpoolError::Disk(error.into())),
    }
}

/// A count or length as SQLite keeps it.
fn integer(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A count or length as it was kept.
fn natural(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}
