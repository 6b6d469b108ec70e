//! Who this node is: the names that go into every diagnosis and its uid.

use std::{fs, path::Path};

use coroner_proto::v1::Node;
use coroner_runtime::clock::since_boot;
use jiff::SignedDuration;
use nix::unistd;
use tracing::warn;

use crate::host::HostRoot;

/// Reads the node's names. What cannot be read stays empty, as the wire has it.
pub fn identify(host: &HostRoot, name: Option<String>, cluster_uid: String) -> Node {
    let boot_id = line(&host.proc.join("sys/kernel/random/boot_id"));
    if boot_id.is_empty() {
        // Without it, a diagnosis of this boot cannot be distinguished from one of the next by its uid.
        warn!(path = %host.proc.display(), "The node's boot id cannot be read");
    }
    Node {
        name: name.unwrap_or_else(hostname),
        machine_id: line(&host.etc.join("machine-id")),
        boot_id,
        kernel_release: line(&host.proc.join("sys/kernel/osrelease")),
        cluster_uid,
    }
}

/// Time since boot, with suspended time.
pub fn uptime() -> Option<SignedDuration> {
    SignedDuration::try_from(since_boot()?).ok()
}

/// The hostname as the kubelet makes a node's name of it: trimmed, in lower case (pkg/util/node/node.go, GetHostname).
fn hostname() -> String {
    let name = unistd::gethostname().unwrap_or_default();
    name.to_string_lossy().trim().to_lowercase()
}

fn line(path: &Path) -> String {
    fs::read_to_string(path).map(|text| text.trim().to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_node_below_the_host_root_and_leaves_empty_what_is_not_there() {
        let root = tempfile::tempdir().unwrap();
        let random = root.path().join("proc/sys/kernel/random");
        fs::create_dir_all(&random).unwrap();
        fs::write(random.join("boot_id"), "6d3c4f6e-0000-4000-8000-000000000001\n").unwrap();
        fs::write(root.path().join("proc/sys/kernel/osrelease"), "6.12.0-cloud-amd64\n").unwrap();

        let node = identify(&HostRoot::at(root.path()), Some("worker-1".into()), "c".into());

        assert_eq!(node.name, "worker-1");
        assert_eq!(node.boot_id, "6d3c4f6e-0000-4000-8000-000000000001");
        assert_eq!(node.kernel_release, "6.12.0-cloud-amd64");
        assert_eq!(node.machine_id, "");
        assert_eq!(node.cluster_uid, "c");
    }

    #[test]
    fn a_node_without_a_name_is_called_by_its_hostname() {
        let root = tempfile::tempdir().unwrap();
        assert!(!identify(&HostRoot::at(root.path()), None, String::new()).name.is_empty());
    }
}
