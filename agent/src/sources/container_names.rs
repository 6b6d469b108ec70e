//! The kubelet's links to the logs of containers: whose container an id is, where the CRI cannot be asked.
//!
//! `/var/log/containers/<pod>_<namespace>_<container>-<id>.log` points at
//! `/var/log/pods/<namespace>_<pod>_<uid>/<container>/<attempt>.log`. Mirrors `legacyLogSymlink` of
//! `pkg/kubelet/kuberuntime/legacy.go` and `BuildContainerLogsDirectory` of `helpers.go`. The kubelet cuts a name of
//! more than 255 bytes, and with it the id: such a container stays unknown, and is counted.

use std::{
    convert::Infallible,
    ffi::OsStr,
    fs,
    os::fd::AsFd,
    path::{Path, PathBuf},
    time::Duration,
};

use coroner_diagnosis::{
    messages::health,
    observation::{
        Fact, GapReason, Health, Source,
        cri::{ContainerId, Pod},
    },
};
use jiff::Timestamp;
use nix::{
    errno::Errno,
    sys::inotify::{AddWatchFlags, InitFlags, Inotify},
};

use super::{
    site::Site,
    worker::{End, Worker, unreadable},
};

/// Links that are read of one listing. The kubelet keeps two of each container, and runs 110 pods unless configured
/// otherwise.
const CAPACITY: usize = 16_384;

/// While some containers stay nameless, it is looked so often whether they still are there.
const RECOUNT: Duration = Duration::from_mins(1);

/// The longest name of a file.
const MAX_NAME: usize = 255;

/// Starts the source. `directory`: the node's /var/log/containers.
pub fn spawn(site: &Site, directory: PathBuf) {
    site.thread(&site.outlet(Source::ContainerLogs), move |worker| watch(worker, &directory));
}

fn watch(worker: &mut Worker, directory: &Path) -> Result<Infallible, End> {
    let inotify =
        Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK).map_err(End::failed("inotify_init1"))?;
    let mask = AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO | AddWatchFlags::IN_ONLYDIR;
    inotify.add_watch(directory, mask).map_err(|error| End::absent(unreadable(directory, &error)))?;
    // Listed after it is watched: what comes later is an event, what came before is in the list.
    let mut unknown = list(worker, directory)?;
    let mut complete = Timestamp::now();
    loop {
        worker.health(match unknown {
            0 => Health::Ok,
            n => Health::Degraded(health::health_nameless(n).into()),
        })?;
        if !worker.readable(inotify.as_fd(), (unknown > 0).then_some(RECOUNT))? {
            unknown = count_unknown(directory)?;
            continue;
        }
        match inotify.read_events() {
            Ok(events) => {
                for event in events {
                    if event.mask.contains(AddWatchFlags::IN_IGNORED) {
                        return Err(End::absent(health::health_removed(directory.display().to_string())));
                    } else if event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW) {
                        // Everything that exists is reported again; what came and went meanwhile is lost.
                        let to = Timestamp::now();
                        worker.send(worker.outlet.gap(GapReason::Overrun, complete.min(to), to, None))?;
                        unknown = list(worker, directory)?;
                    } else if let Some(name) = event.name {
                        unknown += report(worker, directory, &name)?;
                    }
                }
            }
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(error) => return Err(End::failed("read inotify")(error)),
        }
        complete = Timestamp::now();
    }
}

/// Reports all existing links; returns how many stay unknown.
fn list(worker: &Worker, directory: &Path) -> Result<usize, End> {
    let mut unknown = 0;
    for (n, entry) in fs::read_dir(directory).map_err(End::unreadable(directory))?.enumerate() {
        let entry = entry.map_err(End::unreadable(directory))?;
        unknown += if n < CAPACITY { report(worker, directory, &entry.file_name())? } else { 1 };
    }
    Ok(unknown)
}

/// How many of those that are there stay unknown.
fn count_unknown(directory: &Path) -> Result<usize, End> {
    let entries = fs::read_dir(directory).map_err(End::unreadable(directory))?;
    let is_unknown = |(n, name): &(usize, Option<String>)| {
        let parsed = name.as_deref().and_then(|name| Link::parse(name, Path::new("")));
        *n >= CAPACITY || parsed == Some(Link::Cut)
    };
    let names = entries.map(|entry| entry.ok().and_then(|entry| entry.file_name().into_string().ok()));
    Ok(names.enumerate().filter(is_unknown).count())
}

/// Reports the container of a link; returns 1 if its name was cut off.
fn report(worker: &Worker, directory: &Path, name: &OsStr) -> Result<usize, End> {
    let Some(name) = name.to_str() else { return Ok(0) };
    // The target may be gone, or not visible; its path is sufficient.
    let target = fs::read_link(directory.join(name)).unwrap_or_default();
    match Link::parse(name, &target) {
        Some(Link::Whole(fact)) => worker.send(worker.outlet.now(*fact)).map(|()| 0),
        Some(Link::Cut) => Ok(1),
        None => Ok(0),
    }
}

/// What a link's name and target contain.
#[derive(Debug, PartialEq)]
enum Link {
    /// Whose container it is.
    Whole(Box<Fact>),
    /// The id is not whole.
    Cut,
}

impl Link {
    /// `None` for what the kubelet has not made.
    fn parse(name: &str, target: &Path) -> Option<Self> {
        let mut parts = name.strip_suffix(".log")?.splitn(3, '_');
        let (pod, namespace, container) = (parts.next()?, parts.next(), parts.next());
        let named = container.and_then(|container| container.rsplit_once('-'));
        let is_hex = |id: &str| id.bytes().all(|byte| byte.is_ascii_hexdigit());
        let named = named.filter(|(_, id)| is_hex(id) && (id.len() == 64 || (name.len() < MAX_NAME && !id.is_empty())));
        let (Some((container, id)), Some(namespace)) = (named, namespace) else {
            return (name.len() >= MAX_NAME).then_some(Self::Cut);
        };
        let (uid, attempt) = uid_and_attempt(target).unwrap_or_default();
        Some(Self::Whole(Box::new(Fact::ContainerName {
            id: ContainerId(id.to_owned()),
            pod: Pod { namespace: namespace.to_owned(), name: pod.to_owned(), uid },
            name: container.to_owned(),
            attempt,
        })))
    }
}

/// From the link's target.
fn uid_and_attempt(target: &Path) -> Option<(String, Option<u32>)> {
    let attempt = target.file_stem()?.to_str()?.parse().ok();
    let pod = target.parent()?.parent()?.file_name()?.to_str()?;
    let uid = pod.rsplit_once('_')?.1;
    let is_uid = uid.len() <= 64 && uid.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    Some((if is_uid { uid.to_owned() } else { String::new() }, attempt))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use coroner_diagnosis::observation::Observation;
    use coroner_runtime::{metrics::Metrics, tasks::Supervisor};
    use proptest::prelude::*;
    use tokio::sync::mpsc;

    use super::*;

    const UID: &str = "6ec7f1ba-a07d-4b07-a9a4-74ff04f1a5a6";
    const ID: &str = "8ac0a4e1bd1f35ba4d6cf12f1b7b6d1e8ac0a4e1bd1f35ba4d6cf12f1b7b6d1e";

    fn expected(attempt: u32) -> Fact {
        Fact::ContainerName {
            id: ContainerId(ID.to_owned()),
            pod: Pod { namespace: "shop".to_owned(), name: "cart-7d9".to_owned(), uid: UID.to_owned() },
            name: "side-car".to_owned(),
            attempt: Some(attempt),
        }
    }

    #[test]
    fn a_link_names_pod_namespace_container_id_uid_and_attempt() {
        let name = format!("cart-7d9_shop_side-car-{ID}.log");
        let target = format!("/var/log/pods/shop_cart-7d9_{UID}/side-car/3.log");
        assert_eq!(Link::parse(&name, Path::new(&target)), Some(Link::Whole(Box::new(expected(3)))));
    }

    #[test]
    fn a_link_whose_name_was_cut_is_not_taken_for_a_container() {
        let name = format!("{}_shop_side-car-{ID}", "p".repeat(180));
        assert_eq!(Link::parse(&format!("{}.log", &name[..251]), Path::new("")), Some(Link::Cut));
        let name = format!("{}_{}_app", "p".repeat(240), "n".repeat(63));
        assert_eq!(Link::parse(&format!("{}.log", &name[..251]), Path::new("")), Some(Link::Cut));
    }

    #[test]
    fn other_files_are_passed_over() {
        for name in ["", "x", ".log", "a_b.log", "a_b_c.log", "a_b_c-.log", "a_b_c-xyz.log", "-_-_-.log"] {
            assert_eq!(Link::parse(name, Path::new("/")), None, "{name}");
        }
    }

    #[tokio::test]
    async fn existing_and_new_links_are_reported_and_a_late_directory_is_found() {
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("containers");
        let (sender, mut receiver) = mpsc::channel::<Observation>(16);
        let group = Supervisor::new(&Metrics::default()).group();
        spawn(&Site::new(group.clone(), sender), directory.clone());
        let mut next = async || {
            loop {
                let next = tokio::time::timeout(Duration::from_mins(1), receiver.recv()).await;
                match next.expect("something is reported").unwrap().fact {
                    Fact::ReadUpTo(_) => {}
                    fact => return fact,
                }
            }
        };
        assert!(matches!(next().await, Fact::Health(_, Health::Absent(_))));

        let link = |attempt: u32| {
            let target = format!("/var/log/pods/shop_cart-7d9_{UID}/side-car/{attempt}.log");
            (target, format!("cart-7d9_shop_side-car-{ID}.log"))
        };
        let made = parent.path().join("made");
        fs::create_dir(&made).unwrap();
        let (target, name) = link(0);
        symlink(target, made.join(&name)).unwrap();
        fs::rename(&made, &directory).unwrap();
        assert_eq!(next().await, expected(0));
        assert_eq!(next().await, Fact::Health(Source::ContainerLogs, Health::Ok));
        fs::remove_file(directory.join(&name)).unwrap();
        let (target, name) = link(1);
        symlink(target, directory.join(name)).unwrap();
        assert_eq!(next().await, expected(1));

        assert_eq!(group.stop(Duration::from_mins(1)).await, [""; 0]);
    }

    proptest! {
        #[test]
        fn any_name_and_target_are_read_without_panic(name in ".{0,300}", target in ".{0,300}") {
            Link::parse(&name, Path::new(&target));
            Link::parse(&format!("{name}.log"), Path::new(&format!("{target}/a/1.log")));
        }

        #[test]
        fn whatever_the_kubelet_names_comes_back(
            pod in "[a-z0-9][a-z0-9.-]{0,60}", namespace in "[a-z0-9-]{1,63}", container in "[a-z0-9-]{1,63}",
            id in "[0-9a-f]{64}", attempt in any::<u32>(),
        ) {
            let name = format!("{pod}_{namespace}_{container}-{id}.log");
            let target = format!("/var/log/pods/{namespace}_{pod}_{UID}/{container}/{attempt}.log");
            let fact = Fact::ContainerName {
                id: ContainerId(id),
                pod: Pod { namespace, name: pod, uid: UID.to_owned() },
                name: container,
                attempt: Some(attempt),
            };
            let parsed = Link::parse(&name, Path::new(&target));
            prop_assert_eq!(parsed, Some(if name.len() <= MAX_NAME { Link::Whole(Box::new(fact)) } else { Link::Cut }));
        }
    }
}
