//! Events as text, from a trace [`Instance`] of the agent's own.

use std::{convert::Infallible, fs::File, io::Read, os::fd::AsFd, time::Duration};

use coroner_diagnosis::observation::{
    GapReason,
    trace::{TraceLine, parse_line},
};
use jiff::Timestamp;
use nix::errno::Errno;
use tracing::debug;

use super::{hand_on, instance::Instance};
use crate::{
    clock::Anchor,
    host::HostRoot,
    sources::{
        procfs::process::Processes,
        worker::{End, Worker},
    },
};

/// Several times what one read of the pipe gives (8 KiB).
const PIPE_READ: usize = 32 * 1024;
/// Longer than any line of the watched events. A line that does not end within is dropped.
const LINE_MAX: usize = 4 * 1024;

pub(super) fn run(worker: &mut Worker, host: &HostRoot) -> Result<Infallible, End> {
    let instance = Instance::create(host)?;
    let pipe = instance.pipe()?;
    worker.health(instance.health())?;
    let processes = Processes::new(host);
    let mut pending = Vec::new();
    let mut read_until = Timestamp::now();
    loop {
        if !fill(&pipe, &mut pending)? {
            read_until = Timestamp::now();
            worker.readable(pipe.as_fd(), None)?;
            continue;
        }
        while let Some(end) = pending.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = pending.drain(..=end).collect();
            match parse_line(&String::from_utf8_lossy(&line)) {
                Ok(TraceLine::Event(event)) => {
                    let now = Anchor::now();
                    let happened_at = now.wall(Duration::from_micros(event.boot_micros));
                    hand_on(event.kind, now.wall, happened_at, &processes, worker)?;
                }
                Ok(TraceLine::LostEvents { lost, .. }) => {
                    let now = Timestamp::now();
                    worker.send(worker.outlet.gap(GapReason::Overrun, read_until.min(now), now, lost))?;
                }
                Err(error) => debug!(%error, "A line of the trace is not understood"),
            }
        }
        if pending.len() > LINE_MAX {
            pending.clear();
        }
    }
}

/// Reads what is there. False if there is nothing.
fn fill(mut pipe: &File, pending: &mut Vec<u8>) -> Result<bool, End> {
    let start = pending.len();
    pending.resize(start + PIPE_READ, 0);
    let read = pipe.read(&mut pending[start..]);
    pending.truncate(start + *read.as_ref().unwrap_or(&0));
    match read {
        // Tracing was switched off by another process; the instance is recreated.
        Ok(0) => Err(End::failed("read trace_pipe")(std::io::ErrorKind::UnexpectedEof)),
        Ok(_) => Ok(true),
        Err(error) => match Errno::from_raw(error.raw_os_error().unwrap_or_default()) {
            Errno::EAGAIN | Errno::EINTR => Ok(false),
            _ => Err(End::failed("read trace_pipe")(error)),
        },
    }
}
