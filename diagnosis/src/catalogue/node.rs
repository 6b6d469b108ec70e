//! Node.

use super::{Cause, Chapter::Node, Row, Severity::*, causes, next, row};

pub(super) const ROWS: &[Row] = &[
    row(Cause::KubeletDown, Node, Critical, causes::cause_kubelet_down, |_| vec![next::next_kubelet_unit()]),
    row(Cause::KubeletHung, Node, Critical, causes::cause_kubelet_hung, |_| vec![next::next_kubelet_hung()]),
    row(Cause::RuntimeDown, Node, Critical, causes::cause_runtime_down, |_| vec![next::next_runtime_unit()]),
    row(Cause::RuntimeHung, Node, Critical, causes::cause_runtime_hung, |_| vec![next::next_runtime_hung()]),
    row(Cause::ApiServerUnreachable, Node, Critical, causes::cause_api_server_unreachable, |_| {
        vec![next::next_api_server()]
    }),
    row(Cause::NodeUnreachable, Node, Critical, causes::cause_node_unreachable, |at| {
        vec![next::next_node_console(at.node)]
    }),
    row(Cause::NodeRebooted, Node, Warning, causes::cause_node_rebooted, |_| vec![next::next_last_boot()]),
    row(Cause::NodeMemoryPressure, Node, Error, causes::cause_node_memory_pressure, |at| {
        vec![next::next_node_memory(at.node), next::next_node_pods(at.node)]
    }),
    row(Cause::NodeDiskPressure, Node, Error, causes::cause_node_disk_pressure, |_| vec![next::next_images_disk()]),
    row(Cause::NodePidPressure, Node, Error, causes::cause_node_pid_pressure, |_| vec![next::next_pids()]),
    row(Cause::NodeNetworkNotReady, Node, Critical, causes::cause_node_network_not_ready, |at| {
        vec![next::next_network_plugin(at.node)]
    }),
    row(Cause::CertificateExpired, Node, Critical, causes::cause_certificate_expired, |_| {
        vec![next::next_certificate()]
    }),
    row(Cause::CertificateExpiring, Node, Warning, causes::cause_certificate_expiring, |_| {
        vec![next::next_certificate()]
    }),
    row(Cause::ClockSkewed, Node, Error, causes::cause_clock_skewed, |_| vec![next::next_clock()]),
    row(Cause::KernelFault, Node, Critical, causes::cause_kernel_fault, |at| vec![next::next_kernel_fault(at.node)]),
    row(Cause::ConntrackFull, Node, Error, causes::cause_conntrack_full, |_| vec![next::next_conntrack()]),
    row(Cause::NeighbourTableFull, Node, Error, causes::cause_neighbour_table_full, |_| vec![next::next_neighbours()]),
    row(Cause::FilesExhausted, Node, Critical, causes::cause_files_exhausted, |_| vec![next::next_open_files()]),
    row(Cause::KubeletMisconfigured, Node, Critical, causes::cause_kubelet_misconfigured, |_| {
        vec![next::next_kubelet_configuration()]
    }),
    row(Cause::NodeRemoved, Node, Info, causes::cause_node_removed, |_| vec![next::next_nothing()]),
    row(Cause::AgentSilent, Node, Warning, causes::cause_agent_silent, |at| vec![next::next_agent(at.node)]),
    row(Cause::ControlPlaneUnreachable, Node, Critical, causes::cause_control_plane_unreachable, |_| {
        vec![next::next_common_path()]
    }),
];
