//! Entry points for fuzzing: each takes any bytes and panics when a promise is broken.

use bytes::BytesMut;
use medrelay_dicom::command::Command;
use medrelay_dicom::pack::{self, PackError, PackFault, Unpacked, Unpacker};
use medrelay_dicom::pdu::{Frame, Framer, FramerLimits, Part, PduError};
use medrelay_dicom::scan::{Encoding, Header, Limits, ScanError, Scanner, WANTED};

/// A data set: the first byte chooses the size of the pieces, the rest is scanned in every
/// encoding.
pub fn scan(data: &[u8]) {
    let [piece, data @ ..] = data else { return };
    let piece = usize::from(*piece).max(1);
    for encoding in [
        Encoding::ImplicitLittle,
        Encoding::ExplicitLittle,
        Encoding::ExplicitBig,
        Encoding::Deflated,
    ] {
        let whole = scan_in_pieces(encoding, data, data.len().max(1));
        if encoding != Encoding::Deflated {
            let pieces = scan_in_pieces(encoding, data, piece);
            assert_eq!(whole, pieces, "{encoding:?} in pieces of {piece}");
        }
        let Ok(header) = whole else { continue };
        let kept: usize = WANTED.iter().filter_map(|tag| header.raw(*tag)).map(<[u8]>::len).sum();
        assert!(encoding == Encoding::Deflated || kept <= data.len(), "kept more than came");
        assert!(u64::from(header.elements()) * 8 <= header.data_set_bytes());
    }
}

/// A byte stream: the first byte chooses the size of the pieces.
pub fn pdu(data: &[u8]) {
    let [piece, data @ ..] = data else { return };
    let whole = frame(data, data.len().max(1));
    let pieces = frame(data, usize::from(*piece).max(1));
    assert_eq!(whole, pieces);
}

/// A pack, and a data set to be packed: the first byte chooses the size of the pieces.
pub fn pack(data: &[u8]) {
    let [piece, data @ ..] = data else { return };
    let piece = usize::from(*piece).max(1);
    let outcome = unpack(data, data.len().max(1));
    assert_eq!(outcome, unpack(data, piece), "in pieces of {piece}");
    let (whole, outcome) = outcome;
    assert!(whole.len() as u64 <= PACK_LIMITS.object_bytes, "more came out than may");
    if let Ok(unpacked) = outcome {
        assert_eq!(unpacked.bytes, whole.len() as u64);
    }
    for encoding in [Encoding::ImplicitLittle, Encoding::ExplicitLittle, Encoding::ExplicitBig] {
        let Ok(header) = scan_in_pieces(encoding, data, data.len().max(1)) else { continue };
        let mut packed = Vec::new();
        let summary = pack::pack(&pack::plan(&header), data, &mut packed, 1).expect("no I/O");
        assert!(packed.len() <= data.len() + 64 + data.len() / 16, "packed much larger");
        let (again, outcome) = unpack(&packed, piece);
        assert_eq!(again, data, "{encoding:?}");
        assert_eq!(outcome.map(|unpacked| unpacked.sha256), Ok(summary.original_sha256));
    }
}

/// What comes out of a pack, and how it ends.
fn unpack(data: &[u8], piece: usize) -> (Vec<u8>, Result<Unpacked, Option<PackFault>>) {
    let mut unpacker = Unpacker::new(PACK_LIMITS);
    let mut original = Vec::new();
    let mut out = |bytes: &[u8]| {
        original.extend_from_slice(bytes);
        Ok::<(), PackError>(())
    };
    let fed = data.chunks(piece).try_for_each(|piece| unpacker.feed(piece, &mut out));
    let finished = unpacker.finish();
    if let Err(error) = &fed {
        assert_eq!(Some(error.fault()), finished.as_ref().err().map(PackError::fault));
    }
    (original, fed.and(finished).map_err(|error| error.fault()))
}

const PACK_LIMITS: pack::Limits = pack::Limits { object_bytes: 1 << 20, segment_bytes: 1 << 16 };

fn scan_in_pieces(encoding: Encoding, data: &[u8], piece: usize) -> Result<Header, ScanError> {
    let mut scanner = Scanner::new(encoding, Limits::default());
    for piece in data.chunks(piece) {
        scanner.feed(piece)?;
    }
    scanner.finish()
}

/// What a stream comes to: whole PDUs, the messages in it, and the error at its end.
#[derive(Debug, PartialEq, Eq, Default)]
struct Outcome {
    whole: Vec<Frame>,
    messages: Vec<(u8, Part, Vec<u8>)>,
    error: Option<PduError>,
}

fn frame(data: &[u8], piece: usize) -> Outcome {
    let mut framer = Framer::new(FramerLimits::default());
    let mut buffer = BytesMut::new();
    let mut outcome = Outcome::default();
    let mut open = Vec::new();
    for piece in data.chunks(piece) {
        buffer.extend_from_slice(piece);
        loop {
            match framer.next(&mut buffer) {
                Ok(Some(Frame::Fragment(fragment))) => {
                    open.extend_from_slice(&fragment.data);
                    if fragment.last {
                        let body = std::mem::take(&mut open);
                        if fragment.part == Part::Command {
                            let _ = Command::parse(&body);
                        }
                        outcome.messages.push((fragment.context_id, fragment.part, body));
                    }
                }
                Ok(Some(frame)) => outcome.whole.push(frame),
                Ok(None) => break,
                Err(error) => {
                    outcome.error = Some(error);
                    return outcome;
                }
            }
        }
        assert!(buffer.len() <= 128 * 1024 + 6, "the framer holds back more than one PDU");
    }
    outcome
}

/// A data set of an image: its header as JSON, its frames found, decoded and drawn, whatever the transfer syntax is said to be.
pub fn image(data: &[u8]) {
    use medrelay_dicom::elements::{Progress, Reader};
    use medrelay_dicom::pixels::{self, Image, Locator, Look};
    use medrelay_dicom::{elements, json};

    let [piece, data @ ..] = data else { return };
    let data = bytes::Bytes::copy_from_slice(data);
    for encoding in [Encoding::ImplicitLittle, Encoding::ExplicitLittle, Encoding::ExplicitBig] {
        let whole = elements::read(encoding, &data);
        let mut reader = Reader::new(encoding, data.len() as u64);
        let mut progress = Ok(reader.start());
        while let Ok(Progress::Wants { offset, length }) = progress {
            let offset = offset as usize;
            let length = (length + usize::from(*piece)).min(data.len() - offset);
            progress = reader.feed(&data.slice(offset..offset + length));
        }
        assert_eq!(progress.is_err(), whole.is_err(), "in pieces and as a whole");
        let Ok((header, found)) = whole else { continue };
        let address = |path: &str| path.to_owned();
        let model = json::model(&header, found.as_ref(), None, &address);
        for path in model.values().filter_map(|entry| entry["BulkDataURI"].as_str()) {
            let pixels = found.is_some_and(|found| json::tag_of(path) == Some(found.tag));
            assert!(pixels || json::find(&header, path).is_some(), "{path} leads nowhere");
        }
        let Some(found) = found else { continue };
        let Ok(image) = Image::describe(&header, Some(&found)) else { continue };
        // Larger ones are refused or take long for honest reasons.
        if image.decoded_bytes() > 1 << 20 {
            continue;
        }
        let mut locator = Locator::new(&header, &found, &image, data.len() as u64);
        let mut progress = Ok(locator.wants());
        while let Ok(Progress::Wants { offset, length }) = progress {
            let from = (offset as usize).min(data.len());
            progress = locator.feed(&data[from..(from + length).min(data.len())]);
        }
        let places = locator.finish();
        for place in (0..places.frames().min(3)).filter_map(|frame| places.get(frame).ok()) {
            let bytes = data.slice(place.offset as usize..(place.offset + place.length) as usize);
            let stored = if place.framed { pixels::unframed(&bytes) } else { Ok(bytes) };
            let Ok(stored) = stored else { continue };
            for syntax in ["1.2.1", "1.2.5", "1.2.4.50", "1.2.4.70", "1.2.4.80", "1.2.4.90"] {
                let syntax = format!("1.2.840.10008.{syntax}");
                let Ok(frame) = pixels::decode(&image, &syntax, &stored, place.shift) else {
                    continue;
                };
                assert!(frame.bytes.len() as u64 <= image.decoded_bytes());
                let look = Look { size: Some((16, 16)), ..Look::default() };
                let drawn = pixels::render(&header, &image, &frame, 0, &look);
                assert!(drawn.is_err() || drawn.is_ok_and(|picture| picture.png().is_ok()));
                if pixels::losslessly_codable(&image) {
                    let _ = pixels::jpeg_ls(&image, &frame);
                }
            }
        }
    }
}
