//! Records of /dev/kmsg, lines of syslog(2), and the events in them.
#![no_main]

use coroner_diagnosis::observation::kernel_log::{Event, Record};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for record in [Record::parse(bytes), Record::parse_syslog(bytes)].into_iter().flatten() {
        Event::parse(&record.text);
    }
    Event::parse(&String::from_utf8_lossy(bytes));
});
