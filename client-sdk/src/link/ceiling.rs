//! A bandwidth ceiling by hour of day, shared by all streams, the more urgent first.
//!
//! A clinic's line also carries its telephone and its insurance terminal. The ceiling is kept by
//! letting pieces go at the moments at which a line of that rate would have taken them.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use medrelay_core::time::Timestamp;
use medrelay_core::transfer::Urgency;
use tokio::time::Instant;

/// From a minute of the day on, so many bytes a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ceiling {
    /// Minutes since local midnight.
    pub from_minute: u16,
    /// The rate; `None` is no ceiling.
    pub bytes_per_second: Option<u64>,
}

/// The day's ceilings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Schedule {
    /// Each is in force until the next begins; the last of the day goes on after midnight.
    pub ceilings: Vec<Ceiling>,
    /// The clinic's local time minus UTC, in minutes.
    pub utc_offset_minutes: i32,
}

impl Schedule {
    /// The rate in force at `now`.
    #[must_use]
    pub fn rate(&self, now: Timestamp) -> Option<u64> {
        let minutes = now.micros().div_euclid(60_000_000) + i64::from(self.utc_offset_minutes);
        let minute = minutes.rem_euclid(24 * 60);
        let begun = self.ceilings.iter().filter(|ceiling| i64::from(ceiling.from_minute) <= minute);
        let last = |ceilings: &mut dyn Iterator<Item = &Ceiling>| {
            ceilings.max_by_key(|ceiling| ceiling.from_minute).copied()
        };
        let mut begun = begun;
        last(&mut begun).or_else(|| last(&mut self.ceilings.iter()))?.bytes_per_second
    }
}

/// Lets bytes go at a rate. Pure: the caller gives the time and does the waiting.
#[derive(Debug, Default)]
pub struct Pacer {
    /// When the line would be free again.
    free_at: Option<Instant>,
    /// Who waits, by urgency, and since when they asked last.
    waiting: BTreeMap<(Urgency, u64), Instant>,
}

impl Pacer {
    /// Asks to let `bytes` go now: `Ok` means that they may, `Err` when to ask again. `who` tells
    /// those who wait apart.
    pub fn ask(
        &mut self,
        now: Instant,
        rate: u64,
        bytes: usize,
        urgency: Urgency,
        who: u64,
    ) -> Result<(), Duration> {
        // Whoever waits and does not ask any more has gone away.
        self.waiting.retain(|_, asked| now.duration_since(*asked) < FORGOTTEN);
        let free_at = self.free_at.unwrap_or(now).max(now.checked_sub(BURST).unwrap_or(now));
        let outranked = self.waiting.keys().next().is_some_and(|(first, _)| *first < urgency);
        if free_at > now || outranked {
            self.waiting.insert((urgency, who), now);
            let wait = free_at.saturating_duration_since(now);
            return Err(wait.clamp(Duration::from_millis(1), Duration::from_millis(200)));
        }
        self.waiting.remove(&(urgency, who));
        let micros = (bytes as u64).saturating_mul(1_000_000) / rate.max(1);
        self.free_at = Some(free_at + Duration::from_micros(micros));
        Ok(())
    }

    /// Bytes of a piece at this rate: a tenth of a second's, so that nobody waits long for another.
    #[must_use]
    pub fn piece(rate: Option<u64>) -> usize {
        let tenth = rate.map_or(u64::MAX, |rate| rate / 10);
        usize::try_from(tenth.clamp(1 << 10, PIECE as u64)).unwrap_or(PIECE)
    }
}

/// The pacer that all streams of a link share.
#[derive(Debug, Default)]
pub(super) struct Gate(Mutex<Pacer>);

impl Gate {
    /// Waits until `bytes` may go.
    pub(super) async fn pass(&self, rate: Option<u64>, bytes: usize, urgency: Urgency, who: u64) {
        let Some(rate) = rate else { return };
        loop {
            let now = Instant::now();
            let answer = {
                let mut pacer = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                pacer.ask(now, rate, bytes, urgency, who)
            };
            match answer {
                Ok(()) => return,
                Err(wait) => tokio::time::sleep(wait).await,
            }
        }
    }
}

/// Bytes of a piece at most.
pub(super) const PIECE: usize = 64 << 10;
/// What was not used may be caught up for so long.
const BURST: Duration = Duration::from_millis(100);
const FORGOTTEN: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hour: i64, minute: i64) -> Timestamp {
        Timestamp::from_micros((hour * 60 + minute) * 60_000_000)
    }

    #[test]
    fn the_schedule_goes_round_the_day_in_local_time() {
        let day = Ceiling { from_minute: 8 * 60, bytes_per_second: Some(100_000) };
        let night = Ceiling { from_minute: 20 * 60 + 30, bytes_per_second: None };
        let schedule = Schedule { ceilings: vec![day, night], utc_offset_minutes: 480 };
        // 08:00 in China is midnight UTC.
        assert_eq!(schedule.rate(at(0, 0)), Some(100_000));
        assert_eq!(schedule.rate(at(12, 29)), Some(100_000));
        assert_eq!(schedule.rate(at(12, 30)), None);
        assert_eq!(schedule.rate(at(23, 59)), None, "before the day's first the last is in force");
        assert_eq!(Schedule::default().rate(at(3, 0)), None);
        let only_day = Schedule { ceilings: vec![day], utc_offset_minutes: 480 };
        assert_eq!(only_day.rate(at(23, 0)), Some(100_000));
    }

    #[tokio::test(start_paused = true)]
    async fn many_streams_together_keep_the_ceiling() {
        let gate = std::sync::Arc::new(Gate::default());
        let began = Instant::now();
        let mut streams = tokio::task::JoinSet::new();
        for who in 0..8 {
            let gate = gate.clone();
            streams.spawn(async move {
                for _ in 0..25 {
                    gate.pass(Some(100_000), 5_000, Urgency::Routine, who).await;
                }
            });
        }
        while streams.join_next().await.is_some() {}
        let took = began.elapsed().as_secs_f64();
        // 1,000,000 bytes at 100,000 a second; the last piece goes without waiting for its own time.
        assert!((9.7..10.3).contains(&took), "{took}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_more_urgent_goes_first() {
        let gate = std::sync::Arc::new(Gate::default());
        let send = |urgency, who| {
            let gate = gate.clone();
            async move {
                for _ in 0..20 {
                    gate.pass(Some(10_000), 1_000, urgency, who).await;
                }
                Instant::now()
            }
        };
        let (routine, stat) = tokio::join!(send(Urgency::Routine, 1), send(Urgency::Stat, 2));
        assert!(stat + Duration::from_millis(1_500) < routine, "STAT did not overtake");
    }

    #[test]
    fn pieces_are_a_tenth_of_a_second() {
        assert_eq!(Pacer::piece(None), 64 << 10);
        assert_eq!(Pacer::piece(Some(100_000)), 10_000);
        assert_eq!(Pacer::piece(Some(100)), 1 << 10);
    }
}
