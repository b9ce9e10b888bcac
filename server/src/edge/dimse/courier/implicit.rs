//! Explicit VR Little Endian to Implicit VR Little Endian (PS3.5 7.1.3), for receivers that take
//! nothing but the default transfer syntax. For the data sets that we make: every length is
//! explicit and the depth is small; anything else is `None`.

/// How deep our own documents may nest.
const DEPTH: usize = 16;
/// Representations whose length field has 32 bits (PS3.5 table 7.1-1).
const LONG: [&[u8; 2]; 13] =
    [b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"];
/// Tag of an item, as written.
const ITEM: [u8; 4] = [0xFE, 0xFF, 0x00, 0xE0];

/// The same data set in Implicit VR.
pub(super) fn from_explicit(data_set: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(data_set.len());
    elements(data_set, DEPTH, &mut out)?;
    Some(out)
}

fn elements(mut input: &[u8], depth: usize, out: &mut Vec<u8>) -> Option<()> {
    let depth = depth.checked_sub(1)?;
    while !input.is_empty() {
        let (tag, rest) = input.split_first_chunk::<4>()?;
        let (vr, rest) = rest.split_first_chunk::<2>()?;
        let (length, rest) = if LONG.contains(&vr) {
            let (_, rest) = rest.split_first_chunk::<2>()?;
            let (length, rest) = rest.split_first_chunk::<4>()?;
            (usize::try_from(u32::from_le_bytes(*length)).ok()?, rest)
        } else {
            let (length, rest) = rest.split_first_chunk::<2>()?;
            (usize::from(u16::from_le_bytes(*length)), rest)
        };
        let (value, rest) = rest.split_at_checked(length)?;
        out.extend_from_slice(tag);
        if vr == b"SQ" {
            let mut body = Vec::with_capacity(value.len());
            items(value, depth, &mut body)?;
            put(&body, out)?;
        } else {
            put(value, out)?;
        }
        input = rest;
    }
    Some(())
}

fn items(mut input: &[u8], depth: usize, out: &mut Vec<u8>) -> Option<()> {
    while !input.is_empty() {
        let (tag, rest) = input.split_first_chunk::<4>()?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        let (value, rest) = rest.split_at_checked(length)?;
        if *tag != ITEM {
            return None;
        }
        let mut body = Vec::with_capacity(value.len());
        elements(value, depth, &mut body)?;
        out.extend_from_slice(&ITEM);
        put(&body, out)?;
        input = rest;
    }
    Some(())
}

fn put(value: &[u8], out: &mut Vec<u8>) -> Option<()> {
    out.extend_from_slice(&u32::try_from(value.len()).ok()?.to_le_bytes());
    out.extend_from_slice(value);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long_heads_and_sequences_are_rewritten() {
        let explicit = [
            &b"\x08\x00\x18\x00UI\x04\x001.2\0"[..],
            b"\x40\x00\x43\xa0SQ\x00\x00\x14\x00\x00\x00\xfe\xff\x00\xe0\x0c\x00\x00\x00",
            b"\x08\x00\x00\x01SH\x04\x00abc ",
            b"\x42\x00\x11\x00OB\x00\x00\x02\x00\x00\x00\x01\x02",
        ]
        .concat();
        let expected = [
            &b"\x08\x00\x18\x00\x04\x00\x00\x001.2\0"[..],
            b"\x40\x00\x43\xa0\x14\x00\x00\x00\xfe\xff\x00\xe0\x0c\x00\x00\x00",
            b"\x08\x00\x00\x01\x04\x00\x00\x00abc ",
            b"\x42\x00\x11\x00\x02\x00\x00\x00\x01\x02",
        ]
        .concat();
        assert_eq!(from_explicit(&explicit), Some(expected));
    }

    #[test]
    fn what_is_not_ours_is_refused() {
        assert_eq!(from_explicit(b"\x08\x00\x18\x00UI\x06\x001.2\0"), None, "too short");
        let undefined = b"\x40\x00\x43\xa0SQ\x00\x00\xff\xff\xff\xff";
        assert_eq!(from_explicit(undefined), None, "undefined length");
        let mut nested = Vec::new();
        for _ in 0..=DEPTH {
            let inner = u32::try_from(nested.len()).expect("small");
            let item = [&ITEM[..], &inner.to_le_bytes(), &nested].concat();
            let outer = u32::try_from(item.len()).expect("small");
            let head = b"\x40\x00\x43\xa0SQ\x00\x00";
            nested = [&head[..], &outer.to_le_bytes(), &item].concat();
        }
        assert_eq!(from_explicit(&nested), None, "deeper than anything of ours");
    }
}
