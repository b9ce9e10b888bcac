//! What a look at an object shows before it is sent: is there a picture at all?
//!
//! Two patients in one study and one UID with two contents are found by the database; here is what
//! the bytes themselves tell.

use std::io::{Read, Seek, SeekFrom};

use medrelay_dicom::scan::{Encoding, Header, Tag};

/// Why a person must look at an object before it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Flag {
    /// The study began with another patient.
    OtherPatient,
    /// The same UID came before with other bytes.
    OtherContent,
    /// An image without pixels.
    NoPixels,
    /// Fewer pixels than its rows and columns ask for.
    ShortPixels,
    /// Every pixel has the same value.
    BlankPixels,
}

impl Flag {
    /// Every flag.
    pub const ALL: &'static [Self] = &[
        Self::OtherPatient,
        Self::OtherContent,
        Self::NoPixels,
        Self::ShortPixels,
        Self::BlankPixels,
    ];

    /// The stable text of the flag.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OtherPatient => "other_patient",
            Self::OtherContent => "other_content",
            Self::NoPixels => "no_pixels",
            Self::ShortPixels => "short_pixels",
            Self::BlankPixels => "blank_pixels",
        }
    }

    /// Reads the stable text.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|flag| flag.as_str() == text)
    }
}

/// Looks at the pixels of an object: `data_set` is positioned at the start of its data set.
///
/// Objects that are no images (reports, waveforms, presentation states) have nothing to look at.
pub(super) fn pixels(
    header: &Header,
    data_set: &mut (impl Read + Seek),
    data_offset: u64,
) -> std::io::Result<Option<Flag>> {
    let Some(expected) = expected_bytes(header) else { return Ok(None) };
    let Some(found) = header.pixel_data() else { return Ok(Some(Flag::NoPixels)) };
    // Inside a deflated data set the offset is not one of the file; fragments are compressed.
    let (Some(length), false) = (found.length, header.encoding() == Encoding::Deflated) else {
        return Ok(None);
    };
    if length == 0 {
        return Ok(Some(Flag::NoPixels));
    }
    if u64::from(length) < expected.bytes {
        return Ok(Some(Flag::ShortPixels));
    }
    // The element's own head is between the offset and its value: 8 or 12 bytes.
    let head = if header.encoding() == Encoding::ImplicitLittle { 8 } else { 12 };
    data_set.seek(SeekFrom::Start(data_offset + found.offset + head))?;
    let blank = expected.pixels > 1 && all_alike(data_set, expected.bytes, expected.sample_bytes)?;
    Ok(blank.then_some(Flag::BlankPixels))
}

struct Expected {
    bytes: u64,
    pixels: u64,
    sample_bytes: usize,
}

/// What the image attributes ask for; `None` for what is not an image.
fn expected_bytes(header: &Header) -> Option<Expected> {
    let rows = u64::from(header.u16(ROWS)?);
    let columns = u64::from(header.u16(COLUMNS)?);
    let bits = u64::from(header.u16(BITS_ALLOCATED).unwrap_or(16));
    let samples = u64::from(header.u16(SAMPLES_PER_PIXEL).unwrap_or(1));
    let frames = header.raw(NUMBER_OF_FRAMES).map_or(1, |raw| {
        std::str::from_utf8(raw).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(1)
    });
    let pixels = rows * columns;
    // A colour image in YBR_FULL_422 has fewer bytes than this; it is never called short.
    let halved = header.raw(PHOTOMETRIC).is_some_and(|raw| raw.starts_with(b"YBR_FULL_422"));
    let per_frame = if halved { pixels * 2 } else { pixels * samples * bits / 8 };
    let bytes = per_frame.checked_mul(frames)?;
    (pixels > 0).then_some(Expected { bytes, pixels, sample_bytes: if bits == 16 { 2 } else { 1 } })
}

/// Whether `length` bytes repeat one sample from end to end. Stops at the first difference.
fn all_alike(source: &mut impl Read, length: u64, sample: usize) -> std::io::Result<bool> {
    let mut piece = vec![0; PIECE_BYTES];
    let mut left = length - length % sample as u64;
    let mut first: Option<Vec<u8>> = None;
    while left > 0 {
        let want = usize::try_from(left).unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
        source.read_exact(&mut piece[..want])?;
        let first = first.get_or_insert_with(|| piece[..sample].to_vec());
        if piece[..want].chunks_exact(sample).any(|pixel| pixel != first.as_slice()) {
            return Ok(false);
        }
        left -= want as u64;
    }
    Ok(length > 0)
}

const PIECE_BYTES: usize = 64 * 1024;
const SAMPLES_PER_PIXEL: Tag = Tag(0x0028, 0x0002);
const PHOTOMETRIC: Tag = Tag(0x0028, 0x0004);
const NUMBER_OF_FRAMES: Tag = Tag(0x0028, 0x0008);
const ROWS: Tag = Tag(0x0028, 0x0010);
const COLUMNS: Tag = Tag(0x0028, 0x0011);
const BITS_ALLOCATED: Tag = Tag(0x0028, 0x0100);
