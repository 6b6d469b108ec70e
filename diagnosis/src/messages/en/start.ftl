### What does not start.

## The command and the container

start_command_not_found = Cannot start: its command or interpreter does not exist in the image
start_command_not_executable = Cannot start: its command is not executable
start_wrong_architecture = Cannot start: its command is not in a format that this node can execute
start_command_missing = Cannot start: neither the pod nor the image names a command
start_device = Cannot start: a device could not be prepared for the container
start_create_failed = Cannot start: the container could not be created
start_memory = Cannot start: the memory limit is too low for the container to start
start_memory_why = The first process was killed for memory before the command could run. The container runtime reported: “{ $message }”.
start_configmap = Cannot start: a ConfigMap that it refers to does not exist
start_secret = Cannot start: a Secret that it refers to does not exist
start_config_key = Cannot start: a key that it refers to is missing in a ConfigMap or Secret
start_security = Cannot start: its securityContext demands a non-root user
start_volume = Cannot start: a volume that it mounts is not available
start_image_volume = Cannot start: an image could not be mounted as a volume

## Volumes, sandbox, admission, hooks

start_mount = Cannot start: a volume could not be attached or mounted
start_claim = Cannot start: a PersistentVolumeClaim is not bound or does not exist
start_network = Cannot start: the pod's network could not be set up
start_pod_devices = Cannot start: the pod's devices could not be prepared
start_sandbox = Cannot start: the pod's sandbox could not be created
start_not_admitted = Not admitted by its node: { $reason }
start_not_admitted_why = The kubelet refused the pod before any of its containers started: “{ $message }”.
start_post_start = Cannot start: its postStart hook failed
start_post_start_why = The kubelet stops a container whose postStart hook fails: “{ $message }”.
pre_stop_failed = The preStop hook failed; the container was stopped anyway
pre_stop_failed_why = The hook runs within the grace period, before the container is stopped. It failed with: “{ $message }”.

## Images

image_never_pull = Cannot start: the image is not on the node, and pulling it is not allowed
image_never_pull_why = imagePullPolicy is Never.
image_name_invalid = Cannot start: the name of its image is invalid or ambiguous
image_throttled = Cannot start: the image's registry limits the rate of pulls
image_platform = Cannot start: its image is not for this node's platform
image_unauthorized = Cannot start: the registry denies access to its image
image_unauthorized_why = The registry asked for credentials or refused those of the pod. Some registries answer the same for images that do not exist.
image_not_found = Cannot start: its image does not exist in the registry
image_timeout = Cannot start: pulling its image took too long
image_unreachable = Cannot start: the image's registry cannot be reached or does not work
image_unpack = Cannot start: the node could not store or unpack its image
image_format = Cannot start: the runtime does not support the format of its image
image_policy = Cannot start: a policy rejects its image
image_volume = Cannot start: an image mounted as a volume could not be pulled
image_failed = Cannot start: its image could not be pulled, for an unknown reason
image_reference = The image is { $image }.
image_message = The pull failed with: “{ $message }”.
