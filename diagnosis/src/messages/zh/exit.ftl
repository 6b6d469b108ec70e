### Ends by the program itself, and ends of which the cause is not known.

## The program ended by itself

exit_by_itself = 程序自行退出，退出码为 { $code }
exit_with_log = 程序以退出码 { $code } 退出；日志显示：{ $reason }
exit_no_signal = 没有致命信号到达主进程，因此这是退出码，而不是信号。
exit_like_signal = 该退出码形似 { $signal }，但没有此信号到达主进程。
exit_signals_unknown = 无法确定是否有信号要求它停止，因为结束前的信号未被完整观察。
exit_log_of_another = 该日志行来自同一容器的另一个实例，其退出码相同。
exit_not_killed = 并非被终止：没有致命信号到达主进程
exit_maybe_asked = 跟踪点 signal_generate 会显示它是否收到停止请求
exit_log_is_own = 日志只是程序自身的陈述
crash_by_log = 退出码对应 { $signal }，程序最后的输出与之相符。未观察到信号本身。
crash_by_report = Pod 的状态报告了 { $signal }，退出码与之相符。未观察到信号本身。
crash_log_abort_of_init = 作为容器内的 1 号进程，主进程会忽略 SIGABRT，因此 abort() 最终以 SIGSEGV 终止它。

## What a log shows

log_exec_failed = 启动命令无法执行
log_command_not_found = shell 找不到命令
log_command_not_executable = shell 无法执行命令
log_read_only = 向只读文件系统写入
log_javascript_heap = JavaScript 堆达到限制
log_java_memory = java.lang.OutOfMemoryError
log_dotnet_memory = .NET OutOfMemoryException
log_go_memory = Go 运行时无法获得更多内存
log_address_in_use = 地址已被占用
log_no_space = 文件系统已满
log_permission = 权限不足
log_panic = 程序发生 panic
log_python = 未捕获的 Python 异常
log_java = 未捕获的 Java 异常
log_dotnet = 未捕获的 .NET 异常
log_library = 缺少共享库
log_name_resolution = 无法解析主机名
log_refused = 连接被拒绝
log_missing_file = 缺少文件
log_java_native_memory = JVM 无法从系统获得更多内存
log_java_crash = Java 虚拟机自身崩溃
log_java_start = Java 找不到可运行的类或 JAR 文件
log_dotnet_runtime = 程序所需的 .NET 运行时未安装
log_go_fatal = Go 运行时发生致命错误
log_rust_abort = Rust 程序中止（abort）
log_python_memory = Python 无法获得更多内存
log_python_module = 缺少 Python 模块
log_python_fatal = Python 解释器发生致命错误
log_node_module = 缺少 Node.js 模块
log_node = 未捕获的 JavaScript 异常
log_php_memory = PHP 达到其 memory_limit
log_php = PHP 发生致命错误
log_ruby_crash = Ruby 解释器自身崩溃
log_ruby_memory = Ruby 无法获得更多内存
log_ruby = 未捕获的 Ruby 异常
log_heap_corrupted = C 库检测到堆已损坏
log_buffer_overrun = C 库检测到缓冲区溢出
log_assertion = 断言失败
log_cpp = 未捕获的 C++ 异常
log_abort = 某个库或虚拟机主动终止
log_sanitizer = 检测工具（sanitizer）发现程序错误
log_threads = 无法再启动进程或线程
log_memory = 无法分配内存
log_files = 打开的文件过多
log_nginx = nginx 未接受其配置
log_postgres = PostgreSQL 发生致命错误
log_certificate = 证书未被接受
log_login = 登录被拒绝
log_timed_out = 连接超时
log_signal = 某个程序因 { $signal } 结束
log_processor = 处理器缺少该程序所需的指令

## Ended with status 0

completed = 程序以退出码 0 退出，但它本应持续运行
completed_main = restartPolicy 为 Always，kubelet 每次都会重启它。如果任务本就会结束，应改用 Job；否则说明程序启动时缺少使其在前台运行的参数。
completed_sidecar = 它是边车容器，应一直运行到 Pod 结束。

## The status is not real

fabricated_lost = 退出码 { $code } 并非真实退出状态：容器运行时丢失了该进程
fabricated_lost_shim = 退出码 { $code } 并非真实退出状态：容器的 shim 被终止
fabricated_by_runtime = 容器运行时对其丢失的容器一律报告退出码 { $code }，它没有观察到该容器结束。
fabricated_truth_exited = 实际上主进程的退出码为 { $code }。
fabricated_truth_signal = 实际上主进程被 { $signal } 终止。
fabricated_truth_unknown = 主进程实际如何结束尚不清楚。
fabricated_no_event = 没有其主进程的 /tasks/exit 事件，而真实的结束都会产生该事件
fabricated_cleanup = 容器的 shim 被终止后，容器运行时在清理时终止了容器
fabricated_cleanup_why = 容器的 containerd-shim 被终止，容器运行时随后终止了容器中残留的进程。程序此前没有收到停止请求。
fabricated_by_kubelet = 退出码 { $code } 由 kubelet 补填：kubelet 已找不到该容器
fabricated_by_kubelet_why = kubelet 需要上报结束状态时，容器运行时中已没有该容器；此时 kubelet 总是补填 { $code }。
fabricated_seen = 在节点上观察到的退出码为 { $code }；原因见另一条诊断。
fabricated_seen_equal = 节点上观察到的退出码恰好相同；原因见另一条诊断。
fabricated_unseen = 未观察到它实际如何结束。

## The process limit

volume_full = Pod 的卷 { $volume } 已没有剩余空间或 inode。
pids_limit = 达到进程数限制后不久，程序退出
pids_limit_why = 容器或其 Pod 的 pids 限制不允许再创建进程或线程，程序随后退出。
pids_fork_rejected = pids 控制器拒绝了一次 fork

## Not known

unattributed = 以退出码 { $code } 结束，原因不明
unattributed_signal = 主进程被 { $signal } 终止。未观察到信号由哪个进程发送。
unattributed_code = 退出码 { $code } 对应 { $signal }，但也可能是程序自身给出的退出码。没有来源可以判定。
unattributed_lost = 退出码 { $code } 可能由程序自身给出，也可能由丢失该进程的容器运行时补填。没有来源可以判定。
