//! `run`: the gateway as it runs all day. Modalities in, studies out, what comes back kept.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::config::Config;
use super::page;
use super::provider;
use super::status::Watcher;
use super::watch::watch;
use super::{Outcome, link_settings};
use crate::link::{Ambient, Identity, Link};
use crate::spool::Spool;

/// How often files whose time is over are looked for.
const HOUSEKEEPING: Duration = Duration::from_secs(10 * 60);

/// Runs until it is told to stop.
pub async fn run(data: &Path) -> anyhow::Result<Outcome> {
    let config = Config::load(data)?;
    let identity = Identity::load(data)?;
    let ambient = Ambient::system();
    let spool = Spool::open(
        &data.join("spool"),
        config.spool(),
        Arc::clone(&ambient.clock),
        Arc::clone(&ambient.entropy),
    )
    .await?;
    if !spool.is_owner() {
        anyhow::bail!("a gateway runs already on {}", data.display());
    }
    let stop = CancellationToken::new();
    let (dimse, dimse_address) = bind(config.listen, "DICOM", "listen").await?;
    let (page_listener, page_address) = bind(config.page, "the status page", "page").await?;
    let clinic = identity.relay().clinic_name.clone();
    let link = Link::start(identity, Arc::new(spool.clone()), link_settings(&config)?, ambient);
    let watcher = Watcher::new(
        spool.clone(),
        config.clone(),
        clinic.clone(),
        Some(dimse_address),
        link.state(),
    );
    greet(&config, &clinic, dimse_address, page_address);

    let mut tasks = JoinSet::new();
    tasks.spawn(provider::listen(dimse, spool.clone(), Arc::new(config.clone()), stop.clone()));
    tasks.spawn(page::serve(page_listener, Arc::new(watcher), stop.clone()));
    tasks.spawn(watch(spool.clone(), config.watch.clone(), stop.clone()));
    tasks.spawn(settle(spool.clone(), stop.clone()));
    tasks.spawn(keep_house(spool, stop.clone()));
    stopped().await?;
    tracing::info!("stopping: what is under way is finished");
    stop.cancel();
    link.stop().await;
    while tasks.join_next().await.is_some() {}
    Ok(Outcome::Done)
}

fn greet(config: &Config, clinic: &str, dimse: std::net::SocketAddr, page: std::net::SocketAddr) {
    tracing::info!(
        clinic,
        "modalities send to AE title {} on {dimse}; the status page is http://{page}",
        config.ae_title
    );
}

async fn bind(
    address: std::net::SocketAddr,
    what: &str,
    setting: &str,
) -> anyhow::Result<(TcpListener, std::net::SocketAddr)> {
    let listener = TcpListener::bind(address).await.with_context(|| {
        format!(
            "cannot listen for {what} on {address}; is the port taken? \
             Change `{setting}` in {}",
            super::config::FILE
        )
    })?;
    let bound = listener.local_addr()?;
    Ok((listener, bound))
}

/// Makes offers of what has settled, as it settles.
pub(super) async fn settle(spool: Spool, stop: CancellationToken) {
    let mut changes = spool.changes();
    loop {
        let next = match spool.settle(false).await {
            Ok(next) => next,
            Err(error) => {
                tracing::error!(%error, "what has settled could not be offered");
                None
            }
        };
        let wait = next.map_or(LOOK_AGAIN, |at| {
            let micros = u64::try_from(at.since(spool.now()).micros()).unwrap_or(0);
            Duration::from_micros(micros).clamp(SOONEST, LOOK_AGAIN)
        });
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            // A new study has a settling time of its own; the pause keeps 300 slices from
            // being 300 looks.
            _ = changes.changed() => tokio::time::sleep(SOONEST).await,
            () = stop.cancelled() => return,
        }
    }
}

const SOONEST: Duration = Duration::from_millis(100);
const LOOK_AGAIN: Duration = Duration::from_secs(60);

async fn keep_house(spool: Spool, stop: CancellationToken) {
    loop {
        if let Err(error) = spool.delete_due().await {
            tracing::error!(%error, "files whose time is over could not be deleted");
        }
        tokio::select! {
            () = tokio::time::sleep(HOUSEKEEPING) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// Waits for SIGTERM or Ctrl-C.
async fn stopped() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = terminate.recv() => {}
        interrupted = tokio::signal::ctrl_c() => interrupted?,
    }
    Ok(())
}
