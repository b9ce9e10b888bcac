//! Manifests, receipts, join codes and the order of sending.

use medrelay_core::id::Uid;
use medrelay_core::time::SeededEntropy;
use medrelay_core::transfer::join::{JoinCode, JoinCodeError};
use medrelay_core::transfer::manifest::sha256;
use medrelay_core::transfer::order::extent_first;
use medrelay_core::transfer::{Entry, Manifest, Outcome, Receipt, Urgency, Violation, limits};
use proptest::prelude::*;

use crate::sample;

#[test]
fn a_manifest_comes_back_as_it_was_made() {
    let manifest = sample::manifest(3, Urgency::Urgent, &[10, 20, 30, 40]);
    let bytes = manifest.encode();
    assert_eq!(Manifest::decode(&bytes), Ok(manifest.clone()));
    assert_eq!(manifest.bytes(), 100);
    assert!(bytes.starts_with(b"MRM1"));
}

#[test]
fn what_an_instance_uid_shares_with_the_one_before_is_not_repeated() {
    let manifest = sample::manifest(3, Urgency::Routine, &[500_000; 1_000]);
    let each = (manifest.encode().len() - 300) / 1_000;
    assert!(each < 53, "{each} bytes for an entry whose UID has 20 characters");
}

#[test]
fn the_largest_manifest_fits_in_a_frame() {
    let mut manifest = sample::manifest(3, Urgency::Routine, &vec![1; 20_000]);
    for (index, entry) in manifest.entries.iter_mut().enumerate() {
        // Nothing in common with the one before, and as long as a UID may be.
        entry.sop_instance =
            sample::uid(&format!("{:060}.1.2", (index + 1) * 7_919 % 1_000_003 * 10_000_000));
    }
    let bytes = manifest.encode();
    assert!(bytes.len() + 100 < limits::FRAME_BYTES as usize, "{}", bytes.len());
    assert_eq!(Manifest::decode(&bytes), Ok(manifest.clone()));
    manifest
        .entries
        .push(Entry { sop_instance: sample::uid("1.2"), ..manifest.entries[0].clone() });
    assert_eq!(
        Manifest::decode(&manifest.encode()),
        Err(Violation("a list is longer than it may be"))
    );
}

#[test]
fn a_manifest_that_contradicts_itself_is_refused() {
    let good = sample::manifest(3, Urgency::Routine, &[10, 20]);
    let refused = |change: fn(&mut Manifest), rule| {
        let mut manifest = good.clone();
        change(&mut manifest);
        assert_eq!(Manifest::decode(&manifest.encode()), Err(Violation(rule)));
    };
    refused(|m| m.entries.clear(), "a manifest without entries");
    refused(
        |m| m.entries[1].sop_instance = m.entries[0].sop_instance.clone(),
        "a SOP Instance UID occurs twice",
    );
    refused(|m| m.entries[1].bytes = u64::MAX, "more bytes than can be counted");
    refused(|m| m.id = "../secret".to_owned(), "the manifest's identifier is not a UUID");
}

#[test]
fn a_manifest_may_not_point_outside_its_tables() {
    let manifest = sample::manifest(3, Urgency::Routine, &[10]);
    let mut bytes = manifest.encode();
    let class = bytes.len() - 32 - 8 - 4;
    bytes[class + 1] = 1;
    assert_eq!(Manifest::decode(&bytes), Err(Violation("a row that the table does not have")));
    let mut bytes = manifest.encode();
    let shared = bytes.len() - 32 - 8 - 4 - manifest.entries[0].sop_instance.as_str().len() - 2 - 1;
    bytes[shared] = 1;
    assert_eq!(Manifest::decode(&bytes), Err(Violation("more is shared than there was")));
}

#[test]
fn a_receipt_comes_back_as_it_was_made() {
    let receipt = sample::receipt();
    assert_eq!(Receipt::decode(&receipt.encode()), Ok(receipt.clone()));
    let wrong = Receipt { aside: vec![(0, Outcome::Stored)], ..receipt };
    assert_eq!(Receipt::decode(&wrong.encode()), Err(Violation("stored is not put aside")));
}

#[test]
fn neither_can_be_cut_short_or_go_on_or_panic_when_changed() {
    let manifest = sample::manifest(3, Urgency::Urgent, &[10, 20, 30]).encode();
    let receipt = sample::receipt().encode();
    for end in 0..manifest.len() {
        assert!(Manifest::decode(&manifest[..end]).is_err(), "up to {end}");
    }
    for end in 0..receipt.len() {
        assert!(Receipt::decode(&receipt[..end]).is_err(), "up to {end}");
    }
    assert!(Manifest::decode(&[manifest.as_slice(), &[0]].concat()).is_err());
    assert!(Receipt::decode(&[receipt.as_slice(), &[0]].concat()).is_err());
    for value in 0..=255 {
        for at in 0..manifest.len() {
            let mut changed = manifest.clone();
            changed[at] = value;
            if let Ok(other) = Manifest::decode(&changed) {
                assert_eq!(Manifest::decode(&other.encode()), Ok(other));
            }
        }
        for at in 0..receipt.len() {
            let mut changed = receipt.clone();
            changed[at] = value;
            if let Ok(other) = Receipt::decode(&changed) {
                assert_eq!(other.encode(), changed);
            }
        }
    }
}

#[test]
fn the_extent_of_a_study_comes_first() {
    for count in (0..200).chain([1_000, 4_095, 4_096, 4_097, 20_000]) {
        let order = extent_first(count);
        let mut sorted = order.clone();
        sorted.sort_unstable();
        let all: Vec<u32> = (0..count as u32).collect();
        assert_eq!(sorted, all, "each of {count} once");
        let first = count.div_ceil(16);
        let every_16th: Vec<u32> = (0..first as u32).map(|n| n * 16).collect();
        assert_eq!(order[..first], every_16th, "of {count}");
    }
    assert_eq!(
        extent_first(20),
        [0, 16, 8, 4, 12, 2, 6, 10, 14, 18, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19]
    );
}

fn code(seed: u64) -> JoinCode {
    JoinCode::new(&sha256(b"the authority's certificate"), &SeededEntropy::new(seed))
}

#[test]
fn a_join_code_is_read_as_people_type_it() {
    let code = code(1);
    let text = code.to_text();
    assert_eq!(text.len(), 55);
    assert!(text.split('-').all(|group| group.len() == 6), "{text}");
    assert_eq!(JoinCode::parse(&text), Ok(code.clone()));
    let sloppy = text.to_lowercase().replace('-', "  ").replace('0', "o").replace('1', "l");
    assert_eq!(JoinCode::parse(&format!("\t{sloppy}\n")), Ok(code.clone()));
    assert_eq!(JoinCode::parse(&text.replace('-', "\u{2013}").replace('1', "I")), Ok(code.clone()));
    assert!(code.pins(b"the authority's certificate"));
    assert!(!code.pins(b"another one"));
    assert_eq!(code.secret_hash(), hex(&sha256(&code.secret)));
    assert_eq!(code.handle_text(), hex(&code.handle));
    assert!(!format!("{code:?}").contains(&hex(&code.secret)[..6]), "a secret is printed");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Two check bytes let one wrong code in 65,536 through: of some 150,000 wrong ones a handful may.
#[test]
fn a_typing_mistake_never_reaches_the_relay() {
    const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let (mut tried, mut missed) = (0, 0);
    for seed in 0..100 {
        let text = code(seed).to_text();
        for at in 0..text.len() {
            if text.as_bytes()[at] == b'-' {
                continue;
            }
            let mut wrong = vec![text.clone().into_bytes(); 32];
            for (wrong, letter) in wrong.iter_mut().zip(LETTERS) {
                wrong[at] = *letter;
            }
            for other in at + 1..text.len() {
                let mut swapped = text.clone().into_bytes();
                swapped.swap(at, other);
                wrong.push(swapped);
            }
            let read = |text: &str| text.replace('-', "");
            for wrong in wrong.into_iter().map(|bytes| String::from_utf8(bytes).expect("ASCII")) {
                if read(&wrong) != read(&text) {
                    tried += 1;
                    missed += u32::from(JoinCode::parse(&wrong) != Err(JoinCodeError::Mistyped));
                }
            }
        }
    }
    assert!(tried > 250_000, "{tried}");
    assert!(missed <= 20, "{missed} of {tried}: four are expected");
}

#[test]
fn a_text_that_is_no_join_code_says_why() {
    let text = code(1).to_text();
    assert_eq!(JoinCode::parse(""), Err(JoinCodeError::Length { found: 0 }));
    assert_eq!(JoinCode::parse(&text[1..]), Err(JoinCodeError::Length { found: 47 }));
    let long = format!("{text}0");
    assert_eq!(JoinCode::parse(&long), Err(JoinCodeError::Length { found: 49 }));
    for stranger in ["U", "é", "!", "报"] {
        let wrong = format!("{}{stranger}{}", &text[..8], &text[9..]);
        assert_eq!(JoinCode::parse(&wrong), Err(JoinCodeError::Character { at: 8 }));
    }
}

prop_compose! {
    fn any_manifest()(
        parts in prop::collection::hash_set("[1-9]{1,6}(\\.[0-9]{1,4}){1,9}", 1..40),
        classes in prop::collection::vec("1\\.2\\.[0-9]{1,3}", 40),
        lengths in prop::collection::vec(0..u64::MAX / 64, 40),
        urgency in 0..3u8,
    ) -> Manifest {
        let mut manifest = sample::manifest(1, Urgency::from_code(urgency).expect("a priority"), &[]);
        for ((uid, class), bytes) in parts.iter().zip(&classes).zip(&lengths) {
            manifest.entries.push(Entry {
                sop_instance: Uid::parse(uid).expect("a UID"),
                sop_class: Uid::parse(class).expect("a UID"),
                transfer_syntax: Uid::parse(&class.replace("1.2", "1.3")).expect("a UID"),
                bytes: *bytes,
                sha256: sha256(uid.as_bytes()),
            });
        }
        manifest
    }
}

proptest! {
    #[test]
    fn every_manifest_comes_back(manifest in any_manifest()) {
        prop_assert_eq!(Manifest::decode(&manifest.encode()), Ok(manifest));
    }

    #[test]
    fn every_join_code_comes_back(seed in any::<u64>()) {
        let code = code(seed);
        prop_assert_eq!(JoinCode::parse(&code.to_text()), Ok(code));
    }

    #[test]
    fn any_text_is_a_join_code_or_not(text in "\\PC{0,60}") {
        let _ = JoinCode::parse(&text);
    }
}
