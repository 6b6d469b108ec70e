//! `coroner why`: what happened to one pod, workload, node, Service or Ingress.

use std::collections::BTreeSet;

use coroner_diagnosis::catalogue::{Language, Text};
use coroner_proto::v1::{Diagnosis, DiagnosisFilter, ListDiagnosesRequest, SubjectKind};
use jiff::Timestamp;

use super::{answered_by, list, present::present};
use crate::{
    args::{AggregatorArgs, WhyArgs},
    client,
    exit::{Failure, Outcome},
    explain,
    out::Out,
    page::{Look, Page, span},
    words,
};

/// More would not be read by anybody; the newest are shown.
const MOST: usize = 1000;
/// Other diagnoses that a page shows in short.
const MOST_OTHERS: usize = 20;

pub(crate) async fn run(args: &WhyArgs, aggregator: &AggregatorArgs, out: &mut Out) -> Result<Outcome, Failure> {
    let target = Target::of(args)?;
    let mut client = client::connect(aggregator).await?;
    let mut diagnoses = Vec::new();
    for filter in target.filters(args.container.as_deref()) {
        let request = ListDiagnosesRequest { filter: Some(filter), ..ListDiagnosesRequest::default() };
        let mut pages = list::Pages::new(request, MOST);
        while let Some(page) = pages.next(&mut client, aggregator).await? {
            diagnoses.extend(page);
        }
    }
    if target.kind != Kind::Node
        && let Some(ambiguity) = ambiguity(&target.name, &diagnoses)
    {
        return Err(Failure::usage(ambiguity));
    }
    let ordered = in_order(diagnoses, target.kind);
    let Some(first) = ordered.first() else {
        let whose = args.container.as_ref().map_or_else(String::new, |container| format!("container {container} of "));
        out.tell(&format!("No diagnosis of {whose}{} is recorded.", args.subject));
        return Ok(Outcome::Nothing);
    };
    let outcome = answered_by(first);
    present(&ordered, out, in_short_but_the_first)?;
    Ok(outcome)
}

/// What can be asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A pod, or whatever else has the name.
    Any,
    Pod,
    /// A workload, by the kind that owner references give it.
    Workload(&'static str),
    Node,
    Service,
    Ingress,
}

impl Kind {
    /// By any of the names that `kubectl` takes (`kubectl api-resources`).
    fn named(text: &str) -> Option<Self> {
        Some(match text.to_ascii_lowercase().as_str() {
            "pod" | "pods" | "po" => Self::Pod,
            "deployment" | "deployments" | "deploy" => Self::Workload("Deployment"),
            "replicaset" | "replicasets" | "rs" => Self::Workload("ReplicaSet"),
            "statefulset" | "statefulsets" | "sts" => Self::Workload("StatefulSet"),
            "daemonset" | "daemonsets" | "ds" => Self::Workload("DaemonSet"),
            "job" | "jobs" => Self::Workload("Job"),
            "cronjob" | "cronjobs" | "cj" => Self::Workload("CronJob"),
            "node" | "nodes" | "no" => Self::Node,
            "service" | "services" | "svc" => Self::Service,
            "ingress" | "ingresses" | "ing" => Self::Ingress,
            _ => return None,
        })
    }
}

/// What was asked about.
#[derive(Debug, PartialEq, Eq)]
struct Target {
    kind: Kind,
    /// `None` for any.
    namespace: Option<String>,
    name: String,
}

impl Target {
    /// NAME, KIND/NAME, NAMESPACE/NAME or NAMESPACE/KIND/NAME. Of two parts the first is a kind if it can be one.
    fn of(args: &WhyArgs) -> Result<Self, Failure> {
        let parts: Vec<&str> = args.subject.split('/').collect();
        let (inline, kind, name) = match parts.as_slice() {
            [name] => (None, Some(Kind::Any), *name),
            [kind, name] if Kind::named(kind).is_some() => (None, Kind::named(kind), *name),
            [namespace, name] => (Some(*namespace), Some(Kind::Any), *name),
            [namespace, kind, name] => (Some(*namespace), Kind::named(kind), *name),
            _ => (None, None, ""),
        };
        let Some(kind) = kind.filter(|_| !name.is_empty() && inline != Some("")) else {
            let forms = "NAME, KIND/NAME, NAMESPACE/NAME nor NAMESPACE/KIND/NAME";
            return Err(Failure::usage(format!("{}: neither {forms}", args.subject)));
        };
        let namespace = match (inline, args.namespace.as_deref()) {
            (Some(inline), Some(flag)) if inline != flag => {
                return Err(Failure::usage(format!("{} is not in namespace {flag}", args.subject)));
            }
            (inline, flag) => inline.or(flag).map(str::to_owned),
        };
        Ok(Self { kind, namespace, name: name.to_owned() })
    }

    /// The filters that together find everything about it.
    fn filters(&self, container: Option<&str>) -> Vec<DiagnosisFilter> {
        let filter = DiagnosisFilter {
            namespaces: self.namespace.clone().into_iter().collect(),
            containers: container.map(str::to_owned).into_iter().collect(),
            ..DiagnosisFilter::default()
        };
        let names = vec![self.name.clone()];
        let of_kinds = |kinds: &[SubjectKind]| DiagnosisFilter {
            names: names.clone(),
            subject_kinds: kinds.iter().map(|kind| (*kind).into()).collect(),
            ..filter.clone()
        };
        match self.kind {
            Kind::Any => vec![of_kinds(&[])],
            Kind::Pod => vec![of_kinds(&[SubjectKind::Pod, SubjectKind::Container])],
            Kind::Workload(kind) => {
                vec![DiagnosisFilter { workloads: vec![format!("{kind}/{}", self.name)], ..filter }]
            }
            Kind::Node => vec![DiagnosisFilter { nodes: names, ..filter }],
            Kind::Service => vec![of_kinds(&[SubjectKind::Service])],
            Kind::Ingress => vec![of_kinds(&[SubjectKind::Ingress])],
        }
    }
}

/// What to tell if the name means more than one thing.
fn ambiguity(name: &str, diagnoses: &[Diagnosis]) -> Option<String> {
    let subjects = diagnoses.iter().filter_map(|diagnosis| diagnosis.subject.as_ref());
    let namespaces: BTreeSet<&str> = subjects.map(|subject| subject.namespace.as_str()).collect();
    let names: Vec<_> =
        namespaces.iter().map(|namespace| if namespace.is_empty() { "(none)" } else { namespace }).collect();
    (names.len() > 1).then(|| format!("{name} is in several namespaces: {}; say which with -n", names.join(", ")))
}

/// What explains most first: of a node, what is wrong with itself; else the last death, else what lasts, else the newest.
/// Then the others, the newest first.
fn in_order(mut diagnoses: Vec<Diagnosis>, kind: Kind) -> Vec<Diagnosis> {
    diagnoses.sort_by_key(|diagnosis| std::cmp::Reverse(words::time(diagnosis.event_time.as_ref())));
    let is_node =
        |diagnosis: &Diagnosis| diagnosis.subject.as_ref().is_some_and(|subject| subject.kind() == SubjectKind::Node);
    let lasts = |diagnosis: &Diagnosis| !diagnosis.fatal && diagnosis.resolve_time.is_none();
    let first = (kind == Kind::Node).then(|| diagnoses.iter().position(is_node)).flatten();
    let first = first.or_else(|| diagnoses.iter().position(|diagnosis| diagnosis.fatal));
    if let Some(first) = first.or_else(|| diagnoses.iter().position(lasts)) {
        diagnoses.get_mut(..=first).expect("the position is within the list").rotate_right(1);
    }
    diagnoses
}

fn in_short_but_the_first(page: &mut Page, ordered: &[Diagnosis], now: Timestamp) {
    let Some((first, others)) = ordered.split_first() else { return };
    explain::explain(page, first, now);
    if !others.is_empty() {
        page.blank();
        let language = page.language();
        page.paragraph(None, 0, &[span(Look::Strong, Text::new("Also diagnosed", "其他诊断").to(language))]);
        for other in others.iter().take(MOST_OTHERS) {
            explain::brief(page, other, now);
        }
        if others.len() > MOST_OTHERS {
            let more = others.len() - MOST_OTHERS;
            let more = match language {
                Language::English => format!("… and {more} more: use -o table"),
                Language::Chinese => format!("……另有 {more} 条：请用 -o table 查看"),
            };
            page.paragraph(None, 2, &[span(Look::Faint, &more)]);
        }
    }
}

#[cfg(test)]
mod tests {
    use coroner_proto::v1::Subject;

    use super::*;
    use crate::testing::{self, golden};

    fn target(subject: &str, namespace: Option<&str>) -> Result<Target, Failure> {
        let namespace = namespace.map(str::to_owned);
        Target::of(&WhyArgs { subject: subject.to_owned(), container: None, namespace })
    }

    #[test]
    fn a_subject_may_be_named_with_its_kind_and_namespace() {
        let of = |kind, namespace: Option<&str>| Target {
            kind,
            namespace: namespace.map(str::to_owned),
            name: "web".to_owned(),
        };
        let deployment = Kind::Workload("Deployment");
        for (subject, flag, wanted) in [
            ("web", None, of(Kind::Any, None)),
            ("web", Some("shop"), of(Kind::Any, Some("shop"))),
            ("shop/web", None, of(Kind::Any, Some("shop"))),
            ("shop/web", Some("shop"), of(Kind::Any, Some("shop"))),
            ("pod/web", Some("shop"), of(Kind::Pod, Some("shop"))),
            ("Deployment/web", None, of(deployment, None)),
            ("shop/deploy/web", None, of(deployment, Some("shop"))),
            ("no/web", None, of(Kind::Node, None)),
        ] {
            assert_eq!(target(subject, flag).unwrap(), wanted, "{subject}");
        }
        for (subject, flag) in [
            ("shop/web", Some("other")),
            ("/web", None),
            ("shop/", None),
            ("", None),
            ("pod/", None),
            ("a/b/c", None),
            ("a/pod/b/c", None),
        ] {
            assert!(target(subject, flag).is_err(), "{subject}");
        }
    }

    #[test]
    fn a_name_in_two_namespaces_is_told_as_ambiguous() {
        let in_namespace = |namespace: &str| Diagnosis {
            subject: Some(Subject { namespace: namespace.to_owned(), ..Subject::default() }),
            ..Diagnosis::default()
        };
        assert_eq!(ambiguity("web", &[in_namespace("a"), in_namespace("a")]), None);
        let told = ambiguity("web", &[in_namespace("b"), in_namespace("a")]).unwrap();
        assert_eq!(told, "web is in several namespaces: a, b; say which with -n");
    }

    #[test]
    fn the_last_death_comes_first_and_then_the_newest() {
        let at = |seconds, fatal| Diagnosis {
            event_time: Some(prost_types::Timestamp { seconds, nanos: 0 }),
            fatal,
            ..Diagnosis::default()
        };
        let ordered = in_order(vec![at(1, true), at(4, false), at(2, true), at(3, false)], Kind::Any);
        let times: Vec<_> = ordered.iter().map(|diagnosis| diagnosis.event_time.unwrap().seconds).collect();
        assert_eq!(times, [2, 4, 3, 1]);
        assert!(in_order(Vec::new(), Kind::Any).is_empty());
    }

    #[test]
    fn of_a_node_its_own_trouble_comes_before_deaths_on_it() {
        let node = Subject { kind: SubjectKind::Node.into(), ..Subject::default() };
        let trouble = Diagnosis { subject: Some(node), ..Diagnosis::default() };
        let death = Diagnosis { fatal: true, ..Diagnosis::default() };
        let ordered = in_order(vec![death.clone(), trouble.clone()], Kind::Node);
        assert_eq!(ordered, [trouble, death]);
    }

    #[test]
    fn other_diagnoses_of_the_pod_follow_in_short() {
        let ordered = [testing::undetermined(), testing::oom_child(), testing::undetermined()];
        let mut page = testing::out(120).page();
        in_short_but_the_first(&mut page, &ordered, testing::now());
        golden("why.txt", &page.into_text());
    }
}
