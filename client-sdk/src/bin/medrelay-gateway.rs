//! The clinic's gateway.

fn main() {}
