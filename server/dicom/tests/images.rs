//! Headers as JSON and frames of phantoms: what is found in pieces is what is there, what is coded comes back, and the text of
//! any character set arrives in UTF-8.

use bytes::Bytes;
use medrelay_dicom::elements::{self, Elements, PixelElement, Progress, Reader};
use medrelay_dicom::json;
use medrelay_dicom::phantom::{Colour, Modality, PhantomPatient, PhantomSpec, TextEncoding};
use medrelay_dicom::pixels::{
    self, Decoded, Image, Locator, Look, Photometric, PixelError, Places,
};
use medrelay_dicom::scan::Encoding;

const LITTLE: &str = "1.2.840.10008.1.2.1";
const JPEG: &str = "1.2.840.10008.1.2.4.50";
const JPEG_LS: &str = "1.2.840.10008.1.2.4.80";
const RLE: &str = "1.2.840.10008.1.2.5";

fn spec(modality: Modality, seed: u64) -> PhantomSpec {
    PhantomSpec { rows: 40, columns: 36, instances: 2, ..PhantomSpec::new(modality, seed) }
}

fn header(data_set: &Bytes) -> (Elements, PixelElement) {
    let (elements, pixels) = elements::read(Encoding::ExplicitLittle, data_set).expect("a phantom");
    (elements, pixels.expect("has pixels"))
}

/// Finds frames by giving exactly what is asked for.
fn locate(data_set: &Bytes) -> Result<(Elements, Image, Places), PixelError> {
    let (elements, pixels) = header(data_set);
    let image = Image::describe(&elements, Some(&pixels))?;
    let mut locator = Locator::new(&elements, &pixels, &image, data_set.len() as u64);
    let mut progress = locator.wants();
    while let Progress::Wants { offset, length } = progress {
        let offset = offset as usize;
        progress = locator.feed(&data_set[offset..(offset + length).min(data_set.len())])?;
    }
    Ok((elements, image, locator.finish()))
}

fn stored(data_set: &Bytes, places: &Places, frame: u32) -> Result<(Bytes, u8), PixelError> {
    let place = places.get(frame)?;
    let bytes = data_set.slice(place.offset as usize..(place.offset + place.length) as usize);
    let bytes = if place.framed { pixels::unframed(&bytes)? } else { bytes };
    Ok((bytes, place.shift))
}

/// The data set with its pixels as fragments; `table` is the basic offset table.
fn encapsulated(data_set: &Bytes, table: &[u32], fragments: &[Vec<u8>]) -> Bytes {
    let (_, pixels) = header(data_set);
    // Tag, VR, two reserved bytes and the length stand before the value.
    let mut out = data_set[..pixels.offset as usize - 12].to_vec();
    out.extend_from_slice(&[0xE0, 0x7F, 0x10, 0x00, b'O', b'B', 0, 0, 0xFF, 0xFF, 0xFF, 0xFF]);
    let mut item = |bytes: &[u8]| {
        out.extend_from_slice(&[0xFE, 0xFF, 0x00, 0xE0]);
        out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
        out.extend_from_slice(bytes);
    };
    item(&table.iter().flat_map(|offset| offset.to_le_bytes()).collect::<Vec<u8>>());
    fragments.iter().for_each(|fragment| item(fragment));
    out.extend_from_slice(&[0xFE, 0xFF, 0xDD, 0xE0, 0, 0, 0, 0]);
    out.into()
}

fn even(mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.len() % 2 == 1 {
        bytes.push(0);
    }
    bytes
}

#[test]
fn a_header_read_in_pieces_is_the_header_read_at_once() {
    for modality in [Modality::Ct, Modality::Mr, Modality::Dx, Modality::Us] {
        let data_set: Bytes = spec(modality, 3).instance(0, 0).data_set.into();
        let (whole, pixels) = header(&data_set);
        let mut reader = Reader::new(Encoding::ExplicitLittle, data_set.len() as u64);
        let mut progress = reader.start();
        let mut read = 0;
        while let Progress::Wants { offset, length } = progress {
            let offset = offset as usize;
            read += length;
            progress = reader.feed(&data_set.slice(offset..offset + length)).expect("a phantom");
        }
        let (pieces, found) = reader.finish();
        assert_eq!(found, Some(pixels));
        assert_eq!(format!("{pieces:?}"), format!("{whole:?}"));
        assert!(read <= elements::FIRST_BYTES.min(data_set.len()), "{read} bytes for {modality:?}");
    }
}

#[test]
fn every_frame_comes_back_from_lossless_coding() {
    let clip = PhantomSpec { frames: 3, ..spec(Modality::Us, 5) };
    for spec in [spec(Modality::Ct, 5), spec(Modality::Mr, 5), spec(Modality::Dx, 5), clip] {
        let data_set: Bytes = spec.instance(0, 1).data_set.into();
        let (elements, image, places) = locate(&data_set).expect("a phantom");
        assert_eq!(places.frames(), image.frames);
        let decode = |data_set: &Bytes, places: &Places, syntax, frame| {
            let (stored, shift) = stored(data_set, places, frame)?;
            pixels::decode(&image, syntax, &stored, shift)
        };
        let plain: Vec<Decoded> = (0..image.frames)
            .map(|frame| decode(&data_set, &places, LITTLE, frame).expect("uncompressed"))
            .collect();
        assert!(pixels::losslessly_codable(&image));
        let coded: Vec<Vec<u8>> = plain
            .iter()
            .map(|frame| even(pixels::jpeg_ls(&image, frame).expect("codes")))
            .collect();
        let offsets: Vec<u32> = coded
            .iter()
            .scan(0, |at, frame| {
                let here = *at;
                *at += frame.len() as u32 + 8;
                Some(here)
            })
            .collect();
        // With a table, without one, and cut into fragments that only their markers tell apart.
        let cut: Vec<Vec<u8>> = coded
            .iter()
            .flat_map(|frame| frame.chunks(frame.len() / 2 + frame.len() / 2 % 2))
            .map(<[u8]>::to_vec)
            .collect();
        for (table, fragments) in [(offsets.as_slice(), &coded), (&[], &coded), (&[], &cut)] {
            let packed = encapsulated(&data_set, table, fragments);
            let (_, _, found) = locate(&packed).expect("fragments");
            assert_eq!(found.frames(), image.frames);
            for frame in 0..image.frames {
                let back = decode(&packed, &found, JPEG_LS, frame).expect("decodes");
                assert_eq!(back.bytes, plain[frame as usize].bytes, "{:?} {frame}", spec.modality);
            }
            assert!(matches!(found.get(image.frames), Err(PixelError::NoSuchFrame(_))));
        }
        for (number, frame) in plain.iter().enumerate() {
            let look = Look { size: Some((20, 20)), ..Look::default() };
            let picture = pixels::render(&elements, &image, frame, number as u32, &look);
            let picture = picture.expect("a picture");
            assert!(picture.png().expect("a PNG").starts_with(b"\x89PNG"));
            assert!(picture.jpeg(80).expect("a JPEG").starts_with(&[0xFF, 0xD8]));
        }
    }
}

#[test]
fn other_codings_are_decoded() {
    let data_set: Bytes =
        PhantomSpec { frames: 1, ..spec(Modality::Us, 7) }.instance(0, 0).data_set.into();
    let (elements, image, places) = locate(&data_set).expect("a phantom");
    let (raw, _) = stored(&data_set, &places, 0).expect("a frame");
    // Run lengths by hand: three planes of literals.
    let pixels_of_frame = image.pixels() as usize;
    let plane = |at: usize| raw.iter().skip(at).step_by(3).copied().collect::<Vec<u8>>();
    let mut segments: Vec<Vec<u8>> = Vec::new();
    for at in 0..3 {
        let mut segment = Vec::new();
        for run in plane(at).chunks(128) {
            segment.push(run.len() as u8 - 1);
            segment.extend_from_slice(run);
        }
        segments.push(even(segment));
    }
    let mut rle = vec![0u8; 64];
    rle[0] = 3;
    let mut offset = 64u32;
    for (at, segment) in segments.iter().enumerate() {
        rle[4 + at * 4..8 + at * 4].copy_from_slice(&offset.to_le_bytes());
        offset += segment.len() as u32;
    }
    rle.extend(segments.concat());
    let decoded = pixels::decode(&image, RLE, &rle.clone().into(), 0).expect("run lengths");
    assert_eq!(decoded.bytes, raw);
    for end in [0, 3, 63, 64, 100, rle.len() - 3] {
        let cut = Bytes::from(rle[..end].to_vec());
        assert!(pixels::decode(&image, RLE, &cut, 0).is_err(), "cut at {end}");
    }
    // A lossy JPEG of the picture looks like the picture.
    let frame = Decoded { bytes: raw.clone(), planar: false, photometric: Photometric::Rgb };
    let picture =
        pixels::render(&elements, &image, &frame, 0, &Look::default()).expect("a picture");
    let lossy = Image { photometric: Photometric::YbrFull422, ..image };
    let jpeg = Bytes::from(picture.jpeg(95).expect("a JPEG"));
    let decoded = pixels::decode(&lossy, JPEG, &jpeg, 0).expect("JPEG");
    assert_eq!(decoded.photometric, Photometric::Rgb);
    let apart: u64 = decoded.bytes.iter().zip(&raw).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    assert!(apart < pixels_of_frame as u64 * 3 * 12, "{apart} apart");
    let other = Image { rows: image.rows + 1, ..lossy };
    assert!(matches!(pixels::decode(&other, JPEG, &jpeg, 0), Err(PixelError::Damaged(_))));
    assert!(matches!(
        pixels::decode(&image, "1.2.840.10008.1.2.4.201", &jpeg, 0),
        Err(PixelError::Unsupported(_))
    ));
}

#[test]
fn colours_that_share_their_chrominance_are_drawn() {
    let spec = PhantomSpec { frames: 2, colour: Colour::YbrFull422, ..spec(Modality::Us, 9) };
    let data_set: Bytes = spec.instance(0, 0).data_set.into();
    let (elements, image, places) = locate(&data_set).expect("a phantom");
    assert_eq!(image.photometric, Photometric::YbrFull422);
    assert!(!pixels::losslessly_codable(&image));
    let (raw, shift) = stored(&data_set, &places, 1).expect("a frame");
    assert_eq!(raw.len() as u64, image.pixels() * 2);
    let decoded = pixels::decode(&image, LITTLE, &raw, shift).expect("uncompressed");
    pixels::render(&elements, &image, &decoded, 1, &Look::default()).expect("a picture");
}

#[test]
fn names_are_utf8_whatever_they_were_written_in() {
    for charset in [TextEncoding::Utf8, TextEncoding::Gb18030, TextEncoding::Undeclared] {
        for sample in 0..PhantomPatient::SAMPLES {
            let patient = PhantomPatient::sample(sample);
            let spec = PhantomSpec { charset, patient: patient.clone(), ..spec(Modality::Ct, 11) };
            let data_set: Bytes = spec.instance(0, 0).data_set.into();
            let (elements, found) = header(&data_set);
            let address = |path: &str| format!("/bulk/{path}");
            let model = json::model(&elements, Some(&found), None, &address);
            let (alphabetic, ideographic) = patient.name.split_once('=').expect("two groups");
            let name = &model["00100010"]["Value"][0];
            assert_eq!(name["Alphabetic"], alphabetic);
            assert_eq!(name["Ideographic"], ideographic, "{charset:?}");
            assert_eq!(model["00080005"]["Value"][0], "ISO_IR 192");
            assert_eq!(model["7FE00010"]["BulkDataURI"], "/bulk/7FE00010");
            assert_eq!(model["00280010"]["Value"][0], 40);
            assert!(model.keys().all(|key| !key.ends_with("0000") && !key.starts_with("0002")));
        }
    }
}
