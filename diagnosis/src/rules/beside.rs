//! What explains an end of the program's own making without being its cause: a full volume, a device that failed under
//! it.

use coroner_proto::v1::Cause;
use jiff::SignedDuration;

use super::{death::Death, device};
use crate::{
    case::PodFile,
    messages::exit as texts,
    observation::{
        Source,
        kube::{Pod, VolumeKind},
        kubelet::FsStats,
    },
    verdict::Verdict,
};

/// A measurement of the kubelet this long before an end still describes it.
const MEASURED: SignedDuration = SignedDuration::from_mins(5);

/// Adds what contributed to an end that the program chose or crashed with.
pub(super) fn contribute(death: &Death<'_>, mut verdict: Verdict) -> Verdict {
    let by_program = matches!(
        verdict.cause,
        Cause::ApplicationExit | Cause::CrashAbort | Cause::CrashBusError | Cause::CrashSegfault
    );
    if !by_program {
        return verdict;
    }
    for (at, line) in device::errors(death.node, death.file).filter(|(at, _)| *at >= death.at - device::AFTERMATH) {
        verdict = verdict.with(Cause::DeviceFailed).supported_by(Source::KernelLog, at, &line.text);
    }
    let pod = death.node.pod_of(death.file);
    if let Some((volume, at)) = pod.and_then(|pod| Some((full_claim(pod, pod.object()?)?, pod.stats.as_ref()?.at)))
        && death.at.duration_since(at).abs() <= MEASURED
    {
        let full = texts::volume_full(volume);
        verdict = verdict.with(Cause::VolumeFull).explained(full.clone()).supported_by(Source::Kubelet, at, full);
    }
    verdict
}

/// A claim of the pod that has no space or inodes left, as the kubelet last measured it.
fn full_claim<'a>(pod: &'a PodFile, object: &Pod) -> Option<&'a str> {
    let is_claim = |name: &str| {
        let volume = object.volumes.iter().find(|volume| volume.name == name);
        volume.is_some_and(|volume| matches!(volume.kind, VolumeKind::Claim(_)))
    };
    let measured = &pod.stats.as_ref()?.what.volume;
    measured.iter().find(|volume| is_full(&volume.fs) && is_claim(&volume.name)).map(|volume| volume.name.as_str())
}

/// Less than half a percent is left.
fn is_full(fs: &FsStats) -> bool {
    let used_up =
        |left: Option<u64>, all: Option<u64>| matches!((left, all), (Some(left), Some(all)) if left < all / 200);
    used_up(fs.available_bytes, fs.capacity_bytes) || used_up(fs.inodes_free, fs.inodes)
}
