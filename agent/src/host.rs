//! Where the node's own files are: in a pod they are mounted elsewhere than on the node itself.

use std::path::{Path, PathBuf};

/// The node's directories, as the agent sees them. Everything the agent reads of the node hangs off these.
#[derive(Clone, Debug)]
pub struct HostRoot {
    /// The node's /proc, as it is mounted here.
    pub proc: PathBuf,
    /// The node's /sys, as it is mounted here.
    pub sys: PathBuf,
    /// The node's /dev, as it is mounted here.
    pub dev: PathBuf,
    /// The node's /etc, as it is mounted here.
    pub etc: PathBuf,
    /// The node's /run, as it is mounted here.
    pub run: PathBuf,
    /// The node's /var/log, as it is mounted here.
    pub log: PathBuf,
    /// The node's /var/lib/kubelet, as it is mounted here.
    pub kubelet: PathBuf,
    /// The node's /var/lib/rancher, where k3s and RKE2 keep their files, as it is mounted here.
    pub rancher: PathBuf,
}

impl HostRoot {
    /// The directories below one root, as the node itself has them.
    pub fn at(root: &Path) -> Self {
        let [proc, sys, dev, etc, run] = ["proc", "sys", "dev", "etc", "run"].map(|dir| root.join(dir));
        let [log, kubelet, rancher] = ["log", "lib/kubelet", "lib/rancher"].map(|dir| root.join("var").join(dir));
        Self { proc, sys, dev, etc, run, log, kubelet, rancher }
    }
}
