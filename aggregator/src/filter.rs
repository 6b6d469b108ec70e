//! What a diagnosis is found by, and the filters over it: one meaning for streams, lists and whatever else selects.

use std::collections::BTreeSet;

use coroner_proto::v1;
use prost_types::Timestamp;
use tonic::Status;

/// Values that one filter may hold in one of its fields.
const MAX_VALUES: usize = 200;
/// Filters that one request may hold.
const MAX_FILTERS: usize = 32;

/// The columns of a record: what it can be found by without decoding it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Key {
    /// Nanoseconds since 1970.
    pub event_time: i64,
    /// The subject's namespace.
    pub namespace: String,
    /// The subject's name.
    pub name: String,
    /// The node it was on; of a gap, the node that lost something, empty for the aggregator.
    pub node: String,
    /// The container's name.
    pub container: String,
    /// The workload nearest to it, as `ReplicaSet/web-5d9c`; empty for none.
    pub workload: String,
    /// The one above that, as `Deployment/web`; empty for none.
    pub workload_above: String,
    /// `Cause` as a number, as are the next three.
    pub cause: i32,
    /// `SubjectKind`.
    pub kind: i32,
    /// `Severity`.
    pub severity: i32,
    /// `Confidence`.
    pub confidence: i32,
    /// Whether something ended.
    pub fatal: bool,
}

impl Key {
    /// The key of a gap that was stored at `now`.
    pub fn of_gap(gap: &v1::Gap, now: i64) -> Self {
        Self { event_time: now, node: gap.node.clone(), ..Self::default() }
    }

    /// The key of a diagnosis that was stored at `now`. Where it does not say when it happened, the time when it was seen
    /// or stored stands in.
    pub fn of(diagnosis: &v1::Diagnosis, now: i64) -> Self {
        let subject = diagnosis.subject.clone().unwrap_or_default();
        let time = diagnosis.event_time.as_ref().or(diagnosis.observe_time.as_ref());
        let mut workloads = diagnosis.workloads.iter().map(|workload| format!("{}/{}", workload.kind, workload.name));
        Self {
            event_time: time.and_then(nanoseconds).unwrap_or(now),
            namespace: subject.namespace,
            node: node_of(diagnosis).to_owned(),
            name: subject.name,
            container: subject.container,
            workload: workloads.next().unwrap_or_default(),
            workload_above: workloads.next().unwrap_or_default(),
            cause: diagnosis.cause,
            kind: subject.kind,
            severity: diagnosis.severity,
            confidence: diagnosis.confidence,
            fatal: diagnosis.fatal,
        }
    }
}

/// The node that a diagnosis is about; empty for none.
pub fn node_of(diagnosis: &v1::Diagnosis) -> &str {
    match (&diagnosis.subject, &diagnosis.node) {
        (Some(subject), _) if !subject.node.is_empty() => &subject.node,
        (Some(subject), _) if subject.kind() == v1::SubjectKind::Node => &subject.name,
        (_, Some(node)) => &node.name,
        (_, None) => "",
    }
}

/// Nanoseconds since 1970; none before 1970, after 2262, or where the parts are not in range.
pub fn nanoseconds(time: &Timestamp) -> Option<i64> {
    let seconds = time.seconds.checked_mul(1_000_000_000)?;
    (time.seconds >= 0 && (0..1_000_000_000).contains(&time.nanos)).then(|| seconds.checked_add(time.nanos.into()))?
}

/// The reverse of [`nanoseconds`].
pub fn timestamp(nanoseconds: i64) -> Timestamp {
    let nanos = i32::try_from(nanoseconds.rem_euclid(1_000_000_000)).expect("a remainder below 1e9 fits");
    Timestamp { seconds: nanoseconds.div_euclid(1_000_000_000), nanos }
}

/// A `DiagnosisFilter`: AND across its fields, OR within one; an empty field matches all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    pub(crate) namespaces: BTreeSet<String>,
    pub(crate) nodes: BTreeSet<String>,
    pub(crate) names: BTreeSet<String>,
    pub(crate) containers: BTreeSet<String>,
    pub(crate) workloads: BTreeSet<String>,
    pub(crate) causes: BTreeSet<i32>,
    pub(crate) kinds: BTreeSet<i32>,
    pub(crate) min_severity: i32,
    pub(crate) min_confidence: i32,
    pub(crate) fatal_only: bool,
}

impl Filter {
    /// Takes a filter from a request.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for more values than a filter may hold.
    pub fn new(filter: v1::DiagnosisFilter) -> Result<Self, Status> {
        let v1::DiagnosisFilter {
            namespaces,
            nodes,
            names,
            containers,
            causes,
            subject_kinds,
            min_severity,
            min_confidence,
            fatal_only,
            workloads,
        } = filter;
        let texts = [&namespaces, &nodes, &names, &containers, &workloads].map(Vec::len);
        let longest = texts.into_iter().chain([causes.len(), subject_kinds.len()]).max().unwrap_or_default();
        if longest > MAX_VALUES {
            return Err(Status::invalid_argument(format!("a field of a filter holds at most {MAX_VALUES} values")));
        }
        Ok(Self {
            namespaces: namespaces.into_iter().collect(),
            nodes: nodes.into_iter().collect(),
            names: names.into_iter().collect(),
            containers: containers.into_iter().collect(),
            workloads: workloads.into_iter().collect(),
            causes: causes.into_iter().collect(),
            kinds: subject_kinds.into_iter().collect(),
            min_severity,
            min_confidence,
            fatal_only,
        })
    }

    /// Whether a diagnosis with this key matches.
    pub fn matches(&self, key: &Key) -> bool {
        any_of(&self.namespaces, &key.namespace)
            && any_of(&self.nodes, &key.node)
            && any_of(&self.names, &key.name)
            && any_of(&self.containers, &key.container)
            && (any_of(&self.workloads, &key.workload) || self.workloads.contains(&key.workload_above))
            && any_of(&self.causes, &key.cause)
            && any_of(&self.kinds, &key.kind)
            && key.severity >= self.min_severity
            && key.confidence >= self.min_confidence
            && (key.fatal || !self.fatal_only)
    }

    /// Whether it selects by nothing but nodes.
    fn is_about_nodes_alone(&self) -> bool {
        !self.nodes.is_empty() && *self == Self { nodes: self.nodes.clone(), ..Self::default() }
    }
}

fn any_of<T: Ord>(values: &BTreeSet<T>, value: &T) -> bool {
    values.is_empty() || values.contains(value)
}

/// What a stream lets through.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    include: Vec<Filter>,
    exclude: Vec<Filter>,
}

impl Selection {
    /// Takes the filters of a request.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for more filters, or more values in one, than a request may hold.
    pub fn new(include: Vec<v1::DiagnosisFilter>, exclude: Vec<v1::DiagnosisFilter>) -> Result<Self, Status> {
        if include.len() + exclude.len() > MAX_FILTERS {
            return Err(Status::invalid_argument(format!("a request holds at most {MAX_FILTERS} filters")));
        }
        let filters = |filters: Vec<_>| filters.into_iter().map(Filter::new).collect::<Result<_, _>>();
        Ok(Self { include: filters(include)?, exclude: filters(exclude)? })
    }

    /// Whether a diagnosis with this key is sent.
    pub fn wants(&self, key: &Key) -> bool {
        (self.include.is_empty() || self.include.iter().any(|filter| filter.matches(key)))
            && !self.exclude.iter().any(|filter| filter.matches(key))
    }

    /// Whether a gap on this node is told. What was lost there nobody knows, so only the node decides; a loss of the
    /// aggregator itself (no node) concerns everyone.
    pub fn wants_gap(&self, node: &String) -> bool {
        let included = self.include.is_empty() || self.include.iter().any(|filter| any_of(&filter.nodes, node));
        let excluded = self.exclude.iter().any(|filter| filter.is_about_nodes_alone() && filter.nodes.contains(node));
        node.is_empty() || (included && !excluded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> Key {
        Key { namespace: "shop".into(), name: "web".into(), node: "n1".into(), severity: 3, ..Key::default() }
    }

    #[test]
    fn empty_filter_matches_everything() {
        assert!(Filter::default().matches(&key()));
    }

    #[test]
    fn fields_are_joined_by_and_and_values_by_or() {
        let filter = |namespaces: &[&str], names: &[&str]| {
            let strings = |v: &[&str]| v.iter().map(ToString::to_string).collect();
            Filter { namespaces: strings(namespaces), names: strings(names), ..Filter::default() }
        };
        assert!(filter(&["shop", "other"], &["web"]).matches(&key()));
        assert!(!filter(&["shop"], &["db"]).matches(&key()));
    }

    #[test]
    fn a_workload_is_found_by_any_of_its_names() {
        let pod = |workloads: &[(&str, &str)]| {
            let workload = |(kind, name): &(&str, &str)| v1::Workload { kind: (*kind).into(), name: (*name).into() };
            let workloads = workloads.iter().map(workload).collect();
            Key::of(&v1::Diagnosis { workloads, ..v1::Diagnosis::default() }, 0)
        };
        let web = pod(&[("ReplicaSet", "web-5d9c"), ("Deployment", "web")]);
        let filter = |name: &str| Filter { workloads: [name.to_owned()].into(), ..Filter::default() };
        assert!(filter("ReplicaSet/web-5d9c").matches(&web) && filter("Deployment/web").matches(&web));
        assert!(!filter("Deployment/web-5d9c").matches(&web) && !filter("Deployment/web").matches(&pod(&[])));
    }

    #[test]
    fn minimum_severity_is_inclusive() {
        assert!(Filter { min_severity: 3, ..Filter::default() }.matches(&key()));
        assert!(!Filter { min_severity: 4, ..Filter::default() }.matches(&key()));
    }

    #[test]
    fn exclusion_wins_over_inclusion() {
        let nodes = v1::DiagnosisFilter { nodes: vec!["n1".into()], ..Default::default() };
        assert!(!Selection::new(vec![nodes.clone()], vec![nodes]).unwrap().wants(&key()));
    }

    #[test]
    fn gaps_are_told_by_node_alone() {
        let filter = v1::DiagnosisFilter { nodes: vec!["n1".into()], names: vec!["web".into()], ..Default::default() };
        let include = Selection::new(vec![filter.clone()], vec![]).unwrap();
        assert!(include.wants_gap(&"n1".into()) && include.wants_gap(&String::new()));
        assert!(!include.wants_gap(&"n2".into()));
        let exclude = Selection::new(vec![], vec![filter]).unwrap();
        assert!(exclude.wants_gap(&"n1".into()), "it excludes one pod of the node, not the node");
    }

    #[test]
    fn times_out_of_range_are_refused() {
        for (seconds, nanos) in
            [(-1, 0), (0, -1), (0, 1_000_000_000), (i64::MAX, 0), (i64::MAX / 1_000_000_000, 999_999_999)]
        {
            assert_eq!(nanoseconds(&Timestamp { seconds, nanos }), None, "{seconds} {nanos}");
        }
        assert_eq!(
            timestamp(nanoseconds(&Timestamp { seconds: 5, nanos: 7 }).unwrap()),
            Timestamp { seconds: 5, nanos: 7 }
        );
    }
}
