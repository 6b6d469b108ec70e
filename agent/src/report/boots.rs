//! How the boot before this one ended: by a small file beside the outbox, and by what the kernel left in pstore.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use coroner_proto::v1::PreviousEnd;
use jiff::{SignedDuration, Timestamp};
use tracing::warn;

use crate::host::HostRoot;

/// A shutdown that is scheduled for so soon has as good as begun.
const NOW: SignedDuration = SignedDuration::from_secs(5);

/// The file: `<boot id> <running or stopped> <how the boot before ended, a number of the wire>`.
#[derive(Debug)]
pub struct Marker {
    path: PathBuf,
    boot_id: String,
    previous: PreviousEnd,
}

impl Marker {
    /// Reads what the agent left in this or the boot before, and notes that it runs in this one. `outbox`: the file
    /// beside which it is.
    pub fn begin(outbox: &Path, boot_id: &str, host: &HostRoot) -> Self {
        let path = outbox.with_extension("boot");
        let left = fs::read_to_string(&path).unwrap_or_default();
        let previous = previous_end(&left, boot_id, || has_panicked(&host.sys));
        let marker = Self { path, boot_id: boot_id.to_owned(), previous };
        marker.write("running");
        marker
    }

    /// How the boot before ended.
    pub fn previous_end(&self) -> PreviousEnd {
        self.previous
    }

    /// Notes that the agent was stopped in order.
    pub fn end(&self) {
        self.write("stopped");
    }

    /// Without it, the next agent does not know how this boot ended, and reports that.
    fn write(&self, state: &str) {
        if self.boot_id.is_empty() {
            return;
        }
        let text = format!("{} {state} {}\n", self.boot_id, i32::from(self.previous));
        if let Err(error) = replace(&self.path, &text) {
            warn!(path = %self.path.display(), %error, "Cannot note the state of this boot");
        }
    }
}

/// Writes the file as a whole, so that a power loss leaves the old one or the new one.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let new = path.with_extension("boot.new");
    fs::write(&new, text)?;
    fs::File::open(&new)?.sync_all()?;
    fs::rename(&new, path)
}

fn previous_end(left: &str, boot_id: &str, has_panicked: impl FnOnce() -> bool) -> PreviousEnd {
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
        "stopped" => PreviousEnd::Clean,
        "running" => PreviousEnd::Abrupt,
        _ => PreviousEnd::Unspecified,
    }
}

/// Whether pstore holds the last messages of a kernel that panicked (`dmesg-<backend>-<n>`, `fs/pstore/inode.c`).
fn has_panicked(sys: &Path) -> bool {
    let files = fs::read_dir(sys.join("fs/pstore")).into_iter().flatten().flatten();
    files.into_iter().any(|file| file.file_name().to_string_lossy().starts_with("dmesg-"))
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
        fs::write(root.path().join("sys/fs/pstore/dmesg-erst-1"), "Panic#1").unwrap();
        assert_eq!(begin("d").previous_end(), PreviousEnd::Panic);
        fs::write(outbox.with_extension("boot"), "nonsense").unwrap();
        assert_eq!(begin("e").previous_end(), PreviousEnd::Unspecified);
    }
}
