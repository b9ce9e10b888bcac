//! The audit chain: whatever is done to it afterwards is found.

use medrelay_core::event::{ChainFault, Head, Kind, Record, check_head, check_next, sealed_bytes};
use medrelay_core::report::sha256_hex;
use medrelay_core::time::Timestamp;
use proptest::prelude::*;

/// A toy keyed seal; the real one is an HMAC, but the chain does not care.
fn seal_with(key: &'static str) -> impl Fn(&[u8]) -> String {
    move |bytes| sha256_hex(&[key.as_bytes(), bytes, key.as_bytes()].concat())
}

fn record(seq: i64) -> Record {
    Record {
        seq,
        id: format!("id-{seq}"),
        at: Timestamp::from_micros(1_000 * seq),
        kind: Kind::ALL[seq.unsigned_abs() as usize % Kind::ALL.len()].as_str().to_owned(),
        actor: format!("person:{}", seq % 3),
        source: "192.0.2.1".to_owned(),
        organization: "clinic".to_owned(),
        partner: "centre".to_owned(),
        object: format!("case:{}", seq % 5),
        details: r#"{"stage":"ready"}"#.to_owned(),
    }
}

/// A stored chain: events with their seals, the head and the head's seal.
#[derive(Debug, Clone, PartialEq)]
struct Chain {
    events: Vec<(Record, String)>,
    head: Head,
    head_seal: String,
}

fn sealed(records: Vec<Record>, key: &'static str) -> Chain {
    let seal = seal_with(key);
    let mut head = Head::empty();
    let mut events = Vec::new();
    for record in records {
        let own = seal(&sealed_bytes(&head.seal, &record));
        head = Head { seq: record.seq, seal: own.clone() };
        events.push((record, own));
    }
    let head_seal = seal(&head.canonical_bytes());
    Chain { events, head, head_seal }
}

fn verify(chain: &Chain) -> Result<(), ChainFault> {
    let seal = seal_with("key");
    let mut head = Head::empty();
    for (record, own) in &chain.events {
        head = check_next(&head, record, own, &seal)?;
    }
    check_head(&head, &chain.head, &chain.head_seal, &seal)
}

/// Changes one field; `None` when there is no such field. A new field does not compile until it
/// has its turn here.
fn edit(record: &mut Record, field: usize) -> Option<()> {
    let Record { seq, id, at, kind, actor, source, organization, partner, object, details } =
        record;
    match field {
        0 => *seq += 1,
        1 => *at = Timestamp::from_micros(at.micros() + 1),
        _ => [id, kind, actor, source, organization, partner, object, details]
            .get_mut(field - 2)?
            .push('x'),
    }
    Some(())
}

#[test]
fn an_untouched_chain_of_any_length_verifies() {
    for length in 0..40 {
        assert_eq!(verify(&sealed((1..=length).map(record).collect(), "key")), Ok(()));
    }
}

#[test]
fn every_field_of_every_event_is_covered() {
    let good = sealed((1..=6).map(record).collect(), "key");
    let mut edits = 0;
    for at in 0..good.events.len() {
        for field in 0.. {
            let mut bad = good.clone();
            if edit(&mut bad.events[at].0, field).is_none() {
                break;
            }
            let fault = verify(&bad).expect_err("an edit went unseen");
            let number = i64::try_from(at).expect("few") + 1;
            if field == 0 {
                assert_eq!(fault, ChainFault::Gap { after: number - 1, found: number + 1 });
            } else {
                assert_eq!(fault, ChainFault::Seal { seq: number }, "the first bad one is named");
            }
            edits += 1;
        }
    }
    assert_eq!(edits, 60, "six events of ten fields");
}

#[test]
fn text_moved_between_fields_or_events_is_found() {
    let mut bad = sealed((1..=3).map(record).collect(), "key");
    bad.events[1].0.organization = "clinicc".to_owned();
    bad.events[1].0.partner = "entre".to_owned();
    assert!(verify(&bad).is_err());
}

#[test]
fn an_event_of_another_history_with_a_good_seal_is_found() {
    // The same key, the same numbers, another second event: as after a restored backup.
    let good = sealed((1..=5).map(record).collect(), "key");
    let other = (1..=5).map(|seq| Record { id: format!("other-{}", seq.min(2)), ..record(seq) });
    let other = sealed(other.collect(), "key");
    for at in 1..5 {
        let mut bad = good.clone();
        bad.events[at] = other.events[at].clone();
        let fault = ChainFault::Seal { seq: i64::try_from(at).expect("few") + 1 };
        assert_eq!(verify(&bad), Err(fault));
    }
    let mut bad = good.clone();
    bad.events.truncate(3);
    bad.events.extend_from_slice(&other.events[3..]);
    assert_eq!(verify(&bad), Err(ChainFault::Seal { seq: 4 }), "a tail grafted on");
    let bad = Chain { events: other.events, ..good };
    assert_eq!(verify(&bad), Err(ChainFault::Head), "a whole history under the head of another");
}

#[test]
fn who_lacks_the_key_cannot_make_a_new_chain() {
    let forged = sealed((1..=5).map(record).collect(), "guess");
    assert_eq!(verify(&forged), Err(ChainFault::Seal { seq: 1 }));
}

#[test]
fn an_emptied_trail_is_found() {
    let mut bad = sealed((1..=5).map(record).collect(), "key");
    bad.events.clear();
    assert_eq!(verify(&bad), Err(ChainFault::Truncated { last: 0, head: 5 }));
    bad.head = Head::empty();
    assert_eq!(verify(&bad), Err(ChainFault::Head), "the head cannot be reset without the key");
}

#[test]
fn an_event_appended_behind_the_head_is_found() {
    let longer = sealed((1..=6).map(record).collect(), "key");
    let shorter = sealed((1..=5).map(record).collect(), "key");
    let bad = Chain { events: longer.events, ..shorter };
    assert_eq!(verify(&bad), Err(ChainFault::Head));
}

fn config() -> ProptestConfig {
    ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_tampering_is_found(
        length in 2i64..30,
        first: prop::sample::Index,
        second: prop::sample::Index,
        field in 0usize..10,
        how in 0usize..8,
    ) {
        let good = sealed((1..=length).map(record).collect(), "key");
        let mut bad = good.clone();
        let (a, b) = (first.index(bad.events.len()), second.index(bad.events.len()));
        match how {
            0 => edit(&mut bad.events[a].0, field).expect("ten fields"),
            1 => drop(bad.events.remove(a)),
            2 => bad.events.swap(a, b),
            3 => bad.events.truncate(a),
            4 => bad.events[a].1 = bad.events[b].1.clone(),
            5 => bad.events.insert(a, good.events[b].clone()),
            // Deleted and numbered anew, as somebody with the database but not the key would.
            6 => {
                bad.events.remove(a);
                for (place, event) in bad.events.iter_mut().enumerate() {
                    event.0.seq = i64::try_from(place).expect("few") + 1;
                }
            }
            _ => bad.head = Head { seq: length - 1, seal: good.events[b].1.clone() },
        }
        prop_assert_eq!(verify(&bad).is_ok(), bad == good);
    }
}
