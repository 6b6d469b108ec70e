//! Records of /dev/kmsg and of syslog(2), and the events in them.
#![no_main]

use coroner_diagnosis::observation::kernel_log::{Event, Record};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for record in Record::parse(bytes).into_iter().chain(Record::parse_syslog(bytes, None)) {
        Event::parse(&record.text);
    }
    Event::parse(&String::from_utf8_lossy(bytes));
});
