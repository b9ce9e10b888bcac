//! Looks after a connection from outside: what the transport does not notice by itself.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use quinn::{ConnectionStats, Endpoint};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::window::Window;
use crate::controller::Handle;

/// Runs until the connection is over. `endpoint`: the gateway's, whose address may change.
pub(super) async fn run(window: Arc<Window>, endpoint: Option<Endpoint>) {
    let connection = window.connection().clone();
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut address = endpoint.as_ref().and_then(local);
    let mut silence = Silence::new(&connection.stats(), Instant::now());
    loop {
        tokio::select! {
            _ = connection.closed() => return,
            _ = tick.tick() => {}
        }
        let now_at = endpoint.as_ref().and_then(local);
        if now_at != address {
            address = now_at;
            // The transport tells its congestion control of the other side's moves only.
            if let Some(handle) = Handle::of(&connection) {
                handle.path_changed();
            }
        }
        if silence.is_due(&connection.stats(), Instant::now())
            && let Some(handle) = Handle::of(&connection)
        {
            handle.probe();
            window.wake();
        }
    }
}

/// Whether something was sent and nothing came back for a while. The transport's own probes double
/// their distance each time: after ten seconds without a line it would notice its return up to ten
/// seconds late.
#[derive(Debug)]
struct Silence {
    received: u64,
    /// What had been sent when something was last received.
    sent: u64,
    since: Instant,
}

impl Silence {
    fn new(stats: &ConnectionStats, now: Instant) -> Self {
        Self { received: stats.udp_rx.datagrams, sent: stats.udp_tx.datagrams, since: now }
    }

    fn is_due(&mut self, stats: &ConnectionStats, now: Instant) -> bool {
        if stats.udp_rx.datagrams != self.received || stats.udp_tx.datagrams == self.sent {
            *self = Self::new(stats, now);
            return false;
        }
        now.duration_since(self.since) >= QUIET.max(stats.path.rtt * ROUNDS)
    }
}

fn local(endpoint: &Endpoint) -> Option<SocketAddr> {
    endpoint.local_addr().ok()
}

/// How often a connection is looked at.
const TICK: Duration = Duration::from_millis(400);
/// Silence before it is disturbed: no less than this,
const QUIET: Duration = Duration::from_secs(1);
/// and no less than so many round trips.
const ROUNDS: u32 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    fn stats(sent: u64, received: u64) -> ConnectionStats {
        let mut stats = ConnectionStats::default();
        stats.udp_tx.datagrams = sent;
        stats.udp_rx.datagrams = received;
        stats.path.rtt = Duration::from_millis(50);
        stats
    }

    #[test]
    fn only_what_was_sent_and_not_answered_is_silence() {
        let start = Instant::now();
        let after = |millis| start + Duration::from_millis(millis);
        let mut silence = Silence::new(&stats(10, 10), start);
        assert!(!silence.is_due(&stats(10, 10), after(60_000)), "nobody asked");
        assert!(!silence.is_due(&stats(11, 10), after(60_900)), "not long ago");
        assert!(silence.is_due(&stats(11, 10), after(61_100)));
        assert!(silence.is_due(&stats(12, 10), after(61_500)), "again until something comes");
        assert!(!silence.is_due(&stats(12, 11), after(61_900)), "it came");
        assert!(!silence.is_due(&stats(13, 11), after(62_800)));
        assert!(silence.is_due(&stats(13, 11), after(62_900)));
    }

    #[test]
    fn a_long_way_is_not_silence() {
        let start = Instant::now();
        let mut far = stats(10, 10);
        far.path.rtt = Duration::from_millis(700);
        let mut silence = Silence::new(&far, start);
        far.udp_tx.datagrams = 11;
        assert!(!silence.is_due(&far, start + Duration::from_millis(2_000)));
        assert!(silence.is_due(&far, start + Duration::from_millis(2_100)));
    }
}
