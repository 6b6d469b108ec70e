//! Running but not well, or not ending.

use super::{Cause, Chapter::Unwell, Row, Severity::*, causes, next, row};

pub(super) const ROWS: &[Row] = &[
    row(Cause::ReadinessProbeFailed, Unwell, Warning, causes::cause_readiness_probe_failed, |at| {
        vec![next::next_readiness(at.namespace, at.pod), next::next_logs(at.namespace, at.pod, at.container)]
    }),
    row(Cause::StuckOnFinalizer, Unwell, Warning, causes::cause_stuck_on_finalizer, |at| {
        vec![next::next_finalizer(at.namespace, at.pod)]
    }),
    row(Cause::StuckOnProcess, Unwell, Error, causes::cause_stuck_on_process, |at| {
        vec![next::next_stuck_process(at.node)]
    }),
    row(Cause::StuckOnLostNode, Unwell, Error, causes::cause_stuck_on_lost_node, |at| {
        vec![next::next_lost_node(at.node)]
    }),
    row(Cause::ResizeInfeasible, Unwell, Warning, causes::cause_resize_infeasible, |_| vec![next::next_resize_less()]),
    row(Cause::ResizeDeferred, Unwell, Info, causes::cause_resize_deferred, |at| vec![next::next_resize_wait(at.node)]),
    row(Cause::ResizeFailed, Unwell, Warning, causes::cause_resize_failed, |at| {
        vec![next::next_resize_message(at.namespace, at.pod)]
    }),
    row(Cause::VolumeHung, Unwell, Error, causes::cause_volume_hung, |at| vec![next::next_hung_volume(at.node)]),
    row(Cause::DeviceFailed, Unwell, Error, causes::cause_device_failed, |at| vec![next::next_device(at.node)]),
];
