//! The link's congestion control in quinn's clothes: [`medrelay_core::congestion`] decides, this
//! module translates.
//!
//! What quinn gives and what it does not, and what follows:
//!
//! 1. Acknowledged packets are named by the moment they were sent, not by number: the model keeps
//!    its books by moments.
//! 2. Pacing cannot be set. quinn fills a bucket of at least ten packets at 1.25 windows a smoothed
//!    round trip; the window therefore has to be right by itself, and is.
//! 3. A packet is sent while what is under way *and* the packet stay *below* the window, so one byte
//!    is added to the model's.
//! 4. Probes of a silent line double their distance each time, and nothing bounds it. Whoever holds
//!    the connection may [`Handle::probe`] instead: a packet more may leave, whatever the window.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use medrelay_core::congestion::{Model, Settings, Snapshot};
use medrelay_core::time::Timestamp;
use quinn::Connection;
use quinn::congestion::{Controller, ControllerFactory, ControllerMetrics};
use quinn_proto::RttEstimator;

/// Bytes a probe may send: a full packet, and one more for what is lost again.
const PROBE_PACKETS: u64 = 2;
/// "No ceiling" among the ceilings.
const UNLIMITED: u64 = u64::MAX;

/// Makes the controllers of an endpoint's connections.
#[derive(Debug, Clone)]
pub struct LinkCongestion {
    settings: Settings,
    /// A moment and what the model is to call it.
    origin: (Instant, Duration),
}

impl LinkCongestion {
    /// Congestion control with these settings. `wall` is what the wall clock shows `at` a moment:
    /// flows that share a line look together whether it can be empty, by the clock.
    pub fn new(settings: Settings, wall: Timestamp, at: Instant) -> Self {
        let since_epoch = u64::try_from(wall.micros()).unwrap_or(0);
        Self { settings, origin: (at, Duration::from_micros(since_epoch)) }
    }
}

impl ControllerFactory for LinkCongestion {
    fn build(self: Arc<Self>, now: Instant, current_mtu: u16) -> Box<dyn Controller> {
        let settings = Settings { datagram: u64::from(current_mtu), ..self.settings };
        let shared = Arc::new(Shared {
            ceiling: AtomicU64::new(settings.ceiling.unwrap_or(UNLIMITED)),
            paths: AtomicU64::new(0),
            probes: AtomicU64::new(0),
        });
        let mut controller = LinkController {
            model: Model::new(settings, Duration::ZERO),
            datagram: u64::from(current_mtu),
            origin: self.origin,
            shared,
            paths: 0,
            answered: 0,
            in_flight: 0,
            beyond: 0,
        };
        controller.model = Model::new(settings, controller.moment(now));
        Box::new(controller)
    }
}

/// The controller of one path of one connection.
#[derive(Debug, Clone)]
pub struct LinkController {
    model: Model,
    datagram: u64,
    origin: (Instant, Duration),
    shared: Arc<Shared>,
    /// Changes of path heeded.
    paths: u64,
    /// Probes that count no more, because something was acknowledged after them.
    answered: u64,
    /// Bytes under way: what quinn said last and what was sent since.
    in_flight: u64,
    /// Bytes that quinn's own probes sent beyond the window.
    beyond: u64,
}

/// What a [`Handle`] and the controller share.
#[derive(Debug)]
struct Shared {
    ceiling: AtomicU64,
    paths: AtomicU64,
    probes: AtomicU64,
}

impl LinkController {
    /// What is known of the line.
    pub fn snapshot(&self) -> Snapshot {
        self.model.snapshot()
    }

    fn moment(&self, at: Instant) -> Duration {
        let (origin, named) = self.origin;
        match at.checked_duration_since(origin) {
            Some(after) => named.saturating_add(after),
            None => named.saturating_sub(origin.duration_since(at)),
        }
    }

    fn probes(&self) -> u64 {
        self.shared.probes.load(Ordering::Relaxed).saturating_sub(self.answered)
    }

    fn heed_handle(&mut self, now: Duration) {
        let ceiling = self.shared.ceiling.load(Ordering::Relaxed);
        self.model.set_ceiling((ceiling != UNLIMITED).then_some(ceiling));
        let paths = self.shared.paths.load(Ordering::Relaxed);
        if paths != self.paths {
            self.paths = paths;
            self.model.on_path_change(now);
        }
    }
}

impl Controller for LinkController {
    fn on_sent(&mut self, now: Instant, bytes: u64, _last_packet_number: u64) {
        self.model.on_sent(self.moment(now), bytes);
        self.in_flight = self.in_flight.saturating_add(bytes);
        let allowed = self.window();
        self.beyond += self.in_flight.saturating_sub(allowed);
    }

    fn on_ack(
        &mut self,
        now: Instant,
        sent: Instant,
        bytes: u64,
        _app_limited: bool,
        _rtt: &RttEstimator,
    ) {
        self.model.on_ack(self.moment(now), self.moment(sent), bytes);
    }

    fn on_end_acks(
        &mut self,
        now: Instant,
        in_flight: u64,
        app_limited: bool,
        _largest_packet_num_acked: Option<u64>,
    ) {
        let now = self.moment(now);
        self.heed_handle(now);
        self.model.on_ack_end(now, in_flight, app_limited);
        self.in_flight = in_flight;
        self.beyond = 0;
        self.answered = self.shared.probes.load(Ordering::Relaxed);
    }

    fn on_congestion_event(
        &mut self,
        now: Instant,
        _sent: Instant,
        is_persistent_congestion: bool,
        lost_bytes: u64,
    ) {
        if lost_bytes == 0 {
            return self.model.on_mark();
        }
        self.in_flight = self.in_flight.saturating_sub(lost_bytes);
        self.model.on_loss(self.moment(now), lost_bytes, is_persistent_congestion);
    }

    fn on_mtu_update(&mut self, new_mtu: u16) {
        self.datagram = u64::from(new_mtu);
        self.model.on_datagram_size(self.datagram);
    }

    fn window(&self) -> u64 {
        let probes = self.probes() * PROBE_PACKETS * self.datagram;
        (self.model.window() + 1).saturating_add(self.beyond).saturating_add(probes)
    }

    fn metrics(&self) -> ControllerMetrics {
        let mut metrics = ControllerMetrics::default();
        metrics.congestion_window = self.model.window();
        metrics.pacing_rate = Some(self.model.pacing_rate().saturating_mul(8));
        metrics
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(self.clone())
    }

    fn initial_window(&self) -> u64 {
        self.model.initial_window()
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

/// What may be said to a connection's controller while it works. A connection that moves to another
/// address gets a new controller: take the handle afresh each time.
#[derive(Debug, Clone)]
pub struct Handle {
    shared: Arc<Shared>,
}

impl Handle {
    /// The handle of a connection; `None` where it has another congestion control.
    pub fn of(connection: &Connection) -> Option<Self> {
        controller(connection).map(|controller| Self { shared: controller.shared })
    }

    /// Sets or lifts the limit on what is sent, in bytes a second. It holds from the next
    /// acknowledgement on.
    pub fn set_ceiling(&self, bytes_per_second: Option<u64>) {
        let ceiling = bytes_per_second.unwrap_or(UNLIMITED).clamp(1, UNLIMITED);
        self.shared.ceiling.store(ceiling, Ordering::Relaxed);
    }

    /// The line is another one (our own address changed, which quinn does not tell): what is known
    /// of it is forgotten at the next acknowledgement.
    pub fn path_changed(&self) {
        self.shared.paths.fetch_add(1, Ordering::Relaxed);
    }

    /// Lets two packets more leave although nothing is acknowledged. To be called at most a few
    /// times a second while a line is silent, and followed by anything that wakes the connection.
    pub fn probe(&self) {
        self.shared.probes.fetch_add(1, Ordering::Relaxed);
    }
}

/// What a connection's controller knows; `None` where it is not ours.
pub fn snapshot(connection: &Connection) -> Option<Snapshot> {
    controller(connection).map(|controller| controller.snapshot())
}

fn controller(connection: &Connection) -> Option<LinkController> {
    let state = connection.congestion_state().into_any();
    state.downcast::<LinkController>().ok().map(|controller| *controller)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MTU: u64 = 1_200;

    fn controller() -> (LinkController, Instant) {
        // A moment to count from; nothing here depends on which.
        let start = tokio::time::Instant::now().into_std() + Duration::from_secs(60);
        let wall = Timestamp::from_micros(1_700_000_000_000_000);
        let factory = Arc::new(LinkCongestion::new(Settings::default(), wall, start));
        let built = factory.build(start, MTU as u16).into_any();
        (*built.downcast().expect("the factory builds ours"), start)
    }

    #[test]
    fn exactly_the_window_may_be_under_way() {
        let (controller, _) = controller();
        assert_eq!(controller.window(), controller.initial_window() + 1);
        assert_eq!(controller.metrics().congestion_window, controller.initial_window());
    }

    #[test]
    fn a_moment_before_the_origin_is_named_too() {
        let (controller, start) = controller();
        let named = controller.moment(start);
        assert_eq!(named, Duration::from_secs(1_700_000_000));
        let earlier = controller.moment(start - Duration::from_secs(1));
        assert_eq!(named - earlier, Duration::from_secs(1));
    }

    #[test]
    fn a_probe_lets_two_packets_leave_until_something_is_acknowledged() {
        let (mut controller, start) = controller();
        let full = controller.initial_window();
        controller.on_sent(start, full, 9);
        let handle = Handle { shared: Arc::clone(&controller.shared) };
        assert_eq!(controller.window(), full + 1, "nothing more may leave");
        handle.probe();
        assert_eq!(controller.window(), full + 1 + 2 * MTU);
        controller.on_sent(start, 2 * MTU, 11);
        handle.probe();
        assert_eq!(controller.window(), full + 1 + 4 * MTU, "and again");
        controller.on_end_acks(start + Duration::from_secs(5), 0, false, Some(11));
        assert!(controller.window() <= full + 1, "the line is back");
    }

    #[test]
    fn a_probe_counts_beside_those_of_the_transport() {
        let (mut controller, start) = controller();
        let full = controller.initial_window();
        controller.on_sent(start, full, 9);
        controller.on_sent(start + Duration::from_secs(1), 2 * MTU, 11);
        let handle = Handle { shared: Arc::clone(&controller.shared) };
        handle.probe();
        assert!(controller.window() > full + 3 * MTU, "{}", controller.window());
    }

    #[test]
    fn what_the_handle_says_is_heeded_at_the_next_acknowledgement() {
        let (mut controller, start) = controller();
        let handle = Handle { shared: Arc::clone(&controller.shared) };
        handle.set_ceiling(Some(50_000));
        handle.path_changed();
        controller.on_end_acks(start, 0, false, None);
        // 50 kB/s over the 100 ms that are assumed before anything is known: four packets.
        assert_eq!(controller.window(), 5_000 + 1);
        handle.set_ceiling(None);
        controller.on_end_acks(start, 0, false, None);
        assert_eq!(controller.window(), controller.initial_window() + 1);
    }

    #[test]
    fn a_clone_obeys_the_same_handle() {
        let (controller, _) = controller();
        let handle = Handle { shared: Arc::clone(&controller.shared) };
        let clone = controller.clone_box();
        handle.probe();
        assert_eq!(clone.window(), controller.window());
    }
}
