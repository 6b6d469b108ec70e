### Ends on request: who asked, and how the container obeyed.

## How it was obeyed

stop_obeyed = Stopped on request
stop_obeyed_for = Stopped on request: { $reason }
stop_killed_after = Killed because it did not stop within { $waited }
stop_killed_after_for = Killed { $waited } after a request to stop: { $reason }
stop_at_once = Killed by the container runtime, without a grace period
stop_at_once_for = Killed without a grace period: { $reason }
stop_killed = Killed by the container runtime; whether it was asked to stop is not known
stop_killed_for = Killed, possibly after its grace period: { $reason }
stop_obeyed_after = The runtime sent { $signal } to the main process, which ended { $took } later.
stop_ignored = The runtime sent { $signal } to the main process. It was still running { $waited } later, so the runtime sent SIGKILL (exit code 137). The OOM killer was not involved.
stop_ignored_unsure = The runtime sent { $signal } to the main process. It was still running { $waited } later, so the runtime sent SIGKILL (exit code 137).
stop_ignored_kubelet = The runtime sent { $signal } to the main process. It was still running { $waited } later, so the kubelet sent SIGKILL (exit code 137).
stop_without_signal = The runtime sent SIGKILL to the main process without asking it to stop first.
stop_before_unknown = The runtime sent SIGKILL to the main process. Whether the runtime had asked it to stop before is not known, because signals were not observed for long enough.
stop_unobserved = The signals that it received were not observed.
stop_unobserved_kill = It ended with exit code 137, as after SIGKILL; the signals that it received were not observed.
stop_forgotten = The request is from more than { $kept } before the end. Signals are not kept for longer, so whether it received one then is not known.
stop_looks_alike = with what was observed, a stop without a grace period looks the same

## Docker

docker_ignored = Docker was asked to send { $signal } to the main process. It was still running { $waited } later, and Docker sent SIGKILL.
docker_without_signal = Docker was asked to send SIGKILL to the main process, and no other signal before that.
docker_before_unknown = Docker was asked to send SIGKILL to the main process. Whether it had been asked to stop the container before is not known.
docker_obeyed = Docker was asked to send { $signal } to the main process, which ended { $took } later.

## Killed by others

killed_by = Killed by a process on the node: { $name } sent { $signal }
killed_by_sender = { $sender } sent { $signal } to the main process. The sender is neither the kernel, nor the kubelet, nor the container runtime.
killed_by_container = Killed by a process of another container: { $name } sent { $signal }
killed_from_inside = Killed from inside the container: { $name } sent { $signal }
killed_from_inside_sender = { $sender } sent { $signal } to the main process. The sender ran in the same container, like a command of kubectl exec.
killed_by_sibling = Killed by container { $container } of its pod: { $name } sent { $signal }
killed_by_container_sender = { $sender } sent { $signal } to the main process. The sender runs in container { $container } of the same pod.
killed_by_other_pod = { $sender } sent { $signal } to the main process. The sender runs in a container of another pod.
sandbox_died = Ended because the sandbox of its pod had died
sandbox_died_why = The pod's sandbox ended with status { $code } before the container was asked to stop. The kubelet then stops all containers of the pod and starts them again.
sandbox_exit = exit of the sandbox with status { $code }

## Who deleted the pod

reason_deleted = the pod was deleted
reason_owner_deleted = { $kind } { $name } was deleted
reason_job_failed = Job { $name } failed ({ $why })
reason_job_suspended = Job { $name } was suspended
reason_job_complete = Job { $name } was complete ({ $why })
reason_rollout = rollout of { $kind } { $name }
reason_scaled_down = { $kind } { $name } scaled down to { $replicas }
reason_redefined = the definition of the container was changed
reason_resized = a resize of its resources requires a restart
reason_announced = the kubelet stopped the container
deleted = The pod was deleted with a grace period of { $grace }.
deleted_now = The pod was deleted.
deleted_of = The pod belongs to { $kind } { $name }; neither a rollout nor a scale-down of it is known.
deleted_of_unknown = The pod belongs to { $kind } { $name }.
belongs_to_below = The pod belongs to { $kind } { $name } of { $above } { $top }.
owner_deleted = { $kind } { $name } was deleted, and its pods with it.
owner_deleted_below = { $kind } { $name } of { $above } { $top } was deleted, and its pods with it.
job_reported = The Job controller deleted the pods of Job { $name } that were still running: “{ $message }”.
rolled_out_to = { $kind } { $name } was rolled out to revision { $revision }, which replaced the pod.
rolled_out = { $kind } { $name } was rolled out, which replaced the pod.
scaled_down =
    { $kind } { $name } was scaled down to { $replicas ->
        [one] one replica
       *[other] { $replicas } replicas
    }.

## Probes and hooks

probe_liveness_failed =
    Restarted by the kubelet: { $count ->
        [one] its liveness probe failed
       *[other] { $count } liveness probes failed in a row
    }
probe_liveness_failed_some = Restarted by the kubelet: its liveness probe failed
probe_startup_failed = Restarted by the kubelet: its startup probe did not succeed in time
probe_liveness_ended =
    Stopped by the kubelet: { $count ->
        [one] its liveness probe failed
       *[other] { $count } liveness probes failed in a row
    }
probe_liveness_ended_some = Stopped by the kubelet: its liveness probe failed
probe_startup_ended = Stopped by the kubelet: its startup probe did not succeed in time
probe_asks = The probe, { $what }, runs every { $period } and allows { $timeout } for an answer.
probe_got = Its last result: “{ $answer }”.
probe_got_unknown = Its result is not known, because no event of the kubelet was observed.
probe_kill_inferred = The kubelet's event about the kill itself was not observed.
cpu_throttled = The CPU limit throttled the container in { $throttled } of { $periods } scheduling periods, so the program may simply have been too slow.
cpu_throttled_periods = throttled in { $throttled } of { $periods } scheduling periods
memory_throttled = The container used more memory than memory.high, and the kernel slowed its processes down, so the program may simply have been too slow.
memory_throttled_sampled = memory.events high grows, and memory.pressure shows that all processes wait for memory most of the time
swap_thrashing = The container had used up its swap and waited for memory most of the time, so the program may simply have been too slow.
swap_thrashing_sampled = memory.swap.current is near memory.swap.max, and memory.pressure shows that all processes wait for memory most of the time
hook_post_start_failed = Stopped by the kubelet: its postStart hook failed
hook_reported = The hook failed with: “{ $message }”.

## Restart rules

rule_applied = Stopped by a restart rule of its pod, because another container exited
rule_trigger = The pod's restartPolicyRules restart all containers: “{ $trigger }”.
rule_removed = The kubelet removed this container without a grace period; exit code { $code } was not set by the program.
