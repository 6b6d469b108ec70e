//! Errors of devices that the kernel log reports for processes of a container: NVIDIA's Xids.

use jiff::{SignedDuration, Timestamp};

use crate::{
    case::{ContainerFile, Line, NodeFile},
    observation::kernel_log::Xid,
};

/// What ends so soon after a fatal error of its device may have ended by it.
pub(super) const AFTERMATH: SignedDuration = SignedDuration::from_mins(1);

/// Fatal errors of devices that the processes of a container used, in order of time.
pub(super) fn errors<'a>(
    node: &'a NodeFile,
    file: &'a ContainerFile,
) -> impl Iterator<Item = (Timestamp, &'a Line<Xid>)> {
    let since = file.first_seen;
    let of = file.processes.keys().flat_map(move |pid| node.processes.device_errors.of(*pid, since, Timestamp::MAX));
    let mut all: Vec<_> = of.collect();
    all.sort_by_key(|(at, _)| *at);
    all.into_iter()
}
