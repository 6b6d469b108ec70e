//! Until when a certificate is valid.
#![no_main]

use coroner_aggregator::net::expire_time;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _time = expire_time(&bytes.into());
});
