### Texts that several rules share.
process_named = { $name }（PID { $pid }）
process_nameless = PID { $pid }
kubelet_reported = kubelet 报告：“{ $message }”。
kubelet_keeps_trying = kubelet 会持续重试，它报告：“{ $message }”。
runtime_reported = 容器运行时报告：“{ $message }”。

## What would decide

decided_by_signals = 跟踪点 signal_generate 会给出信号的发送者
decided_by_wait = 内核的等待状态可以区分退出码与信号
decided_by_events = kubelet 的事件会说明停止请求的来源
decided_by_containerd = containerd 自身的事件会显示它是否观察到结束
decided_by_own_log = 程序自身的日志可能给出其他原因

## Signals and exits, as evidence

signal_sent = { $sender }向 { $target }（PID { $pid }）发送 { $signal }
sender_kernel = 内核
sender = { $name }（PID { $pid }）
sender_program = { $name }（PID { $pid }，{ $program }）
exit_reported = 原因 { $reason }，退出码 { $code }
exit_code_reported = 退出码 { $code }
exit_waited = 内核的等待状态：以退出码 { $code } 退出
exit_waited_signal = 内核的等待状态：被 { $signal } 终止
