//! What is shown is fit to be shown.
#![no_main]

use coroner_diagnosis::text::{clean, is_unsafe};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, String)| {
    let (max, text) = input;
    let cleaned = clean(&text, max.into());
    assert!(cleaned.len() <= max.into());
    assert!(!cleaned.chars().any(is_unsafe));
});
