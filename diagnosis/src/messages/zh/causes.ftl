### The catalogue of causes: what each means, and the headings of its parts.

## Memory

cause_oom_container_limit = 容器达到内存限制，内核终止了其中的一个进程。
cause_oom_pod_limit = Pod 达到 Pod 级内存限制，内核终止了其中的一个进程。
cause_oom_node = 节点内存耗尽，内核终止了一个进程；占用内存的可能是其他进程。
cause_oom_nested_limit = 达到了工作负载自己在容器内部设置的内存限制，内核因此终止了一个进程。
cause_killed_by_oom_daemon = 终止进程或整个 cgroup 的不是内核，而是节点上的内存不足守护进程（OOM daemon）。
cause_hardware_memory_error = 进程使用了机器上已损坏的内存，内核因此终止了它。

## Eviction and removal

cause_evicted_memory = 节点内存不足，kubelet 驱逐了该 Pod。
cause_evicted_disk = 节点的文件系统空间不足，kubelet 驱逐了该 Pod。
cause_evicted_inodes = 节点文件系统的 inode 不足，kubelet 驱逐了该 Pod。
cause_evicted_pids = 节点的进程 ID 不足，kubelet 驱逐了该 Pod。
cause_evicted_ephemeral_storage_limit = Pod、容器或 emptyDir 卷超出存储限制，kubelet 驱逐了该 Pod。
cause_evicted_by_api = Pod 通过驱逐 API 被移除，通常来自节点腾空（drain）或自动扩缩容。
cause_evicted_by_taint = 节点上的 NoExecute 污点使该 Pod 被移除。
cause_preempted = 为给优先级更高的 Pod 腾出资源，该 Pod 被移除。
cause_deadline_exceeded = Pod 的运行时间超过了 activeDeadlineSeconds。
cause_node_shutdown = 节点优雅关闭（graceful shutdown），该 Pod 随之结束。
cause_evicted_by_device_taint = Pod 所用设备上的污点使该 Pod 被移除。
cause_removed_with_node = 节点被删除或失联，Pod 随之被移除。

## Ended by a signal or by itself

cause_liveness_probe_failed = 存活探针连续失败次数达到阈值，kubelet 停止了容器。
cause_startup_probe_failed = 启动探针未能及时成功，kubelet 停止了容器。
cause_grace_period_exceeded = 容器未能在宽限期内停止，被强制终止。
cause_pids_limit_reached = 容器或 Pod 达到进程数限制，程序因此退出。
cause_sandbox_died = Pod 的沙箱结束，其中的容器随之结束。
cause_stopped_by_request = 容器收到停止请求，并按时停止。
cause_killed_externally = Kubernetes 和容器运行时之外的进程向容器发送了致命信号。
cause_crash_segfault = 程序访问了无效内存而崩溃（段错误，SIGSEGV）。
cause_crash_abort = 程序主动中止（SIGABRT），例如断言失败或堆损坏。
cause_crash_bus_error = 程序访问了文件或设备无法提供的内存而崩溃（总线错误，SIGBUS）。
cause_crash_illegal_instruction = 程序执行了非法指令或 CPU 不支持的指令而崩溃（SIGILL）。
cause_crash_arithmetic = 程序因算术错误（例如除以零）而崩溃（SIGFPE）。
cause_crash_seccomp = 程序发起了 seccomp 配置禁止的系统调用（SIGSYS）。
cause_application_exit = 程序自行退出，退出码不为 0。
cause_completed_unexpectedly = 程序以退出码 0 退出，但它本应持续运行。
cause_status_fabricated = 退出状态由 kubelet 或容器运行时补填，并非真实退出状态。
cause_unattributed = 原因不明：观察到的信息不足以判定。
cause_stopped_by_restart_rule = Pod 的重启规则因另一个容器退出而停止了该容器。

## Never started

cause_command_not_found = 镜像中不存在该命令、其解释器或其动态加载器。
cause_command_not_executable = 命令存在，但没有可执行权限。
cause_command_missing = Pod 和镜像都没有指定命令。
cause_wrong_architecture = 命令是为其他 CPU 架构构建的，或不是可执行的格式。
cause_image_not_found = 镜像仓库中没有该镜像。
cause_image_name_invalid = 镜像名称无效。
cause_image_unauthorized = 镜像仓库拒绝访问该镜像。
cause_image_registry_unreachable = 无法连接镜像仓库，或镜像仓库工作异常。
cause_image_pull_throttled = 镜像仓库因速率限制拒绝了拉取。
cause_image_pull_timeout = 镜像拉取超时。
cause_image_never_pull = 节点上没有该镜像，且不允许拉取（imagePullPolicy 为 Never）。
cause_image_platform_mismatch = 镜像没有适用于该节点平台的变体。
cause_configmap_missing = Pod 引用了不存在的 ConfigMap。
cause_secret_missing = Pod 引用了不存在的 Secret。
cause_config_key_missing = Pod 引用了 ConfigMap 或 Secret 中不存在的键。
cause_volume_mount_failed = 卷无法挂接或挂载。
cause_volume_claim_unbound = Pod 使用的 PersistentVolumeClaim 尚未绑定或不存在。
cause_read_only_volume = 程序向以只读方式挂载的文件系统写入数据。
cause_security_policy_violation = 容器的安全设置不允许按镜像要求的方式运行。
cause_container_create_failed = 容器运行时无法创建容器。
cause_sandbox_network_failed = 无法为 Pod 配置网络。
cause_post_start_hook_failed = postStart 回调失败，kubelet 停止了容器。
cause_pre_stop_hook_failed = 容器的 preStop 回调失败。
cause_rejected_by_node = kubelet 拒绝接纳该 Pod。
cause_image_unpack_failed = 镜像已拉取，但节点无法存储或解压。
cause_image_format_unsupported = 容器运行时不支持该镜像的格式。
cause_image_rejected_by_policy = 节点的签名策略或镜像仓库的策略拒绝了该镜像。
cause_image_volume_failed = 无法拉取或挂载 Pod 以卷形式使用的镜像。
cause_sandbox_create_failed = 无法创建 Pod 的沙箱。
cause_device_prepare_failed = 无法在节点上为 Pod 准备设备。

## Running but not well, or not ending

cause_readiness_probe_failed = 容器正在运行，但未就绪。
cause_stuck_on_finalizer = Pod 正在删除，但被 Finalizer（终结器）阻止。
cause_stuck_on_process = Pod 正在删除，但有进程无法终止。
cause_stuck_on_lost_node = Pod 正在删除，但其所在节点没有响应。
cause_resize_infeasible = 节点无法满足原地调整（resize）所请求的资源。
cause_resize_deferred = 原地调整（resize）正在等待节点释放足够的资源。
cause_resize_failed = 原地调整（resize）未能生效。
cause_volume_hung = 有进程在内核中等待没有响应的存储卷或磁盘。

## Node

cause_kubelet_down = kubelet 未运行。
cause_kubelet_hung = kubelet 正在运行，但没有响应。
cause_runtime_down = 容器运行时未运行。
cause_runtime_hung = 容器运行时正在运行，但没有响应。
cause_api_server_unreachable = 节点工作正常，但无法连接 API 服务器。
cause_node_unreachable = agent 和 kubelet 均无响应：节点或其网络已失联。
cause_node_rebooted = 节点已重启。
cause_node_memory_pressure = 节点内存不足。
cause_node_disk_pressure = 节点磁盘空间或 inode 不足。
cause_node_pid_pressure = 节点的进程 ID 不足。
cause_node_network_not_ready = 节点的网络插件缺失或出现故障。
cause_certificate_expired = 节点的证书已过期。
cause_certificate_expiring = 节点的证书即将过期，且尚未更新。
cause_clock_skewed = 节点的时钟不准确。
cause_kernel_fault = 节点的内核报告了故障。
cause_conntrack_full = 节点的连接跟踪表已满，新连接可能被丢弃。
cause_neighbour_table_full = 节点的邻居表已满，无法解析地址。
cause_files_exhausted = 节点打开的文件数已达到内核的最大值。
cause_kubelet_misconfigured = kubelet 因配置问题无法启动。
cause_node_removed = 节点被有意腾空、缩容或删除。
cause_agent_silent = 该节点的 agent 不再上报，但节点本身工作正常。
cause_control_plane_unreachable = 大量节点同时失去响应，或无法访问 API 服务器：问题很可能出在公共路径上。

## Cluster

cause_unschedulable_resources = 没有节点具备该 Pod 所需的空闲资源。
cause_unschedulable_node_selector = 没有节点带有该 Pod 要求的标签。
cause_unschedulable_affinity = 没有节点满足该 Pod 的亲和性规则。
cause_unschedulable_taint = 节点上存在该 Pod 无法容忍的污点。
cause_unschedulable_no_nodes = 没有可调度的节点：节点均被隔离、未就绪或不存在。
cause_quota_exceeded = 命名空间的 ResourceQuota 不允许创建这些 Pod。
cause_limit_range_violated = Pod 的资源超出了命名空间的 LimitRange。
cause_admission_denied = 准入 Webhook 或 Pod 安全性准入拒绝创建 Pod。
cause_service_without_endpoints = 该 Service 没有对应的 Pod。
cause_service_port_mismatch = 该 Service 的 targetPort 与 Pod 的端口不匹配。
cause_ingress_backend_missing = 该 Ingress 引用了不存在的 Service 或端口。
cause_unschedulable_volume = 卷将该 Pod 限定在无法运行它的节点上。
cause_unschedulable_device = 没有节点具备该 Pod 的 ResourceClaim 所请求的设备。
cause_unschedulable_host_port = 该 Pod 请求的主机端口在所有节点上均被占用。
cause_unschedulable_pod_group = 必须与该 Pod 一同调度的 Pod 组无法满足。
cause_unschedulable_other = 没有节点接受该 Pod，原因仅见于调度器的消息。
cause_scheduling_gated = Pod 正在等待其调度门控（schedulingGates）被移除。
cause_admission_webhook_failed = 必须调用的准入 Webhook 无法访问。
cause_pod_spec_invalid = Pod 模板无效。
cause_pod_create_failed = API 服务器未能创建 Pod。

## Contributing

cause_cpu_throttled = CPU 限制使程序运行变慢。
cause_heap_limit = 语言运行时达到了其堆限制。
cause_memory_backed_volume = 内存型卷（medium: Memory）中的文件计入容器内存。
cause_device_failed = Pod 的设备损坏或不健康。
cause_memory_throttled = 程序使用的内存超过 memory.high，被内核减速。
cause_swap_thrashing = 内存页频繁换出换入，程序一直在等待。
cause_limit_not_applied = Pod 中的限制尚未应用到正在运行的容器。
cause_volume_full = Pod 的卷已没有剩余空间或 inode。

## The parts of the catalogue

chapter_memory = 内存
chapter_eviction = 驱逐与移除
chapter_end = 因信号结束或自行退出
chapter_start = 未能启动
chapter_unwell = 运行异常或无法结束
chapter_node = 节点
chapter_cluster = 集群
chapter_contributing = 促成因素
