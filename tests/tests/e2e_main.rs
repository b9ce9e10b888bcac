//! The main job with stock tools at both ends: DCMTK sends a study to the built program, a reader signs, DCMTK receives the
//! report, and programs of other people say that it is what it should be.
//!
//! `MEDRELAY_TEST_STUDY` names a folder of DICOM files to send; without it a phantom is sent.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use medrelay_dicom::phantom::{Modality, PhantomSpec};
use medrelay_tests::binary::{Api, Consortium, PACS, RELAY, SCANNER, Site, files_below, text};
use medrelay_tests::process::{Peer, Ready, free_port, run};
use serde_json::{Value, json};

/// What the reader types; part of it must be found in the PDF and the structured report.
const FINDINGS: &str = "颅骨骨质结构完整，脑实质内未见异常密度影，脑室系统大小形态正常。";
const IMPRESSION: &str = "颅脑CT平扫未见明显异常。";
/// How long the relay may take for what it does by itself.
const PATIENCE: Duration = Duration::from_secs(60);

const SETTINGS: [(&str, &str); 1] = [("study.quiet_seconds", "ct = 1\nother = 1")];

#[tokio::test(flavor = "multi_thread")]
async fn a_study_goes_in_and_its_signed_report_comes_back() -> Result<()> {
    let mut site = Site::new(&SETTINGS)?;
    let received = site.scratch("pacs")?;
    let (_pacs, port) = storescp(&received)?;
    site.start().await?;
    let people = Consortium::found(&site, Some(port)).await?;
    let files = study(&site)?;
    storescu(&site, site.ports().dimse, &files, &[])?;

    let case = wait_for(&people.reader, "/api/v1/queue", |queue| {
        queue["items"][0]["case"]["id"].as_str().map(str::to_owned)
    })
    .await?;
    let detail = people.reader.get(&format!("/api/v1/cases/{case}")).await?;
    ensure!(
        detail["study"]["instances"] == files.len(),
        "{} of {} files",
        detail["study"]["instances"],
        files.len()
    );
    equal_bytes(&site, &people.reader, &text(&detail["study"], "id")?, &files).await?;
    let report = sign(&people.reader, &case).await?;

    let structured = arrival(&received, &text(&report, "sr_uid")?).await?;
    let pdf = arrival(&received, &text(&report, "pdf_uid")?).await?;
    valid(&structured)?;
    valid(&pdf)?;
    let dumped = dense(&run(Command::new("dsrdump").args(["+U8", "+Pl"]).arg(&structured))?);
    ensure!(dumped.contains(&dense(FINDINGS)) && dumped.contains(&dense(IMPRESSION)), "{dumped}");
    let extracted = received.join("report.pdf");
    run(Command::new("dcm2pdf").arg(&pdf).arg(&extracted))?;
    let printed =
        dense(&run(Command::new("pdftotext").arg("-enc").arg("UTF-8").arg(&extracted).arg("-"))?);
    ensure!(
        printed.contains(&dense(FINDINGS)) && printed.contains(&dense(IMPRESSION)),
        "{printed}"
    );

    let inbox = people.clinician.all("/api/v1/inbox").await?;
    let delivery = text(inbox.first().context("the inbox is empty")?, "id")?;
    people.clinician.post(&format!("/api/v1/deliveries/{delivery}/acknowledge"), json!({})).await?;
    wait_for(&people.clinician, &format!("/api/v1/cases/{case}"), |it| {
        (it["case"]["stage"] == "closed").then_some(())
    })
    .await?;
    site.stop().await?;
    println!("{}", site.command(&["audit", "verify"])?.trim());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn stock_tools_send_over_tls() -> Result<()> {
    let mut site = Site::new(&SETTINGS)?;
    site.start().await?;
    let people = Consortium::found(&site, None).await?;
    let port = site.ports().dimse_tls;
    let authority = site.authority();
    let authority = authority.to_str().context("a plain name")?;
    for profile in ["--profile-bcp195-nd", "--profile-bcp195"] {
        let secure = ["+tla", "--add-cert-file", authority, profile];
        let mut echo = Command::new("echoscu");
        echo.args(["-v", "-aet", SCANNER, "-aec", RELAY]).args(secure);
        let said = run(echo.arg("localhost").arg(port.to_string()))?;
        ensure!(!said.contains("Fatal"), "{said}");
    }
    let folder = site.scratch("phantom")?;
    let files = phantom(&folder, 2)?;
    let secure = ["+tla", "--add-cert-file", authority];
    storescu(&site, port, &files, &secure)?;
    let study = people.clinician.all("/api/v1/studies").await?.remove(0);
    ensure!(study["instances"] == 2, "{study}");
    // Whoever does not trust the relay's authority must not get a connection.
    let stranger = Command::new("echoscu")
        .args(["-aet", SCANNER, "-aec", RELAY, "+tla", "localhost"])
        .arg(port.to_string())
        .output()?;
    ensure!(!stranger.status.success(), "the certificate was not looked at");
    site.stop().await
}

/// DCMTK's receiver as the clinic's PACS.
fn storescp(folder: &Path) -> Result<(Peer, u16)> {
    let port = free_port()?;
    let mut command = Command::new("storescp");
    command.args(["-v", "+B", "-aet", PACS, "-od"]).arg(folder).arg(port.to_string());
    command.env("TCP_NODELAY", "1");
    Ok((Peer::start(&command, Ready::Tcp(port))?, port))
}

/// DCMTK's sender, which must say that every file was taken.
fn storescu(site: &Site, port: u16, files: &[PathBuf], options: &[&str]) -> Result<()> {
    let mut command = Command::new("storescu");
    command.args(["-v", "-aet", SCANNER, "-aec", RELAY]).args(options);
    let output = command.arg("localhost").arg(port.to_string()).args(files).output();
    let output = output.context("storescu is not installed: install the Debian package dcmtk")?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let taken = said.matches("Received Store Response (Success)").count();
    ensure!(
        output.status.success() && taken == files.len(),
        "{taken} taken: {said}\n{}",
        site.log()
    );
    Ok(())
}

/// The files to send.
fn study(site: &Site) -> Result<Vec<PathBuf>> {
    match std::env::var_os("MEDRELAY_TEST_STUDY") {
        Some(folder) => {
            let mut files = files_below(Path::new(&folder))?;
            files.retain(|path| is_dicom(path));
            ensure!(!files.is_empty(), "MEDRELAY_TEST_STUDY names a folder without DICOM files");
            Ok(files)
        }
        None => phantom(&site.scratch("phantom")?, 20),
    }
}

/// Whether the file begins as PS3.10 7.1 says: 128 bytes, then `DICM`.
fn is_dicom(path: &Path) -> bool {
    fs::read(path).is_ok_and(|bytes| bytes.get(128..132) == Some(b"DICM"))
}

fn phantom(folder: &Path, instances: u32) -> Result<Vec<PathBuf>> {
    let spec =
        PhantomSpec { instances, rows: 256, columns: 256, ..PhantomSpec::new(Modality::Ct, 42) };
    let files = spec.iter().enumerate().map(|(index, instance)| {
        let path = folder.join(format!("{index:03}.dcm"));
        fs::write(&path, instance.to_file(None))?;
        Ok(path)
    });
    files.collect()
}

/// What the relay kept is what was in the files: DCMTK encodes both again in the same way, then every byte is compared.
async fn equal_bytes(site: &Site, api: &Api, study: &str, files: &[PathBuf]) -> Result<()> {
    let scratch = site.scratch("compare")?;
    let mut sent = Vec::new();
    for file in files {
        sent.push(data_set(file, &scratch)?);
    }
    let detail = api.get(&format!("/api/v1/studies/{study}")).await?;
    let mut compared = 0;
    for series in detail["series"].as_array().context("series")? {
        for instance in series["instances"].as_array().context("instances")? {
            let id = text(instance, "id")?;
            let path = scratch.join("kept.dcm");
            fs::write(&path, api.bytes(&format!("/api/v1/instances/{id}/dicom")).await?)?;
            let kept = data_set(&path, &scratch)?;
            ensure!(sent.contains(&kept), "instance {} is not one that was sent", instance["uid"]);
            compared += 1;
        }
    }
    ensure!(compared == files.len(), "{compared} of {} files are there", files.len());
    Ok(())
}

/// The data set of a file in DCMTK's own encoding, without meta information.
fn data_set(file: &Path, scratch: &Path) -> Result<Vec<u8>> {
    let converted = scratch.join("converted");
    run(Command::new("dcmconv").args(["-F", "+te", "-e", "-g"]).arg(file).arg(&converted))?;
    Ok(fs::read(converted)?)
}

async fn sign(reader: &Api, case: &str) -> Result<Value> {
    let claim = reader.post(&format!("/api/v1/cases/{case}/claim"), json!({})).await?;
    let held = json!({
        "proof": { "token": claim["token"], "fence": claim["fence"] },
        "text": { "findings": FINDINGS, "impression": IMPRESSION, "recommendation": "必要时复查。" },
    });
    reader.done("PUT", &format!("/api/v1/cases/{case}/draft"), Some(&held)).await?;
    let report = reader.post(&format!("/api/v1/cases/{case}/sign"), held).await?;
    let found =
        reader.get(&format!("/api/v1/reports/{}/verification", text(&report, "id")?)).await?;
    ensure!(found["holds"] == true, "{found}");
    Ok(report)
}

/// Asks again and again until `look` finds what is waited for.
async fn wait_for<T>(api: &Api, path: &str, look: impl Fn(&Value) -> Option<T>) -> Result<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = api.get(path).await?;
        if let Some(found) = look(&answer) {
            return Ok(found);
        }
        ensure!(Instant::now() < deadline, "{path} does not come to it: {answer}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The file that the PACS has written for this UID.
async fn arrival(folder: &Path, uid: &str) -> Result<PathBuf> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let named = |path: &PathBuf| path.to_string_lossy().ends_with(uid);
        if let Some(path) = files_below(folder)?.into_iter().find(named) {
            // Written in one go, but not in no time.
            tokio::time::sleep(Duration::from_millis(200)).await;
            return Ok(path);
        }
        if Instant::now() > deadline {
            bail!("the PACS did not get {uid}; it has {:?}", files_below(folder)?);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// `dciodvfy` knows what the standard wants of each kind of object.
fn valid(file: &Path) -> Result<()> {
    let output = Command::new("dciodvfy").arg("-new").arg(file).output();
    let output =
        output.context("dciodvfy is not installed: install the Debian package dicom3tools")?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let errors: Vec<&str> = said.lines().filter(|line| line.starts_with("Error")).collect();
    ensure!(errors.is_empty(), "{}: {errors:#?}", file.display());
    ensure!(output.status.success(), "{}: {said}", file.display());
    Ok(())
}

/// A text without white space: where a line is broken is the typesetter's business.
fn dense(text: &str) -> String {
    text.split_whitespace().collect()
}
