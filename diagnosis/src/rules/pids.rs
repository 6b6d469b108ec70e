//! The pids limit of the container or its pod refused a fork, and the program gave up.

use coroner_proto::v1::{Cause, Confidence};
use jiff::{SignedDuration, Timestamp};

use super::death::{CLOCKS, Death, Ending};
use crate::{
    case::Samples,
    messages::{common, exit},
    observation::Source,
    verdict::Verdict,
};

/// What ends by itself within this time of a refused fork gave up over it.
const AFTERMATH: SignedDuration = SignedDuration::from_secs(10);

pub(super) fn end(death: &Death<'_>) -> Option<Verdict> {
    // 134 is what abort() leaves.
    let gave_up = match death.ending() {
        Ending::Exit(code) => code != 0,
        Ending::Signal(number) => number == 6,
        Ending::Unknown => death.code == Some(134),
    };
    if !gave_up || super::stopped::asked(death).is_some() {
        return None;
    }
    let since = death.at - AFTERMATH;
    let pod = death.node.pod_of(death.file);
    let logged = death.file.forks_refused.iter().chain(pod.into_iter().flat_map(|pod| &pod.forks_refused));
    let by_log = logged.copied().filter(|at| *at >= since && *at <= death.at + CLOCKS).max();
    let by_counter = refused(&death.file.samples, since).or_else(|| refused(&pod?.samples, since));
    let (at, source) = match (by_counter, by_log) {
        (Some(at), _) => (at, Source::Cgroups),
        (None, Some(at)) => (at, Source::KernelLog),
        (None, None) => return None,
    };
    let mut verdict = Verdict::new(Cause::PidsLimitReached, Confidence::Likely, death.at)
        .headed(exit::pids_limit())
        .explained(exit::pids_limit_why())
        .supported_by(source, at, exit::pids_fork_rejected())
        .or_else(Cause::ApplicationExit, common::decided_by_own_log());
    verdict.exit = death.exit(0);
    verdict.process = death.main_process();
    Some(verdict)
}

/// When the limit of a cgroup last refused a fork, if that was after `since`.
fn refused(samples: &Samples, since: Timestamp) -> Option<Timestamp> {
    samples.pids_limit_hits.grown().map(|(_, at)| at).filter(|at| *at >= since)
}
