### How verdicts came about: `coroner replay --explain`.

## Steps

step_held = { $at }: { $cause } was not reported before { $until }: { $why }.
step_reported = { $at }: { $cause }, revision { $revision }: { $why }.
step_closed = { $at }: the case file was closed: { $why }.
wait_absence = it rests on the absence of reports, and one may arrive late
wait_name = the name of its container was not known yet
wait_kernel_line = only the tracepoint had reported the kill, and the kernel log was still to be read
wait_end = the container could still end because of it
wait_ripening = the state could still pass
revised_first = the first report
revised_better = more was known than before
revised_over = the state is over
revised_counted = it has happened more often
closed_ended = it ended long enough ago
closed_full = there were too many case files, and this one was of what had ended longest ago
closed_refused = all case files are of containers that are running, and there are as many as can be kept
closed_sandbox = it is a sandbox, which belongs to the case file of its pod

## Rules and sources

rule_decided = rule { $rule }: decided
rule_also = rule { $rule }: would have concluded { $cause }, but comes after the one that decided
rule_lacks = rule { $rule }: did not apply; it needs { $needs }
source_missing = source { $source }: did not cover the end
source_missing_because = source { $source }: did not cover the end: { $reason }
known_signal = known: { $signal } ended the main process
known_exit = known: the main process exited by itself with status { $code }
known_code = known: exit code { $code }, which may be a status or stand for a signal
known_nothing = known: neither exit code nor signal
known_main = known: the main process was PID { $pid }
known_no_main = not known: the PID of the main process

## What the rules of ends need

needs_memory = a report that the kernel killed one of its processes for memory
needs_never_started = a refusal of the runtime to start it
needs_fabricated = a status that the runtime filled in because it lost the process
needs_crash = a fatal signal of a fault, from the kernel, the signals or the exit status
needs_oom_daemon = a SIGKILL of systemd-oomd, earlyoom or a similar daemon
needs_stopped = a signal from outside of the container, or a request to stop it
needs_docker = an event of Docker that it was asked to signal the container
needs_pids = a fork that the pids limit refused shortly before
needs_exit = an exit by the program itself with a status other than 0
needs_completed = an exit with status 0 of a container that should keep running
needs_child_by_reason = an exit with status 0 and the reason OOMKilled
needs_unlogged = exit code 137 with the reason OOMKilled, and a kernel log without a kill in the pod
needs_unattributed = an exit code other than 0

## What the rules of pods need

pod_removal = a pod that was evicted, preempted, or removed with its node
pod_admission = a refusal of the kubelet to admit the pod
pod_sandbox = a sandbox that cannot be created
pod_volume = a volume that cannot be mounted
pod_image = a container that waits for its image
pod_config = a container that cannot be created from its configuration
pod_hook = a lifecycle hook that failed
pod_readiness = a running container that is not ready
pod_device = a device that is reported as unhealthy
pod_resize = a resize that is not carried out
pod_stuck = a deletion whose grace period is over
pod_restart_rule = a restart of the whole pod by a rule
pod_fabricated = an exit code that the kubelet filled in
pod_ended = a failed pod with a reason that no other rule knows

## What the rules of nodes need

node_misconfigured = log lines of a daemon that ended because of its configuration
node_down = a daemon without a process
node_unready = a container runtime that does not work, by the kubelet
node_hung = a daemon that is stopped or does not answer
node_without_api_server = an API server that cannot be reached from the node
node_pressure = a shortage of memory, disk space or PIDs
node_without_network = a runtime without a network plugin that is ready
node_clock = a clock that differs from that of others
node_certificate = a kubelet's certificate that has expired or is about to
node_with_kernel_fault = a fault in the kernel log
node_volume = processes that a volume or disk keeps waiting
node_table = a table of the kernel that is nearly full
