//! Running but not well, or not ending.

use super::{Cause, Chapter::Unwell, Row, Severity::*, row, text};

pub(super) const ROWS: &[Row] = &[
    row(
        Cause::ReadinessProbeFailed,
        Unwell,
        Warning,
        text("The container runs and is not ready.", "容器在运行，但尚未就绪。"),
        &[text(
            "See what the probe got; while it lasts, no Service sends the pod anything.",
            "查看探针得到了什么；在此期间，任何 Service 都不会向该 Pod 转发流量。",
        )],
    ),
    row(
        Cause::StuckOnFinalizer,
        Unwell,
        Warning,
        text("The pod is kept from going by a finalizer.", "终结器（finalizer）阻止了 Pod 被删除。"),
        &[text(
            "See what should remove the finalizer, and whether it still runs.",
            "查明应由谁移除该终结器，以及它是否还在运行。",
        )],
    ),
    row(
        Cause::StuckOnProcess,
        Unwell,
        Error,
        text("The pod cannot end because a process cannot be killed.", "有进程无法被杀死，Pod 因此不能结束。"),
        &[text("Look for a hung file system or device under it.", "检查该进程所用的文件系统或设备是否已经卡死。")],
    ),
    row(
        Cause::StuckOnLostNode,
        Unwell,
        Error,
        text("The pod cannot end because its node does not answer.", "Pod 所在的节点没有应答，Pod 因此不能结束。"),
        &[text(
            "Bring the node back, or delete its Node object if it is gone for good.",
            "恢复该节点；若节点已永久消失，删除其 Node 对象。",
        )],
    ),
    row(
        Cause::ResizeInfeasible,
        Unwell,
        Warning,
        text(
            "The node can never provide the resources that an in-place resize asks for.",
            "节点永远无法提供原地调整（resize）所请求的资源。",
        ),
        &[text(
            "Ask for less, or let the pod be created again on a larger node.",
            "降低请求量，或让该 Pod 在更大的节点上重新创建。",
        )],
    ),
    row(
        Cause::ResizeDeferred,
        Unwell,
        Info,
        text("An in-place resize waits until the node has room for it.", "原地调整（resize）在等待节点腾出资源。"),
        &[text("Wait, or free resources on the node.", "等待，或在节点上释放资源。")],
    ),
    row(
        Cause::ResizeFailed,
        Unwell,
        Warning,
        text("An in-place resize could not be applied.", "原地调整（resize）未能生效。"),
        &[text(
            "See the kubelet's message: a memory limit below the use, or the runtime's refusal.",
            "查看 kubelet 的消息：内存限制低于当前用量，或容器运行时拒绝。",
        )],
    ),
];
