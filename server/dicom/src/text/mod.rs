//! Text of any declared character set to UTF-8, once, before anybody splits it.
//!
//! Trail bytes of GB18030 and GBK collide with `\`, `^` and `=`, so a value must be decoded before
//! its values and name parts are taken apart (PS3.5 6.1.2.5). Decoding never fails: what cannot be
//! read becomes U+FFFD, and what had to be guessed is marked as guessed.

mod iso2022;

use encoding_rs::{
    Encoding, GB18030, ISO_8859_2, ISO_8859_3, ISO_8859_4, ISO_8859_5, ISO_8859_6, ISO_8859_7,
    ISO_8859_8, ISO_8859_15, SHIFT_JIS, WINDOWS_874, WINDOWS_1254,
};
use medrelay_core::study::Charset;

use iso2022::{ESC, Repertoire};

/// What a value is, because ISO 2022 escapes are forgotten at different delimiters (PS3.5 6.1.2.5.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// PN: `\`, `^`, `=` and controls end an escape.
    PersonName,
    /// SH, LO, UC: `\` and controls end an escape.
    Strings,
    /// ST, LT, UT: only controls end an escape, `\` is a letter.
    Paragraph,
}

/// The text decoder of one data set.
#[derive(Debug, Clone)]
pub struct TextDecoder {
    declared: String,
    plan: Plan,
    guessed: bool,
}

/// How values are decoded.
#[derive(Debug, Clone)]
enum Plan {
    Utf8,
    Latin1,
    Single(&'static Encoding),
    Iso2022(Vec<Repertoire>),
}

impl TextDecoder {
    /// Chooses how the text of one data set is decoded.
    ///
    /// `declared` is Specific Character Set (0008,0005) as it came, `profile` a character set fixed
    /// for the sending device (it wins over the declaration), and `samples` the text values of the
    /// data set: one wrong declaration is judged by all of them together, because a short value
    /// alone may be valid in several encodings.
    pub fn new<'a>(
        declared: Option<&[u8]>,
        profile: Option<&str>,
        mut samples: impl Iterator<Item = &'a [u8]> + Clone,
    ) -> Self {
        let declared = declared.map(printable).unwrap_or_default();
        let (named, trusted) = match profile {
            Some(profile) => (plan_for(profile), true),
            None => (plan_for(&declared), false),
        };
        if trusted && let Some(plan) = named {
            return Self { declared, plan, guessed: false };
        }
        let misfit = match &named {
            Some(Plan::Utf8) => samples
                .clone()
                .any(|s| std::str::from_utf8(s).is_err_and(|e| e.error_len().is_some())),
            Some(Plan::Latin1) => {
                samples.clone().any(|s| s.iter().any(|b| (0x80..0xa0).contains(b)))
            }
            Some(Plan::Iso2022(sets)) if sets.as_slice() == [Repertoire::Ascii] => {
                samples.clone().any(|s| s.iter().any(|b| *b >= 0x80 || *b == ESC))
            }
            Some(Plan::Single(encoding)) if *encoding == GB18030 => {
                samples.clone().any(|s| !is_gb18030(s)) || is_utf8_chinese(samples.clone())
            }
            Some(_) => false,
            None => true,
        };
        match named {
            Some(plan) if !misfit => Self { declared, plan, guessed: false },
            _ => {
                let plan = guess(samples.clone());
                let foreign = samples.any(|s| s.iter().any(|b| *b >= 0x80 || *b == ESC));
                Self { declared, plan, guessed: foreign }
            }
        }
    }

    /// Decodes one value field. Padding is kept, delimiters are kept, nothing is split.
    pub fn decode(&mut self, raw: &[u8], kind: Kind) -> String {
        if raw.iter().all(|b| b.is_ascii() && *b != ESC) {
            return raw.iter().map(|b| char::from(*b)).collect();
        }
        let (text, damaged) = match &self.plan {
            Plan::Utf8 => {
                let damaged = std::str::from_utf8(raw).is_err();
                (String::from_utf8_lossy(raw).into_owned(), damaged)
            }
            Plan::Latin1 => (encoding_rs::mem::decode_latin1(raw).into_owned(), false),
            Plan::Single(encoding) => {
                let (text, damaged) = encoding.decode_without_bom_handling(raw);
                (text.into_owned(), damaged)
            }
            Plan::Iso2022(sets) => iso2022::decode(raw, kind, sets),
        };
        self.guessed |= damaged;
        text
    }

    /// How the text decoded so far was read; `guessed` is also set when a value was damaged.
    pub fn charset(&self) -> Charset {
        Charset { declared: self.declared.clone(), guessed: self.guessed }
    }
}

/// The best plan for text whose declaration is absent, unknown or wrong: strict UTF-8, else
/// GB18030, else whichever loses less.
fn guess<'a>(samples: impl Iterator<Item = &'a [u8]> + Clone) -> Plan {
    if samples.clone().any(|s| s.contains(&ESC)) {
        return Plan::Iso2022(vec![Repertoire::Ascii, Repertoire::Gb2312]);
    }
    if samples.clone().all(|s| std::str::from_utf8(s).is_ok()) {
        return Plan::Utf8;
    }
    if samples.clone().all(is_gb18030) {
        return Plan::Single(GB18030);
    }
    let lost = |plan: &dyn Fn(&[u8]) -> String| {
        let count = |s: &[u8]| plan(s).matches(char::REPLACEMENT_CHARACTER).count();
        samples.clone().map(count).sum::<usize>()
    };
    let utf8 = lost(&|s| String::from_utf8_lossy(s).into_owned());
    let gb = lost(&|s| GB18030.decode_without_bom_handling(s).0.into_owned());
    if utf8 <= gb { Plan::Utf8 } else { Plan::Single(GB18030) }
}

/// Whether all of it is UTF-8 with nothing between ASCII and the East Asian blocks. Sequences of
/// three bytes throughout are as good as impossible in GB18030 text that means something.
fn is_utf8_chinese<'a>(mut samples: impl Iterator<Item = &'a [u8]> + Clone) -> bool {
    let foreign = samples.clone().any(|s| !s.is_ascii());
    let east_asian = |c: char| c.is_ascii() || c >= '\u{2e80}';
    foreign && samples.all(|s| std::str::from_utf8(s).is_ok_and(|t| t.chars().all(east_asian)))
}

fn is_gb18030(raw: &[u8]) -> bool {
    GB18030.decode_without_bom_handling_and_without_replacement(raw).is_some()
}

/// The plan for a declared character set, or `None` when no value of it is known.
fn plan_for(declared: &str) -> Option<Plan> {
    let terms: Vec<String> = declared.split('\\').map(fold_term).collect();
    let first = terms.first().map(String::as_str).unwrap_or_default();
    match first {
        "ISOIR192" | "UTF8" => return Some(Plan::Utf8),
        "GB18030" | "GBK" | "GB2312" => return Some(Plan::Single(GB18030)),
        _ => {}
    }
    if terms.len() == 1 && first.starts_with("ISOIR") {
        return match repertoire_for(first)? {
            Repertoire::Latin1 => Some(Plan::Latin1),
            Repertoire::Single(encoding) => Some(Plan::Single(encoding)),
            other => Some(Plan::Iso2022(with_initial(vec![other]))),
        };
    }
    let sets: Vec<Repertoire> = terms.iter().filter_map(|term| repertoire_for(term)).collect();
    if sets.is_empty() { None } else { Some(Plan::Iso2022(with_initial(sets))) }
}

/// Multi-byte sets cannot be in force before an escape: value 1 stands for ASCII then.
fn with_initial(mut sets: Vec<Repertoire>) -> Vec<Repertoire> {
    if sets.first().is_some_and(|set| set.is_multibyte()) {
        sets.insert(0, Repertoire::Ascii);
    }
    sets
}

/// `ISO_IR 100`, `ISO-IR 100` and `ISO IR 100` are the same term.
fn fold_term(term: &str) -> String {
    let kept = |c: &char| c.is_ascii_alphanumeric();
    term.chars().filter(kept).map(|c| c.to_ascii_uppercase()).collect()
}

/// The repertoire of a folded defined term (PS3.3 C.12.1.1.2, tables C.12-2 to C.12-4).
fn repertoire_for(term: &str) -> Option<Repertoire> {
    use Repertoire::{Ascii, Gb2312, JisX0208, JisX0212, KsX1001, Latin1, Single};
    let number = match term {
        "" => return Some(Ascii),
        _ => term.strip_prefix("ISO2022IR").or_else(|| term.strip_prefix("ISOIR"))?,
    };
    Some(match number {
        "6" => Ascii,
        "100" => Latin1,
        "101" => Single(ISO_8859_2),
        "109" => Single(ISO_8859_3),
        "110" => Single(ISO_8859_4),
        "144" => Single(ISO_8859_5),
        "127" => Single(ISO_8859_6),
        "126" => Single(ISO_8859_7),
        "138" => Single(ISO_8859_8),
        "148" => Single(WINDOWS_1254),
        "203" => Single(ISO_8859_15),
        "166" => Single(WINDOWS_874),
        "13" => Single(SHIFT_JIS),
        "87" => JisX0208,
        "159" => JisX0212,
        "149" => KsX1001,
        "58" => Gb2312,
        _ => return None,
    })
}

/// The declaration itself, as far as it is printable ASCII, at most 128 characters.
fn printable(raw: &[u8]) -> String {
    let kept = raw.iter().filter(|b| (0x20..0x7f).contains(*b)).take(MAX_DECLARED);
    kept.map(|b| char::from(*b)).collect::<String>().trim_end().to_owned()
}

const MAX_DECLARED: usize = 128;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decode(declared: Option<&str>, raw: &[u8], kind: Kind) -> (String, bool) {
        let declared = declared.map(str::as_bytes);
        let mut decoder = TextDecoder::new(declared, None, std::iter::once(raw));
        let text = decoder.decode(raw, kind);
        (text, decoder.charset().guessed)
    }

    fn name(declared: Option<&str>, raw: &[u8]) -> (String, bool) {
        decode(declared, raw, Kind::PersonName)
    }

    fn gb(text: &str) -> Vec<u8> {
        GB18030.encode(text).0.into_owned()
    }

    /// Every character of the basic plane whose GB18030 trail byte is `trail`.
    fn colliding(trail: u8) -> Vec<char> {
        ('\u{4e00}'..'\u{9fa6}')
            .filter(|c| gb(&c.to_string()).as_slice().get(1) == Some(&trail))
            .collect()
    }

    #[test]
    fn trail_bytes_that_look_like_delimiters_are_not_delimiters() {
        for trail in [b'\\', b'^', b'|', b'~'] {
            let found = colliding(trail);
            assert!(found.len() > 80, "GB18030 has many characters that end in {trail:02x}");
            for c in found {
                let text = format!("Zhang^San=张^{c}三");
                assert_eq!(name(Some("GB18030"), &gb(&text)), (text.clone(), false));
                assert_eq!(name(Some("GBK "), &gb(&text)).0, text);
                assert_eq!(name(None, &gb(&text)), (text, true));
            }
        }
        assert!(colliding(b'\\').contains(&'昞'));
        assert!(colliding(b'^').contains(&'昢'));
        assert!(colliding(b'|').contains(&'晐'));
    }

    #[test]
    fn rare_characters_of_four_bytes_survive() {
        for rare in ["𠮷", "㛃", "䶮"] {
            let text = format!("={rare}^小东");
            assert_eq!(name(Some("GB18030"), &gb(&text)), (text.clone(), false));
            assert_eq!(name(Some("ISO_IR 192"), text.as_bytes()), (text.clone(), false));
            assert_eq!(name(None, text.as_bytes()), (text, true));
        }
        assert_eq!(gb("𠮷").len(), 4);
        assert_eq!(gb("㛃").len(), 4);
    }

    #[test]
    fn gb2312_by_escape_as_in_the_annex_of_the_standard() {
        // PS3.5 K.2: Zhang^XiaoDong=张^小东
        let mut raw = b"Zhang^XiaoDong=".to_vec();
        raw.extend(b"\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab");
        let expected = "Zhang^XiaoDong=张^小东".to_owned();
        assert_eq!(name(Some("\\ISO 2022 IR 58"), &raw), (expected.clone(), false));
        let forgetful = b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\xd0\xa1\xb6\xab";
        assert_eq!(name(Some("\\ISO 2022 IR 58"), forgetful), (expected.clone(), true));
        assert_eq!(name(None, &raw), (expected, true), "escapes without a declaration");
    }

    #[test]
    fn japanese_and_korean_as_in_the_annexes_of_the_standard() {
        // PS3.5 H.3.1 and I.2
        let japanese =
            b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B";
        assert_eq!(
            name(Some("\\ISO 2022 IR 87"), japanese),
            ("Yamada^Tarou=山田^太郎=やまだ^たろう".to_owned(), false)
        );
        let korean = b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf";
        assert_eq!(
            name(Some("\\ISO 2022 IR 149"), korean),
            ("Hong^Gildong=洪^吉洞=홍^길동".to_owned(), false)
        );
        assert_eq!(name(Some("ISO_IR 13"), b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3").0, "ﾔﾏﾀﾞ^ﾀﾛｳ");
    }

    #[test]
    fn single_byte_repertoires() {
        assert_eq!(name(Some("ISO_IR 100"), b"Buc^J\xe9r\xf4me").0, "Buc^Jérôme");
        assert_eq!(name(Some("ISO_IR 144"), b"\xbb\xee\xda").0, "Люк");
        assert_eq!(name(Some("ISO_IR 126"), b"\xc4\xe9\xef\xed").0, "Διον");
        assert_eq!(name(Some("ISO IR 6"), b"plain"), ("plain".to_owned(), false));
    }

    #[test]
    fn wrong_declarations_are_guessed_and_say_so() {
        let text = "张^小东";
        assert_eq!(name(Some("ISO_IR 6"), &gb(text)), (text.to_owned(), true));
        assert_eq!(name(Some("ISO_IR 192"), &gb(text)), (text.to_owned(), true));
        assert_eq!(name(Some("NONSENSE"), text.as_bytes()), (text.to_owned(), true));
        assert_eq!(name(Some("ISO_IR 100"), "李^小龙".as_bytes()), ("李^小龙".to_owned(), true));
        assert_eq!(name(Some("NONSENSE"), b"plain"), ("plain".to_owned(), false));
        assert_eq!(name(Some("GB18030"), "李^小龙".as_bytes()), ("李^小龙".to_owned(), true));
        let forgetful = Some("\\ISO 2022 IR 58");
        assert_eq!(name(forgetful, b"\xc4\xa3"), ("模".to_owned(), true), "valid UTF-8 by chance");
        assert_eq!(name(forgetful, "李^小龙".as_bytes()), ("李^小龙".to_owned(), true));
        let cut = &"张小东".as_bytes()[..8];
        assert_eq!(name(Some("ISO_IR 192"), cut), ("张小\u{fffd}".to_owned(), true));
    }

    #[test]
    fn a_device_profile_wins_over_the_declaration() {
        let raw = gb("张^小东");
        let mut decoder =
            TextDecoder::new(Some(b"ISO_IR 100"), Some("GB18030"), std::iter::once(raw.as_slice()));
        assert_eq!(decoder.decode(&raw, Kind::PersonName), "张^小东");
        assert!(!decoder.charset().guessed);
        assert_eq!(decoder.charset().declared, "ISO_IR 100");
    }

    #[test]
    fn an_equals_sign_ends_an_escape_only_in_names() {
        let raw = b"\x1b$)A\xd5\xc5=\xd0\xa1";
        assert_eq!(
            decode(Some("\\ISO 2022 IR 58"), raw, Kind::Strings),
            ("张=小".to_owned(), false)
        );
    }

    const DECLARED: &[&str] = &[
        "",
        "ISO_IR 6",
        "ISO_IR 192",
        "GB18030",
        "GBK",
        "ISO_IR 100",
        "ISO_IR 13",
        "ISO_IR 166",
        "\\ISO 2022 IR 58",
        "\\ISO 2022 IR 87",
        "\\ISO 2022 IR 159",
        "\\ISO 2022 IR 149",
        "ISO 2022 IR 13\\ISO 2022 IR 87",
        "ISO_IR 58",
        "\\\\\\",
        "?",
    ];

    proptest! {
        #[test]
        fn any_bytes_decode_to_something(
            raw in proptest::collection::vec(any::<u8>(), 0..200),
            which in 0..DECLARED.len(),
        ) {
            for kind in [Kind::PersonName, Kind::Strings, Kind::Paragraph] {
                let (text, _) = decode(Some(DECLARED[which]), &raw, kind);
                prop_assert!(text.len() <= raw.len() * 3 + 3);
            }
        }

        #[test]
        fn escapes_in_any_order_decode_to_something(
            pieces in proptest::collection::vec(
                prop_oneof![
                    Just(b"\x1b$)A".to_vec()), Just(b"\x1b$B".to_vec()), Just(b"\x1b(B".to_vec()),
                    Just(b"\x1b$(D".to_vec()), Just(b"^".to_vec()), Just(b"\x1b".to_vec()),
                    proptest::collection::vec(any::<u8>(), 0..8),
                ],
                0..20,
            ),
            which in 0..DECLARED.len(),
        ) {
            name(Some(DECLARED[which]), &pieces.concat());
        }

        #[test]
        fn ascii_is_the_same_in_every_character_set(
            text in "[ -~]{0,80}",
            which in 0..DECLARED.len(),
        ) {
            prop_assert_eq!(name(Some(DECLARED[which]), text.as_bytes()), (text, false));
        }

        #[test]
        fn declared_text_comes_back_as_written(text in "\\PC{0,40}") {
            prop_assert_eq!(name(Some("ISO_IR 192"), text.as_bytes()), (text.clone(), false));
            let (raw, _, unmappable) = GB18030.encode(&text);
            let private = text.chars().any(|c| ('\u{e000}'..='\u{f8ff}').contains(&c));
            if !unmappable && !private {
                prop_assert_eq!(name(Some("GB18030"), &raw), (text, false));
            }
        }
    }
}
