//! /proc: the processes of containers, the node's memory, and its capacity for more processes.
//!
//! Processes are searched at start, so that running ones are known before they end; later the process connector
//! ([`process_events`](super::process_events)) reports new ones as they come. While that is not available, they are
//! searched again every ten seconds: a process that lives shorter than that may stay unknown.

pub(crate) mod followed;
mod namespace;
pub(crate) mod process;

use std::{
    collections::HashSet,
    convert::Infallible,
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use coroner_diagnosis::observation::{Fact, Health, Source, disk::Pids, process::NodeMemory};
use procfs::{FromRead, LoadAverage, Meminfo};

use self::process::Processes;
use super::{
    site::Site,
    worker::{End, Worker, unreadable},
};
use crate::host::HostRoot;

/// Time between two looks.
const INTERVAL: Duration = Duration::from_secs(10);

/// Whether the process connector currently reports new processes. Shared by the two sources.
#[derive(Clone, Debug, Default)]
pub struct Connector(Arc<AtomicBool>);

/// While this value exists, the process connector counts as working.
#[derive(Debug)]
pub(crate) struct Working<'a>(&'a Connector);

impl Working<'_> {
    /// Marks the connector as working from now on.
    pub(crate) fn begin(&self) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}

impl Drop for Working<'_> {
    /// However a run of the source ends.
    fn drop(&mut self) {
        self.0.0.store(false, Ordering::Relaxed);
    }
}

impl Connector {
    pub(crate) fn working(&self) -> Working<'_> {
        Working(self)
    }

    fn works(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Starts the source `procfs` in a thread.
pub fn spawn(site: &Site, host: HostRoot, connector: Connector) {
    site.thread(&site.outlet(Source::Procfs), move |worker| run(worker, &host, &connector));
}

fn run(worker: &mut Worker, host: &HostRoot, connector: &Connector) -> Result<Infallible, End> {
    let processes = Processes::new(host);
    // By pid and start time. As large as the number of processes in containers.
    let mut known = HashSet::new();
    let mut looked = false;
    loop {
        worker.send(worker.outlet.now(Fact::NodeMemory(node_memory(host)?)))?;
        worker.send(worker.outlet.now(Fact::Pids(pids(host)?)))?;
        if !looked || !connector.works() {
            let found: Vec<_> = processes.all_in_containers()?.collect();
            let seen = found.iter().map(|process| (process.pid, process.start_ticks)).collect();
            for process in found {
                if !known.contains(&(process.pid, process.start_ticks)) {
                    worker.send(worker.outlet.now(Fact::Process(process)))?;
                }
            }
            known = seen;
            looked = true;
        }
        worker.health(Health::Ok)?;
        worker.pause(INTERVAL)?;
    }
}

fn node_memory(host: &HostRoot) -> Result<NodeMemory, End> {
    let path = host.proc.join("meminfo");
    let memory = Meminfo::from_file(&path).map_err(|error| End::absent(unreadable(&path, &error)))?;
    // Since 3.14; before that, what is free is the least that can be had.
    Ok(NodeMemory { total: memory.mem_total, available: memory.mem_available.unwrap_or(memory.mem_free) })
}

/// As the kubelet counts them for `pid.available` (`pkg/kubelet/stats/pidlimit/pidlimit_linux.go`).
fn pids(host: &HostRoot) -> Result<Pids, End> {
    let limit = |name: &str| {
        let path = host.proc.join("sys/kernel").join(name);
        let text = fs::read_to_string(&path).map_err(|error| End::absent(unreadable(&path, &error)))?;
        text.trim_ascii().parse::<u64>().map_err(|error| End::absent(unreadable(&path, &error)))
    };
    let path = host.proc.join("loadavg");
    let load = LoadAverage::from_file(&path).map_err(|error| End::absent(unreadable(&path, &error)))?;
    Ok(Pids { max: limit("pid_max")?.min(limit("threads-max")?), current: load.max.into() })
}

#[cfg(test)]
mod tests;
