//! One connection from its greeting to its end: waits for whatever happens next, then acts.
//!
//! Waiting changes nothing and may be given up at any point; what happened is an [`Event`], and
//! [`Conversation::apply`] turns it into the machine's steps, which `steps` carries out. All that
//! takes time runs elsewhere: packs in `packing`, streams in `streams`, the shelf at its `clerk`.

mod clerk;
mod offers;
mod steps;
mod streams;
mod watch;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use medrelay_core::time::{Span, Timestamp};
use medrelay_core::transfer::gateway::Session;
use medrelay_core::transfer::message::Item;
use medrelay_core::transfer::{CloseCode, Message, RefusalCode, StreamHeader};
use medrelay_link::{Carrier, CarrierError, Incoming};
use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use self::clerk::{Answer, Call, Clerk};
use self::offers::Study;
use self::streams::{Ended, FetchError, Streams};
use self::watch::Watch;
use super::ambient::Ambient;
use super::ceiling::Gate;
use super::connect::{Book, DialError, Dialed};
use super::identity::Identity;
use super::join::SOFTWARE;
use super::packing::{Name, Pack, Packer, PackingError};
use super::renew::Renewal;
use super::shelf::{Shelf, ShelfError};
use super::state::{Board, Problem, Sending};
use super::{Settings, Stop};

/// What all connections of a link share.
#[derive(Debug)]
pub(super) struct Shared<S> {
    pub shelf: Arc<S>,
    pub settings: Settings,
    pub ambient: Ambient,
    pub board: Board,
    pub book: Book,
    pub gate: Gate,
    pub pack_bytes: AtomicU64,
    pub experience: Experience,
}

/// What earlier connections taught about this line.
#[derive(Debug, Default)]
pub(super) struct Experience {
    /// Silences that ended by themselves, since the last that did not.
    pub false_alarms: AtomicU32,
    /// How often QUIC fell silent and the WebSocket did not, since it last went well.
    pub falls: AtomicU32,
}

/// Why a connection is over.
#[derive(Debug)]
pub(super) enum End {
    /// It broke, or the other side misbehaved: make another.
    Lost(Problem),
    /// There is a better one already.
    Moved(Dialed),
    /// There is a new certificate: connect with it.
    Renewed(Box<Identity>),
    /// The relay said goodbye; come again after this time, if the code allows it.
    Closed(CloseCode, Duration),
    /// We were asked to stop.
    Stopped,
}

/// What can happen.
enum Event {
    Message(Result<Option<Message>, CarrierError>),
    Arrived(Result<(StreamHeader, Incoming), CarrierError>),
    Packed(Name, Result<Pack, PackingError>),
    Ended(Ended),
    Answer(Answer),
    Changed,
    PathChanged,
    Dialed(Result<Dialed, DialError>),
    Tick,
    Stop,
}

/// A connection and everything that belongs to it.
struct Conversation<'a, S: Shelf> {
    shared: &'a Arc<Shared<S>>,
    identity: &'a Arc<Identity>,
    packer: &'a mut Packer<S>,
    dialed: Dialed,
    session: Session,
    control: UnboundedSender<Message>,
    clerk: Clerk,
    streams: Streams,
    studies: HashMap<u64, Study>,
    /// Studies that are over on this connection, whatever the shelf may still say.
    over: HashSet<u64>,
    items: HashMap<String, Item>,
    /// How often an attachment came damaged.
    damaged: HashMap<String, u32>,
    renewal: Renewal,
    watch: Watch,
    /// When the greeting must be over, and later when a farewell must.
    deadline: Option<Instant>,
    listing: Listing,
    changes: Changes,
    next_look: Instant,
    began: (Timestamp, Instant),
    end: Option<End>,
}

/// Whether the shelf's list is up to date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Listing {
    /// It was read at this moment.
    Read(Instant),
    /// It may have changed.
    Due,
    /// The clerk reads it; `true` when it changed again meanwhile.
    Asked(bool),
}

/// Speaks over a connection until it ends.
pub(super) async fn converse<S: Shelf>(
    shared: &Arc<Shared<S>>,
    identity: &Arc<Identity>,
    packer: &mut Packer<S>,
    dialed: Dialed,
    stop: &mut Stop,
) -> End {
    packer.begin();
    let (control, writer) = writer(dialed.carrier.clone());
    let carrier = dialed.carrier.clone();
    let mut conversation = Conversation {
        shared,
        identity,
        packer,
        session: Session::new(SOFTWARE),
        control,
        clerk: Clerk::new(shared.shelf.clone()),
        streams: Streams::default(),
        studies: HashMap::new(),
        over: HashSet::new(),
        items: HashMap::new(),
        damaged: HashMap::new(),
        renewal: Renewal::new(identity, &shared.ambient),
        watch: Watch::new(&dialed, &shared.experience).await,
        deadline: Some(Instant::now() + GREETING),
        listing: Listing::Due,
        changes: Changes::of(shared.shelf.clone()),
        next_look: Instant::now(),
        began: (shared.ambient.now(), Instant::now()),
        end: None,
        dialed,
    };
    let first = conversation.session.start(conversation.began.0);
    conversation.carry_out(first);
    let end = loop {
        if let Some(end) = conversation.end.take() {
            break end;
        }
        let event = conversation.wait(stop).await;
        conversation.apply(event);
    };
    let Conversation { clerk, control, streams, .. } = conversation;
    drop((streams, control));
    // What was said is sent before the connection closes, and kept before another begins.
    let _ = timeout(FLUSH, writer).await;
    carrier.close(end.code(), "");
    clerk.finish().await;
    shared.board.close(&carrier);
    end
}

impl End {
    /// With which code our side closes.
    fn code(&self) -> CloseCode {
        match self {
            Self::Lost(Problem::OtherRelay) => CloseCode::Violation,
            Self::Moved(_) | Self::Renewed(_) => CloseCode::Moved,
            Self::Lost(_) | Self::Closed(..) | Self::Stopped => CloseCode::Done,
        }
    }
}

impl<S: Shelf> Conversation<'_, S> {
    /// Waits for what happens next. Changes nothing but the watch's own timers.
    async fn wait(&mut self, stop: &mut Stop) -> Event {
        let next = self.next_tick();
        let carrier = &self.dialed.carrier;
        tokio::select! {
            biased;
            () = stop.asked(), if !self.watch.is_leaving => Event::Stop,
            message = carrier.receive() => Event::Message(message),
            arrived = carrier.accept() => Event::Arrived(arrived),
            answer = self.clerk.answer() => Event::Answer(answer),
            ended = self.streams.ended() => Event::Ended(ended),
            (name, packed) = self.packer.packed() => Event::Packed(name, packed),
            dialed = self.watch.challenger.dialed() => Event::Dialed(dialed),
            () = self.watch.path.changed() => Event::PathChanged,
            () = self.changes.next() => Event::Changed,
            () = sleep_until(next) => Event::Tick,
        }
    }

    /// When something is due though nothing happens.
    fn next_tick(&mut self) -> Instant {
        let now = Instant::now();
        let pause = self.watch.pause(self.streams.is_sending());
        self.next_look = self.next_look.min(now + pause);
        let machine = self.session.next_tick().map(|due| {
            let micros = due.since(self.machine_now()).micros();
            now + Duration::from_micros(u64::try_from(micros).unwrap_or(0))
        });
        let machine = machine.map(|due| due.max(now + SHORTEST_TICK));
        machine.map_or(self.next_look, |machine| machine.min(self.next_look))
    }

    fn apply(&mut self, event: Event) {
        let now = self.shared.ambient.now();
        match event {
            Event::Message(Ok(Some(message))) => self.hear(message),
            Event::Message(Ok(None)) => self.end = Some(End::Closed(CloseCode::Done, SOON)),
            Event::Message(Err(error)) | Event::Arrived(Err(error)) => self.lost(error),
            Event::Arrived(Ok((header, stream))) => self.arrived(header, stream),
            Event::Packed(name, packed) => self.packed(name, packed),
            Event::Ended(ended) => self.ended(ended),
            Event::Answer(answer) => self.answered(answer),
            Event::Changed => {
                self.listing = match self.listing {
                    Listing::Asked(_) => Listing::Asked(true),
                    _ => Listing::Due,
                };
                self.list();
            }
            Event::PathChanged => self.path_changed(),
            Event::Dialed(dialed) => self.challenged(dialed),
            Event::Tick => self.tick(now),
            Event::Stop => self.leave(),
        }
        if self.watch.is_leaving && self.session.is_idle() && self.end.is_none() {
            self.end = Some(self.watch.farewell());
        }
    }

    /// The machine's time: it begins as the clock says and never jumps, whoever sets the clock.
    fn machine_now(&self) -> Timestamp {
        let (clock, instant) = self.began;
        clock + Span::from_micros(i64::try_from(instant.elapsed().as_micros()).unwrap_or(i64::MAX))
    }

    fn hear(&mut self, message: Message) {
        // The machine tries again by itself; people should know why nothing arrives.
        if let Message::Refused { code: RefusalCode::OutOfSpace, .. } = &message {
            let now = self.shared.ambient.now();
            self.shared.board.change(|state| {
                state.relay_full_since.get_or_insert(now);
            });
        }
        match self.session.handle(message, self.machine_now()) {
            Ok(steps) => self.carry_out(steps),
            Err(violation) => {
                self.dialed.carrier.close(CloseCode::Violation, violation.0);
                self.end = Some(End::Lost(Problem::Lost(violation.to_string())));
            }
        }
    }

    fn lost(&mut self, error: CarrierError) {
        let code = match &error {
            CarrierError::Closed { code: Some(code), .. } => close_code(*code),
            _ => None,
        };
        let end = match code {
            Some(code) => End::Closed(code, SOON),
            None => End::Lost(Problem::Lost(error.to_string())),
        };
        // The relay's own word, said before, counts for more.
        self.end = Some(if self.watch.is_leaving { self.watch.farewell() } else { end });
    }

    /// A stream from the relay.
    fn arrived(&mut self, header: StreamHeader, stream: Incoming) {
        match header {
            StreamHeader::Attachment { item, offset } => match self.items.get(&item) {
                Some(item) => {
                    let shelf = self.shared.shelf.clone();
                    self.streams.fetch(shelf, item.clone(), offset, stream);
                }
                None => stream.stop(0),
            },
            // Nobody measures on this connection, and packs only go the other way.
            StreamHeader::Measure | StreamHeader::Instance { .. } => stream.stop(0),
        }
    }

    fn packed(&mut self, (key, index): Name, packed: Result<Pack, PackingError>) {
        let steps = match packed {
            Ok(pack) => {
                let info = self.packer.keep((key, index), pack);
                self.session.packed(key, index, info)
            }
            Err(PackingError::Unreadable) => {
                self.packer.work();
                self.unreadable(key, index)
            }
            Err(PackingError::Disk(why)) => return self.shelf_failed(why),
        };
        self.carry_out(steps);
    }

    fn ended(&mut self, ended: Ended) {
        match ended {
            Ended::Sent((key, index), sent) => {
                if !self.streams.over((key, index)) {
                    return;
                }
                let steps = match sent {
                    Ok(()) => self.session.streamed(key, index),
                    Err(_) => self.session.broken(key, index),
                };
                self.carry_out(steps);
            }
            Ended::Fetched(item, Ok(())) => self.clerk.call(Call::Keep(item)),
            Ended::Fetched(item, Err(FetchError::Stream)) => {
                self.clerk.call(Call::Attachment(item));
            }
            Ended::Fetched(item, Err(FetchError::Shelf(ShelfError::Damaged))) => {
                self.fetch_again(item);
            }
            Ended::Fetched(_, Err(FetchError::Shelf(error))) => {
                self.shelf_failed(error.to_string());
            }
        }
    }

    fn answered(&mut self, answer: Answer) {
        match answer {
            Answer::Waiting(waiting) => {
                let again = matches!(self.listing, Listing::Asked(true));
                self.listing = if again { Listing::Due } else { Listing::Read(Instant::now()) };
                self.take_list(waiting);
            }
            Answer::Signed(key) => self.offer_signed(key),
            Answer::Committed(key) => tracing::debug!(link.study = key, "committed and kept"),
            Answer::Attachment(item, offset) => self.fetch(item, offset),
            Answer::Kept(id) => {
                self.items.remove(&id);
                let steps = self.session.received(id);
                self.carry_out(steps);
            }
            Answer::Damaged(item) => self.fetch_again(item),
            Answer::Failed(error) => self.shelf_failed(error.to_string()),
        }
    }

    /// Time went on.
    fn tick(&mut self, now: Timestamp) {
        if self.deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            self.end = Some(match self.watch.is_leaving {
                true => self.watch.farewell(),
                false => End::Lost(Problem::Lost("the relay does not greet".to_owned())),
            });
            return;
        }
        let steps = self.session.tick(self.machine_now());
        self.carry_out(steps);
        if Instant::now() < self.next_look {
            return;
        }
        self.next_look = Instant::now() + LONGEST_LOOK;
        self.shared.board.count(&self.dialed.carrier);
        self.renew(now);
        if matches!(self.listing, Listing::Read(when) if when.elapsed() > LIST_AGAIN) {
            self.listing = Listing::Due;
        }
        self.list();
        self.look_after_line();
        self.show();
    }

    /// Asks the shelf what waits, if that may have changed.
    fn list(&mut self) {
        if self.session.is_welcome() && self.listing == Listing::Due && !self.watch.is_leaving {
            self.listing = Listing::Asked(false);
            self.clerk.call(Call::Waiting);
        }
    }

    /// We were asked to stop: what runs is finished, for ten seconds at most.
    fn leave(&mut self) {
        self.watch.leave(End::Stopped);
        self.deadline = Some(Instant::now() + FAREWELL);
        let steps = self.session.leave(CloseCode::Done, 0, "");
        self.carry_out(steps);
    }

    fn shelf_failed(&mut self, why: String) {
        self.end = Some(End::Lost(Problem::Shelf(why)));
    }

    /// What everybody may see.
    fn show(&self) {
        let mut sending: Vec<Sending> = (self.studies.iter())
            .filter_map(|(key, study)| {
                let progress = self.session.progress(*key)?;
                Some(Sending { key: *key, urgency: study.urgency, progress })
            })
            .collect();
        sending.sort_by_key(|study| (study.urgency, study.key));
        let pack_bytes = self.shared.pack_bytes.load(Ordering::Relaxed);
        self.shared.board.change(|state| {
            state.sending = sending;
            state.pack_bytes = pack_bytes;
        });
    }
}

/// Hears of changes on the shelf, whatever else happens meanwhile.
#[derive(Debug)]
struct Changes {
    heard: Arc<Notify>,
    task: AbortHandle,
}

impl Changes {
    fn of<S: Shelf>(shelf: Arc<S>) -> Self {
        let heard = Arc::new(Notify::new());
        let told = heard.clone();
        let task = tokio::spawn(async move {
            loop {
                shelf.changed().await;
                told.notify_one();
                sleep(LIST_PAUSE).await;
            }
        });
        Self { heard, task: task.abort_handle() }
    }

    async fn next(&self) {
        self.heard.notified().await;
    }
}

impl Drop for Changes {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Sends control messages in order, so that nobody else has to wait for that.
fn writer(carrier: Carrier) -> (UnboundedSender<Message>, JoinHandle<()>) {
    let (control, mut messages) = unbounded_channel();
    let task = tokio::spawn(async move {
        while let Some(message) = messages.recv().await {
            if carrier.send(&message).await.is_err() {
                // Whoever receives learns why.
                return;
            }
        }
    });
    (control, task)
}

fn close_code(code: u8) -> Option<CloseCode> {
    use CloseCode as Code;
    let known = [
        Code::Done,
        Code::Version,
        Code::Violation,
        Code::Revoked,
        Code::Proof,
        Code::Stopping,
        Code::Crowded,
        Code::Moved,
        Code::Idle,
        Code::Closed,
    ];
    known.into_iter().find(|known| *known as u8 == code)
}

const GREETING: Duration = Duration::from_secs(10);
const FAREWELL: Duration = Duration::from_secs(10);
const FLUSH: Duration = Duration::from_secs(1);
const SOON: Duration = Duration::from_millis(100);
const LONGEST_LOOK: Duration = Duration::from_secs(1);
const SHORTEST_TICK: Duration = Duration::from_millis(5);
/// The shelf is not asked more often than this.
const LIST_PAUSE: Duration = Duration::from_millis(100);
/// The shelf is asked again after this, even if it does not say that something changed.
const LIST_AGAIN: Duration = Duration::from_secs(30);
/// How often a damaged attachment is fetched on one connection.
const FETCHES: u32 = 3;
