//! Parsers of the texts of components: one producer a file, over Kubernetes 1.20 to 1.38.
//!
//! Each parser knows whole phrases at their own place and gives `None` (or `Unknown`) for all others: a text that
//! is not recognised is no evidence for anything. Names of objects never take part in a comparison.

pub mod admission;
pub mod create;
pub mod eviction;
pub mod image;
pub mod mount;
mod phrase;
pub mod probe;
pub mod sandbox;
pub mod scheduler;
pub mod start;
