//! Cluster.

use super::{Cause, Chapter::Cluster, Row, Severity::*, causes, next, row};

pub(super) const ROWS: &[Row] = &[
    row(Cause::UnschedulableResources, Cluster, Warning, causes::cause_unschedulable_resources, |_| {
        vec![next::next_capacity()]
    }),
    row(Cause::UnschedulableNodeSelector, Cluster, Warning, causes::cause_unschedulable_node_selector, |_| {
        vec![next::next_node_labels()]
    }),
    row(Cause::UnschedulableAffinity, Cluster, Warning, causes::cause_unschedulable_affinity, |_| {
        vec![next::next_affinity()]
    }),
    row(Cause::UnschedulableTaint, Cluster, Warning, causes::cause_unschedulable_taint, |_| {
        vec![next::next_toleration()]
    }),
    row(Cause::UnschedulableNoNodes, Cluster, Error, causes::cause_unschedulable_no_nodes, |_| {
        vec![next::next_nodes_back()]
    }),
    row(Cause::QuotaExceeded, Cluster, Warning, causes::cause_quota_exceeded, |at| {
        vec![next::next_quota(at.namespace)]
    }),
    row(Cause::LimitRangeViolated, Cluster, Warning, causes::cause_limit_range_violated, |at| {
        vec![next::next_limit_range(at.namespace)]
    }),
    row(Cause::AdmissionDenied, Cluster, Warning, causes::cause_admission_denied, |_| vec![next::next_denied()]),
    row(Cause::ServiceWithoutEndpoints, Cluster, Warning, causes::cause_service_without_endpoints, |at| {
        vec![next::next_service_selector(at.namespace, at.name)]
    }),
    row(Cause::ServicePortMismatch, Cluster, Warning, causes::cause_service_port_mismatch, |at| {
        vec![next::next_target_port(at.namespace, at.name)]
    }),
    row(Cause::IngressBackendMissing, Cluster, Warning, causes::cause_ingress_backend_missing, |at| {
        vec![next::next_ingress_backend(at.namespace, at.name)]
    }),
    row(Cause::UnschedulableVolume, Cluster, Warning, causes::cause_unschedulable_volume, |at| {
        vec![next::next_volume_nodes(at.namespace)]
    }),
    row(Cause::UnschedulableDevice, Cluster, Warning, causes::cause_unschedulable_device, |at| {
        vec![next::next_resource_claim(at.namespace)]
    }),
    row(Cause::UnschedulableHostPort, Cluster, Warning, causes::cause_unschedulable_host_port, |_| {
        vec![next::next_host_port()]
    }),
    row(Cause::UnschedulablePodGroup, Cluster, Warning, causes::cause_unschedulable_pod_group, |at| {
        vec![next::next_pod_group(at.namespace)]
    }),
    row(Cause::UnschedulableOther, Cluster, Warning, causes::cause_unschedulable_other, |at| {
        vec![next::next_scheduler_message(at.namespace, at.pod)]
    }),
    row(Cause::SchedulingGated, Cluster, Info, causes::cause_scheduling_gated, |at| {
        vec![next::next_scheduling_gate(at.namespace, at.pod)]
    }),
    row(Cause::AdmissionWebhookFailed, Cluster, Error, causes::cause_admission_webhook_failed, |_| {
        vec![next::next_webhook()]
    }),
    row(Cause::PodSpecInvalid, Cluster, Error, causes::cause_pod_spec_invalid, |_| vec![next::next_pod_template()]),
    row(Cause::PodCreateFailed, Cluster, Warning, causes::cause_pod_create_failed, |_| {
        vec![next::next_api_server_health()]
    }),
];
