### States of the node: its daemons, its way to the API server, pressure, and what its kernel reports.
node_daemon_down = { $daemon ->
    [kubelet] The kubelet is not running
   *[runtime] The container runtime is not running
}
node_daemon_ended = Its process (pid { $pid }) ended, and no other has taken its place.
node_daemon_ended_asked = Its process (pid { $pid }) was asked to stop by SIGTERM and ended; no other has taken its place.
node_daemon_ended_signal = Its process (pid { $pid }) was ended by { $signal }, and no other has taken its place.
node_daemon_exited = Its process (pid { $pid }) exited with status { $code }, and no other has taken its place.
node_daemon_refuses = It answered before and now refuses connections: { $error }.
node_daemon_effect = { $daemon ->
    [kubelet] Running containers continue, but nothing on the node is started, stopped, probed or reported until it works again.
   *[runtime] Running containers continue, but none on the node can be started, stopped or inspected until it works again.
}
node_daemon_loops = { $daemon ->
    [kubelet] The kubelet keeps ending soon after it starts
   *[runtime] The container runtime keeps ending soon after it starts
}
node_daemon_loops_why = { $count ->
    [one] Its process ended once within the last ten minutes and has not been healthy since.
   *[other] Its process ended { $count } times within the last ten minutes and was not healthy in between.
}
node_daemon_last_line = Its last line was: “{ $line }”.
node_daemon_no_process = { $daemon ->
    [kubelet] no process of the host runs the kubelet
   *[runtime] no process of the host serves the runtime's socket
}
node_daemon_hung = { $daemon ->
    [kubelet] The kubelet is running but does not answer
   *[runtime] The container runtime is running but does not answer
}
node_daemon_halted = { $daemon ->
    [kubelet] The kubelet is suspended by a signal
   *[runtime] The container runtime is suspended by a signal
}
node_kubelet_stalled = The kubelet answers, but has not synchronized its pods for minutes
node_daemon_stopped = A signal has stopped its process (pid { $pid }, state T): it does nothing until it receives SIGCONT.
node_daemon_silent = { $daemon ->
    [kubelet] It has not answered GET /healthz since { $since }.
   *[runtime] It has not answered the CRI call Version since { $since }.
}
node_daemon_unreachable = Its process (pid { $pid }) is running, but its interface cannot be reached: { $error }.
node_daemon_unwell = It reports that it is not healthy: { $message }.
node_quoted = “{ $text }”
node_daemon_unseen = its process and its socket show whether it runs
node_daemon_no_answer = no answer within the deadline
node_kubelet_misconfigured = The kubelet does not start: its configuration is not accepted
node_kubelet_misconfigured_why = It ends soon after each start and reports: “{ $line }”.
node_api_server = { $step ->
    [dns] The node cannot resolve the name of the API server
    [tcp] The node cannot connect to the API server
    [tls] The node cannot establish TLS with the API server
   *[ready] The API server is not ready or does not answer
}
node_api_server_why = { $step ->
    [dns] The name in { $address } does not resolve: { $error }.
    [tcp] A connection to { $address } fails: { $error }.
    [tls] { $address } accepts connections, but TLS fails: { $error }.
   *[ready] { $address } accepts connections, but GET /readyz fails: { $error }.
}
node_api_server_step = { $address }: { $step }: { $error }
node_api_server_effect = Containers on the node keep running. Kubernetes sets the node to Unknown once its Lease is not renewed, and evicts its pods later.
node_memory_pressure = The node is short of memory
node_disk_pressure = The node is short of disk space or inodes
node_pid_pressure = The node is short of process IDs
node_pressure_reported = The kubelet has set { $condition }: { $message }. It evicts pods until the pressure is over; meanwhile only pods that tolerate its taint are scheduled to the node.
node_memory_left = Of { $total } of memory, { $available } are available.
node_memory_stalled = Tasks waited for memory for { $percent } % of the last ten seconds, so daemons of the node may not answer in time.
node_inodes_left = { $path } has { $available } of { $total } inodes left.
node_disk_left = { $path } has { $available } of { $size } left.
node_pids_left = { $current } of { $max } process IDs are in use.
node_network = The network plugin of the node is not ready
node_network_why = The container runtime reports: { $message }. Pods without the host's network cannot start here until the plugin is installed and initialized.
node_certificate_expired = The kubelet's serving certificate has expired
node_certificate_why = It was valid until { $expired }. Clients that verify it can no longer use the kubelet: then kubectl logs and exec fail, and metrics are missing.
node_client_certificate_expired = The kubelet's client certificate has expired
node_client_certificate_why = The kubelet reported before it ended: “{ $line }”. The API server rejects this certificate, so the node becomes Unknown and its pods are evicted later.
node_client_certificate_file = The certificate in { $path }, by which a kubelet authenticates to the API server, was valid until { $expired }. Since then the node has become Unknown, although its kubelet runs and the API server can be reached from here.
node_client_certificate_expires = The kubelet's client certificate is about to expire
node_client_certificate_expires_why = The certificate in { $path }, by which a kubelet authenticates to the API server, is valid until { $expires }. A kubelet renews it when 70 to 90 % of its life have passed, and this one has not been renewed. Once it has expired, the API server rejects the kubelet, and the node becomes Unknown.
node_clock_ahead = The node's clock is { $offset } ahead
node_clock_behind = The node's clock is { $offset } behind
node_clock_why = Certificates and tokens may be rejected as expired or not yet valid, and after a step backwards the API server ignores the Lease of the node for that long.
node_clock_compared = { $reference ->
    [api_server] compared with the Date header of the API server: { $offset }
   *[aggregator] compared with the clock of the aggregator: { $offset }
}
node_kernel_fault = { $kind ->
    [HUNG_TASK] The kernel reported a task that has been blocked for too long
    [SOFT_LOCKUP] A processor of the node was stuck in the kernel
    [HARD_LOCKUP] A processor of the node did not handle interrupts
    [RCU_STALL] The kernel reported that a processor or task stalled (RCU)
    [WORKQUEUE_LOCKUP] Deferred work of the kernel makes no progress
    [BAD_PAGE] The kernel found its records of memory damaged
    [OOPS] The kernel of the node hit a bug
    [PANIC] The kernel of the node panicked
    [FILE_SYSTEM_READ_ONLY] A file system of the node has become read-only
    [FILE_SYSTEM_ERROR] A file system of the node has errors
    [IO_ERROR] A disk of the node fails to read or write
    [GPU_XID] A GPU of the node has failed
   *[other] The kernel of the node reported a fault
}
node_kernel_fault_why = The kernel reported: “{ $line }”.
node_kernel_fault_count = It has reported this { $count } times since { $since }.
node_read_only_mount = The file system at { $path } was writable before and is now read-only. All writes to it fail, those of containers included.
node_volume_hung = Processes wait for a volume that does not answer
node_disk_hung = Processes wait for a disk that does not answer
node_volume_hung_why = { $count ->
    [one] A process has been waiting in the kernel since { $since }. It cannot be ended before the server or disk answers or the mount is forcibly unmounted.
   *[other] { $count } processes have been waiting in the kernel, the first since { $since }. They cannot be ended before the server or disk answers or the mount is forcibly unmounted.
}
node_volume_server = The kernel reports that the NFS server { $server } does not respond.
node_volume_waiting = { $process } (pid { $pid }) waits in { $channel }
node_conntrack_full = The connection tracking table is at its limit: new connections may be dropped
node_conntrack_full_why = When it is full, the kernel drops packets of new connections, also those of probes, DNS and Services. Established connections continue.
node_neighbours_full = The neighbour table is full: addresses cannot be resolved
node_neighbours_full_why = The kernel cannot resolve the addresses of more hosts in its subnets, so connections to them fail.
node_files_exhausted = The node is at the kernel's limit of open files
node_files_exhausted_why = At the limit, opening a file or a connection fails for every process without CAP_SYS_ADMIN.
node_table_fill = { $count } of { $limit } entries are in use.
