//! Prints what the kernel's sources observe on this machine, until Ctrl-C: `cargo run -p coroner-agent --example observe`, as root.

use std::path::Path;

use coroner_agent::{
    host::HostRoot,
    sources::{
        kernel_log,
        outlet::{CAPACITY, Outlet},
        process_events,
        procfs::{self, Connector},
        signals,
    },
};
use coroner_diagnosis::observation::Source;
use tokio::sync::mpsc;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

#[tokio::main]
async fn main() {
    let (sender, mut receiver) = mpsc::channel(CAPACITY);
    let (tracker, cancel, connector) = (TaskTracker::new(), CancellationToken::new(), Connector::default());
    let outlet = |source| Outlet::new(source, sender.clone());
    let host = HostRoot::at(Path::new("/"));
    kernel_log::spawn(&tracker, &cancel, outlet(Source::KernelLog), host.clone(), kernel_log::LOOKBACK);
    signals::spawn(&tracker, &cancel, outlet(Source::Signals), host.clone());
    process_events::spawn(&tracker, &cancel, outlet(Source::ProcessEvents), host.clone(), connector.clone());
    procfs::spawn(&tracker, &cancel, outlet(Source::Procfs), host, connector);
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
    cancel.cancel();
    tracker.close();
    tracker.wait().await;
}
