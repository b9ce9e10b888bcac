//! DICOM as bytes and as a protocol: what comes in, what goes out, and what is made up for tests.

pub mod association;
pub mod command;
mod dataset;
pub mod elements;
pub mod encapsulated;
pub mod facts;
pub mod json;
pub mod pack;
pub mod part10;
pub mod pdu;
pub mod phantom;
pub mod pixels;
pub mod scan;
pub mod sr;
pub mod text;
pub mod uids;
