//! A whole relay in this process, behind its real edges, on free loopback ports and a clock that
//! stands still until it is told to move.
//!
//! [`Engine`] says on which database. A test is a story told to [`tell`]: the relay is started,
//! the story is run, then the relay is stopped and must be in order: nothing that was given up,
//! nothing left undone, the audit trail whole, every task ended.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use medrelay::anchors::Anchors;
use medrelay::app::{self, Ambient};
use medrelay::config::{Config, Secret};
use medrelay::lifecycle::Stopped;
use medrelay::secrets::MasterKey;
use medrelay::service::audit::{Report, verify_audit};
use medrelay::store::{Db, Sealer};
use medrelay::worker;
use medrelay_client::Client;
use medrelay_core::time::{Clock, ManualClock, SeededEntropy, Span, Timestamp};
use sqlx::AnyPool;
use sqlx::any::AnyPoolOptions;
use tempfile::TempDir;

use crate::postgres::Postgres;

/// Where every story begins: 2026-01-05 01:30 UTC, 09:30 in the morning in China.
pub const START: Timestamp = Timestamp::from_micros(1_767_576_600_000_000);
/// How long a relay gets to end by itself.
const GRACE: Duration = Duration::from_secs(20);

/// Which database is behind a relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// A file in the relay's own folder.
    Sqlite,
    /// A fresh database of this process's server.
    Postgres,
}

/// A relay that runs.
pub struct Relay {
    running: app::Relay,
    config: Config,
    url: String,
    clock: Arc<ManualClock>,
    entropy: Arc<SeededEntropy>,
    folder: TempDir,
}

/// Runs a story against a fresh relay with the settings of [`settings`].
///
/// # Errors
/// What the story says, or what it has left in disorder.
pub async fn tell<S>(engine: Engine, story: S) -> Result<()>
where
    S: AsyncFnOnce(&mut Relay) -> Result<()>,
{
    tell_with(engine, |_| {}, story).await
}

/// As [`tell`], with other settings.
///
/// # Errors
/// As [`tell`].
pub async fn tell_with<S>(engine: Engine, change: impl FnOnce(&mut Config), story: S) -> Result<()>
where
    S: AsyncFnOnce(&mut Relay) -> Result<()>,
{
    let mut relay = Relay::start(engine, change).await?;
    story(&mut relay).await?;
    relay.finish().await
}

/// The settings of a relay in a test: loopback, no TLS, sessions that outlive long stories.
pub fn settings(folder: &Path) -> Config {
    let mut config = Config::default();
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    config.data.dir = folder.to_owned();
    config.http.plain_listen = any;
    config.https.enabled = false;
    config.dimse.listen = any;
    config.dimse.tls_listen = None;
    config.sessions.idle_minutes = 1440;
    config.sessions.absolute_hours = 168;
    config
}

impl Relay {
    /// Starts a relay on an empty database.
    pub async fn start(engine: Engine, change: impl FnOnce(&mut Config)) -> Result<Self> {
        start_log();
        let folder = tempfile::Builder::new().prefix("medrelay-test-").tempdir()?;
        let mut config = settings(folder.path());
        let url = match engine {
            Engine::Sqlite => {
                format!("sqlite://{}?mode=rwc", folder.path().join("medrelay.sqlite").display())
            }
            Engine::Postgres => Postgres::database().await?,
        };
        if engine == Engine::Postgres {
            config.database.url = Some(Secret::new(url.clone()));
        }
        change(&mut config);
        let clock = Arc::new(ManualClock::new(START));
        let entropy = Arc::new(SeededEntropy::new(2026));
        let running = app::start(&config, ambient(&clock, &entropy)).await?;
        Ok(Self { running, config, url, clock, entropy, folder })
    }

    /// Stops the relay in order and starts it again on the same data.
    pub async fn restart(&mut self) -> Result<()> {
        self.stop().await?;
        self.running = app::start(&self.config, ambient(&self.clock, &self.entropy)).await?;
        Ok(())
    }

    /// The use cases, for what no edge offers.
    pub fn service(&self) -> &medrelay::service::Service {
        &self.running.service
    }

    /// The settings it runs with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Its folder: database file, blobs, keys, anchors.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// URL of its database.
    pub fn database_url(&self) -> &str {
        &self.url
    }

    /// `http://127.0.0.1:port`.
    pub fn url(&self) -> String {
        let address = self.running.addresses.http.expect("the harness listens for HTTP");
        format!("http://{address}")
    }

    /// Where it takes DICOM associations.
    pub fn dicom(&self) -> SocketAddr {
        self.running.addresses.dimse.expect("the harness listens for DICOM")
    }

    /// Where it takes HTTPS, if it does.
    pub fn https(&self) -> Option<SocketAddr> {
        self.running.addresses.https
    }

    /// Where gateways connect over QUIC, if they can.
    pub fn link(&self) -> Option<SocketAddr> {
        self.running.addresses.link
    }

    /// A client without a session.
    pub fn client(&self) -> Client {
        Client::new(&self.url()).expect("the harness's own address")
    }

    /// The present moment.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Lets time pass without doing anything that falls due.
    pub fn pass(&self, span: Span) {
        self.clock.advance(span);
    }

    /// Lets time pass, then does everything that has fallen due; says how many jobs that were.
    pub async fn advance(&self, span: Span) -> Result<usize> {
        self.pass(span);
        self.work().await
    }

    /// Does everything that is due now.
    pub async fn work(&self) -> Result<usize> {
        Ok(worker::drain(self.service()).await?)
    }

    /// The database itself, to look at rows or to do them harm.
    pub async fn sql(&self) -> Result<AnyPool> {
        sqlx::any::install_default_drivers();
        Ok(AnyPoolOptions::new().max_connections(2).connect(&self.url).await?)
    }

    /// One number out of the database.
    pub async fn count(&self, query: &'static str) -> Result<i64> {
        let pool = self.sql().await?;
        let count = sqlx::query_scalar::<_, i64>(query).fetch_one(&pool).await?;
        pool.close().await;
        Ok(count)
    }

    /// One text out of the database.
    pub async fn text(&self, query: &'static str) -> Result<String> {
        let pool = self.sql().await?;
        let text = sqlx::query_scalar::<_, String>(query).fetch_one(&pool).await?;
        pool.close().await;
        Ok(text)
    }

    /// The names of the events so far, oldest first.
    pub async fn events(&self) -> Result<Vec<String>> {
        let pool = self.sql().await?;
        let query = "SELECT kind FROM events ORDER BY seq";
        let kinds = sqlx::query_scalar::<_, String>(query).fetch_all(&pool).await?;
        pool.close().await;
        Ok(kinds)
    }

    /// The key that seals the audit trail.
    pub fn sealer(&self) -> Result<Sealer> {
        let master = MasterKey::open(&self.config.keys_dir(), None, &*self.entropy)?;
        let mac = master.mac("audit chain")?;
        Ok(Arc::new(move |bytes: &[u8]| hex::encode(mac.of(&[bytes]))))
    }

    /// The file beside the database that names where the audit trail stood.
    pub fn anchors(&self) -> Anchors {
        Anchors::in_dir(&self.config.data.dir.join("audit"))
    }

    /// Walks the audit trail as `medrelay audit verify` does.
    pub async fn verify_audit(&self) -> Result<Report> {
        let sealer = self.sealer()?;
        let db = Db::open(&self.url, 2, Arc::clone(&sealer)).await?;
        let report = verify_audit(&db, &sealer, Some(&self.anchors())).await?;
        db.close().await;
        Ok(report)
    }

    /// Stops the relay, which must end by itself.
    pub async fn stop(&self) -> Result<()> {
        self.running.lifecycle.stop();
        let stopped = self.running.lifecycle.stopped(GRACE, std::future::pending()).await;
        ensure!(stopped == Stopped::Cleanly, "the relay did not end by itself: {stopped:?}");
        self.running.service.note_stopped().await?;
        self.running.service.close().await;
        Ok(())
    }

    /// The end of a story: nothing given up, nothing due and undone, the trail whole.
    pub async fn finish(self) -> Result<()> {
        let failed = self.running.service.failed_jobs().await?;
        ensure!(failed == 0, "{failed} jobs were given up");
        // What only tidies up, the audit anchor and the sweep, is due again and again.
        let due = "SELECT COUNT(*) FROM jobs WHERE failed_at IS NULL AND due_at <= $1 \
                   AND kind NOT IN ('anchor_audit', 'sweep')";
        let pool = self.sql().await?;
        let due = sqlx::query_scalar::<_, i64>(due).bind(self.now().micros());
        let due = due.fetch_one(&pool).await?;
        pool.close().await;
        ensure!(due == 0, "{due} jobs are due and were not done");
        self.stop().await?;
        let report = self.verify_audit().await.context("the trail cannot be walked")?;
        ensure!(report.fault.is_none(), "the audit trail: {report}");
        Ok(())
    }
}

fn ambient(clock: &Arc<ManualClock>, entropy: &Arc<SeededEntropy>) -> Ambient {
    Ambient {
        clock: Arc::clone(clock) as Arc<dyn Clock>,
        entropy: Arc::clone(entropy) as Arc<dyn medrelay_core::time::Entropy>,
        jobs_by_themselves: false,
    }
}

/// `RUST_LOG=debug cargo test …` shows what the relay logs.
fn start_log() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    // Another test of this process may have started it.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_test_writer()
        .try_init();
}
