//! The clinic link: control channel, stream headers, manifests, receipts, join codes, machines.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| medrelay_fuzz::link(data));
