//! The clinic link's transport, the same for both ends: what `docs/PROTOCOL.md` calls a carrier.
//!
//! A carrier is one control channel and any number of one-way streams with priorities. It is a QUIC
//! connection with a congestion controller of our own, or, where UDP is blocked, one WebSocket.

pub mod carrier;
pub mod controller;
mod error;
mod priority;
pub mod quic;
pub mod websocket;

pub use carrier::{Carrier, Incoming, Kind, Outgoing, Stats};
pub use error::{CarrierError, StreamError};
pub use priority::Priority;
