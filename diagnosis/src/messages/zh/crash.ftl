### Crashes: fatal signals of the program's own making.

## Headlines

crash_segfault = 程序崩溃：段错误，访问了无效内存（SIGSEGV）
crash_abort = 程序崩溃：程序主动中止（SIGABRT）
crash_bus_error = 程序崩溃：总线错误，例如映射的内存不可用（SIGBUS）
crash_illegal_instruction = 程序崩溃：非法指令（SIGILL）
crash_arithmetic = 程序崩溃：算术错误，例如除以零（SIGFPE）
crash_seccomp = 被内核终止：发起了 seccomp 禁止的系统调用（SIGSYS）

## Explanations

crash_main = { $signal } 终止了主进程 { $process }。
crash_child = { $signal } 终止了子进程 { $process }。主进程随后以退出码 { $code } 退出，该退出码对应同一信号。
crash_thread = 容器以退出码 { $code } 退出时，{ $signal } 终止了主进程的一个线程或短暂存在的子进程 { $process }。
crash_place = 出错地址为 0x{ $address }，位于 { $object }。
crash_address = 出错地址为 0x{ $address }。
crash_object = 出错位置在 { $object }。
crash_abort_of_init = 作为容器内的 1 号进程，它会忽略 SIGABRT，因此 abort() 最终以 SIGSEGV 终止了它。

## Evidence

crash_not_killed = 并非被外部终止：信号来自进程自身
