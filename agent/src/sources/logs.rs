//! The end of the log of a container that has failed, from /var/log/pods.
//!
//! Read once, when the container has ended, never followed. What looks like a secret is taken out before anything is
//! handed on ([`file`](mod@file)).

mod file;

use std::{future::pending, path::PathBuf, sync::Arc, time::Duration};

use coroner_diagnosis::{
    messages::{Message, health},
    observation::{
        Fact, GapReason, Health, Observation, Source,
        cri::{Container, ContainerId, Pod},
        docker::Report,
    },
};
use jiff::Timestamp;
use tokio::{
    select,
    sync::{
        Mutex,
        mpsc::{self, error::TrySendError},
    },
    task::{AbortHandle, spawn_blocking},
    time::{sleep, timeout},
};

use super::{outlet::Outlet, site::Site};

/// Lines that are handed on, if nothing else is asked for.
pub const LINES: usize = 10;
/// Logs that wait to be read.
const WAITING: usize = 64;
/// While something is wrong, it is tried again so often.
const RECHECK: Duration = Duration::from_secs(15);
/// How long one log may take.
const DEADLINE: Duration = Duration::from_secs(2);

/// A log that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Wanted {
    pod: Pod,
    container: String,
    id: ContainerId,
    attempt: u32,
}

/// Where the node has logs of containers.
#[derive(Clone, Debug)]
pub struct Directories {
    /// The node's /var/log/pods: where the kubelet has them, or links to Docker's.
    pub pods: PathBuf,
    /// Docker's directory of containers, /var/lib/docker/containers of the node.
    pub docker: PathBuf,
}

/// Requests for logs. Never waits: what does not fit is a gap. Cloned freely; all clones are one.
#[derive(Clone, Debug)]
pub struct Requests {
    sender: mpsc::Sender<Wanted>,
    wanted: Arc<Mutex<mpsc::Receiver<Wanted>>>,
    outlet: Outlet,
}

impl Requests {
    /// A way to the source of this site.
    pub fn new(site: &Site) -> Self {
        let (sender, wanted) = mpsc::channel(WAITING);
        Self { sender, wanted: Arc::new(Mutex::new(wanted)), outlet: site.outlet(Source::Logs) }
    }

    /// Asks for the log of a container that has ended by this, unless it ended well.
    pub fn follow(&self, fact: &Fact) {
        match fact {
            Fact::Container(container) => self.ended(container),
            Fact::Docker(Report::Container(container)) => self.ended(container),
            _ => {}
        }
    }

    fn ended(&self, container: &Container) {
        if !container.exited() || container.exit_code == 0 || container.pod.uid.is_empty() {
            return;
        }
        let wanted = Wanted {
            pod: container.pod.clone(),
            container: container.name.clone(),
            id: container.id.clone(),
            attempt: container.attempt,
        };
        if let Err(TrySendError::Full(_)) = self.sender.try_send(wanted) {
            let now = Timestamp::now();
            self.outlet.offer(self.outlet.gap(GapReason::Overload, now, now, Some(1)));
        }
    }
}

/// Starts the source. With 0 `lines` nothing is read.
pub fn spawn(site: &Site, directories: Directories, lines: usize, requests: Requests) {
    let Requests { wanted, outlet, .. } = requests;
    let directories = Arc::new(directories);
    site.task(&outlet.clone(), move || {
        let reader =
            Reader { outlet: outlet.clone(), directories: Arc::clone(&directories), lines, failed: None, late: None };
        let wanted = Arc::clone(&wanted);
        async move { reader.serve(&mut *wanted.lock().await).await }
    });
}

struct Reader {
    outlet: Outlet,
    directories: Arc<Directories>,
    lines: usize,
    /// The log that could not be read last: it is tried again.
    failed: Option<Wanted>,
    /// The reading that has not come back in time. Until it does, no other is begun: a dead mount holds one thread, not
    /// many.
    late: Option<AbortHandle>,
}

impl Reader {
    async fn serve(mut self, wanted: &mut mpsc::Receiver<Wanted>) {
        if self.lines == 0 {
            self.outlet.health(Health::Absent(health::health_logs_off().into())).await;
            while wanted.recv().await.is_some() {}
            return pending().await;
        }
        // Containers are asked about again and again: each log once.
        let mut last: Option<Wanted> = None;
        let mut health = self.look().await;
        loop {
            let unwell = health != Health::Ok;
            self.outlet.health(health.clone()).await;
            health = select! {
                asked = wanted.recv() => match asked {
                    Some(asked) if last.as_ref() == Some(&asked) => continue,
                    Some(asked) => {
                        last = Some(asked.clone());
                        self.read(asked).await
                    }
                    // There are no further requests: the agent stops.
                    None => return pending().await,
                },
                () = sleep(RECHECK), if unwell => match self.failed.take() {
                    Some(failed) => self.read(failed).await,
                    None => self.look().await,
                },
            };
        }
    }

    /// Whether there is a directory of logs.
    async fn look(&mut self) -> Health {
        let directories = Arc::clone(&self.directories);
        match self.in_time(move || directories.pods.is_dir()).await {
            Ok(true) => Health::Ok,
            Ok(false) => {
                Health::Absent(health::health_no_directory(self.directories.pods.display().to_string()).into())
            }
            Err(reason) => Health::Degraded(reason.into()),
        }
    }

    /// Reads a log and hands it on.
    async fn read(&mut self, wanted: Wanted) -> Health {
        let (directories, asked, lines) = (Arc::clone(&self.directories), wanted.clone(), self.lines);
        let reason = match self.in_time(move || file::read(&directories, &asked, lines)).await {
            Ok(Ok(Some(tail))) => {
                let seen_at = Timestamp::now();
                let happened_at = tail.lines.last().map_or(seen_at, |line| line.at.min(seen_at));
                let _going_away = self.outlet.send(Observation { seen_at, happened_at, fact: Fact::Log(tail) }).await;
                return Health::Ok;
            }
            Ok(Ok(None)) => return self.look().await,
            Ok(Err(error)) => health::health_log_unreadable(error.to_string()),
            Err(reason) => reason,
        };
        self.failed = Some(wanted);
        Health::Degraded(reason.into())
    }

    /// Does on a thread what may wait for a file system.
    async fn in_time<T: Send + 'static>(&mut self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Message> {
        let late = || health::health_logs_late(self.directories.pods.display().to_string(), DEADLINE);
        if self.late.as_ref().is_some_and(|late| !late.is_finished()) {
            return Err(late());
        }
        let mut working = spawn_blocking(work);
        match timeout(DEADLINE, &mut working).await {
            Ok(done) => done.map_err(|_| health::health_log_panicked()),
            Err(_) => {
                let reason = late();
                self.late = Some(working.abort_handle());
                Err(reason)
            }
        }
    }
}
