//! A clinic, a relay and a line between them that does everything wrong that a line can do.
//!
//! Every step of the world is one thing that may happen next, drawn from all that may: a message
//! arrives, a stream goes on a little, a disk answers, the line breaks. Control channel and
//! streams are ordered only within themselves. What the relay has stored survives a break, and so
//! do the bytes of unfinished streams; nothing else does.

mod driver;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use medrelay_core::time::{SeededEntropy, Span, Timestamp};
use medrelay_core::transfer::gateway::{self, Offer, PackInfo};
use medrelay_core::transfer::message::{Item, Message, Partial, StreamHeader};
use medrelay_core::transfer::relay::{self, Greeting, Verdict};
use medrelay_core::transfer::{Hash, Outcome, RefusalCode, Urgency};

use crate::relay::{peer, settings};
use crate::sample::{NOW, hash};

/// A study by the gateway's key and an entry by its index.
type Name = (u64, u32);

pub struct Random(SeededEntropy);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(SeededEntropy::new(seed))
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.0.next_u64() % end.max(1)
    }
}

/// One stream: each end knows only its own part of it.
struct Stream {
    name: Name,
    study: u32,
    header: StreamHeader,
    pack: PackInfo,
    began: u64,
    at: u64,
    gateway_waits: bool,
    relay: RelaySide,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum RelaySide {
    Unseen,
    Flowing,
    Restoring,
    Reset,
    Done,
}

/// What one connection knows; gone with it.
struct Connection {
    gateway: gateway::Session,
    relay: relay::Session,
    up: VecDeque<Message>,
    down: VecDeque<Message>,
    streams: Vec<Stream>,
    making: Vec<Name>,
    proving: bool,
    /// Registrations and commits that the relay's disk works at, by study number.
    registering: Vec<u32>,
    committing: Vec<u32>,
    /// The relay's view of whose number it is.
    numbers: BTreeMap<u32, u64>,
    items: Vec<Item>,
    items_seen: BTreeSet<String>,
    packs: BTreeMap<Name, u64>,
}

/// What is to go wrong, in the time of one run.
#[derive(Debug, Clone, Copy)]
pub struct Faults {
    pub cuts: u64,
    pub resets: u64,
    pub refusals: u64,
    pub withdrawals: u64,
    /// Entries whose restored bytes are other ones, and manifests with a wrong signature.
    pub spoiled: u64,
}

pub struct World {
    random: Random,
    now: Timestamp,
    faults: Faults,
    connection: Connection,
    // The clinic.
    later: Vec<Offer>,
    pending: BTreeMap<u64, Offer>,
    committed: BTreeSet<u64>,
    given_up: BTreeSet<u64>,
    repacked: u64,
    raised: bool,
    items_received: BTreeSet<String>,
    // The relay's disk.
    stored: BTreeMap<Name, Outcome>,
    partial: BTreeMap<Name, (Hash, u64)>,
    signed: BTreeSet<u64>,
    items: Vec<Item>,
    items_delivered: BTreeSet<String>,
    // What moved, and what may have moved.
    sent: BTreeMap<Name, u64>,
    allowed: BTreeMap<Name, u64>,
    pub connections: u64,
    pub most_streams: usize,
}

#[derive(Debug, Clone, Copy)]
enum Happening {
    Up,
    Down,
    Prove,
    Register(usize),
    Commit(usize),
    Make(usize),
    Accept(usize),
    Flow(usize),
    Streamed(usize),
    Restored(usize),
    ResetSeen(usize),
    OfferNext,
    Items,
    ItemDone(usize),
    Tick,
    Cut,
    Break(usize),
    Withdraw,
    Reprioritize,
}

impl World {
    pub fn new(seed: u64, offers: Vec<Offer>, items: Vec<Item>, faults: Faults) -> Self {
        let mut world = Self {
            random: Random::new(seed),
            now: NOW,
            faults,
            connection: Connection::new(false),
            later: offers,
            pending: BTreeMap::new(),
            committed: BTreeSet::new(),
            given_up: BTreeSet::new(),
            repacked: 0,
            raised: false,
            items_received: BTreeSet::new(),
            stored: BTreeMap::new(),
            partial: BTreeMap::new(),
            signed: BTreeSet::new(),
            items,
            items_delivered: BTreeSet::new(),
            sent: BTreeMap::new(),
            allowed: BTreeMap::new(),
            connections: 0,
            most_streams: 0,
        };
        world.connect();
        world
    }

    /// Lets things happen until nothing more can, and checks that everything came to its end.
    pub fn run(&mut self) {
        let expected: BTreeSet<u64> = self.later.iter().map(|offer| offer.key).collect();
        for _ in 0..2_000_000 {
            let happenings = self.happenings();
            if happenings.is_empty() {
                match self.connection.gateway.next_tick() {
                    Some(at) => {
                        self.now = self.now.max(at);
                        let steps = self.connection.gateway.tick(self.now);
                        self.at_gateway(steps);
                        continue;
                    }
                    None => return self.check_end(&expected),
                }
            }
            let mut pick = self.pick(happenings.len());
            // The line is slow: it lets others go first.
            if matches!(happenings[pick], Happening::Flow(_)) && self.random.below(8) > 0 {
                pick = self.pick(happenings.len());
            }
            self.happen(happenings[pick]);
        }
        panic!("it never ends");
    }

    fn check_end(&self, expected: &BTreeSet<u64>) {
        assert!(self.pending.is_empty(), "stuck with {:?}", self.pending.keys());
        let ended: BTreeSet<u64> = self.committed.union(&self.given_up).copied().collect();
        assert_eq!(&ended, expected, "something was lost");
        let received: BTreeSet<_> = self.items.iter().map(|item| item.id.clone()).collect();
        assert_eq!(self.items_received, received, "an item was lost");
        assert_eq!(self.items_delivered, received, "a receipt was lost");
        assert!(self.connection.streams.is_empty(), "a stream was left behind");
        assert!(self.connection.packs.is_empty(), "packs were left: {:?}", self.connection.packs);
        for (name, sent) in &self.sent {
            assert!(sent <= &self.allowed[name], "{name:?} was sent {sent} bytes, twice");
        }
    }

    fn happenings(&self) -> Vec<Happening> {
        let c = &self.connection;
        let mut all = Vec::new();
        let mut when = |may: bool, happening| {
            if may {
                all.push(happening);
            }
        };
        when(!c.up.is_empty(), Happening::Up);
        when(!c.down.is_empty(), Happening::Down);
        when(c.proving, Happening::Prove);
        when(!c.registering.is_empty(), Happening::Register(c.registering.len()));
        when(!c.committing.is_empty(), Happening::Commit(c.committing.len()));
        when(!c.making.is_empty(), Happening::Make(c.making.len()));
        when(!self.later.is_empty(), Happening::OfferNext);
        when(!c.items.is_empty(), Happening::ItemDone(c.items.len()));
        let fresh = |item: &Item| {
            !self.items_delivered.contains(&item.id) && !c.items_seen.contains(&item.id)
        };
        when(c.relay.wants_items() > 0 && self.items.iter().any(fresh), Happening::Items);
        for (at, stream) in c.streams.iter().enumerate() {
            when(stream.relay == RelaySide::Unseen, Happening::Accept(at));
            when(stream.relay == RelaySide::Flowing, Happening::Flow(at));
            when(stream.relay == RelaySide::Restoring, Happening::Restored(at));
            when(stream.relay == RelaySide::Reset, Happening::ResetSeen(at));
            let ended = matches!(stream.relay, RelaySide::Restoring | RelaySide::Done);
            when(stream.gateway_waits && ended, Happening::Streamed(at));
            let runs = matches!(stream.relay, RelaySide::Unseen | RelaySide::Flowing);
            when(runs && stream.gateway_waits && self.faults.resets > 0, Happening::Break(at));
        }
        let busy = !all.is_empty();
        let mut when = |may: bool, happening| {
            if may && busy {
                all.push(happening);
            }
        };
        when(c.gateway.next_tick().is_some(), Happening::Tick);
        when(self.faults.cuts > 0, Happening::Cut);
        when(self.faults.withdrawals > 0 && !self.pending.is_empty(), Happening::Withdraw);
        when(self.faults.resets > 0 && !self.pending.is_empty(), Happening::Reprioritize);
        all
    }

    fn pick(&mut self, length: usize) -> usize {
        self.random.below(length as u64) as usize
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Up => {
                let message = self.connection.up.pop_front().expect("one is on its way");
                let steps = self.connection.relay.handle(travel(&message), self.now);
                self.at_relay(steps.unwrap_or_else(|why| panic!("{why}: {message:?}")));
            }
            Happening::Down => {
                let message = self.connection.down.pop_front().expect("one is on its way");
                let steps = self.connection.gateway.handle(travel(&message), self.now);
                self.at_gateway(steps.unwrap_or_else(|why| panic!("{why}: {message:?}")));
            }
            Happening::Prove => {
                self.connection.proving = false;
                let steps = self.connection.relay.proved(peer(), self.now);
                self.at_relay(steps);
            }
            Happening::Register(length) => self.register(length),
            Happening::Commit(length) => self.commit(length),
            Happening::Make(length) => {
                let at = self.pick(length);
                let name = self.connection.making.swap_remove(at);
                let pack = self.pack(name);
                if let Some(bytes) = self.connection.packs.get_mut(&name) {
                    *bytes = pack.bytes;
                }
                let steps = self.connection.gateway.packed(name.0, name.1, pack);
                self.at_gateway(steps);
            }
            Happening::Accept(at) => self.accept(at),
            Happening::Flow(at) => self.flow(at),
            Happening::Streamed(at) => {
                let stream = &mut self.connection.streams[at];
                stream.gateway_waits = false;
                let (key, index) = stream.name;
                self.sweep();
                let steps = self.connection.gateway.streamed(key, index);
                self.at_gateway(steps);
            }
            Happening::Restored(at) => self.restored(at),
            Happening::ResetSeen(at) => {
                let stream = &mut self.connection.streams[at];
                stream.relay = RelaySide::Done;
                let (study, index) = (stream.study, stream.name.1);
                self.connection.relay.broken(study, index);
                self.sweep();
            }
            other => self.happen_rarely(other),
        }
        self.most_streams = self.most_streams.max(self.running());
    }

    fn happen_rarely(&mut self, happening: Happening) {
        match happening {
            Happening::OfferNext => {
                let offer = self.later.remove(0);
                self.pending.insert(offer.key, offer.clone());
                let steps = self.connection.gateway.offer(offer);
                self.at_gateway(steps);
            }
            Happening::Items => {
                let delivered = |item: &&Item| !self.items_delivered.contains(&item.id);
                let items = self.items.iter().filter(delivered).cloned().collect();
                let steps = self.connection.relay.items(items);
                self.at_relay(steps);
            }
            Happening::ItemDone(length) => {
                let at = self.pick(length);
                let item = self.connection.items.swap_remove(at);
                self.items_received.insert(item.id.clone());
                let steps = self.connection.gateway.received(item.id);
                self.at_gateway(steps);
            }
            Happening::Tick => {
                self.now = self.now + Span::from_millis(self.random.below(300) as i64);
                let steps = self.connection.gateway.tick(self.now);
                self.at_gateway(steps);
            }
            Happening::Cut => self.cut(),
            Happening::Break(at) => self.reset(at),
            Happening::Withdraw => {
                self.faults.withdrawals -= 1;
                let at = self.pick(self.pending.len());
                let key = *self.pending.keys().nth(at).expect("one of them");
                self.pending.remove(&key);
                self.given_up.insert(key);
                let steps = self.connection.gateway.withdraw(key);
                self.at_gateway(steps);
            }
            Happening::Reprioritize => {
                let at = self.pick(self.pending.len());
                let offer = self.pending.values_mut().nth(at).expect("one of them");
                let urgency = Urgency::from_code(self.random.below(3) as u8).expect("a priority");
                self.faults.resets -= 1;
                self.raised = true;
                offer.urgency = urgency;
                let key = offer.key;
                let steps = self.connection.gateway.reprioritize(key, urgency);
                self.at_gateway(steps);
            }
            other => panic!("{other:?} happens in the other half"),
        }
    }

    /// The pack of an entry; another one after the gateway packs differently.
    fn pack(&self, (key, index): Name) -> PackInfo {
        let original = self.original(key, index);
        let share = 30 + (key * 7 + u64::from(index)) % 60;
        let seed = key * 1_000_000 + u64::from(index) * 100 + self.repacked;
        PackInfo { bytes: (original * share / 100).max(1), sha256: hash(seed) }
    }

    fn original(&self, key: u64, index: u32) -> u64 {
        let offer = self.pending.get(&key);
        offer.map_or(100, |offer| offer.manifest.entries[index as usize].bytes)
    }

    fn running(&self) -> usize {
        self.connection.streams.iter().filter(|stream| stream.gateway_waits).count()
    }

    fn fault(&mut self) -> bool {
        let happens = self.faults.refusals > 0 && self.random.below(4) == 0;
        self.faults.refusals -= u64::from(happens);
        happens
    }

    fn register(&mut self, length: usize) {
        let at = self.pick(length);
        let study = self.connection.registering.swap_remove(at);
        let key = self.connection.numbers[&study];
        let steps = if self.fault() {
            let code = [RefusalCode::OutOfSpace, RefusalCode::Busy][self.pick(2)];
            self.connection.relay.refused(study, None, code, 400, "")
        } else if key % 5 == 4 && self.faults.spoiled > 1 {
            self.connection.relay.refused(study, None, RefusalCode::BadSignature, 0, "")
        } else {
            let entries = self.connection.relay.progress(study).map_or(0, |(_, all)| all);
            let state = |index| self.stored.get(&(key, index)).copied();
            let of_study = self.partial.range((key, 0)..=(key, u32::MAX));
            let partial = of_study.map(|((_, index), (pack, offset))| Partial {
                index: *index,
                pack: *pack,
                offset: *offset,
            });
            let partial = partial.collect();
            self.connection.relay.known(study, (0..entries).map(state).collect(), partial)
        };
        self.at_relay(steps);
    }

    fn commit(&mut self, length: usize) {
        let at = self.pick(length);
        let study = self.connection.committing.swap_remove(at);
        let steps = if self.fault() {
            self.connection.relay.refused(study, None, RefusalCode::Busy, 400, "")
        } else {
            self.signed.insert(self.connection.numbers[&study]);
            self.connection.relay.committed(study, vec![1], vec![2])
        };
        self.at_relay(steps);
    }

    fn accept(&mut self, at: usize) {
        let stream = &mut self.connection.streams[at];
        let verdict = self.connection.relay.stream(&stream.header).expect("a stream in its turn");
        match verdict {
            Verdict::Take { study, index, .. } => {
                assert_eq!((study, index), (stream.study, stream.name.1));
                assert!(!self.stored.contains_key(&stream.name), "sent though it is stored");
                stream.relay = RelaySide::Flowing;
                if stream.began > 0 {
                    let (pack, offset) = self.partial[&stream.name];
                    assert_eq!(pack, stream.pack.sha256, "the end of another pack");
                    assert!(offset >= stream.began, "a gap in the pack");
                }
                self.partial.insert(stream.name, (stream.pack.sha256, stream.began));
            }
            Verdict::Refuse(code) => {
                stream.relay = RelaySide::Done;
                let told = std::mem::take(&mut stream.gateway_waits);
                let (name, header) = (stream.name, stream.header.clone());
                self.sweep();
                let steps = self.connection.relay.turn_away(&header, code);
                self.at_relay(steps);
                if told {
                    let steps = self.connection.gateway.broken(name.0, name.1);
                    self.at_gateway(steps);
                }
            }
            Verdict::Measure => panic!("nothing is measured here"),
        }
    }

    fn flow(&mut self, at: usize) {
        let stream = &mut self.connection.streams[at];
        let left = stream.pack.bytes - stream.at;
        let some = (stream.pack.bytes / 3 + 1).min(left);
        stream.at += some;
        *self.sent.entry(stream.name).or_default() += some;
        self.partial.insert(stream.name, (stream.pack.sha256, stream.at));
        if stream.at == stream.pack.bytes {
            stream.relay = RelaySide::Restoring;
        }
    }

    fn restored(&mut self, at: usize) {
        let fault = self.fault();
        let stream = &mut self.connection.streams[at];
        stream.relay = RelaySide::Done;
        let (name, study, moved) = (stream.name, stream.study, stream.at - stream.began);
        let spoiled = name.0 % 5 == 3 && name.1 == 0 && self.faults.spoiled > 0;
        self.sweep();
        let relay = &mut self.connection.relay;
        let steps = if spoiled {
            self.partial.remove(&name);
            relay.refused(study, Some(name.1), RefusalCode::OtherBytes, 0, "")
        } else if fault {
            let codes = [RefusalCode::OutOfSpace, RefusalCode::Busy, RefusalCode::Damaged];
            let code = codes[self.random.below(3) as usize];
            let mut again = moved;
            if code == RefusalCode::Damaged {
                again = self.partial.remove(&name).map_or(0, |(_, offset)| offset);
            }
            *self.allowed.entry(name).or_default() += again;
            relay.refused(study, Some(name.1), code, 700, "")
        } else {
            let aside = [Outcome::Stored, Outcome::Stored, Outcome::OtherContent];
            let outcome = aside[self.random.below(3) as usize];
            self.partial.remove(&name);
            self.stored.insert(name, outcome);
            relay.stored(study, name.1, outcome)
        };
        self.at_relay(steps);
    }

    /// The gateway gives a stream up for reasons of its own.
    fn reset(&mut self, at: usize) {
        self.faults.resets -= 1;
        let name = self.connection.streams[at].name;
        self.abandon(at);
        let steps = self.connection.gateway.broken(name.0, name.1);
        self.at_gateway(steps);
    }

    fn abandon(&mut self, at: usize) {
        let stream = &mut self.connection.streams[at];
        stream.gateway_waits = false;
        if matches!(stream.relay, RelaySide::Unseen | RelaySide::Flowing) {
            // The gateway does not know how far it came and begins where it began before.
            *self.allowed.entry(stream.name).or_default() += stream.at - stream.began;
            let seen = stream.relay == RelaySide::Flowing;
            stream.relay = if seen { RelaySide::Reset } else { RelaySide::Done };
        }
        self.sweep();
    }

    fn sweep(&mut self) {
        let over = |s: &Stream| !s.gateway_waits && s.relay == RelaySide::Done;
        self.connection.streams.retain(|stream| !over(stream));
    }

    fn cut(&mut self) {
        self.faults.cuts -= 1;
        if self.random.below(3) == 0 {
            // The gateway packs differently from now on: what began to arrive is of no use.
            self.repacked += 1;
            for (name, (_, offset)) in &self.partial {
                *self.allowed.entry(*name).or_default() += offset;
            }
        }
        self.connect();
    }

    fn connect(&mut self) {
        self.connections += 1;
        let websocket = self.random.below(2) == 0;
        self.connection = Connection::new(websocket);
        let steps = self.connection.gateway.start(self.now);
        self.at_gateway(steps);
        let offers: Vec<Offer> = self.pending.values().cloned().collect();
        for offer in offers {
            let steps = self.connection.gateway.offer(offer);
            self.at_gateway(steps);
        }
    }
}

impl Connection {
    fn new(websocket: bool) -> Self {
        let greeting =
            if websocket { Greeting::Challenge(hash(1)) } else { Greeting::Certified(peer()) };
        Self {
            gateway: gateway::Session::new("test"),
            relay: relay::Session::new(settings(), greeting),
            up: VecDeque::new(),
            down: VecDeque::new(),
            streams: Vec::new(),
            making: Vec::new(),
            proving: false,
            registering: Vec::new(),
            committing: Vec::new(),
            numbers: BTreeMap::new(),
            items: Vec::new(),
            items_seen: BTreeSet::new(),
            packs: BTreeMap::new(),
        }
    }
}

/// A message goes over the wire as bytes.
fn travel(message: &Message) -> Message {
    let frame = message.encode();
    Message::decode(&frame[4..]).expect("what a machine says can be read")
}
