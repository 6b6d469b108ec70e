//! What is measured of a request before it is decoded, beside what it is decoded to.
#![no_main]

use coroner_aggregator::traffic::list_bytes;
use coroner_proto::v1::{ListDiagnosesRequest, PushDiagnosesRequest, WatchDiagnosesRequest};
use libfuzzer_sys::fuzz_target;
use prost::Message;

fuzz_target!(|bytes: &[u8]| {
    let measured = list_bytes(".coroner.v1.PushDiagnosesRequest", bytes);
    if let Ok(PushDiagnosesRequest { records, sources, .. }) = PushDiagnosesRequest::decode(bytes) {
        let entries = records.len() + sources.len();
        assert!(measured.expect("what can be decoded can be measured") >= 100 * entries as u64);
    }
    for (name, is_sound) in [
        (".coroner.v1.WatchDiagnosesRequest", WatchDiagnosesRequest::decode(bytes).is_ok()),
        (".coroner.v1.ListDiagnosesRequest", ListDiagnosesRequest::decode(bytes).is_ok()),
    ] {
        assert!(list_bytes(name, bytes).is_some() || !is_sound);
    }
});
