//! A table of the node's kernel is full: the kernel reports it, or its fill shows it.

use coroner_proto::v1::{Cause, Confidence, Message};

use super::{Finding, NodeCase};
use crate::{
    aspect::{Aspect, Part},
    messages::node as texts,
    observation::{Source, kernel_log::TroubleKind, node::Table},
    verdict::Verdict,
};

/// A table that may be full.
struct Kind {
    cause: Cause,
    part: Part,
    trouble: TroubleKind,
    /// Where its fill can be read.
    table: Option<Table>,
    headline: fn() -> Message,
    why: fn() -> Message,
}

const KINDS: [Kind; 3] = [
    Kind {
        cause: Cause::ConntrackFull,
        part: Part::Conntrack,
        trouble: TroubleKind::ConntrackFull,
        table: Some(Table::Conntrack),
        headline: texts::node_conntrack_full,
        why: texts::node_conntrack_full_why,
    },
    Kind {
        cause: Cause::NeighbourTableFull,
        part: Part::Neighbours,
        trouble: TroubleKind::NeighbourTableFull,
        table: None,
        headline: texts::node_neighbours_full,
        why: texts::node_neighbours_full_why,
    },
    Kind {
        cause: Cause::FilesExhausted,
        part: Part::Files,
        trouble: TroubleKind::FilesExhausted,
        table: Some(Table::Files),
        headline: texts::node_files_exhausted,
        why: texts::node_files_exhausted_why,
    },
];

pub(super) fn findings(case: NodeCase<'_>) -> Vec<Finding> {
    KINDS.iter().filter_map(|kind| finding(case, kind)).collect()
}

/// Before Linux 6.13 the line about connections does not name the network namespace, so it may be a pod's own:
/// alone it is no certainty.
fn finding(case: NodeCase<'_>, kind: &Kind) -> Option<Finding> {
    let line = case.state.troubles.get(&kind.trouble).filter(|known| known.is_recent(case.now));
    let full = kind.table.and_then(|table| case.state.tables.get(&table)).filter(|known| known.what.is_full());
    let at = line.map(|known| known.first).into_iter().chain(full.map(|known| known.at)).min()?;
    let is_certain = full.is_some() || kind.trouble != TroubleKind::ConntrackFull;
    let confidence = if is_certain { Confidence::Certain } else { Confidence::Likely };
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let fill = full.map(|known| texts::node_table_fill(number(known.what.count), number(known.what.limit)));
    let mut verdict = Verdict::new(kind.cause, confidence, at)
        .not_fatal()
        .headed((kind.headline)())
        .explained((kind.why)())
        .explained(fill.clone());
    if let Some(known) = line {
        verdict = verdict.supported_by(Source::KernelLog, known.last, &known.line);
    }
    if let Some((known, fill)) = full.zip(fill) {
        verdict = verdict.supported_by(Source::NodeChecks, known.at, fill);
    }
    Some(Finding { aspect: Aspect::Node(kind.part), verdict, ripe: at })
}
