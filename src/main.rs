//! The `rowhouse` program: ties the master process to the capabilities.

fn main() {}
