//! Lines of trace_pipe.
#![no_main]

use coroner_diagnosis::observation::trace::parse_line;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    drop(parse_line(&String::from_utf8_lossy(bytes)));
});
