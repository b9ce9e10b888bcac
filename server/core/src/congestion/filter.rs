//! What the controller remembers of its samples: the largest of recent rounds, the least of recent
//! seconds, and by how much acknowledgements have come in lumps.

use std::collections::VecDeque;
use std::time::Duration;

/// The largest value of the last rounds.
#[derive(Debug, Clone)]
pub(super) struct Largest {
    rounds: u64,
    kept: VecDeque<(u64, u64)>,
}

impl Largest {
    /// A filter over `rounds` rounds, with nothing in it.
    pub(super) fn over(rounds: u64) -> Self {
        Self { rounds, kept: VecDeque::new() }
    }

    /// Takes a value of `round` in; rounds never go back.
    pub(super) fn insert(&mut self, round: u64, value: u64) {
        while self.kept.back().is_some_and(|&(_, kept)| kept <= value) {
            self.kept.pop_back();
        }
        self.kept.push_back((round, value));
        self.expire(round);
    }

    /// Forgets what is older than the window, but never the last value: an idle line keeps its model.
    pub(super) fn expire(&mut self, round: u64) {
        while self.kept.len() > 1
            && (self.kept.front()).is_some_and(|&(kept, _)| kept + self.rounds <= round)
        {
            self.kept.pop_front();
        }
    }

    /// The largest value kept.
    pub(super) fn best(&self) -> Option<u64> {
        self.kept.front().map(|&(_, value)| value)
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.kept.clear();
    }
}

/// The least round-trip time of the last seconds, kept in slices so that memory does not grow.
#[derive(Debug, Clone, Default)]
pub(super) struct Least {
    slices: VecDeque<(u64, Duration)>,
}

impl Least {
    /// Slices kept: 30 s.
    const SLICES: u64 = 24;
    /// Slices looked at as a rule: 10 s.
    pub(super) const USUAL: u64 = 8;
    const SLICE: Duration = Duration::from_millis(1_250);

    /// Takes a sample in.
    pub(super) fn insert(&mut self, now: Duration, sample: Duration) {
        let slice = u64::try_from(now.as_nanos() / Self::SLICE.as_nanos()).unwrap_or(u64::MAX);
        match self.slices.back_mut() {
            Some((last, least)) if *last >= slice => *least = sample.min(*least),
            _ => self.slices.push_back((slice, sample)),
        }
        while (self.slices.front()).is_some_and(|&(kept, _)| kept + Self::SLICES <= slice) {
            self.slices.pop_front();
        }
    }

    /// The least sample of the youngest `slices`; all that are kept count with `u64::MAX`.
    pub(super) fn best(&self, slices: u64) -> Option<Duration> {
        let (youngest, _) = *self.slices.back()?;
        (self.slices.iter())
            .filter(|&&(kept, _)| kept.saturating_add(slices) > youngest)
            .map(|&(_, least)| least)
            .min()
    }
}

/// How many bytes acknowledgements have run ahead of the delivery rate: radio links hold them back
/// and release them together, and a window of exactly one delay-bandwidth product would then starve.
#[derive(Debug, Clone)]
pub(super) struct AckLumps {
    since: Duration,
    bytes: u64,
    largest: Largest,
}

impl AckLumps {
    /// Nothing seen yet.
    pub(super) fn new(now: Duration) -> Self {
        Self { since: now, bytes: 0, largest: Largest::over(10) }
    }

    /// Takes in `acked` bytes acknowledged together at `now`, on a line that delivers `rate` bytes
    /// a second.
    pub(super) fn on_ack(&mut self, now: Duration, round: u64, acked: u64, rate: u64) {
        let expected = (rate as f64 * now.saturating_sub(self.since).as_secs_f64()) as u64;
        if self.bytes <= expected {
            self.since = now;
            self.bytes = acked;
            self.largest.expire(round);
            return;
        }
        self.bytes = self.bytes.saturating_add(acked);
        self.largest.insert(round, self.bytes.saturating_sub(expected));
    }

    /// The largest lump of recent rounds in bytes.
    pub(super) fn allowance(&self) -> u64 {
        self.largest.best().unwrap_or(0)
    }
}

/// How much is lost: lately, and by the line itself, which is what no run of packets went below.
#[derive(Debug, Clone, Default)]
pub(super) struct Losses {
    recent: f64,
    run: (f64, f64),
    runs: VecDeque<f64>,
}

impl Losses {
    /// Packets over which recent loss is measured.
    const RECENT_PACKETS: f64 = 100.0;
    /// Packets of a run, and runs remembered.
    const RUN_PACKETS: f64 = 200.0;
    const RUNS: usize = 6;
    /// Loss taken for the line's own at most.
    const BASELINE_LIMIT: f64 = 0.05;

    /// Takes in a round in which `lost` of `sent` bytes were lost.
    pub(super) fn on_round(&mut self, sent: u64, lost: u64, datagram: u64) {
        let packets = sent as f64 / datagram as f64;
        let share = lost as f64 / sent.max(1) as f64;
        self.recent += (share - self.recent) * packets / (packets + Self::RECENT_PACKETS);
        self.run.0 += packets;
        self.run.1 += lost as f64 / datagram as f64;
        if self.run.0 >= Self::RUN_PACKETS {
            self.runs.push_back(self.run.1 / self.run.0);
            self.run = (0.0, 0.0);
        }
        while self.runs.len() > Self::RUNS {
            self.runs.pop_front();
        }
    }

    /// The share lost lately.
    pub(super) const fn recent(&self) -> f64 {
        self.recent
    }

    /// The share that the line loses whatever is sent.
    pub(super) fn baseline(&self) -> f64 {
        let least = self.runs.iter().copied().reduce(f64::min).unwrap_or(0.0);
        least.min(Self::BASELINE_LIMIT)
    }

    /// Something was done about the loss: what came before counts no more.
    pub(super) fn forgive(&mut self) {
        self.recent = self.recent.min(self.baseline());
    }
}
