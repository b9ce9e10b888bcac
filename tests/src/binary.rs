//! The built program `medrelay` as a process: started on free ports, waited for until it is ready, killed, and started again
//! on the same data; and a plain HTTP client that sets up a small consortium in it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::process::{Peer, Ready, free_port, run};

/// How long a start may take at all, and a stop.
const LIMIT: Duration = Duration::from_secs(60);
/// How often a process without events is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(5);
/// How much of the log a failure shows, in bytes.
const TAIL_BYTES: usize = 4000;
/// Writes down which process it becomes.
const LAUNCH: &str = r#"echo $$ > "$1"; shift; exec "$@""#;
/// Password of everybody in the consortium.
const PASSWORD: &str = "correct horse battery staple 7";
/// AE title of the scanner that the consortium admits.
pub const SCANNER: &str = "CT1";
/// AE title of the clinic's PACS.
pub const PACS: &str = "PACS";
/// AE title of the relay.
pub const RELAY: &str = "MEDRELAY";

/// The ports of a relay on the loopback address.
#[derive(Debug, Clone, Copy)]
pub struct Ports {
    /// Plain HTTP.
    pub http: u16,
    /// Plain DICOM.
    pub dimse: u16,
    /// DICOM over TLS.
    pub dimse_tls: u16,
    /// HTTPS, and the link over UDP on the same number; only with [`Site::with_link`].
    pub https: u16,
}

/// A place where a relay runs: its program, its configuration, its data, and the process while there is one.
#[derive(Debug)]
pub struct Site {
    program: PathBuf,
    folder: TempDir,
    ports: Ports,
    peer: Option<Peer>,
    log: String,
}

impl Site {
    /// A fresh place. `settings` are lines of the configuration by section: `("study", "x = 1")`.
    pub fn new(settings: &[(&str, &str)]) -> Result<Self> {
        Self::laid_out(settings, "enabled = false")
    }

    /// A fresh place whose relay takes gateways, too.
    pub fn with_link(settings: &[(&str, &str)]) -> Result<Self> {
        Self::laid_out(settings, "enabled = true")
    }

    fn laid_out(settings: &[(&str, &str)], https: &str) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("medrelay-site-").tempdir()?;
        let ports = Ports {
            http: free_port()?,
            dimse: free_port()?,
            dimse_tls: free_port()?,
            https: free_port()?,
        };
        let site = Self { program: program()?, folder, ports, peer: None, log: String::new() };
        let mut sections: BTreeMap<&str, String> = BTreeMap::new();
        let own = [
            ("data", format!("dir = {:?}", site.data())),
            ("http", format!("plain_listen = \"127.0.0.1:{}\"", ports.http)),
            ("https", https.to_owned()),
            ("https", format!("listen = \"127.0.0.1:{}\"", ports.https)),
            ("dimse", format!("listen = \"127.0.0.1:{}\"", ports.dimse)),
            ("dimse", format!("tls_listen = \"127.0.0.1:{}\"", ports.dimse_tls)),
            ("log", "format = \"json\"".to_owned()),
        ];
        let given = settings.iter().map(|(section, line)| (*section, (*line).to_owned()));
        for (section, line) in own.into_iter().chain(given) {
            let lines = sections.entry(section).or_default();
            lines.push_str(&line);
            lines.push('\n');
        }
        let text: String =
            sections.iter().map(|(section, lines)| format!("[{section}]\n{lines}\n")).collect();
        fs::write(site.config(), text)?;
        Ok(site)
    }

    /// The data directory.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A folder beside the data, for what the test itself writes.
    pub fn scratch(&self, name: &str) -> Result<PathBuf> {
        let folder = self.folder.path().join(name);
        fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    /// Where it listens.
    pub fn ports(&self) -> Ports {
        self.ports
    }

    /// Starts the relay and waits until `/readyz` says so; answers how long that took.
    pub async fn start(&mut self) -> Result<Duration> {
        ensure!(self.peer.is_none(), "it runs already");
        let mut command = Command::new("sh");
        command.args(["-c", LAUNCH, "launch"]).arg(self.pid_file()).arg(&self.program);
        command.arg("--config").arg(self.config()).arg("serve").current_dir(self.folder.path());
        let begun = Instant::now();
        // Every output contains the empty text: the wait is done here, at shorter intervals.
        let mut peer = Peer::start_with(&command, Ready::Output(String::new()), "KILL", None)?;
        loop {
            if is_ready(self.ports.http).await {
                self.peer = Some(peer);
                return Ok(begun.elapsed());
            }
            if !peer.is_running() || begun.elapsed() > LIMIT {
                bail!(
                    "medrelay is not ready after {:?}: {}",
                    begun.elapsed(),
                    tail(&peer.output())
                );
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Ends the relay as a power button would: SIGKILL, no word of warning.
    pub fn kill(&mut self) -> Result<()> {
        let peer = self.peer.take().context("it does not run")?;
        drop(peer);
        Ok(())
    }

    /// Ends the relay as an operator would, and fails unless it then says that all is well.
    pub async fn stop(&mut self) -> Result<()> {
        let mut peer = self.peer.take().context("it does not run")?;
        run(Command::new("kill").arg("-TERM").arg(self.pid()?.to_string()))?;
        let begun = Instant::now();
        while peer.is_running() {
            if begun.elapsed() > LIMIT {
                bail!("medrelay does not stop: {}", tail(&peer.output()));
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        self.log = peer.output();
        ensure!(self.log.contains("ended with status 0"), "{}", tail(&self.log));
        Ok(())
    }

    /// Whether the process is there.
    pub fn is_running(&mut self) -> bool {
        self.peer.as_mut().is_some_and(Peer::is_running)
    }

    /// What the present or the last process has printed.
    pub fn log(&self) -> String {
        self.peer.as_ref().map_or_else(|| self.log.clone(), Peer::output)
    }

    /// The process id of the relay.
    pub fn pid(&self) -> Result<u32> {
        Ok(fs::read_to_string(self.pid_file())?.trim().parse()?)
    }

    /// Resident memory of the relay in KiB.
    pub fn resident_kib(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid()?))?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("no VmRSS")?;
        let number = line.split_whitespace().nth(1).context("no number")?;
        Ok(number.parse()?)
    }

    /// Runs a sub-command of the program on this configuration to its end; fails unless it ends with 0.
    pub fn command(&self, arguments: &[&str]) -> Result<String> {
        run(Command::new(&self.program).arg("--config").arg(self.config()).args(arguments))
    }

    /// The certificate of the relay's own authority.
    pub fn authority(&self) -> PathBuf {
        self.data().join("keys/ca.pem")
    }

    /// An HTTP client without a session.
    pub fn api(&self) -> Result<Api> {
        Api::new(self.ports.http)
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("medrelay.toml")
    }

    fn pid_file(&self) -> PathBuf {
        self.folder.path().join("pid")
    }
}

/// A plain JSON client of the relay's interface.
#[derive(Debug, Clone)]
pub struct Api {
    http: reqwest::Client,
    base: String,
    token: Option<String>,
}

impl Api {
    /// A client of the relay on this loopback port.
    pub fn new(port: u16) -> Result<Self> {
        // Somebody else in this process may have installed it.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let http = reqwest::Client::builder().timeout(LIMIT).no_proxy().build()?;
        Ok(Self { http, base: format!("http://127.0.0.1:{port}"), token: None })
    }

    /// The same client with the session of this account.
    pub async fn signed_in(&self, login: &str, password: &str) -> Result<Self> {
        let answer = self
            .post(
                "/api/v1/sessions",
                json!({ "login": login, "password": password, "kind": "program" }),
            )
            .await?;
        let token = text(&answer, "token")?;
        Ok(Self { token: Some(token), ..self.clone() })
    }

    /// Makes a call; answers status and body. An error means that no answer came.
    pub async fn call(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(u16, Value)> {
        let response = self.request(method, path, body)?.send().await?;
        let status = response.status().as_u16();
        let bytes = response.bytes().await?;
        Ok((status, serde_json::from_slice(&bytes).unwrap_or(Value::Null)))
    }

    /// A call that must succeed.
    pub async fn done(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        let (status, answer) = self.call(method, path, body).await?;
        ensure!((200..300).contains(&status), "{method} {path}: {status} {answer}");
        Ok(answer)
    }

    /// GET that must succeed.
    pub async fn get(&self, path: &str) -> Result<Value> {
        self.done("GET", path, None).await
    }

    /// POST that must succeed.
    pub async fn post(&self, path: &str, body: Value) -> Result<Value> {
        self.done("POST", path, Some(&body)).await
    }

    /// GET of bytes that must succeed.
    pub async fn bytes(&self, path: &str) -> Result<Vec<u8>> {
        let response = self.request("GET", path, None)?.send().await?;
        ensure!(response.status().is_success(), "GET {path}: {}", response.status());
        Ok(response.bytes().await?.to_vec())
    }

    /// Every item of a list, page by page. `path` may carry a query already.
    pub async fn all(&self, path: &str) -> Result<Vec<Value>> {
        let mut items = Vec::new();
        let mut after = String::new();
        let joint = if path.contains('?') { '&' } else { '?' };
        loop {
            let page = self.get(&format!("{path}{joint}limit=200{after}")).await?;
            items.extend(page["items"].as_array().context("a page has items")?.iter().cloned());
            match page["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => return Ok(items),
            }
        }
    }

    fn request(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<reqwest::RequestBuilder> {
        let method = reqwest::Method::from_bytes(method.as_bytes())?;
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        Ok(match body {
            Some(body) => request.json(body),
            None => request,
        })
    }
}

/// A lead hospital, a clinic with a scanner, their agreement, and people with sessions.
#[derive(Debug, Clone)]
pub struct Consortium {
    /// Administers everything.
    pub admin: Api,
    /// Signs alone at the centre, and coordinates there.
    pub reader: Api,
    /// Technician and doctor of the clinic.
    pub clinician: Api,
    /// The clinic.
    pub clinic: String,
    /// The lead hospital.
    pub centre: String,
    /// The agreement between them.
    pub agreement: String,
}

impl Consortium {
    /// Sets it up in a relay that has just had its first start. `pacs` is the port of the clinic's PACS.
    pub async fn found(site: &Site, pacs: Option<u16>) -> Result<Self> {
        let api = site.api()?;
        let ticket = set_up_token(site).await?;
        let body = json!({
            "token": ticket, "hospital": "Lead Hospital", "name": "Admin", "login": "admin", "password": PASSWORD,
        });
        api.post("/api/v1/setup", body).await?;
        let admin = api.signed_in("admin", PASSWORD).await?;
        let organizations = admin.all("/api/v1/organizations").await?;
        let centre = text(organizations.first().context("the lead hospital")?, "id")?;
        let body = json!({ "parent": centre, "kind": "township_clinic", "name": "青山镇卫生院" });
        let clinic = text(&admin.post("/api/v1/organizations", body).await?, "id")?;
        person(&admin, "reader", &centre, &["verifier", "reporter", "coordinator"]).await?;
        person(&admin, "clinician", &clinic, &["technician", "clinic_doctor"]).await?;
        let body = json!({
            "clinic": clinic, "centre": centre, "modalities": [], "policy": "single_senior",
            "limits": { "stat_minutes": 60, "urgent_minutes": 120, "routine_minutes": 240 }, "weight": 1,
        });
        let agreement = text(&admin.post("/api/v1/agreements", body).await?, "id")?;
        let body = json!({ "clinic": clinic, "name": "CT", "ae_title": SCANNER });
        admin.post("/api/v1/devices", body).await?;
        if let Some(port) = pacs {
            let address =
                json!({ "ae_title": PACS, "host": "127.0.0.1", "port": port, "tls": false });
            let body = json!({ "route": "dicom", "name": "PACS", "address": address });
            admin.post(&format!("/api/v1/agreements/{agreement}/destinations"), body).await?;
        }
        let reader = api.signed_in("reader", PASSWORD).await?;
        let clinician = api.signed_in("clinician", PASSWORD).await?;
        Ok(Self { admin, reader, clinician, clinic, centre, agreement })
    }

    /// SHA-256 (hex) of every data set that the relay gives out to the clinic, read now, and of those that it has put aside.
    pub async fn kept_hashes(&self) -> Result<BTreeSet<String>> {
        let mut hashes = BTreeSet::new();
        for study in self.clinician.all("/api/v1/studies").await? {
            let path = format!("/api/v1/studies/{}", text(&study, "id")?);
            let detail = self.clinician.get(&path).await?;
            for series in detail["series"].as_array().context("series")? {
                for instance in series["instances"].as_array().context("instances")? {
                    let id = text(instance, "id")?;
                    let path = format!("/api/v1/instances/{id}/dicom?part=dataset");
                    let bytes = self.clinician.bytes(&path).await?;
                    hashes.insert(medrelay_core::report::sha256_hex(&bytes));
                }
            }
        }
        for object in self.clinician.all("/api/v1/quarantine").await? {
            hashes.insert(text(&object, "sha256")?);
        }
        Ok(hashes)
    }
}

/// Compares what `send_test_files.py` says it sent with the hashes that are kept: how many files are there as they were made,
/// and in which transfer syntaxes. Fails on a file that was acknowledged and is nowhere, and on one refused without a reason.
pub fn came_back_equal(
    sent: &[Value],
    kept: &BTreeSet<String>,
) -> Result<(usize, BTreeSet<String>)> {
    let (mut equal, mut syntaxes) = (0, BTreeSet::new());
    let unexpected = |it: &&Value| it["status"] != 0 && !it["expected_refusal"].is_string();
    let refused: Vec<String> = (sent.iter().filter(unexpected))
        .map(|it| format!("{} ({})", it["file"], it["comment"]))
        .collect();
    ensure!(refused.is_empty(), "refused without a known reason: {}", refused.join(", "));
    for object in sent.iter().filter(|it| it["status"] == 0) {
        ensure!(
            kept.contains(&text(object, "sha256")?),
            "{object} was acknowledged and is nowhere"
        );
        syntaxes.insert(object["transfer_syntax"].to_string());
        equal += 1;
    }
    Ok((equal, syntaxes))
}

/// A member of a JSON object that must be a text.
pub fn text(object: &Value, member: &str) -> Result<String> {
    let found = object[member].as_str();
    Ok(found.with_context(|| format!("no text {member:?} in {object}"))?.to_owned())
}

async fn person(admin: &Api, login: &str, organization: &str, roles: &[&str]) -> Result<()> {
    let grant = |role: &&str| json!({ "organization": organization, "role": role });
    let grants: Vec<Value> = roles.iter().map(grant).collect();
    let body = json!({
        "login": login, "name": login, "password": PASSWORD, "modalities": [], "grants": grants,
    });
    admin.post("/api/v1/people", body).await?;
    Ok(())
}

/// The secret of the set-up link, which the first start prints a moment after it is ready.
async fn set_up_token(site: &Site) -> Result<String> {
    const BEFORE: &str = "/setup#";
    let begun = Instant::now();
    loop {
        let log = site.log();
        let rest = log.find(BEFORE).map(|at| &log[at + BEFORE.len()..]);
        // The line is whole once something follows it.
        if let Some((token, _)) = rest.and_then(|rest| rest.split_once(char::is_whitespace)) {
            return Ok(token.to_owned());
        }
        ensure!(begun.elapsed() < LIMIT, "no set-up link in: {}", tail(&log));
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// The program beside this test, as `cargo build -p medrelay` leaves it; `MEDRELAY_BINARY` names another one.
pub fn program() -> Result<PathBuf> {
    let beside = || -> Option<PathBuf> {
        let test = std::env::current_exe().ok()?;
        Some(test.parent()?.parent()?.join("medrelay"))
    };
    let named = std::env::var_os("MEDRELAY_BINARY").map(PathBuf::from);
    let program = named.or_else(beside).context("this test does not know where it lies")?;
    if !program.is_file() {
        bail!("{} is missing: run `cargo build -p medrelay` first", program.display());
    }
    Ok(program)
}

/// Asks `/readyz` without a client library, so that nothing is cached, kept open or retried.
async fn is_ready(port: u16) -> bool {
    let ask = async {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream
            .write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        std::io::Result::Ok(answer.starts_with(b"HTTP/1.1 200"))
    };
    tokio::time::timeout(Duration::from_secs(5), ask).await.is_ok_and(|said| said.unwrap_or(false))
}

fn tail(text: &str) -> &str {
    &text[text.ceil_char_boundary(text.len().saturating_sub(TAIL_BYTES))..]
}

/// Every regular file below `folder`.
pub fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let path = entry?.path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    Ok(files)
}
