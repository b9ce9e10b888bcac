//! From a data set to a pack: cut, coded by several threads, written in order.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::thread;

use sha2::{Digest, Sha256};

use super::error::PackError;
use super::format::{FRONT, HASH_BYTES, Head, Kind, Strip};
use super::jls::Image;
use super::plan::{Lines, Plan};

/// What a pack has become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// Bytes of the original.
    pub original_bytes: u64,
    /// SHA-256 of the original.
    pub original_sha256: [u8; 32],
    /// Bytes of the pack.
    pub packed_bytes: u64,
    /// SHA-256 of the pack.
    pub packed_sha256: [u8; 32],
    /// Pieces of pixels (a frame, a strip of a large one, or several small ones) that went as
    /// JPEG-LS.
    pub frames_coded: u32,
    /// Pieces of pixels that went as zstd or as they are: they did not get smaller, did not come
    /// back equal, or zstd was better.
    pub frames_plain: u32,
}

/// Packs the data set that `original` gives, coding on up to `threads` threads besides the
/// caller's (on the caller's alone for 1). Blocks: not for the threads of an asynchronous runtime.
/// Holds about 15 MiB for every thread, whatever the size of the object.
///
/// # Errors
/// [`PackError::Io`] from `original` or `out`; nothing else can fail.
pub fn pack(
    plan: &Plan,
    original: impl Read,
    out: &mut impl Write,
    threads: usize,
) -> Result<Summary, PackError> {
    let mut pieces = Pieces { plan, original, offset: 0, hash: Sha256::new() };
    let mut writer = Writer::new(out);
    writer.put(&FRONT)?;
    if threads <= 1 {
        while let Some(piece) = pieces.next()? {
            writer.segment(&piece.code())?;
        }
    } else {
        thread::scope(|scope| {
            let mut coding = VecDeque::new();
            while let Some(piece) = pieces.next()? {
                if coding.len() == threads.min(MOST_THREADS) {
                    coding.pop_front().map_or(Ok(()), |oldest| writer.segment(&join(oldest)))?;
                }
                coding.push_back(thread::Builder::new().spawn_scoped(scope, || piece.code())?);
            }
            coding.into_iter().try_for_each(|oldest| writer.segment(&join(oldest)))
        })?;
    }
    writer.end(pieces.offset, pieces.hash.finalize().into())
}

/// Packs bytes of which nothing is known: without JPEG-LS.
///
/// # Errors
/// As [`pack`].
pub fn identity(original: impl Read, out: &mut impl Write) -> Result<Summary, PackError> {
    pack(&Plan::default(), original, out, 1)
}

/// The original, cut according to plan.
struct Pieces<'a, R> {
    plan: &'a Plan,
    original: R,
    offset: u64,
    hash: Sha256,
}

impl<R: Read> Pieces<'_, R> {
    fn next(&mut self) -> Result<Option<Piece>, PackError> {
        let cut = self.plan.cut(self.offset);
        let mut bytes = Vec::new();
        self.original.by_ref().take(cut.bytes).read_to_end(&mut bytes)?;
        if bytes.is_empty() {
            return Ok(None);
        }
        self.hash.update(&bytes);
        self.offset += bytes.len() as u64;
        let lines = cut.lines.filter(|_| bytes.len() as u64 == cut.bytes);
        Ok(Some(Piece { bytes, lines }))
    }
}

/// Consecutive bytes of the original that become one segment.
struct Piece {
    bytes: Vec<u8>,
    lines: Option<Lines>,
}

/// A segment that is ready to be written, and the proof has been made.
struct Coded {
    head: Head,
    bytes: Vec<u8>,
    is_pixels: bool,
}

impl Piece {
    /// The smallest form that gives the same bytes again.
    fn code(self) -> Coded {
        let is_pixels = self.lines.is_some();
        let image = self.lines.and_then(|lines| jpeg_ls(&self.bytes, lines, Image::encode));
        // Drawings, masks and empty frames are better served by zstd; photographs never.
        let drawn = image.as_ref().is_none_or(|(_, coded)| coded.len() < self.bytes.len() / DRAWN);
        let plain = if drawn { zstd(&self.bytes) } else { None };
        let original = self.bytes.len() as u64;
        let (kind, bytes) = match (image, plain) {
            (Some((_, image)), Some(plain)) if plain.len() < image.len() => (Kind::Zstd, plain),
            (Some((strip, image)), _) => (Kind::JpegLs(strip), image),
            (None, Some(plain)) => (Kind::Zstd, plain),
            (None, None) => (Kind::Raw, self.bytes),
        };
        Coded { head: Head { kind, original, coded: bytes.len() as u64 }, bytes, is_pixels }
    }
}

/// Lines of pixels as JPEG-LS, if they come back the same and are smaller.
fn jpeg_ls(
    bytes: &[u8],
    lines: Lines,
    encode: fn(Image, &[u8]) -> Option<Vec<u8>>,
) -> Option<(Strip, Vec<u8>)> {
    let Lines { layout, lines, signed } = lines;
    let values = layout.take_apart(bytes);
    let range = layout.range(&values, signed);
    let strip = Strip { layout, lines, range };
    let image = strip.image()?;
    let samples = layout.narrow(&values, range);
    drop(values);
    let stream = encode(image, &samples)?;
    drop(samples);
    if stream.len() + HEAD_BYTES >= bytes.len() {
        return None;
    }
    let mut again = Vec::with_capacity(bytes.len());
    layout.put_together(layout.widen(&image.decode(&stream)?, range), &mut again);
    (again == bytes).then_some((strip, stream))
}

/// Any bytes as a zstd frame, if they come back the same and are smaller.
fn zstd(bytes: &[u8]) -> Option<Vec<u8>> {
    let frame = zstd::bulk::compress(bytes, ZSTD_LEVEL).ok()?;
    if frame.len() >= bytes.len() {
        return None;
    }
    let again = zstd::bulk::decompress(&frame, bytes.len()).ok()?;
    (again == bytes).then_some(frame)
}

/// The result of a thread; its panic is ours.
fn join(coding: thread::ScopedJoinHandle<'_, Coded>) -> Coded {
    coding.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Writes and hashes a pack.
struct Writer<'a, W> {
    out: &'a mut W,
    hash: Sha256,
    bytes: u64,
    frames_coded: u32,
    frames_plain: u32,
}

impl<'a, W: Write> Writer<'a, W> {
    fn new(out: &'a mut W) -> Self {
        Self { out, hash: Sha256::new(), bytes: 0, frames_coded: 0, frames_plain: 0 }
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), PackError> {
        self.out.write_all(bytes)?;
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    fn segment(&mut self, coded: &Coded) -> Result<(), PackError> {
        match coded.head.kind {
            Kind::JpegLs(_) => self.frames_coded += 1,
            _ if coded.is_pixels => self.frames_plain += 1,
            _ => {}
        }
        self.put(&coded.head.to_bytes())?;
        self.put(&coded.bytes)
    }

    fn end(mut self, original_bytes: u64, original_sha256: [u8; 32]) -> Result<Summary, PackError> {
        let head = Head { kind: Kind::End, original: original_bytes, coded: HASH_BYTES };
        self.put(&head.to_bytes())?;
        self.put(&original_sha256)?;
        self.out.flush()?;
        Ok(Summary {
            original_bytes,
            original_sha256,
            packed_bytes: self.bytes,
            packed_sha256: self.hash.finalize().into(),
            frames_coded: self.frames_coded,
            frames_plain: self.frames_plain,
        })
    }
}

/// Threads for one object, however many are asked for.
const MOST_THREADS: usize = 64;
/// Bytes of a head beyond that of a raw segment, at most.
const HEAD_BYTES: usize = 16;
/// How much smaller than the original JPEG-LS makes only what is not a photograph.
const DRAWN: usize = 8;
const ZSTD_LEVEL: i32 = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pack::samples::{Arrangement, Layout};

    /// A coder like those that change images without saying so.
    fn careless(image: Image, samples: &[u8]) -> Option<Vec<u8>> {
        let mut samples = samples.to_vec();
        *samples.last_mut()? ^= 1;
        image.encode(&samples)
    }

    #[test]
    fn a_coder_that_changes_one_sample_is_not_believed() {
        let layout = Layout {
            columns: 50,
            arrangement: Arrangement::Grey,
            wide: true,
            big_endian: false,
            differences: false,
        };
        let lines = Lines { layout, lines: 40, signed: false };
        let bytes: Vec<u8> = (0..2_000u16).flat_map(|at| (at / 3).to_le_bytes()).collect();
        assert!(jpeg_ls(&bytes, lines, Image::encode).is_some());
        assert!(jpeg_ls(&bytes, lines, careless).is_none());
        assert!(jpeg_ls(&bytes, lines, |_, _| None).is_none());
        assert!(jpeg_ls(&bytes[2..], lines, Image::encode).is_none(), "not so many lines");
    }
}
