//! Why the kubelet evicted a pod: which signal, its threshold, its value then, and why this pod.
//!
//! The kubelet's message (`pkg/kubelet/eviction/helpers.go`) names the resource, not the signal; where the numbers are
//! not in it, its configuration and what was measured on the node supply them.

use coroner_proto::v1::{Cause, Message};
use jiff::Timestamp;

use crate::{
    case::{NodeFile, PodFile},
    messages::{common, eviction as texts},
    observation::{
        Source,
        disk::Role,
        kube::{
            self, Pod,
            message::eviction::{Eviction as Statement, eviction},
        },
        kubelet::{NodeStats, PodStats},
    },
    verdict::Evidence,
};

/// An eviction, explained.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Eviction {
    pub(super) cause: Cause,
    pub(super) headline: Message,
    pub(super) explanation: Vec<Message>,
    pub(super) evidence: Vec<Evidence>,
}

/// From the kubelet's message. `None` for one that names nothing known, or a pod that was not admitted.
pub(super) fn of(node: &NodeFile, file: &PodFile, pod: &Pod, message: &str) -> Option<Eviction> {
    match eviction(message)? {
        Statement::Shortage { resource, left, above } => {
            let kind = shortage(resource)?;
            Some(by_shortage(node, file, pod, kind, left, &above))
        }
        Statement::ContainerLimit(_) | Statement::PodLimit => Some(by_limit(file, message, None)),
        Statement::VolumeLimit(volume) => Some(by_limit(file, message, Some(volume))),
        Statement::NotAdmitted(_) => None,
    }
}

/// What a node is short of, and the signals of it.
#[derive(Clone, Copy)]
struct Shortage {
    cause: Cause,
    headline: fn() -> Message,
    signals: &'static [&'static str],
}

/// The resource, by its name; before 1.20 disks were called by their file systems.
fn shortage(resource: &str) -> Option<Shortage> {
    let of = |cause, headline, signals| Some(Shortage { cause, headline, signals });
    match resource {
        "memory" => {
            of(Cause::EvictedMemory, texts::evicted_memory, &["memory.available", "allocatableMemory.available"])
        }
        "inodes" | "nodefsInodes" | "imagefsInodes" => {
            let signals = &["nodefs.inodesFree", "imagefs.inodesFree", "containerfs.inodesFree"];
            of(Cause::EvictedInodes, texts::evicted_inodes, signals)
        }
        "pids" => of(Cause::EvictedPids, texts::evicted_pids, &["pid.available"]),
        "ephemeral-storage" | "nodefs" | "imagefs" | "containerfs" => {
            let signals = &["nodefs.available", "imagefs.available", "containerfs.available"];
            of(Cause::EvictedDisk, texts::evicted_disk, signals)
        }
        _ => None,
    }
}

fn by_shortage(
    node: &NodeFile,
    file: &PodFile,
    pod: &Pod,
    Shortage { cause, headline, signals }: Shortage,
    left: Option<(&str, &str)>,
    above: &[(&str, &str, &str)],
) -> Eviction {
    let mut evidence = Vec::new();
    let mut explanation = Vec::new();
    explanation.extend(left.and_then(|(threshold, available)| remaining(cause, available, threshold)));
    let mut crossed = Vec::new();
    for signal in signals {
        let Some(threshold) = threshold(node, signal) else { continue };
        let Some((source, when, left, all)) = measured(node, signal) else {
            crossed.push(*signal);
            continue;
        };
        let Some(threshold) = limit(&threshold, all) else { continue };
        if left < threshold {
            crossed.push(signal);
        }
        let statement = match counts(signal) {
            true => texts::evicted_signal_count(signal, left, all, threshold),
            false => texts::evicted_signal_bytes(signal, left, all, threshold),
        };
        evidence.push(Evidence::new(source, when, statement));
    }
    if !crossed.is_empty() {
        explanation.push(texts::evicted_signals(crossed));
    }
    explanation.extend(chosen(file, pod, above, cause));
    if let Some(stats) = &file.stats {
        let usage = usage(&stats.what, cause);
        evidence.extend(usage.map(|usage| Evidence::new(Source::Kubelet, stats.at, usage)));
    }
    Eviction { cause, headline: headline(), explanation, evidence }
}

/// What was left of a resource, and its threshold, in the quantities of the kubelet's message.
fn remaining(cause: Cause, available: &str, threshold: &str) -> Option<Message> {
    let whole = |quantity: &str| u64::try_from(kube::amount(quantity)? / 1000).ok();
    let (available, threshold) = (whole(available)?, whole(threshold)?);
    Some(match cause {
        Cause::EvictedInodes => texts::evicted_left_inodes(available, threshold),
        Cause::EvictedPids => texts::evicted_left_pids(available, threshold),
        _ => texts::evicted_left_bytes(available, threshold),
    })
}

/// Why this pod was ranked first: by what the kubelet compares, use above request, then priority, then use.
fn chosen(file: &PodFile, pod: &Pod, above: &[(&str, &str, &str)], cause: Cause) -> Vec<Message> {
    let consumers: Vec<Message> = above.iter().map(|of| consumer(cause, *of)).collect();
    let why = match consumers.is_empty() {
        true if pod.qos.is_empty() => texts::evicted_ranked_by_priority(pod.priority),
        true => texts::evicted_ranked(pod.priority, &pod.qos),
        false => texts::evicted_used_more(consumers),
    };
    // The kubelet's own numbers leave out what emptyDirs hold.
    let volumes = file.stats.as_ref().map(|stats| empty_dirs(pod, &stats.what)).unwrap_or_default();
    let beside = (cause == Cause::EvictedDisk && volumes > 0).then(|| texts::evicted_empty_dirs(volumes));
    [why].into_iter().chain(beside).collect()
}

/// A container that used more than it requested.
fn consumer(cause: Cause, (container, used, request): (&str, &str, &str)) -> Message {
    let bytes = |quantity: &str| u64::try_from(kube::amount(quantity)? / 1000).ok();
    match (cause, bytes(used), bytes(request)) {
        (Cause::EvictedMemory | Cause::EvictedDisk, Some(used), None | Some(0)) => {
            texts::evicted_consumer_unrequested(container, used)
        }
        (Cause::EvictedMemory | Cause::EvictedDisk, Some(used), Some(request)) => {
            texts::evicted_consumer(container, used, request)
        }
        _ => texts::evicted_consumer_count(container, used),
    }
}

fn empty_dirs(pod: &Pod, stats: &PodStats) -> u64 {
    let on_disk = |name: &str| {
        pod.volumes.iter().any(|volume| {
            volume.name == name && matches!(volume.kind, kube::VolumeKind::EmptyDir { memory: false, .. })
        })
    };
    stats.volume.iter().filter(|volume| on_disk(&volume.name)).filter_map(|volume| volume.fs.used_bytes).sum()
}

/// What the pod used, as the kubelet measured it last. Nothing if that is 0: then it was not measured yet.
fn usage(stats: &PodStats, cause: Cause) -> Option<Message> {
    let counts = |number: &u64| *number > 0;
    match cause {
        Cause::EvictedMemory => stats.memory?.working_set_bytes.filter(counts).map(texts::evicted_working_set),
        Cause::EvictedDisk | Cause::EvictedEphemeralStorageLimit => {
            stats.ephemeral_storage?.used_bytes.filter(counts).map(texts::evicted_storage_used)
        }
        Cause::EvictedInodes => stats.ephemeral_storage?.inodes_used.filter(counts).map(texts::evicted_inodes_used),
        Cause::EvictedPids => stats.processes?.process_count.filter(counts).map(texts::evicted_processes),
        _ => None,
    }
}

/// The pod, one of its containers or volumes passed a limit of its own (`localStorageEviction`).
fn by_limit(file: &PodFile, message: &str, volume: Option<&str>) -> Eviction {
    let cause = Cause::EvictedEphemeralStorageLimit;
    let mut evidence = Vec::new();
    if let Some(stats) = &file.stats {
        evidence.extend(usage(&stats.what, cause).map(|usage| Evidence::new(Source::Kubelet, stats.at, usage)));
        for of in stats.what.volume.iter().filter(|of| Some(of.name.as_str()) == volume) {
            let held = of.fs.used_bytes.filter(|used| *used > 0);
            let held = held.map(|used| texts::evicted_volume_held(&of.name, used));
            evidence.extend(held.map(|held| Evidence::new(Source::Kubelet, stats.at, held)));
        }
    }
    let peak = file.storage_peak.filter(|peak| *peak > 0).map(texts::evicted_peak);
    Eviction {
        cause,
        headline: texts::evicted_limit(),
        explanation: [common::kubelet_reported(message)].into_iter().chain(peak).collect(),
        evidence,
    }
}

/// The threshold of a signal, as configured; the hard one first.
fn threshold(node: &NodeFile, signal: &str) -> Option<String> {
    let config = node.kubelet.as_ref()?;
    config.eviction_hard.get(signal).or_else(|| config.eviction_soft.get(signal)).cloned()
}

/// A threshold as an amount, of a share or an amount.
fn limit(threshold: &str, all: u64) -> Option<u64> {
    if let Some(share) = threshold.strip_suffix('%') {
        let thousandths = u64::try_from(kube::amount(share)?).ok()?;
        return Some((u128::from(all) * u128::from(thousandths) / 100_000).try_into().unwrap_or(u64::MAX));
    }
    u64::try_from(kube::amount(threshold)? / 1000).ok()
}

fn counts(signal: &str) -> bool {
    signal.ends_with("inodesFree") || signal.starts_with("pid")
}

/// What is left and all there is of what a signal measures: by who reads it from the kernel, else by the kubelet
/// itself.
fn measured(node: &NodeFile, signal: &str) -> Option<(Source, Timestamp, u64, u64)> {
    by_the_node(node, signal).or_else(|| by_the_kubelet(node, signal))
}

fn by_the_node(node: &NodeFile, signal: &str) -> Option<(Source, Timestamp, u64, u64)> {
    if signal == "memory.available" {
        let memory = node.memory.as_ref()?;
        return Some((Source::Procfs, memory.at, memory.what.available, memory.what.total));
    }
    if signal == "pid.available" {
        let pids = node.pids.as_ref()?;
        return Some((Source::Procfs, pids.at, pids.what.max.saturating_sub(pids.what.current), pids.what.max));
    }
    let (fs, what) = signal.split_once('.')?;
    let role = [Role::Node, Role::Image, Role::Container].into_iter().find(|role| role.name() == fs)?;
    let disk = node.disks.get(&role)?;
    Some(match what {
        "inodesFree" => (Source::Disk, disk.at, disk.what.inodes_available, disk.what.inodes),
        _ => (Source::Disk, disk.at, disk.what.bytes_available, disk.what.bytes),
    })
}

fn by_the_kubelet(node: &NodeFile, signal: &str) -> Option<(Source, Timestamp, u64, u64)> {
    let stats = node.stats.as_ref()?;
    let NodeStats { memory, fs, runtime, rlimit } = &stats.what;
    let (left, all) = match signal.split_once('.')? {
        ("memory", _) => {
            let memory = memory.as_ref()?;
            let left = memory.available_bytes?;
            (left, left.saturating_add(memory.working_set_bytes?))
        }
        ("pid", _) => {
            let limit = rlimit.as_ref()?;
            let (max, current) = (u64::try_from(limit.maxpid?).ok()?, u64::try_from(limit.curproc?).ok()?);
            (max.saturating_sub(current), max)
        }
        (of, what) => {
            let fs = match of {
                "nodefs" => fs.as_ref()?,
                "imagefs" => runtime.as_ref()?.image_fs.as_ref()?,
                "containerfs" => runtime.as_ref()?.container_fs.as_ref()?,
                _ => return None,
            };
            match what {
                "inodesFree" => (fs.inodes_free?, fs.inodes?),
                _ => (fs.available_bytes?, fs.capacity_bytes?),
            }
        }
    };
    Some((Source::Kubelet, stats.at, left, all))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_the_file_systems_are_not_read_the_kubelet_reports_what_is_left() {
        let mut node = NodeFile::new(coroner_proto::v1::Node::default());
        let stats = serde_json::json!({
            "memory": {"availableBytes": 100, "workingSetBytes": 300},
            "fs": {"availableBytes": 7, "capacityBytes": 70, "inodesFree": 5, "inodes": 50},
            "runtime": {"imageFs": {"availableBytes": 9, "capacityBytes": 90}},
            "rlimit": {"maxpid": 1000, "curproc": 990},
        });
        let what = serde_json::from_value(stats).unwrap();
        node.stats = Some(crate::case::Statement { at: Timestamp::UNIX_EPOCH, what });
        let left = |signal| measured(&node, signal).map(|(_, _, left, all)| (left, all));
        assert_eq!(left("nodefs.available"), Some((7, 70)));
        assert_eq!(left("nodefs.inodesFree"), Some((5, 50)));
        assert_eq!(left("imagefs.available"), Some((9, 90)));
        assert_eq!(left("imagefs.inodesFree"), None);
        assert_eq!(left("containerfs.available"), None);
        assert_eq!(left("memory.available"), Some((100, 400)));
        assert_eq!(left("pid.available"), Some((10, 1000)));
    }

    #[test]
    fn a_threshold_is_an_amount_or_a_share() {
        assert_eq!(limit("100Mi", 0), Some(100 << 20));
        assert_eq!(limit("10%", 4000), Some(400));
        assert_eq!(limit("2.5%", 4000), Some(100));
        assert_eq!(limit("%", 4000), None);
    }
}
