//! nginx in front of an OTLP receiver: it requires certificates, and accepts no more than a MiB at once by default.

use std::fs::{self, File};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use coroner_tests::machine::target_directory;
use coroner_tests::until;

use crate::aggregator::{Aggregator, certificates, free_port, large};
use crate::python::Process;
use crate::receiver::{Receiver, summaries};

/// Starts it in this directory, whose certificates it uses, before a receiver at that port. Gives its own.
async fn start(directory: &Path, receiver: u16) -> Result<(Process, u16)> {
    let program = target_directory()?.join("tools/nginx/usr/sbin/nginx");
    ensure!(program.exists(), "{program:?} is not there; `scripts/tools nginx` puts it there");
    let port = free_port()?;
    // One process: a worker would outlive its master's death.
    let configuration = format!(
        "daemon off; master_process off; pid nginx.pid; events {{}}
         http {{
             access_log off;
             client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
             server {{
                 listen 127.0.0.1:{port} ssl http2;
                 ssl_certificate coroner-tls/aggregator/tls.crt;
                 ssl_certificate_key coroner-tls/aggregator/tls.key;
                 ssl_client_certificate coroner-tls/ca.crt;
                 ssl_verify_client on;
                 location / {{ grpc_pass grpc://127.0.0.1:{receiver}; }}
             }}
         }}"
    );
    fs::write(directory.join("nginx.conf"), configuration)?;
    let log = directory.join("nginx.log");
    let mut command = Command::new(program);
    command.arg("-p").arg(directory).args(["-c", "nginx.conf", "-e", "stderr"]);
    let mut nginx = Process::start(command.stderr(File::create(&log)?))?;
    until("nginx listens", async || {
        nginx.check().with_context(|| fs::read_to_string(&log).unwrap_or_default())?;
        Ok(TcpStream::connect(("127.0.0.1", port)).is_ok().then_some(()))
    })
    .await?;
    Ok((nginx, port))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_proxy_finds_too_large_is_cut_until_it_fits() -> Result<()> {
    let receiver = Receiver::start(None).await?;
    let directory = tempfile::tempdir()?;
    certificates(directory.path())?;
    let (_nginx, port) = start(directory.path(), receiver.port).await?;
    let file = |name: &str| directory.path().join("coroner-tls").join(name).display().to_string();
    let tls =
        format!("ca={}&cert={}&key={}", file("ca.crt"), file("readers/siem/tls.crt"), file("readers/siem/tls.key"));
    let export = format!("otlp+https://localhost:{port}?{tls}&{}", receiver.options("take")?);
    let mut aggregator = Aggregator::start(&[export]).await?;
    aggregator.push((1..=500).map(large)).await?;
    let arrived = until("all of it arrives", async || Ok((receiver.taken("take")?.len() >= 500).then_some(())));
    arrived.await.with_context(|| aggregator.log().unwrap_or_default())?;
    ensure!(receiver.taken("take")? == summaries(1..=500), "{}", aggregator.log()?);
    let reported = aggregator.exporter("take", 0).await?;
    ensure!(
        (reported.sent_count, reported.retry_count, reported.dead_letter_count) == (500, 0, 0),
        "{reported:?}\n{}",
        aggregator.log()?
    );
    ensure!(receiver.calls("take")?.len() > 1, "all of it came in one message");
    Ok(())
}
