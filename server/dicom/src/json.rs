//! The DICOM JSON Model (PS3.18 F): a header as JSON in UTF-8, whatever character set it was written in or says
//! that it was.
//!
//! Text goes through [`crate::text`], so a wrong declaration is seen through here as it is at the door. What is
//! long is left out and named by a `BulkDataURI`; nothing fails: a value that cannot be read becomes `null` or text.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use dicom_core::dictionary::{DataDictionary as _, DataDictionaryEntry as _, VirtualVr};
pub use dicom_core::{Tag, VR};
use dicom_dictionary_std::StandardDataDictionary;
use serde_json::{Map, Number, Value as Json, json};

use crate::elements::{Element, Elements, PixelElement, Value, is_text};
use crate::text::{Kind, TextDecoder};
use crate::uids::unpadded;

/// Opaque bytes up to here stand in the JSON itself, in bytes.
pub const INLINE_BYTES: usize = 2 * 1024;
/// Tables that a picture cannot be shown without stand in it up to here, in bytes.
const TABLE_BYTES: usize = 256 * 1024;
/// Other values up to here stand in it, in bytes.
const VALUE_BYTES: usize = 64 * 1024;

/// Makes the address of an element from its path, see [`find`].
pub type Address<'a> = &'a dyn Fn(&str) -> String;

/// The JSON model of a header. `profile` is a character set fixed for the sending device, which wins over what is
/// declared.
pub fn model(
    header: &Elements,
    pixels: Option<&PixelElement>,
    profile: Option<&str>,
    address: Address<'_>,
) -> Map<String, Json> {
    let mut writer = Writer { profile, address, path: String::new() };
    let text = writer.decoder(header);
    let mut model = writer.elements(header, text, signed(header));
    put(&mut model, CHARACTER_SET, VR::CS, ["ISO_IR 192".into()]);
    if let Some(pixels) = pixels {
        let key = key(pixels.tag);
        let entry = json!({ "vr": pixels.vr.to_string(), "BulkDataURI": address(&key) });
        model.insert(key, entry);
    }
    model
}

/// Adds or replaces an element with these values.
pub fn put(
    model: &mut Map<String, Json>,
    tag: Tag,
    vr: VR,
    values: impl IntoIterator<Item = Json>,
) {
    let mut entry = Map::new();
    entry.insert("vr".to_owned(), vr.to_string().into());
    let values: Vec<Json> = values.into_iter().collect();
    if !values.is_empty() {
        entry.insert("Value".to_owned(), values.into());
    }
    model.insert(key(tag), Json::Object(entry));
}

/// The attribute that a keyword of PS3.6 or eight hexadecimal digits name.
pub fn attribute(text: &str) -> Option<Tag> {
    tag_of(text).or_else(|| Some(StandardDataDictionary.by_name(text)?.tag()))
}

/// A person's name by its groups: alphabetic, ideographic, phonetic.
pub fn person_name(text: &str) -> Option<Json> {
    let mut groups = Map::new();
    for (name, part) in ["Alphabetic", "Ideographic", "Phonetic"].iter().zip(text.split('=')) {
        let part = part.trim_matches([' ', '\0']);
        if !part.is_empty() {
            groups.insert((*name).to_owned(), part.into());
        }
    }
    (!groups.is_empty()).then_some(Json::Object(groups))
}

/// The element at a path of tags and item numbers counted from 0: `0040A730.1.00420011`, and whether its numbers
/// are big endian.
pub fn find<'e>(header: &'e Elements, path: &str) -> Option<(&'e Element, bool)> {
    let mut parts = path.split('.');
    let mut elements = header;
    loop {
        let element = elements.get(tag_of(parts.next()?)?)?;
        let Some(item) = parts.next() else { return Some((element, elements.big_endian)) };
        let Value::Items(items) = &element.value else { return None };
        elements = items.get(item.parse::<usize>().ok()?)?;
    }
}

/// The tag that eight hexadecimal digits name.
pub fn tag_of(text: &str) -> Option<Tag> {
    let hexadecimal = text.len() == 8 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let number = hexadecimal.then(|| u32::from_str_radix(text, 16).ok())??;
    Some(Tag((number >> 16) as u16, number as u16))
}

/// Eight upper-case hexadecimal digits.
pub fn key(tag: Tag) -> String {
    format!("{:04X}{:04X}", tag.group(), tag.element())
}

/// Whether stored values are signed, on which the meaning of "US or SS" hangs.
fn signed(elements: &Elements) -> bool {
    elements.word(PIXEL_REPRESENTATION) == Some(1)
}

struct Writer<'a> {
    profile: Option<&'a str>,
    address: Address<'a>,
    /// Path of the sequence item that is being written, with a dot at its end; empty outside.
    path: String,
}

impl Writer<'_> {
    fn decoder(&self, elements: &Elements) -> TextDecoder {
        let mut samples = Vec::new();
        gather(elements, &mut samples);
        let declared = elements.bytes(CHARACTER_SET).map(AsRef::as_ref);
        TextDecoder::new(declared, self.profile, samples.into_iter())
    }

    fn elements(
        &mut self,
        elements: &Elements,
        mut text: TextDecoder,
        signed: bool,
    ) -> Map<String, Json> {
        let mut map = Map::new();
        for element in &elements.list {
            // Group lengths say nothing about JSON.
            if element.tag.element() == 0 || element.tag.group() == 2 {
                continue;
            }
            let key = key(element.tag);
            let big = elements.big_endian;
            let entry = if element.tag == CHARACTER_SET {
                json!({ "vr": "CS", "Value": ["ISO_IR 192"] })
            } else {
                self.element(element, &key, &mut text, big, signed)
            };
            map.insert(key, entry);
        }
        map
    }

    fn element(
        &mut self,
        element: &Element,
        key: &str,
        text: &mut TextDecoder,
        big: bool,
        signed: bool,
    ) -> Json {
        let vr = match element.vr {
            VR::US if signed && is_us_or_ss(element.tag) => VR::SS,
            vr => vr,
        };
        let mut entry = Map::new();
        entry.insert("vr".to_owned(), vr.to_string().into());
        let bulk = |writer: &Self| Json::from((writer.address)(&format!("{}{key}", writer.path)));
        match &element.value {
            Value::Items(items) => {
                let items = self.items(items, key, text, signed);
                if !items.is_empty() {
                    entry.insert("Value".to_owned(), items.into());
                }
            }
            Value::Elsewhere { .. } => {
                entry.insert("BulkDataURI".to_owned(), bulk(self));
            }
            Value::Bytes(bytes) if bytes.is_empty() => {}
            Value::Bytes(bytes) if is_opaque(vr) => {
                if bytes.len() <= limit(element.tag, INLINE_BYTES) {
                    let bytes = little_endian(bytes, vr, big);
                    entry.insert("InlineBinary".to_owned(), BASE64.encode(bytes).into());
                } else {
                    entry.insert("BulkDataURI".to_owned(), bulk(self));
                }
            }
            Value::Bytes(bytes) if bytes.len() > limit(element.tag, VALUE_BYTES) => {
                entry.insert("BulkDataURI".to_owned(), bulk(self));
            }
            Value::Bytes(bytes) => {
                let values = values(bytes, vr, text, big);
                if !values.iter().all(Json::is_null) {
                    entry.insert("Value".to_owned(), values.into());
                }
            }
        }
        Json::Object(entry)
    }

    fn items(
        &mut self,
        items: &[Elements],
        key: &str,
        text: &TextDecoder,
        signed: bool,
    ) -> Vec<Json> {
        let outside = self.path.len();
        let mut written = Vec::with_capacity(items.len());
        for (number, item) in items.iter().enumerate() {
            self.path.push_str(&format!("{key}.{number}."));
            // An item may have a character set of its own; else that around it holds.
            let own = item.get(CHARACTER_SET).is_some();
            let text = if own { self.decoder(item) } else { text.clone() };
            let signed = item.word(PIXEL_REPRESENTATION).map_or(signed, |value| value == 1);
            written.push(Json::Object(self.elements(item, text, signed)));
            self.path.truncate(outside);
        }
        written
    }
}

/// The text of a data set that its own character set is about.
fn gather<'e>(elements: &'e Elements, samples: &mut Vec<&'e [u8]>) {
    for element in &elements.list {
        match &element.value {
            Value::Bytes(bytes) if kind(element.vr).is_some() && !bytes.is_ascii_plain() => {
                samples.push(bytes);
            }
            Value::Items(items) => {
                let same = items.iter().filter(|item| item.get(CHARACTER_SET).is_none());
                same.for_each(|item| gather(item, samples));
            }
            Value::Bytes(_) | Value::Elsewhere { .. } => {}
        }
    }
}

trait Plain {
    /// Plain ASCII without escapes: the same in every character set, so no evidence for any.
    fn is_ascii_plain(&self) -> bool;
}

impl Plain for bytes::Bytes {
    fn is_ascii_plain(&self) -> bool {
        self.iter().all(|byte| byte.is_ascii() && *byte != 0x1b)
    }
}

/// How text of a value representation is decoded; `None` for what is always ASCII or no text.
fn kind(vr: VR) -> Option<Kind> {
    match vr {
        VR::PN => Some(Kind::PersonName),
        VR::SH | VR::LO | VR::UC => Some(Kind::Strings),
        VR::ST | VR::LT | VR::UT => Some(Kind::Paragraph),
        _ => None,
    }
}

fn values(bytes: &[u8], vr: VR, text: &mut TextDecoder, big: bool) -> Vec<Json> {
    if is_text(vr) {
        return texts(bytes, vr, text);
    }
    let swap = |raw: &[u8]| -> [u8; 8] {
        let mut eight = [0; 8];
        for (at, byte) in raw.iter().enumerate() {
            eight[if big { raw.len() - 1 - at } else { at }] = *byte;
        }
        eight
    };
    let two = |raw: &[u8]| u16::from_le_bytes([swap(raw)[0], swap(raw)[1]]);
    let four = |raw: &[u8]| u32::from_le_bytes(swap(raw)[..4].try_into().unwrap_or_default());
    let eight = |raw: &[u8]| u64::from_le_bytes(swap(raw));
    let each = |size: usize, read: &dyn Fn(&[u8]) -> Json| -> Vec<Json> {
        bytes.chunks_exact(size).map(read).collect()
    };
    match vr {
        VR::US => each(2, &|raw| two(raw).into()),
        VR::SS => each(2, &|raw| (two(raw) as i16).into()),
        VR::UL => each(4, &|raw| four(raw).into()),
        VR::SL => each(4, &|raw| (four(raw) as i32).into()),
        VR::FL => each(4, &|raw| float(f64::from(f32::from_bits(four(raw))))),
        VR::FD => each(8, &|raw| float(f64::from_bits(eight(raw)))),
        VR::UV => each(8, &|raw| large(i128::from(eight(raw)))),
        VR::SV => each(8, &|raw| large(i128::from(eight(raw) as i64))),
        VR::AT => each(4, &|raw| {
            let (group, element) = raw.split_at(2);
            format!("{:04X}{:04X}", two(group), two(element)).into()
        }),
        _ => Vec::new(),
    }
}

/// Integers that a JavaScript number cannot hold are text (PS3.18 F.2.2).
fn large(value: i128) -> Json {
    match i64::try_from(value) {
        Ok(value) if value.unsigned_abs() < 1 << 53 => value.into(),
        _ => value.to_string().into(),
    }
}

/// JSON has no word for what is no number.
fn float(value: f64) -> Json {
    Number::from_f64(value).map_or(Json::Null, Json::Number)
}

fn texts(bytes: &[u8], vr: VR, text: &mut TextDecoder) -> Vec<Json> {
    let whole = match kind(vr) {
        Some(kind) => text.decode(unpadded(bytes), kind),
        None => bytes.iter().map(|byte| char::from(*byte)).collect(),
    };
    let or_null = |part: &str| if part.is_empty() { Json::Null } else { Json::from(part) };
    match vr {
        // Where a backslash is a letter, and leading spaces count.
        VR::LT | VR::ST | VR::UT | VR::UR => vec![or_null(whole.trim_end_matches([' ', '\0']))],
        VR::PN => whole.split('\\').map(|name| person_name(name).unwrap_or(Json::Null)).collect(),
        _ => {
            let parts = whole.split('\\').map(|part| part.trim_matches([' ', '\0']));
            parts
                .map(|part| match vr {
                    VR::IS => part.parse::<i64>().map_or_else(|_| or_null(part), large_of),
                    VR::DS => match part.parse::<f64>() {
                        Ok(number) if number.is_finite() => float(number),
                        _ => or_null(part),
                    },
                    _ => or_null(part),
                })
                .collect()
        }
    }
}

fn large_of(value: i64) -> Json {
    large(i128::from(value))
}

/// Opaque bytes with their words in little endian order (PS3.18 F.2.7).
pub fn little_endian(bytes: &[u8], vr: VR, big: bool) -> Vec<u8> {
    let size = match vr {
        VR::OW | VR::US | VR::SS => 2,
        VR::OL | VR::OF | VR::UL | VR::SL | VR::FL => 4,
        VR::OV | VR::OD | VR::UV | VR::SV | VR::FD => 8,
        _ => 1,
    };
    let mut bytes = bytes.to_vec();
    if big && size > 1 {
        bytes.chunks_exact_mut(size).for_each(<[u8]>::reverse);
    }
    bytes
}

fn is_opaque(vr: VR) -> bool {
    matches!(vr, VR::OB | VR::OD | VR::OF | VR::OL | VR::OV | VR::OW | VR::UN)
}

/// How long a value may be to stand in the JSON itself.
fn limit(tag: Tag, usual: usize) -> usize {
    // Lookup tables and their like: without them an image has no colours or no contrast.
    if tag.group() == 0x0028 { TABLE_BYTES } else { usual }
}

/// Elements whose value representation follows Pixel Representation (PS3.6: "US or SS").
fn is_us_or_ss(tag: Tag) -> bool {
    let entry = StandardDataDictionary.by_tag(tag);
    entry.is_some_and(|entry| entry.vr() == VirtualVr::Xs)
}

const CHARACTER_SET: Tag = Tag(0x0008, 0x0005);
const PIXEL_REPRESENTATION: Tag = Tag(0x0028, 0x0103);
