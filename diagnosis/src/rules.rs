//! The rules: from a case file to verdicts. One rule a file; [`END`] is their order.

mod beside;
mod completed;
mod crash;
mod death;
mod device;
mod docker;
mod eviction;
mod exit;
mod fabricated;
mod log_finding;
mod manner;
mod memory;
mod never_started;
mod node;
mod oom_daemon;
mod pids;
mod pod;
mod probe;
mod session;
mod sidecar;
mod stop;
mod stopped;
mod unattributed;

pub use death::{CLOCKS, Death};
pub use memory::{ChildKilled, children, counted_kills};
pub(crate) use node::considered as considered_of_node;
pub use node::{is_daemon_out, node};
pub(crate) use pod::considered as considered_of_pod;
pub use pod::{Finding, memory::beside_containers, pod};

use coroner_proto::v1::Cause;

use self::death::Ending;
use crate::{
    case::{ContainerFile, NodeFile},
    explanation::{self, Considered},
    messages::{Message, explain, memory as memory_texts},
    observation::{Reason, Source},
    redact,
    verdict::Verdict,
};

/// A rule: it looks at a death and gives the reason, or none.
type Rule = fn(&Death<'_>) -> Option<Verdict>;

/// What a rule needs to conclude something, in a phrase.
type Needs = fn() -> Message;

/// The rules for the end of a container. The first that knows decides; each stands behind those whose mechanism would
/// explain its own: an OOM kill explains a failed start and a SIGKILL, a crash explains an exit code, a request
/// explains a SIGTERM.
const END: [(&str, Rule, Needs); 13] = [
    ("memory", memory::end, explain::needs_memory),
    ("never started", never_started::end, explain::needs_never_started),
    ("fabricated", fabricated::end, explain::needs_fabricated),
    ("crash", crash::end, explain::needs_crash),
    ("OOM daemon", oom_daemon::end, explain::needs_oom_daemon),
    ("stopped", stopped::end, explain::needs_stopped),
    ("docker", docker::end, explain::needs_docker),
    ("pids", pids::end, explain::needs_pids),
    ("exit", exit::end, explain::needs_exit),
    ("completed", completed::end, explain::needs_completed),
    ("memory of a child", memory::child_by_reason, explain::needs_child_by_reason),
    ("memory that was not logged", memory::unlogged, explain::needs_unlogged),
    ("unattributed", unattributed::end, explain::needs_unattributed),
];

/// Most last lines that are reported of a log, and the longest of one in bytes.
const LINES: usize = 5;
const LINE: usize = 256;

/// Why a container ended. `None` if it has not ended, or ended as it should.
pub fn end(node: &NodeFile, file: &ContainerFile) -> Option<Verdict> {
    let death = Death::of(node, file)?;
    let verdict = END.iter().find_map(|(_, rule, _)| rule(&death))?;
    // What ended with an earlier boot is part of the restart of the node; what had ended before, the agent of that boot
    // has reported.
    let is_unknown = matches!(verdict.cause, Cause::StatusFabricated | Cause::Unattributed);
    let is_fine = sidecar::is_done(&death, &verdict) || session::is_of_person(&death, &verdict);
    if is_fine || is_unknown && death.is_of_earlier_boot() {
        return None;
    }
    Some(Verdict { last_lines: last_lines(&death), ..beside::contribute(&death, contradict(&death, verdict)) })
}

/// What each rule concludes of the end of a container.
pub(crate) fn considered(node: &NodeFile, file: &ContainerFile) -> Vec<Considered> {
    let Some(death) = Death::of(node, file) else { return Vec::new() };
    explanation::considered(END, |rule| rule(&death).map(|verdict| verdict.cause))
}

/// What the rules know of the end of a container: how its main process ended, and by which report.
pub(crate) fn known(node: &NodeFile, file: &ContainerFile) -> Vec<Message> {
    let Some(death) = Death::of(node, file) else { return Vec::new() };
    let ending = match (death.ending(), death.code) {
        (Ending::Signal(number), _) => explain::known_signal(number),
        (Ending::Exit(code), _) => explain::known_exit(code),
        (Ending::Unknown, Some(code)) => explain::known_code(code),
        (Ending::Unknown, None) => explain::known_nothing(),
    };
    let main = death.main.map_or_else(explain::known_no_main, |pid| explain::known_main(pid.to_string()));
    vec![ending, main]
}

/// Sources of the node that did not cover the end of a container, with the reason where they reported one.
pub(crate) fn missing(node: &NodeFile, file: &ContainerFile) -> Vec<(Source, Option<Reason>)> {
    let Some(death) = Death::of(node, file) else { return Vec::new() };
    let missing = Source::OF_NODE.into_iter().filter(|source| !death.covered(*source));
    missing.map(|source| (source, node.coverage.reason(source).cloned())).collect()
}

/// The last lines of the log of this instance, as far as they were read, else of its termination message.
fn last_lines(death: &Death<'_>) -> Vec<String> {
    let lines = log_finding::own_lines(death);
    let last = lines.iter().skip(lines.len().saturating_sub(LINES));
    last.map(|line| redact::cut(line.text.trim_end(), LINE)).collect()
}

/// Names the runtime's reason where it is wrong.
fn contradict(death: &Death<'_>, verdict: Verdict) -> Verdict {
    let of_memory =
        matches!(verdict.cause, Cause::OomContainerLimit | Cause::OomPodLimit | Cause::OomNode | Cause::OomNestedLimit);
    match death.reason() {
        memory::OOM_KILLED if !of_memory && verdict.cause != Cause::Unattributed => {
            verdict.against(death.file.status_by, death.at, memory_texts::oom_reason_is_old())
        }
        "Error" if of_memory && death.oom_kill.is_some() => {
            verdict.against(death.file.status_by, death.at, memory_texts::oom_reason_is_missing())
        }
        _ => verdict,
    }
}
