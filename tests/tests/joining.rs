//! The built gateway meets its relay: what a wrong code says, how soon a gateway is shut out, and how soon what the centre
//! writes is at the clinic.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use medrelay_core::transfer::join::JoinCode;
use medrelay_dicom::phantom::{Modality, PhantomSpec};
use medrelay_tests::binary::{Api, Consortium, Site, text};
use medrelay_tests::gateway_site::{GatewaySite, join_code};
use medrelay_tests::process::free_port;
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(60);
/// The exit codes of the gateway.
const UNREACHABLE: i32 = 3;
const REFUSED: i32 = 4;
/// How soon a revoked gateway is cut off; a second more for a machine that is shared with other tests.
const CUT_OFF: Duration = Duration::from_secs(6);

async fn relay() -> Result<(Site, Consortium)> {
    let mut site = Site::with_link(&[("disk", "reserve_mib = 16")])?;
    site.start().await?;
    let people = Consortium::found(&site, None).await?;
    Ok((site, people))
}

/// Tries to join with a fresh machine; the exit code and what it says.
fn join(url: &str, code: &str) -> Result<(i32, String)> {
    let machine = GatewaySite::new("", "")?;
    let output = machine.invocation().args(["join", url, code, "--no-test"]).output()?;
    let said = [output.stdout, output.stderr].concat();
    ensure!(
        output.status.success() || !machine.data().join("identity").exists(),
        "an identity was left behind"
    );
    Ok((output.status.code().unwrap_or(-1), String::from_utf8_lossy(&said).into_owned()))
}

#[tokio::test(flavor = "multi_thread")]
async fn codes_that_are_not_good_fail_and_say_why() -> Result<()> {
    let (mut site, people) = relay().await?;
    let url = format!("https://127.0.0.1:{}", site.ports().https);
    // As an administrator makes it at the relay itself.
    let made = site.command(&["--json", "clinic", "join-code", "--clinic", &people.clinic])?;
    let made: Value = serde_json::from_str(&made)?;
    let code = text(&made, "code")?;

    let machine = GatewaySite::new("", "")?;
    let said = machine.command(&["join", &url, &code, "--no-test"])?;
    ensure!(said.contains("青山镇卫生院") && said.contains("AE title"), "{said}");
    for file in fs::read_dir(machine.data().join("identity"))? {
        let file = file?;
        let mode = file.metadata()?.permissions().mode() & 0o777;
        let is_key = fs::read_to_string(file.path())?.contains("PRIVATE KEY");
        ensure!(!is_key || mode == 0o600, "{:?} can be read by others: {mode:o}", file.file_name());
    }
    let (ended, said) = join(&url, &code)?;
    ensure!(ended == REFUSED && said.contains("refuses"), "used: {ended} {said}");

    // A slip of the finger is found here, without asking anybody.
    let code = join_code(&people, &people.clinic).await?;
    let slip = if code.ends_with('7') { "8" } else { "7" };
    let mistyped = format!("{}{slip}", &code[..code.len() - 1]);
    let nobody = format!("https://127.0.0.1:{}", free_port()?);
    let (ended, said) = join(&nobody, &mistyped)?;
    ensure!(ended == REFUSED && said.contains("mistyped"), "mistyped: {ended} {said}");
    let (ended, said) = join(&nobody, &code)?;
    ensure!(ended == UNREACHABLE && said.contains("nobody answers"), "{ended} {said}");

    // A relay that the code is not for gets nothing secret.
    let parsed = JoinCode::parse(&code)?;
    let other = JoinCode { authority: [7; 8], ..parsed.clone() }.to_text();
    let (ended, said) = join(&url, &other)?;
    ensure!(ended == UNREACHABLE && said.contains("not the relay"), "{ended} {said}");

    // Five guesses lock it, and then the right one does not help.
    for guess in 0..5 {
        let guessed = JoinCode { secret: [guess; 16], ..parsed.clone() }.to_text();
        let (ended, said) = join(&url, &guessed)?;
        ensure!(ended == REFUSED, "guessed: {ended} {said}");
    }
    let (ended, said) = join(&url, &code)?;
    ensure!(ended == REFUSED, "locked: {ended} {said}");
    site.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_gateway_is_cut_off_and_says_so() -> Result<()> {
    let (mut site, people) = relay().await?;
    let relay = ([127, 0, 0, 1], site.ports().https).into();
    let mut gateway = GatewaySite::joined(&site, &people, relay).await?;
    gateway.start().await?;
    gateway.wait_until(PATIENCE, "connected", |status| status["link"]["state"] == "up").await?;
    let listed = people.admin.all("/api/v1/gateways").await?;
    ensure!(listed.len() == 1, "{listed:?}");
    let path = format!("/api/v1/gateways/{}/revoke", text(&listed[0], "id")?);
    people.admin.post(&path, json!({})).await?;
    let begun = Instant::now();
    let stopped = |status: &Value| status["link"]["state"] == "stopped";
    let status = gateway.wait_until(PATIENCE, "cut off", stopped).await?;
    let took = begun.elapsed();
    println!("a revoked gateway was cut off after {took:.1?}");
    ensure!(took < CUT_OFF, "{took:?}");
    ensure!(status["problem"]["detail"].as_str().is_some_and(|said| !said.is_empty()), "{status}");

    // It may not come back, and what modalities send is safe all the same.
    gateway.kill()?;
    gateway.start().await?;
    gateway.wait_until(PATIENCE, "refused", stopped).await?;
    let echo = gateway.invocation().arg("echo").output()?;
    let said = String::from_utf8_lossy(&echo.stderr).into_owned();
    ensure!(echo.status.code() == Some(REFUSED) && !said.is_empty(), "{:?} {said}", echo.status);
    site.stop().await
}

/// The only case in the queue; it opens when the study has been matched.
async fn queued(reader: &Api) -> Result<String> {
    let begun = Instant::now();
    loop {
        let queue = reader.get("/api/v1/queue").await?;
        if let Ok(case) = text(&queue["items"][0]["case"], "id") {
            return Ok(case);
        }
        ensure!(begun.elapsed() < PATIENCE, "no case: {queue}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn sign(reader: &Api, case: &str) -> Result<()> {
    let claim = reader.post(&format!("/api/v1/cases/{case}/claim"), json!({})).await?;
    let held = json!({
        "proof": { "token": claim["token"], "fence": claim["fence"] },
        "text": { "findings": "双肺纹理清晰。", "impression": "未见异常。", "recommendation": "" },
    });
    reader.post(&format!("/api/v1/cases/{case}/sign"), held).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_centre_writes_is_at_the_clinic_within_seconds() -> Result<()> {
    let (mut site, people) = relay().await?;
    let relay = ([127, 0, 0, 1], site.ports().https).into();
    let mut gateway = GatewaySite::joined(&site, &people, relay).await?;
    gateway.start().await?;
    let folder: PathBuf = site.scratch("study")?;
    let spec =
        PhantomSpec { instances: 3, rows: 64, columns: 64, ..PhantomSpec::new(Modality::Ct, 41) };
    for (number, instance) in spec.iter().enumerate() {
        fs::write(folder.join(format!("{number}.dcm")), instance.to_file(None))?;
    }
    gateway.command(&["send", "--wait", "0", &folder.to_string_lossy()]).ok();
    gateway.wait_until_committed(1, PATIENCE).await?;
    let case = queued(&people.reader).await?;

    let item = |kind: &'static str| {
        move |status: &Value| {
            let items = status["items"].as_array();
            items.is_some_and(|items| items.iter().any(|item| item["kind"] == kind))
        }
    };
    let message = json!({ "kind": "return_request", "code": "POSITIONING", "text": "请重照侧位" });
    people.reader.post(&format!("/api/v1/cases/{case}/messages"), message).await?;
    let begun = Instant::now();
    gateway.wait_until(PATIENCE, "asked to do it again", item("return_request")).await?;
    let asked = begun.elapsed();
    sign(&people.reader, &case).await?;
    let begun = Instant::now();
    let status = gateway.wait_until(PATIENCE, "reported", item("report")).await?;
    let reported = begun.elapsed();
    println!("a return request came after {asked:.1?}, a signed report after {reported:.1?}");
    ensure!(asked.max(reported) < Duration::from_secs(15), "{asked:?} {reported:?}");

    let items = status["items"].as_array().context("items")?;
    let of = |kind: &str| items.iter().find(|it| it["kind"] == kind).context("an item");
    let request = of("return_request")?;
    ensure!(request["code"] == "POSITIONING" && request["text"] == "请重照侧位", "{request}");
    let report = of("report")?;
    ensure!(report["media_type"] == "application/pdf", "{report}");
    let url = format!("http://127.0.0.1:{}/items/{}", gateway.page(), text(report, "id")?);
    let client = reqwest::Client::builder().no_proxy().build()?;
    let pdf = client.get(url).send().await?.error_for_status()?.bytes().await?;
    ensure!(pdf.starts_with(b"%PDF-"), "{} bytes that are no PDF", pdf.len());

    // Once is enough: neither comes again after a restart.
    gateway.kill()?;
    gateway.start().await?;
    gateway.wait_until(PATIENCE, "connected", |status| status["link"]["state"] == "up").await?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let status = gateway.status().await?;
    ensure!(status["items"].as_array().is_some_and(|items| items.len() == 2), "{status}");
    site.stop().await
}
