//! A clinic's gateway, the built program, between other people's modalities and a relay: what comes in comes out equal, is sent
//! once, and finds its way when UDP is blocked.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use medrelay_dicom::phantom::{Modality, PhantomSpec};
use medrelay_tests::binary::{Consortium, Site, came_back_equal, files_below};
use medrelay_tests::gateway_site::GatewaySite;
use medrelay_tests::line::{Line, Shape};
use medrelay_tests::objects3::peers_python;
use medrelay_tests::process::{find_program, run};
use serde_json::Value;

const SCANNER: &str = "CT1";
const GATEWAY: &str = "MEDRELAY";
/// A storage SOP class that no standard knows.
const PRIVATE: &str = "1.2.826.0.1.3680043.9.7000.1";
const PATIENCE: Duration = Duration::from_secs(120);

async fn relay() -> Result<(Site, Consortium)> {
    let mut site = Site::with_link(&[("disk", "reserve_mib = 16")])?;
    site.start().await?;
    let people = Consortium::found(&site, None).await?;
    Ok((site, people))
}

/// Writes a phantom study; its files in order.
fn study(site: &Site, name: &str, spec: &PhantomSpec) -> Result<Vec<PathBuf>> {
    let folder = site.scratch(name)?;
    for (number, instance) in spec.iter().enumerate() {
        fs::write(folder.join(format!("{number:05}.dcm")), instance.to_file(None))?;
    }
    files_below(&folder)
}

fn small_ct(slices: u32, seed: u64) -> PhantomSpec {
    PhantomSpec {
        instances: slices,
        rows: 128,
        columns: 128,
        ..PhantomSpec::new(Modality::Ct, seed)
    }
}

/// Hashes of the data sets of files that our phantoms wrote.
fn hashes(spec: &PhantomSpec) -> Vec<String> {
    spec.iter().map(|it| medrelay_core::report::sha256_hex(&it.data_set)).collect()
}

fn dcmtk(name: &str) -> Result<Command> {
    let program = find_program(name, &[]).with_context(|| format!("{name} (package dcmtk)"))?;
    Ok(Command::new(program))
}

#[tokio::test(flavor = "multi_thread")]
async fn stock_senders_reach_the_relay_through_the_gateway() -> Result<()> {
    let (mut site, people) = relay().await?;
    let line = Line::start(([127, 0, 0, 1], site.ports().https).into(), Shape::new(20, 0.5, 50))?;
    let mut gateway = GatewaySite::joined(&site, &people, line.address()).await?;
    gateway.start().await?;
    let (head, clip) = (
        small_ct(12, 1),
        PhantomSpec { rows: 96, columns: 128, frames: 12, ..PhantomSpec::new(Modality::Us, 2) },
    );
    let port = gateway.dimse().to_string();
    run(dcmtk("echoscu")?.args(["-aet", SCANNER, "-aec", GATEWAY, "127.0.0.1", &port]))?;
    run(dcmtk("storescu")?
        .args(["-aet", SCANNER, "-aec", GATEWAY, "127.0.0.1", &port])
        .args(study(&site, "head", &head)?))?;
    run(dcmtk("dcmsend")?
        .args(["-aet", SCANNER, "-aec", GATEWAY, "127.0.0.1", &port])
        .args(study(&site, "clip", &clip)?))?;
    gateway.wait_until_committed(2, PATIENCE).await?;

    let kept = people.kept_hashes().await?;
    for hash in hashes(&head).into_iter().chain(hashes(&clip)) {
        ensure!(kept.contains(&hash), "an instance is not at the relay as it was made");
    }
    // A manifest makes a study complete at once: nobody waited for a quiet time of 60 seconds.
    for study in people.clinician.all("/api/v1/studies").await? {
        ensure!(study["ready_reason"] == "manifest", "{study}");
    }
    let queue = people.reader.get("/api/v1/queue").await?;
    ensure!(queue["items"].as_array().is_some_and(|lines| lines.len() == 2), "{queue}");
    site.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_file_of_pydicom_comes_back_equal() -> Result<()> {
    let (mut site, people) = relay().await?;
    let relay = ([127, 0, 0, 1], site.ports().https).into();
    let mut gateway = GatewaySite::joined(&site, &people, relay).await?;
    gateway.start().await?;
    let python = peers_python()?;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/send_test_files.py");
    let port = gateway.dimse().to_string();
    let said =
        run(Command::new(python).arg(script).args([SCANNER, GATEWAY, &port, PRIVATE, "more"]))?;
    let sent: Vec<Value> =
        said.lines().map(serde_json::from_str).collect::<Result<_, _>>().context("JSON lines")?;
    // These files were not made for one hospital: studies with two patients, one UID with two contents, blank pictures. A
    // person looks, and sends them all the same.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let held: Vec<Value> = serde_json::from_str(&gateway.command(&["--json", "review"])?)?;
    let studies: BTreeSet<u64> = held.iter().filter_map(|it| it["study"].as_u64()).collect();
    for study in studies {
        gateway.command(&["approve", &study.to_string()])?;
    }
    let settled = |study: &Value| matches!(study["state"].as_str(), Some("committed" | "refused"));
    let all_settled = |status: &Value| {
        status["numbers"]["waiting"] == 0
            && status["studies"].as_array().is_some_and(|all| all.iter().all(settled))
    };
    gateway.wait_until(PATIENCE, "settled", all_settled).await?;

    let kept = people.kept_hashes().await?;
    let (equal, syntaxes) = came_back_equal(&sent, &kept)?;
    println!(
        "{equal} of {} files in {} transfer syntaxes crossed the link",
        sent.len(),
        syntaxes.len()
    );
    ensure!(equal >= 50 && syntaxes.len() >= 8, "{equal} files in {syntaxes:?}");
    let private = sent.iter().any(|it| it["sop_class"] == PRIVATE && it["status"] == 0);
    ensure!(private, "the private SOP class was not stored");
    site.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_relay_has_is_not_sent_again() -> Result<()> {
    let (mut site, people) = relay().await?;
    let line = Line::start(([127, 0, 0, 1], site.ports().https).into(), Shape::new(10, 0.0, 100))?;
    let first = GatewaySite::joined(&site, &people, line.address()).await?;
    let spec = PhantomSpec { rows: 256, columns: 256, ..small_ct(50, 3) };
    let files = study(&site, "study", &spec)?;
    let folder = files[0].parent().context("a folder")?;
    let (summary, code) = first.send(&[folder], &[])?;
    ensure!(code == 0 && summary["committed"] == true && summary["instances"] == 50, "{summary}");
    let once = line.counters().to_target.offered_bytes;

    // Another machine of the same clinic, which knows nothing of the first.
    let second = GatewaySite::joined(&site, &people, line.address()).await?;
    let before = line.counters().to_target.offered_bytes;
    let (summary, code) = second.send(&[folder], &[])?;
    ensure!(code == 0 && summary["committed"] == true, "{summary}");
    let again = line.counters().to_target.offered_bytes - before;
    println!("again: {again} bytes on the wire, {once} the first time");
    ensure!(again * 100 < once, "{again} of {once} bytes");

    // The same UID with other bytes is put aside at the relay and shown at the clinic.
    let mut other = spec.instance(0, 7);
    let last = other.data_set.len() - 1;
    other.data_set[last] ^= 1;
    let altered = site.scratch("altered")?;
    fs::write(altered.join("1.dcm"), other.to_file(None))?;
    let third = GatewaySite::joined(&site, &people, line.address()).await?;
    let (summary, code) = third.send(&[&altered], &[])?;
    ensure!(code == 2 && summary["aside"] == 1, "{summary}");
    ensure!(third.command(&["status"])?.contains("another image of this number"));
    let quarantine = people.clinician.all("/api/v1/quarantine").await?;
    ensure!(quarantine.len() == 1 && quarantine[0]["reason"] == "other_content", "{quarantine:?}");
    site.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn blocked_udp_is_no_obstacle_and_quic_returns() -> Result<()> {
    let (mut site, people) = relay().await?;
    let line = Line::start(([127, 0, 0, 1], site.ports().https).into(), Shape::new(20, 0.0, 50))?;
    line.block_udp(true);
    let mut gateway = GatewaySite::joined(&site, &people, line.address()).await?;
    let begun = Instant::now();
    gateway.start().await?;
    let up = |carrier: &'static str| {
        move |status: &Value| {
            status["link"]["state"] == "up" && status["link"]["carrier"] == carrier
        }
    };
    gateway.wait_until(Duration::from_secs(20), "on the WebSocket", up("websocket")).await?;
    let fallback = begun.elapsed();
    let spec = small_ct(10, 4);
    let files = study(&site, "blocked", &spec)?;
    let port = gateway.dimse().to_string();
    run(dcmtk("dcmsend")?
        .args(["-aet", SCANNER, "-aec", GATEWAY, "127.0.0.1", &port])
        .args(&files))?;
    gateway.wait_until_committed(1, PATIENCE).await?;
    let kept = people.kept_hashes().await?;
    ensure!(hashes(&spec).iter().all(|hash| kept.contains(hash)));
    line.block_udp(false);
    // It tries QUIC again every minute.
    gateway.wait_until(Duration::from_secs(90), "back on QUIC", up("quic")).await?;
    println!("on the WebSocket after {fallback:.1?}, and back on QUIC");
    ensure!(fallback < Duration::from_secs(6), "{fallback:?} until the WebSocket");
    site.stop().await
}
