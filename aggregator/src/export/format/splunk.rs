//! Events of Splunk's HTTP Event Collector: our own JSON, with what Splunk indexes beside it.

use serde_json::{Value, json};

use super::super::item::{Item, Record};
use super::{Names, event_time, known, native};

pub(in super::super) fn object(item: &Item, index: Option<&str>) -> Value {
    let (kind, node) = match &item.record {
        Record::Diagnosis(diagnosis) => ("coroner:diagnosis", Names::of(diagnosis).node),
        Record::Gap(gap) => ("coroner:gap", known(&gap.node)),
    };
    let milliseconds = event_time(item).as_millisecond();
    let mut event = json!({
        "time": format!("{}.{:03}", milliseconds.div_euclid(1000), milliseconds.rem_euclid(1000)),
        "source": super::PRODUCT,
        "sourcetype": kind,
        "event": native::object(item),
    });
    if let Some(node) = node {
        event["host"] = node.into();
    }
    if let Some(index) = index {
        event["index"] = index.into();
    }
    event
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    #[test]
    fn an_event_has_the_time_and_the_node_of_the_death() {
        let event = object(&samples::oom(), Some("ops"));
        assert_eq!(event["time"], "1785578400.123");
        assert_eq!((event["host"].as_str(), event["index"].as_str()), (Some("node-1"), Some("ops")));
        assert_eq!(event["event"]["id"], format!("{}:2", samples::UID));
        assert!(object(&samples::gap(), None).get("index").is_none());
    }
}
