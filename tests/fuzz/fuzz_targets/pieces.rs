//! The link's WebSocket: pieces, credit, ends, against an application without sense.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    medrelay_fuzz::pieces(data);
});
