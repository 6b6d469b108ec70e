//! Filters over diagnoses: one meaning for streams, lists and whatever else selects.

use std::collections::BTreeSet;

use coroner_proto::v1;
use tonic::Status;

use crate::key::Key;

/// Values that one filter may hold in one of its fields.
const MAX_VALUES: usize = 200;
/// Filters that one request may hold.
const MAX_FILTERS: usize = 32;

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

    /// Whether it selects by nodes only.
    fn is_about_nodes_alone(&self) -> bool {
        !self.nodes.is_empty() && *self == Self { nodes: self.nodes.clone(), ..Self::default() }
    }
}

fn any_of<T: Ord>(values: &BTreeSet<T>, value: &T) -> bool {
    values.is_empty() || values.contains(value)
}

/// Which records a stream sends.
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

    /// Whether everything is sent.
    pub fn wants_all(&self) -> bool {
        self.include.is_empty() && self.exclude.is_empty()
    }

    /// Whether a diagnosis with this key is sent.
    pub fn wants(&self, key: &Key) -> bool {
        (self.include.is_empty() || self.include.iter().any(|filter| filter.matches(key)))
            && !self.exclude.iter().any(|filter| filter.matches(key))
    }

    /// Whether a gap on this node is sent. What was lost there is not known, so only the node decides; a loss of the
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
    fn gaps_are_selected_by_node_alone() {
        let filter = v1::DiagnosisFilter { nodes: vec!["n1".into()], names: vec!["web".into()], ..Default::default() };
        let include = Selection::new(vec![filter.clone()], vec![]).unwrap();
        assert!(include.wants_gap(&"n1".into()) && include.wants_gap(&String::new()));
        assert!(!include.wants_gap(&"n2".into()));
        let exclude = Selection::new(vec![], vec![filter]).unwrap();
        assert!(exclude.wants_gap(&"n1".into()), "it excludes one pod of the node, not the node");
    }
}
