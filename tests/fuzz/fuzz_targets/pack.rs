//! The unpacker in two sizes of pieces, and packing what looks like a data set.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| medrelay_fuzz::pack(data));
