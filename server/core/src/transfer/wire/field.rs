//! The fields that everything is made of (PROTOCOL 2): integers, texts, byte strings, lists.

use super::super::{Hash, Violation};
use crate::time::Timestamp;

/// Takes fields off the front of a byte string. What a length or a count claims is checked
/// against the bytes that are there before anything is allocated for it.
#[derive(Debug)]
pub(in super::super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(in super::super) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// How many bytes are left.
    pub(in super::super) const fn left(&self) -> usize {
        self.rest.len()
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Violation> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(SHORT)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Violation> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(SHORT)?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(in super::super) fn u8(&mut self) -> Result<u8, Violation> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(in super::super) fn u16(&mut self) -> Result<u16, Violation> {
        self.array().map(u16::from_be_bytes)
    }

    pub(in super::super) fn u32(&mut self) -> Result<u32, Violation> {
        self.array().map(u32::from_be_bytes)
    }

    pub(in super::super) fn u64(&mut self) -> Result<u64, Violation> {
        self.array().map(u64::from_be_bytes)
    }

    pub(in super::super) fn time(&mut self) -> Result<Timestamp, Violation> {
        self.array().map(|bytes| Timestamp::from_micros(i64::from_be_bytes(bytes)))
    }

    pub(in super::super) fn hash(&mut self) -> Result<Hash, Violation> {
        self.array()
    }

    pub(in super::super) fn text(&mut self) -> Result<&'a str, Violation> {
        let length = usize::from(self.u16()?);
        std::str::from_utf8(self.take(length)?).map_err(|_| Violation("a text is not UTF-8"))
    }

    pub(in super::super) fn string(&mut self) -> Result<String, Violation> {
        self.text().map(str::to_owned)
    }

    pub(in super::super) fn bytes(&mut self) -> Result<&'a [u8], Violation> {
        let length = self.u32()?;
        self.take(usize::try_from(length).map_err(|_| SHORT)?)
    }

    /// A list of at most `most` items, none of which takes less than `least` bytes.
    pub(in super::super) fn list<T>(
        &mut self,
        least: usize,
        most: usize,
        mut item: impl FnMut(&mut Self) -> Result<T, Violation>,
    ) -> Result<Vec<T>, Violation> {
        let count = usize::try_from(self.u32()?).map_err(|_| SHORT)?;
        if count > most {
            return Err(Violation("a list is longer than it may be"));
        }
        if count > self.left() / least.max(1) {
            return Err(SHORT);
        }
        let mut items = Vec::with_capacity(count);
        for _ in 0..count {
            items.push(item(self)?);
        }
        Ok(items)
    }

    pub(in super::super) fn option<T>(
        &mut self,
        value: impl FnOnce(&mut Self) -> Result<T, Violation>,
    ) -> Result<Option<T>, Violation> {
        match self.u8()? {
            0 => Ok(None),
            1 => value(self).map(Some),
            _ => Err(Violation("an option is neither 0 nor 1")),
        }
    }

    /// Nothing may be left over.
    pub(in super::super) const fn end(&self) -> Result<(), Violation> {
        if self.rest.is_empty() { Ok(()) } else { Err(Violation("bytes after the last field")) }
    }
}

/// Appends fields to a byte string.
#[derive(Debug, Default)]
pub(in super::super) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    pub(in super::super) fn with_capacity(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes) }
    }

    pub(in super::super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    pub(in super::super) fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    pub(in super::super) fn u8(&mut self, value: u8) -> &mut Self {
        self.raw(&[value])
    }

    pub(in super::super) fn u16(&mut self, value: u16) -> &mut Self {
        self.raw(&value.to_be_bytes())
    }

    pub(in super::super) fn u32(&mut self, value: u32) -> &mut Self {
        self.raw(&value.to_be_bytes())
    }

    pub(in super::super) fn u64(&mut self, value: u64) -> &mut Self {
        self.raw(&value.to_be_bytes())
    }

    pub(in super::super) fn time(&mut self, value: Timestamp) -> &mut Self {
        self.raw(&value.micros().to_be_bytes())
    }

    /// A text; what does not fit in its 16 bits of length is cut off between two characters.
    pub(in super::super) fn text(&mut self, value: &str) -> &mut Self {
        let kept = &value[..value.floor_char_boundary(usize::from(u16::MAX))];
        self.u16(u16::try_from(kept.len()).unwrap_or(u16::MAX)).raw(kept.as_bytes())
    }

    pub(in super::super) fn count(&mut self, items: usize) -> &mut Self {
        self.u32(u32::try_from(items).unwrap_or(u32::MAX))
    }

    pub(in super::super) fn bytes(&mut self, value: &[u8]) -> &mut Self {
        self.count(value.len()).raw(value)
    }
}

const SHORT: Violation = Violation("a field is longer than what is left");
