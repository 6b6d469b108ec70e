//! Ended by a signal or by itself.

use super::{Cause, Chapter::End, Row, Severity::*, row, text};

pub(super) const ROWS: &[Row] = &[
    row(
        Cause::LivenessProbeFailed,
        End,
        Warning,
        text(
            "The kubelet stopped the container after its liveness probe had failed too often.",
            "存活探针（liveness）失败次数过多，kubelet 停止了容器。",
        ),
        &[text(
            "See what the probe got; raise its timeoutSeconds or failureThreshold if the program was only slow.",
            "查看探针得到了什么；若程序只是慢，调高探针的 timeoutSeconds 或 failureThreshold。",
        )],
    ),
    row(
        Cause::StartupProbeFailed,
        End,
        Warning,
        text(
            "The kubelet stopped the container because its startup probe never succeeded.",
            "启动探针（startup）始终没有成功，kubelet 停止了容器。",
        ),
        &[text(
            "Give it more time (failureThreshold times periodSeconds), or see why it does not come up.",
            "给它更多时间（failureThreshold 乘以 periodSeconds），或查明它为何起不来。",
        )],
    ),
    row(
        Cause::GracePeriodExceeded,
        End,
        Warning,
        text(
            "Asked to stop, it did not within its grace period and was killed.",
            "收到停止请求后，它未能在宽限期内结束，于是被强行杀死。",
        ),
        &[
            text(
                "Make the program handle SIGTERM: as PID 1 it ignores signals that it does not handle, and a shell passes none on (use exec).",
                "让程序处理 SIGTERM：作为 1 号进程，它会忽略没有处理函数的信号，而 shell 也不会转发信号（请用 exec）。",
            ),
            text(
                "If it only needs longer, raise terminationGracePeriodSeconds.",
                "若只是需要更久，调高 terminationGracePeriodSeconds。",
            ),
        ],
    ),
    row(
        Cause::PidsLimitReached,
        End,
        Error,
        text(
            "The limit on processes of its container or pod refused it another one.",
            "容器或 Pod 的进程数上限不允许它再创建进程。",
        ),
        &[text(
            "Find what forks or starts threads without end; raise the pids limit if the number is right.",
            "找出不断创建进程或线程的程序；若这个数量是合理的，调高 pids 上限。",
        )],
    ),
    row(
        Cause::SandboxDied,
        End,
        Error,
        text("The pod's sandbox ended and took its containers along.", "Pod 的沙箱结束，其中的容器随之结束。"),
        &[text(
            "See who killed the sandbox, and the runtime's log at that time.",
            "查明是谁杀死了沙箱，并查看容器运行时当时的日志。",
        )],
    ),
    row(
        Cause::StoppedByRequest,
        End,
        Info,
        text("It was asked to stop and did.", "它收到停止请求并照做了。"),
        &[text("Nothing to mend; the evidence says who asked.", "无需修复；证据中写明了由谁请求。")],
    ),
    row(
        Cause::KilledExternally,
        End,
        Error,
        text(
            "A process outside Kubernetes and the runtime sent it a fatal signal.",
            "Kubernetes 和容器运行时之外的某个进程向它发送了致命信号。",
        ),
        &[text(
            "Ask who runs the sender that is named; look for out-of-memory daemons and cleanup scripts on the node.",
            "查明证据中的发送者由谁运行；留意节点上的内存守护进程（如 earlyoom）和清理脚本。",
        )],
    ),
    row(
        Cause::CrashSegfault,
        End,
        Error,
        text("The program touched memory that is not its own (SIGSEGV).", "程序访问了不属于它的内存（SIGSEGV）。"),
        &[
            text(
                "Look up the address in the binary (addr2line), or take a core dump.",
                "用 addr2line 在二进制文件中查找该地址，或获取 core dump。",
            ),
            text(
                "If it began with a new image, go back to the one before.",
                "若是换了新镜像后才出现，请退回上一个镜像。",
            ),
        ],
    ),
    row(
        Cause::CrashAbort,
        End,
        Error,
        text(
            "The program gave up by abort() (SIGABRT): an assertion, a corrupted heap, an uncaught exception.",
            "程序以 abort() 自行中止（SIGABRT）：断言失败、堆损坏或未捕获的异常。",
        ),
        &[text("The last lines of its log usually name the reason.", "日志的最后几行通常写明了原因。")],
    ),
    row(
        Cause::CrashBusError,
        End,
        Error,
        text(
            "The program touched mapped memory that its file or device could not give (SIGBUS).",
            "程序访问了映射的内存，而背后的文件或设备无法提供（SIGBUS）。",
        ),
        &[text(
            "Look for a truncated file, a full /dev/shm (64 MiB by default) or a full disk under a mapping.",
            "检查是否有文件被截断、/dev/shm（默认 64 MiB）写满，或映射所在的磁盘已满。",
        )],
    ),
    row(
        Cause::CrashIllegalInstruction,
        End,
        Error,
        text(
            "The program came to an instruction that this CPU does not have (SIGILL).",
            "程序执行到此 CPU 不支持的指令（SIGILL）。",
        ),
        &[text(
            "Compare the CPU of this node with that of the nodes where it works; build for a smaller instruction set.",
            "把该节点的 CPU 与能正常运行的节点相比；针对更基础的指令集重新编译。",
        )],
    ),
    row(
        Cause::CrashArithmetic,
        End,
        Error,
        text("The program divided by zero or the like (SIGFPE).", "程序做了除以零之类的运算（SIGFPE）。"),
        &[text("Look up the address in the binary (addr2line).", "用 addr2line 在二进制文件中查找该地址。")],
    ),
    row(
        Cause::CrashSeccomp,
        End,
        Error,
        text(
            "The program made a system call that its seccomp profile forbids (SIGSYS).",
            "程序发起了 seccomp 配置所禁止的系统调用（SIGSYS）。",
        ),
        &[text(
            "Allow the system call in the profile, or see why the program makes it.",
            "在 seccomp 配置中放行该系统调用，或查明程序为何需要它。",
        )],
    ),
    row(
        Cause::ApplicationExit,
        End,
        Warning,
        text("The program ended by itself with a status other than 0.", "程序自行结束，退出码不为 0。"),
        &[text(
            "Read the last lines of its log: coroner sees that it chose to end, not why.",
            "阅读日志的最后几行：Coroner 只能看出它是自行结束的，看不出为什么。",
        )],
    ),
    row(
        Cause::CompletedUnexpectedly,
        End,
        Warning,
        text(
            "It ended with 0 where it should have stayed (restartPolicy Always).",
            "它以 0 退出，而本应一直运行（restartPolicy 为 Always）。",
        ),
        &[text("Make it stay in the foreground, or run it as a Job.", "让它保持在前台运行，或改用 Job。")],
    ),
    row(
        Cause::StatusFabricated,
        End,
        Warning,
        text(
            "The exit status was made up by the kubelet or the runtime; nobody saw the end.",
            "退出状态是 kubelet 或容器运行时编造的；没有人看到它是怎样结束的。",
        ),
        &[text(
            "Do not trust the exit code; see what became of the runtime or the node at that time.",
            "不要相信这个退出码；查看容器运行时或节点当时发生了什么。",
        )],
    ),
    row(
        Cause::Unattributed,
        End,
        Warning,
        text("It ended, and what was seen does not say why.", "它结束了，而所见的证据不足以说明原因。"),
        &[text(
            "See which sources were missing: each candidate says what would have decided.",
            "查看缺少哪些信息来源：每个候选原因都写明了什么证据能够定论。",
        )],
    ),
    row(
        Cause::StoppedByRestartRule,
        End,
        Warning,
        text(
            "A restart rule of the pod stopped the container because another one exited.",
            "Pod 的重启规则因另一个容器退出而停止了该容器。",
        ),
        &[text(
            "See why the container that triggered the rule exited (restartPolicyRules).",
            "查明触发该规则（restartPolicyRules）的容器为何退出。",
        )],
    ),
];
