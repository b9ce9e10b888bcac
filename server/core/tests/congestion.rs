//! Congestion control on a simulated line: used well, kept short, shared fairly, and found again.

mod line;

use std::time::Duration;

use line::{Control, Flow, Line, PACKET, Run, flow, line, run};
use medrelay_core::congestion::{Model, Settings};
use proptest::prelude::*;

const ZERO: Duration = Duration::ZERO;

fn secs(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

fn model() -> Model {
    Model::new(Settings { datagram: PACKET, ..Settings::default() }, ZERO)
}

fn ours() -> Control {
    Control::Ours(Box::new(model()))
}

fn cubic() -> Control {
    Control::Cubic(line::Cubic::default())
}

/// One flow of ours, alone on a line for so long.
fn alone(line: &Line, seconds: f64) -> Run {
    run(line, vec![flow(ours())], secs(seconds))
}

/// The share of the line that a flow had between two moments.
fn used(line: &Line, run: &Run, index: usize, from: f64, to: f64) -> f64 {
    let bytes = run.flows[index].between(secs(from), secs(to));
    bytes as f64 / (line.rate * (to - from))
}

/// A flow alone uses `use_at_least` of the line from `from` on, with a mean queue of `queue_at_most`
/// ms, and loses hardly more than the line does.
fn uses_line(line: &Line, from: f64, to: f64, use_at_least: f64, queue_at_most: f64) {
    let seen = alone(line, to);
    let share = used(line, &seen, 0, from, to);
    assert!(share >= use_at_least, "{share:.3} of {line:?}");
    let queue = seen.mean_queue(ZERO, secs(to)).as_secs_f64() * 1e3;
    assert!(queue <= queue_at_most, "a queue of {queue:.1} ms on {line:?}");
    let sent = seen.flows[0].sent as f64;
    let dropped = seen.overflow as f64 / sent;
    assert!(dropped <= 0.01, "{dropped:.4} overflowed on {line:?}");
    let needless = (seen.flows[0].lost.saturating_sub(seen.chance) as f64) / sent;
    assert!(needless <= 0.02, "{needless:.4} sent twice needlessly on {line:?}");
}

#[test]
fn a_line_without_loss_is_used_and_its_queue_stays_short() {
    uses_line(&line(100.0, 30, 0.0), 0.3, 6.0, 0.95, 15.0);
}

#[test]
fn one_percent_of_loss_costs_one_percent() {
    uses_line(&line(20.0, 60, 1.0), 0.6, 10.0, 0.95, 20.0);
}

#[test]
fn two_percent_of_loss_on_a_longer_line() {
    uses_line(&line(8.0, 120, 2.0), 1.2, 20.0, 0.94, 40.0);
}

#[test]
fn three_percent_of_loss_on_a_thin_line() {
    uses_line(&line(1.0, 150, 3.0), 1.5, 40.0, 0.92, 75.0);
}

#[test]
fn five_percent_of_loss_alone_does_not_slow_it_down() {
    uses_line(&line(20.0, 60, 5.0), 0.6, 12.0, 0.92, 20.0);
    uses_line(&line(100.0, 30, 5.0), 0.6, 6.0, 0.92, 15.0);
}

#[test]
fn a_far_line_is_used_once_it_is_found() {
    uses_line(&line(20.0, 300, 1.0), 3.0, 20.0, 0.92, 90.0);
}

#[test]
fn a_very_thin_line_is_used() {
    uses_line(&line(0.512, 300, 2.0), 3.0, 60.0, 0.9, 150.0);
}

#[test]
fn a_buffer_of_seconds_is_not_filled() {
    let mut deep = line(20.0, 60, 0.0);
    deep.queue = secs(2.0);
    uses_line(&deep, 0.6, 10.0, 0.95, 20.0);
    let most = alone(&deep, 10.0).queue.into_iter().max().unwrap_or(ZERO);
    assert!(most <= secs(0.08), "at the start too: {most:?}");
}

#[test]
fn acknowledgements_in_lumps_do_not_starve_it() {
    let mut radio = line(20.0, 60, 1.0);
    radio.lump = secs(0.01);
    uses_line(&radio, 1.0, 10.0, 0.9, 30.0);
    let mut late = line(20.0, 60, 1.0);
    late.jitter = secs(0.02);
    uses_line(&late, 1.0, 10.0, 0.9, 30.0);
}

#[test]
fn a_line_that_becomes_faster_is_noticed() {
    let mut faster = line(20.0, 60, 1.0);
    faster.change = Some((secs(3.0), 10_000_000.0, faster.rtt));
    let seen = alone(&faster, 8.0);
    let share = seen.flows[0].between(secs(5.0), secs(8.0)) as f64 / 30_000_000.0;
    assert!(share >= 0.9, "{share:.3} of the new rate");
}

#[test]
fn a_line_that_becomes_slower_is_noticed() {
    let mut slower = line(20.0, 60, 1.0);
    slower.change = Some((secs(3.0), 500_000.0, slower.rtt));
    let seen = alone(&slower, 12.0);
    let share = seen.flows[0].between(secs(5.0), secs(12.0)) as f64 / 3_500_000.0;
    assert!(share >= 0.85, "{share:.3} of the new rate");
    let queue = seen.mean_queue(secs(6.0), secs(12.0));
    assert!(queue <= secs(0.045), "{queue:?}");
}

#[test]
fn after_an_outage_it_is_at_work_within_a_second() {
    let mut cut = line(20.0, 60, 1.0);
    cut.outage = Some((secs(3.0), secs(8.0)));
    let seen = alone(&cut, 14.0);
    let first = seen.flows[0].between(secs(8.0), secs(9.0));
    assert!(first > 300_000, "{first} bytes in the first second");
    let share = used(&cut, &seen, 0, 9.0, 14.0);
    assert!(share >= 0.92, "{share:.3} from then on");
    let sent_into_nothing = seen.flows[0].lost.saturating_sub(seen.overflow) as f64;
    assert!(sent_into_nothing / seen.flows[0].sent as f64 <= 0.05, "{sent_into_nothing}");
}

/// The least and the largest share of flows of ours, as multiples of the fair one.
fn shares(line: &Line, count: usize, late: bool, seconds: f64) -> (f64, f64) {
    let flows = (0..count).map(|index| {
        let start = if late && index + 1 == count { seconds / 3.0 } else { index as f64 * 0.037 };
        Flow { start: secs(start), ..flow(ours()) }
    });
    let seen = run(line, flows.collect(), secs(seconds));
    let shares: Vec<f64> = (0..count)
        .map(|index| used(line, &seen, index, seconds / 2.0, seconds) * count as f64)
        .collect();
    let least = shares.iter().copied().fold(f64::MAX, f64::min);
    (least, shares.iter().copied().fold(0.0, f64::max))
}

#[test]
fn two_flows_share_equally_and_so_does_a_latecomer() {
    for line in [line(20.0, 60, 1.0), line(100.0, 30, 0.0), line(8.0, 120, 2.0)] {
        for late in [false, true] {
            let (least, _) = shares(&line, 2, late, 45.0);
            assert!(least >= 0.7, "{least:.2} with late {late} on {line:?}");
        }
    }
}

#[test]
fn ten_flows_share_equally() {
    for line in [line(20.0, 60, 1.0), line(100.0, 30, 0.0)] {
        let (least, most) = shares(&line, 10, false, 30.0);
        assert!(least >= 0.7, "{least:.2} to {most:.2} on {line:?}");
    }
    let (least, most) = shares(&line(100.0, 30, 0.0), 10, true, 30.0);
    assert!(least >= 0.7, "{least:.2} to {most:.2} with a latecomer");
}

#[test]
fn fifty_flows_share_equally() {
    for line in [line(20.0, 60, 1.0), line(100.0, 30, 0.0)] {
        let (least, most) = shares(&line, 50, false, 30.0);
        assert!(least >= 0.7, "{least:.2} to {most:.2} on {line:?}");
    }
}

#[test]
fn shares_are_found_soon() {
    let seconds = 20.0;
    for (line, count) in [
        (line(16.0, 60, 0.0), 8),
        (line(20.0, 60, 1.0), 10),
        (line(100.0, 60, 0.0), 50),
        (line(100.0, 30, 0.0), 50),
    ] {
        let (least, most) = shares(&line, count, false, seconds);
        assert!(least >= 0.75, "{least:.2} to {most:.2} of {count} on {line:?}");
    }
}

#[test]
fn beside_cubic_neither_starves() {
    for line in
        [line(20.0, 60, 0.0), line(100.0, 30, 0.0), line(8.0, 120, 0.0), line(1.0, 150, 0.0)]
    {
        let seen = run(&line, vec![flow(ours()), flow(cubic())], secs(60.0));
        let share = used(&line, &seen, 0, 30.0, 60.0);
        assert!((0.15..=0.85).contains(&share), "{share:.2} of {line:?}");
        let both = share + used(&line, &seen, 1, 30.0, 60.0);
        assert!(both >= 0.95, "{both:.2} used by both");
    }
}

#[test]
fn when_cubic_has_gone_the_queue_goes_too() {
    let line = line(20.0, 60, 0.0);
    let passing = Flow { stop: secs(20.0), ..flow(cubic()) };
    let seen = run(&line, vec![flow(ours()), passing], secs(45.0));
    let share = used(&line, &seen, 0, 35.0, 45.0);
    assert!(share >= 0.9, "{share:.2}");
    let queue = seen.mean_queue(secs(35.0), secs(45.0));
    assert!(queue <= secs(0.03), "{queue:?}");
}

#[test]
fn a_pause_does_not_lower_the_model() {
    let mut model = model();
    let mut now = feed(&mut model, ZERO, 200, false);
    let before = model.snapshot();
    // A trickle: one packet a round trip, with nothing more to send.
    for _ in 0..100 {
        let sent = now;
        model.on_sent(sent, PACKET);
        now += Duration::from_millis(60);
        model.on_ack(now, sent, PACKET);
        model.on_ack_end(now, 0, true);
    }
    assert!(model.snapshot().rate >= before.rate * 9 / 10, "{before:?} {:?}", model.snapshot());
    assert!(model.window() >= before.window * 9 / 10, "{before:?} {:?}", model.snapshot());
}

/// Packets sent and acknowledged on an idle line of 60 ms, two every 2 ms.
fn feed(model: &mut Model, from: Duration, count: u32, limited: bool) -> Duration {
    let rtt = Duration::from_millis(60);
    let step = Duration::from_millis(2);
    let lag = (rtt.as_millis() / step.as_millis()) as u32;
    for turn in 0..count + lag {
        let now = from + step * turn;
        if turn < count {
            model.on_sent(now, 2 * PACKET);
        }
        if turn >= lag {
            let sent = from + step * (turn - lag);
            model.on_ack(now, sent, PACKET);
            model.on_ack(now, sent, PACKET);
            let in_flight = u64::from(lag.min(count + lag - turn)) * 2 * PACKET;
            model.on_ack_end(now, in_flight, limited);
        }
    }
    from + step * (count + lag)
}

#[test]
fn a_ceiling_holds_and_can_be_lifted() {
    let line = line(20.0, 60, 0.0);
    let settings = Settings { datagram: PACKET, ceiling: Some(500_000), ..Settings::default() };
    let held = Control::Ours(Box::new(Model::new(settings, ZERO)));
    let seen = run(&line, vec![flow(held)], secs(10.0));
    let rate = seen.flows[0].between(secs(2.0), secs(10.0)) as f64 / 8.0;
    assert!((400_000.0..=520_000.0).contains(&rate), "{rate}");

    let mut model = Model::new(settings, ZERO);
    feed(&mut model, ZERO, 400, false);
    assert!(model.window() <= 33_000, "{}", model.window());
    model.set_ceiling(None);
    assert!(model.window() > 33_000, "{}", model.window());
}

#[test]
fn another_path_begins_anew() {
    let mut model = model();
    let now = feed(&mut model, ZERO, 400, false);
    assert!(model.snapshot().rate > 0);
    model.on_path_change(now);
    let snapshot = model.snapshot();
    assert_eq!((snapshot.phase, snapshot.rate, snapshot.least_rtt), ("startup", 0, None));
    assert_eq!(model.window(), model.initial_window());
}

#[test]
fn a_mark_of_the_network_counts_as_a_queue() {
    let mut model = model();
    let now = feed(&mut model, ZERO, 2_000, false);
    assert_eq!(model.snapshot().phase, "startup", "{:?}", model.snapshot());
    let before = model.window();
    model.on_mark();
    feed(&mut model, now, 60, false);
    assert_ne!(model.snapshot().phase, "startup", "{:?}", model.snapshot());
    assert!(model.window() < before * 3 / 4, "{before} {}", model.window());
}

#[test]
fn the_window_stays_within_its_limits() {
    let settings = Settings { datagram: PACKET, window_limit: 60_000, ceiling: None };
    let limited = Control::Ours(Box::new(Model::new(settings, ZERO)));
    let seen = run(&line(100.0, 60, 0.0), vec![flow(limited)], secs(5.0));
    let (least, most) = seen.flows[0].windows;
    assert!(least >= 2 * PACKET && most <= 60_000, "{least} {most}");
}

/// Anything that can be told to a model.
#[derive(Debug, Clone)]
enum Told {
    Sent(u64, u64),
    Ack(u64, u64, u64, u64, bool),
    Loss(u64, bool),
    Mark,
    Size(u64),
    Path,
    Ceiling(Option<u64>),
}

fn told() -> impl Strategy<Value = Told> {
    prop_oneof![
        (0..1u64 << 40, any::<u64>()).prop_map(|(wait, bytes)| Told::Sent(wait, bytes)),
        (0..1u64 << 40, any::<u64>(), 0..100_000u64, any::<u64>(), any::<bool>())
            .prop_map(|(wait, ago, bytes, flight, idle)| Told::Ack(wait, ago, bytes, flight, idle)),
        (0..1u64 << 34, 0..1u64 << 38, 1..3_000u64, 0..1u64 << 24, any::<bool>())
            .prop_map(|(wait, ago, bytes, flight, idle)| Told::Ack(wait, ago, bytes, flight, idle)),
        (any::<u64>(), any::<bool>()).prop_map(|(bytes, persistent)| Told::Loss(bytes, persistent)),
        Just(Told::Mark),
        any::<u64>().prop_map(Told::Size),
        Just(Told::Path),
        any::<Option<u64>>().prop_map(Told::Ceiling),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn whatever_it_is_told_the_window_is_neither_nothing_nor_boundless(
        told in prop::collection::vec(told(), 1..200),
    ) {
        let mut model = model();
        let mut now = ZERO;
        let mut datagram = PACKET;
        for each in told {
            match each {
                Told::Sent(wait, bytes) => {
                    now += Duration::from_nanos(wait);
                    model.on_sent(now, bytes);
                }
                Told::Ack(wait, ago, bytes, in_flight, idle) => {
                    now += Duration::from_nanos(wait);
                    model.on_ack(now, now.saturating_sub(Duration::from_nanos(ago)), bytes);
                    model.on_ack_end(now, in_flight, idle);
                }
                Told::Loss(bytes, persistent) => model.on_loss(now, bytes, persistent),
                Told::Mark => model.on_mark(),
                Told::Size(bytes) => {
                    datagram = bytes.clamp(1, 65_535);
                    model.on_datagram_size(bytes);
                }
                Told::Path => model.on_path_change(now),
                Told::Ceiling(ceiling) => model.set_ceiling(ceiling),
            }
            prop_assert!(model.window() >= 2 * datagram, "{:?}", model.snapshot());
            prop_assert!(model.window() <= (64 << 20).max(4 * datagram), "{:?}", model.snapshot());
            prop_assert!(model.initial_window() > 0);
            let _ = model.pacing_rate();
        }
    }
}
