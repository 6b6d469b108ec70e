//! Memory.

use super::{Cause, Chapter::Memory, Row, Severity::*, row, text};

pub(super) const ROWS: &[Row] = &[
    row(
        Cause::OomContainerLimit,
        Memory,
        Error,
        text(
            "A process was killed because its container reached its own memory limit.",
            "容器达到了自身的内存上限，内核因此杀死了其中的一个进程。",
        ),
        &[
            text(
                "Raise the container's resources.limits.memory, or make the program use less: fewer workers, a smaller heap.",
                "调高该容器的 resources.limits.memory，或让程序少用内存：减少工作进程，调小堆。",
            ),
            text(
                "Compare the memory at the end with what the program should need: growth over hours is a leak.",
                "把死亡时的内存用量与程序应有的用量相比：若数小时内持续增长，就是内存泄漏。",
            ),
        ],
    ),
    row(
        Cause::OomPodLimit,
        Memory,
        Error,
        text(
            "A process was killed because its pod reached the pod's own memory limit.",
            "Pod 达到了 Pod 级的内存上限，内核因此杀死了其中的一个进程。",
        ),
        &[text(
            "Raise the pod's resources.limits.memory, or give each container a limit of its own so that one cannot starve the others.",
            "调高 Pod 的 resources.limits.memory，或给每个容器单独设上限，以免一个容器挤占其他容器。",
        )],
    ),
    row(
        Cause::OomNode,
        Memory,
        Critical,
        text(
            "The whole node ran out of memory; the victim paid, it need not be the culprit.",
            "整个节点的内存耗尽；被杀者只是付出了代价，未必是元凶。",
        ),
        &[
            text(
                "Set requests near real use, so that the scheduler leaves room and the kernel spares who stays within them.",
                "把内存 requests 设得接近实际用量：调度器会留出余量，内核也会放过未超出 requests 的进程。",
            ),
            text(
                "Look for what grew most on the node; reserve memory for the system (systemReserved, kubeReserved).",
                "找出节点上增长最快的进程；为系统预留内存（systemReserved、kubeReserved）。",
            ),
        ],
    ),
];
