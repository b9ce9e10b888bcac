//! The JPEG-LS coder and what it must be told: CharLS in C++, for one component, never near-lossless.
//!
//! What stands before the coded samples follows from size and depth, so it is compared byte for byte
//! before the decoder sees a stream: no stream can make it take another size, another number of
//! components, restarts, tables or application data.

use charls::{CharLS, FrameInfo};

/// The grey image of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Image {
    pub width: u16,
    pub height: u16,
    /// 2 to 16; up to 8 a sample takes a byte, beyond it two in the machine's order.
    pub bits: u8,
}

impl Image {
    /// Bytes of the samples.
    pub fn bytes(self) -> usize {
        let samples = usize::from(self.width) * usize::from(self.height);
        if self.bits <= 8 { samples } else { samples * 2 }
    }

    /// Codes the samples; `None` when they do not fit the image or the coder gives up (it has room
    /// for hardly more bytes than came in).
    pub fn encode(self, samples: &[u8]) -> Option<Vec<u8>> {
        // The coder reads as much as the frame info says, whatever the length of the slice.
        if samples.len() != self.bytes() || !(2..=16).contains(&self.bits) {
            return None;
        }
        let frame = FrameInfo {
            width: u32::from(self.width),
            height: u32::from(self.height),
            bits_per_sample: i32::from(self.bits),
            component_count: 1,
        };
        CharLS::default().encode(frame, 0, samples).ok()
    }

    /// Decodes a stream of exactly this image.
    pub fn decode(self, stream: &[u8]) -> Option<Vec<u8>> {
        if !stream.starts_with(&self.front()) || !stream.ends_with(&END_OF_IMAGE) {
            return None;
        }
        let samples = CharLS::default().decode(stream).ok()?;
        (samples.len() == self.bytes()).then_some(samples)
    }

    /// The marker segments before the coded samples (ISO/IEC 14495-1 C.2): start of image and frame,
    /// the default parameters where there are more than 12 bits, start of scan.
    fn front(self) -> Vec<u8> {
        let [height, width] = [self.height, self.width].map(u16::to_be_bytes);
        let mut front = vec![0xFF, 0xD8, 0xFF, 0xF7, 0, 11, self.bits];
        front.extend_from_slice(&[height, width].concat());
        front.extend_from_slice(&[1, 1, 0x11, 0]);
        if self.bits > 12 {
            let greatest = ((1u32 << self.bits) - 1).to_be_bytes();
            front.extend_from_slice(&[0xFF, 0xF8, 0, 13, 1, greatest[2], greatest[3]]);
            for parameter in [18u16, 67, 276, 64] {
                front.extend_from_slice(&parameter.to_be_bytes());
            }
        }
        front.extend_from_slice(&[0xFF, 0xDA, 0, 8, 1, 1, 0, 0, 0, 0]);
        front
    }
}

const END_OF_IMAGE: [u8; 2] = [0xFF, 0xD9];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_depth_comes_back_and_nothing_else_is_decoded() {
        for bits in 2..=16 {
            let image = Image { width: 40, height: 25, bits };
            let samples: Vec<u8> = (0..1_000u32)
                .flat_map(|at| {
                    let value = (at * at / 7) & ((1 << bits) - 1);
                    let bytes = (value as u16).to_ne_bytes();
                    if bits <= 8 { vec![value as u8] } else { bytes.to_vec() }
                })
                .collect();
            let stream = image.encode(&samples).expect("codes");
            assert_eq!(image.decode(&stream).as_deref(), Some(&samples[..]), "{bits} bits");
            assert_eq!(Image { width: 25, height: 40, bits }.decode(&stream), None);
            assert_eq!(image.encode(&samples[1..]), None, "too few samples");
            for at in 0..image.front().len() {
                let mut changed = stream.clone();
                changed[at] ^= 1;
                assert_eq!(image.decode(&changed), None, "byte {at} of the front");
            }
        }
    }
}
