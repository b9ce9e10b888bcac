//! Where the link takes its time and its randomness from.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use medrelay_core::time::{Clock, Entropy, Timestamp};
use rustls::time_provider::TimeProvider;
use rustls_pki_types::UnixTime;

/// A clock and a source of randomness, handed to everything that needs them.
#[derive(Clone)]
pub struct Ambient {
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Where keys, identifiers and jitter come from.
    pub entropy: Arc<dyn Entropy>,
}

impl Ambient {
    /// The machine's own.
    #[must_use]
    pub fn system() -> Self {
        Self { clock: Arc::new(SystemClock), entropy: Arc::new(SystemEntropy) }
    }

    /// The present moment.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A random UUID of version 4 in its hyphenated form.
    #[must_use]
    pub fn uuid(&self) -> String {
        let mut bytes = [0u8; 16];
        self.entropy.fill(&mut bytes);
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        let text = hex::encode(bytes);
        let parts = [&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]];
        parts.join("-")
    }

    /// `span`, a quarter longer or shorter at random: so that many gateways do not come at once.
    #[must_use]
    pub fn jittered(&self, span: Duration) -> Duration {
        let mut bytes = [0u8; 2];
        self.entropy.fill(&mut bytes);
        let share = f64::from(u16::from_be_bytes(bytes)) / f64::from(u16::MAX);
        span.mul_f64(0.75 + share / 2.0)
    }
}

impl fmt::Debug for Ambient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ambient")
    }
}

/// Certificates are judged by the same clock as everything else.
impl TimeProvider for Ambient {
    fn current_time(&self) -> Option<UnixTime> {
        let micros = u64::try_from(self.now().micros()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_micros(micros)))
    }
}

/// The system clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        #[expect(
            clippy::disallowed_methods,
            reason = "this is where a program takes its time from; everything else takes a Clock"
        )]
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }
}

/// The random generator of the cryptographic library, seeded by the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    /// # Panics
    /// If the operating system gives no randomness: nothing secret may be made then, so the process
    /// must not go on.
    fn fill(&self, out: &mut [u8]) {
        if aws_lc_rs::rand::fill(out).is_err() {
            panic!("the operating system gives no random numbers");
        }
    }
}

#[cfg(test)]
mod tests {
    use medrelay_core::time::{ManualClock, SeededEntropy};

    use super::*;

    #[test]
    fn jitter_stays_within_a_quarter_and_identifiers_are_uuids() {
        let ambient = Ambient {
            clock: Arc::new(ManualClock::new(Timestamp::from_micros(0))),
            entropy: Arc::new(SeededEntropy::new(7)),
        };
        for _ in 0..100 {
            let span = ambient.jittered(Duration::from_millis(1_000)).as_millis();
            assert!((750..=1_250).contains(&span), "{span}");
        }
        let (one, other) = (ambient.uuid(), ambient.uuid());
        assert_ne!(one, other);
        assert_eq!((one.len(), one.as_bytes()[14]), (36, b'4'));
    }
}
