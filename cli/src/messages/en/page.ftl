### The explanation page of a diagnosis.

## Labels

label_when = When
label_ended = Ended
label_evidence = Evidence
label_ruled_out = Ruled out
label_related = Others
label_candidates = Possible
label_last_lines = Log end
label_missing = Missing
label_withheld = Withheld
label_next = Next
label_cause = Cause
label_id = ID
label_others = Also diagnosed

## Words

container_main = container { $name }
container_init = init container { $name }
container_sidecar = sidecar container { $name }
container_ephemeral = ephemeral container { $name }
confidence_undetermined = undetermined
confidence_certain = certain
confidence_likely = likely
confidence_possible = possible
confidence_unknown = confidence unknown
severity_info = info
severity_warning = warning
severity_error = error
severity_critical = critical
yes = yes
no = no
age = { $age } ago

## When it happened

when_known = { $moment }, { $age } ago
when_unknown = at an unknown time
when_node = on node { $node }
when_count = { $count } times
when_count_since = { $count } times since { $first }
when_count_in_container = { $count } times in this container
when_count_in_container_since = { $count } times in this container since { $first }
when_count_in_pods = { $count } times in { $pods } pods
when_count_in_pods_since = { $count } times in { $pods } pods since { $first }
when_resolved_after = resolved after { $age }
when_resolved = resolved
occurrences = { $count } times

## How it ended

exit_code = exit code { $code }
exit_signal = killed by { $signal }
exit_process = a process was killed by { $signal }; the container did not end
exit_fabricated = not the real exit status: it was filled in by the kubelet or the runtime
exit_reason = reported reason { $reason }

## The cause

cause_contributing = { $cause }, contributing: { $contributing }
id_revision = { $uid }, revision { $revision }
label_steps = How it was concluded
label_held = Not reported
steps_elsewhere = Not by the rules of this node: from the objects of the cluster, or from what is known of other nodes.
others_more = … and { $count } more: use -o table
