//! Headers as JSON, frames found, decoded and drawn.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| medrelay_fuzz::image(data));
