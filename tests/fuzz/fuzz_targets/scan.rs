//! The structural scanner, in all encodings and two sizes of pieces.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| medrelay_fuzz::scan(data));
