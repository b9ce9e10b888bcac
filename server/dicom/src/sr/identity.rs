//! What every document of ours says of patient, study and itself, and how texts are made to fit.

use chrono::DateTime;
use dicom_dictionary_std::tags;
use medrelay_core::id::Uid;
use medrelay_core::study::PatientFacts;
use medrelay_core::time::Timestamp;

use crate::dataset::DataSet;
use crate::uids::IMPLEMENTATION_VERSION_NAME;

/// Patient, study and the document's own place. Patient and study are repeated as they came, so that
/// the receiver files the document where the images are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentIdentity {
    /// Who was imaged, with the name groups as sent.
    pub patient: PatientFacts,
    /// Study Instance UID of the study that is reported on.
    pub study: Uid,
    /// Study Date (0008,0020).
    pub study_date: Option<String>,
    /// Study Time (0008,0030).
    pub study_time: Option<String>,
    /// Study ID (0020,0010).
    pub study_number: Option<String>,
    /// Accession Number (0008,0050).
    pub accession: Option<String>,
    /// Study Description (0008,1030).
    pub study_description: Option<String>,
    /// Referring Physician's Name (0008,0090): who asked.
    pub referring_physician: Option<String>,
    /// Modality of the images; it chooses the title of the document.
    pub modality: String,
    /// Institution Name (0008,0080): who reports.
    pub institution: Option<String>,
    /// Series Instance UID of the document.
    pub series: Uid,
    /// Series Number of the document.
    pub series_number: u32,
    /// SOP Instance UID of the document.
    pub instance: Uid,
    /// Instance Number of the document, its version for instance.
    pub instance_number: u32,
    /// When the content was made.
    pub created: Timestamp,
    /// The local time that dates and times are written in, as minutes east of UTC.
    pub utc_offset_minutes: i32,
}

/// SOP Common, Patient, General Study, Series and General Equipment modules of a document.
pub(crate) fn identified(id: &DocumentIdentity, sop_class: &str, modality: &str) -> DataSet {
    let made = moment(id.created, id.utc_offset_minutes);
    let patient = &id.patient;
    let sex = patient.sex.as_deref().filter(|sex| ["M", "F", "O"].contains(sex));
    let description = id.study_description.as_deref().map(|text| caption(text, 64));
    let institution = id.institution.as_deref().map(|text| caption(text, 64));
    let issuer = patient.issuer.as_deref().map(identifier);
    let mut set = DataSet::new();
    set.text(tags::SPECIFIC_CHARACTER_SET, "ISO_IR 192")
        .text(tags::INSTANCE_CREATION_DATE, &made.date)
        .text(tags::INSTANCE_CREATION_TIME, &made.time)
        .text(tags::TIMEZONE_OFFSET_FROM_UTC, &made.offset)
        .text(tags::SOP_CLASS_UID, sop_class)
        .text(tags::SOP_INSTANCE_UID, id.instance.as_str())
        .text(tags::STUDY_INSTANCE_UID, id.study.as_str())
        .text(tags::SERIES_INSTANCE_UID, id.series.as_str())
        .text_or_empty(tags::STUDY_DATE, id.study_date.as_deref())
        .text_or_empty(tags::STUDY_TIME, id.study_time.as_deref())
        .text(tags::CONTENT_DATE, &made.date)
        .text(tags::CONTENT_TIME, &made.time)
        .text_or_empty(tags::ACCESSION_NUMBER, id.accession.as_deref().map(identifier).as_deref())
        .text_or_empty(tags::STUDY_ID, id.study_number.as_deref().map(identifier).as_deref())
        .text(tags::MODALITY, modality)
        .text(tags::MANUFACTURER, "medrelay")
        .text(tags::MANUFACTURER_MODEL_NAME, "medrelay")
        .text(tags::SOFTWARE_VERSIONS, IMPLEMENTATION_VERSION_NAME)
        .text_if_any(tags::INSTITUTION_NAME, institution.as_deref())
        .text_or_empty(
            tags::REFERRING_PHYSICIAN_NAME,
            id.referring_physician.as_deref().map(name).as_deref(),
        )
        .text_if_any(tags::STUDY_DESCRIPTION, description.as_deref())
        .text(tags::PATIENT_NAME, &name(patient.name.reveal()))
        .text(tags::PATIENT_ID, &identifier(patient.id.reveal()))
        .text_if_any(tags::ISSUER_OF_PATIENT_ID, issuer.as_deref())
        .text_or_empty(tags::PATIENT_BIRTH_DATE, patient.birth_date.reveal().as_deref())
        .text_or_empty(tags::PATIENT_SEX, sex)
        .text(tags::SERIES_NUMBER, &id.series_number.to_string())
        .text(tags::INSTANCE_NUMBER, &id.instance_number.to_string());
    set
}

/// A moment in the forms DICOM wants.
pub(crate) struct Moment {
    /// VR DA.
    pub(crate) date: String,
    /// VR TM, to the second.
    pub(crate) time: String,
    /// Offset from UTC, `+0800`.
    pub(crate) offset: String,
    /// VR DT with offset.
    pub(crate) date_time: String,
}

pub(crate) fn moment(at: Timestamp, offset_minutes: i32) -> Moment {
    // The standard knows offsets from -12:00 to +14:00 (PS3.5 6.2).
    let minutes = offset_minutes.clamp(-12 * 60, 14 * 60);
    let local = at.micros().saturating_add(i64::from(minutes) * 60_000_000);
    let local = DateTime::from_timestamp_micros(local).unwrap_or_default();
    let (sign, size) = (if minutes < 0 { '-' } else { '+' }, minutes.abs());
    let offset = format!("{sign}{:02}{:02}", size / 60, size % 60);
    let date = local.format("%Y%m%d").to_string();
    let time = local.format("%H%M%S").to_string();
    Moment { date_time: format!("{date}{time}{offset}"), date, time, offset }
}

/// The document title for images of a modality (LOINC, CID 7000).
pub(crate) fn title_code(modality: &str) -> DataSet {
    let (value, meaning) = match modality.to_ascii_uppercase().as_str() {
        "CT" => ("25045-6", "CT Report"),
        "MR" => ("25056-3", "MRI Report"),
        "DX" | "CR" | "RG" | "RF" => ("43468-8", "X-Ray Report"),
        "US" => ("25061-3", "Ultrasound Report"),
        "ECG" => ("11524-0", "ECG Report"),
        _ => ("18748-4", "Diagnostic Imaging Report"),
    };
    code(value, "LN", meaning)
}

/// An item of a code sequence.
pub(super) fn code(value: &str, scheme: &str, meaning: &str) -> DataSet {
    let mut item = DataSet::new();
    item.text(tags::CODE_VALUE, value)
        .text(tags::CODING_SCHEME_DESIGNATOR, scheme)
        .text(tags::CODE_MEANING, meaning);
    item
}

/// A name with its groups as sent, at most three groups of 64 characters (VR PN).
pub(crate) fn name(text: &str) -> String {
    let group = |group: &str| caption(group, 64);
    text.split('=').take(3).map(group).collect::<Vec<_>>().join("=")
}

/// An identifier as sent: never shortened, because a shortened identifier is another's.
pub(crate) fn identifier(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect::<String>().trim().to_owned()
}

/// A label of at most `limit` characters (VR SH, LO), without value delimiters.
pub(crate) fn caption(text: &str, limit: usize) -> String {
    let kept = text.trim().chars().filter(|c| !c.is_control());
    kept.map(|c| if c == '\\' { '/' } else { c }).take(limit).collect()
}

/// A paragraph (VR UT): lines end in CR LF, other controls are dropped (PS3.5 6.1.3).
pub(crate) fn paragraph(text: &str) -> String {
    let lines = text.trim().lines();
    let clean = |line: &str| line.chars().filter(|c| !c.is_control() || *c == '\t').collect();
    lines.map(clean).collect::<Vec<String>>().join("\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_in_local_time() {
        let at = Timestamp::from_micros(1_767_258_300_000_000);
        let made = moment(at, 480);
        assert_eq!(made.date_time, "20260101170500+0800");
        assert_eq!((made.date.as_str(), made.time.as_str()), ("20260101", "170500"));
        assert_eq!(moment(at, -210).date_time, "20260101053500-0330");
    }

    #[test]
    fn texts_are_made_to_fit_by_characters() {
        assert_eq!(caption(&"肺".repeat(70), 64).chars().count(), 64);
        assert_eq!(caption(" a\\b\0 ", 64), "a/b");
        assert_eq!(name("Zhang^San=张^三=x=y"), "Zhang^San=张^三=x");
        assert_eq!(paragraph("一\n二\r\n三\x07\n"), "一\r\n二\r\n三");
    }
}
