//! Which processes belong to containers, and which of them ended how.
//!
//! A process belongs to a container if /proc shows it when it runs a program (container runtimes move their process
//! into the cgroup before that), or if its parent does when it is forked. Where it was gone before it could be
//! inspected, it may belong to one, and its end is reported too.
//!
//! The connector reports threads, each with a status of its own. A process has ended when its last thread has; its
//! status is that of the first thread, unless the last one to end carries another: then that one ended the whole
//! process, long after the first thread had left by itself.

use std::{
    collections::{HashMap, VecDeque, hash_map::Entry},
    time::{Duration, Instant},
};

use coroner_diagnosis::observation::process::{Exit, Process, WaitStatus};

use super::message::Event;
use crate::sources::procfs::process::Processes;

/// Processes that are remembered. One takes about 50 bytes, so that a full table stays below 4 MiB.
const MEMBERS_MAX: usize = 65_536;
/// How long a forked process must live without running another program, before it is looked at: most either do or end.
const SETTLED: Duration = Duration::from_millis(100);

/// What an event adds to what was reported.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum News {
    Process(Process),
    Exit(Exit),
    /// A process was not recorded, as there are too many. Once in a row.
    Overload,
}

#[derive(Debug, Default)]
pub(super) struct Members {
    members: HashMap<i32, Member>,
    /// Forked processes that have not been reported, by age.
    young: VecDeque<(Instant, i32)>,
    overloaded: bool,
}

#[derive(Debug, Default)]
struct Member {
    /// Start time of the process as it was reported; `None` if it was not yet.
    reported: Option<u64>,
    /// Status of the first thread, if that has ended.
    first: Option<u32>,
}

impl Members {
    /// Starts over with what /proc shows: at the beginning, and when events were lost.
    pub(super) fn rebuild(&mut self, now: impl Iterator<Item = Process>, report: &mut impl FnMut(News)) {
        let before = std::mem::take(&mut self.members);
        self.young.clear();
        self.overloaded = false;
        for process in now {
            let known = before.get(&process.pid).is_some_and(|member| member.reported == Some(process.start_ticks));
            let member = Member { reported: Some(process.start_ticks), first: None };
            if self.insert(process.pid, member, report) && !known {
                report(News::Process(process));
            }
        }
    }

    /// Whether a process is in the table.
    pub(super) fn contains(&self, pid: i32) -> bool {
        self.members.contains_key(&pid)
    }

    /// Takes an event, and reports what it adds.
    pub(super) fn see(&mut self, event: Event, processes: &Processes, now: Instant, report: &mut impl FnMut(News)) {
        match event {
            Event::Fork { parent, child, child_thread } => {
                if child == child_thread
                    && self.members.contains_key(&parent)
                    && self.insert(child, Member::default(), report)
                {
                    // Never longer than the table.
                    if self.young.len() >= MEMBERS_MAX {
                        self.young.pop_front();
                    }
                    self.young.push_back((now, child));
                }
            }
            Event::Exec { process } => self.look_at(process, processes, report),
            Event::Exit { process, thread, status } => self.exit(process, thread, status, processes, report),
            Event::Answer { .. } | Event::Other => {}
        }
    }

    fn look_at(&mut self, pid: i32, processes: &Processes, report: &mut impl FnMut(News)) {
        if let Some(process) = processes.find_in_container(pid) {
            if self.insert(pid, Member { reported: Some(process.start_ticks), first: None }, report) {
                report(News::Process(process));
            }
        } else if processes.is_ending(pid) {
            // It ended before it could be inspected: v1 shows the root of what exits. Other sources may know its
            // container; only this one knows how it ended.
            self.insert(pid, Member::default(), report);
        }
    }

    fn exit(&mut self, pid: i32, thread: i32, status: u32, processes: &Processes, report: &mut impl FnMut(News)) {
        let Entry::Occupied(mut entry) = self.members.entry(pid) else { return };
        let member = entry.get_mut();
        if thread == pid {
            member.first = Some(status);
        }
        let Some(first) = member.first else { return };
        if !processes.has_ended(pid, member.reported) {
            return;
        }
        if member.reported.is_none()
            && let Some(process) = processes.find_in_container(pid)
        {
            report(News::Process(process));
        }
        entry.remove();
        let status = WaitStatus::from_raw(if status == 0 { first } else { status });
        report(News::Exit(Exit { pid, status }));
    }

    /// Reports forked processes that have settled. Returns when to call it again.
    pub(super) fn settle(
        &mut self,
        processes: &Processes,
        now: Instant,
        report: &mut impl FnMut(News),
    ) -> Option<Duration> {
        while let Some(&(born, pid)) = self.young.front() {
            let age = now.saturating_duration_since(born);
            if age < SETTLED {
                return Some(SETTLED - age);
            }
            self.young.pop_front();
            if self.members.get(&pid).is_some_and(|member| member.reported.is_none()) {
                self.look_at(pid, processes, report);
            }
        }
        None
    }

    fn insert(&mut self, pid: i32, member: Member, report: &mut impl FnMut(News)) -> bool {
        let fits = self.members.len() < MEMBERS_MAX || self.members.contains_key(&pid);
        if fits {
            self.members.insert(pid, member);
        } else if !self.overloaded {
            report(News::Overload);
        }
        self.overloaded = !fits;
        fits
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::host::HostRoot;

    const CONTAINER: &str = "/kubepods/pod0a1b2c3d-0000-4000-8000-0123456789ab/\
                             e9d7b1d3aa4f5b0e36a3a44f2a6f43c0a58fd7e3dcd0cc4ad0ea1f1ff1c2b3a4";

    /// A /proc of files.
    struct Proc {
        dir: tempfile::TempDir,
        processes: Processes,
    }

    impl Proc {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let processes = Processes::new(&HostRoot::at(dir.path()));
            Self { dir, processes }
        }

        fn shows(&self, pid: i32, state: char, threads: u32, start_ticks: u64) -> &Self {
            let dir = self.path(pid);
            std::fs::create_dir_all(&dir).unwrap();
            let zeros = "0 ".repeat(12);
            let stat =
                format!("{pid} (a) b) {state} 1 {zeros}0 0 0 {threads} 0 {start_ticks} 0 0 {}\n", "0 ".repeat(30));
            std::fs::write(dir.join("stat"), stat).unwrap();
            std::fs::write(dir.join("cgroup"), format!("4:memory:{CONTAINER}\n")).unwrap();
            self
        }

        fn path(&self, pid: i32) -> std::path::PathBuf {
            Path::new(self.dir.path()).join("proc").join(pid.to_string())
        }

        fn forget(&self, pid: i32) {
            std::fs::remove_dir_all(self.path(pid)).unwrap();
        }

        fn see(&self, members: &mut Members, event: Event) -> Vec<News> {
            let mut reported = Vec::new();
            members.see(event, &self.processes, Instant::now(), &mut |what| reported.push(what));
            reported
        }
    }

    fn exit(pid: i32, status: WaitStatus) -> News {
        News::Exit(Exit { pid, status })
    }

    fn process(pid: i32, start_ticks: u64) -> News {
        seen(pid, start_ticks, false)
    }

    fn zombie(pid: i32, start_ticks: u64) -> News {
        seen(pid, start_ticks, true)
    }

    fn seen(pid: i32, start_ticks: u64, ending: bool) -> News {
        let (name, cgroup) = ("a) b".to_owned(), CONTAINER.to_owned());
        News::Process(Process { pid, parent: 1, start_ticks, name, namespaced_pid: None, cgroup, ending })
    }

    #[test]
    fn a_process_that_exits_with_137_is_distinguished_from_a_killed_one() {
        let (proc, mut members) = (Proc::new(), Members::default());
        for (pid, status, expected) in [
            (10, 137 << 8, WaitStatus::Exited(137)),
            (11, 9, WaitStatus::Signaled(9)),
            (12, 0x8b, WaitStatus::Signaled(11)),
        ] {
            proc.shows(pid, 'R', 1, 500);
            assert_eq!(proc.see(&mut members, Event::Exec { process: pid }), [process(pid, 500)]);
            proc.shows(pid, 'Z', 1, 500);
            assert_eq!(
                proc.see(&mut members, Event::Exit { process: pid, thread: pid, status }),
                [exit(pid, expected)]
            );
        }
        assert!(members.members.is_empty());
    }

    #[test]
    fn processes_outside_of_containers_are_none_of_our_business() {
        let (proc, mut members) = (Proc::new(), Members::default());
        proc.shows(10, 'R', 1, 500);
        std::fs::write(proc.path(10).join("cgroup"), "4:memory:/system.slice/cron.service\n").unwrap();
        assert_eq!(proc.see(&mut members, Event::Exec { process: 10 }), []);
        assert_eq!(proc.see(&mut members, Event::Fork { parent: 10, child: 11, child_thread: 11 }), []);
        assert_eq!(proc.see(&mut members, Event::Exit { process: 11, thread: 11, status: 9 }), []);
        assert!(members.members.is_empty());
    }

    #[test]
    fn the_end_of_a_process_is_reported_even_if_it_could_not_be_inspected() {
        let (proc, mut members) = (Proc::new(), Members::default());
        assert_eq!(proc.see(&mut members, Event::Exec { process: 10 }), []);
        let end = Event::Exit { process: 10, thread: 10, status: 9 };
        assert_eq!(proc.see(&mut members, end), [exit(10, WaitStatus::Signaled(9))]);

        proc.shows(11, 'Z', 1, 500);
        std::fs::write(proc.path(11).join("cgroup"), "4:memory:/\n").unwrap();
        assert_eq!(proc.see(&mut members, Event::Exec { process: 11 }), []);
        let end = Event::Exit { process: 11, thread: 11, status: 255 << 8 };
        assert_eq!(proc.see(&mut members, end), [exit(11, WaitStatus::Exited(255))]);
    }

    #[test]
    fn a_first_thread_that_leaves_does_not_end_its_process() {
        let (proc, mut members) = (Proc::new(), Members::default());
        proc.shows(10, 'R', 3, 500);
        proc.see(&mut members, Event::Exec { process: 10 });
        proc.shows(10, 'Z', 2, 500);
        assert_eq!(proc.see(&mut members, Event::Exit { process: 10, thread: 10, status: 0 }), []);
        proc.shows(10, 'Z', 1, 500);
        let last = Event::Exit { process: 10, thread: 12, status: 3 << 8 };
        assert_eq!(proc.see(&mut members, last), [exit(10, WaitStatus::Exited(3))]);
    }

    #[test]
    fn a_process_that_another_thread_takes_over_by_exec_lives_on() {
        let (proc, mut members) = (Proc::new(), Members::default());
        proc.shows(10, 'R', 2, 500);
        proc.see(&mut members, Event::Exec { process: 10 });
        // The kernel kills the first thread, and the thread that runs the program takes its pid.
        proc.shows(10, 'R', 1, 500);
        assert_eq!(proc.see(&mut members, Event::Exit { process: 10, thread: 10, status: 0 }), []);
        assert_eq!(proc.see(&mut members, Event::Exec { process: 10 }), [process(10, 500)]);
        assert_eq!(proc.see(&mut members, Event::Exit { process: 10, thread: 13, status: 0 }), []);
        proc.forget(10);
        let end = Event::Exit { process: 10, thread: 10, status: 15 };
        assert_eq!(proc.see(&mut members, end), [exit(10, WaitStatus::Signaled(15))]);
    }

    #[test]
    fn a_pid_that_is_used_again_at_once_does_not_hide_an_end() {
        let (proc, mut members) = (Proc::new(), Members::default());
        proc.shows(10, 'R', 1, 500);
        proc.see(&mut members, Event::Exec { process: 10 });
        proc.shows(10, 'R', 1, 777);
        let end = Event::Exit { process: 10, thread: 10, status: 9 };
        assert_eq!(proc.see(&mut members, end), [exit(10, WaitStatus::Signaled(9))]);
    }

    #[test]
    fn a_fork_is_reported_when_it_settles_or_ends() {
        let (proc, mut members) = (Proc::new(), Members::default());
        proc.shows(10, 'R', 1, 500);
        proc.see(&mut members, Event::Exec { process: 10 });
        for child in [11, 12] {
            proc.shows(child, 'R', 1, 600);
            assert_eq!(proc.see(&mut members, Event::Fork { parent: 10, child, child_thread: child }), []);
        }
        proc.shows(11, 'Z', 1, 600);
        let end = Event::Exit { process: 11, thread: 11, status: 9 };
        assert_eq!(proc.see(&mut members, end), [zombie(11, 600), exit(11, WaitStatus::Signaled(9))]);

        let mut reported = Vec::new();
        let now = Instant::now();
        let again = members.settle(&proc.processes, now, &mut |what| reported.push(what));
        assert!(reported.is_empty() && again.is_none_or(|again| again <= SETTLED));
        assert_eq!(members.settle(&proc.processes, now + SETTLED, &mut |what| reported.push(what)), None);
        assert_eq!(reported, [process(12, 600)]);
    }

    #[test]
    fn after_a_loss_only_new_processes_are_reported() {
        let (proc, mut members) = (Proc::new(), Members::default());
        for pid in [10, 11] {
            proc.shows(pid, 'R', 1, 500);
            proc.see(&mut members, Event::Exec { process: pid });
        }
        proc.forget(11);
        proc.shows(12, 'R', 1, 600);
        let mut reported = Vec::new();
        members.rebuild(proc.processes.all_in_containers().unwrap(), &mut |what| reported.push(what));
        assert_eq!(reported, [process(12, 600)]);
        assert!(members.members.contains_key(&10) && !members.members.contains_key(&11));
    }

    #[test]
    fn too_many_processes_are_reported_as_a_loss_once() {
        let (proc, mut members) = (Proc::new(), Members::default());
        members.members.insert(1, Member::default());
        let mut overloads = 0;
        for child in 2..i32::try_from(MEMBERS_MAX).unwrap() + 100 {
            overloads += proc.see(&mut members, Event::Fork { parent: 1, child, child_thread: child }).len();
        }
        assert_eq!((overloads, members.members.len()), (1, MEMBERS_MAX));
    }
}
