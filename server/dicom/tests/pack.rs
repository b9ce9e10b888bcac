//! Packs: whatever goes in comes out, small where it is pixels, and whatever lies is refused.

#[path = "support/image.rs"]
mod image;

use std::io::{self, Read, Write};

use medrelay_dicom::pack::{
    self, Limits, PackError, PackFault, Plan, Summary, Unpacked, Unpacker, plan,
};
use medrelay_dicom::phantom::{Colour, Modality, PhantomSpec};
use medrelay_dicom::scan::{self, Encoding, Header, Scanner};
use proptest::prelude::*;
use sha2::{Digest, Sha256};

use image::{Image, surface};

fn header(encoding: Encoding, data_set: &[u8]) -> Header {
    let mut scanner = Scanner::new(encoding, scan::Limits::default());
    scanner.feed(data_set).expect("well-formed");
    scanner.finish().expect("whole")
}

fn packed(plan: &Plan, original: &[u8], threads: usize) -> (Vec<u8>, Summary) {
    let mut out = Vec::new();
    let summary = pack::pack(plan, original, &mut out, threads).expect("no I/O");
    assert_eq!(summary.original_bytes, original.len() as u64);
    assert_eq!(summary.packed_bytes, out.len() as u64);
    assert_eq!(summary.packed_sha256, <[u8; 32]>::from(Sha256::digest(&out)));
    (out, summary)
}

fn unpacked(pack: &[u8], limits: Limits, piece: usize) -> Result<(Vec<u8>, Unpacked), PackError> {
    let mut unpacker = Unpacker::new(limits);
    let mut original = Vec::new();
    for piece in pack.chunks(piece) {
        unpacker.feed(piece, &mut |bytes| {
            original.extend_from_slice(bytes);
            Ok::<(), PackError>(())
        })?;
    }
    let unpacked = unpacker.finish()?;
    Ok((original, unpacked))
}

/// Packs and unpacks; says what the pack was.
fn there_and_back(encoding: Encoding, original: &[u8]) -> Summary {
    let (pack, summary) = packed(&plan(&header(encoding, original)), original, 1);
    for piece in [1_009, pack.len()] {
        let (again, told) = unpacked(&pack, Limits::default(), piece).expect("its own pack");
        assert!(again == original, "came back different");
        assert_eq!(told.bytes, summary.original_bytes);
        assert_eq!(told.sha256, summary.original_sha256);
        assert_eq!(told.sha256, <[u8; 32]>::from(Sha256::digest(original)));
    }
    summary
}

fn fault_of(pack: &[u8], limits: Limits) -> Option<PackFault> {
    let whole = unpacked(pack, limits, pack.len().max(1)).err().and_then(|error| error.fault());
    let bytewise = unpacked(pack, limits, 1).err().and_then(|error| error.fault());
    assert_eq!(whole, bytewise, "depends on the pieces");
    whole
}

#[test]
fn phantoms_come_back_smaller() {
    let small = |modality| PhantomSpec {
        rows: 128,
        columns: 128,
        frames: 4,
        ..PhantomSpec::new(modality, 3)
    };
    let mut specs: Vec<(PhantomSpec, u64)> = vec![
        (small(Modality::Ct), 170),
        (small(Modality::Mr), 170),
        (small(Modality::Dx), 150),
        (small(Modality::Us), 250),
    ];
    specs.push((PhantomSpec { colour: Colour::YbrFull422, ..small(Modality::Us) }, 200));
    for (spec, percent) in specs {
        let instance = spec.instance(0, spec.instances / 2);
        let summary = there_and_back(Encoding::ExplicitLittle, &instance.data_set);
        assert!(summary.frames_coded > 0 && summary.frames_plain == 0, "{spec:?}: {summary:?}");
        let reached = summary.original_bytes * 100 / summary.packed_bytes;
        println!("{} {:?}: {reached} %", spec.modality.code(), spec.colour);
        assert!(reached >= percent, "{} {:?}: {reached} %", spec.modality.code(), spec.colour);
    }
}

#[test]
fn every_layout_of_samples_is_understood() {
    let (rows, columns) = (61u16, 44u16);
    let plane = usize::from(rows) * usize::from(columns);
    let mut seen = 0;
    for encoding in [Encoding::ImplicitLittle, Encoding::ExplicitLittle, Encoding::ExplicitBig] {
        for (allocated, samples, planar, signed, photometric) in [
            (8, 1, 0, 0, "MONOCHROME2"),
            (8, 1, 0, 1, "MONOCHROME2"),
            (8, 1, 0, 0, "PALETTE COLOR"),
            (16, 1, 0, 0, "MONOCHROME1"),
            (16, 1, 0, 1, "MONOCHROME2"),
            (8, 3, 0, 0, "RGB"),
            (8, 3, 1, 0, "RGB"),
            (8, 3, 0, 0, "YBR_FULL"),
            (8, 3, 1, 0, "YBR_FULL"),
            (16, 3, 0, 0, "RGB"),
            (16, 3, 1, 0, "RGB"),
        ] {
            let base = if signed == 1 { -100 } else { 0 };
            let values = surface(plane * 2, usize::from(columns), base);
            let coloured: Vec<i32> = match (samples, planar) {
                (1, _) => values,
                (_, 0) => values.iter().flat_map(|value| [*value, value + 3, value / 2]).collect(),
                _ => {
                    values.chunks(plane).flat_map(|frame| [frame, frame, frame].concat()).collect()
                }
            };
            let pixels = match (allocated, encoding) {
                (8, _) => coloured.iter().map(|value| *value as u8).collect(),
                (_, Encoding::ExplicitBig) => {
                    coloured.iter().flat_map(|value| (*value as i16).to_be_bytes()).collect()
                }
                _ => coloured.iter().flat_map(|value| (*value as i16).to_le_bytes()).collect(),
            };
            let image = Image {
                encoding,
                samples,
                allocated,
                planar,
                signed,
                photometric,
                ..Image::grey(rows, columns, pixels)
            };
            let summary = there_and_back(encoding, &image.data_set());
            assert!(
                summary.frames_coded > 0 && summary.frames_plain == 0,
                "{summary:?} of {image:?}"
            );
            let percent = summary.original_bytes * 100 / summary.packed_bytes;
            let least = if allocated == 8 { 170 } else { 350 };
            assert!(
                percent >= least,
                "{percent} % of {encoding:?} {photometric} {allocated} {planar}"
            );
            seen += 1;
        }
    }
    assert_eq!(seen, 33);
}

#[test]
fn values_around_zero_cost_no_more_than_values_above_it() {
    let size = |signed: u16, base: i32, high: u16| {
        let values = surface(96 * 96, 96, base);
        let pixels =
            values.iter().flat_map(|value| ((*value as u16) | high).to_le_bytes()).collect();
        let image = Image { signed, ..Image::grey(96, 96, pixels) };
        there_and_back(Encoding::ExplicitLittle, &image.data_set()).packed_bytes
    };
    let plain = size(0, 1_000, 0);
    assert!(size(1, -100, 0).abs_diff(plain) < 32, "signed");
    assert!(size(0, -100, 0).abs_diff(plain) < 32, "signed, but not said to be");
    assert!(size(0, 1_000, 0xF000).abs_diff(plain) < 32, "with unused high bits set");
}

#[test]
fn equal_colours_cost_little_more_than_grey() {
    let grey: Vec<u8> = surface(90 * 90, 90, 0).iter().map(|value| *value as u8).collect();
    let size =
        |image: Image| there_and_back(Encoding::ExplicitLittle, &image.data_set()).packed_bytes;
    let one = Image { allocated: 8, ..Image::grey(90, 90, grey.clone()) };
    let pixels = grey.iter().flat_map(|value| [*value; 3]).collect();
    let three = Image { samples: 3, photometric: "RGB", pixels, ..one };
    let planes = Image { planar: 1, pixels: [&grey[..]; 3].concat(), ..three };
    let least = size(one);
    for (name, image) in [("by pixel", three), ("by plane", planes)] {
        let bytes = size(image);
        assert!(bytes < least * 11 / 10, "{name}: {bytes} for {least}");
    }
}

#[test]
fn what_is_no_pixels_goes_without_them() {
    let pixels: Vec<u8> =
        surface(4_096, 64, 0).iter().flat_map(|value| (*value as u16).to_le_bytes()).collect();
    let image = Image::grey(64, 64, pixels);
    for image in [
        Image { allocated: 32, ..image.clone() },
        Image { allocated: 1, ..image.clone() },
        Image { samples: 4, ..image.clone() },
        Image { rows: 0, ..image.clone() },
        Image { columns: 0, ..image.clone() },
    ] {
        let data_set = image.data_set();
        assert!(!plan(&header(Encoding::ExplicitLittle, &data_set)).has_pixels());
        assert_eq!(there_and_back(Encoding::ExplicitLittle, &data_set).frames_coded, 0);
    }
    let mut encapsulated = image.data_set();
    let pixel_data = encapsulated.len() - 4_096 * 2 - 12 - 16;
    encapsulated.truncate(pixel_data + 8);
    encapsulated.extend_from_slice(b"\xff\xff\xff\xff\xfe\xff\x00\xe0\0\0\0\0");
    encapsulated.extend_from_slice(b"\xfe\xff\xdd\xe0\0\0\0\0");
    assert!(!plan(&header(Encoding::ExplicitLittle, &encapsulated)).has_pixels());
    assert_eq!(there_and_back(Encoding::ExplicitLittle, &encapsulated).frames_coded, 0);

    let data_set = image.data_set();
    let mut identity = Vec::new();
    let summary = pack::identity(&data_set[..], &mut identity).expect("no I/O");
    assert_eq!((summary.frames_coded, summary.frames_plain), (0, 0));
    assert_eq!(unpacked(&identity, Limits::default(), 777).expect("ours").0, data_set);
    let (nothing, _) = packed(&Plan::default(), &[], 1);
    assert_eq!(unpacked(&nothing, Limits::default(), 9).expect("ours").0, Vec::<u8>::new());
}

#[test]
fn noise_and_drawings_are_not_forced_through_the_coder() {
    let mut noise = vec![0u8; 300_000];
    let mut state = 1u64;
    for byte in &mut noise {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        *byte = (state >> 56) as u8;
    }
    let image = Image::grey(300, 500, noise);
    let summary = there_and_back(Encoding::ExplicitLittle, &image.data_set());
    assert_eq!((summary.frames_coded, summary.frames_plain), (0, 1));
    assert!(summary.packed_bytes < summary.original_bytes + 64, "{summary:?}");

    let chequered = (0..300_000).map(|at| (at % 1_000 / 8 + at / 8_000) % 2 * 255);
    let drawing = chequered.map(|value| value as u8).collect();
    let image = Image { allocated: 8, ..Image::grey(300, 1_000, drawing) };
    let summary = there_and_back(Encoding::ExplicitLittle, &image.data_set());
    assert_eq!((summary.frames_coded, summary.frames_plain), (0, 1));
    assert!(summary.packed_bytes < 6_000, "{summary:?}");
}

#[test]
fn the_number_of_threads_does_not_show() {
    // Small frames in stacks, whole frames, and strips of a large one.
    for (modality, rows, columns, frames) in
        [(Modality::Us, 40, 40, 120), (Modality::Us, 300, 320, 4), (Modality::Dx, 1_200, 1_000, 1)]
    {
        let spec = PhantomSpec { rows, columns, frames, ..PhantomSpec::new(modality, 11) };
        let original = spec.instance(0, 0).data_set;
        let plan = plan(&header(Encoding::ExplicitLittle, &original));
        let alone = packed(&plan, &original, 1);
        assert!(alone.1.frames_coded > 1, "{:?}", alone.1);
        for threads in [2, 3, 8, 1_000] {
            assert!(packed(&plan, &original, threads) == alone, "{threads} threads");
        }
        let (again, _) = unpacked(&alone.0, Limits::default(), 65_536).expect("ours");
        assert!(again == original);
    }
}

/// Gives a long multi-frame object without ever holding it, and knows how much of it has been read.
struct Endless<'a> {
    front: &'a [u8],
    frame: &'a [u8],
    at: usize,
    read: &'a std::cell::Cell<u64>,
    end: u64,
}

impl Read for Endless<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let done = self.read.get();
        let source = match self.front.get(done as usize..) {
            Some(front) if !front.is_empty() => front,
            _ => &self.frame[self.at % self.frame.len()..],
        };
        let count = buffer.len().min(source.len()).min((self.end - done) as usize);
        buffer[..count].copy_from_slice(&source[..count]);
        if done as usize >= self.front.len() {
            self.at += count;
        }
        self.read.set(done + count as u64);
        Ok(count)
    }
}

/// Unpacks what is written at once, and compares what has been read with what has come out.
struct Mirror<'a> {
    unpacker: Unpacker,
    out: u64,
    longest: usize,
    ahead: u64,
    read: &'a std::cell::Cell<u64>,
}

impl Write for Mirror<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.ahead = self.ahead.max(self.read.get() - self.out);
        self.unpacker
            .feed(bytes, &mut |bytes| {
                self.out += bytes.len() as u64;
                self.longest = self.longest.max(bytes.len());
                Ok::<(), PackError>(())
            })
            .map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_long_object_is_held_a_few_pieces_at_a_time() {
    let frame: Vec<u8> =
        surface(800 * 700, 700, 0).iter().flat_map(|value| (*value as u16).to_le_bytes()).collect();
    let one = Image::grey(800, 700, frame.clone());
    let mut front = one.data_set();
    front.truncate(front.len() - 16 - frame.len());
    let length = frame.len() as u64 * 24;
    let at = front.len() - 4;
    front[at..].copy_from_slice(&(length as u32).to_le_bytes());
    let mut scanner = Scanner::new(Encoding::ExplicitLittle, scan::Limits::default());
    scanner.feed(&front).expect("well-formed");
    (0..24).for_each(|_| scanner.feed(&frame).expect("bulk"));
    let plan = plan(&scanner.finish().expect("whole"));

    for threads in [1, 3] {
        let read = std::cell::Cell::new(0);
        let end = front.len() as u64 + length;
        let original = Endless { front: &front, frame: &frame, at: 0, read: &read, end };
        let unpacker = Unpacker::new(Limits::default());
        let mut mirror = Mirror { unpacker, out: 0, longest: 0, ahead: 0, read: &read };
        let summary = pack::pack(&plan, original, &mut mirror, threads).expect("no I/O");
        assert_eq!((summary.frames_coded, summary.frames_plain), (24, 0));
        assert_eq!(mirror.unpacker.finish().expect("whole").bytes, end);
        let most = (threads as u64 + 1) * (2 << 20);
        assert!(mirror.ahead <= most, "{} bytes ahead with {threads} threads", mirror.ahead);
        assert!(mirror.longest <= 2 << 20);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever a header says about whatever bytes, they come back.
    #[test]
    fn any_object_comes_back(
        encoding in prop_oneof![
            Just(Encoding::ImplicitLittle),
            Just(Encoding::ExplicitLittle),
            Just(Encoding::ExplicitBig),
        ],
        (rows, columns) in prop_oneof![(0u16..40, 0u16..40), (any::<u16>(), any::<u16>())],
        samples in prop_oneof![Just(1u16), Just(3u16), 0u16..5],
        allocated in prop_oneof![Just(8u16), Just(16u16), 0u16..33],
        planar in 0u16..3,
        signed in 0u16..2,
        photometric in prop_oneof![
            Just("MONOCHROME2"), Just("RGB"), Just("YBR_FULL"), Just("YBR_FULL_422"), Just("")
        ],
        pixels in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..5_000),
            proptest::collection::vec(0u8..4, 0..20_000),
            (0usize..20_000).prop_map(|length| {
                surface(length, 40, 0).iter().map(|value| *value as u8).collect()
            }),
        ],
        piece in prop_oneof![1usize..100, 1usize..30_000],
        threads in 1usize..4,
    ) {
        let image = Image {
            encoding, rows, columns, samples, allocated, planar, signed, photometric, pixels,
        };
        let original = image.data_set();
        let (pack, summary) = packed(&plan(&header(encoding, &original)), &original, threads);
        let (again, told) = unpacked(&pack, Limits::default(), piece).expect("its own pack");
        prop_assert!(again == original, "came back different");
        prop_assert_eq!(told.sha256, summary.original_sha256);
        prop_assert!(pack.len() <= original.len() + 200, "much larger: {}", pack.len());
    }

    /// A plan made for other bytes costs compression, nothing else.
    #[test]
    fn a_wrong_plan_does_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..9_000)) {
        let image = Image::grey(30, 50, vec![0; 6_000]).data_set();
        let (pack, _) = packed(&plan(&header(Encoding::ExplicitLittle, &image)), &bytes, 2);
        prop_assert!(unpacked(&pack, Limits::default(), 100).expect("its own pack").0 == bytes);
    }
}

/// A segment made by hand.
fn segment(kind: u8, original: u64, coded: u64, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind];
    for mut number in [original, coded] {
        while number >= 0x80 {
            bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        bytes.push(number as u8);
    }
    bytes.extend_from_slice(body);
    bytes
}

fn pack_of(original: &[u8], segments: &[Vec<u8>]) -> Vec<u8> {
    let end = segment(0, original.len() as u64, 32, &Sha256::digest(original));
    [b"MRPK\x01".to_vec(), segments.concat(), end].concat()
}

#[test]
fn lying_segments_are_refused_before_they_cost_anything() {
    let zeros = vec![0u8; 1_000];
    let small = zstd::bulk::compress(&zeros, 3).expect("compresses");
    let bomb = zstd::bulk::compress(&vec![0; 50 << 20], 3).expect("compresses");
    assert!(bomb.len() < 2_000);
    let length = small.len() as u64;
    let good = segment(2, 1_000, length, &small);
    assert_eq!(fault_of(&pack_of(&zeros, std::slice::from_ref(&good)), Limits::default()), None);
    let fault = |original: u64, segments: &[Vec<u8>]| {
        let limits = Limits { object_bytes: 5_000, segment_bytes: 2_000 };
        fault_of(&pack_of(&vec![0; original as usize], segments), limits)
    };
    let bodies = [
        (PackFault::Header, segment(4, 1, 1, &[0])),
        (PackFault::Header, segment(1, 0, 0, &[])),
        (PackFault::Header, segment(1, 5, 4, &[0; 4])),
        (PackFault::Header, segment(2, 5, 5, &[0; 5])),
        (PackFault::Header, segment(2, 5, 0, &[])),
        (PackFault::Header, [&[1], &[0xFF; 10][..]].concat()),
        (PackFault::Header, vec![1, 0x81, 0x00, 1, 0]),
        (PackFault::SegmentTooLarge, segment(1, 2_001, 2_001, &[])),
        (PackFault::SegmentTooLarge, segment(2, u64::MAX >> 1, length, &small)),
        (PackFault::Zstd, segment(2, 999, length, &small)),
        (PackFault::Zstd, segment(2, 1_001, length, &small)),
        (PackFault::Zstd, segment(2, 1_000, length - 1, &small[1..])),
        (PackFault::SegmentTooLarge, segment(2, 50 << 20, bomb.len() as u64, &bomb)),
        (PackFault::Zstd, segment(2, 2_000, bomb.len() as u64, &bomb)),
        (PackFault::Zstd, segment(2, 2_000, 100, &bomb[..100])),
    ];
    for (at, (expected, body)) in bodies.into_iter().enumerate() {
        assert_eq!(fault(1_000, &[body]), Some(expected), "number {at}");
    }
    let many = vec![good.clone(); 6];
    assert_eq!(fault(6_000, &many), Some(PackFault::ObjectTooLarge));
    assert_eq!(fault(5_000, &many[..5]), None);
    assert_eq!(fault(4_999, &many[..5]), Some(PackFault::WrongLength));
    let mut changed = zeros;
    changed[17] = 1;
    assert_eq!(
        fault_of(&pack_of(&changed, &[good]), Limits::default()),
        Some(PackFault::WrongHash)
    );
}

#[test]
fn lying_images_are_refused_before_they_are_decoded() {
    let values = surface(64 * 64, 64, 0);
    let image =
        Image::grey(64, 64, values.iter().flat_map(|v| (*v as u16).to_le_bytes()).collect());
    let original = image.data_set();
    let (pack, summary) = packed(&plan(&header(Encoding::ExplicitLittle, &original)), &original, 1);
    assert_eq!(summary.frames_coded, 1);
    let stream = pack.windows(4).position(|bytes| bytes == b"\xFF\xD8\xFF\xF7").expect("JPEG-LS");
    let strip = stream - 9;
    assert_eq!(pack[strip..strip + 6], [0, 64, 0, 64, 0, 1], "columns, lines, arrangement, flags");
    let changed = |at: usize, to: u8| {
        let mut pack = pack.clone();
        assert_ne!(pack[at], to);
        pack[at] = to;
        fault_of(&pack, Limits::default())
    };
    for (at, to) in
        [(0, 1), (1, 63), (3, 65), (4, 1), (4, 4), (5, 0), (5, 5), (5, 8), (6, 1), (6, 17)]
    {
        assert_eq!(changed(strip + at, to), Some(PackFault::Header), "byte {at} of the image");
    }
    // Coherent, but not what the stream says or what was packed.
    assert_eq!(changed(strip + 6, 9), Some(PackFault::JpegLs));
    assert_eq!(changed(strip + 5, 3), Some(PackFault::WrongHash));
    assert_eq!(changed(strip + 8, pack[strip + 8] ^ 1), Some(PackFault::WrongHash));
    // Size, depth, components, near-lossless, interleave: all in the front of the stream.
    for at in 0..25 {
        assert_eq!(changed(stream + at, pack[stream + at] ^ 1), Some(PackFault::JpegLs), "{at}");
    }
    let mut swapped = pack.clone();
    swapped[strip..strip + 4].copy_from_slice(&[0, 32, 0, 128]);
    assert_eq!(fault_of(&swapped, Limits::default()), Some(PackFault::JpegLs));
    let limits = Limits { segment_bytes: 8_191, ..Limits::default() };
    assert_eq!(fault_of(&pack, limits), Some(PackFault::SegmentTooLarge));
}

#[test]
fn every_truncation_and_every_addition_is_noticed() {
    let original = PhantomSpec::tiny(1, 9).instance(0, 0).data_set;
    let (pack, _) = packed(&plan(&header(Encoding::ExplicitLittle, &original)), &original, 1);
    for end in 0..pack.len() {
        assert_eq!(fault_of(&pack[..end], Limits::default()), Some(PackFault::Truncated), "{end}");
    }
    for more in [&[0][..], b"MRPK\x01", &pack] {
        let longer = [&pack[..], more].concat();
        assert_eq!(fault_of(&longer, Limits::default()), Some(PackFault::Trailing));
    }
    for at in 0..pack.len() {
        let mut changed = pack.clone();
        changed[at] ^= 0x10;
        // zstd has a bit that means nothing; whatever is accepted is the original.
        if let Ok((again, _)) = unpacked(&changed, Limits::default(), 100) {
            assert!(again == original, "byte {at} changed the object");
        }
    }
    for at in 0..5 {
        let mut changed = pack.clone();
        changed[at] ^= 1;
        assert_eq!(fault_of(&changed, Limits::default()), Some(PackFault::Unknown));
    }
}

#[test]
fn a_failing_reader_writer_or_receiver_is_told_from_a_bad_pack() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::ConnectionReset.into())
        }
    }
    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let original = PhantomSpec::tiny(1, 9).instance(0, 0).data_set;
    for threads in [1, 4] {
        let outcome = pack::pack(&Plan::default(), Broken, &mut Vec::new(), threads);
        assert!(matches!(outcome, Err(PackError::Io(_))), "{outcome:?}");
        let outcome = pack::pack(&Plan::default(), &original[..], &mut Broken, threads);
        assert!(matches!(outcome, Err(PackError::Io(_))), "{outcome:?}");
    }
    let (pack, _) = packed(&Plan::default(), &original, 1);
    let mut unpacker = Unpacker::new(Limits::default());
    let full = || PackError::Io(io::ErrorKind::StorageFull.into());
    let outcome = unpacker.feed(&pack, &mut |_: &[u8]| Err(full()));
    assert!(matches!(outcome, Err(PackError::Io(_))));
    let again = unpacker.feed(&pack, &mut |_: &[u8]| Ok::<(), PackError>(()));
    assert_eq!(again.err().and_then(|error| error.fault()), Some(PackFault::Abandoned));
    assert_eq!(unpacker.finish().err().and_then(|error| error.fault()), Some(PackFault::Abandoned));
}
