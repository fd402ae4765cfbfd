//! The `eakte` command.
fn main() {}
