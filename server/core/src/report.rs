//! Reports: append-only versions, canonical bytes, what a signature covers.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::id::{CaseId, OrganizationId, PersonId, Phi, ReportId, Uid};
use crate::time::Timestamp;

/// Longest text of one section, in characters.
pub const SECTION_LIMIT: usize = 20_000;
/// Format tag of the canonical bytes; a change of layout is a new tag.
pub const CANONICAL_FORMAT: &str = "medrelay-report/1";
/// Format tag of canonical bytes that end in the hash of what was drawn on the images.
pub const CANONICAL_FORMAT_ANNOTATED: &str = "medrelay-report/2";
/// Bytes of what is drawn on the images of one case at most, as compact JSON.
pub const ANNOTATIONS_LIMIT_BYTES: usize = 512 << 10;

/// What a reader writes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Text {
    /// 检查所见.
    pub findings: Phi<String>,
    /// 诊断意见.
    pub impression: Phi<String>,
    /// 建议.
    pub recommendation: Phi<String>,
}

/// Which kind of version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VersionKind {
    /// 初步报告: signed by a reporter, not yet verified.
    Preliminary,
    /// 正式报告.
    Final,
    /// 补充报告: says more after the final report.
    Addendum,
}

crate::people::stable_text!(VersionKind {
    Preliminary => "preliminary",
    Final => "final",
    Addendum => "addendum",
});

/// Why a text cannot be signed or saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TextFault {
    /// Findings are empty.
    #[error("findings are required")]
    FindingsMissing,
    /// The impression is empty.
    #[error("an impression is required")]
    ImpressionMissing,
    /// An addendum does not say why it was made.
    #[error("an addendum needs a reason")]
    ReasonMissing,
    /// A section is longer than [`SECTION_LIMIT`].
    #[error("a section is longer than 20000 characters")]
    TooLong,
    /// A section contains control characters that no page can show.
    #[error("a section contains control characters")]
    Control,
}

/// Checks a text that is to be saved as a draft.
pub fn check_draft(text: &Text) -> Result<(), TextFault> {
    [&text.findings, &text.impression, &text.recommendation]
        .into_iter()
        .try_for_each(|section| check_section(section.reveal()))
}

fn check_section(section: &str) -> Result<(), TextFault> {
    if section.chars().count() > SECTION_LIMIT {
        Err(TextFault::TooLong)
    } else if section.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
        Err(TextFault::Control)
    } else {
        Ok(())
    }
}

/// Checks a text that is to be signed as a version of `kind`.
pub fn check_signable(
    text: &Text,
    kind: VersionKind,
    reason: Option<&str>,
) -> Result<(), TextFault> {
    check_draft(text)?;
    // The reason is printed and signed like the rest.
    reason.map_or(Ok(()), check_section)?;
    if text.findings.reveal().trim().is_empty() {
        return Err(TextFault::FindingsMissing);
    }
    if text.impression.reveal().trim().is_empty() {
        return Err(TextFault::ImpressionMissing);
    }
    if kind == VersionKind::Addendum && reason.is_none_or(|r| r.trim().is_empty()) {
        return Err(TextFault::ReasonMissing);
    }
    Ok(())
}

/// Somebody who signed, as printed on the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signer {
    /// Who.
    pub person: PersonId,
    /// Their name at the time.
    pub name: String,
    /// For which organization.
    pub organization: OrganizationId,
}

/// Everything that a signature covers. The order of the fields is part of the format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed {
    /// [`Signed::format_of`] what was drawn.
    pub format: String,
    /// The version's identifier.
    pub report: ReportId,
    /// The case.
    pub case: CaseId,
    /// 1, 2, 3, … within the case.
    pub number: i64,
    /// Which kind.
    pub kind: VersionKind,
    /// Study Instance UID.
    pub study: Uid,
    /// Accession Number.
    pub accession: Option<String>,
    /// Patient ID as the images say.
    pub patient_id: Phi<String>,
    /// Patient's Name as the images say.
    pub patient_name: Phi<String>,
    /// What was written.
    pub text: Text,
    /// Why an addendum was made.
    pub reason: Option<Phi<String>>,
    /// Who wrote it.
    pub reporter: Signer,
    /// Who verified it; the reporter too, if one person signs alone.
    pub verifier: Option<Signer>,
    /// When it was signed.
    pub signed_at: Timestamp,
    /// SHA-256 (hex) of the previous signed version.
    pub predecessor: Option<String>,
    /// SHA-256 (hex) of what was drawn on the images; absent from bytes of the first format.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations_sha256: Option<String>,
}

impl Signed {
    /// The format of a version with or without something drawn: the first stays as it always was.
    pub const fn format_of(annotated: bool) -> &'static str {
        if annotated { CANONICAL_FORMAT_ANNOTATED } else { CANONICAL_FORMAT }
    }

    /// Whether the format is the one that its content asks for.
    pub fn format_holds(&self) -> bool {
        self.format == Self::format_of(self.annotations_sha256.is_some())
    }

    /// The canonical bytes: compact JSON, fields in declaration order, UTF-8, no escapes beyond
    /// those that JSON demands. Equal content gives equal bytes.
    pub fn canonical_bytes(&self) -> Vec<u8> {
        // Strings, integers and enums only: nothing here can fail to serialize.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// SHA-256 of bytes as lower-case hex.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
