//! The pids limit of the container or its pod refused a fork, and the program gave up.

use coroner_proto::v1::{Cause, Confidence};
use jiff::{SignedDuration, Timestamp};

use super::death::{CLOCKS, Death, Ending};
use crate::{case::Samples, observation::Source, verdict::Verdict};

/// What ends by itself within this time of a refused fork gave up over it.
const AFTERMATH: SignedDuration = SignedDuration::from_secs(10);

pub(super) fn end(death: &Death<'_>) -> Option<Verdict> {
    let gave_up =
        matches!(death.ending(), Ending::Exit(code) if code != 0) || matches!(death.ending(), Ending::Signal(6));
    if !gave_up || super::stopped::asked(death).is_some() {
        return None;
    }
    let since = death.at - AFTERMATH;
    let by_log = death.file.forks_refused.iter().rev().find(|at| **at >= since && **at <= death.at + CLOCKS).copied();
    let pod = death.node.pod_of(death.file).map(|pod| &pod.samples);
    let by_counter = refused(&death.file.samples, since).or_else(|| pod.and_then(|samples| refused(samples, since)));
    let (at, source) = match (by_counter, by_log) {
        (Some(at), _) => (at, Source::Cgroups),
        (None, Some(at)) => (at, Source::KernelLog),
        (None, None) => return None,
    };
    let mut verdict = Verdict::new(Cause::PidsLimitReached, Confidence::Likely, death.at)
        .told(
            "Gave up when the pids limit refused it another process",
            "The limit on the number of processes and threads refused a fork, and the program ended by itself soon \
             after.",
        )
        .by(source, at, "fork rejected by the pids controller")
        .or_else(Cause::ApplicationExit, "its own log may name another reason");
    verdict.exit = death.exit(0);
    verdict.process = death.main_process();
    Some(verdict)
}

/// When the limit of a cgroup last refused a fork, if that was after `since`.
fn refused(samples: &Samples, since: Timestamp) -> Option<Timestamp> {
    samples.pids_limit_hits.grown().map(|(_, at)| at).filter(|at| *at >= since)
}
