//! G1: the server is killed with SIGKILL at random moments during ingest, signing, delivery and acknowledgement; afterwards a
//! ledger kept outside compares every promise that was made.
//!
//! `MEDRELAY_CRASH_ROUNDS` sets the number of kills (100), `MEDRELAY_CRASH_SEED` the seed of a run that is to be repeated.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use medrelay_tests::binary::{Consortium, Site};
use medrelay_tests::ledger::{Ledger, Shelves};
use medrelay_tests::postgres::Postgres;
use medrelay_tests::storm::{Dice, Pacs, acknowledge_until_gone, send_until_gone, sign_until_gone};
use tokio::task::JoinSet;

/// Senders at the same time.
const SENDERS: u64 = 3;
/// Every so many rounds the relay lives long enough to deliver.
const LONG_ROUND: u64 = 10;
/// How soon the relay must be ready again: half of all starts, and the slowest (this machine is shared with other tests).
const READY_MEDIAN: Duration = Duration::from_secs(2);
const READY_SLOWEST: Duration = Duration::from_secs(6);
/// How long the last deliveries and the sweep may take.
const SETTLING: Duration = Duration::from_secs(120);

/// Short quiet times and waits, so that every step of a case happens within the test.
const SETTINGS: [(&str, &str); 4] = [
    ("study.quiet_seconds", "ct = 1\nmr = 1\ndx = 1\nus = 1\nother = 1"),
    ("claim", "limit = 100"),
    (
        "delivery",
        "backoff_seconds = [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\nattempt_seconds = 30",
    ),
    ("dimse", "max_associations_per_peer = 50"),
];

fn number(name: &str, default: u64) -> Result<u64> {
    match std::env::var(name) {
        Ok(text) => text.parse().with_context(|| format!("{name} is no number")),
        Err(_) => Ok(default),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_promised_is_lost_when_the_server_is_killed() -> Result<()> {
    let site = Site::new(&SETTINGS)?;
    let database = format!("sqlite://{}", site.data().join("medrelay.sqlite").display());
    kill_again_and_again(site, &database, number("MEDRELAY_CRASH_ROUNDS", 100)?).await
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_promised_is_lost_when_the_server_is_killed_beside_postgres() -> Result<()> {
    let database = Postgres::database().await?;
    let url = format!("url = {database:?}");
    let mut settings = SETTINGS.to_vec();
    settings.push(("database", &url));
    let rounds = number("MEDRELAY_CRASH_ROUNDS", 100)?.div_ceil(10);
    kill_again_and_again(Site::new(&settings)?, &database, rounds).await
}

async fn kill_again_and_again(mut site: Site, database: &str, rounds: u64) -> Result<()> {
    let clock = Instant::now();
    let fresh = std::time::UNIX_EPOCH.elapsed()?.as_secs();
    let seed = number("MEDRELAY_CRASH_SEED", fresh)?;
    println!("G1 seed {seed}, {rounds} kills");
    let dice = Dice::new(seed);
    let pacs = Pacs::start().await?;
    let ledger = Arc::new(Ledger::default());
    site.start().await?;
    let people = Consortium::found(&site, Some(pacs.port())).await?;
    let mut starts = Vec::new();
    for round in 0..rounds {
        let load = load(&site, &people, &ledger, &dice);
        let life = if round % LONG_ROUND == 1 { (1_500, 2_500) } else { (50, 600) };
        tokio::time::sleep(Duration::from_millis(dice.between(life.0, life.1))).await;
        ensure!(site.is_running(), "the relay ended by itself: {}", site.log());
        site.kill()?;
        load.join_all().await;
        starts.push(site.start().await?);
    }
    starts.sort();
    let (median, slowest) = (starts[starts.len() / 2], starts[starts.len() - 1]);
    let acknowledged = settle(&people, &ledger).await?;
    let kept = ledger.compare(&people.clinician, &people.reader).await?;
    site.stop().await?;
    let shelves = Shelves::inspect(database, &site.data().join("blobs")).await?;
    let audit = site.command(&["audit", "verify"])?;
    for (uid, contents) in pacs.received() {
        ensure!(contents.len() == 1, "the PACS got {uid} with {} contents", contents.len());
    }
    println!(
        "G1 {rounds} kills in {:.0?}: {} instances sent, {} acknowledged and equal; {} signatures acknowledged and whole; {} \
         acknowledgements; {} blobs, {} rows, 0 orphans; {} objects at the PACS; {acknowledged} deliveries settled; ready again: median \
         {median:.0?}, slowest {slowest:.0?}; {}",
        clock.elapsed(),
        kept.sent,
        kept.instances,
        kept.reports,
        kept.acknowledgements,
        shelves.files,
        shelves.rows,
        pacs.received().len(),
        audit.trim()
    );
    ensure!(kept.instances > 0 && kept.reports > 0, "the storm did nothing: {kept:?}");
    ensure!(median <= READY_MEDIAN && slowest <= READY_SLOWEST, "{median:?} {slowest:?}");
    Ok(())
}

/// Senders, a reader and a clinic doctor; they end when the relay is gone.
fn load(site: &Site, people: &Consortium, ledger: &Arc<Ledger>, dice: &Dice) -> JoinSet<()> {
    let mut load = JoinSet::new();
    for _ in 0..SENDERS {
        let seed = dice.between(0, u64::MAX);
        load.spawn(send_until_gone(site.ports().dimse, Arc::clone(ledger), seed));
    }
    load.spawn(sign_until_gone(people.reader.clone(), Arc::clone(ledger)));
    load.spawn(acknowledge_until_gone(people.clinician.clone(), Arc::clone(ledger)));
    load
}

/// Waits until every report has reached the PACS; answers how many deliveries there are.
async fn settle(people: &Consortium, ledger: &Ledger) -> Result<usize> {
    let deadline = Instant::now() + SETTLING;
    loop {
        let deliveries = people.reader.all("/api/v1/deliveries").await?;
        let open = |stage: &str| matches!(stage, "due" | "sending" | "parked");
        let waiting: Vec<_> =
            deliveries.iter().filter(|it| it["stage"].as_str().is_none_or(open)).collect();
        if waiting.is_empty() {
            let (_, reports) = ledger.counts();
            ensure!(
                deliveries.len() >= 2 * reports,
                "{} deliveries of {reports} reports",
                deliveries.len()
            );
            return Ok(deliveries.len());
        }
        ensure!(
            Instant::now() < deadline,
            "{} deliveries do not settle: {}",
            waiting.len(),
            waiting[0]
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
