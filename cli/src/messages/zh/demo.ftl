### The demo: what it shows, and why it cannot go on.

## What it shows

demo_begins = 演示在本机启动五个容器，它们会真实地终止。agent 在没有 Kubernetes 和容器运行时的情况下观测，诊断经聚合器的 gRPC 数据流送达。
demo_sources = 来源：
demo_no_verdict = { $seconds } 秒内没有诊断结果
demo_latency = 在容器终止 { $latency }后送达。
demo_after = { $latency }
demo_all_explained = 五次终止均已得到解释。
demo_not_explained = 未能解释：{ $pods }。在本机上无法完整观测的来源：{ $sources }。
demo_no_source = 无
demo_nothing = 没有诊断结果
scene_oom_main = 容器主进程的内存用量超过 32 MiB 的限制
scene_oom_child = 子进程的内存用量超过限制，主进程继续运行
scene_segfault = 程序读取地址 0
scene_exit_137 = 程序自行以退出码 137 退出，看似 SIGKILL，实则不是
scene_kill_9 = 容器外的进程发送 SIGKILL

## What it needs

needs_linux = 此命令观测其所在的机器，该机器须运行 Linux
needs_root = 演示需要 root 权限，以创建 cgroup 并读取内核日志：sudo coroner demo
needs_program = { $path } 不存在；coroner、coroner-agent 和 coroner-aggregator 这三个程序须位于同一目录
needs_memory_cgroups = 演示需要能够统计内存的 cgroup，但没有挂载这样的层级；如果在容器中运行，请改在主机上运行
needs_cgroup = 无法创建 cgroup { $path }：{ $error }。演示需要可写的 cgroup；如果在容器中运行，请改在主机上运行
needs_cgroup_value = 无法将 { $value } 写入 { $path }：{ $error }。演示需要可写的 cgroup；如果在容器中运行，请改在主机上运行

## What failed

failed_call = { $call } 失败：{ $error }
failed_read = 无法读取 { $path }：{ $error }
failed_create = 无法创建 { $path }：{ $error }
failed_remove = 无法删除 { $path }：{ $error }
failed_start = 无法启动 { $program }：{ $error }
failed_container = { $pod } 的容器未能在 { $seconds } 秒内启动
failed_sources = agent 的来源未能在 { $seconds } 秒内就绪：{ $sources }
failed_feed = 聚合器结束了数据流
cgroup_busy = cgroup { $path } 仍在使用中；请稍后用 rmdir 由内到外逐级删除
daemon_ended = { $program } 提前结束（{ $how }）；{ $log }
daemon_not_ready = { $program } 未能在 { $seconds } 秒内就绪；{ $log }
daemon_not_stopped = { $program } 未能在 { $seconds } 秒内停止，已被强制终止
ended_somehow = 如何结束不明
log_ends = 日志的最后一行：{ $line }
log_is_empty = 没有任何日志
interrupted = 已中断
victim_not_stopped = 已使用 { $used } 内存，仍未达到任何限制
