### What only the API server knows.

## Pods that no node takes

unschedulable_resources = Unschedulable: no node has enough free resources
unschedulable_node_selector = Unschedulable: no node has the labels that the pod requires
unschedulable_affinity = Unschedulable: the pod's affinity rules leave no node
unschedulable_taint = Unschedulable: the pod does not tolerate the taints of the nodes
unschedulable_volume = Unschedulable: a volume ties the pod to nodes that cannot run it
unschedulable_claim_in_use = Unschedulable: a PersistentVolumeClaim is in use by another pod
unschedulable_device = Unschedulable: no node has the devices that the pod requests
unschedulable_host_port = Unschedulable: the pod's host port is free on no node
unschedulable_pod_group = Unschedulable: its pod group is incomplete or does not fit
unschedulable_unseen = Unschedulable: no scheduler has examined the pod
unschedulable_unseen_why = The pod asks for the scheduler { $scheduler }, which has reported nothing about it: it may not be running, or not under this name.
unschedulable_other = Unschedulable: see the scheduler's message
unschedulable_no_nodes = Unschedulable: no node is in service
unschedulable_claim = Unschedulable: a PersistentVolumeClaim is not bound or does not exist
scheduling_gated = Not scheduled yet: scheduling gates are set
scheduling_gates = The scheduler ignores the pod until spec.schedulingGates is empty. It contains: { $gates }.
scheduling_gates_unknown = The scheduler ignores the pod until spec.schedulingGates is empty.
scheduler_reported = The scheduler reported: “{ $message }”.
scheduler_nodes =
    { $nodes ->
        [one] one node
       *[other] { $nodes } nodes
    }: { $reason }
untolerated_taints = Taints that it does not tolerate: { $taints }.
node_selector = Its nodeSelector requires { $labels }.
free_bytes =
    It requests { $wanted } of { $resource }; { $nodes ->
        [one] the only schedulable node has { $most } free
       *[other] of { $nodes } schedulable nodes, the one with the most has { $most } free; together they have { $sum }
    }.
free_amount =
    It requests { $wanted } of { $resource }; { $nodes ->
        [one] the only schedulable node has { $most } free
       *[other] of { $nodes } schedulable nodes, the one with the most has { $most } free; together they have { $sum }
    }.
free_only_in_sum = All nodes together have enough, but no single node does: smaller requests, or moving other pods, would make it fit.
claim_pending = Claim { $claim } of storage class { $class } is { $phase }.
claim_pending_default = Claim { $claim } of the default storage class is { $phase }.
claim_missing = Claim { $claim } does not exist.
claim_message = The reported reason: “{ $message }”.

## Controllers that cannot create pods

create_quota_demands = Pods cannot be created: they leave out values that the quota demands
create_quota = Pods cannot be created: the namespace's quota does not allow them
create_limit_range = Pods cannot be created: they are outside the namespace's LimitRange
create_denied = Pods cannot be created: admission denies them
create_webhook = Pods cannot be created: an admission webhook could not be called
create_invalid = Pods cannot be created: the pod template is invalid
create_failed = Pods cannot be created: the API server failed to create them
create_refused = The controller keeps trying. The API server answered: “{ $message }”.
create_webhook_named = The API server could not call webhook { $webhook }.
create_webhook_service = The API server could not call webhook { $webhook } (Service { $service }).
create_quota_demanded = The quota is not used up: it demands that pods set { $values }.

## Services and Ingresses

service_without_pods = Leads nowhere: its selector matches no pod
service_selects = No pod of the namespace has the labels that the Service selects: { $labels }.
service_near = The labels of pod { $pod } come closest: { $labels }.
service_no_endpoint = no EndpointSlice of the Service has an endpoint
service_port_missing = Leads to a port that its pods do not declare: { $port }
service_ports = Port { $port } of the Service leads to { $target }; the pods declare { $declared }.
service_ports_named = No container gives this name to a port, so traffic cannot reach them.
service_ports_undeclared = containerPort is only informational: the program may listen on a port that it does not declare
ingress_broken = A backend does not exist: { $reason }
ingress_paths = Requests to these paths cannot be forwarded: { $paths }.
ingress_path = { $path } ({ $reason })
ingress_service_missing = Service { $service } does not exist
ingress_port_missing = Service { $service } has no port { $port }
