//! What the scanner refuses, and where: kinds, offsets and tags, never a value.

use std::fmt;

use dicom_core::Tag;

/// A data set that must not go any further: refuse it (C000 on DIMSE, 400 on HTTP). Trying again
/// cannot help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub struct ScanError {
    /// The rule that was broken.
    pub kind: ScanErrorKind,
    /// Bytes from the start of the (inflated) data set to the element concerned.
    pub offset: u64,
    /// The element concerned, where its tag could be read.
    pub tag: Option<Tag>,
}

impl fmt::Display for ScanError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} at byte {}", self.kind, self.offset)?;
        match self.tag {
            Some(Tag(group, element)) => write!(formatter, " in ({group:04X},{element:04X})"),
            None => Ok(()),
        }
    }
}

/// The rules of the scanner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScanErrorKind {
    /// The bytes end inside an element, an item or a sequence.
    #[error("data set ends too early")]
    Truncated,
    /// More bytes came than were announced for the whole data set.
    #[error("data set is longer than announced")]
    Overlong,
    /// The two letters after a tag are no value representation (PS3.5 6.2).
    #[error("unknown value representation")]
    UnknownVr,
    /// A declared length reaches beyond the item, sequence or data set around it.
    #[error("declared length reaches beyond what encloses it")]
    LengthBeyondEnd,
    /// An undefined length where the standard allows none (PS3.5 7.1).
    #[error("undefined length not allowed here")]
    UndefinedLength,
    /// An item or delimiter where none may be, or anything else where one must be (PS3.5 7.5).
    #[error("item or delimiter out of place")]
    MisplacedItem,
    /// More sequences inside each other than [`super::Limits::depth`].
    #[error("nested too deeply")]
    TooDeep,
    /// More elements than [`super::Limits::elements`].
    #[error("too many elements")]
    TooManyElements,
    /// More bytes outside bulk data than [`super::Limits::header_bytes`].
    #[error("header too large")]
    HeaderTooLarge,
    /// A text longer than [`super::Limits::text_value_bytes`].
    #[error("text value too long")]
    TextTooLong,
    /// A value that we keep is longer than [`super::Limits::wanted_value_bytes`].
    #[error("identifying value too long")]
    ValueTooLong,
    /// A UID with other characters than digits and dots, or more than 64 of them (PS3.5 9.1).
    #[error("invalid unique identifier")]
    InvalidUid,
    /// An identifying element comes twice, so that two readers could see two different things.
    #[error("identifying element repeated")]
    Repeated,
    /// The deflated stream (PS3.5 A.5) is broken.
    #[error("deflated stream is broken")]
    Inflate,
    /// The deflated stream grows beyond [`super::Limits::inflate_ratio`].
    #[error("deflated stream inflates suspiciously")]
    InflateRatio,
    /// The deflated stream grows beyond [`super::Limits::inflated_bytes`].
    #[error("deflated stream inflates to too much")]
    InflatedTooLarge,
}
