//! Evictions by the kubelet.

crate::messages! {
    evicted_memory();
    evicted_disk();
    evicted_inodes();
    evicted_pids();
    evicted_limit();
    evicted_left_bytes(available: Bytes, threshold: Bytes);
    evicted_left_inodes(available: Count, threshold: Count);
    evicted_left_pids(available: Count, threshold: Count);
    evicted_signals(signals: Identifiers);
    evicted_used_more(consumers: Phrases);
    evicted_consumer(container: Identifier, used: Bytes, request: Bytes);
    evicted_consumer_unrequested(container: Identifier, used: Bytes);
    evicted_consumer_count(container: Identifier, used: Identifier);
    evicted_ranked(priority: Count, qos: Identifier);
    evicted_ranked_by_priority(priority: Count);
    evicted_empty_dirs(size: Bytes);
    evicted_peak(size: Bytes);
    evicted_signal_bytes(signal: Identifier, left: Bytes, all: Bytes, threshold: Bytes);
    evicted_signal_count(signal: Identifier, left: Count, all: Count, threshold: Count);
    evicted_working_set(size: Bytes);
    evicted_storage_used(size: Bytes);
    evicted_inodes_used(count: Count);
    evicted_processes(count: Count);
    evicted_volume_held(volume: Identifier, size: Bytes);
}
