//! The gateway: a DICOM node for the clinic's modalities in front, the link to the relay behind,
//! a spool between them. Everything that `medrelay-gateway` does is here.

mod config;
mod import;
mod page;
mod provider;
mod run;
mod send;
mod status;
mod watch;
mod words;

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use clap::{Parser, Subcommand};

use self::config::{Config, EXAMPLE, Soon};
use self::send::SendArgs;
use self::status::{Watcher, addresses};
use self::words::Words;
use crate::link::{self, Ambient, Identity, JoinError, Link, LinkState, join, selftest};
use crate::spool::Spool;

/// How a command ended; the exit codes that DCMTK and dcm4che users expect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All done.
    Done,
    /// Some of it failed.
    SomeFailed,
    /// The other side cannot be reached.
    Unreachable,
    /// The other side refused.
    Refused,
}

impl Outcome {
    /// Exit code of a command that failed in part or as a whole.
    pub const SOME_FAILED: u8 = 2;

    /// The exit code: 0 all done, 2 some failed, 3 unreachable, 4 refused (1 is a usage error).
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::SomeFailed => Self::SOME_FAILED,
            Self::Unreachable => 3,
            Self::Refused => 4,
        }
    }
}

/// The clinic's gateway: takes studies from modalities, brings them to the lead hospital over a
/// bad line, brings reports back.
#[derive(Debug, Parser)]
#[command(name = "medrelay-gateway", version, max_term_width = 100)]
pub struct Cli {
    /// Where the gateway keeps its key, its settings and what waits.
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        default_value = "medrelay-gateway-data",
        env = "MEDRELAY_GATEWAY_DATA"
    )]
    data: PathBuf,
    /// Print JSON instead of text for people.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Join a relay with the one-time code that its administrator gave you, then test everything.
    Join {
        /// The relay, such as https://relay.example.org:8443
        url: String,
        /// The code.
        code: String,
        /// What the relay's administrators see; this machine's name without it.
        #[arg(long)]
        name: Option<String>,
        /// Join only; do not test the line.
        #[arg(long)]
        no_test: bool,
    },
    /// Test clock, names, line and disk, and send a test image.
    Test,
    /// Run: take studies from modalities and watched folders, send them, keep what comes back.
    Run,
    /// Send files, folders, ZIP archives or a CD, and wait for the receipt.
    Send(SendArgs),
    /// What waits, what is done, what went wrong last.
    Status,
    /// What looks wrong and waits for your decision.
    Review,
    /// Decide: send what looks wrong in a study after all.
    Approve {
        /// The study's number, from `review`.
        study: u64,
    },
    /// Decide: leave out what looks wrong in a study.
    LeaveOut {
        /// The study's number, from `review`.
        study: u64,
    },
    /// Remove a study that is not under way; its files go.
    Remove {
        /// The study's number, from `status --json`.
        study: u64,
    },
    /// Say how soon a study goes; it overtakes what is under way.
    Urgency {
        /// The study's number, from `status --json`.
        study: u64,
        /// How soon.
        #[arg(value_enum)]
        urgency: Soon,
    },
    /// Ask the relay whether it is there (connects and greets).
    Echo,
    /// Print every setting with its default.
    Config,
}

/// Runs a command.
pub async fn run(cli: Cli) -> anyhow::Result<Outcome> {
    let Cli { data, json, command } = cli;
    crate::client::install_cryptography();
    match command {
        Command::Join { url, code, name, no_test } => {
            join_relay(&data, &url, &code, name, no_test, json).await
        }
        Command::Test => self_test(&data, json).await,
        Command::Run => run::run(&data).await,
        Command::Send(args) => send::send(&data, &args, json).await,
        Command::Status => show_status(&data, json).await,
        Command::Review => review(&data, json).await,
        Command::Approve { study } => {
            open_spool(&data).await?.send_flagged(study).await?;
            Ok(Outcome::Done)
        }
        Command::LeaveOut { study } => {
            open_spool(&data).await?.leave_out_flagged(study).await?;
            Ok(Outcome::Done)
        }
        Command::Remove { study } => {
            open_spool(&data).await?.remove_study(study).await?;
            Ok(Outcome::Done)
        }
        Command::Urgency { study, urgency } => {
            open_spool(&data).await?.set_urgency(study, urgency.into()).await?;
            Ok(Outcome::Done)
        }
        Command::Echo => echo(&data, json).await,
        Command::Config => {
            print!("{EXAMPLE}");
            Ok(Outcome::Done)
        }
    }
}

async fn join_relay(
    data: &Path,
    url: &str,
    code: &str,
    name: Option<String>,
    no_test: bool,
    json: bool,
) -> anyhow::Result<Outcome> {
    std::fs::create_dir_all(data).with_context(|| format!("cannot make {}", data.display()))?;
    let config = Config::load(data)?;
    let name = name.unwrap_or_else(machine_name);
    let joined = match join(url, code, &name, data, &Ambient::system()).await {
        Ok(joined) => joined,
        Err(error @ (JoinError::Unreachable(_) | JoinError::OtherRelay)) => {
            eprintln!("medrelay-gateway: {error}");
            return Ok(Outcome::Unreachable);
        }
        Err(error @ (JoinError::Refused(_) | JoinError::Code(_))) => {
            eprintln!("medrelay-gateway: {error}");
            return Ok(Outcome::Refused);
        }
        Err(error) => return Err(error.into()),
    };
    let relay = joined.identity.relay();
    if json {
        let joined = serde_json::json!({ "gateway": relay.gateway, "clinic": relay.clinic, "clinic_name": relay.clinic_name });
        println!("{joined}");
    }
    let tested = if no_test { Outcome::Done } else { self_test(data, json).await? };
    if !json {
        let ips: Vec<String> =
            addresses(Some(config.listen)).iter().map(ToString::to_string).collect();
        let words = Words::of(config.language);
        let port = config.listen.port();
        println!("{}", words.joined(&relay.clinic_name, &config.ae_title, port, &ips.join(", ")));
    }
    Ok(tested)
}

async fn self_test(data: &Path, json: bool) -> anyhow::Result<Outcome> {
    let language = Config::load(data)?.language.into();
    let report = selftest::run(data, &Ambient::system()).await?;
    let mut lines = Vec::with_capacity(report.findings.len());
    for finding in &report.findings {
        let link::words::Sentence { check, seen, advice } = link::words::finding(finding, language);
        let verdict = link::words::verdict(finding.verdict, language);
        if !json {
            println!("{verdict}  {check}: {seen}");
            if let Some(advice) = &advice {
                println!("      {advice}");
            }
        }
        lines.push(serde_json::json!({ "check": check, "verdict": format!("{:?}", finding.verdict).to_lowercase(), "seen": seen, "advice": advice }));
    }
    if json {
        println!("{}", serde_json::Value::from(lines));
    }
    let failed = report.verdict() == selftest::Verdict::Bad;
    Ok(if failed { Outcome::SomeFailed } else { Outcome::Done })
}

async fn show_status(data: &Path, json: bool) -> anyhow::Result<Outcome> {
    let config = Config::load(data)?;
    // A gateway that runs knows more than the disk; its page says it.
    let status = match running_status(&config).await {
        Some(status) => status,
        None => {
            let identity = Identity::load(data)?;
            let clinic = identity.relay().clinic_name.clone();
            let (_, link) = tokio::sync::watch::channel(LinkState::default());
            let spool = open_spool(data).await?;
            let watcher = Watcher::new(spool, config.clone(), clinic, None, link);
            serde_json::to_value(watcher.status().await?)?
        }
    };
    if json {
        println!("{status}");
    } else {
        println!("{}", Words::of(config.language).status(&status));
    }
    Ok(Outcome::Done)
}

async fn running_status(config: &Config) -> Option<serde_json::Value> {
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(std::time::Duration::from_secs(2))
        .build()
        .ok()?;
    let answer = client.get(format!("http://{}/status.json", config.page)).send().await.ok()?;
    answer.error_for_status().ok()?.json().await.ok()
}

async fn review(data: &Path, json: bool) -> anyhow::Result<Outcome> {
    let words = Words::of(Config::load(data)?.language);
    let spool = open_spool(data).await?;
    let flagged = spool.flagged().await?;
    if json {
        println!("{}", serde_json::to_string(&flagged)?);
    } else if flagged.is_empty() {
        println!("{}", words.nothing_to_decide());
    } else {
        for object in flagged {
            let patient = spool.line(object.study).await?.patient;
            println!(
                "{}  {patient}  {}  {}",
                object.study,
                words.flag(&object.flag),
                object.sop_instance
            );
        }
    }
    Ok(Outcome::Done)
}

/// Connects and greets, and nothing more.
async fn echo(data: &Path, json: bool) -> anyhow::Result<Outcome> {
    let language = Config::load(data)?.language.into();
    let identity = Identity::load(data)?;
    let shelf = Arc::new(link::MemoryShelf::default());
    let begun = tokio::time::Instant::now();
    let link = Link::start(identity, shelf, link::Settings::default(), Ambient::system());
    let mut state = link.state();
    let settled = state.wait_for(|state| state.phase != link::Phase::Connecting);
    let greeted = tokio::time::timeout(ECHO_TIME, settled).await;
    let connected = matches!(&greeted, Ok(Ok(state)) if state.phase == link::Phase::Connected);
    drop(greeted);
    let took = begun.elapsed();
    let state = state.borrow().clone();
    link.stop().await;
    if !connected {
        if let Some((_, problem)) = &state.last_problem {
            eprintln!("medrelay-gateway: {}", link::words::problem(problem, language));
        }
        let refused = matches!(state.phase, link::Phase::Stopped(Some(_)));
        return Ok(if refused { Outcome::Refused } else { Outcome::Unreachable });
    }
    let (carrier, micros) = (status::carrier_name(state.carrier), took.as_micros());
    if json {
        println!(
            "{}",
            serde_json::json!({ "carrier": carrier, "micros": micros, "clinic": state.clinic_name })
        );
    } else {
        println!("{}  {carrier}  {took:.0?}", state.clinic_name);
    }
    Ok(Outcome::Done)
}

/// How long `echo` waits for an answer.
const ECHO_TIME: std::time::Duration = std::time::Duration::from_secs(15);

async fn open_spool(data: &Path) -> anyhow::Result<Spool> {
    let config = Config::load(data)?;
    let ambient = Ambient::system();
    let (clock, entropy) = (Arc::clone(&ambient.clock), Arc::clone(&ambient.entropy));
    Ok(Spool::open(&data.join("spool"), config.spool(), clock, entropy).await?)
}

/// What the link is told of the clinic's settings.
fn link_settings(config: &Config) -> anyhow::Result<link::Settings> {
    let ceilings = config.ceilings()?.into_iter();
    let ceiling = |(from_minute, bytes_per_second)| link::Ceiling { from_minute, bytes_per_second };
    Ok(link::Settings {
        schedule: link::Schedule {
            ceilings: ceilings.map(ceiling).collect(),
            utc_offset_minutes: config.utc_offset_minutes,
        },
        ..link::Settings::default()
    })
}

fn machine_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "gateway".to_owned() } else { name.to_owned() }
}

/// Log lines for people on a terminal, JSON for machines; to standard error, so that `--json` and
/// pipes stay clean. A command that ends by itself says what it has to say; only `run` tells more.
pub fn start_log(cli: &Cli) {
    let usual = match cli.command {
        Command::Run => "info,quinn=warn",
        _ => "error",
    };
    let filter = tracing_subscriber::EnvFilter::try_from_env("MEDRELAY_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(usual));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() { builder.init() } else { builder.json().init() }
}
