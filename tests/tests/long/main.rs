//! Days, months and thousands of pods, in virtual time: what is right in the first hour stays right.
//!
//! The tests that are ignored take minutes: `make soak` runs them.

mod silence;
mod stretched;
mod year;
