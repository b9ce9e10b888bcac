//! Packs DICOM files in memory, unpacks them again and prints how small they became and how long it took:
//!
//! ```text
//! cargo run --release -p medrelay-dicom --example pack -- [--threads N] FILE...
//! ```
//!
//! One line a file and one for all. "encode" includes decoding and comparing every frame; "decode"
//! is what the receiver does, hash included. Exit status 1 when anything came back different.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use medrelay_dicom::pack::{self, Limits, PackError, Summary, Unpacker};
use medrelay_dicom::scan::{self, Encoding, Scanner};
use medrelay_dicom::{part10, uids};

fn main() -> Result<ExitCode> {
    let mut arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let mut threads = 1;
    if arguments.first().is_some_and(|first| first == "--threads") {
        let number = arguments.get(1).and_then(|number| number.to_str());
        threads = number.context("--threads wants a number")?.parse()?;
        arguments.drain(..2);
    }
    ensure!(!arguments.is_empty(), "usage: pack [--threads N] FILE...");
    println!(
        "{:>11} {:>11} {:>7} {:>9} {:>9}  file",
        "bytes", "packed", "ratio", "encode", "decode"
    );
    let mut total = Times::default();
    let mut different = false;
    for argument in &arguments {
        let file = Path::new(argument);
        match measure(file, threads) {
            Ok(times) => {
                total.add(&times);
                times.print(&file.display().to_string());
            }
            Err(error) => {
                different = true;
                println!("{}: {error:#}", file.display());
            }
        }
    }
    total.print(&format!("all of {} files", total.files));
    Ok(if different { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

#[derive(Default)]
struct Times {
    files: u32,
    bytes: u64,
    packed: u64,
    encode: Duration,
    decode: Duration,
    frames: [u32; 2],
}

impl Times {
    fn add(&mut self, other: &Self) {
        self.files += other.files;
        self.bytes += other.bytes;
        self.packed += other.packed;
        self.encode += other.encode;
        self.decode += other.decode;
        self.frames[0] += other.frames[0];
        self.frames[1] += other.frames[1];
    }

    fn print(&self, name: &str) {
        let ratio = self.bytes as f64 / self.packed.max(1) as f64;
        let [encode, decode] = [self.encode, self.decode]
            .map(|time| time.as_secs_f64() * 1_000.0 / f64::from(self.files.max(1)));
        println!(
            "{:>11} {:>11} {ratio:>6.2}x {encode:>6.1} ms {decode:>6.1} ms  {name} (JPEG-LS {}, plain {})",
            self.bytes, self.packed, self.frames[0], self.frames[1]
        );
    }
}

#[expect(clippy::disallowed_methods, reason = "a benchmark reads the real clock")]
fn measure(file: &Path, threads: usize) -> Result<Times> {
    let bytes = std::fs::read(file)?;
    let original = data_set(&bytes)?;
    let start = Instant::now();
    let mut packed = Vec::with_capacity(original.len() / 2);
    let summary = pack_one(original, &bytes, threads, &mut packed)?;
    let encode = start.elapsed();
    let start = Instant::now();
    let mut again = Vec::with_capacity(original.len());
    let mut unpacker = Unpacker::new(Limits::default());
    let mut out = |piece: &[u8]| {
        again.extend_from_slice(piece);
        Ok::<(), PackError>(())
    };
    for piece in packed.chunks(64 << 10) {
        unpacker.feed(piece, &mut out)?;
    }
    let unpacked = unpacker.finish()?;
    let decode = start.elapsed();
    ensure!(unpacked.sha256 == summary.original_sha256 && again == original, "came back different");
    let frames = [summary.frames_coded, summary.frames_plain];
    let [bytes, packed] = [summary.original_bytes, summary.packed_bytes];
    Ok(Times { files: 1, bytes, packed, encode, decode, frames })
}

/// What follows the file meta group, or all bytes of a file without one.
fn data_set(bytes: &[u8]) -> Result<&[u8]> {
    let (_, start) = part10::read(bytes)?;
    Ok(&bytes[start..])
}

/// Packs with the plan that the file's header suggests, or without one when it cannot be scanned.
fn pack_one(original: &[u8], file: &[u8], threads: usize, out: &mut Vec<u8>) -> Result<Summary> {
    let (meta, _) = part10::read(file)?;
    let encoding = meta
        .transfer_syntax
        .as_ref()
        .and_then(|syntax| uids::encoding(syntax.as_str()))
        .unwrap_or(Encoding::ImplicitLittle);
    let mut scanner = Scanner::new(encoding, scan::Limits::default());
    let header = scanner.feed(original).and_then(|()| scanner.finish());
    let plan = header.map(|header| pack::plan(&header)).unwrap_or_default();
    Ok(pack::pack(&plan, original, out, threads)?)
}
