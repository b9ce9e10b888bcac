//! The only SQL in the product: one text for SQLite and PostgreSQL through sqlx `Any`.
//!
//! A [`Tx`] is one transaction; each noun's file adds its statements to it. Nothing is visible to
//! anybody until [`Tx::commit`]. SQLite has one writer at a time: writers queue here, in order,
//! instead of polling the file. There are no row locks on either engine: a change is a
//! compare-and-set on `version`, work is taken by a lease column.

mod accounts;
mod agreements;
mod annotations;
mod attachments;
mod calendars;
mod casebook;
mod cases;
mod deliveries;
mod devices;
mod findings;
mod gateways;
mod images;
mod invitations;
mod items;
mod journal;
mod keys;
mod manifests;
mod messages;
mod orders;
mod organizations;
mod preferences;
mod quarantine;
mod queue;
mod reports;
mod second_factors;
mod sign_ins;
mod statistics;
mod studies;
mod templates;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sqlx::any::{AnyPoolOptions, AnyRow};
use sqlx::{Any, AnyPool, AssertSqlSafe, Connection, Executor, Row, Transaction};
use thiserror::Error;
use tokio::sync::{Mutex, Notify, OwnedMutexGuard, watch};

use medrelay_core::access::Scope;
use medrelay_core::id::OrganizationId;

use crate::system::{DiskSpace, disk_space};

pub use accounts::{Person, Session, SessionKind};
pub use agreements::{AgreementRecord, Destination};
pub use annotations::Annotations;
pub use attachments::Attachment;
pub use casebook::{PriorRow, ReturnTexts};
pub use cases::CaseFilter;
pub use deliveries::{Delivery, DeliveryFilter, InboxCursor, InboxEntry};
pub use devices::Device;
pub use findings::Finding;
pub use gateways::{Gateway, GatewayCertificate, Invitation};
pub use images::{ImageQuery, Range, SeriesHit, StoredImage, StudyHit};
pub use invitations::PersonInvitation;
pub use items::{ItemsFor, WaitingMessage, WaitingReport};
pub use journal::{EventFilter, Idempotent, Job, NewEvent, Sealer};
pub use keys::RelayKey;
pub use manifests::{EntryHere, ManifestRecord, NewEntry, NewManifest};
pub use messages::{Message, MessageFilter};
pub use orders::{Order, OrderFilter};
pub use organizations::Organization;
pub use preferences::Preferences;
pub use quarantine::{Quarantined, Settlement};
pub use queue::{Load, Queued, StaffMember};
pub use reports::{Draft, DraftState, Form, Rendering, Report, SigningKey};
pub use second_factors::SecondFactor;
pub use sign_ins::{Failures, Window};
pub use statistics::{Counted, Counts, Grouping, JobCounts, Standings, Took};
pub use studies::{Instance, NewInstance, Series, Study, StudyFilter, Surroundings};
pub use templates::{Template, TemplateFilter};

/// The oldest SQLite without the WAL-reset corruption bug, as `sqlite_version()` prints it.
const SQLITE_FLOOR: (u32, u32, u32) = (3, 51, 3);
/// How many rows one page of a list holds at most.
pub const PAGE_LIMIT: i64 = 200;

/// What went wrong below the use cases.
#[derive(Debug, Error)]
pub enum StoreError {
    /// Another transaction changed the row first, or took the name: load again and decide again.
    #[error("somebody else changed it at the same time")]
    Lost,
    /// A unique name is taken.
    #[error("the name is already taken")]
    Taken,
    /// The disk or the database volume is full.
    #[error("the database has no space left")]
    OutOfSpace,
    /// The database cannot be reached or is too busy; the same call may succeed later.
    #[error("the database is not available")]
    Unavailable(#[source] sqlx::Error),
    /// A row does not hold what it must: a bug or a damaged database.
    #[error("a row of {table} is inconsistent: {what}")]
    Inconsistent {
        /// Where.
        table: &'static str,
        /// What is wrong, without any value.
        what: &'static str,
    },
    /// A statement failed in a way that it never should.
    #[error("the database refused a statement")]
    Driver(#[source] sqlx::Error),
    /// The database cannot be opened or migrated.
    #[error("the database cannot be used: {0}")]
    Setup(String),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(db) => {
                let code = db.code().unwrap_or_default().into_owned();
                // SQLite codes are numbers (5 busy, 6 locked, 13 full), PostgreSQL's are SQLSTATEs.
                let primary = code.parse::<u32>().map(|n| n & 0xff).unwrap_or(0);
                if db.is_unique_violation() {
                    Self::Taken
                } else if primary == 13 || code == "53100" || db.message().contains("disk is full")
                {
                    Self::OutOfSpace
                } else if matches!(primary, 5 | 6) || matches!(&*code, "40001" | "40P01") {
                    Self::Lost
                } else if matches!(primary, 10 | 14)
                    || code.starts_with("08")
                    || code.starts_with("57P")
                    || code.starts_with("53")
                {
                    Self::Unavailable(error)
                } else {
                    Self::Driver(error)
                }
            }
            sqlx::Error::Io(io) if io.kind() == std::io::ErrorKind::StorageFull => Self::OutOfSpace,
            sqlx::Error::Io(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::Tls(_) => Self::Unavailable(error),
            _ => Self::Driver(error),
        }
    }
}

/// Which engine is behind the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Engine {
    Sqlite,
    Postgres,
}

/// The database: cheap to clone, shared by everybody.
#[derive(Clone)]
pub struct Db {
    pool: AnyPool,
    engine: Engine,
    /// The file of the database, where this process writes it itself.
    file: Option<Arc<PathBuf>>,
    writer: Arc<Mutex<()>>,
    sealer: Sealer,
    events: Arc<watch::Sender<i64>>,
    jobs: Arc<Notify>,
}

impl Db {
    /// Opens the database at `url` (`sqlite:///…` or `postgres://…`), brings its schema up to
    /// date and checks that it keeps what it is given.
    pub async fn open(url: &str, connections: u32, sealer: Sealer) -> Result<Self, StoreError> {
        sqlx::any::install_default_drivers();
        let engine = if url.starts_with("sqlite:") { Engine::Sqlite } else { Engine::Postgres };
        let pool = AnyPoolOptions::new()
            .max_connections(connections.max(2))
            .acquire_timeout(Duration::from_secs(10))
            .after_connect(move |connection, _| {
                Box::pin(async move {
                    if engine == Engine::Sqlite {
                        connection.execute(SQLITE_PRAGMAS).await?;
                    }
                    Ok(())
                })
            })
            .after_release(move |connection, _| {
                Box::pin(async move {
                    // A full disk ends a transaction behind the driver's back, or leaves one open:
                    // such a connection fails, or shows its old snapshot, until it is closed.
                    let left_open =
                        engine == Engine::Sqlite && connection.execute(SQLITE_END).await.is_ok();
                    Ok(!left_open && !connection.is_in_transaction())
                })
            })
            .connect(url)
            .await
            .map_err(|error| StoreError::Setup(describe(&error)))?;
        let mut db = Self {
            pool,
            engine,
            file: None,
            writer: Arc::default(),
            sealer,
            events: Arc::new(watch::Sender::new(0)),
            jobs: Arc::default(),
        };
        db.check_durability().await?;
        if engine == Engine::Sqlite {
            let row = sqlx::query(SQLITE_FILE).fetch_one(&db.pool).await?;
            db.file = Some(Arc::new(row.text("file")?.into()));
        }
        sqlx::migrate!("./migrations")
            .run(&db.pool)
            .await
            .map_err(|error| StoreError::Setup(format!("migration failed: {error}")))?;
        let mut tx = db.write().await?;
        tx.ensure_head().await?;
        tx.commit().await?;
        Ok(db)
    }

    async fn check_durability(&self) -> Result<(), StoreError> {
        match self.engine {
            Engine::Sqlite => {
                let row = sqlx::query("SELECT sqlite_version() AS v").fetch_one(&self.pool).await?;
                let found = row.text("v")?;
                let mut parts = found.split('.').map(|p| p.parse::<u32>().unwrap_or(0));
                let mut next = || parts.next().unwrap_or(0);
                if (next(), next(), next()) < SQLITE_FLOOR {
                    return Err(StoreError::Setup(format!(
                        "SQLite {found} can lose data in WAL mode; 3.51.3 or newer is needed"
                    )));
                }
            }
            Engine::Postgres => {
                for (setting, query) in [
                    ("fsync", "SHOW fsync"),
                    ("synchronous_commit", "SHOW synchronous_commit"),
                    ("full_page_writes", "SHOW full_page_writes"),
                ] {
                    let row = sqlx::query(AssertSqlSafe(query)).fetch_one(&self.pool).await?;
                    if row.try_get::<String, _>(0)? == "off" {
                        tracing::warn!(
                            db.setting = setting,
                            "PostgreSQL runs with {setting}=off: a power cut can lose what was \
                             acknowledged"
                        );
                    }
                }
            }
        }
        Ok(())
    }

    /// Begins a transaction that only reads.
    pub async fn read(&self) -> Result<Tx, StoreError> {
        let inner = self.pool.begin().await?;
        Ok(Tx::new(inner, self.clone(), None))
    }

    /// Begins a transaction that writes; on SQLite, writers come one after the other.
    pub async fn write(&self) -> Result<Tx, StoreError> {
        match self.engine {
            Engine::Sqlite => {
                let turn = Arc::clone(&self.writer).lock_owned().await;
                let inner = self.pool.begin_with("BEGIN IMMEDIATE").await?;
                Ok(Tx::new(inner, self.clone(), Some(turn)))
            }
            Engine::Postgres => Ok(Tx::new(self.pool.begin().await?, self.clone(), None)),
        }
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT 1").execute(&self.pool).await?;
        Ok(())
    }

    /// Bytes that can still be written on the volume of the database; `None` where a server of its
    /// own looks after that. Quick: the file is on a local disk, as its locks and its log need it.
    pub fn free_bytes(&self) -> Option<u64> {
        self.space().map(|volume| volume.free_bytes)
    }

    /// The volume of the database; `None` where a server of its own looks after that.
    pub fn space(&self) -> Option<DiskSpace> {
        disk_space(self.file.as_deref()?).ok()
    }

    /// What is behind the pool: `sqlite` or `postgres`.
    pub const fn engine_name(&self) -> &'static str {
        match self.engine {
            Engine::Sqlite => "sqlite",
            Engine::Postgres => "postgres",
        }
    }

    /// Bytes of the database.
    pub async fn size(&self) -> Result<i64, StoreError> {
        let query = match self.engine {
            Engine::Sqlite => SQLITE_SIZE,
            Engine::Postgres => "SELECT pg_database_size(current_database()) AS n",
        };
        sqlx::query(AssertSqlSafe(query)).fetch_one(&self.pool).await?.int("n")
    }

    /// Follows the number of the last event that this process has committed.
    pub fn follow_events(&self) -> watch::Receiver<i64> {
        self.events.subscribe()
    }

    /// Waits until this process has committed a new or moved job.
    pub async fn job_committed(&self) {
        self.jobs.notified().await;
    }

    /// Closes the pool after the transactions under way.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

const SQLITE_FILE: &str = "SELECT file FROM pragma_database_list WHERE name = 'main'";
const SQLITE_SIZE: &str = "SELECT c.page_count * s.page_size AS n \
     FROM pragma_page_count() AS c, pragma_page_size() AS s";
const SQLITE_END: &str = "ROLLBACK";
const SQLITE_PRAGMAS: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
     PRAGMA foreign_keys = ON; PRAGMA busy_timeout = 10000; PRAGMA temp_store = MEMORY; \
     PRAGMA cache_size = -32000; PRAGMA mmap_size = 0;";

/// One transaction. Dropping it without [`Tx::commit`] undoes everything.
pub struct Tx {
    inner: Transaction<'static, Any>,
    db: Db,
    _turn: Option<OwnedMutexGuard<()>>,
    last_event: Option<i64>,
    jobs_moved: bool,
}

impl Tx {
    fn new(inner: Transaction<'static, Any>, db: Db, turn: Option<OwnedMutexGuard<()>>) -> Self {
        Self { inner, db, _turn: turn, last_event: None, jobs_moved: false }
    }

    /// Makes everything durable and visible, then wakes those who wait for it.
    pub async fn commit(self) -> Result<(), StoreError> {
        let Self { inner, db, _turn, last_event, jobs_moved } = self;
        inner.commit().await?;
        if let Some(seq) = last_event {
            db.events.send_if_modified(|last| {
                let newer = seq > *last;
                *last = seq.max(*last);
                newer
            });
        }
        if jobs_moved {
            db.jobs.notify_one();
        }
        Ok(())
    }

    /// Runs a statement that must change exactly one row; none means that somebody was faster.
    async fn change_one(&mut self, query: Statement<'_>) -> Result<(), StoreError> {
        match query.execute(&mut *self.inner).await?.rows_affected() {
            1 => Ok(()),
            _ => Err(StoreError::Lost),
        }
    }

    async fn run(&mut self, query: Statement<'_>) -> Result<u64, StoreError> {
        Ok(query.execute(&mut *self.inner).await?.rows_affected())
    }

    async fn one(&mut self, query: Statement<'_>) -> Result<Option<AnyRow>, StoreError> {
        Ok(query.fetch_optional(&mut *self.inner).await?)
    }

    async fn all(&mut self, query: Statement<'_>) -> Result<Vec<AnyRow>, StoreError> {
        Ok(query.fetch_all(&mut *self.inner).await?)
    }
}

type Statement<'q> = sqlx::query::Query<'q, Any, sqlx::any::AnyArguments>;

/// A statement with a fixed text.
fn statement<'q>(text: &'static str) -> Statement<'q> {
    sqlx::query(text)
}

/// A statement whose text was put together here, from constants and placeholders only.
fn assembled<'q>(text: String) -> Statement<'q> {
    sqlx::query(AssertSqlSafe(text))
}

/// Reads columns by name, with our error.
trait Columns {
    fn text(&self, column: &'static str) -> Result<String, StoreError>;
    fn maybe_text(&self, column: &'static str) -> Result<Option<String>, StoreError>;
    fn int(&self, column: &'static str) -> Result<i64, StoreError>;
    fn maybe_int(&self, column: &'static str) -> Result<Option<i64>, StoreError>;
}

impl Columns for AnyRow {
    fn text(&self, column: &'static str) -> Result<String, StoreError> {
        Ok(self.try_get(column)?)
    }
    fn maybe_text(&self, column: &'static str) -> Result<Option<String>, StoreError> {
        Ok(self.try_get(column)?)
    }
    fn int(&self, column: &'static str) -> Result<i64, StoreError> {
        Ok(self.try_get(column)?)
    }
    fn maybe_int(&self, column: &'static str) -> Result<Option<i64>, StoreError> {
        Ok(self.try_get(column)?)
    }
}

/// Turns a column's text into a typed value, or says which table holds nonsense.
fn parsed<T, E>(result: Result<T, E>, table: &'static str) -> Result<T, StoreError> {
    result.map_err(|_| StoreError::Inconsistent { table, what: "a value does not parse" })
}

/// The same for parsers that answer with an option.
fn known<T>(option: Option<T>, table: &'static str) -> Result<T, StoreError> {
    option.ok_or(StoreError::Inconsistent { table, what: "a value is not known" })
}

/// `$n, $n+1, …` for a list that is bound later; `NULL` for an empty one, which matches nothing.
fn placeholders(first: usize, count: usize) -> String {
    if count == 0 {
        return "NULL".to_owned();
    }
    (first..first + count).map(|n| format!("${n}")).collect::<Vec<_>>().join(", ")
}

/// A condition on the owner and partner columns that keeps a list inside a [`Scope`], with the
/// values to bind from placeholder `first` on.
///
/// `tree` must be joined as the owner's organization row, `partner` is a condition that names the
/// centre column with `{}` where the list of centres goes.
fn within(scope: &Scope, owner: &str, partner: &str, first: usize) -> (String, Vec<String>) {
    let mut binds: Vec<String> = Vec::new();
    let mut list = |ids: &[OrganizationId]| {
        let text = placeholders(first + binds.len(), ids.len());
        binds.extend(ids.iter().map(|id| id.as_str().to_owned()));
        text
    };
    let own = list(&[scope.own.as_slice(), scope.below.as_slice()].concat());
    let centres = list(&scope.partner);
    let mut text = format!("({owner} IN ({own})");
    if !scope.partner.is_empty() {
        text.push_str(&format!(" OR {}", partner.replace("{}", &centres)));
    }
    for id in &scope.below {
        let place = first + binds.len();
        binds.push(format!("%{id}%"));
        text.push_str(&format!(
            " OR EXISTS (SELECT 1 FROM organizations tree WHERE tree.id = {owner} \
             AND tree.above LIKE ${place})"
        ));
    }
    text.push(')');
    (text, binds)
}

fn describe(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(db) => db.message().to_owned(),
        other => other.to_string(),
    }
}
