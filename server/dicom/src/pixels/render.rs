//! A frame as a picture of eight bits that any browser shows: what the header says about values, window, palette and
//! colours is applied (PS3.4 N.2), then it is brought to size.

use std::io::Cursor;

use dicom_core::Tag;
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::imageops::{self, FilterType};
use image::{ExtendedColorType, GrayImage, ImageEncoder as _, RgbImage};

use super::table::{Interest, Modality, palette};
use super::{Decoded, Image, Numbers, Photometric, PixelError};
use crate::elements::Elements;

/// How values between black and white become shades (PS3.3 C.11.2.1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Curve {
    /// A straight line, with the half and the one of the standard.
    Linear,
    /// A straight line without them.
    LinearExact,
    /// An S.
    Sigmoid,
}

/// Which values lie between black and white.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Window {
    /// The middle.
    pub center: f64,
    /// The width, above 0.
    pub width: f64,
    /// What lies between.
    pub curve: Curve,
}

impl Window {
    /// The shade of a value, from 0 to 1.
    pub(super) fn apply(&self, value: f64) -> f64 {
        let (center, width) = (self.center, self.width);
        match self.curve {
            Curve::Linear if width > 1.0 => {
                ((value - (center - 0.5)) / (width - 1.0) + 0.5).clamp(0.0, 1.0)
            }
            Curve::Linear => f64::from(u8::from(value > center - 0.5)),
            Curve::LinearExact => ((value - center) / width + 0.5).clamp(0.0, 1.0),
            Curve::Sigmoid => 1.0 / (1.0 + (-4.0 * (value - center) / width).exp()),
        }
    }
}

/// How a frame is to look.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Look {
    /// This window instead of the header's.
    pub window: Option<Window>,
    /// The picture fits into this width and height, and fills one of them.
    pub size: Option<(u32, u32)>,
}

/// A picture of eight bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Picture {
    /// Shades.
    Grey(GrayImage),
    /// Colours.
    Colour(RgbImage),
}

/// The longest side of a picture, in pixels.
pub const SIDE: u32 = 8192;

/// Makes the picture of a frame, counted from 0.
pub fn render(
    header: &Elements,
    image: &Image,
    frame: &Decoded,
    number: u32,
    look: &Look,
) -> Result<Picture, PixelError> {
    let picture = match frame.photometric {
        _ if image.samples == 3 => colours(image, frame)?,
        Photometric::Palette => paletted(header, image, frame)?,
        _ => shades(header, image, frame, number, look.window)?,
    };
    Ok(match look.size {
        Some(size) => picture.fitted(size),
        None => picture,
    })
}

impl Picture {
    fn size(&self) -> (u32, u32) {
        match self {
            Self::Grey(picture) => picture.dimensions(),
            Self::Colour(picture) => picture.dimensions(),
        }
    }

    fn fitted(self, (width, height): (u32, u32)) -> Self {
        let (own_width, own_height) = self.size();
        let (width, height) = (width.clamp(1, SIDE), height.clamp(1, SIDE));
        let ratio = f64::from(width) / f64::from(own_width);
        let ratio = ratio.min(f64::from(height) / f64::from(own_height));
        let side = |own: u32| ((f64::from(own) * ratio).round() as u32).clamp(1, SIDE);
        let (width, height) = (side(own_width), side(own_height));
        if (width, height) == (own_width, own_height) {
            return self;
        }
        match self {
            Self::Grey(picture) if ratio < 1.0 => {
                Self::Grey(imageops::thumbnail(&picture, width, height))
            }
            Self::Colour(picture) if ratio < 1.0 => {
                Self::Colour(imageops::thumbnail(&picture, width, height))
            }
            Self::Grey(picture) => {
                Self::Grey(imageops::resize(&picture, width, height, FilterType::Triangle))
            }
            Self::Colour(picture) => {
                Self::Colour(imageops::resize(&picture, width, height, FilterType::Triangle))
            }
        }
    }

    /// The picture as JPEG; `quality` from 1 to 100.
    pub fn jpeg(&self, quality: u8) -> Result<Vec<u8>, PixelError> {
        let mut file = Vec::new();
        let mut encoder = JpegEncoder::new_with_quality(&mut file, quality.clamp(1, 100));
        let (width, height) = self.size();
        let (bytes, colour) = self.raw();
        encoder.encode(bytes, width, height, colour).map_err(|_| TOO_LARGE)?;
        Ok(file)
    }

    /// The picture as PNG.
    pub fn png(&self) -> Result<Vec<u8>, PixelError> {
        let mut file = Cursor::new(Vec::new());
        let (width, height) = self.size();
        let (bytes, colour) = self.raw();
        let encoder = PngEncoder::new(&mut file);
        encoder.write_image(bytes, width, height, colour).map_err(|_| TOO_LARGE)?;
        Ok(file.into_inner())
    }

    fn raw(&self) -> (&[u8], ExtendedColorType) {
        match self {
            Self::Grey(picture) => (picture.as_raw(), ExtendedColorType::L8),
            Self::Colour(picture) => (picture.as_raw(), ExtendedColorType::Rgb8),
        }
    }
}

/// The stored values of a frame of one sample, one after the other.
fn stored<'a>(image: &Image, frame: &'a Decoded) -> Box<dyn Iterator<Item = f64> + 'a> {
    let bytes = &frame.bytes;
    match (image.numbers, image.allocated) {
        (Numbers::Float, _) => Box::new(
            bytes
                .chunks_exact(4)
                .map(|four| f64::from(f32::from_le_bytes([four[0], four[1], four[2], four[3]]))),
        ),
        (Numbers::Double, _) => Box::new(
            bytes.chunks_exact(8).map(|raw| f64::from_le_bytes(raw.try_into().unwrap_or([0; 8]))),
        ),
        (Numbers::Integer, 1) => {
            let bit = |byte: &u8, at: u32| f64::from(byte >> at & 1);
            Box::new(bytes.iter().flat_map(move |byte| (0..8).map(move |at| bit(byte, at))))
        }
        (Numbers::Integer, allocated) => {
            let size = usize::from(allocated / 8);
            let (high, bits) = (u32::from(image.high), u32::from(image.stored));
            let signed = image.signed;
            Box::new(bytes.chunks_exact(size).map(move |raw| {
                let mut eight = [0; 8];
                eight[..raw.len()].copy_from_slice(raw);
                meaning(u64::from_le_bytes(eight), high, bits, signed)
            }))
        }
    }
}

/// The number that a sample stands for.
fn meaning(raw: u64, high: u32, bits: u32, signed: bool) -> f64 {
    let shifted = raw >> (high + 1).saturating_sub(bits);
    let above = 64 - bits.clamp(1, 64);
    let clean = shifted << above;
    if signed { ((clean as i64) >> above) as f64 } else { (clean >> above) as f64 }
}

fn shades(
    header: &Elements,
    image: &Image,
    frame: &Decoded,
    number: u32,
    window: Option<Window>,
) -> Result<Picture, PixelError> {
    let modality = Modality::of(header, number, image.signed);
    let interest = match window {
        Some(window) => Interest::Window(window),
        None => Interest::of(header, number, image.signed, &modality)
            .unwrap_or_else(|| everything(header, image, frame, &modality)),
    };
    let inverse = header.text(PRESENTATION_SHAPE).as_deref() == Some("INVERSE")
        || (frame.photometric == Photometric::Monochrome1
            && header.get(PRESENTATION_SHAPE).is_none());
    let shade = |value: f64| {
        let shade = interest.apply(modality.apply(value));
        let shade = if inverse { 1.0 - shade } else { shade };
        // A value that is no number is black.
        (shade * 255.0).round() as u8
    };
    let pixels = usize::try_from(image.pixels()).map_err(|_| PixelError::TooLarge)?;
    let shades: Vec<u8> = if image.numbers == Numbers::Integer && image.allocated == 16 {
        // There are fewer different values than pixels.
        let (high, bits) = (u32::from(image.high), u32::from(image.stored));
        let value = |raw: u16| meaning(u64::from(raw), high, bits, image.signed);
        let table: Vec<u8> = (0..=u16::MAX).map(|raw| shade(value(raw))).collect();
        let words = frame.bytes.chunks_exact(2);
        words.map(|pair| table[usize::from(u16::from_le_bytes([pair[0], pair[1]]))]).collect()
    } else {
        stored(image, frame).take(pixels).map(shade).collect()
    };
    let picture = GrayImage::from_raw(image.columns, image.rows, shades);
    picture.map(Picture::Grey).ok_or(SHORT)
}

/// A window over all values of the frame but the padding.
fn everything(header: &Elements, image: &Image, frame: &Decoded, modality: &Modality) -> Interest {
    let padding = |tag| {
        let word = header.word(tag)?;
        Some(if image.signed { f64::from(word as i16) } else { f64::from(word) })
    };
    let from = padding(PADDING);
    let to = padding(PADDING_LIMIT).or(from);
    let padded = |value: f64| match (from, to) {
        (Some(from), Some(to)) => value >= from.min(to) && value <= from.max(to),
        _ => false,
    };
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for value in stored(image, frame).filter(|value| value.is_finite() && !padded(*value)) {
        low = low.min(value);
        high = high.max(value);
    }
    let (one, other) = (modality.apply(low), modality.apply(high));
    let (low, high) = (one.min(other), one.max(other));
    let sound = low.is_finite() && high > low;
    let (center, width) = if sound { ((low + high) / 2.0, high - low) } else { (0.5, 1.0) };
    Interest::Window(Window { center, width, curve: Curve::LinearExact })
}

fn paletted(header: &Elements, image: &Image, frame: &Decoded) -> Result<Picture, PixelError> {
    let tables = palette(header)?;
    let pixels = usize::try_from(image.pixels()).map_err(|_| PixelError::TooLarge)?;
    let colours = stored(image, frame).take(pixels).flat_map(|value| {
        let colour = |at: usize| tables[at].get(value).to_le_bytes()[0];
        [colour(0), colour(1), colour(2)]
    });
    let picture = RgbImage::from_raw(image.columns, image.rows, colours.collect());
    picture.map(Picture::Colour).ok_or(SHORT)
}

fn colours(image: &Image, frame: &Decoded) -> Result<Picture, PixelError> {
    let eight: Vec<u8> = match image.allocated {
        8 => frame.bytes.to_vec(),
        16 => {
            let down = image.stored.saturating_sub(8);
            let words = frame.bytes.chunks_exact(2);
            words
                .map(|pair| (u16::from_le_bytes([pair[0], pair[1]]) >> down).min(255) as u8)
                .collect()
        }
        32 if image.numbers == Numbers::Integer => {
            let down = u32::from(image.stored.saturating_sub(8));
            let words = frame.bytes.chunks_exact(4);
            let value = |four: &[u8]| u32::from_le_bytes([four[0], four[1], four[2], four[3]]);
            words.map(|four| (value(four) >> down).min(255) as u8).collect()
        }
        _ => return Err(PixelError::Unsupported("colours of this depth")),
    };
    let pixels = usize::try_from(image.pixels()).map_err(|_| PixelError::TooLarge)?;
    let mut colours = match frame.photometric {
        // Two luminances, then the chrominances that they share.
        Photometric::YbrFull422 if eight.len() == pixels * 2 => {
            eight.chunks_exact(4).flat_map(|q| [q[0], q[2], q[3], q[1], q[2], q[3]]).collect()
        }
        _ if frame.planar => {
            let plane = |at: usize| eight.get(at * pixels..(at + 1) * pixels).ok_or(SHORT);
            let (one, two, three) = (plane(0)?, plane(1)?, plane(2)?);
            let together = one.iter().zip(two).zip(three);
            together.flat_map(|((one, two), three)| [*one, *two, *three]).collect()
        }
        _ => eight,
    };
    match frame.photometric {
        Photometric::YbrFull | Photometric::YbrFull422 => {
            colours.chunks_exact_mut(3).for_each(from_ybr);
        }
        Photometric::Rgb | Photometric::YbrCoded => {}
        _ => return Err(PixelError::Unsupported("this photometric interpretation")),
    }
    colours.truncate(pixels * 3);
    RgbImage::from_raw(image.columns, image.rows, colours).map(Picture::Colour).ok_or(SHORT)
}

/// YBR_FULL to RGB (PS3.3 C.7.6.3.1.2).
fn from_ybr(pixel: &mut [u8]) {
    let [y, b, r] = [pixel[0], pixel[1], pixel[2]].map(f32::from);
    let (b, r) = (b - 128.0, r - 128.0);
    let colours = [y + 1.402 * r, y - 0.344_136 * b - 0.714_136 * r, y + 1.772 * b];
    for (place, colour) in pixel.iter_mut().zip(colours) {
        *place = colour.round().clamp(0.0, 255.0) as u8;
    }
}

const SHORT: PixelError = PixelError::Damaged("fewer bytes than pixels");
const TOO_LARGE: PixelError = PixelError::TooLarge;
const PADDING: Tag = Tag(0x0028, 0x0120);
const PADDING_LIMIT: Tag = Tag(0x0028, 0x0121);
const PRESENTATION_SHAPE: Tag = Tag(0x2050, 0x0020);
