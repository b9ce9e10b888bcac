//! The content tree: SR Document Content module (PS3.3 C.17.3) by TID 2000 (PS3.16).

use dicom_dictionary_std::tags;

use super::identity::{code, name, paragraph, title_code};
use super::{Reference, ReportDocument};
use crate::dataset::DataSet;

/// Writes the root container and what hangs on it.
pub(super) fn write(set: &mut DataSet, report: &ReportDocument) {
    let mut template = DataSet::new();
    template.text(tags::MAPPING_RESOURCE, "DCMR").text(tags::TEMPLATE_IDENTIFIER, "2000");
    let mut content = vec![language()];
    content.extend(observer(report));
    content.extend(sections(report));
    set.text(tags::VALUE_TYPE, "CONTAINER")
        .text(tags::CONTINUITY_OF_CONTENT, "SEPARATE")
        .sequence(tags::CONCEPT_NAME_CODE_SEQUENCE, vec![title_code(&report.identity.modality)])
        .sequence(tags::CONTENT_TEMPLATE_SEQUENCE, vec![template])
        .sequence(tags::CONTENT_SEQUENCE, content);
}

/// Row 5: the language of everything below.
fn language() -> DataSet {
    let concept = code("121049", "DCM", "Language of Content Item and Descendants");
    let mut item = node("HAS CONCEPT MOD", "CODE", concept);
    item.sequence(tags::CONCEPT_CODE_SEQUENCE, vec![code("zh-CN", "RFC5646", "Chinese (China)")]);
    item
}

/// Row 7: TID 1001 with a person as observer.
fn observer(report: &ReportDocument) -> Vec<DataSet> {
    let mut kind = node("HAS OBS CONTEXT", "CODE", code("121005", "DCM", "Observer Type"));
    kind.sequence(tags::CONCEPT_CODE_SEQUENCE, vec![code("121006", "DCM", "Person")]);
    let mut person =
        node("HAS OBS CONTEXT", "PNAME", code("121008", "DCM", "Person Observer Name"));
    person.text(tags::PERSON_NAME, &name(&report.reporter.name));
    let mut items = vec![kind, person];
    let organization = paragraph(&report.reporter.organization);
    if !organization.is_empty() {
        let concept = code("121009", "DCM", "Person Observer's Organization Name");
        let mut item = node("HAS OBS CONTEXT", "TEXT", concept);
        item.text(tags::TEXT_VALUE, &organization);
        items.push(item);
    }
    items
}

/// Rows 8 to 10: a heading (CID 7001) with one text element (CID 7002) each.
fn sections(report: &ReportDocument) -> Vec<DataSet> {
    let sections = [
        ("59776-5", "Findings", "121071", "Finding", report.findings.as_str()),
        ("19005-8", "Impressions", "121073", "Impression", &report.impression),
        ("18783-1", "Recommendations", "121075", "Recommendation", &report.recommendation),
        ("55107-7", "Addendum", "121077", "Conclusion", report.addendum().unwrap_or_default()),
    ];
    let mut items = Vec::new();
    let mut images = report.key_images.as_slice();
    for (heading, title, element, label, text) in sections {
        let text = paragraph(text);
        if text.is_empty() {
            continue;
        }
        let mut item = node("CONTAINS", "TEXT", code(element, "DCM", label));
        item.text(tags::TEXT_VALUE, &text);
        if !images.is_empty() {
            // Key images support the first statement there is, normally the finding.
            item.sequence(tags::CONTENT_SEQUENCE, images.iter().map(key_image).collect());
            images = &[];
        }
        let mut container = node("CONTAINS", "CONTAINER", code(heading, "LN", title));
        container
            .text(tags::CONTINUITY_OF_CONTENT, "SEPARATE")
            .sequence(tags::CONTENT_SEQUENCE, vec![item]);
        items.push(container);
    }
    items
}

fn key_image(image: &Reference) -> DataSet {
    let concept = code("121080", "DCM", "Best illustration of finding");
    let mut item = node("INFERRED FROM", "IMAGE", concept);
    item.sequence(tags::REFERENCED_SOP_SEQUENCE, vec![image.item()]);
    item
}

fn node(relation: &str, value_type: &str, concept: DataSet) -> DataSet {
    let mut item = DataSet::new();
    item.text(tags::RELATIONSHIP_TYPE, relation)
        .text(tags::VALUE_TYPE, value_type)
        .sequence(tags::CONCEPT_NAME_CODE_SEQUENCE, vec![concept]);
    item
}
