//! The self-test: everything that a clinic's link needs, checked one by one, and at the end a phantom
//! of one slice sent through. The findings are typed; [`super::words`] puts them into sentences.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use medrelay_core::time::Timestamp;
use medrelay_core::transfer::gateway::{Session, Step};
use medrelay_core::transfer::{CloseCode, Outcome, RefusalCode, StreamHeader, Urgency, limits};
use medrelay_dicom::phantom::{Modality, PhantomPatient, PhantomSpec};
use medrelay_link::{Carrier, quic};
use tokio::time::{Instant, timeout};

use super::ambient::Ambient;
use super::connect::{self, DialError};
use super::identity::{Identity, IdentityError, with_port};
use super::join::SOFTWARE;
use super::{Link, MemoryShelf, Settings};

/// What the self-test found, in the order in which it looked.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// One for each check that could be made.
    pub findings: Vec<Finding>,
}

/// One thing that was checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// What was checked.
    pub check: Check,
    /// How it is.
    pub verdict: Verdict,
    /// What was seen.
    pub value: Value,
}

/// What is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// How long the certificate is good.
    Certificate,
    /// Space for the spool.
    Disk,
    /// Whether the relay's name has addresses.
    Name,
    /// QUIC over UDP.
    Udp,
    /// The WebSocket over TCP.
    Tcp,
    /// Whether both clocks show the same.
    Clock,
    /// Bytes a second to the relay.
    Upload,
    /// Bytes a second from the relay.
    Download,
    /// One slice, sent and read back.
    Phantom,
}

/// How a thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// As it should be.
    Good,
    /// It works, but somebody should look.
    Doubtful,
    /// It does not work.
    Bad,
}

/// What was seen.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Bytes.
    Bytes(u64),
    /// Bytes a second.
    Rate(u64),
    /// Days.
    Days(i64),
    /// How long it took.
    Took(Duration),
    /// The relay's clock minus ours, in milliseconds.
    OffsetMillis(i64),
    /// Addresses.
    Addresses(Vec<String>),
    /// Why a connection did not come about.
    Refused(DialError),
    /// What the system says.
    Fault(String),
    /// Nothing was answered within the time.
    Silence,
    /// The relay put the phantom aside.
    Aside(Outcome),
    /// The relay did not take the phantom.
    NotTaken(RefusalCode),
}

impl Report {
    /// The worst of all verdicts.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.findings.iter().map(|finding| finding.verdict).max().unwrap_or(Verdict::Bad)
    }

    /// Whether the link works.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.verdict() != Verdict::Bad
    }

    /// What a program ends with: 0 when the link works, 1 when it does not.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        u8::from(!self.passed())
    }
}

/// Checks the link of the gateway whose data folder this is.
///
/// # Errors
/// When there is no usable identity: nothing can be checked then.
pub async fn run(data: &Path, ambient: &Ambient) -> Result<Report, IdentityError> {
    let identity = Identity::load(data)?;
    let mut findings = vec![certificate(&identity, ambient), disk(data)];
    let name = connect::resolve(identity.relay()).await;
    let addresses = match &name {
        Ok(addresses) => addresses.clone(),
        Err(_) => Vec::new(),
    };
    findings.push(match name {
        Ok(found) => {
            let value = found.iter().map(|address| address.ip().to_string()).collect();
            finding(Check::Name, Verdict::Good, Value::Addresses(value))
        }
        Err(error) => finding(Check::Name, Verdict::Bad, Value::Refused(error)),
    });
    let Some(first) = addresses.first().copied() else { return Ok(Report { findings }) };
    let began = Instant::now();
    let udp = udp(&identity, ambient, with_port(first, identity.relay().udp_port)).await;
    let udp_took = began.elapsed();
    let began = Instant::now();
    let tcp = tcp(&identity, ambient, with_port(first, identity.relay().tcp_port)).await;
    let tcp_took = began.elapsed();
    let (udp_works, tcp_works) = (udp.is_ok(), tcp.is_ok());
    findings.push(reached(Check::Udp, &udp, udp_took, tcp_works));
    findings.push(reached(Check::Tcp, &tcp, tcp_took, udp_works));
    if let Some(carrier) = udp.ok().or(tcp.ok()) {
        findings.extend(measure(&identity, ambient, &carrier).await);
        carrier.close(CloseCode::Done, "");
        findings.push(phantom(identity, ambient).await);
    }
    Ok(Report { findings })
}

fn finding(check: Check, verdict: Verdict, value: Value) -> Finding {
    Finding { check, verdict, value }
}

fn certificate(identity: &Identity, ambient: &Ambient) -> Finding {
    let left = identity.validity().1.since(ambient.now());
    let days = left.minutes_floor().div_euclid(24 * 60);
    let verdict = match days {
        ..0 => Verdict::Bad,
        0..7 => Verdict::Doubtful,
        _ => Verdict::Good,
    };
    finding(Check::Certificate, verdict, Value::Days(days))
}

fn disk(data: &Path) -> Finding {
    match rustix::fs::statvfs(data) {
        Ok(space) => {
            let free = space.f_bavail.saturating_mul(space.f_frsize);
            let verdict = match free {
                ..DISK_BAD => Verdict::Bad,
                DISK_BAD..DISK_DOUBTFUL => Verdict::Doubtful,
                _ => Verdict::Good,
            };
            finding(Check::Disk, verdict, Value::Bytes(free))
        }
        Err(error) => finding(Check::Disk, Verdict::Bad, Value::Fault(error.to_string())),
    }
}

/// One of the two ways is enough, though two are better.
fn reached(
    check: Check,
    result: &Result<Carrier, DialError>,
    took: Duration,
    other_works: bool,
) -> Finding {
    match result {
        Ok(_) => finding(check, Verdict::Good, Value::Took(took)),
        Err(error) => {
            let verdict = if other_works { Verdict::Doubtful } else { Verdict::Bad };
            finding(check, verdict, Value::Refused(error.clone()))
        }
    }
}

async fn udp(
    identity: &Identity,
    ambient: &Ambient,
    address: std::net::SocketAddr,
) -> Result<Carrier, DialError> {
    let refused = |error: &dyn std::fmt::Display| DialError::Refused(error.to_string());
    let tls = identity.quic(ambient).map_err(|error| refused(&error))?;
    let endpoint = quic::client(connect::any_address(address.is_ipv6()), tls)
        .map_err(|error| refused(&error))?;
    let connecting = timeout(PATIENCE, quic::connect(&endpoint, address)).await;
    connecting.map_err(|_| DialError::Silence)?.map_err(|error| refused(&error))
}

async fn tcp(
    identity: &Identity,
    ambient: &Ambient,
    address: std::net::SocketAddr,
) -> Result<Carrier, DialError> {
    let tls = identity.https(ambient).map_err(|error| DialError::Refused(error.to_string()))?;
    let host = identity.relay().http_host();
    let connecting = connect::websocket_to(address, Arc::new(tls), &host);
    timeout(PATIENCE, connecting).await.map_err(|_| DialError::Silence)?
}

/// Greets, compares the clocks and measures the line both ways.
async fn measure(identity: &Identity, ambient: &Ambient, carrier: &Carrier) -> Vec<Finding> {
    let mut talk = Talk { identity, ambient, carrier, session: Session::new(SOFTWARE) };
    let began = Instant::now();
    let offset = match timeout(PATIENCE, talk.greet()).await {
        Ok(Ok(offset)) => offset,
        Ok(Err(why)) => return vec![finding(Check::Clock, Verdict::Bad, Value::Fault(why))],
        Err(_) => return vec![finding(Check::Clock, Verdict::Bad, Value::Silence)],
    };
    // The relay read its clock half a round trip ago, or a whole one.
    let slack = i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX);
    let clock = match offset.saturating_abs().saturating_sub(slack) {
        ..CLOCK_DOUBTFUL => Verdict::Good,
        CLOCK_DOUBTFUL..CLOCK_BAD => Verdict::Doubtful,
        _ => Verdict::Bad,
    };
    let rate = |check, measured: Option<(u64, Duration)>| match measured {
        Some((bytes, took)) => {
            let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1);
            let rate = bytes.saturating_mul(1_000_000) / micros;
            let verdict = if rate < SLOW { Verdict::Doubtful } else { Verdict::Good };
            finding(check, verdict, Value::Rate(rate))
        }
        None => finding(check, Verdict::Doubtful, Value::Silence),
    };
    let upload = timeout(MEASURE, talk.upload()).await.ok().flatten();
    let download = timeout(MEASURE, talk.download()).await.ok().flatten();
    vec![
        finding(Check::Clock, clock, Value::OffsetMillis(offset)),
        rate(Check::Upload, upload),
        rate(Check::Download, download),
    ]
}

/// A connection on which nothing is sent but what measures it.
struct Talk<'a> {
    identity: &'a Identity,
    ambient: &'a Ambient,
    carrier: &'a Carrier,
    session: Session,
}

impl Talk<'_> {
    /// The relay's clock minus ours, in milliseconds; or what went wrong.
    async fn greet(&mut self) -> Result<i64, String> {
        let steps = self.session.start(self.ambient.now());
        self.send(steps).await?;
        loop {
            for step in self.hear().await? {
                match step {
                    Step::Prove { nonce } => {
                        let (certificate, signature) = self.identity.prove(&nonce);
                        let steps = self.session.proof(certificate, signature);
                        self.send(steps).await?;
                    }
                    Step::Welcomed(welcome) => {
                        return Ok(welcome.clock.since(self.ambient.now()).micros() / 1_000);
                    }
                    Step::Close { code, .. } => return Err(format!("{code:?}")),
                    other => self.send(vec![other]).await?,
                }
            }
        }
    }

    async fn upload(&mut self) -> Option<(u64, Duration)> {
        let mut stream = self.carrier.open(&StreamHeader::Measure, Urgency::Routine).await.ok()?;
        let mut bytes = vec![0; 64 << 10];
        // Nothing on the way may find the bytes easy.
        self.ambient.entropy.fill(&mut bytes);
        let bytes = bytes::Bytes::from(bytes);
        let began = Instant::now();
        let mut sent = 0;
        while sent < u64::from(limits::MEASURE_BYTES) && began.elapsed() < MEASURE / 3 {
            stream.write(bytes.clone()).await.ok()?;
            sent += bytes.len() as u64;
        }
        stream.finish().await.ok()?;
        loop {
            for step in self.hear().await.ok()? {
                if let Step::Measured { bytes, micros } = step {
                    return Some((bytes, Duration::from_micros(micros)));
                }
            }
        }
    }

    async fn download(&mut self) -> Option<(u64, Duration)> {
        let steps = self.session.measure(limits::MEASURE_BYTES);
        self.send(steps).await.ok()?;
        let mut stream = loop {
            let (header, stream) = self.carrier.accept().await.ok()?;
            match header {
                StreamHeader::Measure => break stream,
                _ => stream.stop(0),
            }
        };
        let mut began = None;
        let mut bytes = 0;
        while let Some(piece) = stream.read().await.ok()? {
            began.get_or_insert_with(Instant::now);
            bytes += piece.len() as u64;
        }
        Some((bytes, began?.elapsed()))
    }

    async fn hear(&mut self) -> Result<Vec<Step>, String> {
        let message = self.carrier.receive().await.map_err(|error| error.to_string())?;
        let message = message.ok_or("the relay closed the connection")?;
        self.session.handle(message, self.ambient.now()).map_err(|violation| violation.to_string())
    }

    async fn send(&self, steps: Vec<Step>) -> Result<(), String> {
        for step in steps {
            if let Step::Send(message) = step {
                self.carrier.send(&message).await.map_err(|error| error.to_string())?;
            }
        }
        Ok(())
    }
}

/// Sends one slice of nobody, as any study goes.
async fn phantom(identity: Identity, ambient: &Ambient) -> Finding {
    let bad = |value| finding(Check::Phantom, Verdict::Bad, value);
    let now = ambient.now();
    let (folder, path) = match slice(ambient, now) {
        Ok(slice) => slice,
        Err(error) => return bad(Value::Fault(error.to_string())),
    };
    let shelf = Arc::new(MemoryShelf::new());
    let key = match shelf.add_files(&[path], Urgency::Routine, now) {
        Ok(keys) => keys.first().copied().unwrap_or_default(),
        Err(error) => return bad(Value::Fault(error.to_string())),
    };
    let began = Instant::now();
    let link = Link::start(identity, shelf.clone(), Settings::default(), ambient.clone());
    let fate = timeout(PHANTOM, shelf.settled(key)).await;
    link.stop().await;
    drop(folder);
    let Ok(fate) = fate else { return bad(Value::Silence) };
    let aside = fate.stored.values().find(|outcome| **outcome != Outcome::Stored);
    match (fate.refused.first(), aside) {
        (Some((_, code)), _) => bad(Value::NotTaken(*code)),
        (None, Some(outcome)) => finding(Check::Phantom, Verdict::Doubtful, Value::Aside(*outcome)),
        (None, None) => finding(Check::Phantom, Verdict::Good, Value::Took(began.elapsed())),
    }
}

fn slice(
    ambient: &Ambient,
    now: Timestamp,
) -> std::io::Result<(tempfile::TempDir, std::path::PathBuf)> {
    let mut seed = [0u8; 8];
    ambient.entropy.fill(&mut seed);
    let day = chrono::DateTime::from_timestamp_micros(now.micros()).unwrap_or_default();
    let spec = PhantomSpec {
        instances: 1,
        rows: 256,
        columns: 256,
        patient: PhantomPatient {
            id: "LINKTEST".to_owned(),
            name: "Link^Test=链路^自检".to_owned(),
            birth_date: "20000101".to_owned(),
            sex: "O".to_owned(),
        },
        description: "链路自检 link self-test".to_owned(),
        study_date: day.format("%Y%m%d").to_string(),
        study_time: day.format("%H%M%S").to_string(),
        ..PhantomSpec::new(Modality::Ct, u64::from_be_bytes(seed))
    };
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("slice.dcm");
    std::fs::write(&path, spec.instance(0, 0).to_file(None))?;
    Ok((folder, path))
}

const PATIENCE: Duration = Duration::from_secs(8);
const MEASURE: Duration = Duration::from_secs(30);
const PHANTOM: Duration = Duration::from_secs(60);
const DISK_BAD: u64 = 1 << 30;
const DISK_DOUBTFUL: u64 = 20 << 30;
/// Milliseconds from which times in reports and logs begin to confuse people.
const CLOCK_DOUBTFUL: i64 = 5_000;
/// Milliseconds from which certificates may be judged wrongly.
const CLOCK_BAD: i64 = 300_000;
/// Bytes a second below which a CT takes more than an hour.
const SLOW: u64 = 30_000;
