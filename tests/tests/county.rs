//! A county's gateways at once through one relay and one bottleneck: each gets its share of the line, and a STAT study of one
//! of them starts moving at once.
//!
//! `MEDRELAY_COUNTY_GATEWAYS` sets their number (8; the promise is made for 50), `MEDRELAY_COUNTY_SHARE` the share of its fair
//! part in percent that each must get (50, since the machine is shared with other tests; the promise is 70),
//! `MEDRELAY_COUNTY_WARM_UP` the seconds that they may take to find it (40).

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use medrelay_client::link::{Ambient, Identity, Link, LinkHandle, MemoryShelf, Settings, join};
use medrelay_core::time::{Entropy, SeededEntropy};
use medrelay_core::transfer::Urgency;
use medrelay_dicom::phantom::{PhantomInstance, PhantomSpec};
use medrelay_tests::binary::{Consortium, Site};
use medrelay_tests::gateway_site::{join_code, reach_by};
use medrelay_tests::line::{Line, Shape};

/// Each gateway's fair part of the line.
const PART: u64 = 250_000;
const RTT_MS: u64 = 60;
/// How long is measured.
const WINDOW: Duration = Duration::from_secs(10);
/// Bytes of an object beside its few pixels; they do not get smaller.
const NOISE: usize = 32 << 10;
/// How soon an image of the STAT study must be at the relay. The promise is that it moves within 1 s.
const STAT: Duration = Duration::from_secs(3);

fn number(name: &str, default: usize) -> Result<usize> {
    match std::env::var(name) {
        Ok(text) => text.parse().with_context(|| format!("{name} is no number")),
        Err(_) => Ok(default),
    }
}

/// The same image with a private element of random bytes.
fn swollen(mut instance: PhantomInstance, entropy: &SeededEntropy) -> PhantomInstance {
    let mut noise = vec![0; NOISE];
    entropy.fill(&mut noise);
    // (7FE1,1010) in explicit VR little endian, behind the pixels.
    instance.data_set.extend_from_slice(&[0xE1, 0x7F, 0x10, 0x10]);
    instance.data_set.extend_from_slice(b"OB\0\0");
    instance.data_set.extend_from_slice(&(NOISE as u32).to_le_bytes());
    instance.data_set.extend_from_slice(&noise);
    instance
}

/// Writes a study of so many objects.
fn write(folder: &Path, objects: u32, seed: u64) -> Result<Vec<PathBuf>> {
    fs::create_dir_all(folder)?;
    let entropy = SeededEntropy::new(seed);
    let file = |(number, instance): (usize, PhantomInstance)| {
        let path = folder.join(format!("{number:05}.dcm"));
        fs::write(&path, swollen(instance, &entropy).to_file(None))?;
        Ok(path)
    };
    PhantomSpec::tiny(objects, seed).iter().enumerate().map(file).collect()
}

/// One clinic's gateway.
struct Member {
    shelf: Arc<MemoryShelf>,
    link: LinkHandle,
}

impl Member {
    /// Original bytes that the relay has of it.
    fn stored(&self) -> u64 {
        self.link.state().borrow().original_bytes
    }
}

/// Joins, and gets ready to send.
async fn identity(site: &Site, people: &Consortium, line: &Line, at: &Path) -> Result<Identity> {
    let code = join_code(people, &people.clinic).await?;
    let url = format!("https://127.0.0.1:{}", site.ports().https);
    join(&url, &code, "county", at, &Ambient::system()).await?;
    reach_by(at, line.address())?;
    Ok(Identity::load(at)?)
}

/// Objects of one study: enough for the whole time even with more than its part.
fn objects(warm_up: Duration) -> Result<u32> {
    let seconds = (warm_up + WINDOW + STAT).as_secs();
    Ok(u32::try_from(PART * seconds * 3 / NOISE as u64)?)
}

/// So many gateways with enough to send for the whole time, started at once.
async fn county(
    site: &Site,
    people: &Consortium,
    line: &Line,
    count: usize,
    warm_up: Duration,
) -> Result<Vec<Member>> {
    let ambient = Ambient::system();
    let objects = objects(warm_up)?;
    let mut ready = Vec::new();
    for member in 0..count {
        let data = site.scratch(&format!("gateway-{member}"))?;
        let identity = identity(site, people, line, &data).await?;
        let files = write(&data.join("study"), objects, 100 + member as u64)?;
        let shelf = Arc::new(MemoryShelf::new());
        shelf.add_files(&files, Urgency::Routine, ambient.now())?;
        ready.push((identity, shelf));
    }
    let settings = Settings { threads: 1, ..Settings::default() };
    let start = |(identity, shelf): (Identity, Arc<MemoryShelf>)| Member {
        link: Link::start(identity, shelf.clone(), settings.clone(), ambient.clone()),
        shelf,
    };
    Ok(ready.into_iter().map(start).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_gateway_gets_its_share_and_stat_goes_first() -> Result<()> {
    let count = number("MEDRELAY_COUNTY_GATEWAYS", 8)?;
    let share = number("MEDRELAY_COUNTY_SHARE", 50)? as u64;
    let warm_up = Duration::from_secs(number("MEDRELAY_COUNTY_WARM_UP", 40)? as u64);
    let mut site = Site::with_link(&[("disk", "reserve_mib = 16")])?;
    site.start().await?;
    let people = Consortium::found(&site, None).await?;
    let shape = Shape { bytes_per_second: Some(PART * count as u64), ..Shape::new(RTT_MS, 0.0, 1) };
    let line = Line::start(([127, 0, 0, 1], site.ports().https).into(), shape)?;
    let ambient = Ambient::system();

    let stat = write(&site.scratch("stat")?, 3, 99)?;
    let county = county(&site, &people, &line, count, warm_up).await?;
    tokio::time::sleep(warm_up).await;
    let before: Vec<u64> = county.iter().map(Member::stored).collect();
    let begun = Instant::now();
    let dropped = line.counters().to_target.dropped();
    tokio::time::sleep(WINDOW).await;
    let after: Vec<u64> = county.iter().map(Member::stored).collect();
    let window = begun.elapsed().as_secs_f64();

    // Everybody still sends; one of them has an emergency.
    let member = &county[count / 2];
    let begun = Instant::now();
    let key = member.shelf.add_files(&stat, Urgency::Stat, ambient.now())?[0];
    let moved = loop {
        if member.shelf.fate(key).is_some_and(|fate| !fate.stored.is_empty()) {
            break begun.elapsed();
        }
        ensure!(begun.elapsed() < Duration::from_secs(60), "the STAT study does not move");
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    let mut rates: Vec<u64> =
        before.iter().zip(&after).map(|(b, a)| ((a - b) as f64 / window) as u64).collect();
    rates.sort_unstable();
    let mean = rates.iter().sum::<u64>() / count as u64;
    let (least, most) = (rates[0], rates[count - 1]);
    println!(
        "{count} gateways on {} Mbit/s: {least} / {mean} / {most} bytes a second (least, mean, most) of {PART}; \
         least {}% of the mean; {} packets lost; the first STAT image was stored after {moved:.2?}",
        PART * count as u64 * 8 / 1_000_000,
        least * 100 / mean.max(1),
        line.counters().to_target.dropped() - dropped,
    );
    let total = u64::from(objects(warm_up)?) * NOISE as u64;
    ensure!(after.iter().all(|stored| *stored < total), "somebody had nothing left to send");
    ensure!(least * 100 >= mean * share, "{rates:?}");
    ensure!(mean * 2 >= PART, "the line is not used: {rates:?}");
    ensure!(moved <= STAT, "{moved:?}");
    drop(county);
    site.stop().await
}
