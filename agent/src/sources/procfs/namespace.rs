//! Where the agent's cgroup namespace is rooted.
//!
//! /proc shows the cgroup of each process as seen from the reader's cgroup namespace, which in a pod is rooted at the
//! agent's own container: another pod's then reads as `/../../kubepods-pod….slice/…`. The mounted files of the node
//! know no such view, so the agent looks for itself there: the cgroup that lists it is its own, by its whole path.

use std::{fs, path::Path};

use tracing::debug;

use crate::{host::HostRoot, sources::cgroups::hierarchy::Hierarchy};

/// No hierarchy is deeper: the kubelet makes four levels, and kind stands one node in another.
const DEPTH_MAX: usize = 16;

/// The path of the namespace's root from the root of the hierarchy, without a `/` at its end: empty outside of any
/// namespace, and where it cannot be found. `shown`: the agent's own cgroup as /proc shows it.
pub(super) fn root(host: &HostRoot, shown: &str) -> String {
    let Ok(hierarchy) = Hierarchy::find(&host.sys) else { return String::new() };
    if lists_agent(&hierarchy.directory(shown)) {
        return String::new();
    }
    let top = hierarchy.directory("/");
    let found =
        find(&top, &top, DEPTH_MAX).and_then(|own| Some(own.strip_suffix(shown.trim_end_matches('/'))?.to_owned()));
    if found.is_none() {
        debug!(shown, "The agent does not find itself among the node's cgroups");
    }
    found.unwrap_or_default()
}

/// The path, from `top`, of the cgroup that lists the agent.
fn find(top: &Path, directory: &Path, depth: usize) -> Option<String> {
    if lists_agent(directory) {
        return Some(format!("/{}", directory.strip_prefix(top).ok()?.to_str()?));
    }
    let below =
        fs::read_dir(directory).ok()?.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    below.into_iter().find_map(|entry| find(top, &entry.path(), depth.checked_sub(1)?))
}

/// Pids are shown as in the reader's pid namespace; those outside of it as 0.
fn lists_agent(directory: &Path) -> bool {
    let own = std::process::id().to_string();
    fs::read_to_string(directory.join("cgroup.procs")).is_ok_and(|pids| pids.lines().any(|pid| pid == own))
}

/// The whole path of a cgroup that is shown as `shown` in a namespace with that root.
pub(super) fn resolve(root: &str, shown: &str) -> String {
    if root.is_empty() && !shown.starts_with("/..") {
        return shown.to_owned();
    }
    let mut whole: Vec<&str> = root.split('/').filter(|component| !component.is_empty()).collect();
    for component in shown.split('/').filter(|component| !component.is_empty()) {
        if component == ".." {
            whole.pop();
        } else {
            whole.push(component);
        }
    }
    format!("/{}", whole.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_a_namespace_is_made_whole() {
        for (root, shown, whole) in [
            ("", "/kubepods/pod1/c", "/kubepods/pod1/c"),
            ("", "/", "/"),
            ("/kubepods.slice/a.slice/own.scope", "/../../b.slice/c.scope", "/kubepods.slice/b.slice/c.scope"),
            ("/kubepods.slice/a.slice/own.scope", "/../../../init.scope", "/init.scope"),
            ("/kubepods.slice/a.slice/own.scope", "/", "/kubepods.slice/a.slice/own.scope"),
            ("/kubepods.slice/a.slice/own.scope", "/below", "/kubepods.slice/a.slice/own.scope/below"),
            ("/a", "/../../../b", "/b"),
            ("", "/../../b.slice/c.scope", "/b.slice/c.scope"),
        ] {
            assert_eq!(resolve(root, shown), whole, "{root} {shown}");
        }
    }
}
