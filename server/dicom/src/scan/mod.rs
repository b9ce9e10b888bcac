//! The structural scanner: what stands in front of everything that comes from outside.
//!
//! It takes a data set in pieces of any size and walks its elements without recursion, without
//! trusting a length and without keeping anything but a few identifying values, so that hostile
//! bytes cost neither memory nor time. What passes is well-formed: every declared length lies
//! inside what encloses it and its bytes were really there, sequences end where they must, and
//! nothing is nested deeply enough to trouble a recursive reader. The meaning of the values is not
//! judged here (65,535 × 65,535 pixels is a fact, not an allocation).

mod error;
mod header;
mod inflate;
mod walk;

pub use dicom_core::Tag;

use inflate::Inflater;
use walk::Walker;

pub use error::{ScanError, ScanErrorKind};
pub use header::{
    Header, PixelData, SERIES_INSTANCE_UID, SOP_CLASS_UID, SOP_INSTANCE_UID, STUDY_INSTANCE_UID,
    WANTED,
};

/// How a data set is written (PS3.5 A). [`crate::uids::encoding`] knows it for every transfer
/// syntax.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// Implicit VR Little Endian (PS3.5 A.1).
    ImplicitLittle,
    /// Explicit VR Little Endian, with or without encapsulated pixel data (PS3.5 A.2, A.4).
    ExplicitLittle,
    /// Explicit VR Big Endian (retired; PS3.5 2016b A.3).
    ExplicitBig,
    /// Explicit VR Little Endian inside a raw deflate stream (PS3.5 A.5).
    Deflated,
}

/// What a data set may be like. The defaults are the product's promise; tests make them smaller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Sequences inside each other.
    pub depth: usize,
    /// Elements on all levels together.
    pub elements: u32,
    /// Bytes of everything but bulk data: values of OB, OD, OF, OL, OV, OW and UN are not counted,
    /// because they are skipped and nobody reads them as a header.
    pub header_bytes: u64,
    /// Bytes of one text value.
    pub text_value_bytes: u32,
    /// Bytes of one value in [`WANTED`], all of which are kept in memory.
    pub wanted_value_bytes: u32,
    /// Bytes of the whole data set where they are known beforehand (a file, a Content-Length).
    pub data_set_bytes: Option<u64>,
    /// Bytes out for one byte in, of a deflated data set.
    pub inflate_ratio: u64,
    /// Bytes of an inflated data set.
    pub inflated_bytes: u64,
}

/// Inflates a deflated data set (PS3.5 A.5) into memory, under the default [`Limits`].
pub fn inflate(deflated: &[u8]) -> Result<Vec<u8>, ScanError> {
    let fail = |kind| ScanError { kind, offset: 0, tag: None };
    let mut inflater = inflate::Inflater::new(&Limits::default());
    let mut inflated = Vec::new();
    let sink = |piece: &[u8]| {
        inflated.extend_from_slice(piece);
        Ok(())
    };
    inflater.push(deflated, sink, fail)?;
    if inflater.ended() { Ok(inflated) } else { Err(fail(ScanErrorKind::Truncated)) }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            depth: 64,
            elements: 200_000,
            header_bytes: 16 * 1024 * 1024,
            text_value_bytes: 1024 * 1024,
            wanted_value_bytes: 8 * 1024,
            data_set_bytes: None,
            inflate_ratio: 100,
            inflated_bytes: 64 * 1024 * 1024,
        }
    }
}

/// Scans one data set that arrives piece by piece.
///
/// ```
/// use medrelay_dicom::scan::{Encoding, Limits, SOP_CLASS_UID, Scanner};
///
/// let mut scanner = Scanner::new(Encoding::ExplicitLittle, Limits::default());
/// scanner.feed(b"\x08\x00\x16\x00UI\x04\x00")?;
/// scanner.feed(b"1.2\0")?;
/// assert_eq!(scanner.finish()?.raw(SOP_CLASS_UID), Some(&b"1.2\0"[..]));
/// # Ok::<(), medrelay_dicom::scan::ScanError>(())
/// ```
pub struct Scanner {
    walker: Walker,
    inflater: Option<Inflater>,
    failed: Option<ScanError>,
}

impl Scanner {
    /// A scanner for one data set, without preamble and file meta information.
    #[must_use]
    pub fn new(encoding: Encoding, limits: Limits) -> Self {
        let inflater = (encoding == Encoding::Deflated).then(|| Inflater::new(&limits));
        Self { walker: Walker::new(encoding, limits), inflater, failed: None }
    }

    /// Takes the next bytes, as many or as few as there are.
    ///
    /// # Errors
    /// The first rule that the data set breaks; the same again for every call after that.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), ScanError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let outcome = self.pass(bytes);
        self.failed = outcome.err();
        outcome
    }

    /// Says that no more bytes come.
    ///
    /// # Errors
    /// What `feed` found, or [`ScanErrorKind::Truncated`] when something declared is not there.
    pub fn finish(self) -> Result<Header, ScanError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        if self.inflater.is_some_and(|inflater| !inflater.ended()) {
            return Err(self.walker.error(ScanErrorKind::Truncated));
        }
        self.walker.finish()
    }

    /// A value that has already gone by, before the data set is complete: for deciding early.
    #[must_use]
    pub fn peek(&self, tag: Tag) -> Option<&[u8]> {
        self.walker.header().raw(tag)
    }

    fn pass(&mut self, bytes: &[u8]) -> Result<(), ScanError> {
        let Some(inflater) = &mut self.inflater else {
            return self.walker.feed(bytes);
        };
        let walker = std::cell::RefCell::new(&mut self.walker);
        inflater.push(
            bytes,
            |piece| walker.borrow_mut().feed(piece),
            |kind| walker.borrow().error(kind),
        )
    }
}

#[cfg(test)]
mod tests;
