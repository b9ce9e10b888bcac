//! What has arrived: settlement, what becomes of an instance, names as people read them.

use medrelay_core::id::{OrganizationId, Phi, StudyId, Uid};
use medrelay_core::study::{
    AWAITED_AGAIN, Arrival, Charset, InstanceFacts, Occasion, PatientFacts, QuarantineReason,
    QuietTimes, ReadyReason, Settled, Stage, Twin, Verdict, display_name, receive, settle,
};
use medrelay_core::time::{Span, Timestamp};

const DUE: Timestamp = Timestamp::from_micros(1_000_000);

fn uid(text: &str) -> Uid {
    Uid::parse(text).expect("a UID")
}

fn clinic(n: u64) -> OrganizationId {
    OrganizationId::parse(&format!("00000000-0000-7000-8000-{n:012x}")).expect("a UUID")
}

fn facts(patient: &str) -> InstanceFacts {
    InstanceFacts {
        sop_class: uid("1.2.840.10008.5.1.4.1.1.2"),
        sop_instance: uid("1.2.3.4"),
        transfer_syntax: uid("1.2.840.10008.1.2.1"),
        study: uid("1.2.3"),
        series: uid("1.2.3.1"),
        modality: "CT".to_owned(),
        patient: PatientFacts { id: Phi::new(patient.to_owned()), ..PatientFacts::default() },
        accession: None,
        study_number: None,
        study_date: None,
        study_time: None,
        study_description: None,
        series_number: None,
        series_description: None,
        body_part: None,
        instance_number: None,
        rows: None,
        columns: None,
        frames: 1,
        charset: Charset { declared: String::new(), guessed: false },
    }
}

fn arrival(owner: u64, stage: Stage, patient: &str) -> Arrival {
    Arrival {
        study: StudyId::parse("00000000-0000-7000-8000-0000000000ff").expect("a UUID"),
        clinic: clinic(owner),
        stage,
        patient_id: Phi::new(patient.to_owned()),
    }
}

/// Stage × occasion × due: the whole grid of settlement.
#[test]
fn settlement_grid() {
    let early = Timestamp::from_micros(DUE.micros() - 1);
    let complete = |reason| Settled::Complete(reason);
    let quiet = Occasion::Quiet { awaited: false };
    let awaited = Occasion::Quiet { awaited: true };
    let grid = [
        (Stage::Arriving, quiet, early, Settled::NotBefore(DUE)),
        (Stage::Arriving, quiet, DUE, complete(ReadyReason::Quiet)),
        (Stage::Arriving, awaited, early, Settled::NotBefore(DUE)),
        (Stage::Arriving, awaited, DUE, Settled::NotBefore(DUE + AWAITED_AGAIN)),
        (Stage::Arriving, Occasion::Person, early, complete(ReadyReason::Person)),
        (Stage::Arriving, Occasion::Person, DUE, complete(ReadyReason::Person)),
        (Stage::Arriving, Occasion::Manifest, early, complete(ReadyReason::Manifest)),
        (Stage::Arriving, Occasion::Manifest, DUE, complete(ReadyReason::Manifest)),
        (Stage::Complete, quiet, early, Settled::Already),
        (Stage::Complete, quiet, DUE, Settled::Already),
        (Stage::Complete, awaited, DUE, Settled::Already),
        (Stage::Complete, Occasion::Person, DUE, Settled::Already),
        (Stage::Complete, Occasion::Manifest, DUE, Settled::Already),
    ];
    for (stage, occasion, now, expected) in grid {
        assert_eq!(settle(stage, DUE, occasion, now), expected, "{stage:?} {occasion:?} {now:?}");
    }
    // A new stage or reason does not compile until the grid has been looked at.
    for stage in [Stage::Arriving, Stage::Complete] {
        match stage {
            Stage::Arriving | Stage::Complete => {}
        }
    }
    match ReadyReason::Quiet {
        ReadyReason::Quiet | ReadyReason::Person | ReadyReason::Manifest => {}
    }
}

#[test]
fn every_instance_moves_the_settlement() {
    let quiet = QuietTimes::default();
    let at = |modality| quiet.settle_at(modality, DUE).since(DUE);
    assert_eq!(at("CT"), Span::from_secs(60));
    assert_eq!(at("US"), Span::from_secs(120));
    assert_eq!(at("ECG"), Span::from_secs(5));
    assert_eq!(at("XX"), quiet.other);
    let later = DUE + Span::from_secs(3);
    assert!(quiet.settle_at("CT", later) > quiet.settle_at("CT", DUE));
}

#[test]
fn the_first_and_the_next_instance_are_accepted() {
    let me = clinic(1);
    let new = receive(&facts("p"), "aa", &me, None, None);
    assert_eq!(new, Verdict::Accept { late: false });
    let next = receive(&facts("p"), "aa", &me, None, Some(&arrival(1, Stage::Arriving, "p")));
    assert_eq!(next, Verdict::Accept { late: false });
    let late = receive(&facts("p"), "aa", &me, None, Some(&arrival(1, Stage::Complete, "p")));
    assert_eq!(late, Verdict::Accept { late: true });
}

#[test]
fn the_same_again_is_success_and_anything_else_is_put_aside() {
    let me = clinic(1);
    let study = arrival(1, Stage::Arriving, "p");
    let twin = |sha256: &str, syntax: &str, owner| Twin {
        sha256: sha256.to_owned(),
        transfer_syntax: uid(syntax),
        clinic: clinic(owner),
    };
    let explicit = "1.2.840.10008.1.2.1";
    let table = [
        (twin("aa", explicit, 1), Verdict::Same),
        (twin("bb", explicit, 1), Verdict::Quarantine(QuarantineReason::OtherContent)),
        (twin("aa", "1.2.840.10008.1.2", 1), Verdict::Quarantine(QuarantineReason::OtherContent)),
        (twin("aa", explicit, 2), Verdict::Quarantine(QuarantineReason::OtherOwner)),
        (twin("bb", explicit, 2), Verdict::Quarantine(QuarantineReason::OtherOwner)),
    ];
    for (twin, expected) in table {
        assert_eq!(receive(&facts("p"), "aa", &me, Some(&twin), Some(&study)), expected);
    }
}

#[test]
fn another_clinics_or_patients_study_takes_nothing_in() {
    let me = clinic(1);
    let other_owner = arrival(2, Stage::Arriving, "p");
    let other_patient = arrival(1, Stage::Arriving, "q");
    let both = arrival(2, Stage::Complete, "q");
    let verdict = |study| receive(&facts("p"), "aa", &me, None, Some(study));
    assert_eq!(verdict(&other_owner), Verdict::Quarantine(QuarantineReason::OtherOwner));
    assert_eq!(verdict(&other_patient), Verdict::Quarantine(QuarantineReason::OtherPatient));
    assert_eq!(verdict(&both), Verdict::Quarantine(QuarantineReason::OtherOwner));
}

#[test]
fn names_are_shown_as_people_read_them() {
    let table = [
        ("Zhang^San=张^三", "张三"),
        ("Zhang^San", "Zhang San"),
        ("Zhang^San=", "Zhang San"),
        ("Zhang^San=^^", "Zhang San"),
        ("=张^三", "张三"),
        ("张三", "张三"),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "山田太郎"),
        ("Müller^Jürgen^^Dr.", "Müller Jürgen Dr."),
        ("Иванов^Иван", "Иванов Иван"),
        ("", ""),
        ("^^^^", ""),
    ];
    for (sent, shown) in table {
        assert_eq!(display_name(sent), shown, "{sent}");
        let patient = PatientFacts { name: Phi::new(sent.to_owned()), ..Default::default() };
        assert_eq!(patient.display_name(), shown);
    }
}

#[test]
fn an_instance_prints_nothing_of_its_patient() {
    let mut facts = facts("ID-秘密");
    facts.patient.name = Phi::new("Mi^Mi=秘^密".to_owned());
    facts.patient.birth_date = Phi::new(Some("19491001".to_owned()));
    let printed = format!("{facts:?} {facts:#?}");
    for secret in ["ID-", "秘", "Mi^", "19491001"] {
        assert!(!printed.contains(secret), "{secret} printed");
    }
    assert!(printed.contains("1.2.840.10008.1.2.1"), "what is no patient data prints");
}
