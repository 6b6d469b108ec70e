### The page for people.

## Around every page

skip = Skip to the content
navigation = Navigation
sign_out = Sign out
times_are_utc = all times are UTC
live = Live
live_lost = Reconnecting…
live_ended = Not live: reload the page
overview = Overview
to_overview = Go to the overview
close = Close

## Keys

keys = Keys
key_search = search
key_move = next and previous entry
key_overview = overview
key_help = this help

## Signing in

sign_in = Sign in
sign_in_how = Paste a token for the audience of this aggregator. Your permissions decide what is shown: the diagnoses of every namespace whose pods you may get.
sign_in_certificate = This aggregator accepts no tokens. Use a client certificate, or a proxy that has one.
sign_in_refused = The token was not accepted.
token = Token

## Errors

error_unauthenticated = Sign in first
error_forbidden = You may not see this
error_not_found = Nothing was found here
error_request = The address is not valid
error_busy = Too many requests at once: try again in a moment
error_unavailable = Not available at present: try again in a moment
error_internal = Internal error of this aggregator

## Filters

search = Search
range = Time range
last = Last { $span }
severity = Severity
severity_any = Any severity
at_least = { $severity } or worse
cause = Cause
cause_any = Any cause
namespace = Namespace
node = Node
filter = Filter
clear = Clear filters

## Severity and confidence

severity_unknown = unknown
info = info
warning = warning
error = error
critical = critical
undetermined = undetermined
certain = certain
likely = likely
possible = possible
confidence_unknown = confidence unknown

## The overview

nodes_in_trouble = Nodes that need attention
the_cluster = The whole cluster
more_nodes = { $count } more
node_silent = No report for { $span }
node_impaired = Sources are degraded or absent: { $sources }
daemon_not_running = { $daemon } does not work
timeline_label =
    { $count ->
        [one] 1 diagnosis on a time axis
       *[other] { $count } diagnoses on a time axis
    }
gaps =
    { $count ->
        [one] 1 gap: something was not recorded
       *[other] { $count } gaps: something was not recorded
    }
before_records = Nothing is recorded from before this time
axis_is_cut = The axis begins at { $moment }; what is older is on the next page
the_aggregator = aggregator
diagnoses = Diagnoses
unreadable =
    { $count ->
        [one] 1 diagnosis can no longer be read from the ledger
       *[other] { $count } diagnoses can no longer be read from the ledger
    }
nothing_ended = Nothing ended or failed
nothing_matches = Nothing matches these filters
nothing_in = in the last { $span }, as far as it was recorded.
nothing_since = back to { $moment }. Older diagnoses have not been searched yet.
older = Older
in_this_list = diagnoses
since = the first { $span } ago
on_node = on node
ago = { $span } ago
none = None

## A diagnosis

times = { $count } times
times_in_container = { $count } times in this container
resolved = resolved { $moment }
evidence = Evidence
ruled_out = Ruled out
related = Other pods that took part
candidates = Still possible
last_lines = Last lines of its log
next_steps = Next steps
copy = Copy
copied = Copied
copy_text = Copy as text
as_text = Text
permalink = Permalink
details = Details
contributing = Contributing
exit_code = Exit code
fabricated = (filled in by the kubelet or the runtime, not the real status)
signal = Signal
reported_reason = Reported reason
process = Process
image = Image
container_id = Container ID
started = Started
restarts = Restarts
memory_limit = Memory limit
memory_usage = Memory used at the kill
memory_peak = Highest memory usage
memory_anon = Anonymous memory
memory_file = File cache
node_available = Available on the node
kernel = Kernel
missing = Sources missing
withheld = Withheld
uid = ID
revision = revision { $number }
revisions =
    { $count ->
        [one] 1 earlier revision
       *[other] { $count } earlier revisions
    }
earlier = Same cause, earlier
of_workload = Same workload, other causes, within an hour
at_node = Same node, within five minutes
at_that_time = Same minute, anywhere
bytes = { $size }
memory_before = Memory before the kill
memory_picture = Memory usage over { $span }: from { $first } to { $last }
memory_limit_of = limit { $size }
memory_high_of = memory.high { $size }
memory_request_of = request { $size }
memory_request = Memory request
memory_high = memory.high
moments_throttled =
    { $count ->
        [one] CPU throttled
       *[other] CPU throttled, { $count } times, last
    }
moments_probe =
    { $count ->
        [one] probe failed
       *[other] { $count } probes failed, the last
    }
moments_restart =
    { $count ->
        [one] restart
       *[other] { $count } restarts, the last
    }
killed = killed

## A node

about_the_node = About the node itself
not_resolved = not resolved
pods_meanwhile =
    { $count ->
        [one] 1 diagnosis of its pods meanwhile
       *[other] { $count } diagnoses of its pods meanwhile
    }
pressure = Pressure in the last hour
pressure_cpu = CPU, some waiting
pressure_memory = memory, all waiting
pressure_io = disk, all waiting
pressure_picture = Highest pressure in the last hour: { $highest }
findings = Also reported
kernel_fault = kernel fault
blocked_process = blocked process
unobserved = not checked
last_days = Last { $days } days
only_newest = Only the newest { $count } are counted
reporting = reporting
last_report = last report
records =
    { $count ->
        [one] 1 record
       *[other] { $count } records
    }
removed = { $count } removed early: the ledger is full, and most of it is from this node
duration = { $span }
report = Report of the agent
runtime = Container runtime
api_server = API server
reachable = reachable
lease_age = Lease last renewed
uptime = Uptime
containers = Running containers
boot = Boot ID
agent = Agent
memory_available = Memory available
bytes_of = { $part } of { $whole }
daemon_running = running
daemon_down = down:
daemon_hung = does not answer:
daemon_unhealthy = not healthy:
daemon_restarting = keeps restarting:
sources = Sources
source = Source
health = State
health_unknown = unknown
health_ok = ok
health_degraded = degraded
health_absent = absent
since_when = Since
losses = Losses
reason = Reason

## A workload

over_thirty_days =
    { $count ->
        [one] 1 diagnosis in thirty days
       *[other] { $count } diagnoses in thirty days
    }
by_cause = By cause, image and revision
revision_of_workload = Revision
count = Count
first = First
last_time = Last
columns_label = Diagnoses by day and cause, at most { $most } a day
other_causes = other causes
