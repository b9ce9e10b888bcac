//! One connection: what happens on it, what the machine says to it, and what is done about that.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, Interval, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use medrelay_core::time::Timestamp;
use medrelay_core::transfer::relay::{Greeting, Peer, Session, Settings, Step, Verdict};
use medrelay_core::transfer::{CloseCode, Message, Outcome, StreamHeader, Violation};
use medrelay_link::{Carrier, CarrierError, Incoming, Kind};

use super::quic::refusal;
use super::receiving::Expected;
use super::report::{Arrived, Party, Report, Study};
use super::work::Works;
use super::{Link, Seat};
use crate::service::gateways::Admission;
use crate::service::link::{Announced, LinkPeer, Refusal};

/// How long running streams get after GOAWAY.
pub(super) const LEAVING: Duration = Duration::from_secs(10);
/// How long the other side may take to greet.
const GREETING: Duration = Duration::from_secs(10);
/// How often it is asked whether the other side may go on.
const STANDING: Duration = Duration::from_secs(2);
/// How often it is looked for what other servers wrote for the clinic.
const ITEMS_POLL: Duration = Duration::from_secs(5);
/// Shortest time between two such looks, however much happens.
const ITEMS_PAUSE: Duration = Duration::from_millis(500);
/// How long a control message may wait to be sent.
const SENDING: Duration = Duration::from_secs(30);
/// How often it is written down that the other side is connected.
const NOTED: Duration = Duration::from_secs(60);
/// When a gateway is to come again after the relay stopped, in milliseconds.
const STOPPED_RETRY_MS: u32 = 1_000;
/// When a gateway with too many connections is to come again.
const CROWDED_RETRY_MS: u32 = 1_000;

/// How a connection ends.
#[derive(Debug)]
enum End {
    /// We close it.
    Close(CloseCode, String),
    /// It is over.
    Over(CarrierError),
}

type Flow = ControlFlow<End>;

/// What has happened on a connection.
enum Happened {
    Message(Result<Option<Message>, CarrierError>),
    Stream(Result<(StreamHeader, Incoming), CarrierError>),
    Report(Report),
    Standing,
    Events,
    ItemsDue,
    Stop,
    Deadline,
}

/// Looks for what waits for the clinic.
struct ItemsWatch {
    events: watch::Receiver<i64>,
    looking: bool,
    last: Instant,
    due: Instant,
    since: Timestamp,
    shown: HashSet<String>,
}

struct Driver {
    link: Link,
    carrier: Carrier,
    source: String,
    works: Works,
    reports: mpsc::UnboundedReceiver<Report>,
    machine: Session,
    party: Option<Party>,
    seat: Option<Seat>,
    studies: HashMap<u32, Arc<Study>>,
    items: ItemsWatch,
    standing: Interval,
    stop: CancellationToken,
    welcome: bool,
    noted: Option<Instant>,
    /// Bytes that had come when it was last written down that somebody is here.
    noted_bytes: u64,
    /// When the greeting, or the leaving, must be over.
    deadline: Option<Instant>,
    leaving: Option<CloseCode>,
}

/// Drives a connection to its end. `peer` is known from a certificate or a session, or proves itself.
pub(super) async fn run(link: Link, carrier: Carrier, peer: Option<LinkPeer>) {
    let mut driver = Driver::new(link, carrier, peer);
    let kind = driver.carrier_name();
    metrics::counter!("medrelay_link_connections_total", "carrier" => kind).increment(1);
    metrics::gauge!("medrelay_link_connections", "carrier" => kind).increment(1.0);
    let end = driver.drive().await;
    metrics::gauge!("medrelay_link_connections", "carrier" => kind).decrement(1.0);
    driver.report(&end);
    if let End::Close(code, detail) = end {
        driver.carrier.close(code, &detail);
    }
}

impl Driver {
    fn new(link: Link, carrier: Carrier, peer: Option<LinkPeer>) -> Self {
        let (sender, reports) = mpsc::unbounded_channel();
        let service = link.service().clone();
        let source = carrier.remote().ip().to_canonical().to_string();
        let greeting = match &peer {
            Some(peer) => Greeting::Certified(named(peer)),
            None => Greeting::Challenge(service.link_nonce()),
        };
        let machine = Session::new(settings(&link), greeting);
        let now = Instant::now();
        let mut standing = tokio::time::interval(STANDING);
        standing.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut driver = Self {
            works: Works::new(link.clone(), carrier.clone(), sender),
            stop: link.shared.lifecycle.soft(),
            link,
            carrier,
            source,
            reports,
            machine,
            party: None,
            seat: None,
            studies: HashMap::new(),
            items: ItemsWatch {
                events: service.event_signal(),
                looking: false,
                last: now,
                due: now,
                since: Timestamp::default(),
                shown: HashSet::new(),
            },
            standing,
            welcome: false,
            noted: None,
            noted_bytes: 0,
            deadline: Some(now + GREETING),
            leaving: None,
        };
        driver.party = peer.map(|peer| driver.party_of(peer));
        driver
    }

    async fn drive(&mut self) -> End {
        if let Some(party) = &self.party {
            self.seat = self.link.seat(&party.peer);
            if self.seat.is_none() {
                return self.crowded().await;
            }
        }
        loop {
            let happened = self.wait().await;
            if let ControlFlow::Break(end) = self.act(happened).await {
                return end;
            }
            if self.machine.is_idle() {
                return End::Close(self.leaving.unwrap_or(CloseCode::Done), String::new());
            }
        }
    }

    async fn wait(&mut self) -> Happened {
        let Self { carrier, reports, standing, stop, items, deadline, welcome, leaving, .. } = self;
        let staying = *welcome && leaving.is_none();
        let (items_due, looking) = (items.due, items.looking);
        let deadline = *deadline;
        let deadline = async move {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            message = carrier.receive() => Happened::Message(message),
            stream = carrier.accept() => Happened::Stream(stream),
            Some(report) = reports.recv() => Happened::Report(report),
            _ = standing.tick(), if staying => Happened::Standing,
            Ok(()) = items.events.changed(), if staying => Happened::Events,
            () = tokio::time::sleep_until(items_due), if staying && !looking => Happened::ItemsDue,
            () = stop.cancelled(), if leaving.is_none() => Happened::Stop,
            () = deadline => Happened::Deadline,
        }
    }

    async fn act(&mut self, happened: Happened) -> Flow {
        match happened {
            Happened::Message(Ok(Some(message))) => {
                let handled = self.machine.handle(message, self.link.service().now());
                match handled {
                    Ok(steps) => self.perform(steps).await,
                    Err(violation) => violated(violation),
                }
            }
            Happened::Message(Ok(None)) => over(CarrierError::Closed {
                code: Some(CloseCode::Done as u8),
                detail: String::new(),
            }),
            Happened::Message(Err(error)) | Happened::Stream(Err(error)) => over(error),
            Happened::Stream(Ok((header, incoming))) => self.stream(header, incoming).await,
            Happened::Report(report) => self.reported(report).await,
            Happened::Standing => self.look_after().await,
            Happened::Events => {
                self.items.due = self.items.due.min(self.items.last + ITEMS_PAUSE);
                Flow::Continue(())
            }
            Happened::ItemsDue => self.look_for_items().await,
            Happened::Stop => {
                self.leaving = Some(CloseCode::Stopping);
                self.deadline = Some(Instant::now() + LEAVING);
                let steps =
                    self.machine.leave(CloseCode::Stopping, STOPPED_RETRY_MS, "the relay stops");
                self.perform(steps).await
            }
            Happened::Deadline => {
                let code = self.leaving.unwrap_or(CloseCode::Idle);
                Flow::Break(End::Close(code, "it took too long".to_owned()))
            }
        }
    }

    async fn perform(&mut self, steps: Vec<Step>) -> Flow {
        for step in steps {
            self.step(step).await?;
        }
        Flow::Continue(())
    }

    async fn step(&mut self, step: Step) -> Flow {
        let step = match step {
            Step::Send(message) => return self.send(message).await,
            Step::Close { code, detail } => return Flow::Break(End::Close(code, detail)),
            Step::Prove { certificate, signature, nonce } => {
                self.works.prove(certificate, signature, nonce).await;
                return Flow::Continue(());
            }
            other => other,
        };
        // Everything else comes after the greeting.
        let Some(party) = &self.party else { return Flow::Continue(()) };
        match step {
            Step::Register { study, manifest, raw, signature } => {
                self.works.register(party, study, manifest, raw, signature).await;
            }
            Step::Commit { study } => {
                if let Some(open) = self.studies.get(&study) {
                    self.works.commit(party, study, Arc::clone(open)).await;
                }
            }
            Step::Withdrawn { study } => {
                if let Some(open) = self.studies.remove(&study) {
                    self.works.withdraw(open).await;
                }
            }
            Step::Attach { item, offset } => self.works.attach(party, item, offset).await,
            Step::Received { item } => {
                self.works.received(party, item).await;
                // There may be room for more now.
                self.items.due = self.items.due.min(self.items.last + ITEMS_PAUSE);
            }
            Step::Renew { .. } if party.peer.gateway().is_none() => {
                return violated(Violation("a browser has no certificate"));
            }
            Step::Renew { request } => self.works.renew(party, request).await,
            Step::Measure { bytes } => self.works.measure(bytes).await,
            // Order and priorities are the sender's business; the relay takes what comes.
            Step::Urgency { .. } | Step::Send(_) | Step::Close { .. } | Step::Prove { .. } => {}
        }
        Flow::Continue(())
    }

    async fn send(&mut self, message: Message) -> Flow {
        match tokio::time::timeout(SENDING, self.carrier.send(&message)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return over(error),
            Err(_) => return over(CarrierError::TimedOut),
        }
        if matches!(message, Message::Welcome(_)) {
            self.welcome = true;
            self.deadline = None;
            self.items.due = Instant::now();
            tracing::info!(
                link.peer = self.name(),
                link.carrier = self.carrier_name(),
                net.peer = self.source,
                "a link is open"
            );
            return self.look_after().await;
        }
        Flow::Continue(())
    }

    async fn stream(&mut self, header: StreamHeader, incoming: Incoming) -> Flow {
        let verdict = match self.machine.stream(&header) {
            Ok(verdict) => verdict,
            Err(violation) => return violated(violation),
        };
        match (verdict, &header) {
            (Verdict::Measure, _) => {
                self.works.measured(incoming).await;
                Flow::Continue(())
            }
            (Verdict::Refuse(code), _) => {
                incoming.stop(code as u8);
                count_refusal(code);
                let steps = self.machine.turn_away(&header, code);
                self.perform(steps).await
            }
            (
                Verdict::Take { study, index, entry, .. },
                StreamHeader::Instance { offset, pack_bytes, pack, .. },
            ) => {
                let (Some(party), Some(open)) = (&self.party, self.studies.get(&study)) else {
                    self.machine.broken(study, index);
                    return Flow::Continue(());
                };
                let announced = Announced {
                    clinic: party.peer.clinic.clone(),
                    entry: entry.sha256,
                    pack: *pack,
                    pack_bytes: *pack_bytes,
                    offset: *offset,
                };
                let uid = open.manifest.study.clone();
                let expected = Expected { announced, entry, study: uid };
                self.works.receive(party, (study, index), expected, incoming);
                Flow::Continue(())
            }
            // The machine takes streams of instances only.
            (Verdict::Take { .. }, _) => Flow::Continue(()),
        }
    }

    async fn reported(&mut self, report: Report) -> Flow {
        let steps = match report {
            Report::Proved(admission) => return self.proved(admission).await,
            Report::Registered { study, manifest, outcome: Ok(registered) } => {
                if self.machine.urgency(study).is_some() {
                    let open = Study { id: registered.id, manifest: *manifest };
                    self.studies.insert(study, Arc::new(open));
                }
                self.machine.known(study, registered.states, registered.partial)
            }
            Report::Arrived { study, index, end } => self.arrived(study, index, end),
            Report::Committed { study, outcome: Ok(done) } => {
                self.studies.remove(&study);
                metrics::counter!("medrelay_link_committed_total").increment(1);
                self.machine.committed(study, done.receipt, done.signature)
            }
            Report::Registered { study, outcome: Err(refusal), .. }
            | Report::Committed { study, outcome: Err(refusal) } => {
                self.studies.remove(&study);
                self.refused(study, None, &refusal)
            }
            Report::Items(waiting) => {
                self.items.looking = false;
                let Some(waiting) = waiting else { return Flow::Continue(()) };
                // What does not fit now must be found again.
                if waiting.items.len() <= self.machine.wants_items() {
                    self.items.since = waiting.since;
                }
                let shown = waiting.items.iter().take(self.machine.wants_items());
                self.items.shown.extend(shown.map(|item| item.id.clone()));
                self.machine.items(waiting.items)
            }
            Report::Renewed(chain) => vec![Step::Send(Message::Certificate { chain })],
            Report::Measured { bytes, micros } => {
                vec![Step::Send(Message::Measured { bytes, micros })]
            }
            Report::Standing(Admission::Admitted(_)) => Vec::new(),
            Report::Standing(refused) => return self.turn_out(&refused).await,
        };
        self.perform(steps).await
    }

    fn arrived(&mut self, study: u32, index: u32, end: Arrived) -> Vec<Step> {
        match end {
            Arrived::Stored(outcome) => {
                let label = if outcome == Outcome::Stored { "stored" } else { "aside" };
                metrics::counter!("medrelay_link_instances_total", "outcome" => label).increment(1);
                self.machine.stored(study, index, outcome)
            }
            Arrived::Refused(refusal) => self.refused(study, Some(index), &refusal),
            Arrived::Broken => {
                metrics::counter!("medrelay_link_broken_streams_total").increment(1);
                self.machine.broken(study, index);
                Vec::new()
            }
        }
    }

    fn refused(&mut self, study: u32, index: Option<u32>, refusal: &Refusal) -> Vec<Step> {
        count_refusal(refusal.code);
        tracing::warn!(
            link.peer = self.name(),
            link.study = study,
            link.entry = index,
            link.code = refusal.code as u8,
            "refused: {refusal}"
        );
        self.machine.refused(study, index, refusal.code, refusal.retry_ms, &refusal.detail)
    }

    async fn proved(&mut self, admission: Admission) -> Flow {
        let peer = match admission {
            Admission::Admitted(peer) => peer,
            refused => return self.turn_out(&refused).await,
        };
        self.seat = self.link.seat(&peer);
        if self.seat.is_none() {
            return Flow::Break(self.crowded().await);
        }
        let who = named(&peer);
        self.party = Some(self.party_of(peer));
        let steps = self.machine.proved(who, self.link.service().now());
        self.perform(steps).await
    }

    /// Whether the other side may go on, and now and then that it is here.
    async fn look_after(&mut self) -> Flow {
        let Some(party) = &self.party else { return Flow::Continue(()) };
        let peer = party.peer.clone();
        if self.noted.is_none_or(|at| at.elapsed() >= NOTED) {
            self.noted = Some(Instant::now());
            let bytes = self.carrier.stats().received_bytes;
            let busy = bytes > std::mem::replace(&mut self.noted_bytes, bytes);
            let carrier = self.carrier_name();
            self.works.note(peer.clone(), self.source.clone(), carrier, busy).await;
        }
        self.works.standing(peer).await;
        Flow::Continue(())
    }

    async fn look_for_items(&mut self) -> Flow {
        let now = Instant::now();
        self.items.last = now;
        self.items.due = now + ITEMS_POLL;
        // Nothing flows back to a browser: its person has the pages.
        let party = self.party.as_ref().filter(|party| party.peer.gateway().is_some());
        if let (Some(party), true) = (party, self.machine.wants_items() > 0) {
            self.items.looking = true;
            self.works.items(party, self.items.since, self.items.shown.clone()).await;
        }
        Flow::Continue(())
    }

    async fn turn_out(&mut self, admission: &Admission) -> Flow {
        let (code, detail) = refusal(admission);
        tracing::warn!(link.peer = self.name(), net.peer = self.source, "turned out: {detail}");
        let steps = self.machine.leave(code, 0, detail);
        self.perform(steps).await?;
        Flow::Break(End::Close(code, detail.to_owned()))
    }

    async fn crowded(&mut self) -> End {
        let detail = "you have too many connections";
        let steps = self.machine.leave(CloseCode::Crowded, CROWDED_RETRY_MS, detail);
        match self.perform(steps).await {
            Flow::Break(end) => end,
            Flow::Continue(()) => End::Close(CloseCode::Crowded, detail.to_owned()),
        }
    }

    fn party_of(&self, peer: LinkPeer) -> Party {
        Party { sender: peer.sender(&self.source), peer }
    }

    fn name(&self) -> String {
        self.party.as_ref().map(|party| party.peer.name()).unwrap_or_default()
    }

    fn carrier_name(&self) -> &'static str {
        match self.carrier.kind() {
            Kind::Quic => "quic",
            Kind::WebSocket => "websocket",
        }
    }

    fn report(&self, end: &End) {
        let (peer, source, carrier) = (self.name(), &self.source, self.carrier_name());
        let bytes = self.carrier.stats().received_bytes;
        match end {
            End::Close(CloseCode::Violation, rule) => {
                metrics::counter!("medrelay_link_violations_total").increment(1);
                tracing::warn!(
                    link.peer = peer,
                    link.carrier = carrier,
                    net.peer = source,
                    "the link is closed: {rule}"
                );
            }
            End::Close(code, _) => {
                tracing::info!(
                    link.peer = peer,
                    link.carrier = carrier,
                    net.peer = source,
                    bytes,
                    link.code = *code as u8,
                    "the link is closed"
                );
            }
            End::Over(error) => {
                tracing::info!(
                    link.peer = peer,
                    link.carrier = carrier,
                    net.peer = source,
                    bytes,
                    "the link is over: {error}"
                );
            }
        }
    }
}

fn over(error: CarrierError) -> Flow {
    Flow::Break(End::Over(error))
}

fn violated(violation: Violation) -> Flow {
    Flow::Break(End::Close(CloseCode::Violation, violation.to_string()))
}

fn count_refusal(code: medrelay_core::transfer::RefusalCode) {
    let code = (code as u8).to_string();
    metrics::counter!("medrelay_link_refused_total", "code" => code).increment(1);
}

fn named(peer: &LinkPeer) -> Peer {
    Peer {
        gateway: peer.name(),
        clinic: peer.clinic.to_string(),
        clinic_name: peer.clinic_name.clone(),
    }
}

fn settings(link: &Link) -> Settings {
    let (relay, receipt_key) = link.service().link_identity();
    let settings = &link.shared.settings;
    Settings {
        relay,
        receipt_key,
        streams: settings.streams,
        instance_bytes: settings.instance_bytes,
        entries: settings.entries,
    }
}
