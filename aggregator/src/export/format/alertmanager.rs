//! Alerts of Alertmanager (API v2). The labels of an alert are cause, severity, cluster, namespace and workload, and
//! for a node its name: no pod, so that many deaths of one cause in one workload are one alert, which shows the
//! latest.

use std::collections::BTreeMap;

use coroner_proto::v1::{Diagnosis, Gap, Severity, SubjectKind};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::super::item::{Item, Record};
use super::{Names, event_time, known, reason, short_name};

/// Labels, by their names.
type Labels = BTreeMap<&'static str, String>;

/// The alerts of a batch, each once: an alert is over `hold` after the latest event. A state that is reported as over
/// makes none.
pub(in super::super) fn alerts(batch: &[Item], hold: SignedDuration) -> Vec<Value> {
    let mut alerts: BTreeMap<Labels, (Timestamp, Timestamp, u64, &Item)> = BTreeMap::new();
    for item in batch {
        let labels = match &item.record {
            Record::Diagnosis(diagnosis) if diagnosis.resolve_time.is_some() => continue,
            Record::Diagnosis(diagnosis) => labels_of_diagnosis(diagnosis),
            Record::Gap(gap) => labels_of_gap(gap),
        };
        let time = event_time(item);
        let (first, last, count, latest) = alerts.entry(labels).or_insert((time, time, 0, item));
        *first = time.min(*first);
        *count += 1;
        if time >= *last {
            (*last, *latest) = (time, item);
        }
    }
    let alert = |(labels, (first, last, count, item)): (Labels, (Timestamp, Timestamp, u64, &Item))| {
        let ends = last.saturating_add(hold).unwrap_or(last);
        json!({
            "labels": labels,
            "annotations": annotations(item, count),
            "startsAt": first.to_string(),
            "endsAt": ends.to_string(),
        })
    };
    alerts.into_iter().map(alert).collect()
}

fn labels_of_diagnosis(diagnosis: &Diagnosis) -> Labels {
    let names = Names::of(diagnosis);
    let is_node = diagnosis.subject.as_ref().is_some_and(|subject| subject.kind() == SubjectKind::Node);
    let workload = diagnosis.workloads.last().map(|workload| format!("{}/{}", workload.kind, workload.name));
    let own = |text: Option<&str>| text.map(str::to_owned);
    let labels = [
        ("alertname", Some(reason(diagnosis.cause()))),
        ("severity", Some(severity(diagnosis.severity()))),
        ("cluster", own(names.cluster)),
        ("namespace", own(names.namespace)),
        ("workload", workload),
        ("node", own(names.node.filter(|_| is_node))),
        ("source", Some(super::PRODUCT.to_owned())),
    ];
    labels.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

fn labels_of_gap(gap: &Gap) -> Labels {
    Labels::from([
        ("alertname", "CoronerRecordsLost".to_owned()),
        ("severity", severity(Severity::Warning)),
        ("reason", short_name(gap.reason().as_str_name(), "GAP_REASON_")),
        ("source", super::PRODUCT.to_owned()),
    ])
}

fn severity(severity: Severity) -> String {
    short_name(severity.as_str_name(), "SEVERITY_")
}

fn annotations(item: &Item, count: u64) -> Value {
    let count = count.to_string();
    match &item.record {
        Record::Diagnosis(diagnosis) => {
            let Names { namespace, pod, container, node, .. } = Names::of(diagnosis);
            let subject: Vec<_> = [namespace, pod, container].into_iter().flatten().collect();
            let subject = if subject.is_empty() { node.unwrap_or_default().to_owned() } else { subject.join("/") };
            json!({
                "summary": diagnosis.summary,
                "description": diagnosis.explanation,
                "latest": subject,
                "next": known(&diagnosis.suggestions.join("\n")).unwrap_or_default(),
                "command": format!("coroner get {}", diagnosis.uid),
                "diagnoses": count,
            })
        }
        Record::Gap(gap) => json!({"summary": gap.text, "latest": gap.node, "diagnoses": count}),
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    const HOLD: SignedDuration = SignedDuration::from_mins(15);

    #[test]
    fn many_deaths_of_one_cause_in_one_workload_are_one_alert() {
        let batch: Vec<_> = (0..1000).map(|_| samples::oom()).chain([samples::node(), samples::gap()]).collect();
        let alerts = alerts(&batch, HOLD);
        assert_eq!(alerts.len(), 3, "{alerts:#?}");
        let oom = alerts.iter().find(|alert| alert["labels"]["alertname"] == "OomContainerLimit").unwrap();
        assert_eq!(oom["labels"]["workload"], "Deployment/web");
        assert_eq!(oom["annotations"]["diagnoses"], "1000");
        assert_eq!(oom["annotations"]["latest"], "shop/web-5d9c-x7k2/app");
        assert_eq!(
            (&oom["startsAt"].as_str().unwrap()[11..19], &oom["endsAt"].as_str().unwrap()[11..19]),
            ("10:00:00", "10:15:00")
        );
        assert!(oom["labels"].get("pod").is_none() && oom["labels"].get("node").is_none());
        let node = alerts.iter().find(|alert| alert["labels"]["alertname"] == "KubeletDown").unwrap();
        assert_eq!((&node["labels"]["node"], &node["labels"]["severity"]), (&json!("node-1"), &json!("critical")));
    }

    #[test]
    fn what_is_over_makes_no_alert() {
        let mut item = samples::oom();
        let Record::Diagnosis(diagnosis) = &mut item.record else { panic!() };
        diagnosis.resolve_time = diagnosis.event_time;
        assert!(alerts(&[item], HOLD).is_empty());
    }
}
