//! The ends of containers' logs: files `pod_logs/<namespace>_<pod>_<uid>/<container>/<attempt>.log`, as they lay in
//! /var/log/pods.

use super::Recording;
use crate::observation::cri::Pod;
use crate::observation::log::{Line, Tail};
use crate::observation::{Fact, Observation};

/// The folder that they lie in.
pub(super) const FOLDER: &str = "pod_logs/";

/// The contents of one file. It was read when the recording ended.
pub(super) fn tail(recording: &Recording, file_name: &str, contents: &str) -> Option<Observation> {
    let mut parts = file_name.strip_prefix(FOLDER)?.split('/');
    let (pod, container, attempt) = (parts.next()?, parts.next()?, parts.next()?);
    let mut names = pod.splitn(3, '_');
    let pod =
        Pod { namespace: names.next()?.to_owned(), name: names.next()?.to_owned(), uid: names.next()?.to_owned() };
    let attempt = attempt.strip_suffix(".log")?.parse().ok()?;
    let lines = Line::parse_all(contents);
    let happened_at = lines.last().map_or(recording.end, |line| line.at.min(recording.end));
    let tail = Tail { pod, container: container.to_owned(), attempt, lines };
    Some(Observation { seen_at: recording.end, happened_at, fact: Fact::Log(tail) })
}
