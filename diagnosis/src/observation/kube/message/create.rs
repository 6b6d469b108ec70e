//! The kubelet's words on a container that it could not configure: reason `CreateContainerConfigError`.
//!
//! `pkg/kubelet/kubelet_pods.go` (`makeEnvironmentVariables`, `makeMounts`),
//! `pkg/kubelet/kuberuntime/security_context.go` (`verifyRunAsNonRoot`), `pkg/kubelet/cm/devicemanager/manager.go`.

use super::phrase::{bare_message, chain, is_any, without_rpc};

/// What the kubelet could not configure for a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A ConfigMap does not exist.
    ConfigMapMissing,
    /// A Secret does not exist.
    SecretMissing,
    /// A key of one of them does not exist.
    KeyMissing,
    /// It would run as root, which its security context forbids.
    RunAsRoot,
    /// A volume or a path below it is not there.
    Volume,
    /// A device could not be prepared.
    Device,
    /// The kubelet's own caches are not filled yet: passes by itself.
    NotReady,
}

/// What could not be configured. `None` if the text is not known.
pub fn refusal(message: &str) -> Option<Refusal> {
    let links = without_rpc(chain(bare_message(message)));
    let (first, rest) = links.split_first()?;
    missing(first, rest).or_else(|| known(first))
}

/// What of a ConfigMap or Secret is missing, by the whole message.
pub(super) fn missing(first: &str, rest: &[&str]) -> Option<Refusal> {
    // The key stands last: `configmap references non-existent config key: app.yml`.
    let phrases = [
        "configmap references non-existent config key",
        "secret references non-existent secret key",
        "references non-existent config key",
        "references non-existent secret key",
    ];
    if is_any(first, &phrases) {
        return Some(Refusal::KeyMissing);
    }
    if !rest.is_empty() {
        return None;
    }
    let tables: [(Refusal, &[&str]); 3] = [
        (Refusal::ConfigMapMissing, &["configmap {} not found", "configmaps {} not found"]),
        (Refusal::SecretMissing, &["secret {} not found", "secrets {} not found"]),
        (Refusal::KeyMissing, &["couldn't find key {} in ConfigMap {}", "couldn't find key {} in Secret {}"]),
    ];
    tables.into_iter().find_map(|(refusal, phrases)| is_any(first, phrases).then_some(refusal))
}

fn known(link: &str) -> Option<Refusal> {
    let tables: [(Refusal, &[&str]); 4] = [
        (
            Refusal::RunAsRoot,
            &[
                "container has runAsNonRoot and image will run as root",
                "container has runAsNonRoot and image will run as root (pod",
                "container has runAsNonRoot and image has non-numeric user ({*}), cannot verify user is non-root",
                "container has runAsNonRoot and image has non-numeric user ({*}), cannot verify user is non-root (pod",
                "container's runAsUser breaks non-root policy",
                "container's runAsUser breaks non-root policy (pod",
                "container's runAsUserName ({*}) which will be regarded as root identity and will break non-root policy (pod",
            ],
        ),
        (
            Refusal::Volume,
            &[
                "cannot find volume {} to mount into container {}",
                "failed to prepare subPath for volumeMount {} of container {}",
                "failed to create subPath directory for volumeMount {} of container {}",
                "stat {}",
                "lstat {}",
                "volume {} is not mounted",
            ],
        ),
        (Refusal::Device, &["device plugin PreStartContainer rpc failed with err", "no healthy devices present; {*}"]),
        (
            Refusal::NotReady,
            &[
                "failed to sync configmap cache",
                "failed to sync secret cache",
                "services have not yet been read at least once, cannot construct envs",
                "services have not yet been read at least once, cannot construct envvars",
            ],
        ),
    ];
    tables.into_iter().find_map(|(refusal, phrases)| is_any(link, phrases).then_some(refusal))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_what_the_kubelet_cannot_configure() {
        use Refusal::*;
        for (message, expected) in [
            ("configmap \"a\" not found", Some(ConfigMapMissing)),
            ("Error: secret \"configmap\" not found", Some(SecretMissing)),
            ("couldn't find key DB_PASS in Secret ns1/db", Some(KeyMissing)),
            ("configmap references non-existent config key: app.yml", Some(KeyMissing)),
            (
                "container has runAsNonRoot and image will run as root (pod: \"a_b(c)\", container: app)",
                Some(RunAsRoot),
            ),
            (
                "container has runAsNonRoot and image has non-numeric user (appuser), cannot verify user is non-root \
                 (pod: \"web-0_ns1(u)\", container: app)",
                Some(RunAsRoot),
            ),
            ("stat /data/pv1: no such file or directory", Some(Volume)),
            ("failed to sync configmap cache: timed out waiting for the condition", Some(NotReady)),
            ("the moon is full", None),
            ("fetching x: secret \"a\" not found", None),
        ] {
            assert_eq!(refusal(message), expected, "{message}");
        }
    }
}
