//! What a signed version looks like outside: the printed sheet, the structured report, the
//! encapsulated PDF. Everything on them comes from the signed bytes, the study and the order.
//!
//! An addendum says only what is new; its documents carry the final report as well, so that
//! whoever gets one document has the whole report.

use std::collections::BTreeMap;

use bytes::Bytes;

use medrelay_core::id::{Phi, SeriesId, Uid};
use medrelay_core::report::{Signed, Text, VersionKind};
use medrelay_core::study::{PatientFacts, display_name};
use medrelay_dicom::encapsulated::{ENCAPSULATED_PDF, PdfDocument};
use medrelay_dicom::part10::FileMeta;
use medrelay_dicom::sr::{
    BASIC_TEXT_SR, DocumentError, DocumentIdentity, EvidenceSeries, Observer, Predecessor,
    Reference, ReportDocument, Request, Standing, Verification,
};

use crate::service::Error;
use crate::service::reporting::content;
use crate::store::{Order, Report, StoreError, Study, Tx};
use crate::typeset::{self, ReportSheet};

/// SOP Class UID of the structured report.
pub(super) const SR_CLASS: &str = BASIC_TEXT_SR;
/// SOP Class UID of the encapsulated PDF.
pub(super) const PDF_CLASS: &str = ENCAPSULATED_PDF;
/// Series Number of the structured report: beyond those that modalities count up to.
const SR_SERIES_NUMBER: u32 = 9_001;
/// Series Number of the encapsulated PDF.
const PDF_SERIES_NUMBER: u32 = 9_002;
/// Transfer Syntax UID of the data sets that we make.
const EXPLICIT_VR_LITTLE_ENDIAN: &str = "1.2.840.10008.1.2.1";

/// A version that was released before the one at hand.
struct Earlier {
    report: Report,
    signed: Signed,
}

/// Everything that the documents of one signed version are made of.
pub(super) struct Paper {
    report: Report,
    signed: Signed,
    /// Released versions before this one, oldest first: a final report and addenda.
    earlier: Vec<Earlier>,
    study: Study,
    evidence: Vec<EvidenceSeries>,
    order: Option<Order>,
    ordered_by: Option<String>,
    case_number: String,
    hospital: String,
    clinic: String,
    key_name: String,
    utc_offset_minutes: i32,
}

impl Paper {
    /// Loads what the documents of a version are made of. Images that came after it was signed are
    /// not evidence for it.
    pub(super) async fn load(
        tx: &mut Tx,
        report: &Report,
        utc_offset_minutes: i32,
    ) -> Result<Self, Error> {
        let case = tx.case(&report.case).await?.ok_or(MISSING)?;
        let study = tx.study(&case.study).await?.ok_or(MISSING)?;
        let order = match &case.order {
            Some(id) => tx.order(id).await?,
            None => None,
        };
        let ordered_by = match &order {
            Some(order) => tx.person(&order.ordered_by).await?.map(|person| person.name),
            None => None,
        };
        let mut earlier = Vec::new();
        for version in tx.reports_of_case(&report.case).await? {
            if version.number < report.number && version.kind != VersionKind::Preliminary {
                earlier.push(Earlier { signed: content(&version)?, report: version });
            }
        }
        let key = tx.signing_key(&report.key).await?.ok_or(MISSING)?;
        let public_key = hex::decode(&key.public_key).unwrap_or_default();
        Ok(Self {
            signed: content(report)?,
            report: report.clone(),
            earlier,
            evidence: evidence(tx, &study, report).await?,
            study,
            order,
            ordered_by,
            case_number: tx.case_number(&report.case).await?,
            hospital: tx.organization(&case.centre).await?.ok_or(MISSING)?.name,
            clinic: tx.organization(&case.clinic).await?.ok_or(MISSING)?.name,
            key_name: crate::secrets::key_id(&public_key),
            utc_offset_minutes,
        })
    }

    /// The sheet that is typeset.
    pub(super) fn sheet(&self) -> ReportSheet {
        let study_date = self.study.study_date.as_deref().unwrap_or_default();
        let birth_date = self.study.patient_birth_date.reveal().as_deref().unwrap_or_default();
        let order = self.order.as_ref();
        let verifier = self.signed.verifier.as_ref();
        let second = verifier.filter(|verifier| verifier.person != self.signed.reporter.person);
        let text = self.whole_text();
        let version = match self.signed.kind {
            VersionKind::Preliminary => typeset::VersionKind::Preliminary,
            VersionKind::Final => typeset::VersionKind::Final,
            VersionKind::Addendum => typeset::VersionKind::Addendum { reason: self.reason() },
        };
        ReportSheet {
            hospital: self.hospital.clone(),
            clinic: self.clinic.clone(),
            title: self.title(),
            patient_name: display_name(self.signed.patient_name.reveal()),
            patient_sex: sex(self.study.patient_sex.as_deref()).to_owned(),
            patient_age: age(birth_date, study_date),
            birth_date: dashed(birth_date),
            patient_id: self.signed.patient_id.reveal().clone(),
            accession: self.signed.accession.clone().unwrap_or_default(),
            modality: self.study.modality.clone(),
            body_part: self.body_part(),
            study_date: dashed(study_date),
            history: order.map(|order| order.history.reveal().clone()).unwrap_or_default(),
            question: order.map(|order| order.question.reveal().clone()).unwrap_or_default(),
            findings: text.findings.into_revealed(),
            impression: text.impression.into_revealed(),
            recommendation: text.recommendation.into_revealed(),
            reporter: self.signed.reporter.name.clone(),
            verifier: second.map(|verifier| verifier.name.clone()).unwrap_or_default(),
            signed_at: self.signed.signed_at,
            utc_offset_minutes: self.utc_offset_minutes,
            report_number: self.number_of(&self.report),
            version,
            sha256: self.report.sha256.clone(),
            key_id: self.key_name.clone(),
            predecessor: self
                .earlier
                .last()
                .map(|earlier| self.number_of(&earlier.report))
                .unwrap_or_default(),
        }
    }

    /// The data set of the Basic Text SR.
    pub(super) fn structured(&self) -> Result<Bytes, Error> {
        // What an addendum adds stands in a section of its own there; the rest is the final report.
        let text = match self.signed.kind {
            VersionKind::Addendum => self.base(),
            VersionKind::Preliminary | VersionKind::Final => &self.signed.text,
        };
        let document = ReportDocument {
            identity: self.identity(
                &self.report.sr_series_uid,
                SR_SERIES_NUMBER,
                &self.report.sr_uid,
            ),
            request: self.order.as_ref().map(|order| Request {
                procedure_id: None,
                description: self.study.description.clone().or_else(|| order.body_part.clone()),
                placer_number: Some(order.number.clone()),
                filler_number: Some(self.case_number.clone()),
            }),
            reporter: self.observer(&self.signed.reporter.name),
            standing: self.standing()?,
            findings: text.findings.reveal().clone(),
            impression: text.impression.reveal().clone(),
            recommendation: text.recommendation.reveal().clone(),
            key_images: Vec::new(),
            evidence: self.evidence.clone(),
        };
        document.encode().map(Bytes::from).map_err(unwritable)
    }

    /// The data set of the Encapsulated PDF.
    pub(super) fn encapsulated(&self, pdf: &[u8]) -> Result<Bytes, Error> {
        let document = PdfDocument {
            identity: self.identity(
                &self.report.pdf_series_uid,
                PDF_SERIES_NUMBER,
                &self.report.pdf_uid,
            ),
            title: self.title(),
            pdf: pdf.to_vec(),
            source: Some(reference(SR_CLASS, &self.report.sr_uid)?),
            verified: self.signed.kind != VersionKind::Preliminary,
            predecessor: match self.predecessor() {
                Some(earlier) => Some(Predecessor {
                    study: self.study.uid.clone(),
                    series: earlier.pdf_series_uid.clone(),
                    reference: reference(PDF_CLASS, &earlier.pdf_uid)?,
                }),
                None => None,
            },
        };
        document.encode().map(Bytes::from).map_err(unwritable)
    }

    fn identity(&self, series: &Uid, series_number: u32, instance: &Uid) -> DocumentIdentity {
        let study = &self.study;
        DocumentIdentity {
            patient: PatientFacts {
                id: self.signed.patient_id.clone(),
                issuer: study.patient_issuer.clone(),
                name: self.signed.patient_name.clone(),
                birth_date: study.patient_birth_date.clone(),
                sex: study.patient_sex.clone(),
            },
            study: self.signed.study.clone(),
            study_date: study.study_date.clone(),
            study_time: study.study_time.clone(),
            study_number: study.study_number.clone(),
            // As the images say, so that the receiver files the document beside them.
            accession: study.accession.clone(),
            study_description: study.description.clone(),
            referring_physician: self.ordered_by.clone(),
            modality: study.modality.clone(),
            institution: Some(self.hospital.clone()),
            series: series.clone(),
            series_number,
            instance: instance.clone(),
            instance_number: u32::try_from(self.report.number).unwrap_or(1),
            created: self.signed.signed_at,
            utc_offset_minutes: self.utc_offset_minutes,
        }
    }

    fn standing(&self) -> Result<Standing, Error> {
        let Some(verifier) = &self.signed.verifier else { return Ok(Standing::Preliminary) };
        let verification =
            Verification { verifier: self.observer(&verifier.name), at: self.signed.signed_at };
        let predecessor = match self.predecessor() {
            Some(earlier) => Some(Predecessor {
                study: self.study.uid.clone(),
                series: earlier.sr_series_uid.clone(),
                reference: reference(SR_CLASS, &earlier.sr_uid)?,
            }),
            None => None,
        };
        match self.signed.kind {
            VersionKind::Preliminary => Ok(Standing::Preliminary),
            VersionKind::Final => Ok(Standing::Final { verification, predecessor }),
            VersionKind::Addendum => Ok(Standing::Addendum {
                verification,
                predecessor: predecessor.ok_or(MISSING)?,
                text: self.added_text(),
            }),
        }
    }

    fn observer(&self, name: &str) -> Observer {
        Observer { name: name.to_owned(), organization: self.hospital.clone() }
    }

    /// The released version before this one; a preliminary report was never sent anywhere.
    fn predecessor(&self) -> Option<&Report> {
        self.earlier.last().map(|earlier| &earlier.report)
    }

    /// The text that addenda add to: that of the last final report.
    fn base(&self) -> &Text {
        let finals = self.earlier.iter().rev();
        finals
            .map(|earlier| &earlier.signed)
            .find(|signed| signed.kind == VersionKind::Final)
            .map_or(&self.signed.text, |signed| &signed.text)
    }

    /// Addenda since the last final report, oldest first, this version included if it is one.
    fn addenda(&self) -> Vec<&Signed> {
        let mut addenda: Vec<&Signed> = Vec::new();
        for signed in self.earlier.iter().map(|e| &e.signed).chain([&self.signed]) {
            match signed.kind {
                VersionKind::Final => addenda.clear(),
                VersionKind::Addendum => addenda.push(signed),
                VersionKind::Preliminary => {}
            }
        }
        addenda
    }

    /// The whole text for the printed sheet: the final report and below it what was added.
    fn whole_text(&self) -> Text {
        if self.signed.kind != VersionKind::Addendum {
            return self.signed.text.clone();
        }
        let base = self.base();
        let mut whole = [&base.findings, &base.impression, &base.recommendation]
            .map(|section| section.reveal().trim_end().to_owned());
        for signed in self.addenda() {
            let text = &signed.text;
            let added = [&text.findings, &text.impression, &text.recommendation];
            for (section, added) in whole.iter_mut().zip(added) {
                if !added.reveal().trim().is_empty() {
                    let gap = if section.is_empty() { "" } else { "\n\n" };
                    let number = signed.number;
                    section.push_str(&format!("{gap}【补充，第{number}版】\n{}", added.reveal()));
                }
            }
        }
        let [findings, impression, recommendation] = whole.map(Phi::new);
        Text { findings, impression, recommendation }
    }

    /// What was added since the final report, for the addendum section of the structured report.
    fn added_text(&self) -> String {
        let mut lines = Vec::new();
        for signed in self.addenda() {
            lines.push(format!("补充报告（第{}版）", signed.number));
            let text = &signed.text;
            let reason = signed.reason.as_ref().map(|reason| reason.reveal().as_str());
            for (label, section) in [
                ("补充原因", reason.unwrap_or_default()),
                ("检查所见", text.findings.reveal()),
                ("诊断意见", text.impression.reveal()),
                ("建议", text.recommendation.reveal()),
            ] {
                if !section.trim().is_empty() {
                    lines.push(format!("{label}：{}", section.trim()));
                }
            }
        }
        lines.join("\n")
    }

    fn reason(&self) -> String {
        self.signed.reason.as_ref().map(|reason| reason.reveal().clone()).unwrap_or_default()
    }

    fn body_part(&self) -> String {
        let ordered = self.order.as_ref().and_then(|order| order.body_part.clone());
        self.study.body_part.clone().or(ordered).unwrap_or_default()
    }

    fn title(&self) -> String {
        format!("{}诊断报告书", modality_words(&self.study.modality))
    }

    fn number_of(&self, report: &Report) -> String {
        format!("{}-{}", self.case_number, report.number)
    }
}

/// The structured report as a DICOM file (PS3.10).
pub(super) fn as_file(report: &Report, data_set: &[u8]) -> Result<Bytes, Error> {
    let meta = FileMeta {
        sop_class: uid(SR_CLASS)?,
        sop_instance: report.sr_uid.clone(),
        transfer_syntax: uid(EXPLICIT_VR_LITTLE_ENDIAN)?,
        source: None,
    };
    Ok([meta.to_bytes().as_slice(), data_set].concat().into())
}

/// The instances that a version rests on, by series: those that were there when it was signed.
async fn evidence(
    tx: &mut Tx,
    study: &Study,
    report: &Report,
) -> Result<Vec<EvidenceSeries>, Error> {
    let mut by_series: BTreeMap<SeriesId, Vec<Reference>> = BTreeMap::new();
    for instance in tx.instances_of_study(&study.id).await? {
        if instance.received_at <= report.signed_at {
            by_series
                .entry(instance.series)
                .or_default()
                .push(Reference { sop_class: instance.sop_class, sop_instance: instance.uid });
        }
    }
    let series = tx.series_of_study(&study.id).await?;
    Ok(series
        .into_iter()
        .filter_map(|series| {
            let instances = by_series.remove(&series.id)?;
            Some(EvidenceSeries { study: study.uid.clone(), series: series.uid, instances })
        })
        .collect())
}

const MISSING: Error = Error::Store(StoreError::Inconsistent {
    table: "reports",
    what: "something that a report rests on is not there",
});

fn reference(sop_class: &str, sop_instance: &Uid) -> Result<Reference, Error> {
    Ok(Reference { sop_class: uid(sop_class)?, sop_instance: sop_instance.clone() })
}

fn uid(text: &str) -> Result<Uid, Error> {
    Uid::parse(text).map_err(|error| Error::Document(error.to_string()))
}

fn unwritable(error: DocumentError) -> Error {
    Error::Document(error.to_string())
}

/// What people call a modality.
fn modality_words(code: &str) -> &str {
    match code {
        "MR" => "磁共振",
        "DX" | "CR" | "RG" | "RF" => "X线",
        "MG" => "乳腺X线",
        "US" => "超声",
        "ECG" => "心电图",
        "ES" => "内镜",
        "XA" => "血管造影",
        "OT" | "" => "影像",
        other => other,
    }
}

fn sex(code: Option<&str>) -> &'static str {
    match code {
        Some("M") => "男",
        Some("F") => "女",
        Some("O") => "其他",
        _ => "",
    }
}

/// `YYYYMMDD` as `YYYY-MM-DD`; anything else as it is.
fn dashed(date: &str) -> String {
    match (date.get(..4), date.get(4..6), date.get(6..8)) {
        (Some(year), Some(month), Some(day)) if date.len() == 8 => format!("{year}-{month}-{day}"),
        _ => date.to_owned(),
    }
}

/// The age on the day of the study in words: days below one month, months below three years, then
/// years. Empty when either date is unknown or the order of the two is impossible.
fn age(birth_date: &str, study_date: &str) -> String {
    let parsed = |date| chrono::NaiveDate::parse_from_str(date, "%Y%m%d").ok();
    let (Some(birth), Some(study)) = (parsed(birth_date), parsed(study_date)) else {
        return String::new();
    };
    use chrono::Datelike as _;
    let whole = |date: chrono::NaiveDate| i64::from(date.year()) * 12 + i64::from(date.month0());
    let unfinished = i64::from(study.day() < birth.day());
    let months = whole(study) - whole(birth) - unfinished;
    match months {
        ..0 => String::new(),
        0 => format!("{}天", (study - birth).num_days()),
        1..36 => format!("{months}月"),
        _ => format!("{}岁", months / 12),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_told_as_people_tell_them() {
        assert_eq!(age("19620504", "20260301"), "63岁");
        assert_eq!(age("19620301", "20260301"), "64岁");
        assert_eq!(age("20240301", "20260228"), "23月");
        assert_eq!(age("20260201", "20260220"), "19天");
        assert_eq!(age("20260301", "20260228"), "");
        assert_eq!(age("", "20260228"), "");
        assert_eq!(age("1962", "20260228"), "");
    }

    #[test]
    fn dates_are_dashed_only_when_they_are_whole() {
        assert_eq!(dashed("20260301"), "2026-03-01");
        assert_eq!(dashed("2026"), "2026");
        assert_eq!(dashed("2026年3月1日"), "2026年3月1日");
    }
}
