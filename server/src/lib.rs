//! The relay server: what `medrelay serve` is made of.
//!
//! `main → app → { edge, worker } → service → { store, blobs } → core`; `config`, `secrets`,
//! `system`, `tls`, `typeset`, `check` and `lifecycle` are leaves that the wiring hands around.

pub mod anchors;
pub mod app;
pub mod blobs;
pub mod check;
pub mod cli;
pub mod config;
pub mod edge;
pub mod http;
pub mod lifecycle;
pub mod secrets;
pub mod service;
pub mod store;
pub mod system;
pub mod tls;
pub mod totp;
pub mod typeset;
pub mod worker;
