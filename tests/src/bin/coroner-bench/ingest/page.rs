//! How long a browser waits for the page when there is much in the ledger, without the network and its own drawing.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::Aggregator;
use super::load;

/// Views of each kind.
const VIEWS: usize = 100;

/// What each view took, by what it shows.
pub(super) async fn views(aggregator: &Aggregator) -> Result<[(&'static str, Vec<Duration>); 4]> {
    let newest = load::diagnosis(0, 0).uid;
    let views = [
        ("overview, a day", "/".to_owned()),
        ("overview, thirty days", "/?since=30d".to_owned()),
        ("overview, thirty days, severity at least error", "/?since=30d&severity=error".to_owned()),
        ("one diagnosis", format!("/d/{newest}")),
    ];
    let mut measured = views.each_ref().map(|(name, _)| (*name, Vec::new()));
    for ((_, path), (_, spans)) in views.iter().zip(&mut measured) {
        for _ in 0..VIEWS {
            spans.push(view(aggregator, path).await.with_context(|| format!("GET {path}"))?);
        }
    }
    Ok(measured)
}

/// On a connection of its own, as the first view is.
async fn view(aggregator: &Aggregator, path: &str) -> Result<Duration> {
    let asked = Instant::now();
    let stream = TcpStream::connect(aggregator.page()?).await.context("connecting")?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.context("HTTP")?;
    tokio::spawn(connection);
    let request = Request::get(path).header("host", "localhost").header("accept-encoding", "gzip");
    let answer = sender.send_request(request.body(Empty::<Bytes>::new())?).await.context("sending")?;
    let status = answer.status();
    let body = answer.into_body().collect().await.context("receiving")?.to_bytes();
    let elapsed = asked.elapsed();
    ensure!(status == StatusCode::OK, "{status}: {}", String::from_utf8_lossy(&body));
    Ok(elapsed)
}
