//! Against the machine's own cgroup v1 where it has one, and against files laid out as cgroup v2 has them: inotify
//! reports plain files as of the kernel's.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command},
    time::Duration,
};

use coroner_diagnosis::observation::{
    Fact, Health, Observation, Source,
    cgroup::{Limit, Sample},
    cri::ContainerId,
};
use coroner_runtime::{
    metrics::Metrics,
    tasks::{Group, Supervisor},
};
use tokio::sync::mpsc;

use super::*;

const UID: &str = "6ec7f1ba-a07d-4b07-a9a4-74ff04f1a5a6";
const ID: &str = "8ac0a4e1bd1f35ba4d6cf12f1b7b6d1e8ac0a4e1bd1f35ba4d6cf12f1b7b6d1e";

/// The source and what it reports.
struct Running {
    group: Group,
    endings: Endings,
    receiver: mpsc::Receiver<Observation>,
}

impl Running {
    fn start(sys: &Path) -> Self {
        let (sender, receiver) = mpsc::channel(4096);
        let group = Supervisor::new(&Metrics::default()).group();
        let none = PathBuf::from("/nonexistent");
        let host = HostRoot {
            sys: sys.to_owned(),
            proc: none.clone(),
            dev: none.clone(),
            run: none.clone(),
            log: none.clone(),
            kubelet: none.clone(),
            etc: none.clone(),
            rancher: none,
        };
        let endings = Endings::default();
        spawn(&Site::new(group.clone(), sender), host, endings.clone());
        Self { group, endings, receiver }
    }

    /// Waits for something like that.
    async fn expect(&mut self, what: &str, like: impl Fn(&Fact) -> bool) -> Fact {
        let waiting = async {
            loop {
                let fact = self.receiver.recv().await.expect("the source runs").fact;
                if like(&fact) {
                    return fact;
                }
            }
        };
        tokio::time::timeout(Duration::from_mins(1), waiting)
            .await
            .unwrap_or_else(|_| panic!("nothing reported: {what}"))
    }

    async fn sample(&mut self, what: &str, path: &str, like: impl Fn(&Sample) -> bool) -> Sample {
        let is = |fact: &Fact| matches!(fact, Fact::Cgroup(sample) if sample.path == path && like(sample));
        match self.expect(what, is).await {
            Fact::Cgroup(sample) => sample,
            _ => unreachable!("only samples were waited for"),
        }
    }

    async fn stop(self) {
        assert_eq!(self.group.stop(Duration::from_secs(20)).await, [""; 0], "the source ends when it is asked to");
    }
}

/// Lays out a cgroup as v2 does.
fn lay_out(directory: &Path, limit: &str, events: &str) {
    fs::create_dir_all(directory).unwrap();
    let files = [
        ("memory.max", limit),
        ("memory.current", "1048576\n"),
        ("memory.events", events),
        ("memory.events.local", events),
        ("memory.oom.group", "1\n"),
        ("cgroup.events", "populated 1\nfrozen 0\n"),
        ("cgroup.procs", "4242\n"),
    ];
    for (name, text) in files {
        fs::write(directory.join(name), text).unwrap();
    }
}

/// A /sys with cgroup v2 and no pods.
fn v2() -> (tempfile::TempDir, PathBuf) {
    let sys = tempfile::tempdir().unwrap();
    let root = sys.path().join("fs/cgroup");
    fs::create_dir_all(&root).unwrap();
    fs::write(root.join("cgroup.controllers"), "cpu memory pids\n").unwrap();
    (sys, root)
}

const NO_KILLS: &str = "low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\noom_group_kill 0\n";
const ONE_KILL: &str = "low 0\nhigh 0\nmax 9\noom 1\noom_kill 1\noom_group_kill 0\n";

#[tokio::test]
async fn v2_reports_limits_at_once_and_kills_when_the_events_change() {
    let (sys, root) = v2();
    let pod = format!("/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{}.slice", UID.replace('-', "_"));
    let container = format!("{pod}/cri-containerd-{ID}.scope");
    let directory = root.join(&container[1..]);
    lay_out(directory.parent().unwrap(), "134217728\n", NO_KILLS);
    let mut running = Running::start(sys.path());
    running.sample("the pod", &pod, |_| true).await;
    lay_out(&directory, "67108864\n", NO_KILLS);
    let first = running
        .sample("first sample", &container, |sample| sample.memory_limit.is_some() && sample.oom_kills.is_some())
        .await;
    assert_eq!((first.memory_limit, first.oom_kills), (Some(Limit::Limited(64 << 20)), Some(0)));

    fs::write(directory.join("memory.events.local"), ONE_KILL).unwrap();
    fs::write(directory.join("memory.events"), ONE_KILL).unwrap();
    // The two files change one after the other, which no kernel does.
    let counted = |sample: &Sample| (sample.oom_kills, sample.oom_kills_below) == (Some(1), Some(1));
    let killed = running.sample("kill", &container, counted).await;
    assert_eq!((killed.ooms, killed.limit_hits), (Some(1), Some(9)));

    fs::write(directory.join("memory.max"), "33554432\n").unwrap();
    running.sample("new limit", &container, |sample| sample.memory_limit == Some(Limit::Limited(32 << 20))).await;

    // The files go before the directory, which no kernel does; so the last word may come without them.
    fs::remove_dir_all(&directory).unwrap();
    running.expect("removal", |fact| matches!(fact, Fact::CgroupRemoved(path) if path.0 == container)).await;
    running.stop().await;
}

#[tokio::test]
async fn a_container_that_ends_is_read_at_once() {
    let (sys, root) = v2();
    let container = format!("/kubepods/burstable/pod{UID}/{ID}");
    let directory = root.join(&container[1..]);
    lay_out(&directory, "67108864\n", NO_KILLS);
    let mut running = Running::start(sys.path());
    running.sample("first", &container, |_| true).await;
    let ends = async {
        // Nothing notifies of these, and unasked they are read once a minute.
        for usage in 1..=5 {
            fs::write(directory.join("memory.current"), format!("{usage}\n")).unwrap();
            running.endings.give(ContainerId(ID.to_owned()));
            running.sample("last", &container, |sample| sample.memory_usage == Some(usage)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), ends).await.expect("each is read when the container ends");
    running.stop().await;
}

#[tokio::test]
async fn pods_that_existed_before_are_reported_with_those_that_kind_nests() {
    let (sys, root) = v2();
    let nested = format!("/system.slice/docker-{ID}.scope/kubelet.slice/kubelet-kubepods.slice");
    let pod = format!("{nested}/kubelet-kubepods-pod{}.slice", UID.replace('-', "_"));
    lay_out(&root.join(&pod[1..]), "max\n", NO_KILLS);
    let mut running = Running::start(sys.path());
    let sample = running.sample("nested pod", &pod, |_| true).await;
    assert_eq!(sample.memory_limit, Some(Limit::Unlimited));
    running.stop().await;
}

#[tokio::test]
async fn a_node_without_cgroups_is_reported_as_absent() {
    let sys = tempfile::tempdir().unwrap();
    let mut running = Running::start(sys.path());
    running.expect("absence", |fact| matches!(fact, Fact::Health(Source::Cgroups, Health::Absent(_)))).await;
    running.stop().await;
}

/// A cgroup of v1 below a prefix of the test's own; gone when dropped.
struct V1 {
    prefix: PathBuf,
    process: Option<Child>,
}

impl V1 {
    const MEMORY: &str = "/sys/fs/cgroup/memory";

    fn new() -> Self {
        Self { prefix: Path::new(Self::MEMORY).join(format!("coroner-cgroups-{}", std::process::id())), process: None }
    }

    fn make(&self, path: &str) -> PathBuf {
        let directory = Path::new(Self::MEMORY).join(&path[1..]);
        fs::create_dir_all(&directory).unwrap();
        directory
    }
}

impl Drop for V1 {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().ok();
            process.wait().ok();
        }
        let mut directories = vec![self.prefix.clone()];
        let mut at = 0;
        while let Some(directory) = directories.get(at).cloned() {
            let below = fs::read_dir(directory).into_iter().flatten().flatten();
            directories.extend(below.filter(|entry| entry.file_type().unwrap().is_dir()).map(|entry| entry.path()));
            at += 1;
        }
        for directory in directories.iter().rev() {
            fs::remove_dir(directory).ok();
        }
    }
}

#[tokio::test]
async fn v1_reports_limits_and_that_a_process_of_a_container_was_killed() {
    if !Path::new(V1::MEMORY).join("memory.limit_in_bytes").exists() {
        return; // this node has cgroup v2 alone; the kernel's v1 cannot be had here
    }
    let mut v1 = V1::new();
    let prefix = format!("/{}", v1.prefix.file_name().unwrap().to_str().unwrap());
    let pod = format!("{prefix}/kubepods/burstable/pod{UID}");
    let container = format!("{pod}/{ID}");
    let mut running = Running::start(Path::new("/sys"));
    running.expect("health", |fact| *fact == Fact::Health(Source::Cgroups, Health::Ok)).await;

    let directory = v1.make(&container);
    fs::write(directory.join("memory.limit_in_bytes"), (16 << 20).to_string()).unwrap();
    let first = running
        .sample(
            "limit",
            &container,
            |sample| matches!(sample.memory_limit, Some(Limit::Limited(limit)) if limit == 16 << 20),
        )
        .await;
    assert_eq!(first.oom_kills, Some(0));

    let script = "echo $$ > $0/cgroup.procs && exec dd if=/dev/zero of=/dev/null bs=64M count=1";
    v1.process = Some(Command::new("sh").args(["-c", script]).arg(&directory).spawn().unwrap());
    let killed = running.sample("kill", &container, |sample| sample.oom_kills == Some(1)).await;
    assert!(killed.limit_hits > Some(0) && killed.memory_peak >= Some(15 << 20), "{killed:?}");

    drop(v1);
    running.expect("removal", |fact| matches!(fact, Fact::CgroupRemoved(path) if path.0 == container)).await;
    running.expect("removal", |fact| matches!(fact, Fact::CgroupRemoved(path) if path.0 == pod)).await;
    running.stop().await;
}
