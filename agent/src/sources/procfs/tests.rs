//! Against the real /proc.

use coroner_diagnosis::observation::Source;

use super::*;
use crate::sources::testing::{ContainerCgroup, Running, elsewhere, line_from, node, pid_of, reap};

async fn started(running: &mut Running, host: HostRoot) -> Health {
    running.start(Source::Procfs, |site| spawn(site, host, Connector::default())).await
}

#[tokio::test]
async fn processes_of_containers_and_the_nodes_memory_are_reported_at_start() {
    let cgroup = ContainerCgroup::new();
    let mut child = cgroup.run("echo ready; read line");
    let pid = pid_of(&child);
    line_from(&mut child);
    let mut running = Running::new();
    assert_eq!(started(&mut running, node()).await, Health::Ok);
    let memory = running
        .until(|seen| match &seen.fact {
            Fact::NodeMemory(memory) => Some(*memory),
            _ => None,
        })
        .await;
    assert!(memory.total > 64 << 20 && memory.available > 0 && memory.available <= memory.total);
    let pids = running
        .until(|seen| match &seen.fact {
            Fact::Pids(pids) => Some(*pids),
            _ => None,
        })
        .await;
    assert!(pids.current > 0 && pids.current < pids.max, "{pids:?}");
    let process = running
        .until(|seen| match &seen.fact {
            Fact::Process(process) if process.pid == pid => Some(process.clone()),
            _ => None,
        })
        .await;
    assert_eq!((process.cgroup, process.namespaced_pid), (cgroup.path.clone(), Some(pid)));
    let own = i32::try_from(std::process::id()).unwrap();
    assert_eq!(process.parent, own);
    assert!(
        !running.seen.iter().any(|seen| matches!(&seen.fact, Fact::Process(process) if process.pid == own)),
        "a process outside of containers is not reported"
    );
    running.stop().await;

    let processes = Processes::new(&node());
    assert!(!processes.find_in_container(pid).unwrap().ending);
    child.kill().unwrap();
    // With SIGKILL pending, exiting, then as a zombie, whose cgroup v1 does not show.
    for _ in 0..100 {
        assert!(processes.find_in_container(pid).is_none_or(|process| process.ending));
    }
    assert_eq!(reap(child), -9);
    assert_eq!(processes.find_in_container(pid), None);
}

#[tokio::test]
async fn without_proc_it_is_absent_with_a_reason() {
    let root = tempfile::tempdir().unwrap();
    let mut running = Running::new();
    let health = started(&mut running, HostRoot::at(root.path())).await;
    assert!(matches!(&health, Health::Absent(reason) if reason.text().contains("meminfo")), "{health:?}");
    running.stop().await;
}

#[tokio::test]
#[ignore = "run in other circumstances by the test below"]
async fn probe() {
    let cgroup = ContainerCgroup::new();
    let mut child = cgroup.run("echo ready; read line");
    line_from(&mut child);
    let shown = std::fs::read_to_string(format!("/proc/{}/cgroup", child.id())).unwrap();
    assert!(shown.contains(&format!("/..{}", cgroup.path)), "the namespace hides where the cgroup is: {shown}");
    let process = process::Processes::new(&node()).find_in_container(pid_of(&child));
    child.kill().unwrap();
    reap(child);
    assert_eq!(process.unwrap().cgroup, cgroup.path);
}

#[test]
fn the_whole_path_of_a_cgroup_is_reported_in_a_cgroup_namespace_too() {
    let own = ContainerCgroup::new();
    let enter = format!("echo $$ > {}/cgroup.procs && exec unshare --cgroup \"$@\"", own.dir.display());
    let output = elsewhere(&["sh", "-c", &enter, "sh"], "sources::procfs::tests::probe");
    assert!(output.contains("1 passed"), "{output}");
}

/// A thread that is not the first of its process waits in vfork(2), as long as the file that the new process opens is a
/// pipe without a writer.
#[test]
fn a_thread_in_uninterruptible_sleep_is_found_where_all_are_searched_and_then_followed() {
    const PROGRAM: &str = "\
import os, sys, threading
action = (os.POSIX_SPAWN_OPEN, 0, sys.argv[1], os.O_RDONLY, 0)
threading.Thread(target=os.posix_spawn, args=('/bin/true', ['true'], {}), kwargs={'file_actions': [action]}).start()
";
    let root = tempfile::tempdir().unwrap();
    let pipe = root.path().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let mut child = std::process::Command::new("python3").args(["-c", PROGRAM]).arg(&pipe).spawn().unwrap();
    let pid = pid_of(&child);
    let processes = Processes::new(&node());
    let search = |known: Option<i32>, everywhere| {
        let found = processes.in_uninterruptible_sleep(known.into_iter(), everywhere);
        found.into_iter().find(|sleeping| sleeping.pid == pid)
    };
    // While it starts, any of its threads may wait for the disk for a moment.
    loop {
        let blocked = search(None, true).map(|found| found.thread).filter(|thread| *thread != pid);
        let again = search(blocked, false).map(|found| found.thread);
        if blocked.is_some() && again == blocked && search(None, false).is_none() {
            break;
        }
        assert_eq!(child.try_wait().unwrap(), None, "it waits");
        std::thread::yield_now();
    }
    drop(std::fs::File::options().write(true).open(&pipe).unwrap());
    assert!(child.wait().unwrap().success());
    assert!(search(None, true).is_none());
}
