//! Killed for memory: by the container's limit, the pod's, or the node's shortage.
//!
//! The kernel's own words decide who was killed. Whose limit it was follows from the cgroup that the kernel names, and, if
//! that is the pod's, from how the pod's limit compares with those of its containers: the kubelet gives a pod the sum of
//! its containers' limits, so that a pod of one limited container runs out one level above it.

use std::collections::BTreeSet;

use coroner_proto::v1::{Cause, Confidence, Exit, Memory, OomScope, Process};
use jiff::{SignedDuration, Timestamp};

use super::death::{CLOCKS, Death, Ending, MOMENT};
use crate::{
    case::{ContainerFile, NodeFile, OomKill, PodFile},
    observation::{
        Source,
        cgroup::{self, Level, Limit},
        kernel_log::KillScope,
    },
    text,
    units::size,
    verdict::Verdict,
};

/// A main process that ends by itself within this time of its child's kill died of it.
const AFTERMATH: SignedDuration = SignedDuration::from_secs(10);
/// Children whose kills are told one by one; of more, the newest stands for the rest.
const CHILDREN: usize = 8;

/// Whose memory ran out.
#[derive(Debug)]
struct Shortage {
    cause: Cause,
    sure: bool,
    scope: OomScope,
    /// What shows it, in words.
    because: String,
    alternatives: Vec<Cause>,
}

/// The end of a container that was killed for memory, or whose main process gave up after the kill of a child.
pub(super) fn end(death: &Death<'_>) -> Option<Verdict> {
    if let Some(kill) = &death.oom_kill {
        return Some(main_killed(death, kill));
    }
    by_unknown_main(death)
        .or_else(|| child_killed(death))
        .or_else(|| unknown_child_killed(death))
        .or_else(|| by_counter(death))
        .or_else(|| by_reason(death))
}

/// The kill of one process of a container that it did not end.
#[derive(Debug)]
pub struct ChildKilled {
    /// The process.
    pub pid: i32,
    /// When the kernel logged the kill, in microseconds since boot; `None` while only the tracepoint has told of it.
    pub boot_micros: Option<u64>,
    /// The verdict.
    pub verdict: Verdict,
}

/// The kills for memory in a container that did not end it, in order of time.
pub fn children(node: &NodeFile, file: &ContainerFile) -> Vec<ChildKilled> {
    let main = node.main_pid(file);
    if main.is_none() {
        return Vec::new();
    }
    let from = file.first_seen - CLOCKS;
    let mut kills: Vec<_> = victims(node, file, from, Timestamp::MAX).filter(|kill| Some(kill.pid) != main).collect();
    kills.sort_by_key(|kill| (kill.at, kill.pid));
    let main_kill = main.and_then(|pid| node.oom_kill(pid, from, Timestamp::MAX));
    // Those that fell together with the main process are told with its end.
    kills.retain(|kill| main_kill.as_ref().is_none_or(|m| m.at.duration_since(kill.at).abs() > MOMENT));
    let count = kills.len();
    let newest = kills.split_off(count.saturating_sub(CHILDREN));
    let told = |kill: &OomKill<'_>| ChildKilled {
        pid: kill.pid,
        boot_micros: kill.killed.map(|line| line.boot_micros),
        verdict: child(node, file, kill),
    };
    newest.iter().map(told).collect()
}

/// The processes of a container that were killed for memory. A pid may have been another process' before, and may have passed on
/// since: it counts where the kernel named the container's cgroup, or no cgroup and the pid is still the container's.
fn victims<'a>(
    node: &'a NodeFile,
    file: &'a ContainerFile,
    from: Timestamp,
    to: Timestamp,
) -> impl Iterator<Item = OomKill<'a>> {
    let mut known = BTreeSet::new();
    let kills = file.kills(from, to).filter_map(move |(at, pid)| {
        let kill = node.oom_kill(pid, from.max(at - MOMENT), to.min(at.saturating_add(MOMENT).unwrap_or(to)))?;
        known.insert((kill.pid, kill.at)).then_some(kill)
    });
    kills.filter(|kill| {
        let is_owner = || node.owner(kill.pid).is_some_and(|id| *id == file.id);
        kill.is_in(&file.id).unwrap_or_else(is_owner)
    })
}

fn main_killed(death: &Death<'_>, kill: &OomKill<'_>) -> Verdict {
    let together = victims(death.node, death.file, kill.at - MOMENT, kill.at + MOMENT).filter(|v| v.pid != kill.pid);
    let together: Vec<_> = together.collect();
    // In a group kill the victim that the kernel chose has the summary; the main process only went with it.
    let chosen = if kill.summary.is_none() { together.iter().find(|v| v.summary.is_some()) } else { None };
    let (first, rest): (&OomKill<'_>, Vec<&OomKill<'_>>) = match chosen {
        Some(chosen) => {
            (chosen, together.iter().filter(|v| v.pid != chosen.pid).chain(std::iter::once(kill)).collect())
        }
        None => (kill, together.iter().collect()),
    };
    let shortage = shortage(death.node, death.file, first);
    let group = death.file.group_kills.iter().any(|at| at.duration_since(kill.at).abs() <= MOMENT);
    let what = match (first.pid == kill.pid, group) {
        (true, false) => "the container's main process",
        (true, true) => "the container's main process, and by memory.oom.group everything else in it",
        (false, _) => "one of the container's processes, and by memory.oom.group the main process with it",
    };
    let mut verdict = tell(death.node, death.file, first, &shortage, what, death.code);
    verdict.at = kill.at;
    verdict.exit = death.exit(9);
    verdict.other_victims = rest.iter().map(|v| process(death.file, death.main, v)).collect();
    for other in rest.iter().filter(|v| v.killed.is_some()) {
        verdict = kernel_lines(verdict, other);
    }
    seconded(verdict, death.file)
}

/// Where nobody told which process is the main one: a kill at the moment of an end by SIGKILL was its.
fn by_unknown_main(death: &Death<'_>) -> Option<Verdict> {
    if death.main.is_some() || death.code != Some(137) {
        return None;
    }
    let kill = victims(death.node, death.file, death.at - MOMENT, death.at + MOMENT).next()?;
    let shortage = shortage(death.node, death.file, &kill);
    let mut verdict = tell(death.node, death.file, &kill, &shortage, "a process of the container", death.code);
    verdict.confidence = verdict.confidence.min(Confidence::Likely);
    verdict.exit = death.exit(9);
    Some(verdict)
}

/// Whether the main process ended by itself, not with 0, and nobody is known to have asked it to.
fn gave_up(death: &Death<'_>) -> bool {
    let by_itself = match death.ending() {
        Ending::Exit(code) => code != 0,
        Ending::Unknown => true,
        Ending::Signal(_) => false,
    };
    by_itself && super::stopped::asked(death).is_none()
}

/// A main process that ends by itself, not with 0, soon after the kill of its child.
fn child_killed(death: &Death<'_>) -> Option<Verdict> {
    if !gave_up(death) {
        return None;
    }
    let kill = victims(death.node, death.file, death.at - AFTERMATH, death.at + CLOCKS)
        .filter(|kill| Some(kill.pid) != death.main && !death.file.is_exec(kill.pid))
        .max_by_key(|kill| kill.at)?;
    let shortage = shortage(death.node, death.file, &kill);
    let code = death.code.unwrap_or(-1);
    let what = format!("a child of the container's main process, which then ended by itself with status {code}");
    let mut verdict = tell(death.node, death.file, &kill, &shortage, &what, death.code);
    verdict.at = death.at;
    verdict.exit = death.exit(0);
    if death.ending() == Ending::Unknown {
        verdict.confidence = verdict.confidence.min(Confidence::Likely);
    }
    Some(verdict)
}

/// The same where the kernel log is missing and nobody has placed the victim, as one that lived for milliseconds: the runtime
/// says that some cgroup of this container ran out, just when the kernel chose a victim that belongs to nobody else.
fn unknown_child_killed(death: &Death<'_>) -> Option<Verdict> {
    if !gave_up(death) || death.covered(Source::KernelLog) {
        return None;
    }
    let since = death.at - AFTERMATH;
    let told = death.file.task_ooms.iter().rev().find(|at| (since..=death.at + CLOCKS).contains(*at))?;
    let (source, said) = death.file.said_oom();
    let victim = death.node.unowned_victim(*told - MOMENT, *told + MOMENT);
    let code = death.code?;
    let shortage =
        by_limits(death.node, death.file, victim.is_some()).filter(|_| victim.is_some()).unwrap_or_else(undecided);
    let explanation = format!(
        "The runtime says that its cgroup, or its pod's, ran out of memory just before its main process ended by \
         itself with \
         status {code}. Whom the kernel killed is not known. {}",
        shortage.because
    );
    let confidence = if shortage.cause == Cause::Unattributed { Confidence::Possible } else { Confidence::Likely };
    let mut verdict = Verdict::new(shortage.cause, confidence, death.at)
        .told("Ended by itself after a kill for memory in it, as it seems", explanation)
        .by(source, *told, said)
        .or_else(Cause::ApplicationExit, "the kernel log would tell whether it was a child of its main process")
        .without(Source::KernelLog)
        .waiting();
    if let Some(pid) = victim {
        verdict = verdict.by(Source::Signals, *told, format!("mark_victim: pid={pid}, of no container that is known"));
    }
    verdict.exit = death.exit(0);
    Some(verdict)
}

/// Without the kernel's word: the counter of kills in its cgroup grew just when it ended by SIGKILL.
fn by_counter(death: &Death<'_>) -> Option<Verdict> {
    let killed = matches!(death.ending(), Ending::Signal(9) | Ending::Unknown) && death.code == Some(137);
    if !killed || death.covered(Source::KernelLog) || by_somebody(death) {
        return None;
    }
    let kills = &death.file.samples.oom_kills;
    let (_, last) = kills.watched()?;
    let between = kills.grown().or_else(|| (kills.count()? > 0).then_some((death.file.first_seen, last)))?;
    if between.0 - CLOCKS > death.at || between.1 + CLOCKS < death.at {
        return None;
    }
    let shortage = by_limits(death.node, death.file, false)?;
    let summary = format!("{}, by its cgroup's counter", headline(shortage.cause));
    let explanation = format!(
        "Its cgroup counted {} process(es) killed for memory just when it ended by SIGKILL; the kernel log could not \
         be \
         read. {}",
        kills.count().unwrap_or(0),
        shortage.because
    );
    let mut verdict = Verdict::new(shortage.cause, Confidence::Likely, death.at).told(summary, explanation);
    verdict = verdict.by(Source::Cgroups, between.1, format!("oom_kill {}", kills.count().unwrap_or(0)));
    for other in shortage.alternatives {
        verdict = verdict.or_else(other, "the kernel log would name the cgroup that ran out");
    }
    verdict.exit = death.exit(9);
    verdict.process = death.main_process();
    verdict.memory = Some(memory(death.node, death.file, None, shortage.scope));
    Some(verdict.without(Source::KernelLog).waiting())
}

/// With nothing but the runtime's word, which is known to lie: possible at most.
fn by_reason(death: &Death<'_>) -> Option<Verdict> {
    let unseen = !death.covered(Source::KernelLog) && !death.covered(Source::Signals);
    if death.reason() != "OOMKilled"
        || death.code != Some(137)
        || !unseen
        || death.wait.is_some_and(|w| w.as_exit_code() != 137)
    {
        return None;
    }
    let last = death.file.task_ooms.last();
    if last.is_some_and(|at| death.at.duration_since(*at) > CLOCKS) {
        return None;
    }
    let shortage = by_limits(death.node, death.file, false)?;
    let explanation = "Only the runtime says that it was killed for memory; neither the kernel's log nor its counters \
                       could be read, and the runtime's word also covers kills of other processes.";
    let mut verdict = Verdict::new(shortage.cause, Confidence::Possible, death.at)
        .told("Perhaps killed for memory: only the runtime says so", explanation)
        .by(death.file.status_by, death.at, "reason OOMKilled, exit code 137")
        .or_else(Cause::KilledExternally, "the tracepoint signal_generate would name the sender")
        .or_else(Cause::GracePeriodExceeded, "the same")
        .without(Source::KernelLog)
        .without(Source::Signals)
        .waiting();
    verdict.exit = death.exit(9);
    Some(verdict)
}

/// Whether somebody else than the kernel is known to have sent the SIGKILL.
fn by_somebody(death: &Death<'_>) -> bool {
    death.signal(9).is_some_and(|(_, signal)| signal.code != crate::observation::trace::SI_KERNEL)
}

fn child(node: &NodeFile, file: &ContainerFile, kill: &OomKill<'_>) -> Verdict {
    let shortage = shortage(node, file, kill);
    let what = if file.is_exec(kill.pid) {
        "a process that was started in the container by exec; the main process lives on"
    } else {
        "a child of the container's main process, which lives on"
    };
    let mut verdict = tell(node, file, kill, &shortage, what, None);
    verdict.fatal = false;
    verdict.exit = Some(Exit { code: 137, signal: 9, ..Exit::default() });
    verdict
}

/// Whose memory ran out.
fn shortage(node: &NodeFile, file: &ContainerFile, kill: &OomKill<'_>) -> Shortage {
    let summary = kill.summary.map(|line| &line.event);
    if summary.is_some_and(|s| s.global) || kill.killed.is_some_and(|line| line.event.scope == KillScope::Global) {
        let because = "The whole node had run out of memory; this victim paid, and need not be the culprit.".to_owned();
        return Shortage { cause: Cause::OomNode, sure: true, scope: OomScope::Node, because, alternatives: vec![] };
    }
    let Some(limit) = kill.limit_cgroup() else {
        return by_limits(node, file, kill.killed.is_some()).unwrap_or_else(undecided);
    };
    match cgroup::Path(limit.to_owned()).level() {
        Level::Container { .. } => {
            container("The kernel names the container's own cgroup as the one that ran out.", true)
        }
        Level::Pod { .. } => by_pod(node, file, kill),
        Level::Root | Level::Kubepods | Level::Other => {
            let because = format!("The kernel names {limit}, which holds many pods, as the cgroup that ran out.");
            Shortage { cause: Cause::OomNode, sure: true, scope: OomScope::Kubepods, because, alternatives: vec![] }
        }
    }
}

fn undecided() -> Shortage {
    Shortage {
        cause: Cause::Unattributed,
        sure: false,
        scope: OomScope::Unspecified,
        because: "Whose limit it was cannot be known from what was seen.".to_owned(),
        alternatives: vec![Cause::OomContainerLimit, Cause::OomPodLimit, Cause::OomNode],
    }
}

fn container(because: &str, sure: bool) -> Shortage {
    let alternatives = if sure { vec![] } else { vec![Cause::OomPodLimit] };
    Shortage {
        cause: Cause::OomContainerLimit,
        sure,
        scope: OomScope::Container,
        because: because.to_owned(),
        alternatives,
    }
}

/// The pod's cgroup ran out: is its limit that of its containers, or one of its own below theirs?
fn by_pod(node: &NodeFile, file: &ContainerFile, kill: &OomKill<'_>) -> Shortage {
    let pod = node.pod_of(file);
    let by_kernel = kill.limit_usage.and_then(|(_, limit)| limit);
    let limit = by_kernel.or_else(|| pod.and_then(pod_limit));
    let own = file.memory_limit();
    let pod_level = |sure, why: &str| Shortage {
        cause: Cause::OomPodLimit,
        sure,
        scope: OomScope::Pod,
        because: why.to_owned(),
        alternatives: if sure { vec![] } else { vec![Cause::OomContainerLimit] },
    };
    if own == Some(None) {
        return pod_level(true, "The pod's own limit was reached; this container has none.");
    }
    let (Some(limit), Some(pod)) = (limit, pod) else { return undecided() };
    match sum_of_limits(node, pod, kill.at) {
        Sum::Unlimited => pod_level(true, "The pod's own limit was reached; not all of its containers have one."),
        Sum::Limited(sum) if limit < sum => {
            let why = format!(
                "The pod's own limit of {} is below the sum of its containers' limits, {}.",
                size(limit),
                size(sum)
            );
            pod_level(true, &why)
        }
        Sum::Limited(sum) if limit == sum => {
            let why = "The kernel names the pod's cgroup, but the pod's limit is nothing but the sum of its \
                       containers' \
                       limits: it was the container's own.";
            container(why, true)
        }
        // More containers than are known make up the pod's limit.
        Sum::Limited(_) | Sum::Unknown => match own {
            Some(Some(own)) if own == limit => container("The pod's limit equals the container's own.", false),
            _ => undecided(),
        },
    }
}

/// Without the kernel's summary: what the limits and counters allow. `memcg`: the kernel said that it was a cgroup's limit.
fn by_limits(node: &NodeFile, file: &ContainerFile, memcg: bool) -> Option<Shortage> {
    let pod = node.pod_of(file);
    let limit = pod.and_then(pod_limit);
    let hit = |samples: &crate::case::Samples| samples.limit_hits.count().is_some_and(|hits| hits > 0);
    let counted = hit(&file.samples) || pod.is_some_and(|pod| hit(&pod.samples));
    let roomy = node.memory.as_ref().is_some_and(|m| m.what.available > m.what.total / 10);
    let node_short = |because: &str, sure| Shortage {
        cause: Cause::OomNode,
        sure,
        scope: if memcg { OomScope::Kubepods } else { OomScope::Node },
        because: because.to_owned(),
        alternatives: vec![],
    };
    match (file.memory_limit()?, limit) {
        (None, None) => Some(node_short("Neither the container nor its pod has a memory limit.", false)),
        (None, Some(_)) => Some(Shortage {
            cause: Cause::OomPodLimit,
            sure: counted,
            scope: OomScope::Pod,
            because: "The container has no memory limit, its pod has.".to_owned(),
            alternatives: if counted { vec![] } else { vec![Cause::OomNode] },
        }),
        (Some(own), limit) => {
            let sum = pod.map_or(Sum::Unknown, |pod| {
                sum_of_limits(node, pod, file.reported_exit().map_or(file.last_seen, |exit| exit.at))
            });
            let below = matches!((limit, &sum), (Some(limit), Sum::Limited(sum)) if limit < *sum)
                || matches!((limit, &sum), (Some(limit), Sum::Unlimited) if limit < own);
            // Where nobody told the pod's limit, one below its containers' is only ruled out if the pod has but this one.
            let alone = pod.is_some_and(|pod| pod.containers.len() == 1);
            let hidden = !alone && pod.is_none_or(|pod| pod.samples.latest.is_none());
            if below || hidden || !(counted || memcg || roomy) {
                return None;
            }
            let mut shortage = container(
                "The container has a limit and its pod none below it; no summary line of the kernel about this kill has \
                 been read.",
                counted && memcg,
            );
            if !shortage.sure {
                shortage.alternatives = vec![Cause::OomNode];
            }
            Some(shortage)
        }
    }
}

enum Sum {
    Limited(u64),
    Unlimited,
    Unknown,
}

fn pod_limit(pod: &PodFile) -> Option<u64> {
    match pod.samples.latest.as_ref()?.what.memory_limit? {
        Limit::Limited(bytes) => Some(bytes),
        Limit::Unlimited => None,
    }
}

/// The sum of the limits of a pod's containers that lived at this moment; a restarted container counts once.
fn sum_of_limits(node: &NodeFile, pod: &PodFile, at: Timestamp) -> Sum {
    let mut newest: std::collections::BTreeMap<&str, &ContainerFile> = std::collections::BTreeMap::new();
    for file in node.registry.instances(pod) {
        let ended = file.reported_exit().is_some_and(|exit| exit.at + CLOCKS < at);
        if ended || file.first_seen - CLOCKS > at {
            continue;
        }
        // A cgroup that nobody has named may be that of a sandbox, which has no limit: it proves nothing.
        let Some(name) = file.name() else {
            if matches!(file.memory_limit(), Some(Some(_))) {
                return Sum::Unknown;
            }
            continue;
        };
        let known = newest.entry(name).or_insert(file);
        if known.first_seen < file.first_seen {
            *known = file;
        }
    }
    let mut sum = 0u64;
    for file in newest.values() {
        match file.memory_limit() {
            Some(Some(limit)) => sum = sum.saturating_add(limit),
            Some(None) => return Sum::Unlimited,
            None => return Sum::Unknown,
        }
    }
    if newest.is_empty() { Sum::Unknown } else { Sum::Limited(sum) }
}

fn headline(cause: Cause) -> &'static str {
    match cause {
        Cause::OomPodLimit => "Killed for memory: its pod reached the pod's own limit",
        Cause::OomNode => "Killed for memory: the node ran out, not the container",
        Cause::OomContainerLimit => "Killed for memory: it reached its own limit",
        _ => "Killed for memory; whose limit it was is not known",
    }
}

/// The verdict on one kill.
fn tell(
    node: &NodeFile,
    file: &ContainerFile,
    kill: &OomKill<'_>,
    shortage: &Shortage,
    what: &str,
    code: Option<i32>,
) -> Verdict {
    let by_log = kill.killed.is_some();
    let confidence = match (shortage.cause, shortage.sure) {
        (Cause::Unattributed, _) => Confidence::Possible,
        (_, true) => Confidence::Certain,
        (_, false) => Confidence::Likely,
    };
    let name = kill.name().map_or_else(|| "a process".to_owned(), |name| format!("\"{}\"", text::clean(name, 64)));
    let memory = memory(node, file, Some(kill), shortage.scope);
    // Pages of files and of shared memory may be charged to others, so only anonymous memory is the victim's for sure.
    let anonymous = kill.killed.map(|line| line.event.anon_rss);
    let held = anonymous.map_or_else(String::new, |anon| format!(", which held {} of anonymous memory", size(anon)));
    let limit = match (memory.limit_bytes, shortage.scope) {
        (Some(limit), OomScope::Container | OomScope::Pod) => format!(" of {}", size(limit)),
        _ => String::new(),
    };
    let ended = code.map_or_else(String::new, |code| format!(" The container's exit code is {code}."));
    let explanation = format!("The kernel killed {what}: {name} (pid {}){held}. {}{ended}", kill.pid, shortage.because);
    let mut verdict = Verdict::new(shortage.cause, confidence, kill.at)
        .told(format!("{}{limit}", headline(shortage.cause)), explanation);
    verdict = kernel_lines(verdict, kill);
    if let (false, Some(victim)) = (by_log, kill.victim) {
        let name = victim.comm.as_deref().unwrap_or("?");
        verdict = verdict.by(Source::Signals, kill.at, format!("mark_victim: pid={} comm={name}", victim.pid));
        // The tracepoint is faster than the log. Only a victim that was ending anyway gets no line there at all, and no SIGKILL.
        if !kill.signalled || shortage.cause == Cause::Unattributed {
            verdict = verdict.waiting();
        }
        if !node.covered(Source::KernelLog, kill.at, kill.at) {
            verdict = verdict.without(Source::KernelLog);
        }
    }
    verdict = match shortage.cause {
        Cause::OomNode => consumers(node, kill.at, verdict),
        _ if kill.killed.is_some_and(|line| line.event.scope == KillScope::Memcg) || kill.summary.is_some() => verdict
            .against(
                Source::KernelLog,
                kill.at,
                "not the node's shortage: the kernel speaks of a memory cgroup, not of global_oom",
            ),
        _ => verdict,
    };
    for other in &shortage.alternatives {
        verdict = verdict.or_else(*other, "the kernel's summary line would name the cgroup that ran out");
    }
    verdict.process = Some(process(file, node.main_pid(file), kill));
    verdict.memory = Some(memory);
    verdict
}

/// Who used the node's memory, and what had grown: the victim need not be the culprit.
fn consumers(node: &NodeFile, at: Timestamp, mut verdict: Verdict) -> Verdict {
    let mut users: Vec<_> =
        node.registry.containers().filter_map(|file| Some((file, file.samples.usage_at(at + CLOCKS)?))).collect();
    users.sort_by_key(|(file, (usage, growth))| (std::cmp::Reverse(*growth), std::cmp::Reverse(*usage), &file.id));
    for (file, (usage, growth)) in users.iter().take(3).filter(|(_, (usage, _))| *usage > 0) {
        let pod = file.pod().map_or_else(|| file.id.0.clone(), |pod| format!("{}/{}", pod.namespace, pod.name));
        let name = file.name().unwrap_or("?");
        let said = format!(
            "{pod} container {name} used {}, {} more than up to five minutes before",
            size(*usage),
            size(*growth)
        );
        verdict = verdict.by(Source::Cgroups, at, said);
    }
    verdict
}

fn kernel_lines(mut verdict: Verdict, kill: &OomKill<'_>) -> Verdict {
    if let Some(summary) = kill.summary {
        verdict = verdict.by(Source::KernelLog, kill.at, &summary.text);
    }
    if let Some(killed) = kill.killed {
        verdict = verdict.by(Source::KernelLog, kill.at, &killed.text);
    }
    verdict
}

/// Adds what other witnesses say of the same kill.
fn seconded(mut verdict: Verdict, file: &ContainerFile) -> Verdict {
    if let Some(count) = file.samples.oom_kills.count().filter(|count| *count > 0)
        && let Some((_, at)) = file.samples.oom_kills.watched()
    {
        verdict = verdict.by(Source::Cgroups, at, format!("oom_kill {count} in the container's cgroup"));
    }
    if let Some(at) = file.task_ooms.first() {
        let (source, said) = file.said_oom();
        verdict = verdict.by(source, *at, said);
    }
    verdict
}

fn process(file: &ContainerFile, main: Option<i32>, kill: &OomKill<'_>) -> Process {
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

fn memory(node: &NodeFile, file: &ContainerFile, kill: Option<&OomKill<'_>>, scope: OomScope) -> Memory {
    let pod = node.pod_of(file);
    let container_limit = file.memory_limit().flatten();
    let pod_limit = pod.and_then(pod_limit);
    let told = kill.and_then(|kill| kill.limit_usage);
    let last = file.samples.last_use.as_ref().map(|said| &said.what);
    let by_scope = match scope {
        OomScope::Container => container_limit,
        OomScope::Pod => pod_limit,
        _ => None,
    };
    Memory {
        scope: scope.into(),
        limit_cgroup: kill.and_then(OomKill::limit_cgroup).unwrap_or_default().to_owned(),
        limit_bytes: told.and_then(|(_, limit)| limit).or(by_scope),
        usage_bytes: told.map(|(usage, _)| usage),
        peak_bytes: file.samples.peak,
        container_limit_bytes: container_limit,
        pod_limit_bytes: pod_limit,
        anon_bytes: last.and_then(|s| s.anon),
        file_bytes: last.and_then(|s| s.file),
        shmem_bytes: last.and_then(|s| s.shmem),
        kernel_bytes: last.and_then(|s| s.kernel),
        oom_group: file.samples.latest.as_ref().and_then(|said| said.what.oom_group),
        node_available_bytes: node.memory.as_ref().map(|m| m.what.available),
        node_total_bytes: node.memory.as_ref().map(|m| m.what.total),
    }
}
