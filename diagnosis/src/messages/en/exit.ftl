### Ends by the program itself, and ends of which the cause is not known.

## The program ended by itself

exit_by_itself = The program exited by itself with status { $code }
exit_with_log = Exited with status { $code }; its log shows: { $reason }
exit_no_signal = No fatal signal reached the main process, so this is an exit status and not a signal.
exit_like_signal = The status looks like { $signal }, but no such signal reached the main process.
exit_signals_unknown = Whether a signal asked it to stop is not known, because signals were not observed up to its end.
exit_log_of_another = The log line is from another instance of this container, which exited with the same status.
exit_not_killed = not killed: no fatal signal reached the main process
exit_maybe_asked = the tracepoint signal_generate shows whether it was asked to stop
exit_log_is_own = the log is only the program's own statement
crash_by_log = The exit code stands for { $signal }, and the program's last lines agree. The signals themselves were not observed.
crash_by_report = The Pod's status reports { $signal }, and the exit code stands for the same. The signals themselves were not observed.
crash_log_abort_of_init = As PID 1 of its container, a main process ignores SIGABRT, so abort() ends it with SIGSEGV.

## What a log shows

log_exec_failed = the command could not be executed
log_command_not_found = a shell did not find a command
log_command_not_executable = a shell could not execute a command
log_read_only = a write to a read-only file system
log_javascript_heap = the JavaScript heap reached its limit
log_java_memory = java.lang.OutOfMemoryError
log_dotnet_memory = a .NET OutOfMemoryException
log_go_memory = the Go runtime could not get more memory
log_address_in_use = an address is already in use
log_no_space = a file system is full
log_permission = permission denied
log_panic = a panic
log_python = an uncaught Python exception
log_java = an uncaught Java exception
log_dotnet = an uncaught .NET exception
log_library = a shared library is missing
log_name_resolution = a host name could not be resolved
log_refused = a connection was refused
log_missing_file = a file is missing
log_java_native_memory = the JVM got no memory from the system
log_java_crash = the Java virtual machine itself crashed
log_java_start = Java found no class or JAR file to run
log_dotnet_runtime = a required .NET runtime is not installed
log_go_fatal = a fatal error of the Go runtime
log_rust_abort = a Rust program aborted
log_python_memory = Python could not get more memory
log_python_module = a Python module is missing
log_python_fatal = a fatal error of the Python interpreter
log_node_module = a Node.js module is missing
log_node = an uncaught JavaScript exception
log_php_memory = PHP reached its memory_limit
log_php = a fatal error of PHP
log_ruby_crash = the Ruby interpreter itself crashed
log_ruby_memory = Ruby could not get more memory
log_ruby = an uncaught Ruby exception
log_heap_corrupted = the C library detected a corrupted heap
log_buffer_overrun = the C library detected a buffer overflow
log_assertion = a failed assertion
log_cpp = an uncaught C++ exception
log_abort = a library or a virtual machine gave up
log_sanitizer = a sanitizer detected an error of the program
log_threads = no process or thread could be started
log_memory = memory could not be allocated
log_files = too many files are open
log_nginx = nginx did not accept its configuration
log_postgres = a fatal error of PostgreSQL
log_certificate = a certificate was not accepted
log_login = a login was refused
log_timed_out = a connection timed out
log_signal = { $signal } ended a program
log_processor = the processor lacks instructions that the program needs

## Ended with status 0

completed = The program exited with status 0 but should keep running
completed_main = With restartPolicy Always, the kubelet restarts it every time. Either its work belongs in a Job, or the program was started without what keeps it in the foreground.
completed_sidecar = It is a sidecar container, which should run as long as its pod.

## The status is not real

fabricated_lost = Exit code { $code } is not real: the runtime lost the process
fabricated_lost_shim = Exit code { $code } is not real: the container's shim was killed
fabricated_by_runtime = The runtime reports exit code { $code } for every container that it lost, and it did not observe the end of this one.
fabricated_truth_exited = In fact the main process exited with status { $code }.
fabricated_truth_signal = In fact { $signal } ended the main process.
fabricated_truth_unknown = How the main process really ended is not known.
fabricated_no_event = no /tasks/exit event of its main process, as there is for every real end
fabricated_cleanup = Killed when the runtime cleaned up, after the container's shim had been killed
fabricated_cleanup_why = The containerd-shim of the container was killed, and the runtime then killed what was left of the container. The program had not been asked to stop.
fabricated_by_kubelet = Exit code { $code } was filled in: the kubelet no longer found the container
fabricated_by_kubelet_why = The runtime no longer had the container when the kubelet had to report its end; the kubelet then always reports { $code }.
fabricated_seen = On the node, exit code { $code } was observed; another diagnosis gives the cause.
fabricated_seen_equal = The node observed the same exit code; another diagnosis gives the cause.
fabricated_unseen = How it really ended was not observed.

## The process limit

volume_full = Volume { $volume } of the pod had no space or inodes left.
pids_limit = Exited soon after reaching the limit of processes and threads
pids_limit_why = The pids limit of the container or its pod did not allow another process or thread, and the program then exited.
pids_fork_rejected = the pids controller rejected a fork

## Not known

unattributed = Ended with exit code { $code }; the cause is not known
unattributed_signal = { $signal } ended the main process. Which process sent it was not observed.
unattributed_code = Exit code { $code } stands for { $signal }, but may also be a status that the program chose. No source shows which.
unattributed_lost = Exit code { $code } may be a status that the program chose, or filled in by a runtime that lost the process. No source shows which.
