//! The walk itself: one state, one explicit stack, one absolute offset.

use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry, VirtualVr};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::StandardDataDictionary;

use super::error::{ScanError, ScanErrorKind};
use super::header::{self, Header, PixelData};
use super::{Encoding, Limits};
use crate::uids::{self, unpadded};

/// Walks the elements of one (inflated) data set.
pub(super) struct Walker {
    limits: Limits,
    /// The data set itself, which encloses everything and is never closed by a delimiter.
    root: Enclosure,
    /// Sequences, items and fragment lists that are open, innermost last.
    open: Vec<Enclosure>,
    /// How many of `open` are sequences.
    depth: usize,
    state: State,
    /// Bytes of an element's tag, VR and length that came in earlier pieces.
    carry: [u8; LONG_HEAD_BYTES],
    carried: usize,
    /// Bytes of the data set that have been taken, those in `carry` included.
    offset: u64,
    /// Where the element being looked at starts, and its tag once known: for error messages.
    element_offset: u64,
    element_tag: Option<Tag>,
    header_bytes: u64,
    /// One bit for each of [`header::WANTED`] that has been seen.
    seen: u64,
    header: Header,
}

/// What the next byte belongs to.
enum State {
    /// The tag, VR and length of an element or item.
    Head,
    /// A value that nobody needs.
    Skip { remaining: u64 },
    /// A value to keep.
    Keep { tag: Tag, remaining: usize, value: Vec<u8> },
}

/// Something that encloses elements or items.
#[derive(Clone, Copy)]
struct Enclosure {
    kind: Kind,
    /// No byte inside may lie at or beyond this offset: its own end, or that of what encloses it.
    limit: u64,
    /// Whether it ends at `limit` or at a delimiter.
    delimited: bool,
    syntax: Syntax,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Holds elements: an item, or the data set.
    Item,
    /// Holds items.
    Sequence,
    /// Holds items that are raw bytes: encapsulated pixel data (PS3.5 A.4).
    Fragments,
}

#[derive(Clone, Copy)]
struct Syntax {
    explicit: bool,
    little: bool,
}

/// The tag, VR and length of an element.
struct Head {
    tag: Tag,
    /// `None` when the encoding is implicit or the tag is an item or delimiter.
    vr: Option<VR>,
    length: u32,
}

impl Walker {
    pub(super) fn new(encoding: Encoding, limits: Limits) -> Self {
        let syntax = Syntax {
            explicit: encoding != Encoding::ImplicitLittle,
            little: encoding != Encoding::ExplicitBig,
        };
        let limit = match encoding {
            Encoding::Deflated => u64::MAX,
            _ => limits.data_set_bytes.unwrap_or(u64::MAX),
        };
        Self {
            limits,
            root: Enclosure { kind: Kind::Item, limit, delimited: true, syntax },
            open: Vec::new(),
            depth: 0,
            state: State::Head,
            carry: [0; LONG_HEAD_BYTES],
            carried: 0,
            offset: 0,
            element_offset: 0,
            element_tag: None,
            header_bytes: 0,
            seen: 0,
            header: Header::new(encoding),
        }
    }

    pub(super) fn feed(&mut self, mut bytes: &[u8]) -> Result<(), ScanError> {
        while !bytes.is_empty() {
            let taken = match &mut self.state {
                State::Head => self.take_head(bytes)?,
                State::Skip { remaining } => {
                    let taken = bytes.len().min(usize::try_from(*remaining).unwrap_or(usize::MAX));
                    *remaining -= taken as u64;
                    if *remaining == 0 {
                        self.state = State::Head;
                    }
                    taken
                }
                State::Keep { remaining, value, .. } => {
                    let taken = bytes.len().min(*remaining);
                    value.extend_from_slice(&bytes[..taken]);
                    *remaining -= taken;
                    taken
                }
            };
            self.offset += taken as u64;
            bytes = &bytes[taken..];
            self.act()?;
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<Header, ScanError> {
        self.close_ended();
        let complete =
            matches!(self.state, State::Head) && self.carried == 0 && self.open.is_empty();
        let missing = self.root.limit != u64::MAX && self.root.limit > self.offset;
        if !complete || missing {
            return Err(self.error(ScanErrorKind::Truncated));
        }
        self.header.data_set_bytes = self.offset;
        Ok(self.header)
    }

    pub(super) fn header(&self) -> &Header {
        &self.header
    }

    pub(super) fn error(&self, kind: ScanErrorKind) -> ScanError {
        ScanError { kind, offset: self.element_offset, tag: self.element_tag }
    }

    /// Acts on a head or a kept value that has become complete.
    fn act(&mut self) -> Result<(), ScanError> {
        match &mut self.state {
            State::Keep { tag, remaining: 0, value } => {
                let (tag, value) = (*tag, std::mem::take(value));
                self.state = State::Head;
                return self.keep(tag, value);
            }
            State::Keep { .. } | State::Skip { .. } => return Ok(()),
            State::Head => {}
        }
        if self.carried == 0 || self.carried < self.head_bytes() {
            return Ok(());
        }
        let head = self.parse_head()?;
        self.carried = 0;
        self.enter(&head)
    }

    /// Moves bytes into `carry` until the head is complete; says how many.
    fn take_head(&mut self, bytes: &[u8]) -> Result<usize, ScanError> {
        if self.carried == 0 {
            self.close_ended();
            self.element_offset = self.offset;
            self.element_tag = None;
        }
        let needed = self.head_bytes();
        if self.element_offset + needed as u64 > self.top().limit {
            let kind = match self.open.is_empty() {
                true => ScanErrorKind::Overlong,
                false => ScanErrorKind::LengthBeyondEnd,
            };
            return Err(self.error(kind));
        }
        let taken = bytes.len().min(needed - self.carried);
        self.carry[self.carried..self.carried + taken].copy_from_slice(&bytes[..taken]);
        self.carried += taken;
        Ok(taken)
    }

    /// How long the head in `carry` is, as far as can be said yet.
    fn head_bytes(&self) -> usize {
        let long = self.carried >= SHORT_HEAD_BYTES
            && self.top().syntax.explicit
            && self.carry_tag().group() != DELIMITER_GROUP
            && VR::from_binary([self.carry[4], self.carry[5]]).is_some_and(has_long_length);
        if long { LONG_HEAD_BYTES } else { SHORT_HEAD_BYTES }
    }

    fn carry_tag(&self) -> Tag {
        let syntax = self.top().syntax;
        Tag(syntax.u16([self.carry[0], self.carry[1]]), syntax.u16([self.carry[2], self.carry[3]]))
    }

    fn parse_head(&mut self) -> Result<Head, ScanError> {
        let syntax = self.top().syntax;
        let tag = self.carry_tag();
        self.element_tag = Some(tag);
        let [.., a, b, c, d] = self.carry;
        let long = syntax.u32([a, b, c, d]);
        let [_, _, _, _, e, f, g, h, ..] = self.carry;
        if !syntax.explicit || tag.group() == DELIMITER_GROUP {
            return Ok(Head { tag, vr: None, length: syntax.u32([e, f, g, h]) });
        }
        let vr = VR::from_binary([e, f]).ok_or_else(|| self.error(ScanErrorKind::UnknownVr))?;
        let length = if has_long_length(vr) { long } else { u32::from(syntax.u16([g, h])) };
        Ok(Head { tag, vr: Some(vr), length })
    }

    /// Decides what a complete head opens, closes, skips or keeps.
    fn enter(&mut self, head: &Head) -> Result<(), ScanError> {
        let top = *self.top();
        match (head.tag, top.kind) {
            (ITEM, Kind::Sequence) => self.open_item(head.length, top),
            (ITEM, Kind::Fragments) => {
                self.defined_end(head.length, &top)?;
                self.skip(head.length);
                Ok(())
            }
            (ITEM_DELIMITER, Kind::Item)
                if top.delimited && !self.open.is_empty() && head.length == 0 =>
            {
                self.open.pop();
                Ok(())
            }
            (SEQUENCE_DELIMITER, Kind::Sequence | Kind::Fragments)
                if top.delimited && head.length == 0 =>
            {
                self.close_innermost();
                Ok(())
            }
            (tag, Kind::Item) if tag.group() != DELIMITER_GROUP => self.element(head, top),
            _ => Err(self.error(ScanErrorKind::MisplacedItem)),
        }
    }

    fn open_item(&mut self, length: u32, sequence: Enclosure) -> Result<(), ScanError> {
        self.count_header(SHORT_HEAD_BYTES as u64)?;
        let item = match length {
            UNDEFINED => Enclosure { kind: Kind::Item, delimited: true, ..sequence },
            _ => Enclosure {
                kind: Kind::Item,
                delimited: false,
                limit: self.defined_end(length, &sequence)?,
                ..sequence
            },
        };
        self.open.push(item);
        Ok(())
    }

    fn element(&mut self, head: &Head, top: Enclosure) -> Result<(), ScanError> {
        self.header.elements += 1;
        if self.header.elements > self.limits.elements {
            return Err(self.error(ScanErrorKind::TooManyElements));
        }
        self.count_header(LONG_HEAD_BYTES as u64)?;
        if self.open.is_empty() {
            self.note(head)?;
        }
        let vr = head.vr.unwrap_or_else(|| dictionary_vr(head.tag));
        if head.length == UNDEFINED {
            return self.open_undefined(head, vr, top);
        }
        let limit = self.defined_end(head.length, &top)?;
        if vr == VR::SQ {
            let sequence = Enclosure { kind: Kind::Sequence, limit, delimited: false, ..top };
            return self.open_sequence(sequence);
        }
        if is_text(vr) && head.length > self.limits.text_value_bytes {
            return Err(self.error(ScanErrorKind::TextTooLong));
        }
        if !is_bulk(vr) {
            self.count_header(u64::from(head.length))?;
        }
        if self.open.is_empty() && header::wanted_index(head.tag).is_some() {
            return self.start_keeping(head);
        }
        self.skip(head.length);
        Ok(())
    }

    /// Remembers what is said about the instance as a whole: its pixels, and that a wanted element
    /// has been seen.
    fn note(&mut self, head: &Head) -> Result<(), ScanError> {
        if is_pixel_data(head.tag) {
            if self.header.pixel_data.is_some() {
                return Err(self.error(ScanErrorKind::Repeated));
            }
            self.header.pixel_data = Some(PixelData {
                tag: head.tag,
                offset: self.element_offset,
                length: (head.length != UNDEFINED).then_some(head.length),
            });
        }
        if let Some(index) = header::wanted_index(head.tag) {
            if self.seen & (1 << index) != 0 {
                return Err(self.error(ScanErrorKind::Repeated));
            }
            self.seen |= 1 << index;
        }
        Ok(())
    }

    fn open_undefined(&mut self, head: &Head, vr: VR, top: Enclosure) -> Result<(), ScanError> {
        let sequence = Enclosure { kind: Kind::Sequence, delimited: true, ..top };
        match vr {
            VR::SQ => self.open_sequence(sequence),
            VR::OB | VR::OW if head.vr.is_some() || is_pixel_data(head.tag) => {
                self.open_sequence(Enclosure { kind: Kind::Fragments, ..sequence })
            }
            // What was a sequence to whoever knew the tag: always implicit, always little endian
            // (PS3.5 6.2.2).
            VR::UN => {
                let syntax = Syntax { explicit: false, little: true };
                self.open_sequence(Enclosure { syntax, ..sequence })
            }
            _ => Err(self.error(ScanErrorKind::UndefinedLength)),
        }
    }

    fn open_sequence(&mut self, sequence: Enclosure) -> Result<(), ScanError> {
        if self.depth == self.limits.depth {
            return Err(self.error(ScanErrorKind::TooDeep));
        }
        self.depth += 1;
        self.open.push(sequence);
        Ok(())
    }

    fn start_keeping(&mut self, head: &Head) -> Result<(), ScanError> {
        if head.length > self.limits.wanted_value_bytes {
            return Err(self.error(ScanErrorKind::ValueTooLong));
        }
        let remaining = head.length as usize;
        if remaining == 0 {
            self.header.insert(head.tag, Vec::new());
        } else {
            // The value grows as its bytes arrive: a length is only a claim.
            self.state = State::Keep { tag: head.tag, remaining, value: Vec::new() };
        }
        Ok(())
    }

    fn keep(&mut self, tag: Tag, value: Vec<u8>) -> Result<(), ScanError> {
        let uid = header::is_wanted_uid(tag) && !unpadded(&value).is_empty();
        if uid && uids::parse(&value).is_err() {
            return Err(self.error(ScanErrorKind::InvalidUid));
        }
        self.header.insert(tag, value);
        Ok(())
    }

    fn skip(&mut self, length: u32) {
        if length > 0 {
            self.state = State::Skip { remaining: u64::from(length) };
        }
    }

    /// Where something of this length ends, if that is inside what encloses it.
    fn defined_end(&self, length: u32, top: &Enclosure) -> Result<u64, ScanError> {
        if length == UNDEFINED {
            return Err(self.error(ScanErrorKind::UndefinedLength));
        }
        let end = self.offset.saturating_add(u64::from(length));
        if end > top.limit {
            return Err(self.error(ScanErrorKind::LengthBeyondEnd));
        }
        Ok(end)
    }

    fn count_header(&mut self, bytes: u64) -> Result<(), ScanError> {
        self.header_bytes += bytes;
        if self.header_bytes > self.limits.header_bytes {
            return Err(self.error(ScanErrorKind::HeaderTooLarge));
        }
        Ok(())
    }

    /// Closes everything of defined length that ends here.
    fn close_ended(&mut self) {
        while self.open.last().is_some_and(|top| !top.delimited && top.limit == self.offset) {
            self.close_innermost();
        }
    }

    fn close_innermost(&mut self) {
        if self.open.pop().is_some_and(|closed| closed.kind != Kind::Item) {
            self.depth -= 1;
        }
    }

    fn top(&self) -> &Enclosure {
        self.open.last().unwrap_or(&self.root)
    }
}

impl Syntax {
    fn u16(self, bytes: [u8; 2]) -> u16 {
        if self.little { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) }
    }

    fn u32(self, bytes: [u8; 4]) -> u32 {
        if self.little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) }
    }
}

/// The VR of an element that does not say it. Unknown and private elements are opaque bytes.
fn dictionary_vr(tag: Tag) -> VR {
    if tag.group() % 2 == 1 {
        return VR::UN;
    }
    match StandardDataDictionary.by_tag(tag).map(DataDictionaryEntry::vr) {
        Some(VirtualVr::Exact(vr)) => vr,
        Some(VirtualVr::Xs) => VR::US,
        Some(_) => VR::OW,
        None => VR::UN,
    }
}

/// Whether the length takes four bytes, after two reserved ones (PS3.5 7.1.2).
fn has_long_length(vr: VR) -> bool {
    use VR::{OB, OD, OF, OL, OV, OW, SQ, SV, UC, UN, UR, UT, UV};
    matches!(vr, OB | OD | OF | OL | OV | OW | SQ | SV | UC | UN | UR | UT | UV)
}

fn is_text(vr: VR) -> bool {
    use VR::{AE, AS, CS, DA, DS, DT, IS, LO, LT, PN, SH, ST, TM, UC, UI, UR, UT};
    matches!(vr, AE | AS | CS | DA | DS | DT | IS | LO | LT | PN | SH | ST | TM | UC | UI | UR | UT)
}

fn is_bulk(vr: VR) -> bool {
    matches!(vr, VR::OB | VR::OD | VR::OF | VR::OL | VR::OV | VR::OW | VR::UN)
}

fn is_pixel_data(tag: Tag) -> bool {
    matches!(tag, Tag(0x7FE0, 0x0008..=0x0010)) && !matches!(tag, Tag(_, 0x000A..=0x000F))
}

const DELIMITER_GROUP: u16 = 0xFFFE;
const ITEM: Tag = Tag(0xFFFE, 0xE000);
const ITEM_DELIMITER: Tag = Tag(0xFFFE, 0xE00D);
const SEQUENCE_DELIMITER: Tag = Tag(0xFFFE, 0xE0DD);
const UNDEFINED: u32 = 0xFFFF_FFFF;
const SHORT_HEAD_BYTES: usize = 8;
const LONG_HEAD_BYTES: usize = 12;
