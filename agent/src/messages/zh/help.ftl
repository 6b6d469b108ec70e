### Help. The names are those of arguments; the English texts are in `config`.

heading_node = 节点

coroner_agent = 观测一个节点，并向聚合器报告该节点上的容器和 Pod 为何终止

## How the node is observed

any_node_name = Node 对象的名称 [默认值：主机名]
any_cluster_uid = 集群的 uid，即命名空间 kube-system 的 uid
any_host_root = 节点的 proc、sys、dev、etc、run 和 var/log 所挂载到的目录
any_container_logs = kubelet 存放容器日志链接的目录 [默认值：节点的 var/log/containers]
any_cri_endpoint = 容器运行时的 CRI 套接字：unix:///PATH，或用 `none` 关闭 [默认值：已知套接字中第一个存在的]
any_containerd_endpoint = containerd 的套接字：unix:///PATH，或用 `none` 关闭 [默认值：CRI 套接字]
any_containerd_namespace = CRI 存放容器的 containerd 命名空间
any_docker_endpoint = Docker 的套接字：unix:///PATH，或用 `none` 关闭 [默认值：节点的 /run/docker.sock（如果存在）]
any_docker_logs = Docker 存放容器及其日志的目录 [默认值：节点的 var/lib/docker/containers]
any_log_lines = 报告失败容器日志的最后几行，其中的敏感信息会被去除；0 表示不报告
any_kubeconfig = 用于访问 API 服务器的 kubeconfig [默认值：Pod 的 ServiceAccount]
any_kubelet_url = kubelet 的地址：https://HOST:10250，或用 `none` 关闭 [默认值：https://NODE_IP:10250]
any_node_ip = 节点的地址，通过它访问 kubelet
any_kubelet_ca = 签发 kubelet 证书的 CA 证书（PEM）[默认值：集群的 CA 证书]
any_kubelet_insecure_tls = 不验证 kubelet 的证书（许多节点上的 kubelet 使用自签名证书）

## The agent

coroner_agent_aggregator = 聚合器的地址：https://HOST:PORT、http://HOST:PORT 或 unix:///PATH
coroner_agent_tls_ca = 签发聚合器证书的 CA 证书（PEM）；使用 https:// 时必需
coroner_agent_tls_cert = agent 的客户端证书（PEM）
coroner_agent_tls_key = 客户端证书的私钥（PEM）
coroner_agent_token_file = 存有令牌（bearer token）的文件，由 kubelet 投射；每次推送时读取
coroner_agent_insecure = 允许对其他主机使用 http://；传输内容可能被窃听和篡改
coroner_agent_outbox = outbox 文件：记录在被聚合器存储之前保存于此
coroner_agent_outbox_max_bytes = outbox 的最大大小（字节）
coroner_agent_pod_ip = agent 所在 Pod 的地址，其他 agent 通过它探测本 agent 的健康端口 [默认值：无]

## record

record = 将一个节点的各来源所观测到的内容写到标准输出，供 `coroner record` 使用
record_like_agent = 按进程号为此值的 agent 的方式观测节点；忽略其他有关节点的参数
record_seconds = 录制时长（秒）
record_max_bytes = 在写入超过此字节数之前结束
record_namespace = 仅限此命名空间的对象、容器和日志
record_pods = 仅限该命名空间中的此 Pod；可重复
record_no_logs = 不包含失败容器日志的最后几行
