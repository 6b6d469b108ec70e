//! How the boot before this one ended: by a small file beside the outbox, and by what the kernel left in pstore.

use std::{
    fs,
    path::{Path, PathBuf},
};

use coroner_proto::v1::PreviousEnd;
use coroner_runtime::whole_file::replace;
use jiff::{SignedDuration, Timestamp};
use tracing::warn;

use crate::{host::HostRoot, node::uptime};

/// A shutdown that is scheduled for so soon has as good as begun.
const NOW: SignedDuration = SignedDuration::from_secs(5);

/// What stops an agent that runs to the end of its boot stops it at most so long before the next boot begins: other
/// daemons stop, and the firmware starts.
const SHUTDOWN: SignedDuration = SignedDuration::from_mins(15);

/// The file: `<boot id> <running, stopped or shutdown> <how the boot before ended, a number of the wire>`.
#[derive(Debug)]
pub struct Marker {
    path: PathBuf,
    /// The node's /run.
    run: PathBuf,
    boot_id: String,
    previous: PreviousEnd,
}

impl Marker {
    /// Reads what the agent left in this or the boot before, and notes that it runs in this one. `outbox`: the file
    /// beside which it is.
    pub fn begin(outbox: &Path, boot_id: &str, host: &HostRoot) -> Self {
        let path = outbox.with_extension("boot");
        let left = fs::read_to_string(&path).unwrap_or_default();
        let left_at = modified(&path);
        let began = uptime().and_then(|uptime| Timestamp::now().checked_sub(uptime).ok());
        let pause = left_at.zip(began).map(|(left, began)| began.duration_since(left));
        let previous = previous_end(&left, boot_id, pause, || has_panicked(&host.sys, left_at));
        let marker = Self { path, run: host.run.clone(), boot_id: boot_id.to_owned(), previous };
        marker.write("running");
        marker
    }

    /// How the boot before ended.
    pub fn previous_end(&self) -> PreviousEnd {
        self.previous
    }

    /// Notes that the agent was stopped in order, with its host or alone.
    pub fn end(&self) {
        self.write(if is_host_stopping(&self.run) { "shutdown" } else { "stopped" });
    }

    /// Without it, the next agent does not know how this boot ended, and reports that.
    fn write(&self, state: &str) {
        if self.boot_id.is_empty() {
            return;
        }
        let text = format!("{} {state} {}\n", self.boot_id, i32::from(self.previous));
        if let Err(error) = replace(&self.path, text.as_bytes()) {
            warn!(path = %self.path.display(), %error, "Cannot note the state of this boot");
        }
    }
}

/// By what the agent left in the file, and the time from then to the beginning of this boot.
fn previous_end(
    left: &str,
    boot_id: &str,
    pause: Option<SignedDuration>,
    has_panicked: impl FnOnce() -> bool,
) -> PreviousEnd {
    let mut words = left.split_ascii_whitespace();
    let (Some(of), Some(state), Some(before)) = (words.next(), words.next(), words.next()) else {
        return PreviousEnd::Unspecified;
    };
    if of == boot_id {
        // The agent was restarted within one boot.
        return before.parse().ok().and_then(|number: i32| PreviousEnd::try_from(number).ok()).unwrap_or_default();
    }
    match state {
        _ if has_panicked() => PreviousEnd::Panic,
        "shutdown" => PreviousEnd::Clean,
        // That the agent alone was stopped, and the host failed later, is not excluded after a longer pause.
        "stopped" if pause.is_some_and(|pause| pause <= SHUTDOWN) => PreviousEnd::Clean,
        "running" => PreviousEnd::Abrupt,
        _ => PreviousEnd::Unspecified,
    }
}

/// When a file was last written to.
fn modified(path: &Path) -> Option<Timestamp> {
    Timestamp::try_from(fs::metadata(path).ok()?.modified().ok()?).ok()
}

/// Whether pstore holds the last messages of a kernel that panicked since a moment: files `dmesg-<backend>-<n>`, which
/// have the time of the panic (`fs/pstore/inode.c`) and stay until they are deleted.
fn has_panicked(sys: &Path, since: Option<Timestamp>) -> bool {
    let files = fs::read_dir(sys.join("fs/pstore")).into_iter().flatten().flatten();
    let mut records = files.filter(|file| file.file_name().to_string_lossy().starts_with("dmesg-"));
    records.any(|file| modified(&file.path()).is_some_and(|at| since.is_none_or(|since| at >= since)))
}

/// Whether the host is being shut down or restarted in order: systemd forbids logins then, or a shutdown is due now
/// (`src/login/logind-dbus.c`, `src/user-sessions/user-sessions.c`). The file that forbids them is there during the
/// boot too, with another text.
pub fn is_host_stopping(run: &Path) -> bool {
    let read = |name: &str| fs::read_to_string(run.join(name)).unwrap_or_default();
    let due = read("systemd/shutdown/scheduled");
    let due = due.lines().find_map(|line| line.strip_prefix("USEC=")?.parse().ok());
    let due = due.and_then(|micros| Timestamp::from_microsecond(micros).ok());
    read("nologin").contains("System is going down") || due.is_some_and(|due| due <= Timestamp::now() + NOW)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shutdown_is_known_by_what_systemd_writes_and_not_before_it_is_due() {
        let root = tempfile::tempdir().unwrap();
        let run = root.path();
        let is_stopping = || is_host_stopping(run);
        assert!(!is_stopping());
        fs::write(run.join("nologin"), "System is booting up. Unprivileged users are not permitted to log in yet.")
            .unwrap();
        assert!(!is_stopping());
        fs::write(run.join("nologin"), "System is going down. Unprivileged users are not permitted to log in anymore.")
            .unwrap();
        assert!(is_stopping());
        fs::remove_file(run.join("nologin")).unwrap();
        fs::create_dir_all(run.join("systemd/shutdown")).unwrap();
        let schedule = |at: Timestamp| {
            let text = format!("USEC={}\nWARN_WALL=1\nMODE=reboot\n", at.as_microsecond());
            fs::write(run.join("systemd/shutdown/scheduled"), text).unwrap();
        };
        schedule(Timestamp::now() + SignedDuration::from_hours(1));
        assert!(!is_stopping());
        schedule(Timestamp::now());
        assert!(is_stopping());
    }

    #[test]
    fn the_end_of_the_boot_before_is_known_by_what_the_agent_left() {
        let root = tempfile::tempdir().unwrap();
        let (host, outbox) = (HostRoot::at(root.path()), root.path().join("outbox.db"));
        let begin = |boot: &str| Marker::begin(&outbox, boot, &host);
        assert_eq!(begin("a").previous_end(), PreviousEnd::Unspecified);
        assert_eq!(begin("a").previous_end(), PreviousEnd::Unspecified, "the agent alone was restarted");
        assert_eq!(begin("b").previous_end(), PreviousEnd::Abrupt);
        begin("b").end();
        assert_eq!(begin("c").previous_end(), PreviousEnd::Clean);
        assert_eq!(begin("c").previous_end(), PreviousEnd::Clean, "still known after a restart of the agent");
        fs::create_dir_all(root.path().join("sys/fs/pstore")).unwrap();
        let record = root.path().join("sys/fs/pstore/dmesg-erst-1");
        fs::write(&record, "Panic#1").unwrap();
        assert_eq!(begin("d").previous_end(), PreviousEnd::Panic);
        let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(86_400);
        fs::File::options().write(true).open(&record).unwrap().set_modified(long_ago).unwrap();
        assert_eq!(begin("e").previous_end(), PreviousEnd::Abrupt, "the panic was in an earlier boot");
        fs::remove_file(&record).unwrap();
        let marker = outbox.with_extension("boot");
        let file = || fs::File::options().write(true).open(&marker).unwrap();
        begin("e").end();
        file().set_modified(long_ago).unwrap();
        assert_eq!(begin("f").previous_end(), PreviousEnd::Unspecified, "the agent was stopped long before");
        fs::create_dir_all(&host.run).unwrap();
        fs::write(host.run.join("nologin"), "System is going down.").unwrap();
        begin("f").end();
        file().set_modified(long_ago).unwrap();
        assert_eq!(begin("g").previous_end(), PreviousEnd::Clean, "it was stopped with its host");
        fs::write(&marker, "nonsense").unwrap();
        assert_eq!(begin("h").previous_end(), PreviousEnd::Unspecified);
    }
}
