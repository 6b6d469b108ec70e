//! The sources: one interface of the node each, independent of one another. They observe, they decide nothing.
//!
//! [`TABLE`] names each of them and says how it is started; nothing else in the agent lists them.

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
pub mod outlet;
pub mod process_events;
pub mod procfs;
pub mod signals;
pub mod site;
pub mod socket;
mod worker;

#[cfg(test)]
mod oom_tests;
#[cfg(test)]
mod panics;
#[cfg(test)]
mod testing;

use std::path::PathBuf;

use coroner_diagnosis::observation::Source;

use self::{procfs::Connector, site::Site, socket::Socket};
use crate::host::HostRoot;

/// What the sources are told by the command line.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The node's directories.
    pub host: HostRoot,
    /// Where the kubelet links the containers' logs.
    pub container_logs: PathBuf,
    /// The CRI.
    pub cri: Socket,
    /// containerd itself, and the namespace of the CRI's containers.
    pub containerd: containerd::Config,
    /// Docker.
    pub docker: Socket,
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
    /// From containerd's events to the CRI.
    hints: cri::Hints,
    /// From the process connector to /proc.
    connector: Connector,
    /// From the examiner to the logs.
    logs: logs::Requests,
}

/// The sources of one interface, and how they are started.
type Row = (&'static [Source], fn(&Start<'_>));

/// Every source, in the order of their start: what tells of containers comes before what tells of their ends.
const TABLE: [Row; 13] = [
    (&[Source::Containerd], |with| {
        containerd::spawn(with.site, with.settings.containerd.clone(), with.hints.clone());
    }),
    (&[Source::Cri], |with| cri::spawn(with.site, with.settings.cri.clone(), with.hints.clone())),
    (&[Source::Docker], |with| docker::spawn(with.site, with.settings.docker.clone())),
    (&api::SOURCES, |with| {
        let config = api::Config { kubeconfig: with.settings.kubeconfig.clone(), node: with.node.to_owned() };
        api::spawn(with.site, config);
    }),
    (&[Source::Kubelet], |with| kubelet::spawn(with.site, with.settings.kubelet.clone())),
    (&[Source::Disk], |with| disk::spawn(with.site, with.settings.disks.clone())),
    (&[Source::Logs], |with| {
        let directory = with.settings.host.log.join("pods");
        logs::spawn(with.site, directory, with.settings.log_lines, with.logs.clone());
    }),
    (&[Source::ContainerLogs], |with| container_names::spawn(with.site, with.settings.container_logs.clone())),
    (&[Source::Cgroups], |with| cgroups::spawn(with.site, with.settings.host.clone())),
    (&[Source::KernelLog], |with| {
        kernel_log::spawn(with.site, with.settings.host.clone(), kernel_log::LOOKBACK);
    }),
    (&[Source::Signals], |with| signals::spawn(with.site, with.settings.host.clone())),
    (&[Source::ProcessEvents], |with| {
        process_events::spawn(with.site, with.settings.host.clone(), with.connector.clone());
    }),
    (&[Source::Procfs], |with| procfs::spawn(with.site, with.settings.host.clone(), with.connector.clone())),
];

/// Starts all of them. `node`: the node's name. The examiner asks for logs by what is returned.
pub fn start(site: &Site, settings: &Settings, node: &str) -> logs::Requests {
    let logs = logs::Requests::new(site);
    let with = Start {
        site,
        settings,
        node,
        hints: cri::Hints::default(),
        connector: Connector::default(),
        logs: logs.clone(),
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
