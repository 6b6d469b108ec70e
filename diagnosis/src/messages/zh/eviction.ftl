### Evictions by the kubelet.
evicted_memory = 被驱逐：节点内存不足
evicted_disk = 被驱逐：节点磁盘空间不足
evicted_inodes = 被驱逐：节点 inode 不足
evicted_pids = 被驱逐：节点进程 ID 不足
evicted_limit = 被驱逐：超出存储限制
evicted_left_bytes = 当时可用 { $available }，低于驱逐阈值 { $threshold }。
evicted_left_inodes = 当时可用 { $available } 个 inode，低于驱逐阈值 { $threshold } 个。
evicted_left_pids = 当时可用 { $available } 个进程 ID，低于驱逐阈值 { $threshold } 个。
evicted_signals = 驱逐信号：{ $signals }。
evicted_used_more = 它的用量超过请求，而 kubelet 优先驱逐此类 Pod：{ $consumers }。
evicted_consumer = 容器 { $container } 使用 { $used }，请求 { $request }
evicted_consumer_unrequested = 容器 { $container } 使用 { $used }，没有设置请求
evicted_consumer_count = 容器 { $container } 使用 { $used }
evicted_ranked_by_priority = kubelet 优先驱逐用量超过请求的 Pod，其次是优先级低的 Pod；该 Pod 的优先级为 { $priority }。
evicted_ranked = kubelet 优先驱逐用量超过请求的 Pod，其次是优先级低的 Pod；该 Pod 的优先级为 { $priority }，QoS 类为 { $qos }。
evicted_empty_dirs = 此外，其 emptyDir 卷占用 { $size }。
evicted_peak = 测得的最高用量为 { $size }。

## Evidence

evicted_signal_bytes = { $signal }：剩余 { $left }（共 { $all }），阈值 { $threshold }
evicted_signal_count = { $signal }：剩余 { $left }（共 { $all }），阈值 { $threshold }
evicted_working_set = Pod 的工作集内存为 { $size }
evicted_storage_used = Pod 使用了 { $size } 本地存储
evicted_inodes_used = Pod 使用了 { $count } 个 inode
evicted_processes = Pod 有 { $count } 个进程
evicted_volume_held = 卷 { $volume } 占用 { $size }
