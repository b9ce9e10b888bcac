//! From a stored frame to samples as they are without compression: little endian, each in the bits allocated to it.

use bytes::Bytes;

use super::codec::{self, Samples};
use super::{Image, Numbers, Photometric, PixelError, rle};

/// A frame without compression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded {
    /// Samples in little endian order.
    pub bytes: Bytes,
    /// Colours come plane by plane.
    pub planar: bool,
    /// What they mean now: compression of colours ends with it.
    pub photometric: Photometric,
}

/// How a transfer syntax codes its pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    Native,
    Rle,
    Jpeg,
    JpegLs,
    Jpeg2000,
}

fn coding(syntax: &str) -> Option<Coding> {
    Some(match syntax {
        "1.2.840.10008.1.2"
        | "1.2.840.10008.1.2.1"
        | "1.2.840.10008.1.2.2"
        | "1.2.840.10008.1.2.1.98"
        | "1.2.840.10008.1.2.1.99" => Coding::Native,
        "1.2.840.10008.1.2.5" => Coding::Rle,
        "1.2.840.10008.1.2.4.50"
        | "1.2.840.10008.1.2.4.51"
        | "1.2.840.10008.1.2.4.53"
        | "1.2.840.10008.1.2.4.55"
        | "1.2.840.10008.1.2.4.57"
        | "1.2.840.10008.1.2.4.70" => Coding::Jpeg,
        "1.2.840.10008.1.2.4.80" | "1.2.840.10008.1.2.4.81" => Coding::JpegLs,
        "1.2.840.10008.1.2.4.90" | "1.2.840.10008.1.2.4.91" => Coding::Jpeg2000,
        _ => return None,
    })
}

/// Decodes one stored frame. `shift` is [`super::Place::shift`] of its place.
pub fn decode(
    image: &Image,
    syntax: &str,
    stored: &Bytes,
    shift: u8,
) -> Result<Decoded, PixelError> {
    let coding = coding(syntax).ok_or(PixelError::Unsupported("this transfer syntax"))?;
    if coding == Coding::Native {
        return native(image, stored, shift);
    }
    if image.numbers != Numbers::Integer || !matches!(image.allocated, 8 | 16 | 32) {
        return Err(PixelError::Unsupported("bits allocated under compression"));
    }
    let pixels = usize::try_from(image.pixels()).map_err(|_| PixelError::TooLarge)?;
    let samples = match coding {
        Coding::Rle => {
            let size = image.sample_bytes();
            let bytes = rle::decode(stored, pixels, usize::from(image.samples), size)?;
            let photometric = image.photometric;
            return Ok(Decoded { bytes: bytes.into(), planar: false, photometric });
        }
        Coding::Jpeg => codec::jpeg(image, stored)?,
        Coding::JpegLs => codec::jpeg_ls(image, stored)?,
        Coding::Jpeg2000 | Coding::Native => codec::jpeg_2000(image, stored)?,
    };
    if samples.values.len() != pixels * usize::from(image.samples) {
        return Err(PixelError::Damaged("the compressed image has another size"));
    }
    Ok(allocate(image, samples))
}

/// Puts samples of 16 bits into the bits allocated to them.
fn allocate(image: &Image, samples: Samples) -> Decoded {
    let values = samples.values.iter();
    let bytes: Vec<u8> = match image.allocated {
        8 => values.map(|value| value.to_le_bytes()[0]).collect(),
        16 => values.flat_map(|value| value.to_le_bytes()).collect(),
        _ => values
            .flat_map(|value| {
                let wide = if image.signed { i32::from(*value as i16) } else { i32::from(*value) };
                wide.to_le_bytes()
            })
            .collect(),
    };
    Decoded { bytes: bytes.into(), planar: samples.planar, photometric: samples.photometric }
}

fn native(image: &Image, stored: &Bytes, shift: u8) -> Result<Decoded, PixelError> {
    let length = usize::try_from(image.frame_bits().div_ceil(8));
    let length = length.map_err(|_| PixelError::TooLarge)?;
    let short = PixelError::Damaged("fewer bytes than pixels");
    let photometric = image.photometric;
    let done = |bytes| Decoded { bytes, planar: image.planar, photometric };
    if image.allocated == 1 {
        let needed = (image.frame_bits() + u64::from(shift)).div_ceil(8);
        if (stored.len() as u64) < needed {
            return Err(short);
        }
        return Ok(done(aligned(stored, shift, length)));
    }
    let skipped = usize::from(shift) / 8;
    if stored.len() < skipped + length {
        return Err(short);
    }
    if !image.big_endian {
        return Ok(done(stored.slice(skipped..skipped + length)));
    }
    let size = if image.swaps_bytes() { 2 } else { image.sample_bytes() };
    let mut bytes = stored.to_vec();
    if size > 1 {
        bytes.chunks_exact_mut(size).for_each(<[u8]>::reverse);
    }
    Ok(done(Bytes::from(bytes).slice(skipped..skipped + length)))
}

/// Single bits, moved so that the frame begins with a byte.
fn aligned(stored: &Bytes, shift: u8, length: usize) -> Bytes {
    if shift == 0 {
        return stored.slice(..length.min(stored.len()));
    }
    let byte = |at: usize| u16::from(stored.get(at).copied().unwrap_or(0));
    let moved = (0..length).map(|at| ((byte(at) | (byte(at + 1) << 8)) >> shift) as u8);
    moved.collect::<Vec<u8>>().into()
}
