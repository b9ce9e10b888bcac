//! The clinic link without a line: what its bytes mean, and what its two machines do.

mod bytes;
mod documents;
mod fuzz;
mod gateway;
mod pair;
mod relay;
mod sample;
mod world;
