//! The kernel reports a fault of its own or of the hardware.

use coroner_proto::v1::{Cause, Confidence};
use jiff::Timestamp;

use super::{Finding, NodeCase};
use crate::{
    aspect::{Aspect, Part},
    case::TroubleFile,
    messages::node as texts,
    observation::{
        Source,
        kernel_log::TroubleKind::{self, *},
    },
    verdict::Verdict,
};

/// A disk that fails once may have failed one request; so many errors are no accident.
const IO_ERRORS: u64 = 3;

pub(super) fn findings(case: NodeCase<'_>) -> Vec<Finding> {
    let reported =
        case.state.troubles.iter().filter(|(kind, known)| is_fault(**kind, known) && holds(case, **kind, known));
    let mut findings: Vec<_> = reported.map(|(kind, known)| finding(*kind, known)).collect();
    findings.extend(read_only(case));
    findings
}

/// Those that have a verdict of their own are left out, and those that only explain others: a link, or an NFS server.
fn is_fault(kind: TroubleKind, known: &TroubleFile) -> bool {
    match kind {
        HungTask | SoftLockup | HardLockup | RcuStall | WorkqueueLockup | BadPage | Oops | Panic
        | FileSystemReadOnly | FileSystemError | GpuXid => true,
        IoError => known.count >= IO_ERRORS,
        LinkDown | ConntrackFull | NeighbourTableFull | FilesExhausted | NfsNotResponding | NfsOk => false,
    }
}

/// A file system stays read-only, and a GPU lost, until something is done about it. That it was, the mounts show.
fn holds(case: NodeCase<'_>, kind: TroubleKind, known: &TroubleFile) -> bool {
    match kind {
        FileSystemReadOnly => case.state.writable_again.is_none_or(|at| at < known.last),
        GpuXid => true,
        _ => known.is_recent(case.now),
    }
}

impl TroubleFile {
    /// Whether it was reported again not long ago.
    pub(super) fn is_recent(&self, now: Timestamp) -> bool {
        now < self.last + Self::QUIET
    }
}

fn finding(kind: TroubleKind, known: &TroubleFile) -> Finding {
    let count = i64::try_from(known.count).unwrap_or(i64::MAX);
    let again = (count > 1).then(|| texts::node_kernel_fault_count(count, known.first));
    let verdict = Verdict::new(Cause::KernelFault, Confidence::Certain, known.first)
        .not_fatal()
        .headed(texts::node_kernel_fault(kind.name()))
        .explained(texts::node_kernel_fault_why(&known.line))
        .explained(again)
        .supported_by(Source::KernelLog, known.last, &known.line);
    Finding { aspect: Aspect::Node(Part::Kernel(kind)), verdict, ripe: known.first }
}

/// The mounts show it where the kernel's line was not read. A file system that was read-only from the start is meant to
/// be.
fn read_only(case: NodeCase<'_>) -> Option<Finding> {
    let (path, known) = case.state.read_only.iter().find(|(_, known)| known.what)?;
    let verdict = Verdict::new(Cause::KernelFault, Confidence::Certain, known.at)
        .not_fatal()
        .headed(texts::node_kernel_fault(FileSystemReadOnly.name()))
        .explained(texts::node_read_only_mount(path))
        .supported_by(Source::NodeChecks, known.at, format!("/proc/self/mountinfo: {path} ro"));
    Some(Finding { aspect: Aspect::Node(Part::Kernel(FileSystemReadOnly)), verdict, ripe: known.at })
}
