//! A study crosses while everything breaks: the line is cut, both ends are killed, the address changes. It completes by itself,
//! every byte as it was made, nothing twice, and hardly anything is sent again.
//!
//! `MEDRELAY_CUT_ROUNDS` sets the number of cuts (12; the promise is made for 50), `MEDRELAY_CUT_SLICES` the slices of the study
//! (120; 300), `MEDRELAY_CUT_SEED` the seed of a run that is to be repeated, `MEDRELAY_CUT_KIND` lets
//! only one thing happen: 0 the gateway is killed, 1 the relay, 2 the address changes, 3 the line is cut.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use medrelay_dicom::phantom::{Modality, PhantomSpec};
use medrelay_tests::binary::{Consortium, Site};
use medrelay_tests::gateway_site::GatewaySite;
use medrelay_tests::line::{Line, Shape};
use medrelay_tests::storm::Dice;

const PATIENCE: Duration = Duration::from_secs(300);
/// How soon bytes must move again once the line is back. The promise is 1 s; the machine is shared with other tests.
const AGAIN: Duration = Duration::from_secs(3);

fn number(name: &str, default: u64) -> Result<u64> {
    match std::env::var(name) {
        Ok(text) => text.parse().with_context(|| format!("{name} is no number")),
        Err(_) => Ok(default),
    }
}

struct Scene {
    site: Site,
    people: Consortium,
    line: Line,
    gateway: GatewaySite,
}

impl Scene {
    async fn set(shape: Shape) -> Result<Self> {
        let mut site = Site::with_link(&[("disk", "reserve_mib = 16")])?;
        site.start().await?;
        let people = Consortium::found(&site, None).await?;
        let line = Line::start(([127, 0, 0, 1], site.ports().https).into(), shape)?;
        let gateway = GatewaySite::joined(&site, &people, line.address()).await?;
        Ok(Self { site, people, line, gateway })
    }

    fn write(&self, name: &str, spec: &PhantomSpec) -> Result<PathBuf> {
        let folder = self.site.scratch(name)?;
        for (number, instance) in spec.iter().enumerate() {
            fs::write(folder.join(format!("{number:05}.dcm")), instance.to_file(None))?;
        }
        Ok(folder)
    }

    fn sent(&self) -> u64 {
        self.line.counters().to_target.offered_bytes
    }

    async fn stored(&self, study: usize) -> Result<u64> {
        let status = self.gateway.status().await?;
        let studies = status["studies"].as_array().context("studies")?;
        // The newest first.
        let line = studies.iter().rev().nth(study);
        Ok(line.and_then(|line| line["stored"].as_u64()).unwrap_or(0))
    }

    /// Breaks something: the line, either end, or the address. Answers how many relays that has killed.
    async fn strike(&mut self, dice: &Dice) -> Result<u64> {
        let kind = number("MEDRELAY_CUT_KIND", dice.between(0, 5))?;
        match kind {
            0 => {
                self.gateway.kill()?;
                self.gateway.start().await?;
            }
            1 => {
                self.site.kill()?;
                self.site.start().await?;
            }
            2 => self.line.rebind(),
            _ => {
                self.line.down();
                tokio::time::sleep(Duration::from_millis(dice.between(100, 2_500))).await;
                self.line.up();
            }
        }
        Ok(u64::from(kind == 1))
    }

    /// Waits until bytes reach the relay again; answers how long that took.
    async fn flows_again(&self) -> Result<Duration> {
        let (begun, before) = (Instant::now(), self.line.counters().to_target.bytes());
        // A greeting alone is less than this.
        while self.line.counters().to_target.bytes() < before + 1_000 {
            ensure!(begun.elapsed() < PATIENCE, "nothing moves: {}", self.gateway.log());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(begun.elapsed())
    }

    /// Every instance of the study is at the relay once, as it was made, and nothing was put aside.
    async fn compare(&self, spec: &PhantomSpec) -> Result<()> {
        let studies = self.people.clinician.all("/api/v1/studies").await?;
        let uid = spec.study_uid();
        let study = studies.iter().find(|it| it["uid"] == uid.as_str()).context("no study")?;
        ensure!(study["instances"] == spec.instances, "{study}");
        ensure!(study["ready_reason"] == "manifest", "{study}");
        let kept = self.people.kept_hashes().await?;
        for instance in spec.iter() {
            let hash = medrelay_core::report::sha256_hex(&instance.data_set);
            ensure!(kept.contains(&hash), "slice {} is not as it was", instance.instance_number);
        }
        let aside = self.people.clinician.all("/api/v1/quarantine").await?;
        ensure!(aside.is_empty(), "{aside:?}");
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_study_survives_cuts_kills_and_new_addresses() -> Result<()> {
    let rounds = number("MEDRELAY_CUT_ROUNDS", 12)?;
    let slices = u32::try_from(number("MEDRELAY_CUT_SLICES", 120)?)?;
    let seed = number("MEDRELAY_CUT_SEED", std::time::UNIX_EPOCH.elapsed()?.as_secs())?;
    println!("G3 seed {seed}, {rounds} cuts, {slices} slices");
    let dice = Dice::new(seed);
    let mut scene = Scene::set(Shape::new(30, 0.5, 6)).await?;
    let spec = |seed| PhantomSpec {
        instances: slices,
        rows: 256,
        columns: 256,
        ..PhantomSpec::new(Modality::Ct, seed)
    };

    // Once without cuts, to know what it costs.
    let (smooth, rough) = (spec(1), spec(2));
    let folder = scene.write("smooth", &smooth)?;
    let begun = Instant::now();
    let (summary, code) = scene.gateway.send(&[&folder], &[])?;
    ensure!(code == 0, "{summary}");
    let (whole, usual) = (scene.sent(), begun.elapsed());

    let folder = scene.write("rough", &rough)?;
    scene.gateway.start().await?;
    scene.gateway.command(&["send", "--wait", "0", &folder.to_string_lossy()]).ok();
    let before = scene.sent();
    let pause = usual.as_millis() as u64 / (rounds + 2);
    let (mut returns, mut relay_kills) = (Vec::new(), 0);
    for round in 0..rounds {
        tokio::time::sleep(Duration::from_millis(dice.between(pause / 2, pause * 3 / 2))).await;
        if scene.stored(1).await? == u64::from(slices) {
            println!("all of it had crossed after {round} cuts");
            break;
        }
        relay_kills += scene.strike(&dice).await?;
        returns.push(scene.flows_again().await?);
    }
    scene.gateway.wait_until_committed(2, PATIENCE).await?;
    let spent = scene.sent() - before;
    scene.compare(&smooth).await?;
    scene.compare(&rough).await?;
    returns.sort();
    let slowest = returns.last().copied().unwrap_or_default();
    println!(
        "G3 {} cuts: {spent} bytes offered to the line, {whole} without cuts ({:.3} times); moving again after {:.0?} (median), \
         {slowest:.0?} (slowest); {slices} of {slices} instances equal, none twice",
        returns.len(),
        spent as f64 / whole as f64,
        returns.get(returns.len() / 2).copied().unwrap_or_default(),
    );
    ensure!(slowest <= AGAIN, "{returns:?}");
    // What was on the line when it broke is gone: one bandwidth-delay product for each cut, and a handshake. A relay that is
    // killed loses what it had in memory, too: the packs that were arriving and those not on its disk yet.
    let on_the_line = returns.len() as u64 * (6_000_000 / 8 * 60 / 1000 + 16_000);
    let in_memory = relay_kills * 3 * whole / u64::from(slices);
    ensure!(spent <= whole * 105 / 100 + on_the_line + in_memory, "{spent} of {whole}");
    scene.site.stop().await
}
