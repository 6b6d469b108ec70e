### Crashes: fatal signals of the program's own making.

## Headlines

crash_segfault = Crashed: invalid memory access (SIGSEGV)
crash_abort = Crashed: the program aborted itself (SIGABRT)
crash_bus_error = Crashed: bus error, such as mapped memory that is not available (SIGBUS)
crash_illegal_instruction = Crashed: illegal instruction (SIGILL)
crash_arithmetic = Crashed: arithmetic error such as a division by zero (SIGFPE)
crash_seccomp = Killed by the kernel: a system call that seccomp forbids (SIGSYS)

## Explanations

crash_main = { $signal } ended the main process, { $process }.
crash_child = { $signal } ended a child process, { $process }. The main process then exited with status { $code }, which stands for the same signal.
crash_thread = { $signal } ended a thread or a short-lived child of the main process, { $process }, when the container exited with status { $code }.
crash_place = The fault was at address 0x{ $address } in { $object }.
crash_address = The fault was at address 0x{ $address }.
crash_object = The fault was in { $object }.
crash_abort_of_init = As PID 1 of its container it ignores SIGABRT, so abort() ended it with SIGSEGV.

## Evidence

crash_not_killed = not killed from outside: the signal arose in the process itself
