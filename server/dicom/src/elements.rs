//! The front of a data set as a tree of elements, up to the pixel data and without reading what is long.
//!
//! [`Reader`] is fed pieces of a stored object and says which piece it wants next, so that the header of an
//! instance costs one short read however large its pixels are. No length is believed: what reaches beyond the
//! object, too deep or too far is refused, and nothing is allocated by a declared length.

use bytes::Bytes;
use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry, VirtualVr};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::StandardDataDictionary;
use thiserror::Error;

use crate::scan::Encoding;
use crate::uids::unpadded;

/// An element with its value.
#[derive(Debug, Clone)]
pub struct Element {
    /// Group and element.
    pub tag: Tag,
    /// Its value representation: as written, else by the dictionary.
    pub vr: VR,
    /// What it holds.
    pub value: Value,
}

/// What an element holds.
#[derive(Debug, Clone)]
pub enum Value {
    /// The bytes as stored, in the byte order of the [`Elements`] around it.
    Bytes(Bytes),
    /// Long, and not read: where it lies in the data set.
    Elsewhere {
        /// Bytes from the start of the data set.
        offset: u64,
        /// Its length in bytes.
        length: u64,
    },
    /// The items of a sequence.
    Items(Vec<Elements>),
}

/// The elements of a data set or an item, in their order.
#[derive(Debug, Clone, Default)]
pub struct Elements {
    /// The elements.
    pub list: Vec<Element>,
    /// Numbers come most significant byte first.
    pub big_endian: bool,
}

/// The element that holds pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PixelElement {
    /// Pixel Data, Float Pixel Data or Double Float Pixel Data.
    pub tag: Tag,
    /// Its value representation.
    pub vr: VR,
    /// Where its value begins, in bytes from the start of the data set.
    pub offset: u64,
    /// Its length in bytes; `None` when it is in fragments.
    pub length: Option<u64>,
}

/// Why a header cannot be read. Trying again cannot help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ReadError {
    /// The object ends inside an element.
    #[error("the data set ends too early")]
    Truncated,
    /// A length or delimiter that cannot be.
    #[error("the data set is malformed at byte {0}")]
    Malformed(u64),
    /// Deeper, longer or more than [`DEPTH`], [`PIECE_BYTES`] or [`ELEMENTS`].
    #[error("the header of the data set is too large")]
    TooLarge,
}

/// What a [`Reader`] needs next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// The header has been read.
    Done,
    /// At least this piece of the data set; less only where the data set ends.
    Wants {
        /// Where the piece must begin.
        offset: u64,
        /// How long it must be.
        length: usize,
    },
}

/// Reads the header of one (inflated) data set.
#[derive(Debug)]
pub struct Reader {
    explicit: bool,
    /// Length of the data set in bytes.
    end: u64,
    at: u64,
    count: usize,
    root: Elements,
    pixels: Option<PixelElement>,
}

/// Sequences inside each other.
pub const DEPTH: usize = 24;
/// Elements of one header, those in sequences included.
pub const ELEMENTS: usize = 500_000;
/// The longest piece that a reader asks for, in bytes: one sequence must fit.
pub const PIECE_BYTES: usize = 32 << 20;
/// The first piece that a reader asks for, in bytes.
pub const FIRST_BYTES: usize = 32 << 10;
/// Longer values outside sequences are not read, in bytes.
pub const KEPT_BYTES: u64 = 256 << 10;

impl Reader {
    /// For a data set of `length` bytes; a deflated one must have been inflated.
    pub fn new(encoding: Encoding, length: u64) -> Self {
        Self {
            explicit: encoding != Encoding::ImplicitLittle,
            end: length,
            at: 0,
            count: 0,
            root: Elements { list: Vec::new(), big_endian: encoding == Encoding::ExplicitBig },
            pixels: None,
        }
    }

    /// What is wanted first.
    pub fn start(&self) -> Progress {
        if self.end == 0 { Progress::Done } else { self.wants(FIRST_BYTES) }
    }

    /// Takes the piece that was asked for; a longer one is welcome.
    pub fn feed(&mut self, piece: &Bytes) -> Result<Progress, ReadError> {
        let start = self.at;
        let mut cursor = Cursor { piece, at: 0, base: start, end: self.end, count: self.count };
        loop {
            if start + cursor.at as u64 >= self.end {
                self.at = self.end;
                return Ok(Progress::Done);
            }
            let (before, counted) = (cursor.at, cursor.count);
            match cursor.top_level(self.explicit, self.root.big_endian) {
                Ok(Found::Element(element)) => self.root.list.push(element),
                Ok(Found::Long(element, skip)) => {
                    self.root.list.push(element);
                    self.count = cursor.count;
                    self.at = start + cursor.at as u64 + skip;
                    if self.at >= self.end {
                        return Ok(Progress::Done);
                    }
                    let behind = usize::try_from(skip).ok().and_then(|n| cursor.at.checked_add(n));
                    if let Some(behind) = behind.filter(|behind| *behind < piece.len()) {
                        return self.feed(&piece.slice(behind..));
                    }
                    return Ok(self.wants(FIRST_BYTES));
                }
                Ok(Found::Pixels(pixels)) => {
                    self.pixels = Some(pixels);
                    return Ok(Progress::Done);
                }
                Err(Fault::Error(error)) => return Err(error),
                Err(Fault::More) => {
                    self.count = counted;
                    self.at = start + before as u64;
                    let rest = piece.len() - before;
                    if start + piece.len() as u64 >= self.end {
                        return Err(ReadError::Truncated);
                    }
                    if rest >= PIECE_BYTES {
                        return Err(ReadError::TooLarge);
                    }
                    let length = (rest * 4).clamp(FIRST_BYTES, PIECE_BYTES);
                    return Ok(self.wants(length));
                }
            }
        }
    }

    fn wants(&self, length: usize) -> Progress {
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        Progress::Wants { offset: self.at, length: length.min(left) }
    }

    /// The header, and the pixels behind it if there are any.
    pub fn finish(self) -> (Elements, Option<PixelElement>) {
        (self.root, self.pixels)
    }
}

/// Reads the header of a data set that is in memory as a whole.
pub fn read(
    encoding: Encoding,
    data_set: &Bytes,
) -> Result<(Elements, Option<PixelElement>), ReadError> {
    let mut reader = Reader::new(encoding, data_set.len() as u64);
    let mut progress = reader.start();
    while let Progress::Wants { offset, .. } = progress {
        let offset = usize::try_from(offset).map_err(|_| ReadError::TooLarge)?;
        progress = reader.feed(&data_set.slice(offset..))?;
    }
    Ok(reader.finish())
}

enum Fault {
    /// The piece ends; a longer one may do.
    More,
    Error(ReadError),
}

impl From<ReadError> for Fault {
    fn from(error: ReadError) -> Self {
        Self::Error(error)
    }
}

enum Found {
    Element(Element),
    /// An element whose value begins here and is skipped.
    Long(Element, u64),
    Pixels(PixelElement),
}

struct Head {
    tag: Tag,
    /// `None` for items, delimiters and implicit encodings.
    vr: Option<VR>,
    length: u32,
}

/// A place in a piece.
struct Cursor<'a> {
    piece: &'a Bytes,
    at: usize,
    /// Where the piece begins in the data set.
    base: u64,
    /// Where the data set ends.
    end: u64,
    count: usize,
}

impl Cursor<'_> {
    fn top_level(&mut self, explicit: bool, big: bool) -> Result<Found, Fault> {
        let head = self.head(explicit, big)?;
        let vr = self.counted(&head, big)?;
        if is_pixels(head.tag) {
            let length = (head.length != UNDEFINED).then_some(u64::from(head.length));
            let offset = self.base + self.at as u64;
            let vr = if head.vr.is_none() { VR::OW } else { vr };
            let length = length.map(|length| length.min(self.end.saturating_sub(offset)));
            return Ok(Found::Pixels(PixelElement { tag: head.tag, vr, offset, length }));
        }
        let offset = self.base + self.at as u64;
        let length = u64::from(head.length);
        if head.length != UNDEFINED && vr != VR::SQ && length > KEPT_BYTES {
            if offset + length > self.end {
                return Err(ReadError::Truncated.into());
            }
            let value = Value::Elsewhere { offset, length };
            return Ok(Found::Long(Element { tag: head.tag, vr, value }, length));
        }
        Ok(Found::Element(self.element(&head, vr, explicit, big, 0)?))
    }

    fn counted(&mut self, head: &Head, big: bool) -> Result<VR, Fault> {
        self.count += 1;
        if self.count > ELEMENTS {
            return Err(ReadError::TooLarge.into());
        }
        if head.tag.group() == DELIMITER_GROUP {
            return Err(self.malformed());
        }
        Ok(match head.vr {
            // Somebody on the way did not know what the standard knows (PS3.5 6.2.2).
            Some(VR::UN) if head.length != UNDEFINED => match dictionary_vr(head.tag) {
                VR::SQ => VR::UN,
                // Its numbers are little endian all the same.
                vr if is_text(vr) || !big => vr,
                _ => VR::UN,
            },
            Some(vr) => vr,
            None => dictionary_vr(head.tag),
        })
    }

    /// The value of an element whose head has been read.
    fn element(
        &mut self,
        head: &Head,
        vr: VR,
        explicit: bool,
        big: bool,
        depth: usize,
    ) -> Result<Element, Fault> {
        let value = match (vr, head.length) {
            (VR::SQ, length) => Value::Items(self.items(length, explicit, big, depth)?),
            // What was a sequence to whoever knew the tag: always implicit little endian.
            (VR::UN, UNDEFINED) => Value::Items(self.items(UNDEFINED, false, false, depth)?),
            (_, UNDEFINED) => return Err(self.malformed()),
            (_, length) => Value::Bytes(self.take(length)?),
        };
        let vr = if matches!(value, Value::Items(_)) { VR::SQ } else { vr };
        Ok(Element { tag: head.tag, vr, value })
    }

    fn items(
        &mut self,
        length: u32,
        explicit: bool,
        big: bool,
        depth: usize,
    ) -> Result<Vec<Elements>, Fault> {
        if depth >= DEPTH {
            return Err(ReadError::TooLarge.into());
        }
        let end = self.end_of(length)?;
        let mut items = Vec::new();
        while end.is_none_or(|end| self.at < end) {
            let head = self.head(explicit, big)?;
            match head.tag {
                ITEM => items.push(self.item(head.length, explicit, big, depth)?),
                SEQUENCE_DELIMITER if end.is_none() => break,
                _ => return Err(self.malformed()),
            }
        }
        Ok(items)
    }

    fn item(
        &mut self,
        length: u32,
        explicit: bool,
        big: bool,
        depth: usize,
    ) -> Result<Elements, Fault> {
        self.count += 1;
        let end = self.end_of(length)?;
        let mut elements = Elements { list: Vec::new(), big_endian: big };
        while end.is_none_or(|end| self.at < end) {
            let head = self.head(explicit, big)?;
            if head.tag == ITEM_DELIMITER && end.is_none() {
                break;
            }
            let vr = self.counted(&head, big)?;
            elements.list.push(self.element(&head, vr, explicit, big, depth + 1)?);
        }
        Ok(elements)
    }

    /// Where something of a defined length ends in the piece.
    fn end_of(&self, length: u32) -> Result<Option<usize>, Fault> {
        if length == UNDEFINED {
            return Ok(None);
        }
        let end = self.at + length as usize;
        if end > self.piece.len() {
            return Err(self.short(u64::from(length)));
        }
        Ok(Some(end))
    }

    fn head(&mut self, explicit: bool, big: bool) -> Result<Head, Fault> {
        let bytes = self.take(8)?;
        let u16_at = |at: usize| {
            let pair = [bytes[at], bytes[at + 1]];
            if big { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) }
        };
        let tag = Tag(u16_at(0), u16_at(2));
        let four = [bytes[4], bytes[5], bytes[6], bytes[7]];
        if !explicit || tag.group() == DELIMITER_GROUP {
            return Ok(Head { tag, vr: None, length: number(four, big) });
        }
        let Some(vr) = VR::from_binary([bytes[4], bytes[5]]) else { return Err(self.malformed()) };
        if !has_long_length(vr) {
            return Ok(Head { tag, vr: Some(vr), length: u32::from(u16_at(6)) });
        }
        let four = self.take(4)?;
        Ok(Head { tag, vr: Some(vr), length: number([four[0], four[1], four[2], four[3]], big) })
    }

    fn take(&mut self, length: u32) -> Result<Bytes, Fault> {
        let end = self.at + length as usize;
        if end > self.piece.len() {
            return Err(self.short(u64::from(length)));
        }
        let bytes = self.piece.slice(self.at..end);
        self.at = end;
        Ok(bytes)
    }

    /// The piece is too short; the data set may be, too.
    fn short(&self, length: u64) -> Fault {
        if self.base + self.at as u64 + length > self.end {
            return ReadError::Truncated.into();
        }
        Fault::More
    }

    fn malformed(&self) -> Fault {
        ReadError::Malformed(self.base + self.at as u64).into()
    }
}

fn number(four: [u8; 4], big: bool) -> u32 {
    if big { u32::from_be_bytes(four) } else { u32::from_le_bytes(four) }
}

impl Elements {
    /// The element of a tag.
    pub fn get(&self, tag: Tag) -> Option<&Element> {
        self.list.iter().find(|element| element.tag == tag)
    }

    /// The bytes of an element.
    pub fn bytes(&self, tag: Tag) -> Option<&Bytes> {
        match &self.get(tag)?.value {
            Value::Bytes(bytes) => Some(bytes),
            Value::Elsewhere { .. } | Value::Items(_) => None,
        }
    }

    /// The items of a sequence; none if there is no such sequence.
    pub fn items(&self, tag: Tag) -> &[Elements] {
        match self.get(tag).map(|element| &element.value) {
            Some(Value::Items(items)) => items,
            _ => &[],
        }
    }

    /// The numbers of an element of 16 bit values, as they stand.
    pub fn words(&self, tag: Tag) -> Vec<u16> {
        let bytes = self.bytes(tag).map(AsRef::as_ref).unwrap_or_default();
        words(bytes, self.big_endian).collect()
    }

    /// The first number of an element of 16 bit values.
    pub fn word(&self, tag: Tag) -> Option<u16> {
        words(self.bytes(tag)?, self.big_endian).next()
    }

    /// An element that is text in ASCII, without its padding; what is not ASCII is left out.
    pub fn text(&self, tag: Tag) -> Option<String> {
        let raw = unpadded(self.bytes(tag)?);
        let text: String = raw.iter().filter(|b| b.is_ascii()).map(|b| char::from(*b)).collect();
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// The numbers of an element that is written as text (DS, IS); what is none is left out.
    pub fn decimals(&self, tag: Tag) -> Vec<f64> {
        let text = self.text(tag).unwrap_or_default();
        let numbers = text.split('\\').filter_map(|part| part.trim().parse::<f64>().ok());
        numbers.filter(|number| number.is_finite()).collect()
    }
}

/// 16 bit values in either byte order.
pub fn words(bytes: &[u8], big_endian: bool) -> impl Iterator<Item = u16> + '_ {
    bytes.chunks_exact(2).map(move |pair| {
        let pair = [pair[0], pair[1]];
        if big_endian { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) }
    })
}

/// The value representation of an element that does not say it; private and unknown ones are opaque.
fn dictionary_vr(tag: Tag) -> VR {
    if tag.group() % 2 == 1 {
        return if (0x10..=0xFF).contains(&tag.element()) { VR::LO } else { VR::UN };
    }
    if tag.element() == 0 {
        return VR::UL;
    }
    match StandardDataDictionary.by_tag(tag).map(DataDictionaryEntry::vr) {
        Some(VirtualVr::Exact(vr)) => vr,
        Some(VirtualVr::Xs) => VR::US,
        Some(_) => VR::OW,
        None => VR::UN,
    }
}

/// Whether a value representation is text.
pub fn is_text(vr: VR) -> bool {
    use VR::{AE, AS, CS, DA, DS, DT, IS, LO, LT, PN, SH, ST, TM, UC, UI, UR, UT};
    matches!(vr, AE | AS | CS | DA | DS | DT | IS | LO | LT | PN | SH | ST | TM | UC | UI | UR | UT)
}

fn has_long_length(vr: VR) -> bool {
    use VR::{OB, OD, OF, OL, OV, OW, SQ, SV, UC, UN, UR, UT, UV};
    matches!(vr, OB | OD | OF | OL | OV | OW | SQ | SV | UC | UN | UR | UT | UV)
}

fn is_pixels(tag: Tag) -> bool {
    matches!(tag, Tag(0x7FE0, 0x0008..=0x0010)) && !matches!(tag, Tag(_, 0x000A..=0x000F))
}

const DELIMITER_GROUP: u16 = 0xFFFE;
const ITEM: Tag = Tag(0xFFFE, 0xE000);
const ITEM_DELIMITER: Tag = Tag(0xFFFE, 0xE00D);
const SEQUENCE_DELIMITER: Tag = Tag(0xFFFE, 0xE0DD);
const UNDEFINED: u32 = 0xFFFF_FFFF;
