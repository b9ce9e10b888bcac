//! Where the lines of pixels are, and how the data set is cut.

use dicom_core::Tag;

use super::PIECE_BYTES;
use super::samples::{Arrangement, Layout};
use crate::scan::{Encoding, Header};

/// How a data set is cut into pieces and which of them are lines of pixels. A guess by its header:
/// whatever bytes follow it are packed and come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Plan {
    pixels: Option<Pixels>,
}

/// The value of an uncompressed Pixel Data element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pixels {
    /// Bytes before the value.
    start: u64,
    /// Bytes of the value.
    length: u64,
    /// Lines of a frame; frames end at multiples of it.
    rows: u16,
    layout: Layout,
    signed: bool,
}

/// The next piece of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cut {
    /// Bytes at most: the end of the data set may come first.
    pub bytes: u64,
    pub lines: Option<Lines>,
}

/// What a piece is if it is as long as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lines {
    pub layout: Layout,
    pub lines: u16,
    pub signed: bool,
}

/// Plans the pack of the data set with this header. Without uncompressed pixels of 8 or 16
/// allocated bits and 1 or 3 samples (encapsulated, deflated, floating point, waveforms, reports)
/// the plan has no pixels and everything goes as zstd.
#[must_use]
pub fn plan(header: &Header) -> Plan {
    Plan { pixels: Pixels::of(header) }
}

impl Plan {
    /// Whether the pack may hold JPEG-LS.
    #[must_use]
    pub fn has_pixels(&self) -> bool {
        self.pixels.is_some()
    }

    /// The piece that begins at `offset`, which is 0 or the end of the piece before.
    pub(super) fn cut(&self, offset: u64) -> Cut {
        let Some(pixels) = &self.pixels else { return plain(PIECE_BYTES) };
        match offset.checked_sub(pixels.start) {
            None => plain(PIECE_BYTES.min(pixels.start - offset)),
            Some(inside) => match pixels.lines(inside) {
                0 => plain(PIECE_BYTES),
                lines => Cut {
                    bytes: u64::from(lines) * pixels.layout.line_bytes(),
                    lines: Some(Lines { layout: pixels.layout, lines, signed: pixels.signed }),
                },
            },
        }
    }
}

impl Pixels {
    fn of(header: &Header) -> Option<Self> {
        let element = header.pixel_data().filter(|element| element.tag == PIXEL_DATA)?;
        let head_bytes = match header.encoding() {
            Encoding::ImplicitLittle => 8,
            Encoding::ExplicitLittle | Encoding::ExplicitBig => 12,
            Encoding::Deflated => return None,
        };
        let number = |tag| header.u16(tag);
        let wide = match number(BITS_ALLOCATED)? {
            8 => false,
            16 => true,
            _ => return None,
        };
        let (rows, columns) = (number(ROWS)?, number(COLUMNS)?);
        let photometric = header.raw(PHOTOMETRIC_INTERPRETATION).unwrap_or_default().trim_ascii();
        let shared = photometric.starts_with(b"YBR_") && photometric.ends_with(b"_422");
        let planar = number(PLANAR_CONFIGURATION) == Some(1);
        let (arrangement, columns) = match number(SAMPLES_PER_PIXEL).unwrap_or(1) {
            1 => (Arrangement::Grey, columns),
            3 if shared && columns % 2 == 0 => (Arrangement::Pairs, columns / 2),
            3 if planar => (Arrangement::Planes, columns),
            3 => (Arrangement::Pixels, columns),
            _ => return None,
        };
        let layout = Layout {
            columns,
            arrangement,
            wide,
            big_endian: wide && header.encoding() == Encoding::ExplicitBig,
            differences: arrangement.is_colour() && photometric == b"RGB",
        };
        let pixels = Self {
            start: element.offset + head_bytes,
            length: u64::from(element.length?),
            rows,
            layout,
            signed: number(PIXEL_REPRESENTATION) == Some(1),
        };
        pixels.coherent()
    }

    /// Refuses what JPEG-LS cannot do, and takes planes for grey frames where a whole colour frame
    /// would be too much for one piece, or not worth one.
    fn coherent(mut self) -> Option<Self> {
        if self.rows == 0 || self.layout.image(1).is_none_or(|(width, _)| width == 0) {
            return None;
        }
        let whole = self.layout.image(self.rows).is_some()
            && (LEAST_PLANES_BYTES..=PIECE_BYTES).contains(&self.frame_bytes());
        if self.layout.arrangement == Arrangement::Planes && !whole {
            self.layout.arrangement = Arrangement::Grey;
            self.layout.differences = false;
        }
        Some(self)
    }

    /// Lines in the piece that begins so many bytes into the value; 0 when no whole line is left.
    fn lines(&self, inside: u64) -> u16 {
        let (rows, line_bytes) = (u64::from(self.rows), self.layout.line_bytes());
        let at = inside / line_bytes;
        let left = (self.length / line_bytes).saturating_sub(at);
        let lines = if self.layout.arrangement == Arrangement::Planes {
            // The planes of a frame belong together.
            if left < rows { 0 } else { rows }
        } else if self.frame_bytes() > PIECE_BYTES {
            // Strips of equal height.
            let strips = self.frame_bytes().div_ceil(PIECE_BYTES);
            let strip = rows.div_ceil(strips);
            strip.min(PIECE_BYTES / line_bytes).min(rows - at % rows).min(left)
        } else {
            // One frame, or several small ones under each other.
            let group = rows * (STACK_BYTES / self.frame_bytes()).max(1);
            (group - at % group).min(left)
        };
        let most = match self.layout.arrangement {
            Arrangement::Pixels => u16::MAX / 3,
            _ => u16::MAX,
        };
        u16::try_from(lines).unwrap_or(u16::MAX).min(most)
    }

    fn frame_bytes(&self) -> u64 {
        self.layout.line_bytes() * u64::from(self.rows)
    }
}

impl Arrangement {
    fn is_colour(self) -> bool {
        matches!(self, Self::Pixels | Self::Planes)
    }
}

fn plain(bytes: u64) -> Cut {
    Cut { bytes, lines: None }
}

/// Frames smaller than this are coded together, so that the coder has something to learn from.
const STACK_BYTES: u64 = 256 << 10;
/// Colour frames by plane smaller than this are not coded one by one.
const LEAST_PLANES_BYTES: u64 = 4 << 10;

const SAMPLES_PER_PIXEL: Tag = Tag(0x0028, 0x0002);
const PHOTOMETRIC_INTERPRETATION: Tag = Tag(0x0028, 0x0004);
const PLANAR_CONFIGURATION: Tag = Tag(0x0028, 0x0006);
const ROWS: Tag = Tag(0x0028, 0x0010);
const COLUMNS: Tag = Tag(0x0028, 0x0011);
const BITS_ALLOCATED: Tag = Tag(0x0028, 0x0100);
const PIXEL_REPRESENTATION: Tag = Tag(0x0028, 0x0103);
const PIXEL_DATA: Tag = Tag(0x7FE0, 0x0010);
