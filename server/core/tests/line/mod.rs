//! A simulated line: one bottleneck with a rate, a delay, a drop-tail queue and random loss, and
//! senders that treat it as a QUIC transport does. Virtual time, seeded chance: a run is repeatable
//! to the byte.
//!
//! The queue and the loss are those of the emulator that the wide-area benchmark uses: a packet is
//! lost by chance before it reaches the queue, and dropped when the queue is longer than its limit.

mod sender;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use sender::Sender;
pub use sender::{Control, Cubic};

/// Bytes of every packet.
pub const PACKET: u64 = 1_452;
/// How often the queue and the progress of the flows are looked at.
const LOOK: u64 = 5_000_000;
/// How long a receiver keeps an odd packet unacknowledged.
const ACK_DELAY: u64 = 25_000_000;

/// A line; all but `rate`, `rtt` and `loss` have harmless defaults in [`line()`].
#[derive(Debug, Clone)]
pub struct Line {
    /// Bytes a second.
    pub rate: f64,
    /// Round-trip time without a queue.
    pub rtt: Duration,
    /// Share of packets lost by chance, in either direction.
    pub loss: f64,
    /// The queue's limit as time.
    pub queue: Duration,
    /// Acknowledgements are late by up to this much, by chance.
    pub jitter: Duration,
    /// Acknowledgements are held back and released together this often.
    pub lump: Duration,
    /// Nothing passes from the first moment to the second.
    pub outage: Option<(Duration, Duration)>,
    /// From this moment the line has another rate and round-trip time.
    pub change: Option<(Duration, f64, Duration)>,
    /// The seed of chance.
    pub seed: u64,
}

/// A line of `mbit` Mbit/s, `rtt` ms and `loss` percent, with a queue of one round-trip time.
pub fn line(mbit: f64, rtt: u64, loss: f64) -> Line {
    Line {
        rate: mbit * 125_000.0,
        rtt: Duration::from_millis(rtt),
        loss: loss / 100.0,
        queue: Duration::from_millis(rtt.max(20)),
        jitter: Duration::ZERO,
        lump: Duration::ZERO,
        outage: None,
        change: None,
        seed: 1,
    }
}

/// A sender on the line.
pub struct Flow {
    /// Its congestion control.
    pub control: Control,
    /// When it begins.
    pub start: Duration,
    /// Bytes it has to send; `u64::MAX` for as much as the line takes.
    pub bytes: u64,
    /// When it goes silent.
    pub stop: Duration,
}

/// A flow that sends for ever from the start on.
pub fn flow(control: Control) -> Flow {
    Flow { control, start: Duration::ZERO, bytes: u64::MAX, stop: Duration::MAX }
}

/// What became of one flow.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// When everything was acknowledged.
    pub finished: Option<Duration>,
    /// Bytes sent, everything counted.
    pub sent: u64,
    /// Bytes given up for lost and sent again.
    pub lost: u64,
    /// Bytes acknowledged, looked at every 5 ms.
    pub progress: Vec<u64>,
    /// The least and the largest window seen.
    pub windows: (u64, u64),
}

impl Outcome {
    /// Bytes acknowledged between two moments.
    pub fn between(&self, from: Duration, to: Duration) -> u64 {
        let at = |moment: Duration| {
            let index = (moment.as_nanos() / u128::from(LOOK)) as usize;
            let last = self.progress.len().saturating_sub(1);
            self.progress.get(index.min(last)).copied().unwrap_or(0)
        };
        at(to) - at(from)
    }
}

/// What became of a run.
#[derive(Debug, Clone, Default)]
pub struct Run {
    /// The flows, in their order.
    pub flows: Vec<Outcome>,
    /// The queue as time, looked at every 5 ms.
    pub queue: Vec<Duration>,
    /// Bytes dropped because the queue was full.
    pub overflow: u64,
    /// Bytes lost by chance.
    pub chance: u64,
}

impl Run {
    /// The mean queue between two moments.
    pub fn mean_queue(&self, from: Duration, to: Duration) -> Duration {
        let at = |moment: Duration| (moment.as_nanos() / u128::from(LOOK)) as usize;
        let seen = &self.queue[at(from).min(self.queue.len())..at(to).min(self.queue.len())];
        seen.iter().sum::<Duration>() / (seen.len().max(1) as u32)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Wake(usize),
    Arrive(usize, u64),
    AckDue(usize, usize),
    Ack(usize, usize),
    Timer(usize),
    Look,
}

#[derive(Debug, Default)]
struct Receiver {
    /// Packet numbers in the order of arrival.
    arrived: Vec<u64>,
    largest: u64,
    acknowledged: usize,
}

struct World {
    line: Line,
    now: u64,
    events: BinaryHeap<Reverse<(u64, u64, Event)>>,
    count: u64,
    chance: u64,
    link_free: u64,
    released: u64,
    receivers: Vec<Receiver>,
    run: Run,
}

impl World {
    fn at(&mut self, time: u64, event: Event) {
        self.count += 1;
        self.events.push(Reverse((time.max(self.now), self.count, event)));
    }

    fn uniform(&mut self) -> f64 {
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        (self.chance >> 11) as f64 / 9_007_199_254_740_992.0
    }

    fn rate(&self) -> f64 {
        match self.line.change {
            Some((at, rate, _)) if u128::from(self.now) >= at.as_nanos() => rate,
            _ => self.line.rate,
        }
    }

    fn delay(&self) -> u64 {
        let rtt = match self.line.change {
            Some((at, _, rtt)) if u128::from(self.now) >= at.as_nanos() => rtt,
            _ => self.line.rtt,
        };
        nanos(rtt) / 2
    }

    fn away(&self) -> bool {
        (self.line.outage).is_some_and(|(from, to)| self.now >= nanos(from) && self.now < nanos(to))
    }

    fn carry(&mut self, flow: usize, number: u64) {
        if self.away() || self.uniform() < self.line.loss {
            self.run.chance += PACKET;
            return;
        }
        let free = self.link_free.max(self.now);
        if free - self.now > nanos(self.line.queue) {
            self.run.overflow += PACKET;
            return;
        }
        self.link_free = free + (PACKET as f64 / self.rate() * 1e9) as u64;
        self.at(self.link_free + self.delay(), Event::Arrive(flow, number));
    }

    fn arrive(&mut self, flow: usize, number: u64) {
        let receiver = &mut self.receivers[flow];
        receiver.arrived.push(number);
        let gap = number != receiver.largest + 1;
        receiver.largest = receiver.largest.max(number);
        let waiting = receiver.arrived.len() - receiver.acknowledged;
        if waiting >= 2 || gap {
            return self.acknowledge(flow);
        }
        let due = Event::AckDue(flow, receiver.arrived.len());
        self.at(self.now + ACK_DELAY, due);
    }

    fn acknowledge(&mut self, flow: usize) {
        let arrived = self.receivers[flow].arrived.len();
        self.receivers[flow].acknowledged = arrived;
        if self.away() || self.uniform() < self.line.loss {
            return;
        }
        let late = (self.uniform() * self.line.jitter.as_nanos() as f64) as u64;
        let mut at = self.now + self.delay() + late;
        let lump = nanos(self.line.lump);
        if let Some(turn) = at.checked_div(lump) {
            // A radio's turns come at uneven distances.
            let uneven = turn.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
            at = at.max(turn * lump + lump * uneven / (1 << 32));
            at = at.max(self.released);
            if at > turn * lump + lump * uneven / (1 << 32) {
                let next = (turn + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
                at = (turn + 1) * lump + lump * next / (1 << 32);
            }
            self.released = at;
        }
        self.at(at, Event::Ack(flow, arrived));
    }

    fn look(&mut self, senders: &[Sender]) {
        let queue = self.link_free.saturating_sub(self.now);
        self.run.queue.push(Duration::from_nanos(queue));
        for (outcome, sender) in self.run.flows.iter_mut().zip(senders) {
            outcome.progress.push(sender.delivered());
            let window = sender.window();
            let (least, most) = outcome.windows;
            outcome.windows = (least.min(window), most.max(window));
        }
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Lets the flows use the line until `end`, or until all that have an end are done.
pub fn run(line: &Line, flows: Vec<Flow>, end: Duration) -> Run {
    let mut world = World {
        line: line.clone(),
        now: 0,
        events: BinaryHeap::new(),
        count: 0,
        chance: line.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
        link_free: 0,
        released: 0,
        receivers: flows.iter().map(|_| Receiver::default()).collect(),
        run: Run::default(),
    };
    world.run.flows = vec![Outcome { windows: (u64::MAX, 0), ..Outcome::default() }; flows.len()];
    let mut senders = Vec::new();
    for (index, flow) in flows.into_iter().enumerate() {
        world.at(nanos(flow.start), Event::Wake(index));
        senders.push(Sender::new(index, flow));
    }
    world.at(0, Event::Look);
    while let Some(Reverse((time, _, event))) = world.events.pop() {
        world.now = time;
        if Duration::from_nanos(time) > end {
            break;
        }
        match event {
            Event::Look => {
                world.look(&senders);
                if senders.iter().all(Sender::done) {
                    break;
                }
                world.at(time + LOOK, Event::Look);
            }
            Event::Arrive(flow, number) => world.arrive(flow, number),
            Event::AckDue(flow, count) => {
                if world.receivers[flow].acknowledged < count {
                    world.acknowledge(flow);
                }
            }
            Event::Wake(flow) => senders[flow].wake(&mut world),
            Event::Timer(flow) => senders[flow].timer(&mut world),
            Event::Ack(flow, count) => senders[flow].acknowledged(&mut world, count),
        }
    }
    for (outcome, sender) in world.run.flows.iter_mut().zip(&senders) {
        (outcome.finished, outcome.sent, outcome.lost) = sender.outcome();
    }
    world.run
}
