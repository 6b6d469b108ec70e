//! A trace instance of the agent's own: a directory below `instances` of tracefs, with buffers and events of its own.
//!
//! It is removed when the agent stops. An agent that was killed leaves its instance behind; the next one removes it.

use std::{
    fs, io,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use coroner_diagnosis::{
    messages::{Message, health},
    observation::{Health, trace::WATCHED_SIGNALS},
};
use nix::{
    fcntl::OFlag,
    mount::{MsFlags, mount},
};
use procfs::process::Process;
use tracing::{debug, info};

use crate::{host::HostRoot, sources::worker::End};

/// Name of the agent's instances, before the pid.
const PREFIX: &str = "coroner-";
/// KiB for each processor: space for some 500 events that are not read yet.
const BUFFER_KIB: u32 = 64;

pub(super) struct Instance {
    dir: PathBuf,
    /// What could not be switched on.
    missing: Option<Message>,
}

impl Instance {
    /// Makes the instance and switches its events on.
    pub(super) fn create(host: &HostRoot) -> Result<Self, End> {
        let tracefs = find_tracefs(&host.sys)?;
        let instances = tracefs.join("instances");
        remove_stale(&instances, host);
        let mut instance = Self { dir: make_dir(&instances, host)?, missing: None };
        instance.set_up()?;
        Ok(instance)
    }

    fn set_up(&mut self) -> Result<(), End> {
        self.write("buffer_size_kb", &BUFFER_KIB.to_string()).map_err(End::failed("write buffer_size_kb"))?;
        // The clock of the process connector; its readings can be converted to wall time without error.
        self.write("trace_clock", "mono").map_err(End::failed("write trace_clock"))?;
        // Wake the reader for each event, rather than when the buffer is half full. Since 5.0; before, that is how it
        // is.
        if let Err(error) = self.write("buffer_percent", "0") {
            debug!(%error, "Trace buffers wake their reader as this kernel likes");
        }
        let filter = WATCHED_SIGNALS.map(|signal| format!("sig=={signal}")).join("||");
        self.write("events/signal/signal_generate/filter", &filter)
            .and_then(|()| self.write("events/signal/signal_generate/enable", "1"))
            .map_err(|error| End::absent(health::health_signals_untraced(error.to_string())))?;
        if let Err(error) = self.write("events/oom/mark_victim/enable", "1") {
            let why = health::health_call_failed("write mark_victim/enable", error.to_string());
            self.missing = Some(health::health_victims_untraced(why));
        }
        Ok(())
    }

    pub(super) fn health(&self) -> Health {
        self.missing.clone().map_or(Health::Ok, |missing| Health::Degraded(missing.into()))
    }

    /// The events as text, which are gone once they were read.
    pub(super) fn pipe(&self) -> Result<fs::File, End> {
        let path = self.dir.join("trace_pipe");
        let opened = fs::OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(&path);
        opened.map_err(End::unreadable(&path))
    }

    fn write(&self, file: &str, value: &str) -> io::Result<()> {
        fs::OpenOptions::new().write(true).open(self.dir.join(file))?.write_all(value.as_bytes())
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir(&self.dir) {
            debug!(%error, dir = %self.dir.display(), "The trace instance stays behind");
        }
    }
}

/// Where tracefs is mounted. Where it is mounted nowhere, and the agent may, it is mounted at its standard place.
fn find_tracefs(sys: &Path) -> Result<PathBuf, End> {
    let standard = sys.join("kernel/tracing");
    for dir in [&standard, &sys.join("kernel/debug/tracing")] {
        if dir.join("instances").is_dir() {
            return Ok(dir.clone());
        }
    }
    if !fs::read_dir(&standard).is_ok_and(|mut entries| entries.next().is_none()) {
        return Err(End::absent(health::health_no_tracefs(standard.display().to_string())));
    }
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("tracefs"), &standard, Some("tracefs"), flags, None::<&str>).map_err(|error| {
        End::absent(health::health_tracefs_not_mounted(standard.display().to_string(), error.to_string()))
    })?;
    info!(at = %standard.display(), "Mounted tracefs");
    Ok(standard)
}

/// Creates `coroner-<pid>-<start time>`, which shows whether its creator is still running, or `….1` beside it.
fn make_dir(instances: &Path, host: &HostRoot) -> Result<PathBuf, End> {
    let own = Process::new_with_root(host.proc.join("self")).and_then(|own| own.stat());
    let own =
        own.map_err(|error| End::absent(health::health_no_agent(host.proc.display().to_string(), error.to_string())))?;
    let name = format!("{PREFIX}{}-{}", own.pid, own.starttime);
    let mut number = 0;
    loop {
        let dir = instances.join(if number == 0 { name.clone() } else { format!("{name}.{number}") });
        match fs::create_dir(&dir) {
            Ok(()) => return Ok(dir),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && number < 16 => number += 1,
            Err(error) => {
                let dir = dir.display().to_string();
                return Err(End::absent(health::health_not_created(dir, error.to_string())));
            }
        }
    }
}

/// Removes the instances of agents that are no more.
fn remove_stale(instances: &Path, host: &HostRoot) {
    for entry in fs::read_dir(instances).into_iter().flatten().flatten() {
        let lives = entry.file_name().to_str().is_none_or(|name| match maker(name) {
            Some((pid, start_ticks)) => Process::new_with_root(host.proc.join(pid.to_string()))
                .and_then(|process| process.stat())
                .is_ok_and(|stat| stat.starttime == start_ticks),
            None => true,
        });
        if !lives && let Err(error) = fs::remove_dir(entry.path()) {
            debug!(%error, dir = %entry.path().display(), "A stale trace instance stays behind");
        }
    }
}

/// Pid and start time of the agent that made the instance; `None` where no agent did.
fn maker(name: &str) -> Option<(i32, u64)> {
    let (pid, start_ticks) = name.strip_prefix(PREFIX)?.split_once('-')?;
    let start_ticks = start_ticks.split_once('.').map_or(start_ticks, |(start_ticks, _number)| start_ticks);
    Some((pid.parse().ok()?, start_ticks.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_goes_with_its_maker_and_stale_ones_with_the_next() {
        let host = HostRoot::at(Path::new("/"));
        let tracefs = find_tracefs(&host.sys).ok().unwrap();
        // A process that has ended: its pid may be used again, but not with this start time.
        let stale = tracefs.join("instances/coroner-2-1.3");
        fs::create_dir(&stale).unwrap();
        let instance = Instance::create(&host).ok().unwrap();
        let dir = instance.dir.clone();
        assert!(!stale.exists() && dir.exists());
        let another = Instance::create(&host).ok().unwrap();
        assert!(dir.exists(), "an instance of the living is kept");
        assert_ne!(another.dir, dir);
        drop((instance, another));
        assert!(!dir.exists());
    }

    #[test]
    fn without_tracefs_it_is_absent_with_a_reason() {
        let root = tempfile::tempdir().unwrap();
        let absent = Instance::create(&HostRoot::at(root.path())).err().unwrap();
        assert!(matches!(&absent, End::Absent(reason) if reason.text().contains("no tracefs")), "{absent}");
    }

    #[test]
    fn only_names_of_agents_have_a_maker() {
        assert_eq!(maker("coroner-12-345"), Some((12, 345)));
        assert_eq!(maker("coroner-12-345.2"), Some((12, 345)));
        assert_eq!(maker("coroner-12"), None);
        assert_eq!(maker("lab"), None);
    }
}
