//! Paths of cgroups: a part of a path names what the whole does.
#![no_main]

use coroner_diagnosis::observation::cgroup::{Level, Path};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|path: String| {
    let path = Path(path);
    let level = path.level();
    if let Some(container) = path.container() {
        assert_eq!(container.level(), level);
    }
    if let Some(pod) = path.pod() {
        assert!(path.0.starts_with(&pod.0));
        assert!(matches!(pod.level(), Level::Pod { .. }));
    }
});
