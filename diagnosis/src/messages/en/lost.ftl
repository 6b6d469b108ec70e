### Pods whose node is gone or does not respond.

lost_stuck = Being deleted, but its node does not respond
lost_stuck_why = Only the kubelet of { $node } can confirm that the containers have ended, and it does not respond. They may still be running.
lost_stuck_gone = Being deleted, but its node no longer exists
lost_stuck_gone_why = There is no longer a Node object { $node }, so no kubelet can confirm that the containers have ended. The garbage collector of the control plane usually removes such pods within a minute.
lost_stateful_set = Its StatefulSet creates no replacement before the pod is gone.
lost_overdue = metadata.deletionTimestamp has passed, and no kubelet has confirmed the end
lost_no_object = there is no Node object { $node }
lost_collected = Removed because its node no longer exists
lost_collected_why = The Node object { $node } was deleted, and the control plane then removed the pods that were still bound to it.
lost_given_up = Failed because its node did not respond
lost_given_up_why = The control plane has marked the pod as failed (NodeLost): the kubelet of { $node } did not respond. If the node is still running, the pod's containers may be too.
lost_forced = Removed while its node did not respond
lost_forced_why = The pod was deleted although the kubelet of { $node } had not confirmed the end of its containers. If the node is still running, they may be too.
lost_removed_running = the pod was deleted while its status showed running containers
