//! Logs of containers, with arbitrary contents, and what is withheld from them.
#![no_main]

use coroner_diagnosis::{observation::log::Line, redact};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|contents: String| {
    for line in Line::parse_all(&contents) {
        let (withheld, _) = redact::clean(&line.text);
        assert_eq!(redact::clean(&withheld).0, withheld);
    }
});
