//! The scheduler's words on a pod that no node takes.
//!
//! `pkg/scheduler/framework/types.go`, `FitError`: `0/5 nodes are available: ` with a histogram of the first filter
//! that each node failed, or the one sentence of a plugin that refused before any node was looked at; then sentences
//! about preemption. The phrases are those of `pkg/scheduler/framework/plugins/*`; of Volcano's `pkg/scheduler/api/
//! unschedule_info.go`; of `kubernetes-sigs/scheduler-plugins`, `pkg/coscheduling`; and of Koordinator's.

mod filters;

use self::filters::FILTERS;
use super::phrase::{chain, is, is_any, list, names, sentence};

/// One reason, and how many nodes it keeps out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal<'m> {
    /// Nodes; 0 where it is about the pod as a whole.
    pub nodes: u32,
    /// Why these nodes do not suit the pod.
    pub reason: Reason<'m>,
    /// The reason, as the scheduler words it.
    pub text: &'m str,
}

/// Why a node, or all of them, are refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason<'m> {
    /// Too little of a resource, by its name; empty where none is named.
    Resources(&'m str),
    /// A host port is taken.
    HostPorts,
    /// A claim is not bound, does not exist or lost its volume.
    ClaimUnbound,
    /// A bound volume ties the pod to other nodes, or the node cannot take another volume.
    Volume,
    /// Another pod uses a claim that only one may use at a time.
    ClaimInUse,
    /// Devices of a resource claim.
    Device,
    /// `nodeSelector`, node affinity or `nodeName`.
    NodeLabels,
    /// A node lacks the label by which the pod's constraints spread it.
    TopologyLabel,
    /// Affinity between pods, or their spreading.
    Affinity,
    /// Taints, by their keys; empty where none is named.
    Taints(Vec<&'m str>),
    /// The node is cordoned or not ready, or there is none.
    NoNode,
    /// The group that the pod must be scheduled with.
    Group,
    /// Words that are not known.
    Unknown,
}

/// The reasons that a message names, in its order.
pub fn refusals(message: &str) -> Vec<Refusal<'_>> {
    let message = message.trim();
    let whole = |reason| vec![Refusal { nodes: 0, reason, text: message }];
    if let Some(reason) = of_group(message) {
        return whole(reason);
    }
    let links = chain(message);
    if let [first, rest @ ..] = &links[..]
        && let Some(reason) = of_plugin(first, rest)
    {
        return whole(reason);
    }
    if let Some(refusals) = of_kai(message) {
        return refusals;
    }
    if let Some(refusals) = of_predicates(message) {
        return refusals;
    }
    let announced = ["{}/{} nodes are available", "{}/{} nodes are unavailable", "all nodes are unavailable"];
    let Some((head, rest)) = message.split_once(':').filter(|(head, _)| is_any(head, &announced)) else {
        let (body, _) = sentence(message);
        return whole(reason(body));
    };
    if head.starts_with("0/0 ") {
        return whole(Reason::NoNode);
    }
    let (histogram, _) = sentence(rest.trim());
    let mut refusals: Vec<Refusal<'_>> = Vec::new();
    // A part without a count continues the one before: reasons may hold a comma.
    let mut start = 0;
    let parts = list(histogram);
    for (index, part) in parts.iter().enumerate() {
        let begins = counted(part).is_some() || index == 0;
        if begins {
            start = offset(histogram, part);
        }
        let text = histogram[start..offset(histogram, part) + part.len()].trim();
        let (nodes, text) = counted(text).unwrap_or((0, text));
        let refusal = Refusal { nodes, reason: reason(text), text };
        match refusals.last_mut() {
            Some(last) if !begins => *last = refusal,
            _ => refusals.push(refusal),
        }
    }
    refusals
}

/// The histogram before 1.8: `No nodes are available that match all of the following predicates:: Insufficient cpu (3),
/// MatchNodeSelector (1).`
fn of_predicates(message: &str) -> Option<Vec<Refusal<'_>>> {
    let heads = [
        "No nodes are available that match all of the following predicates:: {*}",
        "No nodes are available that match all of the predicates: {*}",
    ];
    let histogram = *heads.iter().find_map(|head| names(message, head))?.first()?;
    let parts = list(sentence(histogram).0).into_iter().map(|part| {
        let counted = || part.strip_suffix(')')?.rsplit_once(" (").and_then(|(text, n)| Some((n.parse().ok()?, text)));
        let (nodes, text) = counted().unwrap_or((0, part));
        Refusal { nodes, reason: reason(text), text }
    });
    Some(parts.collect())
}

/// KAI's histogram: `Resources were not found for pod ns/a due to: no nodes with enough resources were found: 3 node(s)
/// didn't have enough resources: GPUs. \n1 node(s) had …` (`pkg/scheduler/api/common_info/pod_errors.go`).
fn of_kai(message: &str) -> Option<Vec<Refusal<'_>>> {
    let pools = ["Node-Pool {}: {*}", "{*}"];
    let message = pools.iter().find_map(|phrase| names(message, phrase)?.last().copied())?;
    let why = *names(message, "Resources were not found for pod {} due to: {*}")?.last()?;
    let why = why.strip_prefix("no nodes with enough resources were found: ").unwrap_or(why);
    let parts = why.split(". \n").map(|part| {
        let (nodes, text) = counted(part.trim_end_matches('.')).unwrap_or((0, part));
        Refusal { nodes, reason: reason(text), text }
    });
    Some(parts.collect())
}

/// `3 Insufficient cpu`.
fn counted(part: &str) -> Option<(u32, &str)> {
    let (count, reason) = part.split_once(' ')?;
    Some((count.parse().ok()?, reason.trim()))
}

fn offset(text: &str, part: &str) -> usize {
    part.as_ptr() as usize - text.as_ptr() as usize
}

/// The result of one filter.
fn reason(text: &str) -> Reason<'_> {
    // Koordinator's names have several words: `Insufficient NUMA cpu`. Its quotas are no node's.
    if let Some(name) = text.strip_prefix("Insufficient ").filter(|name| !name.contains([',', ':'])) {
        return Reason::Resources(name);
    }
    if let Some(keys) = taints(text) {
        return Reason::Taints(keys);
    }
    // A PreFilter plugin left no node: `node(s) didn't satisfy plugin(s) [NodeAffinity]`.
    let by_plugin = ["node(s) didn't satisfy plugin(s) [{*}] simultaneously", "node(s) didn't satisfy plugin(s) [{*}]"];
    let by_plugin =
        by_plugin.iter().chain(&["node(s) didn't satisfy plugin {*}"]).find_map(|phrase| names(text, phrase));
    if let Some(plugins) = by_plugin {
        return first_known(plugins.first().into_iter().flat_map(|all| all.split(' ')).map(plugin));
    }
    // Volcano: `plugin InterPodAffinity predicates failed node(s) didn't match pod affinity rules`.
    if let Some([_, body]) = names(text, "plugin {} predicates failed {*}").as_deref() {
        return first_known(list(body).into_iter().map(reason));
    }
    if let Some(reason) = of_group(text) {
        return reason;
    }
    for (reason, phrases) in FILTERS {
        if is_any(text, phrases) {
            return reason.clone();
        }
    }
    Reason::Unknown
}

fn first_known<'m>(reasons: impl Iterator<Item = Reason<'m>>) -> Reason<'m> {
    let mut known = reasons.filter(|reason| *reason != Reason::Unknown);
    known.next().unwrap_or(Reason::Unknown)
}

/// The keys of the taints that a node has: of 1.24 on, before, and before 1.18.
fn taints(text: &str) -> Option<Vec<&str>> {
    let unnamed = [
        "node(s) had untolerated taint(s)",
        "node(s) had taints that the pod didn't tolerate",
        "PodToleratesNodeTaints",
    ];
    if is_any(text, &unnamed) {
        return Some(Vec::new());
    }
    let braces = names(text, "node(s) had untolerated taint {*}")
        .or_else(|| names(text, "node(s) had taint {*}, that the pod didn't tolerate"))?;
    let inner = braces.first()?.strip_prefix('{')?.strip_suffix('}')?;
    let key = |pair: &'_ str| pair.find(':').map_or(pair.len(), |at| at);
    Some(list(inner).into_iter().map(|pair| pair[..key(pair)].trim()).collect())
}

/// `running PreBind plugin "VolumeBinding": …`, and the same before 1.19. Behind it stands a refusal, or any error of
/// the plugin: only words that are known decide, never the plugin's name.
fn of_plugin<'m>(first: &str, rest: &[&'m str]) -> Option<Reason<'m>> {
    let phrases = [
        "running {*} plugin {}",
        "running {} filter plugin for pod {}",
        "running {} filter plugin",
        "error while running {} prebind plugin for pod {}",
        "error while running {} filter plugin for pod {}",
        "pod {}",
    ];
    is_any(first, &phrases).then(|| match rest {
        ["binding volumes", why] if is_any(why, BINDING) => Reason::ClaimUnbound,
        _ => first_known(rest.iter().map(|link| reason(sentence(link).0))),
    })
}

/// Why claims were not bound to the node that was chosen, behind `binding volumes: `.
const BINDING: &[&str] = &[
    "timed out waiting for the condition",
    "context deadline exceeded",
    "provisioning failed for PVC {}",
    "selectedNode annotation reset for PVC {}",
    "selectedNode annotation value {} not set to scheduled node {}",
];

/// What a plugin decides, by its name.
fn plugin(name: &str) -> Reason<'static> {
    match name {
        "VolumeBinding" => Reason::ClaimUnbound,
        "VolumeZone" | "VolumeRestrictions" | "NodeVolumeLimits" | "EBSLimits" | "GCEPDLimits" | "AzureDiskLimits"
        | "CinderLimits" => Reason::Volume,
        "DynamicResources" => Reason::Device,
        "NodeAffinity" | "NodeName" => Reason::NodeLabels,
        "NodeResourcesFit" => Reason::Resources(""),
        "NodePorts" => Reason::HostPorts,
        "TaintToleration" => Reason::Taints(Vec::new()),
        "NodeUnschedulable" => Reason::NoNode,
        "InterPodAffinity" | "PodTopologySpread" => Reason::Affinity,
        "Coscheduling" | "GangScheduling" => Reason::Group,
        _ => Reason::Unknown,
    }
}

/// Texts of group schedulers about a pod that waits for others.
fn of_group(message: &str) -> Option<Reason<'static>> {
    let phrases = [
        "{}/{} tasks in gang unschedulable: {*}",
        "pod group is not ready, {*}",
        "Not enough valid tasks for gang-scheduling, valid: {}, min: {}",
        "Resources were found for {} pods while {} are required for gang scheduling. {*}",
        "Resources were found for {} pods from all sub-groups while sub-group {} requires {} pods for gang scheduling. {*}",
        "rejected due to timeout after waiting {} at plugin Coscheduling",
        "gang {} rejected {*}",
        "Gang {} gets rejected due to {*}",
        "PodGroup {} gets rejected due to {*}",
        "pre-filter pod {} cannot find enough sibling pods, current pods number: {}, minMember of group: {}",
        "Pod {} can possibly be assigned to {}, once {*}",
        "Pod {} can possibly be assigned to {}",
        "Pod {} can possibly be assgined to {}",
    ];
    let rejected = "optimistic rejection in PostFilter";
    let by_group = is_any(message, &phrases) || chain(message).iter().any(|link| is(link, rejected));
    by_group.then_some(Reason::Group)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reasons(message: &str) -> Vec<(u32, Reason<'_>)> {
        refusals(message).into_iter().map(|refusal| (refusal.nodes, refusal.reason)).collect()
    }

    #[test]
    fn takes_the_histogram_apart() {
        let message = "0/6 nodes are available: 1 node(s) had untolerated taint {a: b}, 2 Insufficient cpu, 3 \
                       Insufficient memory. preemption: 0/6 nodes are available: 6 Preemption is not helpful for \
                       scheduling.";
        assert_eq!(
            reasons(message),
            [(1, Reason::Taints(vec!["a"])), (2, Reason::Resources("cpu")), (3, Reason::Resources("memory"))]
        );
        let older = "0/3 nodes are available: 1 node(s) had taint {node-role.kubernetes.io/master: }, that the pod \
                     didn't tolerate, 2 node(s) didn't match node selector.";
        assert_eq!(
            reasons(older),
            [(1, Reason::Taints(vec!["node-role.kubernetes.io/master"])), (2, Reason::NodeLabels)]
        );
    }

    #[test]
    fn predicates_of_old_schedulers_are_known_by_their_names() {
        let message = "No nodes are available that match all of the following predicates:: Insufficient cpu (18), \
                       MatchNodeSelector (3), PodToleratesNodeTaints (1).";
        let expected = [(18, Reason::Resources("cpu")), (3, Reason::NodeLabels), (1, Reason::Taints(vec![]))];
        assert_eq!(reasons(message), expected);
        let later = "0/4 nodes are available: 1 NodeUnschedulable, 3 MatchNodeSelector.";
        assert_eq!(reasons(later), [(1, Reason::NoNode), (3, Reason::NodeLabels)]);
    }

    #[test]
    fn an_unknown_reason_is_kept_with_its_count() {
        let message = "0/3 nodes are available: 2 node(s) lacked the blue moon, 1 node(s) were unschedulable.";
        assert_eq!(reasons(message), [(2, Reason::Unknown), (1, Reason::NoNode)]);
    }

    #[test]
    fn knows_what_concerns_the_pod_as_a_whole() {
        for (message, reason) in [
            ("no nodes available to schedule pods", Reason::NoNode),
            ("0/0 nodes are available: .", Reason::NoNode),
            ("0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims.", Reason::ClaimUnbound),
            (
                "0/1 nodes are available: waiting for dynamic resource controller to create the resourceclaim \"a.b\". \
                 no new claims to deallocate, preemption: 0/1 nodes are available: 1 x.",
                Reason::Device,
            ),
            (
                "running Reserve plugin \"DynamicResources\": waiting for resource driver to allocate resource",
                Reason::Device,
            ),
            (
                "running PreBind plugin \"VolumeBinding\": binding volumes: timed out waiting for the condition",
                Reason::ClaimUnbound,
            ),
            (
                "running PreBind plugin \"VolumeBinding\": binding volumes: provisioning failed for PVC \"d\"",
                Reason::ClaimUnbound,
            ),
            ("running PreFilter plugin \"Mystery\": no", Reason::Unknown),
            ("running PreFilter plugin \"InterPodAffinity\": failed to list NodeInfos with affinity", Reason::Unknown),
            (
                "running PreFilter plugin \"PodTopologySpread\": reading \"PreFilterPodTopologySpread\" from cycleState: \
                 not found",
                Reason::Unknown,
            ),
            (
                "running PreBind plugin \"VolumeBinding\": Operation cannot be fulfilled on persistentvolumeclaims \
                 \"d\": the object has been modified; please apply your changes to the latest version and try again",
                Reason::Unknown,
            ),
            (
                "running PreBind plugin \"VolumeBinding\": binding volumes: failed to get node \"a\": node \"a\" not \
                 found",
                Reason::Unknown,
            ),
            (
                "0/2 nodes are available: request req-0: device class x.example.com does not exist. preemption: no",
                Reason::Device,
            ),
            (
                "running PreFilter plugin \"Coscheduling\": gang child pod not collect enough, gangName: ns/g, podName: \
                 ns/a",
                Reason::Group,
            ),
            (
                "Gang \"ns/g\" gets rejected due to member Pod \"a\" is unschedulable with reason \"0/4 nodes are \
                 available: 4 Insufficient cpu.\"",
                Reason::Group,
            ),
            (
                "running \"VolumeBinding\" filter plugin for pod \"web-0\": pod has unbound immediate \
                 PersistentVolumeClaims",
                Reason::ClaimUnbound,
            ),
            (
                "running PreBind plugin \"VolumeBinding\": binding volumes: pv \"pvc-1\" node affinity doesn't match \
                 node \"a\": no matching NodeSelectorTerms",
                Reason::Volume,
            ),
            ("pod has unbound immediate PersistentVolumeClaims (repeated 3 times)", Reason::ClaimUnbound),
            (
                "0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims. not found",
                Reason::ClaimUnbound,
            ),
            ("Operation cannot be fulfilled on pods/binding \"a\": pod a is being deleted", Reason::Unknown),
            (
                "0/7 nodes are available: 7 node(s) didn't satisfy plugin(s) [NodeAffinity]. preemption: x",
                Reason::NodeLabels,
            ),
            (
                "3/6 tasks in gang unschedulable: pod group is not ready, 6 Pending, 6 minAvailable; Pending: 1 \
                 Unschedulable",
                Reason::Group,
            ),
            (
                "0/3 nodes are available: storageclass.storage.k8s.io \"not-found\" not found. preemption: no",
                Reason::ClaimUnbound,
            ),
            ("0/3 nodes are available: persistentvolume \"pv-7\" not found. preemption: no", Reason::ClaimUnbound),
            ("0/2 nodes are available: 2 ebs.example CSI driver is not installed on the node.", Reason::Volume),
            ("pod \"ns/web-0\": ResourceClaim not created yet", Reason::Device),
            ("pod \"ns/web-0\": the moon is full", Reason::Unknown),
            (
                "Resources were not found for pod ns/web-0 due to: no nodes with enough resources were found: 3 node(s) \
                 didn't have enough resources: GPUs.",
                Reason::Resources(""),
            ),
            (
                "Resources were found for 2 pods while 4 are required for gang scheduling. Additional pods cannot be \
                 scheduled due to: no nodes with enough resources were found: 1 node(s) were unschedulable.",
                Reason::Group,
            ),
            ("0/3 nodes are available: 3 Insufficient NUMA cpu.", Reason::Resources("NUMA cpu")),
            ("Insufficient quotas, quotaName: a, runtime: {}, used: {}", Reason::Unknown),
            ("Pod ns1/web-0 can possibly be assigned to node-b, once minAvailable is satisfied", Reason::Group),
            ("Pod ns1/web-0 can possibly be assgined to node-b", Reason::Group),
            ("waiting for composite pod group \"train\" tree to meet quorum", Reason::Group),
            ("0/4 nodes are available: pod affinity terms conflict. preemption: no", Reason::NodeLabels),
            ("the scheduler has the flu", Reason::Unknown),
        ] {
            let found = refusals(message);
            assert_eq!(found.len(), 1, "{message}");
            assert_eq!(found[0].reason, reason, "{message}");
        }
    }

    #[test]
    fn plugins_of_groups_and_devices_refuse_nodes_too() {
        let message = "0/9 nodes are available: 4 pre-filter pod a-0 cannot find enough sibling pods, current pods \
                       number: 1, minMember of group: 2, 5 request gpu: device class gpu.example.com does not exist.";
        assert_eq!(reasons(message), [(4, Reason::Group), (5, Reason::Device)]);
    }

    #[test]
    fn volcano_names_the_plugin_in_front() {
        let message = "all nodes are unavailable: 1 plugin InterPodAffinity predicates failed node(s) didn't match pod \
                       affinity/anti-affinity, node(s) didn't match pod affinity rules, 2 node(s) resource fit failed.";
        assert_eq!(reasons(message), [(1, Reason::Affinity), (2, Reason::Resources(""))]);
        let error = "all nodes are unavailable: 2 plugin InterPodAffinity predicates failed no snapshot.";
        assert_eq!(reasons(error), [(2, Reason::Unknown)]);
    }

    proptest! {
        #[test]
        fn any_message_is_taken_apart_without_panic(message in r"(0/5 nodes are available: )?([ -~]|, \d|é)*") {
            refusals(&message);
        }

        #[test]
        fn names_decide_nothing(
            name in "(unschedulable|node-affinity|taint|volume|insufficient|gang|claims|not-found|-|[a-z0-9]){1,9}"
        ) {
            let message = format!(
                "0/9 nodes are available: 1 Insufficient example.com/{name}, 2 node(s) had untolerated taint {{{name}: \
                 {name}}}, 3 node(s) were unschedulable. preemption: 0/9 nodes are available: 9 no."
            );
            let resource = format!("example.com/{name}");
            prop_assert_eq!(
                reasons(&message),
                vec![
                    (1, Reason::Resources(&resource)),
                    (2, Reason::Taints(vec![name.as_str()])),
                    (3, Reason::NoNode)
                ]
            );
            let claim = format!("0/9 nodes are available: persistentvolumeclaim \"{name}, 3 {name}. x\" not found.");
            prop_assert_eq!(reasons(&claim), vec![(0, Reason::ClaimUnbound)]);
        }
    }
}
