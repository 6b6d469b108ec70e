//! `coroner why`: what happened to one pod.

use std::collections::BTreeSet;

use coroner_proto::v1::{Diagnosis, DiagnosisFilter, ListDiagnosesRequest};
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
    let (namespace, name) = target(args)?;
    let filter = DiagnosisFilter {
        names: vec![name.to_owned()],
        namespaces: namespace.map(str::to_owned).into_iter().collect(),
        containers: args.container.clone().into_iter().collect(),
        ..DiagnosisFilter::default()
    };
    let mut client = client::connect(aggregator).await?;
    let request = ListDiagnosesRequest { filter: Some(filter), ..ListDiagnosesRequest::default() };
    let mut diagnoses = Vec::new();
    let mut pages = list::Pages::new(request, MOST);
    while let Some(page) = pages.next(&mut client, aggregator).await? {
        diagnoses.extend(page);
    }
    if let Some(ambiguity) = ambiguity(name, &diagnoses) {
        return Err(Failure::usage(ambiguity));
    }
    let ordered = in_order(diagnoses);
    let Some(first) = ordered.first() else {
        let whose = args.container.as_ref().map_or_else(String::new, |container| format!("container {container} of "));
        out.tell(&format!("No diagnosis of {whose}{} is recorded.", args.pod));
        return Ok(Outcome::Nothing);
    };
    let outcome = answered_by(first);
    present(&ordered, out, in_short_but_the_first)?;
    Ok(outcome)
}

/// The namespace, where one is given, and the name.
fn target(args: &WhyArgs) -> Result<(Option<&str>, &str), Failure> {
    let (inline, name) = match args.pod.split_once('/') {
        Some((namespace, name)) => (Some(namespace), name),
        None => (None, args.pod.as_str()),
    };
    if name.is_empty() || name.contains('/') || inline == Some("") {
        return Err(Failure::usage(format!("{}: neither POD nor NAMESPACE/POD", args.pod)));
    }
    match (inline, args.namespace.as_deref()) {
        (Some(inline), Some(flag)) if inline != flag => {
            Err(Failure::usage(format!("{} is not in namespace {flag}", args.pod)))
        }
        (inline, flag) => Ok((inline.or(flag), name)),
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

/// The last death first, then the others, the newest first.
fn in_order(mut diagnoses: Vec<Diagnosis>) -> Vec<Diagnosis> {
    diagnoses.sort_by_key(|diagnosis| std::cmp::Reverse(words::time(diagnosis.event_time.as_ref())));
    if let Some(last_death) = diagnoses.iter().position(|diagnosis| diagnosis.fatal) {
        diagnoses.get_mut(..=last_death).expect("the position is within the list").rotate_right(1);
    }
    diagnoses
}

fn in_short_but_the_first(page: &mut Page, ordered: &[Diagnosis], now: Timestamp) {
    let Some((first, others)) = ordered.split_first() else { return };
    explain::explain(page, first, now);
    if !others.is_empty() {
        page.blank();
        page.paragraph(None, 0, &[span(Look::Strong, "Also diagnosed")]);
        for other in others.iter().take(MOST_OTHERS) {
            explain::brief(page, other, now);
        }
        if others.len() > MOST_OTHERS {
            let more = format!("… and {} more: use -o table", others.len() - MOST_OTHERS);
            page.paragraph(None, 2, &[span(Look::Faint, &more)]);
        }
    }
}

#[cfg(test)]
mod tests {
    use coroner_proto::v1::Subject;

    use super::*;
    use crate::testing::{self, golden};

    fn args(pod: &str, namespace: Option<&str>) -> WhyArgs {
        WhyArgs { pod: pod.to_owned(), container: None, namespace: namespace.map(str::to_owned) }
    }

    #[test]
    fn a_pod_may_be_named_with_its_namespace() {
        assert_eq!(target(&args("web", None)).unwrap(), (None, "web"));
        assert_eq!(target(&args("web", Some("shop"))).unwrap(), (Some("shop"), "web"));
        assert_eq!(target(&args("shop/web", None)).unwrap(), (Some("shop"), "web"));
        assert_eq!(target(&args("shop/web", Some("shop"))).unwrap(), (Some("shop"), "web"));
        for (pod, namespace) in
            [("shop/web", Some("other")), ("/web", None), ("shop/", None), ("", None), ("a/b/c", None)]
        {
            assert!(target(&args(pod, namespace)).is_err(), "{pod}");
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
        let ordered = in_order(vec![at(1, true), at(4, false), at(2, true), at(3, false)]);
        let times: Vec<_> = ordered.iter().map(|diagnosis| diagnosis.event_time.unwrap().seconds).collect();
        assert_eq!(times, [2, 4, 3, 1]);
        assert!(in_order(Vec::new()).is_empty());
    }

    #[test]
    fn other_diagnoses_of_the_pod_follow_in_short() {
        let ordered = [testing::undetermined(), testing::oom_child(), testing::undetermined()];
        let mut page = testing::out(120).page();
        in_short_but_the_first(&mut page, &ordered, testing::now());
        golden("why.txt", &page.into_text());
    }
}
