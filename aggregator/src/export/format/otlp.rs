//! OpenTelemetry log records, as events.
//!
//! The resource is the subject that ended, never this program, as semantic conventions require of reporters of crashes.
//! Their names are used where there are any; the rest is `coroner.*`. `log.record.uid` identifies a record permanently.

use coroner_proto::v1::{Cause, Diagnosis, Gap, Memory, OomScope, StopRequester};
use jiff::Timestamp;
use opentelemetry_proto::tonic::{
    collector::logs::v1::ExportLogsServiceRequest,
    common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList, any_value::Value},
    logs::v1::{LogRecord, ResourceLogs, ScopeLogs},
    resource::v1::Resource,
};

use super::super::item::{Item, Record};
use super::{
    Levels, Names, PRODUCT, VERSION, confidence_name, event_time, known, reason, severity, short_name, store_time, time,
};

/// The version of the semantic conventions whose names are used.
const SCHEMA: &str = "https://opentelemetry.io/schemas/1.44.0";
/// INFO, WARN, ERROR and FATAL.
const SEVERITY: Levels<(i32, &str)> =
    Levels { info: (9, "INFO"), warning: (13, "WARN"), error: (17, "ERROR"), critical: (21, "FATAL") };

/// The records as one request, in their order: only neighbours share a resource.
pub(in super::super) fn request(items: &[Item]) -> ExportLogsServiceRequest {
    let mut resource_logs = Vec::<ResourceLogs>::new();
    for item in items {
        let (resource, record) = (resource(item), log_record(item));
        match resource_logs.last_mut() {
            Some(last) if last.resource.as_ref() == Some(&resource) => last.scope_logs[0].log_records.push(record),
            _ => resource_logs.push(ResourceLogs {
                resource: Some(resource),
                scope_logs: vec![ScopeLogs {
                    scope: Some(InstrumentationScope {
                        name: PRODUCT.into(),
                        version: VERSION.into(),
                        ..InstrumentationScope::default()
                    }),
                    log_records: vec![record],
                    schema_url: SCHEMA.into(),
                }],
                schema_url: SCHEMA.into(),
            }),
        }
    }
    ExportLogsServiceRequest { resource_logs }
}

fn resource(item: &Item) -> Resource {
    let mut attributes = Attributes::default();
    match &item.record {
        Record::Diagnosis(diagnosis) => add_names(&mut attributes, diagnosis),
        Record::Gap(gap) => attributes.text("k8s.node.name", known(&gap.node)),
    }
    Resource { attributes: attributes.0, ..Resource::default() }
}

fn add_names(attributes: &mut Attributes, diagnosis: &Diagnosis) {
    let names = Names::of(diagnosis);
    attributes.text("k8s.cluster.uid", names.cluster);
    attributes.text("k8s.node.name", names.node);
    attributes.text("host.id", diagnosis.node.as_ref().and_then(|node| known(&node.machine_id)));
    attributes.text("k8s.namespace.name", names.namespace);
    attributes.text("k8s.pod.name", names.pod);
    attributes.text("k8s.pod.uid", names.pod_uid);
    attributes.text("k8s.container.name", names.container);
    attributes.text("container.id", names.container_id);
    attributes.text("container.image.name", names.image);
    if let Some(container) = &diagnosis.container {
        attributes.number("k8s.container.restart_count", Some(container.attempt));
    }
    for workload in &diagnosis.workloads {
        let kind = workload.kind.to_lowercase();
        if ["deployment", "replicaset", "statefulset", "daemonset", "job", "cronjob"].contains(&kind.as_str()) {
            attributes.text(&format!("k8s.{kind}.name"), known(&workload.name));
        }
    }
}

fn log_record(item: &Item) -> LogRecord {
    let (severity_number, severity_text) = SEVERITY.of(severity(&item.record));
    let mut attributes = Attributes::default();
    attributes.text("log.record.uid", Some(&item.id));
    attributes.number("coroner.sequence", Some(item.position.offset));
    let (event_name, body, observed) = match &item.record {
        Record::Diagnosis(diagnosis) => {
            add_diagnosis(&mut attributes, diagnosis);
            ("coroner.diagnosis", &diagnosis.summary, time(diagnosis.observe_time.as_ref()))
        }
        Record::Gap(gap) => {
            add_gap(&mut attributes, gap);
            ("coroner.gap", &gap.text, None)
        }
    };
    LogRecord {
        time_unix_nano: nanoseconds(event_time(item)),
        observed_time_unix_nano: nanoseconds(observed.unwrap_or_else(|| store_time(item))),
        severity_number,
        severity_text: severity_text.into(),
        body: Some(string(body)),
        attributes: attributes.0,
        event_name: event_name.into(),
        ..LogRecord::default()
    }
}

fn add_diagnosis(attributes: &mut Attributes, diagnosis: &Diagnosis) {
    attributes.text("error.type", Some(&reason(diagnosis.cause())));
    attributes.text("coroner.cause", Some(diagnosis.cause().as_str_name()));
    attributes.text("coroner.uid", Some(&diagnosis.uid));
    attributes.number("coroner.revision", Some(diagnosis.revision));
    attributes.text("coroner.confidence", Some(&confidence_name(diagnosis.confidence())));
    attributes.flag("coroner.fatal", Some(diagnosis.fatal));
    attributes.number("coroner.occurrence_count", Some(diagnosis.occurrence_count).filter(|count| *count > 0));
    attributes.text("coroner.explanation", known(&diagnosis.explanation));
    attributes.list("coroner.suggestions", diagnosis.suggestions.iter().map(|text| string(text)).collect());
    let contributing = diagnosis.contributing().filter(|cause| *cause != Cause::Unspecified);
    attributes.list("coroner.contributing", contributing.map(|cause| string(&reason(cause))).collect());
    if diagnosis.requested_by() != StopRequester::Unspecified {
        let requester = short_name(diagnosis.requested_by().as_str_name(), "STOP_REQUESTER_");
        attributes.text("coroner.requested_by", Some(&requester));
    }
    if let Some(resolved) = time(diagnosis.resolve_time.as_ref()) {
        attributes.text("coroner.resolve_time", Some(&resolved.to_string()));
    }
    if let Some(exit) = &diagnosis.exit {
        attributes.number("process.exit.code", Some(exit.code));
        attributes.text("k8s.container.status.last_terminated_reason", known(&exit.reported_reason));
        attributes.number("coroner.signal.number", Some(exit.signal).filter(|signal| *signal > 0));
        attributes.flag("coroner.exit.fabricated", Some(exit.fabricated).filter(|fabricated| *fabricated));
    }
    if let Some(process) = &diagnosis.process {
        attributes.number("process.pid", Some(process.pid).filter(|pid| *pid > 0));
        attributes.text("process.executable.name", known(&process.name));
        attributes.flag("coroner.process.is_container_init", process.is_main);
        attributes.bytes("coroner.memory.victim_rss_bytes", process.anon_rss_bytes);
    }
    if let Some(memory) = &diagnosis.memory {
        add_memory(attributes, memory);
    }
    attributes.list("coroner.evidence", diagnosis.evidence.iter().map(evidence).collect());
    attributes.list("coroner.against", diagnosis.against.iter().map(evidence).collect());
    attributes.list("coroner.missing_sources", diagnosis.missing_sources.iter().map(|text| string(text)).collect());
}

fn add_memory(attributes: &mut Attributes, memory: &Memory) {
    if memory.scope() != OomScope::Unspecified {
        attributes.text("coroner.oom.scope", Some(&short_name(memory.scope().as_str_name(), "OOM_SCOPE_")));
    }
    attributes.bytes("coroner.memory.limit_bytes", memory.limit_bytes);
    attributes.bytes("coroner.memory.usage_bytes", memory.usage_bytes);
    attributes.bytes("coroner.memory.peak_bytes", memory.peak_bytes);
    attributes.bytes("coroner.memory.node_available_bytes", memory.node_available_bytes);
}

fn add_gap(attributes: &mut Attributes, gap: &Gap) {
    attributes.text("coroner.gap.reason", Some(&short_name(gap.reason().as_str_name(), "GAP_REASON_")));
    attributes.text("coroner.gap.source", known(&gap.source));
    attributes.bytes("coroner.gap.lost_count", gap.lost_count);
    for (key, at) in [("coroner.gap.start_time", &gap.start_time), ("coroner.gap.end_time", &gap.end_time)] {
        attributes.text(key, time(at.as_ref()).map(|time| time.to_string()).as_deref());
    }
}

fn evidence(evidence: &coroner_proto::v1::Evidence) -> AnyValue {
    let mut fields = Attributes::default();
    fields.text("source", known(&evidence.source));
    fields.text("time", time(evidence.time.as_ref()).map(|time| time.to_string()).as_deref());
    fields.text("text", Some(&evidence.text));
    AnyValue { value: Some(Value::KvlistValue(KeyValueList { values: fields.0 })) }
}

fn string(text: &str) -> AnyValue {
    AnyValue { value: Some(Value::StringValue(text.into())) }
}

fn nanoseconds(time: Timestamp) -> u64 {
    u64::try_from(time.as_nanosecond()).unwrap_or(0)
}

/// Attributes, of which those that are not known are left out.
#[derive(Default)]
struct Attributes(Vec<KeyValue>);

impl Attributes {
    fn add(&mut self, key: &str, value: Value) {
        self.0.push(KeyValue { key: key.into(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() });
    }

    fn text(&mut self, key: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.add(key, Value::StringValue(text.into()));
        }
    }

    fn number(&mut self, key: &str, number: Option<impl Into<i64>>) {
        if let Some(number) = number {
            self.add(key, Value::IntValue(number.into()));
        }
    }

    fn bytes(&mut self, key: &str, number: Option<u64>) {
        self.number(key, number.map(|number| i64::try_from(number).unwrap_or(i64::MAX)));
    }

    fn flag(&mut self, key: &str, flag: Option<bool>) {
        if let Some(flag) = flag {
            self.add(key, Value::BoolValue(flag));
        }
    }

    fn list(&mut self, key: &str, values: Vec<AnyValue>) {
        if !values.is_empty() {
            self.add(key, Value::ArrayValue(ArrayValue { values }));
        }
    }
}

#[cfg(test)]
mod tests {
    use coroner_proto::v1::Severity::*;

    use super::super::samples;
    use super::*;

    fn text<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a str> {
        let value = attributes.iter().find(|attribute| attribute.key == key)?.value.as_ref()?.value.as_ref()?;
        if let Value::StringValue(text) = value { Some(text) } else { None }
    }

    #[test]
    fn the_resource_is_what_ended_and_the_record_is_the_reason() {
        let request = request(&[samples::oom()]);
        let logs = &request.resource_logs[0];
        let resource = &logs.resource.as_ref().unwrap().attributes;
        for (key, value) in [
            ("k8s.node.name", "node-1"),
            ("k8s.namespace.name", "shop"),
            ("k8s.pod.name", "web-5d9c-x7k2"),
            ("k8s.container.name", "app"),
            ("k8s.deployment.name", "web"),
            ("k8s.replicaset.name", "web-5d9c"),
            ("container.id", "d34db33f"),
        ] {
            assert_eq!(text(resource, key), Some(value), "{key}");
        }
        let record = &logs.scope_logs[0].log_records[0];
        assert_eq!(record.event_name, "coroner.diagnosis");
        assert_eq!((record.severity_number, record.severity_text.as_str()), (17, "ERROR"));
        assert_eq!(record.time_unix_nano, 1_785_578_400_123_456_789);
        assert_eq!(text(&record.attributes, "log.record.uid"), Some(format!("{}:2", samples::UID).as_str()));
        assert_eq!(text(&record.attributes, "error.type"), Some("OomContainerLimit"));
        assert_eq!(text(&record.attributes, "k8s.container.status.last_terminated_reason"), Some("OOMKilled"));
        assert_eq!(text(&record.attributes, "coroner.oom.scope"), Some("container"));
    }

    #[test]
    fn order_is_kept_and_neighbours_share_a_resource() {
        let (oom, node, gap) = (samples::oom(), samples::node(), samples::gap());
        let request = request(&[oom.clone(), oom.clone(), node, oom, gap]);
        let counts: Vec<_> = request.resource_logs.iter().map(|logs| logs.scope_logs[0].log_records.len()).collect();
        assert_eq!(counts, [2, 1, 1, 1]);
    }

    #[test]
    fn severities_have_the_numbers_of_opentelemetry() {
        assert_eq!([Info, Warning, Error, Critical].map(|severity| SEVERITY.of(severity).0), [9, 13, 17, 21]);
    }
}
