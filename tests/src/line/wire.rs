//! One direction of a line, without sockets: when something that is put on it arrives, if it does.

use std::time::{Duration, Instant};

use medrelay_core::time::SeededEntropy;

use super::Shape;

/// One direction.
#[derive(Debug)]
pub(super) struct Wire {
    chance: SeededEntropy,
    /// When the bottleneck will have sent what it holds.
    free: Option<Instant>,
}

/// What becomes of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Arrives(Instant),
    Lost,
    Overflowed,
}

impl Wire {
    /// An idle direction that loses what this seed says.
    pub(super) fn new(seed: u64) -> Self {
        Self { chance: SeededEntropy::new(seed), free: None }
    }

    /// Puts a datagram onto it.
    pub(super) fn datagram(&mut self, now: Instant, bytes: usize, shape: &Shape) -> Fate {
        // Drawn for every datagram, so that the same ones are lost whatever else happens.
        if self.draw() < shape.loss {
            return Fate::Lost;
        }
        if self.waiting(now) > shape.queue {
            return Fate::Overflowed;
        }
        Fate::Arrives(self.send(now, bytes, shape) + shape.delay)
    }

    /// Puts bytes of a connection onto it: when they arrive, and how long the sender has to wait until the queue has room.
    pub(super) fn stream(
        &mut self,
        now: Instant,
        bytes: usize,
        shape: &Shape,
    ) -> (Instant, Duration) {
        let due = self.send(now, bytes, shape) + shape.delay;
        (due, self.waiting(now).saturating_sub(shape.queue))
    }

    /// When the bottleneck has sent these bytes after all that came before.
    fn send(&mut self, now: Instant, bytes: usize, shape: &Shape) -> Instant {
        let Some(rate) = shape.bytes_per_second else {
            self.free = None;
            return now;
        };
        let begin = self.free.map_or(now, |free| free.max(now));
        let end = begin + Duration::from_secs_f64(bytes as f64 / rate.max(1) as f64);
        self.free = Some(end);
        end
    }

    /// How long something that comes now waits at the bottleneck.
    fn waiting(&self, now: Instant) -> Duration {
        self.free.map_or(Duration::ZERO, |free| free.saturating_duration_since(now))
    }

    /// A number from 0 up to and without 1.
    fn draw(&self) -> f64 {
        // 53 bits are what a double holds exactly.
        (self.chance.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost(seed: u64, share: f64) -> Vec<usize> {
        let shape = Shape { loss: share, ..Shape::default() };
        let mut wire = Wire::new(seed);
        let now = Instant::now();
        (0..10_000).filter(|_| wire.datagram(now, 1200, &shape) == Fate::Lost).collect()
    }

    #[test]
    fn a_rate_spaces_datagrams_and_a_full_queue_drops_them() {
        // 10 bytes a millisecond, room for 50 ms.
        let shape = Shape {
            delay: Duration::from_millis(30),
            bytes_per_second: Some(10_000),
            queue: Duration::from_millis(50),
            ..Shape::default()
        };
        let mut wire = Wire::new(1);
        let begin = Instant::now();
        let after = |ms| Fate::Arrives(begin + Duration::from_millis(ms));
        for number in 1..=6 {
            assert_eq!(wire.datagram(begin, 100, &shape), after(30 + 10 * number));
        }
        assert_eq!(wire.datagram(begin, 100, &shape), Fate::Overflowed);
        assert_eq!(wire.datagram(begin + Duration::from_millis(10), 100, &shape), after(100));
        assert_eq!(wire.datagram(begin + Duration::from_secs(1), 100, &shape), after(1040));
    }

    #[test]
    fn a_connection_is_told_to_wait_where_datagrams_would_be_dropped() {
        let shape = Shape {
            bytes_per_second: Some(10_000),
            queue: Duration::from_millis(50),
            ..Shape::default()
        };
        let mut wire = Wire::new(1);
        let now = Instant::now();
        assert_eq!(wire.stream(now, 500, &shape), (now + shape.queue, Duration::ZERO));
        let (due, wait) = wire.stream(now, 200, &shape);
        assert_eq!((due - now, wait), (Duration::from_millis(70), Duration::from_millis(20)));
    }

    #[test]
    fn loss_is_the_share_asked_for_and_the_same_for_the_same_seed() {
        let two_percent = lost(7, 0.02);
        assert!((120..280).contains(&two_percent.len()), "{}", two_percent.len());
        assert_eq!(two_percent, lost(7, 0.02));
        assert_ne!(two_percent, lost(8, 0.02));
        assert_eq!((lost(7, 0.0).len(), lost(7, 1.0).len()), (0, 10_000));
    }
}
