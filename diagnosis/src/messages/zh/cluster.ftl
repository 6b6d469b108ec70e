### What only the API server knows.

## Pods that no node takes

unschedulable_resources = 无法调度：没有节点有足够的空闲资源
unschedulable_node_selector = 无法调度：没有节点带有 Pod 要求的标签
unschedulable_affinity = 无法调度：没有节点满足 Pod 的亲和性规则
unschedulable_taint = 无法调度：Pod 不能容忍节点的污点
unschedulable_volume = 无法调度：卷将 Pod 限定在无法运行它的节点上
unschedulable_claim_in_use = 无法调度：PersistentVolumeClaim 正被其他 Pod 使用
unschedulable_device = 无法调度：没有节点具备 Pod 请求的设备
unschedulable_host_port = 无法调度：没有节点的主机端口可供该 Pod 使用
unschedulable_pod_group = 无法调度：所属的 Pod 组成员不足或无法同时容纳
unschedulable_unseen = 无法调度：没有调度器处理过该 Pod
unschedulable_unseen_why = 该 Pod 指定了调度器 { $scheduler }，但该调度器没有报告过它：可能没有运行，或者名称不同。
unschedulable_other = 无法调度：见调度器的消息
unschedulable_no_nodes = 无法调度：没有可用的节点
unschedulable_claim = 无法调度：PersistentVolumeClaim 尚未绑定或不存在
scheduling_gated = 尚未调度：设置了调度门控
scheduling_gates = 在 spec.schedulingGates 清空之前，调度器不会调度该 Pod。当前设置：{ $gates }。
scheduling_gates_unknown = 在 spec.schedulingGates 清空之前，调度器不会调度该 Pod。
scheduler_reported = 调度器报告：“{ $message }”。
scheduler_nodes = { $nodes } 个节点：{ $reason }
untolerated_taints = 不能容忍的污点：{ $taints }。
node_selector = 其 nodeSelector 要求 { $labels }。
free_bytes =
    它的 { $resource } 请求为 { $wanted }；{ $nodes ->
        [1] 唯一的可调度节点空闲 { $most }
       *[other] { $nodes } 个可调度节点中，空闲最多的有 { $most }，合计 { $sum }
    }。
free_amount =
    它的 { $resource } 请求为 { $wanted }；{ $nodes ->
        [1] 唯一的可调度节点空闲 { $most }
       *[other] { $nodes } 个可调度节点中，空闲最多的有 { $most }，合计 { $sum }
    }。
free_only_in_sum = 所有节点合计足够，但没有单个节点能容纳；降低请求或迁移其他 Pod 即可满足。
claim_pending = PersistentVolumeClaim { $claim }（存储类 { $class }）的状态为 { $phase }。
claim_pending_default = PersistentVolumeClaim { $claim }（默认存储类）的状态为 { $phase }。
claim_missing = PersistentVolumeClaim { $claim } 不存在。
claim_message = 上报的原因：“{ $message }”。

## Controllers that cannot create pods

create_quota_demands = 无法创建 Pod：配额要求设置 Pod 未指定的值
create_quota = 无法创建 Pod：超出命名空间的配额
create_limit_range = 无法创建 Pod：超出命名空间的 LimitRange
create_denied = 无法创建 Pod：被准入控制拒绝
create_webhook = 无法创建 Pod：准入 Webhook 无法调用
create_invalid = 无法创建 Pod：Pod 模板无效
create_failed = 无法创建 Pod：API 服务器创建失败
create_refused = 控制器会持续重试。API 服务器应答：“{ $message }”。
create_webhook_named = API 服务器无法调用 Webhook { $webhook }。
create_webhook_service = API 服务器无法调用 Webhook { $webhook }（Service { $service }）。
create_quota_demanded = 配额并未用尽：它要求设置 { $values }。

## Services and Ingresses

service_without_pods = 没有后端：selector 没有匹配任何 Pod
service_selects = 命名空间中没有 Pod 带有该 Service 所选择的标签：{ $labels }。
service_near = 最接近的是 Pod { $pod }，其标签为 { $labels }。
service_no_endpoint = 该 Service 的 EndpointSlice 中没有端点
service_port_missing = 指向 Pod 未声明的端口：{ $port }
service_ports = Service 的端口 { $port } 指向 { $target }；Pod 声明的端口为 { $declared }。
service_ports_named = 没有容器的端口使用该名称，因此流量无法到达。
service_ports_undeclared = containerPort 仅供参考：程序可能在未声明的端口上监听
ingress_broken = 有后端不存在：{ $reason }
ingress_paths = 以下路径的请求无法转发：{ $paths }。
ingress_path = { $path }（{ $reason }）
ingress_service_missing = Service { $service } 不存在
ingress_port_missing = Service { $service } 没有端口 { $port }
