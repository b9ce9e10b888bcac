//! One folder per protocol: parse, call a use case, map the error, nothing more.

pub mod api;
pub mod dimse;
pub mod link;
