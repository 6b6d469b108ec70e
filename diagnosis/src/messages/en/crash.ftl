### Crashes: fatal signals of the program's own making.

## Headlines

crash_segfault = Crashed: invalid memory access (SIGSEGV)
crash_abort = Aborted by the program itself: abort() was called
crash_bus_error = Crashed: bus error, mapped memory was not available (SIGBUS)
crash_illegal_instruction = Crashed: the CPU does not support an instruction (SIGILL)
crash_arithmetic = Crashed: arithmetic error such as a division by zero (SIGFPE)
crash_seccomp = Killed by the kernel: seccomp forbids a system call (SIGSYS)

## Explanations

crash_main = { $signal } ended the main process, { $process }.
crash_child = { $signal } ended a child process, { $process }. The main process then exited with status { $code }, which passes that signal on.
crash_thread = { $signal } ended a thread or a short-lived child of the main process, { $process }, just when the container exited with status { $code }.
crash_place = The fault was at address 0x{ $address } in { $object }.
crash_address = The fault was at address 0x{ $address }.
crash_object = The fault was in { $object }.
crash_abort_of_init = As PID 1 of its container it ignores SIGABRT, so abort() ended it by SIGSEGV.

## Evidence

crash_not_killed = not killed from outside: the signal arose in the process itself
