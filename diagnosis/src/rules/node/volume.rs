//! Processes wait in the kernel for a volume or disk that does not answer.

use coroner_proto::v1::{Cause, Confidence};
use jiff::SignedDuration;

use super::{Finding, NodeCase};
use crate::{
    aspect::{Aspect, Part},
    messages::node as texts,
    observation::{Source, kernel_log::TroubleKind, node::BlockedProcess},
    verdict::Verdict,
};

/// A server, or a disk under load, may take so long.
const PATIENCE: SignedDuration = SignedDuration::from_secs(30);
/// Processes that are named in the evidence.
const NAMED: usize = 4;

pub(super) fn findings(case: NodeCase<'_>) -> Vec<Finding> {
    finding(case).into_iter().collect()
}

fn finding(case: NodeCase<'_>) -> Option<Finding> {
    let blocked = case.state.blocked.as_ref()?;
    let troubles = &case.state.troubles;
    let silent = troubles.get(&TroubleKind::NfsNotResponding);
    let silent = silent.filter(|silent| troubles.get(&TroubleKind::NfsOk).is_none_or(|ok| ok.last < silent.last));
    // Where the kernel does not show what a process waits for, a server that it reports as silent explains it.
    let is_for_server =
        |process: &BlockedProcess| process.waits_for_server() || silent.is_some() && process.wait_channel.is_empty();
    let for_server: Vec<_> = blocked.what.iter().filter(|process| is_for_server(process)).collect();
    let is_server = !for_server.is_empty();
    let for_disk = || blocked.what.iter().filter(|process| process.waits_for_disk()).collect();
    let mut waiting = if is_server { for_server } else { for_disk() };
    waiting.sort_by_key(|process| (process.since, process.pid));
    let since = waiting.first()?.since;
    let count = i64::try_from(waiting.len()).unwrap_or(i64::MAX);
    let headline = if is_server { texts::node_volume_hung() } else { texts::node_disk_hung() };
    let mut verdict = Verdict::new(Cause::VolumeHung, Confidence::Likely, since)
        .not_fatal()
        .headed(headline)
        .explained(texts::node_volume_hung_why(count, since));
    if let Some(server) = silent.filter(|_| is_server) {
        verdict.confidence = Confidence::Certain;
        verdict = verdict.explained(texts::node_volume_server(&server.about)).supported_by(
            Source::KernelLog,
            server.last,
            &server.line,
        );
    }
    for process in waiting.into_iter().take(NAMED) {
        let waits = texts::node_volume_waiting(&process.name, process.pid, &process.wait_channel);
        verdict = verdict.supported_by(Source::NodeChecks, process.since, waits);
    }
    Some(Finding { aspect: Aspect::Node(Part::Volumes), verdict, ripe: since + PATIENCE })
}
