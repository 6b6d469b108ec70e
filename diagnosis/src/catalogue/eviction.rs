//! Eviction and removal.

use super::{Cause, Chapter::Eviction, Row, Severity::*, causes, next, row};

pub(super) const ROWS: &[Row] = &[
    row(Cause::EvictedMemory, Eviction, Error, causes::cause_evicted_memory, |at| {
        vec![next::next_memory_requests(), next::next_node_pods(at.node)]
    }),
    row(Cause::EvictedDisk, Eviction, Error, causes::cause_evicted_disk, |_| {
        vec![next::next_scratch_space(), next::next_node_disk()]
    }),
    row(Cause::EvictedInodes, Eviction, Error, causes::cause_evicted_inodes, |_| vec![next::next_inodes()]),
    row(Cause::EvictedPids, Eviction, Error, causes::cause_evicted_pids, |at| {
        vec![next::next_pids(), next::next_node_pods(at.node)]
    }),
    row(Cause::EvictedEphemeralStorageLimit, Eviction, Warning, causes::cause_evicted_ephemeral_storage_limit, |_| {
        vec![next::next_storage_limit()]
    }),
    row(Cause::EvictedByApi, Eviction, Info, causes::cause_evicted_by_api, |_| vec![next::next_disruption_budget()]),
    row(Cause::EvictedByTaint, Eviction, Warning, causes::cause_evicted_by_taint, |at| vec![next::next_taint(at.node)]),
    row(Cause::Preempted, Eviction, Info, causes::cause_preempted, |_| vec![next::next_priority()]),
    row(Cause::DeadlineExceeded, Eviction, Warning, causes::cause_deadline_exceeded, |_| vec![next::next_deadline()]),
    row(Cause::NodeShutdown, Eviction, Info, causes::cause_node_shutdown, |at| vec![next::next_shutdown(at.node)]),
    row(Cause::EvictedByDeviceTaint, Eviction, Warning, causes::cause_evicted_by_device_taint, |_| {
        vec![next::next_device_taint()]
    }),
    row(Cause::RemovedWithNode, Eviction, Warning, causes::cause_removed_with_node, |at| {
        vec![next::next_node_why(at.node)]
    }),
];
