//! Why a Job ended pods that still ran: by its conditions (`pkg/controller/job/job_controller.go`, `batch/v1`
//! constants). Since 1.31 `FailureTarget` and `SuccessCriteriaMet` precede the deletions, and `Failed` and `Complete`
//! follow them.

use coroner_proto::v1::{Cause, StopRequester};

use super::{Reason, belongs_to, short};
use crate::{
    messages::{removal, stop},
    observation::kube::{Condition, Workload},
    text,
};

/// The reason that the Job's conditions name. `None` where they name none, as for a Job that still runs.
pub(super) fn reason(job: &Workload) -> Option<Reason> {
    let holds =
        |kind: &str| job.conditions.iter().find(|condition| condition.kind == kind && condition.status == Some(true));
    let name = short(&job.meta.name);
    if let Some(failed) = holds("Failed").or_else(|| holds("FailureTarget")) {
        let sentence = match failed.message.as_str() {
            "" => belongs_to(job),
            message => stop::job_reported(&job.meta.name, message),
        };
        let by = StopRequester::Deadline;
        return Some(match failed.reason.as_str() {
            "DeadlineExceeded" => Reason {
                cause: Some(Cause::DeadlineExceeded),
                ..Reason::new(by, removal::removal_job_deadline(name), sentence)
            },
            _ => Reason::new(StopRequester::Deletion, stop::reason_job_failed(name, called(failed)), sentence),
        });
    }
    if holds("Suspended").is_some() {
        return Some(Reason::new(StopRequester::Deletion, stop::reason_job_suspended(name), belongs_to(job)));
    }
    let done = holds("Complete").or_else(|| holds("SuccessCriteriaMet"))?;
    let phrase = stop::reason_job_complete(name, called(done));
    Some(Reason::new(StopRequester::Deletion, phrase, belongs_to(job)))
}

fn called(condition: &Condition) -> String {
    match condition.reason.as_str() {
        "" => text::clean(&condition.kind, 32),
        reason => text::clean(reason, 32),
    }
}
