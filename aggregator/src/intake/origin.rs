//! Who may report what: a node's agent reports its node and the pods on it, and the watch of the cluster what no node
//! can see. Whatever a record contains twice has to agree, since access is decided by the one and readers see the
//! other.

use coroner_proto::v1::{Diagnosis, Gap, Subject, SubjectKind};
use prost_types::{Duration, Timestamp};

use super::field::Refusal;
use crate::time::{nanoseconds, timestamp};

/// How far ahead of the aggregator's clock a time may be; as much as clocks of machines that are kept right.
const MAX_AHEAD: i64 = 120_000_000_000;

/// The reporter of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin<'a> {
    /// The agent of this node.
    Node(&'a str),
    /// The aggregator's own watch of the cluster.
    Cluster,
}

impl Origin<'_> {
    /// Whether it may report a diagnosis about this. One that names no node is about the node that reports it.
    pub(super) fn check_diagnosis(self, diagnosis: &mut Diagnosis) -> Result<(), Refusal> {
        check_agreement(diagnosis)?;
        let Self::Node(own) = self else { return Ok(()) };
        let named = diagnosis.node.as_ref().map_or("", |node| node.name.as_str());
        let Some(subject) = &mut diagnosis.subject else { return Ok(()) };
        match subject.kind() {
            SubjectKind::Workload | SubjectKind::Service | SubjectKind::Ingress | SubjectKind::Cluster => {
                return Err("an agent reports containers, pods and its node alone".into());
            }
            SubjectKind::Node if subject.name != own => return Err(other_node()),
            SubjectKind::Node | SubjectKind::Unspecified | SubjectKind::Container | SubjectKind::Pod => {}
        }
        if [named, &subject.node].into_iter().any(|node| !node.is_empty() && node != own) {
            return Err(other_node());
        }
        if subject.kind() != SubjectKind::Node {
            own.clone_into(&mut subject.node);
        }
        Ok(())
    }

    /// Whether it may report this loss.
    pub(super) fn check_gap(self, gap: &Gap) -> Result<(), Refusal> {
        match self {
            Self::Node(own) if gap.node != own => Err("it is a loss of another node, or of the aggregator".into()),
            Self::Node(_) | Self::Cluster => Ok(()),
        }
    }
}

fn other_node() -> Refusal {
    "it is about another node than the agent's".into()
}

/// Whether the repeated fields of a diagnosis agree.
fn check_agreement(diagnosis: &Diagnosis) -> Result<(), Refusal> {
    let Diagnosis { subject: Some(subject), pod, container, node, .. } = diagnosis else { return Ok(()) };
    let Subject { namespace, name, node: on, container: of, .. } = subject;
    let agrees = |field: &str, one: &str, other: &str| {
        if one.is_empty() || one == other { Ok(()) } else { Err(format!("{field} and subject do not agree")) }
    };
    if let Some(pod) = pod {
        agrees("pod.namespace", &pod.namespace, namespace)?;
        agrees("pod.name", &pod.name, name)?;
    }
    if let Some(container) = container {
        agrees("container.name", &container.name, of)?;
    }
    match node {
        Some(node) if !on.is_empty() => agrees("node.name", &node.name, on),
        Some(_) | None => Ok(()),
    }
}

/// Corrects times that lie ahead of `now`, in nanoseconds since 1970: nothing has happened that is yet to come, and
/// lists go by these times. How far the node's clock was off is then how far the time may be. Times of long ago stay,
/// since an outbox may have waited.
pub(super) fn correct_times(diagnosis: &mut Diagnosis, now: i64) {
    let ahead = |time: &Timestamp| nanoseconds(time).map(|time| time.saturating_sub(now)).filter(|by| *by > MAX_AHEAD);
    if let Some(by) = diagnosis.event_time.as_ref().and_then(ahead) {
        let off = diagnosis.clock_uncertainty.as_ref().map_or(0, |off| off.seconds);
        let seconds = (by / 1_000_000_000 + 1).max(off);
        diagnosis.clock_uncertainty = Some(Duration { seconds, nanos: 0 });
    }
    for time in [&mut diagnosis.event_time, &mut diagnosis.observe_time, &mut diagnosis.resolve_time] {
        if time.as_ref().and_then(ahead).is_some() {
            *time = Some(timestamp(now));
        }
    }
}

#[cfg(test)]
mod tests {
    use coroner_proto::v1::{Container, Node, Pod};

    use super::*;

    fn diagnosis(kind: SubjectKind, namespace: &str, name: &str) -> Diagnosis {
        let subject =
            Subject { kind: kind.into(), namespace: namespace.into(), name: name.into(), ..Default::default() };
        Diagnosis { subject: Some(subject), ..Default::default() }
    }

    fn node(name: &str) -> Option<Node> {
        Some(Node { name: name.into(), ..Default::default() })
    }

    #[test]
    fn an_agent_reports_its_node_and_the_pods_on_it() {
        let check = |diagnosis: &mut Diagnosis| Origin::Node("n1").check_diagnosis(diagnosis);
        let mut pod = Diagnosis { node: node("n1"), ..diagnosis(SubjectKind::Pod, "shop", "web") };
        assert_eq!(check(&mut pod), Ok(()));
        assert_eq!(pod.subject.unwrap().node, "n1", "what is left out is its own");
        assert_eq!(check(&mut diagnosis(SubjectKind::Node, "", "n1")), Ok(()));
        assert!(check(&mut diagnosis(SubjectKind::Node, "", "n2")).is_err());
        assert!(check(&mut diagnosis(SubjectKind::Service, "shop", "web")).is_err());
        assert!(check(&mut diagnosis(SubjectKind::Workload, "shop", "web")).is_err());
        assert!(check(&mut Diagnosis { node: node("n2"), ..diagnosis(SubjectKind::Pod, "shop", "web") }).is_err());
        assert_eq!(Origin::Cluster.check_diagnosis(&mut diagnosis(SubjectKind::Service, "shop", "web")), Ok(()));
        let gap = |node: &str| Gap { node: node.into(), ..Default::default() };
        assert!(Origin::Node("n1").check_gap(&gap("n1")).is_ok() && Origin::Cluster.check_gap(&gap("")).is_ok());
        assert!(Origin::Node("n1").check_gap(&gap("")).is_err() && Origin::Node("n1").check_gap(&gap("n2")).is_err());
    }

    #[test]
    fn repeated_statements_have_to_agree() {
        let base = || diagnosis(SubjectKind::Pod, "shop", "web");
        let pod = |namespace: &str, name: &str| {
            Some(Pod { namespace: namespace.into(), name: name.into(), ..Default::default() })
        };
        let container = Some(Container { name: "app".into(), ..Default::default() });
        let mut elsewhere = Diagnosis { node: node("n2"), ..base() };
        elsewhere.subject.get_or_insert_default().node = "n1".into();
        for mut wrong in [
            Diagnosis { pod: pod("bank", "web"), ..base() },
            Diagnosis { pod: pod("shop", "vault"), ..base() },
            Diagnosis { container, ..base() },
            elsewhere,
        ] {
            assert!(Origin::Cluster.check_diagnosis(&mut wrong).is_err(), "{wrong:?}");
        }
        let mut nameless = Diagnosis { pod: pod("shop", ""), ..base() };
        assert_eq!(Origin::Cluster.check_diagnosis(&mut nameless), Ok(()), "the pod's name may not be known");
    }

    #[test]
    fn a_clock_that_is_ahead_is_corrected_and_one_that_is_behind_is_believed() {
        let now = 1_800_000_000_000_000_000;
        let at = |seconds: i64| Some(timestamp(now + seconds * 1_000_000_000));
        let corrected = |event: i64| {
            let mut diagnosis = Diagnosis { event_time: at(event), observe_time: at(event), ..Default::default() };
            correct_times(&mut diagnosis, now);
            assert_eq!(diagnosis.event_time, diagnosis.observe_time);
            (diagnosis.event_time, diagnosis.clock_uncertainty.map(|off| off.seconds))
        };
        assert_eq!(corrected(-86_400 * 365), (at(-86_400 * 365), None));
        assert_eq!(corrected(60), (at(60), None));
        assert_eq!(corrected(3_600), (at(0), Some(3_601)));
        assert_eq!(corrected(7_000_000_000), (at(0), Some(7_000_000_001)));
    }
}
