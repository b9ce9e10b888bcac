//! Entry points for fuzzing, by what they need: `entry` reads DICOM, `link` the clinic link. The
//! packages that own the parsers include them as modules of their own tests.

mod entry;
mod link;

pub use entry::{pdu, scan};
pub use link::link;
