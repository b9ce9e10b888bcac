//! Reports as a stock PDF reader sees them (`pdftotext`, `pdfinfo` of poppler-utils).

use std::process::Command;
use std::sync::LazyLock;

use super::*;

static TYPESETTER: LazyLock<Typesetter> =
    LazyLock::new(|| Typesetter::new(None, &[]).expect("fonts-noto-cjk is installed"));

fn poppler(program: &str, options: &[&str], pdf: &[u8]) -> String {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("report.pdf");
    std::fs::write(&path, pdf).expect("written");
    let run = Command::new(program).args(options).arg(&path).arg("-").output();
    let run = run.unwrap_or_else(|error| panic!("{program} (poppler-utils) is needed: {error}"));
    assert!(run.status.success(), "{program}: {}", String::from_utf8_lossy(&run.stderr));
    String::from_utf8(run.stdout).expect("UTF-8")
}

fn text_of(pdf: &[u8]) -> String {
    let text = poppler("pdftotext", &["-enc", "UTF-8"], pdf);
    text.chars().filter(|c| !c.is_whitespace()).collect()
}

fn render(sheet: &ReportSheet) -> Vec<u8> {
    TYPESETTER.render(sheet).expect("the template is right")
}

fn squeezed(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect()
}

#[test]
fn every_field_can_be_read_back() {
    let sheet = ReportSheet::sample();
    let text = text_of(&render(&sheet));
    for part in [
        &sheet.hospital,
        &sheet.clinic,
        &sheet.title,
        &sheet.patient_name,
        &sheet.patient_sex,
        &sheet.patient_age,
        &sheet.patient_id,
        &sheet.accession,
        &sheet.modality,
        &sheet.body_part,
        &sheet.study_date,
        &sheet.history,
        &sheet.question,
        &sheet.findings,
        &sheet.impression,
        &sheet.recommendation,
        &sheet.reporter,
        &sheet.verifier,
        &sheet.report_number,
        &sheet.sha256,
        &sheet.key_id,
    ] {
        assert!(text.contains(&squeezed(part)), "{part} is not in {text}");
    }
    assert!(text.contains("正式报告") && text.contains("第1页/共1页"), "{text}");
    let spaced = poppler("pdftotext", &["-enc", "UTF-8"], &render(&sheet));
    assert!(spaced.contains("大小约12 mm×9 mm。"), "spaces are those that were typed: {spaced}");
    // 2026-03-01T02:20:00Z, eight hours east.
    assert!(text.contains("2026-03-0110:20"), "{text}");
}

#[test]
fn the_same_sheet_gives_the_same_bytes() {
    let sheet = ReportSheet::sample();
    let first = render(&sheet);
    assert_eq!(first, render(&sheet));
    let afresh = Typesetter::new(None, &[]).expect("fonts").render(&sheet).expect("rendered");
    assert_eq!(first, afresh);
    let other = ReportSheet { findings: String::from("另一份。"), ..sheet };
    assert_ne!(first, render(&other));
}

#[test]
fn what_people_typed_is_never_markup() {
    let hostile =
        "#panic(\"x\") *粗* _斜_ $x^2$ @ref <label> // 注释 `raw` [内容] #sys.version \\ = 标题 ~";
    let sheet = ReportSheet {
        findings: hostile.into(),
        patient_name: "#read(\"/etc/passwd\")".into(),
        reporter: "= 王".into(),
        ..ReportSheet::sample()
    };
    let text = text_of(&render(&sheet));
    assert!(text.contains(&squeezed(hostile)), "{text}");
    assert!(text.contains("#read(\"/etc/passwd\")"), "{text}");
}

#[test]
fn rare_characters_are_printed_or_spelled_out() {
    let sheet = ReportSheet { patient_name: "𠮷㛃䶮".into(), ..ReportSheet::sample() };
    assert!(TYPESETTER.unprintable(&sheet).is_empty());
    assert!(text_of(&render(&sheet)).contains("𠮷㛃䶮"));

    // A character of the last plane that no font draws.
    let sheet = ReportSheet { patient_name: "王\u{10FFFD}".into(), ..ReportSheet::sample() };
    assert_eq!(TYPESETTER.unprintable(&sheet), ['\u{10FFFD}']);
    assert!(text_of(&render(&sheet)).contains("王〔U+10FFFD〕"));
}

#[test]
fn a_long_report_has_numbered_pages_that_name_the_patient() {
    let findings: String = (1..=120)
        .map(|i| format!("第{i}段：双肺纹理清晰，走行自然，未见明确异常密度影，纵隔居中。\n"))
        .collect();
    let sheet = ReportSheet { findings, patient_name: "长报告".into(), ..ReportSheet::sample() };
    let pdf = render(&sheet);
    let text = text_of(&pdf);
    let pages = (2..10).rev().find(|n| text.contains(&format!("共{n}页"))).expect("several pages");
    for page in 1..=pages {
        assert!(text.contains(&format!("第{page}页/共{pages}页")), "page {page}");
    }
    assert_eq!(text.matches("长报告").count(), pages, "the name stands on every page");
    assert!(text.contains("第120段"));
}

#[test]
fn a_version_says_what_it_is() {
    let of = |version| ReportSheet { version, predecessor: "R1-1".into(), ..ReportSheet::sample() };
    let text = text_of(&render(&of(VersionKind::Preliminary)));
    assert_eq!(text.matches("初步报告").count(), 1, "in the head; the watermark is a picture");
    assert!(
        text.contains("诊断意见Impression1.右肺下叶炎症可能。"),
        "nothing comes between: {text}"
    );
    let reason = String::from("对照旧片后补充");
    let text = text_of(&render(&of(VersionKind::Addendum { reason: reason.clone() })));
    assert!(text.contains("针对报告R1-1") && text.contains(&reason), "{text}");
    let text = text_of(&render(&of(VersionKind::Retraction { reason: reason.clone() })));
    assert!(text.contains("撤回声明") && text.contains(&reason), "{text}");
}

#[test]
fn the_file_carries_the_time_of_signing_and_no_other() {
    let pdf = render(&ReportSheet::sample());
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("report.pdf");
    std::fs::write(&path, &pdf).expect("written");
    let run = Command::new("pdfinfo").arg("-isodates").arg(&path).output().expect("poppler-utils");
    let info = String::from_utf8_lossy(&run.stdout).into_owned();
    assert!(info.contains("2026-03-01T10:20:00+08"), "{info}");
    assert!(info.contains("A4") && info.contains("medrelay"), "{info}");
}

#[test]
fn an_own_template_is_used_and_its_errors_have_a_line() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("own.typ");
    let own = "#let report = json(\"report.json\")\n#set text(font: \"Noto Sans CJK SC\")\n自家模板 #report.patient_name";
    std::fs::write(&path, own).expect("written");
    let setter = Typesetter::new(Some(&path), &[]).expect("fonts");
    let pdf = setter.render(&ReportSheet::sample()).expect("a right template");
    assert!(text_of(&pdf).contains("自家模板示例患者"));

    for (wrong, place) in [
        ("正文\n\n#nonsense(1)", "own.typ:3:2: "),
        ("#let report = json(\"report.json\")\n#report.nothing", "own.typ:2:9: "),
        ("#read(\"/etc/passwd\")", "own.typ:1:7: "),
        ("#import \"@preview/x:1.0.0\": y", "own.typ:1:"),
    ] {
        std::fs::write(&path, wrong).expect("written");
        let setter = Typesetter::new(Some(&path), &[]).expect("read");
        let error =
            setter.render(&ReportSheet::sample()).expect_err("a wrong template").to_string();
        assert!(error.contains(place), "{wrong}: {error}");
    }
    let missing = Typesetter::new(Some(Path::new("/nowhere.typ")), &[]);
    assert!(matches!(missing, Err(TypesetError::Unreadable { .. })));
}

#[test]
fn the_default_template_is_what_the_documentation_says() {
    let values = ReportSheet::sample().to_json(str::to_owned);
    let values: serde_json::Value = serde_json::from_slice(&values).expect("JSON");
    for name in values.as_object().expect("an object").keys() {
        let known = name == "utc_offset_minutes" || DEFAULT_TEMPLATE.contains(name.as_str());
        assert!(known, "{name} is not explained in report.typ");
    }
}
