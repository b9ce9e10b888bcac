//! Entry points for fuzzing, by what they need: `entry` reads DICOM, `link` the clinic link,
//! `pieces` what its WebSocket carries. The packages that own the parsers include them as modules
//! of their own tests.

mod entry;
mod link;
mod pieces;

pub use entry::{pdu, scan};
pub use link::link;
pub use pieces::pieces;
