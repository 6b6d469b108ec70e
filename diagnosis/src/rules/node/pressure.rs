//! The node is short of memory, disk space or process IDs: by the kubelet, which then evicts, or by what the agent
//! measures when the kubelet itself cannot report any more.

use coroner_proto::v1::{Cause, Confidence, Message};
use jiff::{SignedDuration, Timestamp};

use super::{Finding, NodeCase};
use crate::{
    aspect::{Aspect, Part},
    messages::node as texts,
    observation::{
        Source,
        disk::{FileSystem, Role},
        kube::Kind,
        process::NodeMemory,
    },
    verdict::Verdict,
};

/// Less of its memory than this share, one in so many, is available.
const SCARCE: u64 = 50;
/// A shortage may pass by itself within this time.
const PATIENCE: SignedDuration = SignedDuration::from_secs(5);
/// What was measured longer ago is not the present state.
const STALE: SignedDuration = SignedDuration::from_secs(60);

pub(super) fn findings(case: NodeCase<'_>) -> Vec<Finding> {
    let memory = reported(case, "MemoryPressure").map(|verdict| {
        let left = case.node.memory.as_ref().map(|memory| left(memory.what));
        verdict(Cause::NodeMemoryPressure, texts::node_memory_pressure(), left)
    });
    let disk = reported(case, "DiskPressure").map(|verdict| {
        let disks = [Role::Node, Role::Image].into_iter().filter_map(|role| case.node.disks.get(&role));
        let left = disks.map(|disk| scarcest(&disk.what)).min_by_key(|(permille, _)| *permille);
        verdict(Cause::NodeDiskPressure, texts::node_disk_pressure(), left.map(|(_, left)| left))
    });
    let pids = reported(case, "PIDPressure").map(|verdict| {
        let left =
            case.node.pids.as_ref().map(|pids| texts::node_pids_left(count(pids.what.current), count(pids.what.max)));
        verdict(Cause::NodePidPressure, texts::node_pid_pressure(), left)
    });
    let found = [(Part::Memory, memory.or_else(|| measured(case))), (Part::Disk, disk), (Part::Pids, pids)];
    let findings = found.into_iter().filter_map(|(part, found)| {
        let (verdict, ripe) = found?;
        Some(Finding { aspect: Aspect::Node(part), verdict, ripe })
    });
    findings.collect()
}

type Found = (Verdict, Timestamp);

/// A condition of the Node that the kubelet has set: makes the verdict of its cause, headline and further
/// sentence.
fn reported(case: NodeCase<'_>, condition: &str) -> Option<impl FnOnce(Cause, Message, Option<Message>) -> Found> {
    let set = case.condition(condition)?;
    let at = set.since.unwrap_or(case.now);
    let (kind, message) = (set.kind.clone(), set.message.clone());
    Some(move |cause, headline, left: Option<Message>| {
        let verdict = Verdict::new(cause, Confidence::Certain, at)
            .not_fatal()
            .headed(headline)
            .explained(texts::node_pressure_reported(&kind, &message))
            .explained(left)
            .supported_by(Source::Api(Kind::Nodes), at, format!("{kind}: {message}"));
        (verdict, at)
    })
}

/// A shortage that the kubelet has not reported, for it is short of memory itself.
fn measured(case: NodeCase<'_>) -> Option<Found> {
    let (at, percent, memory) = shortage(case)?;
    let verdict = Verdict::new(Cause::NodeMemoryPressure, Confidence::Certain, at)
        .not_fatal()
        .headed(texts::node_memory_pressure())
        .explained(left(memory))
        .explained(texts::node_memory_stalled(percent))
        .supported_by(Source::NodeChecks, at, texts::node_memory_stalled(percent))
        .supported_by(Source::Procfs, at, left(memory));
    Some((verdict, at + PATIENCE))
}

/// Since when hardly any memory is available and tasks wait for it, and in which percentage of the time.
pub(super) fn shortage(case: NodeCase<'_>) -> Option<(Timestamp, i64, NodeMemory)> {
    let pressure = case.state.pressure.as_ref().filter(|pressure| pressure.at > case.now - STALE)?;
    let memory = case.node.memory.as_ref()?.what;
    let since = case.state.stalled_since?;
    let is_scarce = memory.available.saturating_mul(SCARCE) < memory.total;
    #[expect(clippy::cast_possible_truncation, reason = "a percentage")]
    let percent = pressure.what.memory_some as i64;
    is_scarce.then_some((since, percent, memory))
}

/// What a file system has less of, its bytes or its inodes: the share that is left, in thousandths, and the sentence.
fn scarcest(disk: &FileSystem) -> (u64, Message) {
    let permille = |available: u64, all: u64| available.saturating_mul(1000).checked_div(all).unwrap_or(1000);
    let bytes = permille(disk.bytes_available, disk.bytes);
    let inodes = permille(disk.inodes_available, disk.inodes);
    match inodes < bytes {
        true => (inodes, texts::node_inodes_left(&disk.path, count(disk.inodes_available), count(disk.inodes))),
        false => (bytes, texts::node_disk_left(&disk.path, disk.bytes_available, disk.bytes)),
    }
}

fn left(memory: NodeMemory) -> Message {
    texts::node_memory_left(memory.available, memory.total)
}

fn count(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
