//! The tables and curves between a stored number and a shade: modality, values of interest, palette (PS3.3 C.7.6.3,
//! C.11). Of an instance with functional groups, those of the frame come first.

use dicom_core::Tag;

use super::PixelError;
use super::render::{Curve, Window};
use crate::elements::{Elements, Value, words};

/// A lookup table.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Lookup {
    first: f64,
    /// Bits of an entry.
    pub bits: u32,
    pub entries: Vec<u16>,
}

impl Lookup {
    /// The entry for a value; those at the ends stand for all beyond them.
    pub fn get(&self, value: f64) -> u16 {
        let last = self.entries.len().saturating_sub(1) as f64;
        let at = (value - self.first).round().clamp(0.0, last);
        self.entries.get(at as usize).copied().unwrap_or(0)
    }

    fn read(elements: &Elements, [descriptor, data]: [Tag; 2], signed: bool) -> Option<Self> {
        let numbers = elements.words(descriptor);
        let [count, first, bits] = <[u16; 3]>::try_from(numbers).ok()?;
        let first = if signed { f64::from(first as i16) } else { f64::from(first) };
        let Value::Bytes(bytes) = &elements.get(data)?.value else { return None };
        let count = if count == 0 { 65_536 } else { usize::from(count) };
        // Entries of eight bits may be packed two in a word.
        let entries: Vec<u16> = if bits <= 8 && bytes.len() < count * 2 {
            bytes.iter().take(count).map(|byte| u16::from(*byte)).collect()
        } else {
            words(bytes, elements.big_endian).take(count).collect()
        };
        let bits = u32::from(bits.clamp(1, 16));
        (!entries.is_empty()).then_some(Self { first, bits, entries })
    }
}

/// From stored values to values that mean something: Hounsfield units, for instance.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Modality {
    Line { slope: f64, intercept: f64 },
    Table(Lookup),
}

impl Modality {
    pub fn of(header: &Elements, frame: u32, signed: bool) -> Self {
        let table = header.items(MODALITY_LUT).first();
        if let Some(table) = table.and_then(|item| Lookup::read(item, LUT, signed)) {
            return Self::Table(table);
        }
        let place = group(header, frame, PIXEL_VALUE_TRANSFORMATION).unwrap_or(header);
        let first = |tag| place.decimals(tag).first().copied();
        let slope = first(SLOPE).filter(|slope| *slope != 0.0).unwrap_or(1.0);
        Self::Line { slope, intercept: first(INTERCEPT).unwrap_or(0.0) }
    }

    pub fn apply(&self, stored: f64) -> f64 {
        match self {
            Self::Line { slope, intercept } => stored * slope + intercept,
            Self::Table(table) => f64::from(table.get(stored)),
        }
    }

    /// Whether what comes out can be below zero, so that a table of values of interest counts from there.
    fn is_signed(&self, stored: bool) -> bool {
        match self {
            Self::Line { slope, intercept } => stored || *slope < 0.0 || *intercept < 0.0,
            Self::Table(_) => false,
        }
    }
}

/// From values that mean something to shades from 0 to 1.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Interest {
    Window(Window),
    Table(Lookup),
}

impl Interest {
    /// The first view that the header offers.
    pub fn of(header: &Elements, frame: u32, signed: bool, modality: &Modality) -> Option<Self> {
        let table = header.items(VOI_LUT).first();
        let signed = modality.is_signed(signed);
        if let Some(table) = table.and_then(|item| Lookup::read(item, LUT, signed)) {
            return Some(Self::Table(table));
        }
        let place = group(header, frame, FRAME_VOI).unwrap_or(header);
        let center = *place.decimals(WINDOW_CENTER).first()?;
        let width = *place.decimals(WINDOW_WIDTH).first()?;
        let curve = match place.text(VOI_FUNCTION).as_deref() {
            Some("LINEAR_EXACT") => Curve::LinearExact,
            Some("SIGMOID") => Curve::Sigmoid,
            _ => Curve::Linear,
        };
        (width > 0.0).then_some(Self::Window(Window { center, width, curve }))
    }

    pub fn apply(&self, value: f64) -> f64 {
        match self {
            Self::Window(window) => window.apply(value),
            Self::Table(table) => f64::from(table.get(value)) / f64::from((1u32 << table.bits) - 1),
        }
    }
}

/// The three tables of a palette, entries brought to eight bits.
pub(super) fn palette(header: &Elements) -> Result<[Lookup; 3], PixelError> {
    let table = |colour: u16| {
        let descriptor = Tag(0x0028, 0x1101 + colour);
        let plain = Lookup::read(header, [descriptor, Tag(0x0028, 0x1201 + colour)], false);
        let table = match plain {
            Some(table) => table,
            None => segmented(header, descriptor, Tag(0x0028, 0x1221 + colour))?,
        };
        let down = table.bits.saturating_sub(8);
        let entries = table.entries.iter().map(|entry| (entry >> down).min(255)).collect();
        Ok(Lookup { entries, ..table })
    };
    Ok([table(0)?, table(1)?, table(2)?])
}

/// A table made of segments (PS3.3 C.7.9.2): runs, straight lines, and repetitions of them.
fn segmented(header: &Elements, descriptor: Tag, data: Tag) -> Result<Lookup, PixelError> {
    const MISSING: PixelError = PixelError::Damaged("no palette");
    let numbers = <[u16; 3]>::try_from(header.words(descriptor)).map_err(|_| MISSING)?;
    let [count, first, bits] = numbers;
    let count = if count == 0 { 65_536 } else { usize::from(count) };
    let segments = header.words(data);
    let mut entries = Vec::with_capacity(count);
    let mut at = 0;
    while at < segments.len() && entries.len() < count {
        at = segment(&segments, at, &mut entries, count, true).ok_or(MISSING)?;
    }
    if entries.is_empty() {
        return Err(MISSING);
    }
    Ok(Lookup { first: f64::from(first), bits: u32::from(bits.clamp(1, 16)), entries })
}

/// Expands the segment at `at`; returns where the next one is.
fn segment(
    words: &[u16],
    at: usize,
    entries: &mut Vec<u16>,
    count: usize,
    may_refer: bool,
) -> Option<usize> {
    let length = usize::from(*words.get(at + 1)?);
    match words.get(at)? {
        0 => {
            entries.extend_from_slice(words.get(at + 2..at + 2 + length)?);
            Some(at + 2 + length)
        }
        1 => {
            let from = f64::from(*entries.last()?);
            let to = f64::from(*words.get(at + 2)?);
            for step in 1..=length {
                let part = step as f64 / length as f64;
                entries.push((from + (to - from) * part).round() as u16);
            }
            Some(at + 3)
        }
        2 if may_refer => {
            let low = usize::from(*words.get(at + 2)?);
            let high = usize::from(*words.get(at + 3)?);
            let mut from = high << 16 | low;
            for _ in 0..length {
                if entries.len() > count {
                    break;
                }
                from = segment(words, from, entries, count, false)?;
            }
            Some(at + 4)
        }
        _ => None,
    }
}

/// The first item of a functional group of a frame: its own, else that of all frames.
fn group(header: &Elements, frame: u32, tag: Tag) -> Option<&Elements> {
    let own = header.items(PER_FRAME).get(frame as usize);
    let shared = header.items(SHARED).first();
    [own, shared].into_iter().flatten().find_map(|groups| groups.items(tag).first())
}

const SHARED: Tag = Tag(0x5200, 0x9229);
const PER_FRAME: Tag = Tag(0x5200, 0x9230);
const PIXEL_VALUE_TRANSFORMATION: Tag = Tag(0x0028, 0x9145);
const FRAME_VOI: Tag = Tag(0x0028, 0x9132);
const WINDOW_CENTER: Tag = Tag(0x0028, 0x1050);
const WINDOW_WIDTH: Tag = Tag(0x0028, 0x1051);
const INTERCEPT: Tag = Tag(0x0028, 0x1052);
const SLOPE: Tag = Tag(0x0028, 0x1053);
const VOI_FUNCTION: Tag = Tag(0x0028, 0x1056);
const MODALITY_LUT: Tag = Tag(0x0028, 0x3000);
const VOI_LUT: Tag = Tag(0x0028, 0x3010);
const LUT: [Tag; 2] = [Tag(0x0028, 0x3002), Tag(0x0028, 0x3006)];
