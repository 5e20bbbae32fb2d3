//! orbit.
fn main() {}
