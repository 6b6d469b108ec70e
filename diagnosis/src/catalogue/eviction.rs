//! Eviction and removal.

use super::{Cause, Chapter::Eviction, Row, Severity::*, row, text};

pub(super) const ROWS: &[Row] = &[
    row(
        Cause::EvictedMemory,
        Eviction,
        Error,
        text(
            "The kubelet evicted the pod because the node was short of memory.",
            "节点内存不足，kubelet 驱逐了该 Pod。",
        ),
        &[
            text(
                "Set the pod's memory request near its real use: pods above their request go first.",
                "把 Pod 的内存 request 设得接近实际用量：用量超过 request 的 Pod 最先被驱逐。",
            ),
            text(
                "Look for what grew on the node; the pods named beside this one may be the cause of the shortage.",
                "查看节点上是谁在增长；与它一同列出的 Pod 可能才是造成短缺的原因。",
            ),
        ],
    ),
    row(
        Cause::EvictedDisk,
        Eviction,
        Error,
        text(
            "The kubelet evicted the pod because a file system of the node was nearly full.",
            "节点的某个文件系统快满了，kubelet 驱逐了该 Pod。",
        ),
        &[text(
            "Limit what pods write (ephemeral-storage limits, emptyDir sizeLimit), or free space on the node.",
            "限制 Pod 的写入量（ephemeral-storage 上限、emptyDir 的 sizeLimit），或在节点上腾出空间。",
        )],
    ),
    row(
        Cause::EvictedInodes,
        Eviction,
        Error,
        text(
            "The kubelet evicted the pod because a file system of the node had few inodes left.",
            "节点的某个文件系统 inode 所剩无几，kubelet 驱逐了该 Pod。",
        ),
        &[text(
            "Find what makes many small files; remove them or give them a volume of their own.",
            "找出制造大量小文件的程序；删除这些文件，或给它们单独的卷。",
        )],
    ),
    row(
        Cause::EvictedPids,
        Eviction,
        Error,
        text(
            "The kubelet evicted the pod because the node was running out of process ids.",
            "节点的进程号快要用尽，kubelet 驱逐了该 Pod。",
        ),
        &[text(
            "Find what forks without end; set podPidsLimit on the kubelet.",
            "找出不断创建进程的程序；在 kubelet 上设置 podPidsLimit。",
        )],
    ),
    row(
        Cause::EvictedEphemeralStorageLimit,
        Eviction,
        Warning,
        text(
            "The pod, a container or an emptyDir passed its own storage limit.",
            "Pod、容器或 emptyDir 超过了自身的存储上限。",
        ),
        &[text(
            "Write less, write to a volume, or raise the limit that was passed.",
            "减少写入、改写到卷中，或调高被超过的那个上限。",
        )],
    ),
    row(
        Cause::EvictedByApi,
        Eviction,
        Info,
        text(
            "The eviction API removed the pod, as a drain or the autoscaler does.",
            "该 Pod 经驱逐 API 移除，例如排空节点（drain）或自动伸缩所为。",
        ),
        &[text(
            "Nothing to mend; a PodDisruptionBudget limits how many go at once.",
            "无需修复；PodDisruptionBudget 可以限制同时被移除的数量。",
        )],
    ),
    row(
        Cause::EvictedByTaint,
        Eviction,
        Warning,
        text("A NoExecute taint of the node removed the pod.", "节点上的 NoExecute 污点移除了该 Pod。"),
        &[text(
            "See why the node was tainted; add a toleration if the pod should stay.",
            "查明节点为何被打上污点；若 Pod 应当留下，请加上容忍（toleration）。",
        )],
    ),
    row(
        Cause::Preempted,
        Eviction,
        Info,
        text("A pod of higher priority needed the room.", "优先级更高的 Pod 需要这块资源。"),
        &[text("Give the pod a higher priority, or the cluster more room.", "提高该 Pod 的优先级，或给集群增加资源。")],
    ),
    row(
        Cause::DeadlineExceeded,
        Eviction,
        Warning,
        text("The pod's activeDeadlineSeconds ran out.", "Pod 的 activeDeadlineSeconds 已到期。"),
        &[text("Raise activeDeadlineSeconds, or make the work shorter.", "调高 activeDeadlineSeconds，或缩短任务。")],
    ),
    row(
        Cause::NodeShutdown,
        Eviction,
        Info,
        text("A graceful shutdown of the node ended the pod.", "节点正常关机，结束了该 Pod。"),
        &[text(
            "Nothing to mend; ask who shut the node down if nobody should have.",
            "无需修复；若不该有人关机，请查明是谁关闭了节点。",
        )],
    ),
    row(
        Cause::EvictedByDeviceTaint,
        Eviction,
        Warning,
        text("A taint of a device that the pod used removed the pod.", "Pod 所用设备上的污点移除了该 Pod。"),
        &[text(
            "See why the device was tainted (DeviceTaintRule, ResourceSlice); tolerate the taint in the ResourceClaim if the pod should stay.",
            "查明设备为何被打上污点（DeviceTaintRule、ResourceSlice）；若 Pod 应当留下，请在 ResourceClaim 中加上容忍。",
        )],
    ),
];
