//! Where the frames of an instance lie in its data set, without reading them.
//!
//! Uncompressed frames lie one behind the other. Compressed ones are items: found by the extended or the basic offset
//! table where there is a sound one, else by walking over the items' heads; several items belong to one frame where
//! only some of them begin with a start-of-image marker (PS3.5 A.4).

use bytes::Bytes;
use dicom_core::Tag;

use super::{FRAMES, Image, PixelError};
use crate::elements::{Elements, PixelElement, Progress, Value};

/// Where one frame lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// First byte, from the start of the data set.
    pub offset: u64,
    /// Bytes.
    pub length: u64,
    /// Bits at the start that belong to the frame before: frames of single bits, and those of bytes swapped in pairs.
    pub shift: u8,
    /// The bytes are items with heads: see [`unframed`].
    pub framed: bool,
}

/// Where all frames of an instance lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places(Kind);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Native {
        offset: u64,
        end: u64,
        frame_bits: u64,
        frames: u32,
        /// Bytes are swapped in pairs, so whole pairs are needed.
        pairs: bool,
    },
    /// First byte and end of each frame's items.
    Items(Vec<(u64, u64)>),
}

impl Places {
    /// How many frames there are.
    pub fn frames(&self) -> u32 {
        match &self.0 {
            Kind::Native { frames, .. } => *frames,
            Kind::Items(places) => u32::try_from(places.len()).unwrap_or(u32::MAX),
        }
    }

    /// How many places are held in memory.
    pub fn weight(&self) -> usize {
        match &self.0 {
            Kind::Native { .. } => 1,
            Kind::Items(places) => places.len().max(1),
        }
    }

    /// The place of a frame, counted from 0.
    pub fn get(&self, frame: u32) -> Result<Place, PixelError> {
        let missing = PixelError::NoSuchFrame(self.frames());
        match &self.0 {
            Kind::Native { offset, end, frame_bits, frames, pairs } => {
                if frame >= *frames {
                    return Err(missing);
                }
                let first = u64::from(frame) * frame_bits;
                let last = first + frame_bits;
                let unit = if *pairs { 16 } else { 8 };
                let from = offset + first / unit * (unit / 8);
                let to = offset + last.div_ceil(unit) * (unit / 8);
                if offset + last.div_ceil(8) > *end {
                    return Err(PixelError::Damaged("fewer bytes than frames"));
                }
                let to = to.min(*end);
                let shift = u8::try_from(first % unit).unwrap_or(0);
                Ok(Place { offset: from, length: to - from, shift, framed: false })
            }
            Kind::Items(places) => {
                let (from, to) = *places.get(frame as usize).ok_or(missing)?;
                Ok(Place { offset: from, length: to - from, shift: 0, framed: true })
            }
        }
    }
}

/// Finds the frames of one instance. Fed like [`crate::elements::Reader`].
#[derive(Debug)]
pub struct Locator {
    end: u64,
    frames: u32,
    extended: Option<Vec<(u64, u64)>>,
    state: State,
}

#[derive(Debug)]
enum State {
    Native(Places),
    /// The first item, which holds the basic offset table, is at this offset.
    Table(u64),
    /// Looking at the item here; what has been found so far.
    Walk(u64, Vec<Item>),
    Found(Vec<(u64, u64)>),
}

#[derive(Debug, Clone, Copy)]
struct Item {
    /// Where its head begins and its value ends.
    span: (u64, u64),
    /// Begins with a marker that only begins an image.
    begins: bool,
}

/// How much is asked for while walking, in bytes.
const WALK_BYTES: usize = 64 << 10;
const HEAD_BYTES: u64 = 8;

impl Locator {
    /// For the pixels of an instance whose data set is `end` bytes long.
    pub fn new(header: &Elements, pixels: &PixelElement, image: &Image, end: u64) -> Self {
        let state = match pixels.length {
            Some(length) => State::Native(Places(Kind::Native {
                offset: pixels.offset,
                end: (pixels.offset + length).min(end),
                frame_bits: image.frame_bits(),
                frames: image.frames,
                pairs: image.swaps_bytes(),
            })),
            None => State::Table(pixels.offset),
        };
        let extended = extended(header, image.frames);
        Self { end, frames: image.frames, extended, state }
    }

    /// What is wanted next.
    pub fn wants(&self) -> Progress {
        let at = match &self.state {
            State::Native(_) | State::Found(_) => return Progress::Done,
            State::Table(at) => (*at, HEAD_BYTES as usize + self.frames as usize * 4),
            State::Walk(at, _) => (*at, WALK_BYTES),
        };
        let left = usize::try_from(self.end.saturating_sub(at.0)).unwrap_or(usize::MAX);
        Progress::Wants { offset: at.0, length: at.1.max(64).min(left) }
    }

    /// Takes the piece that was asked for.
    pub fn feed(&mut self, piece: &[u8]) -> Result<Progress, PixelError> {
        match std::mem::replace(&mut self.state, State::Found(Vec::new())) {
            State::Table(at) => {
                let (tag, length) = head(piece).ok_or(ENDS)?;
                let first = at + HEAD_BYTES + u64::from(length);
                if tag != ITEM || first > self.end {
                    return Err(ENDS);
                }
                let table = piece.get(8..8 + length as usize).unwrap_or_default();
                self.state = match self.by_table(table, first) {
                    Some(places) => State::Found(places),
                    None if self.frames == 1 => State::Found(vec![(first, self.end)]),
                    None => State::Walk(first, Vec::new()),
                };
            }
            State::Walk(at, items) => self.state = self.walk(at, items, piece)?,
            done @ (State::Native(_) | State::Found(_)) => self.state = done,
        }
        Ok(self.wants())
    }

    /// The places, when [`Locator::wants`] says that it is done.
    pub fn finish(self) -> Places {
        match self.state {
            State::Native(places) => places,
            State::Found(places) => Places(Kind::Items(places)),
            State::Table(_) | State::Walk(..) => Places(Kind::Items(Vec::new())),
        }
    }

    /// The places that a sound offset table gives; the extended one comes first.
    fn by_table(&self, basic: &[u8], first: u64) -> Option<Vec<(u64, u64)>> {
        if let Some(extended) = &self.extended {
            let places: Option<Vec<(u64, u64)>> = extended
                .iter()
                .map(|(offset, length)| {
                    let from = first.checked_add(*offset)?;
                    Some((from, from.checked_add(HEAD_BYTES)?.checked_add(*length)?))
                })
                .collect();
            let places = places?;
            return places.iter().all(|(_, to)| *to <= self.end).then_some(places);
        }
        let offsets: Vec<u64> = basic
            .chunks_exact(4)
            .map(|four| u64::from(u32::from_le_bytes([four[0], four[1], four[2], four[3]])))
            .collect();
        let sound = offsets.len() == self.frames as usize
            && offsets.first() == Some(&0)
            && offsets.windows(2).all(|pair| pair[0] + HEAD_BYTES <= pair[1])
            && offsets.last().is_some_and(|last| first + last + HEAD_BYTES <= self.end);
        sound.then(|| {
            let ends = offsets.iter().skip(1).map(|next| first + next).chain([self.end]);
            offsets.iter().map(|from| first + from).zip(ends).collect()
        })
    }

    fn walk(&self, mut at: u64, mut items: Vec<Item>, piece: &[u8]) -> Result<State, PixelError> {
        let base = at;
        loop {
            let here = usize::try_from(at - base).unwrap_or(usize::MAX);
            let last = base + piece.len() as u64 >= self.end;
            let Some(rest) = piece.get(here..).filter(|rest| rest.len() >= 12 || last) else {
                return Ok(State::Walk(at, items));
            };
            match head(rest) {
                Some((ITEM, length)) => {
                    let to = at + HEAD_BYTES + u64::from(length);
                    if to > self.end || items.len() as u64 >= u64::from(FRAMES) * 4 {
                        return Err(ENDS);
                    }
                    let begins = rest.get(8..12).is_some_and(begins_image);
                    items.push(Item { span: (at, to), begins });
                    at = to;
                }
                // Without its delimiter, too, a list of items ends where the data set does.
                _ => return self.grouped(&items).map(State::Found),
            }
        }
    }

    /// The items of each frame.
    fn grouped(&self, items: &[Item]) -> Result<Vec<(u64, u64)>, PixelError> {
        let frames = self.frames as usize;
        if items.len() <= frames {
            return Ok(items.iter().map(|item| item.span).collect());
        }
        let begins = items.iter().filter(|item| item.begins).count();
        if begins != frames || !items[0].begins {
            return Err(PixelError::Damaged("more fragments than frames, and no table of them"));
        }
        let mut places: Vec<(u64, u64)> = Vec::with_capacity(frames);
        for item in items {
            match places.last_mut() {
                Some(place) if !item.begins => place.1 = item.span.1,
                _ => places.push(item.span),
            }
        }
        Ok(places)
    }
}

const ENDS: PixelError = PixelError::Damaged("its fragments do not fit the data set");

/// The bytes of a frame from its items, without their heads.
pub fn unframed(items: &Bytes) -> Result<Bytes, PixelError> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some((tag, length)) = items.get(at..).and_then(head) {
        if tag != ITEM {
            break;
        }
        let end = at + 8 + length as usize;
        if end > items.len() {
            return Err(ENDS);
        }
        found.push(items.slice(at + 8..end));
        at = end;
    }
    match found.len() {
        0 => Err(ENDS),
        1 => Ok(found.swap_remove(0)),
        _ => Ok(found.concat().into()),
    }
}

/// The extended offset table (PS3.3 C.7.6.3.1.8), if it names every frame.
fn extended(header: &Elements, frames: u32) -> Option<Vec<(u64, u64)>> {
    let numbers = |tag| {
        let Some(Value::Bytes(bytes)) = header.get(tag).map(|element| &element.value) else {
            return None;
        };
        let eight = |raw: &[u8]| u64::from_le_bytes(raw.try_into().unwrap_or_default());
        Some(bytes.chunks_exact(8).map(eight).collect::<Vec<_>>())
    };
    let (offsets, lengths) = (numbers(EXTENDED_OFFSETS)?, numbers(EXTENDED_LENGTHS)?);
    let whole = offsets.len() == frames as usize && lengths.len() == offsets.len();
    whole.then(|| offsets.into_iter().zip(lengths).collect())
}

fn head(bytes: &[u8]) -> Option<(Tag, u32)> {
    let head = bytes.get(..8)?;
    let word = |at: usize| u16::from_le_bytes([head[at], head[at + 1]]);
    let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
    Some((Tag(word(0), word(2)), length))
}

/// JPEG and JPEG-LS begin with SOI and another marker, JPEG 2000 with SOC and SIZ or its box.
fn begins_image(bytes: &[u8]) -> bool {
    matches!(bytes, [0xFF, 0xD8, 0xFF, _] | [0xFF, 0x4F, 0xFF, 0x51] | [0, 0, 0, 0x0C])
}

const ITEM: Tag = Tag(0xFFFE, 0xE000);
const EXTENDED_OFFSETS: Tag = Tag(0x7FE0, 0x0001);
const EXTENDED_LENGTHS: Tag = Tag(0x7FE0, 0x0002);
