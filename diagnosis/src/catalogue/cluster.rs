//! Cluster.

use super::{Cause, Chapter::Cluster, Row, Severity::*, row, text};

pub(super) const ROWS: &[Row] = &[
    row(
        Cause::UnschedulableResources,
        Cluster,
        Warning,
        text("No node has room for the pod.", "没有节点能容纳该 Pod。"),
        &[text(
            "Lower its requests, add a node, or free one: where there is room only in sum, move a pod to join the rest.",
            "调低 requests、增加节点或腾出节点：若只是总量足够而分散，可迁移 Pod 把空余合并到一处。",
        )],
    ),
    row(
        Cause::UnschedulableNodeSelector,
        Cluster,
        Warning,
        text("No node has the labels that the pod asks for.", "没有节点带有该 Pod 所要求的标签。"),
        &[text("Mend the pod's nodeSelector, or label a node.", "修正 Pod 的 nodeSelector，或给节点打上标签。")],
    ),
    row(
        Cause::UnschedulableAffinity,
        Cluster,
        Warning,
        text("No node satisfies the pod's affinity rules.", "没有节点满足该 Pod 的亲和性规则。"),
        &[text(
            "Loosen the rules (preferred instead of required), or add a node that satisfies them.",
            "放宽规则（用 preferred 代替 required），或增加满足规则的节点。",
        )],
    ),
    row(
        Cause::UnschedulableTaint,
        Cluster,
        Warning,
        text("All nodes have taints that the pod does not tolerate.", "所有节点都带有该 Pod 不能容忍的污点。"),
        &[text("Add a toleration, or remove a taint.", "添加容忍（toleration），或移除污点。")],
    ),
    row(
        Cause::UnschedulableNoNodes,
        Cluster,
        Error,
        text("No node is schedulable at all.", "没有任何可调度的节点。"),
        &[text(
            "Uncordon a node (kubectl uncordon), or add one.",
            "解除某个节点的禁止调度（kubectl uncordon），或增加节点。",
        )],
    ),
    row(
        Cause::QuotaExceeded,
        Cluster,
        Warning,
        text(
            "The namespace's quota keeps pods from being created.",
            "命名空间的配额（ResourceQuota）使 Pod 无法创建。",
        ),
        &[text("Raise the quota, or ask for less.", "调高配额，或降低请求量。")],
    ),
    row(
        Cause::LimitRangeViolated,
        Cluster,
        Warning,
        text("A LimitRange keeps pods from being created.", "LimitRange 使 Pod 无法创建。"),
        &[text("Ask for resources within the range.", "在允许的范围内请求资源。")],
    ),
    row(
        Cause::AdmissionDenied,
        Cluster,
        Warning,
        text(
            "A webhook or Pod Security keeps pods from being created.",
            "准入 webhook 或 Pod Security 使 Pod 无法创建。",
        ),
        &[text("See its message: it says what it wants changed.", "查看它的报错：其中写明了要求修改什么。")],
    ),
    row(
        Cause::ServiceWithoutEndpoints,
        Cluster,
        Warning,
        text("The Service has no pod behind it.", "该 Service 背后没有 Pod。"),
        &[text(
            "Compare its selector with the pods' labels, and see whether they are ready.",
            "对照它的 selector 与 Pod 的标签，并查看这些 Pod 是否就绪。",
        )],
    ),
    row(
        Cause::ServicePortMismatch,
        Cluster,
        Warning,
        text("The Service's targetPort is no port of its pods.", "该 Service 的 targetPort 不是其 Pod 的端口。"),
        &[text(
            "Mend targetPort: a named one must be named alike in the pod.",
            "修正 targetPort：使用名称时，必须与 Pod 中的端口名一致。",
        )],
    ),
    row(
        Cause::IngressBackendMissing,
        Cluster,
        Warning,
        text(
            "The Ingress points to a Service or port that does not exist.",
            "该 Ingress 指向不存在的 Service 或端口。",
        ),
        &[text(
            "Mend the backend, or create the Service in the Ingress' namespace.",
            "修正后端，或在 Ingress 所在的命名空间中创建该 Service。",
        )],
    ),
];
