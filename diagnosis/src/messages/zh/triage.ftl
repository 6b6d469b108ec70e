### Nodes that fall silent, are restarted or go.

## Silence

triage_unreachable = 节点失联：agent 和 kubelet 均无响应
triage_was_unreachable = 节点曾失联：agent 和 kubelet 均无响应
triage_was_cut_off = 节点曾失联一段时间，但没有重启
triage_not_back = 节点正常关机，此后没有恢复
triage_host_alone = 节点无响应：内核仍接受连接，但 kubelet 和 agent 均不应答
triage_host_alone_how = agent 不再上报，kubelet 也没有为节点的 Lease 续约。主机仍接受或拒绝连接，说明电源和网络正常：其进程已停滞，或已被停止。
triage_kubelet_alone = 节点失去联系：kubelet 能应答探测，但没有为 Lease 续约
triage_kubelet_alone_how = kubelet 能应答其他节点，但没有为 Lease 续约，agent 也不再上报：它们无法访问控制平面，或被控制平面拒绝。
triage_was_stalled = 最后一次上报显示，所有任务在大部分时间里都在等待内存：节点很可能因内存不足而停滞。
triage_silent_for = 该节点已有 { $silent }没有任何消息：agent 没有上报，Lease 也没有续约。
triage_unconfirmed = 没有第二个探测方予以确认，因此也可能是通往该节点的路径出现故障。
triage_returned = { $lasted }后节点恢复响应。
triage_returned_same = { $lasted }后节点恢复响应，启动 ID 未变：节点没有重启。其网络或通往它的路径曾出现故障，或节点曾停滞。
triage_returned_rebooted = { $lasted }后节点恢复响应，启动 ID 已改变：其间节点重启过。
triage_no_pods = 该节点上没有 Pod。
triage_pods = 该节点上有 { $count } 个 Pod，它们可能仍在运行。
triage_pods_deleted = 如果节点不恢复，Kubernetes 将删除其中 { $count } 个 Pod，最早约在 { $first }后；在节点恢复响应或 Node 对象被删除之前，它们会一直处于 Terminating 状态。
triage_last_report =
    最后一次上报在 { $age }前{ $kubelet ->
        [running] ；当时 kubelet 工作正常
        [down] ；当时 kubelet 未运行
        [hung] ；当时 kubelet 没有响应
        [unhealthy] ；当时 kubelet 报告自身不健康
        [restarting] ；当时 kubelet 反复退出
       *[other] {""}
    }
triage_announced = 节点已通知主机即将关机
triage_stalled = 大部分时间里所有任务都在等待内存
triage_lease = Lease 最后一次续约在 { $age }前
triage_probed =
    从 { $node } 探测：kubelet 端口{ $kubelet ->
        [answered] 有响应
        [refused] 拒绝连接
        [silent] 接受连接但没有响应
        [timed_out] 连接尝试超时
        [unreachable] 不可达（没有到该主机的路由）
       *[other] 未探测
    }；agent 端口{ $agent ->
        [answered] 有响应
        [refused] 拒绝连接
        [silent] 接受连接但没有响应
        [timed_out] 连接尝试超时
        [unreachable] 不可达（没有到该主机的路由）
       *[other] 未探测
    }
triage_probed_here =
    从聚合器探测：kubelet 端口{ $kubelet ->
        [answered] 有响应
        [refused] 拒绝连接
        [silent] 接受连接但没有响应
        [timed_out] 连接尝试超时
        [unreachable] 不可达（没有到该主机的路由）
       *[other] 未探测
    }；agent 端口{ $agent ->
        [answered] 有响应
        [refused] 拒绝连接
        [silent] 接受连接但没有响应
        [timed_out] 连接尝试超时
        [unreachable] 不可达（没有到该主机的路由）
       *[other] 未探测
    }
triage_agent_silent = agent 不再上报，但节点本身工作正常
triage_agent_silent_for = agent 已有 { $silent }没有上报，而 kubelet 仍在为节点的 Lease 续约。在 agent 恢复上报之前，无法解释该节点上的终止事件。
triage_agent_silent_probed = agent 已有 { $silent }没有上报，而 kubelet 能应答探测。在 agent 恢复上报之前，无法解释该节点上的终止事件。

## The way to many nodes

triage_path_api = 聚合器无法监视 API 服务器
triage_path_api_why = 在恢复监视之前，无法观察 Node 和 Lease，因此不会将任何节点报告为失联。
triage_path_nodes = { $known } 个节点中有 { $silent } 个同时失去响应：问题很可能出在公共路径上
triage_path_nodes_why = 这么多节点同时发生故障的可能性很小，更可能是交换机、可用区、聚合器的网络或控制平面出现问题。不会将任何单个节点报告为失联。
triage_path_agents = { $known } 个节点中有 { $silent } 个的 agent 同时停止上报，节点本身工作正常
triage_path_agents_why = kubelet 仍在为 Lease 续约，因此问题出在 agent 到聚合器的路径上，或出在 agent 自身。agent 重新连接后，会补报这些节点上的终止事件。
triage_path_names = 失去响应的节点包括：{ $names }

## Restarts

triage_rebooted = 节点已重启
triage_rebooted_clean = 节点正常关机后重启
triage_rebooted_clean_how = 主机曾通知即将关机，或 agent 在上一次运行结束前已被停止。
triage_rebooted_panic = 内核崩溃（panic）后节点重启
triage_rebooted_panic_how = 内核的最后消息保存在 pstore 中。
triage_rebooted_abrupt = 节点重启，看来没有经过关机：断电、复位或崩溃
triage_rebooted_abrupt_how = 在此之前 agent 没有像正常关机时那样被停止，内核也没有留下 panic 的消息。
triage_rebooted_away = 在此之前，该节点有 { $away }没有任何消息。
triage_rebooted_pods = 节点上的容器随上一次运行一起结束；容器运行时为它们报告的退出码并非真实退出状态。
triage_rebooted_count = 当时有 { $count } 个 Pod 绑定到该节点。
triage_boot_reported = 启动 ID { $boot }，开机时长 { $uptime }
triage_boot_in_object = status.nodeInfo.bootID 变为 { $boot }

## Removal

triage_removed_autoscaler = 节点被集群自动扩缩器（Cluster Autoscaler）移除
triage_removed_karpenter = 节点被 Karpenter 移除
triage_removed_cloud = 节点被云平台收回，此前已有通知
triage_removed_maintenance = 节点因维护而停止服务
triage_removed_drained = 节点已腾空并停止服务
triage_removed_deleted = Node 对象已被删除
triage_object_deleted = Node 对象已被删除，仍绑定到该节点的 Pod 会被移除。
triage_planned_silence = 节点正在停止服务，此后 { $silent }没有任何消息。无需处理。
