//! Names: what is accepted, what is refused, and that patient data never prints.

use medrelay_core::id::{
    AeTitle, AgreementId, CaseId, DeliveryId, DestinationId, DeviceId, DraftId, EventId, GatewayId,
    InstanceId, JobId, KeyId, ManifestId, MessageId, NameError, OrderId, OrganizationId, PersonId,
    Phi, ReportId, SeriesId, SessionId, StudyId, Uid, uuid_v7,
};
use medrelay_core::report::Text;
use medrelay_core::study::{Arrival, PatientFacts, Stage};
use medrelay_core::time::{Entropy, SeededEntropy, Timestamp};
use proptest::prelude::*;

/// 2023-11-14T22:13:20Z.
const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

/// Entropy that yields one byte for ever.
struct Only(u8);

impl Entropy for Only {
    fn fill(&self, out: &mut [u8]) {
        out.fill(self.0);
    }
}

#[test]
fn uuid_v7_has_the_layout_of_rfc_9562() {
    // 1_700_000_000_000 ms = 0x018bcfe56800
    assert_eq!(uuid_v7(NOW, &Only(0)), "018bcfe5-6800-7000-8000-000000000000");
    assert_eq!(uuid_v7(NOW, &Only(0xff)), "018bcfe5-6800-7fff-bfff-ffffffffffff");
    let before_the_epoch = Timestamp::from_micros(-1_000_000);
    assert_eq!(uuid_v7(before_the_epoch, &Only(0)), "00000000-0000-7000-8000-000000000000");
}

#[test]
fn random_uids_are_uuid_derived() {
    // The integer of 00000000-0000-4000-8000-000000000000 and of its counterpart full of ones.
    assert_eq!(Uid::random(&Only(0)).as_str(), "2.25.302240678275694148452352");
    assert_eq!(Uid::random(&Only(0xff)).as_str(), "2.25.340282366920937632322261936355783213055");
}

#[test]
fn uids_and_titles_by_example() {
    let longest = "1".repeat(64);
    for good in ["1", "1.2.840.10008.1.2", "1.02.3", "1.2\0", "1.2 ", longest.as_str()] {
        assert!(Uid::parse(good).is_ok(), "{good:?}");
    }
    let longer = "1".repeat(65);
    let hostile = [
        "",
        ".",
        "1.",
        ".1",
        "1..2",
        "../1",
        "1/2",
        "1\\2",
        "1\x002",
        "1 2",
        " 1",
        "1%2",
        "１.２",
        "1.2a",
        "*",
        "1'",
        longer.as_str(),
    ];
    for bad in hostile {
        assert_eq!(Uid::parse(bad), Err(NameError::Uid), "{bad:?}");
    }
    assert_eq!(AeTitle::parse("  CT 1  ").map(|title| title.to_string()), Ok("CT 1".to_owned()));
    for bad in ["", "    ", "SEVENTEEN_LETTERS", "A\\B", "A\nB", "CT一", "A\x7f"] {
        assert_eq!(AeTitle::parse(bad), Err(NameError::AeTitle), "{bad:?}");
    }
}

/// Checks one of our identifier types: parse, text, JSON, order and refusal.
macro_rules! check_identifiers {
    ($($name:ident)*) => {$({
        let entropy = SeededEntropy::new(7);
        let id = $name::new(NOW, &entropy);
        assert_eq!($name::parse(id.as_str()), Ok(id.clone()));
        assert_eq!(id.to_string(), id.as_str());
        let json = serde_json::to_string(&id).expect("a string");
        assert_eq!(json, format!("\"{id}\""));
        assert_eq!(serde_json::from_str::<$name>(&json).expect("the same"), id);
        let later = $name::new(Timestamp::from_micros(NOW.micros() + 1_000), &Only(0));
        assert!(later > id, "a millisecond later sorts later");
        let upper = id.as_str().to_uppercase();
        let bad = ["", "x", upper.as_str(), "018bcfe5680070008000000000000000",
            "018bcfe5-6800-7000-8000-00000000000", "018bcfe5-6800-7000-8000-0000000000000",
            "018bcfe5_6800-7000-8000-000000000000", "018bcfe5-6800-7000-8000-00000000000g",
            "../../etc/passwd/aaaaaaaaaaaaaaaaaaa"];
        for text in bad {
            assert_eq!($name::parse(text), Err(NameError::Id), "{text:?}");
            assert!(serde_json::from_value::<$name>(text.into()).is_err(), "{text:?}");
        }
    })*};
}

#[test]
fn every_identifier_reads_what_it_writes_and_nothing_else() {
    check_identifiers! {
        OrganizationId PersonId AgreementId DeviceId DestinationId OrderId StudyId SeriesId
        InstanceId CaseId DraftId ReportId DeliveryId JobId EventId SessionId KeyId
        GatewayId ManifestId MessageId
    }
}

fn config() -> ProptestConfig {
    ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() }
}

/// Any text, with those that nearly are UIDs or titles more often.
fn texts() -> impl Strategy<Value = String> {
    prop_oneof!["[0-9.]{0,70}[ \0]{0,2}", "[ -~]{0,20}", any::<String>()]
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_uid_is_digits_and_dots_or_nothing(text in texts()) {
        let bare = text.trim_end_matches(['\0', ' ']);
        let shape = (1..=64).contains(&bare.len())
            && bare.bytes().all(|b| b.is_ascii_digit() || b == b'.')
            && !bare.starts_with('.') && !bare.ends_with('.') && !bare.contains("..");
        let parsed = Uid::parse(&text);
        prop_assert_eq!(parsed.is_ok(), shape);
        if let Ok(uid) = parsed {
            prop_assert_eq!(uid.as_str(), bare);
            prop_assert_eq!(Uid::parse(uid.as_str()), Ok(uid));
        }
    }

    #[test]
    fn a_title_is_printable_and_bare_or_nothing(text in texts()) {
        match AeTitle::parse(&text) {
            Ok(title) => {
                let bare = title.as_str();
                prop_assert!((1..=16).contains(&bare.len()));
                prop_assert!(bare.bytes().all(|b| (0x20..0x7f).contains(&b) && b != b'\\'));
                prop_assert_eq!(bare, bare.trim_matches(' '));
                prop_assert!(text.contains(bare));
                prop_assert_eq!(AeTitle::parse(bare), Ok(title.clone()));
            }
            Err(error) => {
                let bare = text.trim_matches([' ', '\0']);
                let printable = bare.bytes().all(|b| (0x20..0x7f).contains(&b) && b != b'\\');
                prop_assert!(bare.is_empty() || bare.len() > 16 || !printable, "{}", error);
            }
        }
    }

    #[test]
    fn a_refusal_never_repeats_the_text(text in "[A-Z]{17,30}") {
        let errors = [
            Uid::parse(&text).expect_err("letters").to_string(),
            AeTitle::parse(&text).expect_err("too long").to_string(),
            CaseId::parse(&text).expect_err("no UUID").to_string(),
            serde_json::from_value::<Uid>(text.clone().into()).expect_err("letters").to_string(),
        ];
        prop_assert!(errors.iter().all(|error| !error.contains(&text)));
    }

    #[test]
    fn uuids_sort_by_time_and_differ_within_it(
        first in 0i64..4_000_000_000_000_000,
        later in 1_000i64..1_000_000_000_000,
        seed: u64,
    ) {
        let entropy = SeededEntropy::new(seed);
        let a = uuid_v7(Timestamp::from_micros(first), &entropy);
        let b = uuid_v7(Timestamp::from_micros(first), &entropy);
        let c = uuid_v7(Timestamp::from_micros(first + later), &entropy);
        prop_assert_ne!(&a, &b);
        prop_assert!(a < c && b < c);
        for text in [&a, &b, &c] {
            prop_assert!(CaseId::parse(text).is_ok());
            prop_assert_eq!(text.as_bytes()[14], b'7');
            prop_assert!(b"89ab".contains(&text.as_bytes()[19]));
        }
        let millis = i64::from_str_radix(&a.replace('-', "")[..12], 16).expect("hex");
        prop_assert_eq!(millis, first / 1_000);
    }

    #[test]
    fn random_uids_are_uids(seed: u64) {
        let uid = Uid::random(&SeededEntropy::new(seed));
        prop_assert!(uid.as_str().starts_with("2.25.") && uid.as_str().len() <= 44);
        prop_assert_eq!(Uid::parse(uid.as_str()), Ok(uid));
    }

    #[test]
    fn patient_data_never_prints(number in 10_000u32..99_999) {
        let secret = format!("秘{number}");
        let phi = Phi::new(secret.clone());
        prop_assert_eq!(format!("{phi} {phi:?}"), "[redacted] [redacted]");
        prop_assert_eq!(phi.reveal(), &secret);
        let text = Text {
            findings: phi.clone(),
            impression: phi.clone(),
            recommendation: phi.clone(),
        };
        let patient = PatientFacts {
            id: phi.clone(),
            issuer: None,
            name: phi.clone(),
            birth_date: Phi::new(Some(secret.clone())),
            sex: None,
        };
        let arrival = Arrival {
            study: StudyId::new(NOW, &Only(1)),
            clinic: OrganizationId::new(NOW, &Only(2)),
            stage: Stage::Arriving,
            patient_id: phi.clone(),
        };
        let printed = format!("{text:?}{text:#?}{patient:?}{patient:#?}{arrival:?}{arrival:#?}");
        prop_assert!(!printed.contains('秘'), "{}", printed);
        prop_assert_eq!(phi.into_revealed(), secret);
    }
}
