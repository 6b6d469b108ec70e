//! The stand-ins as processes of their own, which can be stopped and killed.
//!
//! - `api-server DIRECTORY`: an API server with TLS that has the objects of `DIRECTORY/objects.json` (by resource) and
//!   writes `DIRECTORY/kubeconfig`.
//! - `kubelet DIRECTORY PORT LEASES`: a kubelet with the key of `DIRECTORY/kubelet.key` (PEM), which renews the Lease
//!   of its node at `LEASES` (`HOST:PORT`, plain text). On SIGUSR1 it stops to answer, or answers again. As `kubelet
//!   DIRECTORY PORT LEASES expired` it serves with a certificate that has expired; with another fifth word it prints
//!   that, with its pid in place of `PID`, and ends with status 1.

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use anyhow::{Context as _, Result, bail};
use coroner_tests::{
    api_server::{ApiServer, TOKEN},
    coroner::NODE_NAME,
    kubelet_server::{KubeletServer, VALID},
};
use jiff::Timestamp;
use rcgen::KeyPair;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    select,
    signal::unix::{SignalKind, signal},
    time::sleep,
};

/// Time between two renewals of the Lease.
const RENEWAL: Duration = Duration::from_secs(2);
/// Until then the certificate was valid.
const EXPIRED: (i32, u8, u8) = (2026, 1, 1);

#[tokio::main]
async fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["api-server", directory] => api_server(directory.as_ref()).await,
        ["kubelet", directory, port, leases, rest @ ..] => {
            let until = match rest {
                [] => VALID,
                ["expired"] => EXPIRED,
                line => {
                    println!("{}", line.join(" ").replace("PID", &std::process::id().to_string()));
                    std::process::exit(1);
                }
            };
            kubelet(directory.as_ref(), port.parse()?, leases, until).await
        }
        _ => bail!("wrong usage: {words:?}"),
    }
}

async fn api_server(directory: &Path) -> Result<()> {
    let api = ApiServer::start_with_tls().await?;
    let objects: BTreeMap<String, Vec<Value>> = serde_json::from_slice(&fs::read(directory.join("objects.json"))?)?;
    for (resource, objects) in objects {
        objects.into_iter().for_each(|object| api.apply(&resource, object));
    }
    let written = directory.join("kubeconfig.new");
    api.write_kubeconfig(&written)?;
    fs::rename(written, directory.join("kubeconfig"))?;
    std::future::pending().await
}

async fn kubelet(directory: &Path, port: u16, leases: &str, until: (i32, u8, u8)) -> Result<()> {
    let key = KeyPair::from_pem(&fs::read_to_string(directory.join("kubelet.key"))?).context("the key")?;
    let server = KubeletServer::start_at(port, &key, until).await?;
    let mut asked = signal(SignalKind::user_defined1())?;
    println!("I1129 09:00:00.000000 {} server.go:200] \"Started kubelet\"", std::process::id());
    loop {
        select! {
            _asked = asked.recv() => {
                let answer = server.script().healthz.take();
                server.script().healthz = if answer.is_none() { Some("ok".to_owned()) } else { None };
            }
            () = sleep(RENEWAL) => renew(leases).await.unwrap_or_else(|error| println!("E1129 lease: {error:#}")),
        }
    }
}

/// Renews the Lease, as a merge patch.
async fn renew(leases: &str) -> Result<()> {
    let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string();
    let patch = json!({"spec": {"renewTime": now}}).to_string();
    let mut stream = TcpStream::connect(leases).await?;
    let request = format!(
        "PATCH /apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{NODE_NAME} HTTP/1.1\r\n\
         Host: {leases}\r\nAuthorization: Bearer {TOKEN}kubelet\r\nConnection: close\r\n\
         Content-Type: application/merge-patch+json\r\nContent-Length: {}\r\n\r\n{patch}",
        patch.len()
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    anyhow::ensure!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    Ok(())
}
