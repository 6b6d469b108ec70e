//! A hook before the stop of a container failed. What a failed hook after the start does, the end of the container tells.

use coroner_proto::v1::{Cause, Confidence};

use super::{Finding, PodCase};
use crate::{aspect::Aspect, text, verdict::Verdict};

pub(super) fn findings(case: PodCase<'_>) -> Vec<Finding> {
    let failures = case.file.events("FailedPreStopHook").filter_map(|known| {
        let container = known.event.about.container()?;
        let at = *known.times.last()?;
        let verdict = Verdict::new(Cause::PreStopHookFailed, Confidence::Certain, at)
            .not_fatal()
            .told(
                "Its preStop hook failed; it was stopped all the same",
                format!(
                    "The hook runs within the grace period before the container is asked to stop. It failed, so what \
                     it was to do \
                     was not done: {}",
                    text::clean(&known.event.message, 512)
                ),
            )
            .by(known.source(), at, known.said());
        Some(Finding { aspect: Aspect::Hook { container: container.to_owned() }, verdict, ripe: at })
    });
    failures.collect()
}
