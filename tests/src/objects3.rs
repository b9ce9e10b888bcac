//! A real S3 server over HTTP: moto's, from the Python environment that `make peers` installs.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Result, anyhow, bail, ensure};

use crate::process::{Peer, Ready, free_port};

/// Ports tried: another process may take one between our asking and the server's binding.
const START_ATTEMPTS: usize = 3;

static SERVER: OnceLock<Result<S3Server, String>> = OnceLock::new();
static BUCKETS: AtomicU64 = AtomicU64::new(0);

/// An S3 server on a loopback port that keeps everything in its memory. It ends when dropped.
#[derive(Debug)]
pub struct S3Server {
    port: u16,
    peer: Peer,
}

/// An empty bucket and how to enter it.
#[derive(Debug, Clone)]
pub struct S3Bucket {
    /// Address of the server, `http://127.0.0.1:port`.
    pub endpoint: String,
    /// Name of the bucket.
    pub name: String,
    /// Region to sign for.
    pub region: String,
    /// Access key id; the server accepts any.
    pub access_key: String,
    /// Secret access key; the server accepts any.
    pub secret_key: String,
}

impl S3Server {
    /// A new bucket on this process's server, which is started at the first call.
    pub async fn bucket() -> Result<S3Bucket> {
        let server = tokio::task::spawn_blocking(|| {
            SERVER
                .get_or_init(|| Self::start().map_err(|error| format!("{error:#}")))
                .as_ref()
                .map_err(|text| anyhow!("{text}"))
        })
        .await??;
        server.new_bucket().await
    }

    /// Starts a server of one's own, for tests that stop it.
    pub fn start() -> Result<Self> {
        let python = peers_python()?;
        let mut attempts = 1;
        loop {
            let port = free_port()?;
            let mut command = Command::new(&python);
            command.args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &port.to_string()]);
            match Peer::start(&command, Ready::Tcp(port)) {
                Ok(peer) => return Ok(Self { port, peer }),
                Err(error) if attempts == START_ATTEMPTS => return Err(error),
                Err(_) => attempts += 1,
            }
        }
    }

    /// A new bucket on this server.
    pub async fn new_bucket(&self) -> Result<S3Bucket> {
        let bucket = S3Bucket {
            endpoint: format!("http://127.0.0.1:{}", self.port),
            name: format!("test-{}", BUCKETS.fetch_add(1, Ordering::Relaxed)),
            region: "us-east-1".into(),
            access_key: "test".into(),
            secret_key: "test".into(),
        };
        let answer = reqwest::Client::new()
            .put(format!("{}/{}", bucket.endpoint, bucket.name))
            .send()
            .await?;
        ensure!(answer.status().is_success(), "no bucket: {}", answer.status());
        Ok(bucket)
    }

    /// What the server has logged: one line per request.
    pub fn log(&self) -> String {
        self.peer.output()
    }
}

/// The Python that has the peers: `MEDRELAY_PEERS_PYTHON`, else the environment that `make peers` makes.
pub fn peers_python() -> Result<PathBuf> {
    if let Some(python) = std::env::var_os("MEDRELAY_PEERS_PYTHON") {
        return Ok(python.into());
    }
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/peers-venv/bin/python");
    if !python.exists() {
        bail!(
            "the Python peers are not installed ({} is missing): run `make peers`",
            python.display()
        );
    }
    Ok(python)
}
