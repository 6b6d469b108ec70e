//! The kernel's process connector: how every process of a container ended.
//!
//! The only witness on a node that tells `exit(137)` from SIGKILL. Also tells of the processes of containers when they begin, so
//! that they are known before they die. It needs the node's own network, pid and user
//! namespaces, and before Linux 6.6 CAP_NET_ADMIN.

mod members;
mod message;
mod socket;

use std::{
    convert::Infallible,
    os::fd::AsFd,
    time::{Duration, Instant},
};

use coroner_diagnosis::observation::{Fact, GapReason, Health, Observation, Source};
use jiff::Timestamp;

use self::{
    members::{Members, Told},
    socket::{Received, Socket},
};
use super::{
    procfs::{Connector, process::Processes},
    site::Site,
    worker::{End, Worker},
};
use crate::{clock::Anchor, host::HostRoot};

/// Starts the source. While it works, `connector` says so.
pub fn spawn(site: &Site, host: HostRoot, connector: Connector) {
    site.thread(&site.outlet(Source::ProcessEvents), move |worker| run(worker, &host, &connector));
}

fn run(worker: &mut Worker, host: &HostRoot, connector: &Connector) -> Result<Infallible, End> {
    let working = connector.working();
    let socket = Socket::open(worker)?;
    let processes = Processes::new(host);
    let mut members = Members::default();
    // Since when the table may be wrong. It is rebuilt when nothing waits to be read: a storm costs one look at /proc.
    let mut doubtful = Some(Timestamp::now());
    let mut lost = false;
    loop {
        match socket.receive()? {
            Received::Message(message) => {
                let anchor = Anchor::now();
                let happened_at = anchor.wall(message.at);
                let mut told = Vec::new();
                members.see(message.event, &processes, Instant::now(), &mut |what| told.push(what));
                hand_on(told, anchor.wall, happened_at, worker)?;
            }
            Received::Overrun => {
                doubtful.get_or_insert_with(Timestamp::now);
                lost = true;
            }
            Received::Empty => {
                let now = Timestamp::now();
                let mut told = Vec::new();
                if let Some(since) = doubtful.take() {
                    if std::mem::take(&mut lost) {
                        worker.send(worker.outlet.gap(GapReason::Overrun, since.min(now), now, None))?;
                    }
                    members.rebuild(processes.all_in_containers()?, &mut |what| told.push(what));
                    working.begin();
                    worker.health(Health::Ok)?;
                }
                let again = members.settle(&processes, Instant::now(), &mut |what| told.push(what));
                hand_on(told, now, now, worker)?;
                worker.readable(socket.as_fd(), again.map(|again| again.max(Duration::from_millis(1))))?;
            }
        }
    }
}

fn hand_on(told: Vec<Told>, seen_at: Timestamp, happened_at: Timestamp, worker: &Worker) -> Result<(), End> {
    for what in told {
        worker.send(match what {
            Told::Process(process) => Observation { seen_at, happened_at: seen_at, fact: Fact::Process(process) },
            Told::Exit(exit) => Observation { seen_at, happened_at, fact: Fact::ProcessExit(exit) },
            Told::Overload => worker.outlet.gap(GapReason::Overload, seen_at, seen_at, None),
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
