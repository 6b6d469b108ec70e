//! Killed for memory: by the container's limit, the pod's, or the node's shortage.
//!
//! The kernel log decides who was killed, and [`mod@shortage`] whose limit it was.

mod hardware;
mod kill;
mod shortage;
mod wording;

use std::collections::BTreeSet;

use coroner_proto::v1::{Cause, Confidence, Exit, Message};
use jiff::{SignedDuration, Timestamp};

use self::{
    kill::{kernel_lines, memory, process, seconded, verdict},
    shortage::{by_limits, by_spec, shortage, undecided},
    wording::Role,
};
use super::death::{CLOCKS, Death, Ending, MOMENT};
use crate::{
    aspect::Aspect,
    case::{ContainerFile, NodeFile, OomKill},
    messages::{common, memory as texts},
    observation::Source,
    verdict::{Begun, Verdict},
};

/// The runtimes' reason for a kill for memory.
pub(super) const OOM_KILLED: &str = "OOMKilled";
/// A main process that ends by itself within this time of its child's kill died of it.
const AFTERMATH: SignedDuration = SignedDuration::from_secs(10);
/// Children whose kills are reported one by one; of more, the newest stands for the rest.
const CHILDREN: usize = 8;

/// The end of a container that was killed for memory, or whose main process gave up after the kill of a child.
pub(super) fn end(death: &Death<'_>) -> Option<Verdict> {
    if let Some(kill) = &death.oom_kill {
        return Some(main_killed(death, kill));
    }
    hardware::end(death)
        .or_else(|| by_unknown_main(death))
        .or_else(|| child_killed(death))
        .or_else(|| unknown_child_killed(death))
        .or_else(|| by_counter(death))
        .or_else(|| by_reason(death))
}

/// The kill of one process of a container that it did not end.
#[derive(Debug)]
pub struct ChildKilled {
    /// The pid of the killed process, in the node's pid namespace.
    pub pid: i32,
    /// When the kernel logged the kill, in microseconds since boot; `None` while only the tracepoint has reported it.
    pub boot_micros: Option<u64>,
    /// The verdict on the kill.
    pub verdict: Verdict,
}

impl ChildKilled {
    /// What a diagnosis of it is about.
    pub fn aspect(&self) -> Aspect {
        Aspect::Process { pid: self.pid, boot_micros: self.boot_micros }
    }
}

/// The kills for memory in a container that did not end it, in order of time.
pub fn children(node: &NodeFile, file: &ContainerFile) -> Vec<ChildKilled> {
    let main = node.main_pid(file);
    if main.is_none() {
        return Vec::new();
    }
    let from = file.first_seen - CLOCKS;
    let main_kill = main.and_then(|pid| node.oom_kill(pid, from, Timestamp::MAX));
    // Those that were killed together with the main process are reported with its end.
    let with_main =
        |kill: &OomKill<'_>| main_kill.as_ref().is_some_and(|m| m.at.duration_since(kill.at).abs() <= MOMENT);
    // From the newest back: in a storm there are thousands.
    let newest = victims(node, file, from, Timestamp::MAX).rev();
    let newest = newest.filter(|kill| Some(kill.pid) != main && !with_main(kill));
    let mut newest: Vec<_> = newest.take(CHILDREN).collect();
    newest.sort_by_key(|kill| (kill.at, kill.pid));
    let reported = |kill: &OomKill<'_>| ChildKilled {
        pid: kill.pid,
        boot_micros: kill.killed.map(|line| line.boot_micros),
        verdict: child(node, file, kill),
    };
    newest.iter().map(reported).collect()
}

/// The processes of a container that were killed for memory. A pid may have been another process' before, and may have
/// passed on since: it counts where the kernel named the container's cgroup, or no cgroup and the pid is still the
/// container's.
fn victims<'a>(
    node: &'a NodeFile,
    file: &'a ContainerFile,
    from: Timestamp,
    to: Timestamp,
) -> impl DoubleEndedIterator<Item = OomKill<'a>> {
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
    let role = match (first.pid == kill.pid, group) {
        (true, false) => Role::Main,
        (true, true) => Role::Group,
        (false, _) => Role::GroupOfChild,
    };
    let mut verdict = verdict(death.node, death.file, first, &shortage, role);
    verdict.at = kill.at;
    verdict.exit = death.exit(9);
    verdict.other_victims = rest.iter().map(|v| process(death.file, death.main, v)).collect();
    for other in rest.iter().filter(|v| v.killed.is_some()) {
        verdict = kernel_lines(verdict, other);
    }
    seconded(verdict, death.file)
}

/// Where no source reported which process is the main one: a kill at the moment of an end by SIGKILL was its.
fn by_unknown_main(death: &Death<'_>) -> Option<Verdict> {
    if death.main.is_some() || death.code != Some(137) {
        return None;
    }
    let kill = victims(death.node, death.file, death.at - MOMENT, death.at + MOMENT).next()?;
    let shortage = shortage(death.node, death.file, &kill);
    let mut verdict = verdict(death.node, death.file, &kill, &shortage, Role::Unknown);
    verdict.confidence = verdict.confidence.min(Confidence::Likely);
    verdict.exit = death.exit(9);
    Some(verdict)
}

/// Whether the main process ended by itself, not with 0, and no request to stop is known.
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
    let role = match death.code {
        _ if !death.started() => Role::Starter,
        Some(code) => Role::LastChild(code),
        None => Role::Unknown,
    };
    let mut verdict = verdict(death.node, death.file, &kill, &shortage, role);
    verdict.at = death.at;
    let aspect = Aspect::Process { pid: kill.pid, boot_micros: kill.killed.map(|line| line.boot_micros) };
    verdict.begun_by = Some(Begun { aspect, at: kill.at });
    verdict.exit = death.exit(0);
    if death.ending() == Ending::Unknown {
        verdict.confidence = verdict.confidence.min(Confidence::Likely);
    }
    Some(verdict)
}

/// The same where the kernel log is missing and no source has placed the victim, as one that lived for milliseconds:
/// the runtime reports that some cgroup of this container ran out, just when the kernel chose a victim that belongs to
/// no other container.
fn unknown_child_killed(death: &Death<'_>) -> Option<Verdict> {
    if !gave_up(death) || death.covered(Source::KernelLog) {
        return None;
    }
    let since = death.at - AFTERMATH;
    let reported = death.file.task_ooms.iter().rev().find(|at| (since..=death.at + CLOCKS).contains(*at))?;
    let (source, event) = death.file.reported_oom();
    let victim = death.node.unowned_victim(*reported - MOMENT, *reported + MOMENT);
    let code = death.code?;
    // It may have been the main process itself.
    if victim.is_none()
        && code == 137
        && let Some(verdict) = by_reason(death)
    {
        return Some(verdict);
    }
    let shortage =
        by_limits(death.node, death.file, victim.is_some()).filter(|_| victim.is_some()).unwrap_or_else(undecided);
    let confidence = if shortage.cause == Cause::Unattributed { Confidence::Possible } else { Confidence::Likely };
    let mut verdict = Verdict::new(shortage.cause, confidence, death.at)
        .headed(texts::oom_by_runtime_event())
        .explained(texts::oom_runtime_event(code))
        .explained(shortage.because)
        .supported_by(source, *reported, event)
        .or_else(Cause::ApplicationExit, texts::oom_decided_by_log())
        .without(Source::KernelLog)
        .waiting();
    if let Some(pid) = victim {
        verdict = verdict.supported_by(Source::Signals, *reported, texts::oom_evidence_stray_victim(pid));
    }
    verdict.exit = death.exit(0);
    Some(verdict)
}

/// Without the kernel log: the counter of kills in its cgroup grew just when it ended by SIGKILL.
fn by_counter(death: &Death<'_>) -> Option<Verdict> {
    let killed = matches!(death.ending(), Ending::Signal(9) | Ending::Unknown) && death.code == Some(137);
    if !killed || death.covered(Source::KernelLog) || by_other_sender(death) {
        return None;
    }
    let kills = &death.file.samples.oom_kills;
    let (_, last) = kills.watched()?;
    let between = kills.grown().or_else(|| (kills.count()? > 0).then_some((death.file.first_seen, last)))?;
    if between.0 - CLOCKS > death.at || between.1 + CLOCKS < death.at {
        return None;
    }
    let count = kills.count().unwrap_or(0).max(1);
    let counted = counted(death.node, death.file, (death.at, between.1), count, texts::oom_counter_grew(count))?;
    let mut verdict = counted.headed(texts::oom_by_counter()).waiting();
    verdict.exit = death.exit(9);
    verdict.process = death.main_process();
    Some(verdict)
}

/// The kills for memory in a container that goes on, where the kernel log was not read and no source has reported the
/// victims: by `at`, the counter of its cgroup shows so many.
pub fn counted_kills(node: &NodeFile, file: &ContainerFile, at: Timestamp, count: u64) -> Option<Verdict> {
    if node.covered(Source::KernelLog, at - CLOCKS, at) {
        return None;
    }
    let counted = counted(node, file, (at, at), count, texts::oom_child_counted(count))?;
    let mut verdict = counted.headed(texts::oom_child_by_counter()).not_fatal();
    verdict.exit = Some(Exit { code: 137, signal: 9, ..Exit::default() });
    Some(verdict)
}

/// Of kills at a moment that a cgroup's counter showed when it was read. Whose limit was reached, the limits show.
fn counted(
    node: &NodeFile,
    file: &ContainerFile,
    (at, read): (Timestamp, Timestamp),
    count: u64,
    why: Message,
) -> Option<Verdict> {
    let shortage = by_limits(node, file, false)?;
    let mut verdict = Verdict::new(shortage.cause, Confidence::Likely, at)
        .explained(why)
        .explained(shortage.because)
        .supported_by(Source::Cgroups, read, texts::oom_evidence_counter(count));
    for other in shortage.alternatives {
        verdict = verdict.or_else(other, texts::oom_decided_by_line());
    }
    verdict.memory = Some(memory(node, file, None, shortage.scope));
    Some(verdict.without(Source::KernelLog))
}

/// With only the runtime's report, which is known to be wrong at times: possible at most. It may have been a child that
/// was killed; a main process that then ends by itself does not end as one that was asked to stop, and one whose grace
/// period is over ends by the kubelet's SIGKILL.
fn by_reason(death: &Death<'_>) -> Option<Verdict> {
    let unseen = !death.covered(Source::KernelLog) && !death.covered(Source::Signals);
    let code = death.code?;
    let killed = code == 137 && death.wait.is_none_or(|wait| wait.as_exit_code() == 137);
    let of_child = || (1..128).contains(&code) && gave_up(death) && super::stop::request(death).is_none();
    let last = death.file.task_ooms.last();
    let reported = match last {
        Some(at) => death.at.duration_since(*at) <= CLOCKS && (killed || death.reason() == OOM_KILLED),
        None => death.reason() == OOM_KILLED,
    };
    if !reported || !unseen || !(killed || of_child()) || super::stop::is_overdue(death) {
        return None;
    }
    let by_spec = || by_spec(death.node, death.file);
    let shortage = by_limits(death.node, death.file, false).or_else(by_spec)?;
    let mut verdict = Verdict::new(shortage.cause, Confidence::Possible, death.at)
        .headed(texts::oom_by_reason())
        .explained((!killed).then(|| texts::oom_runtime_event(code)))
        .explained(texts::oom_reason_unconfirmed())
        .explained(shortage.because)
        .supported_by(death.file.status_by, death.at, common::exit_reported(death.reason(), code))
        .without(Source::KernelLog)
        .without(Source::Signals)
        .waiting();
    if let Some(at) = last {
        let (source, event) = death.file.reported_oom();
        verdict = verdict.supported_by(source, *at, event);
    }
    let mut verdict = if killed {
        let verdict = verdict.or_else(Cause::KilledExternally, common::decided_by_signals());
        verdict.or_else(Cause::GracePeriodExceeded, common::decided_by_signals())
    } else {
        verdict.or_else(Cause::ApplicationExit, texts::oom_decided_by_log())
    };
    verdict.exit = death.exit(if killed { 9 } else { 0 });
    Some(verdict)
}

/// A container that ended with 0 and whose reason is OOMKilled: the kernel killed another of its processes before, as
/// far as only the runtime shows (`TaskOOM` in containerd's `internal/cri/server/events.go`).
pub(super) fn child_by_reason(death: &Death<'_>) -> Option<Verdict> {
    if death.reason() != OOM_KILLED || death.ending() != Ending::Exit(0) || death.covered(Source::KernelLog) {
        return None;
    }
    let mut reported = victims(death.node, death.file, death.file.first_seen - CLOCKS, death.at + CLOCKS);
    if death.file.samples.oom_kills.count() == Some(0) || reported.next().is_some() {
        return None;
    }
    let shortage = by_limits(death.node, death.file, false).or_else(|| by_spec(death.node, death.file))?;
    let mut verdict = Verdict::new(shortage.cause, Confidence::Possible, death.at)
        .not_fatal()
        .headed(texts::oom_child_by_reason())
        .explained(texts::oom_child_by_reason_why())
        .explained(shortage.because)
        .supported_by(death.file.status_by, death.at, common::exit_reported(death.reason(), 0))
        .without(Source::KernelLog)
        .waiting();
    verdict.exit = death.exit(0);
    Some(verdict)
}

/// The runtime reports OOMKilled, and the kernel of the node logged no kill in the pod: so it is of a virtual machine,
/// whose own kernel killed the process. Only where nothing else explains the end.
pub(super) fn unlogged(death: &Death<'_>) -> Option<Verdict> {
    let is_reported = death.reason() == OOM_KILLED && death.code == Some(137);
    if !is_reported || death.ending() != Ending::Unknown || !death.covered(Source::KernelLog) {
        return None;
    }
    // The runtime keeps the reason after an earlier kill.
    let logged = |file: &ContainerFile| victims(death.node, file, Timestamp::MIN, Timestamp::MAX).next().is_some();
    let pod = death.node.pod_of(death.file)?;
    if pod.kills().next().is_some() || death.node.registry.instances(pod).any(logged) {
        return None;
    }
    let shortage = by_limits(death.node, death.file, false).or_else(|| by_spec(death.node, death.file))?;
    let mut verdict = Verdict::new(shortage.cause, Confidence::Possible, death.at)
        .headed(texts::oom_by_reason())
        .explained(texts::oom_unlogged())
        .supported_by(death.file.status_by, death.at, common::exit_reported(OOM_KILLED, 137))
        .or_else(Cause::KilledExternally, common::decided_by_signals())
        .waiting();
    verdict.exit = death.exit(9);
    Some(verdict)
}

/// Whether another sender than the kernel is known to have sent the SIGKILL.
fn by_other_sender(death: &Death<'_>) -> bool {
    death.signal(9).is_some_and(|(_, signal)| signal.code != crate::observation::trace::SI_KERNEL)
}

fn child(node: &NodeFile, file: &ContainerFile, kill: &OomKill<'_>) -> Verdict {
    let shortage = shortage(node, file, kill);
    let role = if file.is_exec(kill.pid) { Role::Exec } else { Role::Child };
    let mut verdict = verdict(node, file, kill, &shortage, role);
    verdict.fatal = false;
    verdict.exit = Some(Exit { code: 137, signal: 9, ..Exit::default() });
    verdict
}
