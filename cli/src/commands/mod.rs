//! The commands, one a file.

pub(crate) mod causes;
pub(crate) mod get;
pub(crate) mod list;
pub(crate) mod present;
pub(crate) mod replay;
pub(crate) mod status;
pub(crate) mod watch;
pub(crate) mod why;

use coroner_proto::v1::{Cause, Confidence, Diagnosis, DiagnosisFilter, Severity};

use crate::{args::FilterArgs, exit::Outcome};

impl From<&FilterArgs> for DiagnosisFilter {
    fn from(args: &FilterArgs) -> Self {
        let FilterArgs { cause, severity, namespace, node, fatal } = args;
        Self {
            namespaces: namespace.clone(),
            nodes: node.clone(),
            causes: cause.iter().map(|cause| i32::from(*cause)).collect(),
            min_severity: severity.map_or(Severity::Unspecified, Severity::from).into(),
            fatal_only: *fatal,
            ..Self::default()
        }
    }
}

/// A diagnosis answers "why?" in full, unless it says itself that it cannot: the cause is undetermined, or it is less than
/// certain and a source that would have told more was missing.
fn answered_by(diagnosis: &Diagnosis) -> Outcome {
    let doubtful = diagnosis.confidence() != Confidence::Certain && !diagnosis.missing_sources.is_empty();
    if diagnosis.cause() == Cause::Unattributed || doubtful { Outcome::Partial } else { Outcome::Answered }
}
