//! Why the kubelet evicted a pod: which signal, its threshold, its value then, and why this pod.
//!
//! The kubelet's message (`pkg/kubelet/eviction/helpers.go`) names the resource, not the signal; where the numbers are not in it,
//! its configuration and what was measured on the node tell them.

use coroner_proto::v1::Cause;
use jiff::Timestamp;

use crate::{
    case::{NodeFile, PodFile},
    observation::{
        Source,
        disk::Role,
        kube::{
            self, Pod,
            message::eviction::{Eviction as Said, eviction},
        },
        kubelet::{NodeStats, PodStats},
    },
    text,
    units::size,
};

/// An eviction, explained.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Eviction {
    pub(super) cause: Cause,
    pub(super) summary: String,
    pub(super) explanation: String,
    pub(super) said: Vec<(Source, Timestamp, String)>,
}

/// From the kubelet's message. `None` for one that names nothing known, or a pod that was not admitted.
pub(super) fn of(node: &NodeFile, file: &PodFile, pod: &Pod, message: &str) -> Option<Eviction> {
    match eviction(message)? {
        Said::Shortage { resource, left, above } => {
            let kind = shortage(resource)?;
            Some(by_shortage(node, file, pod, &kind, left, &above))
        }
        Said::ContainerLimit(_) | Said::PodLimit => Some(by_limit(file, message, None)),
        Said::VolumeLimit(volume) => Some(by_limit(file, message, Some(volume))),
        Said::NotAdmitted(_) => None,
    }
}

/// What a node is short of, and the signals of it.
struct Shortage {
    cause: Cause,
    what: &'static str,
    signals: &'static [&'static str],
}

/// The resource, by its name; before 1.20 disks were called by their file systems.
fn shortage(resource: &str) -> Option<Shortage> {
    let of = |cause, what, signals| Some(Shortage { cause, what, signals });
    match resource {
        "memory" => of(Cause::EvictedMemory, "memory", &["memory.available", "allocatableMemory.available"]),
        "inodes" | "nodefsInodes" | "imagefsInodes" => {
            let signals = &["nodefs.inodesFree", "imagefs.inodesFree", "containerfs.inodesFree"];
            of(Cause::EvictedInodes, "inodes", signals)
        }
        "pids" => of(Cause::EvictedPids, "process ids", &["pid.available"]),
        "ephemeral-storage" | "nodefs" | "imagefs" | "containerfs" => {
            of(Cause::EvictedDisk, "disk", &["nodefs.available", "imagefs.available", "containerfs.available"])
        }
        _ => None,
    }
}

fn by_shortage(
    node: &NodeFile,
    file: &PodFile,
    pod: &Pod,
    shortage: &Shortage,
    left: Option<(&str, &str)>,
    above: &[(&str, &str, &str)],
) -> Eviction {
    let Shortage { cause, what, signals } = *shortage;
    let mut said = Vec::new();
    let mut explanation = format!("The node was short of {what}");
    if let Some((threshold, available)) = left {
        explanation += &format!(
            ": {} were left, below the threshold of {}",
            text::clean(available, 63),
            text::clean(threshold, 63)
        );
    }
    explanation += ".";
    let mut crossed = Vec::new();
    for signal in signals {
        let Some(threshold) = threshold(node, signal) else { continue };
        let Some((source, when, left, all)) = measured(node, signal) else {
            crossed.push(format!("{signal} < {threshold}"));
            continue;
        };
        let shown = |value: u64| if counts(signal) { value.to_string() } else { size(value) };
        let below = limit(&threshold, all).is_some_and(|limit| left < limit);
        said.push((source, when, format!("{signal}: {} of {} left, threshold {threshold}", shown(left), shown(all))));
        if below {
            crossed.push(format!("{signal} < {threshold}"));
        }
    }
    if !crossed.is_empty() {
        explanation += &format!(" Eviction signal: {}.", crossed.join(", or "));
    }
    if let Some(why) = chosen(file, pod, above, cause) {
        explanation += &format!(" {why}");
    }
    if let Some(stats) = &file.stats {
        said.extend(usage(&stats.what, cause).map(|usage| (Source::Kubelet, stats.at, usage)));
    }
    Eviction { cause, summary: format!("Evicted: the node was short of {what}"), explanation, said }
}

/// Why this pod was ranked first: by what the kubelet compares, use above request, then priority, then use.
fn chosen(file: &PodFile, pod: &Pod, above: &[(&str, &str, &str)], cause: Cause) -> Option<String> {
    let clean = |text| text::clean(text, 63);
    let consumers = above.iter().map(|(name, used, request)| {
        format!("container {} used {} with a request of {}", clean(name), clean(used), clean(request))
    });
    let told: Vec<String> = consumers.collect();
    let priority = format!("priority {}, QoS class {}", pod.priority, pod.qos);
    let volumes = file.stats.as_ref().map(|stats| empty_dirs(pod, &stats.what)).unwrap_or_default();
    // The kubelet's own numbers leave out what emptyDirs hold.
    let beside = if cause == Cause::EvictedDisk && volumes > 0 {
        format!(" Its emptyDir volumes held {} beside that.", size(volumes))
    } else {
        String::new()
    };
    if told.is_empty() {
        return Some(format!(
            "Pods that use more than they request go first, then those of low priority ({priority}).{beside}"
        ));
    }
    Some(format!(
        "This pod went first because it used more than it requested: {} ({priority}).{beside}",
        told.join(", ")
    ))
}

fn empty_dirs(pod: &Pod, stats: &PodStats) -> u64 {
    let on_disk = |name: &str| {
        pod.volumes.iter().any(|volume| {
            volume.name == name && matches!(volume.kind, kube::VolumeKind::EmptyDir { memory: false, .. })
        })
    };
    stats.volume.iter().filter(|volume| on_disk(&volume.name)).filter_map(|volume| volume.fs.used_bytes).sum()
}

/// What the pod used, as the kubelet measured it last.
fn usage(stats: &PodStats, cause: Cause) -> Option<String> {
    match cause {
        Cause::EvictedMemory => {
            let used = stats.memory?.working_set_bytes?;
            Some(format!("the pod's working set was {}", size(used)))
        }
        Cause::EvictedDisk | Cause::EvictedEphemeralStorageLimit => {
            let used = stats.ephemeral_storage?.used_bytes?;
            Some(format!("the pod used {} of local storage", size(used)))
        }
        Cause::EvictedInodes => {
            let used = stats.ephemeral_storage?.inodes_used?;
            Some(format!("the pod used {used} inodes"))
        }
        Cause::EvictedPids => {
            let count = stats.processes?.process_count?;
            Some(format!("the pod had {count} processes"))
        }
        _ => None,
    }
}

/// The pod, one of its containers or volumes passed a limit of its own (`localStorageEviction`).
fn by_limit(file: &PodFile, message: &str, volume: Option<&str>) -> Eviction {
    let cause = Cause::EvictedEphemeralStorageLimit;
    let mut said = Vec::new();
    if let Some(stats) = &file.stats {
        said.extend(usage(&stats.what, cause).map(|usage| (Source::Kubelet, stats.at, usage)));
        for of in stats.what.volume.iter().filter(|of| Some(of.name.as_str()) == volume) {
            let held = of.fs.used_bytes.map(|used| format!("volume {} held {}", of.name, size(used)));
            said.extend(held.map(|held| (Source::Kubelet, stats.at, held)));
        }
    }
    let peak =
        file.storage_peak.map_or_else(String::new, |peak| format!(" The most that was measured: {}.", size(peak)));
    Eviction {
        cause,
        summary: "Evicted: it passed a storage limit of its own".to_owned(),
        explanation: format!(
            "{} The kubelet measures local storage (containers' files, logs, emptyDirs) every ten seconds or so and \
             evicts at once.{peak}",
            text::clean(message.trim(), 512)
        ),
        said,
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

/// What is left and all there is of what a signal measures: by who reads it from the kernel, else by the kubelet itself.
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
    fn where_nobody_reads_the_file_systems_the_kubelet_tells_what_is_left() {
        let mut node = NodeFile::new(coroner_proto::v1::Node::default());
        let stats = serde_json::json!({
            "memory": {"availableBytes": 100, "workingSetBytes": 300},
            "fs": {"availableBytes": 7, "capacityBytes": 70, "inodesFree": 5, "inodes": 50},
            "runtime": {"imageFs": {"availableBytes": 9, "capacityBytes": 90}},
            "rlimit": {"maxpid": 1000, "curproc": 990},
        });
        let what = serde_json::from_value(stats).unwrap();
        node.stats = Some(crate::case::Said { at: Timestamp::UNIX_EPOCH, what });
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
