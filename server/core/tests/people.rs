//! People, places, agreements; and that every stable text is one.

use std::collections::HashSet;
use std::fmt::Debug;

use medrelay_core::delivery::Route;
use medrelay_core::event::Kind;
use medrelay_core::id::{AgreementId, OrganizationId};
use medrelay_core::message::MessageKind;
use medrelay_core::people::{
    Agreement, AgreementFault, Grant, OrganizationKind, Priority, Role, SecondFactorPolicy,
    SigningPolicy, TemplateKind, TimeLimits,
};
use medrelay_core::report::VersionKind;
use medrelay_core::time::{Clock, ManualClock, SeededEntropy, Span, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The stable text is unique, read back, and the same that serde writes and reads.
fn check_stable<T>(all: &[T], text: fn(T) -> &'static str, parse: fn(&str) -> Option<T>)
where
    T: Copy + PartialEq + Debug + Serialize + DeserializeOwned,
{
    let mut seen = HashSet::new();
    for value in all {
        let word = text(*value);
        assert!(seen.insert(word), "{word} twice");
        assert_eq!(parse(word), Some(*value));
        assert_eq!(parse(&word.to_uppercase()), None);
        assert_eq!(serde_json::to_value(value).expect("a string"), word);
        let read: T = serde_json::from_value(word.into()).expect("its own text");
        assert_eq!(read, *value);
    }
    assert_eq!(parse(""), None);
}

#[test]
fn stable_texts_are_stable() {
    check_stable(TemplateKind::ALL, TemplateKind::as_str, TemplateKind::parse);
    check_stable(Role::ALL, Role::as_str, Role::parse);
    check_stable(OrganizationKind::ALL, OrganizationKind::as_str, OrganizationKind::parse);
    check_stable(SigningPolicy::ALL, SigningPolicy::as_str, SigningPolicy::parse);
    check_stable(Priority::ALL, Priority::as_str, Priority::parse);
    check_stable(Kind::ALL, Kind::as_str, Kind::parse);
    check_stable(Route::ALL, Route::as_str, Route::parse);
    check_stable(MessageKind::ALL, MessageKind::as_str, MessageKind::parse);
    check_stable(VersionKind::ALL, VersionKind::as_str, VersionKind::parse);
}

fn agreement() -> Agreement {
    let id = "00000000-0000-7000-8000-000000000001";
    Agreement {
        id: AgreementId::parse(id).expect("a UUID"),
        clinic: OrganizationId::parse(id).expect("a UUID"),
        centre: OrganizationId::parse(id).expect("a UUID"),
        modalities: vec!["CT".to_owned()],
        limits: TimeLimits::default(),
        policy: SigningPolicy::Double,
        weight: 1,
        valid_from: Timestamp::from_micros(100),
        valid_to: Some(Timestamp::from_micros(200)),
    }
}

#[test]
fn an_agreement_holds_from_its_first_moment_until_before_its_last() {
    let active = |micros| agreement().is_active(Timestamp::from_micros(micros));
    assert_eq!([99, 100, 199, 200].map(active), [false, true, true, false]);
    let open = Agreement { valid_to: None, ..agreement() };
    assert!(open.is_active(Timestamp::from_micros(i64::MAX)));
    assert!(agreement().covers("CT") && !agreement().covers("MR") && !agreement().covers("C"));
    assert!(Agreement { modalities: Vec::new(), ..agreement() }.covers("MR"));
}

#[test]
fn what_a_person_typed_is_checked() {
    let limits = |stat_minutes, urgent_minutes, routine_minutes| Agreement {
        limits: TimeLimits { stat_minutes, urgent_minutes, routine_minutes },
        ..agreement()
    };
    let weight = |weight| Agreement { weight, ..agreement() };
    let modality = |code: &str| Agreement { modalities: vec![code.to_owned()], ..agreement() };
    let until =
        |micros| Agreement { valid_to: Some(Timestamp::from_micros(micros)), ..agreement() };
    let table = [
        (agreement(), Ok(())),
        (until(101), Ok(())),
        (until(100), Err(AgreementFault::Period)),
        (limits(1, 1, 43_200), Ok(())),
        (limits(0, 1, 2), Err(AgreementFault::Limits)),
        (limits(3, 2, 4), Err(AgreementFault::Limits)),
        (limits(1, 2, 43_201), Err(AgreementFault::Limits)),
        (weight(0), Err(AgreementFault::Weight)),
        (weight(100), Ok(())),
        (weight(101), Err(AgreementFault::Weight)),
        (modality("ct"), Err(AgreementFault::Modality)),
        (modality(""), Err(AgreementFault::Modality)),
        (modality("ABCDEFGHIJKLMNOPQ"), Err(AgreementFault::Modality)),
    ];
    for (number, (agreement, expected)) in table.into_iter().enumerate() {
        assert_eq!(agreement.validate(), expected, "row {number}");
    }
    for priority in Priority::ALL {
        let minutes = [60, 120, 240][*priority as usize];
        assert_eq!(TimeLimits::default().span(*priority), Span::from_minutes(minutes));
    }
}

#[test]
fn time_saturates_and_the_manual_clock_moves_only_when_told() {
    let (first, last) = (Timestamp::from_micros(i64::MIN), Timestamp::from_micros(i64::MAX));
    assert_eq!(last + Span::from_secs(1), last);
    assert_eq!(first - Span::from_secs(1), first);
    assert_eq!(last.since(first), Span::from_micros(i64::MAX));
    assert_eq!(Span::from_hours(i64::MAX), Span::from_micros(i64::MAX));
    assert_eq!(Span::from_secs(-1).minutes_floor(), -1);
    let clock = ManualClock::new(Timestamp::from_micros(5));
    clock.advance(Span::from_micros(2));
    assert_eq!(clock.now(), Timestamp::from_micros(7));
    clock.set(Timestamp::from_micros(1));
    assert_eq!((clock.now(), clock.now()), (Timestamp::from_micros(1), Timestamp::from_micros(1)));
    // SplitMix64 of seed 0, as published.
    assert_eq!(SeededEntropy::new(0).next_u64(), 0xe220_a839_7b1d_cdaf);
}

#[test]
fn the_policy_says_whose_account_needs_a_second_factor() {
    let here = OrganizationId::new(Timestamp::default(), &SeededEntropy::new(7));
    let holds = |roles: &[Role]| -> Vec<Grant> {
        let grant = |role: &Role| Grant { organization: here.clone(), role: *role };
        roles.iter().map(grant).collect()
    };
    for role in Role::ALL {
        let grants = holds(&[*role]);
        let signs = matches!(role, Role::Reporter | Role::Verifier);
        assert!(!SecondFactorPolicy::Optional.demands(&grants), "{role:?}");
        assert_eq!(SecondFactorPolicy::Readers.demands(&grants), signs, "{role:?}");
        assert!(SecondFactorPolicy::Everybody.demands(&grants), "{role:?}");
    }
    assert!(SecondFactorPolicy::Readers.demands(&holds(&[Role::Administrator, Role::Reporter])));
    assert!(!SecondFactorPolicy::Readers.demands(&[]));
}
