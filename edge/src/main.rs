//! `gosight-edge`
fn main() {}
