//! The test harness: real servers and foreign programs as peers, each certain to end with the test.

pub mod objects3;
pub mod postgres;
pub mod process;
