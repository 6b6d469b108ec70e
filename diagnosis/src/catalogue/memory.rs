//! Memory.

use super::{Cause, Chapter::Memory, Row, Severity::*, causes, next, row};

pub(super) const ROWS: &[Row] = &[
    row(Cause::OomContainerLimit, Memory, Error, causes::cause_oom_container_limit, |at| {
        vec![next::next_memory_limit(at.container), next::next_memory_trend(at.namespace, at.pod)]
    }),
    row(Cause::OomPodLimit, Memory, Error, causes::cause_oom_pod_limit, |at| {
        vec![next::next_pod_memory_limit(), next::next_memory_trend(at.namespace, at.pod)]
    }),
    row(Cause::OomNode, Memory, Critical, causes::cause_oom_node, |at| {
        vec![next::next_memory_requests(), next::next_node_memory(at.node)]
    }),
    row(Cause::OomNestedLimit, Memory, Warning, causes::cause_oom_nested_limit, |_| vec![next::next_nested_limit()]),
    row(Cause::KilledByOomDaemon, Memory, Error, causes::cause_killed_by_oom_daemon, |at| {
        vec![next::next_memory_requests(), next::next_oom_daemon(), next::next_node_memory(at.node)]
    }),
    row(Cause::HardwareMemoryError, Memory, Critical, causes::cause_hardware_memory_error, |at| {
        vec![next::next_replace_memory(at.node)]
    }),
];
