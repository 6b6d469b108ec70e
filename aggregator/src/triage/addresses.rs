//! Where nodes can be probed. An agent names the port of its health service, and nothing else: the host is where its
//! reports come from, so no report makes anyone connect elsewhere.
//!
//! An address is given to another node once its node has gone, so what answers there shows nothing of the node that had
//! it: where two nodes state the same address, neither is probed at it.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use coroner_diagnosis::observation::kube::Node;
use coroner_proto::v1::ProbeTarget;

/// The addresses at which a node is probed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Address {
    /// The kubelet's port, by the Node object.
    pub(super) kubelet: Option<SocketAddr>,
    /// The agent's health port.
    pub(super) agent: Option<SocketAddr>,
}

/// The addresses of all nodes, by name.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    nodes: BTreeMap<Arc<str>, Address>,
    /// How many Node objects state the same address of a kubelet.
    kubelets: BTreeMap<SocketAddr, usize>,
    /// The node that last reported from the address of an agent.
    agents: BTreeMap<SocketAddr, Arc<str>>,
}

impl Addresses {
    /// Stores the address that a Node object states.
    pub(super) fn put_node(&mut self, name: &Arc<str>, node: &Node) {
        let ip: Option<IpAddr> = node.internal_ip.parse().ok().filter(is_host);
        let kubelet = ip.map(|ip| SocketAddr::new(ip, node.kubelet_port));
        let before = std::mem::replace(&mut self.nodes.entry(Arc::clone(name)).or_default().kubelet, kubelet);
        self.release(before);
        if let Some(kubelet) = kubelet {
            *self.kubelets.entry(kubelet).or_default() += 1;
        }
    }

    /// Takes the port of an agent that reports from this address.
    pub(super) fn put_agent(&mut self, name: &Arc<str>, agent: Option<SocketAddr>) {
        let before = std::mem::replace(&mut self.nodes.entry(Arc::clone(name)).or_default().agent, agent);
        if before == agent && agent.is_none_or(|agent| self.agents.get(&agent) == Some(name)) {
            return;
        }
        self.leave(name, before);
        if let Some(agent) = agent
            && let Some(former) = self.agents.insert(agent, Arc::clone(name)).filter(|former| former != name)
            && let Some(of_former) = self.nodes.get_mut(&former)
        {
            of_former.agent = None;
        }
    }

    pub(super) fn remove(&mut self, name: &str) {
        if let Some(Address { kubelet, agent }) = self.nodes.remove(name) {
            self.release(kubelet);
            self.leave(name, agent);
        }
    }

    /// One Node object less states this address.
    fn release(&mut self, kubelet: Option<SocketAddr>) {
        if let Some(kubelet) = kubelet
            && let Some(count) = self.kubelets.get_mut(&kubelet)
        {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.kubelets.remove(&kubelet);
            }
        }
    }

    /// The agent of this node is not at this address any more.
    fn leave(&mut self, name: &str, agent: Option<SocketAddr>) {
        if let Some(agent) = agent
            && self.agents.get(&agent).is_some_and(|owner| **owner == *name)
        {
            self.agents.remove(&agent);
        }
    }

    pub(super) fn of(&self, name: &str) -> Address {
        let Address { kubelet, agent } = self.nodes.get(name).copied().unwrap_or_default();
        Address { kubelet: kubelet.filter(|kubelet| self.kubelets.get(kubelet) == Some(&1)), agent }
    }

    /// The node as a target for an agent; `None` where nothing of it can be reached.
    pub(super) fn target(&self, name: &str) -> Option<ProbeTarget> {
        let Address { kubelet, agent } = self.of(name);
        let text = |address: Option<SocketAddr>| address.map(|address| address.to_string()).unwrap_or_default();
        let target = ProbeTarget { node: name.to_owned(), kubelet_address: text(kubelet), agent_address: text(agent) };
        (kubelet.is_some() || agent.is_some()).then_some(target)
    }
}

/// The health port of an agent, as it names it (`HOST:PORT`), at the address that its report came from.
pub(super) fn agent(named: &str, from: Option<IpAddr>) -> Option<SocketAddr> {
    let port = named.rsplit_once(':')?.1.parse().ok().filter(|port| *port > 0)?;
    let ip = match from {
        Some(from) => from,
        // Passed on by another aggregator, which has put the address in.
        None => named.parse::<SocketAddr>().ok()?.ip(),
    };
    is_host(&ip).then(|| SocketAddr::new(ip, port))
}

/// Whether another host can be behind an address.
fn is_host(ip: &IpAddr) -> bool {
    let link_local = match ip {
        IpAddr::V4(ip) => ip.is_link_local() || ip.is_broadcast(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    !(ip.is_loopback() || ip.is_unspecified() || ip.is_multicast() || link_local)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_names_a_port_and_never_a_host() {
        let from = Some("10.1.2.3".parse().unwrap());
        assert_eq!(agent("10.9.9.9:8081", from), Some("10.1.2.3:8081".parse().unwrap()));
        assert_eq!(agent("[::]:8081", from), Some("10.1.2.3:8081".parse().unwrap()));
        assert_eq!(agent("10.9.9.9:8081", None), Some("10.9.9.9:8081".parse().unwrap()));
        for nothing in ["", "8081", "10.1.2.3:", "10.1.2.3:0", "10.1.2.3:99999", "a:b"] {
            assert_eq!(agent(nothing, from), None, "{nothing}");
        }
        for no_host in ["127.0.0.1", "169.254.169.254", "0.0.0.0", "::1", "224.0.0.1", "fe80::1"] {
            assert_eq!(agent("x:1", Some(no_host.parse().unwrap())), None, "{no_host}");
        }
        let mut addresses = Addresses::default();
        let node = Node { internal_ip: "169.254.169.254".to_owned(), kubelet_port: 80, ..Node::default() };
        addresses.put_node(&"n".into(), &node);
        assert_eq!(addresses.target("n"), None);
        let node = Node { internal_ip: "fd00::7".to_owned(), kubelet_port: 10_250, ..Node::default() };
        addresses.put_node(&"n".into(), &node);
        assert_eq!(addresses.target("n").unwrap().kubelet_address, "[fd00::7]:10250");
    }

    #[test]
    fn an_address_that_another_node_has_shows_nothing_of_the_one_that_had_it() {
        let mut addresses = Addresses::default();
        let node = |ip: &str| Node { internal_ip: ip.to_owned(), kubelet_port: 10_250, ..Node::default() };
        let agent: Option<SocketAddr> = Some("10.1.2.3:8081".parse().unwrap());
        let kubelet: Option<SocketAddr> = Some("10.0.0.1:10250".parse().unwrap());
        for _ in 0..2 {
            addresses.put_node(&"former".into(), &node("10.0.0.1"));
            addresses.put_agent(&"former".into(), agent);
        }
        assert_eq!(addresses.of("former"), Address { kubelet, agent });
        addresses.put_node(&"next".into(), &node("10.0.0.1"));
        addresses.put_agent(&"next".into(), agent);
        assert_eq!(addresses.of("former"), Address::default());
        assert_eq!(addresses.of("next"), Address { kubelet: None, agent });
        addresses.remove("former");
        assert_eq!(addresses.of("next"), Address { kubelet, agent });
        addresses.put_node(&"next".into(), &node("10.0.0.2"));
        addresses.put_agent(&"next".into(), None);
        addresses.remove("next");
        assert!(addresses.kubelets.is_empty() && addresses.agents.is_empty() && addresses.nodes.is_empty());
    }
}
