### What runs and is not well, or does not end.
unready = 正在运行但未就绪：就绪探针失败
resize_infeasible = 未调整资源：节点永远无法提供所请求的资源
resize_deferred = 尚未调整资源：节点空闲资源不足
resize_failed = 未调整资源：kubelet 无法应用新的资源配置
resize_kept = 容器保持原有的资源配置。kubelet 报告：“{ $message }”。
device_failed = 容器所用的设备发生故障或不健康
device_unhealthy = 设备插件报告 { $resource } 的设备 { $id } 不健康。
device_xid = 设备 { $device } 的驱动报告了 Xid { $code }，此后该设备不再为程序提供服务。
device_failed_why = 在容器迁移或设备恢复之前，容器会继续使用该设备运行。
stuck_finalizer = 正在删除，但被 Finalizer（终结器）阻止
stuck_finalizers = 所有容器均已结束。在负责的控制器移除 { $names } 之前，API 服务器会一直保留该 Pod。
stuck_finalizers_set = metadata.finalizers：{ $names }；没有正在运行的容器
stuck_process = 正在删除，但主进程没有结束
stuck_process_why = 宽限期已过，主进程仍在运行。任何进程都无法拒绝 SIGKILL：它要么在内核中等待没有响应的文件系统或设备，要么容器运行时无法触及它。
stuck_overdue = metadata.deletionTimestamp 已过，容器仍在运行
stuck_unknown = 正在删除，但 kubelet 无法结束该 Pod
