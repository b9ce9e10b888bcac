//! Data sets made to hurt: what a scanner must refuse, or survive, at the door.
//!
//! Explicit VR Little Endian unless said otherwise. Each generator names the promise it attacks.

use super::PhantomSpec;

/// One hostile data set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hostile {
    /// What is wrong with it, for messages of tests.
    pub name: &'static str,
    /// The bytes.
    pub data_set: Vec<u8>,
    /// It can only be refused; otherwise it may also be stored as it is, without harm.
    pub malformed: bool,
}

/// All kinds of hostile data sets.
pub fn all() -> Vec<Hostile> {
    let kind = |name, malformed, data_set| Hostile { name, data_set, malformed };
    let mut kinds = vec![
        kind("sequences nested 100,000 deep", true, nested(100_000)),
        kind("sequences nested 100,000 deep and closed", true, nested_and_closed(100_000)),
        kind("a length beyond the end", true, length_beyond_end()),
        kind("undefined length on everything", true, undefined_everywhere()),
        kind("1 GiB declared in few bytes", true, gigabyte_declared()),
        kind("a huge explicit sequence with no items", true, huge_sequence()),
        kind("a length of 0xFFFFFFFE", true, almost_undefined()),
        kind("a sequence never closed", true, unclosed()),
        kind("an item where an attribute belongs", true, stray_item()),
        kind("a VR that does not exist", true, wrong_vr()),
        kind("65,535 x 65,535 pixels, two bytes of them", false, enormous_dimensions()),
        kind("all bytes 0xFF", true, vec![0xFF; 4_096]),
        kind("nothing at all", true, Vec::new()),
    ];
    for (name, data_set) in wrong_uids() {
        kinds.push(kind(name, true, data_set));
    }
    for (name, data_set) in truncated() {
        kinds.push(kind(name, true, data_set));
    }
    kinds
}

/// `depth` sequences of undefined length, each in an item of the one before, none closed.
pub fn nested(depth: usize) -> Vec<u8> {
    let mut out = identity("1.2.3.4");
    for _ in 0..depth {
        out.extend_from_slice(
            b"\x40\x00\x30\xa7SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff",
        );
    }
    out
}

/// As [`nested`], but every item and sequence is closed: well-formed, and still too deep.
pub fn nested_and_closed(depth: usize) -> Vec<u8> {
    let mut out = nested(depth);
    for _ in 0..depth {
        out.extend_from_slice(b"\xfe\xff\x0d\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0");
    }
    out
}

/// A text whose length passes the end of the data set.
pub fn length_beyond_end() -> Vec<u8> {
    let mut out = identity("1.2.3.4");
    out.extend_from_slice(b"\x32\x00\x32\x10PN\xf0\xffZhang^San");
    out
}

/// Undefined length on representations that cannot have it.
pub fn undefined_everywhere() -> Vec<u8> {
    let mut out = identity("1.2.3.4");
    for element in 0..2_000u16 {
        out.extend_from_slice(b"\x40\x00");
        out.extend_from_slice(&(0x1000 + element).to_le_bytes());
        out.extend_from_slice(b"UT\0\0\xff\xff\xff\xff");
    }
    out
}

/// Implicit VR: ten bytes that announce 1 GiB.
pub fn gigabyte_declared() -> Vec<u8> {
    b"\x08\x00\x05\x00\x00\x00\x00\x40AB".to_vec()
}

/// A sequence of 2 GiB with four bytes in it.
pub fn huge_sequence() -> Vec<u8> {
    let mut out = identity("1.2.3.4");
    out.extend_from_slice(b"\x40\x00\x75\xa3SQ\0\0\x00\x00\x00\x80\xfe\xff\x00\xe0");
    out
}

/// The largest defined length there is.
pub fn almost_undefined() -> Vec<u8> {
    let mut out = identity("1.2.3.4");
    out.extend_from_slice(b"\xe0\x7f\x10\x00OW\0\0\xfe\xff\xff\xff\0\0");
    out
}

/// A sequence of undefined length that ends with the data set.
pub fn unclosed() -> Vec<u8> {
    let mut out = identity("1.2.3.4");
    out.extend_from_slice(
        b"\x40\x00\x75\xa3SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff",
    );
    out
}

/// An item delimiter and an item outside of any sequence.
pub fn stray_item() -> Vec<u8> {
    let mut out = b"\xfe\xff\x0d\xe0\0\0\0\0\xfe\xff\x00\xe0\xff\xff\xff\xff".to_vec();
    out.extend_from_slice(&identity("1.2.3.4"));
    out
}

/// A value representation of bytes that no standard knows.
pub fn wrong_vr() -> Vec<u8> {
    let mut out = identity("1.2.3.4");
    out.extend_from_slice(b"\x32\x00\x00\x40\x01\x7f\x04\x00P001");
    out
}

/// Rows and Columns of 65,535 with hardly any pixels: structurally sound, a trap for decoders.
pub fn enormous_dimensions() -> Vec<u8> {
    let mut out = identity("1.2.3.4");
    out.extend_from_slice(b"\x28\x00\x10\x00US\x02\x00\xff\xff\x28\x00\x11\x00US\x02\x00\xff\xff");
    out.extend_from_slice(b"\xe0\x7f\x10\x00OW\0\0\x02\0\0\0\0\0");
    out
}

/// SOP Instance UIDs that are paths, carry NUL, or are too long.
pub fn wrong_uids() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("a UID that climbs directories", identity("../../../../etc/passwd")),
        ("a UID with NUL inside", identity("1.2\0.3.4")),
        ("a UID with a slash", identity("1.2/3.4")),
        ("a UID of 200 characters", identity(&"1.2.".repeat(50))),
        ("a UID that ends a query", identity("1';DROP TABLE instances;--")),
        ("an empty UID", identity("")),
    ]
}

/// A good small CT slice cut at different places.
pub fn truncated() -> Vec<(&'static str, Vec<u8>)> {
    let whole = PhantomSpec::tiny(1, 1).instance(0, 0).data_set;
    let cut = |end: usize| whole[..end.min(whole.len())].to_vec();
    vec![
        ("cut inside a tag", cut(2)),
        ("cut inside a length", cut(7)),
        ("cut inside a value", cut(12)),
        ("cut inside the pixels", cut(whole.len() - 5)),
    ]
}

/// SOP class, the SOP Instance UID given, study and series: enough to look like an instance.
fn identity(sop_instance: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut uid = |group: u16, element: u16, value: &str| {
        let mut value = value.as_bytes().to_vec();
        if value.len() % 2 == 1 {
            value.push(0);
        }
        out.extend_from_slice(&group.to_le_bytes());
        out.extend_from_slice(&element.to_le_bytes());
        out.extend_from_slice(b"UI");
        out.extend_from_slice(&(value.len() as u16).to_le_bytes());
        out.extend_from_slice(&value);
    };
    uid(0x0008, 0x0016, "1.2.840.10008.5.1.4.1.1.2");
    uid(0x0008, 0x0018, sop_instance);
    uid(0x0020, 0x000D, "1.2.3");
    uid(0x0020, 0x000E, "1.2.3.4");
    out
}
