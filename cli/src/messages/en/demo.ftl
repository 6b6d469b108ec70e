### The demo: what it shows, and why it cannot go on.

## What it shows

demo_begins = Five containers of this demo really die on this machine. The agent observes them, without Kubernetes or a container runtime; its diagnoses arrive through the aggregator's gRPC feed.
demo_sources = Sources:
demo_no_verdict = no diagnosis within { $seconds } s
demo_latency = Arrived { $latency } after the death.
demo_after = { $latency }
demo_all_explained = All five deaths were explained.
demo_not_explained = Not explained: { $pods }. Sources that do not see everything here: { $sources }.
demo_no_source = none
demo_nothing = no diagnosis
scene_oom_main = the main process of the container uses more memory than its limit of 32 MiB
scene_oom_child = a child process uses more memory than the limit; the main process keeps running
scene_segfault = the program reads address 0
scene_exit_137 = the program exits by itself with code 137, which looks like SIGKILL and is not
scene_kill_9 = a process outside the container sends SIGKILL

## What it needs

needs_linux = this command observes the machine that it runs on, and needs Linux there
needs_root = the demo needs root, to create cgroups and to read the kernel log: sudo coroner demo
needs_program = { $path } does not exist; the programs coroner, coroner-agent and coroner-aggregator must be in one directory
needs_memory_cgroups = the demo needs cgroups that count memory, and no such hierarchy is mounted; in a container, run it on the host instead
needs_cgroup = cannot create the cgroup { $path }: { $error }. The demo needs cgroups that it can write to; in a container, run it on the host instead
needs_cgroup_value = cannot write { $value } to { $path }: { $error }. The demo needs cgroups that it can write to; in a container, run it on the host instead

## What failed

failed_call = { $call } failed: { $error }
failed_read = cannot read { $path }: { $error }
failed_create = cannot create { $path }: { $error }
failed_remove = cannot remove { $path }: { $error }
failed_start = cannot start { $program }: { $error }
failed_container = the container of { $pod } did not start within { $seconds } s
failed_sources = the agent's sources were not ready within { $seconds } s: { $sources }
failed_feed = the aggregator ended the feed
cgroup_busy = the cgroup { $path } is still in use; remove it later with rmdir, the innermost first
daemon_ended = { $program } ended early ({ $how }); { $log }
daemon_not_ready = { $program } was not ready within { $seconds } s; { $log }
daemon_not_stopped = { $program } did not stop within { $seconds } s and was killed
ended_somehow = how is not known
log_ends = its log ends with: { $line }
log_is_empty = it logged nothing
interrupted = interrupted
victim_not_stopped = { $used } of memory were used, and no limit was reached
