//! What stands on a report: plain values, all of them text by the time they reach the template.

use chrono::{DateTime, FixedOffset};
use medrelay_core::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Which version of a report a sheet shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum VersionKind {
    /// Signed by the first reader; carries a watermark.
    Preliminary,
    /// Signed for good.
    Final,
    /// Adds to a final report.
    Addendum {
        /// Why.
        reason: String,
    },
    /// Replaces a final report.
    Correction {
        /// Why.
        reason: String,
    },
    /// Takes a final report back; carries a watermark.
    Retraction {
        /// Why.
        reason: String,
    },
}

/// One report as it is printed. A text that does not apply is empty.
///
/// `Debug` is left out on purpose: a sheet is patient data.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportSheet {
    /// The centre whose doctor signed.
    pub hospital: String,
    /// The clinic that asked.
    pub clinic: String,
    /// Heading, such as "CT诊断报告书".
    pub title: String,
    /// Name of the patient, ideographic form first.
    pub patient_name: String,
    /// Sex in words ("男").
    pub patient_sex: String,
    /// Age at the study ("63岁"); wins over the birth date.
    pub patient_age: String,
    /// Date of birth, printed where there is no age.
    pub birth_date: String,
    /// The clinic's number of the patient.
    pub patient_id: String,
    /// Accession number.
    pub accession: String,
    /// Modality, in words or as DICOM's code.
    pub modality: String,
    /// Body part.
    pub body_part: String,
    /// Date of the study.
    pub study_date: String,
    /// Clinical history.
    pub history: String,
    /// What the clinic wants to know.
    pub question: String,
    /// Findings; line breaks are kept.
    pub findings: String,
    /// Impression; line breaks are kept.
    pub impression: String,
    /// Recommendation; line breaks are kept.
    pub recommendation: String,
    /// Who wrote the report.
    pub reporter: String,
    /// Who verified it; empty where one signature is enough.
    pub verifier: String,
    /// When it was signed.
    pub signed_at: Timestamp,
    /// Offset of the hospital's local time from UTC, in minutes (480 in China).
    pub utc_offset_minutes: i32,
    /// Number of the report, with its version.
    pub report_number: String,
    /// Which version.
    #[serde(flatten)]
    pub version: VersionKind,
    /// SHA-256 of the canonical bytes that were signed, in hexadecimal.
    pub sha256: String,
    /// Short name of the key that signed.
    pub key_id: String,
    /// Number of the version before this one; empty for the first.
    pub predecessor: String,
}

impl ReportSheet {
    /// The moment of signing on the hospital's wall clock.
    pub(super) fn signed_local(&self) -> Option<DateTime<FixedOffset>> {
        let offset = FixedOffset::east_opt(self.utc_offset_minutes.checked_mul(60)?)?;
        Some(DateTime::from_timestamp_micros(self.signed_at.micros())?.with_timezone(&offset))
    }

    /// The contents of `report.json`; every text goes through `printable` first.
    pub(super) fn to_json(&self, printable: impl Fn(&str) -> String) -> Vec<u8> {
        let signed = self.signed_local().map(|time| time.format("%Y-%m-%d %H:%M").to_string());
        let mut values = serde_json::json!(self);
        values["signed_at"] = signed.unwrap_or_default().into();
        if let Some(fields) = values.as_object_mut() {
            fields.entry("reason").or_insert_with(|| "".into());
            for value in fields.values_mut() {
                if let serde_json::Value::String(text) = value {
                    *text = printable(text);
                }
            }
        }
        values.to_string().into_bytes()
    }

    /// All texts one after the other.
    pub(super) fn all_text(&self) -> String {
        let values = serde_json::json!(self);
        let texts =
            values.as_object().into_iter().flatten().filter_map(|(_, value)| value.as_str());
        texts.collect()
    }

    /// An invented report, with which `medrelay check` tries the template.
    pub fn sample() -> Self {
        let text = String::from;
        Self {
            hospital: text("示例县人民医院远程影像诊断中心"),
            clinic: text("示例镇卫生院"),
            title: text("CT诊断报告书"),
            patient_name: text("示例 患者"),
            patient_sex: text("男"),
            patient_age: text("63岁"),
            birth_date: text("1962-05-04"),
            patient_id: text("P0000001"),
            accession: text("A20260301001"),
            modality: text("CT"),
            body_part: text("胸部"),
            study_date: text("2026-03-01"),
            history: text("咳嗽、咳痰一周，伴低热。"),
            question: text("排除肺部感染。"),
            findings: text(
                "胸廓对称，双肺纹理增多。右肺下叶见小斑片状模糊影，边界不清，大小约12 mm×9 mm。\n\
                 气管及主要支气管通畅，纵隔内未见明显肿大淋巴结。心影不大，双侧胸腔未见积液。",
            ),
            impression: text("1. 右肺下叶炎症可能。\n2. 余胸部CT平扫未见明显异常。"),
            recommendation: text("抗感染治疗后两周复查。"),
            reporter: text("张示例"),
            verifier: text("李示例"),
            signed_at: Timestamp::from_micros(1_772_331_600_000_000),
            utc_offset_minutes: 480,
            report_number: text("R20260301001-1"),
            version: VersionKind::Final,
            sha256: text("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"),
            key_id: text("0011223344556677"),
            predecessor: String::new(),
        }
    }
}
