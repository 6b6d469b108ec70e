//! The aggregator's own probes: a connection to the kubelet's port of a node and to its agent's health port, and
//! whether anything answers.

use std::{io::ErrorKind, net::SocketAddr, time::Duration};

use coroner_proto::v1::ProbeOutcome;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use super::addresses::Address;

/// For the connection, and for the answer.
const DEADLINE: Duration = Duration::from_secs(2);
/// A server that uses TLS answers this too, with a complaint; what it answers does not matter.
const QUESTION: &[u8] = b"GET /livez HTTP/1.0\r\n\r\n";

/// What the kubelet's port and the agent's gave.
pub(super) async fn probe(address: Address) -> [ProbeOutcome; 2] {
    let (kubelet, agent) = tokio::join!(connect(address.kubelet), connect(address.agent));
    [kubelet, agent]
}

async fn connect(address: Option<SocketAddr>) -> ProbeOutcome {
    let Some(address) = address else { return ProbeOutcome::Unspecified };
    let mut stream = match timeout(DEADLINE, TcpStream::connect(address)).await {
        Err(_elapsed) => return ProbeOutcome::TimedOut,
        Ok(Err(error)) => return failed(error.kind()),
        Ok(Ok(stream)) => stream,
    };
    let answer = async {
        stream.write_all(QUESTION).await?;
        stream.read(&mut [0; 1]).await
    };
    // An end of the connection is an answer too: something has read the question.
    match timeout(DEADLINE, answer).await {
        Ok(_) => ProbeOutcome::Answered,
        Err(_elapsed) => ProbeOutcome::Silent,
    }
}

fn failed(kind: ErrorKind) -> ProbeOutcome {
    match kind {
        ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset => ProbeOutcome::Refused,
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => ProbeOutcome::Unreachable,
        ErrorKind::TimedOut => ProbeOutcome::TimedOut,
        // Of this host's own making, as a lack of descriptors: it shows nothing of the other.
        _ => ProbeOutcome::Unspecified,
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn each_way_of_answering_and_of_not_answering_is_distinguished() {
        let answering = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = |of: &TcpListener| Some(of.local_addr().unwrap());
        let (at_answering, at_silent, at_closed) = (address(&answering), address(&silent), address(&closed));
        drop(closed);
        let serving = tokio::spawn(async move {
            let (mut stream, _) = answering.accept().await.unwrap();
            stream.write_all(b"HTTP/1.0 400 Bad Request\r\n\r\n").await.unwrap();
        });
        let outcomes = probe(Address { kubelet: at_answering, agent: at_silent }).await;
        assert_eq!(outcomes, [ProbeOutcome::Answered, ProbeOutcome::Silent]);
        serving.await.unwrap();
        let outcomes = probe(Address { kubelet: at_closed, agent: None }).await;
        assert_eq!(outcomes, [ProbeOutcome::Refused, ProbeOutcome::Unspecified]);
        drop(silent);
    }
}
