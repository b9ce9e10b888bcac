//! A typeset report as an Encapsulated PDF (PS3.3 A.45.1), for viewers that show no structured reports.

use dicom_dictionary_std::tags;

use crate::dataset::DataSet;
use crate::sr::{
    DocumentError, DocumentIdentity, Predecessor, Reference, caption, identified, moment,
    title_code,
};

/// SOP Class UID of Encapsulated PDF Storage.
pub const ENCAPSULATED_PDF: &str = "1.2.840.10008.5.1.4.1.1.104.1";

/// A PDF file to be wrapped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PdfDocument {
    /// Patient, study and the document's own UIDs.
    pub identity: DocumentIdentity,
    /// Title for people, such as `CT诊断报告`.
    pub title: String,
    /// The PDF file.
    pub pdf: Vec<u8>,
    /// The structured report it was rendered from.
    pub source: Option<Reference>,
    /// A person has verified what it says.
    pub verified: bool,
    /// The PDF that it takes the place of.
    pub predecessor: Option<Predecessor>,
}

impl PdfDocument {
    /// The data set in Explicit VR Little Endian, ready for C-STORE or to follow a Part 10 front.
    pub fn encode(&self) -> Result<Vec<u8>, DocumentError> {
        if !self.pdf.starts_with(b"%PDF-") {
            return Err(DocumentError::NotPdf);
        }
        let made = moment(self.identity.created, self.identity.utc_offset_minutes);
        let verification = if self.verified { "VERIFIED" } else { "UNVERIFIED" };
        let mut set: DataSet = identified(&self.identity, ENCAPSULATED_PDF, "DOC");
        set.text(tags::CONVERSION_TYPE, "WSD")
            .text(tags::ACQUISITION_DATE_TIME, &made.date_time)
            .text(tags::BURNED_IN_ANNOTATION, "YES")
            .text(tags::RECOGNIZABLE_VISUAL_FEATURES, "NO")
            .text(tags::DOCUMENT_TITLE, &caption(&self.title, 1_024))
            .sequence(tags::CONCEPT_NAME_CODE_SEQUENCE, vec![title_code(&self.identity.modality)])
            .text(tags::VERIFICATION_FLAG, verification)
            .text(tags::MIME_TYPE_OF_ENCAPSULATED_DOCUMENT, "application/pdf")
            .long(
                tags::ENCAPSULATED_DOCUMENT_LENGTH,
                u32::try_from(self.pdf.len()).unwrap_or(u32::MAX),
            )
            .bytes(tags::ENCAPSULATED_DOCUMENT, self.pdf.clone());
        if let Some(source) = &self.source {
            set.sequence(tags::SOURCE_INSTANCE_SEQUENCE, vec![source.item()]);
        }
        if let Some(earlier) = &self.predecessor {
            set.sequence(tags::PREDECESSOR_DOCUMENTS_SEQUENCE, vec![earlier.item()]);
        }
        Ok(set.encode())
    }
}
