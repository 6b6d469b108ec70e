//! What the kubelet tells about itself and its pods over HTTP, pruned to what the rules read: `/configz` and `/stats/summary`
//! (`k8s.io/kubelet/config/v1beta1`, `k8s.io/kubelet/pkg/apis/stats/v1alpha1`; neither has a crate).

use std::collections::BTreeMap;

use serde::Deserialize;

/// Its configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Config {
    /// Evictions without grace: by signal, as `memory.available`, an amount (`100Mi`) or a share (`10%`).
    pub eviction_hard: BTreeMap<String, String>,
    /// Evictions with grace.
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Summary {
    /// The node.
    pub node: NodeStats,
    /// Its pods.
    pub pods: Vec<PodStats>,
}

/// Usage of the node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct NodeStats {
    /// Memory.
    pub memory: Option<MemoryStats>,
    /// The kubelet's file system (nodefs).
    pub fs: Option<FsStats>,
    /// The runtime's file systems.
    pub runtime: Option<RuntimeStats>,
    /// Processes.
    pub rlimit: Option<RlimitStats>,
}

/// Memory in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MemoryStats {
    /// What is left before the limit: what the signal `memory.available` is compared by.
    pub available_bytes: Option<u64>,
    /// What cannot be reclaimed at once: what pods are ranked by.
    pub working_set_bytes: Option<u64>,
}

/// A file system, or what somebody uses of one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FsStats {
    /// Bytes left.
    pub available_bytes: Option<u64>,
    /// Its size.
    pub capacity_bytes: Option<u64>,
    /// Bytes used.
    pub used_bytes: Option<u64>,
    /// Inodes left.
    pub inodes_free: Option<u64>,
    /// All its inodes.
    pub inodes: Option<u64>,
    /// Inodes used.
    pub inodes_used: Option<u64>,
}

/// The runtime's file systems.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RuntimeStats {
    /// Images.
    pub image_fs: Option<FsStats>,
    /// What containers write.
    pub container_fs: Option<FsStats>,
}

/// Processes and threads of the node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct RlimitStats {
    /// As many are possible.
    pub maxpid: Option<i64>,
    /// As many there are.
    pub curproc: Option<i64>,
}

/// Usage of a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodStats {
    /// Which.
    pub pod_ref: PodReference,
    /// Of its containers.
    pub containers: Vec<ContainerStats>,
    /// Memory of all together.
    pub memory: Option<MemoryStats>,
    /// Of its volumes.
    pub volume: Vec<VolumeStats>,
    /// Of local storage: containers' files, logs and emptyDirs on disk.
    #[serde(rename = "ephemeral-storage")]
    pub ephemeral_storage: Option<FsStats>,
    /// Its processes.
    #[serde(rename = "process_stats")]
    pub processes: Option<ProcessStats>,
}

/// Names of a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct PodReference {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Uid, as the node knows it.
    pub uid: String,
}

/// Usage of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ContainerStats {
    /// Its name.
    pub name: String,
    /// Memory.
    pub memory: Option<MemoryStats>,
    /// What it wrote into its own file system.
    pub rootfs: Option<FsStats>,
    /// Its logs.
    pub logs: Option<FsStats>,
}

/// Usage of a volume.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct VolumeStats {
    /// Its name in the pod.
    pub name: String,
    /// Usage.
    #[serde(flatten)]
    pub fs: FsStats,
}

/// Processes of a pod.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ProcessStats {
    /// How many.
    pub process_count: Option<u64>,
}

/// Whether it answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It answered that all is well.
    Ok,
    /// It answered that something is wrong: what.
    Unwell(String),
    /// Nothing listens where it should.
    Refused,
    /// It did not answer in time.
    Timeout,
}
