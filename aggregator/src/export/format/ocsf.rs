//! Open Cybersecurity Schema Framework 1.8: every diagnosis is a Detection Finding (2004), the one class with evidence,
//! confidence, remediation and resources; a gap is an Application Error (6008).

use coroner_proto::v1::{Confidence, Diagnosis, Gap, Severity, SubjectKind};
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::item::{Item, Record};
use super::{
    Levels, Names, PRODUCT, VERSION, ecs::prune, event_time, known, native, reason, severity, statements, store_time,
    time,
};

const OCSF: &str = "1.8.0";
/// Informational, Medium, High, Critical.
const SEVERITY: Levels<u8> = Levels { info: 1, warning: 3, error: 4, critical: 5 };

pub(in super::super) fn object(item: &Item) -> Value {
    let mut object = match &item.record {
        Record::Diagnosis(diagnosis) => finding(item, diagnosis),
        Record::Gap(gap) => application_error(item, gap),
    };
    prune(&mut object);
    object
}

fn finding(item: &Item, diagnosis: &Diagnosis) -> Value {
    let cause = reason(diagnosis.cause());
    let names = Names::of(diagnosis);
    // 1 Create, 2 Update.
    let activity = if diagnosis.revision == 1 { 1 } else { 2 };
    let node = diagnosis.node.as_ref();
    let device = names.node.map(|name| {
        json!({
            "type_id": 1,
            "hostname": name,
            "name": name,
            "uid": node.and_then(|node| known(&node.machine_id)),
            "os": {
                "name": "Linux",
                "type_id": 200,
                "kernel_release": node.and_then(|node| known(&node.kernel_release)),
            },
        })
    });
    let mut metadata = metadata(item, &cause);
    metadata["correlation_uid"] = json!(diagnosis.uid);
    metadata["profiles"] = device.as_ref().map_or_else(|| json!([]), |_| json!(["host"]));
    let at = milliseconds(event_time(item));
    json!({
        "class_uid": 2004,
        "category_uid": 2,
        "activity_id": activity,
        "type_uid": 200_400 + activity,
        "time": at,
        "start_time": at,
        "end_time": at,
        "severity_id": SEVERITY.of(diagnosis.severity()),
        "confidence_id": match diagnosis.confidence() {
            Confidence::Unspecified => 0,
            Confidence::Possible => 1,
            Confidence::Likely => 2,
            Confidence::Certain => 3,
        },
        "status_id": 1,
        "is_alert": matches!(diagnosis.severity(), Severity::Error | Severity::Critical),
        "message": diagnosis.summary,
        "metadata": metadata,
        "finding_info": {
            "uid": diagnosis.uid,
            "title": diagnosis.summary,
            "desc": known(&diagnosis.explanation),
            "types": [cause],
            "analytic": {"name": cause, "uid": diagnosis.cause().as_str_name(), "type_id": 1},
            "created_time": time(diagnosis.observe_time.as_ref()).map(milliseconds),
        },
        "remediation": known(&diagnosis.suggestions.join("\n")).map(|desc| json!({"desc": desc})),
        "device": device,
        "resources": resources(diagnosis, &names),
        "evidences": evidences(diagnosis, &names),
        "unmapped": {
            "cluster_uid": names.cluster,
            "container_name": names.container,
            "exit_code": diagnosis.exit.as_ref().map(|exit| exit.code),
            "signal": diagnosis.exit.as_ref().map(|exit| exit.signal).filter(|signal| *signal > 0),
            "memory_limit_bytes": diagnosis.memory.as_ref().and_then(|memory| memory.limit_bytes),
            "missing_sources": diagnosis.missing_sources,
        },
    })
}

fn application_error(item: &Item, gap: &Gap) -> Value {
    let at = milliseconds(event_time(item));
    json!({
        "class_uid": 6008,
        "category_uid": 6,
        "activity_id": 1,
        "type_uid": 600_801,
        "time": at,
        "severity_id": SEVERITY.of(severity(&item.record)),
        "message": gap.text,
        "metadata": metadata(item, "Gap"),
        "unmapped": native::object(item)["gap"],
    })
}

fn metadata(item: &Item, code: &str) -> Value {
    json!({
        "version": OCSF,
        "uid": item.id,
        "sequence": item.position.offset,
        "event_code": code,
        "logged_time": milliseconds(store_time(item)),
        "product": {"name": PRODUCT, "vendor_name": PRODUCT, "version": VERSION},
    })
}

fn resources(diagnosis: &Diagnosis, names: &Names<'_>) -> Vec<Value> {
    let mut resources = Vec::new();
    let mut add = |kind: &str, name: Option<&str>, namespace: Option<&str>, uid: Option<&str>| {
        if let Some(name) = name {
            resources.push(json!({"type": kind, "name": name, "namespace": namespace, "uid": uid}));
        }
    };
    add("Pod", names.pod, names.namespace, names.pod_uid);
    add("Node", names.node, None, None);
    for workload in &diagnosis.workloads {
        add(known(&workload.kind).unwrap_or("Workload"), known(&workload.name), names.namespace, None);
    }
    if let Some(subject) = &diagnosis.subject
        && matches!(subject.kind(), SubjectKind::Service | SubjectKind::Ingress)
    {
        let kind = if subject.kind() == SubjectKind::Service { "Service" } else { "Ingress" };
        add(kind, known(&subject.name), names.namespace, None);
    }
    resources
}

/// Where it happened, then the statements. A container alone is no evidence by the schema.
fn evidences(diagnosis: &Diagnosis, names: &Names<'_>) -> Vec<Value> {
    let container = names.container.map(|name| {
        json!({
            "name": name,
            "uid": names.container_id,
            "orchestrator": "kubernetes",
            // That of a static pod is a hash and no UUID.
            "pod_uuid": names.pod_uid.filter(|uid| uid.len() == 36 && Uuid::parse_str(uid).is_ok()),
            "image": names.image.map(|image| json!({"name": image, "uid": image})),
        })
    });
    let place = diagnosis.process.as_ref().map(|process| {
        json!({
            "name": "process",
            "process": {"pid": (process.pid > 0).then_some(process.pid), "name": known(&process.name)},
            "container": container,
        })
    });
    let quoted = statements(diagnosis).map(|(list, evidence)| {
        let at = time(evidence.time.as_ref()).map(|time| time.to_string());
        json!({"name": evidence.source, "data": {"list": list, "time": at, "text": evidence.text}})
    });
    place.into_iter().chain(quoted).collect()
}

fn milliseconds(time: Timestamp) -> i64 {
    time.as_millisecond()
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    #[test]
    fn a_later_revision_updates_the_finding_of_the_first() {
        let object = object(&samples::oom());
        assert_eq!((&object["class_uid"], &object["type_uid"]), (&json!(2004), &json!(200_402)));
        assert_eq!(object["finding_info"]["uid"], samples::UID);
        assert_eq!(object["metadata"]["uid"], format!("{}:2", samples::UID));
        assert_eq!(object["severity_id"], 4);
        assert_eq!(object["evidences"][0]["container"]["pod_uuid"], "6f1c2f2e-8d8b-4f0a-9f65-0c8f5c3b7a11");
        assert_eq!(object["resources"][3]["type"], "Deployment");
    }

    #[test]
    fn a_gap_is_an_application_error() {
        assert_eq!(object(&samples::gap())["type_uid"], 600_801);
    }

    /// For `ocsf-json-schema`, which validates them; see docs/exporters.md.
    #[test]
    fn samples_can_be_written_out_for_a_validator() {
        for item in [samples::oom(), samples::node(), samples::gap()] {
            println!("{}", object(&item));
        }
    }
}
