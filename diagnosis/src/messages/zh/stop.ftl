### Ends on request: who asked, and how the container obeyed.

## How it was obeyed

stop_obeyed = 已按请求停止
stop_obeyed_for = 已按请求停止：{ $reason }
stop_killed_after = 未能在 { $waited }内停止，被强制终止
stop_killed_after_for = 收到停止请求 { $waited }后仍未停止，被强制终止：{ $reason }
stop_at_once = 被容器运行时立即终止，未给宽限期
stop_at_once_for = 未给宽限期即被终止：{ $reason }
stop_killed = 被容器运行时终止；此前是否要求停止尚不清楚
stop_killed_for = 被终止，可能已超过宽限期：{ $reason }
stop_obeyed_after = 容器运行时向主进程发送 { $signal }，进程在 { $took }后结束。
stop_ignored = 容器运行时向主进程发送 { $signal }，{ $waited }后进程仍在运行，于是发送 SIGKILL（退出码 137）。并非 OOM 终止。
stop_ignored_unsure = 容器运行时向主进程发送 { $signal }，{ $waited }后进程仍在运行，于是发送 SIGKILL（退出码 137）。
stop_ignored_kubelet = 容器运行时向主进程发送 { $signal }，{ $waited }后进程仍在运行，于是 kubelet 发送 SIGKILL（退出码 137）。
stop_without_signal = 容器运行时直接向主进程发送 SIGKILL，此前没有要求它停止。
stop_before_unknown = 容器运行时向主进程发送 SIGKILL。此前是否要求它停止尚不清楚，因为对信号的观察时间不够长。
stop_unobserved = 未观察到它收到了哪些信号。
stop_unobserved_kill = 它以退出码 137 结束，与收到 SIGKILL 的情形一致；未观察到它收到了哪些信号。
stop_forgotten = 停止请求早于结束 { $kept }以上。信号记录不会保留更久，因此无法得知它当时是否收到信号。
stop_looks_alike = 就已观察到的信息而言，没有宽限期的停止与此相同

## Docker

docker_ignored = Docker 按请求向主进程发送 { $signal }，{ $waited }后进程仍在运行，于是 Docker 发送 SIGKILL。
docker_without_signal = Docker 按请求直接向主进程发送 SIGKILL，此前没有发送其他信号。
docker_before_unknown = Docker 按请求向主进程发送 SIGKILL。此前是否有停止请求尚不清楚。
docker_obeyed = Docker 按请求向主进程发送 { $signal }，进程在 { $took }后结束。

## Killed by others

killed_by = 被节点上的进程终止：{ $name } 发送了 { $signal }
killed_by_sender = { $sender }向主进程发送了 { $signal }。发送者不是内核、kubelet 或容器运行时。
killed_by_container = 被其他容器中的进程终止：{ $name } 发送了 { $signal }
killed_from_inside = 被容器内部的进程终止：{ $name } 发送了 { $signal }
killed_from_inside_sender = { $sender }向主进程发送了 { $signal }。发送者运行在同一容器中，例如由 kubectl exec 启动的命令。
killed_by_sibling = 被同一 Pod 的容器 { $container } 终止：{ $name } 发送了 { $signal }
killed_by_container_sender = { $sender }向主进程发送了 { $signal }。发送者运行在同一 Pod 的容器 { $container } 中。
killed_by_other_pod = { $sender }向主进程发送了 { $signal }。发送者运行在另一个 Pod 的容器中。
sandbox_died = Pod 的沙箱先行结束，容器随之结束
sandbox_died_why = 在要求容器停止之前，Pod 的沙箱已以退出码 { $code } 结束。kubelet 随后停止 Pod 的所有容器并重新启动。
sandbox_exit = 沙箱以退出码 { $code } 退出

## Who deleted the pod

reason_deleted = Pod 被删除
reason_owner_deleted = { $kind } { $name } 被删除
reason_job_failed = Job { $name } 失败（{ $why }）
reason_job_suspended = Job { $name } 被挂起
reason_job_complete = Job { $name } 已完成（{ $why }）
reason_rollout = { $kind } { $name } 滚动更新
reason_scaled_down = { $kind } { $name } 缩容到 { $replicas } 个副本
reason_redefined = 容器的定义已更改
reason_resized = 调整资源需要重启容器
reason_announced = kubelet 停止了该容器
deleted = Pod 被删除，宽限期为 { $grace }。
deleted_now = Pod 被删除。
deleted_of = 该 Pod 属于 { $kind } { $name }，未发现其滚动更新或缩容。
deleted_of_unknown = 该 Pod 属于 { $kind } { $name }。
belongs_to_below = 该 Pod 属于 { $above } { $top } 的 { $kind } { $name }。
owner_deleted = { $kind } { $name } 被删除，其 Pod 也一并删除。
owner_deleted_below = { $above } { $top } 的 { $kind } { $name } 被删除，其 Pod 也一并删除。
job_reported = Job 控制器因此删除了 Job { $name } 仍在运行的 Pod：“{ $message }”。
rolled_out_to = { $kind } { $name } 滚动更新到修订版本 { $revision }，该 Pod 被替换。
rolled_out = { $kind } { $name } 滚动更新，该 Pod 被替换。
scaled_down = { $kind } { $name } 缩容到 { $replicas } 个副本。

## Probes and hooks

probe_liveness_failed =
    { $count ->
        [1] 存活探针失败
       *[other] 存活探针连续失败 { $count } 次
    }，容器被 kubelet 重启
probe_liveness_failed_some = 存活探针失败，容器被 kubelet 重启
probe_startup_failed = 启动探针未能及时成功，容器被 kubelet 重启
probe_liveness_ended =
    { $count ->
        [1] 存活探针失败
       *[other] 存活探针连续失败 { $count } 次
    }，容器被 kubelet 停止
probe_liveness_ended_some = 存活探针失败，容器被 kubelet 停止
probe_startup_ended = 启动探针未能及时成功，容器被 kubelet 停止
probe_asks = 探针 { $what } 每 { $period }执行一次，应答时限为 { $timeout }。
probe_got = 最近一次结果：“{ $answer }”。
probe_got_unknown = 未观察到 kubelet 的事件，因此不知道探针的结果。
probe_kill_inferred = 未观察到 kubelet 关于终止本身的事件。
cpu_throttled = 在 { $periods } 个调度周期中，容器有 { $throttled } 个因 CPU 限制受到限流，程序可能只是运行过慢。
cpu_throttled_periods = 在 { $periods } 个调度周期中有 { $throttled } 个受到限流
memory_throttled = 容器使用的内存超过 memory.high，内核减慢了其进程，程序可能只是运行过慢。
memory_throttled_sampled = memory.events 的 high 持续增长，memory.pressure 显示所有进程大部分时间都在等待内存
swap_thrashing = 容器已用完可用的 swap，大部分时间都在等待内存，程序可能只是运行过慢。
swap_thrashing_sampled = memory.swap.current 接近 memory.swap.max，memory.pressure 显示所有进程大部分时间都在等待内存
hook_post_start_failed = 被 kubelet 停止：postStart 回调失败
hook_reported = 回调的失败信息：“{ $message }”。

## Restart rules

rule_applied = 因另一个容器退出，被 Pod 的重启规则停止
rule_trigger = Pod 的 restartPolicyRules 要求重启所有容器：“{ $trigger }”。
rule_removed = kubelet 在没有宽限期的情况下移除了该容器；退出码 { $code } 不是程序给出的。
