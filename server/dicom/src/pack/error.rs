//! Why packing or unpacking ends early, and whether trying again can help.

use std::io;

/// A pack could not be made or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// Reading the original or writing the pack failed: may be tried again.
    #[error("reading or writing failed")]
    Io(#[from] io::Error),
    /// The pack is damaged or hostile: refuse it. The same bytes will never be accepted.
    #[error("pack refused in the segment at byte {offset}: {fault}")]
    Refused {
        /// The rule that was broken.
        fault: PackFault,
        /// Bytes from the start of the pack to the segment concerned.
        offset: u64,
    },
}

impl PackError {
    /// The broken rule, when the pack itself is to blame.
    #[must_use]
    pub fn fault(&self) -> Option<PackFault> {
        match self {
            Self::Io(_) => None,
            Self::Refused { fault, .. } => Some(*fault),
        }
    }
}

/// The rules that a pack must keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PackFault {
    /// It does not begin with the magic, or has a version that we do not know.
    #[error("not a pack of a known version")]
    Unknown,
    /// A kind, number or image description that no packer writes.
    #[error("segment header is malformed")]
    Header,
    /// More original bytes in a segment than [`super::Limits::segment_bytes`].
    #[error("segment too large")]
    SegmentTooLarge,
    /// More original bytes altogether than [`super::Limits::object_bytes`].
    #[error("object too large")]
    ObjectTooLarge,
    /// The zstd frame is broken or does not give the declared length.
    #[error("zstd frame is broken")]
    Zstd,
    /// The JPEG-LS stream is broken or not of the declared size.
    #[error("JPEG-LS stream is broken")]
    JpegLs,
    /// The end declares another length than the segments gave.
    #[error("wrong length")]
    WrongLength,
    /// What came out is not what went in.
    #[error("wrong hash")]
    WrongHash,
    /// Bytes after the end.
    #[error("bytes after the end")]
    Trailing,
    /// No more bytes came, but the end has not been seen.
    #[error("pack ends too early")]
    Truncated,
    /// The receiver of the bytes failed earlier; what it has is incomplete.
    #[error("given up earlier")]
    Abandoned,
}
