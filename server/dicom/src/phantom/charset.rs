//! Writing text in the character sets that devices in Chinese clinics use.

use encoding_rs::GB18030;

/// How the text of a phantom is written and declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextEncoding {
    /// `ISO_IR 192`: UTF-8.
    Utf8,
    /// `GB18030`.
    Gb18030,
    /// `\ISO 2022 IR 58`: ASCII with GB 2312 by escapes; characters outside GB 2312 become `?`.
    Iso2022Ir58,
    /// No Specific Character Set, and GB18030 bytes all the same, as careless devices send.
    Undeclared,
}

impl TextEncoding {
    /// The value of (0008,0005), when the attribute is there.
    pub const fn declaration(self) -> Option<&'static str> {
        match self {
            Self::Utf8 => Some("ISO_IR 192"),
            Self::Gb18030 => Some("GB18030"),
            Self::Iso2022Ir58 => Some("\\ISO 2022 IR 58"),
            Self::Undeclared => None,
        }
    }

    /// The bytes of a text. Escapes are repeated after name delimiters (PS3.5 6.1.2.5.3).
    pub fn encode(self, text: &str) -> Vec<u8> {
        match self {
            Self::Utf8 => text.as_bytes().to_vec(),
            Self::Gb18030 | Self::Undeclared => GB18030.encode(text).0.into_owned(),
            Self::Iso2022Ir58 => encode_gb2312(text),
        }
    }
}

fn encode_gb2312(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 16);
    let mut designated = false;
    for c in text.chars() {
        if c.is_ascii() {
            designated &= !matches!(c, '^' | '=' | '\\' | '\t' | '\n' | '\r' | '\u{c}');
            out.push(c as u8);
            continue;
        }
        let mut buffer = [0u8; 4];
        let (bytes, _, _) = GB18030.encode(c.encode_utf8(&mut buffer));
        if let [lead @ 0xa1..=0xf7, trail @ 0xa1..=0xfe] = bytes.as_ref() {
            if !designated {
                out.extend_from_slice(b"\x1b$)A");
                designated = true;
            }
            out.extend_from_slice(&[*lead, *trail]);
        } else {
            out.push(b'?');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_repeated_after_delimiters() {
        let expected = b"Zhang^San=\x1b$)A\xd5\xc5^\x1b$)A\xc8\xfd";
        assert_eq!(TextEncoding::Iso2022Ir58.encode("Zhang^San=张^三"), expected);
        assert_eq!(TextEncoding::Iso2022Ir58.encode("𠮷"), b"?");
    }
}
