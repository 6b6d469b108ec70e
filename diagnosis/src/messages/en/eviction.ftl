### Evictions by the kubelet.
evicted_memory = Evicted: the node was short of memory
evicted_disk = Evicted: the node was short of disk space
evicted_inodes = Evicted: the node was short of inodes
evicted_pids = Evicted: the node was short of process IDs
evicted_limit = Evicted: it exceeded its storage limit
evicted_left_bytes = { $available } were available, less than the threshold of { $threshold }.
evicted_left_inodes = { $available } inodes were available, less than the threshold of { $threshold }.
evicted_left_pids = { $available } process IDs were available, less than the threshold of { $threshold }.
evicted_signals = Eviction signal: { $signals }.
evicted_used_more = It used more than it requested, and the kubelet evicts such pods first: { $consumers }.
evicted_consumer = container { $container } used { $used } and requested { $request }
evicted_consumer_unrequested = container { $container } used { $used } and requested none
evicted_consumer_count = container { $container } used { $used }
evicted_ranked_by_priority = The kubelet first evicts pods that use more than they request, then those of low priority; this one has priority { $priority }.
evicted_ranked = The kubelet first evicts pods that use more than they request, then those of low priority; this one has priority { $priority } and QoS class { $qos }.
evicted_empty_dirs = In addition, its emptyDir volumes held { $size }.
evicted_peak = The highest usage measured was { $size }.

## Evidence

evicted_signal_bytes = { $signal }: { $left } of { $all } left, threshold { $threshold }
evicted_signal_count = { $signal }: { $left } of { $all } left, threshold { $threshold }
evicted_working_set = the pod's working set was { $size }
evicted_storage_used = the pod used { $size } of local storage
evicted_inodes_used = the pod used { $count } inodes
evicted_processes =
    the pod had { $count ->
        [one] one process
       *[other] { $count } processes
    }
evicted_volume_held = volume { $volume } held { $size }
