//! What the tests of sources share: a started source whose observations are waited for, and a cgroup that looks like a
//! container's.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use coroner_diagnosis::observation::{Fact, Health, Observation, Source};
use coroner_runtime::{
    metrics::Metrics,
    tasks::{Group, Supervisor},
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::{outlet::CAPACITY, site::Site};
use crate::host::HostRoot;

/// Far longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The real node.
pub(crate) fn node() -> HostRoot {
    HostRoot::at(Path::new("/"))
}

/// Sources that run until [`stop`](Self::stop).
pub(crate) struct Running {
    group: Group,
    sender: mpsc::Sender<Observation>,
    receiver: mpsc::Receiver<Observation>,
    /// All that was seen so far.
    pub(crate) seen: Vec<Observation>,
}

impl Running {
    pub(crate) fn new() -> Self {
        let (sender, receiver) = mpsc::channel(CAPACITY);
        let group = Supervisor::new(&Metrics::default()).group();
        Self { group, sender, receiver, seen: Vec::new() }
    }

    /// Starts one more source and waits until it has reported its health.
    pub(crate) async fn start(&mut self, source: Source, spawn: impl FnOnce(&Site)) -> Health {
        spawn(&Site::new(self.group.clone(), self.sender.clone()));
        self.until(|seen| match &seen.fact {
            Fact::Health(of, health) if *of == source => Some(health.clone()),
            _ => None,
        })
        .await
    }

    /// Waits for the first observation, from the beginning on, of which `pick` makes something.
    pub(crate) async fn until<T>(&mut self, mut pick: impl FnMut(&Observation) -> Option<T>) -> T {
        if let Some(picked) = self.seen.iter().find_map(&mut pick) {
            return picked;
        }
        let waiting = async {
            loop {
                let observation = self.receiver.recv().await.expect("the test holds a sender");
                let picked = pick(&observation);
                self.seen.push(observation);
                if let Some(picked) = picked {
                    return picked;
                }
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.expect("what the test waits for is seen")
    }

    /// Stops the sources and waits for their end.
    pub(crate) async fn stop(mut self) {
        self.receiver.close();
        drop(self.receiver);
        assert_eq!(self.group.stop(PATIENCE).await, [""; 0], "sources end when they are asked to");
    }
}

/// A cgroup of the memory controller, v1 or v2, with the path of a container's.
pub(crate) struct ContainerCgroup {
    pub(crate) dir: PathBuf,
    /// From the root of the hierarchy.
    pub(crate) path: String,
}

impl ContainerCgroup {
    pub(crate) fn new() -> Self {
        let id = Uuid::now_v7();
        let path = format!("/pod{id}/{}{}", Uuid::now_v7().simple(), id.simple());
        let root = Path::new("/sys/fs/cgroup");
        let v1 = root.join("memory");
        let dir = if v1.is_dir() { v1 } else { root.to_owned() }.join(path.trim_start_matches('/'));
        fs::create_dir_all(&dir).unwrap();
        Self { dir, path }
    }

    pub(crate) fn limit_memory(&self, bytes: u64) {
        let limit = ["memory.max", "memory.limit_in_bytes"].map(|file| self.dir.join(file));
        let file = limit.iter().find(|file| file.exists()).unwrap();
        fs::write(file, bytes.to_string()).unwrap();
    }

    /// Starts a shell within. The script runs in another program than the one that entered the cgroup, as in a
    /// container.
    pub(crate) fn run(&self, script: &str) -> Child {
        Command::new("sh")
            .args(["-c", "echo $$ > \"$0\"/cgroup.procs; exec sh -c \"$1\""])
            .arg(&self.dir)
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap()
    }
}

impl Drop for ContainerCgroup {
    /// Ends what a failed test left running within.
    fn drop(&mut self) {
        while let Some(pid) = fs::read_to_string(self.dir.join("cgroup.procs"))
            .ok()
            .and_then(|pids| pids.lines().find_map(|pid| pid.parse().ok()))
        {
            let _gone = kill(Pid::from_raw(pid), Signal::SIGKILL);
            std::thread::yield_now();
        }
        for dir in [&self.dir, self.dir.parent().unwrap()] {
            if let Err(error) = fs::remove_dir(dir) {
                assert!(std::thread::panicking(), "{}: {error}", dir.display());
            }
        }
    }
}

/// Waits for the child's end; its status, or minus its signal.
pub(crate) fn reap(mut child: Child) -> i32 {
    let status = child.wait().unwrap();
    status.code().unwrap_or_else(|| -status.signal().unwrap())
}

/// Waits until the child has printed a line.
pub(crate) fn line_from(child: &mut Child) {
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert!(line.ends_with('\n'), "the child ended before its line");
}

/// Process id as /proc has it.
pub(crate) fn pid_of(child: &Child) -> i32 {
    i32::try_from(child.id()).unwrap()
}

/// Runs one ignored test of this executable in other circumstances, by a program that takes a command line, and gives
/// what it prints.
pub(crate) fn elsewhere(wrapper: &[&str], test: &str) -> String {
    let output = Command::new(wrapper[0])
        .args(&wrapper[1..])
        .arg(std::env::current_exe().unwrap())
        .args([test, "--exact", "--ignored", "--nocapture", "--test-threads=1"])
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    printed
}

/// The health as `Absent(why)`, for what another process prints.
pub(crate) fn shown(health: &Health) -> String {
    match health {
        Health::Ok => "Ok".to_owned(),
        Health::Degraded(reason) => format!("Degraded({reason})"),
        Health::Absent(reason) => format!("Absent({reason})"),
    }
}
