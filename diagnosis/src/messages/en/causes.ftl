### The catalogue of causes: what each means, and the headings of its parts.

## Memory

cause_oom_container_limit = The kernel killed a process because its container had reached its memory limit.
cause_oom_pod_limit = The kernel killed a process because its pod had reached the pod-level memory limit.
cause_oom_node = The kernel killed a process because the node had run out of memory; other processes may have used it.
cause_oom_nested_limit = The kernel killed a process because a memory limit that the workload itself set inside its container was reached.
cause_killed_by_oom_daemon = An out-of-memory daemon of the node, not the kernel, killed a process or a whole cgroup.
cause_hardware_memory_error = The kernel killed the process because it used memory of the machine that is broken.

## Eviction and removal

cause_evicted_memory = The kubelet evicted the pod because the node was short of memory.
cause_evicted_disk = The kubelet evicted the pod because a file system of the node was nearly full.
cause_evicted_inodes = The kubelet evicted the pod because a file system of the node was nearly out of inodes.
cause_evicted_pids = The kubelet evicted the pod because the node was nearly out of process IDs.
cause_evicted_ephemeral_storage_limit = The kubelet evicted the pod because it, a container or an emptyDir volume exceeded its storage limit.
cause_evicted_by_api = The eviction API removed the pod, as a drain of the node or an autoscaler does.
cause_evicted_by_taint = A NoExecute taint of the node removed the pod.
cause_preempted = The pod was removed to make room for a pod of higher priority.
cause_deadline_exceeded = The pod ran longer than its activeDeadlineSeconds allows.
cause_node_shutdown = A graceful shutdown of the node ended the pod.
cause_evicted_by_device_taint = A taint of a device that the pod used removed the pod.
cause_removed_with_node = The pod was removed because its node was deleted or lost.

## Ended by a signal or by itself

cause_liveness_probe_failed = The kubelet stopped the container because its liveness probe failed too often in a row.
cause_startup_probe_failed = The kubelet stopped the container because its startup probe did not succeed in time.
cause_grace_period_exceeded = The container did not stop within its grace period and was killed.
cause_pids_limit_reached = The process limit of the container or its pod was reached, and the program exited.
cause_sandbox_died = The sandbox of the pod ended, and its containers with it.
cause_stopped_by_request = The container was asked to stop and did so in time.
cause_killed_externally = A process outside Kubernetes and the container runtime sent the container a fatal signal.
cause_crash_segfault = The program crashed on an invalid memory access (SIGSEGV).
cause_crash_abort = The program aborted itself (SIGABRT), as on a failed assertion or a corrupted heap.
cause_crash_bus_error = The program crashed on memory that its file or device could not provide (SIGBUS).
cause_crash_illegal_instruction = The program crashed on an illegal instruction, or one that the CPU does not support (SIGILL).
cause_crash_arithmetic = The program crashed on an arithmetic error such as a division by zero (SIGFPE).
cause_crash_seccomp = The program made a system call that its seccomp profile forbids (SIGSYS).
cause_application_exit = The program exited by itself with a status other than 0.
cause_completed_unexpectedly = The program exited with status 0 although it should keep running.
cause_status_fabricated = The kubelet or the runtime filled in the exit status, because neither observed the end of the container.
cause_unattributed = The cause is not known: what was observed does not decide it.
cause_stopped_by_restart_rule = A restart rule of the pod stopped the container because another container exited.

## Never started

cause_command_not_found = The command, its interpreter or its dynamic loader does not exist in the image.
cause_command_not_executable = The command exists but is not executable.
cause_command_missing = Neither the pod nor the image names a command.
cause_wrong_architecture = The command is built for another CPU architecture, or is not in an executable format.
cause_image_not_found = The registry does not have the image.
cause_image_name_invalid = The name of the image is not valid.
cause_image_unauthorized = The registry denied access to the image.
cause_image_registry_unreachable = The registry could not be reached or did not work.
cause_image_pull_throttled = The registry refused the pull because of its rate limit.
cause_image_pull_timeout = The image could not be pulled in time.
cause_image_never_pull = The image is not on the node and must not be pulled (imagePullPolicy Never).
cause_image_platform_mismatch = The image has no variant for the node's platform.
cause_configmap_missing = The pod refers to a ConfigMap that does not exist.
cause_secret_missing = The pod refers to a Secret that does not exist.
cause_config_key_missing = The pod refers to a key that its ConfigMap or Secret does not contain.
cause_volume_mount_failed = A volume could not be attached or mounted.
cause_volume_claim_unbound = A PersistentVolumeClaim of the pod is not bound or does not exist.
cause_read_only_volume = The program wrote to a file system that is mounted read-only.
cause_security_policy_violation = The container's security settings do not allow it to run as the image demands.
cause_container_create_failed = The container runtime could not create the container.
cause_sandbox_network_failed = The network of the pod could not be set up.
cause_post_start_hook_failed = The kubelet stopped the container because its postStart hook failed.
cause_pre_stop_hook_failed = The preStop hook of the container failed.
cause_rejected_by_node = The kubelet did not admit the pod to its node.
cause_image_unpack_failed = The image was pulled, but the node could not store or unpack it.
cause_image_format_unsupported = The container runtime does not support the format of the image.
cause_image_rejected_by_policy = A signature policy of the node or a policy of the registry rejected the image.
cause_image_volume_failed = An image that the pod mounts as a volume could not be pulled or mounted.
cause_sandbox_create_failed = The sandbox of the pod could not be created.
cause_device_prepare_failed = Devices of the pod could not be prepared on the node.

## Running but not well, or not ending

cause_readiness_probe_failed = The container is running but not ready.
cause_stuck_on_finalizer = The pod is being deleted, but a finalizer holds it.
cause_stuck_on_process = The pod is being deleted, but a process cannot be ended.
cause_stuck_on_lost_node = The pod is being deleted, but its node does not answer.
cause_resize_infeasible = The node can never provide the resources of an in-place resize.
cause_resize_deferred = An in-place resize waits until the node has enough free resources.
cause_resize_failed = An in-place resize could not be applied.
cause_volume_hung = Processes wait in the kernel for a volume or disk that does not answer.

## Node

cause_kubelet_down = The kubelet is not running.
cause_kubelet_hung = The kubelet is running but does not respond.
cause_runtime_down = The container runtime is not running.
cause_runtime_hung = The container runtime is running but does not respond.
cause_api_server_unreachable = The node works but cannot reach the API server.
cause_node_unreachable = Neither the agent nor the kubelet responds: the node or its network is down.
cause_node_rebooted = The node was rebooted.
cause_node_memory_pressure = The node is short of memory.
cause_node_disk_pressure = The node is short of disk space or inodes.
cause_node_pid_pressure = The node is short of process IDs.
cause_node_network_not_ready = The network plugin of the node is missing or fails.
cause_certificate_expired = A certificate of the node has expired.
cause_certificate_expiring = A certificate of the node is about to expire and was not renewed.
cause_clock_skewed = The clock of the node is wrong.
cause_kernel_fault = The kernel of the node reported a fault.
cause_conntrack_full = The connection tracking table of the node is full: new connections may be dropped.
cause_neighbour_table_full = The neighbour table of the node is full: addresses cannot be resolved.
cause_files_exhausted = The node has as many open files as its kernel allows.
cause_kubelet_misconfigured = The kubelet does not start because of its configuration.
cause_node_removed = The node was drained, scaled down or deleted on purpose.
cause_agent_silent = The agent of the node sends no reports; the node itself works.
cause_control_plane_unreachable = Many nodes stopped reporting at once, or the API server cannot be reached: a common path is probably at fault.

## Cluster

cause_unschedulable_resources = No node has enough free resources for the pod.
cause_unschedulable_node_selector = No node has the labels that the pod requires.
cause_unschedulable_affinity = No node satisfies the affinity rules of the pod.
cause_unschedulable_taint = The nodes have taints that the pod does not tolerate.
cause_unschedulable_no_nodes = No node accepts pods: all are cordoned, not ready or missing.
cause_quota_exceeded = The ResourceQuota of the namespace does not allow the pods.
cause_limit_range_violated = The pods are outside a LimitRange of the namespace.
cause_admission_denied = A webhook or Pod Security denied the creation of the pods.
cause_service_without_endpoints = The Service has no pods behind it.
cause_service_port_mismatch = The targetPort of the Service is not a port of its pods.
cause_ingress_backend_missing = The Ingress refers to a Service or port that does not exist.
cause_unschedulable_volume = A volume ties the pod to nodes that cannot run it.
cause_unschedulable_device = No node has the devices that the pod's ResourceClaims request.
cause_unschedulable_host_port = The host port of the pod is in use on every node.
cause_unschedulable_pod_group = The pod group that the pod must be scheduled with does not fit.
cause_unschedulable_other = No node accepts the pod; only the scheduler's message gives the reason.
cause_scheduling_gated = The pod waits for the removal of its scheduling gates.
cause_admission_webhook_failed = An admission webhook that must be called could not be reached.
cause_pod_spec_invalid = The pod template is invalid.
cause_pod_create_failed = The API server could not create the pod.

## Contributing

cause_cpu_throttled = The CPU limit slowed the program down.
cause_heap_limit = The language runtime reached its heap limit.
cause_memory_backed_volume = Files in a memory-backed volume count as memory of the container.
cause_device_failed = A device of the pod is broken or not healthy.
cause_memory_throttled = The kernel slowed the program down because it used more memory than memory.high.
cause_swap_thrashing = The program waited for memory that was moved to swap and back.
cause_limit_not_applied = The limit in the Pod was not yet applied to the running container.
cause_volume_full = A volume of the pod has no space or inodes left.

## The parts of the catalogue

chapter_memory = Memory
chapter_eviction = Eviction and removal
chapter_end = Ended by a signal or by itself
chapter_start = Never started
chapter_unwell = Running but not well, or not ending
chapter_node = Node
chapter_cluster = Cluster
chapter_contributing = Contributing
