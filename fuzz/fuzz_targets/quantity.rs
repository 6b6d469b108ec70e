//! Quantities of Kubernetes, as in requests and thresholds.
#![no_main]

use coroner_diagnosis::observation::kube::amount;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: String| {
    amount(&text);
});
