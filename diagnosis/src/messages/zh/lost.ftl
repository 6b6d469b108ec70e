### Pods whose node is gone or does not respond.

lost_stuck = 正在删除，但所在节点没有响应
lost_stuck_why = 只有节点 { $node } 上的 kubelet 能确认容器已经结束，而它没有响应。这些容器可能仍在运行。
lost_stuck_gone = 正在删除，但所在节点已不存在
lost_stuck_gone_why = Node 对象 { $node } 已不存在，没有 kubelet 能确认容器已经结束。控制平面的垃圾收集器通常会在一分钟内移除此类 Pod。
lost_stateful_set = 在该 Pod 被移除之前，其 StatefulSet 不会创建替代 Pod。
lost_overdue = metadata.deletionTimestamp 已过，没有 kubelet 确认容器已经结束
lost_no_object = Node 对象 { $node } 不存在
lost_collected = 因所在节点已不存在而被移除
lost_collected_why = Node 对象 { $node } 被删除后，控制平面移除了仍绑定到该节点的 Pod。
lost_given_up = 因所在节点没有响应而失败
lost_given_up_why = 控制平面已将该 Pod 标记为失败（NodeLost），因为节点 { $node } 上的 kubelet 没有响应。如果节点仍在运行，该 Pod 的容器可能也仍在运行。
lost_forced = 在所在节点没有响应时被移除
lost_forced_why = 该 Pod 被删除时，节点 { $node } 上的 kubelet 并未确认其容器已经结束。如果节点仍在运行，这些容器可能也仍在运行。
lost_removed_running = Pod 被删除时，其状态显示仍有容器在运行
