//! The gateway's machine: the whole grid of states and messages, and what it does next.

use medrelay_core::time::Span;
use medrelay_core::transfer::gateway::{Offer, PackInfo, Progress, Session, Step};
use medrelay_core::transfer::message::{Message, Partial};
use medrelay_core::transfer::{CloseCode, Outcome, RefusalCode, Urgency, Violation, limits};

use crate::sample::{self, NOW, hash, uuid};

fn fresh() -> Session {
    Session::new("gateway 1.0")
}

fn greeted() -> Session {
    let mut session = fresh();
    session.start(NOW);
    session
}

fn challenged() -> Session {
    let mut session = greeted();
    session.handle(Message::Challenge { nonce: hash(1) }, NOW).expect("a challenge");
    session
}

fn proved() -> Session {
    let mut session = challenged();
    session.proof(vec![1], vec![2]);
    session
}

fn open() -> Session {
    let mut session = greeted();
    session.handle(Message::Welcome(sample::welcome()), NOW).expect("a welcome");
    session
}

fn asked() -> Session {
    let mut session = open();
    session.offer(sample::offer(1, Urgency::Routine, &[1_000; 3]));
    session
}

fn need(study: u32, states: &[Option<Outcome>]) -> Message {
    Message::Need { study, states: states.to_vec(), partial: Vec::new() }
}

const STORED: Option<Outcome> = Some(Outcome::Stored);

fn pack(n: u64) -> PackInfo {
    PackInfo { bytes: 500, sha256: hash(n) }
}

fn sending() -> Session {
    let mut session = asked();
    session.handle(need(1, &[None, STORED, None]), NOW).expect("an answer");
    session.packed(1, 0, pack(4));
    session.packed(1, 2, pack(4));
    session
}

fn complete() -> Session {
    let mut session = asked();
    session.handle(need(1, &[STORED; 3]), NOW).expect("an answer");
    session
}

fn over() -> Session {
    let mut session = complete();
    let committed = Message::Committed { study: 1, receipt: vec![1], signature: vec![2] };
    session.handle(committed, NOW).expect("committed");
    session
}

fn renewing() -> Session {
    let mut session = open();
    session.renew(vec![1]);
    session
}

fn closed() -> Session {
    let mut session = greeted();
    let goaway = Message::Goaway { code: CloseCode::Crowded, retry_ms: 9, detail: String::new() };
    session.handle(goaway, NOW).expect("sent away");
    session
}

/// A state's name, how to come to it, and what becomes of each message in it.
type Row = (&'static str, fn() -> Session, &'static str);

/// `A` acts, `i` is ignored, `V` is a violation: for every message in the order of PROTOCOL 3.
#[test]
fn the_grid_of_states_and_messages() {
    let grid: [Row; 11] = [
        ("fresh", fresh, "VVVV VVVVVVV VVV VVVV Ai"),
        ("greeted", greeted, "VAVA VVVVVVV VVV VVVV Ai"),
        ("challenged", challenged, "VVVV VVVVVVV VVV VVVV Ai"),
        ("proved", proved, "VVVA VVVVVVV VVV VVVV Ai"),
        ("open", open, "VVVV VVVVVVV AVV VVVA Ai"),
        ("asked", asked, "VVVV VAVVVVV AVV VVVA Ai"),
        ("sending", sending, "VVVV VVAiVVV AVV VVVA Ai"),
        ("complete", complete, "VVVV VViiAVV AVV VVVA Ai"),
        ("over", over, "VVVV ViiiiVV AVV VVVA Ai"),
        ("renewing", renewing, "VVVV VVVVVVV AVV VAVA Ai"),
        ("closed", closed, "iiii iiiiiii iii iiii ii"),
    ];
    for (name, state, expected) in grid {
        let expected = expected.replace(' ', "");
        for (message, expected) in sample::messages().into_iter().zip(expected.chars()) {
            let found = match state().handle(message.clone(), NOW) {
                Ok(steps) if steps.is_empty() => 'i',
                Ok(_) => 'A',
                Err(_) => 'V',
            };
            assert_eq!(found, expected, "{name}: {message:?}");
        }
    }
}

#[test]
fn reports_out_of_turn_do_nothing() {
    let states: [fn() -> Session; 11] = [
        fresh, greeted, challenged, proved, open, asked, sending, complete, over, renewing, closed,
    ];
    for state in states {
        for key in [0, 1, 2] {
            for index in [0, 1, 2, 3, u32::MAX] {
                let mut session = state();
                session.streamed(key, index);
                session.broken(key, index);
                session.packed(key, index, pack(9));
                session.streamed(key, index);
                session.streamed(key, index);
                session.tick(NOW + Span::from_hours(1));
                session.unpackable(key, index);
                session.unpackable(key, index);
                session.withdraw(key);
                session.withdraw(key);
                assert_eq!(session.progress(key), None);
                assert!(session.received(uuid(77)).is_empty());
                assert!(session.fetch(uuid(77), 0).is_empty());
            }
        }
    }
    assert!(open().start(NOW).is_empty(), "a second greeting");
    assert!(open().proof(vec![], vec![]).is_empty(), "a proof that nobody asked for");
}

#[test]
fn an_answer_must_fit_the_question() {
    let answer = |message| asked().handle(message, NOW);
    assert!(answer(need(1, &[None; 2])).is_err(), "a state too few");
    assert!(answer(need(1, &[None; 4])).is_err(), "a state too many");
    assert!(answer(need(2, &[None; 3])).is_err(), "a study that was not offered");
    let partial = |index| Partial { index, pack: hash(1), offset: 5 };
    let with = |partial: Vec<Partial>| {
        answer(Message::Need { study: 1, states: vec![None, STORED, None], partial })
    };
    assert!(with(vec![partial(0), partial(2)]).is_ok());
    assert!(with(vec![partial(1)]).is_err(), "partial and stored");
    assert!(with(vec![partial(3)]).is_err(), "partial and not announced");
    assert!(with(vec![partial(0), partial(0)]).is_err(), "partial twice");
    let stored = Message::Stored { study: 1, entries: vec![(3, Outcome::Stored)] };
    assert!(sending().handle(stored, NOW).is_err());
    let committed = Message::Committed { study: 1, receipt: vec![], signature: vec![] };
    let rule = Violation("an answer out of turn");
    assert_eq!(sending().handle(committed, NOW), Err(rule), "something is missing");
    let mut unknown = sample::welcome();
    unknown.version = 2;
    assert!(greeted().handle(Message::Welcome(unknown), NOW).is_err());
}

fn transmissions(steps: &[Step]) -> Vec<(u64, u32, u64)> {
    let transmit = |step: &Step| match step {
        Step::Transmit { key, index, offset, .. } => Some((*key, *index, *offset)),
        _ => None,
    };
    steps.iter().filter_map(transmit).collect()
}

fn preparations(steps: &[Step]) -> Vec<(u64, u32)> {
    let prepare = |step: &Step| match step {
        Step::Prepare { key, index } => Some((*key, *index)),
        _ => None,
    };
    steps.iter().filter_map(prepare).collect()
}

fn drops(steps: &[Step]) -> Vec<(u64, u32)> {
    let drop = |step: &Step| match step {
        Step::Drop { key, index } => Some((*key, *index)),
        _ => None,
    };
    steps.iter().filter_map(drop).collect()
}

#[test]
fn an_image_goes_from_its_pack_to_its_receipt() {
    let mut session = asked();
    let steps = session.handle(need(1, &[None, STORED, None]), NOW).expect("an answer");
    assert_eq!(steps[0], Step::Known { key: 1, have: 1 });
    assert_eq!(preparations(&steps), [(1, 0), (1, 2)]);
    let steps = session.packed(1, 2, pack(7));
    let transmit = Step::Transmit {
        key: 1,
        study: 1,
        index: 2,
        offset: 0,
        pack: pack(7),
        urgency: Urgency::Routine,
    };
    assert_eq!(steps, [transmit]);
    assert_eq!(session.streamed(1, 2), []);
    let stored = |index| Message::Stored { study: 1, entries: vec![(index, Outcome::Stored)] };
    let told = |index| Step::Stored { key: 1, index, outcome: Outcome::Stored };
    let steps = session.handle(stored(2), NOW).expect("stored");
    assert_eq!(steps, [Step::Drop { key: 1, index: 2 }, told(2)]);
    session.packed(1, 0, pack(8));
    assert_eq!(session.handle(stored(0), NOW).expect("stored"), [told(0)], "the stream still runs");
    assert_eq!(session.streamed(1, 0), [Step::Drop { key: 1, index: 0 }]);
    let progress = Progress { entries: 3, there: 3, bytes_original: 3_000, bytes_there: 3_000 };
    assert_eq!(session.progress(1), Some(progress));
    let committed = Message::Committed { study: 1, receipt: vec![1], signature: vec![2] };
    let steps = session.handle(committed, NOW).expect("committed");
    assert_eq!(steps, [Step::Committed { key: 1, receipt: vec![1], signature: vec![2] }]);
    assert_eq!(session.progress(1), None);
}

#[test]
fn a_pack_goes_on_where_the_relay_says_if_it_is_the_same_pack() {
    let begun = |bytes: u64, sha256| {
        let mut session = asked();
        let partial = vec![Partial { index: 0, pack: hash(4), offset: 300 }];
        let states = vec![None, STORED, STORED];
        session.handle(Message::Need { study: 1, states, partial }, NOW).expect("an answer");
        let steps = session.packed(1, 0, PackInfo { bytes, sha256 });
        (transmissions(&steps)[0].2, session)
    };
    assert_eq!(begun(500, hash(5)).0, 0, "another pack");
    assert_eq!(begun(200, hash(4)).0, 0, "more than there is");
    let (offset, mut session) = begun(500, hash(4));
    assert_eq!(offset, 300);
    session.broken(1, 0);
    let at = session.next_tick().expect("it is tried again");
    assert_eq!(transmissions(&session.tick(at)), [(1, 0, 300)]);
    let damaged = refused(Some(0), RefusalCode::Damaged, 0);
    session.handle(damaged, NOW).expect("refused");
    assert_eq!(drops(&session.streamed(1, 0)), [(1, 0)]);
    let at = session.next_tick().expect("it is tried again");
    assert_eq!(preparations(&session.tick(at)), [(1, 0)], "the pack is made anew");
    assert_eq!(transmissions(&session.packed(1, 0, pack(4))), [(1, 0, 0)]);
}

fn refused(index: Option<u32>, code: RefusalCode, retry_ms: u32) -> Message {
    Message::Refused { study: 1, index, code, retry_ms, detail: "why".to_owned() }
}

#[test]
fn a_refusal_that_passes_is_waited_out() {
    let mut session = sending();
    session.streamed(1, 0);
    let steps = session.handle(refused(Some(0), RefusalCode::OutOfSpace, 60_000), NOW);
    assert_eq!(steps, Ok(vec![]));
    assert_eq!(session.next_tick(), Some(NOW + Span::from_secs(60)));
    assert_eq!(session.tick(NOW + Span::from_secs(59)), []);
    assert_eq!(transmissions(&session.tick(NOW + Span::from_secs(60))), [(1, 0, 0)]);
    // REFUSED overtakes the news that its stream was stopped.
    session.handle(refused(Some(0), RefusalCode::Busy, 5_000), NOW).expect("refused");
    assert_eq!(session.broken(1, 0), []);
    assert_eq!(session.next_tick(), Some(NOW + Span::from_secs(65)));
    // And the other way round.
    session.broken(1, 2);
    session.handle(refused(Some(2), RefusalCode::Busy, 7_000), NOW).expect("refused");
    session.tick(NOW + Span::from_secs(65));
    assert_eq!(session.next_tick(), Some(NOW + Span::from_secs(67)));
}

#[test]
fn what_keeps_breaking_is_tried_less_and_less_often() {
    let mut session = sending();
    let mut now = NOW;
    let mut pauses = Vec::new();
    for _ in 0..12 {
        assert_eq!(session.broken(1, 0), []);
        let at = session.next_tick().expect("it is tried again");
        pauses.push(at.since(now).micros() / 1_000);
        now = at;
        assert_eq!(transmissions(&session.tick(now)), [(1, 0, 0)]);
    }
    assert_eq!(pauses[..4], [250, 500, 1_000, 2_000]);
    assert_eq!(pauses[11], 32_000);
}

#[test]
fn a_refusal_for_good_is_shown_and_the_rest_goes_on() {
    let mut session = sending();
    let steps = session.handle(refused(Some(0), RefusalCode::OtherBytes, 0), NOW).expect("refused");
    let shown = Step::Refused {
        key: 1,
        index: Some(0),
        code: RefusalCode::OtherBytes,
        detail: "why".to_owned(),
    };
    assert_eq!(steps, [Step::Drop { key: 1, index: 0 }, shown]);
    assert_eq!(session.streamed(1, 0), [], "nothing more is to be said about it");
    session.streamed(1, 2);
    let stored = Message::Stored { study: 1, entries: vec![(2, Outcome::Stored)] };
    let steps = session.handle(stored, NOW).expect("stored");
    let withdraw = Step::Send(Message::Withdraw { study: 1 });
    assert_eq!(steps.last(), Some(&withdraw), "nothing is left to do: {steps:?}");
    assert_eq!(session.progress(1), None);

    let mut session = sending();
    session.unpackable(1, 0);
    session.streamed(1, 2);
    let stored = Message::Stored { study: 1, entries: vec![(2, Outcome::Stored)] };
    let steps = session.handle(stored, NOW).expect("stored");
    assert!(steps.contains(&withdraw), "{steps:?}");
}

#[test]
fn a_whole_offer_is_made_again_or_shown() {
    let mut session = sending();
    let steps =
        session.handle(refused(None, RefusalCode::OutOfSpace, 30_000), NOW).expect("refused");
    assert_eq!(steps, [Step::Drop { key: 1, index: 0 }, Step::Drop { key: 1, index: 2 }]);
    assert_eq!(session.next_tick(), Some(NOW + Span::from_secs(30)));
    let steps = session.tick(NOW + Span::from_secs(30));
    assert!(matches!(steps.as_slice(), [Step::Send(Message::Offer { study: 2, .. })]), "{steps:?}");
    let late = Message::Stored { study: 1, entries: vec![(0, Outcome::Stored)] };
    assert_eq!(session.handle(late, NOW), Ok(vec![]), "what was under way is ignored");

    let mut session = asked();
    let steps = session.handle(refused(None, RefusalCode::BadSignature, 0), NOW).expect("refused");
    assert!(matches!(steps.as_slice(), [Step::Refused { key: 1, index: None, .. }]), "{steps:?}");
    assert_eq!((session.progress(1), session.next_tick()), (None, None));
}

#[test]
fn what_the_relay_would_refuse_for_its_size_is_not_even_tried() {
    let mut session = greeted();
    let mut welcome = sample::welcome();
    (welcome.instance_bytes, welcome.entries) = (1_000, 3);
    session.handle(Message::Welcome(welcome), NOW).expect("a welcome");
    let steps = session.offer(sample::offer(1, Urgency::Routine, &[1; 4]));
    let [Step::Refused { key: 1, index: None, code, .. }] = steps.as_slice() else {
        panic!("{steps:?}")
    };
    assert_eq!(*code, RefusalCode::TooLarge);
    session.offer(sample::offer(2, Urgency::Routine, &[1_000, 1_001]));
    let steps = session.handle(need(1, &[None, None]), NOW).expect("an answer");
    assert!(matches!(steps[1], Step::Refused { key: 2, index: Some(1), .. }), "{steps:?}");
    assert_eq!(preparations(&steps), [(2, 0)]);
}

fn with_need(session: &mut Session, study: u32, entries: usize) -> Vec<Step> {
    session.handle(need(study, &vec![None; entries]), NOW).expect("an answer")
}

#[test]
fn stat_overtakes_at_once_and_finds_two_places_free() {
    let mut session = open();
    session.offer(sample::offer(1, Urgency::Routine, &[1_000; 40]));
    let prepared = preparations(&with_need(&mut session, 1, 40));
    let first: Vec<u32> = prepared.iter().map(|(_, index)| *index).take(6).collect();
    assert_eq!(first, [0, 16, 32, 8, 24, 4], "the extent first");
    let mut streams = 0;
    for (key, index) in &prepared {
        streams += transmissions(&session.packed(*key, *index, pack(*key))).len();
    }
    assert_eq!(streams, 14);
    session.offer(sample::offer(2, Urgency::Stat, &[1_000; 5]));
    let prepared = preparations(&with_need(&mut session, 2, 5));
    let mut stat = Vec::new();
    for (key, index) in &prepared {
        stat.extend(transmissions(&session.packed(*key, *index, pack(*key))));
    }
    assert_eq!(stat, [(2, 0, 0), (2, 4, 0)], "the places that were kept");
    let next = transmissions(&session.streamed(1, 0));
    assert_eq!(next, [(2, 2, 0)], "STAT before what waited longer");
    session.offer(sample::offer(3, Urgency::Urgent, &[1_000; 5]));
    let (key, index) = preparations(&with_need(&mut session, 3, 5))[0];
    assert_eq!(transmissions(&session.packed(key, index, pack(3))), [], "all places are taken");
    let steps = session.reprioritize(1, Urgency::Stat);
    assert_eq!(steps[0], Step::Send(Message::Priority { study: 1, urgency: Urgency::Stat }));
    let running = steps.iter().filter(|step| matches!(step, Step::Urgency { key: 1, .. })).count();
    assert_eq!(running, 13, "what runs is told");
}

#[test]
fn the_older_of_two_goes_first() {
    let mut session = open();
    let older =
        Offer { since: NOW - Span::from_hours(1), ..sample::offer(9, Urgency::Routine, &[1]) };
    session.offer(sample::offer(1, Urgency::Routine, &vec![1 << 20; 200]));
    with_need(&mut session, 1, 200);
    session.offer(older);
    assert_eq!(preparations(&with_need(&mut session, 2, 1)), [], "48 MiB are ahead");
    let steps = session.unpackable(1, 0);
    assert_eq!(preparations(&steps), [(9, 0)]);
}

#[test]
fn the_more_urgent_goes_first_and_then_the_older() {
    const MIB: u64 = 1 << 20;
    let mut session = open();
    session.offer(sample::offer(9, Urgency::Stat, &[MIB; 64]));
    assert_eq!(preparations(&with_need(&mut session, 1, 64)).len(), 64, "nothing else has room");
    let since = |minutes| NOW - Span::from_minutes(minutes);
    for (key, urgency, minutes) in [
        (1, Urgency::Routine, 0),
        (2, Urgency::Routine, 60),
        (3, Urgency::Urgent, 5),
        (4, Urgency::Routine, 30),
        (5, Urgency::Urgent, 10),
    ] {
        let offer = sample::offer(key, urgency, &[16 * MIB]);
        session.offer(Offer { since: since(minutes), ..offer });
        assert_eq!(preparations(&with_need(&mut session, key as u32 + 1, 1)), []);
    }
    let mut order = Vec::new();
    for index in 0..64 {
        order.extend(preparations(&session.unpackable(9, index)).into_iter().map(|(key, _)| key));
    }
    assert_eq!(order, [5, 3, 2]);
    let mut later = session.unpackable(5, 0);
    later.extend(session.unpackable(3, 0));
    let order: Vec<u64> = preparations(&later).into_iter().map(|(key, _)| key).collect();
    assert_eq!(order, [4, 1]);
}

#[test]
fn no_more_is_packed_ahead_than_may_be() {
    const MIB: u64 = 1 << 20;
    let mut session = open();
    session.offer(sample::offer(1, Urgency::Routine, &[MIB; 200]));
    let routine = preparations(&with_need(&mut session, 1, 200));
    assert_eq!(routine.len(), 48, "a quarter is kept for what is more urgent");
    for (_, index) in &routine {
        session.packed(1, *index, PackInfo { bytes: MIB, sha256: hash(1) });
    }
    session.offer(sample::offer(2, Urgency::Stat, &[MIB; 200]));
    let steps = with_need(&mut session, 2, 200);
    // 14 routine packs are under way and cannot be given up; the other 34 make room.
    assert_eq!(drops(&steps).len(), 34);
    assert!(
        drops(&steps).iter().all(|(key, index)| *key == 1 && routine[14..].contains(&(1, *index)))
    );
    assert_eq!(preparations(&steps).len(), 50);
    // A pack that turns out smaller than the original makes room.
    let steps = session.packed(2, 0, PackInfo { bytes: MIB / 4, sha256: hash(1) });
    assert_eq!(preparations(&steps), []);
    let steps = session.packed(2, 16, PackInfo { bytes: MIB / 4, sha256: hash(1) });
    assert_eq!(preparations(&steps).len(), 1);

    let mut session = open();
    session.offer(sample::offer(1, Urgency::Routine, &[500 * MIB, MIB]));
    let steps = with_need(&mut session, 1, 2);
    assert_eq!(preparations(&steps), [(1, 0)], "what is larger than the limit goes alone");
    session.offer(sample::offer(2, Urgency::Stat, &[300 * MIB, MIB]));
    let steps = with_need(&mut session, 2, 2);
    assert_eq!(preparations(&steps), [(2, 0)], "and does not hold up what is more urgent");
}

#[test]
fn no_more_waits_for_stored_than_may() {
    let mut session = open();
    session.offer(sample::offer(1, Urgency::Routine, &[1_000; 300]));
    let mut steps = with_need(&mut session, 1, 300);
    let mut streamed = Vec::new();
    while let Some(step) = steps.pop() {
        match step {
            Step::Prepare { key, index } => steps.extend(session.packed(key, index, pack(1))),
            Step::Transmit { key, index, .. } => {
                streamed.push(index);
                steps.extend(session.streamed(key, index));
            }
            _ => {}
        }
    }
    assert_eq!(streamed.len(), 62, "four for each place, but for the two that are kept");
    let stored = Message::Stored { study: 1, entries: vec![(streamed[0], Outcome::Stored)] };
    assert_eq!(transmissions(&session.handle(stored, NOW).expect("stored")).len(), 1);
}

fn offers(steps: &[Step]) -> usize {
    steps.iter().filter(|step| matches!(step, Step::Send(Message::Offer { .. }))).count()
}

#[test]
fn studies_beyond_the_limit_wait_but_stat_does_not() {
    let mut session = greeted();
    for key in 0..100 {
        assert_eq!(
            session.offer(sample::offer(key, Urgency::Routine, &[1])),
            [],
            "not yet welcome"
        );
    }
    let steps = session.handle(Message::Welcome(sample::welcome()), NOW).expect("a welcome");
    assert_eq!(offers(&steps), limits::STUDIES - 2);
    let steps = session.offer(sample::offer(200, Urgency::Stat, &[1]));
    assert_eq!(offers(&steps), 1);
    assert_eq!(offers(&session.offer(sample::offer(201, Urgency::Routine, &[1]))), 0);
    session.withdraw(200);
    assert_eq!(offers(&session.withdraw(0)), 1, "a place is free");
    let mut raised = sample::offer(300, Urgency::Routine, &[1]);
    raised.urgency = Urgency::Stat;
    let steps = session.offer(raised);
    let priority = Message::Priority { study: 65, urgency: Urgency::Stat };
    assert_eq!(steps.last(), Some(&Step::Send(priority)), "the manifest said routine");
}

#[test]
fn a_withdrawn_study_leaves_nothing_behind() {
    let mut session = sending();
    let steps = session.withdraw(1);
    assert_eq!(steps[0], Step::Send(Message::Withdraw { study: 1 }));
    assert_eq!(drops(&steps), [(1, 0), (1, 2)]);
    for late in [need(1, &[None; 3]), refused(Some(0), RefusalCode::Busy, 1)] {
        assert_eq!(session.handle(late, NOW), Ok(vec![]));
    }
    assert_eq!(session.packed(1, 0, pack(1)), [Step::Drop { key: 1, index: 0 }]);
    assert_eq!(session.next_tick(), None);
}

#[test]
fn a_gateway_that_leaves_finishes_what_runs() {
    for goaway in [false, true] {
        let mut session = sending();
        assert!(!session.is_idle());
        if goaway {
            let code = CloseCode::Stopping;
            let message = Message::Goaway { code, retry_ms: 70, detail: String::new() };
            let steps = session.handle(message, NOW).expect("leaving");
            assert_eq!(steps, [Step::Goaway { code, retry_ms: 70 }]);
        } else {
            session.leave(CloseCode::Moved, 0, "");
        }
        assert_eq!(session.offer(sample::offer(2, Urgency::Stat, &[1])), []);
        session.streamed(1, 0);
        session.broken(1, 2);
        assert_eq!(session.tick(NOW + Span::from_hours(1)), [], "nothing new begins");
        assert!(!session.is_idle(), "one waits for STORED");
        let stored = Message::Stored { study: 1, entries: vec![(0, Outcome::Stored)] };
        session.handle(stored, NOW).expect("stored");
        assert!(session.is_idle());
    }
}

#[test]
fn items_are_taken_once_and_bounded() {
    let mut session = open();
    for n in 0..32 {
        let steps = session.handle(Message::Item(sample::item(n, None)), NOW).expect("an item");
        assert_eq!(steps, [Step::Item(sample::item(n, None))]);
    }
    assert!(session.handle(Message::Item(sample::item(40, None)), NOW).is_err());
    let fetch = Message::Fetch { item: uuid(3), offset: 9 };
    assert_eq!(session.fetch(uuid(3), 9), [Step::Send(fetch)]);
    assert_eq!(session.received(uuid(3)), [Step::Send(Message::Received { item: uuid(3) })]);
    assert_eq!(session.received(uuid(3)), []);
    assert!(session.handle(Message::Item(sample::item(4, None)), NOW).is_err(), "open already");
    assert!(session.handle(Message::Item(sample::item(40, None)), NOW).is_ok());
    assert_eq!(session.measure(u32::MAX), [Step::Send(Message::Measure { bytes: 1 << 20 })]);
}
