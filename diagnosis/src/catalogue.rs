//! The catalogue of causes: what each means, how loud it is by default, and what to do next.

use coroner_proto::v1::{Cause, Severity};

/// One row.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The cause.
    pub cause: Cause,
    /// The part of the catalogue it stands in.
    pub chapter: Chapter,
    /// How loud.
    pub severity: Severity,
    /// What happened, in one sentence.
    pub what: &'static str,
    /// What to do, the cheapest first.
    pub next: &'static [&'static str],
}

/// The parts of the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Chapter {
    /// Memory.
    Memory,
    /// Eviction and removal.
    Eviction,
    /// Ended by a signal or by itself.
    End,
    /// Never started.
    Start,
    /// Running but not well, or not ending.
    Unwell,
    /// Node.
    Node,
    /// Cluster.
    Cluster,
    /// Contributing causes: they explain a verdict without being one.
    Contributing,
}

impl Chapter {
    /// Its heading.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Memory => "Memory",
            Self::Eviction => "Eviction and removal",
            Self::End => "Ended by a signal or by itself",
            Self::Start => "Never started",
            Self::Unwell => "Running but not well, or not ending",
            Self::Node => "Node",
            Self::Cluster => "Cluster",
            Self::Contributing => "Contributing",
        }
    }
}

/// The row of a cause. `None` only for `CAUSE_UNSPECIFIED`.
pub fn row(cause: Cause) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.cause == cause)
}

/// All rows, in the order in which they are shown.
pub fn rows() -> &'static [Row] {
    ROWS
}

const fn entry(
    cause: Cause,
    chapter: Chapter,
    severity: Severity,
    what: &'static str,
    next: &'static [&'static str],
) -> Row {
    Row { cause, chapter, severity, what, next }
}

use Chapter::{Cluster, Contributing, End, Eviction, Memory, Node, Start, Unwell};
use Severity::{Critical, Error, Info, Warning};

static ROWS: &[Row] = &[
    entry(
        Cause::OomContainerLimit,
        Memory,
        Error,
        "A process was killed because its container reached its own memory limit.",
        &[
            "Raise the container's resources.limits.memory, or make the program use less: fewer workers, a smaller heap.",
            "Compare the memory at the end with what the program should need: growth over hours is a leak.",
        ],
    ),
    entry(
        Cause::OomPodLimit,
        Memory,
        Error,
        "A process was killed because its pod reached the pod's own memory limit.",
        &[
            "Raise the pod's resources.limits.memory, or give each container a limit of its own so that one cannot starve the others.",
        ],
    ),
    entry(
        Cause::OomNode,
        Memory,
        Critical,
        "The whole node ran out of memory; the victim paid, it need not be the culprit.",
        &[
            "Set requests near real use, so that the scheduler leaves room and the kernel spares who stays within them.",
            "Look for what grew most on the node; reserve memory for the system (systemReserved, kubeReserved).",
        ],
    ),
    entry(
        Cause::EvictedMemory,
        Eviction,
        Error,
        "The kubelet evicted the pod because the node was short of memory.",
        &["Set the pod's memory request near its real use: pods above their request go first."],
    ),
    entry(
        Cause::EvictedDisk,
        Eviction,
        Error,
        "The kubelet evicted the pod because a file system of the node was nearly full.",
        &["Limit what the pod writes (ephemeral-storage limits, emptyDir sizeLimit), or free space on the node."],
    ),
    entry(
        Cause::EvictedInodes,
        Eviction,
        Error,
        "The kubelet evicted the pod because a file system of the node had few inodes left.",
        &["Find what makes many small files; remove them or give them a volume of their own."],
    ),
    entry(
        Cause::EvictedPids,
        Eviction,
        Error,
        "The kubelet evicted the pod because the node was running out of process ids.",
        &["Find what forks without end; set podPidsLimit on the kubelet."],
    ),
    entry(
        Cause::EvictedEphemeralStorageLimit,
        Eviction,
        Warning,
        "The pod, a container or an emptyDir passed its own storage limit.",
        &["Write less, write to a volume, or raise the limit that was passed."],
    ),
    entry(
        Cause::EvictedByApi,
        Eviction,
        Info,
        "The eviction API removed the pod, as a drain or the autoscaler does.",
        &["Nothing to mend; a PodDisruptionBudget limits how many go at once."],
    ),
    entry(
        Cause::EvictedByTaint,
        Eviction,
        Warning,
        "A NoExecute taint of the node removed the pod.",
        &["See why the node was tainted; add a toleration if the pod should stay."],
    ),
    entry(
        Cause::Preempted,
        Eviction,
        Info,
        "A pod of higher priority needed the room.",
        &["Give the pod a higher priority, or the cluster more room."],
    ),
    entry(
        Cause::DeadlineExceeded,
        Eviction,
        Warning,
        "The pod's activeDeadlineSeconds ran out.",
        &["Raise activeDeadlineSeconds, or make the work shorter."],
    ),
    entry(Cause::NodeShutdown, Eviction, Info, "A graceful shutdown of the node ended the pod.", &["Nothing to mend."]),
    entry(
        Cause::LivenessProbeFailed,
        End,
        Warning,
        "The kubelet stopped the container after its liveness probe had failed too often.",
        &["See what the probe got; raise its timeoutSeconds or failureThreshold if the program was only slow."],
    ),
    entry(
        Cause::StartupProbeFailed,
        End,
        Warning,
        "The kubelet stopped the container because its startup probe never succeeded.",
        &["Give it more time (failureThreshold times periodSeconds), or see why it does not come up."],
    ),
    entry(
        Cause::GracePeriodExceeded,
        End,
        Warning,
        "Asked to stop, it did not within its grace period and was killed.",
        &[
            "Make the program handle SIGTERM: as PID 1 it ignores signals that it does not handle, and a shell passes none on (use exec).",
            "If it only needs longer, raise terminationGracePeriodSeconds.",
        ],
    ),
    entry(
        Cause::PidsLimitReached,
        End,
        Error,
        "The limit on processes of its container or pod refused it another one.",
        &["Find what forks or starts threads without end; raise the pids limit if the number is right."],
    ),
    entry(
        Cause::SandboxDied,
        End,
        Error,
        "The pod's sandbox ended and took its containers along.",
        &["See who killed the sandbox, and the runtime's log at that time."],
    ),
    entry(Cause::StoppedByRequest, End, Info, "It was asked to stop and did.", &["Nothing to mend."]),
    entry(
        Cause::KilledExternally,
        End,
        Error,
        "A process outside Kubernetes and the runtime sent it a fatal signal.",
        &["Ask who runs the sender that is named; look for out-of-memory daemons and cleanup scripts on the node."],
    ),
    entry(
        Cause::CrashSegfault,
        End,
        Error,
        "The program touched memory that is not its own (SIGSEGV).",
        &[
            "Look up the address in the binary (addr2line), or take a core dump.",
            "If it began with a new image, go back to the one before.",
        ],
    ),
    entry(
        Cause::CrashAbort,
        End,
        Error,
        "The program gave up by abort() (SIGABRT): an assertion, a corrupted heap, an uncaught exception.",
        &["The last lines of its log usually name the reason."],
    ),
    entry(
        Cause::CrashBusError,
        End,
        Error,
        "The program touched mapped memory that its file or device could not give (SIGBUS).",
        &["Look for a truncated file, a full /dev/shm (64 MiB by default) or a full disk under a mapping."],
    ),
    entry(
        Cause::CrashIllegalInstruction,
        End,
        Error,
        "The program came to an instruction that this CPU does not have (SIGILL).",
        &["Compare the CPU of this node with that of the nodes where it works; build for a smaller instruction set."],
    ),
    entry(
        Cause::CrashArithmetic,
        End,
        Error,
        "The program divided by zero or the like (SIGFPE).",
        &["Look up the address in the binary (addr2line)."],
    ),
    entry(
        Cause::CrashSeccomp,
        End,
        Error,
        "The program made a system call that its seccomp profile forbids (SIGSYS).",
        &["Allow the system call in the profile, or see why the program makes it."],
    ),
    entry(
        Cause::ApplicationExit,
        End,
        Warning,
        "The program ended by itself with a status other than 0.",
        &["Read the last lines of its log: coroner sees that it chose to end, not why."],
    ),
    entry(
        Cause::CompletedUnexpectedly,
        End,
        Warning,
        "It ended with 0 where it should have stayed (restartPolicy Always).",
        &["Make it stay in the foreground, or run it as a Job."],
    ),
    entry(
        Cause::StatusFabricated,
        End,
        Warning,
        "The exit status was made up by the kubelet or the runtime; nobody saw the end.",
        &["Do not trust the exit code; see what became of the runtime or the node at that time."],
    ),
    entry(
        Cause::Unattributed,
        End,
        Warning,
        "It ended, and what was seen does not say why.",
        &["See which sources were missing: each candidate says what would have decided."],
    ),
    entry(
        Cause::CommandNotFound,
        Start,
        Error,
        "The command, its interpreter or its dynamic loader does not exist in the image.",
        &[
            "Check command and args against the image; a script's first line and a binary's loader must exist there too.",
        ],
    ),
    entry(
        Cause::CommandNotExecutable,
        Start,
        Error,
        "The command exists and may not be executed.",
        &["Set the executable bit when the image is built (chmod +x)."],
    ),
    entry(
        Cause::CommandMissing,
        Start,
        Error,
        "Neither the pod nor the image names a command.",
        &["Name one in the pod, or an ENTRYPOINT or CMD in the image."],
    ),
    entry(
        Cause::WrongArchitecture,
        Start,
        Error,
        "The command is made for another kind of machine.",
        &["Build the image for this node's architecture, or for several."],
    ),
    entry(Cause::ImageNotFound, Start, Error, "The registry does not have this image.", &["Check name and tag."]),
    entry(
        Cause::ImageNameInvalid,
        Start,
        Error,
        "The image's name is not a valid one.",
        &["Check the image field for spaces and upper-case letters."],
    ),
    entry(
        Cause::ImageUnauthorized,
        Start,
        Error,
        "The registry refused the pull.",
        &["Check the imagePullSecrets and what they may read."],
    ),
    entry(
        Cause::ImageRegistryUnreachable,
        Start,
        Error,
        "The registry could not be reached, or did not answer as one.",
        &["Check the registry's name, and the node's way to it."],
    ),
    entry(
        Cause::ImagePullThrottled,
        Start,
        Warning,
        "The registry limits how often this node may pull.",
        &["Pull with credentials, or through a cache."],
    ),
    entry(
        Cause::ImagePullTimeout,
        Start,
        Error,
        "The pull took too long.",
        &["Check the network, or make the image smaller."],
    ),
    entry(
        Cause::ImageNeverPull,
        Start,
        Error,
        "The image is not on the node and may not be pulled (imagePullPolicy Never).",
        &["Load it onto the node, or allow the pull."],
    ),
    entry(
        Cause::ImagePlatformMismatch,
        Start,
        Error,
        "The image has no variant for this node's platform.",
        &["Build the image for this node's platform."],
    ),
    entry(
        Cause::ConfigmapMissing,
        Start,
        Error,
        "The pod refers to a ConfigMap that does not exist.",
        &["Create it, or mend the reference."],
    ),
    entry(
        Cause::SecretMissing,
        Start,
        Error,
        "The pod refers to a Secret that does not exist.",
        &["Create it, or mend the reference."],
    ),
    entry(
        Cause::ConfigKeyMissing,
        Start,
        Error,
        "The pod refers to a key that its ConfigMap or Secret does not have.",
        &["Add the key, or mend the reference."],
    ),
    entry(
        Cause::VolumeMountFailed,
        Start,
        Error,
        "A volume could not be attached or mounted.",
        &["See the storage driver's words in the evidence."],
    ),
    entry(
        Cause::VolumeClaimUnbound,
        Start,
        Error,
        "The volume claim is pending or does not exist.",
        &["Create it, or see why no volume fits."],
    ),
    entry(
        Cause::ReadOnlyVolume,
        Start,
        Error,
        "The program writes to what is mounted read-only.",
        &["Mount it read-write, or write elsewhere."],
    ),
    entry(
        Cause::SecurityPolicyViolation,
        Start,
        Error,
        "The container's security settings forbid it to run as it wants to.",
        &["Run the image as another user, or change the securityContext."],
    ),
    entry(
        Cause::ContainerCreateFailed,
        Start,
        Error,
        "The runtime could not make the container.",
        &["See the runtime's message: a mount, a device, a working directory."],
    ),
    entry(
        Cause::SandboxNetworkFailed,
        Start,
        Error,
        "The pod's sandbox or its network could not be made.",
        &["See the network plugin on this node."],
    ),
    entry(
        Cause::PostStartHookFailed,
        Start,
        Error,
        "The postStart hook failed, so the kubelet ended the container.",
        &["Run the hook by hand in the container."],
    ),
    entry(
        Cause::PreStopHookFailed,
        Start,
        Warning,
        "The preStop hook failed.",
        &["Run the hook by hand in the container."],
    ),
    entry(
        Cause::RejectedByNode,
        Start,
        Error,
        "The kubelet refused to admit the pod.",
        &["See the reason: room, affinity, or a device that is not registered."],
    ),
    entry(
        Cause::ReadinessProbeFailed,
        Unwell,
        Warning,
        "The container runs and is not ready.",
        &["See what the probe got."],
    ),
    entry(
        Cause::StuckOnFinalizer,
        Unwell,
        Warning,
        "The pod is kept from going by a finalizer.",
        &["See what should remove the finalizer."],
    ),
    entry(
        Cause::StuckOnProcess,
        Unwell,
        Error,
        "The pod cannot end because a process cannot be killed.",
        &["Look for a hung file system or device under it."],
    ),
    entry(
        Cause::StuckOnLostNode,
        Unwell,
        Error,
        "The pod cannot end because its node does not answer.",
        &["Bring the node back, or delete its Node object if it is gone for good."],
    ),
    entry(
        Cause::KubeletDown,
        Node,
        Critical,
        "The kubelet is not running.",
        &["See its unit's state and log, and start it."],
    ),
    entry(
        Cause::KubeletHung,
        Node,
        Critical,
        "The kubelet runs and does not answer.",
        &["See what it waits for; restart it."],
    ),
    entry(
        Cause::RuntimeDown,
        Node,
        Critical,
        "The container runtime is not running.",
        &["See its unit's state and log, and start it."],
    ),
    entry(
        Cause::RuntimeHung,
        Node,
        Critical,
        "The container runtime runs and does not answer.",
        &["See what it waits for; restart it."],
    ),
    entry(
        Cause::ApiServerUnreachable,
        Node,
        Critical,
        "The node is fine and cannot reach the API server.",
        &["Check the way from the node to the API server."],
    ),
    entry(
        Cause::NodeUnreachable,
        Node,
        Critical,
        "Neither agent nor kubelet of the node answers: the node or its network is gone.",
        &["Look at the machine from outside."],
    ),
    entry(Cause::NodeRebooted, Node, Warning, "The node was started anew.", &["See the last words before it."]),
    entry(Cause::NodeMemoryPressure, Node, Error, "The node is short of memory.", &["See what grew."]),
    entry(Cause::NodeDiskPressure, Node, Error, "The node is short of disk space.", &["See what grew."]),
    entry(Cause::NodePidPressure, Node, Error, "The node is short of process ids.", &["See what forks."]),
    entry(
        Cause::NodeNetworkNotReady,
        Node,
        Critical,
        "The node's network plugin is missing or fails.",
        &["See the network plugin's pod and log on this node."],
    ),
    entry(Cause::CertificateExpired, Node, Critical, "A certificate of the node has expired.", &["Renew it."]),
    entry(Cause::ClockSkewed, Node, Error, "The node's clock is wrong.", &["See its time synchronisation."]),
    entry(
        Cause::KernelFault,
        Node,
        Critical,
        "The node's kernel reports a fault.",
        &["See the kernel's words in the evidence."],
    ),
    entry(
        Cause::UnschedulableResources,
        Cluster,
        Warning,
        "No node has room for the pod.",
        &["Lower its requests, or add room."],
    ),
    entry(
        Cause::UnschedulableNodeSelector,
        Cluster,
        Warning,
        "No node has the labels that the pod asks for.",
        &["Mend the selector, or label a node."],
    ),
    entry(
        Cause::UnschedulableAffinity,
        Cluster,
        Warning,
        "No node satisfies the pod's affinity rules.",
        &["Loosen the rules."],
    ),
    entry(
        Cause::UnschedulableTaint,
        Cluster,
        Warning,
        "All nodes have taints that the pod does not tolerate.",
        &["Add a toleration, or remove a taint."],
    ),
    entry(
        Cause::UnschedulableNoNodes,
        Cluster,
        Error,
        "No node is schedulable at all.",
        &["Uncordon a node, or add one."],
    ),
    entry(
        Cause::QuotaExceeded,
        Cluster,
        Warning,
        "The namespace's quota keeps pods from being created.",
        &["Raise the quota, or ask for less."],
    ),
    entry(
        Cause::LimitRangeViolated,
        Cluster,
        Warning,
        "A LimitRange keeps pods from being created.",
        &["Ask for resources within the range."],
    ),
    entry(
        Cause::AdmissionDenied,
        Cluster,
        Warning,
        "A webhook or Pod Security keeps pods from being created.",
        &["See its message."],
    ),
    entry(
        Cause::ServiceWithoutEndpoints,
        Cluster,
        Warning,
        "The Service has no pod behind it.",
        &["Compare its selector with the pods' labels, and see whether they are ready."],
    ),
    entry(
        Cause::ServicePortMismatch,
        Cluster,
        Warning,
        "The Service's targetPort is no port of its pods.",
        &["Mend targetPort."],
    ),
    entry(
        Cause::IngressBackendMissing,
        Cluster,
        Warning,
        "The Ingress points to a Service or port that does not exist.",
        &["Mend the backend."],
    ),
    entry(
        Cause::CpuThrottled,
        Contributing,
        Info,
        "The CPU limit slowed the program down.",
        &["Raise or remove the CPU limit."],
    ),
    entry(
        Cause::HeapLimit,
        Contributing,
        Info,
        "The language runtime's own heap limit was reached.",
        &["Raise it together with the memory limit."],
    ),
    entry(
        Cause::MemoryBackedVolume,
        Contributing,
        Info,
        "Files in a memory-backed volume count as memory of the container.",
        &["Limit the volume's size, or keep the files on disk."],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_of_the_wire_has_exactly_one_row() {
        for cause in (1..256).filter_map(|number| Cause::try_from(number).ok()) {
            let rows = ROWS.iter().filter(|row| row.cause == cause).count();
            assert_eq!(rows, 1, "{}", cause.as_str_name());
        }
    }

    #[test]
    fn every_row_says_what_happened_and_what_to_do() {
        for row in ROWS {
            assert!(row.what.ends_with('.') && !row.next.is_empty(), "{}", row.cause.as_str_name());
            assert!(row.next.iter().all(|step| step.ends_with('.')), "{}", row.cause.as_str_name());
        }
    }
}
