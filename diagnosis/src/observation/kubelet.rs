//! What the kubelet reports about itself and its pods over HTTP, pruned to what the rules read: `/configz` and
//! `/stats/summary` (`k8s.io/kubelet/config/v1beta1`, `k8s.io/kubelet/pkg/apis/stats/v1alpha1`; neither has a crate).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What of the `KubeletConfiguration` decides about evictions and limits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Config {
    /// Evictions without grace: by signal, as `memory.available`, an amount (`100Mi`) or a share (`10%`).
    pub eviction_hard: BTreeMap<String, String>,
    /// Thresholds of evictions with a grace period, by signal.
    pub eviction_soft: BTreeMap<String, String>,
    /// Processes that a pod may have; negative for no limit.
    pub pod_pids_limit: Option<i64>,
}

/// The answer of `/configz`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Configz {
    /// The configuration in use.
    pub kubeletconfig: Config,
}

/// The answer of `/stats/summary`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct Summary {
    /// What was measured of the node.
    pub node: NodeStats,
    /// What was measured of each pod.
    pub pods: Vec<PodStats>,
}

/// Memory, disks and processes of the node as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct NodeStats {
    /// Memory of the node, in bytes; absent if it was not measured.
    pub memory: Option<MemoryStats>,
    /// The kubelet's file system (nodefs).
    pub fs: Option<FsStats>,
    /// The runtime's file systems.
    pub runtime: Option<RuntimeStats>,
    /// The number of processes, and its limit.
    pub rlimit: Option<RlimitStats>,
}

/// What was measured of memory, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MemoryStats {
    /// Bytes that are left before the limit: the value of the signal `memory.available`.
    pub available_bytes: Option<u64>,
    /// Bytes that cannot be reclaimed at once, by which pods are ranked.
    pub working_set_bytes: Option<u64>,
}

/// A file system, or one consumer's share of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FsStats {
    /// Bytes that are free for those who are not root.
    pub available_bytes: Option<u64>,
    /// The size of the whole file system, in bytes.
    pub capacity_bytes: Option<u64>,
    /// Bytes used by the consumer, or by all.
    pub used_bytes: Option<u64>,
    /// The number of free inodes.
    pub inodes_free: Option<u64>,
    /// The number of all inodes.
    pub inodes: Option<u64>,
    /// Inodes used by the consumer, or by all.
    pub inodes_used: Option<u64>,
}

/// The runtime's file systems.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RuntimeStats {
    /// The file system of images.
    pub image_fs: Option<FsStats>,
    /// The file system of what containers write.
    pub container_fs: Option<FsStats>,
}

/// Processes and threads of the node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct RlimitStats {
    /// The most processes and threads that are possible.
    pub maxpid: Option<i64>,
    /// How many processes and threads there are.
    pub curproc: Option<i64>,
}

/// Memory, storage and processes of one pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodStats {
    /// The pod that was measured.
    pub pod_ref: PodReference,
    /// What was measured of its containers.
    pub containers: Vec<ContainerStats>,
    /// The memory of all its containers together.
    pub memory: Option<MemoryStats>,
    /// What was measured of its volumes.
    pub volume: Vec<VolumeStats>,
    /// Of local storage: containers' files, logs and emptyDirs on disk.
    #[serde(rename = "ephemeral-storage")]
    pub ephemeral_storage: Option<FsStats>,
    /// How many processes the pod has.
    #[serde(rename = "process_stats")]
    pub processes: Option<ProcessStats>,
}

/// The names by which the kubelet refers to a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct PodReference {
    /// The namespace that the pod is in.
    pub namespace: String,
    /// The name of the Pod object.
    pub name: String,
    /// The uid that the node knows; for a static pod not the API's.
    pub uid: String,
}

/// Memory and storage of one container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct ContainerStats {
    /// Its name in the Pod.
    pub name: String,
    /// Memory of the container, in bytes; absent if it was not measured.
    pub memory: Option<MemoryStats>,
    /// Its writable layer: what it wrote outside of volumes.
    pub rootfs: Option<FsStats>,
    /// The disk space that its logs use.
    pub logs: Option<FsStats>,
}

/// Storage of one volume of a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct VolumeStats {
    /// The name of the volume in the Pod.
    pub name: String,
    /// The file system of the volume, with its usage.
    #[serde(flatten)]
    pub fs: FsStats,
}

/// Processes of a pod.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct ProcessStats {
    /// The number of processes.
    pub process_count: Option<u64>,
}
