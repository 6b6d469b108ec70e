//! Observations in, diagnoses out.
//!
//! A deterministic state machine without I/O, async or a clock of its own. The same observations in the same order give
//! the same diagnoses, so a recorded case can be replayed and a wrong verdict becomes a test.
//!
//! - [`observation`] is what a source reports: a module for each interface of the node, with the parsers of its bytes.
//! - [`mod@messages`] is every text that people read, in each language; rules contain none.
//! - [`localized`] gives a diagnosis in the language of its reader.
//! - [`recording`] turns a recorded case back into observations.

pub mod aspect;
pub mod case;
pub mod catalogue;
pub mod cluster;
pub mod continuation;
mod due;
pub mod examiner;
pub mod explanation;
pub mod localized;
pub mod messages;
pub mod observation;
pub mod parse;
pub mod recording;
pub mod redact;
pub mod replay;
pub mod report;
mod revisions;
pub mod rules;
pub mod signal;
pub mod text;
pub mod triage;
pub mod verdict;
pub mod wire;
