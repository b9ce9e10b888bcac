//! Compression with proof: how the bytes of one data set cross a slow line and come back the same.
//!
//! A *pack* holds one data set (what follows the file meta group, in its own transfer syntax) as a
//! row of segments. Rows of uncompressed pixels of 8 or 16 allocated bits go as JPEG-LS (ISO/IEC
//! 14495-1, by CharLS), everything else as zstd, and what does not get smaller as it is. Nothing
//! counts as coded before it has been decoded again and compared with the original; the pack ends
//! with the length and SHA-256 of the original, which the receiver checks once more. The format is
//! section 10 of `docs/PROTOCOL.md`, in short:
//!
//! ```text
//! pack     "MRPK" 01, segments, end
//! segment  kind u8 (1 raw, 2 zstd, 3 JPEG-LS), original length, coded length (LEB128),
//!          kind 3 only: columns u16, lines u16, arrangement u8, flags u8, bits u8, base u16;
//!          coded bytes
//! end      kind 0, length of the whole original (LEB128), 20, SHA-256 of the whole original
//! ```
//!
//! Integers are big endian. What is wrong or lied about in a DICOM header costs compression, never
//! correctness: a [`Plan`] only guesses where lines of pixels are. The same bytes and plan give the
//! same pack on every machine, whatever the number of threads, so an interrupted upload can go on
//! with a pack that is made again (by the same release: another zstd or CharLS may write others).

mod error;
mod format;
mod jls;
mod plan;
mod read;
mod samples;
mod write;

pub use error::{PackError, PackFault};
pub use plan::{Plan, plan};
pub use read::{Unpacked, Unpacker};
pub use write::{Summary, identity, pack};

/// What an [`Unpacker`] accepts; everything is checked before memory is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the original data set.
    pub object_bytes: u64,
    /// Bytes of the original in one segment, which bounds the memory: while a segment is decoded,
    /// up to seven times as much is held. A pack of version 1 never has more than 2 MiB in one.
    pub segment_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { object_bytes: 4 << 30, segment_bytes: PIECE_BYTES }
    }
}

/// Bytes of the original in one segment at most (part of the format).
const PIECE_BYTES: u64 = 2 << 20;
