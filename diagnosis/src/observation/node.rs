//! What the agent's checks of the node as a whole report: its daemons, its way to the API server, pressure, processes
//! that the kernel does not let go, certificates and clocks.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Reason, Source};
use crate::parse::decimal;

/// What one check reports. Each replaces the one before of the same kind and object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reading {
    /// What /proc shows of a daemon; `None`: it has no process. Only reported where the processes of the host are
    /// visible.
    Process(Daemon, Option<Process>),
    /// What a daemon's interface answers.
    Answer(Daemon, Answer),
    /// The last lines that a daemon wrote before it ended, the oldest first; at most 5.
    LastLines(Daemon, Vec<String>),
    /// The way to the API server.
    ApiServer(ApiServer),
    /// Pressure stall information of the node.
    Pressure(Pressure),
    /// Processes in uninterruptible sleep for 5 s or longer; at most 16.
    Blocked(Vec<BlockedProcess>),
    /// How full a table of the kernel is.
    Table(Table, Fill),
    /// Whether the kernel has a file system mounted read-only (its super block, not one mount of it).
    ReadOnly {
        /// Where it is mounted; of one that is not mounted any more, `/dev/` and its device's name in the kernel's log.
        path: String,
        /// Whether it is read-only.
        read_only: bool,
        /// Whether the kernel made it so: the mount itself permits writing.
        #[serde(default)]
        forced: bool,
    },
    /// When the certificate expires that the kubelet presents on its port.
    KubeletCertificate(Timestamp),
    /// The certificate by which the kubelet authenticates to the API server, as [`CLIENT_CERTIFICATE`] holds it.
    KubeletClientCertificate(Validity),
    /// The node's clock minus that of another host.
    Clock(Reference, SignedDuration),
    /// Time since boot (CLOCK_BOOTTIME, the first number of /proc/uptime).
    Uptime(SignedDuration),
    /// Whether the host is being shut down or restarted in order.
    Shutdown(bool),
}

/// Where a kubelet keeps the client certificate that it renews itself (`pkg/kubelet/certificate/kubelet.go`). One that
/// is configured otherwise may have left an earlier one there.
pub const CLIENT_CERTIFICATE: &str = "/var/lib/kubelet/pki/kubelet-client-current.pem";

/// From when until when a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validity {
    /// The first moment (`notBefore`).
    pub from: Timestamp,
    /// The last moment (`notAfter`).
    pub until: Timestamp,
}

impl Validity {
    /// Of what is left of its life when a kubelet ought to have renewed it, the most.
    const NOTICE: SignedDuration = SignedDuration::from_hours(7 * 24);

    /// From when on a kubelet ought to have renewed it: it does when 70 to 90 % of the certificate's life have passed
    /// (`jitteryDuration` of `k8s.io/client-go/util/certificate`), at this moment 95 % or more.
    pub fn overdue(self) -> Timestamp {
        self.until - (self.until.duration_since(self.from).max(SignedDuration::ZERO) / 20).min(Self::NOTICE)
    }
}

/// The daemons without which a node does not work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Daemon {
    /// The kubelet.
    Kubelet,
    /// The container runtime.
    Runtime,
}

/// The main process of kubelet or runtime, as /proc shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// The process id, in the node's pid namespace.
    pub pid: i32,
    /// Whether a signal has stopped it (state T of /proc/PID/stat), so that it cannot do anything.
    pub stopped: bool,
}

/// How a daemon's interface answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// All is well.
    Ok,
    /// It answers, but not the agent (status 401 or 403). It is alive.
    Denied(Reason),
    /// It answers, and what it answers is not that all is well.
    Unwell(Reason),
    /// Nothing listens where it should: the operating system's error.
    Refused(Reason),
    /// It did not answer in time.
    Timeout,
}

impl Answer {
    /// Whether it shows that a daemon hangs although it answers: the kubelet's main loop has not turned for five
    /// minutes or longer (`pkg/kubelet/kubelet.go`, `LivenessCheck`). What else the kubelet reports through /healthz
    /// does not keep it from its work.
    pub fn is_stalled(&self, daemon: Daemon) -> bool {
        matches!(self, Self::Unwell(message) if daemon == Daemon::Kubelet && message.text().contains(STALLED))
    }
}

/// How /healthz of the kubelet reports that the check `syncloop` failed.
const STALLED: &str = "[-]syncloop failed";

/// How far a probe of the API server got.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ApiServer {
    /// The address that was probed, as HOST:PORT.
    pub address: String,
    /// The step that failed, and its error; `None` while it is reached.
    pub failed: Option<(Step, Reason)>,
}

/// One step on the way to the API server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Its name is resolved.
    Dns,
    /// A connection is made.
    Tcp,
    /// TLS is agreed on.
    Tls,
    /// /readyz answers 200.
    Ready,
}

/// Shares of the last ten seconds in percent, 0 to 100 (`avg10` of /proc/pressure).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Pressure {
    /// Percent of the time in which some task waited for a processor.
    pub cpu_some: f64,
    /// Percent of the time in which some task waited for memory.
    pub memory_some: f64,
    /// Percent of the time in which all tasks waited for memory.
    pub memory_full: f64,
    /// Percent of the time in which all tasks waited for I/O.
    pub io_full: f64,
}

/// A process in uninterruptible sleep.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockedProcess {
    /// The process ID, in the initial pid namespace.
    pub pid: i32,
    /// The `comm` of the process, at most 15 bytes.
    pub name: String,
    /// The kernel function that it waits in (/proc/PID/wchan); empty where that cannot be read.
    pub wait_channel: String,
    /// Since when each check has found it in this state.
    pub since: Timestamp,
    /// uid of its pod; empty for a process of the host.
    pub pod_uid: String,
}

impl BlockedProcess {
    /// Whether it waits for a server behind a mount: NFS (`net/sunrpc`, `fs/nfs`), FUSE (`fs/fuse/dev.c`), CIFS, Ceph.
    pub fn waits_for_server(&self) -> bool {
        let channel = self.wait_channel.as_str();
        matches!(channel, "rpc_wait_bit_killable" | "request_wait_answer" | "wait_for_response")
            || ["nfs_", "nfs4_", "fuse_", "cifs_", "smb2_", "ceph_"].iter().any(|prefix| channel.starts_with(prefix))
    }

    /// Whether it waits for a disk: the block layer, or the journal of a file system.
    pub fn waits_for_disk(&self) -> bool {
        let channel = self.wait_channel.as_str();
        matches!(channel, "io_schedule" | "folio_wait_bit_common" | "wait_on_page_bit_common" | "submit_bio_wait")
            || ["blk_", "jbd2_", "xfs_", "btrfs_", "ext4_"].iter().any(|prefix| channel.starts_with(prefix))
    }
}

/// A table of the kernel that may be full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Table {
    /// Connection tracking of the host's network namespace.
    Conntrack,
    /// Open files of the node.
    Files,
}

/// How many entries of a kernel table are in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fill {
    /// The number of entries.
    pub count: u64,
    /// Entries that are possible; 0 where there is no such bound.
    pub limit: u64,
}

/// The clock that the node's is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reference {
    /// The API server's `Date` header, known to 1 s.
    ApiServer,
    /// The aggregator's answer.
    Aggregator,
}

/// What the process of a kubelet is called: it may be a part of another program, of k3s, MicroK8s or MicroShift. The
/// first goes before the others: RKE2 and k0s start a kubelet of its own name.
pub const KUBELETS: [&str; 5] = ["kubelet", "k3s-server", "k3s-agent", "kubelite", "microshift"];

impl Daemon {
    /// The keyword by which messages choose their wording.
    pub const fn keyword(self) -> &'static str {
        match self {
            Self::Kubelet => "kubelet",
            Self::Runtime => "runtime",
        }
    }

    /// The source through whose interface it is asked.
    pub const fn interface(self) -> Source {
        match self {
            Self::Kubelet => Source::Kubelet,
            Self::Runtime => Source::Cri,
        }
    }
}

impl Pressure {
    /// Whether tasks wait for memory so much that the node hardly gets any further.
    pub fn is_stalled(&self) -> bool {
        self.memory_some >= 40.0
    }

    /// From the contents of /proc/pressure/cpu, memory and io. `None` if none of them can be read.
    pub fn parse(cpu: Option<&str>, memory: Option<&str>, io: Option<&str>) -> Option<Self> {
        let [cpu_some, memory_some, memory_full, io_full] =
            [(cpu, "some"), (memory, "some"), (memory, "full"), (io, "full")].map(|(text, who)| avg10(text?, who));
        if [cpu_some, memory_some, memory_full, io_full].iter().all(Option::is_none) {
            return None;
        }
        let or_none = |share: Option<f64>| share.unwrap_or_default();
        Some(Self {
            cpu_some: or_none(cpu_some),
            memory_some: or_none(memory_some),
            memory_full: or_none(memory_full),
            io_full: or_none(io_full),
        })
    }
}

/// `some avg10=0.00 avg60=0.00 avg300=0.00 total=0` (`psi_show()` of `kernel/sched/psi.c`).
fn avg10(text: &str, who: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(who)?.strip_prefix(" avg10="))?;
    let (share, _) = line.split_once(' ')?;
    let (whole, hundredths) = share.split_once('.')?;
    let (whole, hundredths) = (decimal::<u8>(whole)?, decimal::<u8>(hundredths)?);
    // One rounding: the nearest number to what is written.
    let share = u16::from(whole) * 100 + u16::from(hundredths);
    (whole <= 100 && hundredths < 100).then(|| f64::from(share) / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pressure_is_read_as_the_kernel_writes_it() {
        let memory =
            "some avg10=53.13 avg60=1.00 avg300=0.10 total=1\nfull avg10=10.87 avg60=0.00 avg300=0.00 total=2\n";
        let parsed = Pressure::parse(None, Some(memory), Some("full avg10=100.00 avg60=0.00 avg300=0.00 total=2"));
        let expected = Pressure { cpu_some: 0.0, memory_some: 53.13, memory_full: 10.87, io_full: 100.0 };
        assert_eq!(parsed, Some(expected));
        for strange in ["", "some", "some avg10=", "some avg10=1", "some avg10=1.5e9 x", "some avg10=101.00 x"] {
            assert_eq!(Pressure::parse(Some(strange), None, None), None, "{strange}");
        }
    }
}
