//! The end of the log of a container that has failed, from /var/log/pods.
//!
//! Read once, when the container has ended, never followed. What looks like a secret is taken out before anything is
//! handed on ([`redact`]). The owner of the container wrote the log, and may have replaced it by anything: only a
//! regular file below the kubelet's own directories is opened, and at most its last [`TAIL`] bytes are read.

use std::{
    fs::{File, OpenOptions},
    future::pending,
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use coroner_diagnosis::{
    messages::{Message, health},
    observation::{
        Fact, GapReason, Health, Observation, Source,
        cri::{Container, Pod},
        docker::Report,
        log::{Line, Tail},
    },
    redact,
};
use jiff::Timestamp;
use nix::{errno::Errno, fcntl::OFlag};
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
/// The most that is read of one log, in bytes.
const TAIL: u64 = 16 * 1024;
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
    attempt: u32,
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
        let wanted =
            Wanted { pod: container.pod.clone(), container: container.name.clone(), attempt: container.attempt };
        if let Err(TrySendError::Full(_)) = self.sender.try_send(wanted) {
            let now = Timestamp::now();
            self.outlet.offer(self.outlet.gap(GapReason::Overload, now, now, Some(1)));
        }
    }
}

/// Starts the source. `directory`: the node's /var/log/pods. With 0 `lines` nothing is read.
pub fn spawn(site: &Site, directory: PathBuf, lines: usize, requests: Requests) {
    let Requests { wanted, outlet, .. } = requests;
    let directory = Arc::new(directory);
    site.task(&outlet.clone(), move || {
        let reader =
            Reader { outlet: outlet.clone(), directory: Arc::clone(&directory), lines, failed: None, late: None };
        let wanted = Arc::clone(&wanted);
        async move { reader.serve(&mut *wanted.lock().await).await }
    });
}

struct Reader {
    outlet: Outlet,
    directory: Arc<PathBuf>,
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
        let directory = Arc::clone(&self.directory);
        match self.in_time(move || directory.is_dir()).await {
            Ok(true) => Health::Ok,
            Ok(false) => Health::Absent(health::health_no_directory(self.directory.display().to_string()).into()),
            Err(reason) => Health::Degraded(reason.into()),
        }
    }

    /// Reads a log and hands it on.
    async fn read(&mut self, wanted: Wanted) -> Health {
        let (directory, asked, lines) = (Arc::clone(&self.directory), wanted.clone(), self.lines);
        let reason = match self.in_time(move || read(&directory, &asked, lines)).await {
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
        let late = || health::health_logs_late(self.directory.display().to_string(), DEADLINE);
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

/// The end of a log; `None` where there is none.
fn read(directory: &Path, wanted: &Wanted, lines: usize) -> io::Result<Option<Tail>> {
    let Some(path) = path(directory, wanted) else { return Ok(None) };
    let mut file = match open(&path) {
        Ok(file) => file,
        // Gone with its pod, or a link, as Docker's logs are.
        Err(error) if matches!(error.raw_os_error().map(Errno::from_raw), Some(Errno::ENOENT | Errno::ELOOP)) => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Ok(None);
    }
    file.seek(SeekFrom::Start(metadata.len().saturating_sub(TAIL)))?;
    let mut bytes = Vec::new();
    file.take(TAIL).read_to_end(&mut bytes)?;
    let mut read = Line::parse_all(&String::from_utf8_lossy(&bytes));
    // A key may stretch over lines, also over ones that are not handed on: it is looked for in all of them together.
    let joined = read.iter().map(|line| line.text.replace(['\n', '\r'], " ")).collect::<Vec<_>>().join("\n");
    let (cleaned, _) = redact::clean(&joined);
    for (line, text) in read.iter_mut().zip(cleaned.split('\n')) {
        text.clone_into(&mut line.text);
    }
    let first = read.len().saturating_sub(lines);
    let mut kept = read.split_off(first);
    kept.retain(|line| !line.text.is_empty());
    if kept.is_empty() {
        return Ok(None);
    }
    Ok(Some(Tail {
        pod: wanted.pod.clone(),
        container: wanted.container.clone(),
        attempt: wanted.attempt,
        lines: kept,
    }))
}

/// Neither follows a link, nor waits for a pipe's writer.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    OpenOptions::new().read(true).custom_flags(flags.bits()).open(path)
}

/// Mirrors `BuildContainerLogsDirectory` of `pkg/kubelet/kuberuntime/helpers.go`. `None` for names that lead elsewhere.
fn path(directory: &Path, wanted: &Wanted) -> Option<PathBuf> {
    let Wanted { pod, container, attempt } = wanted;
    let parts = [&pod.namespace, &pod.name, &pod.uid, container];
    let is_name = |part: &String| !part.is_empty() && !part.contains(['/', '\0']) && part != "." && part != "..";
    if !parts.into_iter().all(is_name) {
        return None;
    }
    let folder = format!("{}_{}_{}", pod.namespace, pod.name, pod.uid);
    Some(directory.join(folder).join(container).join(format!("{attempt}.log")))
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use nix::{sys::stat::Mode, unistd::mkfifo};

    use super::*;

    fn wanted() -> Wanted {
        let pod = Pod { namespace: "shop".to_owned(), name: "cart".to_owned(), uid: "u1".to_owned() };
        Wanted { pod, container: "web".to_owned(), attempt: 3 }
    }

    fn log(text: &[u8]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let path = path(dir.path(), &wanted()).unwrap();
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        dir
    }

    fn texts(dir: &tempfile::TempDir, lines: usize) -> Vec<String> {
        let tail = read(dir.path(), &wanted(), lines).unwrap();
        tail.map(|tail| tail.lines.into_iter().map(|line| line.text).collect()).unwrap_or_default()
    }

    #[test]
    fn the_last_lines_are_reported_without_their_secrets() {
        let mut text = String::new();
        for n in 0..2000 {
            text += &format!("2026-11-20T22:10:00.{n:04}Z stdout F line {n}\n");
        }
        text += "2026-11-20T22:10:01Z stderr F login with password=hunter2 failed\n";
        let dir = log(text.as_bytes());
        assert_eq!(texts(&dir, 2), ["line 1999", "login with password=[redacted:named]"]);
        assert!(texts(&dir, 10_000).len() < 400, "no more than the end is read");
    }

    #[test]
    fn of_a_key_whose_beginning_is_not_handed_on_nothing_is_left() {
        let line = |text: &str| format!("2026-11-20T22:10:01Z stderr F {text}\n");
        let body = "MIIEowIBAAKCAQEAx9fGkq0h3T7Pzq1vWc5YbR2nLmK8JdU4sEoXaZpQwTrVyBgH".to_owned();
        let lines = ["-----BEGIN RSA PRIVATE KEY-----", &body, &body, "-----END RSA PRIVATE KEY-----", "", "boom"];
        let dir = log(lines.map(line).concat().as_bytes());
        assert_eq!(texts(&dir, 3), ["boom"]);
        assert_eq!(texts(&dir, 6), ["[redacted:private-key]", "boom"]);
    }

    #[test]
    fn bytes_that_are_no_text_are_read_all_the_same() {
        let dir = log(b"\xff\xfe\n2026-11-20T22:10:01Z stderr F \xff boom\n");
        assert_eq!(texts(&dir, 5), ["\u{fffd} boom"]);
    }

    #[test]
    fn only_a_regular_file_in_its_place_is_opened() {
        let dir = log(b"");
        let path = path(dir.path(), &wanted()).unwrap();
        fs::remove_file(&path).unwrap();
        assert!(texts(&dir, 5).is_empty());
        let secret = dir.path().join("secret");
        fs::write(&secret, "2026-11-20T22:10:01Z stderr F secret\n").unwrap();
        symlink(&secret, &path).unwrap();
        assert!(texts(&dir, 5).is_empty());
        fs::remove_file(&path).unwrap();
        mkfifo(&path, Mode::S_IRWXU).unwrap();
        assert!(texts(&dir, 5).is_empty());
        let elsewhere = Wanted { container: "../../..".to_owned(), ..wanted() };
        assert_eq!(super::path(dir.path(), &elsewhere), None);
    }
}
