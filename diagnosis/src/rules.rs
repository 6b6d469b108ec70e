//! The rules: from a case file to verdicts. One rule a file; [`END`] is their order.

mod completed;
mod crash;
mod death;
mod docker;
mod eviction;
mod exit;
mod fabricated;
mod last_words;
mod memory;
mod never_started;
mod pids;
mod pod;
mod probe;
mod stop;
mod stopped;
mod unattributed;

pub use death::{CLOCKS, Death};
pub use memory::{ChildKilled, children};
pub use pod::{Finding, pod};

use crate::{
    case::{ContainerFile, NodeFile},
    verdict::Verdict,
};

/// What a rule is: it looks at a death and says why, or that it does not know.
type Rule = fn(&Death<'_>) -> Option<Verdict>;

/// The rules for the end of a container. The first that knows decides; each stands behind those whose mechanism would
/// explain its own: an OOM kill explains a failed start and a SIGKILL, a crash explains an exit code, a request explains a
/// SIGTERM.
const END: [(&str, Rule); 10] = [
    ("memory", memory::end),
    ("never started", never_started::end),
    ("fabricated", fabricated::end),
    ("crash", crash::end),
    ("stopped", stopped::end),
    ("docker", docker::end),
    ("pids", pids::end),
    ("exit", exit::end),
    ("completed", completed::end),
    ("unattributed", unattributed::end),
];

/// Why a container ended. `None` if it has not ended, or ended as it should.
pub fn end(node: &NodeFile, file: &ContainerFile) -> Option<Verdict> {
    let death = Death::of(node, file)?;
    let verdict = END.iter().find_map(|(_, rule)| rule(&death))?;
    Some(contradict(&death, verdict))
}

/// Names the runtime's reason where it is wrong.
fn contradict(death: &Death<'_>, verdict: Verdict) -> Verdict {
    use coroner_proto::v1::Cause;
    let memory = matches!(verdict.cause, Cause::OomContainerLimit | Cause::OomPodLimit | Cause::OomNode);
    match death.reason() {
        "OOMKilled" if !memory && verdict.cause != Cause::Unattributed => {
            let said = "the runtime's reason OOMKilled is not this end's: it sticks to a container from the first kill \
                        for memory in it, or in its pod, on";
            verdict.against(death.file.status_by, death.at, said)
        }
        "Error" if memory && death.oom_kill.is_some() => {
            let said = "the runtime's reason is Error, not OOMKilled: it missed the kernel's kill";
            verdict.against(death.file.status_by, death.at, said)
        }
        _ => verdict,
    }
}
