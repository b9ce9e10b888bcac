//! Code extension by escapes, ISO 2022 as DICOM uses it (PS3.5 6.1.2.5): state by state, run by run.

use encoding_rs::{
    EUC_JP, EUC_KR, Encoding, GB18030, ISO_8859_2, ISO_8859_3, ISO_8859_4, ISO_8859_5, ISO_8859_6,
    ISO_8859_7, ISO_8859_8, ISO_8859_15, SHIFT_JIS, WINDOWS_874, WINDOWS_1254,
};

use super::Kind;

/// A character set that can be designated to G0 or G1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repertoire {
    Ascii,
    Latin1,
    Single(&'static Encoding),
    JisX0208,
    JisX0212,
    KsX1001,
    Gb2312,
}

impl Repertoire {
    pub(super) fn is_multibyte(self) -> bool {
        matches!(self, Self::JisX0208 | Self::JisX0212 | Self::KsX1001 | Self::Gb2312)
    }

    /// The set that stays in G0: multi-byte Japanese sets replace ASCII there.
    fn takes_g0(self) -> bool {
        matches!(self, Self::JisX0208 | Self::JisX0212)
    }
}

/// Which sets are designated at a place in the text.
#[derive(Debug, Clone, Copy)]
struct Designation {
    g0: Repertoire,
    g1: Repertoire,
}

/// Decodes text with ISO 2022 escapes; the flag says whether something was lost or supposed.
pub(super) fn decode(raw: &[u8], kind: Kind, sets: &[Repertoire]) -> (String, bool) {
    let first = sets.first().copied().unwrap_or(Repertoire::Ascii);
    let initial = Designation { g0: Repertoire::Ascii, g1: first };
    // Senders forget to repeat the escape after a delimiter; a high byte can mean only this set.
    let supposed = sets.iter().copied().find(|s| s.is_multibyte() && !s.takes_g0());
    let mut state = initial;
    let mut out = String::with_capacity(raw.len());
    let mut damaged = false;
    let mut run: Vec<u8> = Vec::new();
    let mut at = 0;
    while let Some(&byte) = raw.get(at) {
        if byte == ESC {
            damaged |= flush(&mut run, state, supposed, &mut out);
            match escape(raw.get(at + 1..).unwrap_or_default()) {
                Some((designated, length)) => {
                    state = designated(state);
                    at += 1 + length;
                }
                None => {
                    damaged = true;
                    at += 1;
                }
            }
            continue;
        }
        if resets(byte, kind, state.g0) {
            damaged |= flush(&mut run, state, supposed, &mut out);
            state = initial;
            out.push(char::from(byte));
        } else {
            run.push(byte);
        }
        at += 1;
    }
    damaged |= flush(&mut run, state, supposed, &mut out);
    (out, damaged)
}

/// Whether `byte` ends all designations.
fn resets(byte: u8, kind: Kind, g0: Repertoire) -> bool {
    match byte {
        b'\t' | b'\n' | b'\r' | 0x0c => true,
        // In a two-byte set these are trail bytes; the standard wants an escape before a delimiter.
        _ if g0.takes_g0() => false,
        b'\\' => kind != Kind::Paragraph,
        b'^' | b'=' => kind == Kind::PersonName,
        _ => false,
    }
}

type Designate = fn(Designation) -> Designation;

/// The designation that follows an ESC and how many bytes it takes.
fn escape(rest: &[u8]) -> Option<(Designate, usize)> {
    use Repertoire::{Ascii, Gb2312, JisX0208, JisX0212, KsX1001, Latin1, Single};
    let known: &[(&[u8], Designate)] = &[
        (b"(B", |d| Designation { g0: Ascii, ..d }),
        (b"(J", |d| Designation { g0: Ascii, ..d }),
        (b")I", |d| Designation { g1: Single(SHIFT_JIS), ..d }),
        (b"$B", |d| Designation { g0: JisX0208, ..d }),
        (b"$@", |d| Designation { g0: JisX0208, ..d }),
        (b"$(D", |d| Designation { g0: JisX0212, ..d }),
        (b"$)C", |d| Designation { g1: KsX1001, ..d }),
        (b"$)A", |d| Designation { g1: Gb2312, ..d }),
        (b"-A", |d| Designation { g1: Latin1, ..d }),
        (b"-B", |d| Designation { g1: Single(ISO_8859_2), ..d }),
        (b"-C", |d| Designation { g1: Single(ISO_8859_3), ..d }),
        (b"-D", |d| Designation { g1: Single(ISO_8859_4), ..d }),
        (b"-L", |d| Designation { g1: Single(ISO_8859_5), ..d }),
        (b"-G", |d| Designation { g1: Single(ISO_8859_6), ..d }),
        (b"-F", |d| Designation { g1: Single(ISO_8859_7), ..d }),
        (b"-H", |d| Designation { g1: Single(ISO_8859_8), ..d }),
        (b"-M", |d| Designation { g1: Single(WINDOWS_1254), ..d }),
        (b"-b", |d| Designation { g1: Single(ISO_8859_15), ..d }),
        (b"-T", |d| Designation { g1: Single(WINDOWS_874), ..d }),
    ];
    let (sequence, designate) = known.iter().find(|(seq, _)| rest.starts_with(seq))?;
    Some((*designate, sequence.len()))
}

/// Decodes what has been collected under one designation. Returns whether anything was lost.
fn flush(
    run: &mut Vec<u8>,
    state: Designation,
    supposed: Option<Repertoire>,
    out: &mut String,
) -> bool {
    let bytes = std::mem::take(run);
    if bytes.is_empty() {
        return false;
    }
    if state.g0.takes_g0() {
        let prefix: &[u8] = if state.g0 == Repertoire::JisX0212 { &[0x8f] } else { &[] };
        let packed: Vec<u8> = bytes
            .chunks(2)
            .flat_map(|pair| prefix.iter().copied().chain(pair.iter().map(|b| b | 0x80)))
            .collect();
        return append(EUC_JP, &packed, out);
    }
    if bytes.is_ascii() {
        out.extend(bytes.iter().map(|b| char::from(*b)));
        return false;
    }
    match (state.g1, supposed) {
        (Repertoire::Latin1, _) => {
            out.push_str(&encoding_rs::mem::decode_latin1(&bytes));
            false
        }
        (Repertoire::Single(encoding), _) => append(encoding, &bytes, out),
        (Repertoire::KsX1001, _) => append(EUC_KR, &bytes, out),
        (Repertoire::Gb2312, _) => append(GB18030, &bytes, out),
        (_, Some(Repertoire::KsX1001)) => {
            append(EUC_KR, &bytes, out);
            true
        }
        (_, Some(Repertoire::Gb2312)) if is_gb2312(&bytes) => {
            append(GB18030, &bytes, out);
            true
        }
        // Nothing is designated for high bytes: UTF-8 if it is that, else the Chinese reading.
        _ => {
            match std::str::from_utf8(&bytes) {
                Ok(text) => out.push_str(text),
                Err(_) => {
                    append(GB18030, &bytes, out);
                }
            }
            true
        }
    }
}

/// ASCII and whole GB 2312 pairs only; a run of UTF-8 Chinese hardly ever passes for that.
fn is_gb2312(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    loop {
        rest = match rest {
            [] => return true,
            [0..=0x7f, tail @ ..] | [0xa1..=0xf7, 0xa1..=0xfe, tail @ ..] => tail,
            _ => return false,
        };
    }
}

fn append(encoding: &'static Encoding, bytes: &[u8], out: &mut String) -> bool {
    let (text, damaged) = encoding.decode_without_bom_handling(bytes);
    out.push_str(&text);
    damaged
}

/// The character that begins every escape sequence.
pub(super) const ESC: u8 = 0x1b;
