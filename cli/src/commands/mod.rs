//! The commands, one a file.

pub(crate) mod candidates;
pub(crate) mod causes;
pub(crate) mod completion;
pub(crate) mod get;
pub(crate) mod list;
pub(crate) mod nodes;
pub(crate) mod pages;
pub(crate) mod present;
pub(crate) mod record;
pub(crate) mod replay;
pub(crate) mod status;
pub(crate) mod ui;
pub(crate) mod watch;
pub(crate) mod why;

use coroner_proto::v1::{Cause, Confidence, Diagnosis};

use crate::exit::Outcome;

/// A diagnosis answers "why?" in full, unless it states itself that it cannot: the cause is undetermined, or it is less
/// than certain and a source that would have reported more was missing.
fn answered_by(diagnosis: &Diagnosis) -> Outcome {
    let doubtful = diagnosis.confidence() != Confidence::Certain && !diagnosis.missing_sources.is_empty();
    if diagnosis.cause() == Cause::Unattributed || doubtful { Outcome::Partial } else { Outcome::Answered }
}
