//! A signed report as a Basic Text SR by TID 2000, Basic Diagnostic Imaging Report (PS3.16).
//!
//! ```text
//! CONTAINER  title by modality
//!   HAS CONCEPT MOD  language of the content: zh-CN
//!   HAS OBS CONTEXT  observer type person, name, organization (TID 1001)
//!   CONTAINS  Findings        > TEXT Finding  > INFERRED FROM key images
//!   CONTAINS  Impressions     > TEXT Impression
//!   CONTAINS  Recommendations > TEXT Recommendation
//!   CONTAINS  Addendum        > TEXT Conclusion
//! ```
//!
//! The caller gives every UID and every time; the same document gives the same bytes. Text is always
//! UTF-8. A section without text is left out, because an empty TEXT item is not allowed.

mod identity;
mod tree;

use dicom_dictionary_std::tags;
use medrelay_core::id::Uid;
use medrelay_core::time::Timestamp;
use thiserror::Error;

use crate::dataset::DataSet;
pub use identity::DocumentIdentity;
pub(crate) use identity::{caption, identified, moment, title_code};

/// SOP Class UID of Basic Text SR Storage.
pub const BASIC_TEXT_SR: &str = "1.2.840.10008.5.1.4.1.1.88.11";

/// A report to be written as a structured report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportDocument {
    /// Patient, study and the document's own UIDs.
    pub identity: DocumentIdentity,
    /// What was asked for, when an order is known.
    pub request: Option<Request>,
    /// Who wrote it.
    pub reporter: Observer,
    /// How far it has come.
    pub standing: Standing,
    /// 检查所见.
    pub findings: String,
    /// 诊断意见.
    pub impression: String,
    /// 建议; empty when there is none.
    pub recommendation: String,
    /// Images the finding is best seen on; they must be among the evidence too.
    pub key_images: Vec<Reference>,
    /// Every instance that was read, of this study and of priors.
    pub evidence: Vec<EvidenceSeries>,
}

/// A person in a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observer {
    /// Name in DICOM form: `Wang^Wu=王^五` or `王五`.
    pub name: String,
    /// Where the person works.
    pub organization: String,
}

/// How far a report has come, with what belongs to it (PS3.3 C.17.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// 初步报告: complete, preliminary, unverified.
    Preliminary,
    /// 正式报告, or with a predecessor a correction: complete, final, verified.
    Final {
        /// Who answers for it.
        verification: Verification,
        /// The version that it takes the place of.
        predecessor: Option<Predecessor>,
    },
    /// 补充报告: the full text again and what is added to it.
    Addendum {
        /// Who answers for it.
        verification: Verification,
        /// The version that it adds to.
        predecessor: Predecessor,
        /// What is added.
        text: String,
    },
}

/// The act of verifying.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verification {
    /// Who verified.
    pub verifier: Observer,
    /// When.
    pub at: Timestamp,
}

/// An earlier version of a report, as a stored object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Predecessor {
    /// Study Instance UID it is filed under.
    pub study: Uid,
    /// Series Instance UID it is filed under.
    pub series: Uid,
    /// The object.
    pub reference: Reference,
}

/// A reference to a stored object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// SOP Class UID.
    pub sop_class: Uid,
    /// SOP Instance UID.
    pub sop_instance: Uid,
}

/// Instances of one series that a report rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvidenceSeries {
    /// Study Instance UID.
    pub study: Uid,
    /// Series Instance UID.
    pub series: Uid,
    /// The instances.
    pub instances: Vec<Reference>,
}

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Request {
    /// Requested Procedure ID (0040,1001).
    pub procedure_id: Option<String>,
    /// Requested Procedure Description (0032,1060).
    pub description: Option<String>,
    /// Placer Order Number (0040,2016).
    pub placer_number: Option<String>,
    /// Filler Order Number (0040,2017).
    pub filler_number: Option<String>,
}

/// Why a document cannot be written. A defect of the caller: trying again will not help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DocumentError {
    /// Findings, impression and recommendation are all empty.
    #[error("a report without any text cannot be written")]
    Empty,
    /// A name that the standard requires is empty.
    #[error("the name of the reporter or verifier is empty")]
    Nameless,
    /// A key image is not among the evidence (PS3.3 C.17.2.2).
    #[error("a key image is not listed as evidence")]
    Unlisted,
    /// The bytes do not begin as a PDF file does.
    #[error("not a PDF file")]
    NotPdf,
}

impl ReportDocument {
    /// The data set in Explicit VR Little Endian, ready for C-STORE or to follow a Part 10 front.
    pub fn encode(&self) -> Result<Vec<u8>, DocumentError> {
        self.check()?;
        let mut set = identified(&self.identity, BASIC_TEXT_SR, "SR");
        set.sequence(tags::REFERENCED_PERFORMED_PROCEDURE_STEP_SEQUENCE, Vec::new())
            .sequence(tags::PERFORMED_PROCEDURE_CODE_SEQUENCE, Vec::new());
        self.write_standing(&mut set);
        if let Some(request) = &self.request {
            set.sequence(tags::REFERENCED_REQUEST_SEQUENCE, vec![self.requested(request)]);
        }
        self.write_evidence(&mut set);
        tree::write(&mut set, self);
        Ok(set.encode())
    }

    fn check(&self) -> Result<(), DocumentError> {
        let texts = [&self.findings, &self.impression, &self.recommendation];
        if texts.iter().all(|text| text.trim().is_empty()) {
            return Err(DocumentError::Empty);
        }
        let verifier = self.verification().map(|v| &v.verifier);
        if std::iter::once(&self.reporter).chain(verifier).any(|o| o.name.trim().is_empty()) {
            return Err(DocumentError::Nameless);
        }
        let listed = |image: &Reference| self.evidence.iter().any(|s| s.instances.contains(image));
        if self.key_images.iter().all(listed) { Ok(()) } else { Err(DocumentError::Unlisted) }
    }

    fn verification(&self) -> Option<&Verification> {
        match &self.standing {
            Standing::Preliminary => None,
            Standing::Final { verification, .. } | Standing::Addendum { verification, .. } => {
                Some(verification)
            }
        }
    }

    fn predecessor(&self) -> Option<&Predecessor> {
        match &self.standing {
            Standing::Preliminary => None,
            Standing::Final { predecessor, .. } => predecessor.as_ref(),
            Standing::Addendum { predecessor, .. } => Some(predecessor),
        }
    }

    /// What is added, when the document is an addendum.
    fn addendum(&self) -> Option<&str> {
        match &self.standing {
            Standing::Addendum { text, .. } => Some(text),
            Standing::Preliminary | Standing::Final { .. } => None,
        }
    }

    /// Completion, preliminary and verification flags and who verified.
    fn write_standing(&self, set: &mut DataSet) {
        set.text(tags::COMPLETION_FLAG, "COMPLETE");
        if let Some(verification) = self.verification() {
            let offset = self.identity.utc_offset_minutes;
            let mut observer = DataSet::new();
            observer
                .text(tags::VERIFYING_OBSERVER_NAME, &identity::name(&verification.verifier.name))
                .text(
                    tags::VERIFYING_ORGANIZATION,
                    &caption(&verification.verifier.organization, 64),
                )
                .text(tags::VERIFICATION_DATE_TIME, &moment(verification.at, offset).date_time)
                .sequence(tags::VERIFYING_OBSERVER_IDENTIFICATION_CODE_SEQUENCE, Vec::new());
            set.text(tags::PRELIMINARY_FLAG, "FINAL")
                .text(tags::VERIFICATION_FLAG, "VERIFIED")
                .sequence(tags::VERIFYING_OBSERVER_SEQUENCE, vec![observer]);
        } else {
            set.text(tags::PRELIMINARY_FLAG, "PRELIMINARY")
                .text(tags::VERIFICATION_FLAG, "UNVERIFIED");
        }
        if let Some(earlier) = self.predecessor() {
            set.sequence(tags::PREDECESSOR_DOCUMENTS_SEQUENCE, vec![earlier.item()]);
        }
    }

    /// An item of Referenced Request Sequence.
    fn requested(&self, request: &Request) -> DataSet {
        let mut item = DataSet::new();
        let short = |text: &Option<String>| caption(text.as_deref().unwrap_or_default(), 16);
        let long = |text: &Option<String>| caption(text.as_deref().unwrap_or_default(), 64);
        item.text(tags::STUDY_INSTANCE_UID, self.identity.study.as_str())
            .text_or_empty(tags::ACCESSION_NUMBER, self.identity.accession.as_deref())
            .sequence(tags::REFERENCED_STUDY_SEQUENCE, Vec::new())
            .text(tags::REQUESTED_PROCEDURE_ID, &short(&request.procedure_id))
            .text(tags::REQUESTED_PROCEDURE_DESCRIPTION, &long(&request.description))
            .sequence(tags::REQUESTED_PROCEDURE_CODE_SEQUENCE, Vec::new())
            .text(tags::PLACER_ORDER_NUMBER_IMAGING_SERVICE_REQUEST, &long(&request.placer_number))
            .text(tags::FILLER_ORDER_NUMBER_IMAGING_SERVICE_REQUEST, &long(&request.filler_number));
        item
    }

    /// Instances of this study are what was asked about; those of others are pertinent priors.
    fn write_evidence(&self, set: &mut DataSet) {
        let (own, other): (Vec<_>, Vec<_>) = self
            .evidence
            .iter()
            .filter(|series| !series.instances.is_empty())
            .partition(|series| series.study == self.identity.study);
        if !own.is_empty() {
            set.sequence(tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE, by_study(&own));
        }
        if !other.is_empty() {
            set.sequence(tags::PERTINENT_OTHER_EVIDENCE_SEQUENCE, by_study(&other));
        }
    }
}

impl Predecessor {
    /// An item of Predecessor Documents Sequence (PS3.3 table 10-3c).
    pub(crate) fn item(&self) -> DataSet {
        let series = EvidenceSeries {
            study: self.study.clone(),
            series: self.series.clone(),
            instances: vec![self.reference.clone()],
        };
        study_item(&self.study, &[&series])
    }
}

impl Reference {
    /// An item that names the object by class and instance.
    pub(crate) fn item(&self) -> DataSet {
        let mut item = DataSet::new();
        item.text(tags::REFERENCED_SOP_CLASS_UID, self.sop_class.as_str())
            .text(tags::REFERENCED_SOP_INSTANCE_UID, self.sop_instance.as_str());
        item
    }
}

/// One item for each study, in order of first appearance.
fn by_study(series: &[&EvidenceSeries]) -> Vec<DataSet> {
    let mut studies: Vec<&Uid> = Vec::new();
    for one in series {
        if !studies.contains(&&one.study) {
            studies.push(&one.study);
        }
    }
    studies
        .into_iter()
        .map(|study| {
            let of_study: Vec<_> = series.iter().copied().filter(|s| s.study == *study).collect();
            study_item(study, &of_study)
        })
        .collect()
}

fn study_item(study: &Uid, series: &[&EvidenceSeries]) -> DataSet {
    let series_item = |one: &&EvidenceSeries| {
        let mut item = DataSet::new();
        item.text(tags::SERIES_INSTANCE_UID, one.series.as_str()).sequence(
            tags::REFERENCED_SOP_SEQUENCE,
            one.instances.iter().map(Reference::item).collect(),
        );
        item
    };
    let mut item = DataSet::new();
    item.text(tags::STUDY_INSTANCE_UID, study.as_str())
        .sequence(tags::REFERENCED_SERIES_SEQUENCE, series.iter().map(series_item).collect());
    item
}
