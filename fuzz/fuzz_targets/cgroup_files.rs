//! Files of a cgroup, of v1 and v2.
#![no_main]

use coroner_diagnosis::observation::cgroup::Sample;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|contents: String| {
    for file in Sample::FILES_V1.iter().chain(Sample::FILES_V2) {
        Sample::from_files("/", [(file, &contents)]);
    }
});
