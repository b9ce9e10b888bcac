//! The relay's machine: the whole grid of states and messages, and what it holds a gateway to.

use medrelay_core::transfer::message::{Message, Partial, StreamHeader};
use medrelay_core::transfer::relay::{
    Greeting, Peer, Session, Settings, Step, Verdict, longest_pack,
};
use medrelay_core::transfer::{CloseCode, Outcome, RefusalCode, Urgency, Violation, limits};

use crate::sample::{self, NOW, hash, uuid};

pub fn settings() -> Settings {
    Settings {
        relay: "00".to_owned(),
        receipt_key: hash(3),
        streams: 16,
        instance_bytes: 1 << 30,
        entries: 20_000,
    }
}

pub fn peer() -> Peer {
    Peer { gateway: uuid(2), clinic: uuid(1), clinic_name: "Clinic".to_owned() }
}

fn hello(versions: &[u16]) -> Message {
    Message::Hello { versions: versions.to_vec(), software: "g".to_owned(), clock: NOW }
}

fn fresh() -> Session {
    Session::new(settings(), Greeting::Certified(peer()))
}

fn challenging() -> Session {
    Session::new(settings(), Greeting::Challenge(hash(1)))
}

fn challenged() -> Session {
    let mut session = challenging();
    session.handle(hello(&[1]), NOW).expect("a greeting");
    session
}

fn proving() -> Session {
    let mut session = challenged();
    let proof = Message::Proof { certificate: vec![1], signature: vec![2] };
    session.handle(proof, NOW).expect("a proof");
    session
}

fn open() -> Session {
    let mut session = fresh();
    session.handle(hello(&[1]), NOW).expect("a greeting");
    session
}

fn offer(study: u32, n: u64, lengths: &[u64]) -> Message {
    let offer = sample::offer(n, Urgency::Routine, lengths);
    Message::Offer { study, manifest: offer.raw, signature: offer.signature }
}

/// Study 1 of three entries is offered, and item 5 is sent.
fn asked() -> Session {
    let mut session = open();
    session.handle(offer(1, 1, &[1_000; 3]), NOW).expect("an offer");
    session.items(vec![sample::item(5, Some(b"%PDF"))]);
    session
}

fn sending() -> Session {
    let mut session = asked();
    session.known(1, vec![None, Some(Outcome::Stored), None], Vec::new());
    session
}

fn committing() -> Session {
    let mut session = asked();
    session.known(1, vec![Some(Outcome::Stored); 3], Vec::new());
    session
}

fn over() -> Session {
    let mut session = committing();
    session.committed(1, vec![1], vec![2]);
    session.handle(Message::Received { item: uuid(5) }, NOW).expect("an item");
    session
}

fn closed() -> Session {
    let mut session = fresh();
    session.handle(hello(&[9]), NOW).expect("a greeting");
    session
}

fn leaving() -> Session {
    let mut session = open();
    session.leave(CloseCode::Stopping, 1_000, "update");
    session
}

fn stream(study: u32, index: u32, offset: u64) -> StreamHeader {
    StreamHeader::Instance { study, index, offset, pack_bytes: 900, pack: hash(4) }
}

/// A state's name, how to come to it, and what becomes of each message in it.
type Row = (&'static str, fn() -> Session, &'static str);

/// `A` acts, `i` is ignored, `V` is a violation: for every message in the order of PROTOCOL 3.
#[test]
fn the_grid_of_states_and_messages() {
    let grid: [Row; 11] = [
        ("hello, certified", fresh, "AVVV VVVVVVV VVV VVVV ii"),
        ("hello, challenge", challenging, "AVVV VVVVVVV VVV VVVV ii"),
        ("challenged", challenged, "VVAV VVVVVVV VVV VVVV ii"),
        ("proving", proving, "VVVV VVVVVVV VVV VVVV ii"),
        ("open", open, "VVVV AVVVVVV VVV AVAV ii"),
        ("asked", asked, "VVVV VVVVVAA VAA AVAV ii"),
        ("sending", sending, "VVVV VVVVVAA VAA AVAV ii"),
        ("committing", committing, "VVVV VVVVVAA VAA AVAV ii"),
        ("over", over, "VVVV VVVVVii Vii AVAV ii"),
        ("closed", closed, "iiii iiiiiii iii iiii ii"),
        ("leaving", leaving, "VVVV AVVVVVV VVV AVAV ii"),
    ];
    for (name, state, expected) in grid {
        let expected = expected.replace(' ', "");
        let messages = sample::messages();
        assert_eq!(messages.len(), expected.len());
        for (message, expected) in messages.into_iter().zip(expected.chars()) {
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
fn the_grid_of_states_and_streams() {
    let taken = || {
        let mut session = sending();
        assert!(matches!(session.stream(&stream(1, 0, 0)), Ok(Verdict::Take { .. })));
        session
    };
    let refused = || {
        let mut session = taken();
        session.refused(1, Some(0), RefusalCode::Unreadable, 0, "");
        session
    };
    let stored = || {
        let mut session = taken();
        session.stored(1, 0, Outcome::Stored);
        session
    };
    let stopping = || {
        let mut session = sending();
        session.leave(CloseCode::Stopping, 0, "");
        session
    };
    let states: [(&str, Session, Option<RefusalCode>); 6] = [
        ("taken", taken(), Some(RefusalCode::Busy)),
        ("stored", stored(), Some(RefusalCode::Busy)),
        ("refused for good", refused(), Some(RefusalCode::Unreadable)),
        ("committing", committing(), Some(RefusalCode::Busy)),
        ("over", over(), Some(RefusalCode::NotAnnounced)),
        ("leaving", stopping(), Some(RefusalCode::Busy)),
    ];
    for (name, mut session, code) in states {
        let verdict = session.stream(&stream(1, 0, 0)).expect(name);
        assert_eq!(Some(verdict), code.map(Verdict::Refuse), "{name}");
    }
    for (name, mut session) in [("hello", fresh()), ("proving", proving()), ("asked", asked())] {
        assert!(session.stream(&stream(1, 0, 0)).is_err(), "{name}");
    }
    let mut session = sending();
    assert!(session.stream(&stream(2, 0, 0)).is_err(), "a study never offered");
    assert!(session.stream(&stream(1, 3, 0)).is_err(), "an entry that there is not");
    assert!(session.stream(&StreamHeader::Attachment { item: uuid(5), offset: 0 }).is_err());
    assert_eq!(session.stream(&StreamHeader::Measure), Ok(Verdict::Measure));
}

/// Whatever the driver reports at whatever time, the machine does not fall over.
#[test]
fn reports_out_of_turn_do_nothing() {
    let states: [fn() -> Session; 11] = [
        fresh,
        challenging,
        challenged,
        proving,
        open,
        asked,
        sending,
        committing,
        over,
        closed,
        leaving,
    ];
    for state in states {
        for index in [0, 2, 3, u32::MAX] {
            for study in [0, 1, 2, u32::MAX] {
                let mut session = state();
                session.broken(study, index);
                session.refused(study, Some(index), RefusalCode::Damaged, 5, "");
                session.stored(study, index, Outcome::Stored);
                session.stored(study, index, Outcome::Stored);
                session.known(
                    study,
                    vec![None; 7],
                    vec![Partial { index, pack: hash(1), offset: 2 }],
                );
                session.committed(study, Vec::new(), Vec::new());
                session.proved(peer(), NOW);
                session.refused(study, None, RefusalCode::OutOfSpace, 5, "");
                session.known(study, Vec::new(), Vec::new());
                assert_eq!(session.progress(9), None);
            }
        }
    }
    assert_eq!(
        sending().committed(1, vec![1], vec![2]),
        [],
        "nothing is committed before its time"
    );
    assert_eq!(open().proved(peer(), NOW), [], "a second greeting");
}

#[test]
fn the_greeting_ends_with_a_welcome_or_not_at_all() {
    let steps = fresh().handle(hello(&[0, 1, 7]), NOW).expect("a greeting");
    let [Step::Send(Message::Welcome(welcome))] = steps.as_slice() else { panic!("{steps:?}") };
    assert_eq!((welcome.version, welcome.streams, welcome.clock), (1, 16, NOW));
    assert_eq!((welcome.gateway.as_str(), welcome.clinic.as_str()), (&*uuid(2), &*uuid(1)));

    let steps = fresh().handle(hello(&[2, 3]), NOW).expect("a greeting");
    assert!(
        matches!(
            steps.as_slice(),
            [
                Step::Send(Message::Goaway { code: CloseCode::Version, .. }),
                Step::Close { code: CloseCode::Version, .. }
            ]
        ),
        "{steps:?}"
    );

    let mut session = challenged();
    let proof = Message::Proof { certificate: vec![1], signature: vec![2] };
    let prove = Step::Prove { certificate: vec![1], signature: vec![2], nonce: hash(1) };
    assert_eq!(session.handle(proof, NOW), Ok(vec![prove]));
    let steps = session.proved(peer(), NOW);
    assert!(matches!(steps.as_slice(), [Step::Send(Message::Welcome(_))]), "{steps:?}");
}

fn refusal_of(message: Message) -> Option<RefusalCode> {
    let steps = open().handle(message, NOW).expect("an offer");
    match steps.as_slice() {
        [Step::Send(Message::Refused { index: None, code, .. })] => Some(*code),
        [Step::Register { .. }] => None,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_offer_is_checked_before_anything_is_registered() {
    let with = |change: fn(&mut medrelay_core::transfer::Manifest)| {
        let mut manifest = sample::manifest(1, Urgency::Routine, &[1_000; 3]);
        change(&mut manifest);
        refusal_of(Message::Offer { study: 1, manifest: manifest.encode(), signature: vec![] })
    };
    assert_eq!(with(|_| ()), None);
    assert_eq!(with(|m| m.clinic = uuid(99)), Some(RefusalCode::OtherClinic));
    assert_eq!(with(|m| m.gateway = uuid(99)), Some(RefusalCode::BadSignature));
    assert_eq!(with(|m| m.entries.clear()), Some(RefusalCode::BadManifest));
    let garbage = Message::Offer { study: 1, manifest: vec![1, 2, 3], signature: vec![] };
    assert_eq!(refusal_of(garbage), Some(RefusalCode::BadManifest));

    let strict = Settings { entries: 2, ..settings() };
    let mut session = Session::new(strict, Greeting::Certified(peer()));
    session.handle(hello(&[1]), NOW).expect("a greeting");
    let steps = session.handle(offer(1, 1, &[1_000; 3]), NOW).expect("an offer");
    let [Step::Send(Message::Refused { code, .. })] = steps.as_slice() else { panic!("{steps:?}") };
    assert_eq!(*code, RefusalCode::BadManifest);
}

#[test]
fn no_more_is_open_than_may_be() {
    let mut session = open();
    for study in 1..=64 {
        session.handle(offer(study, u64::from(study), &[1]), NOW).expect("64 are fine");
    }
    let rule = Violation("more open studies than may be");
    assert_eq!(session.handle(offer(65, 65, &[1]), NOW), Err(rule));
    session.handle(Message::Withdraw { study: 3 }, NOW).expect("given up");
    assert!(session.handle(offer(66, 65, &[1]), NOW).is_ok(), "a place is free again");

    let mut session = open();
    let large = vec![1; 20_000];
    for study in 1..=10 {
        session
            .handle(offer(study, u64::from(study), &large), NOW)
            .expect("200,000 entries are fine");
    }
    let steps = session.handle(offer(11, 11, &[1]), NOW).expect("an offer");
    assert!(
        matches!(steps.as_slice(), [Step::Send(Message::Refused { code: RefusalCode::Busy, .. })]),
        "{steps:?}"
    );
}

#[test]
fn streams_are_bounded_and_turned_away_without_harm() {
    let mut session = open();
    session.handle(offer(1, 1, &[1_000; 100]), NOW).expect("an offer");
    session.known(1, vec![None; 100], Vec::new());
    for index in 0..64 {
        let verdict = session.stream(&stream(1, index, 0));
        assert!(matches!(verdict, Ok(Verdict::Take { .. })), "{index}: {verdict:?}");
    }
    let busy = Ok(Verdict::Refuse(RefusalCode::Busy));
    assert_eq!(session.stream(&stream(1, 64, 0)), busy);
    assert_eq!(session.stream(&stream(1, 3, 0)), busy, "the same entry twice");
    let steps = session.turn_away(&stream(1, 3, 0), RefusalCode::Busy);
    let [Step::Send(Message::Refused { study: 1, index: Some(3), retry_ms, .. })] =
        steps.as_slice()
    else {
        panic!("{steps:?}")
    };
    assert!(*retry_ms > 0);
    assert_eq!(session.stored(1, 3, Outcome::Stored).len(), 1, "the first goes on");
    assert!(matches!(session.stream(&stream(1, 64, 0)), Ok(Verdict::Take { .. })));
}

#[test]
fn only_what_the_relay_has_can_be_gone_on_with() {
    let mut session = asked();
    let partial = Partial { index: 2, pack: hash(4), offset: 500 };
    let stale = Partial { index: 0, pack: hash(5), offset: 7 };
    let states = vec![Some(Outcome::Stored), None, None];
    let steps = session.known(1, states, vec![partial.clone(), stale]);
    let [Step::Send(Message::Need { partial: said, .. })] = steps.as_slice() else {
        panic!("{steps:?}")
    };
    assert_eq!(said, &[partial], "what is stored is not partial");
    let damaged = Ok(Verdict::Refuse(RefusalCode::Damaged));
    assert_eq!(session.stream(&stream(1, 2, 499)), damaged);
    assert_eq!(session.stream(&stream(1, 1, 1)), damaged);
    assert!(matches!(session.stream(&stream(1, 2, 500)), Ok(Verdict::Take { .. })));
    session.broken(1, 2);
    assert!(matches!(session.stream(&stream(1, 2, 500)), Ok(Verdict::Take { .. })), "still there");
    session.refused(1, Some(2), RefusalCode::Damaged, 0, "");
    assert_eq!(session.stream(&stream(1, 2, 500)), damaged, "thrown away");
    assert!(matches!(session.stream(&stream(1, 2, 0)), Ok(Verdict::Take { .. })));
}

#[test]
fn what_is_too_large_is_refused_by_name_and_the_rest_is_taken() {
    let small = Settings { instance_bytes: 1_000, ..settings() };
    let mut session = Session::new(small, Greeting::Certified(peer()));
    session.handle(hello(&[1]), NOW).expect("a greeting");
    session.handle(offer(1, 1, &[1_000, 1_001, 1]), NOW).expect("an offer");
    let steps = session.known(1, vec![None; 3], Vec::new());
    assert!(
        matches!(
            steps.as_slice(),
            [
                Step::Send(Message::Need { .. }),
                Step::Send(Message::Refused { index: Some(1), code: RefusalCode::TooLarge, .. })
            ]
        ),
        "{steps:?}"
    );
    session.stored(1, 0, Outcome::Stored);
    let steps = session.stored(1, 2, Outcome::Stored);
    assert!(matches!(steps.as_slice(), [Step::Send(_)]), "never committed: {steps:?}");
    assert_eq!(session.progress(1), Some((2, 3)));

    let mut session = sending();
    let pack_bytes = longest_pack(1_000) + 1;
    let swollen =
        StreamHeader::Instance { study: 1, index: 0, offset: 0, pack_bytes, pack: hash(4) };
    assert_eq!(session.stream(&swollen), Ok(Verdict::Refuse(RefusalCode::TooLarge)));
}

#[test]
fn a_study_is_committed_when_its_last_entry_is_there_and_once() {
    let mut session = sending();
    assert_eq!(session.progress(1), Some((1, 3)));
    let stored =
        |index, outcome| Step::Send(Message::Stored { study: 1, entries: vec![(index, outcome)] });
    let aside = Outcome::OtherPatient;
    assert_eq!(session.stored(1, 0, aside), [stored(0, aside)]);
    assert_eq!(session.stored(1, 0, aside), [], "told twice");
    let last = session.stored(1, 2, Outcome::Stored);
    assert_eq!(last, [stored(2, Outcome::Stored), Step::Commit { study: 1 }]);
    let committed = Message::Committed { study: 1, receipt: vec![1], signature: vec![2] };
    assert_eq!(session.committed(1, vec![1], vec![2]), [Step::Send(committed)]);
    assert_eq!(session.committed(1, vec![1], vec![2]), []);
    assert_eq!(session.progress(1), None);
}

#[test]
fn items_are_bounded_and_never_sent_twice() {
    let mut session = open();
    let items: Vec<_> = (0..40).map(|n| sample::item(n, Some(b"%PDF-1.7"))).collect();
    assert_eq!(session.wants_items(), 32);
    assert_eq!(session.items(items.clone()).len(), 32);
    assert_eq!(session.wants_items(), 0);
    let fetch = |n, offset| Message::Fetch { item: uuid(n), offset };
    let attach = Step::Attach { item: uuid(3), offset: 8 };
    assert_eq!(session.handle(fetch(3, 8), NOW), Ok(vec![attach]));
    assert!(session.handle(fetch(3, 9), NOW).is_err(), "behind the end");
    assert!(session.handle(fetch(39, 0), NOW).is_err(), "not sent yet");
    let received = Step::Received { item: uuid(3) };
    assert_eq!(session.handle(Message::Received { item: uuid(3) }, NOW), Ok(vec![received]));
    assert_eq!(session.handle(fetch(3, 0), NOW), Ok(vec![]), "received already");
    let steps = session.items(items);
    let [Step::Send(Message::Item(item))] = steps.as_slice() else { panic!("{steps:?}") };
    assert_eq!(item.id, uuid(32), "the oldest that was not sent");
    session.leave(CloseCode::Stopping, 0, "");
    assert_eq!(session.wants_items(), 0);
    let mut session = open();
    session.items(vec![sample::item(1, None)]);
    assert!(session.handle(fetch(1, 0), NOW).is_err(), "it has no attachment");
}

#[test]
fn more_is_not_measured_than_may_be() {
    let measure = |bytes| open().handle(Message::Measure { bytes }, NOW);
    let bytes = limits::MEASURE_BYTES;
    assert_eq!(measure(bytes), Ok(vec![Step::Measure { bytes }]));
    assert!(measure(bytes + 1).is_err());
}

#[test]
fn a_relay_that_stops_finishes_what_runs() {
    let mut session = sending();
    assert!(matches!(session.stream(&stream(1, 0, 0)), Ok(Verdict::Take { .. })));
    assert!(!session.is_idle());
    session.leave(CloseCode::Stopping, 1_000, "update");
    assert!(!session.is_idle(), "a stream runs");
    assert_eq!(session.stored(1, 0, Outcome::Stored).len(), 1);
    assert!(session.is_idle());
    let mut session = sending();
    session.stream(&stream(1, 0, 0)).expect("a stream");
    session.handle(Message::Withdraw { study: 1 }, NOW).expect("given up");
    let goaway = Message::Goaway { code: CloseCode::Done, retry_ms: 0, detail: String::new() };
    session.handle(goaway, NOW).expect("leaving");
    assert!(!session.is_idle(), "the stream of a study that was given up still runs");
    session.broken(1, 0);
    assert!(session.is_idle());
    assert_eq!(session.urgency(1), None);
}
