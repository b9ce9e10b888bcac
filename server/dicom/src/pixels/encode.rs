//! Lossless JPEG-LS of a frame that is not compressed: the same samples in fewer bytes.
//!
//! Samples are coded as they are stored. Signed ones are coded as two's complement in all bits that are allocated, so
//! that whoever decodes them need not know how many of them are stored; the metadata says that they are signed.

use charls::{CharLS, FrameInfo, InterleaveMode};

use super::{Decoded, Image, Numbers, Photometric, PixelError};

/// Whether [`jpeg_ls`] can code frames of this image.
pub fn losslessly_codable(image: &Image) -> bool {
    image.numbers == Numbers::Integer
        && matches!(image.allocated, 8 | 16)
        // The values of the bits above would be lost.
        && image.high + 1 == image.stored
        && image.rows <= u32::from(u16::MAX)
        && image.columns <= u32::from(u16::MAX)
        && (image.samples == 1 || image.photometric != Photometric::YbrFull422)
}

/// Codes one frame.
pub fn jpeg_ls(image: &Image, frame: &Decoded) -> Result<Vec<u8>, PixelError> {
    if !losslessly_codable(image) {
        return Err(PixelError::Unsupported("JPEG-LS of these pixels"));
    }
    if frame.bytes.len() as u64 != image.decoded_bytes() {
        return Err(PixelError::Damaged("fewer bytes than pixels"));
    }
    // Who allocates two bytes gets two bytes back from any decoder.
    let bits = match (image.signed, image.allocated) {
        (true, allocated) => allocated,
        (false, 16) => image.stored.max(9),
        (false, _) => image.stored.max(2),
    };
    let info = FrameInfo {
        width: image.columns,
        height: image.rows,
        bits_per_sample: i32::from(bits),
        component_count: i32::from(image.samples),
    };
    let mut codec = CharLS::default();
    let mode = match (image.samples, frame.planar) {
        (1, _) | (_, true) => InterleaveMode::None,
        _ => InterleaveMode::Sample,
    };
    codec.set_interleave_mode(mode).map_err(|_| FAILED)?;
    codec.encode(info, 0, &samples(image, &frame.bytes)).map_err(|_| FAILED)
}

/// The samples as the coder takes them: a byte each up to 8 bits, else two in the machine's order; above the bits
/// that are stored nothing but the sign.
fn samples(image: &Image, bytes: &[u8]) -> Vec<u8> {
    let above = 16 - image.stored;
    if image.allocated == 8 {
        let clean = |byte: u8| clean(u16::from(byte), image.signed, above).to_le_bytes()[0];
        return bytes.iter().map(|byte| clean(*byte)).collect();
    }
    let words = bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
    words.flat_map(|word| clean(word, image.signed, above).to_ne_bytes()).collect()
}

fn clean(word: u16, signed: bool, above: u16) -> u16 {
    let word = word << above;
    if signed { ((word as i16) >> above) as u16 } else { word >> above }
}

const FAILED: PixelError = PixelError::Unsupported("JPEG-LS of these pixels");
