### What runs and is not well, or does not end.
unready = Running but not ready: its readiness probe fails
resize_infeasible = Not resized: the node can never provide the resources
resize_deferred = Not resized yet: the node lacks free resources
resize_failed = Not resized: the kubelet could not apply the new resources
resize_kept = The containers keep their previous resources. The kubelet reported: “{ $message }”.
device_failed = A device of the container has failed or is not healthy
device_unhealthy = The device plugin reports device { $id } of { $resource } as unhealthy.
device_xid = The driver of device { $device } reported Xid { $code }, after which the device no longer serves the program.
device_failed_why = The container keeps running with the device until it is moved or the device recovers.
stuck_finalizer = Being deleted, but held by a finalizer
stuck_finalizers = All containers have ended. The API server keeps the pod until the responsible controller removes { $names }.
stuck_finalizers_set = metadata.finalizers: { $names }; no container is running
stuck_process = Being deleted, but its main process does not end
stuck_process_why = The grace period is over and the main process is still running. No process can refuse SIGKILL: either it waits inside the kernel, for example for a file system or device that does not respond, or the runtime cannot reach it.
stuck_overdue = metadata.deletionTimestamp has passed, and the container is still running
stuck_unknown = Being deleted, but the kubelet cannot end the pod
