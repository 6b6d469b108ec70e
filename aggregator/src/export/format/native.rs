//! Our own JSON: the record as `coroner … -o json` prints it (proto3 JSON), with the id that names it and its place in
//! the ledger.

use prost::{Message, Name};
use serde_json::{Value, json};

use super::super::item::{Item, Record};

pub(in super::super) fn object(item: &Item) -> Value {
    let (kind, record) = match &item.record {
        Record::Diagnosis(diagnosis) => ("diagnosis", value(diagnosis.as_ref())),
        Record::Gap(gap) => ("gap", value(gap)),
    };
    json!({"id": item.id, "sequence": item.position.offset, kind: record})
}

/// Intake accepts nothing that JSON cannot represent; should it happen nevertheless, the record is not lost.
fn value<M: Message + Name + std::fmt::Debug>(message: &M) -> Value {
    coroner_proto::json::to_value(message)
        .unwrap_or_else(|error| json!({"unsayable": error.to_string(), "debug": format!("{message:?}")}))
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    #[test]
    fn a_diagnosis_is_named_and_whole() {
        let object = object(&samples::oom());
        assert_eq!(object["id"], format!("{}:2", samples::UID));
        assert_eq!(object["sequence"], 7);
        assert_eq!(object["diagnosis"]["cause"], "CAUSE_OOM_CONTAINER_LIMIT");
        assert_eq!(object["diagnosis"]["memory"]["limitBytes"], "67108864");
    }

    #[test]
    fn a_gap_is_one_too() {
        let object = object(&samples::gap());
        assert_eq!(object["gap"]["reason"], "GAP_REASON_RETENTION");
        assert!(object["id"].as_str().unwrap().starts_with("gap:"));
    }
}
