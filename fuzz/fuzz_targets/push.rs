//! What an agent pushes, as intake checks it.
#![no_main]

use coroner_aggregator::intake::{Origin, check};
use coroner_proto::v1::{Diagnosis, Gap, PushDiagnosesRequest};
use libfuzzer_sys::fuzz_target;
use prost::Message;

fuzz_target!(|bytes: &[u8]| {
    let Ok(PushDiagnosesRequest { node, stream_id, records, sources, .. }) = PushDiagnosesRequest::decode(bytes) else {
        return;
    };
    let _distinguished_from_others = check::check_origin(&node, &stream_id);
    check::sources(sources);
    for record in records {
        let Ok(entry) = check::entry(record, Origin::Node(&node), 1_800_000_000_000_000_000) else { continue };
        match entry.identity {
            Some(_) => drop(Diagnosis::decode(&*entry.body).expect("what is stored can be read back")),
            None => drop(Gap::decode(&*entry.body).expect("what is stored can be read back")),
        }
    }
});
