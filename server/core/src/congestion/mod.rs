//! Congestion control for lines where loss is not congestion: how many bytes may be under way.
//!
//! A [`Model`] of the line is kept from what acknowledgements say: the largest delivery rate of
//! recent rounds, the least round-trip time of recent seconds, the lumps in which acknowledgements
//! come, and the share of packets that is lost even when the line is not full. Their product is what
//! the line holds without a queue. The window follows it, and what corrects it is the queue itself,
//! seen as the least round-trip time of each round less the least known:
//!
//! ```text
//!           a queue appears, or the          what is under way           ┌─┐ no queue: a step up each
//!           rate grows no more               is what the line holds      │ │ round; above the target:
//!  Startup ─────────────────────────► Drain ──────────────────────► Probe ◄┘ down to what it holds
//!     ▲                                 ▲                            │  ▲
//!     │ another path      a queue again │   goal reached             │  │ the line was seen empty,
//!     │                                 └─── Recover ───────────►    ▼  │ or 5 s without that are over
//!  anywhere ── everything lost for long ────────▲               ProbeRtt
//!                                                                    │  ▲ every 5 s
//!                             the queue stays though we gave way     ▼  │
//!                             (until it goes)                     Contend
//! ```
//!
//! Every flow adds the same and gives up in proportion, at the same sign (the queue is common to
//! them) and the largest first, so that shares become equal. What keeps them equal is that all know
//! the empty line: flows look for it in the same moment of the clock. A queue that is still there
//! then belongs to a flow that fills it whatever happens, and giving way would be giving up:
//! `Contend` yields to loss, as that flow does, until the queue goes.
//!
//! No clock and no randomness: moments are arguments. They are counted from an origin that is best
//! common to flows that share a line, such as that of the wall clock.

mod delivery;
mod filter;
mod phase;

use std::time::Duration;

use delivery::{Batch, Delivery};
use filter::{AckLumps, Largest, Least, Losses};
use phase::{Phase, Round};

/// Packets that may be under way before anything is known of the line: twice what RFC 9002 section
/// 7.2 gives, but spaced over a round trip.
const INITIAL_PACKETS: u64 = 20;
/// Packets that may be under way whatever happens, so that loss is still noticed by gaps.
const MINIMUM_PACKETS: u64 = 4;
/// The same for the moment of looking for an empty line (RFC 9002 section 7.2: two at least).
const LOOKING_PACKETS: u64 = 2;
/// Rounds whose delivery rates are remembered.
const RATE_ROUNDS: u64 = 10;
/// Hosts take their turns in milliseconds, whatever the line: what is under way must last as long.
const HOST_TURN: Duration = Duration::from_millis(5);
/// The transport may send this much faster than one window a round trip (RFC 9002 section 7.7).
const PACING_GAIN: f64 = 1.25;

/// What a [`Model`] is told once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Bytes of a full packet at the start.
    pub datagram: u64,
    /// Bytes under way at most, whatever the line would hold.
    pub window_limit: u64,
    /// Bytes a second at most; `None` leaves it to the line.
    pub ceiling: Option<u64>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { datagram: 1_200, window_limit: 64 << 20, ceiling: None }
    }
}

/// What the model knows, for logs and measurements.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Snapshot {
    /// The state's name.
    pub phase: &'static str,
    /// Bytes that may be under way.
    pub window: u64,
    /// The line's delivery rate in bytes a second, 0 while unknown.
    pub rate: u64,
    /// The least round-trip time of the last seconds, `None` while unknown.
    pub least_rtt: Option<Duration>,
    /// The queue of the last whole round as time.
    pub queue: Duration,
    /// Share of the bytes that is lost even when there is no queue.
    pub baseline_loss: f64,
}

/// The controller of one path. See the module's text for how it works.
#[derive(Debug, Clone)]
pub struct Model {
    settings: Settings,
    datagram: u64,
    phase: Phase,
    window: u64,
    delivery: Delivery,
    rates: Largest,
    /// Rounds in which the sender was held back: what the delivery rates are dated by.
    rate_round: u64,
    least: Least,
    least_kept: Option<Duration>,
    smoothed: Option<Duration>,
    lumps: AckLumps,
    round: Round,
    queue: Duration,
    losses: Losses,
    /// When the queue last overflowed, and the window to which that led for a while.
    overflowed_at: Option<Duration>,
    overflow_limit: u64,
    /// When the queue was last seen (nearly) empty.
    emptied_at: Duration,
    /// The window when the queue was last short, and since when going down has not made it so.
    calm_window: u64,
    stubborn_since: Option<Duration>,
    /// When another flow last held the queue.
    contended_at: Option<Duration>,
    /// When it was last looked for.
    looked_at: Duration,
}

impl Model {
    /// A controller of a path of which nothing is known.
    pub fn new(settings: Settings, now: Duration) -> Self {
        let datagram = settings.datagram.clamp(1, u64::from(u16::MAX));
        let mut model = Self {
            settings,
            datagram,
            phase: Phase::startup(),
            window: 0,
            delivery: Delivery::new(now),
            rates: Largest::over(RATE_ROUNDS),
            rate_round: 0,
            least: Least::default(),
            least_kept: None,
            smoothed: None,
            lumps: AckLumps::new(now),
            round: Round::starting(now, 0),
            queue: Duration::ZERO,
            losses: Losses::default(),
            overflowed_at: None,
            overflow_limit: u64::MAX,
            emptied_at: now,
            calm_window: 0,
            stubborn_since: None,
            contended_at: None,
            looked_at: now,
        };
        model.set_window(model.initial_window());
        model
    }

    /// `bytes` in one or more packets left at `now`.
    pub fn on_sent(&mut self, now: Duration, bytes: u64) {
        self.delivery.on_sent(now, bytes);
    }

    /// A packet of `bytes` sent at `sent` is acknowledged. Packets acknowledged together are told
    /// one by one with the same `now`, then [`Model::on_ack_end`] follows.
    pub fn on_ack(&mut self, now: Duration, sent: Duration, bytes: u64) {
        self.delivery.on_ack(now, sent.min(now), bytes);
    }

    /// The packets acknowledged at `now` have all been told; `in_flight` bytes are still under way.
    /// `app_limited` says that there was nothing more to send before they came.
    pub fn on_ack_end(&mut self, now: Duration, in_flight: u64, app_limited: bool) {
        let Some(batch) = self.delivery.finish(now, in_flight, app_limited) else {
            return;
        };
        let rtt = now.saturating_sub(batch.sent).max(Duration::from_micros(1));
        self.learn(now, rtt, &batch);
        self.round.acked = self.round.acked.saturating_add(batch.acked);
        if batch.sent >= self.round.samples_from {
            self.round.rtt = Some(self.round.rtt.map_or(rtt, |least| least.min(rtt)));
        }
        let was_in_flight = in_flight.saturating_add(batch.acked);
        // Window or pacer held the sender back. A busy machine misses turns of the pacer, so that
        // the window is never quite full; only a larger one makes up for that.
        self.round.full |= !app_limited && was_in_flight >= self.window / 2;
        self.on_batch(now, rtt, &batch, in_flight, app_limited);
        if batch.sent >= self.round.started {
            self.on_round_end(now);
        }
    }

    /// `bytes` are given up for lost. `persistent` says that everything sent over a period of
    /// several probe time-outs was lost (RFC 9002 section 7.6): the line was away.
    pub fn on_loss(&mut self, now: Duration, bytes: u64, persistent: bool) {
        self.delivery.on_loss(bytes);
        if persistent {
            self.recover(now);
            return;
        }
        self.round.lost = self.round.lost.saturating_add(bytes);
    }

    /// The network marked packets instead of dropping them (ECN): a queue, whatever the delay says.
    pub fn on_mark(&mut self) {
        self.round.marked = true;
    }

    /// A full packet has another size from now on.
    pub fn on_datagram_size(&mut self, bytes: u64) {
        self.datagram = bytes.clamp(1, u64::from(u16::MAX));
        self.set_window(self.window);
    }

    /// The path is another one: everything learnt is forgotten.
    pub fn on_path_change(&mut self, now: Duration) {
        let settings = Settings { datagram: self.datagram, ..self.settings };
        *self = Self::new(settings, now);
    }

    /// Sets or lifts the limit on the rate, in bytes a second.
    pub fn set_ceiling(&mut self, ceiling: Option<u64>) {
        self.settings.ceiling = ceiling;
    }

    /// Bytes that may be under way.
    pub fn window(&self) -> u64 {
        let Some(ceiling) = self.settings.ceiling else {
            return self.window;
        };
        let rtt = self.smoothed.unwrap_or(Duration::from_millis(100));
        let limited = (ceiling as f64 * rtt.as_secs_f64()) as u64;
        self.window.min(limited.max(self.minimum()))
    }

    /// Bytes a second at which packets are to be spaced; 0 while no round-trip time is known. The
    /// window is what limits, this only keeps bursts small.
    pub fn pacing_rate(&self) -> u64 {
        self.smoothed
            .map_or(0, |rtt| (self.window() as f64 * PACING_GAIN / rtt.as_secs_f64()) as u64)
    }

    /// The window of a path of which nothing is known, in bytes.
    pub fn initial_window(&self) -> u64 {
        (INITIAL_PACKETS * self.datagram).min(self.upper_limit())
    }

    /// What is known now.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            phase: self.phase.name(),
            window: self.window(),
            rate: self.rates.best().unwrap_or(0),
            least_rtt: self.least_kept,
            queue: self.queue,
            baseline_loss: self.losses.baseline(),
        }
    }

    fn minimum(&self) -> u64 {
        MINIMUM_PACKETS * self.datagram
    }

    fn upper_limit(&self) -> u64 {
        self.settings.window_limit.max(self.minimum())
    }

    /// The only place where the window changes.
    fn set_window(&mut self, bytes: u64) {
        let least = match self.phase {
            Phase::ProbeRtt { .. } => LOOKING_PACKETS * self.datagram,
            _ => self.minimum(),
        };
        self.window = bytes.clamp(least, self.upper_limit());
    }

    /// Bytes the line holds without a queue, those included that will be lost on it.
    fn held_by_line(&self) -> Option<u64> {
        let (rate, least) = (self.rates.best()?, self.least_kept?.max(HOST_TURN));
        let kept = 1.0 - self.losses.baseline();
        Some((rate as f64 * least.as_secs_f64() / kept) as u64)
    }

    /// Takes what a batch of acknowledgements says into the filters.
    fn learn(&mut self, now: Duration, rtt: Duration, batch: &Batch) {
        self.least.insert(now, rtt);
        // Beside a flow that never lets the queue go, the empty line is remembered for longer.
        let slices = if self.contended_lately(now) { u64::MAX } else { Least::USUAL };
        let least = self.least.best(slices).unwrap_or(rtt);
        self.least_kept = Some(least);
        self.smoothed = Some(match self.smoothed {
            Some(smoothed) => (smoothed * 7 + rtt) / 8,
            None => rtt,
        });
        // All flows of a line see its emptiest moment, so they will look for the next one together.
        if rtt <= least + least / 64 {
            self.emptied_at = now;
        }
        if let Some(rate) = batch.rate {
            // A sender with nothing to send shows what it sent, not what the line could carry.
            if !batch.limited || self.rates.best().is_none_or(|best| rate >= best) {
                self.rates.insert(self.rate_round, rate);
            }
        }
        let rate = self.rates.best().unwrap_or(0);
        self.lumps.on_ack(now, self.round.number, batch.acked, rate);
    }
}
