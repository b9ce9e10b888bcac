//! The built program `medrelay-gateway` as a process at a clinic: it joins a relay, runs, is killed and started again on the
//! same data, and tells how it is.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::binary::{Consortium, Site, program};
use crate::process::{Peer, Ready, free_port, run};

/// How long a start may take, and the wait for a study at most.
const LIMIT: Duration = Duration::from_secs(60);
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// A clinic's machine with the gateway's data, and the process while it runs.
#[derive(Debug)]
pub struct GatewaySite {
    program: PathBuf,
    folder: TempDir,
    dimse: u16,
    page: u16,
    peer: Option<Peer>,
}

impl GatewaySite {
    /// A machine with a gateway that has not joined yet. `settings` are lines of `gateway.toml` at its top, `tables` at its
    /// end.
    pub fn new(settings: &str, tables: &str) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("medrelay-gateway-").tempdir()?;
        let program = program()?.with_file_name("medrelay-gateway");
        ensure!(
            program.is_file(),
            "{} is missing: run `cargo build --workspace` first",
            program.display()
        );
        let site = Self { program, folder, dimse: free_port()?, page: free_port()?, peer: None };
        fs::create_dir_all(site.data())?;
        let text = format!(
            "language = \"en\"\nlisten = \"127.0.0.1:{}\"\npage = \"127.0.0.1:{}\"\n{settings}\n{tables}\n",
            site.dimse, site.page
        );
        fs::write(site.data().join("gateway.toml"), text)?;
        Ok(site)
    }

    /// A machine that has joined `site` for the consortium's clinic; `by` is the address that it reaches the relay at.
    pub async fn joined(site: &Site, people: &Consortium, by: SocketAddr) -> Result<Self> {
        Self::joined_with(site, people, by, "", "[spool]\nreserve_mib = 0\nsettle_seconds = 1")
            .await
    }

    /// As [`GatewaySite::joined`], with settings.
    pub async fn joined_with(
        site: &Site,
        people: &Consortium,
        by: SocketAddr,
        settings: &str,
        tables: &str,
    ) -> Result<Self> {
        let gateway = Self::new(settings, tables)?;
        let code = join_code(people, &people.clinic).await?;
        // Joining itself is not what is made difficult.
        let url = format!("https://127.0.0.1:{}", site.ports().https);
        gateway.command(&["join", &url, &code, "--no-test"])?;
        gateway.reach_by(by)?;
        Ok(gateway)
    }

    /// From now on the relay is reached at this address, over UDP and TCP.
    pub fn reach_by(&self, address: SocketAddr) -> Result<()> {
        reach_by(&self.data(), address)
    }

    /// The data directory.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The port that modalities send to.
    pub fn dimse(&self) -> u16 {
        self.dimse
    }

    /// The port of the status page.
    pub fn page(&self) -> u16 {
        self.page
    }

    /// The program with its data directory, for further arguments.
    pub fn invocation(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--data").arg(self.data()).current_dir(self.folder.path());
        command.env("MEDRELAY_LOG", "info");
        command
    }

    /// Runs a sub-command to its end; fails unless it ends with 0.
    pub fn command(&self, arguments: &[&str]) -> Result<String> {
        run(self.invocation().args(arguments))
    }

    /// Starts `run` and waits until the status page answers.
    pub async fn start(&mut self) -> Result<()> {
        ensure!(self.peer.is_none(), "it runs already");
        let mut command = self.invocation();
        command.arg("run");
        let mut peer = Peer::start_with(&command, Ready::Output(String::new()), "KILL", None)?;
        let begun = Instant::now();
        while self.status().await.is_err() {
            if !peer.is_running() || begun.elapsed() > LIMIT {
                bail!("the gateway does not start: {}", peer.output());
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        self.peer = Some(peer);
        Ok(())
    }

    /// Ends the gateway as a power button would.
    pub fn kill(&mut self) -> Result<()> {
        drop(self.peer.take().context("it does not run")?);
        Ok(())
    }

    /// Whether the process is there.
    pub fn is_running(&mut self) -> bool {
        self.peer.as_mut().is_some_and(Peer::is_running)
    }

    /// What it has printed.
    pub fn log(&self) -> String {
        self.peer.as_ref().map_or_else(String::new, Peer::output)
    }

    /// What the status page shows.
    pub async fn status(&self) -> Result<Value> {
        let url = format!("http://127.0.0.1:{}/status.json", self.page);
        let client = reqwest::Client::builder().no_proxy().timeout(LIMIT).build()?;
        Ok(client.get(url).send().await?.error_for_status()?.json().await?)
    }

    /// Waits until the status is as `wanted`; fails with what it shows otherwise, after `limit`.
    pub async fn wait_until(
        &self,
        limit: Duration,
        what: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        let begun = Instant::now();
        loop {
            let status = self.status().await?;
            if wanted(&status) {
                return Ok(status);
            }
            ensure!(
                begun.elapsed() < limit,
                "not {what} after {limit:?}: {status}\n{}",
                self.log()
            );
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Waits until every study is committed.
    pub async fn wait_until_committed(&self, studies: usize, limit: Duration) -> Result<Value> {
        let done = |study: &Value| study["state"] == "committed";
        self.wait_until(limit, "committed", |status| {
            let all = status["studies"].as_array();
            all.is_some_and(|all| all.len() >= studies && all.iter().all(done))
        })
        .await
    }

    /// `send` with these paths: the summary that it ends with, whatever its exit code.
    pub fn send(&self, paths: &[&Path], more: &[&str]) -> Result<(Value, i32)> {
        let mut command = self.invocation();
        command.args(["--json", "send"]).args(paths).args(more);
        let output = command.output()?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let line = said.lines().last().unwrap_or_default();
        let summary = serde_json::from_str(line).with_context(|| {
            format!("no summary: {said}{}", String::from_utf8_lossy(&output.stderr))
        })?;
        Ok((summary, output.status.code().unwrap_or(-1)))
    }
}

/// Changes the address at which a gateway with this data reaches its relay, over UDP and TCP.
pub fn reach_by(data: &Path, address: SocketAddr) -> Result<()> {
    let path = data.join("identity/relay.json");
    let mut relay: Value = serde_json::from_slice(&fs::read(&path)?)?;
    relay["host"] = address.ip().to_string().into();
    relay["tcp_port"] = address.port().into();
    relay["udp_port"] = address.port().into();
    Ok(fs::write(path, serde_json::to_vec(&relay)?)?)
}

/// A join code for a clinic, made by its administrator.
pub async fn join_code(people: &Consortium, clinic: &str) -> Result<String> {
    let path = format!("/api/v1/clinics/{clinic}/join-codes");
    let made = people.admin.post(&path, serde_json::json!({})).await?;
    crate::binary::text(&made, "code")
}
