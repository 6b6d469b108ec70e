//! The API server's words on a pod that a controller may not create: event and condition `FailedCreate`.
//!
//! `plugin/pkg/admission/{resourcequota,limitranger}`, `pod-security-admission/admission`, webhooks
//! (`apiserver/pkg/admission/plugin/webhook`), validation (`apimachinery/pkg/api/errors`: `Pod "x" is invalid: …`),
//! etcd.

use super::phrase::{bare, bare_message, chain, is, is_any, list, names};

/// Why the API server did not create a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal<'m> {
    /// Over the namespace's quota, or without the requests that it demands.
    Quota {
        /// What the quota demands and the pod leaves out, as `limits.cpu`; empty if the quota is used up.
        demanded: Vec<&'m str>,
    },
    /// Outside the namespace's LimitRange.
    LimitRange,
    /// Refused by a webhook, a policy or Pod Security.
    Denied,
    /// A webhook could not be asked.
    WebhookFailed {
        /// Its name.
        webhook: &'m str,
        /// Namespace and name of the Service behind it, where the URL names them.
        service: Option<(&'m str, &'m str)>,
    },
    /// The template is invalid.
    Invalid,
    /// The API server, or what it stands on, failed for a reason of its own.
    Server,
}

/// The refusal in a message. `None` if the text is not known.
pub fn refusal(message: &str) -> Option<Refusal<'_>> {
    let mut links = chain(bare_message(message));
    while links.first().is_some_and(|first| is_any(first, WRAPPERS)) {
        links.remove(0);
    }
    let (first, rest) = links.split_first()?;
    // Without a name: who creates it may not, by the roles that it has.
    if is_any(first, &["{} {} is forbidden", "{} is forbidden"]) {
        return Some(forbidden(rest));
    }
    if is_any(first, DENIED) {
        return Some(Refusal::Denied);
    }
    if let Some(found) = FAILED_WEBHOOK.iter().find_map(|phrase| names(first, phrase)) {
        return Some(Refusal::WebhookFailed {
            webhook: bare(found.first()?),
            service: rest.iter().find_map(|l| service(l)),
        });
    }
    // All webhooks together took too long.
    if let Some(found) = names(first, "admission plugin {} failed to complete {} in {}") {
        return Some(Refusal::WebhookFailed { webhook: bare(found.first()?), service: None });
    }
    if is_any(first, &["{} {} is invalid", "Pod in version {} cannot be handled as a Pod"]) {
        return Some(Refusal::Invalid);
    }
    is_any(first, SERVER).then_some(Refusal::Server)
}

/// Who passes it on, of what a controller creates for its pods: `pkg/controller/controller_utils.go`,
/// `statefulset/stateful_pod_control.go`, `cronjob/cronjob_controllerv2.go`, `deployment/sync.go`.
const WRAPPERS: &[&str] = &[
    "Error creating",
    "Error creating job",
    "Error",
    "FailedCreate",
    "Internal error occurred",
    "create Pod {} in StatefulSet {} failed error",
    "create Claim {} for Pod {} in StatefulSet {} failed error",
    "Failed to create PVC {}",
    "failed to create PVC {}",
    "Failed to create new replica set {}",
];

const DENIED: &[&str] = &[
    "admission webhook {} denied the request",
    "admission webhook {} denied the request without explanation",
    "admission webhook {} denied the request without explanation{*}",
    "ValidatingAdmissionPolicy {} with binding {} denied request",
    "MutatingAdmissionPolicy {} with binding {} denied request",
];

const FAILED_WEBHOOK: &[&str] =
    &["failed calling webhook {}", "failed calling admission webhook {}", "failed to call webhook {}"];

const SERVER: &[&str] = &[
    "etcdserver",
    "Timeout",
    "context deadline exceeded",
    "context canceled",
    "http2",
    "net/http",
    "unexpected EOF",
    "EOF",
    "Post {}",
    "Unauthorized",
    "Too many requests{*}",
    "storage is (re)initializing",
    "the server was unable to return a response in the time allotted, but may still be processing the request{*}",
    "the server is currently unable to handle the request{*}",
    "the server has received too many requests and has asked us to try again later{*}",
    "the server could not find the requested resource{*}",
    "an error on the server ({*}",
    "Operation cannot be fulfilled on {} {}",
    "Operation cannot be fulfilled on {}",
    "object is being deleted",
    "apiserver is shutting down",
    "apiserver is shutting down.",
    "pods {} already exists",
    "namespaces {} not found",
    "client rate limiter Wait returned an error",
    "resource quota evaluation timed out",
    "unable to create pods",
    "rpc error",
    "The POST operation against Pod could not be completed at this time, please try again.",
];

/// Behind `pods "x" is forbidden: `.
fn forbidden<'m>(rest: &[&'m str]) -> Refusal<'m> {
    match rest {
        [first, ..] if is_any(first, &["exceeded quota", "insufficient quota to match these scopes"]) => {
            Refusal::Quota { demanded: Vec::new() }
        }
        [first, quota, behind @ ..] if *first == "failed quota" => Refusal::Quota { demanded: demanded(quota, behind) },
        [first, ..] if is(first, "status unknown for quota") => Refusal::Server,
        [first, ..] => {
            let inner = first.strip_prefix('[').map_or(*first, |inner| inner.trim_end_matches(']'));
            let ranged = list(inner).into_iter().any(|part| is_any(part, RANGE));
            if ranged { Refusal::LimitRange } else { Refusal::Denied }
        }
        [] => Refusal::Denied,
    }
}

/// `must specify limits.cpu for: a,b; limits.memory for: a`; before 1.23 `must specify limits.cpu,limits.memory`.
fn demanded<'m>(quota: &'m str, behind: &[&'m str]) -> Vec<&'m str> {
    let first = behind.first().and_then(|link| names(link, "must specify {*}"));
    let first = first.or_else(|| names(quota, "{}, must specify {*}")).and_then(|found| found.last().copied());
    let Some(first) = first else { return Vec::new() };
    let Some(first) = first.strip_suffix(" for") else { return first.split(',').collect() };
    let others = behind.iter().filter_map(|link| link.rsplit_once("; ")?.1.strip_suffix(" for"));
    [first].into_iter().chain(others).collect()
}

const RANGE: &[&str] = &[
    "minimum {} usage per {} is {*}",
    "maximum {} usage per {} is {*}",
    "{} max limit to request ratio per {} is {*}",
];

/// The Service of `Post "https://policy.policy-system.svc:443/validate?timeout=10s"`.
fn service(link: &str) -> Option<(&str, &str)> {
    let url = names(link, "Post {}")?.first().copied().map(bare)?;
    let host = url.split_once("://")?.1.split(['/', ':']).next()?;
    let (name, rest) = host.split_once('.')?;
    let (namespace, of) = rest.split_once('.')?;
    (of == "svc" || of.starts_with("svc.")).then_some((namespace, name))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn distinguishes_who_refused() {
        use Refusal::*;
        for (message, expected) in [
            (
                "pods \"a\" is forbidden: exceeded quota: q, requested: cpu=1, used: cpu=1, limited: cpu=1",
                Some(Quota { demanded: vec![] }),
            ),
            (
                "Error creating: pods \"a\" is forbidden: failed quota: q: must specify limits.cpu for: c",
                Some(Quota { demanded: vec!["limits.cpu"] }),
            ),
            (
                "Error creating: pods \"a\" is forbidden: failed quota: q: must specify limits.cpu for: a,b; limits.memory \
                 for: a; requests.cpu for: b",
                Some(Quota { demanded: vec!["limits.cpu", "limits.memory", "requests.cpu"] }),
            ),
            (
                "pods \"a\" is forbidden: failed quota: q: must specify limits.cpu,limits.memory",
                Some(Quota { demanded: vec!["limits.cpu", "limits.memory"] }),
            ),
            ("pods \"a\" is forbidden: minimum cpu usage per Pod is 100m, but request is 50m", Some(LimitRange)),
            (
                "pods \"a\" is forbidden: [maximum cpu usage per Container is 4, but limit is 6, maximum memory usage \
                 per Container is 2Gi, but limit is 4Gi]",
                Some(LimitRange),
            ),
            ("pods \"a\" is forbidden: violates PodSecurity \"restricted:latest\": privileged", Some(Denied)),
            ("admission webhook \"policy.example\" denied the request: no", Some(Denied)),
            (
                "create Pod web-0 in StatefulSet web failed error: admission webhook \"a\" denied the request: no",
                Some(Denied),
            ),
            (
                "Internal error occurred: failed calling webhook \"v.example\": failed to call webhook: Post \
                 \"https://policy.policy-system.svc:443/validate?timeout=10s\": no endpoints available for service \
                 \"policy\"",
                Some(WebhookFailed { webhook: "v.example", service: Some(("policy-system", "policy")) }),
            ),
            ("Pod \"a\" is invalid: spec.containers[0].image: Required value", Some(Invalid)),
            ("etcdserver: request timed out", Some(Server)),
            ("Error creating: etcdserver: mvcc: database space exceeded", Some(Server)),
            (
                "Internal error occurred: admission plugin \"MutatingAdmissionWebhook\" failed to complete mutation in 13s",
                Some(WebhookFailed { webhook: "MutatingAdmissionWebhook", service: None }),
            ),
            (
                "Error creating: Operation cannot be fulfilled on resourcequotas \"q\": the object has been modified; \
                 please apply your changes to the latest version and try again",
                Some(Server),
            ),
            (
                "pods \"a\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: failed",
                Some(Denied),
            ),
            (
                "pods \"a\" is forbidden: [cpu max limit to request ratio per Container is 5, but no request is specified \
                 or request is 0]",
                Some(LimitRange),
            ),
            ("Timeout: request did not complete within requested timeout - context deadline exceeded", Some(Server)),
            (
                "create Claim d-web-0 for Pod web-0 in StatefulSet web failed error: persistentvolumeclaims \"d-web-0\" \
                 is forbidden: exceeded quota: q, requested: requests.storage=10Gi, used: requests.storage=95Gi, \
                 limited: requests.storage=100Gi",
                Some(Quota { demanded: vec![] }),
            ),
            (
                "create Claim d-web-0 for Pod web-0 in StatefulSet web failed error: persistentvolumeclaims \"d-web-0\" \
                 is forbidden: maximum storage usage per PersistentVolumeClaim is 5Gi, but request is 10Gi",
                Some(LimitRange),
            ),
            (
                "create Claim d-web-0 for Pod web-0 in StatefulSet web failed error: PersistentVolumeClaim \"d-web-0\" \
                 is invalid: spec.resources[storage]: Required value",
                Some(Invalid),
            ),
            (
                "create Pod web-0 in StatefulSet web failed error: Failed to create PVC d-web-0: \
                 persistentvolumeclaims \"d-web-0\" is forbidden: exceeded quota: dev, requested: \
                 requests.storage=10Gi, used: requests.storage=150Gi, limited: requests.storage=150Gi",
                Some(Quota { demanded: vec![] }),
            ),
            (
                "Error creating job: jobs.batch \"web-1\" is forbidden: exceeded quota: q, requested: \
                 count/jobs.batch=1, used: count/jobs.batch=5, limited: count/jobs.batch=5",
                Some(Quota { demanded: vec![] }),
            ),
            (
                "Failed to create new replica set \"web-1\": replicasets.apps \"web-1\" is forbidden: exceeded quota: q, \
                 requested: count/replicasets.apps=1, used: count/replicasets.apps=5, limited: \
                 count/replicasets.apps=5",
                Some(Quota { demanded: vec![] }),
            ),
            (
                "pods is forbidden: User \"system:serviceaccount:kube-system:replicaset-controller\" cannot create \
                 resource \"pods\" in API group \"\" in the namespace \"ns1\"",
                Some(Denied),
            ),
            ("MutatingAdmissionPolicy 'p' with binding 'b' denied request: failed to apply patch", Some(Denied)),
            ("the clerk is out for lunch", None),
        ] {
            assert_eq!(refusal(message), expected, "{message}");
        }
    }

    proptest! {
        #[test]
        fn the_name_of_a_pod_decides_nothing(name in "(exceeded-quota|denied|forbidden|webhook|etcdserver|[a-z]){1,4}") {
            let message = format!("pods \"{name}\" is forbidden: violates PodSecurity \"{name}\": {name}");
            prop_assert_eq!(refusal(&message), Some(Refusal::Denied));
            let message = format!("Pod \"{name}\" is invalid: spec: {name}");
            prop_assert_eq!(refusal(&message), Some(Refusal::Invalid));
        }
    }
}
