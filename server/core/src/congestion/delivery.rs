//! Delivery-rate samples: how fast the line carried what was acknowledged, whoever was the slower,
//! the sender or the line.
//!
//! Packets are told apart by the moment they were sent, because that is all the transport says
//! about an acknowledged packet; packets of one burst share a record.

use std::collections::VecDeque;
use std::time::Duration;

/// Bursts remembered at most; older ones give no sample any more.
const BURSTS_LIMIT: usize = 16_384;

/// What was known when a burst was sent.
#[derive(Debug, Clone, Copy)]
struct Burst {
    at: Duration,
    delivered: u64,
    delivered_at: Duration,
    first_sent: Duration,
    limited: bool,
}

/// What one batch of acknowledgements says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Batch {
    /// When the youngest acknowledged packet was sent.
    pub(super) sent: Duration,
    /// Bytes acknowledged.
    pub(super) acked: u64,
    /// The line's delivery rate in bytes a second, where the interval is long enough to tell.
    pub(super) rate: Option<u64>,
    /// Whether the sender had nothing more to send, so that the rate says nothing about the line.
    pub(super) limited: bool,
}

/// Counts what is delivered.
#[derive(Debug, Clone)]
pub(super) struct Delivery {
    bursts: VecDeque<Burst>,
    delivered: u64,
    delivered_at: Duration,
    first_sent: Duration,
    limited_until: u64,
    in_flight: u64,
    acked: u64,
    youngest: Option<Duration>,
}

impl Delivery {
    /// Nothing sent yet.
    pub(super) fn new(now: Duration) -> Self {
        Self {
            bursts: VecDeque::new(),
            delivered: 0,
            delivered_at: now,
            first_sent: now,
            limited_until: 0,
            in_flight: 0,
            acked: 0,
            youngest: None,
        }
    }

    /// A burst of `bytes` left.
    pub(super) fn on_sent(&mut self, now: Duration, bytes: u64) {
        if self.in_flight == 0 {
            self.first_sent = now;
            self.delivered_at = now;
        }
        self.in_flight = self.in_flight.saturating_add(bytes);
        if self.bursts.back().is_some_and(|last| last.at >= now) {
            return;
        }
        if self.bursts.len() == BURSTS_LIMIT {
            self.bursts.pop_front();
        }
        self.bursts.push_back(Burst {
            at: now,
            delivered: self.delivered,
            delivered_at: self.delivered_at,
            first_sent: self.first_sent,
            limited: self.delivered < self.limited_until,
        });
    }

    /// A packet of `bytes` that was sent at `sent` has arrived.
    pub(super) fn on_ack(&mut self, now: Duration, sent: Duration, bytes: u64) {
        self.delivered = self.delivered.saturating_add(bytes);
        self.delivered_at = now;
        self.acked = self.acked.saturating_add(bytes);
        self.youngest = Some(self.youngest.map_or(sent, |known| known.max(sent)));
    }

    /// The batch of acknowledgements is complete, `in_flight` bytes are still under way.
    pub(super) fn finish(
        &mut self,
        now: Duration,
        in_flight: u64,
        app_limited: bool,
    ) -> Option<Batch> {
        self.in_flight = in_flight;
        if app_limited {
            self.limited_until = self.delivered.saturating_add(in_flight.max(1));
        }
        let sent = self.youngest.take()?;
        let acked = std::mem::take(&mut self.acked);
        let mut batch = Batch { sent, acked, rate: None, limited: true };
        // The burst of the youngest packet: the last that is not younger than it.
        let found = self.bursts.partition_point(|burst| burst.at <= sent);
        let Some(index) = found.checked_sub(1) else {
            return Some(batch);
        };
        self.bursts.drain(..index);
        let burst = *self.bursts.front()?;
        batch.limited = burst.limited;
        self.first_sent = burst.at;
        let took =
            (now.saturating_sub(burst.delivered_at)).max(burst.at.saturating_sub(burst.first_sent));
        // An interval shorter than the journey measures the lump in which acknowledgements came.
        if took >= now.saturating_sub(sent).mul_f64(0.9) && !took.is_zero() {
            let bytes = self.delivered.saturating_sub(burst.delivered);
            batch.rate = Some((bytes as f64 / took.as_secs_f64()) as u64);
        }
        Some(batch)
    }

    /// Bytes under way as far as known: what the transport said last and what was sent since.
    pub(super) const fn in_flight(&self) -> u64 {
        self.in_flight
    }

    /// `bytes` were given up for lost.
    pub(super) fn on_loss(&mut self, bytes: u64) {
        self.in_flight = self.in_flight.saturating_sub(bytes);
    }
}
