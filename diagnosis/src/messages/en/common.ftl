### Texts that several rules share.
process_named = { $name } (pid { $pid })
process_nameless = pid { $pid }
kubelet_reported = The kubelet reported: “{ $message }”.
kubelet_keeps_trying = The kubelet keeps trying. It reported: “{ $message }”.
runtime_reported = The container runtime reported: “{ $message }”.

## What would decide

decided_by_signals = the tracepoint signal_generate names the sender of the signal
decided_by_wait = the kernel's wait status distinguishes an exit status from a signal
decided_by_events = the kubelet's events name who asked for the stop
decided_by_containerd = containerd's own events show whether it saw the end
decided_by_own_log = the program's own log may name another reason

## Signals and exits, as evidence

signal_sent = { $signal } to { $target } (pid { $pid }) from { $sender }
sender_kernel = the kernel
sender = { $name } (pid { $pid })
sender_program = { $name } (pid { $pid }, { $program })
exit_reported = reason { $reason }, exit code { $code }
exit_code_reported = exit code { $code }
exit_waited = the kernel's wait status: exited with status { $code }
exit_waited_signal = the kernel's wait status: ended by { $signal }
