### Why a source does not observe everything, and why a check of the node is not made.

health_quoted = { $text }
health_both = { $first }；{ $second }
health_each = { $reasons }
health_not_started = 尚未启动
health_not_listed = 尚未列出
health_not_recorded = 未录制
health_restarted = 其任务正在重新启动：{ $error }
health_restarted_ended = 其任务已结束，正在重新启动
health_restarted_panicked = 其任务发生 panic，正在重新启动：{ $fault }

## Files and calls

health_call_failed = { $call } 失败：{ $error }
health_unreadable = 无法读取 { $path }：{ $error }
health_not_created = 无法创建 { $path }：{ $error }
health_no_directory = 目录 { $path } 不存在
health_removed = { $path } 已被删除

## Container runtimes

health_cannot_connect = 无法连接 { $endpoint }：{ $error }
health_no_socket = 该节点没有 { $daemon } 的套接字
health_socket_hidden = 无法查看 { $socket }：{ $error }
health_switched_off = { $daemon } 已在配置中停用
health_another_runtime = 容器运行时不是 { $daemon }
health_no_answer = { $call } 在 { $limit }内没有应答
health_stream_ended = 容器运行时结束了 { $stream } 的数据流
health_reader_failed = 读取 { $stream } 的任务失败
health_containers_beyond = 超出 { $capacity } 个的容器和沙箱不再跟踪
health_containers_beyond_count = 有 { $count } 个容器和沙箱超出 { $capacity } 个的容量，未被跟踪
health_containers_uninspected = 有 { $count } 个容器无法查询详情

## The API server

health_no_cluster = agent 不在集群中运行，也没有设置 --kubeconfig
health_no_kubeconfig = 无法使用 kubeconfig { $path }：{ $error }
health_no_client = 无法使用 API 服务器：{ $error }
health_watch_refused = 没有 list 和 watch { $resource } 的权限：{ $error }
health_watch_unknown = API 服务器没有 { $resource }
health_watch_broken = 监视 { $resource } 失败：{ $error }
health_watch_failed = 监视 { $resource } 失败，API 服务器返回 { $code }：{ $error }
health_events_wait = 最多同时监视 { $watched } 个 Pod 的事件；另有 { $waiting } 个在等待

## The kubelet

health_kubelet_no_address = 节点地址未知：请设置 --kubelet-url 或 NODE_IP
health_kubelet_no_client = { $setting } 无法使用：{ $error }
health_kubelet_no_certificate = { $path } 中没有证书
health_kubelet_untrusted = 其证书不受信任（{ $why }）：请在其配置中启用 serverTLSBootstrap，或为该 agent 设置 --kubelet-ca 或 --kubelet-insecure-tls
health_kubelet_not_asked = 尚未查询
health_kubelet_unwell = /healthz：{ $answer }
health_kubelet_refuses = 它拒绝连接
health_kubelet_hangs = 它没有响应：/healthz 在 { $limit }内没有应答
health_kubelet_partly = 它运行正常，但以下接口不可用：{ $failures }
health_kubelet_token_slow = 使用 agent 的令牌时，在 { $limit }内没有应答，不使用令牌时则有应答：API 服务器审核该令牌较慢
health_silent = 在 { $limit }内没有应答
health_status = HTTP 状态码 { $status }
health_status_body = HTTP 状态码 { $status }：{ $body }
health_answer_unreadable = 无法读取应答：{ $error }
health_answer_unexpected = 应答的内容不符合预期：{ $error }
health_endpoint_failed = { $path }：{ $error }
health_endpoint_silent = { $path }：在 { $limit }内没有应答
health_endpoint_status = { $path }：状态码 { $status }
health_endpoint_unreadable = { $path }：无法读取应答：{ $error }
health_endpoint_unexpected = { $path }：应答的内容不符合预期：{ $error }

## File systems and logs

health_no_file_system = 没有 kubelet 或容器运行时的目录
health_file_system_silent = { $path } 没有响应
health_file_system_panicked = 查询 { $path } 的线程发生 panic
health_file_system_no_thread = 没有线程可用于查询 { $path }：{ $error }
health_logs_off = 已停用：日志内容不会离开节点
health_logs_late = { $path } 所在的文件系统在 { $limit }内没有应答
health_log_unreadable = 无法读取容器的日志：{ $error }
health_log_panicked = 读取容器的日志时发生 panic
health_nameless = 有 { $count } 个容器名称未知：日志的文件名被截断，或数量过多

## Cgroups

health_no_cgroups = { $path } 中没有 cgroup
health_cgroups_beyond = 有 { $count } 个 cgroup 超出 { $capacity } 个的容量，未被监视
health_cgroups_no_instance = inotify 实例已用尽：请调高 fs.inotify.max_user_instances
health_cgroups_no_watches = inotify 监视项已用尽，部分 cgroup 每 30 秒才读取一次：请调高 fs.inotify.max_user_watches
health_cgroups_no_watch = 无法监视 { $path }：{ $error }
health_cgroups_no_notice = 无法订阅 cgroup 内存不足的通知：{ $path }：{ $error }
health_cgroups_no_memory = 内核没有按 cgroup 统计内存（cgroup_disable=memory？）

## The kernel

health_no_kernel_log = { $path } 不是内核日志
health_kernel_log_empty = 内核日志的设备没有返回任何内容
health_syslog_failed = { $refusal }；syslog(2) 失败：{ $error }
health_syslog_no_times = { $refusal }；syslog(2) 不提供时间，因为 printk.time 已关闭
health_syslog = { $refusal }；改为在内核输出日志时通过 syslog(2) 读取
health_syslog_polled = { $refusal }；改为每秒通过 syslog(2) 读取一次，原因是：{ $why }
health_no_tracefs = { $path } 没有 tracefs
health_tracefs_not_mounted = tracefs 没有挂载在 { $path }，也无法挂载：{ $error }
health_no_perf = perf_event_open 失败：{ $error }（需要 CAP_PERFMON）
health_signals_untraced = 内核不跟踪信号：{ $error }
health_victims_untraced = 内核不跟踪被 OOM 终止的进程：{ $why }
health_no_agent = { $path } 中没有 agent 自身的进程：{ $error }
health_connector_needs = 进程连接器（process connector）需要 CAP_NET_ADMIN：{ $error }
health_connector_network = 进程连接器（process connector）只能在节点的网络命名空间中使用
health_connector_namespace = 进程连接器（process connector）只在节点的 PID 和用户命名空间中应答（hostPID）
health_no_connector = 内核没有进程连接器（process connector）：{ $error }

## The agent itself

health_memory_only = 记录只保存在内存中：{ $why }
health_case_files_full = 该节点上的容器数量超过案卷可保存的最大值，部分容器未被观察

## The aggregator

health_cluster_uid_refused = 无法获取命名空间 { $namespace }（其 uid 即集群的 uid）：{ $error }
health_cluster_uid_unknown = 无法获取命名空间 { $namespace }：{ $error }；在此之前不监视任何对象
health_cluster_uid_silent = 无法获取命名空间 { $namespace }：在 { $limit }内没有应答；在此之前不监视任何对象
health_objects_beyond = 对象数量超过可保存的最大值
health_unwatched = 未监视：聚合器已使用 { $used } 内存，其内存限制为 { $limit }；请调高该限制
health_unscheduled_only = 只监视尚未调度到节点的 Pod：聚合器已使用 { $used } 内存，其内存限制为 { $limit }；请调高该限制
health_watch_restarted = 监视正在重新启动：{ $error }
health_watch_restarted_ended = 所有监视均已结束，正在重新启动
health_watch_restarted_panicked = 监视发生 panic，正在重新启动：{ $fault }

## Checks of the node

health_check_unreadable = 无法读取：{ $paths }
health_check_no_kubelet = kubelet 的地址未知
