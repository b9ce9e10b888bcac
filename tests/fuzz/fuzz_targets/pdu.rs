//! The PDU framer and the command sets behind it, in two sizes of pieces.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| medrelay_fuzz::pdu(data));
