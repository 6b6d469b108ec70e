//! Probes of nodes that have fallen silent, by which the aggregator distinguishes a node that is down from one that is
//! cut off.
//!
//! At most three nodes at once, two connections each, to addresses and not to names: the kubelet's port and the port of
//! the agents' health. Nothing else is probed, whatever the aggregator asks for.

use std::{io, net::SocketAddr, time::Duration};

use coroner_proto::v1::{ProbeOutcome, ProbeResult, ProbeTarget};
use jiff::Timestamp;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{Instant, timeout_at},
};

use crate::{config::KUBELET_PORT, status::wire_time};

/// Nodes at once.
const NODES: usize = 3;
/// How long one probe may take.
const DEADLINE: Duration = Duration::from_secs(2);
/// In plain text also to the kubelet: its TLS server answers such a request with 400, any other with an alert.
const REQUEST: &[u8] = b"GET /livez HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n";

/// Probes the kubelet's port and the agent's health port of each of these nodes.
pub(super) async fn probe(targets: Vec<ProbeTarget>, health_port: u16) -> Vec<ProbeResult> {
    let probes = targets.into_iter().take(NODES).map(|target| async move {
        let kubelet = outcome(&target.kubelet_address, KUBELET_PORT);
        let agent = outcome(&target.agent_address, health_port);
        let (kubelet, agent) = tokio::join!(kubelet, agent);
        ProbeResult {
            node: target.node,
            time: Some(wire_time(Timestamp::now())),
            kubelet: kubelet.into(),
            agent: agent.into(),
            age: Some(prost_types::Duration::default()),
        }
    });
    futures::future::join_all(probes).await
}

async fn outcome(address: &str, port: u16) -> ProbeOutcome {
    match address.parse::<SocketAddr>() {
        Ok(address) if address.port() == port && port != 0 => connect(address).await,
        Ok(_) | Err(_) => ProbeOutcome::Unspecified,
    }
}

async fn connect(address: SocketAddr) -> ProbeOutcome {
    let deadline = Instant::now() + DEADLINE;
    let mut stream = match timeout_at(deadline, TcpStream::connect(address)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return of_error(&error),
        Err(_) => return ProbeOutcome::TimedOut,
    };
    let answer = async {
        stream.write_all(REQUEST).await?;
        // An end is an answer too: some process has closed the connection.
        stream.read(&mut [0; 1]).await
    };
    match timeout_at(deadline, answer).await {
        Ok(_) => ProbeOutcome::Answered,
        Err(_) => ProbeOutcome::Silent,
    }
}

fn of_error(error: &io::Error) -> ProbeOutcome {
    match error.kind() {
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset => ProbeOutcome::Refused,
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => ProbeOutcome::Unreachable,
        io::ErrorKind::TimedOut => ProbeOutcome::TimedOut,
        // Of this host's own making, as a lack of descriptors: it shows nothing of the other.
        _ => ProbeOutcome::Unspecified,
    }
}

#[cfg(test)]
mod tests {
    use nix::errno::Errno;
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn outcomes_distinguish_an_answer_silence_and_a_refusal() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (outcome, _peer) = tokio::join!(connect(address), async {
            let (mut peer, _) = listener.accept().await.unwrap();
            peer.write_all(b"HTTP/1.0 400 Bad Request\r\n\r\n").await.unwrap();
            peer
        });
        assert_eq!(outcome, ProbeOutcome::Answered);
        // Accepted by the kernel alone, as of a process that is stopped.
        assert_eq!(connect(address).await, ProbeOutcome::Silent);
        drop(listener);
        assert_eq!(connect(address).await, ProbeOutcome::Refused);
    }

    #[test]
    fn what_this_host_itself_lacks_shows_nothing_of_another() {
        for errno in [Errno::EMFILE, Errno::EADDRNOTAVAIL, Errno::EPERM] {
            assert_eq!(of_error(&errno.into()), ProbeOutcome::Unspecified, "{errno}");
        }
        assert_eq!(of_error(&Errno::EHOSTUNREACH.into()), ProbeOutcome::Unreachable);
    }

    #[tokio::test]
    async fn nothing_but_the_kubelets_and_the_agents_port_is_probed() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let target = |kubelet: &str, agent: &str| ProbeTarget {
            node: "n".to_owned(),
            kubelet_address: kubelet.to_owned(),
            agent_address: agent.to_owned(),
        };
        let results = probe(vec![target(&address, &address), target("localhost:10250", "")], 7071).await;
        assert!(
            results.iter().all(|r| r.kubelet() == ProbeOutcome::Unspecified && r.agent() == ProbeOutcome::Unspecified)
        );
        let many = vec![target("", ""); 100];
        assert_eq!(probe(many, 7071).await.len(), NODES);
    }
}
