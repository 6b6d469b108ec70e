//! Whether kubelet and runtime have a process, and whether a signal has stopped it.
//!
//! The kubelet's process is known by its name, outside of pods, or by that of the program that it is a part of; the
//! runtime's is the one that listens on its socket (SO_PEERCRED). An agent in a pid namespace of its own knows it by
//! its name, and of several by the time at which its socket was made: beside the containerd of k3s may be Docker's.
//!
//! One small file of /proc is read again every 400 ms: a pidfd, by which the kernel would notify of the end, can
//! be opened only in the node's own pid namespace, and does not show a process that is stopped.

use std::{convert::Infallible, os::fd::AsRawFd as _, sync::Arc, time::Duration};

use coroner_diagnosis::observation::{
    Health,
    node::{Daemon, KUBELETS, Process, Reading},
};
use jiff::{SignedDuration, Timestamp};
use nix::sys::socket::{
    self as net, AddressFamily, SockFlag, SockType, UnixAddr, getsockopt, sockopt::PeerCredentials,
};
use tokio::sync::Notify;

use super::{fact, last_words, record_lines, record_process};
use crate::{
    host::HostRoot,
    node::uptime,
    report::{NodeState, boots::is_host_stopping},
    sources::{
        Settings,
        outlet::Outlet,
        procfs::{followed::Followed, process::Processes},
        site::Site,
        socket::Socket,
        worker::{End, Worker},
    },
};

/// Time between two looks at a process that is known.
const LOOK: Duration = Duration::from_millis(400);
/// When a process that ended is searched for: up to so many looks after its end, at every so many. At first often, so
/// that one that is started again at once is found before the end is reported.
const SEARCH: [(u32, u32); 2] = [(2, 1), (75, 2)];
/// Looks between two searches for one that is gone for longer, or was never there.
const RARELY: u32 = 75;

/// A daemon, and what its process is called.
#[derive(Debug)]
struct Watched {
    daemon: Daemon,
    names: &'static [&'static str],
    /// Where it listens.
    socket: Socket,
    /// Its process was found by that. Others of the same name are not it.
    by_socket: bool,
    /// Several processes have had its name at a time.
    several: bool,
    /// Its process, also after that has ended.
    process: Option<Followed>,
    /// As it was last reported.
    reported: Option<Option<Process>>,
    /// Looks since its process was last there.
    absent: u32,
    /// Its last lines, as they were last reported.
    lines: Vec<String>,
}

pub(super) fn spawn(site: &Site, outlet: &Outlet, settings: &Settings, state: NodeState, woken: Arc<Notify>) {
    let runtimes: &'static [&'static str] = match &settings.cri {
        Socket::Off => &[],
        Socket::At(address) => names_of(address),
        // While there is no socket that shows which it is.
        Socket::FirstOf(_) => &["containerd", "crio", "cri-dockerd"],
    };
    let host = settings.host.clone();
    let watched = |daemon, names, socket| Watched::new(daemon, names, socket);
    let mut all = [
        watched(Daemon::Kubelet, &KUBELETS[..], Socket::Off),
        watched(Daemon::Runtime, runtimes, settings.cri.clone()),
    ];
    site.thread(outlet, move |worker| run(worker, &host, &mut all, &state, &woken));
}

/// The process that listens on a socket, by its pid in the agent's own pid namespace; `None` if it is not of that, or
/// the first process, which listens for daemons that are not there yet.
fn listener(socket: &Socket) -> Option<i32> {
    let address = socket.find("CRI").ok()?;
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let connection = net::socket(AddressFamily::Unix, SockType::Stream, flags, None).ok()?;
    net::connect(connection.as_raw_fd(), &UnixAddr::new(address.strip_prefix("unix://")?).ok()?).ok()?;
    let pid = getsockopt(&connection, PeerCredentials).ok()?.pid();
    (pid > 1).then_some(pid)
}

/// When a daemon that now runs made its socket: soon after it started. Rounded up, as the time of its start is.
fn made(socket: &Socket) -> Option<Timestamp> {
    let address = socket.find("CRI").ok()?;
    let modified = std::fs::metadata(address.strip_prefix("unix://")?).ok()?.modified().ok()?;
    Timestamp::try_from(modified).ok()?.checked_add(SignedDuration::from_millis(100)).ok()
}

/// The runtime's process by the name of its socket.
fn names_of(address: &str) -> &'static [&'static str] {
    match address.rsplit('/').next() {
        Some("crio.sock") => &["crio"],
        // It may be a part of k3s.
        Some("cri-dockerd.sock") => &["cri-dockerd", "k3s-server", "k3s-agent"],
        _ => &["containerd"],
    }
}

fn run(
    worker: &mut Worker,
    host: &HostRoot,
    all: &mut [Watched],
    state: &NodeState,
    woken: &Notify,
) -> Result<Infallible, End> {
    let processes = Processes::new(host);
    processes.check()?;
    let mut is_stopping = false;
    loop {
        for watched in all.iter_mut() {
            let before = watched.reported.flatten();
            let send = |reading| worker.send(worker.outlet.now(fact(reading)));
            let Some(process) = watched.look(&processes) else {
                // One that ends soon after its start may be gone before it is seen.
                if let Some(lines) = watched.is_searched().then(|| last_words::in_file(host, watched.daemon))
                    && !lines.is_empty()
                    && lines != watched.lines
                {
                    watched.lines.clone_from(&lines);
                    state.change(|report| record_lines(report, watched.daemon, &lines));
                    send(Reading::LastLines(watched.daemon, lines))?;
                }
                continue;
            };
            let has_ended = before.is_some_and(|before| process.is_none_or(|process| process.pid != before.pid));
            let lines = match before.filter(|_| has_ended) {
                Some(before) => last_words::of(host, watched.daemon, before.pid),
                None => Vec::new(),
            };
            let started = watched.process.as_ref().filter(|_| process.is_some()).and_then(|of| started(of.start_ticks));
            if has_ended {
                watched.lines.clone_from(&lines);
            }
            state.change(|report| {
                record_process(report, watched.daemon, process, started);
                record_lines(report, watched.daemon, &lines);
            });
            woken.notify_waiters();
            // What a shutdown of the host stops has not failed, so that must be known first.
            if std::mem::replace(&mut is_stopping, is_host_stopping(&host.run)) != is_stopping {
                send(Reading::Shutdown(is_stopping))?;
            }
            if has_ended {
                send(Reading::LastLines(watched.daemon, lines))?;
            }
            send(Reading::Process(watched.daemon, process))?;
        }
        if is_stopping && !is_host_stopping(&host.run) {
            is_stopping = false;
            worker.send(worker.outlet.now(fact(Reading::Shutdown(false))))?;
        }
        worker.health(Health::Ok)?;
        worker.pause(LOOK)?;
    }
}

/// The time of a moment in clock ticks since boot.
fn started(ticks: u64) -> Option<Timestamp> {
    let since_boot =
        SignedDuration::from_millis(i64::try_from(ticks.saturating_mul(1000) / procfs::ticks_per_second()).ok()?);
    Timestamp::now().checked_sub(uptime()?).ok()?.checked_add(since_boot).ok()
}

impl Watched {
    fn new(daemon: Daemon, names: &'static [&'static str], socket: Socket) -> Self {
        let (by_socket, several, process, reported) = (false, false, None, None);
        Self { daemon, names, socket, by_socket, several, process, reported, absent: 0, lines: Vec::new() }
    }

    fn find(&mut self, processes: &Processes) -> Option<Followed> {
        match listener(&self.socket) {
            Some(pid) => {
                self.by_socket = true;
                processes.follow(pid)
            }
            None if self.by_socket => None,
            None => {
                let found = matches!(self.socket, Socket::FirstOf(_)).then(|| self.socket.find("CRI").ok()).flatten();
                let names = found.map_or(self.names, |address| names_of(&address));
                self.of_its_name(processes.find_daemons(names))
            }
        }
    }

    /// The process among those of its name, the oldest first. A successor starts later than the process before it,
    /// and where others have the name, only the one that has made the socket is it.
    fn of_its_name(&mut self, mut named: Vec<Followed>) -> Option<Followed> {
        self.several |= named.len() > 1;
        if let Some(before) = &self.process {
            let age = |process: &Followed| (process.start_ticks, process.pid);
            named.retain(|process| age(process) > age(before));
        }
        match made(&self.socket).filter(|_| self.several) {
            Some(made) => named.into_iter().rfind(|process| started(process.start_ticks).is_some_and(|at| at <= made)),
            None => named.into_iter().next(),
        }
    }

    /// Whether its process is to be searched for at this look.
    fn is_due(&self) -> bool {
        let often = SEARCH.iter().find(|(up_to, _)| self.process.is_some() && self.absent < *up_to);
        self.absent.is_multiple_of(often.map_or(RARELY, |(_, every)| *every))
    }

    /// Whether its process has ended and is searched for.
    fn is_searched(&self) -> bool {
        self.reported == Some(None) && self.is_due()
    }

    /// What is new of its process. That one that was never there is not there is nothing new: it may have another name.
    fn look(&mut self, processes: &Processes) -> Option<Option<Process>> {
        let mut found = self.process.as_ref().and_then(Followed::is_stopped);
        if found.is_none() {
            if self.is_due() && !self.names.is_empty() {
                let daemon = self.find(processes);
                found = daemon.as_ref().and_then(Followed::is_stopped);
                self.process = daemon.or_else(|| self.process.take());
            }
            self.absent = self.absent.saturating_add(1);
        }
        if found.is_some() {
            self.absent = 0;
        }
        let process = self.process.as_ref().zip(found).map(|(of, stopped)| Process { pid: of.pid, stopped });
        if self.reported == Some(process) || self.reported.is_none() && process.is_none() {
            return None;
        }
        self.reported = Some(process);
        Some(process)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        os::unix::net::UnixListener,
        path::{Path, PathBuf},
        process::{Child, Command},
    };

    use nix::{
        sys::signal::{Signal, kill},
        unistd::Pid,
    };

    use super::*;

    /// The name of a program of this test process alone, and the program, which runs for as long as it may.
    fn program(root: &Path, name: &str) -> (&'static str, PathBuf) {
        let name: &'static str = Box::leak(format!("{name}-{}", std::process::id()).into_boxed_str());
        let program = root.join(name);
        std::fs::copy("/bin/sleep", &program).unwrap();
        (name, program)
    }

    fn start(program: &Path) -> Child {
        Command::new(program).arg("600").spawn().unwrap()
    }

    /// Looks until something is new.
    fn news(watched: &mut Watched, processes: &Processes) -> Option<Process> {
        loop {
            if let Some(process) = watched.look(processes) {
                return process;
            }
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_process_is_found_by_its_name_and_followed_until_another_takes_its_place() {
        let root = tempfile::tempdir().unwrap();
        let (name, program) = program(root.path(), "kubel");
        let processes = Processes::new(&HostRoot::at(Path::new("/")));
        let mut watched = Watched::new(Daemon::Kubelet, Box::leak(Box::new([name])), Socket::Off);
        assert_eq!(watched.look(&processes), None, "one that was never there is nothing new");
        let mut child = start(&program);
        let pid = i32::try_from(child.id()).unwrap();
        let runs = |pid, stopped| Some(Process { pid, stopped });
        assert_eq!(news(&mut watched, &processes), runs(pid, false));
        kill(Pid::from_raw(pid), Signal::SIGSTOP).unwrap();
        assert_eq!(news(&mut watched, &processes), runs(pid, true));
        kill(Pid::from_raw(pid), Signal::SIGCONT).unwrap();
        assert_eq!(news(&mut watched, &processes), runs(pid, false));
        kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
        assert_eq!(news(&mut watched, &processes), None, "a zombie is a process no more");
        child.wait().unwrap();
        let mut child = start(&program);
        let next = i32::try_from(child.id()).unwrap();
        assert_eq!(news(&mut watched, &processes), runs(next, false));
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn a_kubelet_of_its_own_goes_before_an_older_program_that_contains_one() {
        let root = tempfile::tempdir().unwrap();
        let [(whole, older), (own, younger)] = ["k3s", "kub"].map(|name| program(root.path(), name));
        let mut children = [older, younger].map(|program| start(&program));
        let processes = Processes::new(&HostRoot::at(Path::new("/")));
        let found =
            |names: &[&str]| processes.find_daemons(names).iter().map(|process| process.pid).collect::<Vec<_>>();
        let [whole_pid, own_pid] = children.each_ref().map(|child| i32::try_from(child.id()).unwrap());
        while found(&[whole]).is_empty() || found(&[own]).is_empty() {
            std::thread::yield_now();
        }
        assert_eq!(found(&[own, whole]), [own_pid]);
        children[1].kill().unwrap();
        children[1].wait().unwrap();
        assert_eq!(found(&[own, whole]), [whole_pid]);
        children[0].kill().unwrap();
        children[0].wait().unwrap();
    }

    #[test]
    fn of_several_with_its_name_it_is_the_one_that_made_the_socket() {
        let root = tempfile::tempdir().unwrap();
        let (name, program) = program(root.path(), "contd");
        let path = root.path().join("containerd.sock");
        let socket = Socket::At(format!("unix://{}", path.display()));
        let bind = || {
            let _unbound = std::fs::remove_file(&path);
            drop(UnixListener::bind(&path).unwrap());
            // Until a process that starts now is younger than the socket, also by the ticks of its start.
            while Timestamp::now() < made(&socket).unwrap() + SignedDuration::from_millis(50) {
                std::thread::yield_now();
            }
        };
        let processes = Processes::new(&HostRoot::at(Path::new("/")));
        let mut watched = Watched::new(Daemon::Runtime, Box::leak(Box::new([name])), socket.clone());
        let mut earlier = start(&program);
        let mut own = start(&program);
        bind();
        let mut later = start(&program);
        while processes.find_daemons(&[name]).len() < 3 {
            std::thread::yield_now();
        }
        let pid = |child: &Child| i32::try_from(child.id()).unwrap();
        let process = news(&mut watched, &processes).map(|process| process.pid);
        assert_eq!(process, Some(pid(&own)), "of {earlier:?}, {own:?} and {later:?}");
        own.kill().unwrap();
        own.wait().unwrap();
        assert_eq!(news(&mut watched, &processes), None, "neither of the others takes its place");
        let mut next = start(&program);
        bind();
        assert_eq!(news(&mut watched, &processes).map(|process| process.pid), Some(pid(&next)));
        for child in [&mut earlier, &mut later, &mut next] {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    #[test]
    fn who_listens_on_a_socket_is_known_as_long_as_it_does() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("containerd.sock");
        let socket = Socket::At(format!("unix://{}", path.display()));
        assert_eq!(listener(&socket), None);
        let bound = UnixListener::bind(&path).unwrap();
        assert_eq!(listener(&socket), i32::try_from(std::process::id()).ok());
        drop(bound);
        // A process that another test starts has the socket until it runs its program.
        while listener(&socket).is_some() {
            std::thread::yield_now();
        }
        assert_eq!(listener(&Socket::Off), None);
    }
}
