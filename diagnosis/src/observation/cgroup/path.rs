//! Paths: `pkg/kubelet/cm/cgroup_manager_linux.go` for pods, the runtimes' own habits for containers below them.

use super::{Level, Path};

impl Path {
    /// What the path names, for the cgroupfs and the systemd driver, with any prefix before the pods (`--cgroup-root`,
    /// kind). The first pod on the path counts and the first container below it: what follows was made inside of the
    /// container, which may choose any names there.
    pub fn level(&self) -> Level {
        let found = find(&self.0);
        match (found.pod, found.container) {
            (pod, Some(container)) if pod.is_some() || !ends_at_kubepods(&self.0) => Level::Container {
                pod_uid: pod.map(|(uid, _)| uid).unwrap_or_default(),
                container_id: container.0.to_owned(),
            },
            (Some((pod_uid, Some(end))), None) if is_end(&self.0, end) => Level::Pod { pod_uid },
            (Some(_), _) => Level::Other,
            _ if self.0.bytes().all(|b| b == b'/') => Level::Root,
            _ if ends_at_kubepods(&self.0) => Level::Kubepods,
            _ => Level::Other,
        }
    }

    /// The path of the pod's cgroup, for the path of a pod or of anything below it. `None` also where the pod has no
    /// cgroup on the path, as when kubelet and runtime disagree about the driver, and where the path is not from the
    /// root.
    pub fn pod(&self) -> Option<Self> {
        let (_, end) = find(&self.0).pod?;
        self.up_to(end?)
    }

    /// The path of the container's cgroup, for the path of a container or of anything below it. `None` also where the
    /// path is not from the root.
    pub fn container(&self) -> Option<Self> {
        match self.level() {
            Level::Container { .. } => {
                let (_, end) = find(&self.0).container?;
                self.up_to(end)
            }
            _ => None,
        }
    }

    /// The uid of the pod that the cgroup belongs to, whatever it holds there: a container, a monitor, a virtual
    /// machine.
    pub fn pod_uid(&self) -> Option<String> {
        find(&self.0).pod.map(|(uid, _)| uid)
    }

    /// Whether the path is that of `ancestor` or below it.
    pub fn is_within(&self, ancestor: &Self) -> bool {
        let ancestor = ancestor.0.trim_end_matches('/');
        self.0.strip_prefix(ancestor).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// To a reader in a cgroup namespace, as the agent in a pod on cgroup v2, /proc/PID/cgroup shows what is outside of
    /// it from its own place: `/../../kubepods-….slice/…`. Such a path names pod and container, but is not a path of
    /// the hierarchy.
    fn up_to(&self, end: usize) -> Option<Self> {
        (!self.0.starts_with("/..")).then(|| Self(self.0[..end].to_owned()))
    }
}

#[derive(Default)]
struct Found<'p> {
    /// uid, and where the pod's own cgroup ends in the path.
    pod: Option<(String, Option<usize>)>,
    /// id, and where its cgroup ends in the path.
    container: Option<(&'p str, usize)>,
}

fn find(path: &str) -> Found<'_> {
    let mut found = Found::default();
    let mut end = 0;
    for component in path.split('/') {
        let begin = end;
        end = begin + component.len();
        if found.pod.is_none() {
            // containerd with the cgroupfs driver under a kubelet with systemd's, and as a CRI status shows systemd's
            // paths: `kubepods-pod<uid>.slice:cri-containerd:<id>`.
            if let Some((slice, rest)) = component.split_once(':')
                && let Some(uid) = pod_uid(slice)
            {
                let id = rest.rsplit(':').next().and_then(container_id);
                return Found { pod: Some((uid, None)), container: id.map(|id| (id, end)) };
            }
            if let Some(uid) = pod_uid(component) {
                // A container above the pods is the node itself, in kind.
                found = Found { pod: Some((uid, Some(end))), container: None };
            } else if found.container.is_none() {
                found.container = container_id(component).map(|id| (id, end));
            }
        } else {
            // Directly below the pod, or nothing: the monitor's cgroup (conmon) is there too.
            found.container = container_id(component).map(|id| (id, end));
            return found;
        }
        end += 1;
    }
    found
}

/// `pod<uid>`, or systemd's `…-pod<uid with _ for ->.slice`.
fn pod_uid(component: &str) -> Option<String> {
    let (parents, uid) = match component.strip_suffix(".slice") {
        Some(slice) => slice.split_at(slice.rfind("pod")?),
        None => ("", component),
    };
    if !parents.is_empty() && !parents.ends_with('-') {
        return None;
    }
    let uid = uid.strip_prefix("pod")?.replace('_', "-");
    is_uid(&uid).then_some(uid)
}

/// A UUID, or a static pod's hash.
fn is_uid(text: &str) -> bool {
    let hex = |text: &str, length| text.len() == length && is_hex(text);
    let mut groups = text.split('-');
    let uuid = [8, 4, 4, 4, 12].iter().all(|length| groups.next().is_some_and(|group| hex(group, *length)));
    (uuid && groups.next().is_none()) || hex(text, 32)
}

/// `<id>`, or with the runtime's name before it: systemd's scopes `cri-containerd-<id>.scope`, `crio-<id>.scope`,
/// `docker-<id>.scope`, and CRI-O's `crio-<id>` with the cgroupfs driver. Not conmon's, which watches a container from
/// outside.
fn container_id(component: &str) -> Option<&str> {
    let id = match component.strip_suffix(".scope").unwrap_or(component).rsplit_once('-') {
        Some((runtime, id)) => (!runtime.ends_with("conmon")).then_some(id)?,
        None if component.ends_with(".scope") => return None,
        None => component,
    };
    (id.len() == 64 && is_hex(id)).then_some(id)
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_end(path: &str, end: usize) -> bool {
    path[end..].bytes().all(|b| b == b'/')
}

/// Whether the path ends at all pods or one QoS class of them: `kubepods`, `kubepods/burstable`,
/// `kubepods.slice/kubepods-besteffort.slice`, with systemd's prefixes.
fn ends_at_kubepods(path: &str) -> bool {
    let mut components = path.trim_end_matches('/').rsplit('/');
    let last = components.next().unwrap_or_default();
    let is_kubepods = |name: &str| name == "kubepods" || name.ends_with("-kubepods");
    match last.strip_suffix(".slice") {
        Some(slice) => {
            is_kubepods(["-burstable", "-besteffort"].iter().find_map(|q| slice.strip_suffix(q)).unwrap_or(slice))
        }
        None if matches!(last, "burstable" | "besteffort") => components.next().is_some_and(is_kubepods),
        None => is_kubepods(last),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UID: &str = "5dd8aa25-f7a5-416d-b8f4-5e1f709c1da9";
    const HASH: &str = "0123456789abcdef0123456789abcdef";
    const ID: &str = "8ac06afe71ed6afe71ed8ac06afe71ed8ac06afe71ed8ac06afe71ed8ac06afe";

    /// With `U` for the uid as the driver writes it, `H` for a static pod's and `C` for the container's id.
    fn path(template: &str) -> Path {
        let uid = if template.contains(".slice") { UID.replace('-', "_") } else { UID.to_owned() };
        Path(template.replace('U', &uid).replace('H', HASH).replace('C', ID))
    }

    #[test]
    fn containers_are_found_in_every_layout() {
        for (template, pod, uid) in [
            ("/kubepods/burstable/podU/C", Some("/kubepods/burstable/podU"), UID),
            ("/kubepods/podU/C", Some("/kubepods/podU"), UID),
            ("/kubepods/burstable/podU/crio-C", Some("/kubepods/burstable/podU"), UID),
            ("/kubepods/burstable/podH/C", Some("/kubepods/burstable/podH"), HASH),
            ("/a/b/kubepods/besteffort/podU/C", Some("/a/b/kubepods/besteffort/podU"), UID),
            (
                "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podU.slice/cri-containerd-C.scope",
                Some("/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podU.slice"),
                UID,
            ),
            (
                "/kubepods.slice/kubepods-podU.slice/cri-containerd-C.scope",
                Some("/kubepods.slice/kubepods-podU.slice"),
                UID,
            ),
            ("/kubepods.slice/kubepods-podH.slice/crio-C.scope", Some("/kubepods.slice/kubepods-podH.slice"), HASH),
            ("/kubepods.slice/kubepods-podU.slice/docker-C.scope", Some("/kubepods.slice/kubepods-podU.slice"), UID),
            (
                "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-podU.slice/cri-containerd-C.scope",
                Some("/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-podU.slice"),
                UID,
            ),
            ("/kubepods-burstable-podU.slice:cri-containerd:C", None, UID),
            ("/system.slice/kubepods-podU.slice:cri-containerd:C", None, UID),
            ("kubepods-burstable-podU.slice:cri-containerd:C", None, UID),
        ] {
            let container = path(template);
            let level = Level::Container { pod_uid: uid.to_owned(), container_id: ID.to_owned() };
            for below in
                ["", "/container", "/init.scope", "/a/b", "/docker/C", "/kubepods/podH/C", "/crio-conmon-C.scope"]
            {
                let below = Path(format!("{container}{}", path(below)));
                assert_eq!(below.level(), level, "{below}");
                assert_eq!(below.container().as_ref(), Some(&container), "{below}");
                assert_eq!(below.pod(), pod.map(path), "{below}");
            }
        }
    }

    #[test]
    fn a_pods_cgroup_under_docker_is_that_of_the_inner_node() {
        let other = ID.replace('8', "9");
        let nested = Path(
            format!("/docker/{other}/kubelet/kubepods/podX/C").replace("podX", &format!("pod{UID}")).replace('C', ID),
        );
        assert_eq!(nested.level(), Level::Container { pod_uid: UID.to_owned(), container_id: ID.to_owned() });
        assert_eq!(Path(format!("/docker/{other}/kubelet/kubepods")).level(), Level::Kubepods);
    }

    #[test]
    fn a_path_seen_from_another_place_names_its_container_but_is_not_its_path() {
        for template in
            ["/../../podU/C", "/../../../kubepods-burstable.slice/kubepods-burstable-podU.slice/cri-containerd-C.scope"]
        {
            let seen = path(template);
            assert_eq!(seen.level(), Level::Container { pod_uid: UID.to_owned(), container_id: ID.to_owned() });
            assert_eq!((seen.container(), seen.pod()), (None, None), "{seen}");
        }
    }

    #[test]
    fn containers_outside_of_kubernetes_have_no_pod() {
        for template in ["/docker/C", "/system.slice/docker-C.scope", "/k8s.io/C", "/C", "/docker/C/below"] {
            let container = path(template);
            assert_eq!(container.level(), Level::Container { pod_uid: String::new(), container_id: ID.to_owned() });
            assert_eq!(container.pod(), None);
            assert!(container.container().is_some_and(|c| c.0.contains(ID)));
        }
    }

    #[test]
    fn pods_and_their_parents_are_distinguished() {
        for (template, level) in [
            ("", Level::Root),
            ("/", Level::Root),
            ("/kubepods", Level::Kubepods),
            ("/kubepods/burstable", Level::Kubepods),
            ("/kubepods.slice", Level::Kubepods),
            ("/kubepods.slice/kubepods-besteffort.slice", Level::Kubepods),
            ("/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice", Level::Kubepods),
            ("/kubepods/podU", Level::Pod { pod_uid: UID.to_owned() }),
            ("/kubepods/besteffort/podH/", Level::Pod { pod_uid: HASH.to_owned() }),
            ("/kubepods.slice/kubepods-podU.slice", Level::Pod { pod_uid: UID.to_owned() }),
            ("/kubepods.slice/kubepods-podU.slice/crio-conmon-C.scope", Level::Other),
            ("/kubepods/podU/not-a-container", Level::Other),
            ("/kubepods/podU/crio-conmon-C", Level::Other),
            ("/kubepods/podU/x/C", Level::Other),
            ("/kubepods/podinfo", Level::Other),
            ("/kubepods/pod0123", Level::Other),
            ("/kubepods.slice/tripodU.slice", Level::Other),
            ("/burstable", Level::Other),
            ("/system.slice/containerd.service", Level::Other),
            ("/user.slice/user-0.slice/session-1.scope", Level::Other),
            ("/machine.slice/libpod-conmon-C.scope", Level::Other),
        ] {
            let path = path(template);
            assert_eq!(path.level(), level, "{path}");
            assert_eq!(path.container(), None, "{path}");
        }
        assert_eq!(path("/kubepods/podU/x").pod(), Some(path("/kubepods/podU")));
    }
}
