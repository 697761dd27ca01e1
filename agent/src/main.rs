//! The program `pitviper`.

fn main() {}
