//! The machine's own clock, randomness and disk space: the only place that reads them. Everything
//! else takes a [`Clock`] and an [`Entropy`] as arguments, so that tests decide what time it is.

use std::io;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use medrelay_core::time::{Clock, Entropy, Timestamp};

/// The system clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the replacement that the lint names"
        )]
        let now = SystemTime::now();
        timestamp(now)
    }
}

/// A file time or other system time as a [`Timestamp`]; times before 1970 give 1970.
pub fn timestamp(time: SystemTime) -> Timestamp {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
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

/// Space on the disk that holds a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskSpace {
    /// Bytes that this process may still write.
    pub free_bytes: u64,
    /// Size of the file system in bytes.
    pub total_bytes: u64,
}

impl DiskSpace {
    /// How much is in use, in whole percent.
    pub fn used_percent(self) -> u64 {
        let used = self.total_bytes.saturating_sub(self.free_bytes);
        used.saturating_mul(100).checked_div(self.total_bytes).unwrap_or(100)
    }
}

/// Asks the file system of `path`, which must exist.
pub fn disk_space(path: &Path) -> io::Result<DiskSpace> {
    let found = rustix::fs::statvfs(path)?;
    Ok(DiskSpace {
        free_bytes: found.f_bavail.saturating_mul(found.f_frsize),
        total_bytes: found.f_blocks.saturating_mul(found.f_frsize),
    })
}
