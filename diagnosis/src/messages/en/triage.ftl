### Nodes that fall silent, are restarted or go.

## Silence

triage_unreachable = Unreachable: neither the agent nor the kubelet of the node responds
triage_was_unreachable = Was unreachable: neither the agent nor the kubelet responded
triage_was_cut_off = Was unreachable for a while, but was not restarted
triage_not_back = Shut down normally, and has not returned
triage_host_alone = Not responding: its kernel accepts connections, the kubelet and the agent do not answer
triage_host_alone_how = The agent sends no reports, and the kubelet does not renew the node's Lease. The host still accepts or refuses connections, so it has power and network: its processes have stalled, or were stopped.
triage_kubelet_alone = Out of contact: the kubelet answers probes, but does not renew its Lease
triage_kubelet_alone_how = The kubelet answers other nodes, but renews no Lease, and the agent sends no reports: they cannot reach the control plane, or are refused there.
triage_was_stalled = In its last report, all tasks waited for memory most of the time: the node has probably stalled for lack of memory.
triage_silent_for = Nothing has come from the node for { $silent }: no report of its agent, and no renewal of its Lease.
triage_unconfirmed = No second prober confirms it, so a fault on the way to the node is possible.
triage_returned = The node responded again after { $lasted }.
triage_returned_same = The node responded again after { $lasted }, with the same boot ID: it was not restarted. Its network or the way to it had failed, or the node had stalled.
triage_returned_rebooted = The node responded again after { $lasted }, with another boot ID: it was restarted meanwhile.
triage_no_pods = No pods are bound to it.
triage_pods =
    { $count ->
        [one] One pod is bound to it
       *[other] { $count } pods are bound to it
    }, and may still be running.
triage_pods_deleted =
    If it stays unreachable, Kubernetes deletes { $count ->
        [one] one of them
       *[other] { $count } of them
    }, the first in about { $first }; they stay in Terminating until the node responds or its Node object is deleted.
triage_last_report =
    last report { $age } ago{ $kubelet ->
        [running] ; its kubelet worked
        [down] ; its kubelet was not running
        [hung] ; its kubelet did not respond
        [unhealthy] ; its kubelet reported that it was not healthy
        [restarting] ; its kubelet ended soon after each start
       *[other] {""}
    }
triage_announced = it announced that the host is being shut down
triage_stalled = most of the time, all tasks waited for memory
triage_lease = the Lease was last renewed { $age } ago
triage_probed =
    from { $node }, the kubelet's port { $kubelet ->
        [answered] answered
        [refused] refused the connection
        [silent] accepted the connection and did not answer
        [timed_out] did not answer the connection attempt
        [unreachable] is not reachable: no route to the host
       *[other] was not probed
    }; the agent's port { $agent ->
        [answered] answered
        [refused] refused the connection
        [silent] accepted the connection and did not answer
        [timed_out] did not answer the connection attempt
        [unreachable] is not reachable: no route to the host
       *[other] was not probed
    }
triage_probed_here =
    from the aggregator, the kubelet's port { $kubelet ->
        [answered] answered
        [refused] refused the connection
        [silent] accepted the connection and did not answer
        [timed_out] did not answer the connection attempt
        [unreachable] is not reachable: no route to the host
       *[other] was not probed
    }; the agent's port { $agent ->
        [answered] answered
        [refused] refused the connection
        [silent] accepted the connection and did not answer
        [timed_out] did not answer the connection attempt
        [unreachable] is not reachable: no route to the host
       *[other] was not probed
    }
triage_agent_silent = The agent sends no reports; the node itself works
triage_agent_silent_for = The agent has not reported for { $silent }, while the kubelet keeps renewing the node's Lease. Until the agent reports again, deaths on this node are not explained.
triage_agent_silent_probed = The agent has not reported for { $silent }, while the kubelet answers probes. Until the agent reports again, deaths on this node are not explained.

## The way to many nodes

triage_path_api = The aggregator cannot watch the API server
triage_path_api_why = Until it can, Nodes and Leases are not observed, so no node is reported as unreachable.
triage_path_nodes = { $silent } of { $known } nodes fell silent at once: their common path is probably at fault
triage_path_nodes_why = So many nodes rarely fail together: a switch, a zone, the network of the aggregator or the control plane is more likely. No single node is reported as unreachable.
triage_path_agents = The agents of { $silent } of { $known } nodes fell silent at once; the nodes work
triage_path_agents_why = The kubelets keep renewing their Leases, so the agents or the way from them to the aggregator are at fault. Deaths on these nodes are reported once the agents connect again.
triage_path_names = silent, among others: { $names }

## Restarts

triage_rebooted = Rebooted
triage_rebooted_clean = Rebooted after a regular shutdown
triage_rebooted_clean_how = The host had announced its shutdown, or the agent had been stopped before the boot ended.
triage_rebooted_panic = Rebooted after a kernel panic
triage_rebooted_panic_how = The last messages of the kernel are in pstore.
triage_rebooted_abrupt = Rebooted, apparently without a shutdown: power loss, reset or crash
triage_rebooted_abrupt_how = The agent had not been stopped before, as it is in a shutdown, and the kernel left no messages of a panic.
triage_rebooted_away = Nothing came from the node for { $away } before.
triage_rebooted_pods = The containers that ran on it ended with the previous boot; the exit codes that the runtime reports for them are not real.
triage_rebooted_count =
    { $count ->
        [one] One pod was bound to it.
       *[other] { $count } pods were bound to it.
    }
triage_boot_reported = boot ID { $boot }, up for { $uptime }
triage_boot_in_object = status.nodeInfo.bootID changed to { $boot }

## Removal

triage_removed_autoscaler = Removed by the cluster autoscaler
triage_removed_karpenter = Removed by Karpenter
triage_removed_cloud = Removed by the cloud provider, as announced before
triage_removed_maintenance = Taken out of service for maintenance
triage_removed_drained = Drained and taken out of service
triage_removed_deleted = The Node object was deleted
triage_object_deleted = The Node object was deleted; pods that were still bound to it are removed.
triage_planned_silence = The node was being taken out of service, and nothing has come from it for { $silent }. Nothing to fix.
