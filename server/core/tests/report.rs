//! Reports: what a signature covers, byte by byte, and what may be signed at all.

use medrelay_core::id::{CaseId, OrganizationId, PersonId, Phi, ReportId, Uid};
use medrelay_core::report::{
    CANONICAL_FORMAT, SECTION_LIMIT, Signed, Signer, Text, TextFault, VersionKind, check_draft,
    check_signable, sha256_hex,
};
use medrelay_core::time::Timestamp;
use proptest::prelude::*;

/// The canonical bytes of [`sample`], written by hand.
const GOLDEN: &str = concat!(
    r#"{"format":"medrelay-report/1","report":"00000000-0000-7000-8000-000000000001","#,
    r#""case":"00000000-0000-7000-8000-000000000002","number":2,"kind":"final","#,
    r#""study":"1.2.3","accession":"A1","patient_id":"P1","patient_name":"Zhang^San=张^三","#,
    r#""text":{"findings":"右肺上叶\n\"结节\"","impression":"随访","recommendation":""},"#,
    r#""reason":null,"reporter":{"person":"00000000-0000-7000-8000-000000000003","#,
    r#""name":"李医生","organization":"00000000-0000-7000-8000-000000000004"},"#,
    r#""verifier":{"person":"00000000-0000-7000-8000-000000000005","name":"王医生","#,
    r#""organization":"00000000-0000-7000-8000-000000000004"},"#,
    r#""signed_at":1700000000000000,"predecessor":"ab"}"#,
);
/// SHA-256 of [`GOLDEN`], computed with coreutils' sha256sum.
const GOLDEN_HASH: &str = "cb06da9d046764018be3489e50284ac490e498d640e1320baecbb9ef3df60d28";

fn uuid(n: u64) -> String {
    format!("00000000-0000-7000-8000-{n:012x}")
}

fn phi(text: &str) -> Phi<String> {
    Phi::new(text.to_owned())
}

fn signer(person: u64, name: &str) -> Signer {
    Signer {
        person: PersonId::parse(&uuid(person)).expect("a UUID"),
        name: name.to_owned(),
        organization: OrganizationId::parse(&uuid(4)).expect("a UUID"),
    }
}

fn sample() -> Signed {
    Signed {
        format: CANONICAL_FORMAT.to_owned(),
        report: ReportId::parse(&uuid(1)).expect("a UUID"),
        case: CaseId::parse(&uuid(2)).expect("a UUID"),
        number: 2,
        kind: VersionKind::Final,
        study: Uid::parse("1.2.3").expect("a UID"),
        accession: Some("A1".to_owned()),
        patient_id: phi("P1"),
        patient_name: phi("Zhang^San=张^三"),
        text: Text {
            findings: phi("右肺上叶\n\"结节\""),
            impression: phi("随访"),
            recommendation: phi(""),
        },
        reason: None,
        reporter: signer(3, "李医生"),
        verifier: Some(signer(5, "王医生")),
        signed_at: Timestamp::from_micros(1_700_000_000_000_000),
        predecessor: Some("ab".to_owned()),
        annotations_sha256: None,
    }
}

type Change = (&'static str, fn(&mut Signed));

/// One change of every field, and of every field within it.
fn changes() -> Vec<Change> {
    // A new field does not compile until it has its change below.
    let Signed {
        format: _,
        report: _,
        case: _,
        number: _,
        kind: _,
        study: _,
        accession: _,
        patient_id: _,
        patient_name: _,
        text: Text { findings: _, impression: _, recommendation: _ },
        reason: _,
        reporter: Signer { person: _, name: _, organization: _ },
        verifier: _,
        signed_at: _,
        predecessor: _,
        annotations_sha256: _,
    } = sample();
    vec![
        ("format", |s| s.format = "medrelay-report/2".to_owned()),
        ("report", |s| s.report = ReportId::parse(&uuid(9)).expect("a UUID")),
        ("case", |s| s.case = CaseId::parse(&uuid(9)).expect("a UUID")),
        ("number", |s| s.number = 3),
        ("kind", |s| s.kind = VersionKind::Addendum),
        ("study", |s| s.study = Uid::parse("1.2.4").expect("a UID")),
        ("accession", |s| s.accession = Some("A2".to_owned())),
        ("accession absent", |s| s.accession = None),
        ("accession empty", |s| s.accession = Some(String::new())),
        ("patient_id", |s| s.patient_id = phi("P2")),
        ("patient_name", |s| s.patient_name = phi("Zhang^San=张^三 ")),
        ("findings", |s| s.text.findings = phi("右肺上叶\r\n\"结节\"")),
        ("impression", |s| s.text.impression = phi("随访。")),
        ("recommendation", |s| s.text.recommendation = phi("CT")),
        ("sections swapped", |s| {
            std::mem::swap(&mut s.text.findings, &mut s.text.impression);
        }),
        ("reason", |s| s.reason = Some(phi("x"))),
        ("reason empty", |s| s.reason = Some(phi(""))),
        ("reporter.person", |s| s.reporter.person = PersonId::parse(&uuid(9)).expect("a UUID")),
        ("reporter.name", |s| s.reporter.name = "李".to_owned()),
        ("reporter.organization", |s| {
            s.reporter.organization = OrganizationId::parse(&uuid(9)).expect("a UUID");
        }),
        ("verifier", |s| s.verifier = None),
        ("verifier.person", |s| s.verifier = Some(signer(6, "王医生"))),
        ("verifier.name", |s| s.verifier = Some(signer(5, "王"))),
        ("signers swapped", |s| {
            let verifier = s.verifier.replace(s.reporter.clone());
            s.reporter = verifier.expect("there is one");
        }),
        ("signed_at", |s| s.signed_at = Timestamp::from_micros(1_700_000_000_000_001)),
        ("predecessor", |s| s.predecessor = Some("ac".to_owned())),
        ("predecessor absent", |s| s.predecessor = None),
        ("annotations", |s| s.annotations_sha256 = Some("ab".to_owned())),
    ]
}

#[test]
fn the_canonical_bytes_are_the_golden_ones() {
    let bytes = sample().canonical_bytes();
    assert_eq!(String::from_utf8(bytes.clone()).expect("UTF-8"), GOLDEN);
    assert_eq!(sha256_hex(&bytes), GOLDEN_HASH);
    assert_eq!(
        sha256_hex(b"abc"),
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "FIPS 180-4"
    );
}

#[test]
fn every_change_of_any_field_changes_the_bytes() {
    let mut seen = vec![("unchanged", sample().canonical_bytes())];
    for (name, change) in changes() {
        let mut signed = sample();
        change(&mut signed);
        let bytes = signed.canonical_bytes();
        if let Some((same, _)) = seen.iter().find(|(_, other)| *other == bytes) {
            panic!("{name} gives the same bytes as {same}");
        }
        seen.push((name, bytes));
    }
}

#[test]
fn what_was_signed_prints_no_patient_data() {
    let mut signed = sample();
    signed.reason = Some(phi("理由"));
    let printed = format!("{signed:?} {signed:#?}");
    for secret in ["P1", "Zhang", "张", "右肺", "随访", "理由"] {
        assert!(!printed.contains(secret), "{secret} printed");
    }
}

#[test]
fn what_may_be_signed() {
    let text = |findings: &str, impression: &str| Text {
        findings: phi(findings),
        impression: phi(impression),
        recommendation: phi(""),
    };
    let full = text("f", "i");
    let (long, limit) = ("长".repeat(SECTION_LIMIT + 1), "长".repeat(SECTION_LIMIT));
    use VersionKind::{Addendum, Final, Preliminary};
    let table = [
        (&full, Final, None, Ok(())),
        (&full, Preliminary, None, Ok(())),
        (&full, Addendum, Some("why"), Ok(())),
        (&full, Addendum, None, Err(TextFault::ReasonMissing)),
        (&full, Addendum, Some(" \n"), Err(TextFault::ReasonMissing)),
        (&full, Addendum, Some(long.as_str()), Err(TextFault::TooLong)),
        (&full, Addendum, Some("a\u{1b}[2J"), Err(TextFault::Control)),
        (&text(" \u{3000}\n", "i"), Final, None, Err(TextFault::FindingsMissing)),
        (&text("f", "\t"), Preliminary, None, Err(TextFault::ImpressionMissing)),
        (&text(&long, "i"), Final, None, Err(TextFault::TooLong)),
        (&text("f", &limit), Final, None, Ok(())),
        (&text("f\u{0}", "i"), Final, None, Err(TextFault::Control)),
        (&text("f\u{85}", "i"), Final, None, Err(TextFault::Control)),
        (&text("a\r\n\tb", "i"), Final, None, Ok(())),
    ];
    for (number, (text, kind, reason, expected)) in table.into_iter().enumerate() {
        assert_eq!(check_signable(text, kind, reason), expected, "row {number}");
    }
    assert_eq!(check_draft(&Text::default()), Ok(()), "a draft may be empty");
    let tail = Text { recommendation: phi(&long), ..Text::default() };
    assert_eq!(check_draft(&tail), Err(TextFault::TooLong));
}

/// What was signed before anything could be drawn reads and verifies as it always did; what is
/// drawn makes another format, whose hash is covered.
#[test]
fn what_is_drawn_is_covered_without_changing_what_was_signed_before() {
    let old: Signed = serde_json::from_str(GOLDEN).expect("bytes of the first format");
    assert_eq!((old.annotations_sha256.as_ref(), old.format_holds()), (None, true));
    assert_eq!(old.canonical_bytes(), GOLDEN.as_bytes());
    let drawn = Signed {
        format: Signed::format_of(true).to_owned(),
        annotations_sha256: Some("cd".to_owned()),
        ..sample()
    };
    let bytes = String::from_utf8(drawn.canonical_bytes()).expect("UTF-8");
    assert!(bytes.starts_with(r#"{"format":"medrelay-report/2","#), "{bytes}");
    assert!(bytes.ends_with(r#""predecessor":"ab","annotations_sha256":"cd"}"#), "{bytes}");
    let read: Signed = serde_json::from_str(&bytes).expect("its own bytes");
    assert!(read == drawn && read.format_holds());
    let stripped = Signed { annotations_sha256: None, ..drawn.clone() };
    let relabelled = Signed { format: CANONICAL_FORMAT.to_owned(), ..drawn };
    assert!(!stripped.format_holds() && !relabelled.format_holds());
}

fn config() -> ProptestConfig {
    ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn bytes_are_equal_exactly_when_the_content_is(
        a in proptest::array::uniform3(any::<String>()),
        b in proptest::array::uniform3(any::<String>()),
        same: bool,
    ) {
        let with = |[findings, impression, recommendation]: &[String; 3]| {
            let text = Text {
                findings: phi(findings),
                impression: phi(impression),
                recommendation: phi(recommendation),
            };
            Signed { text, ..sample() }
        };
        let (one, two) = (with(&a), with(if same { &a } else { &b }));
        prop_assert_eq!(one.canonical_bytes() == two.canonical_bytes(), one == two);
        let read: Signed = serde_json::from_slice(&one.canonical_bytes()).expect("its own bytes");
        prop_assert_eq!(read.canonical_bytes(), one.canonical_bytes(), "stable over a round trip");
        prop_assert_eq!(read, one);
    }
}
