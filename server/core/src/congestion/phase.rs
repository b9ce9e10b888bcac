//! The states of a [`Model`] and what each does with an acknowledgement and at the end of a round.
//!
//! A round ends with the first acknowledgement of a packet that was sent after the round began. A
//! window set at its end shows its effect on the queue one round later, so after going down one
//! round is sat out before the next decision.

use std::time::Duration;

use super::delivery::Batch;
use super::{HOST_TURN, INITIAL_PACKETS, Model};

/// Growth of the delivery rate below which a round of the start does not count as growth.
const GROWTH: f64 = 1.25;
/// Rounds without growth after which the start is over.
const FLAT_ROUNDS: u8 = 3;
/// Consecutive acknowledgements with a queue after which the start is over.
const SLOW_ACKS: u8 = 6;
/// The window at the start, as a multiple of what the line seems to hold, at most.
const START_GAIN: f64 = 2.0;
/// Recent loss at which the start is over.
const STARTUP_LOSS: f64 = 0.12;
/// The window later, as a multiple of what the line seems to hold, at most.
const PROBE_GAIN: f64 = 1.5;
/// The window, as a multiple of what the line seems to hold, up to which steps grow.
const KNOWN: f64 = 1.05;
/// Rounds without a queue after which steps grow.
const CALM_ROUNDS: u8 = 8;
/// What is left of the window that would just leave no queue, when going down.
const DRAIN: f64 = 0.96;
/// What going down leaves at least of the window that had no queue.
const DEEPEST_CUT: f64 = 0.5;
/// A queue that stays for so long, whatever we give up, may be somebody else's.
const STUBBORN: Duration = Duration::from_secs(1);
/// The same in round trips, whichever is longer.
const STUBBORN_ROUNDS: u32 = 16;
/// For so long a flow that had to contend is quicker to do so again.
const CONTENDED_LATELY: Duration = Duration::from_secs(10);
/// What loss leaves of the window while contending, as CUBIC's does (RFC 9438 section 4.6).
const CONTEND_CUT: f64 = 0.7;
/// An empty line not seen for so long is looked for.
const EMPTY_WITHIN: Duration = Duration::from_secs(5);
/// The share of what the line holds that is kept under way meanwhile.
const LOOKING_SHARE: u64 = 2;
/// How long the window is kept low to look for it.
const LOOK_FOR: Duration = Duration::from_millis(200);
/// The queue that is never filled further, however it came about.
const QUEUE_LIMIT: Duration = Duration::from_millis(200);
/// How long the window stays at what did not overflow the queue.
const OVERFLOW_HOLD: Duration = Duration::from_secs(3);
/// Recent loss that is still taken for chance: 5 % of a hundred packets is seldom more than that.
const TOLERATED_LOSS: f64 = 0.10;
/// What overflow leaves of the window at least.
const OVERFLOW_CUT: f64 = 0.7;
/// Share of the remembered window up to which an interrupted transfer comes back by doubling.
const RECOVER_TO: f64 = 0.9;

/// What a state carries along.
#[derive(Debug, Clone)]
pub(super) enum Phase {
    /// Doubling each round until the line is full.
    Startup {
        /// The best delivery rate so far, bytes a second.
        best: u64,
        /// Rounds since it last grew.
        flat: u8,
        /// Acknowledgements in a row that saw a queue.
        slow: Slow,
    },
    /// After doubling: nothing is added until the bytes under way are what the line holds.
    Drain,
    /// Following the line: up in steps, down when the queue exceeds its target.
    Probe {
        /// Bytes added at the end of the next round.
        step: u64,
        /// Rounds without a queue in a row.
        calm: u8,
    },
    /// A queue that does not go when we give way: yielding to loss only.
    Contend,
    /// The window halved for a moment, to see the line empty.
    ProbeRtt {
        /// When it ends; unknown until the bytes under way have come down to the window.
        until: Option<Duration>,
        /// The window afterwards.
        back_to: u64,
        /// The least round-trip time seen meanwhile.
        seen: Option<Duration>,
        /// Since when.
        since: Duration,
    },
    /// After the line was away: doubling again, up to what it held before.
    Recover {
        /// The window at which doubling ends.
        goal: u64,
        /// Acknowledgements in a row that saw a queue.
        slow: Slow,
    },
}

/// Acknowledgements in a row that saw a queue. Those of one moment count once: a radio link
/// releases many together, and only the last of them was not held back.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Slow {
    acks: u8,
    at: Duration,
}

impl Slow {
    fn count(&mut self, now: Duration, queued: bool) {
        if !queued {
            self.acks = 0;
        } else if self.acks == 0 || now >= self.at + Duration::from_micros(500) {
            self.acks = self.acks.saturating_add(1);
            self.at = now;
        }
    }
}

/// What is counted over one round.
#[derive(Debug, Clone)]
pub(super) struct Round {
    pub(super) number: u64,
    pub(super) started: Duration,
    /// Round-trip times of packets sent earlier tell of an older window.
    pub(super) samples_from: Duration,
    pub(super) rtt: Option<Duration>,
    pub(super) acked: u64,
    pub(super) lost: u64,
    /// Whether the window was what held the sender back.
    pub(super) full: bool,
    pub(super) marked: bool,
    /// Rounds still to be sat out.
    settle: u8,
}

impl Round {
    /// A round that begins now.
    pub(super) fn starting(now: Duration, number: u64) -> Self {
        Self {
            number,
            started: now,
            samples_from: Duration::ZERO,
            rtt: None,
            acked: 0,
            lost: 0,
            full: false,
            marked: false,
            settle: 0,
        }
    }

    fn sent(&self) -> u64 {
        self.acked.saturating_add(self.lost)
    }
}

/// The queue that is aimed at on a line of this round-trip time: enough to keep it busy.
pub(super) fn queue_target(least: Duration) -> Duration {
    (least / 4).max(Duration::from_millis(5))
}

/// The queue at which doubling ends.
fn queue_noticed(least: Duration) -> Duration {
    (least / 8).clamp(Duration::from_millis(4), Duration::from_millis(30))
}

impl Phase {
    pub(super) fn startup() -> Self {
        Self::Startup { best: 0, flat: 0, slow: Slow::default() }
    }

    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Startup { .. } => "startup",
            Self::Drain => "drain",
            Self::Probe { .. } => "probe",
            Self::Contend => "contend",
            Self::ProbeRtt { .. } => "probe-rtt",
            Self::Recover { .. } => "recover",
        }
    }
}

impl Model {
    /// What happens with every batch of acknowledgements.
    pub(super) fn on_batch(
        &mut self,
        now: Duration,
        rtt: Duration,
        batch: &Batch,
        in_flight: u64,
        app_limited: bool,
    ) {
        let least = self.least_kept.unwrap_or(rtt);
        let queued = rtt > least + queue_noticed(least);
        match &mut self.phase {
            Phase::Startup { slow, .. } => {
                slow.count(now, queued);
                if slow.acks >= SLOW_ACKS {
                    return self.drain(now, in_flight);
                }
                self.double(batch.acked, app_limited);
            }
            Phase::Recover { slow, goal } => {
                slow.count(now, queued);
                let goal = *goal;
                if slow.acks >= SLOW_ACKS {
                    return self.drain(now, in_flight);
                }
                self.double(batch.acked, app_limited);
                if self.window >= goal {
                    self.set_window(goal);
                    self.probe(now, false);
                }
            }
            Phase::ProbeRtt { until, seen, since, .. } => {
                if batch.sent >= *since {
                    *seen = Some(seen.map_or(rtt, |known| known.min(rtt)));
                }
                match *until {
                    None if in_flight <= self.window => {
                        *until = Some(now + LOOK_FOR + least);
                        *since = now;
                        *seen = None;
                    }
                    Some(end) if now >= end && seen.is_some() => self.end_probe_rtt(now),
                    _ => {}
                }
            }
            Phase::Drain => self.drain(now, in_flight),
            Phase::Probe { .. } | Phase::Contend => {}
        }
    }

    /// What happens when a round ends.
    pub(super) fn on_round_end(&mut self, now: Duration) {
        let number = self.round.number + 1;
        let mut next = Round::starting(now, number);
        next.samples_from = self.round.samples_from;
        next.settle = self.round.settle.saturating_sub(1);
        let round = std::mem::replace(&mut self.round, next);
        // A sender with nothing to send learns nothing of the line, and forgets nothing.
        self.rate_round += u64::from(round.full);
        self.rates.expire(self.rate_round);
        let least = self.least_kept.unwrap_or_default();
        if let Some(rtt) = round.rtt {
            self.queue = rtt.saturating_sub(least);
        }
        self.losses.on_round(round.sent(), round.lost, self.datagram);
        if round.settle > 0 || round.rtt.is_none() {
            return;
        }
        match self.phase {
            Phase::Startup { .. } => self.start_round(now, &round),
            Phase::Probe { .. } => self.probe_round(now, &round),
            Phase::Contend => self.contend_round(now, &round),
            Phase::Drain | Phase::ProbeRtt { .. } | Phase::Recover { .. } => {}
        }
        self.look_for_empty_line(now, &round);
    }

    /// Everything sent for a while was lost: begin again with care, with the old window in mind.
    pub(super) fn recover(&mut self, now: Duration) {
        let held = match self.phase {
            Phase::Startup { .. } => return self.set_window(self.initial_window()),
            Phase::Recover { goal, .. } => goal,
            _ => self.held_by_line().unwrap_or(self.window).min(self.window),
        };
        self.phase = Phase::Recover {
            goal: ((held as f64 * RECOVER_TO) as u64).max(INITIAL_PACKETS * self.datagram),
            slow: Slow::default(),
        };
        self.rates.clear();
        self.losses.forgive();
        self.round = Round::starting(now, self.round.number + 1);
        self.round.samples_from = now;
        self.set_window(self.window.min(self.initial_window()));
    }

    /// Doubling: as much again as has arrived.
    fn double(&mut self, acked: u64, app_limited: bool) {
        if app_limited {
            return;
        }
        let limit = self
            .held_by_line()
            .map_or(u64::MAX, |held| (held as f64 * START_GAIN) as u64)
            .saturating_add(self.lumps.allowance())
            .max(self.initial_window());
        let grown = self.window.saturating_add(acked);
        self.set_window(grown.min(limit).max(self.window));
    }

    fn start_round(&mut self, now: Duration, round: &Round) {
        let rate = self.rates.best().unwrap_or(0);
        if round.marked {
            return self.drain(now, self.delivery.in_flight());
        }
        if !round.full {
            return;
        }
        if self.losses.recent() > STARTUP_LOSS {
            return self.drain(now, self.delivery.in_flight());
        }
        let Phase::Startup { best, flat, .. } = &mut self.phase else {
            return;
        };
        if rate as f64 >= *best as f64 * GROWTH {
            (*best, *flat) = (rate, 0);
            return;
        }
        *flat += 1;
        if *flat >= FLAT_ROUNDS {
            self.drain(now, self.delivery.in_flight());
        }
    }

    /// The line is full: down to what it holds. How much that is shows while the queue drains.
    fn drain(&mut self, now: Duration, in_flight: u64) {
        self.phase = Phase::Drain;
        let held = self.held_by_line().unwrap_or(self.window);
        self.set_window((held as f64 * DRAIN) as u64);
        self.calm_window = self.window;
        if in_flight <= self.window {
            self.probe(now, true);
        }
    }

    /// Enters `Probe`; `settle` when the window has just come down.
    fn probe(&mut self, now: Duration, settle: bool) {
        self.phase = Phase::Probe { step: self.datagram, calm: 0 };
        if settle {
            self.settle(now);
        }
    }

    fn settle(&mut self, now: Duration) {
        self.round.started = now;
        self.round.samples_from = now;
        self.round.rtt = None;
        self.round.settle = 1;
    }

    fn probe_round(&mut self, now: Duration, round: &Round) {
        let Phase::Probe { step, calm } = self.phase else {
            return;
        };
        let least = self.least_kept.unwrap_or_default();
        let target = queue_target(least).mul_f64(self.patience());
        if self.queue <= target / 2 {
            self.calm_window = self.window;
            self.stubborn_since = None;
        }
        if self.queue > target || round.marked {
            return self.go_down(now, least);
        }
        if self.lost_too_much() {
            return self.overflow(now);
        }
        if !round.full {
            return;
        }
        let held = self.held_by_line().unwrap_or(self.window);
        // Where acknowledgements come in lumps, a part of the delay is theirs.
        let rate = self.rates.best().unwrap_or(0).max(1) as f64;
        let lump = Duration::from_secs_f64(self.lumps.allowance() as f64 / rate);
        let no_queue = (target / 4).max(lump.min(target / 2));
        // Beyond what the line is known to hold, a whole step waits until its effect is seen.
        let held = held.saturating_add(self.lumps.allowance()) as f64;
        let known = self.window as f64 <= held * KNOWN;
        let added = if known { step } else { self.datagram };
        self.set_window(self.window.saturating_add(added).min(self.probe_limit(now)));
        let calm = if self.queue > no_queue { 0 } else { calm.saturating_add(1) };
        // Steps that grow with the window give a large flow its old share back before the others
        // have theirs. Only when nobody has filled the line for long is it somebody's to find.
        let longest = if calm < CALM_ROUNDS { 2 * self.datagram } else { self.window / 8 };
        let step = match (calm, known) {
            (0, _) => self.datagram,
            (_, true) => (step * 2).min(longest.max(self.datagram)),
            (_, false) => step,
        };
        self.phase = Phase::Probe { step, calm };
    }

    /// More is lost than chance explains and no delay shows why: the queue is too short for that,
    /// or it has been there for as long as we know the line.
    fn overflow(&mut self, now: Duration) {
        let left = (1.0 - self.losses.recent()).max(OVERFLOW_CUT);
        self.losses.forgive();
        self.set_window((self.window as f64 * left) as u64);
        // Once may have been a moment's failure of the line; twice is the queue.
        let again = (self.overflowed_at).is_some_and(|at| now.saturating_sub(at) < OVERFLOW_HOLD);
        self.overflow_limit = if again { self.window } else { u64::MAX };
        self.overflowed_at = Some(now);
        self.probe(now, true);
    }

    /// How much more of a queue a small window suffers before it goes down than a large one: the
    /// largest flow goes down first, and alone if that is enough, so that shares become equal.
    fn patience(&self) -> f64 {
        let packets = self.window as f64 / self.datagram as f64;
        (0.6 + 0.4 * (32.0 / packets).sqrt()).clamp(0.7, 1.6)
    }

    fn probe_limit(&self, now: Duration) -> u64 {
        let held = self.held_by_line().unwrap_or(self.window);
        let limit = ((held as f64 * PROBE_GAIN) as u64)
            .saturating_add(self.lumps.allowance())
            .saturating_add(self.datagram);
        match self.overflowed_at {
            Some(at) if now.saturating_sub(at) < OVERFLOW_HOLD => limit.min(self.overflow_limit),
            _ => limit,
        }
        .max(self.window)
    }

    /// The queue is above its target: down by its share of the window.
    fn go_down(&mut self, now: Duration, least: Duration) {
        let stubborn = self.stubborn_for(now) >= STUBBORN.max(least * STUBBORN_ROUNDS) / 2;
        if stubborn && self.contended_lately(now) && !self.crowded(now) {
            return self.contend(now);
        }
        let least = least.max(HOST_TURN);
        let left = least.as_secs_f64() / (least + self.queue).as_secs_f64() * DRAIN;
        let deepest = (self.calm_window as f64 * DEEPEST_CUT) as u64;
        let less = ((self.window as f64 * left) as u64).max(deepest.min(self.window));
        self.set_window(less);
        // Counted until the queue is short again.
        self.stubborn_since.get_or_insert(now);
        self.probe(now, true);
    }

    /// For how long going down has not shortened the queue.
    fn stubborn_for(&self, now: Duration) -> Duration {
        self.stubborn_since.map_or(Duration::ZERO, |since| now.saturating_sub(since))
    }

    /// Whether another flow has held the queue lately.
    pub(super) fn contended_lately(&self, now: Duration) -> bool {
        (self.contended_at).is_some_and(|at| now.saturating_sub(at) < CONTENDED_LATELY)
    }

    /// Whether more is lost than the line itself loses.
    fn lost_too_much(&self) -> bool {
        self.losses.recent() > TOLERATED_LOSS
    }

    /// Stops giving way to a queue that is somebody else's.
    fn contend(&mut self, now: Duration) {
        self.phase = Phase::Contend;
        self.contended_at = Some(now);
        self.stubborn_since = None;
        self.set_window(self.window.max(self.calm_window));
        self.settle(now);
    }

    fn contend_round(&mut self, now: Duration, round: &Round) {
        let least = self.least_kept.unwrap_or_default();
        self.contended_at = Some(now);
        if self.queue <= queue_target(least) {
            return self.probe(now, false);
        }
        let expected = 2.0 * self.losses.baseline() * round.sent() as f64;
        if round.lost as f64 > expected || round.marked {
            self.set_window((self.window as f64 * CONTEND_CUT) as u64);
            return self.settle(now);
        }
        if round.full && self.queue < QUEUE_LIMIT.max(least * 2) {
            self.set_window(self.window.saturating_add(self.datagram));
        }
    }

    fn look_for_empty_line(&mut self, now: Duration, round: &Round) {
        if !matches!(self.phase, Phase::Probe { .. } | Phase::Contend) {
            return;
        }
        let least = self.least_kept.unwrap_or_default();
        // Flows look in the same moment of the clock, or none would ever see the line empty.
        let slot = now.as_secs() / EMPTY_WITHIN.as_secs();
        if !round.full || slot == self.looked_at.as_secs() / EMPTY_WITHIN.as_secs() {
            return;
        }
        let stubborn = self.stubborn_for(now) >= STUBBORN.max(least * STUBBORN_ROUNDS);
        let long_ago = now.saturating_sub(self.emptied_at) >= EMPTY_WITHIN;
        if !self.crowded(now) && !stubborn && !long_ago {
            return;
        }
        self.look(now);
    }

    /// Keeps little under way for a moment, to see the line empty.
    fn look(&mut self, now: Duration) {
        self.phase = Phase::ProbeRtt { until: None, back_to: self.window, seen: None, since: now };
        self.looked_at = now;
        let held = self.held_by_line().unwrap_or(self.window).min(self.window);
        self.set_window(held / LOOKING_SHARE);
    }

    /// Whether the queue overflowed lately: so many flows that all of them at their least fill it.
    fn crowded(&self, now: Duration) -> bool {
        (self.overflowed_at).is_some_and(|at| now.saturating_sub(at) < 2 * EMPTY_WITHIN)
    }

    fn end_probe_rtt(&mut self, now: Duration) {
        let Phase::ProbeRtt { back_to, seen, .. } = self.phase else {
            return;
        };
        let least = self.least_kept.unwrap_or_default();
        let queue = seen.unwrap_or(least).saturating_sub(least);
        self.emptied_at = now;
        self.stubborn_since = None;
        self.losses.forgive();
        if queue > queue_target(least) && !self.crowded(now) {
            // All flows that give way have done so now: what is left is a flow that never does.
            self.set_window(back_to);
            return self.contend(now);
        }
        let held = self.held_by_line().unwrap_or(back_to).min(back_to);
        self.set_window(held);
        self.probe(now, true);
    }
}
