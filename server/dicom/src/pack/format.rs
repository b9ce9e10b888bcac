//! Heads of segments: numbers, kinds and the description of an image, written and read.

use super::error::PackFault;
use super::jls::Image;
use super::samples::{Arrangement, Layout, Range};

/// What a pack begins with: magic and version.
pub(super) const FRONT: [u8; 5] = *b"MRPK\x01";

/// Bytes of the hash in the end segment.
pub(super) const HASH_BYTES: u64 = 32;

/// The head of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub kind: Kind,
    /// Bytes of the original in this segment; in the end, of all of it.
    pub original: u64,
    /// Bytes that follow the head.
    pub coded: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    End,
    Raw,
    Zstd,
    JpegLs(Strip),
}

/// Some lines of pixels and how they were coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Strip {
    pub layout: Layout,
    pub lines: u16,
    pub range: Range,
}

impl Strip {
    /// What the JPEG-LS stream must be; `None` when there is no such image.
    pub fn image(&self) -> Option<Image> {
        let (width, height) = self.layout.image(self.lines)?;
        (width > 0 && height > 0).then_some(Image { width, height, bits: self.range.bits })
    }

    /// Bytes of the original.
    pub fn bytes(&self) -> u64 {
        self.layout.line_bytes() * u64::from(self.lines)
    }
}

impl Head {
    pub fn to_bytes(self) -> Vec<u8> {
        let number = match self.kind {
            Kind::End => 0,
            Kind::Raw => 1,
            Kind::Zstd => 2,
            Kind::JpegLs(_) => 3,
        };
        let mut bytes = vec![number];
        put_number(&mut bytes, self.original);
        put_number(&mut bytes, self.coded);
        if let Kind::JpegLs(strip) = self.kind {
            put_strip(&mut bytes, &strip);
        }
        bytes
    }

    /// Reads a head, of which there may not yet be all bytes: then `None`.
    pub fn read(bytes: &[u8]) -> Result<Option<Self>, PackFault> {
        let mut rest = bytes;
        let Some(kind) = rest.split_off_first() else { return Ok(None) };
        if *kind > 3 {
            return Err(PackFault::Header);
        }
        let Some(original) = take_number(&mut rest)? else { return Ok(None) };
        let Some(coded) = take_number(&mut rest)? else { return Ok(None) };
        let kind = match kind {
            0 => Kind::End,
            1 => Kind::Raw,
            2 => Kind::Zstd,
            _ => match rest.first_chunk() {
                Some(strip) => Kind::JpegLs(read_strip(strip).ok_or(PackFault::Header)?),
                None => return Ok(None),
            },
        };
        let head = Self { kind, original, coded };
        if head.is_coherent() { Ok(Some(head)) } else { Err(PackFault::Header) }
    }

    /// Whether the numbers can belong to a segment as we write it.
    fn is_coherent(&self) -> bool {
        match self.kind {
            Kind::End => self.coded == HASH_BYTES,
            Kind::Raw => self.original > 0 && self.coded == self.original,
            Kind::Zstd => self.coded > 0 && self.coded < self.original,
            Kind::JpegLs(strip) => {
                self.coded > 0 && self.coded < self.original && strip.bytes() == self.original
            }
        }
    }
}

/// LEB128: seven bits a byte, the least significant first, the top bit on all but the last.
fn put_number(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    bytes.push(number.to_le_bytes()[0]);
}

fn take_number(bytes: &mut &[u8]) -> Result<Option<u64>, PackFault> {
    let mut number = 0;
    for shift in (0..63).step_by(7) {
        let Some(byte) = bytes.split_off_first() else { return Ok(None) };
        number |= u64::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            // A number has one form only.
            return if *byte == 0 && shift > 0 { Err(PackFault::Header) } else { Ok(Some(number)) };
        }
    }
    Err(PackFault::Header)
}

fn put_strip(bytes: &mut Vec<u8>, strip: &Strip) {
    let layout = &strip.layout;
    bytes.extend_from_slice(&layout.columns.to_be_bytes());
    bytes.extend_from_slice(&strip.lines.to_be_bytes());
    bytes.push(match layout.arrangement {
        Arrangement::Grey => 0,
        Arrangement::Pixels => 1,
        Arrangement::Planes => 2,
        Arrangement::Pairs => 3,
    });
    let flags = [(layout.wide, WIDE), (layout.big_endian, BIG), (layout.differences, DIFFERENCES)];
    bytes.push(flags.iter().filter(|(set, _)| *set).map(|(_, flag)| flag).sum());
    bytes.push(strip.range.bits);
    bytes.extend_from_slice(&strip.range.base.to_be_bytes());
}

fn read_strip(bytes: &[u8; STRIP_BYTES]) -> Option<Strip> {
    let [c, o, l, i, arrangement, flags, bits, b, a] = *bytes;
    let arrangement = match arrangement {
        0 => Arrangement::Grey,
        1 => Arrangement::Pixels,
        2 => Arrangement::Planes,
        3 => Arrangement::Pairs,
        _ => return None,
    };
    let layout = Layout {
        columns: u16::from_be_bytes([c, o]),
        arrangement,
        wide: flags & WIDE != 0,
        big_endian: flags & BIG != 0,
        differences: flags & DIFFERENCES != 0,
    };
    let range = Range { base: u16::from_be_bytes([b, a]), bits };
    let strip = Strip { layout, lines: u16::from_be_bytes([l, i]), range };
    let coloured = matches!(arrangement, Arrangement::Pixels | Arrangement::Planes);
    let coherent = flags & !(WIDE | BIG | DIFFERENCES) == 0
        && (layout.wide || !layout.big_endian)
        && (coloured || !layout.differences)
        && (2..=if layout.wide { 16 } else { 8 }).contains(&bits)
        && range.base <= layout.mask()
        && strip.image().is_some();
    coherent.then_some(strip)
}

const STRIP_BYTES: usize = 9;
const WIDE: u8 = 0x01;
const BIG: u8 = 0x02;
const DIFFERENCES: u8 = 0x04;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_have_one_form_and_come_back(number in 0..=u64::MAX >> 1) {
            let mut bytes = Vec::new();
            put_number(&mut bytes, number);
            for end in 0..bytes.len() {
                prop_assert_eq!(take_number(&mut &bytes[..end]), Ok(None));
            }
            prop_assert_eq!(take_number(&mut &bytes[..]), Ok(Some(number)));
            *bytes.last_mut().expect("at least one") |= 0x80;
            bytes.push(0);
            prop_assert_eq!(take_number(&mut &bytes[..]), Err(PackFault::Header));
        }

        #[test]
        fn heads_are_what_they_say_or_refused(bytes: Vec<u8>) {
            if let Ok(Some(head)) = Head::read(&bytes) {
                prop_assert!(bytes.starts_with(&head.to_bytes()));
            }
        }
    }
}
