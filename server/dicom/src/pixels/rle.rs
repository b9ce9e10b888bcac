//! RLE Lossless (PS3.5 G): a header of segment offsets, and a segment for every byte of every sample.

use super::PixelError;

/// Decodes a frame to samples in little endian order, colours pixel by pixel.
pub(super) fn decode(
    stored: &[u8],
    pixels: usize,
    samples: usize,
    sample_bytes: usize,
) -> Result<Vec<u8>, PixelError> {
    let word = |at: usize| {
        let four = stored.get(at * 4..at * 4 + 4)?;
        Some(u32::from_le_bytes([four[0], four[1], four[2], four[3]]) as usize)
    };
    let count = samples * sample_bytes;
    if word(0) != Some(count) || count > 15 || stored.len() < HEADER_BYTES {
        return Err(PixelError::Damaged("RLE header"));
    }
    // Two bytes become 128 at most: memory is not taken for a claim.
    if pixels.saturating_mul(count) / 64 > stored.len() {
        return Err(PixelError::Damaged("RLE segment ends too early"));
    }
    let mut decoded = vec![0; pixels * count];
    for segment in 0..count {
        let start = word(segment + 1).filter(|start| *start >= HEADER_BYTES);
        let end = if segment + 1 < count { word(segment + 2) } else { Some(stored.len()) };
        let coded = start.zip(end).and_then(|(start, end)| stored.get(start..end));
        let coded = coded.ok_or(PixelError::Damaged("RLE segment"))?;
        // Segments come sample by sample, the most significant byte first.
        let place =
            segment / sample_bytes * sample_bytes + (sample_bytes - 1 - segment % sample_bytes);
        unpack(coded, &mut decoded[place..], count, pixels)?;
    }
    Ok(decoded)
}

/// Unpacks one segment into every `step`th byte.
fn unpack(coded: &[u8], into: &mut [u8], step: usize, pixels: usize) -> Result<(), PixelError> {
    let (mut at, mut done) = (0, 0);
    while done < pixels {
        let Some(control) = coded.get(at) else {
            return Err(PixelError::Damaged("RLE segment ends too early"));
        };
        at += 1;
        match *control {
            128 => {}
            literal @ 0..=127 => {
                let length = usize::from(literal) + 1;
                let bytes = coded.get(at..at + length);
                let bytes = bytes.ok_or(PixelError::Damaged("RLE segment ends too early"))?;
                for byte in bytes.iter().take(pixels - done) {
                    into[done * step] = *byte;
                    done += 1;
                }
                at += length;
            }
            repeated => {
                let byte = *coded.get(at).ok_or(PixelError::Damaged("RLE segment"))?;
                for _ in 0..(257 - usize::from(repeated)).min(pixels - done) {
                    into[done * step] = byte;
                    done += 1;
                }
                at += 1;
            }
        }
    }
    Ok(())
}

const HEADER_BYTES: usize = 64;
