//! The verdict on one kill: its evidence, the process, and the memory at that time.

use std::cmp::Reverse;

use coroner_proto::v1::{Cause, Confidence, Memory, Message, OomScope, Process};
use jiff::{SignedDuration, Timestamp};

use super::{
    shortage::{Shortage, pod_limit},
    wording::{Role, composition, headline, killed},
};
use crate::{
    case::{ContainerFile, NodeFile, OomKill},
    messages,
    observation::{Source, kernel_log::KillScope, kube::VolumeKind},
    rules::death::CLOCKS,
    text,
    verdict::{Evidence, Related, Verdict},
};

/// The kernel rounds limits down to whole pages, of at most 64 KiB.
const ROUNDING: u64 = 64 << 10;
/// Containers that are named for the memory that they took.
const CONSUMERS: usize = 3;
/// A reading of the node's memory this long before or after a kill still describes it.
const AVAILABLE: SignedDuration = SignedDuration::from_secs(30);

/// The verdict on one kill.
pub(super) fn verdict(
    node: &NodeFile,
    file: &ContainerFile,
    kill: &OomKill<'_>,
    shortage: &Shortage,
    role: Role,
) -> Verdict {
    let by_log = kill.killed.is_some();
    let confidence = match (shortage.cause, shortage.sure) {
        (Cause::Unattributed, _) => Confidence::Possible,
        (_, true) if kill.confirmed => Confidence::Certain,
        _ => Confidence::Likely,
    };
    let consumers = if shortage.cause == Cause::OomNode { consumers(node, kill.at) } else { Vec::new() };
    let memory = memory(node, file, Some(kill), shortage.scope);
    let process = process(file, node.main_pid(file), kill);
    let limit = memory.limit_bytes.filter(|_| matches!(shortage.scope, OomScope::Container | OomScope::Pod));
    let mut verdict = Verdict::new(shortage.cause, confidence, kill.at)
        .headed(headline(role, shortage, limit))
        .explained(killed(role, &process));
    verdict = match shortage.cause {
        Cause::OomNode => by_node(file, kill, shortage, (&process, &consumers), verdict),
        _ => {
            let at_kill = kill.cgroup_memory.is_some() && shortage.scope == OomScope::Container;
            let explained = verdict.explained(shortage.because.clone()).explained(composition(&memory, at_kill));
            of_limit(node, file, &memory, explained)
        }
    };
    verdict = kernel_lines(verdict, kill);
    // Whose limit it was may be known soon.
    if !kill.confirmed || shortage.cause == Cause::Unattributed {
        verdict = verdict.waiting();
    }
    if let (false, Some(victim)) = (by_log, kill.victim) {
        let name = victim.comm.as_deref().unwrap_or("?");
        verdict =
            verdict.supported_by(Source::Signals, kill.at, format!("mark_victim: pid={} comm={name}", victim.pid));
        // The tracepoint is faster than the log. Only a victim that was ending anyway gets no line there at all, and no
        // SIGKILL.
        if !kill.signalled {
            verdict = verdict.waiting();
        }
        if kill.summary.is_none() && !node.covered(Source::KernelLog, kill.at, kill.at) {
            verdict = verdict.without(Source::KernelLog);
        }
    }
    verdict = match shortage.cause {
        Cause::OomNode => by_consumers(&consumers, file, kill.at, verdict),
        _ if kill.scope == Some(KillScope::Memcg) || kill.summary.is_some() => verdict
            .against(Source::KernelLog, kill.at, messages::memory::oom_not_the_node())
            .explained(available(node, kill.at)),
        _ => verdict,
    };
    for other in &shortage.alternatives {
        verdict = verdict.or_else(*other, messages::memory::oom_decided_by_line());
    }
    verdict.process = Some(process);
    verdict.memory = Some(memory);
    verdict
}

/// What contributed to a limit that was reached: files in a memory-backed volume, or a limit that is not the one that
/// the Pod asks for.
fn of_limit(node: &NodeFile, file: &ContainerFile, memory: &Memory, mut verdict: Verdict) -> Verdict {
    let Some(object) = node.pod_of(file).and_then(|pod| pod.object()) else { return verdict };
    let limit = memory.limit_bytes.or(memory.container_limit_bytes);
    let volumes =
        object.volumes.iter().filter(|volume| matches!(volume.kind, VolumeKind::EmptyDir { memory: true, .. }));
    let names: Vec<_> = volumes.map(|volume| &volume.name).collect();
    if let (Some(shared), Some(limit)) = (memory.shmem_bytes, limit)
        && shared >= limit / 4
        && !names.is_empty()
    {
        let explanation = messages::memory::oom_memory_volume(names);
        verdict = verdict.with(Cause::MemoryBackedVolume).explained(explanation);
    }
    let wanted = file.name().and_then(|name| object.container(name)).and_then(|wanted| wanted.memory_limit());
    if let (Some(wanted), Some(applied)) = (wanted, memory.container_limit_bytes)
        && wanted > applied + ROUNDING
        && memory.limit_bytes.is_none_or(|reached| reached < wanted)
    {
        let explanation = messages::memory::oom_limit_not_applied(wanted, applied);
        verdict = verdict.with(Cause::LimitNotApplied).explained(explanation);
    }
    verdict
}

/// What explains that a shortage of the node hit this container.
fn by_node(
    file: &ContainerFile,
    kill: &OomKill<'_>,
    shortage: &Shortage,
    (process, consumers): (&Process, &[Consumer<'_>]),
    verdict: Verdict,
) -> Verdict {
    let used = file.samples.usage_at(kill.at + CLOCKS).map(|(usage, _)| usage).filter(|usage| *usage > 0);
    let within = used.zip(file.memory_limit()).and_then(|(used, limit)| match limit {
        Some(limit) if used < limit => Some(messages::memory::oom_within_limit(used, limit)),
        Some(_) => None,
        None => Some(messages::memory::oom_without_limit(used)),
    });
    let score = process.oom_score_adj.filter(|score| *score > 0).map(messages::memory::oom_score);
    let most = consumers.iter().find(|consumer| consumer.growth > 0);
    let most = most.map(|most| match most.file.id == file.id {
        true => messages::memory::oom_grew_most_itself(most.growth),
        false => messages::memory::oom_grew_most(most.growth),
    });
    verdict.explained(shortage.because.clone()).explained(within).explained(score).explained(most)
}

/// Memory that the node had available around this time.
fn available(node: &NodeFile, at: Timestamp) -> Option<Message> {
    let memory = node.memory.as_ref().filter(|memory| memory.at.duration_since(at).abs() <= AVAILABLE)?;
    Some(messages::memory::oom_node_available(memory.what.available))
}

/// A container by the node's memory that it used.
struct Consumer<'a> {
    file: &'a ContainerFile,
    usage: u64,
    growth: u64,
}

impl Consumer<'_> {
    /// The lower, the more it took.
    fn rank(&self) -> impl Ord {
        (Reverse(self.growth), Reverse(self.usage), &self.file.id)
    }
}

/// The three containers whose memory grew most, then those that used most: the victim need not be the one that used it
/// up. One pass over the containers on file, of which there are at most as many as files are kept.
fn consumers(node: &NodeFile, at: Timestamp) -> Vec<Consumer<'_>> {
    let mut most: Vec<Consumer<'_>> = Vec::with_capacity(CONSUMERS + 1);
    for file in node.registry.containers() {
        let Some((usage, growth)) = file.samples.usage_at(at + CLOCKS).filter(|(usage, _)| *usage > 0) else {
            continue;
        };
        let consumer = Consumer { file, usage, growth };
        let place = most.partition_point(|known| known.rank() <= consumer.rank());
        if place < CONSUMERS {
            most.insert(place, consumer);
            most.truncate(CONSUMERS);
        }
    }
    most
}

/// Who used the node's memory: containers of the victim's pod as evidence, those of other pods as related.
fn by_consumers(consumers: &[Consumer<'_>], victim: &ContainerFile, at: Timestamp, mut verdict: Verdict) -> Verdict {
    for &Consumer { file, usage, growth } in consumers {
        let pod = file.pod();
        verdict = if pod.is_some() && pod == victim.pod() {
            let used = match growth {
                0 => messages::memory::oom_evidence_used(name(file), usage),
                growth => messages::memory::oom_evidence_grown(name(file), usage, growth),
            };
            verdict.supported_by(Source::Cgroups, at, used)
        } else {
            let used = match growth {
                0 => messages::memory::oom_related_used(usage),
                growth => messages::memory::oom_related_grown(usage, growth),
            };
            verdict.related_to(Related::new(pod, name(file), Evidence::new(Source::Cgroups, at, used)))
        };
    }
    verdict
}

/// The name of a container, or its id.
fn name(file: &ContainerFile) -> &str {
    file.name().unwrap_or(&file.id.0)
}

pub(super) fn kernel_lines(mut verdict: Verdict, kill: &OomKill<'_>) -> Verdict {
    if let Some(summary) = kill.summary {
        verdict = verdict.supported_by(Source::KernelLog, kill.at, &summary.text);
    }
    if let Some(killed) = kill.killed {
        verdict = verdict.supported_by(Source::KernelLog, kill.at, &killed.text);
    }
    verdict
}

/// Adds what other sources observed of the same kill.
pub(super) fn seconded(mut verdict: Verdict, file: &ContainerFile) -> Verdict {
    if let Some(count) = file.samples.oom_kills.count().filter(|count| *count > 0)
        && let Some((_, at)) = file.samples.oom_kills.watched()
    {
        verdict = verdict.supported_by(Source::Cgroups, at, messages::memory::oom_evidence_counter(count));
    }
    if let Some(at) = file.task_ooms.first() {
        let (source, event) = file.reported_oom();
        verdict = verdict.supported_by(source, *at, event);
    }
    verdict
}

pub(super) fn process(file: &ContainerFile, main: Option<i32>, kill: &OomKill<'_>) -> Process {
    let killed = kill.killed.map(|line| &line.event);
    let known = file.processes.get(&kill.pid).and_then(|p| p.name.as_deref());
    Process {
        pid: kill.pid,
        name: text::clean(kill.name().or(known).unwrap_or(""), 64),
        is_main: main.map(|main| main == kill.pid),
        anon_rss_bytes: killed.map(|k| k.anon_rss),
        file_rss_bytes: killed.map(|k| k.file_rss),
        shmem_rss_bytes: killed.and_then(|k| k.shmem_rss),
        oom_score_adj: killed.and_then(|k| k.oom_score_adj),
    }
}

pub(super) fn memory(node: &NodeFile, file: &ContainerFile, kill: Option<&OomKill<'_>>, scope: OomScope) -> Memory {
    let pod = node.pod_of(file);
    let container_limit = file.memory_limit().flatten();
    let pod_limit = pod.and_then(pod_limit);
    let reported = kill.and_then(|kill| kill.limit_usage);
    // The kernel's report on the cgroup that ran out, where that is this container's: of the moment of the kill.
    let reported_parts = kill.filter(|_| scope == OomScope::Container).and_then(|kill| kill.cgroup_memory);
    let last = file.samples.last_use.as_ref().map(|sample| &sample.what);
    let by_scope = match scope {
        OomScope::Container => container_limit,
        OomScope::Pod => pod_limit,
        _ => None,
    };
    Memory {
        scope: scope.into(),
        limit_cgroup: kill.and_then(OomKill::limit_cgroup).unwrap_or_default().to_owned(),
        limit_bytes: reported.and_then(|(_, limit)| limit).or(by_scope),
        usage_bytes: reported.map(|(usage, _)| usage),
        peak_bytes: file.samples.peak,
        container_limit_bytes: container_limit,
        pod_limit_bytes: pod_limit,
        anon_bytes: reported_parts.map_or_else(|| last.and_then(|s| s.anon), |parts| parts.anon),
        file_bytes: reported_parts.map_or_else(|| last.and_then(|s| s.file), |parts| parts.file),
        shmem_bytes: reported_parts.map_or_else(|| last.and_then(|s| s.shmem), |parts| parts.shmem),
        kernel_bytes: last.and_then(|s| s.kernel),
        oom_group: file.samples.latest.as_ref().and_then(|sample| sample.what.oom_group),
        node_available_bytes: node.memory.as_ref().map(|m| m.what.available),
        node_total_bytes: node.memory.as_ref().map(|m| m.what.total),
        // The report adds the minutes before.
        ..Memory::default()
    }
}
