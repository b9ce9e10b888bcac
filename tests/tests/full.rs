//! Disks fill up while a study crosses: first the relay's, then the gateway's own. Each end says so, nothing that was
//! acknowledged is lost, and it all goes on by itself once there is space.
//!
//! The volumes are memory file systems that the test mounts, so it needs root.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use medrelay_dicom::phantom::{Modality, PhantomSpec};
use medrelay_tests::binary::{Consortium, Site};
use medrelay_tests::gateway_site::GatewaySite;
use medrelay_tests::line::{Line, Shape};
use medrelay_tests::volume::{MIB, Volume};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(90);
const GATEWAY: &str = "MEDRELAY";

fn ct(slices: u32, side: u16, seed: u64) -> PhantomSpec {
    PhantomSpec {
        instances: slices,
        rows: side,
        columns: side,
        ..PhantomSpec::new(Modality::Ct, seed)
    }
}

fn write(folder: &Path, spec: &PhantomSpec) -> Result<Vec<PathBuf>> {
    let file = |(number, instance): (usize, medrelay_dicom::phantom::PhantomInstance)| {
        let path = folder.join(format!("{number:05}.dcm"));
        fs::write(&path, instance.to_file(None))?;
        Ok(path)
    };
    spec.iter().enumerate().map(file).collect()
}

fn hashes(spec: &PhantomSpec) -> Vec<String> {
    spec.iter().map(|it| medrelay_core::report::sha256_hex(&it.data_set)).collect()
}

fn stored(status: &Value) -> u64 {
    status["studies"][0]["stored"].as_u64().unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_relay_is_waited_for() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let volume = Volume::mount(folder.path().to_owned(), 64 * MIB)?;
    let url = format!("url = \"file://{}\"", volume.path().join("blobs").display());
    let mut site = Site::with_link(&[("disk", "reserve_mib = 16"), ("blobs", &url)])?;
    site.start().await?;
    let people = Consortium::found(&site, None).await?;
    let line = Line::start(([127, 0, 0, 1], site.ports().https).into(), Shape::new(20, 0.0, 4))?;
    let mut gateway = GatewaySite::joined(&site, &people, line.address()).await?;
    gateway.start().await?;

    let spec = ct(50, 256, 31);
    let study = site.scratch("study")?;
    write(&study, &spec)?;
    gateway.command(&["send", "--wait", "0", &study.to_string_lossy()]).ok();
    gateway.wait_until(PATIENCE, "under way", |status| stored(status) >= 5).await?;
    // Somebody else takes all of the disk, to the last byte.
    volume.fill("ballast", 0)?;
    let full = |status: &Value| status["problem"]["code"] == "relay_out_of_space";
    let status = gateway.wait_until(PATIENCE, "told that the relay is full", full).await?;
    ensure!(status["link"]["state"] == "up", "{status}");
    ensure!(stored(&status) < 50, "{status}");
    ensure!(gateway.command(&["status"])?.contains("the lead hospital's disk is full"));
    tokio::time::sleep(Duration::from_secs(1)).await;
    ensure!(site.is_running() && gateway.is_running(), "{}\n{}", site.log(), gateway.log());

    volume.remove("ballast")?;
    let status = gateway.wait_until_committed(1, PATIENCE).await?;
    ensure!(!full(&status), "it still says that the relay is full: {status}");
    let kept = people.kept_hashes().await?;
    ensure!(hashes(&spec).iter().all(|hash| kept.contains(hash)), "an image is not as it was");
    let study = people.clinician.all("/api/v1/studies").await?.remove(0);
    ensure!(study["instances"] == 50 && study["ready_reason"] == "manifest", "{study}");
    site.stop().await
}

/// Sends with DCMTK, which stops at the first refusal; how many were taken, and what it said.
fn storescu(port: u16, files: &[PathBuf]) -> Result<(usize, String)> {
    let mut command = Command::new("storescu");
    command.args(["-v", "-aet", "CT1", "-aec", GATEWAY, "127.0.0.1", &port.to_string()]);
    let output = command.args(files).output().context("storescu (package dcmtk)")?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    Ok((said.matches("Received Store Response (Success)").count(), said))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_gateway_refuses_before_its_disk_is_full() -> Result<()> {
    const RESERVE: u64 = 24;
    let mut site = Site::with_link(&[("disk", "reserve_mib = 16")])?;
    site.start().await?;
    let people = Consortium::found(&site, None).await?;
    let line = Line::start(([127, 0, 0, 1], site.ports().https).into(), Shape::new(10, 0.0, 100))?;
    let spool =
        format!("[spool]\nreserve_mib = {RESERVE}\nsettle_seconds = 1\ndelete = \"when_needed\"");
    let mut gateway = GatewaySite::joined_with(&site, &people, line.address(), "", &spool).await?;
    let folder = gateway.data().join("spool");
    fs::create_dir_all(&folder)?;
    let volume = Volume::mount(folder, 48 * MIB)?;
    // Nothing leaves the clinic for now.
    line.down();
    gateway.start().await?;

    let spec = ct(80, 512, 32);
    let files = write(&site.scratch("study")?, &spec)?;
    let (first, said) = storescu(gateway.dimse(), &files)?;
    ensure!((20..80).contains(&first), "{first} were taken: {said}");
    ensure!(said.contains("Refused: OutOfResources"), "{said}");
    let free = volume.free()?;
    ensure!(free + MIB > RESERVE * MIB, "the reserve was eaten: {free} left");
    let status = gateway.status().await?;
    ensure!(status["problem"]["code"] == "spool_full", "{status}");

    // What was taken goes, and makes room for the rest.
    line.up();
    gateway.wait_until_committed(1, PATIENCE).await?;
    let (second, said) = storescu(gateway.dimse(), &files[first..])?;
    ensure!(first + second == files.len(), "{first} and {second} were taken: {said}");
    let all = |status: &Value| status["studies"][0]["state"] == "committed" && stored(status) == 80;
    gateway.wait_until(PATIENCE, "committed as a whole", all).await?;
    let kept: BTreeSet<String> = people.kept_hashes().await?;
    ensure!(hashes(&spec).iter().all(|hash| kept.contains(hash)), "an image is not as it was");
    gateway.kill()?;
    site.stop().await
}
