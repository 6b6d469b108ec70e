### How verdicts came about: `coroner replay --explain`.

## Steps

step_held = { $at }：{ $cause } 在 { $until } 之前未报告：{ $why }。
step_reported = { $at }：{ $cause }，修订版本 { $revision }：{ $why }。
step_closed = { $at }：案卷已关闭：{ $why }。
wait_absence = 该结论依据的是没有相关报告，而报告可能迟到
wait_name = 尚不知道容器的名称
wait_kernel_line = 只有跟踪点报告了终止，内核日志尚未读取
wait_end = 容器可能因此结束
wait_ripening = 该状态仍可能自行消失
revised_first = 首次报告
revised_better = 掌握的信息比之前更多
revised_over = 该状态已结束
revised_counted = 又发生了若干次
closed_ended = 结束已有足够长的时间
closed_full = 案卷过多，它属于最早结束的对象
closed_refused = 所有案卷都属于运行中的容器，数量已达可保存的最大值
closed_sandbox = 它是沙箱，归入其 Pod 的案卷

## Rules and sources

rule_decided = 规则 { $rule }：由它判定
rule_also = 规则 { $rule }：也可得出 { $cause }，但排在判定规则之后
rule_lacks = 规则 { $rule }：不适用，需要：{ $needs }
source_missing = 来源 { $source }：未覆盖结束时刻
source_missing_because = 来源 { $source }：未覆盖结束时刻：{ $reason }
known_signal = 已知：{ $signal } 终止了主进程
known_exit = 已知：主进程以退出码 { $code } 自行退出
known_code = 已知：退出码为 { $code }，可能是退出状态，也可能表示信号
known_nothing = 已知：既没有退出码，也没有信号
known_main = 已知：主进程的 PID 为 { $pid }
known_no_main = 未知：主进程的 PID

## What the rules of ends need

needs_memory = 内核因内存终止其进程的报告
needs_never_started = 容器运行时拒绝启动的报告
needs_fabricated = 容器运行时因丢失进程而补填的状态
needs_crash = 故障引起的致命信号（来自内核、信号来源或退出状态）
needs_oom_daemon = systemd-oomd、earlyoom 等守护进程发出的 SIGKILL
needs_stopped = 容器外部的信号，或停止容器的请求
needs_docker = Docker 按请求向容器发送信号的事件
needs_pids = 结束前不久因 PID 限制被拒绝的 fork
needs_exit = 程序以非 0 退出码自行退出
needs_completed = 本应持续运行的容器以退出码 0 退出
needs_child_by_reason = 退出码为 0 而原因为 OOMKilled 的结束
needs_unlogged = 退出码为 137、原因为 OOMKilled，而内核日志中没有该 Pod 的 OOM 终止
needs_unattributed = 非 0 的退出码

## What the rules of pods need

pod_removal = 被驱逐、被抢占或随节点移除的 Pod
pod_admission = kubelet 拒绝接纳 Pod 的报告
pod_sandbox = 无法创建的沙箱
pod_volume = 无法挂载的卷
pod_image = 等待镜像的容器
pod_config = 因配置无法创建的容器
pod_hook = 失败的生命周期回调
pod_readiness = 运行中但未就绪的容器
pod_device = 被报告为不健康的设备
pod_resize = 未能执行的资源调整
pod_stuck = 宽限期已过的删除
pod_restart_rule = 由规则引起的整个 Pod 重启
pod_fabricated = 由 kubelet 补填的退出码
pod_ended = 已失败且其原因不为其他规则所知的 Pod

## What the rules of nodes need

node_misconfigured = 守护进程因配置错误而结束的日志
node_down = 没有进程的守护进程
node_unready = kubelet 报告容器运行时无法工作
node_hung = 被暂停或无响应的守护进程
node_without_api_server = 节点无法访问的 API 服务器
node_pressure = 内存、磁盘空间或 PID 不足
node_without_network = 容器运行时没有就绪的网络插件
node_clock = 与其他主机不一致的时钟
node_certificate = 已过期或即将过期的 kubelet 证书
node_with_kernel_fault = 内核日志中的故障
node_volume = 被卷或磁盘阻塞的进程
node_table = 接近用满的内核表
