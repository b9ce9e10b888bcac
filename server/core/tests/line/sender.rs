//! The sending end of a flow, after RFC 9002 and with the pacer of the transport in use: a token
//! bucket of at least ten packets that fills at 1.25 windows a smoothed round trip.

use std::collections::BTreeMap;
use std::time::Duration;

use medrelay_core::congestion::Model;

use super::{Event, Flow, PACKET, World, nanos};

/// Packets by which a later one must have arrived before an earlier one is given up.
const GAP: u64 = 3;
/// Probes are sent at least this often, as the product's adapter sees to.
const PROBE_LIMIT: u64 = 500_000_000;

/// A congestion control under test, or one to compare with.
pub enum Control {
    /// The product's.
    Ours(Box<Model>),
    /// RFC 9438, without its slow-start refinements.
    Cubic(Cubic),
}

/// What CUBIC keeps.
pub struct Cubic {
    window: f64,
    threshold: f64,
    largest: f64,
    epoch: Option<u64>,
    recovering_since: Option<u64>,
}

impl Default for Cubic {
    fn default() -> Self {
        Self {
            window: 10.0 * PACKET as f64,
            threshold: f64::MAX,
            largest: 0.0,
            epoch: None,
            recovering_since: None,
        }
    }
}

impl Cubic {
    fn on_ack(&mut self, now: u64, sent: u64, rtt: f64) {
        if self.recovering_since.is_some_and(|since| sent <= since) {
            return;
        }
        let packet = PACKET as f64;
        if self.window < self.threshold {
            self.window += packet;
            return;
        }
        let epoch = *self.epoch.get_or_insert(now);
        let largest = self.largest / packet;
        let k = (largest * 0.3 / 0.4).cbrt();
        let t = (now - epoch) as f64 / 1e9 + rtt;
        let cubic = 0.4 * (t - k).powi(3) + largest;
        let reno = largest * 0.7 + 0.53 * t / rtt;
        let goal = cubic.max(reno) * packet;
        if goal > self.window {
            self.window += (goal - self.window).min(self.window / 2.0) * packet / self.window;
        }
    }

    fn on_loss(&mut self, now: u64, sent: u64, persistent: bool) {
        if self.recovering_since.is_some_and(|since| sent <= since) {
            return;
        }
        self.recovering_since = Some(now);
        self.largest = self.window;
        self.window = (self.window * 0.7).max(2.0 * PACKET as f64);
        self.threshold = self.window;
        self.epoch = None;
        if persistent {
            self.window = 2.0 * PACKET as f64;
        }
    }
}

/// One sender.
pub struct Sender {
    index: usize,
    flow: Flow,
    next: u64,
    outstanding: BTreeMap<u64, u64>,
    taken: usize,
    largest_acked: u64,
    delivered: u64,
    lost: u64,
    finished: Option<u64>,
    smoothed: f64,
    variation: f64,
    latest: f64,
    probes: u64,
    timeouts: u32,
    last_sent: u64,
    timer_at: Option<u64>,
    woken_at: Option<u64>,
    tokens: f64,
    filled_at: u64,
    limited: bool,
}

impl Sender {
    pub fn new(index: usize, flow: Flow) -> Self {
        Self {
            index,
            flow,
            next: 1,
            outstanding: BTreeMap::new(),
            taken: 0,
            largest_acked: 0,
            delivered: 0,
            lost: 0,
            finished: None,
            smoothed: 0.0,
            variation: 0.0,
            latest: 0.0,
            probes: 0,
            timeouts: 0,
            last_sent: 0,
            timer_at: None,
            woken_at: None,
            tokens: 10.0 * PACKET as f64,
            filled_at: 0,
            limited: false,
        }
    }

    pub fn done(&self) -> bool {
        self.finished.is_some()
    }

    pub fn delivered(&self) -> u64 {
        self.delivered
    }

    pub fn outcome(&self) -> (Option<Duration>, u64, u64) {
        let sent = (self.next - 1) * PACKET;
        (self.finished.map(Duration::from_nanos), sent, self.lost * PACKET)
    }

    pub fn window(&self) -> u64 {
        match &self.flow.control {
            Control::Ours(model) => model.window(),
            Control::Cubic(cubic) => cubic.window as u64,
        }
    }

    pub fn wake(&mut self, world: &mut World) {
        self.woken_at = None;
        self.send(world);
    }

    /// Sends what window, pacer and probes allow.
    fn send(&mut self, world: &mut World) {
        self.limited = false;
        while self.finished.is_none() {
            let in_flight = self.outstanding.len() as u64 * PACKET;
            let left = (self.flow.bytes - self.delivered).saturating_sub(in_flight);
            let probing = self.probes > 0 && in_flight > 0;
            if !probing && (left == 0 || world.now >= nanos(self.flow.stop)) {
                self.limited = true;
                break;
            }
            if probing {
                self.probes -= 1;
            } else {
                if in_flight + PACKET > self.window() {
                    break;
                }
                if let Some(at) = self.paced_until(world.now) {
                    if self.woken_at.is_none_or(|known| known > at) {
                        self.woken_at = Some(at);
                        world.at(at, Event::Wake(self.index));
                    }
                    break;
                }
            }
            self.tokens = (self.tokens - PACKET as f64).max(0.0);
            if let Control::Ours(model) = &mut self.flow.control {
                model.on_sent(Duration::from_nanos(world.now), PACKET);
            }
            self.outstanding.insert(self.next, world.now);
            self.last_sent = world.now;
            world.carry(self.index, self.next);
            self.next += 1;
        }
        self.set_timer(world);
    }

    fn paced_until(&mut self, now: u64) -> Option<u64> {
        if self.tokens >= PACKET as f64 || self.smoothed == 0.0 {
            return None;
        }
        let rate = 1.25 * self.window() as f64 / self.smoothed;
        let capacity = (rate / 1.25 * 0.002).clamp(10.0 * PACKET as f64, 256.0 * PACKET as f64);
        self.tokens += (now - self.filled_at) as f64 / 1e9 * rate;
        self.tokens = self.tokens.min(capacity);
        self.filled_at = now;
        if self.tokens >= PACKET as f64 {
            return None;
        }
        Some(now + ((capacity - self.tokens) / rate * 1e9) as u64 + 1)
    }

    pub fn acknowledged(&mut self, world: &mut World, count: usize) {
        if count <= self.taken {
            return;
        }
        let numbers = world.receivers[self.index].arrived[self.taken..count].to_vec();
        self.taken = count;
        let mut newest = None;
        for number in numbers {
            let Some(sent) = self.outstanding.remove(&number) else {
                continue;
            };
            newest = newest.max(Some((number, sent)));
            self.delivered += PACKET;
            let rtt = self.smoothed.max(1e-3);
            match &mut self.flow.control {
                Control::Ours(model) => model.on_ack(
                    Duration::from_nanos(world.now),
                    Duration::from_nanos(sent),
                    PACKET,
                ),
                Control::Cubic(cubic) if !self.limited => cubic.on_ack(world.now, sent, rtt),
                Control::Cubic(_) => {}
            }
        }
        let Some((number, sent)) = newest else {
            return;
        };
        let in_flight = self.outstanding.len() as u64 * PACKET;
        if let Control::Ours(model) = &mut self.flow.control {
            model.on_ack_end(Duration::from_nanos(world.now), in_flight, self.limited);
        }
        if number > self.largest_acked {
            self.largest_acked = number;
            self.measure((world.now - sent) as f64 / 1e9);
        }
        self.timeouts = 0;
        self.detect_loss(world);
        if self.delivered >= self.flow.bytes && self.finished.is_none() {
            self.finished = Some(world.now);
        }
        self.send(world);
    }

    fn measure(&mut self, rtt: f64) {
        self.latest = rtt;
        if self.smoothed == 0.0 {
            (self.smoothed, self.variation) = (rtt, rtt / 2.0);
            return;
        }
        self.variation += ((self.smoothed - rtt).abs() - self.variation) / 4.0;
        self.smoothed += (rtt - self.smoothed) / 8.0;
    }

    fn probe_timeout(&self) -> f64 {
        let smoothed = if self.smoothed == 0.0 { 0.333 } else { self.smoothed };
        smoothed + (4.0 * self.variation).max(0.001) + 0.025
    }

    fn loss_delay(&self) -> u64 {
        (self.smoothed.max(self.latest) * 1.125 * 1e9) as u64
    }

    fn detect_loss(&mut self, world: &World) {
        let patience = self.loss_delay();
        let lost: Vec<(u64, u64)> = (self.outstanding.range(..self.largest_acked))
            .map(|(&number, &sent)| (number, sent))
            .filter(|&(number, sent)| {
                number + GAP <= self.largest_acked || world.now - sent >= patience
            })
            .collect();
        let (Some(&(first, since)), Some(&(last, until))) = (lost.first(), lost.last()) else {
            return;
        };
        let persistent = last - first + 1 == lost.len() as u64
            && (until - since) as f64 / 1e9 > 3.0 * self.probe_timeout();
        for (number, _) in &lost {
            self.outstanding.remove(number);
        }
        self.lost += lost.len() as u64;
        match &mut self.flow.control {
            Control::Ours(model) => model.on_loss(
                Duration::from_nanos(world.now),
                lost.len() as u64 * PACKET,
                persistent,
            ),
            Control::Cubic(cubic) => cubic.on_loss(world.now, until, persistent),
        }
    }

    fn set_timer(&mut self, world: &mut World) {
        let Some((&oldest, &sent)) = self.outstanding.first_key_value() else {
            return;
        };
        let at = if oldest < self.largest_acked {
            sent + self.loss_delay()
        } else {
            let backed_off = self.probe_timeout() * 1e9 * f64::from(1u32 << self.timeouts.min(16));
            self.last_sent + (backed_off as u64).min(PROBE_LIMIT)
        };
        if self.timer_at.is_none_or(|known| known > at) {
            self.timer_at = Some(at.max(world.now));
            world.at(at, Event::Timer(self.index));
        }
    }

    pub fn timer(&mut self, world: &mut World) {
        self.timer_at = None;
        let Some((&oldest, &sent)) = self.outstanding.first_key_value() else {
            return;
        };
        if oldest < self.largest_acked {
            if world.now >= sent + self.loss_delay() {
                self.detect_loss(world);
            }
        } else {
            let backed_off = self.probe_timeout() * 1e9 * f64::from(1u32 << self.timeouts.min(16));
            if world.now >= self.last_sent + (backed_off as u64).min(PROBE_LIMIT) {
                self.timeouts += 1;
                self.probes = 2;
            }
        }
        self.send(world);
    }
}
