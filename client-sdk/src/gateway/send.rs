//! `send PATH…`: takes files into the spool, sends them, and waits for the relay's receipt.
//!
//! Nothing is lost when it is broken off: what was taken is in the spool, and the next `send` or
//! `run` goes on from there. When a gateway runs on the same data, it does the sending and this
//! only watches.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use tokio::sync::watch;

use super::config::{Config, Soon};
use super::import::{Found, import};
use super::status::carrier_name;
use super::words::Words;
use super::{Outcome, link_settings};
use crate::link::{Ambient, Identity, Link, LinkHandle, LinkState, Phase};
use crate::spool::{Spool, StudyLine, StudyState};

/// What `send` is told.
#[derive(Debug, Clone, clap::Args)]
pub struct SendArgs {
    /// Files, folders, ZIP archives or a CD.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// How soon: stat, urgent or routine.
    #[arg(long, value_enum, default_value = "routine")]
    urgency: Soon,
    /// Send what looks wrong, too (two patients in one study, one UID with two contents, empty
    /// pictures); without it you are asked, or on no terminal it waits for `review`.
    #[arg(long)]
    send_flagged: bool,
    /// Give up waiting after so many seconds; what is not sent stays in the spool.
    #[arg(long, value_name = "SECONDS")]
    wait: Option<u64>,
}

/// The end of a `send`, for programs.
#[derive(Debug, Serialize)]
struct Summary {
    committed: bool,
    studies: u64,
    instances: u64,
    aside: u64,
    held: u64,
    original_bytes: u64,
    pack_bytes: u64,
    sent_bytes: u64,
    lost_bytes: u64,
    seconds: f64,
    carrier: &'static str,
    found: Found,
}

/// Sends.
pub async fn send(data: &Path, args: &SendArgs, json: bool) -> anyhow::Result<Outcome> {
    let mut config = Config::load(data)?;
    let words = Words::of(config.language);
    let identity = Identity::load(data)?;
    let ambient = Ambient::system();
    // Everything that is sent now is here already: nothing has to settle.
    config.spool.settle_seconds = 0;
    let clock = Arc::clone(&ambient.clock);
    let spool =
        Spool::open(&data.join("spool"), config.spool(), clock, Arc::clone(&ambient.entropy))
            .await?;
    let begun = tokio::time::Instant::now();
    // Connected while files are being read.
    let link = if spool.is_owner() {
        Some(Link::start(identity, Arc::new(spool.clone()), link_settings(&config)?, ambient))
    } else {
        None
    };
    let found = take(&spool, args, words, json).await?;
    decide(&spool, &found, args, words, json).await?;
    for study in &found.studies {
        spool.settle_study(*study).await?;
    }
    let limit = args.wait.map(Duration::from_secs);
    let state = link.as_ref().map(LinkHandle::state);
    let wait = wait_for(&spool, &found, state.clone(), words, json);
    let waited = match limit {
        Some(limit) => tokio::time::timeout(limit, wait).await.unwrap_or(Ok(())),
        None => wait.await,
    };
    let seconds = begun.elapsed().as_secs_f64();
    let state = state.map(|state| state.borrow().clone());
    if let Some(link) = link {
        link.stop().await;
    }
    waited?;
    report(&spool, found, state, seconds, words, json).await
}

async fn take(spool: &Spool, args: &SendArgs, words: Words, json: bool) -> anyhow::Result<Found> {
    let bar = bar(json, 0);
    bar.set_message(words.reading());
    let shown = bar.clone();
    let found = import(spool, &args.paths, args.urgency.into(), move |found| {
        shown.set_position(found.fresh + found.same + found.flagged);
    })
    .await?;
    bar.finish_and_clear();
    if !json {
        println!("{}", words.found(&found));
    }
    Ok(found)
}

/// Asks about what looks wrong; nothing of it is sent without an answer.
async fn decide(
    spool: &Spool,
    found: &Found,
    args: &SendArgs,
    words: Words,
    json: bool,
) -> anyhow::Result<()> {
    let flagged = spool.flagged().await?;
    for study in &found.studies {
        let mut flags: Vec<&str> =
            flagged.iter().filter(|f| f.study == *study).map(|f| f.flag.as_str()).collect();
        flags.sort_unstable();
        flags.dedup();
        if flags.is_empty() {
            continue;
        }
        let line = spool.line(*study).await?;
        let yes = args.send_flagged || (!json && ask(&line, &flags, words)?);
        if yes {
            spool.send_flagged(*study).await?;
        }
    }
    Ok(())
}

fn ask(line: &StudyLine, flags: &[&str], words: Words) -> anyhow::Result<bool> {
    if !std::io::stdin().is_terminal() {
        return Ok(false);
    }
    println!("{}", words.looks_wrong(&line.patient, flags));
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes" | "是"))
}

/// Waits until every study is committed, or needs a person.
async fn wait_for(
    spool: &Spool,
    found: &Found,
    state: Option<watch::Receiver<LinkState>>,
    words: Words,
    json: bool,
) -> anyhow::Result<()> {
    let bar = bar(json, 1);
    loop {
        let mut open = 0;
        let (mut objects, mut stored) = (0, 0);
        for study in &found.studies {
            let line = spool.line(*study).await?;
            objects += line.objects;
            stored += line.stored;
            open += u64::from(matches!(line.state, StudyState::Waiting | StudyState::Gathering));
        }
        bar.set_length(objects.max(1));
        bar.set_position(stored);
        if open == 0 {
            bar.finish_and_clear();
            return Ok(());
        }
        if let Some(state) = &state {
            let state = state.borrow();
            bar.set_message(words.line(&state));
            if matches!(state.phase, Phase::Stopped(Some(_))) {
                anyhow::bail!("{}", words.stopped());
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// A bar moves often enough, and a receipt is seen soon enough.
const LOOK: Duration = Duration::from_millis(20);

fn bar(json: bool, length: u64) -> ProgressBar {
    if json || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(length);
    let style =
        if length == 0 { "{spinner} {pos} {msg}" } else { "{wide_bar} {pos}/{len} {eta} {msg}" };
    // The templates are two and constant; a wrong one would only look plain.
    if let Ok(style) = ProgressStyle::with_template(style) {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

async fn report(
    spool: &Spool,
    found: Found,
    state: Option<LinkState>,
    seconds: f64,
    words: Words,
    json: bool,
) -> anyhow::Result<Outcome> {
    let mut summary = Summary {
        committed: !found.studies.is_empty(),
        studies: found.studies.len() as u64,
        instances: 0,
        aside: 0,
        held: 0,
        original_bytes: 0,
        pack_bytes: state.as_ref().map_or(0, |state| state.pack_bytes),
        sent_bytes: state.as_ref().map_or(0, |state| state.sent_bytes),
        lost_bytes: state.as_ref().map_or(0, |state| state.lost_bytes),
        seconds,
        carrier: carrier_name(state.and_then(|state| state.carrier)),
        found,
    };
    let mut refused = false;
    for study in &summary.found.studies {
        let line = spool.line(*study).await?;
        summary.instances += line.stored;
        summary.aside += line.aside;
        summary.held += u64::from(line.state == StudyState::Held);
        summary.original_bytes += line.bytes;
        summary.committed &= line.state == StudyState::Committed;
        refused |= line.state == StudyState::Refused;
    }
    if json {
        println!("{}", serde_json::to_string(&summary)?);
    } else {
        println!(
            "{}",
            words.sent(summary.instances, summary.aside, summary.held, summary.committed, seconds)
        );
    }
    Ok(match () {
        () if refused => Outcome::Refused,
        () if !summary.committed && summary.held == 0 && summary.sent_bytes == 0 => {
            Outcome::Unreachable
        }
        () if !summary.committed || summary.aside > 0 => Outcome::SomeFailed,
        () if !summary.found.unreadable.is_empty() => Outcome::SomeFailed,
        () => Outcome::Done,
    })
}
