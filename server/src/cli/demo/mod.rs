//! `medrelay demo`: a relay with a small consortium, people of every role and phantom studies.
//!
//! The sample data is made once, through the same doors as real data: studies come over DICOM,
//! orders and accounts through the use cases. A marker file says that it is whole.

mod consortium;
mod sending;
mod studies;
#[cfg(test)]
mod tests;
mod texts;
mod words;

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;

use super::serve;
use super::{Outcome, Place};
use crate::app::{self, Ambient, Relay};
use crate::config::{Config, Loaded, Origin};
use crate::service::Caller;

/// Where the sample data lies unless said otherwise.
const DIRECTORY: &str = "demo-data";
/// The file that says that the sample data is whole.
const MARKER: &str = "sample-data-complete";

/// How the demonstration is to go.
#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// Make the sample data and stop.
    #[arg(long)]
    seed_only: bool,
}

/// What was found at the start.
enum Found {
    /// Nothing: the sample data is to be made.
    Nothing,
    /// The sample data, whole.
    Samples,
    /// Something that was not made by a demonstration, or only in part.
    SomethingElse,
}

/// Runs the relay with sample data, which is made at the first start.
pub(super) async fn run(place: &Place, args: &DemoArgs) -> anyhow::Result<Outcome> {
    let config = sample_config(place)?;
    serve::start_log(&config)?;
    let marker = config.data.dir.join(MARKER);
    let relay = app::start(&config, Ambient::system()).await?;
    match look(&relay, &marker).await? {
        Found::Samples => {}
        Found::Nothing => seed(&relay, &marker, place.json).await?,
        Found::SomethingElse => {
            eprintln!("{}", words::refusal(&config.data.dir));
            relay.lifecycle.stop();
            serve::until_stopped(&config, relay).await?;
            return Ok(Outcome::Refused);
        }
    }
    if place.json {
        println!("{}", words::json(&relay)?);
    } else if args.seed_only {
        println!("{}", words::warning(&config.data.dir));
    } else {
        serve::announce(&relay);
        println!("{}", words::welcome(&relay, &config.data.dir));
    }
    if args.seed_only {
        relay.lifecycle.stop();
    }
    serve::until_stopped(&config, relay).await
}

/// The configuration, but with data of its own and out of others' reach unless told otherwise.
fn sample_config(place: &Place) -> anyhow::Result<Config> {
    let mut loaded = place.load()?;
    if loaded.origin("data.dir") == Origin::Default {
        let own = Place { data: Some(PathBuf::from(DIRECTORY)), ..place.clone() };
        loaded = own.load()?;
    }
    let config = on_this_machine(loaded);
    if !config.dimse.enabled {
        bail!("the demonstration sends its studies over DICOM: set dimse.enabled to true");
    }
    Ok(config)
}

/// Everybody knows the passwords: what would listen to other machines by default does not.
fn on_this_machine(loaded: Loaded) -> Config {
    let untold = |key: &str| loaded.origin(key) == Origin::Default;
    let (https, dimse) = (untold("https.listen"), untold("dimse.listen"));
    let mut config = loaded.config;
    if https {
        config.https.listen.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    if dimse {
        config.dimse.listen.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    config
}

async fn look(relay: &Relay, marker: &Path) -> anyhow::Result<Found> {
    let some = relay.service.organizations(&Caller::system(), None, 1).await?;
    Ok(match (some.is_empty(), marker.exists()) {
        (true, _) => Found::Nothing,
        (false, true) => Found::Samples,
        (false, false) => Found::SomethingElse,
    })
}

async fn seed(relay: &Relay, marker: &Path, quiet: bool) -> anyhow::Result<()> {
    let began = tokio::time::Instant::now();
    let say = |text: &str| {
        if !quiet {
            println!("{text}");
        }
    };
    say(words::MAKING);
    let consortium = consortium::make(&relay.service).await?;
    say(words::SENDING);
    studies::send(relay, &consortium, &say).await?;
    std::fs::write(marker, "The sample data in this directory is whole.\n")
        .with_context(|| format!("cannot write {}", marker.display()))?;
    say(&words::made(began.elapsed()));
    Ok(())
}
