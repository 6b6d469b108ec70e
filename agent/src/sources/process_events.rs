//! The kernel's process connector: how every process of a container ended.
//!
//! The only source on a node that distinguishes `exit(137)` from SIGKILL. Also reports the processes of containers when
//! they begin, so that they are known before they end. It needs the node's own network, pid and user namespaces, and
//! before Linux 6.6 CAP_NET_ADMIN.

mod mains;
mod members;
mod message;
mod socket;

use std::{
    convert::Infallible,
    os::fd::AsFd,
    time::{Duration, Instant},
};

use coroner_diagnosis::observation::{
    Fact, GapReason, Health, Observation, Source,
    process::{Exit, WaitStatus},
};
use jiff::Timestamp;

use self::{
    mains::Mains,
    members::{Members, News},
    message::Event,
    socket::{Received, Socket},
};
use super::{
    cri::Hints,
    procfs::{Connector, process::Processes},
    site::Site,
    worker::{End, Worker},
};
use crate::{clock::Anchor, host::HostRoot, report::NodeState};

/// Starts the source. `connector` shows whether it works. `hints` get the starts and ends of containers where
/// containerd's events do not give them.
pub fn spawn(site: &Site, host: HostRoot, connector: Connector, hints: Hints, state: NodeState) {
    site.thread(&site.outlet(Source::ProcessEvents), move |worker| run(worker, &host, &connector, &hints, &state));
}

fn run(
    worker: &mut Worker,
    host: &HostRoot,
    connector: &Connector,
    hints: &Hints,
    state: &NodeState,
) -> Result<Infallible, End> {
    let working = connector.working();
    let socket = Socket::open(worker)?;
    let processes = Processes::new(host);
    let mut members = Members::default();
    let mut mains = Mains::default();
    // Since when the table may be wrong. It is rebuilt when nothing waits to be read: a storm costs one look at /proc.
    let mut doubtful = Some(Timestamp::now());
    let mut lost = false;
    loop {
        match socket.receive()? {
            Received::Message(message) => {
                let anchor = Anchor::now();
                let happened_at = anchor.wall(message.at);
                let mut news = Vec::new();
                news.extend(end_of_daemon(&message.event, &processes, state));
                members.see(message.event, &processes, Instant::now(), &mut |what| news.push(what));
                give_hints(&mut mains, &news, hints);
                hand_on(news, anchor.wall, happened_at, worker)?;
            }
            Received::Overrun => {
                doubtful.get_or_insert_with(Timestamp::now);
                lost = true;
            }
            Received::Empty => {
                let now = Timestamp::now();
                let mut news = Vec::new();
                if let Some(since) = doubtful.take() {
                    if std::mem::take(&mut lost) {
                        worker.send(worker.outlet.gap(GapReason::Overrun, since.min(now), now, None))?;
                    }
                    members.rebuild(processes.all_in_containers()?, &mut |what| news.push(what));
                    mains.keep(|pid| members.contains(pid));
                    working.begin();
                    worker.health(Health::Ok)?;
                }
                let again = members.settle(&processes, Instant::now(), &mut |what| news.push(what));
                give_hints(&mut mains, &news, hints);
                hand_on(news, now, now, worker)?;
                worker.readable(socket.as_fd(), again.map(|again| again.max(Duration::from_millis(1))))?;
            }
        }
    }
}

fn give_hints(mains: &mut Mains, news: &[News], hints: &Hints) {
    news.iter().filter_map(|news| mains.hint(news)).for_each(|event| hints.stand_in(event));
}

/// How kubelet or runtime ended, which belong to no container. All threads of a process that ends have its status.
fn end_of_daemon(event: &Event, processes: &Processes, state: &NodeState) -> Option<News> {
    let Event::Exit { process: pid, status, .. } = *event else { return None };
    let daemon = state.daemon_of(pid).filter(|_| processes.has_ended(pid, None))?;
    let status = WaitStatus::from_raw(status);
    state.ended(daemon, status);
    Some(News::Exit(Exit { pid, status }))
}

fn hand_on(news: Vec<News>, seen_at: Timestamp, happened_at: Timestamp, worker: &Worker) -> Result<(), End> {
    for what in news {
        worker.send(match what {
            News::Process(process) => Observation { seen_at, happened_at: seen_at, fact: Fact::Process(process) },
            News::Exit(exit) => Observation { seen_at, happened_at, fact: Fact::ProcessExit(exit) },
            News::Overload => worker.outlet.gap(GapReason::Overload, seen_at, seen_at, None),
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
