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
            "See why the nodes are out of service (cordoned, not ready, under pressure), or add one.",
            "查明节点为何不可用（被隔离、未就绪或资源压力），或增加节点。",
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
    row(
        Cause::UnschedulableVolume,
        Cluster,
        Warning,
        text("A volume ties the pod to nodes that cannot take it.", "卷把该 Pod 限定在无法接纳它的节点上。"),
        &[text(
            "Compare the volume's zone and node affinity with the nodes; look at the nodes' limits on volumes and free storage.",
            "对照卷的可用区和节点亲和性与现有节点；检查节点的卷数量上限和剩余存储。",
        )],
    ),
    row(
        Cause::UnschedulableDevice,
        Cluster,
        Warning,
        text(
            "No node has the devices that the pod's resource claims ask for.",
            "没有节点具备该 Pod 的 ResourceClaim 所请求的设备。",
        ),
        &[text(
            "Look at the ResourceClaim, its DeviceClass and the ResourceSlices of the driver.",
            "查看 ResourceClaim、它的 DeviceClass 以及驱动发布的 ResourceSlice。",
        )],
    ),
    row(
        Cause::UnschedulableHostPort,
        Cluster,
        Warning,
        text(
            "On each node the host port that the pod asks for is taken.",
            "每个节点上该 Pod 所请求的主机端口都已被占用。",
        ),
        &[text(
            "Use a Service instead of hostPort, or run at most as many pods as there are nodes.",
            "改用 Service 代替 hostPort，或让 Pod 数量不超过节点数量。",
        )],
    ),
    row(
        Cause::UnschedulablePodGroup,
        Cluster,
        Warning,
        text(
            "The group that the pod must be scheduled with does not fit.",
            "必须与该 Pod 一同调度的 Pod 组无法满足条件。",
        ),
        &[text(
            "See the other pods of the group: its minimum must fit at once.",
            "查看组内的其他 Pod：必须能同时容纳该组的最小数量。",
        )],
    ),
    row(
        Cause::UnschedulableOther,
        Cluster,
        Warning,
        text(
            "No node takes the pod, for a reason that only the scheduler's message gives.",
            "没有节点接纳该 Pod，原因只见于调度器的消息。",
        ),
        &[text("See the scheduler's message in the evidence, and its log.", "查看证据中调度器的消息及其日志。")],
    ),
    row(
        Cause::SchedulingGated,
        Cluster,
        Info,
        text(
            "The pod waits for its scheduling gates to be removed.",
            "Pod 正在等待其调度门控（schedulingGates）被移除。",
        ),
        &[text(
            "Nothing to fix if the controller that owns the gate works; otherwise see its log.",
            "若负责该门控的控制器工作正常，则无需处理；否则查看它的日志。",
        )],
    ),
    row(
        Cause::AdmissionWebhookFailed,
        Cluster,
        Error,
        text("An admission webhook that has to be asked could not be called.", "必须调用的准入 webhook 无法访问。"),
        &[text(
            "See whether the webhook's Service has ready pods; failurePolicy Ignore lets requests pass without it.",
            "检查该 webhook 的 Service 是否有就绪的 Pod；failurePolicy 为 Ignore 时请求可以不经它放行。",
        )],
    ),
    row(
        Cause::PodSpecInvalid,
        Cluster,
        Error,
        text("The pod template is invalid, so no pod can be created from it.", "Pod 模板不合法，无法据此创建 Pod。"),
        &[text("Correct the field that the message names.", "修正消息中指出的字段。")],
    ),
    row(
        Cause::PodCreateFailed,
        Cluster,
        Warning,
        text(
            "The API server did not create the pod, for a reason of its own.",
            "API 服务器由于自身原因没有创建该 Pod。",
        ),
        &[text(
            "It usually passes, as the controller tries again; if not, see the health of the API server and of etcd.",
            "控制器会重试，通常会自行恢复；否则检查 API 服务器和 etcd 的健康状况。",
        )],
    ),
];
