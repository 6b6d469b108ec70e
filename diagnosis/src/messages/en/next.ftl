### What to do next: steps with the command to type, where there is one.

## Memory

next_memory_limit = Raise resources.limits.memory of container { $container }, or let the program use less: fewer workers, a smaller heap.
next_memory_trend = Compare with the usual usage; steady growth over hours points to a memory leak: kubectl -n { $namespace } top pod { $pod } --containers
next_pod_memory_limit = Raise resources.limits.memory of the pod, or give each container its own limit so that one cannot starve the others.
next_memory_requests = Set memory requests close to the real usage: the scheduler then leaves enough memory, and pods within their request are chosen last.
next_node_memory = Find what grew on the node, and reserve memory for the system (systemReserved, kubeReserved): kubectl describe node { $node }
next_nested_limit = Raise the limit where it is set inside the container (docker run --memory, the systemd unit, the job of the batch system), or let that program use less.
next_oom_daemon = Read the journal of the daemon (systemd-oomd, earlyoom, nohang, Talos) for its threshold, and raise or disable it if the kubelet's eviction is to decide.
next_replace_memory = Drain the node (this discards emptyDir volumes) and have its memory replaced; the kernel log names the broken page: kubectl drain { $node } --ignore-daemonsets --delete-emptydir-data

## Eviction and removal

next_node_pods = See which other pods used the node's resources: kubectl get pods -A -o wide --field-selector spec.nodeName={ $node }
next_scratch_space = Limit what pods write to scratch space: limits for ephemeral-storage, sizeLimit for emptyDir volumes.
next_node_disk = Free disk space on the node, for example of unused images. On the node: df -h; df -i
next_inodes = Find the program that creates many small files, and remove the files or move them to a volume. On the node: df -h; df -i
next_pids = Find the program that keeps starting processes or threads, and set podPidsLimit of the kubelet.
next_storage_limit = Write less, write to a persistent volume, or raise the limit that was exceeded.
next_disruption_budget = Nothing to fix. A PodDisruptionBudget limits how many pods are evicted at the same time.
next_taint = See why the node was tainted, and add a toleration if the pod should stay: kubectl describe node { $node }
next_priority = Give the pod a higher priority (priorityClassName), or add capacity to the cluster.
next_deadline = Raise activeDeadlineSeconds, or make the work shorter.
next_shutdown = Nothing to fix if the shutdown was planned; otherwise find out what happened to the node: coroner why node/{ $node }
next_device_taint = See why the device was tainted, and tolerate the taint in the ResourceClaim if the pod should stay: kubectl get devicetaintrules,resourceslices
next_node_why = Find out what happened to the node: coroner why node/{ $node }

## Ended by a signal or by itself

next_probe = Check what the probe requests; raise its timeoutSeconds or failureThreshold if the program was only slow: kubectl -n { $namespace } describe pod { $pod }
next_startup_probe = Give the program more time to start (failureThreshold times periodSeconds of the startup probe).
next_previous_logs = Read the log of the instance that ended: kubectl -n { $namespace } logs { $pod } -c { $container } --previous
next_logs = Read the log of the container: kubectl -n { $namespace } logs { $pod } -c { $container }
next_handle_sigterm = Let the program handle SIGTERM: a main process ignores signals that it has no handler for, and a shell does not forward them (start the program with exec).
next_grace_period = If the program needs longer to stop, raise terminationGracePeriodSeconds.
next_process_limit = Find out why the program starts so many processes or threads; raise the limit if the number is right.
next_sandbox_log = Look for the reason in the log of the container runtime on the node (containerd; or crio, docker, k3s): journalctl -u containerd
next_nothing = Nothing to fix.
next_stop_intended = Nothing to fix if the stop was intended; otherwise find out who asked for it, in the events of the pod or on the node: journalctl -u kubelet
next_sender = Find out who runs the sender that the evidence names; OOM daemons and clean-up scripts on the node are common ones: kubectl debug node/{ $node } -it --image=busybox -- ps -o pid,ppid,args
next_sender_in_container = Find out what ran the sender in the container, for example kubectl exec, a hook or a script of the program.
next_core_dump = Look up the address in the binary (addr2line), or capture a core dump.
next_roll_back = If the crashes started with a new image, roll back to the previous one: kubectl -n { $namespace } rollout undo { $kind }/{ $name }
next_shm = Look for a truncated file, a full /dev/shm (64 MiB by default) or a full disk: kubectl -n { $namespace } exec { $pod } -c { $container } -- df -h
next_cpu = Compare the CPU of this node with those of nodes where the program works, or build it for an older instruction set; on equal CPUs, look for a trap in the program.
next_seccomp = Allow the system call in the seccomp profile, or find out why the program makes it.
next_foreground = Run the program in the foreground so that it stays, or run it as a Job if its work is done.
next_distrust_status = Do not rely on the exit code. Find out what happened to the container runtime (containerd; or crio, docker, k3s) and the node at that time: journalctl -u containerd -u kubelet
next_missing_sources = Make the missing sources available: each possible cause names what would decide it. See which sources work: coroner status
next_restart_rule = Find out why the container that triggered the rule exited: kubectl -n { $namespace } describe pod { $pod }

## Never started

next_command = Check command and args against the image. The interpreter in the first line of a script, and the loader of a binary, must exist in it too.
next_executable = Make the file executable when the image is built: chmod +x FILE
next_name_command = Set command in the pod, or ENTRYPOINT or CMD in the image.
next_architecture = Build the image for the node's architecture, and begin scripts with a line such as #!/bin/sh: kubectl get node { $node } -o jsonpath='{"{"}.status.nodeInfo.architecture{"}"}'
next_image_name = Check the repository, the name and the tag of the image. Some registries report a private image as not found.
next_image_syntax = Correct the image field: no spaces, no upper-case letters before the tag, no scheme such as https://. Some runtimes also require the registry: docker.io/library/nginx
next_pull_secrets = Check that the pod's imagePullSecrets exist, are valid and may read the image: kubectl -n { $namespace } get pod { $pod } -o jsonpath='{"{"}.spec.imagePullSecrets{"}"}'
next_registry = Check the registry's name and the node's connection to it: DNS, proxy, firewall, certificates.
next_pull_rate = Pull with credentials or through a cache; the kubelet keeps trying.
next_pull_size = Check the bandwidth between the node and the registry, or make the image smaller.
next_load_image = Load the image onto the node, or allow it to be pulled (imagePullPolicy: IfNotPresent).
next_platform = Build the image for the node's operating system and architecture.
next_configmap = Create the ConfigMap, or correct the reference: kubectl -n { $namespace } get configmaps
next_secret = Create the Secret, or correct the reference: kubectl -n { $namespace } get secrets
next_config_key = Add the key, or correct the reference: kubectl -n { $namespace } describe configmaps,secrets
next_storage_driver = Correct what the message names; for a CSI volume, check the storage driver's pods on the node and their logs: kubectl get pods -A -o wide --field-selector spec.nodeName={ $node }
next_claim = Create the claim, or find out why no volume fits: kubectl -n { $namespace } describe pvc
next_read_only = Mount the path read-write, or let the program write to another one.
next_security_context = Set a non-root user as a number in the image or in securityContext.runAsUser, or relax the securityContext.
next_runtime_message = Correct what the runtime's message names, such as a mount, a device or a working directory: kubectl -n { $namespace } describe pod { $pod }
next_network_plugin = Check the network plugin's pod on the node and its log; other pods on the node may fail too: kubectl get pods -A -o wide --field-selector spec.nodeName={ $node }
next_pre_stop_hook = Run the hook's command by hand in a running pod of the same kind; if it needs longer, raise terminationGracePeriodSeconds, which includes the hook.
next_hook = Run the hook's command by hand: kubectl -n { $namespace } exec -it { $pod } -c { $container } -- sh
next_admission = Compare the reason with what the node offers (resources, labels, devices): kubectl describe node { $node }
next_image_storage = Check the free space and the health of the node's image file system; pull again if the digest or the size is wrong: kubectl describe node { $node }
next_image_format = Build the image again with a current tool; old formats such as Docker schema 1 are no longer supported.
next_image_policy = Sign the image as the policy demands, or fix what the registry's scanner found.
next_image_volume = Check the reference in volumes[].image and the pod's imagePullSecrets.
next_sandbox = Check the sandbox image, the handler of the RuntimeClass and the container runtime (containerd; or crio, docker, k3s): journalctl -u containerd
next_device_driver = Check the device driver's pod on the node and its log: kubectl get pods -A -o wide --field-selector spec.nodeName={ $node }

## Running but not well, or not ending

next_readiness = Check what the probe requests. Until it succeeds, Services send no traffic to the pod: kubectl -n { $namespace } describe pod { $pod }
next_finalizer = Check whether the controller that owns the finalizer is running: kubectl -n { $namespace } get pod { $pod } -o jsonpath='{"{"}.metadata.finalizers{"}"}'
next_stuck_process = Look for a process in state D and the file system or device that it waits for: kubectl debug node/{ $node } -it --image=busybox -- ps -o pid,stat,args
next_hung_volume = Check the server or disk behind the mount that the evidence names, and see which processes are in state D: kubectl debug node/{ $node } -it --image=busybox -- ps -o pid,stat,args
next_lost_node = Repair the node, or delete its Node object if it is gone for good: kubectl delete node { $node }
next_resize_less = Request less, or let the pod be recreated on a larger node.
next_resize_wait = Wait, or free resources on the node: kubectl describe node { $node }
next_resize_message = Correct what the kubelet's message names, such as a memory limit below the current usage: kubectl -n { $namespace } describe pod { $pod }

## Node

next_kubelet_unit = On the node, check the unit of the kubelet (kubelet; or k3s, k3s-agent) and start it: systemctl status kubelet; journalctl -u kubelet
next_kubelet_hung = On the node, find out what the kubelet waits for (a hung mount, the runtime), then restart its unit (kubelet; or k3s, k3s-agent): journalctl -u kubelet; systemctl restart kubelet
next_resume = On the node, find out what sent SIGSTOP, then resume it: kill -CONT { $pid }
next_runtime_unit = On the node, check the container runtime (containerd; or crio, docker, k3s) and start it: systemctl status containerd; journalctl -u containerd
next_runtime_hung = On the node, find out what the runtime (containerd; or crio, docker, k3s) waits for, such as a hung disk or mount, then restart it: journalctl -u containerd; systemctl restart containerd
next_api_server = Check the node's connection to the API server: address, firewall, load balancer, certificates. On the node: curl -vk https://HOST:PORT/readyz
next_node_console = Check the machine from outside (its console, its power, the status at the cloud provider) and its Node object: kubectl describe node { $node }
next_last_boot = Read the journal of the previous boot on the node: journalctl -b -1 -e
next_images_disk = Find out what grew: images, container layers, logs or volumes. On the node: df -h; df -i
next_certificate = Renew the certificate, and find out why it was not rotated; its signing request may wait for approval: kubectl get csr
next_clock = Check the time synchronization on the node: chronyc tracking; timedatectl
next_kernel_fault = Read the kernel log on the node (journalctl -k), and drain the node if the fault recurs; this discards emptyDir volumes: kubectl drain { $node } --ignore-daemonsets --delete-emptydir-data
next_conntrack = Find what opens so many connections, and raise the limit if they are legitimate: conntrack -C; sysctl net.netfilter.nf_conntrack_max
next_neighbours = Raise the limits of the neighbour table, or use smaller subnets: ip -s neighbour; sysctl net.ipv4.neigh.default.gc_thresh3
next_open_files = Find the process that holds the files, and raise the limit if they are legitimate: cat /proc/sys/fs/file-nr; sysctl fs.file-max
next_kubelet_configuration = Correct the setting that the kubelet names, then start its unit (kubelet; or k3s, k3s-agent): journalctl -u kubelet -e; systemctl restart kubelet
next_agent = Check the agent's pod on the node and its log: kubectl get pods -A -o wide -l app.kubernetes.io/component=agent --field-selector spec.nodeName={ $node }
next_common_path = Check what the nodes share before the nodes themselves: the API server and its load balancer, switches, the zone, NetworkPolicies: kubectl get --raw '/readyz?verbose'

## Cluster

next_capacity = Lower the pod's requests, add a node or free one. If only the sum is enough, move pods so that one node has enough: kubectl describe nodes
next_node_labels = Correct the pod's nodeSelector, or label a node: kubectl get nodes --show-labels
next_affinity = Relax the rules (preferred instead of required), or add a node that satisfies them: kubectl get nodes --show-labels
next_toleration = Add a toleration to the pod, or remove the taint from a node: kubectl get nodes -o custom-columns=NAME:.metadata.name,TAINTS:.spec.taints
next_nodes_back = Find out why the nodes are out of service, or add one: kubectl get nodes
next_quota = Raise the quota, request less, or set the values that the quota demands: kubectl -n { $namespace } describe resourcequota
next_limit_range = Request resources within the range: kubectl -n { $namespace } describe limitrange
next_denied = Change what the message of the webhook or of Pod Security names.
next_service_selector = Compare the selector with the labels of the pods: kubectl -n { $namespace } describe service { $service }; kubectl -n { $namespace } get pods --show-labels
next_target_port = Correct targetPort; a name must be the name of a port in the pod: kubectl -n { $namespace } edit service { $service }
next_ingress_backend = Correct the backend, or create the Service in the namespace of the Ingress: kubectl -n { $namespace } describe ingress { $ingress }
next_volume_nodes = Compare the zone and the node affinity of the volume with the nodes, and check their limits on volumes: kubectl -n { $namespace } describe pvc; kubectl describe pv
next_claim_in_use = Delete the pod that uses the claim, or use an access mode that several pods may share (ReadWriteOnce, ReadWriteMany): kubectl -n { $namespace } describe pvc
next_resource_claim = Check the ResourceClaim, its DeviceClass and the driver's ResourceSlices: kubectl -n { $namespace } describe resourceclaims; kubectl get resourceslices
next_host_port = Use a Service instead of hostPort, or run at most one such pod per node.
next_pod_group = Check the other pods of the group; its minimum must fit at the same time: kubectl -n { $namespace } get pods
next_scheduler_message = Read the scheduler's message and its log: kubectl -n { $namespace } describe pod { $pod }
next_scheduler = Check that a scheduler of this name is running, or correct spec.schedulerName: kubectl get pods -A
next_scheduling_gate = Nothing to fix while the controller that owns the gate works; otherwise read its log: kubectl -n { $namespace } get pod { $pod } -o jsonpath='{"{"}.spec.schedulingGates{"}"}'
next_webhook = Check that the webhook's Service has ready pods. With failurePolicy: Ignore, requests pass without it: kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations
next_pod_template = Correct the field that the message names.
next_api_server_health = The controller keeps trying, and the error usually passes; otherwise check the API server and etcd: kubectl get --raw '/readyz?verbose'

## Contributing

next_cpu_limit = Raise or remove the CPU limit of container { $container }.
next_heap_limit = Raise the heap limit together with the memory limit.
next_device = Move the pod to another device or node, and have the device checked: kubectl describe node { $node }
next_memory_high = Raise the memory limit or request, from which the kubelet computes memory.high, or use less memory.
next_swap = Raise the memory request, which also sets how much swap the container may use, or use less memory.
next_limit_applied = Compare spec.containers[].resources with status.containerStatuses[].resources; a resize may be pending or may have failed.
next_volume_full = Free space on the volume, or let its claim grow: spec.resources.requests.storage of the PersistentVolumeClaim.
next_memory_volume = Set sizeLimit of the volume, or keep the files on disk.
