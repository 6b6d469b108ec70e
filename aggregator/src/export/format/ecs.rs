//! Elastic Common Schema. What has no field there is `coroner.*`.

use coroner_proto::v1::{Diagnosis, Gap, Severity, SubjectKind};
use serde_json::{Map, Value, json};

use super::super::item::{Item, Record};
use super::{
    Levels, Names, PRODUCT, VERSION, confidence_name, event_time, known, native, reason, severity, statements,
    store_time, time,
};

/// The release whose fields are used.
const ECS: &str = "9.4.0";
/// As numbers that sort; those of CEF.
const SEVERITY: Levels<u8> = Levels { info: 2, warning: 5, error: 7, critical: 9 };

pub(in super::super) fn object(item: &Item) -> Value {
    let mut fields = match &item.record {
        Record::Diagnosis(diagnosis) => of_diagnosis(diagnosis),
        Record::Gap(gap) => of_gap(item, gap),
    };
    fields.insert("@timestamp".into(), json!(event_time(item).to_string()));
    fields.insert("ecs".into(), json!({"version": ECS}));
    fields.insert("agent".into(), json!({"type": PRODUCT, "version": VERSION}));
    if let Some(Value::Object(event)) = fields.get_mut("event") {
        event.insert("id".into(), json!(item.id));
        event.insert("sequence".into(), json!(item.position.offset));
        event.insert("severity".into(), json!(SEVERITY.of(severity(&item.record))));
        event.insert("created".into(), json!(store_time(item).to_string()));
        event.insert("module".into(), json!(PRODUCT));
        event.insert("provider".into(), json!(PRODUCT));
    }
    let mut object = Value::Object(fields);
    prune(&mut object);
    object
}

fn of_diagnosis(diagnosis: &Diagnosis) -> Map<String, Value> {
    let names = Names::of(diagnosis);
    let subject = diagnosis.subject.as_ref();
    let kind = subject.map_or(SubjectKind::Unspecified, |subject| subject.kind());
    let about_node = kind == SubjectKind::Node;
    let cause = reason(diagnosis.cause());
    let resource = match kind {
        SubjectKind::Node => json!({"type": "node", "name": names.node}),
        SubjectKind::Cluster => json!({"type": "cluster"}),
        SubjectKind::Workload | SubjectKind::Service | SubjectKind::Ingress => {
            json!({"type": super::short_name(kind.as_str_name(), "SUBJECT_KIND_"), "name": subject.map(|s| &s.name)})
        }
        _ => json!({
            "type": "pod",
            "name": names.pod.or_else(|| subject.and_then(|s| known(&s.name))),
            "id": names.pod_uid,
            "parent": {"type": diagnosis.workloads.last().and_then(|workload| known(&workload.kind))},
        }),
    };
    let node = diagnosis.node.as_ref();
    let exit = diagnosis.exit.as_ref();
    let object = json!({
        "message": diagnosis.summary,
        "event": {
            "kind": "event",
            "category": [if about_node { "host" } else { "process" }],
            "type": [if about_node { "change" } else if diagnosis.fatal { "end" } else { "info" }],
            "outcome": if diagnosis.severity() == Severity::Info { "success" } else { "failure" },
            "action": action(&cause),
            "code": cause,
            "reason": known(&diagnosis.explanation),
            "dataset": "coroner.diagnosis",
        },
        "rule": {"name": cause},
        "orchestrator": {
            "type": "kubernetes",
            "cluster": {"id": names.cluster},
            "namespace": names.namespace,
            "resource": resource,
        },
        "container": {"id": names.container_id, "name": names.container, "image": {"name": names.image}},
        "process": {
            "pid": diagnosis.process.as_ref().map(|process| process.pid).filter(|pid| *pid > 0),
            "name": diagnosis.process.as_ref().and_then(|process| known(&process.name)),
            "exit_code": exit.map(|exit| exit.code),
        },
        "host": {
            "name": names.node,
            "hostname": names.node,
            "id": node.and_then(|node| known(&node.machine_id)),
            "boot": {"id": node.and_then(|node| known(&node.boot_id))},
            "os": {"type": "linux", "kernel": node.and_then(|node| known(&node.kernel_release))},
        },
        "coroner": {
            "uid": diagnosis.uid,
            "revision": diagnosis.revision,
            "cause": diagnosis.cause().as_str_name(),
            "confidence": confidence_name(diagnosis.confidence()),
            "fatal": diagnosis.fatal,
            "signal": exit.map(|exit| exit.signal).filter(|signal| *signal > 0),
            "reported_reason": exit.and_then(|exit| known(&exit.reported_reason)),
            "memory": {
                "limit_bytes": diagnosis.memory.as_ref().and_then(|memory| memory.limit_bytes),
                "usage_bytes": diagnosis.memory.as_ref().and_then(|memory| memory.usage_bytes),
            },
            "suggestions": diagnosis.suggestions,
            "missing_sources": diagnosis.missing_sources,
            "workloads": diagnosis.workloads.iter().map(|w| format!("{}/{}", w.kind, w.name)).collect::<Vec<_>>(),
            "evidence": statements(diagnosis).map(|(list, evidence)| json!({
                "list": list,
                "source": evidence.source,
                "time": time(evidence.time.as_ref()).map(|time| time.to_string()),
                "text": evidence.text,
            })).collect::<Vec<_>>(),
        },
    });
    if let Value::Object(fields) = object { fields } else { Map::new() }
}

fn of_gap(item: &Item, gap: &Gap) -> Map<String, Value> {
    let object = json!({
        "message": gap.text,
        "event": {"kind": "pipeline_error", "code": "Gap", "action": "records-lost", "dataset": "coroner.gap"},
        "host": {"name": known(&gap.node)},
        "coroner": {"gap": native::object(item)["gap"]},
    });
    if let Value::Object(fields) = object { fields } else { Map::new() }
}

/// `OomContainerLimit` as `oom-container-limit`.
fn action(reason: &str) -> String {
    let mut action = String::with_capacity(reason.len() + 4);
    for c in reason.chars() {
        if c.is_ascii_uppercase() && !action.is_empty() {
            action.push('-');
        }
        action.push(c.to_ascii_lowercase());
    }
    action
}

/// Leaves out what is not known, and what is empty without it.
pub(super) fn prune(value: &mut Value) {
    if let Value::Object(fields) = value {
        fields.retain(|_, value| {
            prune(value);
            match value {
                Value::Null => false,
                Value::Object(fields) => !fields.is_empty(),
                Value::Array(values) => !values.is_empty(),
                _ => true,
            }
        });
    } else if let Value::Array(values) = value {
        values.iter_mut().for_each(prune);
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    #[test]
    fn an_oom_kill_is_the_end_of_a_process() {
        let object = object(&samples::oom());
        assert_eq!(object["@timestamp"], "2026-08-01T10:00:00.123456789Z");
        assert_eq!(
            object["event"],
            json!({
                "kind": "event", "category": ["process"], "type": ["end"], "outcome": "failure",
                "action": "oom-container-limit", "code": "OomContainerLimit", "dataset": "coroner.diagnosis",
                "reason": "The kernel killed java (pid 4711) because the container reached its limit of 64 MiB.",
                "id": format!("{}:2", samples::UID), "sequence": 7, "severity": 7,
                "created": "2026-08-01T10:00:02.5Z", "module": "coroner", "provider": "coroner",
            })
        );
        assert_eq!(object["orchestrator"]["resource"]["parent"], json!({"type": "Deployment"}));
        assert_eq!(object["process"], json!({"pid": 4711, "name": "java", "exit_code": 137}));
    }

    #[test]
    fn a_node_that_is_silent_is_a_change_of_a_host_and_holds_nothing_that_is_not_known() {
        let object = object(&samples::node());
        assert_eq!((&object["event"]["category"], &object["event"]["type"]), (&json!(["host"]), &json!(["change"])));
        assert!(object.get("process").is_none() && object.get("container").is_none(), "{object}");
    }

    #[test]
    fn a_gap_is_an_error_of_the_pipeline() {
        assert_eq!(object(&samples::gap())["event"]["kind"], "pipeline_error");
    }
}
