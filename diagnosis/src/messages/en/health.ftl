### Why a source does not observe everything, and why a check of the node is not made.

health_quoted = { $text }
health_both = { $first }; { $second }
health_each = { $reasons }
health_not_started = not started yet
health_not_listed = not listed yet
health_not_recorded = not recorded
health_restarted = its task is started again: { $error }
health_restarted_ended = its task is started again: it ended
health_restarted_panicked = its task is started again: it panicked: { $fault }

## Files and calls

health_call_failed = { $call } failed: { $error }
health_unreadable = { $path } cannot be read: { $error }
health_not_created = { $path } cannot be created: { $error }
health_no_directory = there is no directory { $path }
health_removed = { $path } was removed

## Container runtimes

health_cannot_connect = cannot connect to { $endpoint }: { $error }
health_no_socket = this node has no { $daemon } socket
health_socket_hidden = { $socket } cannot be looked at: { $error }
health_switched_off = { $daemon } is switched off
health_another_runtime = the container runtime is not { $daemon }
health_no_answer = { $call } was not answered within { $limit }
health_stream_ended = the runtime ended the stream of { $stream }
health_reader_failed = the reader of { $stream } failed
health_containers_beyond = containers and sandboxes beyond { $capacity } are not followed
health_containers_beyond_count = { $count } containers and sandboxes beyond { $capacity } are not followed
health_containers_uninspected =
    { $count ->
        [one] one container
       *[other] { $count } containers
    } cannot be inspected

## The API server

health_no_cluster = the agent does not run in a cluster, and was given no --kubeconfig
health_no_kubeconfig = the kubeconfig { $path } cannot be used: { $error }
health_no_client = the API server cannot be used: { $error }
health_watch_refused = not allowed to list and watch { $resource }: { $error }
health_watch_unknown = the API server has no { $resource }
health_watch_broken = watching { $resource }: { $error }
health_watch_failed = watching { $resource }: the API server answered { $code }: { $error }
health_events_wait = the events of at most { $watched } pods are watched at once; { $waiting } more wait

## The kubelet

health_kubelet_no_address = the node's address is not known: set --kubelet-url or NODE_IP
health_kubelet_no_client = { $setting } cannot be used: { $error }
health_kubelet_no_certificate = there is no certificate in { $path }
health_kubelet_untrusted = its certificate is not trusted ({ $why }): set serverTLSBootstrap in its configuration, or give this agent --kubelet-ca or --kubelet-insecure-tls
health_kubelet_not_asked = not asked yet
health_kubelet_unwell = /healthz: { $answer }
health_kubelet_refuses = it refuses connections
health_kubelet_hangs = it hangs: /healthz: no answer within { $limit }
health_kubelet_partly = it is well, but { $failures }
health_kubelet_token_slow = no answer within { $limit } to a request with the agent's token, but an answer to one without: the API server reviews the token slowly
health_silent = no answer within { $limit }
health_status = HTTP status { $status }
health_status_body = HTTP status { $status }: { $body }
health_answer_unreadable = the answer cannot be read: { $error }
health_answer_unexpected = the answer is not what it should be: { $error }
health_endpoint_failed = { $path }: { $error }
health_endpoint_silent = { $path }: no answer within { $limit }
health_endpoint_status = { $path }: status { $status }
health_endpoint_unreadable = { $path }: the answer cannot be read: { $error }
health_endpoint_unexpected = { $path }: the answer is not what it should be: { $error }

## File systems and logs

health_no_file_system = no directory of the kubelet or a runtime is there
health_file_system_silent = { $path } does not answer
health_file_system_panicked = the thread that asks { $path } panicked
health_file_system_no_thread = there is no thread to ask { $path }: { $error }
health_logs_off = switched off: no line of a log leaves the node
health_logs_late = the file system of { $path } has not answered within { $limit }
health_log_unreadable = the log of a container cannot be read: { $error }
health_log_panicked = reading the log of a container panicked
health_nameless =
    { $count ->
        [one] the name of one container is unknown
       *[other] the names of { $count } containers are unknown
    }: the log's file name is truncated, or there are too many

## Cgroups

health_no_cgroups = there are no cgroups at { $path }
health_cgroups_beyond = { $count } cgroups beyond { $capacity } are not watched
health_cgroups_no_instance = no inotify instance is left: raise fs.inotify.max_user_instances
health_cgroups_no_watches = no inotify watch is left, so some cgroups are only read every 30 s: raise fs.inotify.max_user_watches
health_cgroups_no_watch = cannot watch { $path }: { $error }
health_cgroups_no_notice = cannot ask for a notice when a cgroup runs out of memory: { $path }: { $error }
health_cgroups_no_memory = the kernel does not count memory by cgroup (cgroup_disable=memory?)

## The kernel

health_no_kernel_log = { $path } is not the kernel log
health_kernel_log_empty = the device of the kernel log returns nothing
health_syslog_failed = { $refusal }; syslog(2) failed: { $error }
health_syslog_no_times = { $refusal }; syslog(2) gives no times, as printk.time is off
health_syslog = { $refusal }; read by syslog(2), when the kernel prints
health_syslog_polled = { $refusal }; read by syslog(2), once a second, as { $why }
health_no_tracefs = no tracefs at { $path }
health_tracefs_not_mounted = tracefs is not mounted at { $path } and cannot be: { $error }
health_no_perf = perf_event_open failed: { $error } (it needs CAP_PERFMON)
health_signals_untraced = the kernel does not trace signals: { $error }
health_victims_untraced = the kernel does not trace OOM victims: { $why }
health_no_agent = { $path } does not show the agent: { $error }
health_connector_needs = the process connector needs CAP_NET_ADMIN: { $error }
health_connector_network = the process connector is reached from the node's network namespace only
health_connector_namespace = the process connector answers in the node's pid and user namespace only (hostPID)
health_no_connector = the kernel has no process connector: { $error }

## The agent itself

health_memory_only = records are kept in memory only: { $why }
health_case_files_full = more containers live on this node than case files can be kept of: some are not watched

## The aggregator

health_cluster_uid_refused = cannot get namespace { $namespace }, whose uid is the cluster's: { $error }
health_cluster_uid_unknown = cannot get namespace { $namespace }: { $error }; until then nothing is watched
health_cluster_uid_silent = cannot get namespace { $namespace }: no answer within { $limit }; until then nothing is watched
health_objects_beyond = there are more objects than can be held
health_unwatched = not watched: the aggregator used { $used } of its memory limit of { $limit }; raise the limit
health_unscheduled_only = only pods without a node are watched: the aggregator used { $used } of its memory limit of { $limit }; raise the limit
health_watch_restarted = the watch is started again: { $error }
health_watch_restarted_ended = the watch is started again: all watches have ended
health_watch_restarted_panicked = the watch is started again: it panicked: { $fault }

## Checks of the node

health_check_unreadable = not readable: { $paths }
health_check_no_kubelet = the kubelet's address is not known
