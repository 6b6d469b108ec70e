//! When the kernel killed, by its own clock: the tracepoint `oom:mark_victim` in a trace instance of our own.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::time::{ClockId, clock_gettime};

/// CLOCK_MONOTONIC, as a span since boot.
pub(crate) fn now() -> Duration {
    clock_gettime(ClockId::CLOCK_MONOTONIC).expect("every Linux has CLOCK_MONOTONIC").into()
}

/// One kill.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kill {
    /// CLOCK_MONOTONIC.
    pub(crate) at: Duration,
    /// In the node's pid namespace.
    pub(crate) pid: i32,
}

/// Records kills until it is dropped.
#[derive(Debug)]
pub(crate) struct Recorder {
    instance: PathBuf,
}

impl Recorder {
    pub(crate) fn start() -> Result<Self> {
        let instance = PathBuf::from(format!("/sys/kernel/tracing/instances/coroner-bench-{}", std::process::id()));
        fs::create_dir(&instance).with_context(|| format!("creating {instance:?}; is tracefs mounted?"))?;
        let recorder = Self { instance };
        recorder.write("trace_clock", "mono")?;
        recorder.write("buffer_size_kb", "8192")?;
        recorder.write("events/oom/mark_victim/enable", "1")?;
        Ok(recorder)
    }

    fn write(&self, file: &str, value: &str) -> Result<()> {
        fs::write(self.instance.join(file), value).with_context(|| format!("writing {value} to {file}"))
    }

    /// Everything since the start.
    pub(crate) fn kills(&self) -> Result<Vec<Kill>> {
        let trace = fs::read(self.instance.join("trace")).context("reading the trace")?;
        Ok(String::from_utf8_lossy(&trace).lines().filter_map(kill).collect())
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        if let Err(error) = self.write("events/enable", "0").and_then(|()| Ok(fs::remove_dir(&self.instance)?)) {
            eprintln!("removing {:?}: {error:#}", self.instance);
        }
    }
}

/// Reads `comm-PID [CPU] FLAGS SECONDS.MICROSECONDS: mark_victim: pid=N …`; the killer's name may hold anything.
fn kill(line: &str) -> Option<Kill> {
    let (head, event) = line.rsplit_once(": mark_victim: pid=")?;
    let (seconds, micros) = head.rsplit_once(' ')?.1.split_once('.')?;
    let pid = event.split(' ').next()?.parse().ok()?;
    Some(Kill { at: Duration::from_secs(seconds.parse().ok()?) + Duration::from_micros(micros.parse().ok()?), pid })
}
