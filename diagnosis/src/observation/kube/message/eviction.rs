//! The words of the kubelet's eviction manager: status reason and event `Evicted`.
//!
//! `pkg/kubelet/eviction/helpers.go` and `eviction_manager.go`; the sentence about a condition is an admission that was
//! refused (`pkg/kubelet/eviction/eviction_manager.go`, `Admit`), with `Pod ` in front of it in a status before 1.26.

use super::phrase::{bare, names, sentence};

/// Why a pod was evicted, or not admitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Eviction<'m> {
    /// The node was short of something.
    Shortage {
        /// `memory`, `ephemeral-storage`, `inodes`, `pids`, or what it was called before 1.20, as `nodefs`.
        resource: &'m str,
        /// The threshold and what was left, where it names them (1.26 on).
        left: Option<(&'m str, &'m str)>,
        /// Containers that used more than they requested: name, use, request.
        above: Vec<(&'m str, &'m str, &'m str)>,
    },
    /// The node had these conditions, as `DiskPressure`: it did not take the pod.
    NotAdmitted(&'m str),
    /// A container passed its own limit.
    ContainerLimit(&'m str),
    /// The pod passed the sum of its containers' limits.
    PodLimit,
    /// An emptyDir passed its own limit.
    VolumeLimit(&'m str),
}

/// The contents of a message. `None` if the text is not known.
pub fn eviction(message: &str) -> Option<Eviction<'_>> {
    let message = message.trim();
    let message = message.strip_prefix("Pod ").filter(|rest| rest.starts_with("The node ")).unwrap_or(message);
    let (first, mut rest) = sentence(message);
    // Before 1.13 a refused admission had the words of a shortage.
    let of_conditions = ["The node had condition: {*}", "The node was low on resource: [{*}]"];
    if let Some([conditions]) = of_conditions.iter().find_map(|phrase| names(first, phrase)).as_deref() {
        return Some(Eviction::NotAdmitted(conditions.trim_matches(['[', ']'])));
    }
    if let Some([container, _]) = names(first, "Container {} exceeded its local ephemeral storage limit {}").as_deref()
    {
        return Some(Eviction::ContainerLimit(container));
    }
    let of_pod = [
        "Pod ephemeral local storage usage exceeds the total limit of containers {}",
        "pod ephemeral local storage usage exceeds the total limit of containers {}",
    ];
    if of_pod.iter().any(|phrase| names(first, phrase).is_some()) {
        return Some(Eviction::PodLimit);
    }
    let of_volume =
        ["Usage of EmptyDir volume {} exceeds the limit {}", "usage of EmptyDir volume {} exceeds the limit {}"];
    if let Some([volume, _]) = of_volume.iter().find_map(|phrase| names(first, phrase)).as_deref() {
        return Some(Eviction::VolumeLimit(bare(volume)));
    }
    let shortage = names(first, "The node was low on resource: {}")?;
    let mut left = None;
    let mut above = Vec::new();
    while !rest.is_empty() {
        let (text, behind) = sentence(rest);
        rest = behind;
        let consumer = [
            "Container {} was using {}, request is {}, has larger consumption of {}",
            "Container {} was using {}, which exceeds its request of {}",
        ];
        if let Some([threshold, available]) = names(text, "Threshold quantity: {}, available: {}").as_deref() {
            left = Some((*threshold, *available));
        } else if let Some([container, used, request, ..]) =
            consumer.iter().find_map(|phrase| names(text, phrase)).as_deref()
        {
            above.push((*container, *used, *request));
        }
    }
    Some(Eviction::Shortage { resource: shortage.first()?, left, above })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_the_kubelets_message() {
        let message = "The node was low on resource: memory. Threshold quantity: 22819Mi, available: 23292180Ki. \
                       Container c was using 1367824Ki, request is 0, has larger consumption of memory. ";
        let expected = Eviction::Shortage {
            resource: "memory",
            left: Some(("22819Mi", "23292180Ki")),
            above: vec![("c", "1367824Ki", "0")],
        };
        assert_eq!(eviction(message), Some(expected));
        let older = "The node was low on resource: ephemeral-storage. Container web was using 34260Ki, which exceeds its \
                     request of 0. ";
        let above = vec![("web", "34260Ki", "0")];
        assert_eq!(eviction(older), Some(Eviction::Shortage { resource: "ephemeral-storage", left: None, above }));
    }

    #[test]
    fn a_limit_of_its_own_and_a_refusal_are_no_shortage() {
        for (message, expected) in [
            ("Container a exceeded its local ephemeral storage limit \"20Mi\". ", Eviction::ContainerLimit("a")),
            ("Pod ephemeral local storage usage exceeds the total limit of containers 2Gi. ", Eviction::PodLimit),
            ("Usage of EmptyDir volume \"cache\" exceeds the limit \"1Gi\". ", Eviction::VolumeLimit("cache")),
            ("Pod The node had condition: [DiskPressure]. ", Eviction::NotAdmitted("DiskPressure")),
            ("The node was low on resource: [MemoryPressure]. ", Eviction::NotAdmitted("MemoryPressure")),
        ] {
            assert_eq!(eviction(message), Some(expected), "{message}");
        }
        assert_eq!(eviction("The node was bored"), None);
    }

    proptest! {
        #[test]
        fn any_message_is_read_without_panic(message in r#"(The node was low on resource: |Container |\. |"|[ -~é])*"#) {
            eviction(&message);
        }

        #[test]
        fn the_name_of_a_container_decides_nothing(name in "(exceeds-the-limit|low-on-resource|memory|[a-z]){1,4}") {
            let message = format!(
                "The node was low on resource: pids. Container {name} was using 9, request is 0, has larger consumption \
                 of pids. "
            );
            let resource = match eviction(&message) {
                Some(Eviction::Shortage { resource, .. }) => resource,
                _ => "",
            };
            prop_assert_eq!(resource, "pids");
        }
    }
}
