//! What is true in medrelay, with no way to do anything about it.
//!
//! This crate holds the words of the domain, the rules about them and nothing else: no I/O, no
//! clock, no randomness. Time and entropy come in as arguments, so every rule can be tested by
//! value. Invariants kept here:
//!
//! 1. A lifecycle is one enum and one `apply` whose last arm refuses.
//! 2. Whether somebody may do something is decided by [`access::may`] and nowhere else.
//! 3. What is signed never changes: a new text is a new version.
//! 4. Patient data is wrapped in [`id::Phi`], which cannot be printed.

pub mod access;
pub mod calendar;
pub mod case;
pub mod congestion;
pub mod delivery;
pub mod event;
pub mod finding;
pub mod id;
pub mod matching;
pub mod message;
pub mod people;
pub mod queue;
pub mod report;
pub mod study;
pub mod time;
pub mod transfer;
