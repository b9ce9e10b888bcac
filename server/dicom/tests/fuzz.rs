//! The fuzz entry points over a seeded corpus: 20,000 mutants of well-formed and hostile inputs in
//! every test run.

#[path = "../../../tests/fuzz/entry.rs"]
mod entry;
#[expect(dead_code, reason = "each test binary uses a part of the shared harness")]
mod support;

use medrelay_dicom::pack;
use medrelay_dicom::phantom::{Modality, PhantomSpec, hostile};
use medrelay_dicom::scan::{Encoding, Limits, Scanner};

const MUTANTS: usize = 20_000;

/// A small generator (xorshift*), so that every run sees the same mutants.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }
}

/// Values that lengths and delimiters are made of.
const SPLINTERS: [&[u8]; 10] = [
    &[0xFF; 4],
    &[0; 4],
    &[0xFE, 0xFF, 0x00, 0xE0],
    &[0xFE, 0xFF, 0x0D, 0xE0, 0, 0, 0, 0],
    &[0xFE, 0xFF, 0xDD, 0xE0, 0, 0, 0, 0],
    b"SQ",
    b"UN\0\0\xFF\xFF\xFF\xFF",
    &[0, 0, 0, 0x40],
    &[4, 0, 0, 0, 0, 6, 0, 0, 0, 2, 1, 3],
    b"../",
];

fn mutate(seed: &[u8], other: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len());
        match random.below(6) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            1 if at < bytes.len() => bytes[at] = random.next() as u8,
            2 => bytes.truncate(at),
            3 => {
                let splinter = SPLINTERS[random.below(SPLINTERS.len())];
                let end = (at + splinter.len()).min(bytes.len());
                bytes.splice(at..end, splinter.iter().copied());
            }
            4 => {
                let from = random.below(other.len());
                let to = (from + random.below(64)).min(other.len());
                bytes.splice(at..at, other[from..to].iter().copied());
            }
            _ => {
                let end = (at + random.below(32)).min(bytes.len());
                bytes.drain(at..end);
            }
        }
    }
    bytes
}

fn bombard(seeds: &[Vec<u8>], entry: fn(&[u8])) {
    bombard_with(seeds, entry, MUTANTS);
}

fn bombard_with(seeds: &[Vec<u8>], entry: fn(&[u8]), mutants: usize) {
    let mut random = Random(0x6D65_6472_656C_6179);
    for seed in seeds {
        entry(seed);
    }
    for _ in 0..mutants {
        let seed = &seeds[random.below(seeds.len())];
        let other = &seeds[random.below(seeds.len())];
        entry(&mutate(seed, other, &mut random));
    }
}

#[test]
fn the_scanner_survives_bombardment() {
    let images = PhantomSpec::tiny(2, 5);
    let mut seeds: Vec<Vec<u8>> = images.iter().map(|instance| instance.data_set).collect();
    let clip = PhantomSpec { rows: 4, columns: 4, frames: 2, ..PhantomSpec::new(Modality::Us, 5) };
    seeds.push(clip.instance(0, 0).data_set);
    seeds.extend(hostile::all().into_iter().map(|hostile| hostile.data_set));
    for seed in &mut seeds {
        seed.truncate(2_000);
        seed.insert(0, 13);
    }
    bombard(&seeds, entry::scan);
}

#[test]
fn packs_survive_bombardment() {
    let images = PhantomSpec::tiny(2, 5);
    let mut originals: Vec<Vec<u8>> = images.iter().map(|instance| instance.data_set).collect();
    let clip =
        PhantomSpec { rows: 24, columns: 32, frames: 3, ..PhantomSpec::new(Modality::Us, 5) };
    originals.push(clip.instance(0, 0).data_set);
    let slice = PhantomSpec { rows: 32, columns: 32, ..PhantomSpec::new(Modality::Mr, 5) };
    originals.push(slice.instance(0, 7).data_set);
    let mut seeds: Vec<Vec<u8>> = originals.iter().map(|original| packed(original)).collect();
    seeds.extend(originals);
    for seed in &mut seeds {
        seed.insert(0, 11);
    }
    bombard(&seeds, entry::pack);
}

/// A frame in a data set of fragments, behind the elements before its pixels.
fn fragments(header: &[u8], frame: &[u8]) -> Vec<u8> {
    let mut out = header.to_vec();
    out.extend_from_slice(b"\xE0\x7F\x10\x00OB\0\0\xFF\xFF\xFF\xFF\xFE\xFF\x00\xE0\0\0\0\0");
    out.extend_from_slice(b"\xFE\xFF\x00\xE0");
    out.extend_from_slice(&(frame.len() as u32).to_le_bytes());
    out.extend_from_slice(frame);
    out.extend_from_slice(b"\xFE\xFF\xDD\xE0\0\0\0\0");
    out
}

#[test]
fn images_survive_bombardment() {
    use medrelay_dicom::elements;
    use medrelay_dicom::pixels::{self, Image, Look};

    let slice = PhantomSpec { rows: 16, columns: 16, ..PhantomSpec::new(Modality::Ct, 5) };
    let clip =
        PhantomSpec { rows: 16, columns: 16, frames: 2, ..PhantomSpec::new(Modality::Us, 5) };
    let mut seeds = Vec::new();
    for spec in [slice, PhantomSpec { frames: 1, ..clip.clone() }, clip] {
        let data_set = spec.instance(0, 0).data_set;
        let whole = bytes::Bytes::from(data_set.clone());
        let read = elements::read(Encoding::ExplicitLittle, &whole).expect("a phantom");
        let image = Image::describe(&read.0, read.1.as_ref()).expect("an image");
        let place = read.1.expect("pixels").offset as usize;
        let header = &data_set[..place - 12];
        let frame = whole.slice(place..place + image.decoded_bytes() as usize);
        let frame = pixels::decode(&image, "1.2.840.10008.1.2.1", &frame, 0).expect("a frame");
        let picture = pixels::render(&read.0, &image, &frame, 0, &Look::default());
        let jpeg = picture.and_then(|picture| picture.jpeg(80)).expect("a picture");
        seeds.push(fragments(header, &jpeg));
        seeds.push(fragments(header, &pixels::jpeg_ls(&image, &frame).expect("codes")));
        seeds.push(data_set);
    }
    for seed in &mut seeds {
        seed.insert(0, 9);
    }
    // Decoding and drawing take longer than looking.
    bombard_with(&seeds, entry::image, MUTANTS / 50);
}

fn packed(original: &[u8]) -> Vec<u8> {
    let mut scanner = Scanner::new(Encoding::ExplicitLittle, Limits::default());
    scanner.feed(original).expect("a phantom is well-formed");
    let plan = pack::plan(&scanner.finish().expect("a phantom is whole"));
    let mut packed = Vec::new();
    pack::pack(&plan, original, &mut packed, 1).expect("no I/O");
    packed
}

#[test]
fn the_framer_survives_bombardment() {
    let mut seeds = vec![
        support::associate().to_vec(),
        support::echo(1).to_vec(),
        support::store(2, &[7; 300], 64).to_vec(),
        [support::associate(), support::store(3, &[1; 50], 1024), support::echo(4)].concat(),
    ];
    for seed in &mut seeds {
        seed.insert(0, 7);
    }
    bombard(&seeds, entry::pdu);
}
