//! cgroups: what their paths name, and what their files contain, for v1 and v2.
//!
//! Mirrors `pkg/kubelet/cm/cgroup_manager_linux.go` (paths) and the kernel's `mm/memcontrol.c` (files).

use std::fmt;

use serde::{Deserialize, Serialize};

mod path;
mod sample;

/// A cgroup's path from the root of its hierarchy, as `/kubepods/burstable/pod<uid>/<id>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Path(pub String);

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a cgroup belongs to, by its path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Level {
    /// The root of the hierarchy: the node.
    Root,
    /// All pods, or one QoS class of them.
    Kubepods,
    /// A pod.
    Pod {
        /// Its uid with dashes, or the 32 hex digits of a static pod.
        pod_uid: String,
    },
    /// A container (or sandbox), or anything below it.
    Container {
        /// The pod's uid; empty for a container outside of Kubernetes, as Docker's own.
        pod_uid: String,
        /// The container's id.
        container_id: String,
    },
    /// Anything else: system services, users' sessions.
    Other,
}

/// The files of one cgroup, as they were at one moment. `None`: the file was not there or not read. Sizes in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Sample {
    /// The path of the cgroup, from the root of the hierarchy.
    pub path: String,
    /// `memory.max`, `memory.limit_in_bytes`: [`Limit::Unlimited`] for `max` or the largest number of pages.
    pub memory_limit: Option<Limit>,
    /// `memory.high`: above it, processes are slowed down and made to give memory back. v2 only.
    pub memory_high: Option<Limit>,
    /// How often a process was slowed down for it: `memory.events.local`'s `high`. v2 only.
    pub high_hits: Option<u64>,
    /// Share of the last ten seconds in which all its processes waited for memory, in percent: `full avg10` of
    /// `memory.pressure`. v2 only.
    pub memory_stalled: Option<u8>,
    /// The limit of swap in bytes: `memory.swap.max`. v2 only.
    pub swap_limit: Option<Limit>,
    /// Swap in use, in bytes: `memory.swap.current`. v2 only.
    pub swap_usage: Option<u64>,
    /// Memory in use, in bytes: `memory.current`, `memory.usage_in_bytes`.
    pub memory_usage: Option<u64>,
    /// The highest usage, in bytes: `memory.peak`, `memory.max_usage_in_bytes`.
    pub memory_peak: Option<u64>,
    /// How often the limit of this cgroup was reached: `memory.events.local`'s `max`, `memory.failcnt`.
    pub limit_hits: Option<u64>,
    /// How often an allocation failed for the limit of this very cgroup: `memory.events.local`'s `oom`. v2 only.
    pub ooms: Option<u64>,
    /// Processes of this very cgroup that any OOM killer killed: `memory.events.local`'s `oom_kill`,
    /// `memory.oom_control`'s `oom_kill`.
    pub oom_kills: Option<u64>,
    /// The same number with all cgroups below it: `memory.events`' `oom_kill`. v2 only.
    pub oom_kills_below: Option<u64>,
    /// Times this very cgroup was killed as a group: `memory.events.local`'s `oom_group_kill`. v2, since 5.17.
    pub oom_group_kills: Option<u64>,
    /// Whether all processes are killed together: `memory.oom.group`. v2 only.
    pub oom_group: Option<bool>,
    /// Anonymous memory in bytes. This and the next three are from `memory.stat` (v2: `anon`, `file`, `shmem`,
    /// `kernel`; v1: `total_rss`, `total_cache`, `total_shmem`).
    pub anon: Option<u64>,
    /// Page cache in bytes, `shmem` included.
    pub file: Option<u64>,
    /// tmpfs and shared memory in bytes; part of [`file`](Self::file).
    pub shmem: Option<u64>,
    /// Kernel memory charged to it, in bytes. v2 only.
    pub kernel: Option<u64>,
    /// The number of scheduling periods so far: `nr_periods` of `cpu.stat`.
    pub cpu_periods: Option<u64>,
    /// The number of those in which the CPU limit held it back: `nr_throttled` of `cpu.stat`.
    pub cpu_throttled_periods: Option<u64>,
    /// The number of processes and threads in it: `pids.current`.
    pub pids_current: Option<u64>,
    /// How many processes and threads it may have: `pids.max`.
    pub pids_limit: Option<Limit>,
    /// How often a fork was refused: `max` of `pids.events`.
    pub pids_limit_hits: Option<u64>,
    /// The pids of its processes: `cgroup.procs`.
    pub processes: Vec<i32>,
}

/// A limit in a file of a cgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// So much.
    Limited(u64),
    /// None.
    Unlimited,
}

impl Sample {
    /// Whether nine tenths of the swap that it may use are in use.
    pub fn is_swap_full(&self) -> bool {
        match (self.swap_limit, self.swap_usage) {
            (Some(Limit::Limited(limit)), Some(usage)) => limit > 0 && usage >= limit / 10 * 9,
            _ => false,
        }
    }
}
