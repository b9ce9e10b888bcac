//! The only wiring: everything is built here, in the order in which it depends on each other, and
//! handed around.

mod keys;
mod settings;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Context as _, anyhow};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use medrelay_core::id::uuid_v7;
use medrelay_core::time::{Clock, Entropy, Span, Timestamp};
use medrelay_link::quic;

use crate::blobs::{BlobKey, Blobs, BucketSettings};
use crate::config::{BlobTarget, Config};
use crate::edge;
use crate::edge::dimse::Dimse;
use crate::edge::dimse::courier::DicomCourier;
use crate::edge::link::{self, Link};
use crate::http;
use crate::lifecycle::{Lifecycle, ReloadSignals};
use crate::secrets::{MasterKey, Vault};
use crate::service::{Parts, Printer, Service};
use crate::store::{Db, Sealer};
use crate::system::{SystemClock, SystemEntropy};
use crate::tls::{self, Tls};
use crate::typeset::{ReportSheet, Typesetter};
use crate::worker;

/// What a relay takes from the world around it instead of from its configuration.
#[derive(Clone)]
pub struct Ambient {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Whether jobs are done by themselves as they fall due; a test with its own clock says when.
    pub jobs_by_themselves: bool,
}

impl Ambient {
    /// The system's clock and generator.
    pub fn system() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            jobs_by_themselves: true,
        }
    }
}

/// Where a running relay listens; the ports that were really bound.
#[derive(Debug, Clone, Default)]
pub struct Addresses {
    /// Plain HTTP.
    pub http: Option<SocketAddr>,
    /// HTTPS.
    pub https: Option<SocketAddr>,
    /// Plain DICOM.
    pub dimse: Option<SocketAddr>,
    /// DICOM over TLS.
    pub dimse_tls: Option<SocketAddr>,
    /// The clinic link over QUIC: a UDP port.
    pub link: Option<SocketAddr>,
}

/// A relay that runs.
pub struct Relay {
    /// The use cases.
    pub service: Service,
    /// Its life: stop it here.
    pub lifecycle: Lifecycle,
    /// Where it listens.
    pub addresses: Addresses,
}

/// Builds the use cases without any listener: for the command line and for [`start`].
pub async fn assemble(config: &Config, ambient: &Ambient) -> anyhow::Result<Service> {
    let (master, sealer) = open_keys(config, ambient)?;
    let vault = Arc::new(master.vault().context("the vault cannot be opened")?);
    let db = open_database(config, Arc::clone(&sealer)).await?;
    let blobs = open_blobs(config)?;
    let courier = DicomCourier::new(settings::courier(config))
        .context("the authorities for DICOM TLS cannot be read")?;
    let node = node_name(&config.data.dir, ambient)?;
    let authority = keys::authority(config, &db, &vault, ambient).await?;
    let receipts = keys::receipts(&db, &vault, ambient).await?;
    Ok(Service::new(Parts {
        db,
        blobs,
        clock: Arc::clone(&ambient.clock),
        entropy: Arc::clone(&ambient.entropy),
        vault,
        authority: Arc::new(authority),
        receipts: Arc::new(receipts),
        courier: Arc::new(courier),
        printer: Arc::new(Typist::new(config)),
        settings: settings::service(config),
        node,
        anchors: config.data.dir.join("audit"),
        sealer,
        partials: config.data.dir.join("partial"),
    }))
}

/// Starts a relay: keys, database, store, jobs, listeners; ready when this returns.
pub async fn start(config: &Config, ambient: Ambient) -> anyhow::Result<Relay> {
    tls::install_provider();
    let lifecycle = Lifecycle::new();
    let started_at = ambient.clock.now();
    let service = assemble(config, &ambient).await?;
    service.start_jobs().await.context("the jobs cannot be started")?;
    let boot = UNIX_EPOCH + Duration::from_micros(started_at.micros().unsigned_abs());
    service.sweep_incoming(boot).await.context("left-over uploads cannot be removed")?;
    service.sweep_partials().await.context("unfinished packs cannot be swept")?;
    let addresses = listen(config, &ambient, &service, &lifecycle).await?;
    if ambient.jobs_by_themselves {
        drop(lifecycle.spawn(worker::run(service.clone(), lifecycle.clone())));
    }
    sweep_in_background(config, &service, &lifecycle, started_at);
    service.note_started().await.context("the start cannot be recorded")?;
    lifecycle.set_ready();
    Ok(Relay { service, lifecycle, addresses })
}

/// Removes bytes without a row. Names made after the start belong to instances on their way in.
/// Where several servers share one store, another's may be older: an hour is long enough for any.
fn sweep_in_background(
    config: &Config,
    service: &Service,
    lifecycle: &Lifecycle,
    started_at: Timestamp,
) {
    let alone = matches!(config.blob_target(), Ok(BlobTarget::Directory(_)));
    let margin = if alone { 0 } else { 1 };
    let before = started_at - Span::from_hours(margin);
    let service = service.clone();
    drop(lifecycle.spawn(async move {
        match service.sweep_orphans(before).await {
            Ok(0) => {}
            Ok(removed) => tracing::info!(removed, "removed bytes that no row refers to"),
            Err(error) => tracing::warn!(%error, "the sweep for orphaned bytes was broken off"),
        }
    }));
}

async fn listen(
    config: &Config,
    ambient: &Ambient,
    service: &Service,
    lifecycle: &Lifecycle,
) -> anyhow::Result<Addresses> {
    let mut addresses = Addresses::default();
    let settings = settings::http(config);
    let needs_tls =
        config.https.enabled || config.dimse.tls_listen.is_some() || config.link_listen().is_some();
    let tls = if needs_tls { Some(open_tls(config, ambient, service, lifecycle)?) } else { None };

    let open = |settings: &http::HttpSettings, secure| {
        let interface = edge::router(service.clone());
        http::Server::new(interface, service.clone(), lifecycle.clone(), settings.clone(), secure)
    };
    let (listener, bound) = bind(config.http.plain_listen, "HTTP").await?;
    addresses.http = Some(bound);
    let link = Link::new(service.clone(), lifecycle.clone(), settings::link_edge(config));
    let mut server = open(&settings, false);
    // Browsers on this machine need no TLS; gateways are told of the other listener.
    if config.link.enabled && bound.ip().is_loopback() {
        server = server.with(link::browser_routes(link.clone()));
    }
    drop(lifecycle.spawn(server.listen(listener, None)));
    if let (true, Some(tls)) = (config.https.enabled, &tls) {
        let (listener, bound) = bind(config.https.listen, "HTTPS").await?;
        addresses.https = Some(bound);
        let mut server = open(&settings, true);
        if config.link.enabled {
            server = server.with(link::routes(link.clone()));
        }
        drop(lifecycle.spawn(server.listen(listener, Some(TlsAcceptor::from(tls.https())))));
    }
    if let (Some(wanted), Some(tls)) = (config.link_listen(), &tls) {
        // The port that HTTPS was given, where both leave it to the system.
        let same = addresses.https.filter(|_| wanted == config.https.listen);
        let endpoint = quic::server(same.unwrap_or(wanted), (*tls.link()).clone())
            .with_context(|| format!("cannot listen for the clinic link on {wanted} (UDP)"))?;
        let bound = endpoint.local_addr().context("the clinic link has no address")?;
        addresses.link = Some(bound);
        service.announce_link_port(bound.port());
        drop(lifecycle.spawn(link.listen(endpoint)));
    }
    let dimse = Dimse::new(service.clone(), settings::dimse(config));
    if config.dimse.enabled {
        let (listener, bound) = bind(config.dimse.listen, "DICOM").await?;
        addresses.dimse = Some(bound);
        let (dimse, lives) = (dimse.clone(), lifecycle.clone());
        drop(lifecycle.spawn(async move { dimse.listen(listener, None, &lives).await }));
    }
    if let (Some(address), Some(tls)) = (config.dimse.tls_listen, &tls) {
        let (listener, bound) = bind(address, "DICOM TLS").await?;
        addresses.dimse_tls = Some(bound);
        let acceptor = TlsAcceptor::from(tls.dicom());
        let lives = lifecycle.clone();
        drop(lifecycle.spawn(async move { dimse.listen(listener, Some(acceptor), &lives).await }));
    }
    Ok(addresses)
}

async fn bind(address: SocketAddr, what: &str) -> anyhow::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen for {what} on {address}; is the port taken?"))?;
    let bound = listener.local_addr().context("a listener has no address")?;
    Ok((listener, bound))
}

fn open_tls(
    config: &Config,
    ambient: &Ambient,
    service: &Service,
    lifecycle: &Lifecycle,
) -> anyhow::Result<Arc<Tls>> {
    let vault = open_keys(config, ambient)?.0.vault().context("the vault cannot be opened")?;
    let (tls, driver) =
        Tls::open(config, &vault, service.authority(), &ambient.clock, &*ambient.entropy)
            .context("the certificate cannot be had")?;
    let tls = Arc::new(tls);
    service.announce_certificate(tls.valid_until());
    if let Some(driver) = driver {
        drop(lifecycle.spawn(driver.run()));
    }
    let (kept, ambient, stop) = (Arc::clone(&tls), ambient.clone(), lifecycle.soft());
    let service = service.clone();
    drop(
        lifecycle.spawn(async move { keep_fresh(&kept, &service, &vault, &ambient, &stop).await }),
    );
    Ok(tls)
}

/// Reads or issues the certificate again once a day and at SIGHUP; an error leaves the old one.
async fn keep_fresh(
    tls: &Tls,
    service: &Service,
    vault: &Vault,
    ambient: &Ambient,
    stop: &CancellationToken,
) {
    let mut reload = match ReloadSignals::install() {
        Ok(signals) => signals,
        Err(error) => {
            tracing::error!(%error, "SIGHUP cannot be taken over: certificates stay as they are");
            return;
        }
    };
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(A_DAY) => {}
            _ = reload.next() => {}
        }
        if let Err(error) = tls.refresh(vault, ambient.clock.now(), &*ambient.entropy) {
            tracing::error!(%error, "the certificate could not be refreshed; the old one stays");
        }
        service.announce_certificate(tls.valid_until());
    }
}

const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn open_keys(config: &Config, ambient: &Ambient) -> anyhow::Result<(MasterKey, Sealer)> {
    let configured = config.secrets.master_key.as_ref();
    let master = MasterKey::open(&config.keys_dir(), configured, &*ambient.entropy)
        .context("the master key cannot be opened")?;
    let mac = master.mac("audit chain").context("the audit key cannot be derived")?;
    let sealer: Sealer = Arc::new(move |bytes: &[u8]| hex::encode(mac.of(&[bytes])));
    Ok((master, sealer))
}

async fn open_database(config: &Config, sealer: Sealer) -> anyhow::Result<Db> {
    let (url, dir) = config.database_url().map_err(|what| anyhow!("database.url {what}"))?;
    if let Some(dir) = dir {
        std::fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    }
    Db::open(&url, config.database.max_connections, sealer)
        .await
        .context("the database cannot be opened")
}

fn open_blobs(config: &Config) -> anyhow::Result<Blobs> {
    let target = config.blob_target().map_err(|what| anyhow!("blobs.url {what}"))?;
    let opened = match target {
        BlobTarget::Directory(root) => Blobs::directory(&root),
        BlobTarget::S3(target) => Blobs::bucket(BucketSettings {
            bucket: target.bucket,
            prefix: target.prefix,
            endpoint: target.endpoint,
            region: target.region.unwrap_or_else(|| "us-east-1".to_owned()),
            access_key: target.access_key.unwrap_or_default(),
            secret_key: target.secret_key.map(|s| s.reveal().to_owned()).unwrap_or_default(),
            allow_http: target.allow_http,
            spool: config.data.dir.join("spool"),
        }),
    };
    opened.context("the image store cannot be opened")
}

/// The name of this server among several: made once, kept beside the data.
fn node_name(data: &Path, ambient: &Ambient) -> anyhow::Result<String> {
    let file = data.join("node");
    if let Ok(name) = std::fs::read_to_string(&file)
        && BlobKey::parse(name.trim()).is_some()
    {
        return Ok(name.trim().to_owned());
    }
    let name = uuid_v7(ambient.clock.now(), &*ambient.entropy);
    std::fs::create_dir_all(data).with_context(|| format!("cannot make {}", data.display()))?;
    std::fs::write(&file, &name).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(name)
}

/// The typesetter, opened at its first use: a missing font must not keep images out.
struct Typist {
    template: Option<std::path::PathBuf>,
    fonts: Vec<std::path::PathBuf>,
    opened: std::sync::Mutex<Option<Arc<Typesetter>>>,
}

impl Typist {
    fn new(config: &Config) -> Self {
        Self {
            template: config.report.template.clone(),
            fonts: config.report.fonts.clone(),
            opened: std::sync::Mutex::default(),
        }
    }

    fn typesetter(&self) -> Result<Arc<Typesetter>, String> {
        let mut opened = self.opened.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(typesetter) = &*opened {
            return Ok(Arc::clone(typesetter));
        }
        let made = Typesetter::new(self.template.as_deref(), &self.fonts)
            .map_err(|error| error.to_string())?;
        Ok(Arc::clone(opened.insert(Arc::new(made))))
    }
}

impl Printer for Typist {
    fn print(&self, sheet: &ReportSheet) -> Result<Vec<u8>, String> {
        self.typesetter()?.render(sheet).map_err(|error| error.to_string())
    }
}
