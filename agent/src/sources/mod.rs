//! The sources: one interface of the node each, independent of one another. They observe, they decide nothing.
//!
//! [`TABLE`] names each of them and how it is started; nothing else in the agent lists them.

pub mod api;
pub mod cgroups;
pub mod connection;
pub mod container_names;
pub mod containerd;
pub mod cri;
pub mod disk;
pub mod docker;
pub mod kernel_log;
pub mod kubelet;
pub mod logs;
mod node_checks;
pub mod outlet;
pub mod process_events;
pub mod procfs;
pub mod readers;
pub mod signals;
pub mod site;
pub mod socket;
mod tracepoints;
mod worker;

#[cfg(test)]
mod oom_tests;
#[cfg(test)]
mod panics;
#[cfg(test)]
mod testing;

use std::{path::PathBuf, sync::Arc};

use coroner_diagnosis::observation::Source;

use self::{procfs::Connector, site::Site, socket::Socket};
use crate::{host::HostRoot, report::NodeState};

/// The configuration of the sources.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The node's directories, as they are mounted here.
    pub host: HostRoot,
    /// Where the kubelet links the containers' logs.
    pub container_logs: PathBuf,
    /// The socket of the container runtime that serves the CRI.
    pub cri: Socket,
    /// containerd itself, and the namespace of the CRI's containers.
    pub containerd: containerd::Config,
    /// The socket of Docker's API.
    pub docker: Socket,
    /// Docker's directory of containers, with their logs.
    pub docker_logs: PathBuf,
    /// Lines of a failed container's log that are reported.
    pub log_lines: usize,
    /// How the API server is reached, if not as in a pod.
    pub kubeconfig: Option<PathBuf>,
    /// How the kubelet is reached.
    pub kubelet: kubelet::Config,
    /// File systems to watch.
    pub disks: Vec<disk::Place>,
}

/// What a row of the table starts its source with.
struct Start<'a> {
    site: &'a Site,
    settings: &'a Settings,
    /// The node's name.
    node: &'a str,
    /// From containerd's events, or the process connector, to the CRI.
    hints: cri::Hints,
    /// From containerd's events to the cgroups.
    endings: cgroups::Endings,
    /// From the process connector to /proc.
    connector: Connector,
    /// From the examiner to the logs.
    logs: logs::Requests,
    /// From the checks of the node to the kubelet's other endpoints.
    healthz: Arc<kubelet::Healthz>,
    /// What the node report shows.
    state: NodeState,
}

/// The sources of one interface, and how they are started.
type Row = (&'static [Source], fn(&Start<'_>));

/// Every source, in the order of their start: sources that report containers precede those that report their ends.
const TABLE: [Row; 14] = [
    (&[Source::Containerd], |with| {
        containerd::spawn(with.site, with.settings.containerd.clone(), with.hints.clone(), with.endings.clone());
    }),
    (&[Source::Cri], |with| {
        cri::spawn(with.site, with.settings.cri.clone(), with.hints.clone(), with.state.clone());
    }),
    (&[Source::Docker], |with| docker::spawn(with.site, with.settings.docker.clone())),
    (&api::SOURCES, |with| {
        let (kubeconfig, node) = (with.settings.kubeconfig.clone(), with.node.to_owned());
        let config = api::Config { kubeconfig, node, clock: with.state.api_clock.clone() };
        api::spawn(with.site, config);
    }),
    (&[Source::Kubelet], |with| kubelet::spawn(with.site, with.settings.kubelet.clone(), &with.healthz)),
    (&[Source::NodeChecks], |with| node_checks::spawn(with.site, with.settings, &with.state, &with.healthz)),
    (&[Source::Disk], |with| disk::spawn(with.site, with.settings.disks.clone(), with.state.clone())),
    (&[Source::Logs], |with| {
        let host = &with.settings.host;
        let directories = logs::Directories { pods: host.log.join("pods"), docker: with.settings.docker_logs.clone() };
        logs::spawn(with.site, directories, with.settings.log_lines, with.logs.clone());
    }),
    (&[Source::ContainerLogs], |with| container_names::spawn(with.site, with.settings.container_logs.clone())),
    (&[Source::Cgroups], |with| {
        cgroups::spawn(with.site, with.settings.host.clone(), with.endings.clone());
    }),
    (&[Source::KernelLog], |with| {
        kernel_log::spawn(with.site, with.settings.host.clone(), kernel_log::LOOKBACK, with.state.clone());
    }),
    (&[Source::Signals], |with| signals::spawn(with.site, with.settings.host.clone())),
    (&[Source::ProcessEvents], |with| {
        let (host, connector) = (with.settings.host.clone(), with.connector.clone());
        process_events::spawn(with.site, host, connector, with.hints.clone(), with.state.clone());
    }),
    (&[Source::Procfs], |with| procfs::spawn(with.site, with.settings.host.clone(), with.connector.clone())),
];

/// Starts all of them. `node`: the node's name. The examiner asks for logs by what is returned.
pub fn start(site: &Site, settings: &Settings, node: &str, state: &NodeState) -> logs::Requests {
    let logs = logs::Requests::new(site);
    let with = Start {
        site,
        settings,
        node,
        hints: cri::Hints::default(),
        endings: cgroups::Endings::default(),
        connector: Connector::default(),
        logs: logs.clone(),
        healthz: Arc::default(),
        state: state.clone(),
    };
    for (_, start) in TABLE {
        start(&with);
    }
    logs
}

/// The sources of an agent.
pub fn all() -> impl Iterator<Item = Source> {
    TABLE.iter().flat_map(|(sources, _)| sources.iter().copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_source_of_the_node_is_in_the_table_once() {
        let mut named: Vec<_> = all().collect();
        named.sort_unstable();
        let mut known: Vec<_> = Source::OF_NODE.into_iter().chain(api::SOURCES).collect();
        known.sort_unstable();
        assert_eq!(named, known);
    }
}
