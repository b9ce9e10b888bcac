//! The scanner: what it keeps, what it refuses, and that the size of the pieces makes no
//! difference.

use std::io::Write;

use dicom_core::Tag;
use proptest::prelude::*;

use super::*;

const PATIENT_NAME: Tag = Tag(0x0010, 0x0010);
const ROWS: Tag = Tag(0x0028, 0x0010);
const UNDEFINED: u32 = 0xFFFF_FFFF;

/// Writes elements in one encoding; lengths are what the test says, not what is there.
#[derive(Clone)]
struct Writer {
    encoding: Encoding,
    bytes: Vec<u8>,
}

impl Writer {
    fn new(encoding: Encoding) -> Self {
        Self { encoding, bytes: Vec::new() }
    }

    fn u16(&mut self, value: u16) {
        match self.encoding {
            Encoding::ExplicitBig => self.bytes.extend(value.to_be_bytes()),
            _ => self.bytes.extend(value.to_le_bytes()),
        }
    }

    fn u32(&mut self, value: u32) {
        match self.encoding {
            Encoding::ExplicitBig => self.bytes.extend(value.to_be_bytes()),
            _ => self.bytes.extend(value.to_le_bytes()),
        }
    }

    fn head(mut self, group: u16, element: u16, vr: &str, length: u32) -> Self {
        self.u16(group);
        self.u16(element);
        if self.encoding == Encoding::ImplicitLittle || group == 0xFFFE {
            self.u32(length);
            return self;
        }
        self.bytes.extend(vr.as_bytes());
        if matches!(vr, "OB" | "OW" | "OF" | "OD" | "SQ" | "UN" | "UT" | "UC") {
            self.bytes.extend([0, 0]);
            self.u32(length);
        } else {
            self.u16(length as u16);
        }
        self
    }

    fn element(mut self, group: u16, element: u16, vr: &str, value: &[u8]) -> Self {
        self = self.head(group, element, vr, value.len() as u32);
        self.bytes.extend(value);
        self
    }

    fn item(self, length: u32) -> Self {
        self.head(0xFFFE, 0xE000, "", length)
    }

    fn end_item(self) -> Self {
        self.head(0xFFFE, 0xE00D, "", 0)
    }

    fn end_sequence(self) -> Self {
        self.head(0xFFFE, 0xE0DD, "", 0)
    }

    fn rows(self, rows: u16) -> Self {
        let mut this = self.head(0x0028, 0x0010, "US", 2);
        this.u16(rows);
        this
    }

    fn scan(&self) -> Result<Header, ScanError> {
        scan_in_pieces(self.encoding, Limits::default(), &self.bytes, usize::MAX)
    }

    fn refused(&self) -> ScanErrorKind {
        self.scan().expect_err("must be refused").kind
    }
}

fn scan_in_pieces(
    encoding: Encoding,
    limits: Limits,
    bytes: &[u8],
    piece: usize,
) -> Result<Header, ScanError> {
    let mut scanner = Scanner::new(encoding, limits);
    for piece in bytes.chunks(piece.min(bytes.len().max(1))) {
        scanner.feed(piece)?;
    }
    scanner.finish()
}

/// A small image with everything that has a structure: both kinds of sequence, a private element,
/// pixels.
fn image(encoding: Encoding) -> Writer {
    let item = Writer::new(encoding).element(0x0008, 0x1150, "UI", b"1.2\0");
    let item_bytes = item.bytes.len() as u32;
    let mut writer = Writer::new(encoding)
        .element(0x0008, 0x0005, "CS", b"ISO_IR 192")
        .element(0x0008, 0x0018, "UI", b"1.2.3.4\0")
        .head(0x0008, 0x1140, "SQ", item_bytes + 8)
        .item(item_bytes);
    writer.bytes.extend(&item.bytes);
    writer
        .head(0x0008, 0x1111, "SQ", UNDEFINED)
        .item(UNDEFINED)
        .element(0x0008, 0x1155, "UI", b"1.2.3\0")
        .element(0x0010, 0x0010, "PN", b"INNER ")
        .end_item()
        .end_sequence()
        .element(0x0009, 0x0010, "LO", b"MAKER ")
        .element(0x0009, 0x1001, "UN", &[7; 33])
        .element(0x0010, 0x0010, "PN", "王^小东 ".as_bytes())
        .rows(512)
        .element(0x7FE0, 0x0010, "OW", &[3; 4096])
}

fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).expect("into memory");
    encoder.finish().expect("into memory")
}

#[test]
fn the_same_image_is_understood_in_every_encoding() {
    for encoding in [Encoding::ImplicitLittle, Encoding::ExplicitLittle, Encoding::ExplicitBig] {
        let image = image(encoding);
        let header = image.scan().expect("well-formed");
        assert_eq!(header.raw(SOP_INSTANCE_UID), Some(&b"1.2.3.4\0"[..]));
        assert_eq!(header.raw(PATIENT_NAME), Some("王^小东 ".as_bytes()), "not the nested one");
        assert_eq!(header.u16(ROWS), Some(512));
        assert_eq!(header.raw(STUDY_INSTANCE_UID), None);
        let pixels = header.pixel_data().expect("has pixels");
        assert_eq!(pixels.length, Some(4096));
        assert_eq!(header.data_set_bytes(), image.bytes.len() as u64);
        assert!(pixels.offset < 4096 && header.elements() == 12, "{header:?}");
    }
}

#[test]
fn a_deflated_image_is_understood_and_its_end_is_required() {
    let plain = image(Encoding::ExplicitLittle);
    let mut stream = deflated(&plain.bytes);
    let scan = |bytes: &[u8]| scan_in_pieces(Encoding::Deflated, Limits::default(), bytes, 7);
    let header = scan(&stream).expect("well-formed");
    assert_eq!(header.u16(ROWS), Some(512));
    for cut in 0..stream.len() {
        assert!(scan(&stream[..cut]).is_err(), "cut at {cut}");
    }
    stream.push(0);
    assert!(scan(&stream).is_ok(), "one NUL of padding");
    stream.extend([0x5a; 8]);
    assert!(scan(&stream).is_ok(), "the trailer of a gzip file");
    stream.push(0);
    assert_eq!(scan(&stream).expect_err("more").kind, ScanErrorKind::Overlong);
}

#[test]
fn a_deflated_bomb_goes_off_early() {
    let mut writer = Writer::new(Encoding::ExplicitLittle);
    writer = writer.element(0x7FE0, 0x0010, "OW", &vec![0; 80 << 20]);
    let stream = deflated(&writer.bytes);
    let scan = |limits| scan_in_pieces(Encoding::Deflated, limits, &stream, 4096);
    let error = scan(Limits::default()).expect_err("a thousand for one");
    assert_eq!(error.kind, ScanErrorKind::InflateRatio);
    let generous = Limits { inflate_ratio: 10_000, ..Limits::default() };
    let error = scan(generous).expect_err("80 MiB");
    assert_eq!(error.kind, ScanErrorKind::InflatedTooLarge);
    let garbage = scan_in_pieces(Encoding::Deflated, Limits::default(), &[0xFF; 64], 64);
    assert_eq!(garbage.expect_err("no stream").kind, ScanErrorKind::Inflate);
}

#[test]
fn encapsulated_pixels_are_walked_fragment_by_fragment() {
    let writer =
        Writer::new(Encoding::ExplicitLittle).head(0x7FE0, 0x0010, "OB", UNDEFINED).item(0);
    let mut writer = writer.item(5);
    writer.bytes.extend([1; 5]);
    let header = writer.clone().end_sequence().scan().expect("well-formed");
    assert_eq!(header.pixel_data().map(|pixels| pixels.length), Some(None));
    assert_eq!(writer.refused(), ScanErrorKind::Truncated, "no end");
    let endless = writer.clone().item(UNDEFINED);
    assert_eq!(endless.refused(), ScanErrorKind::UndefinedLength);
    let element = writer.element(0x0010, 0x0010, "PN", b"");
    assert_eq!(element.refused(), ScanErrorKind::MisplacedItem);
}

#[test]
fn float_pixels_are_pixels_and_come_once() {
    let float = Writer::new(Encoding::ExplicitLittle).element(0x7FE0, 0x0008, "OF", &[0; 8]);
    assert_eq!(float.scan().expect("fine").pixel_data().map(|it| it.tag.1), Some(0x0008));
    let twice = float.element(0x7FE0, 0x0009, "OD", &[0; 8]);
    assert_eq!(twice.refused(), ScanErrorKind::Repeated);
}

#[test]
fn unknown_sequences_are_implicit_little_endian_inside() {
    for outer in [Encoding::ExplicitLittle, Encoding::ExplicitBig] {
        let inner = Writer::new(Encoding::ImplicitLittle)
            .item(UNDEFINED)
            .element(0x0008, 0x1155, "UI", b"1.2.3\0")
            .end_item()
            .end_sequence();
        let mut writer = Writer::new(outer).head(0x0009, 0x1002, "UN", UNDEFINED);
        writer.bytes.extend(inner.bytes);
        let header = writer.rows(7).scan().expect("well-formed");
        assert_eq!(header.u16(ROWS), Some(7));
    }
}

#[test]
fn nesting_100_000_deep_is_refused_at_65() {
    let mut writer = Writer::new(Encoding::ExplicitLittle);
    for _ in 0..100_000 {
        writer = writer.head(0x0008, 0x1140, "SQ", UNDEFINED).item(UNDEFINED);
    }
    let error = writer.scan().expect_err("too deep");
    assert_eq!(error.kind, ScanErrorKind::TooDeep);
    assert_eq!(error.offset, 64 * 20);

    let mut allowed = Writer::new(Encoding::ExplicitLittle);
    for _ in 0..64 {
        allowed = allowed.head(0x0008, 0x1140, "SQ", UNDEFINED).item(UNDEFINED);
    }
    for _ in 0..64 {
        allowed = allowed.end_item().end_sequence();
    }
    assert!(allowed.scan().is_ok());
}

#[test]
fn a_length_is_only_a_claim() {
    for encoding in [Encoding::ImplicitLittle, Encoding::ExplicitLittle, Encoding::ExplicitBig] {
        for vr in ["OB", "UN", "UT"] {
            let private = Writer::new(encoding).head(0x0009, 0x1002, vr, 1 << 30);
            let kind = private.refused();
            assert!(
                matches!(kind, ScanErrorKind::Truncated | ScanErrorKind::TextTooLong),
                "{kind}"
            );
        }
        let limits = Limits { data_set_bytes: Some(100), ..Limits::default() };
        let writer = Writer::new(encoding).head(0x7FE0, 0x0010, "OW", 1 << 30);
        let error = scan_in_pieces(encoding, limits, &writer.bytes, 1).expect_err("too long");
        assert_eq!(error.kind, ScanErrorKind::LengthBeyondEnd, "known before the bytes come");
    }
    let name = Writer::new(Encoding::ImplicitLittle).head(0x0010, 0x0010, "PN", 1 << 30);
    assert_eq!(name.refused(), ScanErrorKind::TextTooLong);
}

#[test]
fn undefined_lengths_are_for_sequences_and_pixels_only() {
    for vr in ["UT", "UC", "OF", "OD"] {
        let writer = Writer::new(Encoding::ExplicitLittle).head(0x0040, 0xA160, vr, UNDEFINED);
        assert_eq!(writer.refused(), ScanErrorKind::UndefinedLength, "{vr}");
    }
    let implicit = Writer::new(Encoding::ImplicitLittle).head(0x0010, 0x0010, "", UNDEFINED);
    assert_eq!(implicit.refused(), ScanErrorKind::UndefinedLength);
    let delimiter = Writer::new(Encoding::ExplicitLittle).head(0xFFFE, 0xE00D, "", UNDEFINED);
    assert_eq!(delimiter.refused(), ScanErrorKind::MisplacedItem);
}

#[test]
fn what_is_inside_ends_inside() {
    let explicit = || Writer::new(Encoding::ExplicitLittle);
    let item = explicit().head(0x0008, 0x1140, "SQ", 12).item(100);
    assert_eq!(item.refused(), ScanErrorKind::LengthBeyondEnd);
    let value =
        explicit().head(0x0008, 0x1140, "SQ", 30).item(8).element(0x0008, 0x1155, "UI", b"1.2.3\0");
    assert_eq!(value.refused(), ScanErrorKind::LengthBeyondEnd);
    let head = explicit().head(0x0008, 0x1140, "SQ", 12).item(4).rows(1);
    assert_eq!(head.refused(), ScanErrorKind::LengthBeyondEnd, "no room for a head");
}

#[test]
fn items_and_delimiters_have_their_places() {
    let explicit = || Writer::new(Encoding::ExplicitLittle);
    for misplaced in [
        explicit().item(0),
        explicit().end_item(),
        explicit().end_sequence(),
        explicit().head(0x0008, 0x1140, "SQ", UNDEFINED).rows(1),
        explicit().head(0x0008, 0x1140, "SQ", UNDEFINED).end_item(),
        explicit().head(0x0008, 0x1140, "SQ", UNDEFINED).item(UNDEFINED).end_sequence(),
        explicit().head(0x0008, 0x1140, "SQ", 16).item(8).end_item(),
        explicit().head(0xFFFE, 0x0001, "", 0),
    ] {
        assert_eq!(misplaced.refused(), ScanErrorKind::MisplacedItem, "{:x?}", misplaced.bytes);
    }
}

#[test]
fn letters_that_are_no_vr_are_refused() {
    for vr in ["XX", "ob", "??", "\0\0"] {
        let writer = Writer::new(Encoding::ExplicitLittle).element(0x0010, 0x0010, vr, b"A ");
        assert_eq!(writer.refused(), ScanErrorKind::UnknownVr, "{vr}");
    }
}

#[test]
fn identifiers_with_other_characters_are_refused() {
    let write = |element, uid: &[u8]| {
        Writer::new(Encoding::ExplicitLittle).element(0x0020, element, "UI", uid)
    };
    for uid in [&b"../../../etc/cron"[..], b"1.2\0.3\0", b"1.2/3 ", b"1.2\\1.3 ", &[b'1'; 66]] {
        let error = write(0x000D, uid).scan().expect_err("hostile");
        assert_eq!(error.kind, ScanErrorKind::InvalidUid);
        assert_eq!(error.tag, Some(STUDY_INSTANCE_UID));
        assert!(!error.to_string().contains("etc"), "values stay out of messages");
    }
    for uid in [&b""[..], b"1.2.3\0", b"1.2.3 ", &[b'1'; 64]] {
        assert!(write(0x000E, uid).scan().is_ok(), "{uid:?}");
    }
}

#[test]
fn an_identifying_element_comes_once() {
    let writer = Writer::new(Encoding::ExplicitLittle);
    let writer = writer.element(0x0010, 0x0020, "LO", b"A ").element(0x0010, 0x0020, "LO", b"B ");
    assert_eq!(writer.refused(), ScanErrorKind::Repeated);
}

#[test]
fn huge_dimensions_are_a_fact() {
    let header = Writer::new(Encoding::ExplicitLittle).rows(65_535).scan().expect("a fact");
    assert_eq!(header.u16(ROWS), Some(65_535));
}

#[test]
fn sizes_and_numbers_have_limits() {
    let limits = Limits { elements: 3, ..Limits::default() };
    let mut writer = Writer::new(Encoding::ExplicitLittle);
    for element in 0x1000..0x1004 {
        writer = writer.element(0x0009, element, "LO", b"");
    }
    let error = scan_in_pieces(writer.encoding, limits, &writer.bytes, 5).expect_err("4 > 3");
    assert_eq!(error.kind, ScanErrorKind::TooManyElements);

    let text =
        Writer::new(Encoding::ExplicitLittle).element(0x0040, 0xA160, "UT", &vec![b'a'; 1 << 20]);
    assert!(text.scan().is_ok(), "exactly 1 MiB");
    let text = Writer::new(Encoding::ExplicitLittle).head(0x0040, 0xA160, "UT", (1 << 20) + 2);
    assert_eq!(text.refused(), ScanErrorKind::TextTooLong);

    let mut many = Writer::new(Encoding::ExplicitLittle);
    for element in 0..17 {
        many = many.element(0x0009, 0x1000 + element, "UT", &vec![b'a'; 1 << 20]);
    }
    assert_eq!(many.refused(), ScanErrorKind::HeaderTooLarge);
    let bulk =
        Writer::new(Encoding::ExplicitLittle).element(0x0042, 0x0011, "OB", &vec![0; 17 << 20]);
    assert!(bulk.scan().is_ok(), "a document is not a header");
    let name =
        Writer::new(Encoding::ExplicitLittle).element(0x0010, 0x0010, "PN", &vec![b'a'; 9000]);
    assert_eq!(name.refused(), ScanErrorKind::ValueTooLong);
}

#[test]
fn a_cut_at_any_byte_is_noticed() {
    for encoding in [Encoding::ImplicitLittle, Encoding::ExplicitLittle, Encoding::ExplicitBig] {
        let whole = image(encoding).bytes;
        let limits = Limits { data_set_bytes: Some(whole.len() as u64), ..Limits::default() };
        assert!(scan_in_pieces(encoding, limits, &whole, 64).is_ok());
        for cut in 0..whole.len() {
            let error = scan_in_pieces(encoding, limits, &whole[..cut], 64).expect_err("cut");
            assert_eq!(error.kind, ScanErrorKind::Truncated, "cut at {cut}");
        }
        let mut longer = whole;
        longer.push(0);
        let error = scan_in_pieces(encoding, limits, &longer, 64).expect_err("longer");
        assert_eq!(error.kind, ScanErrorKind::Overlong);
    }
}

#[test]
fn a_failed_scanner_stays_failed() {
    let mut scanner = Scanner::new(Encoding::ExplicitLittle, Limits::default());
    let error = scanner.feed(b"\x10\x00\x10\x00XX\x00\x00").expect_err("no VR");
    assert_eq!(scanner.feed(b""), Err(error));
    assert_eq!(scanner.finish(), Err(error));
}

fn any_encoding() -> impl Strategy<Value = Encoding> {
    prop_oneof![
        Just(Encoding::ImplicitLittle),
        Just(Encoding::ExplicitLittle),
        Just(Encoding::ExplicitBig)
    ]
}

proptest! {
    #[test]
    fn the_size_of_pieces_makes_no_difference(
        encoding in any_encoding(),
        changes in proptest::collection::vec((0_usize..400, any::<u8>()), 0..4),
        piece in 1_usize..40,
    ) {
        let mut bytes = image(encoding).bytes;
        for (at, value) in changes {
            bytes[at] = value;
        }
        let whole = scan_in_pieces(encoding, Limits::default(), &bytes, usize::MAX);
        prop_assert_eq!(&whole, &scan_in_pieces(encoding, Limits::default(), &bytes, piece));
        prop_assert_eq!(&whole, &scan_in_pieces(encoding, Limits::default(), &bytes, 1));
    }

    #[test]
    fn any_bytes_are_safe_in_any_pieces(
        encoding in any_encoding(),
        bytes in proptest::collection::vec(any::<u8>(), 0..600),
        piece in 1_usize..40,
    ) {
        let whole = scan_in_pieces(encoding, Limits::default(), &bytes, usize::MAX);
        prop_assert_eq!(&whole, &scan_in_pieces(encoding, Limits::default(), &bytes, piece));
        let _ = scan_in_pieces(Encoding::Deflated, Limits::default(), &bytes, piece);
    }
}
