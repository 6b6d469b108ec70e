//! The words on a sandbox that could not be made, of the kubelet and of the runtimes behind it.
//!
//! `pkg/kubelet/kuberuntime/kuberuntime_sandbox.go`; containerd `internal/cri/server/sandbox_run.go`; CRI-O
//! `server/sandbox_network.go`, `internal/ocicni`; dockershim `pkg/kubelet/dockershim/network/plugins.go`.

use super::phrase::{bare_message, chain, is_any, without_rpc};

/// Which step of creating a sandbox failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Failure {
    /// Something else: its image, its runtime, its cgroup.
    Create,
    /// Its network.
    Network,
}

/// What could not be made. `None` if the text is not known.
pub fn failure(message: &str) -> Option<Failure> {
    let message = bare_message(message);
    let mut links = without_rpc(chain(message));
    let passing = ["Failed to create pod sandbox", "Failed create pod sandbox", "Error syncing pod, skipping"];
    while links.first().is_some_and(|first| is_any(first, &passing)) {
        links.remove(0);
        links = without_rpc(links);
    }
    let first = links.first()?.trim_start_matches('[');
    if is_any(first, NETWORK) {
        Some(Failure::Network)
    } else if is_any(first, CREATE) {
        Some(Failure::Create)
    } else {
        // Network plugins name themselves, whichever component passes the text on.
        links.iter().any(|link| is_any(link, PLUGIN)).then_some(Failure::Network)
    }
}

const NETWORK: &[&str] = &[
    "network is not ready",
    "server shutdown before CNI plugin was ready",
    "failed to setup network for sandbox",
    "failed to setup network for sandbox {}",
    "failed to setup network for sandbox {} {*}",
    "failed to create network namespace for sandbox {}",
    "failed to set up sandbox container {} network for pod {}",
    "failed to setup sandbox container {} network for pod {}",
    "failed to teardown pod {} network",
    "networkPlugin {} failed to set up pod {} network",
    "NetworkPlugin {} failed to set up pod {} network",
    "failed to create pod network sandbox {}",
    "error adding pod {} to CNI network {}",
    "failed to get network status for pod sandbox {}",
    "failed to get network JSON for pod sandbox {}",
    "failed to add hostport mapping for sandbox {}",
    "failed to destroy network for sandbox {}",
];

/// `github.com/containernetworking/cni/pkg/invoke`, `github.com/containerd/go-cni`.
const PLUGIN: &[&str] = &[
    "plugin type={} failed (add)",
    "plugin type={} name={} failed (add)",
    "cni plugin not initialized",
    "netplugin failed",
    "netplugin failed with no error message",
];

const CREATE: &[&str] = &[
    "failed to get sandbox image {}",
    "failed to get sandbox runtime",
    "unable to get OCI runtime for sandbox {}",
    "no runtime for {} is configured",
    "RuntimeHandler {} not supported",
    "failed to find runtime handler {} from runtime list {*}",
    "failed to reserve sandbox name {}",
    "error reserving pod name {*}",
    "failed to create sandbox container",
    "failed to create containerd container",
    "failed to create containerd task",
    "failed to start containerd task {}",
    "failed to start sandbox container task {}",
    "failed to start sandbox {}",
    "failed to start sandbox container for pod {}",
    "failed to create a sandbox for pod {}",
    "failed to create sandbox {}",
    "failed to create shim task",
    "failed to start shim",
    "failed to generate sandbox container spec",
    "failed to generate sandbox container spec options",
    "failed to create sandbox root directory {}",
    "failed to mount sandbox files",
    "failed to setup sandbox files",
    "unable to ensure pod container exists",
    "container create failed",
    "OCI runtime create failed",
    "CreateContainer failed",
    "open /run/systemd/resolve/resolv.conf",
    "error creating pod sandbox with name {}",
    "error creating read-write layer with ID {}",
    "Error response from daemon",
    "unable to pull image or OCI artifact",
    "creating pause container {*}",
    "failed pulling image {}",
    "connection error",
    "failed to add conmon to systemd sandbox cgroup",
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OF_KUBELET: &str = "Failed to create pod sandbox: rpc error: code = Unknown desc = ";

    #[test]
    fn only_the_networks_own_texts_are_the_networks() {
        for (message, expected) in [
            (
                "failed to setup network for sandbox \"86d7\": plugin type=\"flannel\" failed (add): failed to load \
                 flannel 'subnet.env' file",
                Some(Failure::Network),
            ),
            (
                "[failed to set up sandbox container \"a\" network for pod \"web-0\": networkPlugin cni failed to set \
                 up pod \"web-0_ns\" network: x, failed to clean up]",
                Some(Failure::Network),
            ),
            (
                "failed to create pod network sandbox k8s_web-0_ns1_u_0(abc): error adding pod ns1_web-0 to CNI network \
                 \"multus-cni-network\": x",
                Some(Failure::Network),
            ),
            ("failed to get sandbox image \"registry.k8s.io/pause:3.6\": dial tcp: i/o timeout", Some(Failure::Create)),
            (
                "failed to create containerd task: failed to create shim task: OCI runtime create failed: fork/exec \
                 /opt/nvidia/network: no such file or directory",
                Some(Failure::Create),
            ),
            ("failed to get sandbox runtime: no runtime for \"network\" is configured", Some(Failure::Create)),
            (
                "failed to start sandbox container for pod \"web-0\": operation timeout: context deadline exceeded",
                Some(Failure::Create),
            ),
            ("NetworkPlugin cni failed to set up pod \"web-0_ns\" network: x", Some(Failure::Network)),
            ("failed pulling image \"k8s.gcr.io/pause:3.2\": dial tcp: i/o timeout", Some(Failure::Create)),
            (
                "failed to setup network for sandbox: plugin type=\"aws-cni\" failed (add): add cmd: failed to assign an IP \
                 address to container",
                Some(Failure::Network),
            ),
            ("a new wrapper: plugin type=\"calico\" failed (add): no", Some(Failure::Network)),
            ("context deadline exceeded", None),
        ] {
            assert_eq!(failure(&format!("{OF_KUBELET}{message}")), expected, "{message}");
        }
        let repeated = "(combined from similar events): Failed to create pod sandbox: rpc error: code = Unknown desc = \
                        failed to setup network for sandbox \"1\": cni plugin not initialized";
        assert_eq!(failure(repeated), Some(Failure::Network));
        let waiting = "network is not ready: container runtime network not ready: NetworkReady=false \
                       reason:NetworkPluginNotReady message:Network plugin returns error: cni plugin not initialized";
        assert_eq!(failure(waiting), Some(Failure::Network));
    }

    proptest! {
        #[test]
        fn names_decide_nothing(name in "(network|cni|sandbox|plugin|failed to setup network|: |[a-z]){1,4}") {
            let message = format!("{OF_KUBELET}failed to get sandbox image \"{name}\": {name}");
            prop_assert_eq!(failure(&message), Some(Failure::Create));
        }
    }
}
