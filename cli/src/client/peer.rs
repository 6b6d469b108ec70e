//! What listens where no aggregator answers: found by one plain HTTP request.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tonic::transport::Uri;

/// For the connection, the question and the beginning of the answer.
const DEADLINE: Duration = Duration::from_secs(2);
/// What HTTP/1.1 answers, and HTTP/2 and TLS refuse.
const QUESTION: &[u8] = b"GET / HTTP/1.1\r\nHost: aggregator\r\nConnection: close\r\n\r\n";

/// The protocol that a peer uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Peer {
    /// HTTP/1.1: the aggregator's page, or a port for health and metrics.
    Http,
    /// TLS.
    Tls,
    /// Neither, as HTTP/2 without TLS; or it did not answer.
    Other,
}

impl Peer {
    /// Asks what listens at this URL.
    pub(super) async fn at(url: &str) -> Self {
        timeout(DEADLINE, ask(url)).await.ok().flatten().unwrap_or(Self::Other)
    }

    fn of(answer: &[u8]) -> Self {
        match answer {
            // An alert (21) of any version of TLS (3.x).
            [21, 3, ..] => Self::Tls,
            answer if answer.starts_with(b"HTTP/1.") => Self::Http,
            _ => Self::Other,
        }
    }
}

async fn ask(url: &str) -> Option<Peer> {
    let uri: Uri = url.parse().ok()?;
    let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
    let host = uri.host()?.trim_start_matches('[').trim_end_matches(']');
    let mut stream = TcpStream::connect((host, port)).await.ok()?;
    stream.write_all(QUESTION).await.ok()?;
    let mut answer = [0; 7];
    let mut read = 0;
    while let Some(rest) = answer.get_mut(read..).filter(|rest| !rest.is_empty()) {
        match stream.read(rest).await {
            Ok(0) | Err(_) => break,
            Ok(more) => read += more,
        }
    }
    Some(Peer::of(answer.get(..read)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_known_by_the_beginning_of_its_answer() {
        assert_eq!(Peer::of(b"HTTP/1.1"), Peer::Http);
        assert_eq!(Peer::of(&[21, 3, 3, 0, 2, 2, 70]), Peer::Tls);
        // The settings of HTTP/2.
        assert_eq!(Peer::of(&[0, 0, 24, 4, 0, 0, 0]), Peer::Other);
        assert_eq!(Peer::of(b""), Peer::Other);
    }
}
