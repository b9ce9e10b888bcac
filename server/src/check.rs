//! `medrelay check`: what is wrong with this installation, and how to mend it.
//!
//! Everything is tried, not assumed: a file is written and synced, a port bound, a sample report
//! typeset. What needs the database or the blob store comes in as a [`Probe`] from the wiring,
//! which is the only place that knows them.

use std::fmt;
use std::fs::{self, File};
use std::future::Future;
use std::io::{self, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::time::Duration;

use chrono::{DateTime, Datelike as _, Utc};
use medrelay_core::time::{Clock, Span, Timestamp};
use serde::Serialize;

use crate::config::{BlobTarget, Config};
use crate::system::{disk_space, timestamp};
use crate::tls::{self, RENEW_DAYS};
use crate::typeset::{ReportSheet, Typesetter};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// All is well.
    Ok,
    /// The relay runs, but somebody should look.
    Warning,
    /// The relay cannot run, or would break a promise.
    Failure,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at, in a word or two.
    pub what: String,
    /// How bad it is.
    pub severity: Severity,
    /// What was found.
    pub found: String,
    /// How to mend it; empty where nothing needs mending.
    pub mend: String,
}

impl Finding {
    /// All is well.
    pub fn ok(what: impl Into<String>, found: impl Into<String>) -> Self {
        Self::new(Severity::Ok, what, found, "")
    }

    /// Somebody should look.
    pub fn warning(
        what: impl Into<String>,
        found: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        Self::new(Severity::Warning, what, found, mend)
    }

    /// The relay cannot run like this.
    pub fn failure(
        what: impl Into<String>,
        found: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        Self::new(Severity::Failure, what, found, mend)
    }

    fn new(
        severity: Severity,
        what: impl Into<String>,
        found: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        Self { what: what.into(), severity, found: found.into(), mend: mend.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = match self.severity {
            Severity::Ok => "ok     ",
            Severity::Warning => "warning",
            Severity::Failure => "FAILURE",
        };
        write!(f, "{mark}  {:<12}  {}", self.what, self.found)?;
        if self.mend.is_empty() {
            Ok(())
        } else {
            write!(f, "\n         to mend:      {}", self.mend)
        }
    }
}

/// A check that needs something this module does not know, such as the database. It must end by
/// itself; one that takes longer than [`PROBE_TIME`] counts as a failure.
pub struct Probe {
    what: String,
    run: Pin<Box<dyn Future<Output = Finding> + Send>>,
}

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Probe").field("what", &self.what).finish_non_exhaustive()
    }
}

impl Probe {
    /// A probe of `what`.
    pub fn new(
        what: impl Into<String>,
        run: impl Future<Output = Finding> + Send + 'static,
    ) -> Self {
        Self { what: what.into(), run: Box::pin(run) }
    }
}

/// How long one probe may take.
pub const PROBE_TIME: Duration = Duration::from_secs(10);

/// Looks at everything. The configuration itself is right already, or there would be no [`Config`].
pub async fn run(config: &Config, clock: &dyn Clock, probes: Vec<Probe>) -> Vec<Finding> {
    let now = clock.now();
    let mut findings = vec![time(config, now)];
    let mut places = vec![("data", config.data.dir.clone())];
    if let Ok(BlobTarget::Directory(dir)) = config.blob_target() {
        places.push(("blobs", dir));
    }
    for (what, dir) in places {
        findings.push(writable(what, &dir));
        findings.push(space(config, what, &dir));
    }
    findings.push(certificate(config, now));
    findings.extend(listeners(config).into_iter().map(|(key, address)| port(key, address)));
    let (template, fonts) = (config.report.template.clone(), config.report.fonts.clone());
    let typeset = tokio::task::spawn_blocking(move || typeset(template.as_deref(), &fonts)).await;
    findings.push(typeset.unwrap_or_else(|_| {
        Finding::failure("report", "the typesetter panicked", "report this with the template")
    }));
    for Probe { what, run } in probes {
        let late = || Finding::failure(what, "no answer", "see whether it runs and can be reached");
        findings.push(tokio::time::timeout(PROBE_TIME, run).await.unwrap_or_else(|_| late()));
    }
    findings
}

/// The worst of some findings.
pub fn worst(findings: &[Finding]) -> Severity {
    findings.iter().map(|finding| finding.severity).max().unwrap_or(Severity::Ok)
}

/// Earlier than any build of this program: a clock before it is wrong.
const FIRST_YEAR: i32 = 2024;
/// How far in the future a file may lie before the clock must be wrong.
const CLOCK_SLACK: Span = Span::from_minutes(5);

/// Leases, deadlines and certificates hang on the clock; one that was set back would open them all.
fn time(config: &Config, now: Timestamp) -> Finding {
    const MEND: &str = "set the clock and keep it right (timedatectl set-ntp true)";
    let shown = |time: Timestamp| {
        let time = DateTime::<Utc>::from_timestamp_micros(time.micros()).unwrap_or_default();
        (time.year(), time.format("%Y-%m-%d %H:%M UTC").to_string())
    };
    let (year, text) = shown(now);
    if year < FIRST_YEAR {
        return Finding::failure("clock", format!("it is not {text}"), MEND);
    }
    match newest(&config.data.dir, 0) {
        Some(newest) if newest > now + CLOCK_SLACK => {
            let found = format!("{text}, but the data directory has a file of {}", shown(newest).1);
            Finding::failure("clock", found, MEND)
        }
        _ => Finding::ok("clock", text),
    }
}

/// Time of the newest file in a directory and in those directly below it: the database and the keys
/// are there.
fn newest(dir: &Path, depth: usize) -> Option<Timestamp> {
    let entries = fs::read_dir(dir).ok()?.flatten();
    let times = entries.filter_map(|entry| {
        let about = entry.metadata().ok()?;
        if about.is_dir() {
            return if depth == 0 { newest(&entry.path(), 1) } else { None };
        }
        about.modified().ok().map(timestamp)
    });
    times.max()
}

/// The directory itself, or the one above in which it will be made.
fn existing(dir: &Path) -> PathBuf {
    let there = dir.ancestors().find(|dir| dir.is_dir()).unwrap_or(Path::new(""));
    if there.as_os_str().is_empty() { PathBuf::from(".") } else { there.to_owned() }
}

/// Does what a durable write does, once.
fn writable(what: &str, dir: &Path) -> Finding {
    let place = existing(dir);
    let attempt = || -> io::Result<()> {
        let mut file = tempfile::Builder::new().prefix(".check-").tempfile_in(&place)?;
        file.write_all(b"medrelay check")?;
        file.as_file().sync_all()?;
        let renamed = file.path().with_extension("renamed");
        let path = file.into_temp_path();
        fs::rename(&path, &renamed)?;
        let synced = File::open(&place)?.sync_all();
        fs::remove_file(&renamed)?;
        synced
    };
    let shown = place.display();
    match attempt() {
        Ok(()) => Finding::ok(what, format!("{shown} takes durable writes")),
        Err(error) => Finding::failure(
            what,
            format!("{shown}: {error}"),
            "give the user that runs medrelay the right to write there, on a disk that can fsync",
        ),
    }
}

fn space(config: &Config, what: &str, dir: &Path) -> Finding {
    const MIB: u64 = 1024 * 1024;
    let what = format!("{what} space");
    let (reserve, warn) = (config.disk.reserve_mib, config.disk.warn_percent);
    match disk_space(&existing(dir)) {
        Err(error) => Finding::failure(what, error.to_string(), "see whether the disk is mounted"),
        Ok(space) => {
            let free = space.free_bytes / MIB;
            let found = format!("{free} MiB free, {} % in use", space.used_percent());
            let mend = "free some space, or move the data to a larger disk";
            if free < reserve.into() {
                let found =
                    format!("{found}: below the reserve of {reserve} MiB, images are refused");
                Finding::failure(what, found, mend)
            } else if space.used_percent() > warn.into() {
                Finding::warning(what, found, mend)
            } else {
                Finding::ok(what, found)
            }
        }
    }
}

fn certificate(config: &Config, now: Timestamp) -> Finding {
    if !config.https.enabled && config.dimse.tls_listen.is_none() {
        return Finding::ok("certificate", "not needed: https is off");
    }
    let days = |until: Timestamp| until.since(now).micros().div_euclid(24 * 3600 * 1_000_000);
    let mend = "renew the certificate; the relay's own is renewed at the next start";
    match tls::configured_validity(config) {
        Err(error) => Finding::failure("certificate", error.to_string(), "name readable PEM files"),
        Ok(None) => Finding::ok("certificate", "is made or ordered at the next start"),
        Ok(Some(until)) if until <= now => {
            Finding::failure("certificate", format!("ended {} days ago", -days(until)), mend)
        }
        Ok(Some(until)) if days(until) < RENEW_DAYS / 2 => {
            Finding::warning("certificate", format!("ends in {} days", days(until)), mend)
        }
        Ok(Some(until)) => {
            Finding::ok("certificate", format!("good for another {} days", days(until)))
        }
    }
}

fn listeners(config: &Config) -> Vec<(&'static str, SocketAddr)> {
    let dimse = &config.dimse;
    let all = [
        ("http.plain_listen", Some(config.http.plain_listen)),
        ("https.listen", config.https.enabled.then_some(config.https.listen)),
        ("dimse.listen", dimse.enabled.then_some(dimse.listen)),
        ("dimse.tls_listen", dimse.tls_listen.filter(|_| dimse.enabled)),
    ];
    all.into_iter().filter_map(|(key, address)| Some((key, address?))).collect()
}

fn port(key: &str, address: SocketAddr) -> Finding {
    match TcpListener::bind(address) {
        Ok(_) => Finding::ok("port", format!("{address} is free")),
        // A relay that is running is the usual reason, and no fault.
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Finding::warning(
            "port",
            format!("{address} is in use"),
            format!("fine if medrelay is running; else stop the other program or change {key}"),
        ),
        Err(error) => Finding::failure(
            "port",
            format!("{address}: {error}"),
            format!("change {key}; ports below 1024 need CAP_NET_BIND_SERVICE"),
        ),
    }
}

fn typeset(template: Option<&Path>, fonts: &[PathBuf]) -> Finding {
    let sample = ReportSheet::sample();
    match Typesetter::new(template, fonts).and_then(|typesetter| typesetter.render(&sample)) {
        Ok(pdf) => {
            Finding::ok("report", format!("a sample was typeset ({} KiB)", pdf.len() / 1024))
        }
        Err(error) => {
            Finding::failure("report", error.to_string(), "see the message; no report can be sent")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use medrelay_core::time::ManualClock;

    /// 2026-11-21.
    const NOW: Timestamp = Timestamp::from_micros(1_795_219_200_000_000);

    fn config(dir: &Path) -> Config {
        let mut config = Config::default();
        config.data.dir = dir.join("data");
        config.http.plain_listen = SocketAddr::from(([127, 0, 0, 1], 0));
        config.https.listen = config.http.plain_listen;
        config.dimse.listen = config.http.plain_listen;
        config
    }

    fn of<'a>(findings: &'a [Finding], what: &str) -> &'a Finding {
        findings.iter().find(|finding| finding.what == what).expect("looked at")
    }

    #[tokio::test]
    async fn a_fresh_machine_is_in_order_and_left_as_it_was() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut config = config(dir.path());
        (config.disk.warn_percent, config.disk.reserve_mib) = (99, 1);
        let probe = Probe::new("database", async { Finding::ok("database", "answers") });
        let findings = run(&config, &ManualClock::new(NOW), vec![probe]).await;
        assert_eq!(worst(&findings), Severity::Ok, "{findings:#?}");
        assert_eq!(of(&findings, "database").found, "answers");
        assert_eq!(fs::read_dir(dir.path()).expect("there").count(), 0, "nothing is left behind");
    }

    #[tokio::test]
    async fn each_fault_is_found_and_comes_with_a_remedy() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut config = config(dir.path());
        let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
        config.dimse.listen = taken.local_addr().expect("bound");
        config.disk.reserve_mib = u32::MAX;
        let template = dir.path().join("own.typ");
        fs::write(&template, "#nonsense").expect("written");
        config.report.template = Some(template);
        config.https.certificate = Some(dir.path().join("none.pem"));
        config.https.key = config.https.certificate.clone();
        config.blobs.url = Some(String::from("file:///proc/nowhere"));

        let findings = run(&config, &ManualClock::new(NOW), Vec::new()).await;
        for what in ["data space", "report", "certificate", "blobs"] {
            assert_eq!(of(&findings, what).severity, Severity::Failure, "{what}: {findings:#?}");
        }
        let warned = findings.iter().find(|finding| finding.severity == Severity::Warning);
        assert!(warned.is_some_and(|finding| finding.mend.contains("dimse.listen")));
        let bad = findings.iter().filter(|finding| finding.severity != Severity::Ok);
        assert!(bad.into_iter().all(|finding| !finding.mend.is_empty()));
        assert_eq!(worst(&findings), Severity::Failure);
    }

    #[test]
    fn a_clock_that_was_set_back_is_found() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let config = config(dir.path());
        fs::create_dir_all(config.keys_dir()).expect("made");
        assert_eq!(time(&config, Timestamp::from_micros(0)).severity, Severity::Failure);
        assert_eq!(time(&config, NOW).severity, Severity::Ok);
        let file = File::create(config.keys_dir().join("master.key")).expect("made");
        let micros = u64::try_from(NOW.micros()).expect("after 1970");
        let written = std::time::UNIX_EPOCH + Duration::from_micros(micros);
        file.set_modified(written).expect("ours");
        assert_eq!(time(&config, NOW).severity, Severity::Ok);
        assert_eq!(time(&config, NOW - Span::from_hours(2)).severity, Severity::Failure);
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_hangs_is_a_failure() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let probe = Probe::new("database", std::future::pending());
        let findings = run(&config(dir.path()), &ManualClock::new(NOW), vec![probe]).await;
        assert_eq!(of(&findings, "database").severity, Severity::Failure);
    }
}
