### Out of memory.

## Headlines

oom_container_limit = Out of memory: the container reached its { $limit } limit
oom_container = Out of memory: the container reached its memory limit
oom_pod_limit = Out of memory: the pod reached its { $limit } limit
oom_pod = Out of memory: the pod reached its memory limit
oom_node = The node ran out of memory, and the kernel killed this container
oom_kubepods = Out of memory: a limit that the node's pods share was reached
oom_unknown = Out of memory: which limit was reached is not known
oom_nested = Out of memory: a limit set inside the container was reached
oom_nested_child = Out of memory at a limit set inside the container; the container kept running
oom_beside_pod = Out of memory at the pod's limit: a process outside its containers was killed
oom_beside_node = Out of memory on the node: a process outside the pod's containers was killed
oom_child = Out of memory: a child process was killed, the container kept running
oom_exec = Out of memory: an exec process was killed, the container kept running
oom_child_node = Out of memory on the node: a child was killed, the container kept running
oom_child_kubepods = Out of memory at a limit that pods share: a child was killed, no container ended
oom_beside_kubepods = Out of memory at a limit that pods share: a process beside containers was killed
oom_last_child = Out of memory: a child process was killed, then the container exited
oom_at_start = Out of memory: the limit is too low for the container to start
oom_by_runtime_event = Exited shortly after the container or its pod ran out of memory
oom_by_counter = Probably out of memory: the container's cgroup counted a kill
oom_child_by_counter = Probably out of memory: a process was killed, the container kept running
oom_child_by_reason = Possibly out of memory: a child was killed; the container ended with code 0
oom_by_reason = Possibly out of memory: only the container runtime reports it
daemon_killed = Killed by an out-of-memory daemon of the node: { $daemon }
hardware_memory_error = The machine's memory is broken: the kernel killed the process that used it

## Who was killed

oom_killed_main = The kernel killed the main process, { $process }.
oom_killed_group = The kernel killed the main process, { $process }, and with it all other processes of the container (memory.oom.group).
oom_killed_group_of_child = The kernel chose { $process } and killed all processes of the container with it, the main process included (memory.oom.group).
oom_killed_one = The kernel killed a process of the container, { $process }.
oom_killed_child = The kernel killed a child process, { $process }. The main process was not affected, so Kubernetes shows neither a restart nor an event of the pod.
oom_killed_exec = The kernel killed { $process }, which was started in the container by exec. The main process was not affected, so Kubernetes shows neither a restart nor an event of the pod.
oom_killed_starter = The kernel killed the container's first process, { $process }, before its command could run.
oom_beside = The kernel killed { $name } (pid { $pid }), which belongs to the pod but to none of its containers. The container runtime runs such processes, for example the virtual machine of Kata Containers.
oom_killed_last_child = The kernel killed a child process, { $process }; the main process then exited by itself with status { $code }.
oom_process_memory = { $name } (pid { $pid }, { $parts })
oom_part_anonymous = { $size } anonymous
oom_part_file = { $size } file
oom_part_shared = { $size } tmpfs or shared
oom_part_cache = { $size } page cache
oom_part_kernel = { $size } kernel

## The numbers

oom_container_memory = When last sampled before, the container's memory consisted of { $parts }.
oom_cgroup_memory = According to the kernel, the container's memory consisted of { $parts }.
oom_memory_volume = Files in memory-backed volumes ({ $volumes }) are tmpfs and count towards the limit.
oom_limit_not_applied = The Pod asks for a limit of { $wanted }, but the container still had { $applied }.
oom_node_available = The node had { $available } available.
oom_within_limit = This container used { $usage } when last sampled, within its limit of { $limit }.
oom_without_limit = This container used { $usage } when last sampled, and has no memory limit.
oom_score = Its oom_score_adj was { $score }; the kernel prefers processes with a high value.
oom_grew_most = The memory of another container had grown most: by { $growth } in five minutes.
oom_grew_most_itself = The memory of this container had grown most: by { $growth } in five minutes.
oom_shared_limit = The limit that was reached is that of { $cgroup }, which holds many pods.

## Which limit was reached

oom_nested_limit_of = The limit that was reached is that of { $cgroup }, a cgroup that was created inside the container. The container's own limit was not reached.
oom_pod_is_sum = The kernel named the pod's cgroup. Its limit is only the sum of the containers' limits, so the container's limit was reached.
oom_pod_equals_container = The limit of the pod equals that of the container.
oom_container_unlimited = The container has no memory limit of its own.
oom_pod_partly_limited = Not all containers of the pod have a memory limit.
oom_pod_below_sum = The pod's limit of { $limit } is lower than the sum of its containers' limits, { $sum }.
oom_no_limits = Neither the container nor its pod has a memory limit.
oom_only_pod_limited = The container has no memory limit, but its pod has one.
oom_only_container_limited = The container has a memory limit, and its pod has no lower one. The kernel's oom-kill line was not observed.
oom_limit_by_spec = The pod's specification limits the memory of this container; whether its cgroup reached that limit was not observed.
oom_pod_seems_alone = The kernel named the cgroup of the pod, whose own limit was not observed. As far as is known the pod holds one container, whose limit is then also the pod's.
oom_undecided = What was observed does not show which limit was reached.

## Without the kernel's own lines

oom_runtime_event = The runtime reported that the cgroup of the container or of its pod had run out of memory; then the main process exited by itself with status { $code }. Which process the kernel killed is not known.
oom_counter_grew =
    The container's cgroup had counted { $count ->
        [one] an out-of-memory kill
       *[other] { $count } out-of-memory kills
    } when the main process ended with exit code 137. The kernel log could not be read.
oom_child_counted =
    The container's cgroup has counted { $count ->
        [one] an out-of-memory kill
       *[other] { $count } out-of-memory kills
    }, and the container kept running. Which process it was is not known: the kernel log could not be read. Kubernetes shows neither a restart nor an event of the pod.
oom_child_by_reason_why = The container runtime reports OOMKilled, and the main process ended with exit code 0: what the kernel killed before was another process of the container. The kernel log that would name it was not read.
oom_reason_unconfirmed = The runtime also reports OOMKilled when another process of the container was killed; only the kernel log distinguishes the two.
oom_unlogged = The node's kernel logged no kill in this pod. That is so in a virtual machine, as of Kata Containers, which has a kernel of its own.
daemon_killed_why = { $daemon } kills processes when the node is short of memory, before the kernel or the kubelet does. The kernel did not kill it for a memory limit of the container or its pod.
hardware_memory_error_why = The hardware reported a memory error in a page that the process used, and the kernel ended the process. The program is not at fault; other programs on the node may be affected too.

## Evidence

oom_evidence_counter = oom_kill of the container's cgroup is { $count }
oom_evidence_grown = container { $container }: { $usage } in use, { $growth } more than five minutes before
oom_evidence_used = container { $container }: { $usage } in use
oom_related_grown = { $usage } in use, { $growth } more than five minutes before
oom_related_used = { $usage } in use
oom_evidence_stray_victim = mark_victim: pid { $pid }, which belongs to no known container
oom_not_the_node = not a shortage of the node: the kernel named a memory cgroup, not global_oom
oom_reason_is_old = the reported reason OOMKilled is not about this end: the runtime keeps it after any out-of-memory kill in the container or its pod
oom_reason_is_missing = the runtime reported Error instead of OOMKilled: it missed the kernel's kill
oom_not_observed = not an OOM kill: no line of the kernel's OOM killer names the container
oom_not_observed_peak = not an OOM kill: no line of the kernel's OOM killer names the container, whose highest usage was { $peak }
oom_not_observed_peak_of = not an OOM kill: no line of the kernel's OOM killer names the container, whose highest usage was { $peak } of { $limit }

## What would decide

oom_decided_by_line = the kernel's oom-kill line names the cgroup that ran out of memory
oom_decided_by_log = the kernel log shows whether a process of the container was killed
