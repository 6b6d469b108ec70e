//! Texts of the kubelet and of the attach controller about a volume that could not be attached or mounted.
//!
//! `pkg/volume/util/operationexecutor/operation_generator.go` (`MountVolume.SetUp failed for volume "x" : …`),
//! `pkg/kubelet/volumemanager/volume_manager.go` (`Unable to attach or mount volumes: …`),
//! `pkg/volume/{secret,configmap, projected}`, `pkg/controller/volume/attachdetach`. The text of a CSI driver behind
//! them is its own.

use super::{
    create,
    phrase::{bare_message, chain, is, is_any, list},
};

/// Why a volume is not there, the least specific first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Failure {
    /// The kubelet's own caches are not filled yet: passes by itself.
    NotReady,
    /// It waits, without naming for what.
    Waiting,
    /// It failed, for a reason of the storage.
    Failed,
    /// The claim is not bound or does not exist.
    ClaimUnbound,
    /// A key of a ConfigMap or Secret does not exist.
    KeyMissing,
    /// A ConfigMap of the pod's own volume does not exist.
    ConfigMapMissing,
    /// A Secret of the pod's own volume does not exist.
    SecretMissing,
}

/// The contents of a message. `None` if the text is not known.
pub fn failure(message: &str) -> Option<Failure> {
    let links = chain(bare_message(message));
    let (first, rest) = links.split_first()?;
    if is(first, "MountVolume.SetUp failed for volume {}") {
        return Some(set_up(rest));
    }
    let phrases = [
        "MountVolume.{} failed for volume {}",
        "MountVolume.NewMounter initialization failed for volume {}",
        "MountVolume.NodeAffinity check failed for volume {}",
        "MapVolume.{} failed for volume {}",
        "AttachVolume.{} failed for volume {}",
        "Multi-Attach error for volume {} {*}",
        "UnmountVolume.{} failed for volume {}",
        "hostPath type check failed",
    ];
    if is_any(first, &phrases) {
        return Some(Failure::Failed);
    }
    let waits = ["Unable to attach or mount volumes", "Unable to mount volumes for pod {}"];
    if is_any(first, &waits) {
        return Some(claim(rest).unwrap_or(Failure::Waiting));
    }
    None
}

/// What the kubelet found of a claim: `volumemanager/populator/desired_state_of_world_populator.go`. To have failed
/// to get it shows nothing of the claim, except by the API server's own answer.
fn claim(links: &[&str]) -> Option<Failure> {
    let unbound = [
        "PVC is not bound",
        "PVC is being deleted",
        "persistentvolumeclaims {} not found",
        "persistentvolumeclaim {} not found",
        "PVC {} has non-bound phase ({*}) or empty pvc.Spec.VolumeName ({*})",
    ];
    // Several claims are listed: `[error processing PVC ns/a: PVC is not bound, error processing PVC ns/b: …]`.
    let parts: Vec<_> =
        links.iter().flat_map(|link| list(link.trim_start_matches('[').trim_end_matches(']'))).collect();
    let found = |phrases: &[&str]| parts.iter().any(|part| is_any(part, phrases));
    match (found(&unbound), found(&["error processing PVC {}", "can't use PVC {}"])) {
        (true, _) => Some(Failure::ClaimUnbound),
        (false, true) => Some(Failure::Failed),
        (false, false) => None,
    }
}

/// What failed when the volume was set up: for volumes that the kubelet fills itself, the text names what is missing.
fn set_up(rest: &[&str]) -> Failure {
    // What a driver reports to be missing is its own, and no reference of the pod.
    let Some(first) = rest.first().copied().filter(|first| *first != "rpc error") else { return Failure::Failed };
    if is(first, "persistentvolumeclaim {} not found") {
        return Failure::ClaimUnbound;
    }
    // A projected volume lists what is missing: `[configmap "a" not found, references non-existent secret key: b]`.
    let whole = rest.join(": ");
    let joined = whole.strip_prefix('[').and_then(|inner| inner.strip_suffix(']'));
    let parts: Vec<_> = joined.map_or_else(|| vec![rest.to_vec()], |all| list(all).into_iter().map(chain).collect());
    if parts.iter().all(|part| part.first().is_some_and(|first| is_any(first, CACHES))) {
        return Failure::NotReady;
    }
    let missing =
        parts.iter().filter_map(|part| part.split_first().and_then(|(first, rest)| create::missing(first, rest)));
    let failures = missing.map(|refusal| match refusal {
        create::Refusal::ConfigMapMissing => Failure::ConfigMapMissing,
        create::Refusal::SecretMissing => Failure::SecretMissing,
        create::Refusal::KeyMissing => Failure::KeyMissing,
        create::Refusal::RunAsRoot | create::Refusal::Volume | create::Refusal::Device | create::Refusal::NotReady => {
            Failure::Failed
        }
    });
    failures.max().unwrap_or(Failure::Failed)
}

/// The kubelet's caches of ConfigMaps and Secrets (`pkg/kubelet/util/manager`), which it fills when it knows the pod.
const CACHES: &[&str] = &[
    "failed to sync configmap cache",
    "failed to sync secret cache",
    "couldn't propagate object cache",
    "object {}/{} not registered",
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_the_pods_own_references_count_as_missing() {
        use Failure::*;
        for (message, expected) in [
            ("MountVolume.SetUp failed for volume \"tls\" : secret \"web-tls\" not found", Some(SecretMissing)),
            (
                "MountVolume.SetUp failed for volume \"c\" : configmap \"kube-root-ca.crt\" not found",
                Some(ConfigMapMissing),
            ),
            (
                "MountVolume.SetUp failed for volume \"p\" : [configmap \"a\" not found, secret \"b\" not found]",
                Some(SecretMissing),
            ),
            (
                "MountVolume.SetUp failed for volume \"config\" : configmap references non-existent config key: app.yml",
                Some(KeyMissing),
            ),
            (
                "MountVolume.MountDevice failed for volume \"pvc-1\" : fetching NodeStageSecretRef rook-ceph/n failed: \
                 kubernetes.io/csi: failed to find the secret n in the namespace r with error: secrets \"n\" not found",
                Some(Failed),
            ),
            (
                "MountVolume.SetUp failed for volume \"s\" : rpc error: code = Unknown desc = failed to get \
                 secretproviderclass csi/a, error: SecretProviderClass.x \"a\" not found",
                Some(Failed),
            ),
            (
                "Unable to attach or mount volumes: unmounted volumes=[tls], unattached volumes=[k tls]: timed out \
                 waiting for the condition",
                Some(Waiting),
            ),
            (
                "Unable to attach or mount volumes: unmounted volumes=[d], unattached volumes=[], failed to process \
                 volumes=[d]: error processing PVC ns/d: failed to fetch PVC from API server: persistentvolumeclaims \
                 \"d\" not found",
                Some(ClaimUnbound),
            ),
            (
                "Unable to attach or mount volumes: unmounted volumes=[d e], unattached volumes=[], failed to process \
                 volumes=[d e]: [error processing PVC ns/d: PVC is not bound, error processing PVC ns/e: PVC is not \
                 bound]: timed out waiting for the condition",
                Some(ClaimUnbound),
            ),
            (
                "Unable to attach or mount volumes: unmounted volumes=[d], unattached volumes=[d], failed to process \
                 volumes=[d]: error processing PVC ns/d: failed to fetch PVC from API server: persistentvolumeclaims \
                 \"d\" is forbidden: User \"system:node:a\" cannot get resource \"persistentvolumeclaims\" in API group \
                 \"\" in the namespace \"ns\": no relationship found between node 'a' and this object",
                Some(Failed),
            ),
            (
                "Unable to attach or mount volumes: unmounted volumes=[d], unattached volumes=[d], failed to process \
                 volumes=[d]: error processing PVC ns/d: failed to fetch PVC from API server: Get \"https://10.0.0.1/d\": \
                 dial tcp 10.0.0.1:443: connect: connection refused",
                Some(Failed),
            ),
            (
                "MountVolume.SetUp failed for volume \"cfg\" : failed to sync configmap cache: timed out waiting for \
                 the condition",
                Some(NotReady),
            ),
            ("Multi-Attach error for volume \"pvc-1\" Volume is already used by pod(s) a", Some(Failed)),
            (
                "MountVolume.SetUp failed for volume \"kube-api-access-x\" : [failed to fetch token: serviceaccounts \
                 \"default\" not found, failed to sync configmap cache: timed out waiting for the condition]",
                Some(Failed),
            ),
            ("AttachVolume.FindAttachablePluginBySpec failed for volume \"v\"", Some(Failed)),
            (
                "MountVolume.SetUp failed for volume \"h\" : hostPath type check failed: /x is not a directory",
                Some(Failed),
            ),
            (
                "Unable to mount volumes for pod \"web-0_ns(u)\": timeout expired waiting for volumes to attach or mount \
                 for pod \"ns\"/\"web-0\"",
                Some(Waiting),
            ),
            ("the disk sulks", None),
        ] {
            assert_eq!(failure(message), expected, "{message}");
        }
    }

    proptest! {
        #[test]
        fn names_of_volumes_secrets_and_drivers_decide_nothing(
            name in "(secret|configmap|not-found|not-registered|timed-out|sync-cache|[a-z]){1,4}"
        ) {
            let message = format!(
                "MountVolume.MountDevice failed for volume \"{name}\" : rpc error: code = NotFound desc = {name}.csi: \
                 volume {name} not found"
            );
            prop_assert_eq!(failure(&message), Some(Failure::Failed));
            let message = format!("MountVolume.SetUp failed for volume \"{name}\" : secret \"{name}\" not found");
            prop_assert_eq!(failure(&message), Some(Failure::SecretMissing));
            let message = format!(
                "MountVolume.SetUp failed for volume \"{name}\" : kubernetes.io/csi: mounter.SetUpAt failed to get CSI \
                 client: driver name {name}.k8s.io not found in the list of registered CSI drivers"
            );
            prop_assert_eq!(failure(&message), Some(Failure::Failed));
        }
    }
}
