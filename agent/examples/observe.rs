//! Prints what the kernel's sources observe on this machine, until Ctrl-C: `cargo run -p coroner-agent --example observe`, as root.

use std::{path::Path, time::Duration};

use coroner_agent::{
    host::HostRoot,
    sources::{
        kernel_log,
        outlet::CAPACITY,
        process_events,
        procfs::{self, Connector},
        signals,
        site::Site,
    },
};
use coroner_runtime::{metrics::Metrics, tasks::Supervisor};
use tokio::sync::mpsc;

#[tokio::main]
async fn main() {
    let (sender, mut receiver) = mpsc::channel(CAPACITY);
    let group = Supervisor::new(&Metrics::default()).group();
    let (site, connector) = (Site::new(group.clone(), sender), Connector::default());
    let host = HostRoot::at(Path::new("/"));
    kernel_log::spawn(&site, host.clone(), kernel_log::LOOKBACK);
    signals::spawn(&site, host.clone());
    process_events::spawn(&site, host.clone(), connector.clone());
    procfs::spawn(&site, host, connector);
    loop {
        tokio::select! {
            Some(observation) = receiver.recv() => {
                let late = observation.seen_at.duration_since(observation.happened_at);
                println!("{} +{late:#} {:?}", observation.happened_at, observation.fact);
            }
            _interrupted = tokio::signal::ctrl_c() => break,
        }
    }
    receiver.close();
    group.stop(Duration::from_secs(10)).await;
}
