//! The agent's executable.

fn main() {}
