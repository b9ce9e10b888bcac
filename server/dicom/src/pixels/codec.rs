//! The codecs of others, each told what size to expect before it decodes.

use std::panic::{AssertUnwindSafe, catch_unwind};

use charls::CharLS;
use hayro_jpeg2000::{DecodeSettings, DecoderContext, Image as Jpeg2000};
use jpeg_decoder::{ColorTransform, Decoder, PixelFormat};

use super::{Image, Photometric, PixelError, dct};

/// Samples as a codec gives them: 16 bits each, whatever their depth.
pub(super) struct Samples {
    pub values: Vec<u16>,
    /// Colours plane by plane.
    pub planar: bool,
    pub photometric: Photometric,
}

/// A panic of a codec is a refusal of the frame.
fn guarded<T>(decode: impl FnOnce() -> Result<T, PixelError>) -> Result<T, PixelError> {
    catch_unwind(AssertUnwindSafe(decode)).unwrap_or(Err(PixelError::Damaged("the codec gave up")))
}

/// JPEG (ISO/IEC 10918): baseline, extended with 8 or 12 bits, progressive, lossless.
pub(super) fn jpeg(image: &Image, stored: &[u8]) -> Result<Samples, PixelError> {
    guarded(|| {
        if dct::is_twelve_bit(stored) {
            let values = dct::decode(stored, image.columns, image.rows, image.samples)?;
            return Ok(Samples { values, planar: false, photometric: image.photometric });
        }
        let mut decoder = Decoder::new(stored);
        decoder.read_info().map_err(|_| DAMAGED_JPEG)?;
        let info = decoder.info().ok_or(DAMAGED_JPEG)?;
        let (channels, bytes) = match info.pixel_format {
            PixelFormat::L8 => (1, 1),
            PixelFormat::L16 => (1, 2),
            PixelFormat::RGB24 => (3, 1),
            PixelFormat::CMYK32 => return Err(PixelError::Unsupported("four components")),
        };
        fits(image, u32::from(info.width), u32::from(info.height), channels)?;
        // What is coded is told by the header of DICOM; markers of JPEG often say nothing or wrong.
        let mut photometric = image.photometric;
        if channels == 3 {
            let ybr = matches!(photometric, Photometric::YbrFull | Photometric::YbrFull422);
            let transform = if ybr { ColorTransform::YCbCr } else { ColorTransform::RGB };
            decoder.set_color_transform(transform);
            photometric = if ybr { Photometric::Rgb } else { photometric };
        }
        decoder.set_max_decoding_buffer_size(usize::try_from(super::FRAME_BYTES).unwrap_or(0));
        let decoded = decoder.decode().map_err(|error| match error {
            jpeg_decoder::Error::Unsupported(_) => PixelError::Unsupported("this kind of JPEG"),
            _ => DAMAGED_JPEG,
        })?;
        Ok(Samples { values: wide(&decoded, bytes == 2), planar: false, photometric })
    })
}

/// JPEG-LS (ISO/IEC 14495-1).
pub(super) fn jpeg_ls(image: &Image, stored: &[u8]) -> Result<Samples, PixelError> {
    let info = CharLS::default().get_frame_info(stored).map_err(|_| DAMAGED_JPEG_LS)?;
    fits(image, info.width, info.height, u16::try_from(info.component_count).unwrap_or(0))?;
    if !(2..=16).contains(&info.bits_per_sample) {
        return Err(PixelError::Unsupported("this depth of JPEG-LS"));
    }
    let decoded = CharLS::default().decode(stored).map_err(|_| DAMAGED_JPEG_LS)?;
    Ok(Samples {
        values: wide(&decoded, info.bits_per_sample > 8),
        planar: image.samples == 3 && interleave(stored) == Some(0),
        photometric: image.photometric,
    })
}

/// How the components of a JPEG-LS stream are interleaved: 0 none, 1 by line, 2 by sample.
fn interleave(stream: &[u8]) -> Option<u8> {
    let mut at = 2;
    loop {
        let head = stream.get(at..at + 4)?;
        let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
        match head {
            [0xFF, 0xFF, ..] => at += 1,
            [0xFF, 0xDA, ..] => {
                let components = usize::from(*stream.get(at + 4)?);
                return stream.get(at + 5 + components * 2 + 1).copied();
            }
            [0xFF, ..] => at += 2 + length.max(2),
            _ => return None,
        }
    }
}

/// JPEG 2000 (ISO/IEC 15444-1).
pub(super) fn jpeg_2000(image: &Image, stored: &[u8]) -> Result<Samples, PixelError> {
    guarded(|| {
        let settings =
            DecodeSettings { resolve_palette_indices: false, ..DecodeSettings::default() };
        let coded = Jpeg2000::new(stored, &settings).map_err(|_| DAMAGED_JPEG_2000)?;
        let channels = u16::from(coded.color_space().num_channels());
        fits(image, coded.width(), coded.height(), channels)?;
        let mut context = DecoderContext::default();
        let decoded = coded.decode(&mut context).map_err(|_| DAMAGED_JPEG_2000)?;
        let components = decoded.components();
        let pixels = usize::try_from(image.pixels()).map_err(|_| PixelError::TooLarge)?;
        if components.len() < usize::from(image.samples)
            || components.iter().any(|component| component.samples().len() != pixels)
        {
            return Err(PixelError::Unsupported("subsampled JPEG 2000"));
        }
        let signed = signed_components(stored);
        let mut values = vec![0; pixels * usize::from(image.samples)];
        let step = usize::from(image.samples);
        for (channel, component) in components.iter().take(step).enumerate() {
            let depth = u32::from(component.bit_depth().clamp(1, 16));
            // The codec shifts signed components as if they were not.
            let (low, high, back) = match signed {
                true => (0.0, ((1u32 << depth) - 1) as f32, 1i32 << (depth - 1)),
                false => (0.0, ((1u32 << depth) - 1) as f32, 0),
            };
            let into = values.iter_mut().skip(channel).step_by(step);
            for (value, sample) in into.zip(component.samples()) {
                *value = (sample.round().clamp(low, high) as i32 - back) as u16;
            }
        }
        let photometric = match image.photometric {
            Photometric::YbrCoded => Photometric::Rgb,
            other => other,
        };
        Ok(Samples { values, planar: false, photometric })
    })
}

/// Whether the first component of a codestream is signed (Ssiz, ISO/IEC 15444-1 A.5.1).
fn signed_components(stream: &[u8]) -> bool {
    let start = stream.windows(4).position(|four| four == [0xFF, 0x4F, 0xFF, 0x51]);
    start.and_then(|start| stream.get(start + 42)).is_some_and(|ssiz| ssiz & 0x80 != 0)
}

/// A stream must be of the size that the header says.
fn fits(image: &Image, width: u32, height: u32, channels: u16) -> Result<(), PixelError> {
    if (width, height) != (image.columns, image.rows) {
        return Err(PixelError::Damaged("the compressed image has another size"));
    }
    if channels != image.samples {
        return Err(PixelError::Damaged("the compressed image has other components"));
    }
    Ok(())
}

/// Samples of a byte or of two in the machine's order.
fn wide(decoded: &[u8], two: bool) -> Vec<u16> {
    if two {
        decoded.chunks_exact(2).map(|pair| u16::from_ne_bytes([pair[0], pair[1]])).collect()
    } else {
        decoded.iter().map(|byte| u16::from(*byte)).collect()
    }
}

const DAMAGED_JPEG: PixelError = PixelError::Damaged("JPEG");
const DAMAGED_JPEG_LS: PixelError = PixelError::Damaged("JPEG-LS");
const DAMAGED_JPEG_2000: PixelError = PixelError::Damaged("JPEG 2000");
