//! Node.

use super::{Cause, Chapter::Node, Row, Severity::*, row, text};

pub(super) const ROWS: &[Row] = &[
    row(
        Cause::KubeletDown,
        Node,
        Critical,
        text("The kubelet is not running.", "kubelet 没有运行。"),
        &[text("See its unit's state and log, and start it.", "查看其 systemd 单元的状态和日志，并启动它。")],
    ),
    row(
        Cause::KubeletHung,
        Node,
        Critical,
        text("The kubelet runs and does not answer.", "kubelet 在运行，但没有应答。"),
        &[text(
            "See what it waits for (its log, a hung mount, the runtime); restart it.",
            "查明它在等什么（日志、卡死的挂载、容器运行时）；重启它。",
        )],
    ),
    row(
        Cause::RuntimeDown,
        Node,
        Critical,
        text("The container runtime is not running.", "容器运行时没有运行。"),
        &[text("See its unit's state and log, and start it.", "查看其 systemd 单元的状态和日志，并启动它。")],
    ),
    row(
        Cause::RuntimeHung,
        Node,
        Critical,
        text("The container runtime runs and does not answer.", "容器运行时在运行，但没有应答。"),
        &[text(
            "See what it waits for (its log, a hung disk or mount); restart it.",
            "查明它在等什么（日志、卡死的磁盘或挂载）；重启它。",
        )],
    ),
    row(
        Cause::ApiServerUnreachable,
        Node,
        Critical,
        text("The node is fine and cannot reach the API server.", "节点本身正常，但无法连接 API server。"),
        &[text(
            "Check the way from the node to the API server: address, firewall, load balancer, certificates.",
            "检查节点到 API server 的通路：地址、防火墙、负载均衡、证书。",
        )],
    ),
    row(
        Cause::NodeUnreachable,
        Node,
        Critical,
        text(
            "Neither agent nor kubelet of the node answers: the node or its network is gone.",
            "该节点上的 agent 和 kubelet 都没有应答：节点或其网络已失联。",
        ),
        &[text(
            "Look at the machine from outside: its console, its power, the cloud's word on it.",
            "从外部查看这台机器：控制台、电源、云平台的状态。",
        )],
    ),
    row(
        Cause::NodeRebooted,
        Node,
        Warning,
        text("The node was started anew.", "节点重新启动过。"),
        &[text(
            "See its last words before that: the journal of the boot before (journalctl -b -1).",
            "查看重启前的最后记录：上一次启动的日志（journalctl -b -1）。",
        )],
    ),
    row(
        Cause::NodeMemoryPressure,
        Node,
        Error,
        text("The node is short of memory.", "节点内存不足。"),
        &[text(
            "See what grew, and which pods use more than they request.",
            "查看是谁在增长，以及哪些 Pod 的用量超过了 request。",
        )],
    ),
    row(
        Cause::NodeDiskPressure,
        Node,
        Error,
        text("The node is short of disk space.", "节点磁盘空间不足。"),
        &[text(
            "See what grew: images, container layers, logs or volumes.",
            "查看是什么在增长：镜像、容器层、日志还是卷。",
        )],
    ),
    row(
        Cause::NodePidPressure,
        Node,
        Error,
        text("The node is short of process ids.", "节点的进程号不足。"),
        &[text(
            "See what forks without end; set podPidsLimit on the kubelet.",
            "查明谁在不断创建进程；在 kubelet 上设置 podPidsLimit。",
        )],
    ),
    row(
        Cause::NodeNetworkNotReady,
        Node,
        Critical,
        text("The node's network plugin is missing or fails.", "节点的网络插件缺失或出错。"),
        &[text("See the network plugin's pod and log on this node.", "查看该节点上网络插件的 Pod 及日志。")],
    ),
    row(
        Cause::CertificateExpired,
        Node,
        Critical,
        text("A certificate of the node has expired.", "节点的某个证书已过期。"),
        &[text("Renew it, and see why its rotation did not.", "更新证书，并查明自动轮换为何没有生效。")],
    ),
    row(
        Cause::ClockSkewed,
        Node,
        Error,
        text("The node's clock is wrong.", "节点的时钟不准。"),
        &[text(
            "See its time synchronisation (chronyc tracking, timedatectl).",
            "检查时间同步（chronyc tracking、timedatectl）。",
        )],
    ),
    row(
        Cause::KernelFault,
        Node,
        Critical,
        text("The node's kernel reports a fault.", "节点的内核报告了故障。"),
        &[text(
            "See the kernel's words in the evidence; drain the node if it goes on.",
            "查看证据中内核的原话；若故障持续，请排空该节点。",
        )],
    ),
];
