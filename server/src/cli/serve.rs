//! `medrelay serve`: run until told to stop.

use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::{Outcome, Place};
use crate::app::{self, Ambient, Relay};
use crate::config::{Config, LogFormat};
use crate::lifecycle::{StopSignals, Stopped, run_until_stopped};

/// Runs the relay.
pub(super) async fn run(place: &Place) -> anyhow::Result<Outcome> {
    let loaded = place.load()?;
    start_log(&loaded.config)?;
    let relay = app::start(&loaded.config, Ambient::system()).await?;
    announce(&relay);
    if let Some(link) = set_up_link(&relay).await? {
        println!(
            "\n  First start: make the first account within 7 days here (works once):\n  {link}\n"
        );
    }
    until_stopped(&loaded.config, relay).await
}

/// Waits for the end, then stops softly and, if need be, hard.
pub(super) async fn until_stopped(config: &Config, relay: Relay) -> anyhow::Result<Outcome> {
    let signals = StopSignals::install().context("signals cannot be taken over")?;
    let grace = Duration::from_secs(config.limits.stop_seconds.into());
    let stopped = run_until_stopped(&relay.lifecycle, signals, grace).await;
    relay.service.note_stopped().await.context("the end cannot be recorded")?;
    relay.service.close().await;
    if let Stopped::Dropping(tasks) = stopped {
        tracing::warn!(tasks, "stopped with work under way; it was not acknowledged");
    }
    Ok(Outcome::Done)
}

/// Says where the relay listens.
pub(super) fn announce(relay: &Relay) {
    let addresses = &relay.addresses;
    let lines = [
        ("HTTP", addresses.http.map(|a| format!("http://{}", place(a)))),
        ("HTTPS", addresses.https.map(|a| format!("https://{}", place(a)))),
        ("DICOM", addresses.dimse.map(|a| format!("{}@{a}", relay.service.settings().ae_title))),
        (
            "DICOM TLS",
            addresses.dimse_tls.map(|a| format!("{}@{a}", relay.service.settings().ae_title)),
        ),
    ];
    println!("medrelay {} is running", env!("CARGO_PKG_VERSION"));
    for (what, address) in lines {
        if let Some(address) = address {
            println!("  {what:<10} {address}");
        }
    }
}

/// An address that can be typed on this machine, also when we listen on all of them.
fn place(address: SocketAddr) -> String {
    if address.ip().is_unspecified() {
        format!("localhost:{}", address.port())
    } else {
        address.to_string()
    }
}

async fn set_up_link(relay: &Relay) -> anyhow::Result<Option<String>> {
    let Some(token) = relay.service.ensure_setup_ticket().await? else { return Ok(None) };
    let base = match (relay.addresses.http, relay.addresses.https) {
        (Some(http), _) => format!("http://{http}"),
        (None, Some(https)) => format!("https://{https}"),
        (None, None) => return Ok(None),
    };
    Ok(Some(format!("{base}/setup#{token}")))
}

/// Starts the log as configured: pretty for a terminal, JSON lines for a pipe.
pub(super) fn start_log(config: &Config) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&config.log.filter).context("log.filter is malformed")?;
    let json = match config.log.format {
        LogFormat::Json => true,
        LogFormat::Pretty => false,
        LogFormat::Auto => !std::io::stderr().is_terminal(),
    };
    let base = tracing_subscriber::registry().with(filter);
    let writer = std::io::stderr;
    if json {
        let layer = tracing_subscriber::fmt::layer().json().flatten_event(true).with_writer(writer);
        base.with(layer).try_init()?;
    } else {
        base.with(tracing_subscriber::fmt::layer().with_writer(writer)).try_init()?;
    }
    Ok(())
}
