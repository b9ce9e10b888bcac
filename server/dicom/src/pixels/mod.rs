//! Pixel data: where the frames of an instance lie, what is in them, and how they look.
//!
//! Everything here works on one frame that is in memory and says what it refuses. Sizes are checked against the
//! header before a codec sees a byte, and a codec that panics has refused the frame. Decoding takes time: call it off
//! the async threads.

mod codec;
mod dct;
mod decode;
mod encode;
mod frames;
mod render;
mod rle;
mod table;

use dicom_core::Tag;
use thiserror::Error;

pub use self::decode::{Decoded, decode};
pub use self::encode::{jpeg_ls, losslessly_codable};
pub use self::frames::{Locator, Place, Places, unframed};
pub use self::render::{Curve, Look, Picture, Window, render};

use crate::elements::{Elements, PixelElement};

/// Bytes of one decoded frame.
pub const FRAME_BYTES: u64 = 512 << 20;
/// Frames of one instance.
pub const FRAMES: u32 = 200_000;

/// Why a frame cannot be had. The variant is the decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PixelError {
    /// The instance has no image.
    #[error("the instance has no pixel data")]
    NoPixels,
    /// There is no frame of that number.
    #[error("the instance has {0} frames")]
    NoSuchFrame(u32),
    /// This cannot be decoded here; the stored frame can still be had.
    #[error("not supported: {0}")]
    Unsupported(&'static str),
    /// Larger than [`FRAME_BYTES`] or [`FRAMES`].
    #[error("the image is too large")]
    TooLarge,
    /// The pixel data contradicts its header or itself.
    #[error("the pixel data is damaged: {0}")]
    Damaged(&'static str),
}

/// What the numbers of a pixel mean (PS3.3 C.7.6.3.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Photometric {
    /// The lowest value is white.
    Monochrome1,
    /// The lowest value is black.
    Monochrome2,
    /// Numbers of colours in a table.
    Palette,
    /// Red, green, blue.
    Rgb,
    /// Luminance and two chrominances.
    YbrFull,
    /// The same; two pixels share their chrominances.
    YbrFull422,
    /// What JPEG 2000 makes of red, green and blue.
    YbrCoded,
    /// Something else.
    Other,
}

/// How numbers are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Numbers {
    /// Integers.
    Integer,
    /// IEEE 754, 32 bits.
    Float,
    /// IEEE 754, 64 bits.
    Double,
}

/// What a header says of its pixel data (PS3.3 C.7.6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Image {
    /// Rows of a frame.
    pub rows: u32,
    /// Columns of a frame.
    pub columns: u32,
    /// Samples of a pixel: 1 or 3.
    pub samples: u16,
    /// Frames.
    pub frames: u32,
    /// Bits that a sample takes: 1, 8, 16, 32 or 64.
    pub allocated: u16,
    /// Bits of a sample that mean something.
    pub stored: u16,
    /// The most significant of them.
    pub high: u16,
    /// Samples are two's complement.
    pub signed: bool,
    /// What they mean.
    pub photometric: Photometric,
    /// Colours come plane by plane instead of pixel by pixel.
    pub planar: bool,
    /// How they are written.
    pub numbers: Numbers,
    /// 16 bit words come most significant byte first.
    pub big_endian: bool,
    /// The value representation is OW: in big endian, two samples of eight bits are swapped.
    pub words: bool,
}

impl Image {
    /// Reads what the header says; refuses what cannot be.
    pub fn describe(header: &Elements, pixels: Option<&PixelElement>) -> Result<Self, PixelError> {
        let pixels = pixels.ok_or(PixelError::NoPixels)?;
        let numbers = match pixels.tag {
            Tag(0x7FE0, 0x0008) => Numbers::Float,
            Tag(0x7FE0, 0x0009) => Numbers::Double,
            _ => Numbers::Integer,
        };
        let word = |tag| header.word(tag);
        let size = |tag| word(tag).filter(|size| *size > 0).map(u32::from);
        let rows = size(ROWS).ok_or(PixelError::Damaged("no rows"))?;
        let columns = size(COLUMNS).ok_or(PixelError::Damaged("no columns"))?;
        let samples = word(SAMPLES).unwrap_or(1);
        let allocated = match numbers {
            Numbers::Integer => word(ALLOCATED).unwrap_or(16),
            Numbers::Float => 32,
            Numbers::Double => 64,
        };
        if !matches!(samples, 1 | 3) || !matches!(allocated, 1 | 8 | 16 | 32 | 64) {
            return Err(PixelError::Unsupported("samples per pixel or bits allocated"));
        }
        let stored = word(STORED).unwrap_or(allocated).clamp(1, allocated);
        let high = word(HIGH).unwrap_or(stored - 1).clamp(stored - 1, allocated - 1);
        let frames = header.decimals(FRAMES_TAG).first().map_or(1.0, |frames| frames.max(1.0));
        if frames > f64::from(FRAMES) {
            return Err(PixelError::TooLarge);
        }
        let image = Self {
            rows,
            columns,
            samples,
            frames: frames as u32,
            allocated,
            stored,
            high,
            signed: word(REPRESENTATION) == Some(1),
            photometric: photometric(header, samples),
            planar: samples == 3 && word(PLANAR) == Some(1),
            numbers,
            big_endian: header.big_endian,
            words: pixels.vr == dicom_core::VR::OW,
        };
        if image.decoded_bytes() > FRAME_BYTES {
            return Err(PixelError::TooLarge);
        }
        Ok(image)
    }

    /// Pixels of a frame.
    pub fn pixels(&self) -> u64 {
        u64::from(self.rows) * u64::from(self.columns)
    }

    /// Bytes of a sample; 1 for a single bit.
    pub fn sample_bytes(&self) -> usize {
        usize::from(self.allocated.div_ceil(8))
    }

    /// Samples of eight bits stand in words of big endian, and so in each other's places (PS3.5 8.1.2).
    pub fn swaps_bytes(&self) -> bool {
        self.big_endian && self.words && self.allocated == 8
    }

    /// Bits of a frame that is not compressed.
    pub fn frame_bits(&self) -> u64 {
        match self.photometric {
            Photometric::YbrFull422 if self.samples == 3 => {
                self.pixels() * 2 * u64::from(self.allocated)
            }
            _ => self.pixels() * u64::from(self.samples) * u64::from(self.allocated),
        }
    }

    /// Bytes of a frame after decoding, every sample in whole bytes.
    pub fn decoded_bytes(&self) -> u64 {
        self.pixels() * u64::from(self.samples) * self.sample_bytes() as u64
    }
}

fn photometric(header: &Elements, samples: u16) -> Photometric {
    let text = header.text(PHOTOMETRIC).unwrap_or_default();
    match text.as_str() {
        "MONOCHROME1" => Photometric::Monochrome1,
        "MONOCHROME2" => Photometric::Monochrome2,
        "PALETTE COLOR" => Photometric::Palette,
        "RGB" => Photometric::Rgb,
        "YBR_FULL" => Photometric::YbrFull,
        "YBR_FULL_422" => Photometric::YbrFull422,
        "YBR_ICT" | "YBR_RCT" => Photometric::YbrCoded,
        _ if samples == 1 => Photometric::Monochrome2,
        "" => Photometric::Rgb,
        _ => Photometric::Other,
    }
}

const SAMPLES: Tag = Tag(0x0028, 0x0002);
const PHOTOMETRIC: Tag = Tag(0x0028, 0x0004);
const PLANAR: Tag = Tag(0x0028, 0x0006);
const FRAMES_TAG: Tag = Tag(0x0028, 0x0008);
const ROWS: Tag = Tag(0x0028, 0x0010);
const COLUMNS: Tag = Tag(0x0028, 0x0011);
const ALLOCATED: Tag = Tag(0x0028, 0x0100);
const STORED: Tag = Tag(0x0028, 0x0101);
const HIGH: Tag = Tag(0x0028, 0x0102);
const REPRESENTATION: Tag = Tag(0x0028, 0x0103);
