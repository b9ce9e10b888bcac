//! The order of the queue: a strict total order in which nobody waits for ever and no clinic can
//! crowd another out.

use std::collections::{BTreeMap, HashMap};

use medrelay_core::id::{CaseId, OrganizationId, PersonId};
use medrelay_core::people::Priority;
use medrelay_core::queue::{
    BUCKET, BUCKET_LIMIT, CLAIM_LIMIT, Ineligible, Needs, OnStaff, Reader, Waiting, binding,
    bucket, eligible, expected_at, expected_service, finish_tag, key, lane, median, order,
};
use medrelay_core::time::{SeededEntropy, Span, Timestamp};
use proptest::prelude::*;

const START: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

fn uuid(n: u64) -> String {
    format!("00000000-0000-7000-8000-{n:012x}")
}

fn at(minute: i64) -> Timestamp {
    START + Span::from_minutes(minute)
}

fn case_id(n: u64) -> CaseId {
    CaseId::parse(&uuid(n)).expect("a UUID")
}

fn waiting(n: u64, clinic: u64, priority: Priority, submitted: i64, limit: i64) -> Waiting {
    Waiting {
        case: case_id(n),
        clinic: OrganizationId::parse(&uuid(clinic)).expect("a UUID"),
        priority,
        deadline: at(submitted + limit),
        submitted_at: at(submitted),
        expected: Span::from_minutes(8),
        fair: 0,
    }
}

/// The queue of a centre as the relay keeps it: tags are given on entry, the virtual time is the
/// highest tag served.
#[derive(Default)]
struct Centre {
    cases: Vec<Waiting>,
    virtual_time: i64,
    last_finish: HashMap<OrganizationId, i64>,
}

impl Centre {
    fn enter(&mut self, mut case: Waiting, weight: i64) {
        let last = self.last_finish.get(&case.clinic).copied().unwrap_or(0);
        case.fair = finish_tag(self.virtual_time, last, case.expected, weight);
        self.last_finish.insert(case.clinic.clone(), case.fair);
        self.cases.push(case);
    }

    fn serve(&mut self, now: Timestamp) -> Option<Waiting> {
        order(&mut self.cases, now);
        if self.cases.is_empty() {
            return None;
        }
        let first = self.cases.remove(0);
        self.virtual_time = self.virtual_time.max(first.fair);
        Some(first)
    }
}

fn any_waiting() -> impl Strategy<Value = Waiting> {
    let priority = prop::sample::select(Priority::ALL);
    // Narrow ranges, so that keys often differ in their last part only.
    (0u64..1_000, 0u64..3, priority, -3i64..3, 0i64..40, 0i64..3, -2_000i64..2_000).prop_map(
        |(n, clinic, priority, submitted, limit, fair, far)| Waiting {
            fair,
            deadline: at(if limit < 30 { submitted + limit } else { far }),
            ..waiting(n, clinic, priority, submitted, limit)
        },
    )
}

fn distinct(cases: Vec<Waiting>) -> Vec<Waiting> {
    cases
        .into_iter()
        .map(|case| (case.case.clone(), case))
        .collect::<BTreeMap<_, _>>()
        .into_values()
        .collect()
}

fn config() -> ProptestConfig {
    ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_order_is_strict_total_and_blind_to_how_the_input_was_shuffled(
        (straight, shuffled) in proptest::collection::vec(any_waiting(), 2..40)
            .prop_map(distinct)
            .prop_flat_map(|cases| (Just(cases.clone()), Just(cases).prop_shuffle())),
        minute in -100i64..2_000,
    ) {
        let now = at(minute);
        let (mut one, mut two) = (straight, shuffled);
        order(&mut one, now);
        order(&mut two, now);
        prop_assert_eq!(&one, &two);
        let again = one.clone();
        order(&mut one, now);
        prop_assert_eq!(&one, &again, "ordering twice is ordering once");
        for (i, a) in one.iter().enumerate() {
            for b in &one[i + 1..] {
                // Strict, and transitive because every pair agrees with the places.
                prop_assert!(key(a, now) < key(b, now));
            }
        }
        let lanes: Vec<u8> =
            one.iter().map(|case| u8::from(case.priority != Priority::Stat)).collect();
        prop_assert!(lanes.is_sorted(), "lane 0 first");
        for pair in one.windows(2).filter(|pair| lane(pair[0].priority) == lane(pair[1].priority)) {
            prop_assert!(bucket(&pair[0], now) <= bucket(&pair[1], now), "then by slack");
        }
    }

    #[test]
    fn time_alone_lifts_a_case_within_a_clamp(case in any_waiting(), a: i32, later: u32) {
        let (now, then) = (at(i64::from(a)), at(i64::from(a) + i64::from(later)));
        prop_assert!(bucket(&case, then) <= bucket(&case, now));
        for moment in [now, then, Timestamp::from_micros(i64::MAX), Timestamp::from_micros(i64::MIN)] {
            prop_assert!((-BUCKET_LIMIT..=BUCKET_LIMIT).contains(&bucket(&case, moment)));
        }
        let due = case.deadline - case.expected;
        prop_assert_eq!(bucket(&case, due), 0);
        prop_assert_eq!(bucket(&case, due + Span::from_micros(1)), -1, "overdue is negative at once");
        prop_assert_eq!(bucket(&case, due - BUCKET), 1);
        // A day after it is due, nothing that arrives later with time left is before it.
        let fresh = Waiting {
            case: case_id(5_000),
            deadline: then + Span::from_hours(1),
            submitted_at: then,
            ..case.clone()
        };
        if then.since(due) >= Span::from_hours(24) {
            prop_assert!(key(&case, then) < key(&fresh, then));
        }
    }

    #[test]
    fn tags_grow_and_weigh(v in 0i64..1 << 50, last in 0i64..1 << 50, minutes in 0i64..600,
        weight in -5i64..=100)
    {
        let tag = finish_tag(v, last, Span::from_minutes(minutes), weight);
        prop_assert!(tag > v && tag > last, "two cases of a clinic never share a tag");
        let heavier = finish_tag(v, last, Span::from_minutes(minutes), weight.max(1) + 1);
        prop_assert!(heavier <= tag);
        prop_assert_eq!(finish_tag(i64::MAX, last, Span::from_minutes(minutes), weight), i64::MAX);
    }

    #[test]
    fn a_flood_does_not_delay_another_clinics_single_case_by_more_than_its_share(
        served in 0usize..90, heavy in 1i64..8, light in 1i64..8,
    ) {
        let mut centre = Centre::default();
        for n in 0..100 {
            centre.enter(waiting(n, 1, Priority::Routine, 0, 240), heavy);
        }
        for _ in 0..served {
            centre.serve(START);
        }
        // The same deadline, so the same bucket at every moment: fairness alone decides.
        centre.enter(waiting(200, 2, Priority::Routine, 0, 240), light);
        let mut ahead = 0;
        while centre.serve(START).expect("the single case is there").case != case_id(200) {
            ahead += 1;
        }
        let share = (heavy + light - 1) / light;
        prop_assert!(ahead <= share, "{ahead} went first, its share is {share}");
    }

    #[test]
    fn the_flood_is_served_by_weight(heavy in 1i64..10, light in 1i64..10) {
        let mut centre = Centre::default();
        for n in 0..300 {
            let (clinic, weight) = if n < 150 { (1, heavy) } else { (2, light) };
            centre.enter(waiting(n, clinic, Priority::Routine, 0, 240), weight);
        }
        let first: Vec<Waiting> = (0..100).filter_map(|_| centre.serve(START)).collect();
        let of_heavy = first.iter().filter(|case| case.clinic.as_str() == uuid(1)).count();
        let expected = 100 * heavy / (heavy + light);
        let off = (i64::try_from(of_heavy).expect("few") - expected).abs();
        prop_assert!(off <= 1, "{of_heavy} of 100, expected {expected}");
    }
}

/// One reader; arrivals at random for `minutes`, `load` percent of what the reader can do.
/// Returns the minutes that each case waited, by number; the run ends at `end` at the latest.
fn simulate(seed: u64, minutes: i64, load: u64, end: i64) -> Vec<Option<i64>> {
    let entropy = SeededEntropy::new(seed);
    let mut centre = Centre::default();
    let mut waits: Vec<Option<i64>> = Vec::new();
    let mut arrived: Vec<i64> = Vec::new();
    let mut busy_until = 0;
    for minute in 0..end {
        // Service takes 8 minutes: at 100 % one arrival in 8 minutes.
        if minute < minutes && entropy.next_u64() % 800 < load {
            let (priority, limit) = match entropy.next_u64() % 10 {
                0 => (Priority::Stat, 60),
                1 | 2 => (Priority::Urgent, 120),
                _ => (Priority::Routine, 240),
            };
            let number = arrived.len();
            // Clinic 1 sends most of it.
            let clinic = [1, 1, 1, 2, 3][(entropy.next_u64() % 5) as usize];
            centre.enter(waiting(number as u64, clinic, priority, minute, limit), 1);
            arrived.push(minute);
            waits.push(None);
        }
        if minute >= busy_until
            && let Some(case) = centre.serve(at(minute))
        {
            let number = arrived.len() - 1;
            let served = (0..=number).find(|n| case.case == case_id(*n as u64)).expect("arrived");
            waits[served] = Some(minute - arrived[served]);
            busy_until = minute + 8;
        }
    }
    waits
}

#[test]
fn with_load_that_can_be_borne_everybody_is_served() {
    for seed in 0..6 {
        let waits = simulate(seed, 6_000, 90, 9_000);
        assert!(waits.len() > 500, "arrivals came");
        let worst = waits.iter().map(|wait| wait.expect("never served")).max().expect("some");
        assert!(worst < 24 * 60, "seed {seed}: somebody waited {worst} minutes");
    }
}

#[test]
fn even_with_more_than_can_be_borne_the_old_are_served() {
    // 130 %: the backlog grows for ever, and yet whoever came in the first third is served.
    for seed in 0..6 {
        let waits = simulate(seed, 6_000, 130, 6_000);
        let third = waits.len() / 3;
        assert!(waits.iter().any(Option::is_none), "the load was too high to bear");
        let forgotten: Vec<usize> = (0..third).filter(|n| waits[*n].is_none()).collect();
        assert!(forgotten.is_empty(), "seed {seed}: starved {forgotten:?}");
    }
}

#[test]
fn an_emergency_goes_before_what_is_long_overdue() {
    let mut cases = [
        waiting(1, 1, Priority::Urgent, -3_000, 60),
        waiting(2, 1, Priority::Routine, -3_000, 60),
        waiting(3, 1, Priority::Stat, 0, 60),
    ];
    order(&mut cases, START);
    assert_eq!(cases[0].case, case_id(3));
    assert_eq!(Priority::ALL.iter().map(|p| lane(*p)).collect::<Vec<_>>(), [0, 1, 1]);
}

#[test]
fn who_may_take_what() {
    let me = PersonId::parse(&uuid(1)).expect("a UUID");
    let other = PersonId::parse(&uuid(2)).expect("a UUID");
    let reader = |modalities: &[&str], holding| Reader {
        person: me.clone(),
        modalities: modalities.iter().map(|m| (*m).to_owned()).collect(),
        holding,
        claim_limit: CLAIM_LIMIT,
    };
    let table = [
        (reader(&[], 0), None, Ok(())),
        (reader(&["MR", "CT"], 2), None, Ok(())),
        (reader(&["MR"], 0), None, Err(Ineligible::Modality)),
        (reader(&["C"], 0), None, Err(Ineligible::Modality)),
        (reader(&[], 3), None, Err(Ineligible::ClaimLimit)),
        (reader(&[], 4), None, Err(Ineligible::ClaimLimit)),
        (reader(&[], 0), Some(&other), Ok(())),
        (reader(&[], 0), Some(&me), Err(Ineligible::AuthorCannotVerify)),
    ];
    for (number, (reader, author, expected)) in table.into_iter().enumerate() {
        assert_eq!(eligible(&reader, "CT", author, None), expected, "row {number}");
    }
    let (to_me, to_other) = (Some(&me), Some(&other));
    assert_eq!(eligible(&reader(&[], 0), "CT", None, to_me), Ok(()));
    assert_eq!(eligible(&reader(&[], 0), "CT", None, to_other), Err(Ineligible::Assigned));
    assert_eq!(eligible(&reader(&["MR"], 0), "CT", None, to_other), Err(Ineligible::Modality));
}

/// An assignment binds others only while its assignee could take the case.
#[test]
fn nobody_who_cannot_come_keeps_a_case_from_others() {
    let person = PersonId::parse(&uuid(1)).expect("a UUID");
    let staff = |modalities: &[&str], verifier| OnStaff {
        modalities: modalities.iter().map(|m| (*m).to_owned()).collect(),
        verifier,
    };
    let plain = Needs { modality: "CT", verifier: false, preliminary_by: None };
    let final_only = Needs { verifier: true, ..plain };
    let own = Needs { preliminary_by: Some(&person), ..final_only };
    let table = [
        (Some(staff(&[], false)), plain, true),
        (Some(staff(&["CT"], true)), final_only, true),
        (Some(staff(&["MR"], true)), plain, false),
        (Some(staff(&[], false)), final_only, false),
        (Some(staff(&[], true)), own, false),
        // Gone: the account is closed, or the role was taken away.
        (None, plain, false),
    ];
    for (number, (staff, needs, binds)) in table.into_iter().enumerate() {
        let bound = binding(Some(&person), staff.as_ref(), needs);
        assert_eq!(bound.is_some(), binds, "row {number}");
    }
    assert_eq!(binding(None, Some(&staff(&[], true)), plain), None);
}

#[test]
fn a_forecast_says_nothing_where_there_is_nothing_to_go_by() {
    let each = median(vec![Span::from_minutes(30), Span::from_minutes(6), Span::from_minutes(10)]);
    assert_eq!((each, median(Vec::new())), (Some(Span::from_minutes(10)), None));
    assert_eq!(expected_at(6, 0, each, START), None, "nobody is at work");
    assert_eq!(expected_at(6, 2, None, START), None, "nothing was read");
    assert_eq!(expected_at(6, 2, each, START), Some(at(30)));
    assert_eq!(expected_at(0, 2, each, START), Some(START));
}

#[test]
fn reading_takes_some_time_whatever_the_modality() {
    for modality in ["CT", "MR", "US", "DX", "ECG", "", "SOMETHING"] {
        assert!(expected_service(modality) > Span::ZERO, "{modality}");
    }
}
