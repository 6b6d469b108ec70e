### What to do next: steps with the command to type, where there is one.

## Memory

next_memory_limit = 调高容器 { $container } 的 resources.limits.memory，或降低程序的内存占用：减少工作进程数，调小堆。
next_memory_trend = 与平时的用量对比；若数小时内持续增长，很可能是内存泄漏：kubectl -n { $namespace } top pod { $pod } --containers
next_pod_memory_limit = 调高 Pod 的 resources.limits.memory，或为每个容器分别设置限制，避免一个容器挤占其他容器。
next_memory_requests = 将内存请求设置得接近实际用量：调度器会预留资源，未超出请求的 Pod 也最后才被选中。
next_node_memory = 查明节点上哪些进程的内存增长最快，并为系统预留内存（systemReserved、kubeReserved）：kubectl describe node { $node }
next_nested_limit = 在容器内部设置该限制的地方调高它（docker run --memory、systemd 单元、批处理系统的作业），或减少该程序的内存使用。
next_oom_daemon = 查看守护进程（systemd-oomd、earlyoom、nohang、Talos）的日志以了解其阈值；如果应由 kubelet 的驱逐来决定，请调高阈值或停用该守护进程。
next_replace_memory = 腾空该节点（会丢弃 emptyDir 卷的数据）并更换其内存；内核日志指明了损坏的内存页：kubectl drain { $node } --ignore-daemonsets --delete-emptydir-data

## Eviction and removal

next_node_pods = 查看还有哪些 Pod 占用了该节点的资源：kubectl get pods -A -o wide --field-selector spec.nodeName={ $node }
next_scratch_space = 限制 Pod 写入的临时数据：设置 ephemeral-storage 限制，为 emptyDir 卷设置 sizeLimit。
next_node_disk = 释放节点的磁盘空间，例如清理未使用的镜像。在节点上执行：df -h; df -i
next_inodes = 找出产生大量小文件的程序，删除这些文件或将其移到单独的卷。在节点上执行：df -h; df -i
next_pids = 找出不断创建进程或线程的程序，并设置 kubelet 的 podPidsLimit。
next_storage_limit = 减少写入，改为写入持久卷，或调高被超出的限制。
next_disruption_budget = 无需处理。PodDisruptionBudget 可以限制同时被驱逐的 Pod 数量。
next_taint = 查明节点为何被添加污点；如果 Pod 应当保留，请添加容忍度：kubectl describe node { $node }
next_priority = 提高 Pod 的优先级（priorityClassName），或为集群增加容量。
next_deadline = 调高 activeDeadlineSeconds，或缩短任务的运行时间。
next_shutdown = 如果关机在计划之内，则无需处理；否则请查明该节点发生了什么：coroner why node/{ $node }
next_device_taint = 查明设备为何被添加污点；如果 Pod 应当保留，请在 ResourceClaim 中添加容忍度：kubectl get devicetaintrules,resourceslices
next_node_why = 查明该节点发生了什么：coroner why node/{ $node }

## Ended by a signal or by itself

next_probe = 检查探针的请求内容；如果程序只是响应较慢，请调高探针的 timeoutSeconds 或 failureThreshold：kubectl -n { $namespace } describe pod { $pod }
next_startup_probe = 为程序的启动留出更多时间（启动探针的 failureThreshold × periodSeconds）。
next_previous_logs = 查看已结束的容器实例的日志：kubectl -n { $namespace } logs { $pod } -c { $container } --previous
next_logs = 查看容器的日志：kubectl -n { $namespace } logs { $pod } -c { $container }
next_handle_sigterm = 让程序处理 SIGTERM：主进程会忽略没有处理函数的信号，而 shell 不会转发信号（请用 exec 启动程序）。
next_grace_period = 如果程序需要更长时间才能停止，请调高 terminationGracePeriodSeconds。
next_process_limit = 查明程序为何创建如此多的进程或线程；如果数量合理，请调高进程数限制。
next_sandbox_log = 在节点上查看容器运行时（containerd，或 crio、docker、k3s）的日志以确定原因：journalctl -u containerd
next_nothing = 无需处理。
next_stop_intended = 如果该停止在预期之内，则无需处理；否则请通过 Pod 的事件或在节点上查明停止请求的来源：journalctl -u kubelet
next_sender = 查明证据中的发送者由谁运行；常见的是节点上的 OOM 守护进程和清理脚本：kubectl debug node/{ $node } -it --image=busybox -- ps -o pid,ppid,args
next_sender_in_container = 查明容器内由谁运行了发送者，例如 kubectl exec、回调或程序的脚本。
next_core_dump = 在二进制文件中查找该地址（addr2line），或获取核心转储。
next_roll_back = 如果崩溃在更换镜像后才出现，请回滚到之前的镜像：kubectl -n { $namespace } rollout undo { $kind }/{ $name }
next_shm = 检查是否有文件被截断、/dev/shm（默认 64 MiB）已满或磁盘已满：kubectl -n { $namespace } exec { $pod } -c { $container } -- df -h
next_cpu = 将该节点的 CPU 与程序能够正常运行的节点对比，或针对更早的指令集重新构建程序；若 CPU 相同，请检查程序中的陷阱（trap）指令。
next_seccomp = 在 seccomp 配置中允许该系统调用，或查明程序为何需要它。
next_foreground = 让程序在前台持续运行；如果任务本就会结束，请改用 Job。
next_distrust_status = 不要依据该退出码判断。请查明当时容器运行时（containerd，或 crio、docker、k3s）和节点发生了什么：journalctl -u containerd -u kubelet
next_missing_sources = 补齐缺失的信息来源：每个可能的原因都注明了判定所需的依据。查看各来源的状态：coroner status
next_restart_rule = 查明触发该规则的容器为何退出：kubectl -n { $namespace } describe pod { $pod }

## Never started

next_command = 对照镜像检查 command 和 args。脚本首行的解释器和二进制文件的加载器也必须存在于镜像中。
next_executable = 在构建镜像时赋予文件可执行权限：chmod +x FILE
next_name_command = 在 Pod 中设置 command，或在镜像中设置 ENTRYPOINT 或 CMD。
next_architecture = 针对节点的架构构建镜像；脚本的首行应为 #!/bin/sh 之类：kubectl get node { $node } -o jsonpath='{"{"}.status.nodeInfo.architecture{"}"}'
next_image_name = 检查镜像的仓库、名称和标签。有些镜像仓库会将无权访问的私有镜像报告为不存在。
next_image_syntax = 修正 image 字段：不能包含空格或 https:// 之类的前缀，标签之前不能有大写字母。有些容器运行时还要求写明镜像仓库：docker.io/library/nginx
next_pull_secrets = 检查 Pod 的 imagePullSecrets 是否存在、有效且有权读取该镜像：kubectl -n { $namespace } get pod { $pod } -o jsonpath='{"{"}.spec.imagePullSecrets{"}"}'
next_registry = 检查镜像仓库的名称，以及节点到镜像仓库的网络：DNS、代理、防火墙、证书。
next_pull_rate = 使用凭据拉取，或通过缓存拉取；kubelet 会持续重试。
next_pull_size = 检查节点与镜像仓库之间的带宽，或缩小镜像。
next_load_image = 将镜像加载到节点上，或允许拉取（imagePullPolicy: IfNotPresent）。
next_platform = 针对节点的操作系统和架构构建镜像。
next_configmap = 创建该 ConfigMap，或修正引用：kubectl -n { $namespace } get configmaps
next_secret = 创建该 Secret，或修正引用：kubectl -n { $namespace } get secrets
next_config_key = 添加该键，或修正引用：kubectl -n { $namespace } describe configmaps,secrets
next_storage_driver = 修正消息中指出的问题；若为 CSI 卷，请检查该节点上存储驱动的 Pod 及其日志：kubectl get pods -A -o wide --field-selector spec.nodeName={ $node }
next_claim = 创建该 PersistentVolumeClaim，或查明为何没有合适的卷：kubectl -n { $namespace } describe pvc
next_read_only = 以读写方式挂载该路径，或让程序写入其他路径。
next_security_context = 在镜像或 securityContext.runAsUser 中设置数字形式的非 root 用户，或放宽 securityContext 的限制。
next_runtime_message = 根据容器运行时的报错修正配置，例如挂载、设备或工作目录：kubectl -n { $namespace } describe pod { $pod }
next_network_plugin = 检查该节点上网络插件的 Pod 及其日志；该节点上的其他 Pod 也可能受影响：kubectl get pods -A -o wide --field-selector spec.nodeName={ $node }
next_pre_stop_hook = 在同类的运行中的 Pod 里手动执行该回调的命令；如果它需要更长时间，请调高 terminationGracePeriodSeconds（其中包含回调的时间）。
next_hook = 手动执行该回调的命令：kubectl -n { $namespace } exec -it { $pod } -c { $container } -- sh
next_admission = 将拒绝原因与节点的情况（资源、标签、设备）对照：kubectl describe node { $node }
next_image_storage = 检查节点镜像文件系统的可用空间和健康状况；如果摘要或大小不符，请重新拉取：kubectl describe node { $node }
next_image_format = 使用较新的工具重新构建镜像；Docker schema 1 等旧格式已不受支持。
next_image_policy = 按策略要求为镜像签名，或修复镜像仓库扫描发现的问题。
next_image_volume = 检查 volumes[].image 中的引用以及 Pod 的 imagePullSecrets。
next_sandbox = 检查沙箱镜像、RuntimeClass 的 handler 以及容器运行时（containerd，或 crio、docker、k3s）：journalctl -u containerd
next_device_driver = 检查该节点上设备驱动的 Pod 及其日志：kubectl get pods -A -o wide --field-selector spec.nodeName={ $node }

## Running but not well, or not ending

next_readiness = 检查探针的请求内容。探针成功之前，Service 不会向该 Pod 转发流量：kubectl -n { $namespace } describe pod { $pod }
next_finalizer = 检查负责该 Finalizer 的控制器是否在运行：kubectl -n { $namespace } get pod { $pod } -o jsonpath='{"{"}.metadata.finalizers{"}"}'
next_stuck_process = 查找处于 D 状态的进程，以及它在等待的文件系统或设备：kubectl debug node/{ $node } -it --image=busybox -- ps -o pid,stat,args
next_hung_volume = 检查证据中所列挂载背后的服务器或磁盘，并查看哪些进程处于 D 状态：kubectl debug node/{ $node } -it --image=busybox -- ps -o pid,stat,args
next_lost_node = 恢复该节点；如果节点已永久失联，请删除其 Node 对象：kubectl delete node { $node }
next_resize_less = 降低请求量，或让 Pod 在更大的节点上重新创建。
next_resize_wait = 等待，或在节点上释放资源：kubectl describe node { $node }
next_resize_message = 根据 kubelet 的消息修正，例如内存限制低于当前用量：kubectl -n { $namespace } describe pod { $pod }

## Node

next_kubelet_unit = 在节点上检查并启动 kubelet 的服务单元（kubelet，或 k3s、k3s-agent）：systemctl status kubelet; journalctl -u kubelet
next_kubelet_hung = 在节点上查明 kubelet 在等待什么（无响应的挂载、容器运行时），然后重启其服务单元（kubelet，或 k3s、k3s-agent）：journalctl -u kubelet; systemctl restart kubelet
next_resume = 在节点上查明是谁发送了 SIGSTOP，然后恢复它：kill -CONT { $pid }
next_runtime_unit = 在节点上检查并启动容器运行时（containerd，或 crio、docker、k3s）：systemctl status containerd; journalctl -u containerd
next_runtime_hung = 在节点上查明容器运行时（containerd，或 crio、docker、k3s）在等待什么，例如无响应的磁盘或挂载，然后重启它：journalctl -u containerd; systemctl restart containerd
next_api_server = 检查节点到 API 服务器的网络：地址、防火墙、负载均衡器、证书。在节点上执行：curl -vk https://HOST:PORT/readyz
next_node_console = 从外部检查该机器（控制台、电源、云平台上的状态）及其 Node 对象：kubectl describe node { $node }
next_last_boot = 在节点上查看上一次启动的日志：journalctl -b -1 -e
next_images_disk = 查明是什么在增长：镜像、容器层、日志还是卷。在节点上执行：df -h; df -i
next_certificate = 更新证书，并查明为何没有自动轮换；其签名请求可能在等待批准：kubectl get csr
next_clock = 检查节点的时间同步：chronyc tracking; timedatectl
next_kernel_fault = 在节点上查看内核日志（journalctl -k）；如果故障反复出现，请腾空节点（会丢弃 emptyDir 卷的数据）：kubectl drain { $node } --ignore-daemonsets --delete-emptydir-data
next_conntrack = 查明是什么建立了如此多的连接；如果连接正常，请调高该限制：conntrack -C; sysctl net.netfilter.nf_conntrack_max
next_neighbours = 调高邻居表的大小限制，或使用更小的子网：ip -s neighbour; sysctl net.ipv4.neigh.default.gc_thresh3
next_open_files = 查明哪个进程打开了这些文件；如果属于正常使用，请调高该限制：cat /proc/sys/fs/file-nr; sysctl fs.file-max
next_kubelet_configuration = 修正 kubelet 指出的配置项，然后启动其服务单元（kubelet，或 k3s、k3s-agent）：journalctl -u kubelet -e; systemctl restart kubelet
next_agent = 检查该节点上的 agent Pod 及其日志：kubectl get pods -A -o wide -l app.kubernetes.io/component=agent --field-selector spec.nodeName={ $node }
next_common_path = 先检查这些节点的公共部分，再检查节点本身：API 服务器及其负载均衡、交换机、可用区、NetworkPolicy：kubectl get --raw '/readyz?verbose'

## Cluster

next_capacity = 降低 Pod 的资源请求，增加或腾出节点。如果只是总量足够，可迁移 Pod 使单个节点有足够的资源：kubectl describe nodes
next_node_labels = 修正 Pod 的 nodeSelector，或为节点添加标签：kubectl get nodes --show-labels
next_affinity = 放宽规则（用 preferred 代替 required），或增加满足规则的节点：kubectl get nodes --show-labels
next_toleration = 为 Pod 添加容忍度，或移除节点的污点：kubectl get nodes -o custom-columns=NAME:.metadata.name,TAINTS:.spec.taints
next_nodes_back = 查明节点为何不可用，或增加节点：kubectl get nodes
next_quota = 调高配额、降低请求量，或设置配额要求的值：kubectl -n { $namespace } describe resourcequota
next_limit_range = 在允许的范围内请求资源：kubectl -n { $namespace } describe limitrange
next_denied = 根据准入 Webhook 或 Pod 安全性准入的消息修改配置。
next_service_selector = 对照 selector 与 Pod 的标签：kubectl -n { $namespace } describe service { $service }; kubectl -n { $namespace } get pods --show-labels
next_target_port = 修正 targetPort；使用名称时，必须与 Pod 中的端口名称一致：kubectl -n { $namespace } edit service { $service }
next_ingress_backend = 修正后端，或在 Ingress 所在的命名空间中创建该 Service：kubectl -n { $namespace } describe ingress { $ingress }
next_volume_nodes = 对照卷的可用区和节点亲和性与现有节点，并检查节点的卷数量限制：kubectl -n { $namespace } describe pvc; kubectl describe pv
next_claim_in_use = 删除正在使用该 PersistentVolumeClaim 的 Pod，或改用允许多个 Pod 共用的访问模式（ReadWriteOnce、ReadWriteMany）：kubectl -n { $namespace } describe pvc
next_resource_claim = 检查 ResourceClaim、其 DeviceClass 以及驱动发布的 ResourceSlice：kubectl -n { $namespace } describe resourceclaims; kubectl get resourceslices
next_host_port = 使用 Service 代替 hostPort，或在每个节点上最多运行一个这样的 Pod。
next_pod_group = 检查组内的其他 Pod；必须能同时满足该组的最小数量：kubectl -n { $namespace } get pods
next_scheduler_message = 查看调度器的消息及其日志：kubectl -n { $namespace } describe pod { $pod }
next_scheduler = 检查该名称的调度器是否在运行，或修正 spec.schedulerName：kubectl get pods -A
next_scheduling_gate = 如果负责该门控的控制器工作正常，则无需处理；否则请查看其日志：kubectl -n { $namespace } get pod { $pod } -o jsonpath='{"{"}.spec.schedulingGates{"}"}'
next_webhook = 检查该 Webhook 的 Service 是否有就绪的 Pod。设置 failurePolicy: Ignore 后，请求可以不经过它：kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations
next_pod_template = 修正消息中指出的字段。
next_api_server_health = 控制器会持续重试，通常会自行恢复；否则请检查 API 服务器和 etcd：kubectl get --raw '/readyz?verbose'

## Contributing

next_cpu_limit = 调高或取消容器 { $container } 的 CPU 限制。
next_heap_limit = 将堆限制与内存限制一同调高。
next_device = 将 Pod 迁移到其他设备或节点，并检查该设备：kubectl describe node { $node }
next_memory_high = 调高内存限制或请求（kubelet 据此计算 memory.high），或减少内存用量。
next_swap = 调高内存请求（它也决定容器可用的 swap），或减少内存用量。
next_limit_applied = 比较 spec.containers[].resources 与 status.containerStatuses[].resources；调整可能仍在等待或已失败。
next_volume_full = 清理卷上的空间，或扩大其 PersistentVolumeClaim 的 spec.resources.requests.storage。
next_memory_volume = 设置该卷的 sizeLimit，或将文件保存到磁盘上。
