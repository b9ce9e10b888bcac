//! Data sets that we make ourselves: attributes in, Explicit VR Little Endian bytes out (PS3.5 7.1.2).
//!
//! Value representations come from the dictionary of the standard, attributes are written in tag
//! order whatever order they were set in, and sequences have explicit lengths, which every reader
//! understands. Text arrives as bytes of the character set that the object declares.

use std::collections::BTreeMap;

use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::StandardDataDictionary;

/// A data set or a sequence item under construction.
#[derive(Debug, Clone, Default)]
pub(crate) struct DataSet {
    elements: BTreeMap<Tag, (VR, Content)>,
}

#[derive(Debug, Clone)]
enum Content {
    Bytes(Vec<u8>),
    Items(Vec<DataSet>),
}

impl DataSet {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Sets a text, number text, code, date or UID; several values are joined by `\` by the caller.
    pub(crate) fn text(&mut self, tag: Tag, value: &str) -> &mut Self {
        self.bytes(tag, value.as_bytes().to_vec())
    }

    /// Sets a text, or the attribute without a value (type 2) when there is none.
    pub(crate) fn text_or_empty(&mut self, tag: Tag, value: Option<&str>) -> &mut Self {
        self.text(tag, value.unwrap_or_default())
    }

    /// Sets a text when there is one (type 3).
    pub(crate) fn text_if_any(&mut self, tag: Tag, value: Option<&str>) -> &mut Self {
        match value {
            Some(value) if !value.is_empty() => self.text(tag, value),
            _ => self,
        }
    }

    /// Sets unsigned 16-bit values.
    pub(crate) fn shorts(&mut self, tag: Tag, values: &[u16]) -> &mut Self {
        self.bytes(tag, values.iter().flat_map(|value| value.to_le_bytes()).collect())
    }

    /// Sets an unsigned 32-bit value.
    pub(crate) fn long(&mut self, tag: Tag, value: u32) -> &mut Self {
        self.bytes(tag, value.to_le_bytes().to_vec())
    }

    /// Sets an attribute tag as value (VR AT).
    pub(crate) fn pointer(&mut self, tag: Tag, value: Tag) -> &mut Self {
        self.shorts(tag, &[value.group(), value.element()])
    }

    /// Sets a value by its bytes, padded to even length as its representation wants.
    pub(crate) fn bytes(&mut self, tag: Tag, mut value: Vec<u8>) -> &mut Self {
        let vr = representation(tag);
        if value.len() % 2 == 1 {
            value.push(if matches!(vr, VR::UI | VR::OB | VR::OW | VR::UN) { 0 } else { b' ' });
        }
        self.elements.insert(tag, (vr, Content::Bytes(value)));
        self
    }

    /// Sets a sequence; no items means present and empty.
    pub(crate) fn sequence(&mut self, tag: Tag, items: Vec<Self>) -> &mut Self {
        self.elements.insert(tag, (VR::SQ, Content::Items(items)));
        self
    }

    /// The bytes of the data set.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(2_048);
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut Vec<u8>) {
        for (tag, (vr, content)) in &self.elements {
            put_tag(out, *tag);
            match content {
                Content::Bytes(value) => {
                    put_head(out, *vr, value.len());
                    out.extend_from_slice(value);
                }
                Content::Items(items) => {
                    let mut body = Vec::new();
                    for item in items {
                        let bytes = item.encode();
                        put_tag(&mut body, Tag(0xFFFE, 0xE000));
                        body.extend_from_slice(&length32(bytes.len()));
                        body.extend_from_slice(&bytes);
                    }
                    put_head(out, VR::SQ, body.len());
                    out.extend_from_slice(&body);
                }
            }
        }
    }
}

/// Writes the head of a last, large element, so that its value need not pass through a [`DataSet`].
pub(crate) fn put_large(out: &mut Vec<u8>, tag: Tag, vr: VR, length: usize) {
    put_tag(out, tag);
    put_head(out, vr, length);
}

fn put_tag(out: &mut Vec<u8>, tag: Tag) {
    out.extend_from_slice(&tag.group().to_le_bytes());
    out.extend_from_slice(&tag.element().to_le_bytes());
}

fn put_head(out: &mut Vec<u8>, vr: VR, length: usize) {
    match u16::try_from(length) {
        Ok(short) if !LONG.contains(&vr) => {
            out.extend_from_slice(&vr.to_bytes());
            out.extend_from_slice(&short.to_le_bytes());
        }
        _ => {
            // A value too long for its representation is written as UN (PS3.5 6.2.2 note 6).
            let vr = if LONG.contains(&vr) { vr } else { VR::UN };
            out.extend_from_slice(&vr.to_bytes());
            out.extend_from_slice(&[0, 0]);
            out.extend_from_slice(&length32(length));
        }
    }
}

/// Objects made here stay far below 4 GiB: reports, PDF files and single phantom instances.
fn length32(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes()
}

fn representation(tag: Tag) -> VR {
    StandardDataDictionary.by_tag(tag).map_or(VR::UN, |entry| entry.vr().relaxed())
}

/// Representations whose length field has 32 bits (PS3.5 table 7.1-1).
const LONG: &[VR] = &[
    VR::OB,
    VR::OD,
    VR::OF,
    VR::OL,
    VR::OV,
    VR::OW,
    VR::SQ,
    VR::SV,
    VR::UC,
    VR::UN,
    VR::UR,
    VR::UT,
    VR::UV,
];

#[cfg(test)]
mod tests {
    use dicom_dictionary_std::tags;

    use super::*;

    #[test]
    fn elements_are_sorted_padded_and_measured() {
        let mut item = DataSet::new();
        item.text(tags::CODE_VALUE, "abc");
        let mut set = DataSet::new();
        set.sequence(tags::CONCEPT_NAME_CODE_SEQUENCE, vec![item])
            .shorts(tags::ROWS, &[512])
            .text(tags::SOP_INSTANCE_UID, "1.2");
        let expected = [
            &b"\x08\x00\x18\x00UI\x04\x001.2\0"[..],
            b"\x28\x00\x10\x00US\x02\x00\x00\x02",
            b"\x40\x00\x43\xa0SQ\x00\x00\x14\x00\x00\x00\xfe\xff\x00\xe0\x0c\x00\x00\x00",
            b"\x08\x00\x00\x01SH\x04\x00abc ",
        ]
        .concat();
        assert_eq!(set.encode(), expected);
    }

    #[test]
    fn a_value_too_long_for_its_representation_becomes_un() {
        let mut set = DataSet::new();
        set.text(tags::PATIENT_ID, &"x".repeat(70_000));
        let bytes = set.encode();
        assert_eq!(bytes.get(4..12), Some(&b"UN\0\0\x70\x11\x01\0"[..]));
    }
}
