### States of the node: its daemons, its way to the API server, pressure, and what its kernel reports.
node_daemon_down = { $daemon ->
    [kubelet] kubelet 未运行
   *[runtime] 容器运行时未运行
}
node_daemon_ended = 其进程（PID { $pid }）已结束，且没有新进程接替。
node_daemon_ended_asked = 其进程（PID { $pid }）收到 SIGTERM 停止请求后结束，且没有新进程接替。
node_daemon_ended_signal = 其进程（PID { $pid }）被 { $signal } 终止，且没有新进程接替。
node_daemon_exited = 其进程（PID { $pid }）以退出码 { $code } 退出，且没有新进程接替。
node_daemon_refuses = 它此前可以应答，现在拒绝连接：{ $error }。
node_daemon_effect = { $daemon ->
    [kubelet] 已运行的容器不受影响，但在 kubelet 恢复之前，该节点无法启动、停止、探测或上报任何容器。
   *[runtime] 已运行的容器不受影响，但在容器运行时恢复之前，该节点无法启动、停止或查询任何容器。
}
node_daemon_loops = { $daemon ->
    [kubelet] kubelet 每次启动后很快又退出
   *[runtime] 容器运行时每次启动后很快又退出
}
node_daemon_loops_why = 其进程在最近十分钟内结束了 { $count } 次，期间始终未恢复正常。
node_daemon_last_line = 它的最后一行日志为：“{ $line }”。
node_daemon_no_process = { $daemon ->
    [kubelet] 主机上没有运行 kubelet 的进程
   *[runtime] 主机上没有进程监听容器运行时的套接字
}
node_daemon_hung = { $daemon ->
    [kubelet] kubelet 正在运行，但没有应答
   *[runtime] 容器运行时正在运行，但没有应答
}
node_daemon_halted = { $daemon ->
    [kubelet] kubelet 被信号暂停
   *[runtime] 容器运行时被信号暂停
}
node_kubelet_stalled = kubelet 仍有应答，但已有数分钟没有同步 Pod
node_daemon_stopped = 其进程（PID { $pid }）被信号暂停（状态 T），在收到 SIGCONT 之前不会执行任何操作。
node_daemon_silent = { $daemon ->
    [kubelet] 自 { $since } 起，它没有应答 GET /healthz。
   *[runtime] 自 { $since } 起，它没有应答 CRI 的 Version 调用。
}
node_daemon_unreachable = 其进程（PID { $pid }）正在运行，但无法连接其接口：{ $error }。
node_daemon_unwell = 它报告自身状态不正常：{ $message }。
node_quoted = “{ $text }”
node_daemon_unseen = 其进程和套接字可表明它是否在运行
node_daemon_no_answer = 在期限内没有应答
node_kubelet_misconfigured = kubelet 无法启动：其配置未被接受
node_kubelet_misconfigured_why = 它每次启动后很快退出，并报告：“{ $line }”。
node_api_server = { $step ->
    [dns] 节点无法解析 API 服务器的名称
    [tcp] 节点无法连接 API 服务器
    [tls] 节点无法与 API 服务器建立 TLS 连接
   *[ready] API 服务器未就绪或无响应
}
node_api_server_why = { $step ->
    [dns] { $address } 中的名称无法解析：{ $error }。
    [tcp] 无法连接 { $address }：{ $error }。
    [tls] { $address } 接受连接，但 TLS 握手失败：{ $error }。
   *[ready] { $address } 接受连接，但 GET /readyz 失败：{ $error }。
}
node_api_server_step = { $address }：{ $step }：{ $error }
node_api_server_effect = 节点上的容器继续运行。Lease 不再续约后，Kubernetes 会将节点标记为 Unknown，随后驱逐其上的 Pod。
node_memory_pressure = 节点内存不足
node_disk_pressure = 节点磁盘空间或 inode 不足
node_pid_pressure = 节点的进程 ID 不足
node_pressure_reported = kubelet 设置了状况 { $condition }：{ $message }。在压力消除之前，它会驱逐 Pod，且只有容忍相应污点的 Pod 才会被调度到该节点。
node_memory_left = 共 { $total } 内存，可用 { $available }。
node_memory_stalled = 在最近十秒中，有 { $percent } % 的时间有任务在等待内存，节点上的守护进程可能无法及时应答。
node_inodes_left = { $path } 共 { $total } 个 inode，剩余 { $available } 个。
node_disk_left = { $path } 共 { $size }，剩余 { $available }。
node_pids_left = 共 { $max } 个进程 ID，已使用 { $current } 个。
node_network = 节点的网络插件未就绪
node_network_why = 容器运行时报告：{ $message }。在插件安装并初始化之前，不使用主机网络的 Pod 无法在此启动。
node_certificate_expired = kubelet 的服务证书已过期
node_certificate_why = 该证书的有效期至 { $expired }。校验证书的客户端无法再访问 kubelet：kubectl logs 和 exec 会因此失败，也无法采集指标。
node_client_certificate_expired = kubelet 的客户端证书已过期
node_client_certificate_why = kubelet 结束前报告：“{ $line }”。API 服务器会拒绝该证书，节点将变为 Unknown，其上的 Pod 随后被驱逐。
node_client_certificate_file = { $path } 中的证书是 kubelet 向 API 服务器进行身份认证所用，有效期至 { $expired }。此后节点变为 Unknown，而 kubelet 仍在运行，且从本节点可以访问 API 服务器。
node_client_certificate_expires = kubelet 的客户端证书即将过期
node_client_certificate_expires_why = { $path } 中的证书是 kubelet 向 API 服务器进行身份认证所用，有效期至 { $expires }。kubelet 会在证书有效期过去 70% 到 90% 时更新证书，而这一证书尚未更新。证书过期后，API 服务器会拒绝该 kubelet，节点将变为 Unknown。
node_clock_ahead = 节点时钟快了 { $offset }
node_clock_behind = 节点时钟慢了 { $offset }
node_clock_why = 证书和令牌可能被判定为已过期或尚未生效；时钟回拨后，API 服务器会在同样长的时间内忽略该节点的 Lease。
node_clock_compared = { $reference ->
    [api_server] 与 API 服务器的 Date 响应头相比：{ $offset }
   *[aggregator] 与聚合器的时钟相比：{ $offset }
}
node_kernel_fault = { $kind ->
    [HUNG_TASK] 内核报告有任务长时间阻塞
    [SOFT_LOCKUP] 节点的一个处理器卡在内核中
    [HARD_LOCKUP] 节点的一个处理器不响应中断
    [RCU_STALL] 内核报告处理器或任务停滞（RCU）
    [WORKQUEUE_LOCKUP] 内核的延迟任务停滞不前
    [BAD_PAGE] 内核发现其内存记录已损坏
    [OOPS] 节点的内核触发了缺陷
    [PANIC] 节点的内核崩溃（panic）
    [FILE_SYSTEM_READ_ONLY] 节点的一个文件系统变为只读
    [FILE_SYSTEM_ERROR] 节点的一个文件系统出现错误
    [IO_ERROR] 节点的一个磁盘读写失败
    [GPU_XID] 节点的一个 GPU 发生故障
   *[other] 节点的内核报告了故障
}
node_kernel_fault_why = 内核报告：“{ $line }”。
node_kernel_fault_count = 自 { $since } 起，内核已报告 { $count } 次。
node_read_only_mount = { $path } 处的文件系统此前可写，现在为只读。对它的写入都会失败，容器也不例外。
node_volume_hung = 有进程在等待没有响应的存储卷
node_disk_hung = 有进程在等待没有响应的磁盘
node_volume_hung_why = { $count ->
    [1] 自 { $since } 起，有一个进程在内核中等待。在服务器或磁盘应答、或强制卸载该挂载之前，该进程无法终止。
   *[other] 有 { $count } 个进程在内核中等待，最早自 { $since } 起。在服务器或磁盘应答、或强制卸载该挂载之前，这些进程无法终止。
}
node_volume_server = 内核报告 NFS 服务器 { $server } 没有响应。
node_volume_waiting = { $process }（PID { $pid }）在 { $channel } 中等待
node_conntrack_full = 连接跟踪表已达到最大容量，新连接可能被丢弃
node_conntrack_full_why = 表满时，内核会丢弃新连接的数据包，包括探针、DNS 和 Service 的连接；已建立的连接不受影响。
node_neighbours_full = 邻居表已满，无法解析地址
node_neighbours_full_why = 内核无法再解析其子网内更多主机的地址，与这些主机的连接会失败。
node_files_exhausted = 节点打开的文件数达到内核限制
node_files_exhausted_why = 达到限制时，没有 CAP_SYS_ADMIN 的进程都无法再打开文件或建立连接。
node_table_fill = 共 { $limit } 个表项，已使用 { $count } 个。
