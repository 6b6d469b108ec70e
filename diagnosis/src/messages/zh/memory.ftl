### Out of memory.

## Headlines

oom_container_limit = 内存不足：容器达到 { $limit } 的内存限制
oom_container = 内存不足：容器达到内存限制
oom_pod_limit = 内存不足：Pod 达到 { $limit } 的内存限制
oom_pod = 内存不足：Pod 达到内存限制
oom_node = 节点内存耗尽，内核终止了该容器
oom_kubepods = 内存不足：达到节点上多个 Pod 共用的内存限制
oom_unknown = 内存不足：无法确定达到的是哪一级限制
oom_nested = 内存不足：达到了容器内部设置的限制
oom_nested_child = 内存不足：达到容器内部设置的限制，一个进程被终止，容器仍在运行
oom_beside_pod = 内存不足：Pod 达到内存限制，其容器之外的一个进程被终止
oom_beside_node = 节点内存不足：该 Pod 的容器之外的一个进程被终止
oom_child = 内存不足：一个子进程被终止，容器仍在运行
oom_exec = 内存不足：通过 exec 启动的进程被终止，容器仍在运行
oom_child_node = 节点内存不足：一个子进程被终止，容器仍在运行
oom_child_kubepods = 内存不足：达到多个 Pod 共用的内存限制，一个子进程被终止，容器仍在运行
oom_beside_kubepods = 内存不足：达到多个 Pod 共用的内存限制，该 Pod 的容器之外的一个进程被终止
oom_last_child = 内存不足：一个子进程被终止，容器随后退出
oom_at_start = 内存不足：内存限制过低，容器无法启动
oom_by_runtime_event = 容器或其 Pod 内存不足，容器随后不久退出
oom_by_counter = 很可能是内存不足：容器的 cgroup 记录到一次 OOM 终止
oom_child_by_counter = 很可能是内存不足：一个进程被终止，容器仍在运行
oom_child_by_reason = 可能是内存不足：有子进程被终止，而容器以退出码 0 结束
oom_by_reason = 可能是内存不足：仅有容器运行时这样报告
daemon_killed = 被节点上的内存不足守护进程终止：{ $daemon }
hardware_memory_error = 机器内存损坏：内核终止了使用该内存的进程

## Who was killed

oom_killed_main = 内核终止了主进程 { $process }。
oom_killed_group = 内核终止了主进程 { $process }，并一同终止了容器内的其他所有进程（memory.oom.group）。
oom_killed_group_of_child = 内核选中 { $process }，并一同终止了容器内的所有进程，包括主进程（memory.oom.group）。
oom_killed_one = 内核终止了容器内的进程 { $process }。
oom_killed_child = 内核终止了子进程 { $process }。主进程未受影响，因此 Kubernetes 不会显示该 Pod 的重启或事件。
oom_killed_exec = 内核终止了通过 exec 在容器中启动的进程 { $process }。主进程未受影响，因此 Kubernetes 不会显示该 Pod 的重启或事件。
oom_killed_starter = 内核在命令运行之前就终止了容器的第一个进程 { $process }。
oom_beside = 内核终止了 { $name }（PID { $pid }）。它属于该 Pod，但不属于其任何容器；容器运行时会运行此类进程，例如 Kata Containers 的虚拟机。
oom_killed_last_child = 内核终止了子进程 { $process }，主进程随后自行退出，退出码为 { $code }。
oom_process_memory = { $name }（PID { $pid }，{ $parts }）
oom_part_anonymous = 匿名内存 { $size }
oom_part_file = 文件内存 { $size }
oom_part_shared = tmpfs 与共享内存 { $size }
oom_part_cache = 页缓存 { $size }
oom_part_kernel = 内核内存 { $size }

## The numbers

oom_container_memory = 此前最后一次采样时，容器内存由以下部分组成：{ $parts }。
oom_cgroup_memory = 根据内核的报告，容器内存由以下部分组成：{ $parts }。
oom_memory_volume = 内存型卷（{ $volumes }）中的文件属于 tmpfs，计入内存限制。
oom_limit_not_applied = Pod 要求的限制是 { $wanted }，但容器当时仍为 { $applied }。
oom_node_available = 当时节点尚有 { $available } 可用内存。
oom_within_limit = 最近一次采样时，该容器使用了 { $usage }，未超出其 { $limit } 的内存限制。
oom_without_limit = 最近一次采样时，该容器使用了 { $usage }；它没有设置内存限制。
oom_score = 其 oom_score_adj 为 { $score }；内核优先终止该值较高的进程。
oom_grew_most = 内存增长最多的是另一个容器：五分钟内增长了 { $growth }。
oom_grew_most_itself = 内存增长最多的正是该容器：五分钟内增长了 { $growth }。
oom_shared_limit = 达到的是 { $cgroup } 的限制，该 cgroup 包含多个 Pod。

## Which limit was reached

oom_nested_limit_of = 达到的是 { $cgroup } 的限制，该 cgroup 是在容器内部创建的；容器自身的限制并未达到。
oom_pod_is_sum = 内核指出的是 Pod 的 cgroup；其限制只是各容器限制之和，因此达到的是该容器的限制。
oom_pod_equals_container = Pod 的限制与容器的限制相等。
oom_container_unlimited = 该容器自身没有设置内存限制。
oom_pod_partly_limited = Pod 中并非所有容器都设置了内存限制。
oom_pod_below_sum = Pod 的限制为 { $limit }，低于其各容器限制之和 { $sum }。
oom_no_limits = 容器及其 Pod 均没有设置内存限制。
oom_only_pod_limited = 容器没有设置内存限制，但其 Pod 设置了。
oom_only_container_limited = 容器设置了内存限制，其 Pod 没有更低的限制。未观察到内核的 oom-kill 日志行。
oom_limit_by_spec = Pod 的规约限制了该容器的内存；未观察到其 cgroup 是否达到该限制。
oom_pod_seems_alone = 内核指出的是 Pod 的 cgroup，但未观察到其自身的限制。就目前所知，该 Pod 只有一个容器，此时 Pod 的限制即为该容器的限制。
oom_undecided = 观察到的信息不足以判断达到的是哪一级限制。

## Without the kernel's own lines

oom_runtime_event = 容器运行时报告容器或其 Pod 的 cgroup 内存不足，主进程随后自行退出，退出码为 { $code }。内核终止了哪个进程尚不清楚。
oom_counter_grew = 主进程以退出码 137 结束时，容器的 cgroup 已记录到 { $count } 次 OOM 终止。内核日志无法读取。
oom_child_counted = 容器的 cgroup 记录到 { $count } 次 OOM 终止，而容器仍在运行。内核日志无法读取，因此不知道被终止的是哪个进程。Kubernetes 不会显示该 Pod 的重启或事件。
oom_child_by_reason_why = 容器运行时报告了 OOMKilled，而主进程以退出码 0 结束：内核此前终止的是容器内的另一个进程。未读取可以指明该进程的内核日志。
oom_reason_unconfirmed = 容器内的其他进程被终止时，容器运行时也会报告 OOMKilled；只有内核日志可以区分这两种情况。
oom_unlogged = 节点的内核没有记录该 Pod 中的任何 OOM 终止。使用虚拟机（例如 Kata Containers）时即是如此，因为虚拟机有自己的内核。
daemon_killed_why = 节点内存紧张时，{ $daemon } 会先于内核和 kubelet 终止进程。内核并未因容器或其 Pod 的内存限制而终止它。
hardware_memory_error_why = 硬件报告该进程使用的内存页出错，内核因此终止了该进程。程序本身没有问题，节点上的其他程序也可能受到影响。

## Evidence

oom_evidence_counter = 容器 cgroup 的 oom_kill 计数为 { $count }
oom_evidence_grown = 容器 { $container }：使用 { $usage }，比五分钟前增加 { $growth }
oom_evidence_used = 容器 { $container }：使用 { $usage }
oom_related_grown = 使用 { $usage }，比五分钟前增加 { $growth }
oom_related_used = 使用 { $usage }
oom_evidence_stray_victim = mark_victim：PID { $pid }，不属于任何已知容器
oom_not_the_node = 并非节点内存耗尽：内核指出的是内存 cgroup，而不是 global_oom
oom_reason_is_old = 上报的原因 OOMKilled 与本次结束无关：容器或其 Pod 内发生过任何 OOM 终止后，容器运行时都会保留该原因
oom_reason_is_missing = 容器运行时报告的是 Error 而不是 OOMKilled：它没有获知内核的终止操作
oom_not_observed = 并非 OOM 终止：内核 OOM 日志中没有该容器
oom_not_observed_peak = 并非 OOM 终止：内核 OOM 日志中没有该容器，其内存用量最高为 { $peak }
oom_not_observed_peak_of = 并非 OOM 终止：内核 OOM 日志中没有该容器，其内存用量最高为 { $peak }（限制 { $limit }）

## What would decide

oom_decided_by_line = 内核的 oom-kill 日志行会指出是哪个 cgroup 内存不足
oom_decided_by_log = 内核日志会显示容器内是否有进程被终止
