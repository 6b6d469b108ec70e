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
/// How every answer of HTTP/1.1 begins.
const ANSWER: &[u8] = b"HTTP/1.";

/// Whether a server of HTTP/1.1 without TLS listens at this URL: a page, or a port for health and metrics.
pub(super) async fn is_http(url: &str) -> bool {
    timeout(DEADLINE, ask(url)).await.ok().flatten().unwrap_or(false)
}

async fn ask(url: &str) -> Option<bool> {
    let uri: Uri = url.parse().ok()?;
    let port = uri.port_u16().unwrap_or_else(|| if uri.scheme_str() == Some("https") { 443 } else { 80 });
    let host = uri.host()?.trim_start_matches('[').trim_end_matches(']');
    let mut stream = TcpStream::connect((host, port)).await.ok()?;
    stream.write_all(QUESTION).await.ok()?;
    let mut answer = [0; ANSWER.len()];
    stream.read_exact(&mut answer).await.ok()?;
    Some(answer == ANSWER)
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// Whether a server that answers this is one of HTTP.
    async fn answers(answer: &'static [u8]) -> bool {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut question = [0; QUESTION.len()];
            stream.read_exact(&mut question).await.unwrap();
            stream.write_all(answer).await.unwrap();
        };
        tokio::join!(is_http(&url), serve).0
    }

    #[tokio::test]
    async fn a_server_is_known_by_the_beginning_of_its_answer() {
        assert!(answers(b"HTTP/1.1 404 Not Found\r\n\r\n").await);
        // An alert of TLS, and the settings of HTTP/2.
        assert!(!answers(&[21, 3, 3, 0, 2, 2, 70]).await);
        assert!(!answers(&[0, 0, 24, 4, 0, 0, 0]).await);
        assert!(!answers(b"").await);
        assert!(!is_http("unix:///run/coroner.sock").await);
    }
}
