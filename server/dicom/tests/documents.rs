//! Signed reports as SR and PDF objects, judged by dicom3tools, DCMTK and dicom-rs.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use dicom_dictionary_std::tags;
use medrelay_core::id::{Phi, Uid};
use medrelay_core::study::PatientFacts;
use medrelay_core::time::Timestamp;
use medrelay_dicom::encapsulated::{ENCAPSULATED_PDF, PdfDocument};
use medrelay_dicom::part10::FileMeta;
use medrelay_dicom::sr::{
    BASIC_TEXT_SR, DocumentError, DocumentIdentity, EvidenceSeries, Observer, Predecessor,
    Reference, ReportDocument, Request, Standing, Verification,
};
use proptest::prelude::*;

const FINDINGS: &str = "双肺纹理清晰，右肺上叶见一枚直径约6mm结节。\n纵隔居中。";
const IMPRESSION: &str = "右肺上叶小结节，建议随访。";

fn uid(text: &str) -> Uid {
    Uid::parse(text).expect("a UID")
}

fn image(number: u32) -> Reference {
    Reference {
        sop_class: uid("1.2.840.10008.5.1.4.1.1.2"),
        sop_instance: uid(&format!("1.2.3.4.5.{number}")),
    }
}

fn identity() -> DocumentIdentity {
    DocumentIdentity {
        patient: PatientFacts {
            id: Phi::new("P001".to_owned()),
            issuer: Some("CLINIC07".to_owned()),
            name: Phi::new("Ji^Yan=𠮷^䶮".to_owned()),
            birth_date: Phi::new(Some("19700101".to_owned())),
            sex: Some("F".to_owned()),
        },
        study: uid("1.2.3.4"),
        study_date: Some("20260101".to_owned()),
        study_time: Some("0950".to_owned()),
        study_number: Some("1".to_owned()),
        accession: Some("A1".to_owned()),
        study_description: Some("胸部CT平扫".to_owned()),
        referring_physician: Some("Li^Si=李^四".to_owned()),
        modality: "CT".to_owned(),
        institution: Some("县人民医院".to_owned()),
        series: uid("1.2.3.4.99"),
        series_number: 9_001,
        instance: uid("1.2.3.4.99.1"),
        instance_number: 1,
        created: Timestamp::from_micros(1_767_258_300_000_000),
        utc_offset_minutes: 480,
    }
}

fn person(name: &str) -> Observer {
    Observer { name: name.to_owned(), organization: "县人民医院".to_owned() }
}

fn verification() -> Verification {
    Verification {
        verifier: person("Zhao^Liu=赵^六"),
        at: Timestamp::from_micros(1_767_258_360_000_000),
    }
}

fn earlier() -> Predecessor {
    Predecessor {
        study: uid("1.2.3.4"),
        series: uid("1.2.3.4.99"),
        reference: Reference { sop_class: uid(BASIC_TEXT_SR), sop_instance: uid("1.2.3.4.99.0") },
    }
}

fn report(standing: Standing) -> ReportDocument {
    let series = |study: &str, series: &str, numbers: std::ops::Range<u32>| EvidenceSeries {
        study: uid(study),
        series: uid(series),
        instances: numbers.map(image).collect(),
    };
    ReportDocument {
        identity: identity(),
        request: Some(Request {
            procedure_id: Some("RP1".to_owned()),
            description: Some("胸部CT平扫".to_owned()),
            placer_number: Some("PO1".to_owned()),
            filler_number: None,
        }),
        reporter: person("Wang^Wu=王^五"),
        standing,
        findings: FINDINGS.to_owned(),
        impression: IMPRESSION.to_owned(),
        recommendation: "三个月后复查。".to_owned(),
        key_images: vec![image(2)],
        evidence: vec![
            series("1.2.3.4", "1.2.3.4.5", 0..4),
            series("1.2.3.4", "1.2.3.4.6", 10..12),
            series("1.2.3.1", "1.2.3.1.1", 20..22),
        ],
    }
}

fn standings() -> Vec<Standing> {
    vec![
        Standing::Preliminary,
        Standing::Final { verification: verification(), predecessor: None },
        Standing::Final { verification: verification(), predecessor: Some(earlier()) },
        Standing::Addendum {
            verification: verification(),
            predecessor: earlier(),
            text: "补充：左侧第五肋陈旧骨折。".to_owned(),
        },
    ]
}

fn file(sop_class: &str, data_set: &[u8]) -> Vec<u8> {
    let meta = FileMeta {
        sop_class: uid(sop_class),
        sop_instance: identity().instance,
        transfer_syntax: uid("1.2.840.10008.1.2.1"),
        source: None,
    };
    [meta.to_bytes().as_slice(), data_set].concat()
}

/// Runs a foreign program on a file; its absence is a failure with the remedy in its text.
fn run(program: &str, package: &str, arguments: &[&str], bytes: &[u8]) -> Result<String> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("object.dcm");
    std::fs::write(&path, bytes)?;
    let output = Command::new(program)
        .args(arguments)
        .arg::<&Path>(&path)
        .output()
        .with_context(|| format!("{program} is missing: apt-get install {package}"))?;
    Ok(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

/// The errors that `dciodvfy` finds, once it has recognised the object as `kind`.
fn errors_of(bytes: &[u8], kind: &str) -> Result<Vec<String>> {
    let said = run("dciodvfy", "dicom3tools", &["-new"], bytes)?;
    ensure!(said.lines().any(|line| line == kind), "not recognised as {kind}: {said}");
    Ok(said.lines().filter(|line| line.starts_with("Error")).map(str::to_owned).collect())
}

#[test]
fn every_standing_of_a_report_is_a_valid_structured_report() -> Result<()> {
    for standing in standings() {
        let bytes = file(BASIC_TEXT_SR, &report(standing.clone()).encode()?);
        let errors = errors_of(&bytes, "BasicTextSR")?;
        ensure!(errors.is_empty(), "{standing:?}: {errors:#?}");
    }
    let mut bare = report(Standing::Preliminary);
    (bare.request, bare.evidence, bare.key_images) = (None, Vec::new(), Vec::new());
    (bare.findings, bare.recommendation) = (String::new(), String::new());
    bare.identity.patient = PatientFacts::default();
    let errors = errors_of(&file(BASIC_TEXT_SR, &bare.encode()?), "BasicTextSR")?;
    ensure!(errors.is_empty(), "as little as possible: {errors:#?}");
    Ok(())
}

#[test]
fn the_judge_can_say_no_to_a_report() -> Result<()> {
    let standing = Standing::Final { verification: verification(), predecessor: None };
    let bytes = file(BASIC_TEXT_SR, &report(standing).encode()?);
    for tag in [tags::COMPLETION_FLAG, tags::VERIFYING_OBSERVER_SEQUENCE, tags::CONTENT_DATE] {
        let mut object = dicom_object::from_reader(bytes.as_slice())?;
        ensure!(object.remove_element(tag), "{tag} was there");
        let mut broken = Vec::new();
        object.write_all(&mut broken)?;
        ensure!(!errors_of(&broken, "BasicTextSR")?.is_empty(), "{tag} is required");
    }
    Ok(())
}

#[test]
fn the_tree_reads_as_it_was_written() -> Result<()> {
    let addendum = standings().remove(3);
    let bytes = file(BASIC_TEXT_SR, &report(addendum).encode()?);
    let tree = run("dsrdump", "dcmtk", &["-q", "+Pc", "+U8", "+Pl"], &bytes)?;
    let mut rest = tree.as_str();
    for expected in [
        "𠮷^䶮",
        "COMPLETE",
        "zh-CN",
        "王^五",
        "Findings",
        "双肺纹理清晰，右肺上叶见一枚直径约6mm结节。",
        "Impressions",
        IMPRESSION,
        "Recommendations",
        "三个月后复查。",
        "Addendum",
        "左侧第五肋陈旧骨折",
    ] {
        let at =
            rest.find(expected).with_context(|| format!("{expected} after the last in {tree}"))?;
        rest = &rest[at + expected.len()..];
    }
    Ok(())
}

#[test]
fn identification_and_references_come_back() -> Result<()> {
    let correction = standings().remove(2);
    let bytes = file(BASIC_TEXT_SR, &report(correction).encode()?);
    let object = dicom_object::from_reader(bytes.as_slice())?;
    let text = |tag| -> Result<String> { Ok(object.element(tag)?.to_str()?.trim_end().to_owned()) };
    assert_eq!(text(tags::PATIENT_NAME)?, "Ji^Yan=𠮷^䶮");
    assert_eq!(text(tags::STUDY_DESCRIPTION)?, "胸部CT平扫");
    assert_eq!(text(tags::VERIFICATION_FLAG)?, "VERIFIED");
    assert_eq!(text(tags::CONTENT_TIME)?, "170500");
    let items =
        |tag| -> Result<usize> { Ok(object.element(tag)?.items().context("a sequence")?.len()) };
    assert_eq!(items(tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE)?, 1);
    assert_eq!(items(tags::PERTINENT_OTHER_EVIDENCE_SEQUENCE)?, 1);
    assert_eq!(items(tags::PREDECESSOR_DOCUMENTS_SEQUENCE)?, 1);
    let own = object.element(tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE)?;
    let own = own.items().context("items")?;
    let series = own[0].element(tags::REFERENCED_SERIES_SEQUENCE)?.items().context("series")?;
    let named = |item: &dicom_object::InMemDicomObject| {
        item.element(tags::REFERENCED_SOP_SEQUENCE).ok().and_then(|e| Some(e.items()?.len()))
    };
    assert_eq!(series.iter().filter_map(named).collect::<Vec<_>>(), [4, 2]);
    Ok(())
}

#[test]
fn what_cannot_be_a_report_is_refused() {
    let good = report(Standing::Preliminary);
    let mut empty = good.clone();
    (empty.findings, empty.impression) = (" \n".to_owned(), String::new());
    empty.recommendation = String::new();
    assert_eq!(empty.encode(), Err(DocumentError::Empty));
    let mut nameless = good.clone();
    nameless.reporter.name = " ".to_owned();
    assert_eq!(nameless.encode(), Err(DocumentError::Nameless));
    let mut unlisted = good.clone();
    unlisted.key_images = vec![image(99)];
    assert_eq!(unlisted.encode(), Err(DocumentError::Unlisted));
    assert_eq!(good.encode(), good.encode(), "the same document gives the same bytes");
}

#[test]
fn a_pdf_is_wrapped_and_comes_out_byte_for_byte() -> Result<()> {
    let pdf = b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF".to_vec();
    for odd in [false, true] {
        let mut pdf = pdf.clone();
        if (pdf.len() % 2 == 1) != odd {
            pdf.push(b'\n');
        }
        let document = PdfDocument {
            identity: identity(),
            title: "CT诊断报告".to_owned(),
            pdf: pdf.clone(),
            source: Some(earlier().reference),
            verified: true,
            predecessor: Some(Predecessor {
                reference: Reference { sop_class: uid(ENCAPSULATED_PDF), ..earlier().reference },
                ..earlier()
            }),
        };
        let bytes = file(ENCAPSULATED_PDF, &document.encode()?);
        let errors = errors_of(&bytes, "EncapsulatedPDF")?;
        ensure!(errors.is_empty(), "{errors:#?}");
        let object = dicom_object::from_reader(bytes.as_slice())?;
        let length: usize = object.element(tags::ENCAPSULATED_DOCUMENT_LENGTH)?.to_int()?;
        let held = object.element(tags::ENCAPSULATED_DOCUMENT)?.to_bytes()?;
        assert_eq!((length, &held[..length], held.len() % 2), (pdf.len(), pdf.as_slice(), 0));
        let dump = run("dcmdump", "dcmtk", &["-q", "+P", "DocumentTitle"], &bytes)?;
        ensure!(dump.contains("CT诊断报告"), "{dump}");
    }
    let not_pdf = PdfDocument {
        identity: identity(),
        title: String::new(),
        pdf: b"PK".to_vec(),
        source: None,
        verified: false,
        predecessor: None,
    };
    assert_eq!(not_pdf.encode(), Err(DocumentError::NotPdf));
    Ok(())
}

proptest! {
    #[test]
    fn any_text_makes_an_object_that_others_can_read(
        findings in "\\PC{1,60}",
        name in any::<String>(),
        number in any::<String>(),
        title in any::<String>(),
        at in any::<i64>(),
        offset in any::<i32>(),
    ) {
        prop_assume!(!findings.trim().is_empty());
        let mut report = report(Standing::Preliminary);
        report.findings = findings.clone();
        report.identity.patient.name = Phi::new(name);
        report.identity.patient.id = Phi::new(number);
        report.identity.study_description = Some(title);
        report.identity.created = Timestamp::from_micros(at);
        report.identity.utc_offset_minutes = offset;
        let bytes = file(BASIC_TEXT_SR, &report.encode().expect("a report with text"));
        let object = dicom_object::from_reader(bytes.as_slice()).expect("a readable object");
        let content = object.element(tags::CONTENT_SEQUENCE).expect("content");
        let sections = content.items().expect("items");
        let section = sections[4].element(tags::CONTENT_SEQUENCE).expect("a section");
        let text = section.items().expect("items")[0].element(tags::TEXT_VALUE).expect("text");
        let text = text.to_str().expect("UTF-8");
        prop_assert_eq!(text.trim(), findings.trim());
    }
}
